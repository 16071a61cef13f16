/* Rule 7: the last error is per thread, cleared by whatever does work, touched by nothing else, and its text stays
 * where it is. */

#include "check.h"
#include "jwt.h"
#include "sandbox.h"

static struct sandbox sandbox;

/* Makes a failure with all there is to a last error. */
static void fail(gc_auth_t *auth)
{
    sandbox_fault(&sandbox, "{\"on\":\"login\",\"do\":{\"status\":{\"code\":429,\"headers\":{\"Retry-After\":\"3\"}}}}");
    CHECK_STATUS(log_in(auth), GC_AUTH_ERR_RATE_LIMITED);
}

static int is_failure(void)
{
    return gc_auth_last_error_status() == GC_AUTH_ERR_RATE_LIMITED && gc_auth_last_error_http_status() == 429
        && gc_auth_last_error_retry_after_ms() == 3000 && gc_auth_last_error_is_retryable() == 1
        && strstr(gc_auth_last_error_message(), "429") != NULL;
}

static int is_clear(void)
{
    return gc_auth_last_error_status() == GC_AUTH_OK && gc_auth_last_error_http_status() == 0
        && gc_auth_last_error_retry_after_ms() == -1 && gc_auth_last_error_is_retryable() == 0
        && gc_auth_last_error_message() != NULL && *gc_auth_last_error_message() == '\0';
}

static void *other_thread(void *argument)
{
    gc_auth_t *auth = argument;
    CHECK(is_clear());
    CHECK_STATUS(gc_auth_login(auth, "", "", "", ""), GC_AUTH_ERR_INVALID_ARGUMENT);
    /* Its own memory. */
    return (void *)gc_auth_last_error_message();
}

static void per_thread(gc_auth_t *auth)
{
    pthread_t thread;
    void *message = NULL;
    fail(auth);
    REQUIRE(pthread_create(&thread, NULL, other_thread, auth) == 0);
    pthread_join(thread, &message);
    CHECK(message != NULL && message != (const void *)gc_auth_last_error_message());
    CHECK(is_failure());
}

static void untouched_by_the_rest(gc_auth_t *auth)
{
    gc_auth_t *second = sandbox_handle(&sandbox, "", NULL, NULL), *third = sandbox_session(&sandbox, "");
    int i;
    fail(auth);
    for (i = 0; i < 3; i++) {
        (void)gc_auth_status_name(GC_AUTH_ERR_TLS);
        (void)gc_auth_status_name(-7);
        (void)gc_auth_version_string();
        (void)gc_auth_version_number();
        (void)gc_auth_last_error_message();
        CHECK(is_failure());
    }
    gc_auth_free(NULL);
    CHECK(is_failure());
    gc_auth_free(second);
    CHECK(is_failure());
    gc_auth_free(third);
    CHECK(is_failure());
}

/* Every function that does work clears it on entry: after a good call nothing is left. */
static void cleared_by_work(gc_auth_t *auth)
{
    char buf[8192], *json;
    int64_t number;
    gc_auth_t *made = NULL;
    const char *config = config_for(&sandbox, sandbox.http, "");

    CHECK_OK(gc_auth_login(auth, USER, PASSWORD, ORGANIZATION, "genomes"));
    json = text_of(gc_auth_to_json, auth);
#define CLEARED_BY(call)                                                                                               \
    do {                                                                                                               \
        fail(auth);                                                                                                    \
        CHECK_OK(call);                                                                                                \
        CHECK(is_clear());                                                                                             \
    } while (0)
    CLEARED_BY(gc_auth_new(config, NULL, NULL, NULL, &made));
    gc_auth_free(made);
    CLEARED_BY(gc_auth_from_json(config, json, &made));
    gc_auth_free(made);
    CLEARED_BY(gc_auth_refresh(auth, NULL));
    CLEARED_BY(gc_auth_login(auth, USER, PASSWORD, ORGANIZATION, "genomes"));
    CLEARED_BY(gc_auth_report_rejected(auth, "Bearer other"));
    CLEARED_BY(gc_auth_bearer(auth, buf, sizeof buf, NULL, NULL));
    CLEARED_BY(gc_auth_token(auth, buf, sizeof buf, NULL));
    CLEARED_BY(gc_auth_refresh_token(auth, buf, sizeof buf, NULL));
    CLEARED_BY(gc_auth_token_type(auth, buf, sizeof buf, NULL));
    CLEARED_BY(gc_auth_env(auth, buf, sizeof buf, NULL));
    CLEARED_BY(gc_auth_host(auth, buf, sizeof buf, NULL));
    CLEARED_BY(gc_auth_decoded_token(auth, buf, sizeof buf, NULL));
    CLEARED_BY(gc_auth_decode_jwt(auth, NULL, buf, sizeof buf, NULL));
    CLEARED_BY(gc_auth_project_id(auth, &number));
    CLEARED_BY(gc_auth_to_json(auth, buf, sizeof buf, NULL));
    CLEARED_BY(gc_auth_logout(auth));
#undef CLEARED_BY
    /* A failure of another kind leaves nothing of the one before. */
    fail(auth);
    CHECK_STATUS(gc_auth_token(auth, buf, sizeof buf, NULL), GC_AUTH_ERR_NO_TOKEN);
    CHECK_INT(gc_auth_last_error_http_status(), 0);
    CHECK_INT(gc_auth_last_error_retry_after_ms(), -1);
    CHECK_INT(gc_auth_last_error_is_retryable(), 0);
    CHECK_LACKS(gc_auth_last_error_message(), "429");
    free(json);
}

static void the_pointer_stays(gc_auth_t *auth)
{
    const char *message = gc_auth_last_error_message();
    char text[1024];
    int i;
    /* The arguments are evaluated in any order: harmless, since the memory stays. */
    snprintf(text, sizeof text, "%d %s", gc_auth_login(auth, "", "", "", ""), gc_auth_last_error_message());
    CHECK(strlen(text) < 512);
    fail(auth);
    CHECK(message == gc_auth_last_error_message());
    snprintf(text, sizeof text, "%d %s", gc_auth_last_error_status(), gc_auth_last_error_message());
    CHECK_HOLDS(text, "61 ");
    for (i = 0; i < 100; i++) {
        gc_auth_t *made = NULL;
        CHECK_STATUS(gc_auth_new("{\"env\":\"x\"}", NULL, NULL, NULL, &made), GC_AUTH_ERR_CONFIG);
        CHECK(message == gc_auth_last_error_message());
    }
}

/* A message of a thread that called nothing yet. */
static void *at_first(void *argument)
{
    (void)argument;
    CHECK(is_clear());
    return NULL;
}

static int is_utf8(const char *text)
{
    const unsigned char *at = (const unsigned char *)text;
    while (*at) {
        int more = *at < 0x80 ? 0 : *at >= 0xc2 && *at < 0xe0 ? 1 : *at >= 0xe0 && *at < 0xf0 ? 2
            : *at >= 0xf0 && *at < 0xf5 ? 3 : -1;
        if (more < 0) {
            return 0;
        }
        at++;
        while (more-- > 0) {
            if ((*at & 0xc0) != 0x80) {
                return 0;
            }
            at++;
        }
    }
    return 1;
}

/* Long texts of the server, of every alignment of wide characters, with a host that makes the message longer still. */
static void long_messages(void)
{
    static const char *const letters[] = { "a", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x92\xa5" };
    char host[700], fault[8192], path[400];
    size_t i, shift, most = 0;
    gc_auth_t *auth;

    memset(path, 'p', sizeof path);
    path[300] = '\0';
    for (shift = 0; shift < 4; shift++) {
        for (i = 0; i < 4; i++) {
            size_t used, n;
            auth = NULL;
            snprintf(host, sizeof host, "%s/%s", sandbox.http, path + shift);
            REQUIRE_OK(gc_auth_new(config_for(&sandbox, host, "\"retries\":0"), NULL, NULL, NULL, &auth));
            used = (size_t)sprintf(fault, "{\"do\":{\"status\":{\"code\":500,\"body\":{\"json\":{\"message\":\"");
            memset(fault + used, 'x', shift);
            used += shift;
            for (n = 0; n < 900; n++) {
                used += (size_t)sprintf(fault + used, "%s", letters[i]);
            }
            sprintf(fault + used, "\"}}}}}");
            sandbox_fault(&sandbox, fault);
            CHECK_STATUS(log_in(auth), GC_AUTH_ERR_SERVER);
            CHECK(is_utf8(gc_auth_last_error_message()));
            n = strlen(gc_auth_last_error_message());
            CHECK(n <= 511);
            most = n > most ? n : most;
            gc_auth_free(auth);
        }
    }
    CHECK(most > 200);
    /* What the caller names itself is quoted, and cut as well. */
    {
        static char config[20000];
        size_t used = (size_t)sprintf(config, "{\"");
        for (i = 0; i < 4000; i++) {
            used += (size_t)sprintf(config + used, "%s", letters[1 + i % 3]);
        }
        sprintf(config + used, "\":1}");
        auth = NULL;
        CHECK_STATUS(gc_auth_new(config, NULL, NULL, NULL, &auth), GC_AUTH_ERR_CONFIG);
        CHECK(is_utf8(gc_auth_last_error_message()));
    }
}

int main(void)
{
    static const char *const options[] = { "--alg", "EdDSA", NULL };
    gc_auth_t *auth;
    pthread_t thread;

    check_begin();
    CHECK(is_clear());
    sandbox_start(&sandbox, options);
    auth = sandbox_handle(&sandbox, "\"retries\":0", NULL, NULL);
    CHECK(is_clear());
    REQUIRE(pthread_create(&thread, NULL, at_first, NULL) == 0);
    pthread_join(thread, NULL);
    per_thread(auth);
    untouched_by_the_rest(auth);
    cleared_by_work(auth);
    the_pointer_stays(auth);
    long_messages();
    gc_auth_free(auth);
    sandbox_stop(&sandbox);
    return check_end();
}
