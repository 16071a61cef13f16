/* Every function with good arguments, with NULL, empty and wrongly encoded ones, and rule 5 for every text out. */

#include "check.h"
#include "jwt.h"
#include "sandbox.h"

#define CANARY 0x5a
#define BROKEN "br\xffoken"
#define CUT_SHORT "\xe2\x82"
#define OVERLONG "\xc0\xaf"
#define SURROGATE "\xed\xa0\x80"

static gc_auth_status_t decode_without_key(gc_auth_t *auth, char *buf, size_t size, size_t *out_size)
{
    return gc_auth_decode_jwt(auth, NULL, buf, size, out_size);
}

static gc_auth_status_t bearer_for_a_minute(gc_auth_t *auth, char *buf, size_t size, size_t *out_size)
{
    return gc_auth_bearer_valid_for(auth, 60, buf, size, out_size, NULL);
}

static char *public_key;

static gc_auth_status_t decode_with_key(gc_auth_t *auth, char *buf, size_t size, size_t *out_size)
{
    return gc_auth_decode_jwt(auth, public_key, buf, size, out_size);
}

static const struct {
    const char *name;
    getter_fn get;
} getters[] = {
    { "gc_auth_bearer", bearer_text },
    { "gc_auth_bearer_valid_for", bearer_for_a_minute },
    { "gc_auth_token", gc_auth_token },
    { "gc_auth_refresh_token", gc_auth_refresh_token },
    { "gc_auth_token_type", gc_auth_token_type },
    { "gc_auth_env", gc_auth_env },
    { "gc_auth_host", gc_auth_host },
    { "gc_auth_decoded_token", gc_auth_decoded_token },
    { "gc_auth_decode_jwt", decode_without_key },
    { "gc_auth_decode_jwt with a key", decode_with_key },
    { "gc_auth_to_json", gc_auth_to_json },
};

static int all_bytes(const char *bytes, int value, size_t count)
{
    size_t i;
    for (i = 0; i < count; i++) {
        if ((unsigned char)bytes[i] != value) {
            return 0;
        }
    }
    return 1;
}

/* Rule 5. */
static void text_out(gc_auth_t *auth, const char *name, getter_fn get)
{
    static char buf[16384];
    size_t size = 7777, again = 0, small;
    long failed = checks_failed;

    /* A size query. */
    CHECK_STATUS(get(auth, NULL, 0, &size), GC_AUTH_ERR_BUFFER_TOO_SMALL);
    CHECK(size > 1 && size < sizeof buf);
    CHECK_STATUS(get(auth, NULL, 0, NULL), GC_AUTH_ERR_INVALID_ARGUMENT);

    /* Without a buffer that is said to be there. */
    again = 7777;
    CHECK_STATUS(get(auth, NULL, 1, &again), GC_AUTH_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(get(auth, NULL, sizeof buf, NULL), GC_AUTH_ERR_INVALID_ARGUMENT);
    CHECK_INT(again, 7777);

    /* Exactly as large as needed. */
    memset(buf, CANARY, sizeof buf);
    again = 0;
    CHECK_OK(get(auth, buf, size, &again));
    CHECK_INT(again, size);
    CHECK_INT(strlen(buf), size - 1);
    CHECK(all_bytes(buf + size, CANARY, sizeof buf - size));

    /* Larger: nothing is written behind the NUL. */
    memset(buf, CANARY, sizeof buf);
    CHECK_OK(get(auth, buf, sizeof buf, NULL));
    CHECK_INT(strlen(buf), size - 1);
    CHECK(all_bytes(buf + size, CANARY, sizeof buf - size));

    /* Too small: untouched. */
    for (small = 0; small < size; small += small + 2 < size ? (size - small) / 2 : 1) {
        memset(buf, CANARY, sizeof buf);
        again = 0;
        CHECK_STATUS(get(auth, buf, small, &again), GC_AUTH_ERR_BUFFER_TOO_SMALL);
        CHECK_INT(again, size);
        CHECK(all_bytes(buf, CANARY, sizeof buf));
        CHECK_STATUS(get(auth, buf, small, NULL), GC_AUTH_ERR_BUFFER_TOO_SMALL);
        CHECK(all_bytes(buf, CANARY, sizeof buf));
    }

    /* Without a handle: outputs untouched. */
    again = 7777;
    CHECK_STATUS(get(NULL, buf, sizeof buf, &again), GC_AUTH_ERR_INVALID_ARGUMENT);
    CHECK_HOLDS(gc_auth_last_error_message(), "auth");
    CHECK_INT(again, 7777);
    CHECK(all_bytes(buf, CANARY, sizeof buf));
    if (checks_failed != failed) {
        fprintf(stderr, "... with %s\n", name);
    }
}

/* Where there is nothing to write, nothing is written. */
static void text_out_without_text(gc_auth_t *auth, getter_fn get, gc_auth_status_t status)
{
    char buf[64];
    size_t size = 7777;
    memset(buf, CANARY, sizeof buf);
    CHECK_STATUS(get(auth, buf, sizeof buf, &size), status);
    CHECK_INT(size, 7777);
    CHECK(all_bytes(buf, CANARY, sizeof buf));
    CHECK_STATUS(get(auth, NULL, 0, &size), status);
    CHECK_INT(size, 7777);
    CHECK_STATUS(get(auth, NULL, sizeof buf, &size), GC_AUTH_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(get(auth, NULL, 0, NULL), GC_AUTH_ERR_INVALID_ARGUMENT);
}

static void new_and_from_json(const struct sandbox *sandbox)
{
    gc_auth_t *const nowhere = (gc_auth_t *)(void *)&public_key;
    const char *config = config_for(sandbox, sandbox->http, "");
    const char *const broken[] = { BROKEN, CUT_SHORT, OVERLONG, SURROGATE };
    gc_auth_t *auth = nowhere;
    char *json, *text;
    size_t i;

    CHECK_STATUS(gc_auth_new(config, NULL, NULL, NULL, NULL), GC_AUTH_ERR_INVALID_ARGUMENT);
    CHECK_HOLDS(gc_auth_last_error_message(), "out_auth");
    for (i = 0; i < sizeof broken / sizeof *broken; i++) {
        CHECK_STATUS(gc_auth_new(broken[i], NULL, NULL, NULL, &auth), GC_AUTH_ERR_INVALID_UTF8);
        CHECK_HOLDS(gc_auth_last_error_message(), "config");
        CHECK_STATUS(gc_auth_new(config, broken[i], NULL, NULL, &auth), GC_AUTH_ERR_INVALID_UTF8);
        CHECK_HOLDS(gc_auth_last_error_message(), "token");
        CHECK_STATUS(gc_auth_new(config, NULL, broken[i], NULL, &auth), GC_AUTH_ERR_INVALID_UTF8);
        CHECK_HOLDS(gc_auth_last_error_message(), "refresh_token");
        CHECK_STATUS(gc_auth_new(config, NULL, NULL, broken[i], &auth), GC_AUTH_ERR_INVALID_UTF8);
        CHECK_HOLDS(gc_auth_last_error_message(), "env");
        CHECK(auth == nowhere);
    }

    /* All NULL, and all empty: the defaults. */
    REQUIRE_OK(gc_auth_new(NULL, NULL, NULL, NULL, &auth));
    text = text_of(gc_auth_env, auth);
    CHECK_TEXT(text, "prod");
    free(text);
    text = text_of(gc_auth_host, auth);
    CHECK_TEXT(text, "https://auth-api.genomcore.net/api/v1");
    free(text);
    gc_auth_free(auth);
    auth = NULL;
    REQUIRE_OK(gc_auth_new("", "", "", "", &auth));
    text = text_of(gc_auth_env, auth);
    CHECK_TEXT(text, "prod");
    free(text);
    text_out_without_text(auth, bearer_text, GC_AUTH_ERR_NO_TOKEN);
    CHECK_STATUS(gc_auth_refresh(auth, NULL), GC_AUTH_ERR_NO_REFRESH_TOKEN);
    gc_auth_free(auth);

    auth = NULL;
    REQUIRE_OK(gc_auth_new(config, NULL, NULL, "sandbox", &auth));
    text = text_of(gc_auth_env, auth);
    CHECK_TEXT(text, "sandbox");
    free(text);
    text = text_of(gc_auth_host, auth);
    CHECK_TEXT(text, sandbox->http);
    free(text);
    text = text_of(gc_auth_token_type, auth);
    CHECK_TEXT(text, "Bearer");
    free(text);

    /* from_json */
    json = text_of(gc_auth_to_json, auth);
    REQUIRE(json != NULL);
    gc_auth_free(auth);
    auth = nowhere;
    CHECK_STATUS(gc_auth_from_json(config, json, NULL), GC_AUTH_ERR_INVALID_ARGUMENT);
    CHECK_HOLDS(gc_auth_last_error_message(), "out_auth");
    CHECK_STATUS(gc_auth_from_json(config, NULL, &auth), GC_AUTH_ERR_INVALID_ARGUMENT);
    CHECK_HOLDS(gc_auth_last_error_message(), "json");
    CHECK_STATUS(gc_auth_from_json(config, "", &auth), GC_AUTH_ERR_INVALID_ARGUMENT);
    CHECK_HOLDS(gc_auth_last_error_message(), "json");
    CHECK_STATUS(gc_auth_from_json(config, BROKEN, &auth), GC_AUTH_ERR_INVALID_UTF8);
    CHECK_STATUS(gc_auth_from_json(BROKEN, json, &auth), GC_AUTH_ERR_INVALID_UTF8);
    CHECK_STATUS(gc_auth_from_json(NULL, json, &auth), GC_AUTH_ERR_CONFIG);
    CHECK_STATUS(gc_auth_from_json("", json, &auth), GC_AUTH_ERR_CONFIG);
    CHECK(auth == nowhere);
    CHECK_OK(gc_auth_from_json(config, json, &auth));
    CHECK(auth != nowhere);
    gc_auth_free(auth);
    free(json);
    gc_auth_free(NULL);
}

static void login_and_refresh(const struct sandbox *sandbox, gc_auth_t *auth)
{
    static const char *const good[] = { USER, PASSWORD, ORGANIZATION };
    static const char *const names[] = { "username", "password", "organization_id" };
    long requests = sandbox_counter(sandbox, "login") + sandbox_counter(sandbox, "refresh");
    char *before = text_of(gc_auth_to_json, auth), *after;
    int i;

    for (i = 0; i < 3; i++) {
        const char *given[3];
        memcpy(given, good, sizeof given);
        given[i] = NULL;
        CHECK_STATUS(gc_auth_login(auth, given[0], given[1], given[2], NULL), GC_AUTH_ERR_INVALID_ARGUMENT);
        CHECK_HOLDS(gc_auth_last_error_message(), names[i]);
        given[i] = "";
        CHECK_STATUS(gc_auth_login(auth, given[0], given[1], given[2], NULL), GC_AUTH_ERR_INVALID_ARGUMENT);
        CHECK_HOLDS(gc_auth_last_error_message(), names[i]);
        given[i] = BROKEN;
        CHECK_STATUS(gc_auth_login(auth, given[0], given[1], given[2], NULL), GC_AUTH_ERR_INVALID_UTF8);
        CHECK_HOLDS(gc_auth_last_error_message(), names[i]);
    }
    CHECK_STATUS(gc_auth_login(NULL, USER, PASSWORD, ORGANIZATION, NULL), GC_AUTH_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(gc_auth_login(auth, USER, PASSWORD, ORGANIZATION, BROKEN), GC_AUTH_ERR_INVALID_UTF8);
    CHECK_HOLDS(gc_auth_last_error_message(), "project_id");
    CHECK_STATUS(gc_auth_refresh(NULL, NULL), GC_AUTH_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(gc_auth_refresh(auth, BROKEN), GC_AUTH_ERR_INVALID_UTF8);
    CHECK_HOLDS(gc_auth_last_error_message(), "project_id");
    CHECK_INT(sandbox_counter(sandbox, "login") + sandbox_counter(sandbox, "refresh"), requests);
    after = text_of(gc_auth_to_json, auth);
    CHECK_TEXT(after, before);
    free(before);
    free(after);

    /* An empty project is none. */
    CHECK_OK(gc_auth_login(auth, USER, PASSWORD, ORGANIZATION, ""));
    after = text_of(gc_auth_to_json, auth);
    CHECK_LACKS(after, "project_id");
    free(after);
    CHECK_OK(gc_auth_refresh(auth, ""));
    CHECK_OK(gc_auth_refresh(auth, NULL));
    CHECK_OK(gc_auth_refresh(auth, "genomes"));
    after = text_of(gc_auth_to_json, auth);
    CHECK_HOLDS(after, "\"project_id\":\"genomes\"");
    free(after);
    CHECK_OK(gc_auth_login(auth, USER, PASSWORD, ORGANIZATION, "exomes"));
}

static void rejected_and_logout(gc_auth_t *auth)
{
    char *token = text_of(gc_auth_token, auth), *bearer = text_of(bearer_text, auth), *again;
    REQUIRE(token && bearer);
    CHECK(strncmp(bearer, "Bearer ", 7) == 0 && strcmp(bearer + 7, token) == 0);

    CHECK_STATUS(gc_auth_report_rejected(NULL, bearer), GC_AUTH_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(gc_auth_report_rejected(auth, NULL), GC_AUTH_ERR_INVALID_ARGUMENT);
    CHECK_HOLDS(gc_auth_last_error_message(), "bearer");
    CHECK_STATUS(gc_auth_report_rejected(auth, ""), GC_AUTH_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(gc_auth_report_rejected(auth, BROKEN), GC_AUTH_ERR_INVALID_UTF8);
    CHECK_OK(gc_auth_report_rejected(auth, "Bearer of.another.session"));
    again = text_of(bearer_text, auth);
    CHECK_TEXT(again, bearer);
    free(again);
    /* The token alone is as good as the bearer. */
    CHECK_OK(gc_auth_report_rejected(auth, token));
    again = text_of(bearer_text, auth);
    CHECK(again && strcmp(again, bearer) != 0);
    CHECK_OK(gc_auth_report_rejected(auth, again));
    free(bearer);
    bearer = text_of(bearer_text, auth);
    CHECK(bearer && again && strcmp(again, bearer) != 0);
    free(again);
    free(token);
    free(bearer);

    CHECK_STATUS(gc_auth_logout(NULL), GC_AUTH_ERR_INVALID_ARGUMENT);
    CHECK_OK(gc_auth_logout(auth));
    CHECK_OK(gc_auth_logout(auth));
    text_out_without_text(auth, bearer_text, GC_AUTH_ERR_NO_TOKEN);
    text_out_without_text(auth, gc_auth_token, GC_AUTH_ERR_NO_TOKEN);
    text_out_without_text(auth, gc_auth_refresh_token, GC_AUTH_ERR_NO_REFRESH_TOKEN);
    text_out_without_text(auth, gc_auth_decoded_token, GC_AUTH_ERR_NO_TOKEN);
    text_out_without_text(auth, decode_without_key, GC_AUTH_ERR_NO_TOKEN);
    text_out_without_text(auth, decode_with_key, GC_AUTH_ERR_NO_TOKEN);
    CHECK_STATUS(gc_auth_refresh(auth, NULL), GC_AUTH_ERR_NO_REFRESH_TOKEN);
    CHECK_OK(gc_auth_report_rejected(auth, "Bearer x.y.z"));
    text_out(auth, "gc_auth_env after the logout", gc_auth_env);
    text_out(auth, "gc_auth_to_json after the logout", gc_auth_to_json);
    CHECK_OK(log_in(auth));
}

static void project_and_decode(gc_auth_t *auth)
{
    int64_t project = 7777;
    char buf[4096];
    size_t size = 7777;

    CHECK_OK(gc_auth_login(auth, USER, PASSWORD, ORGANIZATION, "genomes"));
    CHECK_OK(gc_auth_project_id(auth, &project));
    CHECK(project == INT64_C(9007199254740993));
    CHECK_STATUS(gc_auth_project_id(auth, NULL), GC_AUTH_ERR_INVALID_ARGUMENT);
    CHECK_HOLDS(gc_auth_last_error_message(), "out_project_id");
    project = 7777;
    CHECK_STATUS(gc_auth_project_id(NULL, &project), GC_AUTH_ERR_INVALID_ARGUMENT);
    CHECK_OK(log_in(auth));
    CHECK_STATUS(gc_auth_project_id(auth, &project), GC_AUTH_ERR_CLAIM_MISSING);
    CHECK_OK(gc_auth_logout(auth));
    CHECK_STATUS(gc_auth_project_id(auth, &project), GC_AUTH_ERR_NO_TOKEN);
    CHECK(project == 7777);
    CHECK_OK(log_in(auth));

    CHECK_OK(gc_auth_decode_jwt(auth, NULL, buf, sizeof buf, NULL));
    /* A key file that was read as empty must not switch verification off. */
    CHECK_STATUS(gc_auth_decode_jwt(auth, "", buf, sizeof buf, &size), GC_AUTH_ERR_INVALID_ARGUMENT);
    CHECK_HOLDS(gc_auth_last_error_message(), "public_key is empty");
    CHECK_STATUS(gc_auth_decode_jwt(auth, BROKEN, buf, sizeof buf, &size), GC_AUTH_ERR_INVALID_UTF8);
    CHECK_HOLDS(gc_auth_last_error_message(), "public_key");
    CHECK_STATUS(gc_auth_decode_jwt(auth, "no key", buf, sizeof buf, &size), GC_AUTH_ERR_KEY_INVALID);
    CHECK_INT(size, 7777);
    CHECK_STATUS(gc_auth_decode_jwt(auth, "no key", NULL, 0, NULL), GC_AUTH_ERR_INVALID_ARGUMENT);
}

static void bearer_expiry(gc_auth_t *auth)
{
    char buf[4096];
    size_t size = 0;
    int64_t expires = 7777, now = (int64_t)time(NULL);

    CHECK_OK(gc_auth_bearer(auth, buf, sizeof buf, &size, &expires));
    CHECK(expires >= now + 3500 && expires <= now + 3601);
    expires = 7777;
    CHECK_STATUS(gc_auth_bearer(auth, buf, 10, &size, &expires), GC_AUTH_ERR_BUFFER_TOO_SMALL);
    CHECK_STATUS(gc_auth_bearer(auth, NULL, 0, &size, &expires), GC_AUTH_ERR_BUFFER_TOO_SMALL);
    CHECK_STATUS(gc_auth_bearer(auth, NULL, 10, &size, &expires), GC_AUTH_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(gc_auth_bearer(NULL, buf, sizeof buf, &size, &expires), GC_AUTH_ERR_INVALID_ARGUMENT);
    CHECK(expires == 7777);
    CHECK_OK(gc_auth_bearer(auth, buf, sizeof buf, NULL, NULL));
}

/* A token that was renewed while the buffer was too small is kept. */
static void renewed_by_a_size_query(const struct sandbox *sandbox, gc_auth_t *auth)
{
    char *refresh_token = text_of(gc_auth_refresh_token, auth), *expired = jwt_expired();
    gc_auth_t *second = sandbox_handle(sandbox, "", expired, refresh_token);
    long before = sandbox_counter(sandbox, "refreshes");
    char buf[4096];
    size_t size = 0;

    CHECK_STATUS(gc_auth_bearer(second, buf, 9, &size, NULL), GC_AUTH_ERR_BUFFER_TOO_SMALL);
    CHECK_INT(sandbox_counter(sandbox, "refreshes"), before + 1);
    CHECK_OK(gc_auth_bearer(second, buf, size, &size, NULL));
    CHECK_INT(sandbox_counter(sandbox, "refreshes"), before + 1);
    CHECK_INT(size, strlen(buf) + 1);
    gc_auth_free(second);
    free(refresh_token);
    free(expired);
}

static void statuses_and_versions(void)
{
    static const struct {
        gc_auth_status_t value;
        int number;
        const char *name;
    } all[] = {
        { GC_AUTH_OK, 0, "GC_AUTH_OK" },
        { GC_AUTH_ERR_INVALID_ARGUMENT, 1, "GC_AUTH_ERR_INVALID_ARGUMENT" },
        { GC_AUTH_ERR_INVALID_UTF8, 2, "GC_AUTH_ERR_INVALID_UTF8" },
        { GC_AUTH_ERR_BUFFER_TOO_SMALL, 3, "GC_AUTH_ERR_BUFFER_TOO_SMALL" },
        { GC_AUTH_ERR_CONFIG, 4, "GC_AUTH_ERR_CONFIG" },
        { GC_AUTH_ERR_FORKED, 5, "GC_AUTH_ERR_FORKED" },
        { GC_AUTH_ERR_NO_TOKEN, 20, "GC_AUTH_ERR_NO_TOKEN" },
        { GC_AUTH_ERR_NO_REFRESH_TOKEN, 21, "GC_AUTH_ERR_NO_REFRESH_TOKEN" },
        { GC_AUTH_ERR_TOKEN_EXPIRED, 22, "GC_AUTH_ERR_TOKEN_EXPIRED" },
        { GC_AUTH_ERR_TOKEN_MALFORMED, 23, "GC_AUTH_ERR_TOKEN_MALFORMED" },
        { GC_AUTH_ERR_CLAIMS_MALFORMED, 24, "GC_AUTH_ERR_CLAIMS_MALFORMED" },
        { GC_AUTH_ERR_CLAIM_MISSING, 25, "GC_AUTH_ERR_CLAIM_MISSING" },
        { GC_AUTH_ERR_SIGNATURE_INVALID, 26, "GC_AUTH_ERR_SIGNATURE_INVALID" },
        { GC_AUTH_ERR_ALGORITHM_REFUSED, 27, "GC_AUTH_ERR_ALGORITHM_REFUSED" },
        { GC_AUTH_ERR_KEY_INVALID, 28, "GC_AUTH_ERR_KEY_INVALID" },
        { GC_AUTH_ERR_TOKEN_NOT_YET_VALID, 29, "GC_AUTH_ERR_TOKEN_NOT_YET_VALID" },
        { GC_AUTH_ERR_UNAUTHORIZED, 30, "GC_AUTH_ERR_UNAUTHORIZED" },
        { GC_AUTH_ERR_CONNECT, 40, "GC_AUTH_ERR_CONNECT" },
        { GC_AUTH_ERR_TIMEOUT, 41, "GC_AUTH_ERR_TIMEOUT" },
        { GC_AUTH_ERR_TLS, 42, "GC_AUTH_ERR_TLS" },
        { GC_AUTH_ERR_INSECURE, 43, "GC_AUTH_ERR_INSECURE" },
        { GC_AUTH_ERR_HTTP, 60, "GC_AUTH_ERR_HTTP" },
        { GC_AUTH_ERR_RATE_LIMITED, 61, "GC_AUTH_ERR_RATE_LIMITED" },
        { GC_AUTH_ERR_SERVER, 62, "GC_AUTH_ERR_SERVER" },
        { GC_AUTH_ERR_PROTOCOL, 63, "GC_AUTH_ERR_PROTOCOL" },
        { GC_AUTH_ERR_STORE, 80, "GC_AUTH_ERR_STORE" },
        { GC_AUTH_ERR_LOCK_TIMEOUT, 81, "GC_AUTH_ERR_LOCK_TIMEOUT" },
        { GC_AUTH_ERR_NO_MEMORY, 98, "GC_AUTH_ERR_NO_MEMORY" },
        { GC_AUTH_ERR_INTERNAL, 99, "GC_AUTH_ERR_INTERNAL" },
    };
    int value, major, minor, patch;
    size_t i;

    for (i = 0; i < sizeof all / sizeof *all; i++) {
        CHECK_INT(all[i].value, all[i].number);
        CHECK_TEXT(gc_auth_status_name(all[i].value), all[i].name);
    }
    CHECK_TEXT(gc_auth_status_name(-1), "unknown status");
    CHECK_TEXT(gc_auth_status_name(6), "unknown status");
    CHECK_TEXT(gc_auth_status_name(INT32_MAX), "unknown status");
    CHECK_TEXT(gc_auth_status_name(INT32_MIN), "unknown status");
    for (value = -300; value < 300; value++) {
        CHECK(gc_auth_status_name(value) != NULL);
    }
    CHECK_INT(gc_auth_version_number(), GC_AUTH_VERSION_NUMBER);
    CHECK_INT(sscanf(gc_auth_version_string(), "%d.%d.%d", &major, &minor, &patch), 3);
    CHECK_INT(major * 10000 + minor * 100 + patch, GC_AUTH_VERSION_NUMBER);
    CHECK(gc_auth_version_string() == gc_auth_version_string());
    CHECK(sizeof(gc_auth_status_t) == 4 && (gc_auth_status_t)-1 < 0);
}

/* Inputs are copied: what the caller does to them afterwards is nobody's business. */
static void inputs_are_copied(const struct sandbox *sandbox)
{
    char config[4096], token[64] = "opaque-token", refresh[64] = "opaque-refresh", env[16] = "sandbox", *text;
    gc_auth_t *auth = NULL;
    snprintf(config, sizeof config, "%s", config_for(sandbox, sandbox->http, ""));
    REQUIRE_OK(gc_auth_new(config, token, refresh, env, &auth));
    memset(config, 'x', sizeof config);
    memset(token, 'x', sizeof token);
    memset(refresh, 'x', sizeof refresh);
    memset(env, 'x', sizeof env);
    text = text_of(gc_auth_token, auth);
    CHECK_TEXT(text, "opaque-token");
    free(text);
    text = text_of(gc_auth_refresh_token, auth);
    CHECK_TEXT(text, "opaque-refresh");
    free(text);
    text = text_of(gc_auth_env, auth);
    CHECK_TEXT(text, "sandbox");
    free(text);
    text = text_of(gc_auth_host, auth);
    CHECK_TEXT(text, sandbox->http);
    free(text);
    gc_auth_free(auth);
}

/* What the session knows of its being shared; the rest of its rules are those of all getters. */
static void session_info(struct sandbox *sandbox)
{
    gc_auth_t *auth = sandbox_session(sandbox, "");
    char *text = text_of(gc_auth_session_info, auth);
    CHECK_HOLDS(text, "{\"generation\":1,\"store\":\"memory\",\"lock\":\"none\",\"renewed_at\":");
    CHECK_HOLDS(text, "\"made\":0,\"joined\":0,\"adopted\":0,\"expires_in\":");
    free(text);
    CHECK_OK(gc_auth_refresh(auth, "genomes"));
    text = text_of(gc_auth_session_info, auth);
    CHECK_HOLDS(text, "{\"generation\":2,");
    CHECK_HOLDS(text, "\"scope\":\"genomes\"");
    CHECK_HOLDS(text, "\"made\":1,");
    free(text);
    CHECK_OK(gc_auth_logout(auth));
    text = text_of(gc_auth_session_info, auth);
    CHECK_HOLDS(text, "{\"generation\":3,\"store\":\"memory\",\"lock\":\"none\",\"made\":1,\"joined\":0,\"adopted\":0,"
                      "\"logged_out_by\":\"");
    CHECK_HOLDS(text, "\"logged_out_at\":");
    free(text);
    CHECK_STATUS(gc_auth_session_info(NULL, NULL, 0, NULL), GC_AUTH_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(gc_auth_session_info(auth, NULL, 0, NULL), GC_AUTH_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(gc_auth_session_info(auth, NULL, 9, NULL), GC_AUTH_ERR_INVALID_ARGUMENT);
    gc_auth_free(auth);
}

/* What it tells of trouble, and that it tells nothing of what has passed. */
static void session_health(struct sandbox *sandbox)
{
    char members[700], place[700];
    gc_auth_t *auth;
    char *text;
    sprintf(members, "\"store\":\"file:%s/health\"", sandbox->dir);
    sprintf(place, "\"place\":\"%s/health\"", sandbox->dir);
    auth = sandbox_session(sandbox, members);
    text = text_of(gc_auth_session_info, auth);
    CHECK_HOLDS(text, place);
    CHECK(strstr(text, "refused_") == NULL && strstr(text, "last_failure") == NULL && strstr(text, "next_try_at") == NULL);
    free(text);

    sandbox_fault(sandbox, "{\"on\":\"refresh\",\"do\":{\"status\":{\"code\":401,\"body\":{\"json\":{\"error\":\"invalid_grant\"}}}}}");
    CHECK_STATUS(gc_auth_refresh(auth, NULL), GC_AUTH_ERR_UNAUTHORIZED);
    text = text_of(gc_auth_session_info, auth);
    CHECK_HOLDS(text, "\"refused_with\":401,\"refused_at\":1");
    CHECK_HOLDS(text, "\"last_failure\":{\"status\":\"GC_AUTH_ERR_UNAUTHORIZED\",\"message\":\"refresh at ");
    CHECK_HOLDS(text, "invalid_grant");
    CHECK_HOLDS(text, ",\"at\":1");
    CHECK(strstr(text, "next_try_at") == NULL);
    free(text);

    CHECK_OK(gc_auth_refresh(auth, NULL));
    text = text_of(gc_auth_session_info, auth);
    CHECK(strstr(text, "refused_") == NULL && strstr(text, "last_failure") == NULL);
    free(text);
    gc_auth_free(auth);
}

int main(void)
{
    static const char *const options[] = { "--alg", "EdDSA", NULL };
    struct sandbox sandbox;
    gc_auth_t *auth;
    size_t i;

    check_begin();
    sandbox_start(&sandbox, options);
    public_key = file_text(sandbox.dir, "public.pem");
    statuses_and_versions();
    new_and_from_json(&sandbox);
    inputs_are_copied(&sandbox);
    auth = sandbox_session(&sandbox, "");
    for (i = 0; i < sizeof getters / sizeof *getters; i++) {
        text_out(auth, getters[i].name, getters[i].get);
    }
    login_and_refresh(&sandbox, auth);
    rejected_and_logout(auth);
    project_and_decode(auth);
    bearer_expiry(auth);
    renewed_by_a_size_query(&sandbox, auth);
    session_info(&sandbox);
    session_health(&sandbox);
    gc_auth_free(auth);
    free(public_key);
    sandbox_stop(&sandbox);
    return check_end();
}
