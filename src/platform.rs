//! The platform's protocol: what login and refresh send, what their answers hold, and what a refusal means.
#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use rustls::pki_types::CertificateDer;
use serde_json::Value;

use crate::clock::Clock;
use crate::config::{Config, LoginWire, LogoutWire, RefreshWire, ResponseWire};
use crate::drift::Heard;
use crate::error::{Error, Result, Status};
use crate::log::{Journal, LogLevel};
use crate::random;
use crate::record::{Refusal, Tokens};
use crate::redact;
use crate::secret::SecretBytes;
use crate::server_words::{server_words, words_in_success};
use crate::text::{is_quoted, is_visible_ascii, without_mark};
use crate::token;
use crate::transport::{Answer, BeforeSend, Endpoint, Exchange, Failure, Transport};
use crate::verdict::is_about_token;
use crate::wiped_json::{Member, WipedJson, write_object};

/// How much is shown of the names in an answer.
const MAX_NAMES: usize = 80;
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Speaks to one environment of the platform.
pub(crate) struct Platform {
    transport: Box<dyn Exchange>,
    clock: Clock,
    login: LoginWire,
    login_at: Endpoint,
    refresh: RefreshWire,
    refresh_at: Endpoint,
    logout: Option<(LogoutWire, Endpoint)>,
    response: ResponseWire,
    retries: u32,
}

/// Tokens as they came, and the clocks around them.
pub(crate) struct Received {
    pub(crate) tokens: Tokens,
    pub(crate) heard: Heard,
}

/// A key set as it was fetched.
pub(crate) struct FetchedKeys {
    pub(crate) text: SecretBytes,
    pub(crate) max_age: Option<Duration>,
}

/// What a login sends.
pub(crate) struct Credentials<'a> {
    pub(crate) username: &'a str,
    pub(crate) password: &'a str,
    pub(crate) organization_id: &'a str,
    pub(crate) project_id: Option<&'a str>,
}

/// A refresh that failed.
pub(crate) struct RefreshFailure {
    pub(crate) error: Error,
    pub(crate) fate: Fate,
    /// Whether the server's words were about the refresh token.
    pub(crate) is_about_token: bool,
}

/// What became of a refresh token that was sent, or was to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is as good as before.
    Unspent,
    /// The server has answered for good.
    Judged,
    /// Nobody knows: the answer is lost.
    Unknown,
}

/// When a request may be sent again.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Resend {
    /// Only while not a byte of it was on the way.
    Unsent,
    /// Also when the server asked to come back, and once when the answer was lost: without one the session is lost
    /// anyway.
    Lost,
}

impl Platform {
    pub(crate) fn new(config: &Config, host: &Endpoint, clock: Clock) -> Result<Self> {
        Self::with_transport(config, host, clock, Box::new(Transport::new(&config.connection)))
    }

    /// As `new`, by a way of the caller's.
    pub(crate) fn with_transport(
        config: &Config,
        host: &Endpoint,
        clock: Clock,
        transport: Box<dyn Exchange>,
    ) -> Result<Self> {
        let at = |key: &str, path: &str| {
            host.join(path).map_err(|why| {
                Error::new(Status::Config, format!("config key \"{key}\": the URL made of host and path {why}"))
            })
        };
        Ok(Platform {
            transport,
            clock,
            login: config.login.clone(),
            login_at: at("login.path", &config.login.path)?,
            refresh: config.refresh.clone(),
            refresh_at: at("refresh.path", &config.refresh.path)?,
            logout: match &config.logout {
                Some(wire) => Some((wire.clone(), at("logout.path", &wire.path)?)),
                None => None,
            },
            response: config.response.clone(),
            retries: config.retries,
        })
    }

    /// Sends a request without credentials. Also returns the certificates that the server showed.
    pub(crate) fn probe(&self, deadline: Instant) -> Result<(Answer, Vec<CertificateDer<'static>>)> {
        self.transport.probe(&self.login_at, deadline)
    }

    /// The proxy on the way to the server, host and port.
    pub(crate) fn proxy(&self) -> Result<Option<String>> {
        self.transport.proxy(&self.login_at)
    }

    /// Logs in. The tokens `held` until then are no part of it, but secrets all the same.
    pub(crate) fn login(
        &self,
        credentials: &Credentials,
        held: &Tokens,
        deadline: Instant,
        journal: &Journal,
    ) -> Result<Received> {
        let wire = &self.login;
        let mut fields = vec![
            (wire.username.as_str(), Member::Text(credentials.username)),
            (wire.password.as_str(), Member::Text(credentials.password)),
            (wire.organization_id.as_str(), Member::Text(credentials.organization_id)),
        ];
        fields.extend(credentials.project_id.map(|project| (wire.project_id.as_str(), Member::Text(project))));
        let place = Place {
            what: "login",
            endpoint: &self.login_at,
            refused: Some("check user name, password, organization and project"),
            journal,
        };
        let mut secrets = held.secrets();
        secrets.push(credentials.password);
        let body = write_object(&fields)?;
        let (answer, asked_ms) = self
            .send(&place, Some(&body), None, Resend::Unsent, &secrets, deadline)
            .map_err(|failure| failure.error)?;
        let tokens = self.read_tokens(&place, &answer, None, credentials.project_id, &secrets)?;
        Ok(self.received(tokens, asked_ms, &answer))
    }

    /// Spends the refresh token of `tokens`, after a last look by `before`; the new ones are for `scope`.
    pub(crate) fn refresh(
        &self,
        tokens: &Tokens,
        scope: Option<&str>,
        before: BeforeSend,
        deadline: Instant,
        journal: &Journal,
    ) -> std::result::Result<Received, RefreshFailure> {
        let unspent = |error| RefreshFailure { error, fate: Fate::Unspent, is_about_token: false };
        let refresh_token = tokens.refresh_token().ok_or_else(|| unspent(no_refresh_token()))?;
        let wire = &self.refresh;
        let mut fields = Vec::new();
        fields.extend(tokens.token().map(|token| (wire.token.as_str(), Member::Text(token))));
        fields.push((wire.refresh_token.as_str(), Member::Text(refresh_token)));
        fields.extend(scope.map(|project| (wire.project_id.as_str(), Member::Text(project))));
        let refused = if scope == tokens.scope.as_deref() { "log in again" } else { "check the project" };
        let place = Place { what: "refresh", endpoint: &self.refresh_at, refused: Some(refused), journal };
        let body = write_object(&fields).map_err(unspent)?;
        let secrets = tokens.secrets();
        let (answer, asked_ms) = self.send(&place, Some(&body), Some(before), Resend::Lost, &secrets, deadline)?;
        let tokens = self
            .read_tokens(&place, &answer, Some(refresh_token), scope, &secrets)
            .map_err(|error| RefreshFailure { error, fate: Fate::Unknown, is_about_token: false })?;
        Ok(self.received(tokens, asked_ms, &answer))
    }

    /// Whether the server wants to be told of a logout.
    pub(crate) fn takes_logout(&self) -> bool {
        self.logout.is_some()
    }

    /// Tells the server that the session of `tokens` is over, where it wants to know.
    pub(crate) fn logout(&self, tokens: &Tokens, deadline: Instant, journal: &Journal) -> Result<()> {
        let Some((wire, endpoint)) = &self.logout else {
            return Ok(());
        };
        let mut fields = Vec::new();
        fields.extend(tokens.token().map(|token| (wire.token.as_str(), Member::Text(token))));
        fields.extend(tokens.refresh_token().map(|token| (wire.refresh_token.as_str(), Member::Text(token))));
        let refused = Some("the refresh token may still be good at the server");
        let place = Place { what: "logout", endpoint, refused, journal };
        let body = write_object(&fields)?;
        let sent = self.send(&place, Some(&body), None, Resend::Lost, &tokens.secrets(), deadline);
        sent.map(drop).map_err(|failure| failure.error)
    }

    /// The error for a process that does not ask the server, because another process got this refusal already.
    pub(crate) fn refused_elsewhere(&self, refusal: &Refusal, rest: Duration, journal: &Journal) -> Error {
        let place = Place { what: "refresh", endpoint: &self.refresh_at, refused: None, journal };
        let said = if refusal.is_final {
            format!("HTTP {}, as another process has heard; log in again", refusal.http_status)
        } else {
            format!("HTTP {}, as another process has heard; {}", refusal.http_status, tried_again(rest))
        };
        place.locate(Error::new(Status::Unauthorized, said)).with_http_status(refusal.http_status).standing_for(rest)
    }

    fn received(&self, tokens: Tokens, asked_ms: i64, answer: &Answer) -> Received {
        let iat_ms = tokens.token().and_then(|token| token::times(token).iat_ms);
        let received_ms = self.clock.now().wall_ms;
        Received { tokens, heard: Heard { asked_ms, received_ms, date_ms: answer.date_ms, iat_ms, may_be_old: false } }
    }

    /// Fetches the issuer's public keys.
    pub(crate) fn fetch_keys(&self, endpoint: &Endpoint, deadline: Instant, journal: &Journal) -> Result<FetchedKeys> {
        let place = Place { what: "key set", endpoint, refused: None, journal };
        let (answer, _) =
            self.send(&place, None, None, Resend::Lost, &[], deadline).map_err(|failure| failure.error)?;
        if let Some(shape) = token::not_a_set(&String::from_utf8_lossy(answer.body.expose())) {
            let status = if shape.is_object() { Status::KeyInvalid } else { Status::Protocol };
            let what = format!("HTTP {}, but the answer {}", answer.status, shape.instead_of_a_set());
            return Err(place.locate(Error::new(status, what).with_http_status(answer.status)));
        }
        Ok(FetchedKeys { text: answer.body, max_age: answer.max_age })
    }

    /// Sends until there is an answer to keep, a reason not to go on, or no time left. With the answer comes when it was
    /// asked for.
    fn send(
        &self,
        place: &Place,
        body: Option<&SecretBytes>,
        before: Option<BeforeSend>,
        resend: Resend,
        secrets: &[&str],
        deadline: Instant,
    ) -> std::result::Result<(Answer, i64), RefreshFailure> {
        let secrets: Vec<&str> = secrets.iter().copied().chain(self.transport.secrets()).collect();
        let mut was_lost = false;
        let mut tries = 0;
        loop {
            let asked_ms = self.clock.now().wall_ms;
            let began = Instant::now();
            let outcome = match body {
                Some(body) => self.transport.post_json(place.endpoint, body, before.clone(), deadline),
                None => self.transport.get_json(place.endpoint, deadline),
            };
            let took_ms = began.elapsed().as_millis();
            let is_first_loss = !was_lost;
            let is_about_token = outcome.as_ref().is_ok_and(|answer| is_about_token(answer.body.expose()));
            let fate = fate(&outcome, was_lost, is_about_token);
            was_lost |= fate == Fate::Unknown;
            let again = tries < self.retries && may_send_again(&outcome, resend, is_first_loss);
            let error = match outcome {
                Ok(answer) if (200..300).contains(&answer.status) => {
                    place.journal.tell(LogLevel::Information, || {
                        format!("{}: HTTP {} after {took_ms} ms", place.name(), answer.status)
                    });
                    return Ok((answer, asked_ms));
                }
                Ok(answer) => place.refusal(&answer, &secrets),
                Err(failure) => place.locate(failure.error),
            };
            place.journal.tell(LogLevel::Warning, || format!("{} (after {took_ms} ms)", error.message()));
            tries += 1;
            let pause = error.retry_after().unwrap_or_else(|| pause_before(tries));
            if !again || self.clock.instant().checked_add(pause).is_none_or(|then| then >= deadline) {
                return Err(RefreshFailure { error, fate, is_about_token });
            }
            place
                .journal
                .tell(LogLevel::Information, || format!("{}: trying again in {} ms", place.name(), pause.as_millis()));
            self.clock.sleep(pause);
        }
    }

    /// The tokens in a success answer. Without a new refresh token the old one goes on.
    fn read_tokens(
        &self,
        place: &Place,
        answer: &Answer,
        old_refresh_token: Option<&str>,
        scope: Option<&str>,
        secrets: &[&str],
    ) -> Result<Tokens> {
        let fault = |why: &str, what: &str| {
            let text = format!("HTTP {}, but {why}; check {what} in the config", answer.status);
            place.locate(Error::new(Status::Protocol, text)).with_http_status(answer.status)
        };
        let wrong = |why: &str| fault(why, "\"response\"");
        let body = answer.body.expose();
        let json = WipedJson::parse_answer(body).ok_or_else(|| fault(not_json(body), "host and paths"))?;
        if !json.is_object() {
            return Err(wrong("the body is not a JSON object"));
        }
        let field = |path: &str| match json.lookup(path) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if text.is_empty() => Ok(None),
            Some(Value::String(text)) if is_quoted(text) => Err(wrong(&format!("its \"{path}\" stands in quotes"))),
            Some(Value::String(text)) if is_visible_ascii(text) => Ok(Some(text.as_str())),
            Some(Value::String(_)) => Err(wrong(&format!("its \"{path}\" holds something else than visible ASCII"))),
            Some(_) => Err(wrong(&format!("its \"{path}\" is not a string"))),
        };
        let token = field(&self.response.token)?.ok_or_else(|| wrong(&self.without_token(&json, secrets)))?;
        let refresh_token = field(&self.response.refresh_token)?.or(old_refresh_token);
        let token_type = match &self.response.token_type {
            Some(path) => field(path)?,
            None => field("tokenType")?.or(field("token_type")?),
        };
        Tokens::new(Some(token), refresh_token, token_type, scope)
    }

    /// Describes a success answer that has no token: texts for people, and names that look like names. Anything else may
    /// be a token.
    fn without_token(&self, json: &WipedJson, secrets: &[&str]) -> String {
        let is_name = |text: &&str| {
            text.len() <= 24
                && text.starts_with(|c: char| c.is_ascii_lowercase())
                && text.chars().all(|c| c.is_ascii_alphabetic() || matches!(c, '_' | '-'))
        };
        let keys = json.root().as_object().into_iter().flat_map(|map| map.keys()).map(String::as_str);
        let names: Vec<&str> = keys.filter(is_name).collect();
        let only = match redact::clean(&names.join(", "), secrets, MAX_NAMES) {
            names if names.is_empty() => String::new(),
            names => format!(" (only {})", names.replace('"', "'")),
        };
        let said = words_in_success(json, secrets).map(|words| format!(" and says \"{words}\"")).unwrap_or_default();
        format!("it has no \"{}\"{only}{said}", self.response.token)
    }
}

/// What a success answer is that is not JSON. Nothing of it is shown: it may hold tokens.
fn not_json(body: &[u8]) -> &'static str {
    match without_mark(body).trim_ascii_start().first() {
        None => "the body is empty",
        Some(b'<') => "the body is not JSON but HTML, a web page",
        Some(_) => "the body is not JSON",
    }
}

/// A request by its purpose, for messages.
struct Place<'a> {
    what: &'static str,
    endpoint: &'a Endpoint,
    /// What to do when the server refuses the credentials; None when there are none.
    refused: Option<&'static str>,
    journal: &'a Journal<'a>,
}

impl Place<'_> {
    fn name(&self) -> String {
        format!("{} at {}", self.what, redact::clean(self.endpoint.without_query(), &[], 160))
    }

    /// `error`, said to have happened here.
    fn locate(&self, error: Error) -> Error {
        error.in_context(&self.name())
    }

    /// What an answer that is no success means.
    fn refusal(&self, answer: &Answer, secrets: &[&str]) -> Error {
        let (status, hint) = match (answer.status, self.refused) {
            (300..400, _) => (Status::Insecure, "a redirect, not followed; put the right URL into the config"),
            (400 | 401 | 403 | 404, Some(what_to_do)) => (Status::Unauthorized, what_to_do),
            (429, _) => (Status::RateLimited, "try again later"),
            (500..600, _) => (Status::Server, "try again later"),
            (_, None) => (Status::Http, "unexpected; check jwks_url in the config"),
            _ => (Status::Http, "unexpected; check host and paths in the config"),
        };
        // Servers say this of unknown users, and of paths that are not theirs.
        let is_path_in_doubt = answer.status == 404 && self.refused.is_some();
        let also = if is_path_in_doubt { "; check host and path in the config as well" } else { "" };
        let said = match server_words(answer.body.expose(), secrets) {
            Some(text) => format!("HTTP {}: \"{text}\"; {hint}{also}", answer.status),
            None => format!("HTTP {}; {hint}{also}", answer.status),
        };
        self.locate(Error::new(status, said)).with_http_status(answer.status).with_retry_after(answer.retry_after)
    }
}

/// What is known of the refresh token after this outcome; a loss before it is only healed by a verdict.
fn fate(outcome: &std::result::Result<Answer, Failure>, was_lost: bool, is_about_token: bool) -> Fate {
    match outcome {
        Ok(answer) if [502, 504].contains(&answer.status) => Fate::Unknown,
        Ok(answer) if is_about_token || is_verdict(answer.status, was_lost) => Fate::Judged,
        Err(failure) if failure.was_sent => Fate::Unknown,
        _ if was_lost => Fate::Unknown,
        _ => Fate::Unspent,
    }
}

/// Whether an answer of this status says what became of the refresh token, whatever its words; after a loss, only one
/// that is about the token does.
fn is_verdict(status: u16, was_lost: bool) -> bool {
    match status {
        200..300 | 400 | 401 => true,
        // These come from what stands in front of the server as well.
        403 | 404 | 429 | 503 => false,
        _ => !was_lost,
    }
}

fn may_send_again(outcome: &std::result::Result<Answer, Failure>, resend: Resend, is_first_loss: bool) -> bool {
    match outcome {
        Err(failure) if !failure.was_sent => matches!(failure.error.status(), Status::Connect | Status::Timeout),
        _ if resend == Resend::Unsent => false,
        Ok(answer) if [429, 503].contains(&answer.status) => true,
        Ok(answer) => is_first_loss && [502, 504].contains(&answer.status),
        Err(failure) => is_first_loss && matches!(failure.error.status(), Status::Connect | Status::Timeout),
    }
}

/// Exponential, with full jitter: many clients that failed together must not come back together.
fn pause_before(attempt: u32) -> Duration {
    let longest = LONGEST_PAUSE.min(FIRST_PAUSE * (1 << attempt.saturating_sub(1).min(5)));
    longest.mul_f64(random::fraction())
}

/// When a refresh token that was refused for now is sent again.
pub(crate) fn tried_again(rest: Duration) -> String {
    format!("its refresh token is tried again in {} s", rest.as_millis().div_ceil(1000))
}

/// There is nothing to renew with.
pub(crate) fn no_refresh_token() -> Error {
    Error::new(Status::NoRefreshToken, "there is no refresh token to renew the token with; log in again")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16) -> std::result::Result<Answer, Failure> {
        let body = SecretBytes::with_capacity(0).unwrap();
        Ok(Answer { status, retry_after: None, max_age: None, date_ms: None, body })
    }

    #[test]
    fn what_may_be_sent_again() {
        let lost = |was_sent| Err(Failure { error: Error::new(Status::Connect, ""), was_sent });
        for (outcome, login, refresh) in [
            (answer(401), false, false),
            (answer(429), false, true),
            (answer(503), false, true),
            (answer(500), false, false),
            (answer(502), false, true),
            (lost(false), true, true),
            (lost(true), false, true),
            (Err(Failure { error: Error::new(Status::Tls, ""), was_sent: false }), false, false),
        ] {
            assert_eq!(may_send_again(&outcome, Resend::Unsent, true), login);
            assert_eq!(may_send_again(&outcome, Resend::Lost, true), refresh);
        }
        assert!(!may_send_again(&lost(true), Resend::Lost, false));
        assert!(may_send_again(&answer(503), Resend::Lost, false));
    }

    #[test]
    fn the_fate_of_a_refresh_token() {
        let lost = |was_sent| Err(Failure { error: Error::new(Status::Connect, ""), was_sent });
        for (outcome, after_none, after_a_loss) in [
            (lost(false), Fate::Unspent, Fate::Unknown),
            (answer(503), Fate::Unspent, Fate::Unknown),
            (answer(429), Fate::Unspent, Fate::Unknown),
            (lost(true), Fate::Unknown, Fate::Unknown),
            (answer(502), Fate::Unknown, Fate::Unknown),
            (answer(401), Fate::Judged, Fate::Judged),
            (answer(404), Fate::Unspent, Fate::Unknown),
            (answer(200), Fate::Judged, Fate::Judged),
            (answer(500), Fate::Judged, Fate::Unknown),
        ] {
            assert_eq!(fate(&outcome, false, false), after_none);
            assert_eq!(fate(&outcome, true, false), after_a_loss);
        }
        assert_eq!(fate(&answer(404), true, true), Fate::Judged);
    }

    #[test]
    fn pauses_grow_and_stay_short() {
        for attempt in 1..40 {
            assert!(pause_before(attempt) <= LONGEST_PAUSE);
        }
        assert!(pause_before(1) <= FIRST_PAUSE);
        // Anything from nothing to the longest: that one of these comes out is as good as certain.
        for (attempt, longest) in [(1, FIRST_PAUSE), (3, FIRST_PAUSE * 4), (9, LONGEST_PAUSE)] {
            let pauses: Vec<Duration> = (0..1000).map(|_| pause_before(attempt)).collect();
            assert!(pauses.iter().any(|pause| *pause < longest / 4));
            assert!(pauses.iter().any(|pause| *pause > longest * 3 / 4 && *pause <= longest));
        }
    }
}
