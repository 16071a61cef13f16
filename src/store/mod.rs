//! Where a session lives. The renewal procedure above does not know which store it has.
#![forbid(unsafe_code)]

mod codec;
mod file;
mod impatient;
mod memory;
#[cfg(feature = "redis")]
mod redis;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::error::Result;
use crate::record::{Notes, Record, Version};

pub(crate) use codec::Codec;
pub(crate) use file::{FileStore, LockChoice};
pub(crate) use impatient::{Hurry, Impatient};
pub(crate) use memory::MemoryStore;
#[cfg(feature = "redis")]
pub(crate) use redis::{RedisStore, RedisUrl};

/// Keeps the one current record of a session.
///
/// A store that can't do its work gives `Status::Store`; that is never to be taken for a lock that somebody holds.
/// `until` is when the caller needs an answer, and work that may take long ends about then.
pub(crate) trait Store: Send + Sync + fmt::Debug {
    /// `memory`, `file` or `redis`.
    fn kind(&self) -> &'static str;

    /// Where it is, for people: a path, or a URL without its secrets. None: nowhere.
    fn place(&self) -> Option<String> {
        None
    }

    /// How the renewal lock works: `none`, `flock` or `lease`.
    fn lock_kind(&self) -> &'static str;

    /// Whether other processes, forked children among them, see the same record.
    fn is_shared(&self) -> bool;

    /// What those who use it have to know of it.
    fn habits(&self) -> Habits;

    /// The current record; None while nothing was ever stored.
    fn load(&self, until: Instant) -> Result<Option<Arc<Record>>>;

    /// Takes the renewal lock, for `term` where locks expire. None: somebody else holds it, still at `wait_until`, or
    /// now, if that is not given.
    fn lock(&self, term: Duration, wait_until: Option<Instant>, until: Instant) -> Result<Option<Arc<dyn Lock>>>;

    /// Preallocates space for `commit`, so that a full disk is reported before the refresh token is spent; for the
    /// thread that took the lock.
    fn prepare(&self, until: Instant) -> Result<()>;

    /// Replaces the notes of the current record, durably, if it is still `seen` and its notes `was`; otherwise does
    /// nothing, and says false.
    fn note(&self, seen: Version, was: &Notes, notes: &Notes, until: Instant) -> Result<bool>;

    /// Makes `next` the current record, durably, if what is there is as `expected`. Its generation becomes the one after
    /// the present record's, or its own, whichever is higher. Needs no lock: whoever has an answer of the server has to
    /// keep it.
    fn commit(&self, expected: Expected, next: Record, until: Instant) -> Result<Commit>;
}

/// How a store differs from others for those who use it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Habits {
    /// The least time between two looks of one process into it.
    pub(crate) look_pause: Duration,
    /// How long to wait for the lock between two looks at the record.
    pub(crate) lock_slice: Duration,
    /// How long a call that has a valid token waits for the store, all in all, while the store gets on.
    pub(crate) early_patience: Duration,
}

/// The renewal lock of a store; given back when dropped, if it is still ours.
pub(crate) trait Lock: Send + Sync {
    /// Whether it is still ours, for `rest` more at least.
    fn is_held(&self, rest: Duration, until: Instant) -> Result<bool>;
}

/// What has to be there for a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    /// Whatever.
    Anything,
    /// Nothing was ever stored.
    Nothing,
    /// A record of this version.
    Record(Version),
}

impl Expected {
    /// The generation that `next` gets in the place of `present`; None if that is not what is expected.
    pub(crate) fn next_generation(self, present: Option<Version>, next: u64) -> Option<u64> {
        self.is(present).then(|| present.map_or(0, |version| version.generation.saturating_add(1)).max(next))
    }

    /// Whether `present` is what is expected.
    fn is(self, present: Option<Version>) -> bool {
        match (self, present) {
            (Expected::Anything, _) | (Expected::Nothing, None) => true,
            (Expected::Record(version), Some(present)) => version == present,
            _ => false,
        }
    }
}

/// What became of a commit.
#[derive(Debug)]
pub(crate) enum Commit {
    /// It is the current record now.
    Done(Arc<Record>),
    /// Somebody else was first; this is what is there.
    Outdated(Arc<Record>),
}
