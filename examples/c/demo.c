/*
 * What `make demo` shows: a login, a renewal, a change of project, and a request with the bearer.
 *
 *     demo USER ORGANIZATION PROJECT OTHER_PROJECT URL, with the password in GCAUTH_PASSWORD
 */
#include "authorised_get.h"

#include <inttypes.h>
#include <time.h>

static void heading(const char *text)
{
    static int number = 0;
    printf("\n%d. %s\n", ++number, text);
}

static int failed(gc_auth_status_t status)
{
    fprintf(stderr, "%s: %s\n", gc_auth_status_name(status), gc_auth_last_error_message());
    return EXIT_FAILURE;
}

/*
 * The value of a text member of a payload. It relies on the payload being compact JSON, and takes no escapes: enough
 * to show names here, while a real program uses a JSON library.
 */
static const char *text_member(const char *json, const char *name, char *value, size_t size)
{
    char key[64];
    snprintf(key, sizeof key, "\"%s\":\"", name);
    const char *start = strstr(json, key);
    start = start == NULL ? "" : start + strlen(key);
    snprintf(value, size, "%.*s", (int)strcspn(start, "\""), start);
    return value;
}

/* Who the token says we are. */
static gc_auth_status_t show_who(gc_auth_t *auth)
{
    char payload[8192];
    char value[256];
    int64_t project_id = 0;
    gc_auth_status_t status = gc_auth_decoded_token(auth, payload, sizeof payload, NULL);
    if (status != GC_AUTH_OK)
        return status;
    printf("   user          %s", text_member(payload, "sub", value, sizeof value));
    printf(" <%s>\n", text_member(payload, "email", value, sizeof value));
    printf("   organization  %s\n", text_member(payload, "organization", value, sizeof value));
    printf("   project       %s", text_member(payload, "project", value, sizeof value));
    status = gc_auth_project_id(auth, &project_id);
    if (status == GC_AUTH_OK)
        printf(", number %" PRId64 "\n", project_id);
    return status;
}

/* The bearer, kept for comparison, and its beginning and life on the screen. */
static gc_auth_status_t show_bearer(gc_auth_t *auth, char *bearer, size_t size)
{
    int64_t expires_at = 0;
    gc_auth_status_t status = gc_auth_bearer(auth, bearer, size, NULL, &expires_at);
    if (status != GC_AUTH_OK)
        return status;
    printf("   Authorization: %.19s...\n", bearer);
    printf("   good for %" PRId64 " s\n", expires_at - (int64_t)time(NULL));
    return status;
}

static int demo(gc_auth_t *auth, char **argv, const char *password)
{
    char first[8192];
    char second[8192];
    char host[256];
    gc_auth_status_t status = gc_auth_host(auth, host, sizeof host, NULL);

    heading("Log in");
    if (status == GC_AUTH_OK)
        status = gc_auth_login(auth, argv[1], password, argv[2], argv[3]);
    if (status != GC_AUTH_OK)
        return failed(status);
    printf("   server        %s\n", host);
    status = show_who(auth);
    if (status == GC_AUTH_OK)
        status = show_bearer(auth, first, sizeof first);
    if (status != GC_AUTH_OK)
        return failed(status);

    heading("Renew");
    status = gc_auth_refresh(auth, NULL);
    if (status == GC_AUTH_OK)
        status = show_bearer(auth, second, sizeof second);
    if (status != GC_AUTH_OK)
        return failed(status);
    if (strcmp(first, second) == 0) {
        fprintf(stderr, "the token is still the same\n");
        return EXIT_FAILURE;
    }
    printf("   the token has changed: it ended in %s, and ends in %s now\n", first + strlen(first) - 6,
           second + strlen(second) - 6);

    heading("Switch to another project");
    status = gc_auth_refresh(auth, argv[4]);
    if (status == GC_AUTH_OK)
        status = show_who(auth);
    if (status != GC_AUTH_OK)
        return failed(status);

    heading("Send a request with the bearer");
    struct answer answer;
    status = authorised_get(auth, argv[5], &answer);
    if (status != GC_AUTH_OK)
        return failed(status);
    printf("   GET %s\n   HTTP %ld\n   %s\n", argv[5], answer.http_status, answer.body);
    return answer.http_status == 200 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    const char *password = getenv("GCAUTH_PASSWORD");
    if (argc != 6 || password == NULL) {
        fprintf(stderr, "usage: GCAUTH_PASSWORD=... demo USER ORGANIZATION PROJECT OTHER_PROJECT URL\n");
        return 2;
    }
    curl_global_init(CURL_GLOBAL_DEFAULT);
    printf("libgcauth %s\n", gc_auth_version_string());

    gc_auth_t *auth = NULL;
    gc_auth_status_t status = gc_auth_new(NULL, NULL, NULL, NULL, &auth);
    int result = status == GC_AUTH_OK ? demo(auth, argv, password) : failed(status);
    gc_auth_free(auth);
    curl_global_cleanup();
    return result;
}
