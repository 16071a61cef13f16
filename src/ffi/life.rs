//! Exports: the life of a session.

use std::ffi::c_char;

use super::arguments::{optional, required, session, target};
use super::guard::{guard, quietly};
use super::handle::{gc_auth, gc_auth_t};
use crate::config::{Config, Surroundings};
use crate::session::Session;
use crate::status::gc_auth_status_t;

/// Makes a handle. Reads neither the network nor the session store, so it does not check whether the
/// tokens are valid.
///
/// - `config`: a JSON object as text (not a file name); docs/configuration.md lists its keys. NULL
///   or "": the file that the environment variable `GCAUTH_CONFIG` names; without it, the built-in
///   defaults.
/// - `token`, `refresh_token`: tokens that you already have. NULL or "": none. The library strips
///   white space around them (files end in a newline), a byte order mark, and the prefix `Bearer `
///   of the token. The rest must be visible ASCII (0x21 to 0x7E) without quotes around it. With a
///   refresh token only, the first gc_auth_bearer() renews. A shared store that already holds a
///   session ignores both; they fill an empty store only.
/// - `env`: the name of an environment in the config. NULL or "": the config's `env`, which is
///   `prod` by default.
/// - `out_auth`: receives the handle. Not NULL. Free the handle with gc_auth_free().
///
/// The call accepts a config that names a plain http URL of another machine. The first call that
/// would send something there returns `GC_AUTH_ERR_INSECURE`.
///
/// This function and gc_auth_from_json() are the only ones that read the environment:
/// `GCAUTH_CONFIG`, `SSL_CERT_FILE`, `SSL_CERT_DIR`, and the proxy variables that curl reads;
/// `GCAUTH_STORE_PASSWORD` for a Redis store; `XDG_STATE_HOME`, `HOME` and `GCAUTH_SESSION` for
/// `"store": "user"`. In a program with more rights than its caller (setuid, setgid, file
/// capabilities) they read no variable at all.
///
/// Returns the common statuses, and `GC_AUTH_ERR_CONFIG` if the config can't be used: the message
/// names the key, and for an unknown key the nearest known one.
///
/// Threads: no other thread may change the environment during the call.
///
/// Since 0.1.0.
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

/// Makes a handle from a session that gc_auth_to_json() wrote. Use it to hand a session over to
/// another process.
///
/// - `config`: as for gc_auth_new(). Its environment's name and host must be those in `json`, so
///   that credentials only go where the config says.
/// - `json`: the exported session. Not NULL, not empty. Unknown members are ignored.
/// - `out_auth`: receives the handle. Not NULL. Free the handle with gc_auth_free().
///
/// A refresh token is good for one use. So only one of the two processes may continue the session,
/// unless both use the same store.
///
/// Returns the common statuses, `GC_AUTH_ERR_INVALID_ARGUMENT` also if a token or the token type in
/// `json` is not visible ASCII; and `GC_AUTH_ERR_CONFIG` if the config or `json` can't be used, or
/// if they name different environments or hosts.
///
/// Threads: as gc_auth_new().
///
/// Since 0.1.0.
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

/// Logs in with one POST. Once a byte of it was sent, the library never sends it again. On success
/// the new tokens, token type and project replace the old ones together. On failure the session is
/// unchanged.
///
/// - `auth`: the handle.
/// - `username`, `password`, `organization_id`: not NULL, not empty. The library does not keep the
///   password.
/// - `project_id`: the project's name as users of the platform write it (not the number in the
///   token). NULL or "": no project. All later renewals keep the project.
///
/// The call first waits until no other thread and no other process renews this session. The whole
/// call takes at most `timeout_ms`. With a shared store the new session replaces the old one for
/// every process that uses the store.
///
/// Returns the common statuses and the network statuses, and:
/// - `GC_AUTH_ERR_UNAUTHORIZED`: the server refused the login (HTTP 400, 401, 403, 404).
/// - `GC_AUTH_ERR_PROTOCOL`: also if a successful answer holds no usable token.
/// - `GC_AUTH_ERR_STORE`: the store can't be used. If only storing the new session failed, this
///   handle uses the new session nevertheless, and every later call tries to store it again.
/// - `GC_AUTH_ERR_LOCK_TIMEOUT`: another process held the renewal lock too long.
///
/// Fork: a login in the child makes the handle the child's own.
///
/// Since 0.1.0.
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

/// Renews the token now, regardless of its expiry. On failure the session is unchanged. Programs
/// that only send bearers don't need this function, because gc_auth_bearer() renews when necessary.
///
/// - `auth`: the handle.
/// - `project_id`: moves the session to this project, for all later renewals too. NULL or "": keeps
///   the project.
///
/// If `project_id` is absent, or is the session's project already, a renewal that another thread
/// completes during this call is sufficient. The call takes at most `timeout_ms`, including the time
/// that it waits for other threads. It always tries, even while gc_auth_bearer() pauses after a
/// failure or a refusal.
///
/// Returns the common statuses and the network statuses, and:
/// - `GC_AUTH_ERR_NO_REFRESH_TOKEN`: the session has no refresh token.
/// - `GC_AUTH_ERR_UNAUTHORIZED`: the server refused the refresh token (see gc_auth_bearer()) or the
///   new project. If it refused the project, the session continues as before.
/// - `GC_AUTH_ERR_TOKEN_EXPIRED`: the new token had already expired.
/// - `GC_AUTH_ERR_FORKED`: see "Fork".
/// - `GC_AUTH_ERR_STORE`, `GC_AUTH_ERR_LOCK_TIMEOUT`: as for gc_auth_login().
///
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gc_auth_refresh(auth: *mut gc_auth_t, project_id: *const c_char) -> gc_auth_status_t {
    // SAFETY: handle and string are as the header asks for.
    guard(|| unsafe { session(auth)?.refresh(optional("project_id", project_id)?) })
}

/// Reports that a server answered 401 to this bearer. Report a 403 too, if the server means the same
/// by it: some servers revoke the old token at each renewal, see `revokes_old_tokens` in the config.
/// If the session's token is still this one, the library does not hand it out again, and the next
/// gc_auth_bearer() renews. (If that renewal can't reach the server, gc_auth_bearer() hands out the
/// old token after all.) If the session already has a newer token, nothing happens. So any number of
/// threads that report the same token cause one renewal, and a report that arrives during a renewal
/// is not lost.
///
/// After the report call gc_auth_bearer() again and repeat the request once.
///
/// - `auth`: the handle.
/// - `bearer`: text that gc_auth_bearer() or gc_auth_token() wrote. Not NULL, not empty.
///
/// Returns the common statuses; `GC_AUTH_OK` also if the token is not the current one. Does not use
/// the network.
///
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gc_auth_report_rejected(auth: *mut gc_auth_t, bearer: *const c_char) -> gc_auth_status_t {
    // SAFETY: handle and string are as the header asks for.
    guard(|| unsafe { session(auth)?.report_rejected(required("bearer", bearer)?) })
}

/// Ends the session: removes both tokens and the project from the handle and from the store, for
/// every process that uses the store. If the config has a `logout.path`, the library then sends both
/// tokens there to end the session at the server: one attempt within `timeout_ms`, or more if no
/// byte was sent. Only the log tells whether the server accepted it. Without `logout.path` the
/// server does not learn of the logout, and the refresh token stays valid there until it expires.
///
/// The handle can be used for another gc_auth_login(). A renewal in another thread does not bring
/// the session back. Other processes notice the logout when they next read the store, at the start
/// of their token's renewal window. Until then they hand out their token.
///
/// - `auth`: the handle.
///
/// Returns the common statuses, and `GC_AUTH_ERR_STORE` if the store can't be changed. The message
/// then says whether the session is unchanged, or ended with tokens left on the disk.
///
/// Fork: with the in-memory store a child removes its own copy only, and does not tell the server.
///
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gc_auth_logout(auth: *mut gc_auth_t) -> gc_auth_status_t {
    // SAFETY: the handle is as the header asks for.
    guard(|| unsafe { session(auth)?.logout() })
}

/// Frees a handle and wipes its secrets.
///
/// - `auth`: the handle. No other thread may use it. NULL does nothing.
///
/// Fork: a child that frees its copy touches no network, store or lock, and does not affect the
/// parent.
///
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
