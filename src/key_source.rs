//! The keys that the config names: fixed ones, or a key set at a URL, fetched when it is needed and kept.
#![forbid(unsafe_code)]

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;

use crate::clock::Clock;
use crate::error::{Error, Result, Status};
use crate::gate::{Admission, ProcessGate};
use crate::log::{Journal, LogLevel};
use crate::platform::Platform;
use crate::redact;
use crate::token::{KeyCache, KeySet};
use crate::transport::Endpoint;

/// How long a key set is kept when the server does not say.
const DEFAULT_AGE: Duration = Duration::from_secs(300);
const LONGEST_AGE: Duration = Duration::from_secs(24 * 3600);
/// How long the server is left alone after an attempt, whatever it says and however the attempt ended.
const PAUSE: Duration = Duration::from_secs(30);
/// A server that is down may ask for a longer one, up to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// Where the issuer's keys come from.
pub(crate) enum KeySource {
    /// The config has none.
    None,
    /// The config has them.
    Fixed { text: String, cache: KeyCache },
    /// The config has their URL.
    Url(UrlKeys),
}

/// A key set at a URL.
pub(crate) struct UrlKeys {
    endpoint: Endpoint,
    known: ArcSwapOption<Known>,
    gate: ProcessGate,
}

/// Who asks, and how.
pub(crate) struct Asker<'a> {
    pub(crate) platform: &'a Platform,
    pub(crate) clock: &'a Clock,
    pub(crate) deadline: Instant,
    pub(crate) journal: &'a Journal<'a>,
    /// The `kid` of the token.
    pub(crate) kid: Option<&'a str>,
}

/// What the last attempt brought.
struct Known {
    /// The last key set, or why there never was one.
    keys: std::result::Result<Arc<KeySet>, Error>,
    /// Readings of the monotonic clock: when the server is asked again, and when for the sake of a missing key.
    due_ms: i64,
    miss_due_ms: i64,
}

impl KeySource {
    /// A fixed key goes before a URL.
    pub(crate) fn new(public_key: Option<String>, jwks_url: Option<Endpoint>) -> Self {
        match (public_key, jwks_url) {
            (Some(text), _) => KeySource::Fixed { text, cache: KeyCache::new() },
            (None, Some(endpoint)) => {
                KeySource::Url(UrlKeys { endpoint, known: ArcSwapOption::empty(), gate: ProcessGate::new() })
            }
            (None, None) => KeySource::None,
        }
    }

    /// What `with` makes of the keys; it is called again with newer ones if a key was missing.
    pub(crate) fn with_keys<T>(&self, asker: &Asker, with: impl Fn(&KeySet) -> Result<T>) -> Result<T> {
        match self {
            KeySource::None => {
                Err(Error::new(Status::Config, "no key to verify with; set public_key or jwks_url in the config"))
            }
            KeySource::Fixed { text, cache } => cache.with(text, with),
            KeySource::Url(url) => url.with_keys(asker, with),
        }
    }
}

impl UrlKeys {
    fn with_keys<T>(&self, asker: &Asker, with: impl Fn(&KeySet) -> Result<T>) -> Result<T> {
        let mut known = self.known(asker)?;
        loop {
            let now_ms = asker.now_ms();
            let keys = match &known.keys {
                Ok(keys) => keys,
                Err(error) => return Err(asked_again(error.clone(), known.due_ms, now_ms)),
            };
            let error = match with(keys) {
                Err(error) if may_be_for_want_of_a_key(&error, asker.kid, keys) => error,
                outcome => return outcome.map_err(|error| self.locate(error)),
            };
            if now_ms < known.miss_due_ms {
                let error = self.locate(error);
                return Err(match error.status() {
                    // The issuer may have changed its keys.
                    Status::KeyInvalid => asked_again(error, known.miss_due_ms, now_ms).retryable(),
                    _ => error,
                });
            }
            known = self.look_for_newer(&known, asker)?;
        }
    }

    /// What is known, asked for if there is nothing, or if it has become old.
    fn known(&self, asker: &Asker) -> Result<Arc<Known>> {
        let gate = self.gate.get();
        loop {
            let known = self.known.load_full();
            match &known {
                Some(known) if asker.now_ms() < known.due_ms => return Ok(known.clone()),
                // The keys that we have are good until there are new ones.
                Some(old) if old.keys.is_ok() => {
                    let Some(_turn) = gate.try_turn(|_| false) else {
                        return Ok(old.clone());
                    };
                    if self.is_known(&known) {
                        let _ = self.ask(Some(old), false, asker);
                    }
                }
                _ => match gate.turn_or_wait(asker.deadline, |_| None) {
                    Admission::Turn(_turn) if self.is_known(&known) => {
                        self.ask(known.as_ref(), false, asker)?;
                    }
                    Admission::Turn(_) | Admission::Waited => {}
                    Admission::Held(error) => return Err(error),
                },
            }
        }
    }

    /// Asks for a newer set than `known`, or waits for whoever does.
    fn look_for_newer(&self, known: &Arc<Known>, asker: &Asker) -> Result<Arc<Known>> {
        let gate = self.gate.get();
        match gate.turn_or_wait(asker.deadline, |_| None) {
            Admission::Turn(_turn) if self.is_known(&Some(known.clone())) => self.ask(Some(known), true, asker)?,
            Admission::Turn(_) | Admission::Waited => {}
            Admission::Held(error) => return Err(error),
        }
        Ok(self.known.load_full().unwrap_or_else(|| known.clone()))
    }

    /// Asks the server and keeps what comes of it. After a failure the keys that were there go on.
    fn ask(&self, old: Option<&Arc<Known>>, is_for_a_key: bool, asker: &Asker) -> Result<()> {
        let outcome = asker.platform.fetch_keys(&self.endpoint, asker.deadline, asker.journal);
        let outcome = outcome.and_then(|fetched| {
            let keys =
                KeySet::parse(&String::from_utf8_lossy(fetched.text.expose())).map_err(|error| self.locate(error))?;
            Ok((keys, fetched.max_age.unwrap_or(DEFAULT_AGE).clamp(PAUSE, LONGEST_AGE)))
        });
        let in_ms = |wait: Duration| asker.now_ms().saturating_add(i64::try_from(wait.as_millis()).unwrap_or(i64::MAX));
        let (known, outcome) = match outcome {
            Ok((keys, age)) => {
                let is_missing = asker.kid.is_none_or(|kid| !keys.has_kid(kid));
                let miss_due_ms = match old {
                    _ if is_missing || is_for_a_key => in_ms(PAUSE),
                    Some(old) => old.miss_due_ms,
                    None => i64::MIN,
                };
                (Known { keys: Ok(Arc::new(keys)), due_ms: in_ms(age), miss_due_ms }, Ok(()))
            }
            Err(error) => {
                asker.journal.tell(LogLevel::Warning, || format!("no new key set: {}", error.message()));
                let next_ms = in_ms(error.retry_after().unwrap_or_default().clamp(PAUSE, LONGEST_PAUSE));
                let keys = match old.map(|old| &old.keys) {
                    Some(Ok(keys)) => Ok(keys.clone()),
                    _ => Err(error.clone()),
                };
                let due_ms = old.map_or(next_ms, |old| old.due_ms.max(next_ms));
                (Known { keys, due_ms, miss_due_ms: next_ms }, Err(error))
            }
        };
        self.known.store(Some(Arc::new(known)));
        outcome
    }

    /// `error`, said of the keys at this URL.
    fn locate(&self, error: Error) -> Error {
        match error.status() {
            Status::KeyInvalid | Status::AlgorithmRefused => {
                error.in_context(&format!("key set at {}", redact::clean(self.endpoint.without_query(), &[], 160)))
            }
            _ => error,
        }
    }

    fn is_known(&self, known: &Option<Arc<Known>>) -> bool {
        match (&*self.known.load(), known) {
            (Some(present), Some(known)) => Arc::ptr_eq(present, known),
            (None, None) => true,
            _ => false,
        }
    }
}

impl Asker<'_> {
    fn now_ms(&self) -> i64 {
        self.clock.now().mono_ms
    }
}

/// Whether the issuer may have a key by now that would change the verdict.
fn may_be_for_want_of_a_key(error: &Error, kid: Option<&str>, keys: &KeySet) -> bool {
    matches!(error.status(), Status::AlgorithmRefused | Status::KeyInvalid | Status::SignatureInvalid)
        && kid.is_none_or(|kid| !keys.has_kid(kid))
}

/// Says when the server is asked again.
fn asked_again(error: Error, due_ms: i64, now_ms: i64) -> Error {
    let seconds = u64::try_from(due_ms.saturating_sub(now_ms)).unwrap_or_default().div_ceil(1000);
    error
        .because(&format!("the set is fetched again in {seconds} s"))
        .with_retry_after(Some(Duration::from_secs(seconds)))
}

impl fmt::Debug for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeySource")
    }
}
