//! The opaque handle.
#![allow(non_camel_case_types)]

use std::sync::atomic::{AtomicU32, Ordering};

use crate::fork;
use crate::session::Session;

/// A session. Make it with gc_auth_new() or gc_auth_from_json(). Free it once with gc_auth_free(),
/// when no other thread uses it any more.
pub struct gc_auth {
    pub(super) session: Session,
}

/// A session. The struct is opaque: use pointers to it only.
pub type gc_auth_t = gc_auth;

impl gc_auth {
    pub(super) fn new(session: Session) -> Self {
        hook_forks();
        gc_auth { session }
    }
}

/// Has forked children told apart from their parents, once. Nobody waits for who does it: a child may be born meanwhile,
/// and does it again.
fn hook_forks() {
    const DONE: u32 = u32::MAX;
    static HOOKED_BY: AtomicU32 = AtomicU32::new(0);
    let here = std::process::id();
    let before = HOOKED_BY.load(Ordering::Acquire);
    if before == DONE
        || before == here
        || HOOKED_BY.compare_exchange(before, here, Ordering::AcqRel, Ordering::Acquire).is_err()
    {
        return;
    }
    // Without the hook forked children are still told apart, by their pid.
    // SAFETY: the handler touches atomics and closes descriptors, which is allowed in a child of a threaded process.
    let _ = unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
    HOOKED_BY.store(DONE, Ordering::Release);
}

extern "C" fn in_child() {
    fork::note_child();
}
