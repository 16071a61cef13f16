//! What this handle holds of the store: looks into it, what it could not take, and what is current.
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use arc_swap::Guard;

use super::looks::Look;
use super::{Session, given, strip_scheme};
use crate::clock::Now;
use crate::drift::told;
use crate::error::{Error, Result, Status};
use crate::fork::ProcessMark;
use crate::grant::{Grant, MAX_AUTHOR};
use crate::log::{Journal, LogLevel};
use crate::random;
use crate::record::{Record, Tokens, Version};
use crate::redact::clean;
use crate::renewal::{early_after_doubt_ms, fingerprint};
use crate::schedule::{Life, Origin, Watch};
use crate::store::{Commit, Expected, Hurry};

/// Longer than a store takes to take a record, or to fail.
const LONGEST_SAVE_MS: i64 = 20_000;
/// How often a late save tries to come before others who change the store.
const SAVE_TRIES: usize = 3;

/// A record that the store could not take.
pub(super) struct Unsaved {
    record: Arc<Record>,
    /// What the store held when the login or the renewal began; None: nothing.
    seen: Option<Version>,
    process: ProcessMark,
}

/// What is to be done about an unsaved record, as the store is now.
enum Prospect {
    /// Nothing: it had been taken after all.
    Saved,
    /// It takes the place of this.
    Next(Expected),
    /// Nothing any more: what is there came later.
    Superseded,
}

impl Unsaved {
    pub(super) fn is_of_this_process(&self) -> bool {
        self.process == ProcessMark::current()
    }

    fn prospect(&self, present: Option<&Record>) -> Prospect {
        let Some(present) = present else {
            return Prospect::Next(Expected::Nothing);
        };
        let (ours, there) = (self.record.version, present.version);
        if self.record.origin == Origin::Login {
            // Renewals of the session that it was to replace, and tokens that only seed, are older wishes.
            let is_older = self.seen.map_or(present.origin == Origin::Given, |seen| seen.session == there.session);
            return match is_older {
                _ if there.session == ours.session => Prospect::Saved,
                true => Prospect::Next(Expected::Record(there)),
                false => Prospect::Superseded,
            };
        }
        if there.session != ours.session {
            Prospect::Superseded
        } else if there.generation < ours.generation {
            // What was seen, or what a store that was set back holds.
            Prospect::Next(Expected::Record(there))
        } else if present.tokens.refresh_token() == self.record.tokens.refresh_token() {
            Prospect::Saved
        } else {
            Prospect::Superseded
        }
    }
}

impl Session {
    /// Reads the store if nobody has yet, and gives an empty one the tokens that the caller gave. After a failure the
    /// same error stands for a while. The deadline is asked for only where the store is: a clock costs a getter more than
    /// the rest of its work.
    pub(super) fn read_once(&self, deadline: impl FnOnce() -> Instant) -> Result<()> {
        if self.is_read.load(Ordering::Acquire) {
            return Ok(());
        }
        match self.looks.standing(self.clock.now().mono_ms) {
            Some(error) => Err(error),
            None => self.read_store(deadline()),
        }
    }

    /// Takes over what the store holds.
    pub(super) fn read_store(&self, deadline: Instant) -> Result<()> {
        if !self.store.is_shared() {
            return Ok(());
        }
        if let Some(error) = self.displaced() {
            return Err(error);
        }
        let failures = self.looks.failures();
        let outcome = self.adopt_stored(deadline);
        self.looks.note(failures, outcome.as_ref().err(), self.clock.now().mono_ms);
        outcome
    }

    fn adopt_stored(&self, deadline: Instant) -> Result<()> {
        // What is kept here goes before what the store has.
        self.save(deadline, &self.log.journal())?;
        let grant = self.current.load_full();
        match self.store.load(deadline)? {
            Some(record) => drop(self.install(record, &grant)),
            None if grant.record.version.generation == 0 && !grant.record.tokens.is_none() => {
                let mut seed = Record::clone(&grant.record);
                seed.version.generation = 1;
                seed.notes.early_not_before_ms = early_after_doubt_ms(self.server_now().wall_ms);
                match self.store.commit(Expected::Nothing, seed, deadline)? {
                    Commit::Done(record) => {
                        self.install(record, &grant);
                        self.has_seeded.store(true, Ordering::Relaxed);
                    }
                    Commit::Outdated(record) => drop(self.install(record, &grant)),
                }
            }
            None => {}
        }
        self.is_read.store(true, Ordering::Release);
        Ok(())
    }

    /// Whether the store has something else than `grant` by now, if it is time to look. A store that is out of order has
    /// nothing.
    pub(super) fn has_changed(&self, grant: &Arc<Grant>, deadline: Instant) -> bool {
        if !self.store.is_shared() {
            return false;
        }
        let Some(_look) = self.look() else {
            return false;
        };
        self.read_store(deadline).is_ok() && !self.is_current(grant)
    }

    /// How long a caller that has a valid token, and is in a hurry, waits for the store.
    pub(super) fn early_until(&self, deadline: Instant) -> Instant {
        deadline.min(self.clock.instant() + self.store.habits().early_patience)
    }

    /// The right to look into the store, if it is time to.
    pub(super) fn look(&self) -> Option<Look<'_>> {
        self.look_for(Duration::ZERO)
    }

    /// The same, with a pause of that length after it, if the store does not want a longer one.
    pub(super) fn look_for(&self, pause: Duration) -> Option<Look<'_>> {
        let least = self.store.habits().look_pause.mul_f64(1.0 + 0.5 * random::fraction());
        self.looks.begin(&self.clock, pause.max(least))
    }

    /// The pair that the store could not take is current all the same, and is offered again at every later call.
    pub(super) fn keep_unsaved(
        &self,
        mut record: Record,
        seen: Option<Version>,
        why: &Error,
        held: &Arc<Grant>,
        journal: &Journal,
    ) -> Arc<Grant> {
        journal.tell(LogLevel::Error, || {
            format!("the new tokens are kept here only, and offered to the store again: {}", why.message())
        });
        let is_login = record.origin == Origin::Login;
        record.version.generation = seen.map_or(0, |seen| seen.generation).saturating_add(1);
        let record = Arc::new(record);
        let process = ProcessMark::current();
        self.unsaved.store(Some(Arc::new(Unsaved { record: record.clone(), seen, process })));
        if is_login {
            let grant = Arc::new(self.new_grant(record).of_unsaved_login());
            self.current.store(grant.clone());
            return grant;
        }
        let grant = self.install(record, held);
        grant.cool();
        grant
    }

    /// Offers the store what it could not take before; what could not be saved is good all the same. One thread at a
    /// time, and a store that is slow to refuse is left alone for as long as it took.
    pub(super) fn try_save(&self, deadline: Instant, journal: &Journal) {
        if self.unsaved.load().is_none() {
            return;
        }
        let began_ms = self.clock.now().mono_ms;
        let due_ms = self.save_again_ms.load(Ordering::Acquire);
        let while_at_it = began_ms.saturating_add(LONGEST_SAVE_MS);
        if began_ms >= due_ms
            && self.save_again_ms.compare_exchange(due_ms, while_at_it, Ordering::AcqRel, Ordering::Relaxed).is_ok()
        {
            let hurry = self.is_good(&self.current.load()).then(Hurry::enter);
            let _ = self.save(if hurry.is_some() { self.early_until(deadline) } else { deadline }, journal);
            drop(hurry);
            let ended_ms = self.clock.now().mono_ms;
            self.save_again_ms.store(ended_ms.saturating_add(ended_ms.saturating_sub(began_ms)), Ordering::Release);
        }
    }

    /// Offers the store what it could not take before. A child does as its parent: the store takes it once.
    pub(super) fn save(&self, deadline: Instant, journal: &Journal) -> Result<()> {
        let Some(unsaved) = self.unsaved.load_full() else {
            return Ok(());
        };
        for _ in 0..SAVE_TRIES {
            let present = self.store.load(deadline)?;
            let record = match (unsaved.prospect(present.as_deref()), present) {
                (Prospect::Next(expected), _) => {
                    match self.store.commit(expected, Record::clone(&unsaved.record), deadline)? {
                        Commit::Done(record) => record,
                        Commit::Outdated(_) => continue,
                    }
                }
                (Prospect::Superseded, Some(present)) => return self.give_way(&unsaved, present, journal),
                (_, Some(present)) => present,
                (_, None) => continue,
            };
            self.unsaved.store(None);
            journal.tell(LogLevel::Information, || "the store has taken the tokens".to_owned());
            self.settle(record);
            return Ok(());
        }
        let what = "the session store keeps changing while the tokens kept here are offered to it";
        Err(Error::new(Status::Store, what).retryable())
    }

    /// Drops unsaved tokens, since `present` came later. A login is not replaced by somebody else's without a word.
    fn give_way(&self, unsaved: &Unsaved, present: Arc<Record>, journal: &Journal) -> Result<()> {
        if unsaved.record.origin != Origin::Login {
            self.unsaved.store(None);
            journal.tell(LogLevel::Warning, || {
                "the session store holds something newer than the tokens kept here, which are dropped".to_owned()
            });
            self.settle(present);
            return Ok(());
        }
        let by = clean(&present.author.to_string(), &[], MAX_AUTHOR);
        let did = if present.is_tombstone() { "logged out" } else { "logged in" };
        let why = format!("the session store did not take the login made here, and {by} has {did} since; log in again");
        let error = Error::new(Status::NoToken, why);
        self.displaced.store(Some(error.clone().into()));
        self.unsaved.store(None);
        let nothing = Record { tokens: Tokens::none(), origin: Origin::Given, ..Record::clone(&unsaved.record) };
        self.current.store(self.new_grant(nothing.into()).of_unsaved_login().into());
        journal.tell(LogLevel::Error, || error.message().to_owned());
        Err(error)
    }

    /// Why there is nothing to hand out until the next login, if the last one got lost.
    pub(super) fn displaced(&self) -> Option<Error> {
        self.displaced.load().as_deref().cloned()
    }

    /// Makes the record that the store holds after a login, a logout or a late save current, ready to be handed out
    /// unseen.
    pub(super) fn settle(&self, record: Arc<Record>) {
        let mut held = self.current.load_full();
        while held.record.version == record.version || held.keeps_others_out {
            let grant = self.grant(record.clone());
            let previous = self.current.compare_and_swap(&held, grant.clone());
            if Arc::ptr_eq(&previous, &held) {
                self.keep_report(&held, &grant);
                return;
            }
            held = Guard::into_inner(previous);
        }
        self.install(record, &held);
    }

    /// Whether there are tokens here that the store has not taken.
    #[cfg(test)]
    pub(crate) fn has_unsaved(&self) -> bool {
        self.unsaved.load().is_some()
    }

    /// Whether the token of `grant` can be handed out.
    pub(super) fn is_good(&self, grant: &Grant) -> bool {
        grant.record.tokens.bearer().is_some()
            && !grant.is_rejected()
            && grant.schedule.life(self.clock.now()) != Life::Expired
    }

    fn grant(&self, record: Arc<Record>) -> Arc<Grant> {
        Arc::new(self.new_grant(record))
    }

    fn new_grant(&self, record: Arc<Record>) -> Grant {
        if self.store.is_shared()
            && let Some(offset_ms) = self.drift.see(&record, &self.clock)
        {
            self.log.journal().tell(LogLevel::Warning, || told(offset_ms));
        }
        let mut policy = self.policy;
        if self.drift.is_only_bounded() {
            // The token may end sooner than we can tell: what others do about it has to be seen.
            policy.watch = Watch::Always;
        }
        let now = self.clock.now();
        Grant::new(record, now, self.drift.offset_ms(), policy, self.place.clone())
    }

    /// By the server's clock, as far as it is known, and our monotonic one.
    pub(super) fn server_now(&self) -> Now {
        self.drift.server_time(self.clock.now())
    }

    /// Makes `record` current in the place of `seen`, or of something older. Gives back what is current then.
    pub(super) fn install(&self, record: Arc<Record>, seen: &Arc<Grant>) -> Arc<Grant> {
        let grant = self.grant(record);
        let mut present = self.current.load_full();
        loop {
            let (ours, theirs) = (grant.record.version, present.record.version);
            // Of two sessions the store says which is the other's successor; a look at the store may be an old one.
            let is_next = ours.session != theirs.session
                && grant.record.is_not_older(&present.record)
                && Arc::ptr_eq(&present, seen);
            // What somebody logs in with is not replaced before the store could be asked about it.
            let is_barred = ours.session != theirs.session && present.keeps_others_out;
            if is_barred || (ours.generation <= theirs.generation && !is_next) {
                return present;
            }
            let previous = self.current.compare_and_swap(&present, grant.clone());
            if Arc::ptr_eq(&previous, &present) {
                self.keep_report(&present, &grant);
                return grant;
            }
            present = Guard::into_inner(previous);
        }
    }

    /// A report of a token counts in the grant that comes in the place of another, too.
    fn keep_report(&self, before: &Grant, grant: &Grant) {
        let token = grant.record.tokens.token();
        // A server that gives the same token again has had its say.
        let is_stored = grant.record.version == before.record.version || grant.record.origin == Origin::Given;
        let was_rejected = is_stored && before.is_rejected() && before.record.tokens.token() == token;
        let was_reported = |token: &str| self.reported.load().as_deref().is_some_and(|it| *it == fingerprint(token));
        if was_rejected || token.is_some_and(was_reported) {
            grant.reject();
        }
    }

    /// A server turned `bearer` (or the bare token) away with 401. If it is the current one, it is not handed out
    /// again.
    pub fn report_rejected(&self, bearer: &str) -> Result<()> {
        let token = given("bearer", Some(strip_scheme(bearer)))?
            .ok_or_else(|| Error::new(Status::InvalidArgument, "bearer holds no token"))?;
        if !self.rejects(token) && !self.is_read.load(Ordering::Acquire) {
            // Another handle may have handed it out, from the store that this one has yet to read.
            self.reported.store(Some(fingerprint(token).into()));
            self.rejects(token);
        }
        Ok(())
    }

    /// Takes `token` out of use, if it is the current one.
    fn rejects(&self, token: &str) -> bool {
        let mut grant = self.current.load_full();
        if grant.record.tokens.token() != Some(token) {
            return false;
        }
        // The same token may come in a new grant meanwhile, when a late save succeeds.
        while !grant.is_rejected() && grant.record.tokens.token() == Some(token) {
            grant.reject();
            grant = self.current.load_full();
        }
        self.log.journal().tell(LogLevel::Warning, || {
            format!("a server turned the token of generation {} away", grant.record.version.generation)
        });
        true
    }
}
