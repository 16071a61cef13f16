//! The directory of a store: what may be opened there, and how files come into it so that nobody ever sees half of one.
#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::mem::ManuallyDrop;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use zeroize::Zeroizing;

use super::helper::step;
use crate::error::{Error, Result, Status};
use crate::files::{self, beyond_standard, check_size};
use crate::random;
use crate::secret::SecretBytes;

/// The mode of everything that is made.
const MODE: u32 = 0o600;
const DIRECTORY_MODE: u32 = 0o700;
/// What others may not do with a file: anything.
const OTHERS_ALL: u32 = 0o077;
/// What others may not do with a directory.
const OTHERS_WRITE: u32 = 0o022;
/// No record is as large.
const MOST_BYTES: u64 = 16 << 20;
/// Once for every chunk that is read or filled.
const CHUNK: usize = 4096;

/// What became of a new name for a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Link {
    Made,
    /// Somebody has the name already.
    Taken,
    /// The file itself is gone: somebody took it for a leftover.
    Vanished,
}

/// The path that the config names, and those beside it.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    /// The last part of the config's path.
    name: OsString,
    /// Whether it is ours to make.
    is_made_when_needed: bool,
}

impl Directory {
    /// The directory of the store at `store`. Touches nothing.
    pub(super) fn of(store: &Path) -> Self {
        // A later change of the working directory must not lead to another store.
        let store = std::path::absolute(store).unwrap_or_else(|_| store.to_owned());
        let path = match store.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        Directory { path, name: store.file_name().unwrap_or_default().to_owned(), is_made_when_needed: false }
    }

    /// The same, where the directory is made when something is written.
    pub(super) fn made_when_needed(store: &Path) -> Self {
        Directory { is_made_when_needed: true, ..Self::of(store) }
    }

    /// Whether the directory is ours to make, and nobody has made it yet.
    pub(super) fn is_yet_to_make(&self) -> bool {
        self.is_made_when_needed
            && again(|| fs::metadata(&self.path)).is_err_and(|error| error.kind() == ErrorKind::NotFound)
    }

    /// Makes the directory, and those above it, for the user alone.
    pub(super) fn make_if_needed(&self) -> Result<()> {
        if !self.is_yet_to_make() {
            return Ok(());
        }
        let made = fs::DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(&self.path);
        made.map_err(|error| failed("make the directory", &self.path, &error))?;
        self.check()
    }

    /// The directory, or as long as it is not there, the nearest one above it.
    pub(super) fn nearest(&self) -> &Path {
        self.path.ancestors().find(|path| path.exists()).unwrap_or(&self.path)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The path of the store with `suffix`.
    pub(super) fn file(&self, suffix: &str) -> PathBuf {
        let mut name = self.name.clone();
        name.push(suffix);
        self.path.join(name)
    }

    /// A name that nobody else picks.
    pub(super) fn unique(&self) -> PathBuf {
        self.file(&format!(".tmp.{:016x}", random::number()))
    }

    /// Checks that no other user can put files there.
    pub(super) fn check(&self) -> Result<()> {
        step();
        let here = self.path.display();
        if self.name.is_empty() {
            return Err(store_error(format!("the session store {here} names no file; add a file name to it")));
        }
        let found = again(|| fs::metadata(&self.path)).map_err(|error| match error.kind() {
            ErrorKind::NotFound => store_error(format!(
                "the directory of the session store, {here}, is not there; make it, writable for you alone (mkdir -p -m 700)"
            )),
            _ => failed("look at the directory", &self.path, &error),
        })?;
        if !found.is_dir() {
            return Err(store_error(format!("{here}, where the session store should be, is not a directory")));
        }
        if found.uid() != effective_user() && found.uid() != 0 {
            return Err(store_error(format!(
                "the directory of the session store, {here}, belongs to another user; use one of your own"
            )));
        }
        if found.mode() & OTHERS_WRITE != 0 {
            return Err(store_error(format!(
                "others can write to the directory of the session store, {here}; use one that only you can write to \
                 (chmod go-w)"
            )));
        }
        Ok(())
    }

    /// What `path` holds, and its state. None: there is no such file (any more).
    pub(super) fn read(&self, path: &Path) -> Result<Option<(SecretBytes, Metadata)>> {
        let mut options = OpenOptions::new();
        options.read(true);
        let Some((mut file, found)) = self.open(path, &options)? else {
            return Ok(None);
        };
        if found.len() > MOST_BYTES {
            return Err(store_error(format!("{} is too large for a session; name another file", path.display())));
        }
        let mut bytes = SecretBytes::with_capacity(usize::try_from(found.len()).unwrap_or(0).saturating_add(1))?;
        let mut chunk = Zeroizing::new([0u8; CHUNK]);
        loop {
            step();
            match file.read(&mut chunk[..]) {
                Ok(0) => return Ok(Some((bytes, found))),
                Ok(count) => bytes.push(chunk.get(..count).unwrap_or_default())?,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if is_gone(&error) => return Ok(None),
                Err(error) => return Err(failed("read", path, &error)),
            }
        }
    }

    /// The file at `path`, made if it is not there, for locks.
    pub(super) fn open_or_make(&self, path: &Path) -> Result<(File, Metadata)> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        self.open(path, &options)?.ok_or_else(|| failed("make", path, &ErrorKind::NotFound.into()))
    }

    /// Opens a file that belongs to us and is not a link.
    fn open(&self, path: &Path, options: &OpenOptions) -> Result<Option<(File, Metadata)>> {
        step();
        // Without O_NONBLOCK a FIFO would hold us until somebody writes.
        let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC | OFlag::O_NOCTTY;
        let opened = options.clone().mode(MODE).custom_flags(flags.bits()).open(path).and_then(beyond_standard);
        // Only the look at it may tell the client of a network file system that what it remembered is gone.
        let looked = opened.and_then(|file| {
            stale(Moment::Open)?;
            let found = file.metadata()?;
            Ok((file, found))
        });
        let (file, found) = match looked {
            Ok(opened) => opened,
            Err(error) if is_gone(&error) => return Ok(None),
            Err(error) if error.raw_os_error() == Some(Errno::ELOOP as i32) => {
                return Err(store_error(format!(
                    "{} is a symbolic link, which a session store does not follow; name the file itself",
                    path.display()
                )));
            }
            Err(error) => return Err(failed("open", path, &error)),
        };
        let wrong = if !found.is_file() {
            "is not a regular file; name another as the session store"
        } else if found.uid() != effective_user() {
            "belongs to another user; name a session store of your own"
        } else if found.mode() & OTHERS_ALL != 0 {
            "is open to others, and so is what it holds; remove it, or take their rights away (chmod 600)"
        } else {
            return Ok(Some((file, found)));
        };
        Err(store_error(format!("{} {wrong}", path.display())))
    }

    /// The state of what is at `path`, a link itself if it is one. None: nothing is there.
    pub(super) fn look_at(&self, path: &Path) -> Result<Option<Metadata>> {
        step();
        match again(|| fs::symlink_metadata(path)) {
            Ok(found) => Ok(Some(found)),
            Err(error) if is_gone(&error) => Ok(None),
            Err(error) => Err(failed("look at", path, &error)),
        }
    }

    /// What the names of the files beside the store begin with after the store's own.
    pub(super) fn suffixes(&self) -> Result<Vec<String>> {
        step();
        let list = || -> io::Result<Vec<String>> {
            let mut suffixes = Vec::new();
            stale(Moment::List)?;
            for entry in fs::read_dir(&self.path)? {
                let name = entry?.file_name();
                let suffix = name.as_encoded_bytes().strip_prefix(self.name.as_encoded_bytes());
                suffixes.extend(suffix.and_then(|suffix| std::str::from_utf8(suffix).ok()).map(str::to_owned));
            }
            Ok(suffixes)
        };
        again(list).map_err(|error| failed("list", &self.path, &error))
    }

    /// A file of its own with `text` in it, on the disk before it is handed out.
    pub(super) fn write(&self, path: PathBuf, text: &[u8]) -> Result<Temporary> {
        let (temporary, file) = self.make(path)?;
        temporary.fill(&file, text)?;
        Ok(temporary)
    }

    /// The same, as old as `old` is.
    pub(super) fn write_as_old(&self, path: PathBuf, text: &[u8], old: &Metadata) -> Result<Temporary> {
        let (temporary, file) = self.make(path)?;
        temporary.fill(&file, text)?;
        let age = old.modified().and_then(|written| file.set_modified(written));
        age.map_err(|error| failed("write", &temporary.0, &error))?;
        Ok(temporary)
    }

    /// Takes `size` bytes of the disk for a file to be written later. Zeros, because that is all that every file system
    /// understands.
    pub(super) fn reserve(&self, path: PathBuf, size: usize) -> Result<Temporary> {
        let (temporary, mut file) = self.make(path)?;
        let mut fill = || {
            check_size(size)?;
            file.write_all(&vec![0; size])?;
            step();
            file.sync_all()
        };
        fill().map_err(|error| failed("write", &temporary.0, &error))?;
        Ok(temporary)
    }

    /// Writes `text` into a file that was reserved.
    pub(super) fn write_reserved(&self, path: PathBuf, text: &[u8]) -> Result<Temporary> {
        let mut options = OpenOptions::new();
        options.write(true);
        let temporary = Temporary(path);
        let (file, _) = self
            .open(&temporary.0, &options)?
            .ok_or_else(|| failed("open", &temporary.0, &ErrorKind::NotFound.into()))?;
        temporary.fill(&file, text)?;
        Ok(temporary)
    }

    fn make(&self, path: PathBuf) -> Result<(Temporary, File)> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        for _ in 0..2 {
            self.remove(&path)?;
            if let Some((file, _)) = self.open(&path, &options)? {
                return Ok((Temporary(path), file));
            }
        }
        Err(failed("make", &path, &ErrorKind::NotFound.into()))
    }

    /// Removes a file; that it is not there is as good.
    pub(super) fn remove(&self, path: &Path) -> Result<()> {
        step();
        match fs::remove_file(path) {
            Err(error) if !is_gone(&error) => Err(failed("remove", path, &error)),
            _ => Ok(()),
        }
    }

    /// Puts `temporary` in the place of `target`, for good.
    pub(super) fn replace(&self, temporary: Temporary, target: &Path) -> Result<()> {
        self.rename(temporary, target).map_err(|error| failed("replace", target, &error))?;
        self.sync()
    }

    /// The same, not yet durable. False: somebody took `temporary` for a leftover.
    pub(super) fn try_replace(&self, temporary: Temporary, target: &Path) -> Result<bool> {
        match self.rename(temporary, target) {
            Ok(()) => Ok(true),
            Err(error) if is_gone(&error) => Ok(false),
            Err(error) => Err(failed("replace", target, &error)),
        }
    }

    fn rename(&self, temporary: Temporary, target: &Path) -> io::Result<()> {
        step();
        fs::rename(&temporary.0, target)?;
        // The name is another's now.
        temporary.keep();
        Ok(())
    }

    /// Gives the file at `source` the name `target` too, if nobody has it.
    pub(super) fn link(&self, source: &Path, target: &Path) -> Result<Link> {
        step();
        match fs::hard_link(source, target) {
            Ok(()) => Ok(Link::Made),
            // The answer to a request that was sent twice is about the first: look who has the name.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                let identity = |path| Ok(self.look_at(path)?.map(|found| (found.dev(), found.ino())));
                let (source, target) = (identity(source)?, identity(target)?);
                Ok(if source.is_some() && source == target { Link::Made } else { Link::Taken })
            }
            Err(error) if is_gone(&error) => Ok(Link::Vanished),
            Err(error) => Err(failed("make", target, &error)),
        }
    }

    /// Makes the names durable.
    pub(super) fn sync(&self) -> Result<()> {
        step();
        match files::open(&self.path).and_then(|directory| directory.sync_all()) {
            // Some network file systems have nothing to sync there.
            Err(error) if error.kind() != ErrorKind::InvalidInput => Err(failed("sync", &self.path, &error)),
            _ => Ok(()),
        }
    }

    /// What time it is for whoever keeps the files. Making and removing a file also has a client of a network file
    /// system forget what it knows about the directory.
    pub(super) fn time(&self) -> Result<SystemTime> {
        let (temporary, file) = self.make(self.unique())?;
        file.metadata().and_then(|found| found.modified()).map_err(|error| failed("look at", &temporary.0, &error))
    }
}

/// A file under a name that is only its own for now; the name goes when this is dropped.
#[derive(Debug)]
pub(super) struct Temporary(PathBuf);

impl Temporary {
    /// The file at `path`, from now on.
    pub(super) fn at(path: PathBuf) -> Self {
        Temporary(path)
    }

    /// Writes `text`, and nothing else, into `file`, which is this one; it is on the disk afterwards.
    pub(super) fn fill(&self, mut file: &File, text: &[u8]) -> Result<()> {
        step();
        let length = u64::try_from(text.len()).unwrap_or(u64::MAX);
        check_size(text.len())
            .and_then(|()| file.write_all(text))
            .and_then(|()| file.set_len(length))
            .and_then(|()| {
                step();
                file.sync_all()
            })
            .map_err(|error| failed("write", &self.0, &error))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Leaves the file where it is.
    pub(super) fn keep(self) {
        // Only the name's memory goes, which forgetting all of it would leak.
        drop(std::mem::take(&mut ManuallyDrop::new(self).0));
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Does once more what stumbled over something that the client of a network file system should have forgotten.
fn again<T>(ask: impl Fn() -> io::Result<T>) -> io::Result<T> {
    match ask() {
        Err(error) if error.kind() == ErrorKind::StaleNetworkFileHandle => ask(),
        answer => answer,
    }
}

/// Where a file may turn out to be stale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    Open,
    List,
}

/// Fails as a test told it to.
#[cfg(test)]
fn stale(moment: Moment) -> io::Result<()> {
    tests::fail_at(moment)
}

#[cfg(not(test))]
fn stale(_moment: Moment) -> io::Result<()> {
    Ok(())
}

/// Whether a file is not there, or not any more for the server that keeps it.
fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::StaleNetworkFileHandle)
}

fn effective_user() -> u32 {
    nix::unistd::geteuid().as_raw()
}

pub(super) fn store_error(message: impl Into<String>) -> Error {
    Error::new(Status::Store, message)
}

/// Whether the same may work a while later, with nothing done about it by the caller.
fn may_pass(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::TimedOut)
        || is_gone(error)
        || [Errno::EMFILE, Errno::ENFILE, Errno::EIO]
            .iter()
            .any(|passing| error.raw_os_error() == Some(*passing as i32))
}

/// An error of the operating system, and what to do about it.
pub(super) fn failed(action: &str, path: &Path, error: &io::Error) -> Error {
    let advice = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "make room there",
        ErrorKind::PermissionDenied => "keep the session store in a directory of your own (mode 700)",
        ErrorKind::ReadOnlyFilesystem => "keep the session store where it can be written",
        ErrorKind::Unsupported => "this file system can't keep a session store; keep it on another",
        ErrorKind::FileTooLarge => "let this process write larger files (ulimit -f)",
        _ if error.raw_os_error() == Some(Errno::EPERM as i32) => {
            "this file system, or its rights, can't keep a session store; keep it on another"
        }
        _ => "see to it that the session store can be read and written",
    };
    let said = store_error(format!("can't {action} {}: {error}; {advice}", path.display()));
    if may_pass(error) { said.retryable() } else { said }
}

#[cfg(test)]
pub(super) mod tests {
    use std::cell::Cell;

    use super::*;

    thread_local! {
        static FAULTS: Cell<Option<(Moment, Errno, u32)>> = const { Cell::new(None) };
    }

    /// From now on this thread meets `errno` at `moment`, so many times.
    pub(in crate::store::file) fn meet(moment: Moment, errno: Errno, times: u32) {
        FAULTS.set(Some((moment, errno, times)));
    }

    /// How many of them it has not met yet.
    pub(in crate::store::file) fn left() -> u32 {
        FAULTS.get().map_or(0, |(.., times)| times)
    }

    pub(super) fn fail_at(here: Moment) -> io::Result<()> {
        match FAULTS.get() {
            Some((moment, errno, times)) if moment == here && times > 0 => {
                FAULTS.set(Some((moment, errno, times.saturating_sub(1))));
                Err(errno.into())
            }
            _ => Ok(()),
        }
    }
}
