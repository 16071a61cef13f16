/**
 * libgcauth: log in to Genomcore and hand out bearer tokens
 * =========================================================
 *
 * A session is a login and its tokens. It is renewed ahead of time, by whoever asks next, with one
 * renewal for all threads, processes and hosts that share it; what you get is always good to send:
 *
 *     #include <gcauth.h>
 *
 *     gc_auth_t *auth = NULL;
 *     char bearer[8192];
 *     if (gc_auth_new(NULL, NULL, NULL, NULL, &auth) != GC_AUTH_OK
 *         || gc_auth_login(auth, "ada", password, "my-organization", NULL) != GC_AUTH_OK
 *         || gc_auth_bearer(auth, bearer, sizeof bearer, NULL, NULL) != GC_AUTH_OK)
 *         fprintf(stderr, "%s\n", gc_auth_last_error_message());
 *     else
 *         printf("Authorization: %s\n", bearer);
 *     gc_auth_free(auth);
 *
 * Link with -lgcauth. The header is C99 and C++11 and upwards.
 *
 * Sections: Version. Types. Statuses. Life of a session. What the session knows. Log. Errors.
 * Versions.
 *
 * Names and order
 *   Everything starts with gc_auth_ or GC_AUTH_. The handle comes first, inputs next, outputs last.
 *
 * Statuses
 *   Every function that can fail returns a gc_auth_status_t, GC_AUTH_OK (0) for success. Outputs
 *   are written only on success; the one exception is out_size together with
 *   GC_AUTH_ERR_BUFFER_TOO_SMALL. Details of the last failure are kept per thread, see "Errors".
 *   Functions that do work clear them on entry; gc_auth_last_error_*(), gc_auth_status_name(),
 *   gc_auth_version_*() and gc_auth_free() never touch them.
 *
 * Strings and buffers
 *   Text in is UTF-8, ends in a NUL, and is copied before the call returns. NULL is allowed only
 *   where the function says so. An empty string counts as absent where the argument is optional,
 *   and is an error where it is not and in the public_key of gc_auth_decode_jwt().
 *   Text out goes into your buffer: buf, buf_size, out_size. Sizes count the NUL. A buffer that is
 *   too small is left untouched: the call returns GC_AUTH_ERR_BUFFER_TOO_SMALL, and *out_size says
 *   what is needed. buf NULL with buf_size 0 asks for the size; then out_size must not be NULL,
 *   otherwise it may be. The size can grow between two calls, so loop, or start with 8 KiB. JSON
 *   out is compact (no white space).
 *
 * Ownership
 *   The handle is the only thing to free. Pointers that functions return are to static or
 *   per-thread memory.
 *
 * Threads
 *   Any thread may call any function at any time, also with the same handle, except gc_auth_free(),
 *   which must be the last. The library starts no thread of its own, except that looking up a host
 *   name in DNS is done in a short-lived one that has all signals blocked. It installs no signal
 *   handler and no panic hook, and reads the environment in gc_auth_new() and gc_auth_from_json()
 *   only. It stays loaded after dlclose().
 *
 * Fork
 *   A child may use its parent's handles, and never hangs on a lock that another thread of the
 *   parent held. Connections are never shared. With the in-memory store the child may hand out the
 *   inherited token while it is valid; a call that would have to spend the refresh token, which is
 *   the parent's, gives GC_AUTH_ERR_FORKED. With a shared store (config key "store") it renews like
 *   any other process. gc_auth_login() makes a handle the child's own; a child that alone goes on
 *   can take the session over with gc_auth_to_json() before the fork and gc_auth_from_json() after
 *   it.
 *
 * Secrets
 *   The library's own copies of passwords and tokens are wiped when they are replaced and when the
 *   handle is freed. The copies inside the HTTP and TLS code, and in the kernel, are out of its
 *   reach; so are yours. Memory that is not there is GC_AUTH_ERR_NO_MEMORY where its size depends
 *   on input; elsewhere a failed allocation ends the process.
 *
 * This file is generated from the Rust sources. SPDX-License-Identifier: MIT
 */


#ifndef GCAUTH_H
#define GCAUTH_H

#include <stddef.h>
#include <stdint.h>

/* The compiler warns where a status is ignored. Define this as nothing, and it does not. */
#ifndef GC_AUTH_NODISCARD
#if defined(__cplusplus) && __cplusplus >= 201703L
#define GC_AUTH_NODISCARD [[nodiscard]]
#elif defined(__GNUC__)
#define GC_AUTH_NODISCARD __attribute__((warn_unused_result))
#else
#define GC_AUTH_NODISCARD
#endif
#endif


/* ============================================================================ */
/* Version of this header                                                       */
/* ============================================================================ */

/**
 * The first number of this header's version.
 */
#define GC_AUTH_VERSION_MAJOR 0

/**
 * The second number of this header's version.
 */
#define GC_AUTH_VERSION_MINOR 1

/**
 * The third number of this header's version.
 */
#define GC_AUTH_VERSION_PATCH 0

/**
 * The version of this header: major * 10000 + minor * 100 + patch. gc_auth_version_number() tells
 * the library's.
 */
#define GC_AUTH_VERSION_NUMBER 100

/* ============================================================================ */
/* Types                                                                        */
/* ============================================================================ */

/**
 * A session. Make it with gc_auth_new() or gc_auth_from_json(), free it with gc_auth_free(), once,
 * when no other thread uses it any more. In between any number of threads may use it at once.
 */
struct gc_auth;

/**
 * The status of a call: `GC_AUTH_OK` (0) or one of the `GC_AUTH_ERR_` constants. Values are never
 * renumbered; later versions may add some, so treat an unknown one as a failure.
 */
typedef int32_t gc_auth_status_t;

/**
 * A session, opaque: only pointers to it are used.
 */
typedef struct gc_auth gc_auth_t;

/**
 * Takes a line of the log: `user_data` as it was given to gc_auth_set_log(), the level (1 error, 2
 * warning, 3 information, 4 debug), and one line of UTF-8 without a line break, which belongs to
 * the library and is good until the function returns. It must return normally (no longjmp, no
 * exception), and call nothing of the library but gc_auth_status_name().
 */
typedef void (*gc_auth_log_fn)(void *user_data, int32_t level, const char *message);

/* ============================================================================ */
/* Statuses                                                                     */
/* ============================================================================ */

/**
 * Success.
 */
#define GC_AUTH_OK 0

/**
 * NULL or empty where it may not be; a token of anything else than visible ASCII; a NULL buffer
 * with a size.
 */
#define GC_AUTH_ERR_INVALID_ARGUMENT 1

/**
 * A string argument is not UTF-8.
 */
#define GC_AUTH_ERR_INVALID_UTF8 2

/**
 * The buffer is too small; `out_size` says what is needed. The buffer is untouched.
 */
#define GC_AUTH_ERR_BUFFER_TOO_SMALL 3

/**
 * The config is not the JSON that is expected, has an unknown key or environment, or a stored or
 * exported session belongs to another host.
 */
#define GC_AUTH_ERR_CONFIG 4

/**
 * This is a forked child with the in-memory store: it may not spend its parent's refresh token.
 * Configure a shared store, or log in again.
 */
#define GC_AUTH_ERR_FORKED 5

/**
 * Nothing to hand out: log in first.
 */
#define GC_AUTH_ERR_NO_TOKEN 20

/**
 * Asked to refresh without a refresh token.
 */
#define GC_AUTH_ERR_NO_REFRESH_TOKEN 21

/**
 * Expired, and nothing to renew it with; or verification found `exp` in the past.
 */
#define GC_AUTH_ERR_TOKEN_EXPIRED 22

/**
 * Not a compact JWS: parts, base64url, header, size or depth.
 */
#define GC_AUTH_ERR_TOKEN_MALFORMED 23

/**
 * The payload is not a JSON object, has duplicate members, or a registered claim has the wrong
 * type.
 */
#define GC_AUTH_ERR_CLAIMS_MALFORMED 24

/**
 * The claim that was asked for is not in the token.
 */
#define GC_AUTH_ERR_CLAIM_MISSING 25

/**
 * The signature does not hold; an empty one never does.
 */
#define GC_AUTH_ERR_SIGNATURE_INVALID 26

/**
 * `none`, HMAC, an unknown algorithm, or one that is not the key's.
 */
#define GC_AUTH_ERR_ALGORITHM_REFUSED 27

/**
 * Not a usable public key: private, symmetric, too short, unsupported, not for verifying, or no key
 * with the token's `kid`. Retryable only where the key was looked for in the set at `jwks_url`,
 * which is fetched again later.
 */
#define GC_AUTH_ERR_KEY_INVALID 28

/**
 * `nbf` lies in the future.
 */
#define GC_AUTH_ERR_TOKEN_NOT_YET_VALID 29

/**
 * The server refused the login or the refresh token (HTTP 400, 401, 403, 404).
 */
#define GC_AUTH_ERR_UNAUTHORIZED 30

/**
 * No connection (name, refused, unreachable, reset), or it was lost before the answer was complete.
 * Retryable.
 */
#define GC_AUTH_ERR_CONNECT 40

/**
 * `timeout_ms` ran out. Retryable.
 */
#define GC_AUTH_ERR_TIMEOUT 41

/**
 * The server's certificate or the TLS handshake was refused.
 */
#define GC_AUTH_ERR_TLS 42

/**
 * Plain http to a host that is not loopback, or a redirect: refused, nothing was sent there.
 */
#define GC_AUTH_ERR_INSECURE 43

/**
 * An HTTP status that fits nothing else.
 */
#define GC_AUTH_ERR_HTTP 60

/**
 * HTTP 429. Retryable; see gc_auth_last_error_retry_after_ms().
 */
#define GC_AUTH_ERR_RATE_LIMITED 61

/**
 * HTTP 5xx. Retryable.
 */
#define GC_AUTH_ERR_SERVER 62

/**
 * A success answer that is not what it should be, or larger than 1 MiB.
 */
#define GC_AUTH_ERR_PROTOCOL 63

/**
 * The session store could not be read or written.
 */
#define GC_AUTH_ERR_STORE 80

/**
 * Another process held the renewal too long. Retryable.
 */
#define GC_AUTH_ERR_LOCK_TIMEOUT 81

/**
 * Memory sized by input (a token, a response, a key) could not be reserved.
 */
#define GC_AUTH_ERR_NO_MEMORY 98

/**
 * A bug in this library; please report it.
 */
#define GC_AUTH_ERR_INTERNAL 99

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/* ============================================================================ */
/* Life of a session                                                            */
/* ============================================================================ */

/**
 * Makes a handle. Touches neither network nor session store, so it does not tell whether the tokens
 * are any good.
 *
 * This and gc_auth_from_json() are the only functions that read the environment: `GCAUTH_CONFIG`,
 * `SSL_CERT_FILE`, `SSL_CERT_DIR`, the proxy variables that curl reads, and for the config's
 * `"store": "user"` `XDG_STATE_HOME`, `HOME` and `GCAUTH_SESSION`, and for a Redis
 * `GCAUTH_STORE_PASSWORD`. In a program that has more rights than its caller (setuid, setgid, file
 * capabilities) they read none of it.
 *
 * - `config`: a JSON object as text (not a file's name), see docs/configuration.md for its keys.
 *   NULL or "": the file that `GCAUTH_CONFIG` names, or else the built-in defaults.
 * - `token`, `refresh_token`: tokens from elsewhere, or NULL or "". With a shared store they only
 *   seed an empty one; a session that is stored there goes before them. White space around them is
 *   taken off (files end in a newline), and so are a byte order mark and, for the token, `Bearer `
 *   before it. What is left may hold visible ASCII only (0x21 to 0x7E), and may not stand in
 *   quotes. With a refresh token only, the first gc_auth_bearer() renews.
 * - `env`: which of the config's environments to use. NULL or "": the config's own choice, `prod`
 *   by default.
 * - `out_auth`: where the handle goes; the caller frees it with gc_auth_free(). Not NULL.
 *
 * A config that would send to plain http elsewhere than this machine is accepted here; the first
 * call that would send gives `GC_AUTH_ERR_INSECURE`.
 *
 * Returns `GC_AUTH_OK`; `GC_AUTH_ERR_INVALID_ARGUMENT` (`out_auth` is NULL; a token holds anything
 * else than visible ASCII); `GC_AUTH_ERR_INVALID_UTF8`; `GC_AUTH_ERR_CONFIG` (the message names the
 * key, and for an unknown one the nearest known); `GC_AUTH_ERR_NO_MEMORY`.
 *
 * Threads: any. Do not change the environment in another thread meanwhile. Since 0.1.0.
 */
GC_AUTH_NODISCARD
gc_auth_status_t gc_auth_new(const char *config,
                             const char *token,
                             const char *refresh_token,
                             const char *env,
                             gc_auth_t **out_auth);

/**
 * Makes a handle from what gc_auth_to_json() wrote: the way to hand a session on to another
 * process.
 *
 * - `config`: as for gc_auth_new(). Its `env` and that environment's host must be those of `json`:
 *   credentials never go where the config does not say.
 * - `json`: the exported session. Not NULL, not empty. Members that are not known are passed over.
 * - `out_auth`: where the handle goes; the caller frees it with gc_auth_free(). Not NULL.
 *
 * Only one of the two processes may go on with the session, unless they share a store: refresh
 * tokens are good for one use.
 *
 * Returns `GC_AUTH_OK`; `GC_AUTH_ERR_INVALID_ARGUMENT` (also for tokens or a token type that hold
 * anything else than visible ASCII); `GC_AUTH_ERR_INVALID_UTF8`; `GC_AUTH_ERR_CONFIG` (the config
 * or `json` is not as expected, or they disagree on env or host); `GC_AUTH_ERR_NO_MEMORY`.
 *
 * Threads: any, as for gc_auth_new(). Since 0.1.0.
 */
GC_AUTH_NODISCARD
gc_auth_status_t gc_auth_from_json(const char *config,
                                   const char *json,
                                   gc_auth_t **out_auth);

/**
 * Logs in, with one POST that is never repeated once its bytes are on the way. On success both
 * tokens, the token type and the project replace the old ones together; on failure the session is
 * as before.
 *
 * - `auth`: the handle. Not NULL.
 * - `username`, `password`, `organization_id`: not NULL, not empty. The password is not kept.
 * - `project_id`: the project's name as the platform's users write it (not the number in the
 *   token), or NULL or "" for none. All later renewals keep it.
 *
 * Waits for another thread's renewal of this handle, or another process's of the shared store, to
 * end first, and takes no longer than `timeout_ms` in all. With a shared store the new session is
 * everybody's.
 *
 * Returns `GC_AUTH_OK`; `GC_AUTH_ERR_INVALID_ARGUMENT`; `GC_AUTH_ERR_INVALID_UTF8`;
 * `GC_AUTH_ERR_UNAUTHORIZED` (the server refused: HTTP 400, 401, 403, 404); `GC_AUTH_ERR_CONNECT`,
 * `GC_AUTH_ERR_TIMEOUT`, `GC_AUTH_ERR_TLS`, `GC_AUTH_ERR_INSECURE`; `GC_AUTH_ERR_HTTP`,
 * `GC_AUTH_ERR_RATE_LIMITED`, `GC_AUTH_ERR_SERVER`; `GC_AUTH_ERR_PROTOCOL` (a success without a
 * usable token); `GC_AUTH_ERR_CONFIG` (a certificate file of the config can't be used);
 * `GC_AUTH_ERR_STORE` (if the login itself succeeded, this handle has the session all the same, and
 * offers it to the store again at every later call); `GC_AUTH_ERR_LOCK_TIMEOUT`;
 * `GC_AUTH_ERR_NO_MEMORY`.
 *
 * Threads: any. Fork: in a child it makes the handle the child's own. Since 0.1.0.
 */
GC_AUTH_NODISCARD
gc_auth_status_t gc_auth_login(gc_auth_t *auth,
                               const char *username,
                               const char *password,
                               const char *organization_id,
                               const char *project_id);

/**
 * Renews the token now, whatever its expiry. On failure the session is as before. Programs that
 * only send bearers don't need it: gc_auth_bearer() renews by itself.
 *
 * - `auth`: the handle. Not NULL.
 * - `project_id`: scopes the session to that project, for all later renewals too. NULL or "" keeps
 *   the scope. With NULL, or the scope that the session has already, a renewal that another thread
 *   finishes during this call is enough.
 *
 * Takes no longer than `timeout_ms`, waiting for other threads included. Always tries, also where
 * gc_auth_bearer() would rest after a failure or a refusal.
 *
 * Returns `GC_AUTH_OK`; `GC_AUTH_ERR_INVALID_ARGUMENT`; `GC_AUTH_ERR_INVALID_UTF8`;
 * `GC_AUTH_ERR_NO_REFRESH_TOKEN`; `GC_AUTH_ERR_FORKED` (see gc_auth_bearer());
 * `GC_AUTH_ERR_UNAUTHORIZED` (the server refused the refresh token, see gc_auth_bearer(); or a new
 * project: then the session goes on as before); `GC_AUTH_ERR_STORE`, as for gc_auth_login();
 * `GC_AUTH_ERR_LOCK_TIMEOUT`; `GC_AUTH_ERR_TOKEN_EXPIRED` (the new token had already run out); the
 * network statuses of gc_auth_login().
 *
 * Threads: any. Since 0.1.0.
 */
GC_AUTH_NODISCARD
gc_auth_status_t gc_auth_refresh(gc_auth_t *auth,
                                 const char *project_id);

/**
 * Tells the session that a server answered 401 to this bearer (or 403, where that means the same:
 * some servers revoke the old token at each renewal, see `revokes_old_tokens` in the config). If it
 * is still the current one, it is not handed out again, and the next gc_auth_bearer() renews (if
 * the server can't be reached for that, the token is handed out after all). If a newer one is there
 * already, nothing happens: any number of threads that report the same token cause one renewal.
 * Call it, ask gc_auth_bearer() again, and repeat the request once.
 *
 * - `auth`: the handle. Not NULL.
 * - `bearer`: what gc_auth_bearer() or gc_auth_token() wrote. Not NULL, not empty.
 *
 * Returns `GC_AUTH_OK`, also when the token is not the current one; `GC_AUTH_ERR_INVALID_ARGUMENT`;
 * `GC_AUTH_ERR_INVALID_UTF8`.
 *
 * Threads: any; a report that arrives during a renewal is not lost. Touches no network.
 * Since 0.1.0.
 */
GC_AUTH_NODISCARD
gc_auth_status_t gc_auth_report_rejected(gc_auth_t *auth,
                                         const char *bearer);

/**
 * Forgets the session: both tokens, the project, and what is in the store, for all who share it.
 * Where the config names a `logout.path`, the server is told then, with both tokens: one try within
 * `timeout_ms`, more where nothing arrived, and whether it succeeds shows in the log only. Without
 * a path the server is not told, and the refresh token stays good there until it expires.
 *
 * The handle stays good for another gc_auth_login(). A renewal that is under way in another thread
 * does not bring the session back. Other processes notice when they next look into the store, at
 * the beginning of their token's renewal window; until then they hand out the token they have.
 *
 * - `auth`: the handle. Not NULL.
 *
 * Returns `GC_AUTH_OK`; `GC_AUTH_ERR_INVALID_ARGUMENT`; `GC_AUTH_ERR_STORE` (then the session is as
 * before, or ended, with tokens left on the disk: the message says which).
 *
 * Threads: any. Fork: with the in-memory store a child forgets its own copy only, and does not
 * tell the server. Since 0.1.0.
 */
GC_AUTH_NODISCARD
gc_auth_status_t gc_auth_logout(gc_auth_t *auth);

/**
 * Frees a handle and wipes what it holds. NULL does nothing. No other thread may be using it. Does
 * not touch the last error. Fork: a child that frees its copy touches neither network, store nor
 * lock, and takes nothing from the parent. Since 0.1.0.
 */
void gc_auth_free(gc_auth_t *auth);

/* ============================================================================ */
/* What the session knows                                                       */
/* ============================================================================ */

/**
 * The token to send, as `Bearer <token>`, ready for an Authorization header, renewed if it is time
 * to. Call it before each request: on a valid token it takes no lock, makes no system call, and
 * costs about a clock read and a copy.
 *
 * - `auth`: the handle. Not NULL.
 * - `buf`, `buf_size`, `out_size`: text out, see "Strings and buffers". Tokens are about 1 KB; 8
 *   KiB is a good start. The size can grow from call to call; a token that was renewed while the
 *   buffer was too small is kept.
 * - `out_expires_at`: when exactly this token expires, in Unix seconds rounded down, 0 when the
 *   token does not say. An `exp` that is text with a number in it, or in milliseconds, counts here
 *   and for renewal; one that can't be read is warned of once in the log, and the token is handed
 *   out as if it had none. May be NULL.
 *
 * In the last `renew_before_s` of a token's life (or its last third, if that is shorter) one caller
 * renews, and all others get the valid token at once; if the renewal fails, so does that one, and
 * it is tried again a little later. When the token has expired or was reported as rejected, all
 * callers wait for one renewal, which takes no longer than `timeout_ms`. After a failed one the
 * same error comes back without network for 1 s, then 2 s, doubling to 30 s.
 *
 * A refresh token that the server refused (400, 401, 403, 404) rests for 60 s, for all who share
 * it; then one of them sends it once more, and the pauses grow to 5 minutes. A refusal is final
 * when its body says `invalid_grant` or that a token or session is invalid, expired, revoked, used,
 * unknown or the like, or when a 400 or 401 came again after a rest; a 403 or 404 without such
 * words may be an ingress or a maintenance page, however often it comes. After a final one this
 * function does not send the refresh token again before a login or a gc_auth_refresh() succeeds.
 *
 * Returns `GC_AUTH_OK`; `GC_AUTH_ERR_INVALID_ARGUMENT`; `GC_AUTH_ERR_BUFFER_TOO_SMALL`;
 * `GC_AUTH_ERR_NO_TOKEN` (log in first); `GC_AUTH_ERR_TOKEN_EXPIRED` (and no refresh token, or the
 * new token had already run out); `GC_AUTH_ERR_NO_REFRESH_TOKEN` (the token was reported as
 * rejected, and there is none); `GC_AUTH_ERR_FORKED`; when a renewal was needed and failed, its
 * status, see gc_auth_refresh(); `GC_AUTH_ERR_TIMEOUT` also when another thread's renewal took too
 * long, `GC_AUTH_ERR_LOCK_TIMEOUT` when another process's did.
 *
 * With a shared store all processes join one renewal; a store that is down costs nothing while the
 * token is valid. If a new token can't be stored, it is handed out all the same, and offered to the
 * store again at every later call.
 *
 * Threads: any. Fork: with the in-memory store a child may use the inherited token while it is
 * valid, and gets `GC_AUTH_ERR_FORKED` when it would have to spend the refresh token, which is the
 * parent's. With a shared store it renews like any other process. Since 0.1.0.
 */
GC_AUTH_NODISCARD
gc_auth_status_t gc_auth_bearer(gc_auth_t *auth,
                                char *buf,
                                size_t buf_size,
                                size_t *out_size,
                                int64_t *out_expires_at);

/**
 * As gc_auth_bearer(), and renews first if less than `min_valid_s` seconds are left: for an upload
 * that takes long, or a token that is handed on. Where the server's tokens don't live that long, it
 * writes the newest one and returns `GC_AUTH_OK`: `out_expires_at` says what it has. A token that
 * the server has sent within the last minute (or the last third of the token's life, if that is
 * shorter) is the newest one.
 *
 * - `auth`: the handle. Not NULL.
 * - `min_valid_s`: how many seconds the token has to be good for. Not negative.
 * - `buf`, `buf_size`, `out_size`: text out, see "Strings and buffers".
 * - `out_expires_at`: as for gc_auth_bearer(). May be NULL.
 *
 * All who ask at once wait for one renewal, in this process and in others that share the store. If
 * the renewal fails, a valid token with at least 60 s left is handed out all the same; with less
 * the error is returned. After a failed renewal the next attempt follows the rules of
 * gc_auth_bearer().
 *
 * Returns what gc_auth_bearer() returns; `GC_AUTH_ERR_NO_REFRESH_TOKEN` when a renewal was needed,
 * there is nothing to renew with, and less than 60 s are left.
 *
 * Threads: any. Fork: as gc_auth_bearer(). Since 0.1.0.
 */
GC_AUTH_NODISCARD
gc_auth_status_t gc_auth_bearer_valid_for(gc_auth_t *auth,
                                          int64_t min_valid_s,
                                          char *buf,
                                          size_t buf_size,
                                          size_t *out_size,
                                          int64_t *out_expires_at);

/**
 * Writes the token to a file in the form that other people's tools read, renewed as
 * gc_auth_bearer() does it. A file is put in the place of `path` at once: readers find the old one
 * or the new one, never a part of one. Its mode is 0600. It holds no refresh token.
 *
 * - `auth`: the handle. Not NULL.
 * - `path`: the file. Its directory must be there. A symbolic link is replaced, not followed;
 *   something that is neither a regular file nor a link is left alone. Not NULL, not empty.
 * - `format`: one of these. Not NULL, not empty.
 *
 * | format | for | what names the file there |
 * |---|---|---|
 * | `htslib` | samtools, bcftools, and all that uses htslib | the environment variable
 * `HTS_AUTH_LOCATION` | | `wlcg` | xrootd, ROOT, HTCondor, gfal2 | `BEARER_TOKEN_FILE` |
 * | `curl` | curl | `curl -H @FILE` |
 *
 * htslib reads the file again at the first open or seek after five minutes or less. Write it again
 * at least every five minutes, with `renew_before_s` at 600 or more, and no reader ever has an
 * expired token. Don't remove it, nor write to it in place, while somebody may read it: htslib
 * takes that badly.
 *
 * Returns what gc_auth_bearer() returns for the token; `GC_AUTH_ERR_INVALID_ARGUMENT` also for an
 * unknown format, and when `path` is there and not a regular file; `GC_AUTH_ERR_INVALID_UTF8`;
 * `GC_AUTH_ERR_STORE` when the file can't be written: then what was there is still there.
 *
 * Threads: any. Fork: as gc_auth_bearer(). Since 0.1.0.
 */
GC_AUTH_NODISCARD
gc_auth_status_t gc_auth_write_token_file(gc_auth_t *auth,
                                          const char *path,
                                          const char *format);

/**
 * The access token as it is, expired or not, without `Bearer `. Never renews.
 *
 * - `auth`: the handle. Not NULL.
 * - `buf`, `buf_size`, `out_size`: text out, see "Strings and buffers".
 *
 * Returns `GC_AUTH_OK`; `GC_AUTH_ERR_INVALID_ARGUMENT`; `GC_AUTH_ERR_BUFFER_TOO_SMALL`;
 * `GC_AUTH_ERR_NO_TOKEN`; and if a shared store was not read yet and can't be, `GC_AUTH_ERR_STORE`,
 * or `GC_AUTH_ERR_CONFIG` when it is another host's.
 *
 * Threads: any. Since 0.1.0.
 */
GC_AUTH_NODISCARD
gc_auth_status_t gc_auth_token(gc_auth_t *auth,
                               char *buf,
                               size_t buf_size,
                               size_t *out_size);

/**
 * The refresh token as it is. Keep it secret; it is good for one use.
 *
 * - `auth`: the handle. Not NULL.
 * - `buf`, `buf_size`, `out_size`: text out, see "Strings and buffers".
 *
 * Returns `GC_AUTH_OK`; `GC_AUTH_ERR_INVALID_ARGUMENT`; `GC_AUTH_ERR_BUFFER_TOO_SMALL`;
 * `GC_AUTH_ERR_NO_REFRESH_TOKEN`; the statuses of an unreadable store as for gc_auth_token().
 *
 * Threads: any. Since 0.1.0.
 */
GC_AUTH_NODISCARD
gc_auth_status_t gc_auth_refresh_token(gc_auth_t *auth,
                                       char *buf,
                                       size_t buf_size,
                                       size_t *out_size);

/**
 * The token type: `Bearer`, unless the server's answer said otherwise. gc_auth_bearer() always
 * writes `Bearer`.
 *
 * - `auth`: the handle. Not NULL.
 * - `buf`, `buf_size`, `out_size`: text out, see "Strings and buffers".
 *
 * Returns `GC_AUTH_OK`; `GC_AUTH_ERR_INVALID_ARGUMENT`; `GC_AUTH_ERR_BUFFER_TOO_SMALL`.
 *
 * An unreadable shared store gives the statuses that it gives for gc_auth_token().
 *
 * Threads: any. Since 0.1.0.
 */
GC_AUTH_NODISCARD
gc_auth_status_t gc_auth_token_type(gc_auth_t *auth,
                                    char *buf,
                                    size_t buf_size,
                                    size_t *out_size);

/**
 * The name of the environment in use, for example `prod`.
 *
 * - `auth`: the handle. Not NULL.
 * - `buf`, `buf_size`, `out_size`: text out, see "Strings and buffers".
 *
 * Returns `GC_AUTH_OK`; `GC_AUTH_ERR_INVALID_ARGUMENT`; `GC_AUTH_ERR_BUFFER_TOO_SMALL`.
 *
 * Threads: any. Since 0.1.0.
 */
GC_AUTH_NODISCARD
gc_auth_status_t gc_auth_env(gc_auth_t *auth, char *buf, size_t buf_size, size_t *out_size);

/**
 * The base URL of the environment in use, as the config has it.
 *
 * - `auth`: the handle. Not NULL.
 * - `buf`, `buf_size`, `out_size`: text out, see "Strings and buffers".
 *
 * Returns `GC_AUTH_OK`; `GC_AUTH_ERR_INVALID_ARGUMENT`; `GC_AUTH_ERR_BUFFER_TOO_SMALL`.
 *
 * Threads: any. Since 0.1.0.
 */
GC_AUTH_NODISCARD
gc_auth_status_t gc_auth_host(gc_auth_t *auth, char *buf, size_t buf_size, size_t *out_size);

/**
 * The payload of the current token: a JSON object in compact form, members in the token's own
 * order, numbers in their own text. Decoded once per token. NOT verified: see gc_auth_decode_jwt().
 *
 * - `auth`: the handle. Not NULL.
 * - `buf`, `buf_size`, `out_size`: text out, see "Strings and buffers".
 *
 * Returns `GC_AUTH_OK`; `GC_AUTH_ERR_INVALID_ARGUMENT`; `GC_AUTH_ERR_BUFFER_TOO_SMALL`;
 * `GC_AUTH_ERR_NO_TOKEN`; `GC_AUTH_ERR_TOKEN_MALFORMED` (not a JWT); `GC_AUTH_ERR_CLAIMS_MALFORMED`
 * (the payload is not a JSON object, or has duplicate members); `GC_AUTH_ERR_NO_MEMORY`.
 *
 * An unreadable shared store gives the statuses that it gives for gc_auth_token().
 *
 * Threads: any. Since 0.1.0.
 */
GC_AUTH_NODISCARD
gc_auth_status_t gc_auth_decoded_token(gc_auth_t *auth,
                                       char *buf,
                                       size_t buf_size,
                                       size_t *out_size);

/**
 * The payload of the current token, in the form of gc_auth_decoded_token(): with a key only if the
 * token verifies.
 *
 * - `auth`: the handle. Not NULL.
 * - `public_key`: the issuer's public key: PEM (`PUBLIC KEY`, `RSA PUBLIC KEY`, `CERTIFICATE`), one
 *   JWK, or a JWKS; a byte order mark before it, and PEM with `\n` for line ends, do no harm. A
 *   private or symmetric key is refused, alone or in a set. NULL: nothing is verified. "" is
 *   `GC_AUTH_ERR_INVALID_ARGUMENT`, so that a key file that was read as empty does not switch
 *   verification off. The key is parsed once and kept, so give the same text again.
 * - `buf`, `buf_size`, `out_size`: text out, see "Strings and buffers".
 *
 * Verification reports the first fault in this order: `GC_AUTH_ERR_TOKEN_MALFORMED`,
 * `GC_AUTH_ERR_ALGORITHM_REFUSED`, `GC_AUTH_ERR_KEY_INVALID`, `GC_AUTH_ERR_SIGNATURE_INVALID`,
 * `GC_AUTH_ERR_CLAIMS_MALFORMED`, `GC_AUTH_ERR_TOKEN_NOT_YET_VALID`, `GC_AUTH_ERR_TOKEN_EXPIRED`.
 * Times may be off by the config's `clock_leeway_s`. A token without `exp` is accepted; audience
 * and issuer are the caller's to check. Algorithms: RS256/384/512, PS256/384/512, ES256/384, EdDSA
 * (Ed25519, also under that name).
 *
 * Of a JWKS, the keys with the token's `kid` are used, or, if there are none, those that have no
 * `kid`; keys that can't be used, or not for the token's algorithm, are passed over. If several
 * different keys with that `kid` remain, the set is refused. JSON null counts as absent in keys,
 * headers and registered claims. `sub` and `jti` may be numbers, since some issuers write them so;
 * the other registered claims have the types of RFC 7519.
 *
 * Returns `GC_AUTH_OK`; one of the above; `GC_AUTH_ERR_INVALID_ARGUMENT`;
 * `GC_AUTH_ERR_INVALID_UTF8`; `GC_AUTH_ERR_BUFFER_TOO_SMALL`; `GC_AUTH_ERR_NO_TOKEN`;
 * `GC_AUTH_ERR_NO_MEMORY`.
 *
 * An unreadable shared store gives the statuses that it gives for gc_auth_token().
 *
 * Threads: any. Touches no network. Since 0.1.0.
 */
GC_AUTH_NODISCARD
gc_auth_status_t gc_auth_decode_jwt(gc_auth_t *auth,
                                    const char *public_key,
                                    char *buf,
                                    size_t buf_size,
                                    size_t *out_size);

/**
 * The payload of the current token, in the form of gc_auth_decoded_token(), if the token verifies
 * with the config's `public_key`, or else with the key set at its `jwks_url`. Rules, order of
 * verdicts and statuses are those of gc_auth_decode_jwt().
 *
 * A key set is fetched when it is first needed, kept for as long as its `Cache-Control` and `Age`
 * say (5 minutes when they say nothing, 30 s at least, a day at most), and used on when the server
 * can't be reached. After an attempt that failed the server is left alone for 30 s, or longer if
 * its Retry-After says so (5 minutes at most); until there is a key set the same error comes back
 * meanwhile. The rules for login (TLS, proxies, sizes, no redirects, `timeout_ms`) hold here too.
 *
 * A token whose `kid` is not in the set makes the library fetch again, at most once in 30 s. In
 * between the call fails with `GC_AUTH_ERR_KEY_INVALID`, which is retryable here:
 * gc_auth_last_error_is_retryable() says so, and the message and
 * gc_auth_last_error_retry_after_ms() say when the set is fetched again.
 *
 * - `auth`: the handle. Not NULL.
 * - `buf`, `buf_size`, `out_size`: text out, see "Strings and buffers".
 *
 * Returns `GC_AUTH_OK`; the statuses of gc_auth_decode_jwt(); `GC_AUTH_ERR_CONFIG` (neither
 * `public_key` nor `jwks_url` is set); and when the first key set can't be had, the network
 * statuses of gc_auth_login(), with `GC_AUTH_ERR_HTTP` for refusals, or `GC_AUTH_ERR_PROTOCOL` when
 * what comes is not JSON; the message says what it seems to be, and what to set instead.
 *
 * Threads: any; one fetches, and the others go on with the keys that there are. Since 0.1.0.
 */
GC_AUTH_NODISCARD
gc_auth_status_t gc_auth_verify(gc_auth_t *auth,
                                char *buf,
                                size_t buf_size,
                                size_t *out_size);

/**
 * The number of the token's project: the first of the config's `claims.project_id` that the payload
 * has. Not the name that gc_auth_login() takes. Not verified.
 *
 * - `auth`: the handle. Not NULL.
 * - `out_project_id`: where the number goes. Not NULL.
 *
 * Returns `GC_AUTH_OK`; `GC_AUTH_ERR_INVALID_ARGUMENT`; `GC_AUTH_ERR_NO_TOKEN`;
 * `GC_AUTH_ERR_TOKEN_MALFORMED`, `GC_AUTH_ERR_CLAIMS_MALFORMED`; `GC_AUTH_ERR_CLAIM_MISSING` (no
 * such claim, or it is neither an integer nor a numeric string).
 *
 * An unreadable shared store gives the statuses that it gives for gc_auth_token().
 *
 * Threads: any. Since 0.1.0.
 */
GC_AUTH_NODISCARD
gc_auth_status_t gc_auth_project_id(gc_auth_t *auth,
                                    int64_t *out_project_id);

/**
 * The session as JSON, for gc_auth_from_json():
 * `{"env","host","token","refresh_token","token_type","project_id"}` in this order, absent parts
 * left out. It holds both tokens: keep it secret. `project_id` is the project as it was sent, not
 * the number in the token.
 *
 * - `auth`: the handle. Not NULL.
 * - `buf`, `buf_size`, `out_size`: text out, see "Strings and buffers".
 *
 * Returns `GC_AUTH_OK`; `GC_AUTH_ERR_INVALID_ARGUMENT`; `GC_AUTH_ERR_BUFFER_TOO_SMALL`;
 * `GC_AUTH_ERR_NO_MEMORY`.
 *
 * An unreadable shared store gives the statuses that it gives for gc_auth_token().
 *
 * Threads: any. Since 0.1.0.
 */
GC_AUTH_NODISCARD
gc_auth_status_t gc_auth_to_json(gc_auth_t *auth,
                                 char *buf,
                                 size_t buf_size,
                                 size_t *out_size);

/**
 * How the session is shared and how it fares: a JSON object. What is not known is left out. No
 * secret in it.
 *
 * - `generation` counts the renewals and logins; `store` is `memory`, `file` or `redis`, `lock` is
 *   `none`, `flock` or `lease`, `place` the store's path or its URL without user and password,
 *   `scope` the project.
 * - `renewed_at` (Unix seconds, like all times here), `renewed_by_host` and `renewed_by_pid`: who
 *   got the current tokens. `expires_in`: seconds, negative when expired. `made`, `joined` and
 *   `adopted`: how many renewals this handle made, waited for in another thread, and took over from
 *   another process.
 * - `refused_with` and `refused_at`, when the server refused the refresh token: the HTTP status,
 *   and when.
 * - `last_failure`, while renewals fail: an object with `status` (as gc_auth_status_name() writes
 *   it), `message` (as gc_auth_last_error_message() had it, shortened) and `at`. `next_try_at`:
 *   when the next attempt may be made; left out where none will be made before a login. With a
 *   shared store these are what the last process to fail has left there.
 * - `logged_out_by` (`HOST:PID`) and `logged_out_at`, after a logout, until the next login.
 *
 * Looks into a shared store at each call. A store that was read before and does not answer now has
 * nothing new.
 *
 * - `auth`: the handle. Not NULL.
 * - `buf`, `buf_size`, `out_size`: text out, see "Strings and buffers".
 *
 * Returns `GC_AUTH_OK`; `GC_AUTH_ERR_INVALID_ARGUMENT`; `GC_AUTH_ERR_BUFFER_TOO_SMALL`;
 * `GC_AUTH_ERR_STORE`, `GC_AUTH_ERR_CONFIG` (a shared store that was not read yet can't be, or is
 * another host's); `GC_AUTH_ERR_NO_MEMORY`.
 *
 * Threads: any. Since 0.1.0.
 */
GC_AUTH_NODISCARD
gc_auth_status_t gc_auth_session_info(gc_auth_t *auth,
                                      char *buf,
                                      size_t buf_size,
                                      size_t *out_size);

/* ============================================================================ */
/* Log                                                                          */
/* ============================================================================ */

/**
 * Sets where lines about this handle's session go: requests with HTTP status and duration, logins,
 * renewals, who made them, what was wrong with the store. No line holds a secret.
 *
 * - `auth`: the handle. Not NULL.
 * - `log`: called for each line, by the thread whose call of the library the line is about, at the
 *   end of that call, while no lock is held. NULL turns the log off.
 * - `user_data`: handed to `log` as it is; may be NULL. It must stay good until the log is turned
 *   off or set anew, or gc_auth_free() has returned.
 * - `level`: the least important lines to be told: 1 errors only, 2 warnings too, 3 information too
 *   (what happens once in a token's life), 4 everything. Not looked at when `log` is NULL.
 *
 * Returns when no other thread is in the function that was set before; it may wait for one.
 * `GC_AUTH_OK`; `GC_AUTH_ERR_INVALID_ARGUMENT` (`level` is none of these; the call came from within
 * `log`).
 *
 * Threads: any; `log` may be called by several threads at once. Fork: a child goes on with the same
 * function. Since 0.1.0.
 */
GC_AUTH_NODISCARD
gc_auth_status_t gc_auth_set_log(gc_auth_t *auth,
                                 gc_auth_log_fn log,
                                 void *user_data,
                                 int32_t level);

/* ============================================================================ */
/* Errors                                                                       */
/* ============================================================================ */

/**
 * What went wrong in this thread's last call: one short line that says what failed, at which host
 * and path, the HTTP status, the server's own words, and what to do next. Never a password, a token
 * or a key. Empty after a success, never NULL, at most 511 bytes of UTF-8. The memory is the
 * library's, belongs to the calling thread, and stays good as long as the thread lives; the next
 * call overwrites the text. Since 0.1.0.
 */
const char *gc_auth_last_error_message(void);

/**
 * The status of this thread's last call. Since 0.1.0.
 */
GC_AUTH_NODISCARD
gc_auth_status_t gc_auth_last_error_status(void);

/**
 * The HTTP status of the response that made this thread's last call fail; 0 when no response
 * arrived, and after a success. Since 0.1.0.
 */
int32_t gc_auth_last_error_http_status(void);

/**
 * How many milliseconds to wait before the next try when this thread's last call failed: what the
 * server asked for (Retry-After), or the time until a key set is fetched again. -1 when unknown,
 * and after a success. Since 0.1.0.
 */
int64_t gc_auth_last_error_retry_after_ms(void);

/**
 * 1 if the same call may succeed later without a change on this side, else 0; 0 after a success.
 * Since 0.1.0.
 */
int32_t gc_auth_last_error_is_retryable(void);

/**
 * The name of a status, for example "GC_AUTH_ERR_TIMEOUT"; "unknown status" for a value that this
 * version does not know. Static text, never NULL. Since 0.1.0.
 */
const char *gc_auth_status_name(gc_auth_status_t status);

/* ============================================================================ */
/* Versions                                                                     */
/* ============================================================================ */

/**
 * The version of the library, for example "0.1.0". Static text. Since 0.1.0.
 */
const char *gc_auth_version_string(void);

/**
 * The version of the library as a number, see `GC_AUTH_VERSION_NUMBER`. Since 0.1.0.
 */
uint32_t gc_auth_version_number(void);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* GCAUTH_H */
