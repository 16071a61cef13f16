//! Exports: errors and versions.

use std::ffi::c_char;

use super::last_error;
use crate::status::{gc_auth_status_t, status_name};

/// The major version of this header.
pub const GC_AUTH_VERSION_MAJOR: u32 = 0;
/// The minor version of this header.
pub const GC_AUTH_VERSION_MINOR: u32 = 1;
/// The patch version of this header.
pub const GC_AUTH_VERSION_PATCH: u32 = 0;
/// The version of this header as a number: major * 10000 + minor * 100 + patch.
/// gc_auth_version_number() returns the library's.
pub const GC_AUTH_VERSION_NUMBER: u32 = 100;
const _: () = assert!(
    GC_AUTH_VERSION_NUMBER == GC_AUTH_VERSION_MAJOR * 10_000 + GC_AUTH_VERSION_MINOR * 100 + GC_AUTH_VERSION_PATCH
);

/// The message of this thread's last call: one short line that says what failed, at which host and
/// path, the HTTP status, the server's own words, and what to do next. It never holds a password, a
/// token or a key. After a success it is empty. It is never NULL and has at most 511 bytes of UTF-8.
/// The pointer belongs to the library and stays valid for the life of the calling thread; the
/// thread's next call overwrites the text.
///
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn gc_auth_last_error_message() -> *const c_char {
    last_error::message()
}

/// The status of this thread's last call.
///
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn gc_auth_last_error_status() -> gc_auth_status_t {
    last_error::status()
}

/// The HTTP status of the response that made this thread's last call fail. 0 if no response arrived,
/// and after a success.
///
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn gc_auth_last_error_http_status() -> i32 {
    last_error::http_status()
}

/// The time in milliseconds to wait before the next attempt, if this thread's last call failed: the
/// server's Retry-After, or the time until a key set is fetched again. -1 if unknown, and after a
/// success.
///
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn gc_auth_last_error_retry_after_ms() -> i64 {
    last_error::retry_after_ms()
}

/// 1 if the same call may succeed later without any change on this side, otherwise 0. 0 after a
/// success.
///
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn gc_auth_last_error_is_retryable() -> i32 {
    last_error::is_retryable().into()
}

/// The name of a status, for example "GC_AUTH_ERR_TIMEOUT"; "unknown status" for a value that this
/// version does not know. Static text, never NULL.
///
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn gc_auth_status_name(status: gc_auth_status_t) -> *const c_char {
    status_name(status).as_ptr()
}

/// The version of the library, for example "0.1.0". Static text, never NULL.
///
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn gc_auth_version_string() -> *const c_char {
    VERSION.as_ptr()
}

/// The version of the library as a number; see `GC_AUTH_VERSION_NUMBER`.
///
/// Since 0.1.0.
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
