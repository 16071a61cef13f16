//! The store of one process: nothing on disk.
#![forbid(unsafe_code)]

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::{Commit, Store};
use crate::error::Result;
use crate::record::Record;

/// Lock-free, so that a fork in the middle of a commit leaves the child nothing to wait for.
pub(crate) struct MemoryStore {
    record: ArcSwap<Record>,
}

impl MemoryStore {
    pub(crate) fn new(record: Record) -> Self {
        MemoryStore { record: ArcSwap::from_pointee(record) }
    }
}

impl Store for MemoryStore {
    fn is_shared(&self) -> bool {
        false
    }

    fn load(&self) -> Result<Arc<Record>> {
        Ok(self.record.load_full())
    }

    fn commit(&self, seen: Option<&Record>, mut next: Record) -> Result<Commit> {
        loop {
            let present = self.record.load_full();
            if seen.is_some_and(|seen| (seen.session, seen.generation) != (present.session, present.generation)) {
                return Ok(Commit::Outdated(present));
            }
            next.generation = present.generation.saturating_add(1);
            let done = Arc::new(next.clone());
            let previous = self.record.compare_and_swap(&present, done.clone());
            if Arc::ptr_eq(&previous, &present) {
                return Ok(Commit::Done(done));
            }
        }
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MemoryStore")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Now;
    use crate::record::Tokens;
    use crate::schedule::Origin;

    fn record(session: u64) -> Record {
        Record {
            session,
            generation: 0,
            tokens: Tokens::none(),
            origin: Origin::Given,
            received: Now { wall_ms: 0, mono_ms: 0 },
        }
    }

    #[test]
    fn a_commit_on_what_was_not_seen_is_outdated() {
        let store = MemoryStore::new(record(1));
        let seen = store.load().unwrap();
        assert!(matches!(store.commit(Some(&seen), record(1)).unwrap(), Commit::Done(r) if r.generation == 1));
        assert!(matches!(store.commit(Some(&seen), record(1)).unwrap(), Commit::Outdated(r) if r.generation == 1));
        assert!(matches!(store.commit(None, record(2)).unwrap(), Commit::Done(r) if r.generation == 2));
    }

    #[test]
    fn no_commit_of_many_threads_is_lost() {
        let store = MemoryStore::new(record(1));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        store.commit(None, record(1)).unwrap();
                    }
                });
            }
        });
        assert_eq!(store.load().unwrap().generation, 1600);
    }
}
