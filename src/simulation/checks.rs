//! What must hold, whatever goes wrong.
#![forbid(unsafe_code)]

use super::server::{Grace, Luck};
use super::{EPOCH_MS, Inner};
use crate::error::{Result, Status};
use crate::record::Record;
use crate::schedule::Origin;

impl Inner {
    /// Never two spendings of one refresh token, unless the first spender died, was stopped, or never had its answer; or
    /// the second was stopped after its last look began. And never a spending without a note of it.
    pub(super) fn check_send(&mut self, slot: usize, token: &str, looked_ms: i64) {
        // Of a session that is over nothing can be lost any more.
        let known = self.server.refresh_tokens.get(token);
        if self.store.was_emptied || known.is_some_and(|known| self.server.families[&known.family].has_ended) {
            return;
        }
        let was_stopped = self.was_stopped_since(slot, looked_ms);
        let is_late = self.is_late(slot);
        let is_noted = |record: &Record| record.notes.intent.is_some();
        let present = self.store.record.as_ref().filter(|record| record.tokens.refresh_token() == Some(token));
        if !was_stopped && !present.is_some_and(is_noted) {
            self.violation(format!("[{slot}] sends {token}, of which the store holds no intent"));
        }
        let earlier = self.server.refresh_tokens.get(token).map(|known| known.requests.clone()).unwrap_or_default();
        for number in earlier {
            let first = &self.server.requests[number];
            let spender = &self.slots[first.slot];
            let is_excused = was_stopped
                || spender.is_dead
                || spender.incarnation != first.incarnation
                || first.luck != Luck::Good
                || first.was_given_up
                || self.was_stopped_since(first.slot, first.looked_ms)
                // The store did not take the answer until its call ended. Who sees that its process runs waits, while
                // there is a valid token.
                || (first.was_kept && (spender.host != self.slots[slot].host || is_late));
            if !is_excused {
                let (by, at) = (first.slot, first.sent_ms);
                self.violation(format!("[{slot}] spends {token}, which [{by}] spent at {at} ms, alive and well"));
            }
        }
    }

    /// Whether the token in the store looks expired to this process.
    fn is_late(&self, slot: usize) -> bool {
        let here_ms = EPOCH_MS + self.now_ms + self.hosts[self.slots[slot].host].offset_ms;
        let token = self.store.record.as_ref().and_then(|record| record.tokens.token());
        let exp_ms = token.and_then(|token| self.server.expiries.get(token));
        self.hosts[self.slots[slot].host].was_wrong || exp_ms.is_none_or(|exp_ms| here_ms >= *exp_ms)
    }

    /// A call of this process ends, and the store has not taken the answer that it had.
    pub(super) fn note_kept(&mut self, slot: usize) {
        let incarnation = self.slots[slot].incarnation;
        let last = self.server.requests.iter_mut().rev().find(|r| r.slot == slot && r.incarnation == incarnation);
        if let Some(request) = last {
            request.was_kept = true;
        }
    }

    /// Whether this process logged in, and the token is of a session that the store had before. One that has lost
    /// everything may get it back from others.
    fn is_of_older_login(&self, slot: usize, token: &str) -> bool {
        let of_token = self.server.owners.get(token);
        let (Some((ours, began_ms)), Some(theirs)) = (self.slots[slot].logged_in, of_token) else {
            return false;
        };
        ours != *theirs && self.server.families[theirs].stored_ms < began_ms && !self.store.was_emptied
    }

    /// This process has logged in, whether the store took it or not.
    pub(super) fn note_login(&mut self, slot: usize, began_ms: i64, token: &str) {
        let family = self.server.owners.get(token).copied();
        // One that was not sent changes nothing.
        if let Some(family) = family.filter(|family| self.server.families[family].began_ms >= began_ms) {
            self.slots[slot].logged_in = Some((family, began_ms));
        }
    }

    /// Never a lost generation: a record only gives way to one that was made from it, or to a login.
    pub(super) fn check_commit(&mut self, slot: usize, next: &Record) {
        let generation = next.version.generation;
        let token = next.tokens.refresh_token().unwrap_or_default().to_owned();
        self.tell(|_| format!("[{slot}] commits {token} as generation {generation}"));
        if next.origin == Origin::Login
            && let Some(family) = next.tokens.token().and_then(|token| self.server.owners.get(token))
            && let Some(family) = self.server.families.get_mut(family)
        {
            family.stored_ms = self.now_ms;
        }
        if self.store.was_emptied {
            return;
        }
        if generation <= self.store.highest {
            self.violation(format!("[{slot}] generation {generation} after {}", self.store.highest));
        }
        self.store.highest = self.store.highest.max(generation);
        let parent = self.server.refresh_tokens.get(&token).and_then(|known| known.parent.clone());
        if let Some(present) = &self.store.record
            && next.origin == Origin::Renewal
            && parent.as_deref() != present.tokens.refresh_token()
        {
            self.violation(format!("[{slot}] puts {token}, made from {parent:?}, in the place of something else"));
        }
    }

    /// A token from a session that is over, by the server's own rules.
    pub(super) fn check_reuse(&mut self, request: usize, token: &str) {
        let (Grace::Same { ms } | Grace::Fresh { ms }) = self.plan.grace else {
            return;
        };
        let (slot, looked_ms, is_good) = {
            let request = &self.server.requests[request];
            (request.slot, request.looked_ms, request.luck == Luck::Good)
        };
        // A server that grants grace for longer than a lease takes loses nobody, unless more than one request failed.
        let known = &self.server.refresh_tokens[token];
        let has_failed = |at: &&usize| {
            let request = &self.server.requests[**at];
            request.luck != Luck::Good || request.was_given_up
        };
        let failures = known.requests.iter().filter(has_failed).count();
        let has_wrong_clock = self.hosts.iter().any(|host| host.was_wrong);
        let was_stopped = (0..self.slots.len()).any(|slot| self.was_stopped_since(slot, looked_ms - ms));
        let was_away = self.store.away_until_ms >= self.now_ms - ms;
        if is_good
            && failures <= 1
            && !was_stopped
            && !was_away
            && !has_wrong_clock
            && !self.store.was_emptied
            && self.plan.faults.store_error == 0.0
            && self.plan.faults.store_error_after == 0.0
            && self.plan.faults.unreachable == 0.0
        {
            self.violation(format!("[{slot}] lost the session by {token} in spite of {ms} ms of grace"));
        }
    }

    /// Never an expired token for a valid one, where the clock is right; and the right error where there is none.
    pub(super) fn check_outcome(&mut self, slot: usize, outcome: &Result<String>) {
        let host = self.slots[slot].host;
        let now_ms = EPOCH_MS + self.now_ms;
        if outcome.is_ok() {
            // A handle gives the same error for a while: what it met counts until it succeeds.
            self.slots[slot].met_holder = false;
        }
        if outcome.as_ref().is_ok_and(|token| self.server.revoked.contains(token)) {
            self.slots[slot].rejected_uses += 1;
        }
        match outcome {
            Ok(token) => match self.server.expiries.get(token) {
                None => self.violation(format!("[{slot}] was given a token that nobody made")),
                Some(exp_ms) if now_ms >= *exp_ms && !self.hosts[host].was_wrong => {
                    let late = now_ms - exp_ms;
                    self.violation(format!("[{slot}] was given a token that ran out {late} ms ago"));
                }
                Some(_) if self.is_of_older_login(slot, token) => {
                    self.violation(format!("[{slot}] was given the token of a session before its login"));
                }
                Some(_) => {}
            },
            Err(error) => {
                self.tell(|_| format!("[{slot}] fails: {error}"));
                let is_lock = error.status() == Status::LockTimeout && !error.message().contains("lost before");
                if is_lock && !self.slots[slot].met_holder {
                    self.violation(format!("[{slot}] {error}: nobody held it"));
                }
            }
        }
        self.slots[slot].last_outcome = Some(outcome.as_ref().map(drop).map_err(Clone::clone));
    }

    /// After two lifetimes without faults everybody has a token, if the session is still there.
    pub(super) fn check_the_end(&mut self) {
        let Some(record) = &self.store.record else {
            if !self.store.was_emptied {
                self.violation("the store is empty".to_owned());
            }
            return;
        };
        let token = record.tokens.refresh_token().unwrap_or_default();
        let Some(known) = self.server.refresh_tokens.get(token) else {
            return self.violation(format!("the store holds {token:?}, which nobody made"));
        };
        let has_ended = self.server.families[&known.family].has_ended;
        // Where a clock was set back, a token that has run out looks good, and nobody renews it.
        let has_wrong_clock = self.hosts.iter().any(|host| host.was_wrong);
        if has_ended || has_wrong_clock || self.store.was_emptied {
            return;
        }
        if let Some((at, _)) = &known.spent {
            let at = *at;
            self.violation(format!("the session lives, and the store holds a token that was spent at {at} ms"));
        }
        for slot in 0..self.slots.len() {
            if let Some(Err(error)) = self.slots[slot].last_outcome.clone() {
                self.violation(format!("the session lives, and [{slot}] has no token: {error}"));
            }
        }
    }
}
