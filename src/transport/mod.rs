//! One HTTP exchange: a fresh connection, a deadline for all of it, at most 1 MiB back, no redirects.
#![forbid(unsafe_code)]

mod connector;
mod endpoint;
mod proxy;
mod resolver;
mod settings;
mod tls;

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use once_cell::race::OnceBox;
use ureq::AsSendBody;
use ureq::http::{HeaderValue, Request, header};
use ureq::unversioned::transport::Connector;
use ureq::unversioned::transport::{ConnectProxyConnector, TcpConnector};

use crate::error::{Error, Result, Status};
use crate::secret::SecretBytes;

pub(crate) use endpoint::{Endpoint, is_same_base};
pub(crate) use proxy::ProxySetting;
#[cfg(feature = "redis")]
pub(crate) use resolver::{Unresolved, addresses};
pub(crate) use settings::{Settings, Trust};
#[cfg(feature = "redis")]
pub(crate) use tls::{client_config, describe as describe_tls};

/// An answer that is larger is refused.
pub(crate) const MAX_ANSWER: usize = 1 << 20;
/// How much of an answer that is no success is read: it is only looked at for a few words.
const MAX_REFUSAL: usize = 64 << 10;
const BUFFER: usize = 16 * 1024;

/// Sends requests as the config says.
pub(crate) struct Transport {
    // Made once: the HTTP client reads the environment for the defaults that it starts from.
    http: ureq::config::Config,
    allow_http: bool,
    proxy: ProxySetting,
    trust: Trust,
    // A race instead of a lock: a lock could be held by another thread when the process forks.
    tls: OnceBox<Arc<rustls::ClientConfig>>,
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

    /// Secrets of its own that a server's text may hold.
    fn secrets(&self) -> Vec<&str>;
}

impl Transport {
    pub(crate) fn new(settings: &Settings) -> Self {
        let http = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .max_idle_connections(0)
            .proxy(None)
            .user_agent(settings.user_agent.clone())
            .timeout_resolve(Some(settings.connect_timeout))
            .timeout_connect(Some(settings.connect_timeout))
            .input_buffer_size(BUFFER)
            .output_buffer_size(BUFFER)
            .build();
        Transport {
            http,
            allow_http: settings.allow_http,
            proxy: settings.proxy.clone(),
            trust: settings.trust.clone(),
            tls: OnceBox::new(),
        }
    }

    fn exchange(
        &self,
        endpoint: &Endpoint,
        request: Request<impl AsSendBody>,
        before: Option<BeforeSend>,
        deadline: Instant,
    ) -> std::result::Result<Answer, Failure> {
        self.check_is_private(endpoint).map_err(Failure::unsent)?;
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Failure::unsent(Error::new(Status::Timeout, "timeout_ms ran out before the request was sent")));
        }
        let proxy = self.proxy.for_endpoint(endpoint).map_err(Failure::unsent)?;
        let is_https = endpoint.uri().scheme_str() == Some("https");
        let needs_tls = is_https || proxy.is_some_and(|proxy| proxy.protocol() == ureq::ProxyProtocol::Https);
        let tls = needs_tls.then(|| self.tls()).transpose().map_err(Failure::unsent)?;
        let sent = Arc::new(AtomicBool::new(false));
        let connector =
            ().chain(ConnectProxyConnector::default())
                .chain(TcpConnector::default())
                .chain(connector::TlsConnector::new(tls))
                .chain(connector::SendWatch::new(endpoint.uri().clone(), sent.clone(), before));
        let agent = ureq::Agent::with_parts(self.http.clone(), connector, resolver::Resolver);
        let request = agent.configure_request(request).timeout_global(Some(left)).proxy(proxy.cloned()).build();
        let outcome = agent.run(request).map_err(describe).and_then(read_answer);
        outcome.map_err(|mut error| {
            let was_sent = sent.load(Ordering::Acquire);
            if proxy.is_some() && !was_sent && error.status() == Status::Protocol {
                // It can't be the server's answer.
                error = Error::new(Status::Connect, proxy_text(""));
            }
            Failure { error, was_sent }
        })
    }

    /// Credentials travel in the clear to this machine only, unless the config allows more.
    fn check_is_private(&self, endpoint: &Endpoint) -> Result<()> {
        if endpoint.is_exposed() && !self.allow_http {
            return Err(Error::new(
                Status::Insecure,
                "plain http to another host refused, nothing was sent; use https:// or set allow_http",
            ));
        }
        Ok(())
    }

    fn tls(&self) -> Result<Arc<rustls::ClientConfig>> {
        self.tls.get_or_try_init(|| tls::client_config(&self.trust).map(|config| Box::new(Arc::new(config)))).cloned()
    }
}

impl Exchange for Transport {
    fn post_json(
        &self,
        endpoint: &Endpoint,
        body: &SecretBytes,
        before: Option<BeforeSend>,
        deadline: Instant,
    ) -> std::result::Result<Answer, Failure> {
        let request = Request::post(endpoint.uri())
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::ACCEPT, "application/json")
            .body(body.expose());
        match request {
            Ok(request) => self.exchange(endpoint, request, before, deadline),
            Err(_) => Err(Failure::unsent(Error::new(Status::Internal, "the request could not be built"))),
        }
    }

    fn secrets(&self) -> Vec<&str> {
        self.proxy.secrets().collect()
    }

    fn get_json(&self, endpoint: &Endpoint, deadline: Instant) -> std::result::Result<Answer, Failure> {
        match Request::get(endpoint.uri()).header(header::ACCEPT, "application/json").body(()) {
            Ok(request) => self.exchange(endpoint, request, None, deadline),
            Err(_) => Err(Failure::unsent(Error::new(Status::Internal, "the request could not be built"))),
        }
    }
}

fn read_answer(mut response: ureq::http::Response<ureq::Body>) -> Result<Answer> {
    let status = response.status().as_u16();
    let header = |name| response.headers().get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let retry_after = header(header::RETRY_AFTER).and_then(|value| parse_retry_after(value, SystemTime::now()));
    let told = response.headers().get_all(header::CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    let age = header(header::AGE).and_then(|value| value.trim().parse().ok()).map(Duration::from_secs);
    let max_age = parse_max_age(&told.collect::<Vec<_>>().join(","))
        // Other caches have had it for so long.
        .map(|max_age| max_age.saturating_sub(age.unwrap_or_default()));
    let date_ms = header(header::DATE).and_then(parse_date);
    // The verdict stands in the first line: a body that is too large or damaged changes nothing about it.
    let is_refusal = !(200..300).contains(&status);
    let announced = response.body().content_length().unwrap_or(0);
    let first = usize::try_from(announced).unwrap_or(usize::MAX).clamp(4096, MAX_ANSWER);
    let mut body = SecretBytes::with_capacity(first)?;
    let mut chunk = zeroize::Zeroizing::new([0u8; 4096]);
    let mut reader = response.body_mut().as_reader();
    loop {
        let n = match reader.read(&mut *chunk) {
            Ok(0) => break,
            Ok(n) => n,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(e) => match describe(e.into()) {
                error if is_refusal && error.status() == Status::Protocol => break,
                error => return Err(error.with_http_status(status)),
            },
        };
        if is_refusal && body.expose().len() + n > MAX_REFUSAL {
            break;
        }
        if body.expose().len() + n > MAX_ANSWER {
            return Err(Error::new(Status::Protocol, "the answer is larger than 1 MiB").with_http_status(status));
        }
        body.push(&chunk[..n])?;
    }
    Ok(Answer { status, retry_after, max_age, date_ms, body })
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

/// What the HTTP client's error means to the caller; the text names no input.
fn describe(error: ureq::Error) -> Error {
    match error {
        ureq::Error::Timeout(which) => Error::new(Status::Timeout, timeout_text(which)),
        ureq::Error::HostNotFound => {
            Error::new(Status::Connect, "the host name is not known; check the host in the config")
        }
        ureq::Error::ConnectProxyFailed(why) => Error::new(Status::Connect, proxy_text(&why)),
        ureq::Error::InvalidProxyUrl => Error::new(Status::Config, "the proxy's URL can't be used"),
        ureq::Error::Io(e) => describe_io(&e),
        ureq::Error::Other(e) => match e.downcast::<Error>() {
            Ok(ours) => *ours,
            Err(_) => Error::new(Status::Connect, "the connection failed"),
        },
        ureq::Error::LargeResponseHeader(..) => Error::new(Status::Protocol, "the answer's headers are too large"),
        ureq::Error::Decompress(..) => Error::new(Status::Protocol, "the answer's compressed body is damaged"),
        ureq::Error::Protocol(_) | ureq::Error::Http(_) => {
            Error::new(Status::Protocol, "the answer is not valid HTTP; is this the right host?")
        }
        _ => Error::new(Status::Connect, "the connection failed"),
    }
}

fn describe_io(error: &std::io::Error) -> Error {
    use std::io::ErrorKind::*;
    match error.kind() {
        TimedOut | WouldBlock => Error::new(Status::Timeout, timeout_text(ureq::Timeout::Global)),
        ConnectionRefused => Error::new(Status::Connect, "connection refused; is the server up, and the port right?"),
        UnexpectedEof | ConnectionReset | ConnectionAborted | BrokenPipe => {
            Error::new(Status::Connect, "the connection was lost before the answer was complete")
        }
        InvalidData | InvalidInput => Error::new(Status::Protocol, "the answer's body is damaged"),
        // The operating system's own words hold no input of ours.
        _ if error.raw_os_error().is_some() => Error::new(Status::Connect, error.to_string()),
        _ => Error::new(Status::Connect, "the host name could not be resolved, or the connection failed"),
    }
}

/// The HTTP client tells no more than a text with the status in it.
fn proxy_text(why: &str) -> &'static str {
    match why.split(|c: char| !c.is_ascii_digit()).find(|digits| digits.len() == 3) {
        // The second is not by the book, but said by some of the wrong password.
        Some("407" | "401") => "the proxy wants a user name and password, or others than it got; see \"proxy\"",
        Some("403") => "the proxy does not let us through to this host (HTTP 403); ask its operator, or set no_proxy",
        Some("502" | "503" | "504") => "the proxy does not reach this host (HTTP 502, 503 or 504); try again later",
        Some(_) => "the proxy refused; see \"proxy\" and https_proxy",
        None => "the proxy gave no answer that is one; is it a proxy? see \"proxy\" and https_proxy",
    }
}

fn timeout_text(which: ureq::Timeout) -> &'static str {
    match which {
        ureq::Timeout::Resolve | ureq::Timeout::Connect => "no connection within connect_timeout_ms",
        _ => "no complete answer within timeout_ms",
    }
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
