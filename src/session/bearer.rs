//! The token to send: handed out as it is, or renewed before.
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use arc_swap::Guard;

use super::{Counts, Current, Session};
use crate::author::Author;
use crate::clock::Now;
use crate::error::{Error, Result, Status};
use crate::fork::ProcessMark;
use crate::gate::{Admission, Failure, Turn};
use crate::grant::Grant;
use crate::log::{Journal, LogLevel};
use crate::random;
use crate::renewal::{Renewed, Wish};
use crate::schedule::Life;
use crate::store::Hurry;

/// A rest for longer than this spares the store looks at it.
const LONG_REST: Duration = Duration::from_secs(5);

/// What a look at the current token asks for.
enum Need {
    /// Hand it out.
    Nothing,
    /// Hand it out, unless somebody else has renewed it.
    Look,
    /// Hand it out, and renew it if nobody else does.
    EarlyRenewal,
    /// There is nothing else to hand out.
    Renewal,
}

impl Session {
    /// The token to send, renewed if it is time to. On a valid token this takes no lock, allocates nothing and makes no
    /// system call.
    #[inline]
    pub fn bearer(&self) -> Result<Current> {
        match self.bearer_at(self.clock.coarse_s()) {
            Some(current) => Ok(current),
            None => self.bearer_slow().map(|grant| Current(Guard::from_inner(grant))),
        }
    }

    /// The current token, if it can be handed out at this second of the machine's clock, read coarsely, without another
    /// look.
    #[inline]
    pub(crate) fn bearer_at(&self, coarse_s: i64) -> Option<Current> {
        let current = self.current.load();
        current.is_hot(coarse_s).then_some(Current(current))
    }

    #[cold]
    fn bearer_slow(&self) -> Result<Arc<Grant>> {
        let journal = self.log.journal();
        let deadline = self.deadline();
        if !self.is_read.load(Ordering::Acquire) {
            let grant = self.current.load_full();
            let outcome = if self.is_good(&grant) {
                // A store that is down costs nothing while there is a valid token.
                let Some(_look) = self.look() else {
                    return Ok(grant);
                };
                let _hurry = Hurry::enter();
                self.read_store(self.early_until(deadline))
            } else {
                self.read_once(|| deadline)
            };
            if let Err(error) = outcome {
                journal.tell(LogLevel::Warning, || error.message().to_owned());
                // The store may have taken its time.
                let grant = self.current.load_full();
                return if self.is_good(&grant) { Ok(grant) } else { Err(error) };
            }
        }
        self.try_save(deadline, &journal);
        let mut may_try_early = true;
        loop {
            let grant = self.current.load_full();
            let now = self.clock.now();
            let need = match self.need(&grant, now) {
                Ok(need) => need,
                Err(_) if self.has_changed(&grant, deadline) => continue,
                Err(error) => return Err(self.displaced().unwrap_or(error)),
            };
            match need {
                Need::Nothing => {
                    self.warn_of_exp(&grant, &journal);
                    grant.warm(now);
                    return Ok(grant);
                }
                Need::Look => {
                    let pause = grant.schedule.watch_pause(now);
                    let Some(_look) = may_try_early.then(|| self.look_for(pause)).flatten() else {
                        return Ok(grant);
                    };
                    may_try_early = false;
                    // A store that is down costs nothing; the next round looks whether the token is still valid.
                    let _hurry = Hurry::enter();
                    let _ = self.read_store(self.early_until(deadline));
                }
                Need::EarlyRenewal => {
                    let Some(mut look) = may_try_early.then(|| self.look()).flatten() else {
                        return Ok(grant);
                    };
                    may_try_early = false;
                    let version = grant.record.version;
                    let gate = self.gate.get();
                    if let Some(turn) = gate.try_turn(|state| state.is_early_held(version, now.mono_ms))
                        && self.is_current(&grant)
                    {
                        // A failure costs nothing while the token is valid; the next round looks whether it still is.
                        let wish = Wish { project: None, is_early: true, is_explicit: false, deadline };
                        if let Ok(Some(rest)) = self.renew(&turn, &grant, wish, &journal)
                            && rest > LONG_REST
                        {
                            // Not all at the same moment.
                            look.rest(rest.mul_f64(1.0 + 0.1 * random::fraction()));
                        }
                    }
                }
                Need::Renewal => match self.must_renew(&grant, now, deadline, &journal) {
                    Ok(()) => {}
                    Err(error) if may_stand_in(&grant, self.clock.now(), &error) => return Ok(grant),
                    Err(error) => return Err(error),
                },
            }
        }
    }

    /// A token whose end can't be read is handed out as if it had none, and never renewed: somebody should know.
    fn warn_of_exp(&self, grant: &Grant, journal: &Journal) {
        if grant.schedule.is_exp_unreadable()
            && journal.wants(LogLevel::Warning)
            && !self.has_warned_of_exp.swap(true, Ordering::Relaxed)
        {
            journal.tell(LogLevel::Warning, || {
                "the token's exp is no number, so that nobody knows when to renew it: it is handed out until a server \
                 rejects it; ask its issuer for seconds since 1970"
                    .to_owned()
            });
        }
    }

    /// Renews, or waits until somebody else has tried; then it is time to look again.
    fn must_renew(&self, grant: &Arc<Grant>, now: Now, deadline: Instant, journal: &Journal) -> Result<()> {
        let gate = self.gate.get();
        let version = grant.record.version;
        match gate.turn_or_wait(deadline, |state| state.late_error(version, now.mono_ms)) {
            Admission::Turn(turn) if self.is_current(grant) => {
                let wish = Wish { project: None, is_early: false, is_explicit: false, deadline };
                self.renew(&turn, grant, wish, journal).map(drop)
            }
            Admission::Turn(_) => Ok(()),
            Admission::Waited => {
                Counts::add(&self.counts.joined);
                Ok(())
            }
            // Another process may have had more luck meanwhile.
            Admission::Held(_) if self.has_changed(grant, deadline) => Ok(()),
            Admission::Held(error) => Err(error),
        }
    }

    fn need(&self, grant: &Grant, now: Now) -> Result<Need> {
        let tokens = &grant.record.tokens;
        if tokens.bearer().is_none() {
            if tokens.refresh_token().is_none() {
                return Err(grant.no_token());
            }
            self.check_may_spend(grant)?;
            return Ok(Need::Renewal);
        }
        let life = grant.schedule.life(now);
        if life == Life::Expired && tokens.refresh_token().is_none() {
            return Err(Error::new(
                Status::TokenExpired,
                "the token has expired, and there is no refresh token to renew it with; log in again",
            ));
        }
        if life == Life::Expired || grant.is_rejected() {
            self.check_may_spend(grant)?;
            return Ok(Need::Renewal);
        }
        match life {
            Life::Watched => Ok(Need::Look),
            Life::Due if self.check_may_spend(grant).is_ok() => Ok(Need::EarlyRenewal),
            _ => Ok(Need::Nothing),
        }
    }

    /// Whether there is a refresh token that this process may spend.
    pub(super) fn check_may_spend(&self, grant: &Grant) -> Result<()> {
        if grant.record.tokens.refresh_token().is_none() {
            return Err(grant.no_refresh_token());
        }
        if !self.store.is_shared() && grant.process != ProcessMark::current() {
            return Err(Error::new(
                Status::Forked,
                "a forked child may not spend its parent's refresh token: log in again here, or share the session by the config key \"store\"",
            ));
        }
        Ok(())
    }

    /// Renews the session of `grant` and makes the outcome current, or notes the failure. Gives how long everybody was
    /// asked to wait, if that is why nothing was done.
    pub(super) fn renew(
        &self,
        turn: &Turn,
        grant: &Arc<Grant>,
        wish: Wish,
        journal: &Journal,
    ) -> Result<Option<Duration>> {
        let began = self.clock.now();
        let was_late = grant.is_rejected()
            || grant.record.tokens.bearer().is_none()
            || grant.schedule.life(began) == Life::Expired;
        let outcome = self.renew_until_valid(grant, wish, journal);
        if let Err(error) = &outcome {
            if was_late || wish.is_explicit {
                journal.tell(LogLevel::Error, || format!("renewal failed: {}", error.message()));
            } else {
                journal.tell(LogLevel::Warning, || {
                    format!("early renewal failed, the token in hand is still valid: {}", error.message())
                });
            }
            // What failed may be the second round, on a newer record.
            let grant = self.current.load_full();
            turn.note(Failure {
                version: grant.record.version,
                scope: wish.project.or(grant.record.tokens.scope.as_deref()).map(str::to_owned),
                error: error.clone(),
                now_ms: self.clock.now().mono_ms,
                early_pause_ms: grant.schedule.early_pause_ms(error.retry_after()),
                was_late,
                was_elsewhere: wish
                    .project
                    .is_some_and(|project| grant.record.tokens.scope.as_deref() != Some(project)),
            });
        }
        outcome
    }

    /// A renewal whose token has already run out (a lost answer that is given again, late) is followed by one more.
    fn renew_until_valid(&self, grant: &Arc<Grant>, wish: Wish, journal: &Journal) -> Result<Option<Duration>> {
        self.save(wish.deadline, journal)?;
        if !self.is_current(grant) {
            return Ok(None);
        }
        let mut grant = grant.clone();
        // Once, whatever comes of it: a short timeout_ms must not be spent on waiting again and again.
        let mut is_doubtful = !wish.is_early && self.has_seeded.swap(false, Ordering::Relaxed);
        for round in [1, 2] {
            let rest_ms = |error: &Error| grant.schedule.early_pause_ms(error.retry_after());
            grant = match self.renewal(wish.deadline, wish.is_early, journal).run(
                &grant.record,
                wish,
                std::mem::take(&mut is_doubtful),
                rest_ms,
            )? {
                Renewed::Held(rest) => return Ok(rest),
                Renewed::Made(record) => {
                    Counts::add(&self.counts.made);
                    journal
                        .tell(LogLevel::Information, || format!("renewed: generation {}", record.version.generation));
                    self.install(record, &grant)
                }
                Renewed::Adopted(record) => {
                    Counts::add(&self.counts.adopted);
                    journal.tell(LogLevel::Information, || {
                        let Author { host, pid, .. } = &record.author;
                        format!("taken over: generation {}, by process {pid} on {host}", record.version.generation)
                    });
                    self.install(record, &grant)
                }
                Renewed::Unsaved { record, seen, error } => self.keep_unsaved(*record, seen, &error, &grant, journal),
            };
            if grant.record.tokens.bearer().is_none() {
                return Err(grant.no_token());
            }
            if grant.schedule.life(self.clock.now()) != Life::Expired {
                return Ok(None);
            }
            if round == 2 || grant.record.tokens.refresh_token().is_none() {
                break;
            }
        }
        Err(Error::new(Status::TokenExpired, "the server's new token has already expired; check this machine's clock"))
    }
}

/// Whether a rejected token is better than this error: the server that could renew it can't be reached.
fn may_stand_in(grant: &Grant, now: Now, error: &Error) -> bool {
    let is_unreachable =
        error.http_status() == 0 && matches!(error.status(), Status::Connect | Status::Timeout | Status::Tls);
    is_unreachable
        && !error.is_our_delay()
        && grant.record.tokens.bearer().is_some()
        && grant.schedule.life(now) != Life::Expired
}
