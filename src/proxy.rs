//! Which proxy, if any, stands between us and an endpoint.
#![forbid(unsafe_code)]

use std::fmt;
use std::net::IpAddr;

use crate::endpoint::{Endpoint, bare_host};

/// Proxies by scheme of the target, and the hosts that are reached without.
#[derive(Clone, Default)]
pub(crate) struct ProxySetting {
    https: Option<ureq::Proxy>,
    http: Option<ureq::Proxy>,
    no_proxy: Vec<String>,
}

impl ProxySetting {
    /// The proxy that the config names; `NO_PROXY` does not apply to it. The error never repeats the URL, which may
    /// hold a password.
    pub(crate) fn explicit(url: &str) -> Result<Self, &'static str> {
        let proxy = parse(url)?;
        Ok(ProxySetting { https: Some(proxy.clone()), http: Some(proxy), no_proxy: Vec::new() })
    }

    /// The environment's proxies, by curl's rules: lower case first, and no `HTTP_PROXY` in capitals, which a web
    /// server may set from a request header.
    pub(crate) fn from_env() -> Self {
        let var = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let proxy = |names: &[&str]| names.iter().find_map(|name| var(name)).and_then(|url| parse(&url).ok());
        ProxySetting {
            https: proxy(&["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]),
            http: proxy(&["http_proxy", "all_proxy", "ALL_PROXY"]),
            no_proxy: var("no_proxy")
                .or_else(|| var("NO_PROXY"))
                .unwrap_or_default()
                .split([',', ' '])
                .filter(|entry| !entry.is_empty())
                .map(str::to_ascii_lowercase)
                .collect(),
        }
    }

    /// The proxy for `endpoint`. This machine is always reached directly.
    pub(crate) fn for_endpoint(&self, endpoint: &Endpoint) -> Option<&ureq::Proxy> {
        if endpoint.is_loopback() || self.is_excepted(bare_host(endpoint.uri())) {
            return None;
        }
        match endpoint.uri().scheme_str() {
            Some("https") => self.https.as_ref(),
            _ => self.http.as_ref(),
        }
    }

    /// The passwords in the proxies' URLs.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = &str> {
        self.https.iter().chain(&self.http).filter_map(ureq::Proxy::password)
    }

    fn is_excepted(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        let host = host.trim_end_matches('.');
        let ip = host.parse::<IpAddr>().ok();
        self.no_proxy.iter().any(|entry| {
            let entry = entry.trim_end_matches('.');
            match ip {
                _ if entry == "*" => true,
                Some(ip) => is_in_network(ip, entry),
                None => {
                    let domain = entry.trim_start_matches('.');
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

fn parse(url: &str) -> Result<ureq::Proxy, &'static str> {
    let proxy = ureq::Proxy::new(url).map_err(|_| "is not the URL of a proxy (http://host:port)")?;
    match proxy.protocol() {
        ureq::ProxyProtocol::Http | ureq::ProxyProtocol::Https => Ok(proxy),
        _ => Err("names a SOCKS proxy; only http:// and https:// proxies are supported"),
    }
}

/// Whether `ip` is `network` or, written `address/bits`, lies in it.
fn is_in_network(ip: IpAddr, network: &str) -> bool {
    let (address, bits) = network.split_once('/').unwrap_or((network, ""));
    let Ok(address) = address.trim_matches(['[', ']']).parse::<IpAddr>() else {
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
        setting.for_endpoint(&Endpoint::parse(url).unwrap()).is_none()
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
            ("0.0.0.0/0", "https://8.8.8.8", true),
            ("10.0.0.0/99", "https://10.0.0.0", false),
        ] {
            assert_eq!(is_direct(&setting(&[entry]), url), direct, "{entry} {url}");
        }
    }

    #[test]
    fn refuses_what_is_no_proxy_and_shows_no_password() {
        assert!(ProxySetting::explicit("socks5://h:1").is_err());
        assert!(ProxySetting::explicit("http://").is_err());
        assert!(!format!("{:?}", setting(&[])).contains("canary"));
    }
}
