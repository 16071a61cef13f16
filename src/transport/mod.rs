//! One HTTP exchange: a fresh connection, a deadline for all of it, at most 1 MiB back, no redirects.
#![forbid(unsafe_code)]

pub(crate) mod authority;
mod certificate;
pub(crate) mod connector;
mod endpoint;
mod http;
mod peer;
mod pem;
mod proxy;
pub(crate) mod resolver;
mod settings;
pub(crate) mod stream;
mod tls;
mod tunnel;
pub(crate) mod verifier;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use rustls::pki_types::{CertificateDer, ServerName};
use ureq_proto::http::{HeaderMap, HeaderName, Request, header};

use crate::error::{Error, Result, Status};
use crate::secret::SecretBytes;

use endpoint::bare_host;
use http::Outgoing;
use stream::{Stream, TlsStream, Wire};

pub(crate) use certificate::not_after_s;
pub(crate) use endpoint::{Endpoint, is_same_base};
pub(crate) use peer::Peer;
pub(crate) use proxy::{Proxy, ProxySetting};
pub(crate) use settings::{NamedFile, Settings, Trust};
pub(crate) use tls::Tls;

/// Sends requests as the config says.
pub(crate) struct Transport {
    settings: Settings,
    tls: Tls,
}

/// The last look before the first byte of a request goes out; its error stops the request.
pub(crate) type BeforeSend = Arc<dyn Fn() -> Result<()> + Send + Sync>;

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<Duration>,
    /// How long the answer may be kept; None when it does not say.
    pub(crate) max_age: Option<Duration>,
    /// When the server made it, by its own clock: Unix milliseconds.
    pub(crate) date_ms: Option<i64>,
    pub(crate) body: SecretBytes,
}

/// A request to be sent.
struct Order<'a> {
    request: Request<()>,
    body: Option<&'a SecretBytes>,
    /// The last look before the first byte.
    before: Option<BeforeSend>,
    /// Where the certificates go that the server shows.
    seen: Option<&'a mut Vec<CertificateDer<'static>>>,
}

/// No usable answer, and whether the server may have seen the request.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) error: Error,
    pub(crate) was_sent: bool,
}

impl Failure {
    fn unsent(error: Error) -> Self {
        Failure { error, was_sent: false }
    }
}

/// A way to the server and back.
pub(crate) trait Exchange: Send + Sync {
    /// Posts `body`, after a last look by `before`, and reads the whole answer before `deadline`.
    fn post_json(
        &self,
        endpoint: &Endpoint,
        body: &SecretBytes,
        before: Option<BeforeSend>,
        deadline: Instant,
    ) -> std::result::Result<Answer, Failure>;

    /// Gets what is at `endpoint`, before `deadline`.
    fn get_json(&self, endpoint: &Endpoint, deadline: Instant) -> std::result::Result<Answer, Failure>;

    /// Gets what is at `endpoint`, without credentials, and the certificates that the server showed.
    fn probe(&self, _endpoint: &Endpoint, _deadline: Instant) -> Result<(Answer, Vec<CertificateDer<'static>>)> {
        Err(Error::new(Status::Connect, "there is no network here"))
    }

    /// The proxy on the way to `endpoint`, host and port.
    fn proxy(&self, _endpoint: &Endpoint) -> Result<Option<String>> {
        Ok(None)
    }

    /// Secrets of its own that a server's text may hold.
    fn secrets(&self) -> Vec<&str>;
}

impl Answer {
    /// Without a body.
    fn new(status: u16, headers: &HeaderMap, now: SystemTime) -> Self {
        let text = |name: HeaderName| http::text(headers, name);
        Answer {
            status,
            retry_after: text(header::RETRY_AFTER).and_then(|value| parse_retry_after(value, now)),
            max_age: max_age(headers),
            date_ms: text(header::DATE).and_then(parse_date),
            body: SecretBytes::empty(),
        }
    }
}

impl Transport {
    pub(crate) fn new(settings: &Settings) -> Self {
        Transport { settings: settings.clone(), tls: Tls::new(settings.trust.clone()) }
    }

    fn exchange(
        &self,
        peer: Peer,
        endpoint: &Endpoint,
        order: Order,
        deadline: Instant,
    ) -> std::result::Result<Answer, Failure> {
        let Order { request, body, before, seen } = order;
        self.check_is_private(endpoint).map_err(Failure::unsent)?;
        if deadline <= Instant::now() {
            return Err(Failure::unsent(Error::new(Status::Timeout, "timeout_ms ran out before the request was sent")));
        }
        let proxy = self.settings.proxy.for_endpoint(endpoint).map_err(Failure::unsent)?;
        // What goes through a proxy in the clear is read by it.
        let reader = proxy.filter(|_| !endpoint.is_https());
        let outgoing = Outgoing::new(request, body, reader.is_some()).map_err(Failure::unsent)?;
        let connect_by = Instant::now() + self.settings.connect_timeout;
        let limit = if connect_by < deadline { "connect_timeout_ms" } else { "timeout_ms" };
        let peer = &Peer { limit, ..peer };
        let mut stream = self.open(peer, endpoint, proxy, connect_by.min(deadline)).map_err(Failure::unsent)?;
        stream.set_deadline(deadline);
        if let Some(seen) = seen {
            seen.extend_from_slice(stream.certificates());
        }
        let mut was_sent = false;
        let outcome = outgoing.exchange(&mut *stream, before, &mut was_sent, peer);
        match (outcome, reader) {
            (Ok(answer), Some(proxy)) if answer.status == 407 => {
                // It went no further.
                Err(Failure::unsent(tunnel::refused(407, String::new(), proxy, &self.proxy_peer(proxy, peer))))
            }
            (Ok(answer), _) => Ok(answer),
            (Err(error), _) => {
                self.note_tls_failure(&error);
                Err(Failure { error, was_sent })
            }
        }
    }

    /// A connection that a request can go to.
    fn open(
        &self,
        peer: &Peer,
        endpoint: &Endpoint,
        proxy: Option<&Proxy>,
        deadline: Instant,
    ) -> Result<Box<dyn Stream>> {
        let (host, port) = (bare_host(endpoint.uri()), endpoint.port());
        let mut stream = match proxy {
            None => wire(peer, host, port, deadline)?,
            Some(proxy) => {
                let proxy_peer = self.proxy_peer(proxy, peer);
                let mut stream = wire(&proxy_peer, proxy.host(), proxy.port(), deadline)?;
                if proxy.is_tls() {
                    stream = self.secure(&proxy_peer, stream, proxy.host())?;
                }
                if endpoint.is_https() {
                    let target = authority::place(host, port);
                    tunnel::open(&mut *stream, proxy, &target, &self.settings.user_agent, &proxy_peer)?;
                }
                stream
            }
        };
        if endpoint.is_https() {
            stream = self.secure(peer, stream, host)?;
        }
        Ok(stream)
    }

    fn proxy_peer(&self, proxy: &Proxy, server: &Peer) -> Peer {
        Peer { limit: server.limit, ..Peer::proxy(proxy, &self.settings.trust) }
    }

    fn secure(&self, peer: &Peer, stream: Box<dyn Stream>, host: &str) -> Result<Box<dyn Stream>> {
        let name = ServerName::try_from(host.to_owned()).map_err(|_| {
            Error::new(
                Status::Tls,
                format!("{} has a host name that no certificate can have; check {}", peer.name, peer.see),
            )
        })?;
        match TlsStream::new(stream, self.tls.config()?, name) {
            Ok(stream) => Ok(Box::new(stream)),
            Err(error) => {
                let error = peer.unsecured(&error);
                self.note_tls_failure(&error);
                Err(error)
            }
        }
    }

    /// The files may have been replaced, whatever their dates say.
    fn note_tls_failure(&self, error: &Error) {
        if error.status() == Status::Tls {
            self.tls.forget();
        }
    }

    /// Credentials travel in the clear to this machine only, unless the config allows more.
    fn check_is_private(&self, endpoint: &Endpoint) -> Result<()> {
        if endpoint.is_exposed() && !self.settings.allow_http {
            return Err(Error::new(
                Status::Insecure,
                "plain http to another host refused, nothing was sent; use https:// or set allow_http",
            ));
        }
        Ok(())
    }

    /// A request with the headers that all have, but for those that the proxy wants.
    fn request(&self, builder: ureq_proto::http::request::Builder, endpoint: &Endpoint) -> Result<Request<()>> {
        let failed = |_| Error::new(Status::Internal, "the request could not be built");
        let mut builder = builder
            .uri(endpoint.uri())
            .header(header::ACCEPT, "application/json")
            .header(header::ACCEPT_ENCODING, "gzip")
            .header(header::USER_AGENT, &self.settings.user_agent);
        if !endpoint.is_https()
            && let Some(proxy) = self.settings.proxy.for_endpoint(endpoint)?
            && let Some(login) = tunnel::authorization(proxy)
        {
            builder = builder.header(header::PROXY_AUTHORIZATION, login.as_str());
        }
        builder.body(()).map_err(failed)
    }
}

fn wire(peer: &Peer, host: &str, port: u16, deadline: Instant) -> Result<Box<dyn Stream>> {
    let socket = connector::connect(host, port, deadline).map_err(|why| peer.unconnected(&why))?;
    Ok(Box::new(Wire::new(socket, deadline)))
}

impl Exchange for Transport {
    fn post_json(
        &self,
        endpoint: &Endpoint,
        body: &SecretBytes,
        before: Option<BeforeSend>,
        deadline: Instant,
    ) -> std::result::Result<Answer, Failure> {
        let builder = Request::post(endpoint.uri())
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::CONTENT_LENGTH, body.expose().len());
        let request = self.request(builder, endpoint).map_err(Failure::unsent)?;
        let order = Order { request, body: Some(body), before, seen: None };
        self.exchange(Peer::server(&self.settings.trust), endpoint, order, deadline)
    }

    fn get_json(&self, endpoint: &Endpoint, deadline: Instant) -> std::result::Result<Answer, Failure> {
        let request = self.request(Request::get(endpoint.uri()), endpoint).map_err(Failure::unsent)?;
        let order = Order { request, body: None, before: None, seen: None };
        self.exchange(Peer::key_server(&self.settings.trust), endpoint, order, deadline)
    }

    fn probe(&self, endpoint: &Endpoint, deadline: Instant) -> Result<(Answer, Vec<CertificateDer<'static>>)> {
        let request = self.request(Request::get(endpoint.uri()), endpoint)?;
        let mut seen = Vec::new();
        let order = Order { request, body: None, before: None, seen: Some(&mut seen) };
        let answer = self.exchange(Peer::server(&self.settings.trust), endpoint, order, deadline);
        answer.map(|answer| (answer, seen)).map_err(|failure| failure.error)
    }

    fn proxy(&self, endpoint: &Endpoint) -> Result<Option<String>> {
        let proxy = self.settings.proxy.for_endpoint(endpoint)?;
        Ok(proxy.map(Proxy::place))
    }

    fn secrets(&self) -> Vec<&str> {
        self.settings.proxy.secrets().collect()
    }
}

/// Seconds or an HTTP date; a date in the past means now.
fn parse_retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    if value.bytes().all(|b| b.is_ascii_digit()) && !value.is_empty() {
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::from(u32::MAX)).min(u64::from(u32::MAX))));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

/// How long an answer is good, by all that is told of it.
fn max_age(headers: &HeaderMap) -> Option<Duration> {
    let told = headers.get_all(header::CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    let age = http::text(headers, header::AGE).and_then(|value| value.trim().parse().ok()).map(Duration::from_secs);
    // Other caches have had it for so long.
    parse_max_age(&told.collect::<Vec<_>>().join(",")).map(|max_age| max_age.saturating_sub(age.unwrap_or_default()))
}

/// An HTTP date, in Unix milliseconds.
fn parse_date(value: &str) -> Option<i64> {
    let since = httpdate::parse_http_date(value.trim()).ok()?.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    i64::try_from(since.as_millis()).ok()
}

/// `max-age` in seconds; what must not be kept has none left.
fn parse_max_age(value: &str) -> Option<Duration> {
    let directives = || value.split(',').map(str::trim);
    if directives().any(|d| d.eq_ignore_ascii_case("no-store") || d.eq_ignore_ascii_case("no-cache")) {
        return Some(Duration::ZERO);
    }
    let seconds = directives().find_map(|directive| {
        let (name, seconds) = directive.split_once('=')?;
        name.trim().eq_ignore_ascii_case("max-age").then(|| seconds.trim().trim_matches('"').parse::<u32>().ok())?
    })?;
    Some(Duration::from_secs(seconds.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_in_seconds_and_as_a_date() {
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        for (value, seconds) in [
            ("0", Some(0)),
            (" 120 ", Some(120)),
            ("Sun, 06 Nov 1994 08:50:37 GMT", Some(60)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
            ("99999999999999999999999", Some(u64::from(u32::MAX))),
            ("soon", None),
            ("-1", None),
            ("", None),
        ] {
            assert_eq!(parse_retry_after(value, now), seconds.map(Duration::from_secs), "{value}");
        }
    }

    #[test]
    fn max_age() {
        for (value, seconds) in [
            ("max-age=300", Some(300)),
            ("public, Max-Age = 60, must-revalidate", Some(60)),
            ("no-store", Some(0)),
            ("max-age=300, no-cache", Some(0)),
            ("public", None),
            ("max-age=soon", None),
            ("max-age=-1", None),
        ] {
            assert_eq!(parse_max_age(value), seconds.map(Duration::from_secs), "{value}");
        }
    }
}
