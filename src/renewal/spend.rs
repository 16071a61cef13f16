//! The one step of a renewal that can't be repeated: intent, last look, request, commit.
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{LONGEST, RETRY_PAUSE, Renewal, Renewed, SHORTEST, fingerprint, interrupted, lost};
use crate::author::Author;
use crate::clock::millis;
use crate::drift::Heard;
use crate::error::{Error, Result, Status};
use crate::failpoint::reach;
use crate::log::LogLevel;
use crate::platform::{Fate, Received, RefreshFailure, no_refresh_token, tried_again};
use crate::record::{Intent, LastFailure, Notes, Record, Refusal};
use crate::schedule::Origin;
use crate::store::{Commit, Expected, Lock};
use crate::transport::BeforeSend;

/// How much of the lock's time has to be left when the first byte goes out.
const SEND_MARGIN: Duration = Duration::from_secs(2);
/// No request is sent with less time left for its answer, or a quarter of `timeout_ms`.
const ANSWER_TIME: Duration = Duration::from_secs(1);

impl Renewal<'_> {
    /// Spends the refresh token of `present`: intent, request, record. None: the record or the lock changed before
    /// a request was sent.
    pub(super) fn spend(
        &self,
        present: &Arc<Record>,
        lock: Arc<dyn Lock>,
        project: Option<&str>,
        deadline: Instant,
        rest_ms: &impl Fn(&Error) -> i64,
    ) -> Result<Option<Renewed>> {
        let scope = project.or(present.tokens.scope.as_deref());
        let refresh_token = present.tokens.refresh_token().ok_or_else(no_refresh_token)?;
        let spends = fingerprint(refresh_token);
        let begun_ms = self.server_ms();
        let left = deadline.saturating_duration_since(self.clock.instant());
        let intent =
            Intent { spends, begun_ms, deadline_ms: begun_ms.saturating_add(millis(left)), author: Author::here() };
        let noted = Notes { intent: Some(intent), ..present.notes.clone() };
        if !self.store.note(present.version, &present.notes, &noted, self.deadline)? {
            return Ok(None);
        }
        if let Err(error) = self.store.prepare(self.deadline) {
            let _ = self.store.note(present.version, &noted, &present.notes, self.deadline);
            return Err(error);
        }
        reach("intended");
        if let Some(intent) = &present.notes.intent {
            self.journal.tell(LogLevel::Warning, || {
                format!("{}: its refresh token is tried once more", interrupted(intent, self.server_ms()))
            });
        }
        // The lock stays ours until the new record stands; the look has only a share in it.
        let look = self.last_look(present, lock.clone(), deadline);
        let Received { tokens, heard } =
            match self.platform.refresh(&present.tokens, scope, look, deadline, self.journal) {
                Ok(received) => received,
                Err(failure) => return self.failed(present, scope, noted, failure, rest_ms),
            };
        reach("answered");
        // The same token once more says nothing new.
        if tokens.token() != present.tokens.token() {
            let may_be_old = present.notes.intent.is_some();
            self.learn(Origin::Renewal, Heard { may_be_old, ..heard });
        }
        let record = self.record(present.version.session, tokens, Origin::Renewal, Some(present));
        match self.commit_with_patience(Expected::Record(present.version), &record, deadline) {
            Ok(Commit::Done(record)) => {
                reach("committed");
                Ok(Some(Renewed::Made(record)))
            }
            Ok(Commit::Outdated(newer)) => Ok(Some(Renewed::Adopted(newer))),
            Err(error) => Ok(Some(Renewed::Unsaved { record: Box::new(record), seen: Some(present.version), error })),
        }
    }

    /// A store that is out of order for a moment must not cost the answer: nobody else has it. Others wait for it until
    /// the deadline that the intent names.
    pub(super) fn commit_with_patience(
        &self,
        expected: Expected,
        record: &Record,
        deadline: Instant,
    ) -> Result<Commit> {
        let early_patience = self.store.habits().early_patience;
        let patience = match self.is_early && early_patience < SHORTEST {
            true => deadline.min(self.clock.instant() + early_patience),
            false => deadline,
        };
        loop {
            let outcome = self.store.commit(expected, record.clone(), self.deadline);
            if outcome.is_ok() || self.clock.instant() + RETRY_PAUSE >= patience {
                return outcome;
            }
            self.clock.sleep(RETRY_PAUSE);
        }
    }

    /// What is looked at just before the first byte of the request: record and lock, and whether the answer can still
    /// come in time.
    fn last_look(&self, present: &Arc<Record>, lock: Arc<dyn Lock>, deadline: Instant) -> BeforeSend {
        let (store, clock, seen) = (self.store.clone(), self.clock.clone(), present.version);
        let until = self.deadline;
        let for_the_answer = ANSWER_TIME.min(self.timeout / 4);
        Arc::new(move || {
            reach("connected");
            // The lock last: a slow store eats its time.
            let stands =
                store.load(until)?.is_some_and(|record| record.version == seen) && lock.is_held(SEND_MARGIN, until)?;
            if !stands {
                return Err(lost());
            }
            if deadline.saturating_duration_since(clock.instant()) < for_the_answer {
                return Err(
                    Error::new(Status::Timeout, "too little of timeout_ms was left to send the request").our_delay()
                );
            }
            reach("looked");
            Ok(())
        })
    }

    fn failed(
        &self,
        present: &Record,
        scope: Option<&str>,
        noted: Notes,
        failure: RefreshFailure,
        rest_ms: &impl Fn(&Error) -> i64,
    ) -> Result<Option<Renewed>> {
        let RefreshFailure { mut error, fate, is_about_token } = failure;
        let now_ms = self.server_ms();
        // A project that was refused says nothing about renewals that keep the session's own.
        let keeps_scope = scope == present.tokens.scope.as_deref();
        let refusal = (keeps_scope && error.status() == Status::Unauthorized)
            .then(|| Refusal::after(present.notes.refusal.as_ref(), error.http_status(), now_ms, is_about_token));
        let intent = match fate {
            // It ends here: nobody has to wait for us.
            Fate::Unknown => noted.intent.clone().map(Intent::given_up),
            // A server that fails, or refuses for now, has judged nothing: an older doubt stays.
            Fate::Judged if refusal.as_ref().is_some_and(|refusal| refusal.is_final) => None,
            Fate::Unspent | Fate::Judged => present.notes.intent.clone(),
        };
        if error.status() == Status::Timeout && self.deadline > self.clock.instant() + ANSWER_TIME && !self.is_early {
            error = error.because(&format!("a renewal takes {} s at most", LONGEST.as_secs()));
        }
        let mut notes = Notes { intent, ..present.notes.clone() };
        if error.status() == Status::LockTimeout {
            // The last look found something else, before the first try or before the second.
            self.store.note(present.version, &noted, &notes, self.deadline)?;
            return Ok(None);
        }
        if error.status() == Status::Unauthorized {
            // Somebody may have been faster, and spent the token before us.
            if let Ok(Some(newer)) = self.store.load(self.deadline)
                && newer.version != present.version
            {
                return Ok(Some(Renewed::Adopted(newer)));
            }
            if let Some(intent) = &present.notes.intent {
                error = error.because(&interrupted(intent, now_ms));
            }
        }
        if keeps_scope {
            notes.early_not_before_ms = now_ms.saturating_add(rest_ms(&error));
        }
        if let Some(refusal) = refusal {
            let rest = refusal.rest(now_ms, 0).unwrap_or_default();
            if !refusal.is_final {
                error = error.because(&tried_again(rest));
            }
            error = error.standing_for(rest);
            // What fails otherwise than by a refusal takes none back.
            notes.refusal = Some(refusal);
        }
        if keeps_scope {
            notes.failure = Some(LastFailure::of(&error, now_ms));
        }
        // If the store can't take the note, the intent stands a while longer, and costs somebody a try. If there is
        // another, somebody has taken over.
        let _ = self.store.note(present.version, &noted, &notes, self.deadline);
        Err(error)
    }
}
