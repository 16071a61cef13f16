/* No secret in any message, nor on standard error: canaries in all inputs that are secret, and a server that tells
 * all it knows. */

#include "check.h"
#include "jwt.h"
#include "sandbox.h"

#define CANARY "Kanarienvogel"

static struct sandbox sandbox;
static long calls, lines;

/* Looks at the last error; a piece of a canary is as bad as all of it. */
static void look_(int line)
{
    const char *message = gc_auth_last_error_message();
    calls++;
    if (!CHECK(strstr(message, CANARY) == NULL) || !CHECK(strstr(message, "arienvog") == NULL)) {
        fprintf(stderr, "... line %d: \"%s\"\n", line, message);
    }
}
#define LOOK(call)                                                                                                     \
    do {                                                                                                               \
        if ((call) != GC_AUTH_OK) {                                                                                    \
            CHECK(*gc_auth_last_error_message() != '\0');                                                              \
        }                                                                                                              \
        look_(__LINE__);                                                                                               \
    } while (0)

/* The log, down to its last line. */
static void look_at_line(void *user_data, int32_t level, const char *message)
{
    (void)user_data;
    (void)level;
    lines++;
    if (!CHECK(strstr(message, CANARY) == NULL) || !CHECK(strstr(message, "arienvog") == NULL)) {
        fprintf(stderr, "... the log says: \"%s\"\n", message);
    }
}

static void listen_to(gc_auth_t *auth)
{
    CHECK_OK(gc_auth_set_log(auth, look_at_line, NULL, 4));
}

static void everything_with(gc_auth_t *auth)
{
    char buf[8192];
    int64_t number;
    listen_to(auth);
    LOOK(gc_auth_bearer(auth, buf, sizeof buf, NULL, NULL));
    LOOK(gc_auth_bearer(auth, buf, 3, NULL, NULL));
    LOOK(gc_auth_bearer(auth, NULL, 3, NULL, NULL));
    LOOK(gc_auth_token(auth, buf, 2, NULL));
    LOOK(gc_auth_refresh_token(auth, buf, 2, NULL));
    LOOK(gc_auth_token_type(auth, buf, 2, NULL));
    LOOK(gc_auth_decoded_token(auth, buf, sizeof buf, NULL));
    LOOK(gc_auth_decode_jwt(auth, NULL, buf, sizeof buf, NULL));
    LOOK(gc_auth_decode_jwt(auth, CANARY, buf, sizeof buf, NULL));
    LOOK(gc_auth_decode_jwt(auth, "{\"kty\":\"" CANARY "\",\"k\":\"" CANARY "\"}", buf, sizeof buf, NULL));
    LOOK(gc_auth_decode_jwt(auth, "{\"kty\":\"oct\",\"k\":\"" CANARY "\"}", buf, sizeof buf, NULL));
    LOOK(gc_auth_decode_jwt(auth, "{\"keys\":[{\"kid\":\"" CANARY "\"}]}", buf, sizeof buf, NULL));
    LOOK(gc_auth_decode_jwt(auth, "-----BEGIN PRIVATE KEY-----\n" CANARY "\n-----END PRIVATE KEY-----\n", buf,
                            sizeof buf, NULL));
    LOOK(gc_auth_decode_jwt(auth, "-----BEGIN PUBLIC KEY-----\n" CANARY "\n-----END PUBLIC KEY-----\n", buf,
                            sizeof buf, NULL));
    LOOK(gc_auth_decode_jwt(auth, "-----BEGIN " CANARY "-----\nAAAA\n-----END " CANARY "-----\n", buf, sizeof buf, NULL));
    LOOK(gc_auth_project_id(auth, &number));
    LOOK(gc_auth_to_json(auth, buf, 5, NULL));
    LOOK(gc_auth_refresh(auth, NULL));
    LOOK(gc_auth_report_rejected(auth, CANARY " " CANARY));
    LOOK(gc_auth_report_rejected(auth, "Bearer " CANARY "\r\n" CANARY));
    LOOK(gc_auth_report_rejected(auth, CANARY "\xff"));
    LOOK(gc_auth_login(auth, "user", CANARY "\xff", "organization", NULL));
}

static void given(void)
{
    static const char *const tokens[] = { CANARY, CANARY "." CANARY "." CANARY, CANARY " x", CANARY "\r\n" CANARY,
        "Bearer " CANARY, CANARY "\xff", "\x01" CANARY };
    gc_auth_t *auth;
    char config[1024], *token;
    size_t i;
    for (i = 0; i < sizeof tokens / sizeof *tokens; i++) {
        auth = NULL;
        LOOK(gc_auth_new("{}", tokens[i], NULL, NULL, &auth));
        if (auth) {
            everything_with(auth);
            gc_auth_free(auth);
        }
        auth = NULL;
        LOOK(gc_auth_new(config_for(&sandbox, sandbox.http, ""), NULL, tokens[i], NULL, &auth));
        if (auth) {
            everything_with(auth);
            gc_auth_free(auth);
        }
        auth = NULL;
        snprintf(config, sizeof config, "{\"env\":\"%s\",\"host\":\"x\",\"token\":\"%s\"}", CANARY, CANARY);
        LOOK(gc_auth_from_json("{}", config, &auth));
        LOOK(gc_auth_from_json("{}", "{\"env\":\"prod\",\"host\":\"https://auth-api.genomcore.net/api/v1\","
                               "\"token\":\"" CANARY " " CANARY "\"}", &auth));
        LOOK(gc_auth_from_json("{}", "{\"token\":\"" CANARY "\"", &auth));
        LOOK(gc_auth_from_json("{}", CANARY, &auth));
    }
    /* In claims, headers and names of claims */
    token = jwt("{\"" CANARY "\":1,\"" CANARY "\":2}");
    REQUIRE_OK(gc_auth_new("{}", token, NULL, NULL, &auth));
    everything_with(auth);
    gc_auth_free(auth);
    free(token);
    token = jwt("{\"project_id\":\"" CANARY "\",\"exp\":1}");
    REQUIRE_OK(gc_auth_new("{}", token, NULL, NULL, &auth));
    everything_with(auth);
    gc_auth_free(auth);
    free(token);
    token = jwt_with_header("{\"alg\":\"" CANARY "\",\"kid\":\"" CANARY "\"}", "{}");
    REQUIRE_OK(gc_auth_new("{}", token, NULL, NULL, &auth));
    everything_with(auth);
    gc_auth_free(auth);
    free(token);
    token = jwt_with_header("{\"alg\":\"RS256\",\"crit\":[\"" CANARY "\"]}", "{}");
    REQUIRE_OK(gc_auth_new("{}", token, NULL, NULL, &auth));
    everything_with(auth);
    gc_auth_free(auth);
    free(token);
}

static int is_name(const char *json)
{
    return strncmp(json, "\"" CANARY, strlen("\"" CANARY)) == 0;
}

/* Values of a config can be secrets: a proxy's password, a key pasted into the wrong place. */
static void configs(void)
{
    static const char *const texts[] = { "env", "proxy", "public_key", "jwks_url", "user_agent", "store", "store_lock",
        "ca_file", "client_cert_file", "timeout_ms", "retries", "allow_http", "login", "environments" };
    static const char *const values[] = { "\"" CANARY "\"", "[\"" CANARY "\"]", "{\"x\":\"" CANARY "\"}",
        "\"http://u:" CANARY "@h:1\"", "\"socks5://u:" CANARY "@h:1\"", "\"https://u:" CANARY "@h/\"",
        "\"https://h/?" CANARY "\"", "\"redis://u:" CANARY "@h\"", "\"" CANARY "\\r\\n\"", "\"" CANARY "\\u0000\"",
        "\"" CANARY "" };
    char config[512];
    size_t i, k;
    for (i = 0; i < sizeof texts / sizeof *texts; i++) {
        for (k = 0; k < sizeof values / sizeof *values; k++) {
            gc_auth_t *auth = NULL;
            /* An unknown env is named, if it looks like a name. */
            if (strcmp(texts[i], "env") != 0 || !is_name(values[k])) {
                snprintf(config, sizeof config, "{\"%s\":%s}", texts[i], values[k]);
                LOOK(gc_auth_new(config, NULL, NULL, NULL, &auth));
                gc_auth_free(auth);
                auth = NULL;
            }
            snprintf(config, sizeof config, "{\"environments\":{\"e\":{\"host\":%s}}}", values[k]);
            LOOK(gc_auth_new(config, NULL, NULL, "e", &auth));
            gc_auth_free(auth);
            auth = NULL;
            snprintf(config, sizeof config, "{\"login\":{\"path\":%s}}", values[k]);
            if (strstr(values[k], "?") || strstr(values[k], "\\")) {
                LOOK(gc_auth_new(config, NULL, NULL, NULL, &auth));
                gc_auth_free(auth);
            }
        }
    }
    LOOK(gc_auth_new(CANARY, NULL, NULL, NULL, (gc_auth_t *[]){ NULL }));
    LOOK(gc_auth_new("{\"env\":\"" CANARY, NULL, NULL, NULL, (gc_auth_t *[]){ NULL }));
    LOOK(gc_auth_new("{}", NULL, NULL, "https://u:" CANARY "@h", (gc_auth_t *[]){ NULL }));
    LOOK(gc_auth_new("{}", NULL, NULL, CANARY "." CANARY "." CANARY, (gc_auth_t *[]){ NULL }));
}

/* A server that echoes what it was sent, in all its forms. */
static void echoes(void)
{
    static const char *const passwords[] = { CANARY, CANARY "\"\\/ \xc3\xa9", "x" CANARY "&=%+" CANARY,
        CANARY CANARY CANARY, "short" };
    static const int codes[] = { 400, 401, 404, 418, 429, 500 };
    size_t i, k;
    int form;
    for (i = 0; i < sizeof passwords / sizeof *passwords; i++) {
        for (k = 0; k < sizeof codes / sizeof *codes; k++) {
            for (form = 0; form < 2; form++) {
                gc_auth_t *auth = sandbox_handle(&sandbox, "\"retries\":0", NULL, passwords[i][0] == 'K'
                                                 && !strpbrk(passwords[i], " ") ? passwords[i] : CANARY);
                char fault[256], *token = jwt("{\"exp\":1,\"" CANARY "\":\"" CANARY "\"}");
                gc_auth_t *with_token;
                listen_to(auth);
                snprintf(fault, sizeof fault, "{\"do\":{\"echo\":{\"code\":%d,\"form\":\"%s\"}},\"times\":\"forever\"}",
                         codes[k], form ? "text" : "json");
                sandbox_fault(&sandbox, fault);
                LOOK(gc_auth_login(auth, "user", passwords[i], "organization", NULL));
                CHECK_INT(gc_auth_last_error_http_status(), codes[k]);
                CHECK(strstr(gc_auth_last_error_message(), passwords[i]) == NULL);
                LOOK(gc_auth_bearer(auth, NULL, 0, (size_t[]){ 0 }, NULL));
                LOOK(gc_auth_refresh(auth, NULL));
                gc_auth_free(auth);
                with_token = sandbox_handle(&sandbox, "\"retries\":0", token, CANARY);
                listen_to(with_token);
                LOOK(gc_auth_refresh(with_token, NULL));
                /* Ten characters of a token in a row are a piece of it. */
                {
                    char piece[24];
                    size_t at;
                    for (at = 0; at + 20 <= strlen(token); at++) {
                        memcpy(piece, token + at, 20);
                        piece[20] = '\0';
                        CHECK(strstr(gc_auth_last_error_message(), piece) == NULL);
                    }
                }
                gc_auth_free(with_token);
                sandbox_clear_faults(&sandbox);
                free(token);
            }
        }
    }
}

/* What the handle holds is cut out as well, even if it was not sent: "every secret sent or held in the call". */
static void held(void)
{
    gc_auth_t *auth = sandbox_handle(&sandbox, "\"retries\":0", CANARY "Token", CANARY "Refresh");
    listen_to(auth);
    sandbox_fault(&sandbox, "{\"times\":\"forever\",\"do\":{\"status\":{\"code\":401,\"body\":{\"json\":{\"message\":"
                            "\"you are " CANARY "Token and " CANARY "Refresh\"}}}}}");
    LOOK(gc_auth_login(auth, "user", "another", "organization", NULL));
    LOOK(gc_auth_refresh(auth, NULL));
    sandbox_clear_faults(&sandbox);
    gc_auth_free(auth);
    /* Tokens in an answer that can't be used */
    auth = sandbox_handle(&sandbox, "\"retries\":0", NULL, NULL);
    listen_to(auth);
    sandbox_fault(&sandbox, "{\"do\":{\"body\":{\"raw\":\"{\\\"token\\\":\\\"" CANARY "\\\"\"}}}");
    LOOK(log_in(auth));
    sandbox_fault(&sandbox, "{\"do\":{\"body\":{\"json\":{\"token\":\"" CANARY " x\"}}}}");
    LOOK(log_in(auth));
    sandbox_fault(&sandbox, "{\"do\":{\"body\":{\"json\":{\"" CANARY "\":{\"token\":\"" CANARY "\"}}}}}");
    LOOK(log_in(auth));
    sandbox_fault(&sandbox, "{\"do\":{\"token\":{\"text\":\"" CANARY "\\u0007\"}}}");
    LOOK(log_in(auth));
    sandbox_fault(&sandbox, "{\"do\":{\"redirect\":{\"code\":302,\"location\":\"https://x/?token=" CANARY "\"}}}");
    LOOK(log_in(auth));
    gc_auth_free(auth);
}

/* A proxy that wants credentials, gets them, and tells them to everybody. */
static void *proxy_thread(void *argument)
{
    int listener = *(int *)argument;
    int i;
    for (i = 0; i < 4; i++) {
        char request[4096];
        int fd = accept(listener, NULL, NULL);
        ssize_t got;
        static const char answer[] = "HTTP/1.1 407 " CANARY "\r\nProxy-Authenticate: Basic realm=\"" CANARY "\"\r\n"
                                     "Content-Length: 13\r\n\r\n" CANARY;
        if (fd < 0) {
            break;
        }
        got = recv(fd, request, sizeof request - 1, 0);
        if (got > 0) {
            request[got] = '\0';
            CHECK_HOLDS(request, "CONNECT");
            send(fd, answer, sizeof answer - 1, MSG_NOSIGNAL);
        }
        shutdown(fd, SHUT_WR);
        recv(fd, request, sizeof request, 0);
        close(fd);
    }
    return NULL;
}

static void proxies(void)
{
    struct sockaddr_in address;
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    pthread_t thread;
    char more[512];
    gc_auth_t *auth = NULL;

    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(listener >= 0 && bind(listener, (struct sockaddr *)&address, sizeof address) == 0);
    REQUIRE(listen(listener, 4) == 0 && getsockname(listener, (struct sockaddr *)&address, &size) == 0);
    REQUIRE(pthread_create(&thread, NULL, proxy_thread, &listener) == 0);
    snprintf(more, sizeof more, "\"retries\":0,\"proxy\":\"http://user:" CANARY "@127.0.0.1:%d\"", ntohs(address.sin_port));
    REQUIRE_OK(gc_auth_new(config_for(&sandbox, "https://gcauth-test.example/api", more), CANARY, CANARY, NULL, &auth));
    listen_to(auth);
    LOOK(gc_auth_login(auth, "user", CANARY, "organization", NULL));
    CHECK_INT(gc_auth_last_error_status(), GC_AUTH_ERR_CONNECT);
    LOOK(gc_auth_refresh(auth, NULL));
    CHECK_INT(gc_auth_last_error_status(), GC_AUTH_ERR_CONNECT);
    shutdown(listener, SHUT_RDWR);
    close(listener);
    pthread_join(thread, NULL);
    /* Nobody there */
    LOOK(gc_auth_login(auth, "user", CANARY, "organization", NULL));
    gc_auth_free(auth);
}

int main(void)
{
    static const char *const options[] = { "--alg", "EdDSA", NULL };
    char path[] = "/tmp/gcauth-test-XXXXXX", *text;
    int file, kept;
    long size;

    check_begin();
    sandbox_start(&sandbox, options);
    /* What anybody writes to standard error while the library works is kept, and looked at in the end. */
    file = mkstemp(path);
    kept = dup(2);
    REQUIRE(file >= 0 && kept >= 0 && dup2(file, 2) == 2);
    given();
    configs();
    echoes();
    held();
    proxies();
    dup2(kept, 2);
    size = (long)lseek(file, 0, SEEK_END);
    text = calloc(1, (size_t)size + 1);
    REQUIRE(text != NULL && pread(file, text, (size_t)size, 0) == size);
    if (checks_failed) {
        fputs(text, stderr);
    } else {
        CHECK_TEXT(text, "");
    }
    free(text);
    close(file);
    unlink(path);
    CHECK(calls > 500 && lines > 100);
    sandbox_stop(&sandbox);
    return check_end();
}
