//! The store of one process: nothing on disk.
#![forbid(unsafe_code)]

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;

use super::{Commit, Expected, Habits, Lock, Store};
use crate::error::Result;
use crate::record::{Notes, Record, Version};

/// Lock-free, so that a fork in the middle of a commit leaves the child nothing to wait for.
pub(crate) struct MemoryStore {
    record: ArcSwap<Record>,
}

impl MemoryStore {
    pub(crate) fn new(record: Record) -> Self {
        MemoryStore { record: ArcSwap::from_pointee(record) }
    }

    /// Replaces the record by what `next` makes of it, until nobody came between.
    fn replace(&self, next: impl Fn(&Record) -> Option<Record>) -> (Arc<Record>, bool) {
        loop {
            let present = self.record.load_full();
            let Some(next) = next(&present).map(Arc::new) else {
                return (present, false);
            };
            let previous = self.record.compare_and_swap(&present, next.clone());
            if Arc::ptr_eq(&previous, &present) {
                return (next, true);
            }
        }
    }
}

impl Store for MemoryStore {
    fn kind(&self) -> &'static str {
        "memory"
    }

    fn lock_kind(&self) -> &'static str {
        "none"
    }

    fn is_shared(&self) -> bool {
        false
    }

    fn habits(&self) -> Habits {
        // Nobody waits for it.
        Habits { look_pause: Duration::ZERO, lock_slice: Duration::ZERO, early_patience: Duration::ZERO }
    }

    fn load(&self, _until: Instant) -> Result<Option<Arc<Record>>> {
        Ok(Some(self.record.load_full()))
    }

    fn lock(&self, _term: Duration, _wait_until: Option<Instant>, _until: Instant) -> Result<Option<Arc<dyn Lock>>> {
        Ok(Some(Arc::new(NoLock)))
    }

    fn prepare(&self, _until: Instant) -> Result<()> {
        Ok(())
    }

    fn note(&self, seen: Version, was: &Notes, notes: &Notes, _until: Instant) -> Result<bool> {
        let next = |present: &Record| {
            let is_seen = present.version == seen && present.notes == *was;
            is_seen.then(|| Record { notes: notes.clone(), ..present.clone() })
        };
        Ok(self.replace(next).1)
    }

    fn commit(&self, expected: Expected, next: Record, _until: Instant) -> Result<Commit> {
        let numbered = |present: &Record| {
            let generation = expected.next_generation(Some(present.version), next.version.generation)?;
            let mut next = next.clone();
            next.version.generation = generation;
            Some(next)
        };
        Ok(match self.replace(numbered) {
            (record, true) => Commit::Done(record),
            (record, false) => Commit::Outdated(record),
        })
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MemoryStore")
    }
}

/// The gate of the session is lock enough within a process.
struct NoLock;

impl Lock for NoLock {
    fn is_held(&self, _rest: Duration, _until: Instant) -> Result<bool> {
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::super::codec::tests::{later, record};
    use super::*;

    #[test]
    fn a_commit_on_what_was_not_seen_is_outdated() {
        let store = MemoryStore::new(record(1, 0));
        let seen = Expected::Record(record(1, 0).version);
        assert!(
            matches!(store.commit(seen, record(1, 0), later()).unwrap(), Commit::Done(r) if r.version.generation == 1)
        );
        assert!(
            matches!(store.commit(seen, record(1, 0), later()).unwrap(), Commit::Outdated(r) if r.version.generation == 1)
        );
        assert!(matches!(store.commit(Expected::Nothing, record(1, 0), later()).unwrap(), Commit::Outdated(_)));
        let done = store.commit(Expected::Anything, record(2, 0), later()).unwrap();
        assert!(matches!(done, Commit::Done(r) if r.version.generation == 2));
    }

    #[test]
    fn notes_are_for_the_record_that_was_seen() {
        let store = MemoryStore::new(record(1, 5));
        let notes = Notes { early_not_before_ms: 9, ..Notes::default() };
        assert!(!store.note(record(1, 4).version, &Notes::default(), &notes, later()).unwrap());
        assert!(store.note(record(1, 5).version, &Notes::default(), &notes, later()).unwrap());
        assert!(!store.note(record(1, 5).version, &Notes::default(), &Notes::default(), later()).unwrap());
        assert_eq!(store.load(later()).unwrap().unwrap().notes, notes);
    }

    #[test]
    fn no_commit_of_many_threads_is_lost() {
        let store = MemoryStore::new(record(1, 0));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        store.commit(Expected::Anything, record(1, 0), later()).unwrap();
                    }
                });
            }
        });
        assert_eq!(store.load(later()).unwrap().unwrap().version.generation, 1600);
    }
}
