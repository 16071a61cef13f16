/* Renewal as the caller of gc_auth_bearer() sees it. What a token is at the time is set by its own times, and what the
 * server was asked is counted by the server: nothing here depends on how fast anything is. */

#include "check.h"
#include "jwt.h"
#include "sandbox.h"
#include "threads.h"

static struct sandbox sandbox;

/* A handle with `token`, which is freed, and a refresh token that the server takes. */
static gc_auth_t *with_token(char *token, const char *more)
{
    gc_auth_t *login = sandbox_session(&sandbox, ""), *auth;
    char *refresh_token = text_of(gc_auth_refresh_token, login);
    auth = sandbox_handle(&sandbox, more, token, refresh_token);
    gc_auth_free(login);
    free(refresh_token);
    free(token);
    sandbox_post(&sandbox, "reset", "");
    return auth;
}

static long refreshes(void)
{
    return sandbox_counter(&sandbox, "refresh");
}

/* Outside of the window the token is handed out, and nobody is asked. */
static void fresh(void)
{
    gc_auth_t *auth = with_token(jwt_fresh(), "");
    char *token = text_of(gc_auth_token, auth), *bearer;
    int i;
    for (i = 0; i < 1000; i++) {
        bearer = text_of(bearer_text, auth);
        CHECK(bearer && strcmp(bearer + 7, token) == 0);
        free(bearer);
    }
    CHECK_INT(sandbox_counter(&sandbox, "connections"), 0);
    free(token);
    gc_auth_free(auth);

    /* The window is renew_before_s, or a third of the life if that is shorter. */
    auth = with_token(jwt_with_times(-1000, 1000), "");
    free(text_of(bearer_text, auth));
    CHECK_INT(refreshes(), 0);
    gc_auth_free(auth);
    auth = with_token(jwt_with_times(-3000, 600), "\"renew_before_s\":300");
    free(text_of(bearer_text, auth));
    CHECK_INT(refreshes(), 0);
    gc_auth_free(auth);
    auth = with_token(jwt_with_times(-3000, 600), "\"renew_before_s\":700");
    free(text_of(bearer_text, auth));
    CHECK_INT(refreshes(), 1);
    gc_auth_free(auth);
    auth = with_token(jwt_with_times(-1500, 500), "");
    free(text_of(bearer_text, auth));
    CHECK_INT(refreshes(), 1);
    gc_auth_free(auth);
}

/* In the window one caller renews, and all others have the valid token at once. */
static void early(void)
{
    gc_auth_t *auth = with_token(jwt_due(), "\"timeout_ms\":120000");
    char *old = text_of(gc_auth_token, auth), *new;
    struct crew *crew;
    int i, with_old = 0, with_new = 0;

    sandbox_fault(&sandbox, "{\"on\":\"refresh\",\"do\":{\"hold\":{}}}");
    crew = crew_start(auth, MOST_THREADS, work_bearer, NULL);
    CHECK(crew_await_ended(crew, MOST_THREADS - 1));
    CHECK(sandbox_await_held(&sandbox, 1));
    /* More calls while the renewal is under way: the valid token, at once. */
    for (i = 0; i < 100; i++) {
        char *bearer = text_of(bearer_text, auth);
        CHECK(bearer && strcmp(bearer + 7, old) == 0);
        free(bearer);
    }
    CHECK_INT(crew->ended, MOST_THREADS - 1);
    sandbox_release(&sandbox);
    crew_join(crew);
    new = text_of(gc_auth_token, auth);
    CHECK(new && strcmp(new, old) != 0);
    for (i = 0; i < MOST_THREADS; i++) {
        CHECK_INT(crew->workers[i].status, GC_AUTH_OK);
        with_old += strcmp(crew->workers[i].text + 7, old) == 0;
        with_new += strcmp(crew->workers[i].text + 7, new) == 0;
    }
    CHECK_INT(with_new, 1);
    CHECK_INT(with_old, MOST_THREADS - 1);
    CHECK_INT(refreshes(), 1);
    CHECK_INT(sandbox_counter(&sandbox, "refreshes"), 1);
    free(crew);
    free(old);
    free(new);
    gc_auth_free(auth);
}

/* Expired: all wait for one renewal, and have its token. */
static void expired(void)
{
    gc_auth_t *auth = with_token(jwt_expired(), "\"timeout_ms\":120000");
    struct crew *crew;
    char *new;
    int i;
    sandbox_fault(&sandbox, "{\"on\":\"refresh\",\"do\":{\"hold\":{}}}");
    crew = crew_start(auth, MOST_THREADS, work_bearer, NULL);
    CHECK(sandbox_await_held(&sandbox, 1));
    crew_await_begun(crew);
    CHECK_INT(crew->ended, 0);
    sandbox_release(&sandbox);
    crew_join(crew);
    new = text_of(gc_auth_token, auth);
    for (i = 0; i < MOST_THREADS; i++) {
        CHECK_INT(crew->workers[i].status, GC_AUTH_OK);
        CHECK_TEXT(crew->workers[i].text + 7, new);
        CHECK(crew->workers[i].expires_at == crew->workers[0].expires_at);
    }
    CHECK_INT(refreshes(), 1);
    free(crew);
    free(new);
    gc_auth_free(auth);
}

/* A token that was reported as rejected is not handed out again; one renewal for all who report it. */
static void work_report(struct worker *worker)
{
    worker->status = gc_auth_report_rejected(worker->crew->auth, worker->crew->argument);
    if (worker->status == GC_AUTH_OK) {
        work_bearer(worker);
    }
}

static void rejected(void)
{
    gc_auth_t *auth = with_token(jwt_fresh(), "\"timeout_ms\":120000");
    char *old = text_of(bearer_text, auth), *new;
    struct crew *crew = crew_start(auth, MOST_THREADS, work_report, old);
    int i;
    crew_join(crew);
    new = text_of(bearer_text, auth);
    CHECK(new && strcmp(new, old) != 0);
    for (i = 0; i < MOST_THREADS; i++) {
        CHECK_INT(crew->workers[i].status, GC_AUTH_OK);
        CHECK_TEXT(crew->workers[i].text, new);
    }
    CHECK_INT(refreshes(), 1);
    free(crew);
    /* The old one again: nothing happens. The new one: the token that has just come is renewed all the same. */
    CHECK_OK(gc_auth_report_rejected(auth, old));
    free(text_of(bearer_text, auth));
    CHECK_INT(refreshes(), 1);
    CHECK_OK(gc_auth_report_rejected(auth, new));
    CHECK_INT(refreshes(), 1);
    free(old);
    old = text_of(bearer_text, auth);
    CHECK(old && strcmp(old, new) != 0);
    CHECK_INT(refreshes(), 2);
    free(old);
    free(new);
    gc_auth_free(auth);

    /* A report during a renewal of the same token is not lost, and makes no second renewal. */
    auth = with_token(jwt_due(), "\"timeout_ms\":120000");
    old = text_of(gc_auth_token, auth);
    sandbox_fault(&sandbox, "{\"on\":\"refresh\",\"do\":{\"hold\":{}}}");
    crew = crew_start(auth, 1, work_bearer, NULL);
    CHECK(sandbox_await_held(&sandbox, 1));
    CHECK_OK(gc_auth_report_rejected(auth, old));
    {
        /* From now on the old token is handed out to nobody. */
        struct crew *second = crew_start(auth, 4, work_bearer, NULL);
        crew_await_begun(second);
        CHECK_INT(second->ended, 0);
        sandbox_release(&sandbox);
        crew_join(second);
        crew_join(crew);
        for (i = 0; i < 4; i++) {
            CHECK_INT(second->workers[i].status, GC_AUTH_OK);
            CHECK(strcmp(second->workers[i].text + 7, old) != 0);
        }
        free(second);
    }
    CHECK_INT(refreshes(), 1);
    free(crew);
    free(old);
    gc_auth_free(auth);

    /* If the server can't be reached, the token is handed out after all; if it refuses, it is not. */
    auth = with_token(jwt_fresh(), "\"retries\":0");
    old = text_of(bearer_text, auth);
    CHECK_OK(gc_auth_report_rejected(auth, old));
    sandbox_fault(&sandbox, "{\"on\":\"connection\",\"times\":\"forever\",\"do\":{\"drop\":{\"at\":\"before-reading\"}}}");
    new = text_of(bearer_text, auth);
    CHECK_TEXT(new, old);
    free(new);
    sandbox_clear_faults(&sandbox);
    free(old);
    gc_auth_free(auth);
    auth = with_token(jwt_fresh(), "\"retries\":0");
    old = text_of(bearer_text, auth);
    CHECK_OK(gc_auth_report_rejected(auth, old));
    sandbox_fault(&sandbox, "{\"on\":\"refresh\",\"do\":{\"status\":{\"code\":401}}}");
    CHECK_STATUS(gc_auth_bearer(auth, NULL, 0, (size_t[]){ 0 }, NULL), GC_AUTH_ERR_UNAUTHORIZED);
    CHECK_STATUS(gc_auth_bearer(auth, NULL, 0, (size_t[]){ 0 }, NULL), GC_AUTH_ERR_UNAUTHORIZED);
    CHECK_INT(refreshes(), 1);
    new = text_of(gc_auth_token, auth);
    CHECK_TEXT(new, old + 7);
    free(new);
    free(old);
    gc_auth_free(auth);
}

/* An early renewal that fails, for whatever reason, is nobody's concern, and is not tried again at once. */
static void early_failures(void)
{
    static const char *const effects[] = { "{\"status\":{\"code\":500}}", "{\"status\":{\"code\":401}}",
        "{\"status\":{\"code\":418}}", "{\"status\":{\"code\":429}}", "\"broken-json\"", "\"garbage\"",
        "{\"drop\":{\"at\":\"after-processing\"}}", "{\"redirect\":{\"code\":302}}" };
    size_t i;
    for (i = 0; i < sizeof effects / sizeof *effects; i++) {
        gc_auth_t *auth = with_token(jwt_due(), "\"retries\":0");
        char fault[256], *old = text_of(gc_auth_token, auth), *bearer;
        int k;
        snprintf(fault, sizeof fault, "{\"on\":\"refresh\",\"times\":\"forever\",\"do\":%s}", effects[i]);
        sandbox_fault(&sandbox, fault);
        for (k = 0; k < 50; k++) {
            bearer = text_of(bearer_text, auth);
            CHECK(bearer && strcmp(bearer + 7, old) == 0);
            CHECK_INT(gc_auth_last_error_status(), GC_AUTH_OK);
            free(bearer);
        }
        CHECK_INT(refreshes(), 1);
        sandbox_clear_faults(&sandbox);
        gc_auth_free(auth);
        free(old);
    }
    /* Nobody there at all. */
    {
        gc_auth_t *auth = with_token(jwt_due(), "\"retries\":0");
        char *old = text_of(gc_auth_token, auth), *bearer;
        sandbox_fault(&sandbox, "{\"on\":\"connection\",\"times\":\"forever\",\"do\":{\"drop\":{\"at\":\"before-reading\"}}}");
        bearer = text_of(bearer_text, auth);
        CHECK(bearer && strcmp(bearer + 7, old) == 0);
        free(bearer);
        sandbox_clear_faults(&sandbox);
        free(old);
        gc_auth_free(auth);
    }
    /* Without a refresh token there is nothing to try. */
    {
        char *token = jwt_due(), *bearer;
        gc_auth_t *auth = sandbox_handle(&sandbox, "", token, NULL);
        sandbox_post(&sandbox, "reset", "");
        bearer = text_of(bearer_text, auth);
        CHECK(bearer && strcmp(bearer + 7, token) == 0);
        CHECK_INT(sandbox_counter(&sandbox, "connections"), 0);
        free(bearer);
        free(token);
        gc_auth_free(auth);
    }
}

/* Once expired, a failure is told; the same error comes back without network for a second, then it is tried again. */
static void late_failures(void)
{
    gc_auth_t *auth = with_token(jwt_expired(), "\"retries\":0");
    struct crew *crew;
    double began = now_s();
    int i;

    sandbox_fault(&sandbox, "{\"on\":\"refresh\",\"times\":\"forever\",\"do\":{\"status\":{\"code\":500}}}");
    CHECK_STATUS(gc_auth_bearer(auth, NULL, 0, (size_t[]){ 0 }, NULL), GC_AUTH_ERR_SERVER);
    CHECK_INT(gc_auth_last_error_http_status(), 500);
    for (i = 0; i < 20; i++) {
        CHECK_STATUS(gc_auth_bearer(auth, NULL, 0, (size_t[]){ 0 }, NULL), GC_AUTH_ERR_SERVER);
        CHECK_INT(gc_auth_last_error_http_status(), 500);
    }
    /* On a machine so busy that the second has gone by, it may have been tried again. */
    if (now_s() - began < 0.9) {
        CHECK_INT(refreshes(), 1);
        pause_ms(1200);
        CHECK_STATUS(gc_auth_bearer(auth, NULL, 0, (size_t[]){ 0 }, NULL), GC_AUTH_ERR_SERVER);
        CHECK_INT(refreshes(), 2);
    }
    /* gc_auth_refresh() always tries. */
    i = (int)refreshes();
    CHECK_STATUS(gc_auth_refresh(auth, NULL), GC_AUTH_ERR_SERVER);
    CHECK_INT(refreshes(), i + 1);
    sandbox_clear_faults(&sandbox);
    CHECK_OK(gc_auth_refresh(auth, NULL));
    CHECK_OK(gc_auth_bearer(auth, (char[4096]){ 0 }, 4096, NULL, NULL));
    gc_auth_free(auth);

    /* All who wait for a renewal that fails have its error. */
    auth = with_token(jwt_expired(), "\"retries\":0,\"timeout_ms\":120000");
    sandbox_fault(&sandbox, "{\"on\":\"refresh\",\"times\":1,\"do\":[{\"hold\":{}},{\"status\":{\"code\":503,"
                            "\"headers\":{\"Retry-After\":\"600\"}}}]}");
    crew = crew_start(auth, 32, work_bearer, NULL);
    CHECK(sandbox_await_held(&sandbox, 1));
    crew_await_begun(crew);
    sandbox_release(&sandbox);
    crew_join(crew);
    for (i = 0; i < 32; i++) {
        CHECK_INT(crew->workers[i].status, GC_AUTH_ERR_SERVER);
        CHECK_INT(crew->workers[i].http_status, 503);
    }
    CHECK_INT(refreshes(), 1);
    free(crew);
    gc_auth_free(auth);
}

/* A refresh token that the server refused is never sent again by itself; a login makes all good. */
static void refused(void)
{
    gc_auth_t *auth = with_token(jwt_expired(), "");
    int i;
    sandbox_fault(&sandbox, "{\"on\":\"refresh\",\"times\":2,\"do\":{\"status\":{\"code\":403}}}");
    for (i = 0; i < 5; i++) {
        CHECK_STATUS(gc_auth_bearer(auth, NULL, 0, (size_t[]){ 0 }, NULL), GC_AUTH_ERR_UNAUTHORIZED);
        CHECK_INT(gc_auth_last_error_http_status(), 403);
        pause_ms(i == 2 ? 2200 : 10);
    }
    CHECK_INT(refreshes(), 1);
    CHECK_STATUS(gc_auth_refresh(auth, NULL), GC_AUTH_ERR_UNAUTHORIZED);
    CHECK_INT(refreshes(), 2);
    CHECK_STATUS(gc_auth_bearer(auth, NULL, 0, (size_t[]){ 0 }, NULL), GC_AUTH_ERR_UNAUTHORIZED);
    CHECK_INT(refreshes(), 2);
    CHECK_OK(log_in(auth));
    CHECK_OK(gc_auth_bearer(auth, (char[4096]){ 0 }, 4096, NULL, NULL));
    CHECK_OK(gc_auth_refresh(auth, NULL));
    CHECK_INT(refreshes(), 3);
    gc_auth_free(auth);
}

/* gc_auth_refresh(NULL): a renewal that somebody else made after the call began is enough. */
static void joined_refresh(void)
{
    gc_auth_t *auth = with_token(jwt_fresh(), "\"timeout_ms\":120000");
    struct crew *first, *others;
    int i;
    sandbox_fault(&sandbox, "{\"on\":\"refresh\",\"do\":{\"hold\":{}}}");
    first = crew_start(auth, 1, work_refresh, NULL);
    CHECK(sandbox_await_held(&sandbox, 1));
    others = crew_start(auth, 32, work_refresh, NULL);
    crew_await_begun(others);
    CHECK_INT(others->ended, 0);
    sandbox_release(&sandbox);
    crew_join(first);
    crew_join(others);
    CHECK_INT(first->workers[0].status, GC_AUTH_OK);
    for (i = 0; i < 32; i++) {
        CHECK_INT(others->workers[i].status, GC_AUTH_OK);
    }
    CHECK_INT(refreshes(), 1);
    free(first);
    free(others);
    /* Another scope is another matter: it is sent on its own. */
    sandbox_fault(&sandbox, "{\"on\":\"refresh\",\"do\":{\"hold\":{}}}");
    first = crew_start(auth, 1, work_refresh, NULL);
    CHECK(sandbox_await_held(&sandbox, 1));
    others = crew_start(auth, 2, work_refresh, "genomes");
    crew_await_begun(others);
    sandbox_release(&sandbox);
    crew_join(first);
    crew_join(others);
    CHECK_INT(first->workers[0].status, GC_AUTH_OK);
    CHECK_INT(others->workers[0].status, GC_AUTH_OK);
    CHECK_INT(others->workers[1].status, GC_AUTH_OK);
    {
        char *text = text_of(gc_auth_decoded_token, auth);
        CHECK_HOLDS(text, "\"project\":\"genomes\"");
        free(text);
    }
    CHECK_INT(refreshes(), 3);
    free(first);
    free(others);
    gc_auth_free(auth);
    /* One after the other: each call renews. */
    auth = sandbox_session(&sandbox, "");
    i = (int)refreshes();
    CHECK_OK(gc_auth_refresh(auth, NULL));
    CHECK_OK(gc_auth_refresh(auth, NULL));
    CHECK_INT(refreshes(), i + 2);
    gc_auth_free(auth);
}

/* The last request that the server saw; in memory to free. */
static char *last_request(void)
{
    char *all = sandbox_control(&sandbox, "GET", "requests", NULL), *at = all, *last = all, *copy;
    while ((at = strstr(at, "{\"body\":")) != NULL) {
        last = at++;
    }
    copy = malloc(strlen(last) + 1);
    strcpy(copy, last);
    free(all);
    return copy;
}

/* What goes over the wire. */
static void requests(void)
{
    gc_auth_t *auth = sandbox_handle(&sandbox, "", NULL, NULL);
    char *text, *refresh_token, *token, part[4096];
    int i;

    /* A login, with and without a project: no Authorization header, the project left out */
    CHECK_OK(gc_auth_login(auth, USER, PASSWORD, ORGANIZATION, NULL));
    text = last_request();
    CHECK_HOLDS(text, "\"method\":\"POST\"");
    CHECK_HOLDS(text, "\"path\":\"/api/v1/frontdesk/login\"");
    CHECK_HOLDS(text, "{\\\"username\\\":\\\"ada\\\",\\\"password\\\":\\\"lovelace\\\","
                      "\\\"organization\\\":\\\"analytical-engines\\\"}");
    CHECK_LACKS(text, "project");
    CHECK_LACKS(text, "uthorization");
    CHECK_HOLDS(text, "application/json");
    snprintf(part, sizeof part, "gcauth/%s", gc_auth_version_string());
    CHECK_HOLDS(text, part);
    free(text);
    CHECK_OK(gc_auth_login(auth, USER, PASSWORD, ORGANIZATION, "genomes"));
    text = last_request();
    CHECK_HOLDS(text, "\\\"project\\\":\\\"genomes\\\"");
    free(text);

    /* All later renewals keep it, whoever makes them. */
    for (i = 0; i < 3; i++) {
        refresh_token = text_of(gc_auth_refresh_token, auth);
        token = text_of(gc_auth_token, auth);
        if (i == 0) {
            CHECK_OK(gc_auth_refresh(auth, NULL));
        } else if (i == 1) {
            CHECK_OK(gc_auth_refresh(auth, ""));
        } else {
            CHECK_OK(gc_auth_report_rejected(auth, token));
            free(text_of(bearer_text, auth));
        }
        text = last_request();
        CHECK_HOLDS(text, "\"path\":\"/api/v1/auth/refresh-token\"");
        snprintf(part, sizeof part, "{\\\"token\\\":\\\"%s\\\",\\\"refreshToken\\\":\\\"%s\\\",\\\"project\\\":\\\"genomes\\\"}",
                 token, refresh_token);
        CHECK_HOLDS(text, part);
        CHECK_LACKS(text, "uthorization");
        free(text);
        free(token);
        free(refresh_token);
    }
    /* A refresh to another project scopes the session from then on; one that fails does not. */
    CHECK_OK(gc_auth_refresh(auth, "exomes"));
    CHECK_OK(gc_auth_refresh(auth, NULL));
    text = last_request();
    CHECK_HOLDS(text, "\\\"project\\\":\\\"exomes\\\"");
    free(text);
    CHECK_STATUS(gc_auth_refresh(auth, "nothing"), GC_AUTH_ERR_UNAUTHORIZED);
    CHECK_OK(gc_auth_refresh(auth, NULL));
    text = last_request();
    CHECK_HOLDS(text, "\\\"project\\\":\\\"exomes\\\"");
    free(text);
    /* A login without a project ends the scope. */
    CHECK_OK(gc_auth_login(auth, USER, PASSWORD, ORGANIZATION, NULL));
    CHECK_OK(gc_auth_refresh(auth, NULL));
    text = last_request();
    CHECK_LACKS(text, "project");
    free(text);

    /* With a refresh token only, the token is left out. */
    refresh_token = text_of(gc_auth_refresh_token, auth);
    gc_auth_free(auth);
    auth = sandbox_handle(&sandbox, "", NULL, refresh_token);
    CHECK_STATUS(gc_auth_token(auth, NULL, 0, (size_t[]){ 0 }), GC_AUTH_ERR_NO_TOKEN);
    CHECK_OK(gc_auth_bearer(auth, part, sizeof part, NULL, NULL));
    text = last_request();
    snprintf(part, sizeof part, "\"raw_body\":\"{\\\"refreshToken\\\":\\\"%s\\\"}\"", refresh_token);
    CHECK_HOLDS(text, part);
    free(text);
    free(refresh_token);
    gc_auth_free(auth);

    /* Text that JSON has to escape arrives as it was. */
    auth = sandbox_handle(&sandbox, "", NULL, NULL);
    CHECK_STATUS(gc_auth_login(auth, "q\"b\\s/\t\x01\xc3\xa9\xf0\x9f\x98\x80", "p\"w", "o", "p"), GC_AUTH_ERR_UNAUTHORIZED);
    text = last_request();
    CHECK_HOLDS(text, "\"username\":\"q\\\"b\\\\s/\\t\\u0001\xc3\xa9\xf0\x9f\x98\x80\"");
    CHECK_HOLDS(text, "\"password\":\"p\\\"w\"");
    free(text);
    gc_auth_free(auth);
}

/* A login is never repeated once its bytes are on the way; a lost answer of a refresh is asked for once more. */
static void repeats(void)
{
    static const char *const points[] = { "before-reading", "before-processing", "after-processing", "mid-headers",
        "mid-body" };
    gc_auth_t *auth;
    size_t i;
    for (i = 0; i < sizeof points / sizeof *points; i++) {
        char fault[256];
        auth = sandbox_session(&sandbox, "\"retries\":3");
        sandbox_post(&sandbox, "reset", "");
        snprintf(fault, sizeof fault, "{\"on\":\"login\",\"times\":\"forever\",\"do\":{\"drop\":{\"at\":\"%s\"}}}",
                 points[i]);
        sandbox_fault(&sandbox, fault);
        CHECK_STATUS(log_in(auth), GC_AUTH_ERR_CONNECT);
        CHECK_INT(sandbox_counter(&sandbox, "login"), 1);
        sandbox_clear_faults(&sandbox);
        gc_auth_free(auth);
    }
    auth = sandbox_handle(&sandbox, "\"retries\":3", NULL, NULL);
    sandbox_post(&sandbox, "reset", "");
    sandbox_fault(&sandbox, "{\"on\":\"login\",\"times\":\"forever\",\"do\":{\"status\":{\"code\":503}}}");
    CHECK_STATUS(log_in(auth), GC_AUTH_ERR_SERVER);
    CHECK_INT(sandbox_counter(&sandbox, "login"), 1);
    sandbox_clear_faults(&sandbox);
    gc_auth_free(auth);

    auth = with_token(jwt_expired(), "\"retries\":3");
    sandbox_fault(&sandbox, "{\"on\":\"refresh\",\"times\":1,\"do\":{\"drop\":{\"at\":\"before-processing\"}}}");
    CHECK_OK(gc_auth_bearer(auth, (char[4096]){ 0 }, 4096, NULL, NULL));
    CHECK_INT(refreshes(), 2);
    gc_auth_free(auth);
    auth = with_token(jwt_expired(), "\"retries\":2");
    sandbox_fault(&sandbox, "{\"on\":\"refresh\",\"times\":2,\"do\":{\"status\":{\"code\":503}}}");
    CHECK_OK(gc_auth_bearer(auth, (char[4096]){ 0 }, 4096, NULL, NULL));
    CHECK_INT(refreshes(), 3);
    gc_auth_free(auth);
}

/* A renewal that is under way does not bring a session back that has been logged out. */
static void logout_during_a_renewal(void)
{
    int kind;
    for (kind = 0; kind < 3; kind++) {
        gc_auth_t *auth = with_token(kind == 0 ? jwt_due() : jwt_expired(), "\"timeout_ms\":120000");
        struct crew *crew;
        char *text;
        sandbox_fault(&sandbox, "{\"on\":\"refresh\",\"do\":{\"hold\":{}}}");
        crew = crew_start(auth, kind == 2 ? 1 : 4, kind == 2 ? work_refresh : work_bearer, NULL);
        CHECK(sandbox_await_held(&sandbox, 1));
        CHECK_OK(gc_auth_logout(auth));
        CHECK_STATUS(gc_auth_token(auth, NULL, 0, (size_t[]){ 0 }), GC_AUTH_ERR_NO_TOKEN);
        CHECK_STATUS(gc_auth_bearer(auth, NULL, 0, (size_t[]){ 0 }, NULL), GC_AUTH_ERR_NO_TOKEN);
        sandbox_release(&sandbox);
        crew_join(crew);
        CHECK_STATUS(gc_auth_token(auth, NULL, 0, (size_t[]){ 0 }), GC_AUTH_ERR_NO_TOKEN);
        CHECK_STATUS(gc_auth_refresh_token(auth, NULL, 0, (size_t[]){ 0 }), GC_AUTH_ERR_NO_REFRESH_TOKEN);
        CHECK_STATUS(gc_auth_bearer(auth, NULL, 0, (size_t[]){ 0 }, NULL), GC_AUTH_ERR_NO_TOKEN);
        text = text_of(gc_auth_to_json, auth);
        CHECK_LACKS(text, "token\"");
        free(text);
        CHECK_OK(log_in(auth));
        free(text_of(bearer_text, auth));
        free(crew);
        gc_auth_free(auth);
    }
}

/* Logins, refreshes, reports, reads, exports and logouts all at once: nothing but the statuses that belong there. */
static void work_everything(struct worker *worker)
{
    gc_auth_t *auth = worker->crew->auth;
    char buf[8192];
    int64_t number;
    int i;
    for (i = 0; i < 12; i++) {
        gc_auth_status_t status = GC_AUTH_OK;
        switch ((worker->number + i) % 9) {
        case 0: status = log_in(auth); break;
        case 1: status = gc_auth_refresh(auth, NULL); break;
        case 2: status = gc_auth_refresh(auth, "genomes"); break;
        case 3: status = gc_auth_bearer(auth, buf, sizeof buf, NULL, &number); break;
        case 4: status = gc_auth_report_rejected(auth, gc_auth_bearer(auth, buf, sizeof buf, NULL, NULL) ? "x" : buf); break;
        case 5: status = gc_auth_to_json(auth, buf, sizeof buf, NULL); break;
        case 6: status = gc_auth_decoded_token(auth, buf, sizeof buf, NULL); break;
        case 7: status = gc_auth_project_id(auth, &number); break;
        case 8: status = worker->number == 8 ? gc_auth_logout(auth) : gc_auth_token(auth, buf, sizeof buf, NULL); break;
        }
        if (status != GC_AUTH_OK && status != GC_AUTH_ERR_NO_TOKEN && status != GC_AUTH_ERR_NO_REFRESH_TOKEN
            && status != GC_AUTH_ERR_CLAIM_MISSING) {
            fprintf(stderr, "in call %d of work_everything:\n", (worker->number + i) % 9);
            CHECK_STATUS(status, GC_AUTH_OK);
        }
    }
}

static void everything_at_once(void)
{
    gc_auth_t *auth = sandbox_session(&sandbox, "\"timeout_ms\":120000");
    struct crew *crew = crew_start(auth, 18, work_everything, NULL);
    crew_join(crew);
    CHECK_INT(sandbox_counter(&sandbox, "reuses"), 0);
    free(crew);
    gc_auth_free(auth);
}

/* A token of the server itself, in real time. */
static void in_real_time(void)
{
    gc_auth_t *auth;
    char *first, *second;
    int64_t expires = 0, again = 0;
    char buf[4096];

    sandbox_post(&sandbox, "reset", "");
    sandbox_post(&sandbox, "token-life", "{\"seconds\":6.0}");
    auth = sandbox_session(&sandbox, "");
    first = text_of(gc_auth_token, auth);
    CHECK_OK(gc_auth_bearer(auth, buf, sizeof buf, NULL, &expires));
    /* Its whole life has gone by, and a little more. */
    pause_ms(6200);
    CHECK_OK(gc_auth_bearer(auth, buf, sizeof buf, NULL, &again));
    CHECK(again > expires);
    CHECK(strcmp(buf + 7, first) != 0);
    CHECK_INT(refreshes(), 1);
    sandbox_post(&sandbox, "token-life", "{\"seconds\":3600}");
    CHECK_OK(gc_auth_report_rejected(auth, buf));
    second = text_of(bearer_text, auth);
    CHECK_INT(refreshes(), 2);
    free(first);
    free(second);
    gc_auth_free(auth);
}

int main(void)
{
    static const char *const options[] = { "--alg", "EdDSA", "--record-bodies", NULL };
    check_begin();
    sandbox_start(&sandbox, options);
    fresh();
    early();
    expired();
    rejected();
    early_failures();
    late_failures();
    refused();
    joined_refresh();
    requests();
    repeats();
    logout_during_a_renewal();
    everything_at_once();
    in_real_time();
    sandbox_stop(&sandbox);
    return check_end();
}
