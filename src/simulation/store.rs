//! The store that the simulated processes share, and stores and procedures that are broken on purpose.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{HostClock, Inner, LockKind, World};
use crate::clock::Now;
use crate::error::{Error, Result, Status};
use crate::record::{Notes, Record, UNKNOWN_MONO_MS, Version};
use crate::store::{Commit, Expected, Habits, Lock, Store};

/// What is wrong on purpose, to see that it is noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mutation {
    /// Everybody gets the lock.
    NoLock,
    /// The lock and the record are not looked at again before the request.
    NoLastLook,
    /// The commit takes the place of whatever is there.
    BlindCommit,
    /// A store that is out of order looks like a lock that somebody holds.
    ErrorsAreHeldLocks,
    /// Notes are not kept.
    NoNotes,
    /// A commit that is said to be done, and is not.
    LostCommit,
}

/// What the store keeps.
#[derive(Debug)]
pub(super) struct Kept {
    kind: LockKind,
    pub(super) record: Option<Record>,
    lock: Option<Held>,
    pub(super) away_until_ms: i64,
    pub(super) was_emptied: bool,
    pub(super) highest: u64,
    serial: u64,
    pub(super) counts: Counts,
    /// Operations in each second.
    pub(super) seconds: BTreeMap<i64, u64>,
}

#[derive(Clone, Copy, Debug)]
struct Held {
    owner: u64,
    slot: usize,
    expires_ms: i64,
}

/// How often what was asked of the store.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) locks: u64,
    pub(super) locks_got: u64,
    pub(super) releases: u64,
    pub(super) looks: u64,
    pub(super) loads: u64,
    pub(super) notes: u64,
    pub(super) commits: u64,
}

impl Kept {
    pub(super) fn new(kind: LockKind) -> Self {
        Kept {
            kind,
            record: None,
            lock: None,
            away_until_ms: i64::MIN,
            was_emptied: false,
            highest: 0,
            serial: 0,
            counts: Counts::default(),
            seconds: BTreeMap::new(),
        }
    }

    /// The descriptor of this process is closed, if by its death: the kernel gives back its file lock.
    pub(super) fn closed(&mut self, slot: usize) {
        if self.kind == LockKind::Flock && self.lock.is_some_and(|held| held.slot == slot) {
            self.lock = None;
        }
    }

    pub(super) fn empty(&mut self) {
        self.record = None;
        self.lock = None;
        self.was_emptied = true;
    }
}

/// The store as one process sees it.
pub(super) struct SharedStore {
    pub(super) world: Arc<World>,
    pub(super) slot: usize,
    pub(super) clock: HostClock,
    /// What the mutated procedure takes for the present record.
    pub(super) blind: Arc<Blind>,
}

/// The record that was read last, and whether it stands for the present one.
#[derive(Default)]
pub(super) struct Blind(Mutex<(Option<Arc<Record>>, bool)>);

impl SharedStore {
    fn is_mutated(&self, mutation: Mutation) -> bool {
        self.world.lock().plan.mutation == Some(mutation)
    }

    /// One piece of work at the store: a way there, what is done, a way back.
    fn work<R>(&self, what: &str, count: impl FnOnce(&mut Counts), action: impl FnOnce(&mut Inner) -> R) -> Result<R> {
        let (world, slot) = (&*self.world, self.slot);
        let fail = || Err(Error::new(Status::Store, "the store is out of order"));
        let (there, back, is_away) = {
            let mut inner = world.lock();
            if inner.slots[slot].is_dead {
                return fail();
            }
            count(&mut inner.store.counts);
            let second = inner.now_ms.div_euclid(1000);
            *inner.store.seconds.entry(second).or_default() += 1;
            let (low, high) = inner.plan.store_ms;
            let (there, back) = (inner.numbers.between(low, high), inner.numbers.between(low, high));
            (there, back, inner.now_ms < inner.store.away_until_ms)
        };
        world.pause(slot, there, Some(what));
        {
            let mut inner = world.lock();
            let error = inner.plan.faults.store_error;
            if is_away || inner.now_ms < inner.store.away_until_ms || inner.strikes(error) {
                inner.tell(|_| format!("[{slot}] {what}: the store is out of order"));
                drop(inner);
                world.pause(slot, back, Some(what));
                return fail();
            }
        }
        let mut inner = world.lock();
        let done = action(&mut inner);
        // An flock goes with its descriptor: there is none that nobody knows of.
        let has_answer = what == "lock" && inner.plan.lock == LockKind::Flock;
        let error = inner.plan.faults.store_error_after;
        let is_lost = !has_answer && inner.strikes(error);
        if is_lost {
            inner.tell(|_| format!("[{slot}] {what}: done, and its answer is lost"));
        }
        drop(inner);
        world.pause(slot, back, Some(what));
        if is_lost { fail() } else { Ok(done) }
    }

    /// Between two looks at a lock that somebody else holds, as the real stores have it.
    fn pause_at_lock(&self) -> Duration {
        let mut inner = self.world.lock();
        let ms = if inner.plan.kind == "redis" { inner.numbers.between(500, 1_500) } else { 300 };
        Duration::from_millis(ms.unsigned_abs())
    }

    /// The record as it is read by this process: another one's monotonic clock means nothing here.
    fn read(&self, record: &Record) -> Arc<Record> {
        let received = Now { mono_ms: UNKNOWN_MONO_MS, ..record.received };
        Arc::new(Record { received, ..record.clone() })
    }
}

impl Store for SharedStore {
    fn kind(&self) -> &'static str {
        self.world.lock().plan.kind
    }

    fn lock_kind(&self) -> &'static str {
        match self.world.lock().plan.lock {
            LockKind::Flock => "flock",
            LockKind::Lease => "lease",
        }
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn habits(&self) -> Habits {
        let plan = &self.world.lock().plan;
        let pause = Duration::from_millis(if plan.kind == "redis" { 1000 } else { 100 });
        let fraction = if plan.kind == "redis" { crate::random::fraction() } else { 0.0 };
        let slice = Duration::from_millis(if plan.kind == "redis" { 1000 } else { 500 });
        Habits { look_pause: pause, lock_slice: slice.mul_f64(1.0 + fraction), early_patience: Duration::from_secs(5) }
    }

    fn load(&self, _until: Instant) -> Result<Option<Arc<Record>>> {
        if let Some(blind) = self.blind.seen() {
            return Ok(Some(blind));
        }
        let (slot, wall_ms) = (self.slot, self.clock.now().wall_ms);
        let found = self.work(
            "load",
            |counts| counts.loads += 1,
            |inner| {
                let found = inner.store.record.clone();
                // Somebody's request may be under way: they are waited for like the holder of a lock.
                let intent = found.as_ref().and_then(|record| record.notes.intent.as_ref());
                // What a wrong clock makes of its times only the reader knows.
                let is_odd = inner.hosts.iter().any(|host| host.was_wrong);
                inner.slots[slot].met_holder |= intent.is_some_and(|intent| is_odd || intent.deadline_ms > wall_ms);
                found
            },
        )?;
        let found = found.map(|record| self.read(&record));
        self.blind.note_load(found.clone());
        Ok(found)
    }

    fn lock(&self, term: Duration, wait_until: Option<Instant>, _until: Instant) -> Result<Option<Arc<dyn Lock>>> {
        self.blind.end();
        let slot = self.slot;
        let term_ms = i64::try_from(term.as_millis()).unwrap_or(i64::MAX / 4);
        loop {
            let taken = self.work(
                "lock",
                |counts| counts.locks += 1,
                |inner| {
                    let now_ms = inner.now_ms;
                    let is_lease = inner.store.kind == LockKind::Lease;
                    let is_free = inner.store.lock.is_none_or(|held| is_lease && held.expires_ms <= now_ms);
                    if !is_free && inner.plan.mutation != Some(Mutation::NoLock) {
                        inner.slots[slot].met_holder = true;
                        return None;
                    }
                    inner.store.serial += 1;
                    inner.store.counts.locks_got += 1;
                    let owner = inner.store.serial;
                    inner.store.lock = Some(Held { owner, slot, expires_ms: now_ms + term_ms });
                    inner.tell(|_| format!("[{slot}] takes lock {owner} for {term_ms} ms"));
                    Some(owner)
                },
            );
            let taken = match taken {
                Err(_) if self.is_mutated(Mutation::ErrorsAreHeldLocks) => None,
                Err(error) => {
                    // A descriptor that is closed holds no lock; a lease without an owner expires.
                    self.world.lock().store.closed(slot);
                    return Err(error);
                }
                Ok(taken) => taken,
            };
            if let Some(owner) = taken {
                return Ok(Some(Arc::new(SharedLock {
                    world: self.world.clone(),
                    slot,
                    owner,
                    clock: self.clock.clone(),
                })));
            }
            let now = self.clock.instant();
            match wait_until {
                Some(until) if now < until => self.clock.sleep((until - now).min(self.pause_at_lock())),
                _ => return Ok(None),
            }
        }
    }

    fn prepare(&self, _until: Instant) -> Result<()> {
        if self.is_mutated(Mutation::NoLastLook) {
            // From here to the answer the procedure sees what it saw.
            self.blind.begin();
        }
        Ok(())
    }

    fn note(&self, seen: Version, was: &Notes, notes: &Notes, _until: Instant) -> Result<bool> {
        self.blind.end();
        let slot = self.slot;
        self.work(
            "note",
            |counts| counts.notes += 1,
            |inner| {
                let is_kept = inner.plan.mutation != Some(Mutation::NoNotes);
                // What the mutation kept nobody can have seen.
                let is_seen = |record: &Record| record.version == seen && (!is_kept || record.notes == *was);
                let Some(record) = inner.store.record.as_mut().filter(|record| is_seen(record)) else {
                    return false;
                };
                if is_kept {
                    record.notes = notes.clone();
                }
                inner.tell(|_| format!("[{slot}] notes {notes:?}"));
                true
            },
        )
    }

    fn commit(&self, expected: Expected, mut next: Record, _until: Instant) -> Result<Commit> {
        self.blind.end();
        let slot = self.slot;
        let done = self.work(
            "commit",
            |counts| counts.commits += 1,
            |inner| {
                let present = inner.store.record.as_ref().map(|record| record.version);
                let expected = match inner.plan.mutation {
                    Some(Mutation::BlindCommit) => Expected::Anything,
                    _ => expected,
                };
                if inner.plan.mutation == Some(Mutation::LostCommit) && inner.store.highest >= 3 {
                    return Ok(next);
                }
                match expected.next_generation(present, next.version.generation) {
                    Some(generation) => {
                        next.version.generation = generation;
                        inner.check_commit(slot, &next);
                        inner.store.record = Some(next.clone());
                        Ok(next)
                    }
                    None => {
                        inner.tell(|_| format!("[{slot}] commit is outdated: there is {present:?}"));
                        Err(inner.store.record.clone().map(Box::new))
                    }
                }
            },
        );
        match done {
            Ok(Ok(record)) => Ok(Commit::Done(Arc::new(record))),
            Ok(Err(Some(record))) => Ok(Commit::Outdated(self.read(&record))),
            Ok(Err(None)) => Err(Error::new(Status::Store, "the store has lost the record")),
            Err(error) => Err(error),
        }
    }
}

impl Blind {
    fn lock(&self) -> MutexGuard<'_, (Option<Arc<Record>>, bool)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self) {
        self.lock().1 = true;
    }

    fn end(&self) {
        self.lock().1 = false;
    }

    fn seen(&self) -> Option<Arc<Record>> {
        let state = self.lock();
        if state.1 { state.0.clone() } else { None }
    }

    fn note_load(&self, record: Option<Arc<Record>>) {
        self.lock().0 = record;
    }
}

impl fmt::Debug for SharedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedStore").field("slot", &self.slot).finish_non_exhaustive()
    }
}

struct SharedLock {
    world: Arc<World>,
    slot: usize,
    owner: u64,
    clock: HostClock,
}

impl SharedLock {
    fn store(&self) -> SharedStore {
        let clock = self.clock.clone();
        SharedStore { world: self.world.clone(), slot: self.slot, clock, blind: Arc::default() }
    }
}

impl Lock for SharedLock {
    fn is_held(&self, rest: Duration, _until: Instant) -> Result<bool> {
        if self.store().is_mutated(Mutation::NoLastLook) {
            return Ok(true);
        }
        let (asked, owner) = (self.clock.instant(), self.owner);
        let left = self.store().work(
            "is_held",
            |counts| counts.looks += 1,
            |inner| {
                let held = inner.store.lock.filter(|held| held.owner == owner)?;
                Some(if inner.store.kind == LockKind::Lease { held.expires_ms - inner.now_ms } else { i64::MAX / 4 })
            },
        )?;
        // The answer may be as old as the question.
        let took = self.clock.instant() - asked;
        Ok(left.and_then(|ms| u64::try_from(ms).ok()).is_some_and(|ms| Duration::from_millis(ms) >= rest + took))
    }
}

impl Drop for SharedLock {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let (slot, owner) = (self.slot, self.owner);
        // What can't be given back expires.
        let _ = self.store().work(
            "unlock",
            |counts| counts.releases += 1,
            |inner| {
                if inner.store.lock.is_some_and(|held| held.owner == owner) {
                    inner.store.lock = None;
                    inner.tell(|_| format!("[{slot}] gives lock {owner} back"));
                }
            },
        );
        self.world.lock().store.closed(slot);
    }
}
