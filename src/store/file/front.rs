//! The file store as others see it: on a file system that may hang, its work is done by a helper.
#![forbid(unsafe_code)]

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;

use super::file_system::is_local;
use super::helper::Helper;
use super::{Files, HABITS, LockChoice, Method};
use crate::error::Result;
use crate::record::{Notes, Record, Version};
use crate::store::{Codec, Commit, Expected, Habits, Lock, Store};

const UNKNOWN: u8 = 0;
const LOCAL: u8 = 1;
const REMOTE: u8 = 2;

/// Keeps a session in files, wherever they are.
pub(crate) struct FileStore {
    files: Arc<Files>,
    /// Whether the file system is this machine's.
    place: AtomicU8,
    helper: ArcSwapOption<Helper>,
}

impl FileStore {
    /// The store at `path`. Touches nothing yet.
    pub(crate) fn new(path: PathBuf, choice: LockChoice, codec: Codec) -> Self {
        Self::of(Files::new(path, choice, codec))
    }

    /// The same, with a directory that is made when something is written.
    pub(crate) fn of_user(path: PathBuf, choice: LockChoice, codec: Codec) -> Self {
        Self::of(Files::of_user(path, choice, codec))
    }

    fn of(files: Files) -> Self {
        FileStore { files: Arc::new(files), place: AtomicU8::new(UNKNOWN), helper: ArcSwapOption::empty() }
    }

    /// Whether no call of the kernel waits for another machine.
    fn is_local(&self) -> bool {
        match self.place.load(Ordering::Relaxed) {
            UNKNOWN => {
                let is_local = is_local(self.files.base.directory.path());
                self.place.store(if is_local { LOCAL } else { REMOTE }, Ordering::Relaxed);
                is_local
            }
            place => place == LOCAL,
        }
    }

    fn helper(&self) -> Arc<Helper> {
        match self.helper.load_full().filter(|helper| helper.is_ours()) {
            Some(helper) => helper,
            None => {
                let helper = Helper::of(&self.files.base.path());
                self.helper.store(Some(helper.clone()));
                helper
            }
        }
    }

    /// What `work` gives, before `until` if it may hang.
    fn run<T: Send + 'static>(
        &self,
        until: Instant,
        is_kept: bool,
        work: impl FnOnce(&Files) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        if self.is_local() {
            return work(&self.files);
        }
        let files = self.files.clone();
        self.helper().run(until, is_kept, move || work(&files))
    }
}

impl Store for FileStore {
    fn kind(&self) -> &'static str {
        "file"
    }

    fn place(&self) -> Option<String> {
        self.files.place()
    }

    fn lock_kind(&self) -> &'static str {
        if self.is_local() { self.files.lock_kind() } else { Method::Lease.name() }
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn habits(&self) -> Habits {
        HABITS
    }

    fn load(&self, until: Instant) -> Result<Option<Arc<Record>>> {
        self.run(until, false, move |files| files.load(until))
    }

    fn lock(&self, term: Duration, wait_until: Option<Instant>, until: Instant) -> Result<Option<Arc<dyn Lock>>> {
        // Somebody may have mounted another file system there.
        self.place.store(UNKNOWN, Ordering::Relaxed);
        if self.is_local() {
            return self.files.lock(term, wait_until, until);
        }
        let lock = self.run(until, false, move |files| files.lock(term, wait_until, until))?;
        let helper = self.helper();
        Ok(lock.map(|lock| Arc::new(RemoteLock { lock: Some(lock), helper, until }) as Arc<dyn Lock>))
    }

    fn prepare(&self, until: Instant) -> Result<()> {
        self.run(until, false, move |files| files.prepare(until))
    }

    fn note(&self, seen: Version, was: &Notes, notes: &Notes, until: Instant) -> Result<bool> {
        let (was, notes) = (was.clone(), notes.clone());
        self.run(until, false, move |files| files.note(seen, &was, &notes, until))
    }

    fn commit(&self, expected: Expected, next: Record, until: Instant) -> Result<Commit> {
        // What comes of a server's answer is kept, though its caller be gone.
        self.run(until, true, move |files| files.commit(expected, next, until))
    }
}

impl fmt::Debug for FileStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.files.fmt(f)
    }
}

/// A lock on a file system that may hang.
struct RemoteLock {
    /// There until it is dropped.
    lock: Option<Arc<dyn Lock>>,
    helper: Arc<Helper>,
    /// The end of the call that took it.
    until: Instant,
}

impl Lock for RemoteLock {
    fn is_held(&self, rest: Duration, until: Instant) -> Result<bool> {
        let Some(lock) = self.lock.clone().filter(|_| self.helper.is_ours()) else {
            return Ok(false);
        };
        self.helper.run(until, false, move || lock.is_held(rest, until))
    }
}

impl Drop for RemoteLock {
    fn drop(&mut self) {
        // A forked child has nothing to give back.
        if let Some(lock) = self.lock.take().filter(|_| self.helper.is_ours()) {
            // It is given back by and by, also when nobody waits for that.
            let _ = self.helper.run(self.until, true, move || {
                drop(lock);
                Ok(())
            });
        }
    }
}
