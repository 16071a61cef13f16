//! Host names to addresses, with a deadline.
#![forbid(unsafe_code)]

use std::ffi::{CStr, CString, c_int};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use nix::sys::signal::{SigSet, SigmaskHow};

use crate::ffi::host;

/// For the system's resolver, whose modules may need a good deal. The C library's own share comes on top.
const STACK: usize = 256 * 1024;
/// More addresses of a name than this are not tried.
const MAX_ADDRESSES: usize = 16;

/// Why a name has no addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unresolved {
    /// Who should know says that there is no such name, or that it has no address.
    Unknown,
    /// Nobody who should know answers.
    Outage,
    TooLate,
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
        let host = CString::new(host).map_err(|_| Unresolved::Unknown)?;
        ask_system(&Arc::new(host), port, within)
    }
}

type Answer = Result<Vec<SocketAddr>, Unresolved>;

fn ask_system(host: &Arc<CString>, port: u16, within: Duration) -> Answer {
    // A channel would do, but what waits in one leaves a handle of its thread behind, which memcheck reports as lost.
    let answer = Arc::new((Mutex::new(None), Condvar::new()));
    let (thread_host, thread_answer) = (host.clone(), answer.clone());
    let size = STACK.saturating_add(host::stack_overhead());
    // The thread inherits the mask: the host program's signals are not for it.
    let previous = SigSet::all().thread_swap_mask(SigmaskHow::SIG_SETMASK);
    let thread = std::thread::Builder::new().name("gcauth-resolver".into()).stack_size(size).spawn(move || {
        let found = look_up(&thread_host, port);
        *thread_answer.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(found);
        thread_answer.1.notify_one();
    });
    if let Ok(previous) = previous {
        // Restoring a mask that was just read can't fail.
        let _ = previous.thread_set_mask();
    }
    if thread.is_err() {
        // A sandbox may forbid threads. How long this takes is up to the system's resolver (resolv.conf).
        return look_up(host, port);
    }
    let waiting = answer.0.lock().unwrap_or_else(PoisonError::into_inner);
    let (mut found, _) =
        answer.1.wait_timeout_while(waiting, within, |found| found.is_none()).unwrap_or_else(PoisonError::into_inner);
    found.take().unwrap_or(Err(Unresolved::TooLate))
}

fn look_up(host: &CStr, port: u16) -> Answer {
    let mut found = host::addresses(host, port).map_err(meaning)?;
    found.truncate(MAX_ADDRESSES);
    if found.is_empty() { Err(Unresolved::Unknown) } else { Ok(found) }
}

/// What an `EAI_` number says.
fn meaning(number: c_int) -> Unresolved {
    match number {
        libc::EAI_NONAME | libc::EAI_NODATA => Unresolved::Unknown,
        // A name server that is silent or broken, no network, no memory, no descriptors.
        _ => Unresolved::Outage,
    }
}
