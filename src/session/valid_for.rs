//! A token that is good for at least some time: for long uploads, and for those who hand it on.
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::Guard;

use super::{Counts, Current, Session};
use crate::error::{Error, Result};
use crate::gate::Admission;
use crate::grant::Grant;
use crate::renewal::{Wish, early_after_doubt_ms};

/// A token with this much left is handed out although its renewal failed.
const ENOUGH_S: i64 = 60;

impl Session {
    /// As [`Session::bearer`], and renews first if less than `min_valid` is left. Where the server's tokens don't live
    /// that long, it gives the newest; [`Current::expires_at`] says what that has. If the renewal fails, it gives the
    /// valid token as long as that has a minute left.
    pub fn bearer_valid_for(&self, min_valid: Duration) -> Result<Current> {
        let min_valid_s = i64::try_from(min_valid.as_millis().div_ceil(1000)).unwrap_or(i64::MAX);
        let current = self.bearer()?;
        if self.lasts(&current.0, min_valid_s) { Ok(current) } else { self.renewed_for(min_valid_s) }
    }

    /// Whole seconds until this token expires, by the server's clock; negative afterwards. None when the token does not
    /// say.
    pub fn seconds_left(&self, current: &Current) -> Option<i64> {
        current.0.schedule.seconds_left(self.clock.now())
    }

    /// How long until [`Session::bearer`] would renew this token, nothing when it is time; None when the token does not
    /// say when it expires.
    pub fn until_renewal(&self, current: &Current) -> Option<Duration> {
        let (schedule, now) = (&current.0.schedule, self.clock.now());
        schedule.seconds_left(now)?;
        Some(Duration::from_millis(schedule.fresh_for_ms(now).try_into().unwrap_or(0)))
    }

    fn lasts(&self, grant: &Grant, min_valid_s: i64) -> bool {
        grant.schedule.seconds_left(self.clock.now()).is_none_or(|left| left >= min_valid_s)
    }

    #[cold]
    fn renewed_for(&self, min_valid_s: i64) -> Result<Current> {
        let journal = self.log.journal();
        let deadline = self.deadline();
        let gate = self.gate.get();
        let turns = gate.turns();
        let mut is_renewed = false;
        loop {
            let grant = self.current.load_full();
            let now = self.clock.now();
            if is_renewed || grant.schedule.is_new(now) || self.lasts(&grant, min_valid_s) {
                return self.if_good(grant);
            }
            let has_enough = self.has_enough(&grant);
            if let Err(error) = self.check_may_spend(&grant) {
                return self.unless_enough(error);
            }
            // Others who ask at once join; a renewal that has just failed is left alone.
            let version = grant.record.version;
            let admission = gate.turn_or_wait(deadline, |state| {
                let since_we_ask = state.error_since(turns, grant.record.tokens.scope.as_deref());
                since_we_ask
                    .or_else(|| state.early_error(version, now.mono_ms))
                    .or_else(|| state.late_error(version, now.mono_ms))
            });
            let outcome = match admission {
                Admission::Turn(turn) if self.is_current(&grant) => {
                    if has_enough && self.others_failed(deadline) {
                        drop(turn);
                        return self.if_good(grant);
                    }
                    is_renewed = true;
                    let wish = Wish { project: None, is_early: false, is_explicit: false, deadline };
                    self.renew(&turn, &grant, wish, &journal).map(drop)
                }
                Admission::Turn(_) => Ok(()),
                Admission::Waited => {
                    Counts::add(&self.counts.joined);
                    Ok(())
                }
                Admission::Held(error) => Err(error),
            };
            if let Err(error) = outcome {
                return self.unless_enough(error);
            }
        }
    }

    /// Whether the token is good for long enough to do without a renewal that fails.
    fn has_enough(&self, grant: &Grant) -> bool {
        self.is_good(grant) && self.lasts(grant, ENOUGH_S)
    }

    /// Whether the record asks everybody to wait after a failure. One that was put there to be doubted asks for less.
    fn others_failed(&self, deadline: Instant) -> bool {
        let now_ms = self.server_now().wall_ms;
        let doubt = early_after_doubt_ms(now_ms).saturating_sub(now_ms).unsigned_abs();
        self.store.is_shared()
            && self.store.load(deadline).is_ok_and(|record| {
                let rest = record.and_then(|record| record.notes.early_rest(now_ms, self.drift.leeway_ms()));
                rest.is_some_and(|rest| rest > Duration::from_millis(doubt))
            })
    }

    fn unless_enough(&self, error: Error) -> Result<Current> {
        let grant = self.current.load_full();
        if self.has_enough(&grant) { Ok(Current(Guard::from_inner(grant))) } else { Err(error) }
    }

    /// What became of the session meanwhile decides: somebody may have logged out.
    fn if_good(&self, grant: Arc<Grant>) -> Result<Current> {
        if self.is_good(&grant) { Ok(Current(Guard::from_inner(grant))) } else { self.bearer() }
    }
}
