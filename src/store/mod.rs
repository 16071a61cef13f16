//! Where a session lives. The renewal procedure above does not know which store it has.
#![forbid(unsafe_code)]

mod memory;

use std::fmt;
use std::sync::Arc;

use crate::error::Result;
use crate::record::Record;

pub(crate) use memory::MemoryStore;

/// Keeps the one current record of a session.
pub(crate) trait Store: Send + Sync + fmt::Debug {
    /// Whether other processes, forked children among them, see the same record.
    fn is_shared(&self) -> bool;

    /// The current record.
    fn load(&self) -> Result<Arc<Record>>;

    /// Makes `next` the current record, with the generation after the present one. With `seen`, only if the present
    /// record is still of that session and generation.
    fn commit(&self, seen: Option<&Record>, next: Record) -> Result<Commit>;
}

/// What became of a commit.
#[derive(Debug)]
pub(crate) enum Commit {
    /// It is the current record now.
    Done(Arc<Record>),
    /// Somebody else was first; this is what they wrote.
    Outdated(Arc<Record>),
}
