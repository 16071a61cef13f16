//! Tells a process from the children that were forked from it.
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicU64, Ordering};

static FORKS: AtomicU64 = AtomicU64::new(0);

/// Called in a forked child, before anything else of this crate. The C face does so by itself; a Rust program that
/// forks on its own may register it with `pthread_atfork` to cover children that get their parent's pid in another
/// pid namespace; every other child is noticed without.
pub fn note_child() {
    FORKS.fetch_add(1, Ordering::SeqCst);
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
