/*
 * Sends a bearer with libcurl, and gets over a 401: authorised_request USER ORGANIZATION URL, with the password in
 * GCAUTH_PASSWORD. The work is done in authorised_get.h.
 */
#include "authorised_get.h"

static int failed(gc_auth_status_t status)
{
    fprintf(stderr, "%s: %s\n", gc_auth_status_name(status), gc_auth_last_error_message());
    return EXIT_FAILURE;
}

static int request(gc_auth_t *auth, char **argv, const char *password)
{
    gc_auth_status_t status = gc_auth_login(auth, argv[1], password, argv[2], NULL);
    if (status != GC_AUTH_OK)
        return failed(status);

    struct answer answer;
    status = authorised_get(auth, argv[3], &answer);
    if (status != GC_AUTH_OK)
        return failed(status);
    if (answer.repeated)
        printf("the first token was refused, so it was reported, and a new one sent\n");
    printf("HTTP %ld\n%s\n", answer.http_status, answer.body);
    return answer.http_status == 200 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    const char *password = getenv("GCAUTH_PASSWORD");
    if (argc != 4 || password == NULL) {
        fprintf(stderr, "usage: GCAUTH_PASSWORD=... authorised_request USER ORGANIZATION URL\n");
        return 2;
    }
    curl_global_init(CURL_GLOBAL_DEFAULT); /* before any thread is started */

    gc_auth_t *auth = NULL;
    gc_auth_status_t status = gc_auth_new(NULL, NULL, NULL, NULL, &auth);
    int result = status == GC_AUTH_OK ? request(auth, argv, password) : failed(status);
    gc_auth_free(auth);
    curl_global_cleanup();
    return result;
}
