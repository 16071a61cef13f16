/*
 * A worker that runs for long: renewal_loop USER ORGANIZATION URL RENEWALS, with the password in GCAUTH_PASSWORD. It
 * sends a request each second until it has seen that many renewals.
 *
 * There is no timer and no thread that renews: asking gc_auth_bearer() before each request, as authorised_get() does,
 * is all. It renews ahead of time, so no request goes out with a token that is about to expire, and where the token is
 * refused before its time, reporting it brings a new one.
 */
#define _POSIX_C_SOURCE 200809L /* nanosleep */

#include "authorised_get.h"

#include <time.h>

static int failed(gc_auth_status_t status)
{
    fprintf(stderr, "%s: %s\n", gc_auth_status_name(status), gc_auth_last_error_message());
    return EXIT_FAILURE;
}

/* Tells whether the token is another than `current`, and makes it the current one. */
static int changed(gc_auth_t *auth, char *current, size_t size)
{
    char token[8192];
    if (gc_auth_token(auth, token, sizeof token, NULL) != GC_AUTH_OK || strcmp(token, current) == 0)
        return 0;
    snprintf(current, size, "%s", token);
    return 1;
}

static int work(gc_auth_t *auth, const char *url, long renewals)
{
    char current[8192] = "";
    changed(auth, current, sizeof current);

    for (long number = 1, renewed = 0; renewed < renewals; number++) {
        struct answer answer;
        gc_auth_status_t status = authorised_get(auth, url, &answer);
        if (status != GC_AUTH_OK && gc_auth_last_error_is_retryable()) {
            /* A worker lives through a bad hour of the server's: what may succeed later is tried again later. */
            printf("request %ld: no bearer now: %s\n", number, gc_auth_last_error_message());
        } else if (status != GC_AUTH_OK) {
            return failed(status);
        } else if (answer.http_status != 200) {
            fprintf(stderr, "request %ld: HTTP %ld: %s\n", number, answer.http_status, answer.body);
            return EXIT_FAILURE;
        } else if (!changed(auth, current, sizeof current)) {
            printf("request %ld: 200, same token\n", number);
        } else {
            renewed++;
            printf("request %ld: 200, %s\n", number,
                   answer.repeated ? "renewed after a 401" : "renewed ahead of time");
        }
        fflush(stdout);
        nanosleep(&(struct timespec){.tv_sec = 1}, NULL);
    }
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    const char *password = getenv("GCAUTH_PASSWORD");
    if (argc != 5 || password == NULL) {
        fprintf(stderr, "usage: GCAUTH_PASSWORD=... renewal_loop USER ORGANIZATION URL RENEWALS\n");
        return 2;
    }
    curl_global_init(CURL_GLOBAL_DEFAULT); /* before any thread is started */

    gc_auth_t *auth = NULL;
    gc_auth_status_t status = gc_auth_new(NULL, NULL, NULL, NULL, &auth);
    if (status == GC_AUTH_OK)
        status = gc_auth_login(auth, argv[1], password, argv[2], NULL);
    int result = status == GC_AUTH_OK ? work(auth, argv[3], strtol(argv[4], NULL, 10)) : failed(status);
    gc_auth_free(auth);
    curl_global_cleanup();
    return result;
}
