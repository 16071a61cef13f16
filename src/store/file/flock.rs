//! `flock`: an open file that one at a time has locked; freed by the system when its holder dies.
#![forbid(unsafe_code)]

use std::fs::{File, Metadata, TryLockError};
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::directory::{Directory, failed};
use crate::error::Result;
use crate::fork::{LockFd, ProcessMark, register_lock_fd};
use crate::random;

/// A locked file.
pub(super) struct Flock {
    /// Has forked children close their copy of the descriptor. Ahead of it: dropped first.
    known: LockFd,
    /// There until it is dropped.
    file: Option<File>,
    found: Metadata,
    path: PathBuf,
    mark: ProcessMark,
}

impl Flock {
    /// Locks the file of `directory` with `suffix`, which is made if it is not there. None: somebody else has it, still
    /// at `wait_until`, or now, if that is not given.
    pub(super) fn take(
        directory: &Directory,
        suffix: &str,
        wait_until: Option<Instant>,
        pause: Duration,
    ) -> Result<Option<Self>> {
        let path = directory.file(suffix);
        loop {
            let (file, found) = directory.open_or_make(&path)?;
            // Ahead of the lock, so that no child is born with a copy that nobody knows of.
            let known = register_lock_fd(file.as_raw_fd());
            let lock = Flock { known, file: Some(file), found, path: path.clone(), mark: ProcessMark::current() };
            // Never a blocking lock: nothing could end that wait.
            while let Err(error) = lock.file.as_ref().map_or(Ok(()), File::try_lock) {
                match error {
                    TryLockError::WouldBlock => {}
                    TryLockError::Error(error) => return Err(failed("lock", &path, &error)),
                }
                let left = wait_until.map_or(Duration::ZERO, |until| until.saturating_duration_since(Instant::now()));
                if left.is_zero() {
                    return Ok(None);
                }
                std::thread::sleep(left.min(pause.mul_f64(0.5 + random::fraction())));
            }
            if lock.is_held(directory)? {
                return Ok(Some(lock));
            }
            // Somebody removed the file between the opening and the lock; a new one is there, or will be.
        }
    }

    /// Whether it is ours, and the one that everybody else sees.
    pub(super) fn is_held(&self, directory: &Directory) -> Result<bool> {
        let seen = directory.look_at(&self.path)?;
        Ok(self.is_of_this_process()
            && seen.is_some_and(|seen| (seen.dev(), seen.ino()) == (self.found.dev(), self.found.ino())))
    }

    /// Whether it was this process that took it, and not the one that this was forked from.
    pub(super) fn is_of_this_process(&self) -> bool {
        self.mark == ProcessMark::current()
    }
}

impl Drop for Flock {
    fn drop(&mut self) {
        // A lock belongs to all copies of a descriptor: unlocking in a child would take it from the parent. In the
        // parent it must not be left to a child that still has a copy.
        if self.is_of_this_process() {
            let _ = self.file.as_ref().map(File::unlock);
        } else if self.known.is_closed() {
            std::mem::forget(self.file.take());
        }
    }
}

#[cfg(test)]
impl Flock {
    /// Another descriptor of the same lock, as a forked child has one.
    pub(super) fn copy(&self) -> File {
        self.file.as_ref().unwrap().try_clone().unwrap()
    }
}
