//! Host names to addresses, with a deadline.
#![forbid(unsafe_code)]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use nix::sys::signal::{SigSet, SigmaskHow};
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver as UreqResolver};
use ureq::unversioned::transport::NextTimeout;

use super::endpoint::bare_host;
use crate::error::{Error, Status};

/// The HTTP client's way to `addresses`.
#[derive(Debug)]
pub(super) struct Resolver;

impl UreqResolver for Resolver {
    fn resolve(
        &self,
        uri: &Uri,
        _config: &ureq::config::Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 });
        let found = addresses(bare_host(uri), port, *timeout.after).map_err(|failure| match failure {
            Unresolved::Unknown => ureq::Error::HostNotFound,
            Unresolved::TooLate => ureq::Error::Timeout(timeout.reason),
            // As an I/O error it would pass for a timeout.
            Unresolved::NoThread(error) => ureq::Error::Other(Box::new(Error::new(
                Status::Connect,
                format!("no thread can be started to look up the host name: {error}"),
            ))),
        })?;
        let mut addresses = self.empty();
        // As many as the fixed array holds.
        for address in found.into_iter().take(16) {
            addresses.push(address);
        }
        if addresses.is_empty() { Err(ureq::Error::HostNotFound) } else { Ok(addresses) }
    }
}

/// Why a name has no addresses.
#[derive(Debug)]
pub(crate) enum Unresolved {
    Unknown,
    TooLate,
    NoThread(std::io::Error),
}

/// Asks nobody for addresses and `localhost`. For other names the system's resolver runs in a thread of its own: it
/// has no deadline of its own, and can't be interrupted.
pub(crate) fn addresses(host: &str, port: u16, within: Duration) -> Result<Vec<SocketAddr>, Unresolved> {
    if let Ok(ip) = host.parse::<IpAddr>() {
        Ok(vec![SocketAddr::new(ip, port)])
    } else if host.eq_ignore_ascii_case("localhost") {
        // RFC 6761: never a question for DNS.
        Ok(vec![SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port), SocketAddr::new(Ipv6Addr::LOCALHOST.into(), port)])
    } else {
        ask_system(host, port, within)
    }
}

fn ask_system(host: &str, port: u16, within: Duration) -> Result<Vec<SocketAddr>, Unresolved> {
    // A channel would do, but what waits in one leaves a handle of its thread behind, which memcheck reports as lost.
    let answer = Arc::new((Mutex::new(None), Condvar::new()));
    let (host, thread_answer) = (host.to_owned(), answer.clone());
    // The thread inherits the mask: the host program's signals are not for it.
    let previous = SigSet::all().thread_swap_mask(SigmaskHow::SIG_SETMASK);
    let thread = std::thread::Builder::new().name("gcauth-resolver".into()).stack_size(256 * 1024).spawn(move || {
        let found: std::io::Result<Vec<SocketAddr>> = (host.as_str(), port).to_socket_addrs().map(Iterator::collect);
        *thread_answer.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(found);
        thread_answer.1.notify_one();
    });
    if let Ok(previous) = previous {
        // Restoring a mask that was just read can't fail.
        let _ = previous.thread_set_mask();
    }
    thread.map_err(Unresolved::NoThread)?;
    let waiting = answer.0.lock().unwrap_or_else(PoisonError::into_inner);
    let (mut found, _) =
        answer.1.wait_timeout_while(waiting, within, |found| found.is_none()).unwrap_or_else(PoisonError::into_inner);
    match found.take() {
        Some(Ok(addresses)) => Ok(addresses),
        Some(Err(_)) => Err(Unresolved::Unknown),
        None => Err(Unresolved::TooLate),
    }
}
