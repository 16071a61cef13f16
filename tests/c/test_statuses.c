/* Every status that a login or a renewal can end with, each provoked by a server that does wrong, with all that the
 * last error says of it. The session is as before each time. */

#include "check.h"
#include "jwt.h"
#include "sandbox.h"
#include "threads.h"

static struct sandbox sandbox;

/* What a fault must lead to. */
struct fault_case {
    const char *effect;       /* the sandbox's "do" */
    gc_auth_status_t status;
    int http_status;
    int64_t retry_after_ms;
    const char *said;         /* what the message holds */
};

static const struct fault_case cases[] = {
    /* Refusals */
    { "{\"status\":{\"code\":400}}", GC_AUTH_ERR_UNAUTHORIZED, 400, -1, "as ordered" },
    { "{\"status\":{\"code\":401}}", GC_AUTH_ERR_UNAUTHORIZED, 401, -1, "HTTP 401" },
    { "{\"status\":{\"code\":403}}", GC_AUTH_ERR_UNAUTHORIZED, 403, -1, "HTTP 403" },
    { "{\"status\":{\"code\":404}}", GC_AUTH_ERR_UNAUTHORIZED, 404, -1, "HTTP 404" },
    { "{\"status\":{\"code\":401,\"body\":{\"json\":{\"message\":\"no\",\"details\":[\"first\",\"second\"]}}}}",
      GC_AUTH_ERR_UNAUTHORIZED, 401, -1, "no (first; second)" },
    { "{\"status\":{\"code\":401,\"body\":{\"json\":{\"details\":[\"only details\"]}}}}",
      GC_AUTH_ERR_UNAUTHORIZED, 401, -1, "only details" },
    { "{\"status\":{\"code\":401,\"body\":{\"json\":{\"message\":17,\"details\":\"x\"}}}}",
      GC_AUTH_ERR_UNAUTHORIZED, 401, -1, "HTTP 401" },
    { "{\"status\":{\"code\":401,\"body\":{\"text\":\"plain words\"}}}",
      GC_AUTH_ERR_UNAUTHORIZED, 401, -1, "plain words" },
    { "{\"status\":{\"code\":401,\"body\":{\"html\":\"<html><b>x</b></html>\"}}}",
      GC_AUTH_ERR_UNAUTHORIZED, 401, -1, "HTTP 401" },
    { "{\"status\":{\"code\":401,\"body\":\"empty\"}}", GC_AUTH_ERR_UNAUTHORIZED, 401, -1, "HTTP 401" },
    { "{\"status\":{\"code\":401,\"body\":\"not-utf8\"}}", GC_AUTH_ERR_UNAUTHORIZED, 401, -1, "HTTP 401" },
    { "{\"status\":{\"code\":401,\"body\":{\"json\":{\"message\":\"two\\r\\nlines\\u0007\\u202e!\"}}}}",
      GC_AUTH_ERR_UNAUTHORIZED, 401, -1, "two lines" },
    /* Other statuses */
    { "{\"status\":{\"code\":418}}", GC_AUTH_ERR_HTTP, 418, -1, "HTTP 418" },
    { "{\"status\":{\"code\":402}}", GC_AUTH_ERR_HTTP, 402, -1, "HTTP 402" },
    { "{\"status\":{\"code\":405}}", GC_AUTH_ERR_HTTP, 405, -1, "HTTP 405" },
    { "{\"status\":{\"code\":422}}", GC_AUTH_ERR_HTTP, 422, -1, "HTTP 422" },
    { "{\"status\":{\"code\":499}}", GC_AUTH_ERR_HTTP, 499, -1, "HTTP 499" },
    { "{\"status\":{\"code\":429}}", GC_AUTH_ERR_RATE_LIMITED, 429, -1, "HTTP 429" },
    { "{\"status\":{\"code\":429,\"headers\":{\"Retry-After\":\"120\"}}}",
      GC_AUTH_ERR_RATE_LIMITED, 429, 120000, "HTTP 429" },
    { "{\"status\":{\"code\":429,\"headers\":{\"Retry-After\":\"0\"}}}",
      GC_AUTH_ERR_RATE_LIMITED, 429, 0, "HTTP 429" },
    { "{\"status\":{\"code\":429,\"headers\":{\"Retry-After\":\"soon\"}}}",
      GC_AUTH_ERR_RATE_LIMITED, 429, -1, "HTTP 429" },
    { "{\"status\":{\"code\":429,\"headers\":{\"Retry-After\":\"-5\"}}}",
      GC_AUTH_ERR_RATE_LIMITED, 429, -1, "HTTP 429" },
    { "{\"status\":{\"code\":429,\"headers\":{\"Retry-After\":\"Sun, 06 Nov 1994 08:49:37 GMT\"}}}",
      GC_AUTH_ERR_RATE_LIMITED, 429, 0, "HTTP 429" },
    { "{\"status\":{\"code\":500}}", GC_AUTH_ERR_SERVER, 500, -1, "HTTP 500" },
    { "{\"status\":{\"code\":502}}", GC_AUTH_ERR_SERVER, 502, -1, "HTTP 502" },
    { "{\"status\":{\"code\":503,\"headers\":{\"Retry-After\":\"7\"}}}", GC_AUTH_ERR_SERVER, 503, 7000, "HTTP 503" },
    { "{\"status\":{\"code\":599}}", GC_AUTH_ERR_SERVER, 599, -1, "HTTP 599" },
    /* Redirects are never followed. */
    { "{\"redirect\":{\"code\":301}}", GC_AUTH_ERR_INSECURE, 301, -1, "redirect" },
    { "{\"redirect\":{\"code\":302,\"location\":\"https://elsewhere.example/\"}}",
      GC_AUTH_ERR_INSECURE, 302, -1, "redirect" },
    { "{\"redirect\":{\"code\":303}}", GC_AUTH_ERR_INSECURE, 303, -1, "redirect" },
    { "{\"redirect\":{\"code\":307}}", GC_AUTH_ERR_INSECURE, 307, -1, "redirect" },
    { "{\"redirect\":{\"code\":308}}", GC_AUTH_ERR_INSECURE, 308, -1, "redirect" },
    /* Answers that are not what they should be */
    { "\"broken-json\"", GC_AUTH_ERR_PROTOCOL, 0, -1, "JSON" },
    { "\"wrong-types\"", GC_AUTH_ERR_PROTOCOL, 0, -1, "token" },
    { "\"missing-token\"", GC_AUTH_ERR_PROTOCOL, 0, -1, "token" },
    { "{\"fields\":{\"set\":{\"token\":null}}}", GC_AUTH_ERR_PROTOCOL, 0, -1, "token" },
    { "{\"fields\":{\"set\":{\"token\":\"\"}}}", GC_AUTH_ERR_PROTOCOL, 0, -1, "token" },
    { "{\"fields\":{\"set\":{\"token\":{}}}}", GC_AUTH_ERR_PROTOCOL, 0, -1, "token" },
    { "{\"fields\":{\"set\":{\"refreshToken\":17}}}", GC_AUTH_ERR_PROTOCOL, 0, -1, "refreshToken" },
    { "{\"fields\":{\"set\":{\"refreshToken\":\"a b\"}}}", GC_AUTH_ERR_PROTOCOL, 0, -1, "refreshToken" },
    { "{\"token\":\"control-characters\"}", GC_AUTH_ERR_PROTOCOL, 0, -1, "token" },
    { "{\"body\":\"empty\"}", GC_AUTH_ERR_PROTOCOL, 0, -1, "the body is empty" },
    { "{\"body\":\"not-utf8\"}", GC_AUTH_ERR_PROTOCOL, 0, -1, "\"token\" holds" },
    { "{\"body\":{\"text\":\"OK\"}}", GC_AUTH_ERR_PROTOCOL, 0, -1, "JSON" },
    { "{\"body\":{\"html\":\"<html></html>\"}}", GC_AUTH_ERR_PROTOCOL, 0, -1, "JSON" },
    { "{\"body\":{\"json\":[1]}}", GC_AUTH_ERR_PROTOCOL, 0, -1, "JSON" },
    { "{\"body\":{\"json\":null}}", GC_AUTH_ERR_PROTOCOL, 0, -1, "JSON" },
    { "{\"body\":{\"raw\":\"{\\\"token\\\":\\\"a\\\"} x\"}}", GC_AUTH_ERR_PROTOCOL, 0, -1, "JSON" },
    { "{\"body\":{\"huge\":{\"bytes\":1048577}}}", GC_AUTH_ERR_PROTOCOL, 0, -1, "1 MiB" },
    { "{\"padding\":{\"bytes\":1048577}}", GC_AUTH_ERR_PROTOCOL, 0, -1, "1 MiB" },
    { "[{\"padding\":{\"bytes\":1048577}},\"chunked\"]", GC_AUTH_ERR_PROTOCOL, 0, -1, "1 MiB" },
    { "[{\"padding\":{\"bytes\":1048577}},\"until-close\"]", GC_AUTH_ERR_PROTOCOL, 0, -1, "1 MiB" },
    { "{\"body\":{\"gzip-bomb\":{\"bytes\":50000000}}}", GC_AUTH_ERR_PROTOCOL, 0, -1, "1 MiB" },
    { "\"broken-chunks\"", GC_AUTH_ERR_PROTOCOL, 0, -1, NULL },
    { "\"garbage\"", GC_AUTH_ERR_PROTOCOL, 0, -1, "HTTP" },
    /* Connections that end early */
    { "{\"drop\":{\"at\":\"before-reading\"}}", GC_AUTH_ERR_CONNECT, 0, -1, NULL },
    { "{\"drop\":{\"at\":\"before-processing\"}}", GC_AUTH_ERR_CONNECT, 0, -1, NULL },
    { "{\"drop\":{\"at\":\"before-processing\",\"reset\":true}}", GC_AUTH_ERR_CONNECT, 0, -1, NULL },
    { "{\"drop\":{\"at\":\"after-processing\"}}", GC_AUTH_ERR_CONNECT, 0, -1, NULL },
    { "{\"drop\":{\"at\":\"mid-headers\"}}", GC_AUTH_ERR_CONNECT, 0, -1, NULL },
    { "{\"drop\":{\"at\":\"mid-body\"}}", GC_AUTH_ERR_CONNECT, 0, -1, NULL },
    { "{\"drop\":{\"at\":\"mid-body\",\"reset\":true}}", GC_AUTH_ERR_CONNECT, 0, -1, NULL },
};

static char *ordered(const char *target, const char *effect)
{
    char *fault = malloc(strlen(effect) + 128);
    REQUIRE(fault != NULL);
    sprintf(fault, "{\"on\":\"%s\",\"times\":\"forever\",\"do\":%s}", target, effect);
    return fault;
}

static void check_fault(const struct fault_case *one, gc_auth_status_t status, const char *path)
{
    long failed = checks_failed;
    CHECK_STATUS(status, one->status);
    if (one->http_status) {
        CHECK_INT(gc_auth_last_error_http_status(), one->http_status);
    }
    CHECK_INT(gc_auth_last_error_retry_after_ms(), one->retry_after_ms);
    CHECK_HOLDS(gc_auth_last_error_message(), path);
    CHECK_HOLDS(gc_auth_last_error_message(), "127.0.0.1");
    if (one->said) {
        CHECK_HOLDS(gc_auth_last_error_message(), one->said);
    }
    if (checks_failed != failed) {
        fprintf(stderr, "... with %s\n", one->effect);
    }
}

static void each_fault(const char *host)
{
    gc_auth_t *auth = NULL, *refused;
    char *before, *after, *token, *refresh;
    size_t i;
    REQUIRE_OK(gc_auth_new(config_for(&sandbox, host, "\"retries\":0"), NULL, NULL, NULL, &auth));
    REQUIRE_OK(log_in(auth));
    before = text_of(gc_auth_to_json, auth);
    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *fault = ordered("login", cases[i].effect);
        long requests = sandbox_counter(&sandbox, "login"), others = sandbox_counter(&sandbox, "other");
        sandbox_fault(&sandbox, fault);
        check_fault(&cases[i], log_in(auth), "frontdesk/login");
        CHECK_INT(sandbox_counter(&sandbox, "login"), requests + 1);
        CHECK_INT(sandbox_counter(&sandbox, "other"), others);
        sandbox_clear_faults(&sandbox);
        free(fault);
        after = text_of(gc_auth_to_json, auth);
        CHECK_TEXT(after, before);
        free(after);
    }
    free(before);

    /* The same for the renewal of a token that has run out, which has the refresh token to lose: a new handle each
     * time, since a failed renewal makes the next one wait. */
    token = jwt_expired();
    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *fault = ordered("refresh", cases[i].effect);
        long requests;
        refused = NULL;
        refresh = text_of(gc_auth_refresh_token, auth);
        REQUIRE_OK(gc_auth_new(config_for(&sandbox, host, "\"retries\":0"), token, refresh, NULL, &refused));
        before = text_of(gc_auth_to_json, refused);
        requests = sandbox_counter(&sandbox, "refresh");
        sandbox_fault(&sandbox, fault);
        check_fault(&cases[i], gc_auth_refresh(refused, NULL), "auth/refresh-token");
        CHECK_INT(sandbox_counter(&sandbox, "refresh"), requests + 1);
        after = text_of(gc_auth_to_json, refused);
        CHECK_TEXT(after, before);
        free(after);
        /* A bearer tells the same, with or without asking the server again. */
        {
            char buf[4096] = "untouched";
            size_t size = 7777;
            check_fault(&cases[i], gc_auth_bearer(refused, buf, sizeof buf, &size, NULL), "auth/refresh-token");
            CHECK_TEXT(buf, "untouched");
            CHECK_INT(size, 7777);
        }
        sandbox_clear_faults(&sandbox);
        gc_auth_free(refused);
        free(before);
        free(refresh);
        free(fault);
        REQUIRE_OK(log_in(auth));
    }
    free(token);
    gc_auth_free(auth);
}

/* The platform's own refusals, unordered. */
static void refusals(void)
{
    gc_auth_t *auth = sandbox_handle(&sandbox, "", NULL, NULL);
    CHECK_STATUS(gc_auth_login(auth, "nobody", PASSWORD, ORGANIZATION, NULL), GC_AUTH_ERR_UNAUTHORIZED);
    CHECK_INT(gc_auth_last_error_http_status(), 404);
    CHECK_HOLDS(gc_auth_last_error_message(), "user nobody not found");
    CHECK_STATUS(gc_auth_login(auth, USER, "wrong", ORGANIZATION, NULL), GC_AUTH_ERR_UNAUTHORIZED);
    CHECK_INT(gc_auth_last_error_http_status(), 401);
    CHECK_STATUS(gc_auth_login(auth, USER, PASSWORD, "elsewhere", NULL), GC_AUTH_ERR_UNAUTHORIZED);
    CHECK_INT(gc_auth_last_error_http_status(), 403);
    CHECK_STATUS(gc_auth_login(auth, USER, PASSWORD, ORGANIZATION, "nothing"), GC_AUTH_ERR_UNAUTHORIZED);
    CHECK_INT(gc_auth_last_error_http_status(), 403);
    CHECK_STATUS(gc_auth_bearer(auth, NULL, 0, (size_t[]){ 0 }, NULL), GC_AUTH_ERR_NO_TOKEN);
    gc_auth_free(auth);

    auth = sandbox_handle(&sandbox, "", NULL, "not-a-refresh-token-of-the-server");
    CHECK_STATUS(gc_auth_bearer(auth, NULL, 0, (size_t[]){ 0 }, NULL), GC_AUTH_ERR_UNAUTHORIZED);
    CHECK_INT(gc_auth_last_error_http_status(), 401);
    CHECK_STATUS(gc_auth_refresh(auth, NULL), GC_AUTH_ERR_UNAUTHORIZED);
    gc_auth_free(auth);
}

/* A port that nobody listens at. */
static int closed_port(void)
{
    struct sockaddr_in address;
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0), port;
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0);
    REQUIRE(getsockname(fd, (struct sockaddr *)&address, &size) == 0);
    port = ntohs(address.sin_port);
    close(fd);
    return port;
}

static void no_connection(void)
{
    static const char *const schemes[] = { "http", "https" };
    char host[128];
    size_t i;
    for (i = 0; i < 2; i++) {
        gc_auth_t *auth = NULL;
        snprintf(host, sizeof host, "%s://127.0.0.1:%d/api/v1", schemes[i], closed_port());
        REQUIRE_OK(gc_auth_new(config_for(&sandbox, host, "\"retries\":1"), NULL, "refresh", NULL, &auth));
        CHECK_STATUS(log_in(auth), GC_AUTH_ERR_CONNECT);
        CHECK_INT(gc_auth_last_error_http_status(), 0);
        CHECK_STATUS(gc_auth_refresh(auth, NULL), GC_AUTH_ERR_CONNECT);
        gc_auth_free(auth);
    }
    /* Names below "invalid" are known to nobody. */
    {
        gc_auth_t *auth = NULL;
        REQUIRE_OK(gc_auth_new(config_for(&sandbox, "https://gcauth-test.invalid/api", "\"retries\":0"), NULL, NULL,
                               NULL, &auth));
        CHECK_STATUS(log_in(auth), GC_AUTH_ERR_CONNECT);
        CHECK_HOLDS(gc_auth_last_error_message(), "gcauth-test.invalid");
        gc_auth_free(auth);
    }
}

static void insecure(void)
{
    static const char *const hosts[] = { "http://example.invalid/api/v1", "http://192.0.2.1/api/v1",
                                         "http://127.0.0.1.example.invalid/", "http://0.0.0.0:1/", "http://[::]:1/",
                                         "http://localhost.example.invalid/" };
    size_t i;
    for (i = 0; i < sizeof hosts / sizeof *hosts; i++) {
        gc_auth_t *auth = NULL;
        char *token = jwt_expired();
        REQUIRE_OK(gc_auth_new(config_for(&sandbox, hosts[i], ""), token, "refresh", NULL, &auth));
        CHECK_STATUS(log_in(auth), GC_AUTH_ERR_INSECURE);
        CHECK_STATUS(gc_auth_refresh(auth, NULL), GC_AUTH_ERR_INSECURE);
        CHECK_STATUS(gc_auth_bearer(auth, NULL, 0, (size_t[]){ 0 }, NULL), GC_AUTH_ERR_INSECURE);
        CHECK_INT(gc_auth_last_error_http_status(), 0);
        gc_auth_free(auth);
        free(token);
    }
    /* With allow_http it is tried; the name is known to nobody. */
    {
        gc_auth_t *auth = NULL;
        REQUIRE_OK(gc_auth_new(config_for(&sandbox, hosts[0], "\"allow_http\":true,\"retries\":0"), NULL, NULL, NULL,
                               &auth));
        CHECK_STATUS(log_in(auth), GC_AUTH_ERR_CONNECT);
        gc_auth_free(auth);
    }
}

static void tls(void)
{
    static const char *const kinds[] = { "expired", "not-yet-valid", "self-signed", "wrong-host", "unknown-issuer",
                                         "client-certificate" };
    char host[256], config[2048];
    gc_auth_t *auth;
    long requests = sandbox_counter(&sandbox, "login");
    size_t i;

    for (i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        auth = NULL;
        REQUIRE(sandbox_word(&sandbox, kinds[i], host, sizeof host));
        REQUIRE_OK(gc_auth_new(config_for(&sandbox, host, ""), NULL, NULL, NULL, &auth));
        if (!CHECK_STATUS(log_in(auth), GC_AUTH_ERR_TLS)) {
            fprintf(stderr, "... with %s\n", kinds[i]);
        }
        gc_auth_free(auth);
    }
    /* A certificate of nobody that the system knows. */
    auth = NULL;
    snprintf(config, sizeof config, "{\"env\":\"s\",\"environments\":{\"s\":{\"host\":\"%s\"}}}", sandbox.https);
    REQUIRE_OK(gc_auth_new(config, NULL, NULL, NULL, &auth));
    CHECK_STATUS(log_in(auth), GC_AUTH_ERR_TLS);
    gc_auth_free(auth);
    /* A server that does not speak TLS. */
    snprintf(host, sizeof host, "https://127.0.0.1:%d/api/v1", sandbox.port);
    auth = NULL;
    REQUIRE_OK(gc_auth_new(config_for(&sandbox, host, ""), NULL, NULL, NULL, &auth));
    CHECK_STATUS(log_in(auth), GC_AUTH_ERR_TLS);
    gc_auth_free(auth);
    CHECK_INT(sandbox_counter(&sandbox, "login"), requests);

    /* With the certificate that is asked for, it works. */
    auth = NULL;
    REQUIRE(sandbox_word(&sandbox, "client-certificate", host, sizeof host));
    snprintf(config, sizeof config, "\"client_cert_file\":\"%s/client.pem\",\"client_key_file\":\"%s/client-key.pem\"",
             sandbox.dir, sandbox.dir);
    REQUIRE_OK(gc_auth_new(config_for(&sandbox, host, config), NULL, NULL, NULL, &auth));
    CHECK_OK(log_in(auth));
    CHECK_OK(gc_auth_refresh(auth, NULL));
    gc_auth_free(auth);

    /* Certificate files that can't be used are noticed by the first call that needs them. */
    {
        char other[1024];
        snprintf(other, sizeof other, "{\"env\":\"s\",\"environments\":{\"s\":{\"host\":\"%s\"}},"
                 "\"ca_file\":\"%s/no-such-file.pem\"}", sandbox.https, sandbox.dir);
        auth = NULL;
        REQUIRE_OK(gc_auth_new(other, NULL, NULL, NULL, &auth));
        CHECK_STATUS(log_in(auth), GC_AUTH_ERR_CONFIG);
        CHECK_HOLDS(gc_auth_last_error_message(), "ca_file");
        gc_auth_free(auth);
        snprintf(other, sizeof other, "{\"env\":\"s\",\"environments\":{\"s\":{\"host\":\"%s\"}},"
                 "\"ca_file\":\"%s/config.json\"}", sandbox.https, sandbox.dir);
        auth = NULL;
        REQUIRE_OK(gc_auth_new(other, NULL, NULL, NULL, &auth));
        CHECK_STATUS(log_in(auth), GC_AUTH_ERR_CONFIG);
        gc_auth_free(auth);
    }
}

static void timeouts(void)
{
    gc_auth_t *patient = sandbox_session(&sandbox, ""), *auth = NULL, *waiting;
    struct crew *crew;
    char *expired = jwt_expired(), *before = text_of(gc_auth_to_json, patient), *after;
    char buf[4096];

    /* Logged in by a handle with more time: what has to succeed is not to depend on how fast this machine is. */
    REQUIRE_OK(gc_auth_from_json(config_for(&sandbox, sandbox.http, "\"timeout_ms\":1500,\"retries\":0"), before, &auth));
    gc_auth_free(patient);
    free(before);
    before = text_of(gc_auth_to_json, auth);
    sandbox_fault(&sandbox, "{\"on\":\"login\",\"do\":{\"hold\":{\"at\":\"before-processing\"}}}");
    CHECK_STATUS(log_in(auth), GC_AUTH_ERR_TIMEOUT);
    CHECK_INT(gc_auth_last_error_http_status(), 0);
    CHECK_HOLDS(gc_auth_last_error_message(), "timeout_ms");
    sandbox_release(&sandbox);
    sandbox_fault(&sandbox, "{\"on\":\"refresh\",\"do\":{\"hold\":{\"at\":\"before-processing\"}}}");
    CHECK_STATUS(gc_auth_refresh(auth, NULL), GC_AUTH_ERR_TIMEOUT);
    sandbox_release(&sandbox);
    /* An answer that never gets complete. */
    sandbox_fault(&sandbox, "{\"on\":\"login\",\"do\":{\"drip\":{\"ms\":20,\"part\":\"all\"}}}");
    CHECK_STATUS(log_in(auth), GC_AUTH_ERR_TIMEOUT);
    sandbox_fault(&sandbox, "{\"on\":\"login\",\"do\":{\"drip\":{\"ms\":20}}}");
    CHECK_STATUS(log_in(auth), GC_AUTH_ERR_TIMEOUT);
    /* A connection that never gets to TLS. */
    waiting = NULL;
    REQUIRE_OK(gc_auth_new(config_for(&sandbox, sandbox.https, "\"timeout_ms\":1500,\"retries\":0"), NULL, NULL, NULL,
                           &waiting));
    sandbox_fault(&sandbox, "{\"on\":\"connection\",\"do\":{\"hold\":{}}}");
    CHECK_STATUS(log_in(waiting), GC_AUTH_ERR_TIMEOUT);
    sandbox_release(&sandbox);
    gc_auth_free(waiting);
    after = text_of(gc_auth_to_json, auth);
    CHECK_TEXT(after, before);
    free(after);
    free(before);
    gc_auth_free(auth);
    sandbox_clear_faults(&sandbox);

    /* A thread that waits for another's exchange: a login that is held keeps the handle busy. The one who waits
     * began later, and both run out of time. */
    auth = sandbox_handle(&sandbox, "\"timeout_ms\":2500,\"retries\":0", expired, "refresh-token");
    sandbox_fault(&sandbox, "{\"on\":\"login\",\"do\":{\"hold\":{\"at\":\"before-processing\"}}}");
    crew = crew_start(auth, 1, work_login, NULL);
    REQUIRE(sandbox_await_held(&sandbox, 1));
    {
        /* Whoever waits joins what the other gets; when that runs out as well, it is its own turn, which fails. */
        struct crew *bearers = crew_start(auth, 8, work_bearer, NULL);
        int i;
        crew_join(bearers);
        for (i = 0; i < 8; i++) {
            gc_auth_status_t status = bearers->workers[i].status;
            CHECK(status == GC_AUTH_ERR_TIMEOUT || status == GC_AUTH_ERR_UNAUTHORIZED);
        }
        free(bearers);
    }
    crew_join(crew);
    CHECK_INT(crew->workers[0].status, GC_AUTH_ERR_TIMEOUT);
    free(crew);
    sandbox_release(&sandbox);
    sandbox_clear_faults(&sandbox);
    gc_auth_free(auth);

    /* timeout_ms is the caller's own: the exchange has all the time in the world, another handle's call has not. */
    auth = sandbox_handle(&sandbox, "\"timeout_ms\":60000", expired, "refresh-token");
    sandbox_fault(&sandbox, "{\"on\":\"refresh\",\"do\":{\"hold\":{\"at\":\"before-processing\"}}}");
    crew = crew_start(auth, 2, work_bearer, NULL);
    REQUIRE(sandbox_await_held(&sandbox, 1));
    CHECK_STATUS(gc_auth_report_rejected(auth, expired), GC_AUTH_OK);
    CHECK_STATUS(gc_auth_token(auth, buf, sizeof buf, NULL), GC_AUTH_OK);
    sandbox_release(&sandbox);
    crew_join(crew);
    CHECK_INT(crew->workers[0].status, GC_AUTH_ERR_UNAUTHORIZED);
    CHECK_INT(crew->workers[1].status, GC_AUTH_ERR_UNAUTHORIZED);
    free(crew);
    gc_auth_free(auth);
    free(expired);
}

/* Tokens that need no server to be refused. */
static void without_network(void)
{
    char *expired = jwt_expired();
    gc_auth_t *auth = sandbox_handle(&sandbox, "", expired, NULL);
    CHECK_STATUS(gc_auth_bearer(auth, NULL, 0, (size_t[]){ 0 }, NULL), GC_AUTH_ERR_TOKEN_EXPIRED);
    CHECK_STATUS(gc_auth_refresh(auth, NULL), GC_AUTH_ERR_NO_REFRESH_TOKEN);
    gc_auth_free(auth);

    auth = sandbox_handle(&sandbox, "", "opaque", NULL);
    CHECK_OK(gc_auth_report_rejected(auth, "opaque"));
    CHECK_STATUS(gc_auth_bearer(auth, NULL, 0, (size_t[]){ 0 }, NULL), GC_AUTH_ERR_NO_REFRESH_TOKEN);
    gc_auth_free(auth);

    auth = sandbox_handle(&sandbox, "", NULL, NULL);
    CHECK_STATUS(gc_auth_bearer(auth, NULL, 0, (size_t[]){ 0 }, NULL), GC_AUTH_ERR_NO_TOKEN);
    CHECK_STATUS(gc_auth_refresh(auth, NULL), GC_AUTH_ERR_NO_REFRESH_TOKEN);
    gc_auth_free(auth);
    free(expired);

    /* The server's new token has run out already: one more round, and then this. */
    auth = sandbox_session(&sandbox, "");
    sandbox_fault(&sandbox, "{\"on\":\"refresh\",\"times\":\"forever\","
                            "\"do\":{\"token\":{\"claims\":{\"iat\":null,\"exp\":1000000000}}}}");
    CHECK_STATUS(gc_auth_refresh(auth, NULL), GC_AUTH_ERR_TOKEN_EXPIRED);
    CHECK_HOLDS(gc_auth_last_error_message(), "clock");
    sandbox_clear_faults(&sandbox);
    gc_auth_free(auth);
}

/* Answers that are odd, and good all the same. */
static void good_after_all(void)
{
    static const char *const effects[] = {
        "\"extra-fields\"", "\"gzip\"", "\"chunked\"", "\"until-close\"", "{\"informational\":[100]}",
        "{\"informational\":[103]}", "{\"informational\":[100,102,103,199]}",
        "{\"padding\":{\"bytes\":1000000}}", "{\"code\":200}", "{\"code\":299}",
        "{\"headers\":{\"Content-Type\":\"text/plain\"}}", "{\"token\":\"not-a-jwt\"}", "{\"token\":\"no-exp\"}",
        "{\"token\":\"no-iat\"}", "{\"latency\":{\"ms\":50}}", "[\"gzip\",\"chunked\"]", "\"missing-refresh-token\"",
    };
    size_t i;
    for (i = 0; i < sizeof effects / sizeof *effects; i++) {
        char *fault = ordered("any", effects[i]);
        gc_auth_t *auth = sandbox_handle(&sandbox, "", NULL, NULL);
        char *bearer;
        sandbox_fault(&sandbox, fault);
        if (!CHECK_OK(log_in(auth))) {
            fprintf(stderr, "... with %s\n", effects[i]);
        }
        bearer = text_of(bearer_text, auth);
        CHECK(bearer != NULL);
        free(bearer);
        sandbox_clear_faults(&sandbox);
        gc_auth_free(auth);
        free(fault);
    }
}

/* The token type is what the answer says. */
static void token_type(void)
{
    gc_auth_t *auth = sandbox_handle(&sandbox, "", NULL, NULL);
    char *text;
    sandbox_fault(&sandbox, "{\"on\":\"login\",\"do\":{\"token-type\":\"Special\"}}");
    CHECK_OK(log_in(auth));
    text = text_of(gc_auth_token_type, auth);
    CHECK_TEXT(text, "Special");
    free(text);
    sandbox_fault(&sandbox, "{\"on\":\"login\",\"do\":{\"fields\":{\"set\":{\"token_type\":\"Snake\"}}}}");
    CHECK_OK(log_in(auth));
    text = text_of(gc_auth_token_type, auth);
    CHECK_TEXT(text, "Snake");
    free(text);
    CHECK_OK(log_in(auth));
    text = text_of(gc_auth_token_type, auth);
    CHECK_TEXT(text, "Bearer");
    free(text);
    gc_auth_free(auth);
}

/* A renewal without a new refresh token keeps the old one. */
static void old_refresh_token_is_kept(void)
{
    gc_auth_t *auth = sandbox_session(&sandbox, "");
    char *before = text_of(gc_auth_refresh_token, auth), *after, *old = text_of(gc_auth_token, auth), *new;
    sandbox_fault(&sandbox, "{\"on\":\"refresh\",\"do\":\"missing-refresh-token\"}");
    CHECK_OK(gc_auth_refresh(auth, NULL));
    after = text_of(gc_auth_refresh_token, auth);
    new = text_of(gc_auth_token, auth);
    CHECK_TEXT(after, before);
    CHECK(old && new && strcmp(old, new) != 0);
    free(before);
    free(after);
    free(old);
    free(new);
    gc_auth_free(auth);
}

int main(void)
{
    static const char *const options[] = { "--alg", "EdDSA", "--bad-tls",
        "expired,not-yet-valid,self-signed,wrong-host,unknown-issuer,client-certificate", NULL };
    check_begin();
    sandbox_start(&sandbox, options);
    refusals();
    each_fault(sandbox.http);
    each_fault(sandbox.https);
    no_connection();
    insecure();
    tls();
    timeouts();
    without_network();
    good_after_all();
    token_type();
    old_refresh_token_is_kept();
    sandbox_stop(&sandbox);
    return check_end();
}
