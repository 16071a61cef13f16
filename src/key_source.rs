//! The keys that the config names: fixed ones, or a key set at a URL, fetched when it is needed and kept.
#![forbid(unsafe_code)]

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;

use crate::clock::Now;
use crate::error::{Error, Result, Status};
use crate::gate::{Admission, ProcessGate};
use crate::log::Journal;
use crate::platform::Platform;
use crate::token::{KeyCache, KeySet};
use crate::transport::Endpoint;

/// How long a key set is kept when the server does not say.
const DEFAULT_AGE: Duration = Duration::from_secs(300);
const LONGEST_AGE: Duration = Duration::from_secs(24 * 3600);
/// How long a key that was missed, or a server that was down, is not asked for again.
const PAUSE_MS: i64 = 60_000;

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
    kept: ArcSwapOption<Kept>,
    gate: ProcessGate,
}

/// The last key set, and when to ask again.
struct Kept {
    keys: Arc<KeySet>,
    /// Readings of the steady clock.
    good_until_ms: i64,
    missed_at_ms: Option<i64>,
}

impl KeySource {
    /// A fixed key goes before a URL.
    pub(crate) fn new(public_key: Option<String>, jwks_url: Option<Endpoint>) -> Self {
        match (public_key, jwks_url) {
            (Some(text), _) => KeySource::Fixed { text, cache: KeyCache::new() },
            (None, Some(endpoint)) => {
                KeySource::Url(UrlKeys { endpoint, kept: ArcSwapOption::empty(), gate: ProcessGate::new() })
            }
            (None, None) => KeySource::None,
        }
    }

    /// Calls `with` with the keys, among them the one called `kid` if it can be had.
    pub(crate) fn with_keys<T>(
        &self,
        kid: Option<&str>,
        platform: &Platform,
        now: Now,
        deadline: Instant,
        journal: &Journal,
        with: impl FnOnce(&KeySet) -> Result<T>,
    ) -> Result<T> {
        match self {
            KeySource::None => {
                Err(Error::new(Status::Config, "no key to verify with; set public_key or jwks_url in the config"))
            }
            KeySource::Fixed { text, cache } => cache.with(text, with),
            KeySource::Url(url) => with(&*url.keys(kid, platform, now, deadline, journal)?),
        }
    }
}

impl UrlKeys {
    fn keys(
        &self,
        kid: Option<&str>,
        platform: &Platform,
        now: Now,
        deadline: Instant,
        journal: &Journal,
    ) -> Result<Arc<KeySet>> {
        loop {
            let kept = self.kept.load_full();
            let gate = self.gate.get();
            let Some(kept) = kept else {
                // Nothing to go on with: wait for whoever fetches.
                match gate.turn_or_wait(deadline, |_| None) {
                    Admission::Turn(_turn) if self.kept.load().is_none() => {
                        return self.fetch(platform, None, now, deadline, journal);
                    }
                    Admission::Turn(_) | Admission::Waited => continue,
                    Admission::Held(error) => return Err(error),
                }
            };
            let is_known = kid.is_none_or(|kid| kept.keys.has_kid(kid));
            let is_old = now.mono_ms >= kept.good_until_ms;
            let may_ask = kept.missed_at_ms.is_none_or(|missed| now.mono_ms >= missed.saturating_add(PAUSE_MS));
            if is_known
                && is_old
                && let Some(_turn) = gate.try_turn(|_| false)
            {
                // The keys that we have are good until there are new ones.
                return self.fetch(platform, kept.missed_at_ms, now, deadline, journal).or_else(|_| {
                    self.keep(kept.keys.clone(), now.mono_ms.saturating_add(PAUSE_MS), kept.missed_at_ms);
                    Ok(kept.keys.clone())
                });
            }
            if is_known || !may_ask {
                return Ok(kept.keys.clone());
            }
            match gate.turn_or_wait(deadline, |_| None) {
                Admission::Turn(_turn) if self.is_kept(&kept) => {
                    return self.fetch(platform, Some(now.mono_ms), now, deadline, journal).inspect_err(|_| {
                        self.keep(kept.keys.clone(), kept.good_until_ms, Some(now.mono_ms));
                    });
                }
                Admission::Turn(_) | Admission::Waited => {}
                Admission::Held(error) => return Err(error),
            }
        }
    }

    fn fetch(
        &self,
        platform: &Platform,
        missed_at_ms: Option<i64>,
        now: Now,
        deadline: Instant,
        journal: &Journal,
    ) -> Result<Arc<KeySet>> {
        let fetched = platform.fetch_keys(&self.endpoint, deadline, journal)?;
        let keys = Arc::new(KeySet::parse(fetched.text.as_str())?);
        let age = fetched.max_age.unwrap_or(DEFAULT_AGE).min(LONGEST_AGE);
        let age_ms = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
        self.keep(keys.clone(), now.mono_ms.saturating_add(age_ms), missed_at_ms);
        Ok(keys)
    }

    fn keep(&self, keys: Arc<KeySet>, good_until_ms: i64, missed_at_ms: Option<i64>) {
        self.kept.store(Some(Arc::new(Kept { keys, good_until_ms, missed_at_ms })));
    }

    fn is_kept(&self, kept: &Arc<Kept>) -> bool {
        self.kept.load().as_ref().is_some_and(|present| Arc::ptr_eq(present, kept))
    }
}

impl fmt::Debug for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeySource")
    }
}
