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

/// The token to send, as `Bearer <token>`, ready for an Authorization header, renewed if it is time to. Call it before
/// each request: on a valid token it takes no lock, makes no system call, and costs about a clock read and a copy.
///
/// - `auth`: the handle. Not NULL.
/// - `buf`, `buf_size`, `out_size`: text out, see "Strings and buffers". Tokens are about 1 KB; 8 KiB is a good start.
///   The size can grow from call to call; a token that was renewed while the buffer was too small is kept.
/// - `out_expires_at`: when exactly this token expires, in Unix seconds rounded down, 0 when the token does not say.
///   An `exp` that is text with a number in it, or in milliseconds, counts here and for renewal; one that can't be read
///   is warned of once in the log, and the token is handed out as if it had none.
///   May be NULL.
///
/// In the last `renew_before_s` of a token's life (or its last third, if that is shorter) one caller renews, and all
/// others get the valid token at once; if the renewal fails, so does that one, and it is tried again a little later.
/// When the token has expired or was reported as rejected, all callers wait for one renewal, which takes no longer than
/// `timeout_ms`. After a failed one the same error comes back without network for 1 s, then 2 s, doubling to 30 s.
///
/// A refresh token that the server refused (400, 401, 403, 404) rests for 60 s, for all who share it; then one of them
/// sends it once more, and the pauses grow to 5 minutes. A refusal is final when its body says `invalid_grant` or that
/// a token or session is invalid, expired, revoked, used, unknown or the like, or when a 400 or 401 came again after a
/// rest; a 403 or 404 without such words may be an ingress or a maintenance page, however often it comes. After a final
/// one this function does not send the refresh token again before a login or a gc_auth_refresh() succeeds.
///
/// Returns `GC_AUTH_OK`; `GC_AUTH_ERR_INVALID_ARGUMENT`; `GC_AUTH_ERR_BUFFER_TOO_SMALL`; `GC_AUTH_ERR_NO_TOKEN` (log in
/// first); `GC_AUTH_ERR_TOKEN_EXPIRED` (and no refresh token, or the new token had already run out);
/// `GC_AUTH_ERR_NO_REFRESH_TOKEN` (the token was reported as rejected, and there is none); `GC_AUTH_ERR_FORKED`; when a
/// renewal was needed and failed, its status, see gc_auth_refresh(); `GC_AUTH_ERR_TIMEOUT` also when another thread's
/// renewal took too long, `GC_AUTH_ERR_LOCK_TIMEOUT` when another process's did.
///
/// With a shared store all processes join one renewal; a store that is down costs nothing while the token is valid. If a
/// new token can't be stored, it is handed out all the same, and offered to the store again at every later call.
///
/// Threads: any. Fork: with the in-memory store a child may use the inherited token while it is valid, and gets
/// `GC_AUTH_ERR_FORKED` when it would have to spend the refresh token, which is the parent's. With a shared store it
/// renews like any other process. Since 0.1.0.
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
        // Small on purpose: this is what runs before every request. Whatever is not plain sailing goes below.
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
        bearer_with_care(auth, buf, buf_size, out_size, out_expires_at)
    }
}

/// Seconds since the Unix epoch, a scheduler tick late at most: the cheapest clock that there is.
#[inline]
fn coarse_unix_s() -> i64 {
    // SAFETY: NULL is allowed, and nothing is written then.
    unsafe { libc::time(std::ptr::null_mut()) }
}

#[cold]
#[inline(never)]
unsafe fn bearer_with_care(
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

/// As gc_auth_bearer(), and renews first if less than `min_valid_s` seconds are left: for an upload that takes long, or
/// a token that is handed on. Where the server's tokens don't live that long, it writes the newest one and returns
/// `GC_AUTH_OK`: `out_expires_at` says what it has. A token that the server has sent within the last minute (or the last
/// third of the token's life, if that is shorter) is the newest one.
///
/// - `auth`: the handle. Not NULL.
/// - `min_valid_s`: how many seconds the token has to be good for. Not negative.
/// - `buf`, `buf_size`, `out_size`: text out, see "Strings and buffers".
/// - `out_expires_at`: as for gc_auth_bearer(). May be NULL.
///
/// All who ask at once wait for one renewal, in this process and in others that share the store. If the renewal fails, a
/// valid token with at least 60 s left is handed out all the same; with less the error is returned. After a failed
/// renewal the next attempt follows the rules of gc_auth_bearer().
///
/// Returns what gc_auth_bearer() returns; `GC_AUTH_ERR_NO_REFRESH_TOKEN` when a renewal was needed, there is nothing to
/// renew with, and less than 60 s are left.
///
/// Threads: any. Fork: as gc_auth_bearer(). Since 0.1.0.
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

/// Writes the token to a file in the form that other people's tools read, renewed as gc_auth_bearer() does it. A file
/// is put in the place of `path` at once: readers find the old one or the new one, never a part of one. Its mode is 0600.
/// It holds no refresh token.
///
/// - `auth`: the handle. Not NULL.
/// - `path`: the file. Its directory must be there. A symbolic link is replaced, not followed; something that is neither
///   a regular file nor a link is left alone. Not NULL, not empty.
/// - `format`: one of these. Not NULL, not empty.
///
/// | format | for | what names the file there |
/// |---|---|---|
/// | `htslib` | samtools, bcftools, and all that uses htslib | the environment variable `HTS_AUTH_LOCATION` |
/// | `wlcg` | xrootd, ROOT, HTCondor, gfal2 | `BEARER_TOKEN_FILE` |
/// | `curl` | curl | `curl -H @FILE` |
///
/// htslib reads the file again at the first open or seek after five minutes or less. Write it again at least every five
/// minutes, with `renew_before_s` at 600 or more, and no reader ever has an expired token. Don't remove it, nor write
/// to it in place, while somebody may read it: htslib takes that badly.
///
/// Returns what gc_auth_bearer() returns for the token; `GC_AUTH_ERR_INVALID_ARGUMENT` also for an unknown format, and
/// when `path` is there and not a regular file; `GC_AUTH_ERR_INVALID_UTF8`; `GC_AUTH_ERR_STORE` when the file can't be
/// written: then what was there is still there.
///
/// Threads: any. Fork: as gc_auth_bearer(). Since 0.1.0.
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

/// The access token as it is, expired or not, without `Bearer `. Never renews.
///
/// - `auth`: the handle. Not NULL.
/// - `buf`, `buf_size`, `out_size`: text out, see "Strings and buffers".
///
/// Returns `GC_AUTH_OK`; `GC_AUTH_ERR_INVALID_ARGUMENT`; `GC_AUTH_ERR_BUFFER_TOO_SMALL`; `GC_AUTH_ERR_NO_TOKEN`; and
/// if a shared store was not read yet and can't be, `GC_AUTH_ERR_STORE`, or `GC_AUTH_ERR_CONFIG` when it is another host's.
///
/// Threads: any. Since 0.1.0.
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

/// The refresh token as it is. Keep it secret; it is good for one use.
///
/// - `auth`: the handle. Not NULL.
/// - `buf`, `buf_size`, `out_size`: text out, see "Strings and buffers".
///
/// Returns `GC_AUTH_OK`; `GC_AUTH_ERR_INVALID_ARGUMENT`; `GC_AUTH_ERR_BUFFER_TOO_SMALL`;
/// `GC_AUTH_ERR_NO_REFRESH_TOKEN`; the statuses of an unreadable store as for gc_auth_token().
///
/// Threads: any. Since 0.1.0.
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

/// The token type: `Bearer`, unless the server's answer said otherwise. gc_auth_bearer() always writes `Bearer`.
///
/// - `auth`: the handle. Not NULL.
/// - `buf`, `buf_size`, `out_size`: text out, see "Strings and buffers".
///
/// Returns `GC_AUTH_OK`; `GC_AUTH_ERR_INVALID_ARGUMENT`; `GC_AUTH_ERR_BUFFER_TOO_SMALL`.
///
/// An unreadable shared store gives the statuses that it gives for gc_auth_token().
///
/// Threads: any. Since 0.1.0.
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

/// The name of the environment in use, for example `prod`.
///
/// - `auth`: the handle. Not NULL.
/// - `buf`, `buf_size`, `out_size`: text out, see "Strings and buffers".
///
/// Returns `GC_AUTH_OK`; `GC_AUTH_ERR_INVALID_ARGUMENT`; `GC_AUTH_ERR_BUFFER_TOO_SMALL`.
///
/// Threads: any. Since 0.1.0.
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

/// The base URL of the environment in use, as the config has it.
///
/// - `auth`: the handle. Not NULL.
/// - `buf`, `buf_size`, `out_size`: text out, see "Strings and buffers".
///
/// Returns `GC_AUTH_OK`; `GC_AUTH_ERR_INVALID_ARGUMENT`; `GC_AUTH_ERR_BUFFER_TOO_SMALL`.
///
/// Threads: any. Since 0.1.0.
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

/// The payload of the current token: a JSON object in compact form, members in the token's own order, numbers in their
/// own text. Decoded once per token. NOT verified: see gc_auth_decode_jwt().
///
/// - `auth`: the handle. Not NULL.
/// - `buf`, `buf_size`, `out_size`: text out, see "Strings and buffers".
///
/// Returns `GC_AUTH_OK`; `GC_AUTH_ERR_INVALID_ARGUMENT`; `GC_AUTH_ERR_BUFFER_TOO_SMALL`; `GC_AUTH_ERR_NO_TOKEN`;
/// `GC_AUTH_ERR_TOKEN_MALFORMED` (not a JWT); `GC_AUTH_ERR_CLAIMS_MALFORMED` (the payload is not a JSON object, or has
/// duplicate members); `GC_AUTH_ERR_NO_MEMORY`.
///
/// An unreadable shared store gives the statuses that it gives for gc_auth_token().
///
/// Threads: any. Since 0.1.0.
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

/// The payload of the current token, in the form of gc_auth_decoded_token(): with a key only if the token verifies.
///
/// - `auth`: the handle. Not NULL.
/// - `public_key`: the issuer's public key: PEM (`PUBLIC KEY`, `RSA PUBLIC KEY`, `CERTIFICATE`), one JWK, or a JWKS; a
///   byte order mark before it, and PEM with `\n` for line ends, do no harm. A private or symmetric key is refused, alone
///   or in a set. NULL: nothing is verified. "" is `GC_AUTH_ERR_INVALID_ARGUMENT`, so that a key file that was read as
///   empty does not switch verification off. The key is parsed once and kept, so give the same text again.
/// - `buf`, `buf_size`, `out_size`: text out, see "Strings and buffers".
///
/// Verification reports the first fault in this order: `GC_AUTH_ERR_TOKEN_MALFORMED`, `GC_AUTH_ERR_ALGORITHM_REFUSED`,
/// `GC_AUTH_ERR_KEY_INVALID`, `GC_AUTH_ERR_SIGNATURE_INVALID`, `GC_AUTH_ERR_CLAIMS_MALFORMED`,
/// `GC_AUTH_ERR_TOKEN_NOT_YET_VALID`, `GC_AUTH_ERR_TOKEN_EXPIRED`. Times may be off by the config's `clock_leeway_s`. A
/// token without `exp` is accepted; audience and issuer are the caller's to check. Algorithms: RS256/384/512,
/// PS256/384/512, ES256/384, EdDSA (Ed25519, also under that name).
///
/// Of a JWKS, the keys with the token's `kid` are used, or, if there are none, those that have no `kid`; keys that can't
/// be used, or not for the token's algorithm, are passed over. If several different keys with that `kid` remain, the
/// set is refused. JSON null counts as absent in keys, headers and registered claims. `sub` and `jti` may be numbers,
/// since some issuers write them so; the other registered claims have the types of RFC 7519.
///
/// Returns `GC_AUTH_OK`; one of the above; `GC_AUTH_ERR_INVALID_ARGUMENT`; `GC_AUTH_ERR_INVALID_UTF8`;
/// `GC_AUTH_ERR_BUFFER_TOO_SMALL`; `GC_AUTH_ERR_NO_TOKEN`; `GC_AUTH_ERR_NO_MEMORY`.
///
/// An unreadable shared store gives the statuses that it gives for gc_auth_token().
///
/// Threads: any. Touches no network. Since 0.1.0.
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

/// The payload of the current token, in the form of gc_auth_decoded_token(), if the token verifies with the config's
/// `public_key`, or else with the key set at its `jwks_url`. Rules, order of verdicts and statuses are those of
/// gc_auth_decode_jwt().
///
/// A key set is fetched when it is first needed, kept for as long as its `Cache-Control` and `Age` say (5 minutes when
/// they say nothing, 30 s at least, a day at most), and used on when the server can't be reached. After an attempt that
/// failed the server is left alone for 30 s, or longer if its Retry-After says so (5 minutes at most); until there is a
/// key set the same error comes back meanwhile. The rules for login (TLS, proxies, sizes, no redirects, `timeout_ms`)
/// hold here too.
///
/// A token whose `kid` is not in the set makes the library fetch again, at most once in 30 s. In between the call fails
/// with `GC_AUTH_ERR_KEY_INVALID`, which is retryable here: gc_auth_last_error_is_retryable() says so, and the message
/// and gc_auth_last_error_retry_after_ms() say when the set is fetched again.
///
/// - `auth`: the handle. Not NULL.
/// - `buf`, `buf_size`, `out_size`: text out, see "Strings and buffers".
///
/// Returns `GC_AUTH_OK`; the statuses of gc_auth_decode_jwt(); `GC_AUTH_ERR_CONFIG` (neither `public_key` nor
/// `jwks_url` is set); and when the first key set can't be had, the network statuses of gc_auth_login(), with
/// `GC_AUTH_ERR_HTTP` for refusals, or `GC_AUTH_ERR_PROTOCOL` when what comes is not
/// JSON; the message says what it seems to be, and what to set instead.
///
/// Threads: any; one fetches, and the others go on with the keys that there are. Since 0.1.0.
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

/// The number of the token's project: the first of the config's `claims.project_id` that the payload has. Not the name
/// that gc_auth_login() takes. Not verified.
///
/// - `auth`: the handle. Not NULL.
/// - `out_project_id`: where the number goes. Not NULL.
///
/// Returns `GC_AUTH_OK`; `GC_AUTH_ERR_INVALID_ARGUMENT`; `GC_AUTH_ERR_NO_TOKEN`; `GC_AUTH_ERR_TOKEN_MALFORMED`,
/// `GC_AUTH_ERR_CLAIMS_MALFORMED`; `GC_AUTH_ERR_CLAIM_MISSING` (no such claim, or it is neither an integer nor a numeric
/// string).
///
/// An unreadable shared store gives the statuses that it gives for gc_auth_token().
///
/// Threads: any. Since 0.1.0.
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

/// The session as JSON, for gc_auth_from_json(): `{"env","host","token","refresh_token","token_type","project_id"}` in
/// this order, absent parts left out. It holds both tokens: keep it secret. `project_id` is the project as it was sent,
/// not the number in the token.
///
/// - `auth`: the handle. Not NULL.
/// - `buf`, `buf_size`, `out_size`: text out, see "Strings and buffers".
///
/// Returns `GC_AUTH_OK`; `GC_AUTH_ERR_INVALID_ARGUMENT`; `GC_AUTH_ERR_BUFFER_TOO_SMALL`; `GC_AUTH_ERR_NO_MEMORY`.
///
/// An unreadable shared store gives the statuses that it gives for gc_auth_token().
///
/// Threads: any. Since 0.1.0.
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

/// How the session is shared and how it fares: a JSON object. What is not known is left out. No secret in it.
///
/// - `generation` counts the renewals and logins; `store` is `memory`, `file` or `redis`, `lock` is `none`, `flock` or
///   `lease`, `place` the store's path or its URL without user and password, `scope` the project.
/// - `renewed_at` (Unix seconds, like all times here), `renewed_by_host` and `renewed_by_pid`: who got the current
///   tokens. `expires_in`: seconds, negative when expired. `made`, `joined` and `adopted`: how many renewals this handle
///   made, waited for in another thread, and took over from another process.
/// - `refused_with` and `refused_at`, when the server refused the refresh token: the HTTP status, and when.
/// - `last_failure`, while renewals fail: an object with `status` (as gc_auth_status_name() writes it), `message` (as
///   gc_auth_last_error_message() had it, shortened) and `at`. `next_try_at`: when the next attempt may be made; left out
///   where none will be made before a login. With a shared store these are what the last process to fail has left there.
/// - `logged_out_by` (`HOST:PID`) and `logged_out_at`, after a logout, until the next login.
///
/// Looks into a shared store at each call. A store that was read before and does not answer now has nothing new.
///
/// - `auth`: the handle. Not NULL.
/// - `buf`, `buf_size`, `out_size`: text out, see "Strings and buffers".
///
/// Returns `GC_AUTH_OK`; `GC_AUTH_ERR_INVALID_ARGUMENT`; `GC_AUTH_ERR_BUFFER_TOO_SMALL`; `GC_AUTH_ERR_STORE`,
/// `GC_AUTH_ERR_CONFIG` (a shared store that was not read yet can't be, or is another host's); `GC_AUTH_ERR_NO_MEMORY`.
///
/// Threads: any. Since 0.1.0.
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
