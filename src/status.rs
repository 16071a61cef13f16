//! The status numbers of the C API, one line each; cbindgen copies them into the header.
#![forbid(unsafe_code)]
#![allow(non_camel_case_types)]

use std::ffi::CStr;

/// The status of a call: `GC_AUTH_OK` (0) or one of the `GC_AUTH_ERR_` constants. Values are never
/// renumbered. Later versions may add values, so treat an unknown one as a failure.
pub type gc_auth_status_t = i32;

/// Success.
pub const GC_AUTH_OK: gc_auth_status_t = 0;
/// A required argument is NULL or empty; a token is not visible ASCII; or `buf` is NULL and
/// `buf_size` is not 0.
pub const GC_AUTH_ERR_INVALID_ARGUMENT: gc_auth_status_t = 1;
/// A text argument is not UTF-8.
pub const GC_AUTH_ERR_INVALID_UTF8: gc_auth_status_t = 2;
/// The buffer is too small and is unchanged. `out_size` says which size is needed.
pub const GC_AUTH_ERR_BUFFER_TOO_SMALL: gc_auth_status_t = 3;
/// The config can't be used: wrong JSON, an unknown key or environment, or a file that it names.
/// Also: a stored or exported session belongs to another host.
pub const GC_AUTH_ERR_CONFIG: gc_auth_status_t = 4;
/// A forked child with the in-memory store may not spend its parent's refresh token. Configure a
/// shared store, or log in again.
pub const GC_AUTH_ERR_FORKED: gc_auth_status_t = 5;
/// There is no token: log in first.
pub const GC_AUTH_ERR_NO_TOKEN: gc_auth_status_t = 20;
/// A renewal was requested, but the session has no refresh token.
pub const GC_AUTH_ERR_NO_REFRESH_TOKEN: gc_auth_status_t = 21;
/// The token has expired and there is no refresh token to renew it; or verification found that `exp`
/// is in the past.
pub const GC_AUTH_ERR_TOKEN_EXPIRED: gc_auth_status_t = 22;
/// The token is not a compact JWS: wrong parts, base64url, header, size or depth.
pub const GC_AUTH_ERR_TOKEN_MALFORMED: gc_auth_status_t = 23;
/// The payload is not a JSON object, has duplicate members, or has a registered claim of the wrong
/// type.
pub const GC_AUTH_ERR_CLAIMS_MALFORMED: gc_auth_status_t = 24;
/// The token does not have the requested claim.
pub const GC_AUTH_ERR_CLAIM_MISSING: gc_auth_status_t = 25;
/// The signature is wrong or empty.
pub const GC_AUTH_ERR_SIGNATURE_INVALID: gc_auth_status_t = 26;
/// The token's algorithm is `none`, HMAC, unknown, or not the key's algorithm.
pub const GC_AUTH_ERR_ALGORITHM_REFUSED: gc_auth_status_t = 27;
/// The key is not a usable public key (private, symmetric, too short, unsupported, not for
/// verifying), or no key has the token's `kid`. Retryable only if the key was missing from the set
/// at `jwks_url`, because the library fetches that set again later.
pub const GC_AUTH_ERR_KEY_INVALID: gc_auth_status_t = 28;
/// The token's `nbf` is in the future.
pub const GC_AUTH_ERR_TOKEN_NOT_YET_VALID: gc_auth_status_t = 29;
/// The server refused the login or the refresh token (HTTP 400, 401, 403, 404).
pub const GC_AUTH_ERR_UNAUTHORIZED: gc_auth_status_t = 30;
/// No connection (unknown name, refused, unreachable, reset), or the connection ended before the
/// answer was complete. Retryable.
pub const GC_AUTH_ERR_CONNECT: gc_auth_status_t = 40;
/// `timeout_ms` or `connect_timeout_ms` ran out. Retryable.
pub const GC_AUTH_ERR_TIMEOUT: gc_auth_status_t = 41;
/// The TLS handshake failed, or the server's certificate is not valid.
pub const GC_AUTH_ERR_TLS: gc_auth_status_t = 42;
/// The library refused plain http to another machine, or a redirect. It sent nothing there.
pub const GC_AUTH_ERR_INSECURE: gc_auth_status_t = 43;
/// Any HTTP status that no other constant covers.
pub const GC_AUTH_ERR_HTTP: gc_auth_status_t = 60;
/// HTTP 429. Retryable; see gc_auth_last_error_retry_after_ms().
pub const GC_AUTH_ERR_RATE_LIMITED: gc_auth_status_t = 61;
/// HTTP 5xx. Retryable.
pub const GC_AUTH_ERR_SERVER: gc_auth_status_t = 62;
/// A successful answer is not as expected, or larger than 1 MiB.
pub const GC_AUTH_ERR_PROTOCOL: gc_auth_status_t = 63;
/// The session store can't be read or written. Retryable if the store may recover by itself.
pub const GC_AUTH_ERR_STORE: gc_auth_status_t = 80;
/// Another process held the renewal lock too long. Retryable.
pub const GC_AUTH_ERR_LOCK_TIMEOUT: gc_auth_status_t = 81;
/// Not enough memory for an input (a token, a response, a key).
pub const GC_AUTH_ERR_NO_MEMORY: gc_auth_status_t = 98;
/// A bug in this library; please report it.
pub const GC_AUTH_ERR_INTERNAL: gc_auth_status_t = 99;

/// The constant's own name; "unknown status" for a number that has none.
pub fn status_name(status: gc_auth_status_t) -> &'static CStr {
    match status {
        GC_AUTH_OK => c"GC_AUTH_OK",
        GC_AUTH_ERR_INVALID_ARGUMENT => c"GC_AUTH_ERR_INVALID_ARGUMENT",
        GC_AUTH_ERR_INVALID_UTF8 => c"GC_AUTH_ERR_INVALID_UTF8",
        GC_AUTH_ERR_BUFFER_TOO_SMALL => c"GC_AUTH_ERR_BUFFER_TOO_SMALL",
        GC_AUTH_ERR_CONFIG => c"GC_AUTH_ERR_CONFIG",
        GC_AUTH_ERR_FORKED => c"GC_AUTH_ERR_FORKED",
        GC_AUTH_ERR_NO_TOKEN => c"GC_AUTH_ERR_NO_TOKEN",
        GC_AUTH_ERR_NO_REFRESH_TOKEN => c"GC_AUTH_ERR_NO_REFRESH_TOKEN",
        GC_AUTH_ERR_TOKEN_EXPIRED => c"GC_AUTH_ERR_TOKEN_EXPIRED",
        GC_AUTH_ERR_TOKEN_MALFORMED => c"GC_AUTH_ERR_TOKEN_MALFORMED",
        GC_AUTH_ERR_CLAIMS_MALFORMED => c"GC_AUTH_ERR_CLAIMS_MALFORMED",
        GC_AUTH_ERR_CLAIM_MISSING => c"GC_AUTH_ERR_CLAIM_MISSING",
        GC_AUTH_ERR_SIGNATURE_INVALID => c"GC_AUTH_ERR_SIGNATURE_INVALID",
        GC_AUTH_ERR_ALGORITHM_REFUSED => c"GC_AUTH_ERR_ALGORITHM_REFUSED",
        GC_AUTH_ERR_KEY_INVALID => c"GC_AUTH_ERR_KEY_INVALID",
        GC_AUTH_ERR_TOKEN_NOT_YET_VALID => c"GC_AUTH_ERR_TOKEN_NOT_YET_VALID",
        GC_AUTH_ERR_UNAUTHORIZED => c"GC_AUTH_ERR_UNAUTHORIZED",
        GC_AUTH_ERR_CONNECT => c"GC_AUTH_ERR_CONNECT",
        GC_AUTH_ERR_TIMEOUT => c"GC_AUTH_ERR_TIMEOUT",
        GC_AUTH_ERR_TLS => c"GC_AUTH_ERR_TLS",
        GC_AUTH_ERR_INSECURE => c"GC_AUTH_ERR_INSECURE",
        GC_AUTH_ERR_HTTP => c"GC_AUTH_ERR_HTTP",
        GC_AUTH_ERR_RATE_LIMITED => c"GC_AUTH_ERR_RATE_LIMITED",
        GC_AUTH_ERR_SERVER => c"GC_AUTH_ERR_SERVER",
        GC_AUTH_ERR_PROTOCOL => c"GC_AUTH_ERR_PROTOCOL",
        GC_AUTH_ERR_STORE => c"GC_AUTH_ERR_STORE",
        GC_AUTH_ERR_LOCK_TIMEOUT => c"GC_AUTH_ERR_LOCK_TIMEOUT",
        GC_AUTH_ERR_NO_MEMORY => c"GC_AUTH_ERR_NO_MEMORY",
        GC_AUTH_ERR_INTERNAL => c"GC_AUTH_ERR_INTERNAL",
        _ => c"unknown status",
    }
}
