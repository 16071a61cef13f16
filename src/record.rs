//! A session at one moment: the tokens and what belongs to them. Records are replaced, never changed.
#![forbid(unsafe_code)]

use std::time::Duration;

use crate::author::Author;
use crate::clock::Now;
use crate::error::{Error, Result};
use crate::redact::clean;
use crate::schedule::{LONGEST_REST_MS, Origin};
use crate::secret::Secret;
use crate::status::gc_auth_status_t;
use crate::wrong_clocks::WrongClocks;

const SCHEME: &str = "Bearer ";
/// How much of a failure's message is kept in a record.
const MAX_FAILURE: usize = 300;
/// What the platform's tokens are, unless an answer says otherwise.
pub(crate) const DEFAULT_TOKEN_TYPE: &str = "Bearer";

/// The tokens of a session and their standing.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) version: Version,
    pub(crate) tokens: Tokens,
    pub(crate) origin: Origin,
    /// When the tokens came: by the server's clock, as far as it was known, and by the monotonic one of the handle that
    /// got them, or [`UNKNOWN_MONO_MS`].
    pub(crate) received: Now,
    /// Who got them.
    pub(crate) author: Author,
    pub(crate) notes: Notes,
    pub(crate) clocks: WrongClocks,
}

/// The monotonic reading of a record that came out of a store.
pub(crate) const UNKNOWN_MONO_MS: i64 = i64::MIN;

impl Record {
    /// Whether it is what a logout leaves: no tokens, where there were some.
    pub(crate) fn is_tombstone(&self) -> bool {
        self.tokens.is_none() && self.version.generation > 0
    }

    /// Whether this record, found in the store, stands where `held` stood, or after it.
    pub(crate) fn is_not_older(&self, held: &Record) -> bool {
        if self.version.session == held.version.session {
            return self.version.generation >= held.version.generation;
        }
        // Another session is another login, whatever its number; but given tokens only seed a store that is empty, and
        // one that has lost what we hold was no such thing.
        self.version.generation > held.version.generation
            || self.origin != Origin::Given
            || held.origin == Origin::Given
    }
}

/// Which record it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Version {
    /// Random, new at each login: tells a renewal of this session from another login.
    pub(crate) session: u64,
    /// Counts every change of tokens; a record with a higher one is newer.
    pub(crate) generation: u64,
}

/// What those who share a record tell each other about it; changes without a new generation. All times are Unix
/// milliseconds by the server's clock, as far as who wrote them knew it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Notes {
    /// The time before which nobody tries an early renewal.
    pub(crate) early_not_before_ms: i64,
    pub(crate) intent: Option<Intent>,
    pub(crate) refusal: Option<Refusal>,
    pub(crate) failure: Option<LastFailure>,
}

impl Notes {
    /// For how long early renewals rest yet, at `now_ms`. `skew_ms` is how far clocks may be apart that are taken for
    /// right: what lies farther in the future than anybody may ask for was written by one that was wrong.
    pub(crate) fn early_rest(&self, now_ms: i64, skew_ms: i64) -> Option<Duration> {
        let left = self.early_not_before_ms.saturating_sub(now_ms);
        (left > 0 && left <= LONGEST_REST_MS.saturating_add(skew_ms))
            .then(|| Duration::from_millis(left.unsigned_abs()))
    }
}

/// The last renewal that failed, for people to see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LastFailure {
    /// As in the C API: another version of this library may have statuses that this one does not know.
    pub(crate) status: gc_auth_status_t,
    /// Short, and without a secret.
    pub(crate) message: String,
    /// Unix milliseconds.
    pub(crate) at_ms: i64,
}

impl LastFailure {
    /// `error`, which came then.
    pub(crate) fn of(error: &Error, at_ms: i64) -> Self {
        let message = clean(error.message(), &[], MAX_FAILURE);
        LastFailure { status: error.status().code(), message, at_ms }
    }
}

/// The server refused the refresh token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) http_status: u16,
    /// Unix milliseconds.
    pub(crate) at_ms: i64,
    /// How many refusals there were, each after the rest of the one before.
    pub(crate) count: u32,
    /// Nobody sends the refresh token again by itself.
    pub(crate) is_final: bool,
}

/// How long the first refusal binds everybody: a server that erred for a moment must not end a session.
const FIRST_REST_MS: i64 = 60_000;

impl Refusal {
    /// The refusal after `previous`, which makes it a repeated one if that has had its rest. `is_about_token`: the
    /// server's words were.
    pub(crate) fn after(previous: Option<&Refusal>, http_status: u16, at_ms: i64, is_about_token: bool) -> Self {
        let rested = previous.filter(|previous| previous.rest(at_ms, 0).is_none());
        // What stands in front of the server answers 403 and 404 for as long as it has to.
        let is_repeated =
            rested.is_some_and(|rested| rested.http_status == http_status) && [400, 401].contains(&http_status);
        let before = previous.map_or(0, |previous| previous.count);
        Refusal {
            http_status,
            at_ms,
            count: if rested.is_some() { before.saturating_add(1) } else { before.max(1) },
            is_final: is_about_token || is_repeated || previous.is_some_and(|previous| previous.is_final),
        }
    }

    /// For how long it binds everybody yet, at `now_ms`; None when somebody may try again. `skew_ms` is how far clocks
    /// may be apart that are taken for right: what lies farther in the future was written by one that was wrong.
    pub(crate) fn rest(&self, now_ms: i64, skew_ms: i64) -> Option<Duration> {
        if self.is_final {
            return Some(Duration::MAX);
        }
        let whole = LONGEST_REST_MS.min(FIRST_REST_MS << self.count.saturating_sub(1).min(10));
        let left = self.at_ms.saturating_add(whole).saturating_sub(now_ms);
        (left > 0 && left <= whole.saturating_add(skew_ms))
            .then(|| Duration::from_millis(left.min(whole).unsigned_abs()))
    }
}

/// Somebody is about to spend the refresh token, or was, and did not come back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Intent {
    /// SHA-256 of the refresh token, in hexadecimal.
    pub(crate) spends: String,
    /// Unix milliseconds.
    pub(crate) begun_ms: i64,
    /// Unix milliseconds after which nobody is at it any more.
    pub(crate) deadline_ms: i64,
    pub(crate) author: Author,
}

impl Intent {
    /// The same, when its author has given up: nobody has to wait for an answer.
    pub(crate) fn given_up(self) -> Self {
        Intent { deadline_ms: self.begun_ms, ..self }
    }

    /// Whether its author has given up.
    pub(crate) fn is_given_up(&self) -> bool {
        self.deadline_ms <= self.begun_ms
    }
}

/// What a login or a renewal brings.
#[derive(Clone, Debug)]
pub(crate) struct Tokens {
    /// The whole header value: handing it out is one copy.
    bearer: Option<Secret>,
    refresh_token: Option<Secret>,
    pub(crate) token_type: String,
    /// The project as it was sent.
    pub(crate) scope: Option<String>,
}

impl Tokens {
    /// Tokens of a session; either may be missing.
    pub(crate) fn new(
        token: Option<&str>,
        refresh_token: Option<&str>,
        token_type: Option<&str>,
        scope: Option<&str>,
    ) -> Result<Self> {
        Ok(Tokens {
            bearer: token.map(|token| Secret::concat(&[SCHEME, token])).transpose()?,
            refresh_token: refresh_token.map(Secret::new).transpose()?,
            token_type: token_type.unwrap_or(DEFAULT_TOKEN_TYPE).to_owned(),
            scope: scope.map(str::to_owned),
        })
    }

    /// No session.
    pub(crate) fn none() -> Self {
        Tokens { bearer: None, refresh_token: None, token_type: DEFAULT_TOKEN_TYPE.to_owned(), scope: None }
    }

    /// Whether there is neither token.
    pub(crate) fn is_none(&self) -> bool {
        self.bearer.is_none() && self.refresh_token.is_none()
    }

    /// `Bearer <token>`.
    pub(crate) fn bearer(&self) -> Option<&str> {
        self.bearer.as_ref().map(Secret::expose)
    }

    /// The same, without a look at what it holds.
    #[inline]
    pub(crate) fn bearer_bytes(&self) -> Option<&[u8]> {
        self.bearer.as_ref().map(Secret::expose_bytes)
    }

    /// The access token.
    pub(crate) fn token(&self) -> Option<&str> {
        self.bearer().and_then(|bearer| bearer.get(SCHEME.len()..))
    }

    /// Both tokens, as far as there are any.
    pub(crate) fn secrets(&self) -> Vec<&str> {
        self.token().into_iter().chain(self.refresh_token()).collect()
    }

    /// The refresh token.
    pub(crate) fn refresh_token(&self) -> Option<&str> {
        self.refresh_token.as_ref().map(Secret::expose)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000;

    fn next(previous: Option<&Refusal>, http_status: u16, minute: i64) -> Refusal {
        Refusal::after(previous, http_status, minute * MINUTE, false)
    }

    fn minutes(refusal: &Refusal, minute: i64) -> Option<u64> {
        refusal.rest(minute * MINUTE, 0).map(|rest| rest.as_secs() / 60)
    }

    #[test]
    fn the_same_verdict_after_a_rest_is_final() {
        for status in [400, 401] {
            let first = next(None, status, 10);
            assert_eq!((minutes(&first, 10), minutes(&first, 11), first.is_final), (Some(1), None, false));
            // Asked for by name within the rest: the verdict is as old as its words.
            let sooner = Refusal { at_ms: first.at_ms + 1, ..first.clone() };
            assert_eq!(Refusal::after(Some(&first), status, first.at_ms + 1, false), sooner);
            let second = next(Some(&first), status, 11);
            assert!(second.is_final && second.rest(i64::MAX, 0) == Some(Duration::MAX));
            assert!(!next(Some(&first), 404, 11).is_final);
            // What is final stays so.
            assert!(next(Some(&second), 404, 12).is_final);
        }
        assert!(Refusal::after(None, 404, 0, true).is_final);
    }

    #[test]
    fn what_stands_in_front_of_a_server_may_refuse_for_long() {
        for status in [403, 404] {
            let mut last = next(None, status, 0);
            for (minute, pause) in [(1, 2), (3, 4), (7, 5), (12, 5), (17, 5)] {
                last = next(Some(&last), status, minute);
                assert_eq!((minutes(&last, minute), last.is_final), (Some(pause), false));
            }
            let many = Refusal { count: u32::MAX, ..last };
            assert_eq!((minutes(&many, 17), next(Some(&many), status, 60).count), (Some(5), u32::MAX));
        }
    }

    #[test]
    fn a_time_that_cannot_be_binds_nobody() {
        let refusal = next(None, 404, 10);
        let rest = |now_ms| refusal.rest(now_ms, 30_000).map(|rest| rest.as_millis());
        // A reader's clock may be a little behind the writer's.
        assert_eq!(rest(refusal.at_ms - 30_000), Some(60_000));
        assert_eq!(rest(refusal.at_ms - 30_001), None);
        for at_ms in [i64::MIN, i64::MAX] {
            assert_eq!(Refusal { at_ms, ..refusal.clone() }.rest(0, 30_000), None);
        }
    }
}
