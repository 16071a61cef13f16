//! A TCP connection to a host, by whichever of its addresses answers first.
#![forbid(unsafe_code)]

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::resolver::{Unresolved, addresses};
use crate::files::beyond_standard;

/// How long an address has before the next one is tried beside it (RFC 8305).
const HEAD_START: Duration = Duration::from_millis(250);

/// Why there is no connection.
#[derive(Debug)]
pub(crate) enum Unconnected {
    Unresolved(Unresolved),
    TooLate,
    /// What the most telling of the addresses said.
    Failed(io::Error),
}

/// Looks up `host` and connects. All of it ends at `deadline`.
pub(crate) fn connect(host: &str, port: u16, deadline: Instant) -> Result<TcpStream, Unconnected> {
    let within = deadline.saturating_duration_since(Instant::now());
    race(&interleaved(addresses(host, port, within).map_err(Unconnected::Unresolved)?), deadline)
}

/// In the order of the system's resolver, but the two families in turn: where one of them leads nowhere, the other is
/// tried early.
fn interleaved(found: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_v6 = found.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) = found.into_iter().partition(|address| address.is_ipv6() == first_is_v6);
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    let mut all = Vec::new();
    loop {
        let round = [first.next(), second.next()];
        if round == [None, None] {
            return all;
        }
        all.extend(round.into_iter().flatten());
    }
}

/// Connects to one of `addresses`. Each begins when the one before has failed, or has had its head start.
fn race(addresses: &[SocketAddr], deadline: Instant) -> Result<TcpStream, Unconnected> {
    let mut waiting = addresses.iter();
    let mut attempts: Vec<Socket> = Vec::new();
    let mut failure: Option<io::Error> = None;
    let mut next_at = Instant::now();
    loop {
        let now = Instant::now();
        if now >= deadline {
            return Err(Unconnected::TooLate);
        }
        if now >= next_at || attempts.is_empty() {
            match waiting.next().map(begin) {
                Some(Ok((socket, true))) => return finish(socket),
                Some(Ok((socket, false))) => {
                    attempts.push(socket);
                    next_at = now + HEAD_START;
                }
                Some(Err(error)) => {
                    note(&mut failure, error);
                    continue;
                }
                None if attempts.is_empty() => {
                    return Err(Unconnected::Failed(failure.unwrap_or_else(|| io::ErrorKind::AddrNotAvailable.into())));
                }
                None => next_at = deadline,
            }
        }
        for at in ready(&attempts, next_at.min(deadline)).map_err(Unconnected::Failed)?.into_iter().rev() {
            let socket = attempts.swap_remove(at);
            match socket.take_error() {
                Ok(None) => return finish(socket),
                Ok(Some(error)) | Err(error) => {
                    note(&mut failure, error);
                    next_at = Instant::now();
                }
            }
        }
    }
}

/// Whether the connection is there already.
fn begin(address: &SocketAddr) -> io::Result<(Socket, bool)> {
    let socket = beyond_standard(Socket::new(Domain::for_address(*address), Type::STREAM, Some(Protocol::TCP))?)?;
    socket.set_nonblocking(true)?;
    match socket.connect(&SockAddr::from(*address)) {
        Ok(()) => Ok((socket, true)),
        Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => Ok((socket, false)),
        Err(error) => Err(error),
    }
}

fn finish(socket: Socket) -> Result<TcpStream, Unconnected> {
    socket.set_nonblocking(false).map_err(Unconnected::Failed)?;
    // Without it only a little slower.
    let _ = socket.set_tcp_nodelay(true);
    Ok(socket.into())
}

/// The places of those attempts that have come to an end, in order; none if that takes until `until`.
fn ready(attempts: &[Socket], until: Instant) -> io::Result<Vec<usize>> {
    let mut watched: Vec<PollFd> =
        attempts.iter().map(|socket| PollFd::new(socket.as_fd(), PollFlags::POLLOUT)).collect();
    // Rounded up: otherwise the last millisecond would be a busy one.
    let wait = until.saturating_duration_since(Instant::now()) + Duration::from_micros(999);
    match poll(&mut watched, PollTimeout::try_from(wait).unwrap_or(PollTimeout::MAX)) {
        Ok(_) | Err(Errno::EINTR) => {}
        Err(error) => return Err(error.into()),
    }
    let is_done = |fd: &PollFd| fd.any().unwrap_or(true);
    Ok(watched.iter().enumerate().filter(|(_, fd)| is_done(fd)).map(|(at, _)| at).collect())
}

/// Keeps the failure that tells most: a host that refuses is there; that an address can't be reached from here is often
/// so for one family of the two.
fn note(kept: &mut Option<io::Error>, error: io::Error) {
    let weight = |error: &io::Error| match error.kind() {
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset => 2,
        io::ErrorKind::TimedOut => 1,
        _ => 0,
    };
    if kept.as_ref().is_none_or(|kept| weight(&error) > weight(kept)) {
        *kept = Some(error);
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::process::Command;

    use super::*;

    const LONG: Duration = Duration::from_secs(120);

    fn soon() -> Instant {
        Instant::now() + LONG
    }

    /// A listener that takes no more connections: the kernel drops what comes, as a firewall would.
    fn full() -> (TcpListener, Vec<TcpStream>) {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SockAddr::from(SocketAddr::from(([127, 0, 0, 1], 0)))).unwrap();
        socket.listen(0).unwrap();
        let listener = TcpListener::from(socket);
        let address = listener.local_addr().unwrap();
        let mut queued = Vec::new();
        while let Ok(socket) = TcpStream::connect_timeout(&address, Duration::from_millis(500)) {
            queued.push(socket);
            assert!(queued.len() < 100);
        }
        (listener, queued)
    }

    fn closed() -> SocketAddr {
        TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
    }

    #[test]
    fn families_take_turns() {
        let of = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<SocketAddr>>();
        for (found, tried) in [
            (&["[::1]:1", "[::2]:1", "1.1.1.1:1"][..], &["[::1]:1", "1.1.1.1:1", "[::2]:1"][..]),
            (&["1.1.1.1:1", "2.2.2.2:1", "[::1]:1"], &["1.1.1.1:1", "[::1]:1", "2.2.2.2:1"]),
            (&["1.1.1.1:1"], &["1.1.1.1:1"]),
            (&[], &[]),
        ] {
            assert_eq!(interleaved(of(found)), of(tried));
        }
    }

    #[test]
    fn a_silent_address_does_not_keep_the_next_one_waiting() {
        let (silent, _queued) = full();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addresses = [silent.local_addr().unwrap(), listener.local_addr().unwrap()];
        let began = Instant::now();
        let socket = race(&addresses, soon()).unwrap();
        assert_eq!(socket.peer_addr().unwrap(), addresses[1]);
        // It would have had half of the time.
        assert!(began.elapsed() >= HEAD_START && began.elapsed() < LONG / 4);
        let outcome = race(&addresses[..1], Instant::now() + Duration::from_millis(300));
        assert!(matches!(outcome, Err(Unconnected::TooLate)), "{outcome:?}");
    }

    #[test]
    fn the_first_address_may_answer_after_its_head_start() {
        let (slow, queued) = full();
        let (other, _queued) = full();
        let addresses = [slow.local_addr().unwrap(), other.local_addr().unwrap()];
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(3 * HEAD_START);
                // Room for one more, once the kernel knocks again.
                for _ in &queued {
                    drop(slow.accept());
                }
            });
            assert_eq!(race(&addresses, soon()).unwrap().peer_addr().unwrap(), addresses[0]);
        });
    }

    #[test]
    fn after_a_failure_comes_the_next_address_at_once() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addresses = [closed(), "0.0.0.0:0".parse().unwrap(), listener.local_addr().unwrap()];
        assert_eq!(race(&addresses, soon()).unwrap().peer_addr().unwrap(), addresses[2]);
        let Err(Unconnected::Failed(error)) = race(&addresses[..1], soon()) else { panic!("nobody listens") };
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }

    /// Whether `work` can have a network of its own.
    fn in_a_network_of_its_own(work: impl FnOnce() + Send) {
        std::thread::scope(|scope| {
            scope.spawn(|| {
                if nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).is_err() {
                    eprintln!("SKIPPED: no network namespaces here");
                    return;
                }
                work();
            });
        });
    }

    fn ip(arguments: &str) {
        assert!(Command::new("ip").args(arguments.split(' ')).status().unwrap().success(), "ip {arguments}");
    }

    /// A firewall answers for one family: the other one is tried whatever the error.
    #[test]
    fn addresses_that_a_firewall_forbids_are_passed_over() {
        in_a_network_of_its_own(|| {
            ip("link set lo up");
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let there = listener.local_addr().unwrap();
            for (route, code) in [
                ("prohibit", Some(libc::EACCES)),
                ("unreachable", Some(libc::EHOSTUNREACH)),
                ("blackhole", Some(libc::EINVAL)),
            ] {
                ip(&format!("route add {route} 192.0.2.1"));
                ip(&format!("-6 route add {route} 2001:db8::1"));
                for forbidden in ["192.0.2.1:1", "[2001:db8::1]:1"] {
                    let forbidden = forbidden.parse().unwrap();
                    assert_eq!(race(&[forbidden, there], soon()).unwrap().peer_addr().unwrap(), there, "{route}");
                    let Err(Unconnected::Failed(error)) = race(&[forbidden], soon()) else { panic!("{route}") };
                    assert_eq!(error.raw_os_error(), code, "{route}");
                    // Who refuses is there, and tells more.
                    let Err(Unconnected::Failed(error)) = race(&[forbidden, closed()], soon()) else {
                        panic!("{route}")
                    };
                    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused, "{route}");
                }
                ip("route del 192.0.2.1");
                ip("-6 route del 2001:db8::1");
            }
        });
    }
}
