//! Where requests go: base URLs, paths joined to them, and which of them may be spoken to without TLS.
#![forbid(unsafe_code)]

use std::net::IpAddr;

use ureq_proto::http::Uri;
use ureq_proto::http::uri::Scheme;

/// A base URL or one below it: http or https, with a host, without user or fragment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint {
    uri: Uri,
    text: String,
}

impl Endpoint {
    /// Reads a base URL; the error says what is wrong without repeating the text, which may hold a password.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        if text.contains('?') {
            return Err("must not contain a query or fragment");
        }
        Self::parse_with_query(text)
    }

    /// Reads a URL that is not a base for others, and may have a query.
    pub(crate) fn parse_with_query(text: &str) -> Result<Self, &'static str> {
        if text.contains('#') {
            return Err("must not contain a query or fragment");
        }
        // Everywhere but in the path, which begins at the third slash.
        if text.split('/').take(3).any(|part| part.contains('@')) {
            return Err("must not contain a user name or password");
        }
        let uri: Uri = text.parse().map_err(|_| "is not a URL")?;
        if uri.scheme() != Some(&Scheme::HTTPS) && uri.scheme() != Some(&Scheme::HTTP) {
            return Err("must start with https:// or http://");
        }
        match uri.host() {
            None | Some("") => return Err("has no host"),
            Some(_) => {}
        }
        let bare = bare_host(&uri);
        let has_colon = uri.authority().is_some_and(|a| a.as_str().trim_matches(['[', ']']) != bare);
        if has_colon && uri.port_u16().is_none_or(|port| port == 0) {
            return Err("has no port from 1 to 65535 after the colon");
        }
        Ok(Endpoint { uri, text: text.to_owned() })
    }

    /// The endpoint at `path` below this one, joined with exactly one slash.
    pub(crate) fn join(&self, path: &str) -> Result<Self, &'static str> {
        let scheme = path.trim_start().split_once(':').map(|(scheme, _)| scheme.to_ascii_lowercase());
        let is_web = scheme.is_some_and(|scheme| scheme == "https" || scheme == "http");
        if is_web || path.split(['/', '?']).next().is_some_and(|first| first.ends_with(':') && path.contains("://")) {
            return Err("is a whole URL; give only the path below the environment's \"host\"");
        }
        let base = self.text.trim_end_matches('/');
        Self::parse_with_query(&format!("{base}/{}", path.trim_start_matches('/')))
    }

    /// As it was written.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// For messages: a query may hold secrets.
    pub(crate) fn without_query(&self) -> &str {
        self.text.split('?').next().unwrap_or_default()
    }

    /// For the HTTP client.
    pub(crate) fn uri(&self) -> &Uri {
        &self.uri
    }

    /// Whether it is spoken to by TLS.
    pub(crate) fn is_https(&self) -> bool {
        self.uri.scheme() == Some(&Scheme::HTTPS)
    }

    /// Its port, or its scheme's.
    pub(crate) fn port(&self) -> u16 {
        self.uri.port_u16().unwrap_or(if self.is_https() { 443 } else { 80 })
    }

    /// Whether what is sent there can be read on the way: plain http to a host that is not this machine.
    pub(crate) fn is_exposed(&self) -> bool {
        !self.is_https() && !self.is_loopback()
    }

    /// Whether the host is this machine by its own name or address.
    pub(crate) fn is_loopback(&self) -> bool {
        let host = bare_host(&self.uri);
        host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
    }
}

/// Whether two base URLs are the same; a slash at the end makes no difference.
pub(crate) fn is_same_base(a: &str, b: &str) -> bool {
    a.trim_end_matches('/') == b.trim_end_matches('/')
}

/// The host of `uri`, an IPv6 address without its brackets.
pub(crate) fn bare_host(uri: &Uri) -> &str {
    let host = uri.host().unwrap_or_default();
    host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joins_with_one_slash() {
        for (base, path) in [
            ("https://h/api/v1", "a/b"),
            ("https://h/api/v1/", "a/b"),
            ("https://h/api/v1", "/a/b"),
            ("https://h/api/v1//", "//a/b"),
        ] {
            let joined = Endpoint::parse(base).unwrap().join(path).unwrap();
            assert_eq!(joined.as_str(), "https://h/api/v1/a/b");
        }
    }

    #[test]
    fn a_path_may_have_a_query_and_is_no_url() {
        let base = Endpoint::parse("https://h/api/v1/").unwrap();
        for (path, joined) in [
            ("login?tenant=a&x=%20", "https://h/api/v1/login?tenant=a&x=%20"),
            ("?grant=password", "https://h/api/v1/?grant=password"),
            ("login?next=https://other/", "https://h/api/v1/login?next=https://other/"),
            ("accounts:signIn", "https://h/api/v1/accounts:signIn"),
            ("users/@me", "https://h/api/v1/users/@me"),
        ] {
            assert_eq!(base.join(path).unwrap().as_str(), joined);
        }
        for path in [
            "https://h/login",
            "HTTP://h",
            "ftp://h/x",
            "  https://h/login",
            "https:/login",
            "http:login",
            "a#b",
            "a b",
        ] {
            assert!(base.join(path).is_err(), "{path}");
        }
        assert!(base.join("https://h/login").unwrap_err().contains("whole URL"));
        let keys = Endpoint::parse_with_query("https://h/keys?p=policy").unwrap();
        assert_eq!((keys.as_str(), keys.without_query()), ("https://h/keys?p=policy", "https://h/keys"));
        assert!(Endpoint::parse_with_query("https://h/keys?p=policy#x").is_err());
    }

    #[test]
    fn refuses_what_is_no_base_url() {
        for text in [
            "",
            "h",
            "ftp://h",
            "https://",
            "https:///x",
            "https://u:p@h",
            "https://h?q",
            "https://h/#f",
            "https://h o",
            "https://h:/x",
            "https://h:99999",
            "https://h:0",
            "https://[::1]:/x",
            "/path",
        ] {
            assert!(Endpoint::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn knows_what_is_exposed() {
        for (text, exposed) in [
            ("https://example.org", false),
            ("http://example.org", true),
            ("http://localhost:1", false),
            ("http://LOCALHOST", false),
            ("http://127.9.9.9:1", false),
            ("http://[::1]:1", false),
            ("http://[::ffff:127.0.0.1]:1", false),
            ("http://127.0.0.1.example.org", true),
            ("http://localhost.example.org", true),
            ("http://0.0.0.0", true),
            ("http://[::]", true),
            ("http://10.0.0.1", true),
        ] {
            assert_eq!(Endpoint::parse(text).unwrap().is_exposed(), exposed, "{text}");
        }
    }
}
