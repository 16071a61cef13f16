//! A way through a proxy to a server whose TLS the proxy does not see into.
#![forbid(unsafe_code)]

use std::io::{self, ErrorKind, Read};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::http::{is_interim, unfold};
use super::peer::Peer;
use super::stream::{Stream, verdict};
use super::{Proxy, verifier};
use crate::error::{Error, Result, Status};
use crate::redact;

/// An answer to CONNECT is a few lines.
const MAX_HEAD: usize = 32 << 10;
/// How much of the proxy's own words is shown.
const MAX_WORDS: usize = 60;

/// Asks `proxy` for a connection to `target`, which is `host:port`.
pub(super) fn open(stream: &mut dyn Stream, proxy: &Proxy, target: &str, user_agent: &str, peer: &Peer) -> Result<()> {
    let login = authorization(proxy)
        .map_or_else(Zeroizing::default, |value| Zeroizing::new(format!("Proxy-Authorization: {}\r\n", *value)));
    let request = Zeroizing::new(format!(
        "CONNECT {target} HTTP/1.1\r\nHost: {target}\r\nUser-Agent: {user_agent}\r\n{}\r\n",
        *login
    ));
    let head = stream.write_all(request.as_bytes()).and_then(|()| stream.flush()).and_then(|()| read_head(stream));
    let head = head.map_err(|error| describe(&error, peer))?;
    match status(&head) {
        Some((200..=299, _)) => Ok(()),
        Some((status, words)) => Err(refused(status, words, proxy, peer)),
        None => Err(no_proxy(peer)),
    }
}

/// What a proxy is shown of its login.
pub(super) fn authorization(proxy: &Proxy) -> Option<Zeroizing<String>> {
    let login = Zeroizing::new(format!("{}:{}", proxy.username()?, proxy.password().unwrap_or_default()));
    Some(Zeroizing::new(format!("Basic {}", *Zeroizing::new(STANDARD.encode(login.as_bytes())))))
}

/// The first answer that is not an interim one.
fn read_head(stream: &mut dyn Read) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    loop {
        // One by one: what comes after the answer is the server's.
        let mut byte = [0];
        match stream.read(&mut byte) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(_) => head.extend(byte),
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        }
        if byte == *b"\n" && unfold(&mut head).is_some() {
            if !is_interim(&head) {
                return Ok(head);
            }
            head.clear();
        }
        if head.len() > MAX_HEAD {
            return Err(ErrorKind::InvalidData.into());
        }
    }
}

/// The status, and what the proxy calls it.
fn status(head: &[u8]) -> Option<(u16, String)> {
    let line = String::from_utf8_lossy(head.split(|byte| *byte == b'\n').next()?).into_owned();
    let rest = line.strip_prefix("HTTP/1.")?.get(1..)?.strip_prefix(' ')?;
    let digits = rest.get(..3).filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))?;
    let words = rest.get(3..)?;
    (words.is_empty() || words.starts_with([' ', '\r'])).then_some((digits.parse().ok()?, words.trim().to_owned()))
}

/// What a proxy means that does not let us through.
pub(super) fn refused(status: u16, words: String, proxy: &Proxy, peer: &Peer) -> Error {
    let see = peer.see;
    let words = redact::clean(&words, &proxy.password().into_iter().collect::<Vec<_>>(), MAX_WORDS).replace('"', "'");
    let words = if words.is_empty() { words } else { format!(" \"{words}\"") };
    let said = format!("{}: HTTP {status}{words}", proxy.place());
    let text = match status {
        // The second is not by the book, but said by some of the wrong password.
        407 | 401 => {
            format!("the proxy wants a user name and password, or others than it got ({said}); put them into {see}")
        }
        403 => format!("the proxy does not let us through to this host ({said}); ask its operator, or set no_proxy"),
        502..=504 => {
            format!("the proxy does not reach this host ({said}); check the host in the config, or try again later")
        }
        400..=499 => format!("the proxy refuses to connect us to this host ({said}); ask its operator"),
        _ => format!("the proxy failed ({said}); try again later, or check {see}"),
    };
    Error::new(Status::Connect, text)
}

fn no_proxy(peer: &Peer) -> Error {
    Error::new(
        Status::Connect,
        format!("{} gave an answer that is not HTTP; is it a proxy? check {}", peer.name, peer.see),
    )
}

fn describe(error: &io::Error, peer: &Peer) -> Error {
    if let Some(verdict) = verdict(error) {
        return verifier::describe(verdict, peer);
    }
    match error.kind() {
        ErrorKind::TimedOut | ErrorKind::WouldBlock => {
            Error::new(Status::Timeout, format!("{} gave no answer within {}; try again later", peer.name, peer.limit))
        }
        ErrorKind::InvalidData => no_proxy(peer),
        _ => Error::new(
            Status::Connect,
            format!("{} closed the connection without an answer; is it a proxy? check {}", peer.name, peer.see),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_says_it() {
        for (head, expected) in [
            ("HTTP/1.1 200 Connection established\r\n\r\n", Some((200, "Connection established"))),
            ("HTTP/1.0 204\r\n\r\n", Some((204, ""))),
            ("HTTP/1.1 407 \n\n", Some((407, ""))),
            ("HTTP/1.1 2000\r\n\r\n", None),
            ("HTTP/2 200\r\n\r\n", None),
            ("HTTP/1.1 +20 x\r\n\r\n", None),
            ("SSH-2.0-OpenSSH\r\n\r\n", None),
            ("HTTP/1.1\r\n\r\n", None),
        ] {
            let found = status(head.as_bytes());
            assert_eq!(found, expected.map(|(status, words)| (status, words.to_owned())), "{head}");
        }
    }
}
