/* Counts checks and tells which failed. Include it first: it asks for what the tests need of the system.
 *
 * A check that fails is reported with its place, and the program goes on; check_end() gives the exit status. A
 * REQUIRE that fails ends the program, for what the rest can't do without. Checks may be made in any thread. */

#ifndef CHECK_H
#define CHECK_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <gcauth.h>

static long checks_passed;
static long checks_failed;

static int check_(int is_good, const char *file, int line, const char *what)
{
    __atomic_add_fetch(is_good ? &checks_passed : &checks_failed, 1, __ATOMIC_SEQ_CST);
    if (!is_good) {
        fprintf(stderr, "%s:%d: failed: %s\n", file, line, what);
    }
    return is_good;
}

static int check_int_(long long got, long long want, const char *file, int line, const char *what)
{
    char text[512];
    snprintf(text, sizeof text, "%s is %lld, not %lld", what, got, want);
    return check_(got == want, file, line, text);
}

static int check_text_(const char *got, const char *want, const char *file, int line, const char *what)
{
    char text[4096];
    snprintf(text, sizeof text, "%.200s is \"%.1800s\", not \"%.1800s\"", what, got ? got : "(null)", want ? want : "(null)");
    return check_(got && want && strcmp(got, want) == 0, file, line, text);
}

static int check_holds_(const char *text, const char *part, const char *file, int line, const char *what, int wanted)
{
    char said[4096];
    snprintf(said, sizeof said, "%.200s %s \"%.1000s\": \"%.2500s\"", what, wanted ? "lacks" : "holds", part, text ? text : "(null)");
    return check_(text && (strstr(text, part) != NULL) == wanted, file, line, said);
}

/* A call that may end with any status. */
#define ANY_STATUS(call)                \
    do {                                \
        gc_auth_status_t any_ = (call); \
        (void)any_;                     \
    } while (0)

/* A program that is not linked to the library defines CHECK_NOT_LINKED, and has only what does not call it. */
#ifndef CHECK_NOT_LINKED

/* The status of a call, and what the last error has to say with it. */
static int check_status_(gc_auth_status_t got, gc_auth_status_t want, const char *file, int line, const char *what)
{
    char said[4096];
    int is_retryable = want == GC_AUTH_ERR_CONNECT || want == GC_AUTH_ERR_TIMEOUT || want == GC_AUTH_ERR_RATE_LIMITED
        || want == GC_AUTH_ERR_SERVER || want == GC_AUTH_ERR_LOCK_TIMEOUT;
    const char *message = gc_auth_last_error_message();

    snprintf(said, sizeof said, "%s gives %s (\"%s\"), not %s", what, gc_auth_status_name(got), message,
             gc_auth_status_name(want));
    if (!check_(got == want, file, line, said)) {
        return 0;
    }
    snprintf(said, sizeof said, "%s: the last error's status is %d, not %d", what, gc_auth_last_error_status(), want);
    check_(gc_auth_last_error_status() == want, file, line, said);
    snprintf(said, sizeof said, "%s: the last error of %s is retryable %d, message \"%s\", HTTP %d, retry after %lld",
             what, gc_auth_status_name(want), gc_auth_last_error_is_retryable(), message,
             gc_auth_last_error_http_status(), (long long)gc_auth_last_error_retry_after_ms());
    check_(gc_auth_last_error_is_retryable() == is_retryable, file, line, said);
    check_((message[0] == '\0') == (want == GC_AUTH_OK), file, line, said);
    check_(strlen(message) <= 511 && !strpbrk(message, "\r\n"), file, line, said);
    if (want == GC_AUTH_OK) {
        check_(gc_auth_last_error_http_status() == 0 && gc_auth_last_error_retry_after_ms() == -1, file, line, said);
    }
    return 1;
}

#endif

#define CHECK(condition) check_(!!(condition), __FILE__, __LINE__, #condition)
#define CHECK_INT(got, want) check_int_((long long)(got), (long long)(want), __FILE__, __LINE__, #got)
#define CHECK_TEXT(got, want) check_text_((got), (want), __FILE__, __LINE__, #got)
#define CHECK_HOLDS(text, part) check_holds_((text), (part), __FILE__, __LINE__, #text, 1)
#define CHECK_LACKS(text, part) check_holds_((text), (part), __FILE__, __LINE__, #text, 0)
#define CHECK_STATUS(call, want) check_status_((call), (want), __FILE__, __LINE__, #call)
#define CHECK_OK(call) CHECK_STATUS(call, GC_AUTH_OK)

#define REQUIRE(condition)                                                                                             \
    do {                                                                                                               \
        if (!CHECK(condition)) {                                                                                       \
            fprintf(stderr, "%s:%d: can't go on\n", __FILE__, __LINE__);                                               \
            exit(2);                                                                                                   \
        }                                                                                                              \
    } while (0)

#define REQUIRE_OK(call)                                                                                               \
    do {                                                                                                               \
        if (!CHECK_STATUS(call, GC_AUTH_OK)) {                                                                         \
            fprintf(stderr, "%s:%d: can't go on\n", __FILE__, __LINE__);                                               \
            exit(2);                                                                                                   \
        }                                                                                                              \
    } while (0)

/* A program that hangs is ended by a signal; generous, since machines are slow and valgrind is slower. */
static void check_begin(void)
{
    static const char *const names[] = { "http_proxy", "https_proxy", "all_proxy", "no_proxy", "HTTP_PROXY",
                                         "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "GCAUTH_CONFIG", "SSL_CERT_FILE",
                                         "SSL_CERT_DIR", NULL };
    int i;

    /* What the machine's own environment says is none of the tests' business. */
    for (i = 0; names[i]; i++) {
        unsetenv(names[i]);
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    alarm(600);
}

static int check_end(void)
{
    printf("%ld passed, %ld failed\n", checks_passed, checks_failed);
    return checks_failed == 0 && checks_passed > 0 ? 0 : 1;
}

/* What only some programs need of this header; keeps compilers quiet about the rest. */
#ifdef __GNUC__
#define MAYBE_UNUSED __attribute__((unused))
#else
#define MAYBE_UNUSED
#endif

MAYBE_UNUSED static void check_use_all_(void)
{
    (void)check_int_;
    (void)check_text_;
    (void)check_holds_;
#ifndef CHECK_NOT_LINKED
    (void)check_status_;
#endif
    (void)check_begin;
    (void)check_end;
}

MAYBE_UNUSED static void pause_ms(long ms)
{
    struct timespec left;
    left.tv_sec = ms / 1000;
    left.tv_nsec = ms % 1000 * 1000000;
    while (nanosleep(&left, &left) != 0) {
    }
}

MAYBE_UNUSED static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

#ifndef CHECK_NOT_LINKED

/* The text that a getter gives, in memory to free; NULL when it fails. */
typedef gc_auth_status_t (*getter_fn)(gc_auth_t *, char *, size_t, size_t *);

MAYBE_UNUSED static char *text_of(getter_fn getter, gc_auth_t *auth)
{
    size_t size = 0;
    char *text;
    if (getter(auth, NULL, 0, &size) != GC_AUTH_ERR_BUFFER_TOO_SMALL) {
        return NULL;
    }
    text = malloc(size);
    if (text && getter(auth, text, size, NULL) != GC_AUTH_OK) {
        free(text);
        return NULL;
    }
    return text;
}

/* gc_auth_bearer() with the signature of the other getters. */
MAYBE_UNUSED static gc_auth_status_t bearer_text(gc_auth_t *auth, char *buf, size_t size, size_t *out_size)
{
    return gc_auth_bearer(auth, buf, size, out_size, NULL);
}

#endif

#endif
