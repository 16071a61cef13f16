//! The renewal procedure: what is done, in which order, to turn one record into the next. It does not know which
//! store it has.
#![forbid(unsafe_code)]

mod spend;

use std::sync::Arc;
use std::time::{Duration, Instant};

use ring::digest::{SHA256, digest};

use crate::author::Author;
use crate::clock::{Clock, millis};
use crate::drift::{Drift, Heard, told};
use crate::error::{Error, Result, Status};
use crate::failpoint::reach;
use crate::grant::{MAX_AUTHOR, MAX_PLACE, no_token};
use crate::log::{Journal, LogLevel};
use crate::platform::{Platform, Received};
use crate::record::{Intent, Notes, Record, Tokens, Version};
use crate::redact::clean;
use crate::schedule::Origin;
use crate::store::{Commit, Expected, Store};

/// The longest that one renewal takes.
pub(crate) const LONGEST: Duration = Duration::from_secs(60);
/// A renewal is not begun with less time than this, or half of `timeout_ms`.
const SHORTEST: Duration = Duration::from_secs(3);
/// How much longer the lock is ours than the renewal takes.
const LOCK_MARGIN: Duration = Duration::from_secs(5);
/// How long we wait for somebody else to bring back a store that has come back empty.
const EMPTY_STORE_PAUSE: Duration = Duration::from_secs(2);
/// How often a logout looks again because somebody renews at the same time.
const LAST_LOOKS: usize = 3;
/// How long to wait for what may come any moment.
const RETRY_PAUSE: Duration = Duration::from_millis(200);

/// What a renewal works with.
pub(crate) struct Renewal<'a> {
    pub(crate) platform: &'a Platform,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: &'a Clock,
    pub(crate) drift: &'a Drift,
    pub(crate) journal: &'a Journal<'a>,
    pub(crate) timeout: Duration,
    /// The end of the call.
    pub(crate) deadline: Instant,
    /// Whether the caller has a valid token, and waits for the store only so long.
    pub(crate) is_early: bool,
}

/// What is asked for.
#[derive(Clone, Copy)]
pub(crate) struct Wish<'a> {
    /// The project to scope the session to; None keeps whatever scope it has.
    pub(crate) project: Option<&'a str>,
    /// Whether the token is still valid: then nobody waits for anything.
    pub(crate) is_early: bool,
    /// Whether the caller wants it even if the refresh token was refused before.
    pub(crate) is_explicit: bool,
    pub(crate) deadline: Instant,
}

/// What a renewal waits for until its time is up.
#[derive(Clone, Copy)]
enum Obstacle {
    TooLate,
    Held,
    Lost,
}

/// How a renewal ended well.
#[derive(Debug)]
pub(crate) enum Renewed {
    /// We made this record.
    Made(Arc<Record>),
    /// Somebody else made this one.
    Adopted(Arc<Record>),
    /// Somebody else is at it, or asked everybody to wait for so long.
    Held(Option<Duration>),
    /// We have this record, and the store could not take it.
    Unsaved { record: Box<Record>, seen: Option<Version>, error: Error },
}

impl Renewal<'_> {
    /// The record after `seen`. `is_doubtful`: others may hold something newer than the store does. `rest_ms` says how
    /// long early renewals rest after this error.
    pub(crate) fn run(
        &self,
        seen: &Record,
        wish: Wish,
        mut is_doubtful: bool,
        rest_ms: impl Fn(&Error) -> i64,
    ) -> Result<Renewed> {
        let floor = SHORTEST.min(self.timeout / 2);
        let latest = wish.deadline.checked_sub(floor);
        let mut obstacle = Obstacle::TooLate;
        let mut holder = None;
        loop {
            let now = self.clock.instant();
            let Some(latest) = latest.filter(|latest| now <= *latest) else {
                return Err(self.stopped_by(obstacle, holder.as_ref()));
            };
            // Most who come have only to look: the lock is for the one who renews.
            if let Some(present) = self.store.load(self.deadline)? {
                holder = present.notes.intent.as_ref().map(|intent| intent.author.clone());
                if let Some(look) = self.look(&present, seen, wish)? {
                    return Ok(look);
                }
                if !present.is_not_older(seen) {
                    // Without the lock: who has it may be waiting for just this.
                    self.put_back(seen, Expected::Record(present.version))?;
                    if wish.is_early {
                        return Ok(Renewed::Held(None));
                    }
                    is_doubtful = seen.version.generation > 0;
                    continue;
                }
            }
            let budget = wish.deadline.saturating_duration_since(now).min(LONGEST);
            // In slices, so that what the holder achieves is seen by all who wait, and not by one after the other.
            let wait_until = (!wish.is_early).then(|| latest.min(now + self.store.habits().lock_slice));
            let Some(lock) = self.store.lock(budget + LOCK_MARGIN, wait_until, self.deadline)? else {
                if wish.is_early {
                    return Ok(Renewed::Held(None));
                }
                self.debug("another process has the renewal lock; waiting for it");
                obstacle = Obstacle::Held;
                continue;
            };
            reach("locked");
            self.debug("the renewal lock is taken");
            let deadline = wish.deadline.min(self.clock.instant() + budget);
            let present = self.store.load(self.deadline)?;
            if present.is_none() {
                self.put_back(seen, Expected::Nothing)?;
                is_doubtful = seen.version.generation > 0;
            }
            if is_doubtful && wish.is_early {
                return Ok(Renewed::Held(None));
            }
            if is_doubtful {
                // Somebody may hold something newer than what we have put back, and sees now that it is needed.
                // Of a short call's time a part only.
                let left = latest.saturating_duration_since(self.clock.instant());
                self.clock.sleep(EMPTY_STORE_PAUSE.min(left / 2));
                is_doubtful = false;
                continue;
            }
            let Some(present) = present.filter(|present| present.is_not_older(seen)) else {
                continue;
            };
            if let Some(look) = self.look(&present, seen, wish)? {
                return Ok(look);
            }
            let Some(pause) = self.others_pause(&present, wish) else {
                // What the lock and a slow store took may be too much.
                if wish.deadline.saturating_duration_since(self.clock.instant()) < floor / 2 {
                    return Err(self.stopped_by(obstacle, holder.as_ref()));
                }
                match self.spend(&present, lock, wish.project, deadline, &rest_ms)? {
                    Some(renewed) => return Ok(renewed),
                    None => {
                        self.debug("the renewal lock was lost; looking again");
                        obstacle = Obstacle::Lost;
                    }
                }
                continue;
            };
            // Somebody gave the lock back with an answer in hand that the store did not take. They get time for it.
            drop(lock);
            if wish.is_early {
                return Ok(Renewed::Held(None));
            }
            self.debug("another process may still wait for the answer to its request; waiting for it");
            obstacle = Obstacle::Held;
            self.clock.sleep(pause);
        }
    }

    /// What a look at the record is enough for, if it is.
    fn look(&self, present: &Arc<Record>, seen: &Record, wish: Wish) -> Result<Option<Renewed>> {
        if !present.is_not_older(seen) {
            return Ok(None);
        }
        self.tell_offset(self.drift.see(present, self.clock));
        if present.version != seen.version && self.is_usable(present, wish) {
            return Ok(Some(Renewed::Adopted(present.clone())));
        }
        let now_ms = self.server_ms();
        if !wish.is_explicit
            && let Some(refusal) = &present.notes.refusal
            && let Some(rest) = refusal.rest(now_ms, self.drift.leeway_ms())
        {
            return Err(self.platform.refused_elsewhere(refusal, rest, self.journal));
        }
        let rest = present.notes.early_rest(now_ms, self.drift.leeway_ms()).filter(|_| wish.is_early);
        Ok(rest.map(|rest| Renewed::Held(Some(rest))))
    }

    /// Logs in by `login`, under the lock of the store.
    pub(crate) fn begin_session(
        &self,
        deadline: Instant,
        session: u64,
        login: impl FnOnce() -> Result<Received>,
    ) -> Result<Renewed> {
        let left = deadline.saturating_duration_since(self.clock.instant());
        let Some(_lock) = self.store.lock(left.min(LONGEST) + LOCK_MARGIN, Some(deadline), deadline)? else {
            return Err(self.stopped_by(Obstacle::Held, None));
        };
        let before = self.store.load(self.deadline)?;
        let seen = before.as_ref().map(|record| record.version);
        self.store.prepare(self.deadline)?;
        let Received { tokens, heard } = login()?;
        self.learn(Origin::Login, heard);
        let record = self.record(session, tokens, Origin::Login, before.as_deref());
        match self.commit_with_patience(Expected::Anything, &record, deadline) {
            Ok(Commit::Done(record) | Commit::Outdated(record)) => Ok(Renewed::Made(record)),
            Err(error) => Ok(Renewed::Unsaved { record: Box::new(record), seen, error }),
        }
    }

    /// The record of a session that somebody gives, in the place of whatever was there.
    pub(crate) fn replace(&self, session: u64, tokens: Tokens) -> Result<Arc<Record>> {
        match self.store.commit(Expected::Anything, self.record(session, tokens, Origin::Given, None), self.deadline)? {
            Commit::Done(record) | Commit::Outdated(record) => Ok(record),
        }
    }

    /// The record of no session in the place of whatever was there, and what was there last, if the server wants to be
    /// told of its end.
    pub(crate) fn end_session(&self, session: u64) -> Result<(Arc<Record>, Option<Arc<Record>>)> {
        let tombstone = self.record(session, Tokens::none(), Origin::Login, None);
        let mut last = match self.platform.takes_logout() {
            // The session can be ended without it.
            true => self.store.load(self.deadline).ok().flatten(),
            false => None,
        };
        // Somebody may renew meanwhile: then the newer tokens are the ones that have to end.
        for _ in 0..LAST_LOOKS {
            let Some(seen) = &last else { break };
            match self.store.commit(Expected::Record(seen.version), tombstone.clone(), self.deadline) {
                Ok(Commit::Done(tombstone)) => return Ok((tombstone, last)),
                Ok(Commit::Outdated(newer)) => last = Some(newer),
                Err(_) => break,
            }
        }
        match self.store.commit(Expected::Anything, tombstone, self.deadline)? {
            Commit::Done(tombstone) | Commit::Outdated(tombstone) => Ok((tombstone, last)),
        }
    }

    /// Whether somebody else's record makes a renewal needless.
    fn is_usable(&self, record: &Record, wish: Wish) -> bool {
        let now_ms = self.server_ms();
        let expires = record.tokens.token().and_then(|token| crate::token::times(token).exp_ms);
        record.tokens.is_none()
            || (wish.project.is_none_or(|project| record.tokens.scope.as_deref() == Some(project))
                && record.tokens.bearer().is_some()
                && expires.is_none_or(|exp| now_ms < exp))
    }

    /// How long to wait, at most for a moment, for somebody who may still be busy with the refresh token of `record`, or
    /// have an answer that the store did not take.
    fn others_pause(&self, record: &Record, wish: Wish) -> Option<Duration> {
        let intent = record.notes.intent.as_ref()?;
        let is_of_this = intent.spends == fingerprint(record.tokens.refresh_token()?);
        let is_running = intent.author.is_running();
        if !is_of_this || intent.is_given_up() || is_running == Some(false) {
            return None;
        }
        let left_ms = intent.deadline_ms.saturating_sub(self.server_ms());
        let left = u64::try_from(left_ms).ok().filter(|ms| *ms > 0).map(Duration::from_millis);
        // A clock that is a little behind makes nobody doubt it, and one that is wrong makes nobody wait for hours.
        let longest = LONGEST + Duration::from_millis(self.drift.leeway_ms().unsigned_abs());
        if let Some(left) = left.filter(|left| *left <= longest) {
            return Some(left.min(RETRY_PAUSE));
        }
        // Who lives beyond the deadline may bring an answer in its next call. That of a process that is known not to
        // live is lost, and who can't know that tries soon: servers grant grace for a short time only.
        let may_bring_it = wish.is_early && is_running == Some(true) && intent.author != Author::here();
        may_bring_it.then_some(RETRY_PAUSE)
    }

    /// Gives a store that has lost what we hold our own record back, if there is still what is `expected`. Who need not
    /// spend it at once gives others time for something newer.
    fn put_back(&self, seen: &Record, expected: Expected) -> Result<()> {
        if seen.tokens.is_none() {
            return Err(no_token(seen, self.store.place().as_deref()));
        }
        let mut back = seen.clone();
        back.notes.early_not_before_ms = back.notes.early_not_before_ms.max(early_after_doubt_ms(self.server_ms()));
        if let Commit::Done(_) = self.store.commit(expected, back, self.deadline)? {
            let lost = || "the session store had lost the session; it has it again".to_owned();
            self.journal.tell(LogLevel::Warning, lost);
        }
        Ok(())
    }

    fn learn(&self, origin: Origin, heard: Heard) {
        self.tell_offset(self.drift.learn(origin, heard));
    }

    fn tell_offset(&self, new_ms: Option<i64>) {
        if let Some(offset_ms) = new_ms {
            self.journal.tell(LogLevel::Warning, || told(offset_ms));
        }
    }

    /// Why a renewal could not be begun, or not be ended. `holder`: who was about to renew.
    fn stopped_by(&self, obstacle: Obstacle, holder: Option<&Author>) -> Error {
        match obstacle {
            Obstacle::TooLate => {
                Error::new(Status::Timeout, "timeout_ms leaves too little time to begin a renewal").our_delay()
            }
            Obstacle::Lost => lost(),
            Obstacle::Held => {
                let who = holder.map(|author| format!(" ({})", clean(&author.to_string(), &[], MAX_AUTHOR)));
                let place = self.store.place().map(|place| format!(" in {}", clean(&place, &[], MAX_PLACE)));
                let (who, place) = (who.unwrap_or_default(), place.unwrap_or_default());
                let message =
                    format!("another process{who} held the renewal of the session{place} too long; try again");
                Error::new(Status::LockTimeout, message)
            }
        }
    }

    fn debug(&self, line: &str) {
        self.journal.tell(LogLevel::Debug, || line.to_owned());
    }

    /// The time by the server's clock, as far as it is known: Unix milliseconds.
    fn server_ms(&self) -> i64 {
        self.drift.server_time(self.clock.now()).wall_ms
    }

    /// The record that comes after `before`.
    fn record(&self, session: u64, tokens: Tokens, origin: Origin, before: Option<&Record>) -> Record {
        Record {
            // What the store numbers its first record at least.
            version: Version { session, generation: 1 },
            tokens,
            origin,
            received: self.drift.server_time(self.clock.now()),
            author: Author::here(),
            notes: Notes::default(),
            clocks: self.drift.tell(before.map(|before| before.clocks.clone()).unwrap_or_default(), self.clock),
        }
    }
}

/// When what is put into an empty store at `now_ms` may be spent by those who need not.
pub(crate) fn early_after_doubt_ms(now_ms: i64) -> i64 {
    now_ms.saturating_add(millis(EMPTY_STORE_PAUSE))
}

/// Names a token without telling it.
pub(crate) fn fingerprint(token: &str) -> String {
    use std::fmt::Write;
    digest(&SHA256, token.as_bytes()).as_ref().iter().fold(String::new(), |mut hex, byte| {
        // Writing to a string does not fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

fn interrupted(intent: &Intent, now_ms: i64) -> String {
    format!(
        "a renewal by process {} on {} was interrupted {} s ago and its answer lost",
        intent.author.pid,
        crate::redact::clean(&intent.author.host, &[], 60),
        now_ms.saturating_sub(intent.begun_ms) / 1000,
    )
}

/// The last look stopped the request: the holder was stopped for too long, or somebody logged in meanwhile.
fn lost() -> Error {
    Error::new(Status::LockTimeout, "the renewal lock was lost before the request could be sent; try again")
}
