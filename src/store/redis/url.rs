//! What a `redis://` or `rediss://` URL says.
#![forbid(unsafe_code)]

use std::fmt;

use zeroize::Zeroizing;

use crate::secret::Secret;
use crate::transport::authority;

const DEFAULT_PORT: u16 = 6379;
const DEFAULT_NAME: &str = "gcauth";

/// `redis://[user:password@]host[:port][/db][?key=NAME]`, or the same with `rediss://` for TLS. User, password and
/// NAME are percent-encoded where need be.
#[derive(Clone)]
pub(crate) struct RedisUrl {
    pub(super) tls: bool,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) user: Option<Secret>,
    pub(super) password: Option<Secret>,
    pub(super) db: u32,
    /// The session's own name.
    pub(super) name: String,
}

impl RedisUrl {
    /// Reads a URL; the error says what is wrong without repeating the text, which may hold a password.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        let (scheme, rest) = text.split_once("://").ok_or("is not a URL")?;
        let tls = match scheme {
            "redis" => false,
            "rediss" => true,
            _ => return Err("must start with redis:// or rediss://"),
        };
        if rest.contains('#') {
            return Err("must not contain a fragment; write # as %23");
        }
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (login, place) = match authority.rsplit_once('@') {
            Some((login, place)) => (Some(login), place),
            None => (None, authority),
        };
        let (user, password) = login.map(user_and_password).transpose()?.unwrap_or_default();
        let (host, port) = host_and_port(place)?;
        let db = match path {
            "" => 0,
            digits => authority::number(digits).ok_or("has something that is no database number after the host")?,
        };
        Ok(RedisUrl { tls, host, port, user, password, db, name: name(query)? })
    }

    pub(crate) fn has_user(&self) -> bool {
        self.user.is_some()
    }

    pub(crate) fn has_password(&self) -> bool {
        self.password.is_some()
    }

    /// Takes a password that came from elsewhere than the URL.
    pub(crate) fn set_password(&mut self, password: Secret) {
        self.password = Some(password);
    }

    /// The URL without user and password.
    pub(super) fn shown(&self) -> String {
        let scheme = if self.tls { "rediss" } else { "redis" };
        let db = if self.db == 0 { String::new() } else { format!("/{}", self.db) };
        format!("{scheme}://{}{db}?key={}", super::place(&self.host, self.port), self.name)
    }

    /// The key of the record. The braces put it and the lock into one slot of a cluster.
    pub(super) fn record_key(&self) -> String {
        format!("{{{}}}", self.name)
    }

    /// The key of the renewal lock.
    pub(super) fn lock_key(&self) -> String {
        format!("{{{}}}:lock", self.name)
    }
}

impl fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisUrl")
            .field("tls", &self.tls)
            .field("host", &self.host)
            .field("port", &self.port)
            .field("db", &self.db)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

fn user_and_password(login: &str) -> Result<(Option<Secret>, Option<Secret>), &'static str> {
    let (user, password) = match login.split_once(':') {
        Some((_, "")) => return Err("has an empty password"),
        Some((user, password)) => (user, Some(password)),
        None => (login, None),
    };
    let secret = |text| decoded(text).and_then(|text| Secret::new(&text).map_err(|_| "is too long"));
    let user = if user.is_empty() { None } else { Some(secret(user)?) };
    Ok((user, password.map(secret).transpose()?))
}

/// Also reads the addresses by which the nodes of a cluster name each other.
pub(super) fn host_and_port(place: &str) -> Result<(String, u16), &'static str> {
    authority::host_and_port(place, DEFAULT_PORT)
}

fn name(query: &str) -> Result<String, &'static str> {
    let mut name = None;
    for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
        match parameter.split_once('=') {
            Some(("key", value)) if name.is_none() => name = Some(decoded(value)?),
            Some(("key", _)) => return Err("has \"key\" twice"),
            _ => return Err("has a parameter that is not known; the only one is \"key\""),
        }
    }
    match name {
        None => Ok(DEFAULT_NAME.to_owned()),
        Some(name) if name.is_empty() => Err("has an empty \"key\""),
        // Braces inside would end the part that decides on the slot.
        Some(name) if name.contains(['{', '}']) || name.chars().any(char::is_control) => {
            Err("has a brace or a control character in its \"key\"")
        }
        Some(name) => Ok(name.to_string()),
    }
}

fn decoded(text: &str) -> Result<Zeroizing<String>, &'static str> {
    authority::decoded(text, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_where_who_and_what() {
        for (text, place, login, db, name) in [
            ("redis://h", "h:6379", None, 0, "gcauth"),
            ("redis://h/", "h:6379", None, 0, "gcauth"),
            ("redis://h?key=a", "h:6379", None, 0, "a"),
            ("redis://h:1/3?key=a%20b%26c", "h:1", None, 3, "a b&c"),
            ("redis://:p@h", "h:6379", Some((None, "p")), 0, "gcauth"),
            ("redis://u:p%40:q@h", "h:6379", Some((Some("u"), "p@:q")), 0, "gcauth"),
            ("redis://u:p@q@h", "h:6379", Some((Some("u"), "p@q")), 0, "gcauth"),
            ("redis://[::1]", "::1:6379", None, 0, "gcauth"),
            ("redis://u:%C3%A9@[::1]:7/15?key=%C3%A9", "::1:7", Some((Some("u"), "é")), 15, "é"),
        ] {
            let url = RedisUrl::parse(text).unwrap();
            assert_eq!(format!("{}:{}", url.host, url.port), place, "{text}");
            let found = url.password.as_ref().map(|p| (url.user.as_ref().map(Secret::expose), p.expose()));
            assert_eq!(found, login, "{text}");
            assert_eq!((url.db, url.name.as_str(), url.tls), (db, name, false), "{text}");
        }
        for (text, shown) in [
            ("redis://u:canary@h/0", "redis://h:6379?key=gcauth"),
            ("rediss://:canary@[::1]:7/3?key=a%20b", "rediss://[::1]:7/3?key=a b"),
        ] {
            assert_eq!(RedisUrl::parse(text).unwrap().shown(), shown);
        }
        let url = RedisUrl::parse("rediss://h?key=x").unwrap();
        assert!(url.tls);
        assert_eq!((url.record_key().as_str(), url.lock_key().as_str()), ("{x}", "{x}:lock"));
    }

    #[test]
    fn refuses_the_rest_and_repeats_nothing() {
        for text in [
            "",
            "canary",
            "http://canary",
            "REDIS://canary",
            "redis+unix:///canary",
            "redis://",
            "redis:///0",
            "redis://:canary@",
            "redis://canary:@h",
            "redis://:@h",
            "redis://u:canary/x@h",
            "redis://u:12/canary@h",
            "redis://u:canary?x@h",
            "redis://u:canary#x@h",
            "redis://u:canary%@h",
            "redis://u:canary%4@h",
            "redis://u:canary%zz@h",
            "redis://u:canary%ff@h",
            "redis://h canary",
            "redis://h\ncanary",
            "redis://h:",
            "redis://h:0",
            "redis://h:65536",
            "redis://h:+1",
            "redis://h:1:2",
            "redis://::1",
            "redis://[canary]",
            "redis://[::1",
            "redis://[::1]canary",
            "redis://h/canary",
            "redis://h/-1",
            "redis://h/+1",
            "redis://h/1/2",
            "redis://h/99999999999",
            "redis://h?canary",
            "redis://h?canary=1",
            "redis://h?key",
            "redis://h?key=",
            "redis://h?key=a&key=canary",
            "redis://h?key=a&db=1",
            "redis://h?key=%7Dcanary",
            "redis://h?key={canary",
            "redis://h?key=canary%00",
            "redis://h?key=canary%ff",
        ] {
            let why = RedisUrl::parse(text).expect_err(text);
            assert!(!why.contains("canary"), "{text}");
        }
    }

    #[test]
    fn debug_shows_no_login() {
        let url = RedisUrl::parse("redis://canary-u:canary-p@h").unwrap();
        assert!(!format!("{url:?}").contains("canary"));
    }
}
