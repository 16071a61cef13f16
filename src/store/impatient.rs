//! A store with a time limit, for a call that has a valid token: all its waits for the store together have a limit.
#![forbid(unsafe_code)]

use std::cell::Cell;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::{Commit, Expected, Habits, Lock, Store};
use crate::clock::Clock;
use crate::error::Result;
use crate::record::{Notes, Record, Version};

thread_local! { static IS_IN_A_HURRY: Cell<bool> = const { Cell::new(false) } }

/// While this lives, its thread has a valid token in hand, and leaves a store that does not get on.
pub(crate) struct Hurry {
    was_before: bool,
}

impl Hurry {
    pub(crate) fn enter() -> Self {
        Hurry { was_before: IS_IN_A_HURRY.replace(true) }
    }

    /// Whether this thread is in a hurry.
    pub(crate) fn is_on() -> bool {
        IS_IN_A_HURRY.get()
    }
}

impl Drop for Hurry {
    fn drop(&mut self) {
        IS_IN_A_HURRY.set(self.was_before);
    }
}

/// A store that is given up when the caller's patience is at an end.
pub(crate) struct Impatient {
    store: Arc<dyn Store>,
    patience: Arc<Patience>,
}

/// What is left of the time that a caller gives to the store.
struct Patience {
    left_us: AtomicU64,
    clock: Clock,
}

impl Patience {
    /// What `work` gives, which is told when to end, `until` at the latest.
    fn spend<T>(&self, until: Instant, work: impl FnOnce(Instant) -> T) -> T {
        let _hurry = Hurry::enter();
        let began = self.clock.instant();
        let left_us = self.left_us.load(Ordering::Relaxed);
        let done = work(until.min(began + Duration::from_micros(left_us)));
        let took = self.clock.instant().saturating_duration_since(began);
        // One thread has it at a time.
        let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.left_us.store(left_us.saturating_sub(took_us), Ordering::Relaxed);
        done
    }
}

impl Impatient {
    pub(crate) fn new(store: Arc<dyn Store>, clock: Clock) -> Self {
        let patience = store.habits().early_patience;
        let left_us = AtomicU64::new(u64::try_from(patience.as_micros()).unwrap_or(u64::MAX));
        Impatient { store, patience: Arc::new(Patience { left_us, clock }) }
    }
}

impl Store for Impatient {
    fn kind(&self) -> &'static str {
        self.store.kind()
    }

    fn place(&self) -> Option<String> {
        self.store.place()
    }

    fn lock_kind(&self) -> &'static str {
        self.store.lock_kind()
    }

    fn is_shared(&self) -> bool {
        self.store.is_shared()
    }

    fn habits(&self) -> Habits {
        self.store.habits()
    }

    fn load(&self, until: Instant) -> Result<Option<Arc<Record>>> {
        self.patience.spend(until, |until| self.store.load(until))
    }

    fn lock(&self, term: Duration, wait_until: Option<Instant>, until: Instant) -> Result<Option<Arc<dyn Lock>>> {
        let lock = self.patience.spend(until, |until| self.store.lock(term, wait_until, until))?;
        let patience = self.patience.clone();
        Ok(lock.map(|lock| Arc::new(ImpatientLock { lock, patience }) as Arc<dyn Lock>))
    }

    fn prepare(&self, until: Instant) -> Result<()> {
        self.patience.spend(until, |until| self.store.prepare(until))
    }

    fn note(&self, seen: Version, was: &Notes, notes: &Notes, until: Instant) -> Result<bool> {
        self.patience.spend(until, |until| self.store.note(seen, was, notes, until))
    }

    fn commit(&self, expected: Expected, next: Record, until: Instant) -> Result<Commit> {
        self.patience.spend(until, |until| self.store.commit(expected, next, until))
    }
}

impl fmt::Debug for Impatient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.store.fmt(f)
    }
}

struct ImpatientLock {
    lock: Arc<dyn Lock>,
    patience: Arc<Patience>,
}

impl Lock for ImpatientLock {
    fn is_held(&self, rest: Duration, until: Instant) -> Result<bool> {
        self.patience.spend(until, |until| self.lock.is_held(rest, until))
    }
}
