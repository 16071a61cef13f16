/* Memory that is not there, where its size depends on input: GC_AUTH_ERR_NO_MEMORY, and the session as before. Each
 * attempt is made in a child whose address space is limited, since elsewhere a failed allocation may end a process. */

#include "check.h"
#include "children.h"
#include "jwt.h"
#include "sandbox.h"

#include <sys/resource.h>

static struct sandbox sandbox;

/* The size of this process's address space in bytes. */
static size_t address_space(void)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    REQUIRE(file != NULL && fscanf(file, "%lu", &pages) == 1);
    fclose(file);
    return (size_t)pages * (size_t)sysconf(_SC_PAGESIZE);
}

/* From here on only that much more memory. */
static void limit(size_t more)
{
    struct rlimit limits;
    getrlimit(RLIMIT_AS, &limits);
    limits.rlim_cur = address_space() + more;
    REQUIRE(setrlimit(RLIMIT_AS, &limits) == 0);
}

static void unlimit(void)
{
    struct rlimit limits;
    getrlimit(RLIMIT_AS, &limits);
    limits.rlim_cur = limits.rlim_max;
    REQUIRE(setrlimit(RLIMIT_AS, &limits) == 0);
}

static char *filled(size_t size)
{
    char *text = malloc(size + 1);
    REQUIRE(text != NULL);
    memset(text, 'x', size);
    text[size] = '\0';
    return text;
}

#define LARGE ((size_t)256 << 20)
#define LITTLE ((size_t)64 << 20)

static void new_with_a_giant_token(void)
{
    char *token = filled(LARGE);
    gc_auth_t *auth = NULL;
    limit(LITTLE);
    CHECK_STATUS(gc_auth_new("{}", token, NULL, NULL, &auth), GC_AUTH_ERR_NO_MEMORY);
    CHECK_HOLDS(gc_auth_last_error_message(), "memory");
    CHECK(auth == NULL);
    CHECK_STATUS(gc_auth_new("{}", NULL, token, NULL, &auth), GC_AUTH_ERR_NO_MEMORY);
    CHECK(auth == NULL);
    unlimit();
    /* With memory it is a token like any other. */
    CHECK_OK(gc_auth_new("{}", token, NULL, NULL, &auth));
    gc_auth_free(auth);
    free(token);
}

static void export_of_a_giant_token(void)
{
    char *token = filled(LARGE);
    gc_auth_t *auth = NULL;
    size_t size;
    REQUIRE_OK(gc_auth_new("{}", token, NULL, NULL, &auth));
    limit(LITTLE);
    CHECK_STATUS(gc_auth_to_json(auth, NULL, 0, &size), GC_AUTH_ERR_NO_MEMORY);
    /* Reading it needs no memory of the library's. */
    CHECK_STATUS(gc_auth_token(auth, NULL, 0, &size), GC_AUTH_ERR_BUFFER_TOO_SMALL);
    CHECK_INT(size, LARGE + 1);
    unlimit();
    CHECK_STATUS(gc_auth_to_json(auth, NULL, 0, &size), GC_AUTH_ERR_BUFFER_TOO_SMALL);
    gc_auth_free(auth);
    free(token);
}

static void import_of_a_giant_token(void)
{
    char *json = malloc(LARGE + 256);
    gc_auth_t *auth = NULL;
    gc_auth_status_t status;
    size_t used = (size_t)sprintf(json, "{\"env\":\"prod\",\"host\":\"https://auth-api.genomcore.net/api/v1\",\"token\":\"");
    memset(json + used, 'x', LARGE);
    strcpy(json + used + LARGE, "\"}");
    limit(LITTLE);
    /* Or refused for its size. */
    status = gc_auth_from_json("{}", json, &auth);
    CHECK(status == GC_AUTH_ERR_NO_MEMORY || status == GC_AUTH_ERR_CONFIG);
    CHECK(auth == NULL);
    unlimit();
    free(json);
}

static void login_with_a_giant_password(void)
{
    char *password = filled(LARGE), *before, *after;
    gc_auth_t *auth = sandbox_session(&sandbox, "");
    before = text_of(gc_auth_to_json, auth);
    limit(LITTLE);
    CHECK_STATUS(gc_auth_login(auth, USER, password, ORGANIZATION, NULL), GC_AUTH_ERR_NO_MEMORY);
    after = text_of(gc_auth_to_json, auth);
    CHECK_TEXT(after, before);
    CHECK_OK(log_in(auth));
    unlimit();
    free(before);
    free(after);
    free(password);
    gc_auth_free(auth);
}

static void refresh_to_a_giant_project(void)
{
    char *project = filled(LARGE);
    gc_auth_t *auth = sandbox_session(&sandbox, "");
    gc_auth_status_t status;
    limit(LITTLE);
    /* Or refused for its size. */
    status = gc_auth_refresh(auth, project);
    CHECK(status == GC_AUTH_ERR_NO_MEMORY || status == GC_AUTH_ERR_INVALID_ARGUMENT);
    CHECK_OK(gc_auth_refresh(auth, NULL));
    unlimit();
    free(project);
    gc_auth_free(auth);
}

static void verification_with_a_giant_key(void)
{
    char *key = malloc(LARGE + 256), buf[4096], *pem = file_text(sandbox.dir, "public.pem");
    gc_auth_t *auth = sandbox_session(&sandbox, "");
    gc_auth_status_t status;
    memset(key, ' ', LARGE);
    strcpy(key + LARGE, pem);
    limit(LITTLE);
    /* A key may also be refused for its size. */
    status = gc_auth_decode_jwt(auth, key, buf, sizeof buf, NULL);
    CHECK(status == GC_AUTH_ERR_NO_MEMORY || status == GC_AUTH_ERR_KEY_INVALID);
    memset(key, 'A', LARGE);
    key[LARGE] = '\0';
    status = gc_auth_decode_jwt(auth, key, buf, sizeof buf, NULL);
    CHECK(status == GC_AUTH_ERR_NO_MEMORY || status == GC_AUTH_ERR_KEY_INVALID);
    CHECK_OK(gc_auth_decode_jwt(auth, pem, buf, sizeof buf, NULL));
    unlimit();
    free(key);
    free(pem);
    gc_auth_free(auth);
}

static void report_of_a_giant_bearer(void)
{
    char *bearer = filled(LARGE);
    gc_auth_t *auth = sandbox_session(&sandbox, "");
    gc_auth_status_t status;
    limit(LITTLE);
    status = gc_auth_report_rejected(auth, bearer);
    CHECK(status == GC_AUTH_OK || status == GC_AUTH_ERR_NO_MEMORY);
    unlimit();
    free(bearer);
    gc_auth_free(auth);
}

static void config_that_is_giant(void)
{
    char *config = filled(LARGE);
    gc_auth_t *auth = NULL;
    limit(LITTLE);
    CHECK_STATUS(gc_auth_new(config, NULL, NULL, NULL, &auth), GC_AUTH_ERR_CONFIG);
    CHECK_STATUS(gc_auth_new("{}", NULL, NULL, config, &auth), GC_AUTH_ERR_CONFIG);
    unlimit();
    free(config);
}

int main(void)
{
    static const struct {
        const char *name;
        void (*work)(void);
    } works[] = {
        { "gc_auth_new with a giant token", new_with_a_giant_token },
        { "gc_auth_to_json with a giant token", export_of_a_giant_token },
        { "gc_auth_from_json with a giant token", import_of_a_giant_token },
        { "gc_auth_login with a giant password", login_with_a_giant_password },
        { "gc_auth_refresh to a giant project", refresh_to_a_giant_project },
        { "gc_auth_decode_jwt with a giant key", verification_with_a_giant_key },
        { "gc_auth_report_rejected with a giant bearer", report_of_a_giant_bearer },
        { "gc_auth_new with a giant config", config_that_is_giant },
    };
    static const char *const options[] = { "--alg", "EdDSA", NULL };
    size_t i;

    check_begin();
    sandbox_start(&sandbox, options);
    for (i = 0; i < sizeof works / sizeof *works; i++) {
        pid_t pid = begin_child();
        if (pid == 0) {
            works[i].work();
            end_child();
        }
        if (!await(pid)) {
            fprintf(stderr, "... that was %s\n", works[i].name);
        }
    }
    sandbox_stop(&sandbox);
    return check_end();
}
