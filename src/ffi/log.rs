//! Exports: the log of a session.

use std::ffi::{CString, c_char, c_void};
use std::sync::Arc;

use super::arguments::session;
use super::guard::guard;
use super::handle::gc_auth_t;
use crate::error::{Error, Status};
use crate::log::LogLevel;
use crate::status::gc_auth_status_t;

/// Takes a line of the log: `user_data` as it was given to gc_auth_set_log(), the level (1 error, 2 warning,
/// 3 information, 4 debug), and one line of UTF-8 without a line break, which belongs to the library and is good until the
/// function returns. It must return normally (no longjmp, no exception), and call nothing of the library but
/// gc_auth_status_name().
#[allow(non_camel_case_types)]
pub type gc_auth_log_fn = Option<unsafe extern "C" fn(user_data: *mut c_void, level: i32, message: *const c_char)>;

/// A C function and what it is to be called with.
struct Callback {
    function: unsafe extern "C" fn(*mut c_void, i32, *const c_char),
    user_data: *mut c_void,
}

// SAFETY: the header asks for a function and data that any thread may call it with.
unsafe impl Send for Callback {}
unsafe impl Sync for Callback {}

impl Callback {
    fn call(&self, level: LogLevel, line: &str) {
        if let Ok(line) = CString::new(line) {
            // SAFETY: function and data are good until gc_auth_set_log() has replaced them, or the handle is freed.
            unsafe { (self.function)(self.user_data, level as i32, line.as_ptr()) }
        }
    }
}

/// Sets where lines about this handle's session go: requests with HTTP status and duration, logins, renewals, who made
/// them, what was wrong with the store. No line holds a secret.
///
/// - `auth`: the handle. Not NULL.
/// - `log`: called for each line, by the thread whose call of the library the line is about, at the end of that call,
///   while no lock is held. NULL turns the log off.
/// - `user_data`: handed to `log` as it is; may be NULL. It must stay good until the log is turned off or set anew, or
///   gc_auth_free() has returned.
/// - `level`: the least important lines to be told: 1 errors only, 2 warnings too, 3 information too (what happens once in
///   a token's life), 4 everything. Not looked at when `log` is NULL.
///
/// Returns when no other thread is in the function that was set before; it may wait for one. `GC_AUTH_OK`;
/// `GC_AUTH_ERR_INVALID_ARGUMENT` (`level` is none of these; the call came from within `log`).
///
/// Threads: any; `log` may be called by several threads at once. Fork: a child goes on with the same function. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gc_auth_set_log(
    auth: *mut gc_auth_t,
    log: gc_auth_log_fn,
    user_data: *mut c_void,
    level: i32,
) -> gc_auth_status_t {
    guard(|| {
        // SAFETY: the handle is as the header asks for.
        let session = unsafe { session(auth)? };
        let Some(function) = log else {
            return session.set_log(None);
        };
        let level = match level {
            1 => LogLevel::Error,
            2 => LogLevel::Warning,
            3 => LogLevel::Information,
            4 => LogLevel::Debug,
            _ => return Err(Error::new(Status::InvalidArgument, "level is not 1, 2, 3 or 4")),
        };
        let callback = Callback { function, user_data };
        session.set_log(Some((level, Arc::new(move |level, line: &str| callback.call(level, line)))))
    })
}
