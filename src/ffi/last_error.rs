//! The last error of each thread, in memory that stays where it is for the life of the thread.

use std::cell::{Cell, UnsafeCell};
use std::ffi::c_char;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::Error;
use crate::status::{GC_AUTH_OK, gc_auth_status_t};

const SIZE: usize = 512;

struct LastError {
    message: UnsafeCell<[u8; SIZE]>,
    status: Cell<gc_auth_status_t>,
    http_status: Cell<i32>,
    retry_after_ms: Cell<i64>,
    is_retryable: Cell<bool>,
}

thread_local! {
    // Const and without a destructor: a pointer into it is good until the thread ends, whatever is called meanwhile.
    static LAST: LastError = const {
        LastError {
            message: UnsafeCell::new([0; SIZE]),
            status: Cell::new(GC_AUTH_OK),
            http_status: Cell::new(0),
            retry_after_ms: Cell::new(-1),
            is_retryable: Cell::new(false),
        }
    };
}

/// Whether any thread ever had an error. Until then every thread's is clear, and need not be looked for: finding it
/// takes a tenth of the time of handing out a bearer.
static ANY: AtomicBool = AtomicBool::new(false);

/// As after a success.
#[inline]
pub(super) fn clear() {
    // A thread sees at least its own store; those of other threads don't matter to it.
    if ANY.load(Ordering::Relaxed) {
        clear_own();
    }
}

fn clear_own() {
    LAST.with(|last| {
        last.status.set(GC_AUTH_OK);
        last.http_status.set(0);
        last.retry_after_ms.set(-1);
        last.is_retryable.set(false);
        // SAFETY: only this thread reaches its own buffer, and nobody holds a Rust reference to it.
        unsafe { last.message.get().cast::<u8>().write(0) };
    });
}

/// Keeps `error`; its message is cut to one line that fits.
pub(super) fn set(error: &Error) {
    ANY.store(true, Ordering::Relaxed);
    LAST.with(|last| {
        last.status.set(error.status().code());
        last.http_status.set(error.http_status().into());
        last.retry_after_ms
            .set(error.retry_after().map_or(-1, |wait| i64::try_from(wait.as_millis()).unwrap_or(i64::MAX)));
        last.is_retryable.set(error.is_retryable());
        // SAFETY: as in clear().
        let buffer = unsafe { &mut *last.message.get() };
        write_line(buffer, error.message());
    });
}

/// Copies whole characters, control characters as blanks, and ends with a NUL.
fn write_line(buffer: &mut [u8; SIZE], text: &str) {
    let mut used = 0;
    for c in text.chars() {
        let c = if c.is_control() { ' ' } else { c };
        if used + c.len_utf8() >= SIZE {
            break;
        }
        used += c.encode_utf8(&mut buffer[used..]).len();
    }
    buffer[used] = 0;
}

/// The message; never NULL.
pub(super) fn message() -> *const c_char {
    LAST.with(|last| last.message.get().cast_const().cast())
}

/// The status.
pub(super) fn status() -> gc_auth_status_t {
    LAST.with(|last| last.status.get())
}

/// The HTTP status, 0 without a response.
pub(super) fn http_status() -> i32 {
    LAST.with(|last| last.http_status.get())
}

/// What the server asked to wait, -1 when unknown.
pub(super) fn retry_after_ms() -> i64 {
    LAST.with(|last| last.retry_after_ms.get())
}

/// Whether the same call may succeed later.
pub(super) fn is_retryable() -> bool {
    LAST.with(|last| last.is_retryable.get())
}

#[cfg(test)]
mod tests {
    use std::ffi::CStr;

    use super::*;
    use crate::error::Status;

    fn shown(text: &str) -> String {
        let mut buffer = [b'x'; SIZE];
        write_line(&mut buffer, text);
        CStr::from_bytes_until_nul(&buffer).unwrap().to_str().unwrap().to_owned()
    }

    #[test]
    fn messages_are_cut_at_a_character() {
        assert_eq!(shown(&"é".repeat(400)), "é".repeat(255));
        assert_eq!(shown(&"a".repeat(600)), "a".repeat(511));
        assert_eq!(shown("a\nb\0c"), "a b c");
        assert_eq!(shown(""), "");
    }

    #[test]
    fn everything_of_an_error_is_kept_until_cleared() {
        let wait = std::time::Duration::from_millis(1500);
        set(&Error::new(Status::RateLimited, "slow down").with_http_status(429).with_retry_after(Some(wait)));
        assert_eq!((status(), http_status(), retry_after_ms(), is_retryable()), (61, 429, 1500, true));
        clear();
        assert_eq!((status(), http_status(), retry_after_ms(), is_retryable()), (0, 0, -1, false));
        // SAFETY: the message is a NUL-terminated buffer of this thread.
        assert_eq!(unsafe { CStr::from_ptr(message()) }, c"");
    }
}
