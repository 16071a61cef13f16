//! What went wrong with a Redis, in words of our own: neither the URL nor what was sent is in them.
#![forbid(unsafe_code)]

use std::io::ErrorKind;

use redis::RedisError;

use crate::error::{Error, Status};
use crate::redact;
use crate::transport::Peer;
use crate::transport::connector::Unconnected;
use crate::transport::resolver::Unresolved;
use crate::transport::stream::verdict;
use crate::transport::verifier::describe;

/// What Redis says, what it means, and whether it may pass. In an answer of a script of older versions the word stands
/// somewhere in the text.
const ANSWERS: &[(&str, &str, bool)] = &[
    ("WRONGPASS", "refuses the user name or password of the URL", false),
    ("NOAUTH", "wants a password, which the URL does not have", false),
    ("without any password configured", "has no password, but the URL has one", false),
    ("DENIED", "is in protected mode and refuses other hosts", false),
    ("WRONGTYPE", "holds something else under the session's name; name another by ?key=", false),
    ("READONLY", "is a replica that can't be written to; name the primary", true),
    ("LOADING", "is still loading its data", true),
    ("MASTERDOWN", "is a replica that has lost its primary", true),
    ("OOM", "has no memory left", true),
    ("MISCONF", "can't save its data to disk, and takes no more", true),
    ("NOREPLICAS", "has too few replicas to write", true),
    ("BUSY", "is busy with somebody's script", true),
    ("MOVED", "sends us from node to node", true),
    ("ASK", "is moving the session to another node", true),
    ("TRYAGAIN", "is moving the session to another node", true),
    ("CLUSTERDOWN", "is a cluster that is down", true),
    ("max number of clients", "has too many connections", true),
    ("DB index", "has no database of this number", false),
    ("in cluster mode", "is a cluster, which has no database numbers", false),
    ("unknown command", "lacks a command that is needed, scripts among them", false),
];

/// A store that can't be used now.
pub(super) fn passing(place: &str, what: &str) -> Error {
    lasting(place, what).retryable()
}

/// A store that can't be used before somebody changes something.
pub(super) fn lasting(place: &str, what: &str) -> Error {
    Error::new(Status::Store, format!("the session store at {place} {what}"))
}

/// No connection.
pub(super) fn unconnected(place: &str, why: &Unconnected) -> Error {
    match why {
        Unconnected::Unresolved(Unresolved::Unknown) => {
            passing(place, "has a host name that is not known; check the URL")
        }
        Unconnected::Unresolved(Unresolved::Outage) => {
            passing(place, "could not be looked up: this machine's name service (DNS) gives no answer; try again later")
        }
        Unconnected::Unresolved(Unresolved::TooLate) => {
            passing(place, "has a host name that could not be looked up in time; try again later")
        }
        Unconnected::TooLate => passing(place, "gave no answer in time; is it up, and does a firewall let us through?"),
        Unconnected::Failed(error) => lost(place, error),
    }
}

/// The connection was lost.
pub(super) fn of_io(peer: &Peer, place: &str, error: &std::io::Error) -> Error {
    match verdict(error) {
        Some(verdict) => of_tls(peer, place, verdict),
        None => lost(place, error),
    }
}

fn lost(place: &str, error: &std::io::Error) -> Error {
    match error.kind() {
        ErrorKind::TimedOut | ErrorKind::WouldBlock => passing(place, "gave no answer in time"),
        ErrorKind::ConnectionRefused => passing(place, "refused the connection; is Redis up, and the port right?"),
        ErrorKind::PermissionDenied => {
            passing(place, "can't be reached: this machine's firewall forbids it; ask who runs the machine")
        }
        ErrorKind::UnexpectedEof
        | ErrorKind::ConnectionReset
        | ErrorKind::ConnectionAborted
        | ErrorKind::BrokenPipe
        | ErrorKind::NotConnected => passing(place, "closed the connection"),
        ErrorKind::FileTooLarge => lasting(place, "sent more than any session has"),
        // The operating system's own words hold no input of ours.
        _ if error.raw_os_error().is_some() => passing(place, &format!("can't be reached: {error}")),
        _ => passing(place, "can't be reached"),
    }
}

/// The same, before TLS is settled: a server that does not know it may wait for more of what it takes for a command.
pub(super) fn of_handshake(peer: &Peer, place: &str, error: &std::io::Error) -> Error {
    match error.kind() {
        ErrorKind::TimedOut | ErrorKind::WouldBlock => {
            passing(place, "gave no answer in time; does it speak TLS, or is it redis://?")
        }
        _ => of_io(peer, place, error),
    }
}

/// TLS failed.
fn of_tls(peer: &Peer, place: &str, error: &rustls::Error) -> Error {
    match error {
        rustls::Error::InvalidMessage(_) => lasting(place, "does not speak TLS on this port; is it redis://?"),
        _ => Error::new(Status::Store, describe(error, peer).message()),
    }
}

/// What was asked of Redis, to name what a user lacks.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    /// A script, or a command's name.
    pub(super) script: &'a str,
    pub(super) key: Option<&'a str>,
}

impl Asked<'_> {
    /// The commands that it takes, of which Redis may refuse one without saying which.
    fn commands(&self) -> Vec<String> {
        let called = self.script.split("redis.call('").skip(1).filter_map(|rest| rest.split('\'').next());
        let mut commands: Vec<String> = called.map(str::to_ascii_lowercase).collect();
        commands.sort();
        commands.dedup();
        if commands.is_empty() { vec![self.script.to_ascii_lowercase()] } else { commands }
    }
}

/// What an ACL refuses, if that is what `text` says. Where a script ran into it, older versions name neither command nor
/// key.
fn refused_by_acl(text: &str, asked: Asked, secrets: &[&str]) -> Option<String> {
    let is_about_key = text.contains("access") && text.contains("key");
    let is_refusal = text.contains("NOPERM")
        || text.contains("can't run this command")
        || text.contains("ACL failure")
        || (is_about_key && text.contains("The user executing the script"));
    if !is_refusal {
        return None;
    }
    let key = asked.key.map(|key| redact::clean(key, secrets, 80));
    if let Some(key) = key.as_ref().filter(|_| is_about_key) {
        let pattern = key.split_inclusive('}').next().unwrap_or_default();
        return Some(format!(
            "does not let this user use the key {key}; give it ~{pattern}* by ACL SETUSER, see docs/sharing.md"
        ));
    }
    let named = text.split_once("run the '").and_then(|(_, rest)| rest.split('\'').next());
    let commands = match named {
        Some(command) => vec![redact::clean(command, secrets, 40)],
        None => asked.commands(),
    };
    let on = key.map(|key| format!(" on the key {key}")).unwrap_or_default();
    let one_of = if commands.len() > 1 { "one of " } else { "" };
    Some(format!(
        "does not let this user run {one_of}{}{on}; give it +{} by ACL SETUSER, see docs/sharing.md",
        commands.join(", "),
        commands.join(" +")
    ))
}

/// An answer that says no, or is none.
pub(super) fn of_answer(place: &str, error: &RedisError, asked: Asked, secrets: &[&str]) -> Error {
    let Some(code) = error.code() else {
        return lasting(place, "does not speak Redis' protocol on this port; is it rediss://?");
    };
    let text = format!("{code} {}", error.detail().unwrap_or_default());
    if let Some(what) = refused_by_acl(&text, asked, secrets) {
        return lasting(place, &what);
    }
    let is_said = |what: &str| match what.contains(' ') {
        true => text.contains(what),
        false => text.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| word == what),
    };
    match ANSWERS.iter().find(|(said, ..)| is_said(said)) {
        Some((_, what, true)) => passing(place, what),
        Some((_, what, false)) => lasting(place, what),
        None => lasting(place, &format!("answered with the error {}", redact::clean(code, secrets, 30))),
    }
}
