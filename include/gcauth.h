/**
 * libgcauth: log in to Genomcore and hand out bearer tokens
 * =========================================================
 *
 * A session is one login and its two tokens. The access token is sent with each request; the
 * refresh token renews it. The library renews ahead of time, within a call of gc_auth_bearer(), and
 * only once for all threads, processes and hosts that share the session:
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
 * Link with -lgcauth. The header compiles as C99, as C++11, and as later versions of both.
 *
 * Sections: Version. Types. Statuses. Life of a session. What the session knows. Log. Errors.
 * Versions.
 *
 * The rules below hold for every function, unless its own description says otherwise.
 *
 * Names and order
 *   All names start with gc_auth_ or GC_AUTH_. Arguments come in this order: handle, inputs,
 *   outputs.
 *
 * Arguments
 *   The handle must not be NULL, except in gc_auth_free(). Any other argument may be NULL only
 *   where its description says so. Input text is UTF-8, ends in a NUL, and is copied before the
 *   call returns. An empty text counts as absent where the argument is optional, and is an error
 *   where it is required, and in the public_key of gc_auth_decode_jwt().
 *
 * Text output
 *   Text goes into your buffer: buf, buf_size, out_size. Sizes are in bytes and include the NUL. If
 *   the buffer is too small, the call leaves it unchanged, returns GC_AUTH_ERR_BUFFER_TOO_SMALL and
 *   writes the needed size to *out_size. To ask for the size only, pass buf NULL and buf_size 0;
 *   then out_size must not be NULL. Otherwise out_size may be NULL. The needed size can grow
 *   between two calls: call in a loop, or start with 8 KiB. JSON output is compact (no white
 *   space).
 *
 * Statuses
 *   Every function that can fail returns a gc_auth_status_t; GC_AUTH_OK (0) is success. Outputs are
 *   written only on success; the one exception is *out_size together with
 *   GC_AUTH_ERR_BUFFER_TOO_SMALL. The library keeps details of each thread's last failure, see
 *   "Errors". Every call clears them on entry, except gc_auth_last_error_*(),
 *   gc_auth_status_name(), gc_auth_version_*() and gc_auth_free(), which never change them.
 *   Descriptions name three groups of statuses:
 *   - The common statuses: GC_AUTH_OK; GC_AUTH_ERR_INVALID_ARGUMENT and GC_AUTH_ERR_INVALID_UTF8
 *     (an argument breaks the rules above); GC_AUTH_ERR_BUFFER_TOO_SMALL (functions with buf);
 *     GC_AUTH_ERR_NO_MEMORY; GC_AUTH_ERR_INTERNAL.
 *   - The network statuses: GC_AUTH_ERR_CONNECT, GC_AUTH_ERR_TIMEOUT, GC_AUTH_ERR_TLS,
 *     GC_AUTH_ERR_INSECURE, GC_AUTH_ERR_HTTP, GC_AUTH_ERR_RATE_LIMITED, GC_AUTH_ERR_SERVER,
 *     GC_AUTH_ERR_PROTOCOL; and GC_AUTH_ERR_CONFIG (a certificate, key or proxy that the config or
 *     the environment names can't be used).
 *   - The store statuses, if a shared store can't be read and this handle has not read it before:
 *     GC_AUTH_ERR_STORE; GC_AUTH_ERR_CONFIG if the stored session belongs to another host.
 *
 * Ownership
 *   Free the handle, and nothing else. Functions return pointers to static or per-thread memory
 *   only.
 *
 * Threads
 *   Any thread may call any function at any time, also with the same handle. Only gc_auth_free()
 *   must be the last call with its handle. A wait for another thread ends after timeout_ms. The
 *   library starts two kinds of threads, both with all signals blocked: a short-lived one for each
 *   host name that needs DNS, and one for a file store on a network file system, while it has work.
 *   It installs no signal handler and no panic hook. It reads the environment in gc_auth_new() and
 *   gc_auth_from_json() only. It stays loaded after dlclose().
 *
 * Fork
 *   A child may use its parent's handles. It never hangs on a lock that another thread of the
 *   parent held, and it never shares a connection. With a shared store (config key "store") it
 *   renews like any other process. With the in-memory store it may hand out the inherited token
 *   while that is valid, but must not spend the refresh token, which belongs to the parent: a call
 *   that would have to returns GC_AUTH_ERR_FORKED. gc_auth_login() makes a handle the child's own.
 *   If only the child continues, it can take the session over: gc_auth_to_json() before the fork,
 *   gc_auth_from_json() after it.
 *
 * Secrets
 *   The library wipes its own copies of passwords and tokens when they are replaced and when the
 *   handle is freed. It can't wipe the copies in the HTTP and TLS code, in the kernel, and in your
 *   program.
 *
 * Memory
 *   If memory for an input (a token, a response, a key) is not available, the call returns
 *   GC_AUTH_ERR_NO_MEMORY. Any other failed allocation ends the process.
 *
 * This file is generated from the Rust sources. SPDX-License-Identifier: MIT
 */


#ifndef GCAUTH_H
#define GCAUTH_H

#include <stddef.h>
#include <stdint.h>

/* The compiler warns if a program ignores a status. Define this as nothing to turn that off. */
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
 * The major version of this header.
 */
#define GC_AUTH_VERSION_MAJOR 0

/**
 * The minor version of this header.
 */
#define GC_AUTH_VERSION_MINOR 1

/**
 * The patch version of this header.
 */
#define GC_AUTH_VERSION_PATCH 0

/**
 * The version of this header as a number: major * 10000 + minor * 100 + patch.
 * gc_auth_version_number() returns the library's.
 */
#define GC_AUTH_VERSION_NUMBER 100

/* ============================================================================ */
/* Types                                                                        */
/* ============================================================================ */

/**
 * A session. Make it with gc_auth_new() or gc_auth_from_json(). Free it once with gc_auth_free(),
 * when no other thread uses it any more.
 */
struct gc_auth;

/**
 * The status of a call: `GC_AUTH_OK` (0) or one of the `GC_AUTH_ERR_` constants. Values are never
 * renumbered. Later versions may add values, so treat an unknown one as a failure.
 */
typedef int32_t gc_auth_status_t;

/**
 * A session. The struct is opaque: use pointers to it only.
 */
typedef struct gc_auth gc_auth_t;

/**
 * Receives one line of the log.
 *
 * - `user_data`: the pointer that was passed to gc_auth_set_log().
 * - `level`: 1 error, 2 warning, 3 information, 4 debug.
 * - `message`: one line of UTF-8 without a line break. It belongs to the library and is valid until
 *   the function returns.
 *
 * The function must return normally (no longjmp, no exception). It may call no function of the
 * library except gc_auth_status_name().
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
 * A required argument is NULL or empty; a token is not visible ASCII; or `buf` is NULL and
 * `buf_size` is not 0.
 */
#define GC_AUTH_ERR_INVALID_ARGUMENT 1

/**
 * A text argument is not UTF-8.
 */
#define GC_AUTH_ERR_INVALID_UTF8 2

/**
 * The buffer is too small and is unchanged. `out_size` says which size is needed.
 */
#define GC_AUTH_ERR_BUFFER_TOO_SMALL 3

/**
 * The config can't be used: wrong JSON, an unknown key or environment, or a file that it names.
 * Also: a stored or exported session belongs to another host.
 */
#define GC_AUTH_ERR_CONFIG 4

/**
 * A forked child with the in-memory store may not spend its parent's refresh token. Configure a
 * shared store, or log in again.
 */
#define GC_AUTH_ERR_FORKED 5

/**
 * There is no token: log in first.
 */
#define GC_AUTH_ERR_NO_TOKEN 20

/**
 * A renewal was requested, but the session has no refresh token.
 */
#define GC_AUTH_ERR_NO_REFRESH_TOKEN 21

/**
 * The token has expired and there is no refresh token to renew it; or verification found that `exp`
 * is in the past.
 */
#define GC_AUTH_ERR_TOKEN_EXPIRED 22

/**
 * The token is not a compact JWS: wrong parts, base64url, header, size or depth.
 */
#define GC_AUTH_ERR_TOKEN_MALFORMED 23

/**
 * The payload is not a JSON object, has duplicate members, or has a registered claim of the wrong
 * type.
 */
#define GC_AUTH_ERR_CLAIMS_MALFORMED 24

/**
 * The token does not have the requested claim.
 */
#define GC_AUTH_ERR_CLAIM_MISSING 25

/**
 * The signature is wrong or empty.
 */
#define GC_AUTH_ERR_SIGNATURE_INVALID 26

/**
 * The token's algorithm is `none`, HMAC, unknown, or not the key's algorithm.
 */
#define GC_AUTH_ERR_ALGORITHM_REFUSED 27

/**
 * The key is not a usable public key (private, symmetric, too short, unsupported, not for
 * verifying), or no key has the token's `kid`. Retryable only if the key was missing from the set
 * at `jwks_url`, because the library fetches that set again later.
 */
#define GC_AUTH_ERR_KEY_INVALID 28

/**
 * The token's `nbf` is in the future.
 */
#define GC_AUTH_ERR_TOKEN_NOT_YET_VALID 29

/**
 * The server refused the login or the refresh token (HTTP 400, 401, 403, 404).
 */
#define GC_AUTH_ERR_UNAUTHORIZED 30

/**
 * No connection (unknown name, refused, unreachable, reset), or the connection ended before the
 * answer was complete. Retryable.
 */
#define GC_AUTH_ERR_CONNECT 40

/**
 * `timeout_ms` or `connect_timeout_ms` ran out. Retryable.
 */
#define GC_AUTH_ERR_TIMEOUT 41

/**
 * The TLS handshake failed, or the server's certificate is not valid.
 */
#define GC_AUTH_ERR_TLS 42

/**
 * The library refused plain http to another machine, or a redirect. It sent nothing there.
 */
#define GC_AUTH_ERR_INSECURE 43

/**
 * Any HTTP status that no other constant covers.
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
 * A successful answer is not as expected, or larger than 1 MiB.
 */
#define GC_AUTH_ERR_PROTOCOL 63

/**
 * The session store can't be read or written. Retryable if the store may recover by itself.
 */
#define GC_AUTH_ERR_STORE 80

/**
 * Another process held the renewal lock too long. Retryable.
 */
#define GC_AUTH_ERR_LOCK_TIMEOUT 81

/**
 * Not enough memory for an input (a token, a response, a key).
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
 * Makes a handle. Reads neither the network nor the session store, so it does not check whether the
 * tokens are valid.
 *
 * - `config`: a JSON object as text (not a file name); docs/configuration.md lists its keys. NULL
 *   or "": the file that the environment variable `GCAUTH_CONFIG` names; without it, the built-in
 *   defaults.
 * - `token`, `refresh_token`: tokens that you already have. NULL or "": none. The library strips
 *   white space around them (files end in a newline), a byte order mark, and the prefix `Bearer `
 *   of the token. The rest must be visible ASCII (0x21 to 0x7E) without quotes around it. With a
 *   refresh token only, the first gc_auth_bearer() renews. A shared store that already holds a
 *   session ignores both; they fill an empty store only.
 * - `env`: the name of an environment in the config. NULL or "": the config's `env`, which is
 *   `prod` by default.
 * - `out_auth`: receives the handle. Not NULL. Free the handle with gc_auth_free().
 *
 * The call accepts a config that names a plain http URL of another machine. The first call that
 * would send something there returns `GC_AUTH_ERR_INSECURE`.
 *
 * This function and gc_auth_from_json() are the only ones that read the environment:
 * `GCAUTH_CONFIG`, `SSL_CERT_FILE`, `SSL_CERT_DIR`, and the proxy variables that curl reads;
 * `GCAUTH_STORE_PASSWORD` for a Redis store; `XDG_STATE_HOME`, `HOME` and `GCAUTH_SESSION` for
 * `"store": "user"`. In a program with more rights than its caller (setuid, setgid, file
 * capabilities) they read no variable at all.
 *
 * Returns the common statuses, and `GC_AUTH_ERR_CONFIG` if the config can't be used: the message
 * names the key, and for an unknown key the nearest known one.
 *
 * Threads: no other thread may change the environment during the call.
 *
 * Since 0.1.0.
 */
GC_AUTH_NODISCARD
gc_auth_status_t gc_auth_new(const char *config,
                             const char *token,
                             const char *refresh_token,
                             const char *env,
                             gc_auth_t **out_auth);

/**
 * Makes a handle from a session that gc_auth_to_json() wrote. Use it to hand a session over to
 * another process.
 *
 * - `config`: as for gc_auth_new(). Its environment's name and host must be those in `json`, so
 *   that credentials only go where the config says.
 * - `json`: the exported session. Not NULL, not empty. Unknown members are ignored.
 * - `out_auth`: receives the handle. Not NULL. Free the handle with gc_auth_free().
 *
 * A refresh token is good for one use. So only one of the two processes may continue the session,
 * unless both use the same store.
 *
 * Returns the common statuses, `GC_AUTH_ERR_INVALID_ARGUMENT` also if a token or the token type in
 * `json` is not visible ASCII; and `GC_AUTH_ERR_CONFIG` if the config or `json` can't be used, or
 * if they name different environments or hosts.
 *
 * Threads: as gc_auth_new().
 *
 * Since 0.1.0.
 */
GC_AUTH_NODISCARD
gc_auth_status_t gc_auth_from_json(const char *config, const char *json, gc_auth_t **out_auth);

/**
 * Logs in with one POST. Once a byte of it was sent, the library never sends it again. On success
 * the new tokens, token type and project replace the old ones together. On failure the session is
 * unchanged.
 *
 * - `auth`: the handle.
 * - `username`, `password`, `organization_id`: not NULL, not empty. The library does not keep the
 *   password.
 * - `project_id`: the project's name as users of the platform write it (not the number in the
 *   token). NULL or "": no project. All later renewals keep the project.
 *
 * The call first waits until no other thread and no other process renews this session. The whole
 * call takes at most `timeout_ms`. With a shared store the new session replaces the old one for
 * every process that uses the store.
 *
 * Returns the common statuses and the network statuses, and:
 * - `GC_AUTH_ERR_UNAUTHORIZED`: the server refused the login (HTTP 400, 401, 403, 404).
 * - `GC_AUTH_ERR_PROTOCOL`: also if a successful answer holds no usable token.
 * - `GC_AUTH_ERR_STORE`: the store can't be used. If only storing the new session failed, this
 *   handle uses the new session nevertheless, and every later call tries to store it again.
 * - `GC_AUTH_ERR_LOCK_TIMEOUT`: another process held the renewal lock too long.
 *
 * Fork: a login in the child makes the handle the child's own.
 *
 * Since 0.1.0.
 */
GC_AUTH_NODISCARD
gc_auth_status_t gc_auth_login(gc_auth_t *auth,
                               const char *username,
                               const char *password,
                               const char *organization_id,
                               const char *project_id);

/**
 * Renews the token now, regardless of its expiry. On failure the session is unchanged. Programs
 * that only send bearers don't need this function, because gc_auth_bearer() renews when necessary.
 *
 * - `auth`: the handle.
 * - `project_id`: moves the session to this project, for all later renewals too. NULL or "": keeps
 *   the project.
 *
 * If `project_id` is absent, or is the session's project already, a renewal that another thread
 * completes during this call is sufficient. The call takes at most `timeout_ms`, including the time
 * that it waits for other threads. It always tries, even while gc_auth_bearer() pauses after a
 * failure or a refusal.
 *
 * Returns the common statuses and the network statuses, and:
 * - `GC_AUTH_ERR_NO_REFRESH_TOKEN`: the session has no refresh token.
 * - `GC_AUTH_ERR_UNAUTHORIZED`: the server refused the refresh token (see gc_auth_bearer()) or the
 *   new project. If it refused the project, the session continues as before.
 * - `GC_AUTH_ERR_TOKEN_EXPIRED`: the new token had already expired.
 * - `GC_AUTH_ERR_FORKED`: see "Fork".
 * - `GC_AUTH_ERR_STORE`, `GC_AUTH_ERR_LOCK_TIMEOUT`: as for gc_auth_login().
 *
 * Since 0.1.0.
 */
GC_AUTH_NODISCARD
gc_auth_status_t gc_auth_refresh(gc_auth_t *auth, const char *project_id);

/**
 * Reports that a server answered 401 to this bearer. Report a 403 too, if the server means the same
 * by it: some servers revoke the old token at each renewal, see `revokes_old_tokens` in the config.
 * If the session's token is still this one, the library does not hand it out again, and the next
 * gc_auth_bearer() renews. (If that renewal can't reach the server, gc_auth_bearer() hands out the
 * old token after all.) If the session already has a newer token, nothing happens. So any number of
 * threads that report the same token cause one renewal, and a report that arrives during a renewal
 * is not lost.
 *
 * After the report call gc_auth_bearer() again and repeat the request once.
 *
 * - `auth`: the handle.
 * - `bearer`: text that gc_auth_bearer() or gc_auth_token() wrote. Not NULL, not empty.
 *
 * Returns the common statuses; `GC_AUTH_OK` also if the token is not the current one. Does not use
 * the network.
 *
 * Since 0.1.0.
 */
GC_AUTH_NODISCARD
gc_auth_status_t gc_auth_report_rejected(gc_auth_t *auth, const char *bearer);

/**
 * Ends the session: removes both tokens and the project from the handle and from the store, for
 * every process that uses the store. If the config has a `logout.path`, the library then sends both
 * tokens there to end the session at the server: one attempt within `timeout_ms`, or more if no
 * byte was sent. Only the log tells whether the server accepted it. Without `logout.path` the
 * server does not learn of the logout, and the refresh token stays valid there until it expires.
 *
 * The handle can be used for another gc_auth_login(). A renewal in another thread does not bring
 * the session back. Other processes notice the logout when they next read the store, at the start
 * of their token's renewal window. Until then they hand out their token.
 *
 * - `auth`: the handle.
 *
 * Returns the common statuses, and `GC_AUTH_ERR_STORE` if the store can't be changed. The message
 * then says whether the session is unchanged, or ended with tokens left on the disk.
 *
 * Fork: with the in-memory store a child removes its own copy only, and does not tell the server.
 *
 * Since 0.1.0.
 */
GC_AUTH_NODISCARD
gc_auth_status_t gc_auth_logout(gc_auth_t *auth);

/**
 * Frees a handle and wipes its secrets.
 *
 * - `auth`: the handle. No other thread may use it. NULL does nothing.
 *
 * Fork: a child that frees its copy touches no network, store or lock, and does not affect the
 * parent.
 *
 * Since 0.1.0.
 */
void gc_auth_free(gc_auth_t *auth);

/* ============================================================================ */
/* What the session knows                                                       */
/* ============================================================================ */

/**
 * Writes `Bearer <token>`, ready for an Authorization header, and renews the token first if that is
 * necessary. Call it before each request. With a valid token it takes no lock and makes no system
 * call; it costs about as much as a clock read and a copy.
 *
 * - `auth`: the handle.
 * - `buf`, `buf_size`, `out_size`: text output. Tokens have about 1 KB, so 8 KiB is a good size.
 *   The size can grow between calls. If the buffer was too small, the library keeps a token that
 *   the call renewed.
 * - `out_expires_at`: receives the time at which exactly this token expires: Unix seconds, rounded
 *   down; 0 if the token does not say. May be NULL.
 *
 * Early renewal: the renewal window is the last `renew_before_s` seconds of a token's life, or its
 * last third if that is shorter. Within it one caller renews, and all others get the valid token at
 * once. If the renewal fails, that caller also gets the still valid token, and another attempt is
 * made later.
 *
 * Expired or rejected: all callers wait for one renewal, which takes at most `timeout_ms`. If it
 * fails, the same error is returned without a request for 1 s, then 2 s, doubling up to 30 s.
 *
 * Refused: after the server refused a refresh token (HTTP 400, 401, 403, 404), no process that
 * shares it sends it for 60 s. Then one process sends it once more, and later pauses grow up to 5
 * minutes. A refusal is final if its body says `invalid_grant`; or if it says that a token or
 * session is invalid, expired, revoked, used, unknown or similar; or if a 400 or 401 came again
 * after a pause. (A 403 or 404 without such words may come from an ingress or a maintenance page,
 * so it is never final.) After a final refusal this function does not send the refresh token again
 * until a gc_auth_login() or gc_auth_refresh() succeeds.
 *
 * Shared store: all processes join one renewal. While the token is valid, a store that is down has
 * no effect. If a new token can't be stored, it is handed out nevertheless, and every later call
 * tries to store it again.
 *
 * Unusual `exp`: a text that holds a number, and a time in milliseconds, are read as the number
 * meant. An `exp` that can't be read counts as absent, and the log warns of it once.
 *
 * Returns the common statuses, and:
 * - `GC_AUTH_ERR_NO_TOKEN`: no session; log in first.
 * - `GC_AUTH_ERR_TOKEN_EXPIRED`: the token has expired and there is no refresh token, or the new
 *   token had already expired.
 * - `GC_AUTH_ERR_NO_REFRESH_TOKEN`: the token was reported as rejected, and there is no refresh
 *   token.
 * - `GC_AUTH_ERR_FORKED`: see "Fork".
 * - The statuses of gc_auth_refresh(), if a necessary renewal failed.
 * - `GC_AUTH_ERR_TIMEOUT` also if another thread's renewal took too long,
 *   `GC_AUTH_ERR_LOCK_TIMEOUT` if another process's did.
 *
 * Since 0.1.0.
 */
GC_AUTH_NODISCARD
gc_auth_status_t gc_auth_bearer(gc_auth_t *auth,
                                char *buf,
                                size_t buf_size,
                                size_t *out_size,
                                int64_t *out_expires_at);

/**
 * Does what gc_auth_bearer() does, and also renews first if the token is valid for less than
 * `min_valid_s` seconds. Use it before a long upload, or for a token that you pass on.
 *
 * If the server's tokens don't live that long, it writes the newest token and returns `GC_AUTH_OK`;
 * check `out_expires_at`. A token counts as the newest for a minute after the server sent it, or
 * for a third of its life if that is shorter.
 *
 * - `auth`: the handle.
 * - `min_valid_s`: required remaining life in seconds. Not negative.
 * - `buf`, `buf_size`, `out_size`: text output.
 * - `out_expires_at`: as for gc_auth_bearer(). May be NULL.
 *
 * All callers that need a renewal at the same time wait for one renewal, across threads and across
 * the processes that share the store. If the renewal fails, a token that is valid for at least 60 s
 * is handed out nevertheless; with less, the error is returned. After a failure the pauses are
 * those of gc_auth_bearer().
 *
 * Returns the statuses of gc_auth_bearer(). `GC_AUTH_ERR_NO_REFRESH_TOKEN` also means: a renewal
 * was necessary, there is no refresh token, and less than 60 s are left.
 *
 * Since 0.1.0.
 */
GC_AUTH_NODISCARD
gc_auth_status_t gc_auth_bearer_valid_for(gc_auth_t *auth,
                                          int64_t min_valid_s,
                                          char *buf,
                                          size_t buf_size,
                                          size_t *out_size,
                                          int64_t *out_expires_at);

/**
 * Writes the token to a file that other programs read, and renews it first as gc_auth_bearer()
 * does. The new file replaces `path` atomically: readers see either the old file or the new one,
 * never a part. The file has mode 0600 and holds no refresh token.
 *
 * - `auth`: the handle.
 * - `path`: the file. Not NULL, not empty. Its directory must exist. A symbolic link is replaced,
 *   not followed. Anything else that is not a regular file stays untouched and is an error.
 * - `format`: one of these names. Not NULL, not empty.
 *   `htslib`: for samtools, bcftools and other programs with htslib; set `HTS_AUTH_LOCATION` to
 *   `path`.
 *   `wlcg`: for xrootd, ROOT, HTCondor and gfal2; set `BEARER_TOKEN_FILE` to `path`.
 *   `curl`: for `curl -H @FILE`.
 *
 * htslib reads the file again at the first open or seek after at most five minutes. So write it
 * again at least every five minutes, with `renew_before_s` at 600 or more: then no reader has an
 * expired token. Never remove the file or write to it in place while a program may read it, because
 * htslib does not tolerate that.
 *
 * Returns the statuses of gc_auth_bearer(), and:
 * - `GC_AUTH_ERR_INVALID_ARGUMENT`: also if the format is unknown, or if `path` exists and is
 *   neither a regular file nor a symbolic link.
 * - `GC_AUTH_ERR_STORE`: also if the file can't be written. An existing file is then unchanged.
 *
 * Since 0.1.0.
 */
GC_AUTH_NODISCARD
gc_auth_status_t gc_auth_write_token_file(gc_auth_t *auth, const char *path, const char *format);

/**
 * Writes the access token as it is, expired or not, without `Bearer `. Never renews.
 *
 * - `auth`: the handle.
 * - `buf`, `buf_size`, `out_size`: text output.
 *
 * Returns the common statuses and the store statuses, and `GC_AUTH_ERR_NO_TOKEN` if there is none.
 *
 * Since 0.1.0.
 */
GC_AUTH_NODISCARD
gc_auth_status_t gc_auth_token(gc_auth_t *auth, char *buf, size_t buf_size, size_t *out_size);

/**
 * Writes the refresh token as it is. Keep it secret. It is good for one use.
 *
 * - `auth`: the handle.
 * - `buf`, `buf_size`, `out_size`: text output.
 *
 * Returns the common statuses and the store statuses, and `GC_AUTH_ERR_NO_REFRESH_TOKEN` if there
 * is none.
 *
 * Since 0.1.0.
 */
GC_AUTH_NODISCARD
gc_auth_status_t gc_auth_refresh_token(gc_auth_t *auth,
                                       char *buf,
                                       size_t buf_size,
                                       size_t *out_size);

/**
 * Writes the token type: `Bearer`, unless the server's answer named another. gc_auth_bearer()
 * always writes `Bearer`.
 *
 * - `auth`: the handle.
 * - `buf`, `buf_size`, `out_size`: text output.
 *
 * Returns the common statuses and the store statuses.
 *
 * Since 0.1.0.
 */
GC_AUTH_NODISCARD
gc_auth_status_t gc_auth_token_type(gc_auth_t *auth, char *buf, size_t buf_size, size_t *out_size);

/**
 * Writes the name of the environment in use, for example `prod`.
 *
 * - `auth`: the handle.
 * - `buf`, `buf_size`, `out_size`: text output.
 *
 * Returns the common statuses.
 *
 * Since 0.1.0.
 */
GC_AUTH_NODISCARD
gc_auth_status_t gc_auth_env(gc_auth_t *auth, char *buf, size_t buf_size, size_t *out_size);

/**
 * Writes the base URL of the environment in use, as it stands in the config.
 *
 * - `auth`: the handle.
 * - `buf`, `buf_size`, `out_size`: text output.
 *
 * Returns the common statuses.
 *
 * Since 0.1.0.
 */
GC_AUTH_NODISCARD
gc_auth_status_t gc_auth_host(gc_auth_t *auth, char *buf, size_t buf_size, size_t *out_size);

/**
 * Writes the payload of the current token as a compact JSON object. Members keep the token's order,
 * and numbers keep their digits. The library decodes each token once. It does NOT verify the token:
 * see gc_auth_decode_jwt() and gc_auth_verify().
 *
 * - `auth`: the handle.
 * - `buf`, `buf_size`, `out_size`: text output.
 *
 * Returns the common statuses and the store statuses, and:
 * - `GC_AUTH_ERR_NO_TOKEN`: there is no token.
 * - `GC_AUTH_ERR_TOKEN_MALFORMED`: the token is not a JWT.
 * - `GC_AUTH_ERR_CLAIMS_MALFORMED`: the payload is not a JSON object, or it has duplicate members.
 *
 * Since 0.1.0.
 */
GC_AUTH_NODISCARD
gc_auth_status_t gc_auth_decoded_token(gc_auth_t *auth,
                                       char *buf,
                                       size_t buf_size,
                                       size_t *out_size);

/**
 * Verifies the current token with `public_key`, and writes its payload in the form of
 * gc_auth_decoded_token() only if the token verifies.
 *
 * - `auth`: the handle.
 * - `public_key`: the issuer's public key as PEM (`PUBLIC KEY`, `RSA PUBLIC KEY`, `CERTIFICATE`),
 *   as one JWK, or as a JWKS. A byte order mark before it, and `\n` written out as line ends of a
 *   PEM, are accepted. A private or symmetric key is refused, alone or in a set. NULL: nothing is
 *   verified. "" is `GC_AUTH_ERR_INVALID_ARGUMENT`, so that an empty key file does not switch
 *   verification off. The library keeps the parsed key, so pass the same text again.
 * - `buf`, `buf_size`, `out_size`: text output.
 *
 * The accepted algorithms are RS256/384/512, PS256/384/512, ES256/384, and EdDSA with Ed25519 (also
 * under the name Ed25519). A token without `exp` is accepted. Times may differ by the config's
 * `clock_leeway_s`. The caller checks audience and issuer.
 *
 * In a JWKS the keys with the token's `kid` are tried; if there are none, the keys without a `kid`.
 * Keys that can't be used, or that are not for the token's algorithm, are ignored. If several
 * different keys with the token's `kid` remain, the set is refused. JSON null counts as absent in
 * keys, headers and registered claims. `sub` and `jti` may be numbers, because some issuers write
 * numbers; the other registered claims have the types of RFC 7519.
 *
 * Returns the common statuses and the store statuses, `GC_AUTH_ERR_NO_TOKEN`, and the first fault
 * in this order: `GC_AUTH_ERR_TOKEN_MALFORMED`, `GC_AUTH_ERR_ALGORITHM_REFUSED`,
 * `GC_AUTH_ERR_KEY_INVALID`, `GC_AUTH_ERR_SIGNATURE_INVALID`, `GC_AUTH_ERR_CLAIMS_MALFORMED`,
 * `GC_AUTH_ERR_TOKEN_NOT_YET_VALID`, `GC_AUTH_ERR_TOKEN_EXPIRED`. Does not use the network.
 *
 * Since 0.1.0.
 */
GC_AUTH_NODISCARD
gc_auth_status_t gc_auth_decode_jwt(gc_auth_t *auth,
                                    const char *public_key,
                                    char *buf,
                                    size_t buf_size,
                                    size_t *out_size);

/**
 * Verifies the current token with the config's `public_key`, or with the key set at its `jwks_url`,
 * and writes its payload in the form of gc_auth_decoded_token(). The rules of verification are
 * those of gc_auth_decode_jwt().
 *
 * - `auth`: the handle.
 * - `buf`, `buf_size`, `out_size`: text output.
 *
 * The library fetches a key set when it is first needed. It keeps the set for as long as
 * `Cache-Control` and `Age` say: 5 minutes if they say nothing, at least 30 s, at most a day. If
 * the server can't be reached later, the old set stays in use. After a failed fetch the library
 * pauses for 30 s, or for the time in Retry-After, but at most 5 minutes. If it has no key set yet,
 * the same error is returned during the pause. The fetch follows the rules of a login (TLS,
 * proxies, sizes, no redirects, `timeout_ms`).
 *
 * If the token's `kid` is not in the set, the library fetches the set again, at most once in 30 s.
 * Until then the call returns `GC_AUTH_ERR_KEY_INVALID`, which is retryable here:
 * gc_auth_last_error_retry_after_ms() and the message say when the next fetch is possible.
 *
 * Returns the statuses of gc_auth_decode_jwt(), and:
 * - `GC_AUTH_ERR_CONFIG`: the config has neither `public_key` nor `jwks_url`.
 * - The network statuses, if the first key set can't be fetched; a refusal (HTTP 400, 401, 403,
 *   404) is `GC_AUTH_ERR_HTTP`, and an answer that is not JSON is `GC_AUTH_ERR_PROTOCOL`. The
 *   message then says what the answer looks like and what to set instead.
 *
 * Threads: one thread fetches; the others use the keys that are there.
 *
 * Since 0.1.0.
 */
GC_AUTH_NODISCARD
gc_auth_status_t gc_auth_verify(gc_auth_t *auth, char *buf, size_t buf_size, size_t *out_size);

/**
 * Writes the number of the token's project: the first of the claims in the config's
 * `claims.project_id` that the payload has. This is not the name that gc_auth_login() takes. The
 * token is not verified.
 *
 * - `auth`: the handle.
 * - `out_project_id`: receives the number. Not NULL.
 *
 * Returns the common statuses and the store statuses, and:
 * - `GC_AUTH_ERR_NO_TOKEN`: there is no token.
 * - `GC_AUTH_ERR_TOKEN_MALFORMED`, `GC_AUTH_ERR_CLAIMS_MALFORMED`: as for gc_auth_decoded_token().
 * - `GC_AUTH_ERR_CLAIM_MISSING`: the token has no such claim, or it is neither an integer nor a
 *   text that holds one.
 *
 * Since 0.1.0.
 */
GC_AUTH_NODISCARD
gc_auth_status_t gc_auth_project_id(gc_auth_t *auth, int64_t *out_project_id);

/**
 * Writes the session as JSON for gc_auth_from_json(), with the members `env`, `host`, `token`,
 * `refresh_token`, `token_type` and `project_id` in this order. Absent parts are left out.
 * `project_id` is the project's name as gc_auth_login() or gc_auth_refresh() got it, not the number
 * in the token. The text holds both tokens: keep it secret.
 *
 * - `auth`: the handle.
 * - `buf`, `buf_size`, `out_size`: text output.
 *
 * Returns the common statuses and the store statuses.
 *
 * Since 0.1.0.
 */
GC_AUTH_NODISCARD
gc_auth_status_t gc_auth_to_json(gc_auth_t *auth, char *buf, size_t buf_size, size_t *out_size);

/**
 * Writes a JSON object that describes how the session is shared and what state it is in. Unknown
 * members are left out. It holds no secret. Times are Unix seconds.
 *
 * - `generation`: counts the logins and renewals of the session.
 * - `store`: `memory`, `file` or `redis`. `lock`: `none`, `flock` or `lease`. `place`: the store's
 *   path, or its URL without user and password. `scope`: the project.
 * - `renewed_at`, `renewed_by_host`, `renewed_by_pid`: when and by which process the current tokens
 *   were obtained. `expires_in`: seconds until the token expires; negative afterwards.
 * - `made`, `joined`, `adopted`: how many renewals this handle made itself, waited for in another
 *   thread, or took over from another process.
 * - `refused_with`, `refused_at`: the HTTP status and the time, if the server refused the refresh
 *   token.
 * - `last_failure`, while renewals fail: an object with `status` (a name as in
 *   gc_auth_status_name()), `message` (as in gc_auth_last_error_message(), shortened) and `at`.
 *   `next_try_at`: the earliest time of the next attempt; absent if only a login can help. With a
 *   shared store both come from the process that failed last.
 * - `logged_out_by` (`HOST:PID`), `logged_out_at`: after a logout, until the next login.
 *
 * Each call reads a shared store. If the store was read before and does not answer now, the call
 * reports what it said last.
 *
 * - `auth`: the handle.
 * - `buf`, `buf_size`, `out_size`: text output.
 *
 * Returns the common statuses and the store statuses.
 *
 * Since 0.1.0.
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
 * Sets the function that receives this handle's log: requests with their HTTP status and duration,
 * logins, renewals, which process made them, and faults of the store. No line holds a secret.
 *
 * - `auth`: the handle.
 * - `log`: called for each line, on the thread whose library call the line is about, at the end of
 *   that call, while the library holds no lock. Several threads may call it at the same time. NULL
 *   turns the log off.
 * - `user_data`: passed to `log` unchanged. May be NULL. It must stay valid until the log is turned
 *   off or replaced, or until gc_auth_free() has returned.
 * - `level`: the least important level to receive: 1 errors; 2 also warnings; 3 also information (a
 *   few lines in a token's life); 4 everything. Ignored if `log` is NULL.
 *
 * When the call returns, no other thread is inside the previous function; the call waits if
 * necessary.
 *
 * Returns the common statuses; `GC_AUTH_ERR_INVALID_ARGUMENT` also if `level` is not one of these,
 * or if the call comes from within `log`.
 *
 * Fork: the child uses the same function.
 *
 * Since 0.1.0.
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
 * The message of this thread's last call: one short line that says what failed, at which host and
 * path, the HTTP status, the server's own words, and what to do next. It never holds a password, a
 * token or a key. After a success it is empty. It is never NULL and has at most 511 bytes of UTF-8.
 * The pointer belongs to the library and stays valid for the life of the calling thread; the
 * thread's next call overwrites the text.
 *
 * Since 0.1.0.
 */
const char *gc_auth_last_error_message(void);

/**
 * The status of this thread's last call.
 *
 * Since 0.1.0.
 */
GC_AUTH_NODISCARD
gc_auth_status_t gc_auth_last_error_status(void);

/**
 * The HTTP status of the response that made this thread's last call fail. 0 if no response arrived,
 * and after a success.
 *
 * Since 0.1.0.
 */
int32_t gc_auth_last_error_http_status(void);

/**
 * The time in milliseconds to wait before the next attempt, if this thread's last call failed: the
 * server's Retry-After, or the time until a key set is fetched again. -1 if unknown, and after a
 * success.
 *
 * Since 0.1.0.
 */
int64_t gc_auth_last_error_retry_after_ms(void);

/**
 * 1 if the same call may succeed later without any change on this side, otherwise 0. 0 after a
 * success.
 *
 * Since 0.1.0.
 */
int32_t gc_auth_last_error_is_retryable(void);

/**
 * The name of a status, for example "GC_AUTH_ERR_TIMEOUT"; "unknown status" for a value that this
 * version does not know. Static text, never NULL.
 *
 * Since 0.1.0.
 */
const char *gc_auth_status_name(gc_auth_status_t status);

/* ============================================================================ */
/* Versions                                                                     */
/* ============================================================================ */

/**
 * The version of the library, for example "0.1.0". Static text, never NULL.
 *
 * Since 0.1.0.
 */
const char *gc_auth_version_string(void);

/**
 * The version of the library as a number; see `GC_AUTH_VERSION_NUMBER`.
 *
 * Since 0.1.0.
 */
uint32_t gc_auth_version_number(void);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* GCAUTH_H */
