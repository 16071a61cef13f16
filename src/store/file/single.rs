//! The record as one file, changed under `flock`.
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::directory::store_error;
use super::flock::Flock;
use super::{Base, Held, still_there};
use crate::error::Result;
use crate::record::{Notes, Record, Version};
use crate::store::{Commit, Expected, Lock};

/// The renewal lock, for as long as a renewal takes.
const LOCK: &str = ".lock";
const LOCK_PAUSE: Duration = Duration::from_millis(25);
/// Keeps whoever changes the record apart, for as long as a write takes.
const WRITE: &str = ".write";
const WRITE_PAUSE: Duration = Duration::from_millis(5);
/// Only a writer that was stopped takes as long, or a disk that is very busy.
const WRITE_WAIT: Duration = Duration::from_secs(3);
/// The next record, under the write lock.
pub(super) const TEMPORARY: &str = ".tmp";
/// The next record, reserved under the renewal lock.
const RESERVED: &str = ".next";

/// The one file.
pub(super) struct Single {
    base: Arc<Base>,
}

impl Single {
    pub(super) fn new(base: Arc<Base>) -> Self {
        Single { base }
    }

    pub(super) fn load(&self) -> Result<Option<Arc<Record>>> {
        let Some((text, _)) = self.base.directory.read(&self.base.path())? else {
            return Ok(None);
        };
        self.base.read(&text).map(Arc::new).map(Some)
    }

    pub(super) fn lock(&self, wait_until: Option<Instant>) -> Result<Option<Arc<dyn Lock>>> {
        let Some(flock) = Flock::take(&self.base.directory, LOCK, wait_until, LOCK_PAUSE)? else {
            return Ok(None);
        };
        let held = self.base.hold(self.base.directory.file(RESERVED))?;
        Ok(Some(Arc::new(SingleLock { flock, held, base: self.base.clone() })))
    }

    pub(super) fn note(&self, seen: Version, was: &Notes, notes: &Notes, until: Instant) -> Result<bool> {
        let _writing = self.writing(until)?;
        let Some(present) = self.load()?.filter(|present| present.version == seen && present.notes == *was) else {
            return Ok(false);
        };
        let directory = &self.base.directory;
        let text = self.base.codec.write(&Record { notes: notes.clone(), ..(*present).clone() })?;
        let temporary = directory.write(directory.file(TEMPORARY), text.expose())?;
        directory.replace(temporary, &self.base.path())?;
        Ok(true)
    }

    pub(super) fn commit(&self, expected: Expected, mut next: Record, until: Instant) -> Result<Commit> {
        let _writing = self.writing(until)?;
        let present = self.load()?;
        let version = present.as_ref().map(|present| present.version);
        match (expected.next_generation(version, next.version.generation), present) {
            (Some(generation), _) => next.version.generation = generation,
            (None, Some(present)) => return Ok(Commit::Outdated(present)),
            (None, None) => return Err(self.base.lost()),
        }
        let text = self.base.codec.write(&next)?;
        let temporary = self.base.write(self.base.directory.file(TEMPORARY), &text)?;
        self.base.directory.replace(temporary, &self.base.path())?;
        if next.tokens.is_none() {
            self.forget_reserved().map_err(still_there)?;
        }
        Ok(Commit::Done(Arc::new(next)))
    }

    /// Removes what a holder left who was killed with new tokens in hand. One that lives does so itself.
    fn forget_reserved(&self) -> Result<()> {
        let directory = &self.base.directory;
        let reserved = directory.file(RESERVED);
        if directory.look_at(&reserved)?.is_some()
            && let Some(_lock) = Flock::take(directory, LOCK, None, LOCK_PAUSE)?
        {
            directory.remove(&reserved)?;
            directory.sync()?;
        }
        Ok(())
    }

    /// The lock of those who change the record.
    pub(super) fn writing(&self, until: Instant) -> Result<Flock> {
        let began = Instant::now();
        let wait_until = began.checked_add(WRITE_WAIT).map_or(until, |longest| longest.min(until));
        Flock::take(&self.base.directory, WRITE, Some(wait_until), WRITE_PAUSE)?.ok_or_else(|| {
            store_error(format!(
                "somebody has been writing to the session store {} for {} ms; look for a stopped process that has {} open",
                self.base.path().display(),
                began.elapsed().as_millis(),
                self.base.directory.file(WRITE).display()
            ))
            // It goes on, or it dies and sets the lock free.
            .retryable()
        })
    }
}

struct SingleLock {
    flock: Flock,
    held: Arc<Held>,
    base: Arc<Base>,
}

impl Lock for SingleLock {
    fn is_held(&self, _rest: Duration, _until: Instant) -> Result<bool> {
        self.flock.is_held(&self.base.directory)
    }
}

impl Drop for SingleLock {
    fn drop(&mut self) {
        if self.flock.is_of_this_process() {
            self.base.let_go(&self.held);
        }
    }
}
