/* Tokens that are good for at least some time, tokens in files, and the session of the user. */

#include "check.h"
#include "sandbox.h"

#include <sys/stat.h>

static char directory[512];

static const char *path_of(const char *name)
{
    static char path[1024];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    return path;
}

static void valid_for(const struct sandbox *sandbox)
{
    gc_auth_t *auth = sandbox_session(sandbox, "");
    char before[4096], buf[4096];
    size_t size = 7777;
    int64_t expires = 7777, now = (int64_t)time(NULL);

    CHECK_OK(gc_auth_bearer(auth, before, sizeof before, NULL, NULL));
    CHECK_OK(gc_auth_bearer_valid_for(auth, 0, buf, sizeof buf, NULL, NULL));
    CHECK_TEXT(buf, before);
    /* It has only just come, so it is the newest one. */
    CHECK_OK(gc_auth_bearer_valid_for(auth, INT64_MAX, buf, sizeof buf, &size, &expires));
    CHECK_TEXT(buf, before);
    CHECK_INT(size, strlen(buf) + 1);
    CHECK(expires >= now + 3500 && expires <= now + 3601);
    CHECK_INT(sandbox_counter(sandbox, "refreshes"), 0);

    expires = 7777;
    CHECK_STATUS(gc_auth_bearer_valid_for(auth, 60, buf, 10, &size, &expires), GC_AUTH_ERR_BUFFER_TOO_SMALL);
    CHECK_STATUS(gc_auth_bearer_valid_for(auth, 60, NULL, 10, &size, &expires), GC_AUTH_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(gc_auth_bearer_valid_for(auth, 60, NULL, 0, NULL, &expires), GC_AUTH_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(gc_auth_bearer_valid_for(auth, -1, buf, sizeof buf, &size, &expires), GC_AUTH_ERR_INVALID_ARGUMENT);
    CHECK_HOLDS(gc_auth_last_error_message(), "min_valid_s");
    CHECK_STATUS(gc_auth_bearer_valid_for(auth, INT64_MIN, buf, sizeof buf, &size, &expires), GC_AUTH_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(gc_auth_bearer_valid_for(NULL, 60, buf, sizeof buf, &size, &expires), GC_AUTH_ERR_INVALID_ARGUMENT);
    CHECK(expires == 7777);
    gc_auth_free(auth);
}

/* A given token that is not the newest is renewed once, also by a size query. */
static void renewed(const struct sandbox *sandbox)
{
    gc_auth_t *first = sandbox_session(sandbox, "");
    char *token = text_of(gc_auth_token, first), *refresh_token = text_of(gc_auth_refresh_token, first);
    gc_auth_t *auth = sandbox_handle(sandbox, "", token, refresh_token);
    long before = sandbox_counter(sandbox, "refreshes");
    char buf[4096];
    size_t size = 0;

    CHECK_OK(gc_auth_bearer_valid_for(auth, 3000, buf, sizeof buf, &size, NULL));
    CHECK_INT(sandbox_counter(sandbox, "refreshes"), before);
    CHECK_STATUS(gc_auth_bearer_valid_for(auth, 3700, NULL, 0, &size, NULL), GC_AUTH_ERR_BUFFER_TOO_SMALL);
    CHECK_INT(sandbox_counter(sandbox, "refreshes"), before + 1);
    CHECK_OK(gc_auth_bearer_valid_for(auth, 3700, buf, size, &size, NULL));
    CHECK_INT(sandbox_counter(sandbox, "refreshes"), before + 1);
    CHECK(strcmp(buf + 7, token) != 0);
    gc_auth_free(auth);
    gc_auth_free(first);
    free(token);
    free(refresh_token);
}

static void files(const struct sandbox *sandbox)
{
    gc_auth_t *auth = sandbox_session(sandbox, ""), *nobody = sandbox_handle(sandbox, "", NULL, NULL);
    char *token = text_of(gc_auth_token, auth), *text;
    char want[8192];
    struct stat found;

    CHECK_OK(gc_auth_write_token_file(auth, path_of("file"), "wlcg"));
    CHECK_TEXT(text = file_text(directory, "file"), token);
    free(text);
    CHECK_OK(gc_auth_write_token_file(auth, path_of("file"), "curl"));
    snprintf(want, sizeof want, "Authorization: Bearer %s\n", token);
    CHECK_TEXT(text = file_text(directory, "file"), want);
    free(text);
    CHECK_OK(gc_auth_write_token_file(auth, path_of("file"), "htslib"));
    snprintf(want, sizeof want, "{\"access_token\":\"%s\",\"token_type\":\"Bearer\",\"expires_in\":360}", token);
    CHECK_TEXT(text = file_text(directory, "file"), want);
    free(text);
    CHECK(stat(path_of("file"), &found) == 0 && (found.st_mode & 07777) == 0600);

    CHECK_STATUS(gc_auth_write_token_file(nobody, path_of("file"), "wlcg"), GC_AUTH_ERR_NO_TOKEN);
    CHECK_STATUS(gc_auth_write_token_file(auth, path_of("none/file"), "wlcg"), GC_AUTH_ERR_STORE);
    CHECK_HOLDS(gc_auth_last_error_message(), path_of("none/file"));
    CHECK_STATUS(gc_auth_write_token_file(auth, directory, "wlcg"), GC_AUTH_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(gc_auth_write_token_file(auth, "/dev/null", "wlcg"), GC_AUTH_ERR_INVALID_ARGUMENT);
    CHECK(stat("/dev/null", &found) == 0 && S_ISCHR(found.st_mode));
    CHECK_STATUS(gc_auth_write_token_file(auth, "", "wlcg"), GC_AUTH_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(gc_auth_write_token_file(auth, NULL, "wlcg"), GC_AUTH_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(gc_auth_write_token_file(auth, "br\xffoken", "wlcg"), GC_AUTH_ERR_INVALID_UTF8);
    CHECK_STATUS(gc_auth_write_token_file(auth, path_of("file"), NULL), GC_AUTH_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(gc_auth_write_token_file(auth, path_of("file"), ""), GC_AUTH_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(gc_auth_write_token_file(auth, path_of("file"), "json"), GC_AUTH_ERR_INVALID_ARGUMENT);
    CHECK_HOLDS(gc_auth_last_error_message(), "htslib");
    CHECK_STATUS(gc_auth_write_token_file(NULL, path_of("file"), "wlcg"), GC_AUTH_ERR_INVALID_ARGUMENT);
    CHECK_TEXT(text = file_text(directory, "file"), want);
    free(text);
    CHECK(remove(path_of("file")) == 0);
    free(token);
    gc_auth_free(nobody);
    gc_auth_free(auth);
}

static void user_store(const struct sandbox *sandbox)
{
    gc_auth_t *auth, *again;
    char config[8192];
    struct stat found;

    snprintf(config, sizeof config, "%s", config_for(sandbox, sandbox->http, "\"store\":\"user\""));
    setenv("XDG_STATE_HOME", path_of("state"), 1);
    setenv("GCAUTH_SESSION", "../out", 1);
    auth = NULL;
    CHECK_STATUS(gc_auth_new(config, NULL, NULL, NULL, &auth), GC_AUTH_ERR_CONFIG);
    CHECK_HOLDS(gc_auth_last_error_message(), "GCAUTH_SESSION");
    setenv("GCAUTH_SESSION", "work", 1);
    REQUIRE_OK(gc_auth_new(config, NULL, NULL, NULL, &auth));
    /* The environment is read by gc_auth_new() alone. */
    unsetenv("GCAUTH_SESSION");
    unsetenv("XDG_STATE_HOME");
    CHECK_STATUS(bearer_text(auth, config, 10, NULL), GC_AUTH_ERR_NO_TOKEN);
    CHECK(stat(path_of("state"), &found) != 0);
    CHECK_OK(log_in(auth));
    CHECK(stat(path_of("state/gcauth/work"), &found) == 0 && (found.st_mode & 07777) == 0700);
    CHECK(stat(path_of("state/gcauth/work/session"), &found) == 0 && (found.st_mode & 07777) == 0600);

    snprintf(config, sizeof config, "%s", config_for(sandbox, sandbox->http, "\"store\":\"user\""));
    setenv("XDG_STATE_HOME", path_of("state"), 1);
    setenv("GCAUTH_SESSION", "work", 1);
    REQUIRE_OK(gc_auth_new(config, NULL, NULL, NULL, &again));
    CHECK_OK(bearer_text(again, config, sizeof config, NULL));
    unsetenv("GCAUTH_SESSION");
    unsetenv("XDG_STATE_HOME");
    gc_auth_free(again);
    gc_auth_free(auth);
}

int main(void)
{
    struct sandbox sandbox;
    char command[1024];

    check_begin();
    snprintf(directory, sizeof directory, "/tmp/gcauth-token-files-XXXXXX");
    REQUIRE(mkdtemp(directory) != NULL);
    sandbox_start(&sandbox, NULL);
    valid_for(&sandbox);
    renewed(&sandbox);
    files(&sandbox);
    user_store(&sandbox);
    sandbox_stop(&sandbox);
    snprintf(command, sizeof command, "rm -r '%s'", directory);
    CHECK(system(command) == 0);
    return check_end();
}
