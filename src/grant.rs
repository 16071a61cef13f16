//! A record ready to be handed out: with its schedule, and what was learnt of the token since.
#![forbid(unsafe_code)]

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use once_cell::race::OnceBox;

use crate::author::Author;
use crate::clock::Now;
use crate::error::{Error, Result, Status};
use crate::fork::ProcessMark;
use crate::platform::no_refresh_token;
use crate::record::{Record, UNKNOWN_MONO_MS};
use crate::redact::clean;
use crate::schedule::{Hot, Origin, Policy, Schedule};
use crate::token::{self, Payload};

/// Nobody has looked at the token yet.
const NOT_YET: u64 = 1 << 16;
/// No look makes the token good again.
const NO_MORE: u64 = 0;

/// How much is shown of where a session is, and of who ended it.
pub(crate) const MAX_PLACE: usize = 200;
pub(crate) const MAX_AUTHOR: usize = 80;
/// A date in HTTP has four digits for the year.
const LATEST: Duration = Duration::from_secs(253_402_300_799);

/// The current token of a handle.
pub(crate) struct Grant {
    /// The seconds in which the token is handed out without another look, as [`Hot`] packs them, or one of the above.
    hot: AtomicU64,
    is_rejected: AtomicBool,
    /// Whether it stands for a login that the store has not taken: no other session in the store takes its place by
    /// itself.
    pub(crate) keeps_others_out: bool,
    pub(crate) record: Arc<Record>,
    pub(crate) schedule: Schedule,
    /// The process that got the tokens: a forked child may not spend them.
    pub(crate) process: ProcessMark,
    /// Where the session is shared.
    place: Option<Arc<str>>,
    // A race instead of a lock: a lock could be held by another thread when the process forks.
    payload: OnceBox<Result<Payload>>,
}

impl Grant {
    /// `record`, as it came into this handle's hands `now`.
    pub(crate) fn new(record: Arc<Record>, now: Now, offset_ms: i64, policy: Policy, place: Option<Arc<str>>) -> Self {
        let times = record.tokens.token().map(token::times).unwrap_or_default();
        let now = Now { wall_ms: now.wall_ms.saturating_add(offset_ms), ..now };
        let is_ours = record.author == Author::here() && record.received.mono_ms != UNKNOWN_MONO_MS;
        let received = if is_ours { record.received } else { by_our_clock(record.received.wall_ms, now) };
        let mut schedule = Schedule::new(times, record.origin, received, offset_ms, policy);
        // What others got, or a caller, came when the clock may have been ahead. A renewal too early is no harm; but
        // without a refresh token a good token would be lost.
        if record.origin != Origin::Given && (is_ours || record.tokens.refresh_token().is_some()) {
            schedule = schedule.since(if is_ours { received } else { now });
        }
        Grant {
            hot: AtomicU64::new(if record.tokens.bearer_bytes().is_some() { NOT_YET } else { NO_MORE }),
            is_rejected: AtomicBool::new(false),
            keeps_others_out: false,
            record,
            schedule,
            process: ProcessMark::current(),
            place,
            payload: OnceBox::new(),
        }
    }

    /// The same, for a login that the store has not taken: each call offers it again.
    pub(crate) fn of_unsaved_login(self) -> Self {
        self.cool();
        Grant { keeps_others_out: true, ..self }
    }

    /// Whether the token can be handed out at this second without another look.
    #[inline]
    pub(crate) fn is_hot(&self, coarse_s: i64) -> bool {
        Hot::has(self.hot.load(Ordering::Acquire), coarse_s)
    }

    /// Notes that the token was fresh at this time.
    pub(crate) fn warm(&self, now: Now) {
        let (before, hot) = (self.hot.load(Ordering::Acquire), self.schedule.hot(now));
        if before != NO_MORE && hot != Hot::NEVER {
            // A report that comes meanwhile has the last word.
            let _ = self.hot.compare_exchange(before, hot.to_bits(), Ordering::AcqRel, Ordering::Relaxed);
        }
    }

    /// Not to be handed out without another look.
    pub(crate) fn cool(&self) {
        self.hot.store(NO_MORE, Ordering::Release);
    }

    /// The server turned the token away.
    pub(crate) fn reject(&self) {
        self.is_rejected.store(true, Ordering::Release);
        self.cool();
    }

    /// Whether somebody reported the token.
    pub(crate) fn is_rejected(&self) -> bool {
        self.is_rejected.load(Ordering::Acquire)
    }

    /// The access token.
    pub(crate) fn token(&self) -> Result<&str> {
        self.record.tokens.token().ok_or_else(|| self.no_token())
    }

    /// The error of a caller that asks for a token that is not there.
    pub(crate) fn no_token(&self) -> Error {
        no_token(&self.record, self.place.as_deref())
    }

    /// The error of a caller that asks for a refresh token that is not there.
    pub(crate) fn no_refresh_token(&self) -> Error {
        if self.record.tokens.is_none() {
            return Error::new(Status::NoRefreshToken, why_no_token(&self.record, self.place.as_deref()));
        }
        no_refresh_token()
    }

    /// The payload, decoded once.
    pub(crate) fn payload(&self) -> Result<&Payload> {
        let token = self.token()?;
        self.payload.get_or_init(|| Box::new(token::decode(token))).as_ref().map_err(Clone::clone)
    }
}

/// What somebody else got at that time of the server's clock, by our monotonic one. Nothing comes from the future.
fn by_our_clock(wall_ms: i64, now: Now) -> Now {
    let age_ms = now.wall_ms.saturating_sub(wall_ms).max(0);
    Now { wall_ms: wall_ms.min(now.wall_ms), mono_ms: now.mono_ms.saturating_sub(age_ms) }
}

/// Nothing to hand out, since this is the record that is there, or in the store at `place`.
pub(crate) fn no_token(record: &Record, place: Option<&str>) -> Error {
    Error::new(Status::NoToken, why_no_token(record, place))
}

fn why_no_token(record: &Record, place: Option<&str>) -> String {
    let place = place.map(|place| clean(place, &[], MAX_PLACE));
    if record.is_tombstone() {
        let (by, at) = (clean(&record.author.to_string(), &[], MAX_AUTHOR), http_date(record.received.wall_ms));
        let of = place.map(|place| format!(" of the session store {place}")).unwrap_or_default();
        return format!("there is no token: {by} logged out{of} at {at}; log in again");
    }
    match place {
        Some(place) => format!("there is no token: the session store {place} is empty; log in first"),
        None => {
            "there is no token: log in first; the config names no \"store\", so no login of another process counts \
                 here"
                .to_owned()
        }
    }
}

/// A time as people and HTTP write it.
fn http_date(wall_ms: i64) -> String {
    let since = Duration::from_millis(u64::try_from(wall_ms).unwrap_or_default());
    // What is shown is bounded by what can be.
    httpdate::fmt_http_date(UNIX_EPOCH + since.min(LATEST))
}

impl fmt::Debug for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grant").field("generation", &self.record.version.generation).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;
    use crate::record::{Notes, Tokens, Version};
    use crate::schedule::{Life, Watch};
    use crate::wrong_clocks::WrongClocks;

    const POLICY: Policy = Policy { renew_before_ms: 900_000, jitter: 1.0, watch: Watch::Never };
    const AT: Now = Now { wall_ms: 1_000_000_000, mono_ms: 5_000 };

    /// A token for an hour.
    fn grant(origin: Origin, pid: u32, refresh_token: Option<&str>) -> Grant {
        let iat = AT.wall_ms / 1000;
        let payload = URL_SAFE_NO_PAD.encode(format!(r#"{{"iat":{iat},"exp":{}}}"#, iat + 3600));
        let record = Record {
            version: Version { session: 1, generation: 1 },
            tokens: Tokens::new(Some(&format!("e30.{payload}.c2ln")), refresh_token, None, None).unwrap(),
            origin,
            received: AT,
            author: Author { pid, ..Author::here() },
            notes: Notes::default(),
            clocks: WrongClocks::default(),
        };
        Grant::new(Arc::new(record), AT, 0, POLICY, None)
    }

    #[test]
    fn a_clock_that_is_set_back_hides_no_end_of_a_token_that_can_be_renewed() {
        let set_back = Now { wall_ms: AT.wall_ms + 600_000, mono_ms: AT.mono_ms + 3_600_000 };
        let (we, another) = (std::process::id(), std::process::id() + 1);
        for (origin, pid, refresh_token, life) in [
            (Origin::Login, we, None, Life::Expired),
            (Origin::Renewal, we, Some("r"), Life::Expired),
            (Origin::Login, another, Some("r"), Life::Expired),
            (Origin::Renewal, another, Some("r"), Life::Expired),
            (Origin::Renewal, another, None, Life::Fresh),
            (Origin::Given, we, Some("r"), Life::Fresh),
            (Origin::Given, another, Some("r"), Life::Fresh),
        ] {
            let grant = grant(origin, pid, refresh_token);
            assert_eq!(grant.schedule.life(set_back), life, "{origin:?}, {pid}, {refresh_token:?}");
        }
    }

    #[test]
    fn a_look_warms_and_a_report_cools_for_good() {
        let grant = grant(Origin::Login, 1, Some("r"));
        let second = AT.wall_ms / 1000;
        assert!(!grant.is_hot(second), "nobody has looked yet");
        grant.warm(AT);
        assert!(grant.is_hot(second) && grant.is_hot(second + 58) && !grant.is_hot(second + 59));
        assert!(!grant.is_hot(second - 2), "set back before the look");
        let later = Now { wall_ms: AT.wall_ms + 60_000, mono_ms: AT.mono_ms + 60_000 };
        grant.warm(later);
        assert!(grant.is_hot(second + 60) && !grant.is_hot(second + 10));
        grant.reject();
        grant.warm(later);
        assert!(!grant.is_hot(second + 60));
    }
}
