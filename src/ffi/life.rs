//! Exports: the life of a session.

use std::ffi::c_char;

use super::arguments::{optional, required, session, target};
use super::guard::{guard, quietly};
use super::handle::{gc_auth, gc_auth_t};
use crate::config::{Config, Surroundings};
use crate::session::Session;
use crate::status::gc_auth_status_t;

/// Makes a handle. Touches neither network nor session store, so it does not tell whether the tokens are any good.
///
/// This and gc_auth_from_json() are the only functions that read the environment: `GCAUTH_CONFIG`, `SSL_CERT_FILE`,
/// `SSL_CERT_DIR`, the proxy variables that curl reads, and for the config's `"store": "user"` `XDG_STATE_HOME`, `HOME`
/// and `GCAUTH_SESSION`, and for a Redis `GCAUTH_STORE_PASSWORD`. In a program that has more rights than its caller (setuid, setgid, file capabilities) they read
/// none of it.
///
/// - `config`: a JSON object as text (not a file's name), see docs/configuration.md for its keys. NULL or "": the file that `GCAUTH_CONFIG` names, or else the
///   built-in defaults.
/// - `token`, `refresh_token`: tokens from elsewhere, or NULL or "". With a shared store they only seed an empty one; a
///   session that is stored there goes before them. White space around them is taken off (files end in
///   a newline), and so are a byte order mark and, for the token, `Bearer ` before it. What is left may hold visible
///   ASCII only (0x21 to 0x7E), and may not stand in quotes. With a refresh token only, the first gc_auth_bearer() renews.
/// - `env`: which of the config's environments to use. NULL or "": the config's own choice, `prod` by default.
/// - `out_auth`: where the handle goes; the caller frees it with gc_auth_free(). Not NULL.
///
/// A config that would send to plain http elsewhere than this machine is accepted here; the first call that would send
/// gives `GC_AUTH_ERR_INSECURE`.
///
/// Returns `GC_AUTH_OK`; `GC_AUTH_ERR_INVALID_ARGUMENT` (`out_auth` is NULL; a token holds anything else than
/// visible ASCII); `GC_AUTH_ERR_INVALID_UTF8`; `GC_AUTH_ERR_CONFIG` (the message names the key, and for an unknown
/// one the nearest known); `GC_AUTH_ERR_NO_MEMORY`.
///
/// Threads: any. Do not change the environment in another thread meanwhile. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gc_auth_new(
    config: *const c_char,
    token: *const c_char,
    refresh_token: *const c_char,
    env: *const c_char,
    out_auth: *mut *mut gc_auth_t,
) -> gc_auth_status_t {
    guard(|| {
        let out = target("out_auth", out_auth)?;
        // SAFETY: strings and out_auth are as the header asks for.
        unsafe {
            let config = optional("config", config)?;
            let token = optional("token", token)?;
            let refresh_token = optional("refresh_token", refresh_token)?;
            let env = optional("env", env)?;
            let config = Config::load(config, &Surroundings::from_env())?;
            let session = Session::new(config, token, refresh_token, env)?;
            out.write(Box::into_raw(Box::new(gc_auth::new(session))));
        }
        Ok(())
    })
}

/// Makes a handle from what gc_auth_to_json() wrote: the way to hand a session on to another process.
///
/// - `config`: as for gc_auth_new(). Its `env` and that environment's host must be those of `json`: credentials never
///   go where the config does not say.
/// - `json`: the exported session. Not NULL, not empty. Members that are not known are passed over.
/// - `out_auth`: where the handle goes; the caller frees it with gc_auth_free(). Not NULL.
///
/// Only one of the two processes may go on with the session, unless they share a store: refresh tokens are good for one
/// use.
///
/// Returns `GC_AUTH_OK`; `GC_AUTH_ERR_INVALID_ARGUMENT` (also for tokens or a token type that hold anything else than
/// visible ASCII); `GC_AUTH_ERR_INVALID_UTF8`; `GC_AUTH_ERR_CONFIG` (the config
/// or `json` is not as expected, or they disagree on env or host); `GC_AUTH_ERR_NO_MEMORY`.
///
/// Threads: any, as for gc_auth_new(). Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gc_auth_from_json(
    config: *const c_char,
    json: *const c_char,
    out_auth: *mut *mut gc_auth_t,
) -> gc_auth_status_t {
    guard(|| {
        let out = target("out_auth", out_auth)?;
        // SAFETY: strings and out_auth are as the header asks for.
        unsafe {
            let config = optional("config", config)?;
            let json = required("json", json)?;
            let config = Config::load(config, &Surroundings::from_env())?;
            let session = Session::from_json(config, json)?;
            out.write(Box::into_raw(Box::new(gc_auth::new(session))));
        }
        Ok(())
    })
}

/// Logs in, with one POST that is never repeated once its bytes are on the way. On success both tokens, the token type
/// and the project replace the old ones together; on failure the session is as before.
///
/// - `auth`: the handle. Not NULL.
/// - `username`, `password`, `organization_id`: not NULL, not empty. The password is not kept.
/// - `project_id`: the project's name as the platform's users write it (not the number in the token), or NULL or "" for
///   none. All later renewals keep it.
///
/// Waits for another thread's renewal of this handle, or another process's of the shared store, to end first, and takes
/// no longer than `timeout_ms` in all. With a shared store the new session is everybody's.
///
/// Returns `GC_AUTH_OK`; `GC_AUTH_ERR_INVALID_ARGUMENT`; `GC_AUTH_ERR_INVALID_UTF8`; `GC_AUTH_ERR_UNAUTHORIZED` (the
/// server refused: HTTP 400, 401, 403, 404); `GC_AUTH_ERR_CONNECT`, `GC_AUTH_ERR_TIMEOUT`, `GC_AUTH_ERR_TLS`,
/// `GC_AUTH_ERR_INSECURE`; `GC_AUTH_ERR_HTTP`, `GC_AUTH_ERR_RATE_LIMITED`, `GC_AUTH_ERR_SERVER`;
/// `GC_AUTH_ERR_PROTOCOL` (a success without a usable token); `GC_AUTH_ERR_CONFIG` (a certificate file of the config
/// can't be used); `GC_AUTH_ERR_STORE` (if the login itself succeeded, this handle has the session all the same, and
/// offers it to the store again at every later call); `GC_AUTH_ERR_LOCK_TIMEOUT`; `GC_AUTH_ERR_NO_MEMORY`.
///
/// Threads: any. Fork: in a child it makes the handle the child's own. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gc_auth_login(
    auth: *mut gc_auth_t,
    username: *const c_char,
    password: *const c_char,
    organization_id: *const c_char,
    project_id: *const c_char,
) -> gc_auth_status_t {
    // SAFETY: handle and strings are as the header asks for.
    guard(|| unsafe {
        let session = session(auth)?;
        let username = required("username", username)?;
        let password = required("password", password)?;
        let organization_id = required("organization_id", organization_id)?;
        let project_id = optional("project_id", project_id)?;
        session.login(username, password, organization_id, project_id)
    })
}

/// Renews the token now, whatever its expiry. On failure the session is as before. Programs that only send bearers
/// don't need it: gc_auth_bearer() renews by itself.
///
/// - `auth`: the handle. Not NULL.
/// - `project_id`: scopes the session to that project, for all later renewals too. NULL or "" keeps the scope. With
///   NULL, or the scope that the session has already, a renewal that another thread finishes during this call is enough.
///
/// Takes no longer than `timeout_ms`, waiting for other threads included. Always tries, also where gc_auth_bearer()
/// would rest after a failure or a refusal.
///
/// Returns `GC_AUTH_OK`; `GC_AUTH_ERR_INVALID_ARGUMENT`; `GC_AUTH_ERR_INVALID_UTF8`; `GC_AUTH_ERR_NO_REFRESH_TOKEN`;
/// `GC_AUTH_ERR_FORKED` (see gc_auth_bearer()); `GC_AUTH_ERR_UNAUTHORIZED` (the server refused the refresh token, see
/// gc_auth_bearer(); or a new project: then the session goes on as before); `GC_AUTH_ERR_STORE`, as for gc_auth_login(); `GC_AUTH_ERR_LOCK_TIMEOUT`; `GC_AUTH_ERR_TOKEN_EXPIRED` (the new token had already run out); the network statuses of gc_auth_login().
///
/// Threads: any. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gc_auth_refresh(auth: *mut gc_auth_t, project_id: *const c_char) -> gc_auth_status_t {
    // SAFETY: handle and string are as the header asks for.
    guard(|| unsafe { session(auth)?.refresh(optional("project_id", project_id)?) })
}

/// Tells the session that a server answered 401 to this bearer (or 403, where that means the same: some servers revoke
/// the old token at each renewal, see `revokes_old_tokens` in the config). If it is still the current one, it is not handed out
/// again, and the next gc_auth_bearer() renews (if the server can't be reached for that, the token is handed out after
/// all). If a newer one is there already, nothing happens: any number of threads that report the same token cause one
/// renewal. Call it, ask gc_auth_bearer() again, and repeat the request once.
///
/// - `auth`: the handle. Not NULL.
/// - `bearer`: what gc_auth_bearer() or gc_auth_token() wrote. Not NULL, not empty.
///
/// Returns `GC_AUTH_OK`, also when the token is not the current one; `GC_AUTH_ERR_INVALID_ARGUMENT`;
/// `GC_AUTH_ERR_INVALID_UTF8`.
///
/// Threads: any; a report that arrives during a renewal is not lost. Touches no network. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gc_auth_report_rejected(auth: *mut gc_auth_t, bearer: *const c_char) -> gc_auth_status_t {
    // SAFETY: handle and string are as the header asks for.
    guard(|| unsafe { session(auth)?.report_rejected(required("bearer", bearer)?) })
}

/// Forgets the session: both tokens, the project, and what is in the store, for all who share it.
/// Where the config names a `logout.path`, the server is told then, with both tokens: one try within
/// `timeout_ms`, more where nothing arrived, and whether it succeeds shows in the log only. Without
/// a path the server is not told, and the refresh token stays good there until it expires.
///
/// The handle stays good for another gc_auth_login(). A renewal that is under way in another thread
/// does not bring the session back. Other processes notice when they next look into the store, at
/// the beginning of their token's renewal window; until then they hand out the token they have.
///
/// - `auth`: the handle. Not NULL.
///
/// Returns `GC_AUTH_OK`; `GC_AUTH_ERR_INVALID_ARGUMENT`; `GC_AUTH_ERR_STORE` (then the session is as before, or ended,
/// with tokens left on the disk: the message says which).
///
/// Threads: any. Fork: with the in-memory store a child forgets its own copy only, and does not
/// tell the server. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gc_auth_logout(auth: *mut gc_auth_t) -> gc_auth_status_t {
    // SAFETY: the handle is as the header asks for.
    guard(|| unsafe { session(auth)?.logout() })
}

/// Frees a handle and wipes what it holds. NULL does nothing. No other thread may be using it. Does not touch the last
/// error. Fork: a child that frees its copy touches neither network, store nor lock, and takes nothing from the parent.
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gc_auth_free(auth: *mut gc_auth_t) {
    quietly(|| {
        if !auth.is_null() {
            // SAFETY: the handle came from Box::into_raw above, and is not used again.
            drop(unsafe { Box::from_raw(auth) });
        }
    });
}
