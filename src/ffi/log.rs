//! Exports: the log of a session.

use std::ffi::{CString, c_char, c_void};
use std::sync::Arc;

use super::arguments::session;
use super::guard::guard;
use super::handle::gc_auth_t;
use crate::error::{Error, Status};
use crate::log::LogLevel;
use crate::status::gc_auth_status_t;

/// Receives one line of the log.
///
/// - `user_data`: the pointer that was passed to gc_auth_set_log().
/// - `level`: 1 error, 2 warning, 3 information, 4 debug.
/// - `message`: one line of UTF-8 without a line break. It belongs to the library and is valid until
///   the function returns.
///
/// The function must return normally (no longjmp, no exception). It may call no function of the
/// library except gc_auth_status_name().
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

/// Sets the function that receives this handle's log: requests with their HTTP status and duration,
/// logins, renewals, which process made them, and faults of the store. No line holds a secret.
///
/// - `auth`: the handle.
/// - `log`: called for each line, on the thread whose library call the line is about, at the end of
///   that call, while the library holds no lock. Several threads may call it at the same time. NULL
///   turns the log off.
/// - `user_data`: passed to `log` unchanged. May be NULL. It must stay valid until the log is turned
///   off or replaced, or until gc_auth_free() has returned.
/// - `level`: the least important level to receive: 1 errors; 2 also warnings; 3 also information (a
///   few lines in a token's life); 4 everything. Ignored if `log` is NULL.
///
/// When the call returns, no other thread is inside the previous function; the call waits if
/// necessary.
///
/// Returns the common statuses; `GC_AUTH_ERR_INVALID_ARGUMENT` also if `level` is not one of these,
/// or if the call comes from within `log`.
///
/// Fork: the child uses the same function.
///
/// Since 0.1.0.
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
