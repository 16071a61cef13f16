//! Tells a process from the children that were forked from it, and keeps a parent's locks out of them.
#![forbid(unsafe_code)]

use std::os::fd::RawFd;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};

static FORKS: AtomicU64 = AtomicU64::new(0);

/// Descriptors of locks that this process holds. A child that kept one open would hold the lock after its parent's
/// death.
static LOCK_FDS: [AtomicI32; 256] = [const { AtomicI32::new(NONE) }; 256];
const NONE: i32 = -1;

/// Called in a forked child, before anything else of this crate. The C face does so by itself; a Rust program that
/// forks on its own has to register it with `pthread_atfork` if it keeps its sessions in files, so that children give up
/// the descriptors of locks that they inherit. Allowed in a child of a threaded process: it touches atomics and closes
/// descriptors.
pub fn note_child() {
    FORKS.fetch_add(1, Ordering::SeqCst);
    for slot in &LOCK_FDS {
        let fd = slot.swap(NONE, Ordering::SeqCst);
        if fd != NONE {
            // Closing does not unlock: the parent has the same lock by its own descriptor.
            let _ = nix::unistd::close(fd);
        }
    }
}

/// A descriptor that forked children close. Drop it before the descriptor is closed here.
#[derive(Debug)]
pub(crate) struct LockFd {
    slot: Option<usize>,
    forks: u64,
}

impl LockFd {
    /// Whether this is a child that has closed the descriptor: its number may be another's by now.
    pub(crate) fn is_closed(&self) -> bool {
        self.slot.is_some() && self.forks != FORKS.load(Ordering::SeqCst)
    }
}

/// Puts `fd` on the list of what forked children close. A list that is full costs a child's promptness only.
pub(crate) fn register_lock_fd(fd: RawFd) -> LockFd {
    let free = |slot: &&AtomicI32| slot.compare_exchange(NONE, fd, Ordering::SeqCst, Ordering::SeqCst).is_ok();
    let forks = FORKS.load(Ordering::SeqCst);
    LockFd { slot: LOCK_FDS.iter().position(|slot| free(&slot)), forks }
}

impl Drop for LockFd {
    fn drop(&mut self) {
        if let Some(slot) = self.slot.and_then(|at| LOCK_FDS.get(at)).filter(|_| !self.is_closed()) {
            slot.store(NONE, Ordering::SeqCst);
        }
    }
}

/// A process, told apart from its parent and its children.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ProcessMark {
    pid: u32,
    forks: u64,
}

impl ProcessMark {
    /// The mark of the process that calls. One system call: not for the read path.
    pub(crate) fn current() -> Self {
        ProcessMark { pid: std::process::id(), forks: FORKS.load(Ordering::SeqCst) }
    }
}
