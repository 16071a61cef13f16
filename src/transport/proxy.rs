//! Which proxy, if any, stands between us and an endpoint.
#![forbid(unsafe_code)]

use std::fmt;
use std::net::IpAddr;

use super::authority::{decoded, host_and_port, place};
use super::endpoint::{Endpoint, bare_host};
use crate::error::{Error, Result, Status};
use crate::secret::Secret;

/// The port of a proxy whose URL names none, as curl has it.
const DEFAULT_PORT: u16 = 1080;
const DEFAULT_TLS_PORT: u16 = 443;

/// Proxies by scheme of the target, and the hosts that are reached without.
#[derive(Clone, Default)]
pub(crate) struct ProxySetting {
    https: Option<Choice>,
    http: Option<Choice>,
    no_proxy: Vec<String>,
}

/// A proxy, or why what the environment names is none: going without would not be what it asks for.
#[derive(Clone)]
struct Choice {
    named_by: &'static str,
    proxy: std::result::Result<Proxy, &'static str>,
}

/// A proxy that speaks HTTP, perhaps in TLS.
#[derive(Clone)]
pub(crate) struct Proxy {
    is_tls: bool,
    host: String,
    port: u16,
    login: Option<(Secret, Secret)>,
    named_by: &'static str,
}

impl Proxy {
    pub(super) fn is_tls(&self) -> bool {
        self.is_tls
    }

    pub(super) fn host(&self) -> &str {
        &self.host
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// `host:port`.
    pub(super) fn place(&self) -> String {
        place(&self.host, self.port)
    }

    /// Where its URL stands, for messages.
    pub(super) fn named_by(&self) -> &'static str {
        self.named_by
    }

    pub(super) fn username(&self) -> Option<&str> {
        self.login.as_ref().map(|(username, _)| username.expose())
    }

    pub(super) fn password(&self) -> Option<&str> {
        self.login.as_ref().map(|(_, password)| password.expose()).filter(|password| !password.is_empty())
    }
}

/// The password never shows.
impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Proxy").field(&self.place()).finish()
    }
}

impl ProxySetting {
    /// The proxy that the config names; `NO_PROXY` does not apply to it. The error never repeats the URL, which may
    /// hold a password.
    pub(crate) fn explicit(url: &str) -> std::result::Result<Self, &'static str> {
        let named_by = "\"proxy\" in the config";
        let choice = Choice { named_by, proxy: Ok(parse(url, named_by)?) };
        Ok(ProxySetting { https: Some(choice.clone()), http: Some(choice), no_proxy: Vec::new() })
    }

    /// The environment's proxies, by curl's rules: lower case first, and no `HTTP_PROXY` in capitals, which a web
    /// server may set from a request header.
    pub(crate) fn from_env() -> Self {
        Self::from_variables(|name| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned()))
    }

    fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Self {
        let var = |name: &str| variable(name).filter(|value| !value.is_empty());
        let proxy = |names: &[&'static str]| {
            let (named_by, url) = names.iter().find_map(|name| Some((*name, var(name)?)))?;
            Some(Choice { named_by, proxy: parse(&url, named_by) })
        };
        ProxySetting {
            https: proxy(&["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]),
            http: proxy(&["http_proxy", "all_proxy", "ALL_PROXY"]),
            no_proxy: var("no_proxy")
                .or_else(|| var("NO_PROXY"))
                .unwrap_or_default()
                .split([',', ' ', '\t'])
                .filter(|entry| !entry.is_empty())
                .map(str::to_ascii_lowercase)
                .collect(),
        }
    }

    /// The proxy for `endpoint`. This machine is always reached directly.
    pub(crate) fn for_endpoint(&self, endpoint: &Endpoint) -> Result<Option<&Proxy>> {
        if endpoint.is_loopback() || self.is_excepted(bare_host(endpoint.uri())) {
            return Ok(None);
        }
        let choice = match endpoint.uri().scheme_str() {
            Some("https") => &self.https,
            _ => &self.http,
        };
        let Some(Choice { named_by, proxy }) = choice else {
            return Ok(None);
        };
        proxy.as_ref().map(Some).map_err(|why| {
            Error::new(
                Status::Config,
                format!("the proxy in the environment variable {named_by} {why}; nothing was sent"),
            )
        })
    }

    /// The passwords in the proxies' URLs.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = &str> {
        self.https.iter().chain(&self.http).filter_map(|choice| choice.proxy.as_ref().ok()?.password())
    }

    fn is_excepted(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        let host = host.trim_end_matches('.');
        let ip = host.parse::<IpAddr>().ok();
        // A star counts only by itself.
        if let [entry] = self.no_proxy.as_slice()
            && entry == "*"
        {
            return true;
        }
        self.no_proxy.iter().any(|entry| {
            let entry = entry.trim_end_matches('.');
            match ip {
                Some(ip) => is_in_network(ip, entry),
                None => {
                    let domain = entry.strip_prefix('.').unwrap_or(entry);
                    host.strip_suffix(domain)
                        .is_some_and(|rest| !domain.is_empty() && (rest.is_empty() || rest.ends_with('.')))
                }
            }
        })
    }
}

/// The password of a proxy URL never shows.
impl fmt::Debug for ProxySetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProxySetting").finish_non_exhaustive()
    }
}

/// As curl reads it: without a scheme it is http://, and a path means nothing.
fn parse(url: &str, named_by: &'static str) -> std::result::Result<Proxy, &'static str> {
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
    let is_tls = match scheme.to_ascii_lowercase().as_str() {
        "http" => false,
        "https" => true,
        scheme if scheme.starts_with("socks") => {
            return Err("names a SOCKS proxy; only http:// and https:// proxies are supported");
        }
        _ => return Err("is not the URL of a proxy (http://host:port)"),
    };
    let (authority, after) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    if after.contains('@') {
        return Err("has a /, ? or # in its user name or password; write them as %2F, %3F and %23");
    }
    let (login, address) = match authority.rsplit_once('@') {
        Some((login, address)) => (Some(login), address),
        None => (None, authority),
    };
    let (host, port) = host_and_port(address, if is_tls { DEFAULT_TLS_PORT } else { DEFAULT_PORT })?;
    let login = match login {
        None => None,
        Some(login) => {
            let (username, password) = login.split_once(':').unwrap_or((login, ""));
            let secret = |text| Secret::new(&decoded(text, false)?).map_err(|_| "is too long");
            Some((secret(username)?, secret(password)?))
        }
    };
    Ok(Proxy { is_tls, host, port, login, named_by })
}

/// Whether `ip` is `network` or, written `address/bits`, lies in it.
fn is_in_network(ip: IpAddr, network: &str) -> bool {
    let (address, bits) = network.split_once('/').unwrap_or((network, ""));
    let Ok(address) = address.parse::<IpAddr>() else {
        return false;
    };
    let (ip, address, width) = match (ip, address) {
        (IpAddr::V4(a), IpAddr::V4(b)) => (u128::from(a.to_bits()), u128::from(b.to_bits()), 32),
        (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits(), b.to_bits(), 128),
        _ => return false,
    };
    let bits = if bits.is_empty() { Ok(width) } else { bits.parse::<u32>() };
    match bits {
        Ok(bits) if bits <= width => (ip ^ address).checked_shr(width - bits).unwrap_or(0) == 0,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setting(no_proxy: &[&str]) -> ProxySetting {
        ProxySetting {
            no_proxy: no_proxy.iter().map(|s| (*s).to_owned()).collect(),
            ..ProxySetting::explicit("http://user:canary@proxy:3128").unwrap()
        }
    }

    fn is_direct(setting: &ProxySetting, url: &str) -> bool {
        setting.for_endpoint(&Endpoint::parse(url).unwrap()).unwrap().is_none()
    }

    #[test]
    fn loopback_is_always_direct() {
        for url in ["https://localhost:1", "http://127.0.0.1:1", "https://[::1]"] {
            assert!(is_direct(&setting(&[]), url), "{url}");
        }
        assert!(!is_direct(&setting(&[]), "https://example.org"));
    }

    #[test]
    fn no_proxy_as_curl_reads_it() {
        for (entry, url, direct) in [
            ("*", "https://example.org", true),
            ("example.org", "https://example.org", true),
            ("example.org", "https://a.example.org", true),
            (".example.org", "https://example.org", true),
            ("example.org", "https://notexample.org", false),
            ("10.0.0.0/8", "https://10.1.2.3", true),
            ("10.0.0.0/8", "https://11.1.2.3", false),
            ("10.1.2.3", "https://10.1.2.3", true),
            ("fe80::/10", "https://[fe80::1]", true),
            ("2001:db8::/32", "https://[2001:db9::1]", false),
            ("2001:db8::/32", "https://198.51.100.7", false),
            ("0.0.0.0/0", "https://8.8.8.8", true),
            ("10.0.0.0/99", "https://10.0.0.0", false),
        ] {
            assert_eq!(is_direct(&setting(&[entry]), url), direct, "{entry} {url}");
        }
    }

    /// What the library and curl make of an environment: the proxy that is asked, if one is.
    fn ours(variables: &[(&str, &str)], url: &str) -> Option<String> {
        let setting = ProxySetting::from_variables(|name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        });
        let proxy = setting.for_endpoint(&Endpoint::parse(url).unwrap()).unwrap().cloned()?;
        let login = proxy.username().map(|name| format!("{name}:{}", proxy.password().unwrap_or_default()));
        Some(format!("{}@{}:{}", login.unwrap_or_default(), proxy.host(), proxy.port()))
    }

    /// Variables, a URL, and the proxy that curl 7.88 asks then, as `user:password@host:port`. Networks of IPv6
    /// addresses are not here: by its manual curl knows them, but that version does not.
    type Case = (&'static [(&'static str, &'static str)], &'static str, Option<&'static str>);
    const CASES: &[Case] = &[
        (&[], "https://a.example", None),
        (&[("https_proxy", "http://127.0.0.1:{P}")], "https://a.example", Some("@127.0.0.1:{P}")),
        (&[("HTTPS_PROXY", "http://127.0.0.1:{P}")], "https://a.example", Some("@127.0.0.1:{P}")),
        (
            &[("https_proxy", "http://127.0.0.1:{P}"), ("HTTPS_PROXY", "http://127.0.0.2:{P}")],
            "https://a.example",
            Some("@127.0.0.1:{P}"),
        ),
        (&[("https_proxy", ""), ("HTTPS_PROXY", "http://127.0.0.2:{P}")], "https://a.example", Some("@127.0.0.2:{P}")),
        (&[("https_proxy", "127.0.0.1:{P}")], "https://a.example", Some("@127.0.0.1:{P}")),
        (&[("https_proxy", "http://127.0.0.1:{P}/")], "https://a.example", Some("@127.0.0.1:{P}")),
        (&[("https_proxy", "http://me:s%40crt@127.0.0.1:{P}")], "https://a.example", Some("me:s@crt@127.0.0.1:{P}")),
        (&[("https_proxy", "me:secret@127.0.0.1:{P}")], "https://a.example", Some("me:secret@127.0.0.1:{P}")),
        (&[("https_proxy", "http://me@127.0.0.1:{P}")], "https://a.example", Some("me:@127.0.0.1:{P}")),
        (&[("http_proxy", "http://127.0.0.1:{P}")], "https://a.example", None),
        (&[("http_proxy", "http://127.0.0.1:{P}")], "http://a.example", Some("@127.0.0.1:{P}")),
        // A web server may set this one from a header of a request.
        (&[("HTTP_PROXY", "http://127.0.0.1:{P}")], "http://a.example", None),
        (&[("https_proxy", "http://127.0.0.1:{P}")], "http://a.example", None),
        (&[("all_proxy", "http://127.0.0.1:{P}")], "https://a.example", Some("@127.0.0.1:{P}")),
        (&[("ALL_PROXY", "http://127.0.0.1:{P}")], "http://a.example", Some("@127.0.0.1:{P}")),
        (
            &[("ALL_PROXY", "http://127.0.0.1:{P}"), ("https_proxy", "http://127.0.0.2:{P}")],
            "https://a.example",
            Some("@127.0.0.2:{P}"),
        ),
        (&[("all_proxy", "http://127.0.0.1:{P}"), ("no_proxy", "*")], "https://a.example", None),
        (
            &[("all_proxy", "http://127.0.0.1:{P}"), ("no_proxy", "*,b.example")],
            "https://a.example",
            Some("@127.0.0.1:{P}"),
        ),
        (
            &[("all_proxy", "http://127.0.0.1:{P}"), ("no_proxy", "*.example")],
            "https://a.example",
            Some("@127.0.0.1:{P}"),
        ),
        (&[("all_proxy", "http://127.0.0.1:{P}"), ("no_proxy", "a.example")], "https://a.example", None),
        (&[("all_proxy", "http://127.0.0.1:{P}"), ("NO_PROXY", "a.example")], "https://a.example", None),
        (
            &[("all_proxy", "http://127.0.0.1:{P}"), ("no_proxy", "b.example"), ("NO_PROXY", "a.example")],
            "https://a.example",
            Some("@127.0.0.1:{P}"),
        ),
        (
            &[("all_proxy", "http://127.0.0.1:{P}"), ("no_proxy", ""), ("NO_PROXY", "a.example")],
            "https://a.example",
            None,
        ),
        (&[("all_proxy", "http://127.0.0.1:{P}"), ("no_proxy", "b.example, a.example")], "https://a.example", None),
        (&[("all_proxy", "http://127.0.0.1:{P}"), ("no_proxy", "b.example a.example")], "https://a.example", None),
        (&[("all_proxy", "http://127.0.0.1:{P}"), ("no_proxy", "b.example\ta.example")], "https://a.example", None),
        (&[("all_proxy", "http://127.0.0.1:{P}"), ("no_proxy", "A.EXAMPLE")], "https://a.example", None),
        (&[("all_proxy", "http://127.0.0.1:{P}"), ("no_proxy", "example")], "https://a.example", None),
        (&[("all_proxy", "http://127.0.0.1:{P}"), ("no_proxy", ".example")], "https://a.example", None),
        (&[("all_proxy", "http://127.0.0.1:{P}"), ("no_proxy", ".a.example")], "https://a.example", None),
        (
            &[("all_proxy", "http://127.0.0.1:{P}"), ("no_proxy", "..a.example")],
            "https://a.example",
            Some("@127.0.0.1:{P}"),
        ),
        (&[("all_proxy", "http://127.0.0.1:{P}"), ("no_proxy", "a.example.")], "https://a.example", None),
        (&[("all_proxy", "http://127.0.0.1:{P}"), ("no_proxy", "a.example")], "https://a.example.", None),
        (
            &[("all_proxy", "http://127.0.0.1:{P}"), ("no_proxy", "a.example")],
            "https://ba.example",
            Some("@127.0.0.1:{P}"),
        ),
        (
            &[("all_proxy", "http://127.0.0.1:{P}"), ("no_proxy", "a.example:443")],
            "https://a.example",
            Some("@127.0.0.1:{P}"),
        ),
        (&[("all_proxy", "http://127.0.0.1:{P}"), ("no_proxy", "198.51.100.7")], "https://198.51.100.7", None),
        (
            &[("all_proxy", "http://127.0.0.1:{P}"), ("no_proxy", "198.51.100.7")],
            "https://198.51.100.8",
            Some("@127.0.0.1:{P}"),
        ),
        (
            &[("all_proxy", "http://127.0.0.1:{P}"), ("no_proxy", "100.7")],
            "https://198.51.100.7",
            Some("@127.0.0.1:{P}"),
        ),
        (&[("all_proxy", "http://127.0.0.1:{P}"), ("no_proxy", "198.51.100.0/24")], "https://198.51.100.7", None),
        (
            &[("all_proxy", "http://127.0.0.1:{P}"), ("no_proxy", "198.51.100.0/24")],
            "https://198.51.101.7",
            Some("@127.0.0.1:{P}"),
        ),
        (
            &[("all_proxy", "http://127.0.0.1:{P}"), ("no_proxy", "198.51.100.0/33")],
            "https://198.51.100.0",
            Some("@127.0.0.1:{P}"),
        ),
        (&[("all_proxy", "http://127.0.0.1:{P}"), ("no_proxy", "2001:db8::7")], "https://[2001:db8::7]", None),
        (
            &[("all_proxy", "http://127.0.0.1:{P}"), ("no_proxy", "[2001:db8::7]")],
            "https://[2001:db8::7]",
            Some("@127.0.0.1:{P}"),
        ),
    ];

    fn with_port(text: &str, port: &str) -> String {
        text.replace("{P}", port)
    }

    #[test]
    fn the_environment_as_curl_reads_it() {
        for (variables, url, expected) in CASES {
            let values: Vec<(&str, String)> =
                variables.iter().map(|(name, value)| (*name, with_port(value, "3128"))).collect();
            let values: Vec<(&str, &str)> = values.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let expected = expected.map(|expected| with_port(expected, "3128"));
            assert_eq!(ours(&values, url), expected, "{variables:?} {url}");
        }
        assert_eq!(ours(&[("https_proxy", "proxy")], "https://a.example").unwrap(), "@proxy:1080");
        assert_eq!(ours(&[("https_proxy", "me:pw@proxy")], "https://a.example").unwrap(), "me:pw@proxy:1080");
        assert_eq!(ours(&[("https_proxy", "https://proxy")], "https://a.example").unwrap(), "@proxy:443");
    }

    /// The real curl, at a listener that says which proxy was asked, and how.
    #[test]
    fn curl_agrees() {
        use std::io::{Read, Write};
        use std::net::TcpListener;
        use std::process::{Command, Stdio};

        let is_there = Command::new("curl").arg("--version").stdout(Stdio::null()).status().is_ok();
        if !is_there {
            let is_required = std::env::var_os("GCAUTH_REQUIRE_PEERS").is_some_and(|value| value == "1");
            assert!(!is_required, "curl is missing, and GCAUTH_REQUIRE_PEERS=1");
            eprintln!("SKIPPED: this test needs curl, which is not installed");
            return;
        }
        let first = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = first.local_addr().unwrap().port();
        let second = TcpListener::bind(("127.0.0.2", port)).unwrap();
        let direct = TcpListener::bind("127.0.0.1:0").unwrap();
        let direct_port = direct.local_addr().unwrap().port();
        let (send, asked) = std::sync::mpsc::channel();
        for (listener, name) in [(first, "127.0.0.1"), (second, "127.0.0.2"), (direct, "direct")] {
            let send = send.clone();
            std::thread::spawn(move || {
                for socket in listener.incoming() {
                    let mut socket = socket.unwrap();
                    let mut head = Vec::new();
                    let mut byte = [0];
                    while !head.ends_with(b"\r\n\r\n") && name != "direct" && socket.read(&mut byte).unwrap() == 1 {
                        head.push(byte[0]);
                    }
                    send.send((name, String::from_utf8_lossy(&head).into_owned())).unwrap();
                    let _ = socket.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
                }
            });
        }
        let port = port.to_string();
        for (variables, url, expected) in CASES {
            let status = Command::new("curl")
                .env_clear()
                .env("PATH", std::env::var_os("PATH").unwrap())
                .envs(variables.iter().map(|(name, value)| (*name, with_port(value, &port))))
                .args(["--silent", "--globoff", "--max-time", "60", "--connect-to"])
                .arg(format!("::127.0.0.1:{direct_port}"))
                .arg(url)
                .stdout(Stdio::null())
                .status();
            status.unwrap();
            let (name, head) = asked.try_recv().unwrap_or_else(|_| panic!("curl asked nobody: {variables:?} {url}"));
            let login = head
                .lines()
                .find_map(|line| line.strip_prefix("Proxy-Authorization: Basic "))
                .map(|login| base64::Engine::decode(&base64::prelude::BASE64_STANDARD, login).unwrap())
                .map(|login| String::from_utf8(login).unwrap())
                .unwrap_or_default();
            let curls = (name != "direct").then(|| format!("{login}@{name}:{port}"));
            assert_eq!(curls, expected.map(|expected| with_port(expected, &port)), "{variables:?} {url}");
        }
    }

    #[test]
    fn what_the_environment_names_and_can_not_be_used_is_said() {
        for (variable, value) in
            [("https_proxy", "socks5://canary:1"), ("ALL_PROXY", "socks5h://u:canary@h:1"), ("HTTPS_PROXY", "http://")]
        {
            let setting = ProxySetting::from_variables(|name| (name == variable).then(|| value.to_owned()));
            let error = setting.for_endpoint(&Endpoint::parse("https://a.example").unwrap()).unwrap_err();
            assert_eq!(error.status(), Status::Config);
            assert!(error.message().contains(variable) && !error.message().contains("canary"), "{error}");
            assert!(setting.for_endpoint(&Endpoint::parse("https://localhost").unwrap()).unwrap().is_none());
        }
    }

    #[test]
    fn refuses_what_is_no_proxy_and_shows_no_password() {
        for (url, what) in [
            ("socks5://h:1", "SOCKS"),
            ("SOCKS4://h:1", "SOCKS"),
            ("ftp://h:1", "not the URL"),
            ("http://", "no host"),
            ("http://:3128", "no host"),
            ("http://canary:pass#word@h:1", "%23"),
            ("http://canary:pass/word@h:1", "%2F"),
            ("canary:pass?word@h:1", "%3F"),
            ("http://h:port", "port"),
            ("http://h:0", "port"),
            ("http://h:1:2", "port"),
            ("http://h canary:1", "host"),
            ("http://[::1", "]"),
        ] {
            let why = ProxySetting::explicit(url).expect_err(url);
            assert!(why.contains(what) && !why.contains("canary"), "{url}: {why}");
        }
        assert!(!format!("{:?}", setting(&[])).contains("canary"));
    }
}
