//! Exports: errors and versions.

use std::ffi::c_char;

use super::last_error;
use crate::status::{gc_auth_status_t, status_name};

/// The first number of this header's version.
pub const GC_AUTH_VERSION_MAJOR: u32 = 0;
/// The second number of this header's version.
pub const GC_AUTH_VERSION_MINOR: u32 = 1;
/// The third number of this header's version.
pub const GC_AUTH_VERSION_PATCH: u32 = 0;
/// The version of this header: major * 10000 + minor * 100 + patch. gc_auth_version_number() tells the library's.
pub const GC_AUTH_VERSION_NUMBER: u32 = 100;
const _: () = assert!(
    GC_AUTH_VERSION_NUMBER == GC_AUTH_VERSION_MAJOR * 10_000 + GC_AUTH_VERSION_MINOR * 100 + GC_AUTH_VERSION_PATCH
);

/// What went wrong in this thread's last call: one short line that says what failed, at which host and path, the HTTP
/// status, the server's own words, and what to do next. Never a password, a token or a key. Empty after a success, never
/// NULL, at most 511 bytes of UTF-8. The memory is the library's, belongs to the calling thread, and stays good as long
/// as the thread lives; the next call overwrites the text. Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn gc_auth_last_error_message() -> *const c_char {
    last_error::message()
}

/// The status of this thread's last call. Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn gc_auth_last_error_status() -> gc_auth_status_t {
    last_error::status()
}

/// The HTTP status of the response that made this thread's last call fail; 0 when no response arrived, and after a
/// success. Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn gc_auth_last_error_http_status() -> i32 {
    last_error::http_status()
}

/// How many milliseconds to wait before the next try when this thread's last call failed: what the server asked for
/// (Retry-After), or the time until a key set is fetched again. -1 when unknown, and after a success. Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn gc_auth_last_error_retry_after_ms() -> i64 {
    last_error::retry_after_ms()
}

/// 1 if the same call may succeed later without a change on this side, else 0; 0 after a success. Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn gc_auth_last_error_is_retryable() -> i32 {
    last_error::is_retryable().into()
}

/// The name of a status, for example "GC_AUTH_ERR_TIMEOUT"; "unknown status" for a value that this version does not
/// know. Static text, never NULL. Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn gc_auth_status_name(status: gc_auth_status_t) -> *const c_char {
    status_name(status).as_ptr()
}

/// The version of the library, for example "0.1.0". Static text. Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn gc_auth_version_string() -> *const c_char {
    VERSION.as_ptr()
}

/// The version of the library as a number, see `GC_AUTH_VERSION_NUMBER`. Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn gc_auth_version_number() -> u32 {
    GC_AUTH_VERSION_NUMBER
}

const VERSION: &std::ffi::CStr =
    match std::ffi::CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
        Ok(version) => version,
        Err(_) => c"unknown",
    };

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_is_the_version() {
        let parts: Vec<u32> = env!("CARGO_PKG_VERSION").split('.').map(|part| part.parse().unwrap()).collect();
        assert_eq!([GC_AUTH_VERSION_MAJOR, GC_AUTH_VERSION_MINOR, GC_AUTH_VERSION_PATCH], parts[..]);
        assert_eq!(GC_AUTH_VERSION_NUMBER, parts[0] * 10_000 + parts[1] * 100 + parts[2]);
        assert_eq!(VERSION.to_str().unwrap(), env!("CARGO_PKG_VERSION"));
    }
}
