//! A directory that only this user can look into, for as long as the processes that use it live.
//!
//! The directory is locked for as long as anybody has it open who got it from us: this process, the command that it runs,
//! and their children. A directory that nobody has locked any more was left behind, and the next start removes it.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::{F_SETFD, FdFlag, Flock, FlockArg, OFlag, fcntl};
use nix::unistd::geteuid;

use crate::failure::{Failure, Outcome};

const ATTEMPTS: usize = 100;

/// A private directory; it goes when this is dropped.
#[derive(Debug)]
pub struct PrivateDirectory {
    path: PathBuf,
    _lock: Flock<File>,
}

impl PrivateDirectory {
    /// Makes one, where the system keeps files of running programs, and removes what earlier ones left behind.
    pub fn new() -> Outcome<Self> {
        let base = base()?;
        remove_leftovers(&base);
        for attempt in 0..ATTEMPTS {
            let path = base.join(format!("exec-{}-{attempt}", std::process::id()));
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::AlreadyExists => continue,
                Err(error) => return Err(failed("make", &path, &error)),
            }
            // Somebody may have taken it for a leftover before it was locked.
            if let Some(lock) = lock(&path, FlockArg::LockExclusiveNonblock)
                && is_at(&lock, &path)
            {
                // Whoever has the directory open keeps it: the command, and what that leaves running.
                fcntl(&*lock, F_SETFD(FdFlag::empty())).map_err(|error| failed("lock", &path, &error.into()))?;
                return Ok(PrivateDirectory { path, _lock: lock });
            }
        }
        Err(Failure::other(format!("no private directory can be made in {}", base.display())))
    }

    /// A file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

impl Drop for PrivateDirectory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// `$XDG_RUNTIME_DIR/gcauth`, or else `gcauth-UID` where temporary files lie; ours alone in any case.
fn base() -> Outcome<PathBuf> {
    let user = geteuid().as_raw();
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|path| path.is_absolute());
    let runtime = runtime.filter(|path| is_private(path, user)).map(|path| path.join("gcauth"));
    let base = runtime.unwrap_or_else(|| std::env::temp_dir().join(format!("gcauth-{user}")));
    match DirBuilder::new().mode(0o700).create(&base) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(failed("make", &base, &error)),
        _ => {}
    }
    if is_private(&base, user) {
        return Ok(base);
    }
    Err(Failure::other(format!(
        "{} is not a directory of yours alone (mode 700); remove it, or set TMPDIR to a directory of your own",
        base.display()
    )))
}

/// A directory, and no link to one, of this user, that nobody else can look into.
fn is_private(path: &Path, user: u32) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.is_dir() && found.uid() == user && found.mode() & 0o077 == 0)
}

/// None: somebody has it locked, or it is not there.
fn lock(path: &Path, how: FlockArg) -> Option<Flock<File>> {
    let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let directory = OpenOptions::new().read(true).custom_flags(flags.bits()).open(path).ok()?;
    Flock::lock(directory, how).ok()
}

/// Whether it is still this directory that the name leads to.
fn is_at(lock: &Flock<File>, path: &Path) -> bool {
    let identity = |found: fs::Metadata| (found.dev(), found.ino());
    match (lock.metadata(), fs::symlink_metadata(path)) {
        (Ok(ours), Ok(there)) => identity(ours) == identity(there),
        _ => false,
    }
}

fn remove_leftovers(base: &Path) {
    for entry in fs::read_dir(base).into_iter().flatten().flatten() {
        let path = entry.path();
        if entry.file_name().as_encoded_bytes().starts_with(b"exec-")
            && let Some(lock) = lock(&path, FlockArg::LockExclusiveNonblock)
            && is_at(&lock, &path)
        {
            let _ = fs::remove_dir_all(&path);
        }
    }
}

fn failed(action: &str, path: &Path, error: &io::Error) -> Failure {
    Failure::other(format!("can't {action} {}: {error}; set TMPDIR to a directory of your own", path.display()))
}
