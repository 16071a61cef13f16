//! The opaque handle.
#![allow(non_camel_case_types)]

use std::sync::Once;

use crate::fork;
use crate::session::Session;

/// A session. Make it with gc_auth_new() or gc_auth_from_json(), free it with gc_auth_free(), once, when no other
/// thread uses it any more. In between any number of threads may use it at once.
pub struct gc_auth {
    pub(super) session: Session,
}

/// A session, opaque: only pointers to it are used.
pub type gc_auth_t = gc_auth;

impl gc_auth {
    pub(super) fn new(session: Session) -> Self {
        static FORK_HOOK: Once = Once::new();
        FORK_HOOK.call_once(|| {
            // Without the hook forked children are still told apart, by their pid.
            // SAFETY: the handler touches one atomic, which is allowed in a child of a threaded process.
            let _ = unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
        });
        gc_auth { session }
    }
}

extern "C" fn in_child() {
    fork::note_child();
}
