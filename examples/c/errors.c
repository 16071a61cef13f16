/*
 * Errors, handled well: errors USER ORGANIZATION, with the right password in GCAUTH_PASSWORD.
 *
 * It logs in with a wrong password, then at a server that is down, then for good with patience, and at last asks for
 * the bearer with a buffer that is too small.
 */
#define _POSIX_C_SOURCE 200809L /* nanosleep */

#include <gcauth.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* What there is to know about a failure. The message is for people; programs go by the status. */
static void tell(gc_auth_status_t status)
{
    printf("  %s\n", gc_auth_last_error_message());
    printf("  %s, HTTP %" PRId32 ", %s\n", gc_auth_status_name(status), gc_auth_last_error_http_status(),
           gc_auth_last_error_is_retryable() ? "worth another try" : "no use trying again");
}

/* How long to wait before the next try: what the server asks for, or else 1 s, 2 s, 4 s and so on, at most a minute. */
static int64_t pause_ms(int tries)
{
    int64_t asked = gc_auth_last_error_retry_after_ms();
    int64_t own = INT64_C(1000) << (tries < 6 ? tries : 6);
    return asked >= 0 ? asked : own < 60000 ? own : 60000;
}

/* Tries again what may succeed later, and nothing else: a refused password stays refused, and too many tries lock. */
static gc_auth_status_t patient_login(gc_auth_t *auth, const char *user, const char *password,
                                      const char *organization)
{
    for (int tries = 0;; tries++) {
        gc_auth_status_t status = gc_auth_login(auth, user, password, organization, NULL);
        if (status == GC_AUTH_OK || !gc_auth_last_error_is_retryable() || tries == 4)
            return status;
        tell(status);
        int64_t ms = pause_ms(tries);
        printf("  waiting for %" PRId64 " ms\n", ms);
        fflush(stdout);
        nanosleep(&(struct timespec){.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000}, NULL);
    }
}

/* The bearer in memory of the right size, to be freed; NULL when there is none. */
static char *bearer_of_any_size(gc_auth_t *auth)
{
    char *buffer = NULL;
    size_t size = 16; /* too small, to show the loop: 8192 is a better start */
    for (;;) {
        char *larger = realloc(buffer, size);
        if (larger == NULL)
            break;
        buffer = larger;
        size_t needed = 0;
        gc_auth_status_t status = gc_auth_bearer(auth, buffer, size, &needed, NULL);
        if (status == GC_AUTH_OK)
            return buffer;
        if (status != GC_AUTH_ERR_BUFFER_TOO_SMALL) {
            tell(status);
            break;
        }
        /* A loop and not a second call only: a renewal in between may bring a longer token. */
        printf("  %zu bytes are too few\n", size);
        size = needed;
    }
    free(buffer);
    return NULL;
}

static int run(const char *user, const char *password, const char *organization)
{
    gc_auth_t *auth = NULL;
    gc_auth_status_t status = gc_auth_new(NULL, NULL, NULL, NULL, &auth);
    if (status != GC_AUTH_OK) {
        tell(status);
        return EXIT_FAILURE;
    }

    printf("A wrong password\n");
    tell(gc_auth_login(auth, user, "not the password", organization, NULL));

    printf("A server that is down\n");
    gc_auth_t *nowhere = NULL;
    const char *config = "{\"env\": \"nowhere\", \"environments\": {\"nowhere\": {\"host\": \"http://127.0.0.1:1\"}},"
                         " \"retries\": 0}";
    status = gc_auth_new(config, NULL, NULL, NULL, &nowhere);
    if (status == GC_AUTH_OK)
        status = gc_auth_login(nowhere, user, password, organization, NULL);
    tell(status);
    gc_auth_free(nowhere);

    printf("A server that is busy\n");
    status = patient_login(auth, user, password, organization);
    if (status != GC_AUTH_OK) {
        tell(status);
        gc_auth_free(auth);
        return EXIT_FAILURE;
    }
    printf("  logged in\n");

    printf("A buffer that is too small\n");
    char *bearer = bearer_of_any_size(auth);
    if (bearer != NULL)
        printf("  %.19s...\n", bearer);
    free(bearer);
    gc_auth_free(auth);
    return bearer != NULL ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    const char *password = getenv("GCAUTH_PASSWORD");
    if (argc != 3 || password == NULL) {
        fprintf(stderr, "usage: GCAUTH_PASSWORD=... errors USER ORGANIZATION\n");
        return 2;
    }
    return run(argv[1], password, argv[2]);
}
