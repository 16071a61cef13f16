//! The status numbers of the C API, one line each; cbindgen copies them into the header.
#![forbid(unsafe_code)]
#![allow(non_camel_case_types)]

use std::ffi::CStr;

/// The status of a call: `GC_AUTH_OK` (0) or one of the `GC_AUTH_ERR_` constants. Values are never renumbered;
/// later versions may add some, so treat an unknown one as a failure.
pub type gc_auth_status_t = i32;

/// Success.
pub const GC_AUTH_OK: gc_auth_status_t = 0;
/// NULL or empty where it may not be; a token of anything else than visible ASCII; a NULL buffer with a size.
pub const GC_AUTH_ERR_INVALID_ARGUMENT: gc_auth_status_t = 1;
/// A string argument is not UTF-8.
pub const GC_AUTH_ERR_INVALID_UTF8: gc_auth_status_t = 2;
/// The buffer is too small; `out_size` says what is needed. The buffer is untouched.
pub const GC_AUTH_ERR_BUFFER_TOO_SMALL: gc_auth_status_t = 3;
/// The config is not the JSON that is expected, has an unknown key or environment, or a stored or exported session belongs to another host.
pub const GC_AUTH_ERR_CONFIG: gc_auth_status_t = 4;
/// This is a forked child with the in-memory store: it may not spend its parent's refresh token. Configure a shared store, or log in again.
pub const GC_AUTH_ERR_FORKED: gc_auth_status_t = 5;
/// Nothing to hand out: log in first.
pub const GC_AUTH_ERR_NO_TOKEN: gc_auth_status_t = 20;
/// Asked to refresh without a refresh token.
pub const GC_AUTH_ERR_NO_REFRESH_TOKEN: gc_auth_status_t = 21;
/// Expired, and nothing to renew it with; or verification found `exp` in the past.
pub const GC_AUTH_ERR_TOKEN_EXPIRED: gc_auth_status_t = 22;
/// Not a compact JWS: parts, base64url, header, size or depth.
pub const GC_AUTH_ERR_TOKEN_MALFORMED: gc_auth_status_t = 23;
/// The payload is not a JSON object, has duplicate members, or a registered claim has the wrong type.
pub const GC_AUTH_ERR_CLAIMS_MALFORMED: gc_auth_status_t = 24;
/// The claim that was asked for is not in the token.
pub const GC_AUTH_ERR_CLAIM_MISSING: gc_auth_status_t = 25;
/// The signature does not hold; an empty one never does.
pub const GC_AUTH_ERR_SIGNATURE_INVALID: gc_auth_status_t = 26;
/// `none`, HMAC, an unknown algorithm, or one that is not the key's.
pub const GC_AUTH_ERR_ALGORITHM_REFUSED: gc_auth_status_t = 27;
/// Not a usable public key: private, symmetric, too short, unsupported, not for verifying, or no key with the token's `kid`.
/// Retryable only where the key was looked for in the set at `jwks_url`, which is fetched again later.
pub const GC_AUTH_ERR_KEY_INVALID: gc_auth_status_t = 28;
/// `nbf` lies in the future.
pub const GC_AUTH_ERR_TOKEN_NOT_YET_VALID: gc_auth_status_t = 29;
/// The server refused the login or the refresh token (HTTP 400, 401, 403, 404).
pub const GC_AUTH_ERR_UNAUTHORIZED: gc_auth_status_t = 30;
/// No connection (name, refused, unreachable, reset), or it was lost before the answer was complete. Retryable.
pub const GC_AUTH_ERR_CONNECT: gc_auth_status_t = 40;
/// `timeout_ms` ran out. Retryable.
pub const GC_AUTH_ERR_TIMEOUT: gc_auth_status_t = 41;
/// The server's certificate or the TLS handshake was refused.
pub const GC_AUTH_ERR_TLS: gc_auth_status_t = 42;
/// Plain http to a host that is not loopback, or a redirect: refused, nothing was sent there.
pub const GC_AUTH_ERR_INSECURE: gc_auth_status_t = 43;
/// An HTTP status that fits nothing else.
pub const GC_AUTH_ERR_HTTP: gc_auth_status_t = 60;
/// HTTP 429. Retryable; see gc_auth_last_error_retry_after_ms().
pub const GC_AUTH_ERR_RATE_LIMITED: gc_auth_status_t = 61;
/// HTTP 5xx. Retryable.
pub const GC_AUTH_ERR_SERVER: gc_auth_status_t = 62;
/// A success answer that is not what it should be, or larger than 1 MiB.
pub const GC_AUTH_ERR_PROTOCOL: gc_auth_status_t = 63;
/// The session store could not be read or written.
pub const GC_AUTH_ERR_STORE: gc_auth_status_t = 80;
/// Another process held the renewal too long. Retryable.
pub const GC_AUTH_ERR_LOCK_TIMEOUT: gc_auth_status_t = 81;
/// Memory sized by input (a token, a response, a key) could not be reserved.
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
