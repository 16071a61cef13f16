//! Exports: what the session knows.

use std::ffi::c_char;
use std::path::Path;
use std::time::Duration;

use super::arguments::{TextOut, required, session, target, write_if_it_fits};
use super::guard::guard;
use super::handle::gc_auth_t;
use super::last_error;
use crate::error::{Error, Result, Status};
use crate::session::Session;
use crate::status::{GC_AUTH_OK, gc_auth_status_t};
use crate::token_file;

/// Writes `Bearer <token>`, ready for an Authorization header, and renews the token first if that is
/// necessary. Call it before each request. With a valid token it takes no lock and makes no system
/// call; it costs about as much as a clock read and a copy.
///
/// - `auth`: the handle.
/// - `buf`, `buf_size`, `out_size`: text output. Tokens have about 1 KB, so 8 KiB is a good size.
///   The size can grow between calls. If the buffer was too small, the library keeps a token that
///   the call renewed.
/// - `out_expires_at`: receives the time at which exactly this token expires: Unix seconds, rounded
///   down; 0 if the token does not say. May be NULL.
///
/// Early renewal: the renewal window is the last `renew_before_s` seconds of a token's life, or its
/// last third if that is shorter. Within it one caller renews, and all others get the valid token at
/// once. If the renewal fails, that caller also gets the still valid token, and another attempt is
/// made later.
///
/// Expired or rejected: all callers wait for one renewal, which takes at most `timeout_ms`. If it
/// fails, the same error is returned without a request for 1 s, then 2 s, doubling up to 30 s.
///
/// Refused: after the server refused a refresh token (HTTP 400, 401, 403, 404), no process that
/// shares it sends it for 60 s. Then one process sends it once more, and later pauses grow up to 5
/// minutes. A refusal is final if its body says `invalid_grant`; or if it says that a token or
/// session is invalid, expired, revoked, used, unknown or similar; or if a 400 or 401 came again
/// after a pause. (A 403 or 404 without such words may come from an ingress or a maintenance page,
/// so it is never final.) After a final refusal this function does not send the refresh token again
/// until a gc_auth_login() or gc_auth_refresh() succeeds.
///
/// Shared store: all processes join one renewal. While the token is valid, a store that is down has
/// no effect. If a new token can't be stored, it is handed out nevertheless, and every later call
/// tries to store it again.
///
/// Unusual `exp`: a text that holds a number, and a time in milliseconds, are read as the number
/// meant. An `exp` that can't be read counts as absent, and the log warns of it once.
///
/// Returns the common statuses, and:
/// - `GC_AUTH_ERR_NO_TOKEN`: no session; log in first.
/// - `GC_AUTH_ERR_TOKEN_EXPIRED`: the token has expired and there is no refresh token, or the new
///   token had already expired.
/// - `GC_AUTH_ERR_NO_REFRESH_TOKEN`: the token was reported as rejected, and there is no refresh
///   token.
/// - `GC_AUTH_ERR_FORKED`: see "Fork".
/// - The statuses of gc_auth_refresh(), if a necessary renewal failed.
/// - `GC_AUTH_ERR_TIMEOUT` also if another thread's renewal took too long,
///   `GC_AUTH_ERR_LOCK_TIMEOUT` if another process's did.
///
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gc_auth_bearer(
    auth: *mut gc_auth_t,
    buf: *mut c_char,
    buf_size: usize,
    out_size: *mut usize,
    out_expires_at: *mut i64,
) -> gc_auth_status_t {
    // SAFETY: handle and outputs are as the header asks for.
    unsafe {
        // Small on purpose, because it runs before every request. The slow path is below.
        last_error::clear();
        if let Some(auth) = auth.as_ref()
            && let Some(current) = auth.session.bearer_at(coarse_unix_s())
            && let Some(bearer) = current.bearer_bytes()
            && write_if_it_fits(bearer, buf, buf_size, out_size)
        {
            if !out_expires_at.is_null() {
                out_expires_at.write(current.expires_at());
            }
            return GC_AUTH_OK;
        }
        bearer_slow(auth, buf, buf_size, out_size, out_expires_at)
    }
}

/// Seconds since the Unix epoch, at most one scheduler tick late. This is the cheapest clock.
#[inline]
fn coarse_unix_s() -> i64 {
    // SAFETY: NULL is allowed, and nothing is written then.
    unsafe { libc::time(std::ptr::null_mut()) }
}

#[cold]
#[inline(never)]
unsafe fn bearer_slow(
    auth: *mut gc_auth_t,
    buf: *mut c_char,
    buf_size: usize,
    out_size: *mut usize,
    out_expires_at: *mut i64,
) -> gc_auth_status_t {
    // SAFETY: handle and outputs are as the header asks for.
    guard(|| unsafe {
        let session = session(auth)?;
        let out = TextOut::new(buf, buf_size, out_size)?;
        let current = session.bearer()?;
        out.write(current.bearer()?)?;
        if !out_expires_at.is_null() {
            out_expires_at.write(current.expires_at());
        }
        Ok(())
    })
}

/// Does what gc_auth_bearer() does, and also renews first if the token is valid for less than
/// `min_valid_s` seconds. Use it before a long upload, or for a token that you pass on.
///
/// If the server's tokens don't live that long, it writes the newest token and returns `GC_AUTH_OK`;
/// check `out_expires_at`. A token counts as the newest for a minute after the server sent it, or
/// for a third of its life if that is shorter.
///
/// - `auth`: the handle.
/// - `min_valid_s`: required remaining life in seconds. Not negative.
/// - `buf`, `buf_size`, `out_size`: text output.
/// - `out_expires_at`: as for gc_auth_bearer(). May be NULL.
///
/// All callers that need a renewal at the same time wait for one renewal, across threads and across
/// the processes that share the store. If the renewal fails, a token that is valid for at least 60 s
/// is handed out nevertheless; with less, the error is returned. After a failure the pauses are
/// those of gc_auth_bearer().
///
/// Returns the statuses of gc_auth_bearer(). `GC_AUTH_ERR_NO_REFRESH_TOKEN` also means: a renewal
/// was necessary, there is no refresh token, and less than 60 s are left.
///
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gc_auth_bearer_valid_for(
    auth: *mut gc_auth_t,
    min_valid_s: i64,
    buf: *mut c_char,
    buf_size: usize,
    out_size: *mut usize,
    out_expires_at: *mut i64,
) -> gc_auth_status_t {
    // SAFETY: handle and outputs are as the header asks for.
    guard(|| unsafe {
        let session = session(auth)?;
        let min_valid_s =
            u64::try_from(min_valid_s).map_err(|_| Error::new(Status::InvalidArgument, "min_valid_s is negative"))?;
        let out = TextOut::new(buf, buf_size, out_size)?;
        let current = session.bearer_valid_for(Duration::from_secs(min_valid_s))?;
        out.write(current.bearer()?)?;
        if !out_expires_at.is_null() {
            out_expires_at.write(current.expires_at());
        }
        Ok(())
    })
}

/// Writes the token to a file that other programs read, and renews it first as gc_auth_bearer()
/// does. The new file replaces `path` atomically: readers see either the old file or the new one,
/// never a part. The file has mode 0600 and holds no refresh token.
///
/// - `auth`: the handle.
/// - `path`: the file. Not NULL, not empty. Its directory must exist. A symbolic link is replaced,
///   not followed. Anything else that is not a regular file stays untouched and is an error.
/// - `format`: one of these names. Not NULL, not empty.
///   `htslib`: for samtools, bcftools and other programs with htslib; set `HTS_AUTH_LOCATION` to
///   `path`.
///   `wlcg`: for xrootd, ROOT, HTCondor and gfal2; set `BEARER_TOKEN_FILE` to `path`.
///   `curl`: for `curl -H @FILE`.
///
/// htslib reads the file again at the first open or seek after at most five minutes. So write it
/// again at least every five minutes, with `renew_before_s` at 600 or more: then no reader has an
/// expired token. Never remove the file or write to it in place while a program may read it, because
/// htslib does not tolerate that.
///
/// Returns the statuses of gc_auth_bearer(), and:
/// - `GC_AUTH_ERR_INVALID_ARGUMENT`: also if the format is unknown, or if `path` exists and is
///   neither a regular file nor a symbolic link.
/// - `GC_AUTH_ERR_STORE`: also if the file can't be written. An existing file is then unchanged.
///
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gc_auth_write_token_file(
    auth: *mut gc_auth_t,
    path: *const c_char,
    format: *const c_char,
) -> gc_auth_status_t {
    // SAFETY: handle and strings are as the header asks for.
    guard(|| unsafe {
        let session = session(auth)?;
        let path = required("path", path)?;
        let format = required("format", format)?.parse()?;
        token_file::write(session, Path::new(path), format).map(drop)
    })
}

/// Writes the access token as it is, expired or not, without `Bearer `. Never renews.
///
/// - `auth`: the handle.
/// - `buf`, `buf_size`, `out_size`: text output.
///
/// Returns the common statuses and the store statuses, and `GC_AUTH_ERR_NO_TOKEN` if there is none.
///
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gc_auth_token(
    auth: *mut gc_auth_t,
    buf: *mut c_char,
    buf_size: usize,
    out_size: *mut usize,
) -> gc_auth_status_t {
    // SAFETY: handle and outputs are as the header asks for.
    unsafe { text(auth, buf, buf_size, out_size, |session, out| out.write(session.current()?.token()?)) }
}

/// Writes the refresh token as it is. Keep it secret. It is good for one use.
///
/// - `auth`: the handle.
/// - `buf`, `buf_size`, `out_size`: text output.
///
/// Returns the common statuses and the store statuses, and `GC_AUTH_ERR_NO_REFRESH_TOKEN` if there
/// is none.
///
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gc_auth_refresh_token(
    auth: *mut gc_auth_t,
    buf: *mut c_char,
    buf_size: usize,
    out_size: *mut usize,
) -> gc_auth_status_t {
    // SAFETY: handle and outputs are as the header asks for.
    unsafe { text(auth, buf, buf_size, out_size, |session, out| out.write(session.current()?.refresh_token()?)) }
}

/// Writes the token type: `Bearer`, unless the server's answer named another. gc_auth_bearer()
/// always writes `Bearer`.
///
/// - `auth`: the handle.
/// - `buf`, `buf_size`, `out_size`: text output.
///
/// Returns the common statuses and the store statuses.
///
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gc_auth_token_type(
    auth: *mut gc_auth_t,
    buf: *mut c_char,
    buf_size: usize,
    out_size: *mut usize,
) -> gc_auth_status_t {
    // SAFETY: handle and outputs are as the header asks for.
    unsafe { text(auth, buf, buf_size, out_size, |session, out| out.write(session.current()?.token_type())) }
}

/// Writes the name of the environment in use, for example `prod`.
///
/// - `auth`: the handle.
/// - `buf`, `buf_size`, `out_size`: text output.
///
/// Returns the common statuses.
///
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gc_auth_env(
    auth: *mut gc_auth_t,
    buf: *mut c_char,
    buf_size: usize,
    out_size: *mut usize,
) -> gc_auth_status_t {
    // SAFETY: handle and outputs are as the header asks for.
    unsafe { text(auth, buf, buf_size, out_size, |session, out| out.write(session.env())) }
}

/// Writes the base URL of the environment in use, as it stands in the config.
///
/// - `auth`: the handle.
/// - `buf`, `buf_size`, `out_size`: text output.
///
/// Returns the common statuses.
///
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gc_auth_host(
    auth: *mut gc_auth_t,
    buf: *mut c_char,
    buf_size: usize,
    out_size: *mut usize,
) -> gc_auth_status_t {
    // SAFETY: handle and outputs are as the header asks for.
    unsafe { text(auth, buf, buf_size, out_size, |session, out| out.write(session.host())) }
}

/// Writes the payload of the current token as a compact JSON object. Members keep the token's order,
/// and numbers keep their digits. The library decodes each token once. It does NOT verify the token:
/// see gc_auth_decode_jwt() and gc_auth_verify().
///
/// - `auth`: the handle.
/// - `buf`, `buf_size`, `out_size`: text output.
///
/// Returns the common statuses and the store statuses, and:
/// - `GC_AUTH_ERR_NO_TOKEN`: there is no token.
/// - `GC_AUTH_ERR_TOKEN_MALFORMED`: the token is not a JWT.
/// - `GC_AUTH_ERR_CLAIMS_MALFORMED`: the payload is not a JSON object, or it has duplicate members.
///
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gc_auth_decoded_token(
    auth: *mut gc_auth_t,
    buf: *mut c_char,
    buf_size: usize,
    out_size: *mut usize,
) -> gc_auth_status_t {
    // SAFETY: handle and outputs are as the header asks for.
    unsafe { text(auth, buf, buf_size, out_size, |session, out| out.write(session.current()?.payload()?.as_json())) }
}

/// Verifies the current token with `public_key`, and writes its payload in the form of
/// gc_auth_decoded_token() only if the token verifies.
///
/// - `auth`: the handle.
/// - `public_key`: the issuer's public key as PEM (`PUBLIC KEY`, `RSA PUBLIC KEY`, `CERTIFICATE`),
///   as one JWK, or as a JWKS. A byte order mark before it, and `\n` written out as line ends of a
///   PEM, are accepted. A private or symmetric key is refused, alone or in a set. NULL: nothing is
///   verified. "" is `GC_AUTH_ERR_INVALID_ARGUMENT`, so that an empty key file does not switch
///   verification off. The library keeps the parsed key, so pass the same text again.
/// - `buf`, `buf_size`, `out_size`: text output.
///
/// The accepted algorithms are RS256/384/512, PS256/384/512, ES256/384, and EdDSA with Ed25519 (also
/// under the name Ed25519). A token without `exp` is accepted. Times may differ by the config's
/// `clock_leeway_s`. The caller checks audience and issuer.
///
/// In a JWKS the keys with the token's `kid` are tried; if there are none, the keys without a `kid`.
/// Keys that can't be used, or that are not for the token's algorithm, are ignored. If several
/// different keys with the token's `kid` remain, the set is refused. JSON null counts as absent in
/// keys, headers and registered claims. `sub` and `jti` may be numbers, because some issuers write
/// numbers; the other registered claims have the types of RFC 7519.
///
/// Returns the common statuses and the store statuses, `GC_AUTH_ERR_NO_TOKEN`, and the first fault
/// in this order: `GC_AUTH_ERR_TOKEN_MALFORMED`, `GC_AUTH_ERR_ALGORITHM_REFUSED`,
/// `GC_AUTH_ERR_KEY_INVALID`, `GC_AUTH_ERR_SIGNATURE_INVALID`, `GC_AUTH_ERR_CLAIMS_MALFORMED`,
/// `GC_AUTH_ERR_TOKEN_NOT_YET_VALID`, `GC_AUTH_ERR_TOKEN_EXPIRED`. Does not use the network.
///
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gc_auth_decode_jwt(
    auth: *mut gc_auth_t,
    public_key: *const c_char,
    buf: *mut c_char,
    buf_size: usize,
    out_size: *mut usize,
) -> gc_auth_status_t {
    // SAFETY: handle, string and outputs are as the header asks for.
    guard(|| unsafe {
        let session = session(auth)?;
        let public_key = if public_key.is_null() { None } else { Some(required("public_key", public_key)?) };
        let out = TextOut::new(buf, buf_size, out_size)?;
        out.write(session.decode_jwt(public_key)?.as_json())
    })
}

/// Verifies the current token with the config's `public_key`, or with the key set at its `jwks_url`,
/// and writes its payload in the form of gc_auth_decoded_token(). The rules of verification are
/// those of gc_auth_decode_jwt().
///
/// - `auth`: the handle.
/// - `buf`, `buf_size`, `out_size`: text output.
///
/// The library fetches a key set when it is first needed. It keeps the set for as long as
/// `Cache-Control` and `Age` say: 5 minutes if they say nothing, at least 30 s, at most a day. If
/// the server can't be reached later, the old set stays in use. After a failed fetch the library
/// pauses for 30 s, or for the time in Retry-After, but at most 5 minutes. If it has no key set yet,
/// the same error is returned during the pause. The fetch follows the rules of a login (TLS,
/// proxies, sizes, no redirects, `timeout_ms`).
///
/// If the token's `kid` is not in the set, the library fetches the set again, at most once in 30 s.
/// Until then the call returns `GC_AUTH_ERR_KEY_INVALID`, which is retryable here:
/// gc_auth_last_error_retry_after_ms() and the message say when the next fetch is possible.
///
/// Returns the statuses of gc_auth_decode_jwt(), and:
/// - `GC_AUTH_ERR_CONFIG`: the config has neither `public_key` nor `jwks_url`.
/// - The network statuses, if the first key set can't be fetched; a refusal (HTTP 400, 401, 403,
///   404) is `GC_AUTH_ERR_HTTP`, and an answer that is not JSON is `GC_AUTH_ERR_PROTOCOL`. The
///   message then says what the answer looks like and what to set instead.
///
/// Threads: one thread fetches; the others use the keys that are there.
///
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gc_auth_verify(
    auth: *mut gc_auth_t,
    buf: *mut c_char,
    buf_size: usize,
    out_size: *mut usize,
) -> gc_auth_status_t {
    // SAFETY: handle and outputs are as the header asks for.
    unsafe { text(auth, buf, buf_size, out_size, |session, out| out.write(session.verify()?.as_json())) }
}

/// Writes the number of the token's project: the first of the claims in the config's
/// `claims.project_id` that the payload has. This is not the name that gc_auth_login() takes. The
/// token is not verified.
///
/// - `auth`: the handle.
/// - `out_project_id`: receives the number. Not NULL.
///
/// Returns the common statuses and the store statuses, and:
/// - `GC_AUTH_ERR_NO_TOKEN`: there is no token.
/// - `GC_AUTH_ERR_TOKEN_MALFORMED`, `GC_AUTH_ERR_CLAIMS_MALFORMED`: as for gc_auth_decoded_token().
/// - `GC_AUTH_ERR_CLAIM_MISSING`: the token has no such claim, or it is neither an integer nor a
///   text that holds one.
///
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gc_auth_project_id(auth: *mut gc_auth_t, out_project_id: *mut i64) -> gc_auth_status_t {
    // SAFETY: handle and output are as the header asks for.
    guard(|| unsafe {
        let session = session(auth)?;
        let out = target("out_project_id", out_project_id)?;
        out.write(session.project_id()?);
        Ok(())
    })
}

/// Writes the session as JSON for gc_auth_from_json(), with the members `env`, `host`, `token`,
/// `refresh_token`, `token_type` and `project_id` in this order. Absent parts are left out.
/// `project_id` is the project's name as gc_auth_login() or gc_auth_refresh() got it, not the number
/// in the token. The text holds both tokens: keep it secret.
///
/// - `auth`: the handle.
/// - `buf`, `buf_size`, `out_size`: text output.
///
/// Returns the common statuses and the store statuses.
///
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gc_auth_to_json(
    auth: *mut gc_auth_t,
    buf: *mut c_char,
    buf_size: usize,
    out_size: *mut usize,
) -> gc_auth_status_t {
    // SAFETY: handle and outputs are as the header asks for.
    unsafe { text(auth, buf, buf_size, out_size, |session, out| out.write(session.to_json()?.as_str())) }
}

/// Writes a JSON object that describes how the session is shared and what state it is in. Unknown
/// members are left out. It holds no secret. Times are Unix seconds.
///
/// - `generation`: counts the logins and renewals of the session.
/// - `store`: `memory`, `file` or `redis`. `lock`: `none`, `flock` or `lease`. `place`: the store's
///   path, or its URL without user and password. `scope`: the project.
/// - `renewed_at`, `renewed_by_host`, `renewed_by_pid`: when and by which process the current tokens
///   were obtained. `expires_in`: seconds until the token expires; negative afterwards.
/// - `made`, `joined`, `adopted`: how many renewals this handle made itself, waited for in another
///   thread, or took over from another process.
/// - `refused_with`, `refused_at`: the HTTP status and the time, if the server refused the refresh
///   token.
/// - `last_failure`, while renewals fail: an object with `status` (a name as in
///   gc_auth_status_name()), `message` (as in gc_auth_last_error_message(), shortened) and `at`.
///   `next_try_at`: the earliest time of the next attempt; absent if only a login can help. With a
///   shared store both come from the process that failed last.
/// - `logged_out_by` (`HOST:PID`), `logged_out_at`: after a logout, until the next login.
///
/// Each call reads a shared store. If the store was read before and does not answer now, the call
/// reports what it said last.
///
/// - `auth`: the handle.
/// - `buf`, `buf_size`, `out_size`: text output.
///
/// Returns the common statuses and the store statuses.
///
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gc_auth_session_info(
    auth: *mut gc_auth_t,
    buf: *mut c_char,
    buf_size: usize,
    out_size: *mut usize,
) -> gc_auth_status_t {
    // SAFETY: handle and outputs are as the header asks for.
    unsafe { text(auth, buf, buf_size, out_size, |session, out| out.write(session.info()?.as_str())) }
}

/// What all functions share that only give text.
unsafe fn text(
    auth: *mut gc_auth_t,
    buf: *mut c_char,
    buf_size: usize,
    out_size: *mut usize,
    give: impl FnOnce(&Session, &TextOut) -> Result<()>,
) -> gc_auth_status_t {
    // SAFETY: handle and outputs are as the header asks for.
    guard(|| unsafe { give(session(auth)?, &TextOut::new(buf, buf_size, out_size)?) })
}
