//! What a session tells of itself.
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::Session;
use crate::clock::{Now, millis};
use crate::error::Result;
use crate::gate::Standing;
use crate::grant::Grant;
use crate::key_source::Asker;
use crate::probe::Probe;
use crate::record::{LastFailure, Notes};
use crate::secret::SecretBytes;
use crate::status::status_name;
use crate::store::Hurry;
use crate::token::{self, Payload};
use crate::wiped_json::{Member, write_object};

/// How long a trial takes at most.
const TRIAL: Duration = Duration::from_secs(10);

impl Session {
    /// The environment's name.
    pub fn env(&self) -> &str {
        &self.env
    }

    /// The base URL that credentials go to.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The project id claim of the current token.
    pub fn project_id(&self) -> Result<i64> {
        self.current()?.payload()?.project_id(&self.config.project_id_claims)
    }

    /// The payload of the current token: with a key (PEM, JWK or JWKS) only if it verifies, without one unverified.
    pub fn decode_jwt(&self, public_key: Option<&str>) -> Result<Payload> {
        let current = self.current()?;
        let token = current.token()?;
        match public_key {
            None => token::decode(token),
            Some(key) => token::verify_with_key_text(
                token,
                key,
                &self.keys,
                self.clock.now().wall_ms,
                self.config.clock_leeway.as_secs(),
            ),
        }
    }

    /// The payload of the current token, if it verifies with the config's `public_key` or the keys at its `jwks_url`.
    pub fn verify(&self) -> Result<Payload> {
        let current = self.current()?;
        let token = current.token()?;
        token::precheck(token)?;
        let kid = token::kid(token);
        let asker = Asker {
            platform: &self.platform,
            clock: &self.clock,
            deadline: self.deadline(),
            journal: &self.log.journal(),
            kid: kid.as_deref(),
        };
        self.key_source.with_keys(&asker, |keys| {
            // The keys may have been fetched meanwhile.
            token::verify(token, keys, self.clock.now().wall_ms, self.config.clock_leeway.as_secs())
        })
    }

    /// Looks whether the server can be reached, without credentials.
    pub fn probe(&self) -> Result<Probe> {
        Probe::of(&self.platform, || self.clock.now().wall_ms, self.deadline())
    }

    /// Takes the store's lock and writes as much as a renewal would, and nothing else: whether that is possible.
    pub fn try_store(&self) -> Result<()> {
        let deadline = self.deadline();
        match self.store.lock(TRIAL, None, deadline)? {
            Some(_lock) => self.store.prepare(deadline),
            // Somebody who can use it is at it.
            None => Ok(()),
        }
    }

    /// The proxy on the way to the server, host and port.
    pub fn proxy(&self) -> Result<Option<String>> {
        self.platform.proxy()
    }

    /// The session as JSON, to go on with elsewhere. It holds both tokens.
    pub fn to_json(&self) -> Result<SecretBytes> {
        crate::export::to_json(&self.env, &self.host, &self.current()?.0.record.tokens)
    }

    /// How the session is shared, as JSON. No secret in it.
    pub fn info(&self) -> Result<SecretBytes> {
        let (grant, notes) = self.looked_up()?;
        let (record, now) = (&grant.record, self.server_now());
        let seconds = |wall_ms: i64| Member::Signed(wall_ms.div_euclid(1000));
        let count = |count: &AtomicU64| Member::Unsigned(count.load(Ordering::Relaxed));
        let mut members = vec![
            ("generation", Member::Unsigned(record.version.generation)),
            ("store", Member::Text(self.store.kind())),
            ("lock", Member::Text(self.store.lock_kind())),
        ];
        members.extend(self.place.as_deref().map(|place| ("place", Member::Text(place))));
        members.extend(record.tokens.scope.as_deref().map(|scope| ("scope", Member::Text(scope))));
        if !record.tokens.is_none() {
            members.extend([
                ("renewed_at", seconds(record.received.wall_ms)),
                ("renewed_by_host", Member::Text(&record.author.host)),
                ("renewed_by_pid", Member::Unsigned(record.author.pid.into())),
            ]);
        }
        members.extend([
            ("made", count(&self.counts.made)),
            ("joined", count(&self.counts.joined)),
            ("adopted", count(&self.counts.adopted)),
        ]);
        members.extend(grant.schedule.seconds_left(self.clock.now()).map(|left| ("expires_in", Member::Signed(left))));
        let by = format!("{}:{}", record.author.host, record.author.pid);
        if record.is_tombstone() {
            members.extend([
                ("logged_out_by", Member::Text(by.as_str())),
                ("logged_out_at", seconds(record.received.wall_ms)),
            ]);
        }
        if let Some(refusal) = &notes.refusal {
            members.extend([
                ("refused_with", Member::Unsigned(refusal.http_status.into())),
                ("refused_at", seconds(refusal.at_ms)),
            ]);
        }
        let standing = self.gate.get().standing(record.version);
        let failure = last_failure(notes.failure.clone(), standing.as_ref(), now);
        let told = failure.as_ref().map(|failure| {
            [
                ("status", Member::Text(status_name(failure.status).to_str().unwrap_or_default())),
                ("message", Member::Text(&failure.message)),
                ("at", seconds(failure.at_ms)),
            ]
        });
        members.extend(told.as_ref().map(|told| ("last_failure", Member::Object(told))));
        if told.is_some() || notes.refusal.is_some() {
            let next_ms = self.next_try_ms(&grant, &notes, standing.as_ref(), now);
            members.extend(next_ms.map(|next_ms| ("next_try_at", seconds(next_ms))));
        }
        write_object(&members)
    }

    /// What is current, and its notes as the store has them now; a store that can't be asked any more has nothing new.
    fn looked_up(&self) -> Result<(Arc<Grant>, Notes)> {
        self.read_once(|| self.deadline())?;
        let grant = self.current.load_full();
        let _hurry = Hurry::enter();
        let Ok(Some(found)) = self.store.load(self.early_until(self.deadline())) else {
            let notes = grant.record.notes.clone();
            return Ok((grant, notes));
        };
        let (version, notes) = (found.version, found.notes.clone());
        let grant = self.install(found, &grant);
        // What this handle could not save yet is newer than what the store has.
        let notes = if grant.record.version == version { notes } else { grant.record.notes.clone() };
        Ok((grant, notes))
    }

    /// When the next renewal may be tried, by the server's clock; None when none will be before a login.
    fn next_try_ms(&self, grant: &Grant, notes: &Notes, standing: Option<&Standing>, now: Now) -> Option<i64> {
        grant.record.tokens.refresh_token()?;
        let skew_ms = self.drift.leeway_ms();
        let rest = notes.refusal.as_ref().and_then(|refusal| refusal.rest(now.wall_ms, skew_ms));
        if rest == Some(Duration::MAX) {
            return None;
        }
        let is_good = self.is_good(grant);
        let ours = standing.map(|standing| match is_good {
            true => at_wall(standing.early_not_before_ms, now),
            false => at_wall(standing.late_not_before_ms, now),
        });
        let all = [
            ours,
            notes.early_rest(now.wall_ms, skew_ms).filter(|_| is_good).map(|rest| at(now, rest)),
            rest.map(|rest| at(now, rest)),
        ];
        Some(all.into_iter().flatten().fold(now.wall_ms, i64::max))
    }

    /// How long no call looks into the store.
    #[cfg(test)]
    pub(crate) fn fresh_for_ms(&self) -> i64 {
        self.current.load().schedule.fresh_for_ms(self.clock.now())
    }
}

/// The later of what the record tells and what this handle has met itself; of the same verdict the record has the
/// server's own words.
fn last_failure(told: Option<LastFailure>, standing: Option<&Standing>, now: Now) -> Option<LastFailure> {
    let ours = standing.map(|standing| LastFailure::of(&standing.error, at_wall(standing.failed_ms, now)));
    match (told, ours) {
        (Some(told), Some(ours)) if ours.status != told.status && ours.at_ms > told.at_ms => Some(ours),
        (None, ours) => ours,
        (told, _) => told,
    }
}

fn at(now: Now, rest: Duration) -> i64 {
    now.wall_ms.saturating_add(millis(rest))
}

/// A reading of the monotonic clock by that of `now`.
fn at_wall(mono_ms: i64, now: Now) -> i64 {
    now.wall_ms.saturating_add(mono_ms.saturating_sub(now.mono_ms))
}
