//! A session in files: one machine, or a cluster's shared file system. Nothing to install, nothing to run.
//!
//! With `flock` the record is one file that is replaced; with leases every record, note and lease is a file of its own
//! with a number in its name, made by `link`, which gives each name once. No file ever changes under its name, but that a
//! logout puts copies of its tombstone in the place of older records: they lead on to the tombstone.
//!
//! | name | what it is |
//! |---|---|
//! | `PATH.method` | `flock` or `lease`: how all who come have to lock |
//! | `PATH` | flock: the record |
//! | `PATH.lock`, `PATH.write` | flock: locked for a renewal, and for a write; never removed |
//! | `PATH.tmp`, `PATH.next` | flock: the next record, under the lock for writes, and reserved under the one for renewals |
//! | `PATH.gG` | lease: the record of generation G |
//! | `PATH.n.G.N` | lease: its notes; the highest N counts |
//! | `PATH.lease.G.A`, `….free` | lease: the renewal lock of generation G, attempt A; that it was given back |
//! | `PATH.tmp.G.A` | lease: the next record, reserved by the holder of that lease |
//! | `PATH.tmp.RANDOM` | lease: everything else before it gets its name |
#![forbid(unsafe_code)]

mod directory;
mod file_system;
mod flock;
mod front;
mod helper;
mod lease;
mod names;
mod single;
#[cfg(test)]
mod tests;
mod tidy;

use std::cell::Cell;
use std::fmt;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;

use super::{Codec, Commit, Expected, Habits, Lock, Store};
use crate::error::{Error, Result};
use crate::fork::ProcessMark;
use crate::record::{Notes, Record, Version};
use crate::secret::SecretBytes;
pub(crate) use front::FileStore;

use directory::{Directory, Link, Temporary, store_error};
use lease::Leased;
use names::Listing;
use single::Single;

/// Says how the store is locked, for all who come.
const METHOD: &str = ".method";
const HABITS: Habits = Habits {
    // A look costs a few system calls.
    look_pause: Duration::from_millis(100),
    // In slices, so that what the holder achieves is seen by all who wait, and not by one after the other.
    lock_slice: Duration::from_millis(500),
    // A renewal asks a file server some hundred times.
    early_patience: Duration::from_secs(2),
};
/// For somebody else's write to end, when the method is repaired.
const REPAIR_WAIT: Duration = Duration::from_secs(3);
/// What is reserved for a record at least.
const LEAST_RESERVED: usize = 64 << 10;

/// What the config says about the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LockChoice {
    /// `flock` where it can be relied upon, else leases.
    Auto,
    Flock,
    Lease,
}

/// How a store is locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Method {
    Flock = 1,
    Lease = 2,
}

impl Method {
    const ALL: [Method; 2] = [Method::Flock, Method::Lease];

    fn name(self) -> &'static str {
        match self {
            Method::Flock => "flock",
            Method::Lease => "lease",
        }
    }

    /// What its file holds.
    fn text(self) -> String {
        format!("{}\n", self.name())
    }

    /// Where its file is made.
    fn draft(self) -> String {
        format!("{METHOD}.{}", self.name())
    }
}

/// Keeps a session in files.
struct Files {
    path: PathBuf,
    choice: LockChoice,
    /// The one in use; 0 before that is known.
    method: AtomicU8,
    single: Single,
    leased: Leased,
    base: Arc<Base>,
}

impl Files {
    /// The store at `path`. Touches nothing yet.
    fn new(path: PathBuf, choice: LockChoice, codec: Codec) -> Self {
        let directory = Directory::of(&path);
        Self::with(path, directory, choice, codec)
    }

    /// The same, with a directory that is made when something is written.
    fn of_user(path: PathBuf, choice: LockChoice, codec: Codec) -> Self {
        let directory = Directory::made_when_needed(&path);
        Self::with(path, directory, choice, codec)
    }

    fn with(path: PathBuf, directory: Directory, choice: LockChoice, codec: Codec) -> Self {
        let base = Arc::new(Base { directory, codec, held: ArcSwapOption::empty() });
        Files {
            path,
            choice,
            method: AtomicU8::new(0),
            single: Single::new(base.clone()),
            leased: Leased::new(base.clone()),
            base,
        }
    }

    /// How the store is locked. One that is not there yet is made.
    fn method(&self) -> Result<Method> {
        match self.method_if_made()? {
            Some(method) => Ok(method),
            None => self.make(),
        }
    }

    /// How the store is locked; None while there is none.
    fn method_if_made(&self) -> Result<Option<Method>> {
        if self.base.directory.is_yet_to_make() {
            return Ok(None);
        }
        self.base.directory.check()?;
        let known = self.method.load(Ordering::Relaxed);
        if let Some(method) = Method::ALL.into_iter().find(|method| *method as u8 == known) {
            return Ok(Some(method));
        }
        self.read_method()
    }

    fn read_method(&self) -> Result<Option<Method>> {
        let directory = &self.base.directory;
        let path = directory.file(METHOD);
        let Some((text, found)) = directory.read(&path)? else {
            return Ok(None);
        };
        let Some(method) = Method::ALL.into_iter().find(|method| method.text().as_bytes() == text.expose()) else {
            if !is_one_word(text.expose()) {
                return self.repair_method().map(Some);
            }
            return Err(store_error(format!(
                "{} names no lock that this version knows; update libgcauth, or remove the session store ({} and all \
                 that begins so) and log in again",
                path.display(),
                self.path.display()
            )));
        };
        self.check_method(method)?;
        // Its maker died before it could remove the draft.
        if found.nlink() > 1 {
            for method in Method::ALL {
                let _ = directory.remove(&directory.file(&method.draft()));
            }
        }
        self.method.store(method as u8, Ordering::Relaxed);
        Ok(Some(method))
    }

    /// Puts the method that the records tell in the place of what is none: a host that had closed its standard error may
    /// have written there. Without records it is as if there were no store yet.
    fn repair_method(&self) -> Result<Method> {
        let directory = &self.base.directory;
        let is_leased = !Listing::of(&directory.suffixes()?).records.is_empty();
        let method = match directory.look_at(&directory.file(""))? {
            _ if is_leased => Method::Lease,
            Some(_) => Method::Flock,
            None => self.planned(),
        };
        self.check_method(method)?;
        let _alone = match method {
            Method::Flock => Some(self.single.writing(Instant::now() + REPAIR_WAIT)?),
            // Who repairs it at the same time writes the same.
            Method::Lease => None,
        };
        let path = directory.file(METHOD);
        let is_repaired = directory.read(&path)?.is_some_and(|(text, _)| text.expose() == method.text().as_bytes());
        if !is_repaired {
            let draft = match method {
                Method::Flock => directory.file(single::TEMPORARY),
                Method::Lease => directory.unique(),
            };
            let repaired = directory.write(draft, method.text().as_bytes())?;
            directory.replace(repaired, &path)?;
        }
        self.method.store(method as u8, Ordering::Relaxed);
        Ok(method)
    }

    /// How a store would be locked that is made here.
    fn planned(&self) -> Method {
        match self.choice {
            LockChoice::Lease => Method::Lease,
            LockChoice::Auto if !file_system::keeps_flock(self.base.directory.nearest()) => Method::Lease,
            LockChoice::Auto | LockChoice::Flock => Method::Flock,
        }
    }

    /// Whether this process can go along with how the store was made.
    fn check_method(&self, method: Method) -> Result<()> {
        let path = self.path.display();
        let demanded = match self.choice {
            LockChoice::Auto => method,
            LockChoice::Flock => Method::Flock,
            LockChoice::Lease => Method::Lease,
        };
        if demanded != method {
            return Err(store_error(format!(
                "the session store {path} was made with store_lock \"{}\", and this config demands \"{}\"; all who share \
                 it need the same, or \"auto\"",
                method.name(),
                demanded.name()
            )));
        }
        if method == Method::Flock && !file_system::keeps_flock(self.base.directory.path()) {
            return Err(store_error(format!(
                "flock can't be relied upon on the file system of the session store {path}; set store_lock to \
                 \"lease\", and if the store was made with flock, remove it ({path} and all that begins so) and log in \
                 again"
            )));
        }
        Ok(())
    }

    /// Writes down how the store is locked. Whoever is first has decided.
    fn make(&self) -> Result<Method> {
        let directory = &self.base.directory;
        directory.make_if_needed()?;
        let method = self.planned();
        self.check_method(method)?;
        self.check_remains(method)?;
        // All who make it write the same into the same file.
        let draft = directory.file(&method.draft());
        for _ in 0..ATTEMPTS {
            let linked = {
                let (file, _) = directory.open_or_make(&draft)?;
                let draft = Temporary::at(draft.clone());
                draft.fill(&file, method.text().as_bytes())?;
                directory.link(draft.path(), &directory.file(METHOD))?
            };
            if linked != Link::Vanished {
                directory.sync()?;
            }
            if let Some(method) = self.read_method()? {
                return Ok(method);
            }
        }
        Err(self.base.unsteady())
    }

    /// The current record.
    fn present(&self) -> Result<Option<Arc<Record>>> {
        let method = match self.method_if_made()? {
            None if self.has_remains()? => Some(self.make()?),
            method => method,
        };
        match method {
            None => Ok(None),
            Some(Method::Flock) => self.single.load(),
            Some(Method::Lease) => self.leased.load(),
        }
    }

    /// Whether something lies where a record would: a store that has lost its method is not an empty one.
    fn has_remains(&self) -> Result<bool> {
        let directory = &self.base.directory;
        if directory.is_yet_to_make() {
            return Ok(false);
        }
        Ok(directory.look_at(&directory.file(""))?.is_some() || !Listing::of(&directory.suffixes()?).records.is_empty())
    }

    /// That what lies there already fits: the file with the method may have been removed, or the path be another file's.
    fn check_remains(&self, method: Method) -> Result<()> {
        let directory = &self.base.directory;
        let single = directory.read(&directory.file(""))?;
        let is_leased = !Listing::of(&directory.suffixes()?).records.is_empty();
        if let Some((text, _)) = &single {
            self.base.read(text)?;
        }
        let others = if method == Method::Flock { is_leased } else { single.is_some() };
        if others {
            return Err(store_error(format!(
                "{} is missing, and there are records that were not made with \"{}\"; remove the session store ({} and \
                 all that begins so) and log in again",
                directory.file(METHOD).display(),
                method.name(),
                self.path.display()
            )));
        }
        Ok(())
    }
}

impl Store for Files {
    fn kind(&self) -> &'static str {
        "file"
    }

    fn place(&self) -> Option<String> {
        Some(self.path.display().to_string())
    }

    fn lock_kind(&self) -> &'static str {
        self.method_if_made().ok().flatten().unwrap_or_else(|| self.planned()).name()
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn habits(&self) -> Habits {
        HABITS
    }

    fn load(&self, _until: Instant) -> Result<Option<Arc<Record>>> {
        self.present()
    }

    fn lock(&self, term: Duration, wait_until: Option<Instant>, _until: Instant) -> Result<Option<Arc<dyn Lock>>> {
        // Somebody may have removed the store, and made another.
        self.method.store(0, Ordering::Relaxed);
        match self.method()? {
            Method::Flock => self.single.lock(wait_until),
            Method::Lease => self.leased.lock(term, wait_until),
        }
    }

    fn prepare(&self, _until: Instant) -> Result<()> {
        let Some(held) = self.base.held() else {
            return Ok(());
        };
        let present = self.present()?;
        let size = present.map(|record| self.base.codec.write(&record)).transpose()?;
        let size = size.map_or(0, |text| text.expose().len()).saturating_mul(2).max(LEAST_RESERVED);
        self.base.directory.reserve(held.reserved.clone(), size)?.keep();
        held.is_reserved.store(true, Ordering::SeqCst);
        Ok(())
    }

    fn note(&self, seen: Version, was: &Notes, notes: &Notes, until: Instant) -> Result<bool> {
        match self.method_if_made()? {
            None => Ok(false),
            Some(Method::Flock) => self.single.note(seen, was, notes, until),
            Some(Method::Lease) => self.leased.note(seen, was, notes),
        }
    }

    fn commit(&self, expected: Expected, next: Record, until: Instant) -> Result<Commit> {
        match self.method()? {
            Method::Flock => self.single.commit(expected, next, until),
            Method::Lease => self.leased.commit(expected, next),
        }
    }
}

impl fmt::Debug for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Files").field("path", &self.path).field("choice", &self.choice).finish_non_exhaustive()
    }
}

/// How often something is tried again because of what others do at the same time: each time one of them got on.
const ATTEMPTS: usize = 1000;

/// What both methods work with.
struct Base {
    directory: Directory,
    codec: Codec,
    /// The renewal lock, while a thread of this process has it.
    held: ArcSwapOption<Held>,
}

/// What goes with a renewal lock that is held.
#[derive(Debug)]
struct Held {
    /// Where the next record's file is reserved: a name that is the holder's alone.
    reserved: PathBuf,
    is_reserved: AtomicBool,
    mark: ProcessMark,
    /// Other threads write without the lock, and may still be at it when it is somebody else's, and the name too.
    holder: u64,
}

impl Base {
    /// Says that the lock is taken. What an earlier holder left under the name is removed.
    fn hold(&self, reserved: PathBuf) -> Result<Arc<Held>> {
        self.directory.remove(&reserved)?;
        let held = Arc::new(Held {
            reserved,
            is_reserved: AtomicBool::new(false),
            mark: ProcessMark::current(),
            holder: this_thread(),
        });
        self.held.store(Some(held.clone()));
        Ok(held)
    }

    /// Says that the lock is given back.
    fn let_go(&self, held: &Arc<Held>) {
        // Only ours: a later lock may be there already.
        self.held.rcu(|present| present.as_ref().filter(|present| !Arc::ptr_eq(present, held)).cloned());
        if held.is_reserved.swap(false, Ordering::SeqCst) {
            let _ = self.directory.remove(&held.reserved);
        }
    }

    /// The lock that this thread holds: neither another's, nor one that the process was born with.
    fn held(&self) -> Option<Arc<Held>> {
        let is_ours = |held: &Arc<Held>| held.mark == ProcessMark::current() && held.holder == this_thread();
        self.held.load_full().filter(is_ours)
    }

    /// The record that a file of this store holds.
    fn read(&self, text: &SecretBytes) -> Result<Record> {
        self.codec.read(text.expose()).map_err(|error| error.in_context(&self.path().display().to_string()))
    }

    /// A file with `text` in it: the one that was reserved, if there is one, else at `path`.
    fn write(&self, path: PathBuf, text: &SecretBytes) -> Result<Temporary> {
        let reserved = self.held().filter(|held| held.is_reserved.swap(false, Ordering::SeqCst));
        if let Some(held) = reserved
            && let Ok(written) = self.directory.write_reserved(held.reserved.clone(), text.expose())
        {
            return Ok(written);
        }
        self.directory.write(path, text.expose())
    }

    /// The error of one who expected a record, and there is none at all.
    fn lost(&self) -> Error {
        store_error(format!("the session that was in {} is gone; log in again", self.path().display()))
    }

    fn unsteady(&self) -> Error {
        store_error(format!(
            "the session store {} keeps changing; check whether another program writes to it",
            self.path().display()
        ))
    }

    fn path(&self) -> PathBuf {
        self.directory.file("")
    }
}

/// A number of this thread's own. std's takes memory, which threads of other people's making give back late or never.
fn this_thread() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    thread_local! { static NUMBER: Cell<u64> = const { Cell::new(0) } }
    if let Some(number) = helper::in_the_name_of() {
        return number;
    }
    if NUMBER.get() == 0 {
        NUMBER.set(LAST.fetch_add(1, Ordering::Relaxed) + 1);
    }
    NUMBER.get()
}

/// The error of a logout that stands, but could not clean up behind itself.
fn still_there(error: Error) -> Error {
    error.in_context("the session is ended, but its tokens are still on the disk; log out again")
}

/// Whether a later version may have written this as the name of a method.
fn is_one_word(text: &[u8]) -> bool {
    let word = text.strip_suffix(b"\n").unwrap_or_default();
    (1..=32).contains(&word.len()) && word.iter().all(|byte| byte.is_ascii_lowercase() || *byte == b'-')
}

/// Whether two looks saw the same file.
fn is_same_file(one: &Metadata, other: &Metadata) -> bool {
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}
