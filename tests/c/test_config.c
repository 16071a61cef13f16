/* The config: unknown keys, wrong types, absurd values, the file that GCAUTH_CONFIG names, and the choice of env. */

#include "check.h"
#include "sandbox.h"

#include <sys/stat.h>

/* The config must be refused, and the message must hold `said`, if it is not NULL. */
static void refused_(const char *config, const char *said, int line)
{
    gc_auth_t *auth = (gc_auth_t *)(void *)&line;
    long failed = checks_failed;
    CHECK_STATUS(gc_auth_new(config, NULL, NULL, NULL, &auth), GC_AUTH_ERR_CONFIG);
    CHECK(auth == (gc_auth_t *)(void *)&line);
    CHECK_INT(gc_auth_last_error_http_status(), 0);
    if (said) {
        CHECK_HOLDS(gc_auth_last_error_message(), said);
    }
    if (checks_failed != failed) {
        fprintf(stderr, "... line %d, with %.200s\n", line, config);
    }
}
#define REFUSED(config, said) refused_((config), (said), __LINE__)

static void taken_(const char *config, int line)
{
    gc_auth_t *auth = NULL;
    if (!CHECK_OK(gc_auth_new(config, NULL, NULL, NULL, &auth))) {
        fprintf(stderr, "... line %d, with %.200s\n", line, config);
    }
    gc_auth_free(auth);
}
#define TAKEN(config) taken_((config), __LINE__)

static void not_json(void)
{
    static const char *const texts[] = { " ", "{", "}", "{]", "nonsense", "{\"env\"}", "{\"env\":}", "{'env':'prod'}",
        "{\"env\":\"prod\",}", "{} {}", "{}x", "[]", "null", "true", "1", "\"prod\"", "{\"retries\":01}",
        "{\"env\":\"\\ud800\"}", "\xef\xbb\xbf\xef\xbb\xbf{}", "// comment\n{}", "{\"env\":\"a\nb\"}", "{\"retries\":1e999}",
        "{\"retries\":NaN}", "{\"x\":[[[[[[[[" };
    static char deep[300000];
    size_t i;
    for (i = 0; i < sizeof texts / sizeof *texts; i++) {
        REFUSED(texts[i], NULL);
    }
    /* The place is told. */
    REFUSED("{\n\n  \"env\" \"prod\"}", "line 3");
    memset(deep, '[', 200000);
    REFUSED(deep, NULL);
    memcpy(deep, "{\"env\":", 7);
    REFUSED(deep, NULL);
    REFUSED("{\"retries\":1,\"env\":\"prod\",\"retries\":2}", "duplicate member");
    REFUSED("{\"environments\":{\"x\":{\"host\":\"https://a\"},\"x\":{\"host\":\"https://b\"}}}", "duplicate member");
    TAKEN("{}");
    TAKEN("\xef\xbb\xbf{}");
    TAKEN(" \t\r\n{ } \n");
}

static void unknown_keys(void)
{
    REFUSED("{\"timeout\":1}", "unknown config key \"timeout\"");
    REFUSED("{\"timeout\":1}", "timeout_ms");
    REFUSED("{\"Env\":\"prod\"}", "\"env\"");
    REFUSED("{\"enviroments\":{}}", "\"environments\"");
    REFUSED("{\"retry\":1}", "\"retries\"");
    REFUSED("{\"ca-file\":\"x\"}", "\"ca_file\"");
    REFUSED("{\"renew_before\":1}", "\"renew_before_s\"");
    REFUSED("{\"login\":{\"paths\":\"x\"}}", "\"login.path\"");
    REFUSED("{\"login\":{\"fields\":{\"user_name\":\"x\"}}}", "\"login.fields.username\"");
    REFUSED("{\"refresh\":{\"fields\":{\"refreshToken\":\"x\"}}}", "\"refresh.fields.refresh_token\"");
    REFUSED("{\"response\":{\"tokens\":\"x\"}}", "\"response.token\"");
    REFUSED("{\"claims\":{\"projectid\":[\"x\"]}}", "\"claims.project_id\"");
    REFUSED("{\"environments\":{\"x\":{\"hosts\":\"https://h\"}}}", "host");
    REFUSED("{\"\":1}", NULL);
    REFUSED("{\"\\u0000\":1}", NULL);
    REFUSED("{\"two\\nlines\":1}", NULL);
    REFUSED("{\"retries\":1,\"unknown\":null}", "unknown");
}

static void wrong_types(void)
{
    static const char *const texts[] = { "env", "ca_file", "client_cert_file", "client_key_file", "proxy",
        "public_key", "jwks_url", "user_agent", "store", "store_lock" };
    static const char *const numbers[] = { "renew_before_s", "clock_leeway_s", "connect_timeout_ms", "timeout_ms",
        "retries" };
    static const char *const objects[] = { "environments", "login", "refresh", "response", "claims" };
    static const char *const parts[][2] = {
        { "login", "path" }, { "refresh", "path" }, { "response", "token" }, { "response", "refresh_token" },
        { "response", "token_type" } };
    static const char *const fields[][2] = {
        { "login", "username" }, { "login", "password" }, { "login", "organization_id" }, { "login", "project_id" },
        { "refresh", "token" }, { "refresh", "refresh_token" }, { "refresh", "project_id" } };
    static const char *const values[] = { "1", "1.5", "-1", "true", "false", "\"text\"", "[]", "[1]", "{}" };
    char config[512];
    size_t i, k;

    for (k = 0; k < sizeof values / sizeof *values; k++) {
        const char *value = values[k];
        int is_text = value[0] == '"', is_object = value[0] == '{', is_count = strcmp(value, "1") == 0;
        int is_bool = value[0] == 't' || value[0] == 'f';
        for (i = 0; i < sizeof texts / sizeof *texts && !is_text; i++) {
            snprintf(config, sizeof config, "{\"%s\":%s}", texts[i], value);
            REFUSED(config, texts[i]);
        }
        for (i = 0; i < sizeof numbers / sizeof *numbers; i++) {
            snprintf(config, sizeof config, "{\"%s\":%s}", numbers[i], value);
            if (is_count) {
                TAKEN(config);
            } else {
                REFUSED(config, numbers[i]);
            }
        }
        for (i = 0; i < sizeof objects / sizeof *objects; i++) {
            snprintf(config, sizeof config, "{\"%s\":%s}", objects[i], value);
            if (is_object) {
                TAKEN(config);
            } else {
                REFUSED(config, objects[i]);
            }
        }
        snprintf(config, sizeof config, "{\"allow_http\":%s}", value);
        if (is_bool) {
            TAKEN(config);
        } else {
            REFUSED(config, "allow_http");
        }
        for (i = 0; i < sizeof parts / sizeof *parts && !is_text; i++) {
            snprintf(config, sizeof config, "{\"%s\":{\"%s\":%s}}", parts[i][0], parts[i][1], value);
            REFUSED(config, parts[i][1]);
        }
        for (i = 0; i < sizeof fields / sizeof *fields && !is_text; i++) {
            snprintf(config, sizeof config, "{\"%s\":{\"fields\":{\"%s\":%s}}}", fields[i][0], fields[i][1], value);
            REFUSED(config, fields[i][1]);
        }
        if (!is_object) {
            snprintf(config, sizeof config, "{\"login\":{\"fields\":%s}}", value);
            REFUSED(config, "login.fields");
            snprintf(config, sizeof config, "{\"environments\":{\"x\":%s}}", value);
            REFUSED(config, "environments.x");
        }
        if (!is_text) {
            snprintf(config, sizeof config, "{\"environments\":{\"x\":{\"host\":%s}}}", value);
            REFUSED(config, "environments.x.host");
        }
        if (strcmp(value, "[]") != 0) {
            snprintf(config, sizeof config, "{\"claims\":{\"project_id\":%s}}", value);
            REFUSED(config, "claims.project_id");
        }
    }
    REFUSED("{\"claims\":{\"project_id\":[\"a\",1]}}", "claims.project_id");
    REFUSED("{\"claims\":{\"project_id\":[\"a\",\"\"]}}", "claims.project_id");
    REFUSED("{\"environments\":{\"x\":{}}}", "environments.x.host");
    /* null is the same as nothing. */
    TAKEN("{\"env\":null,\"environments\":null,\"login\":null,\"retries\":null,\"ca_file\":null,\"allow_http\":null}");
    TAKEN("{\"env\":\"dev\"}");
    TAKEN("{\"login\":{\"path\":\"/a/b\",\"fields\":{\"username\":\"user\"}},\"claims\":{\"project_id\":[\"a.b\"]}}");
}

static void absurd_values(void)
{
    static const char *const numbers[] = { "renew_before_s", "clock_leeway_s", "connect_timeout_ms", "timeout_ms",
        "retries" };
    static const char *const absurd[] = { "2147483648", "4294967296", "9223372036854775807", "9223372036854775808",
        "18446744073709551616", "1e300", "-1", "-0.5", "0.5", "1e-3" };
    char config[512];
    size_t i, k;
    for (i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        for (k = 0; k < sizeof absurd / sizeof *absurd; k++) {
            snprintf(config, sizeof config, "{\"%s\":%s}", numbers[i], absurd[k]);
            REFUSED(config, numbers[i]);
        }
        snprintf(config, sizeof config, "{\"%s\":2147483647}", numbers[i]);
        TAKEN(config);
        snprintf(config, sizeof config, "{\"%s\":1e3}", numbers[i]);
        TAKEN(config);
    }
    REFUSED("{\"timeout_ms\":0}", "timeout_ms");
    REFUSED("{\"connect_timeout_ms\":0}", "connect_timeout_ms");
    TAKEN("{\"retries\":0,\"clock_leeway_s\":0,\"renew_before_s\":0}");

    /* Hosts */
    {
        static const char *const hosts[] = { "h", "ftp://h", "https://", "https:///x", "https://user:pw@h",
            "https://user@h", "https://h?q", "https://h#f", "https://h o", "https://h:/x", "/path", "https://h:99999",
            "https://[::1", "https://h\\nx", "mailto:x@y", "https://h\\u0000x" };
        for (i = 0; i < sizeof hosts / sizeof *hosts; i++) {
            snprintf(config, sizeof config, "{\"environments\":{\"x\":{\"host\":\"%s\"}}}", hosts[i]);
            REFUSED(config, "environments.x.host");
            /* A password in it is not repeated. */
            CHECK_LACKS(gc_auth_last_error_message(), "pw@");
        }
    }
    TAKEN("{\"environments\":{\"x\":{\"host\":\"HTTPS://EXAMPLE.ORG/\"},\"y\":{\"host\":\"http://[::1]:8080/a/\"}}}");
    REFUSED("{\"login\":{\"path\":\"a#b\"}}", "login.path");
    REFUSED("{\"login\":{\"path\":\"https://h/login\"}}", "config key \"login.path\" is a whole URL");
    REFUSED("{\"refresh\":{\"path\":\"HTTP://h/login\"}}", "config key \"refresh.path\" is a whole URL");
    TAKEN("{\"login\":{\"path\":\"a?tenant=b&c=d\"},\"refresh\":{\"path\":\"?x\"}}");
    TAKEN("{\"jwks_url\":\"https://h/keys?p=policy\"}");
    REFUSED("{\"login\":{\"path\":\"a b\"}}", "login.path");
    REFUSED("{\"refresh\":{\"path\":\"a\\r\\nX: y\"}}", "refresh.path");
    REFUSED("{\"user_agent\":\"a\\r\\nX: y\"}", "user_agent");
    REFUSED("{\"user_agent\":\"caf\\u00e9\"}", "user_agent");
    REFUSED("{\"ca_file\":\"a\\u0000b\"}", "ca_file");
    REFUSED("{\"client_cert_file\":\"x\"}", "client_key_file");
    REFUSED("{\"client_key_file\":\"x\"}", "client_key_file");
    REFUSED("{\"proxy\":\"nonsense://x\"}", "proxy");
    REFUSED("{\"proxy\":\"socks5://127.0.0.1:1\"}", "proxy");
    REFUSED("{\"jwks_url\":\"nonsense\"}", "jwks_url");
    REFUSED("{\"store\":\"nonsense\"}", "store");
    REFUSED("{\"store\":\"\"}", "store");
    REFUSED("{\"store_lock\":\"nonsense\"}", "store_lock");
    REFUSED("{\"login\":{\"fields\":{\"username\":\"x\",\"password\":\"x\"}}}", "login.fields");
    REFUSED("{\"refresh\":{\"fields\":{\"token\":\"x\",\"refresh_token\":\"x\"}}}", "refresh.fields");

    /* More than 1 MiB */
    {
        size_t size = (1 << 20) + 100;
        char *large = malloc(size + 1);
        memset(large, ' ', size);
        memcpy(large, "{}", 2);
        large[size] = '\0';
        REFUSED(large, "1 MiB");
        large[1 << 20] = '\0';
        TAKEN(large);
        free(large);
    }
}

static void write_text(const char *path, const char *text, size_t size)
{
    FILE *file = fopen(path, "w");
    REQUIRE(file != NULL && fwrite(text, 1, size, file) == size && fclose(file) == 0);
}

static void config_file(void)
{
    char dir[] = "/tmp/gcauth-test-XXXXXX", path[128], *text;
    gc_auth_t *auth = NULL;
    static char large[(1 << 20) + 2];

    REQUIRE(mkdtemp(dir) != NULL);
    snprintf(path, sizeof path, "%s/config.json", dir);
    setenv("GCAUTH_CONFIG", path, 1);
    /* Missing; the message tells which file. */
    REFUSED(NULL, path);
    REFUSED("", path);
    CHECK_HOLDS(gc_auth_last_error_message(), "GCAUTH_CONFIG");
    /* A config that is given is used in its place. */
    TAKEN("{}");
    /* A directory */
    REQUIRE(mkdir(path, 0700) == 0);
    REFUSED(NULL, path);
    REQUIRE(rmdir(path) == 0);
    /* Not JSON, wrong key, not UTF-8, empty, too large */
    write_text(path, "{", 1);
    REFUSED(NULL, NULL);
    write_text(path, "{\"retry\":1}", 11);
    REFUSED(NULL, "retries");
    write_text(path, "{\"env\":\"\xff\"}", 11);
    REFUSED(NULL, NULL);
    write_text(path, "", 0);
    REFUSED(NULL, NULL);
    memset(large, ' ', sizeof large);
    memcpy(large, "{}", 2);
    write_text(path, large, sizeof large);
    REFUSED(NULL, path);
    CHECK_HOLDS(gc_auth_last_error_message(), "1 MiB");
    /* Not readable, unless by root, who reads everything */
    write_text(path, "{}", 2);
    REQUIRE(chmod(path, 0) == 0);
    if (geteuid() != 0) {
        REFUSED(NULL, path);
    }
    REQUIRE(chmod(path, 0600) == 0);
    /* Good */
    {
        static const char good[] = "{\"env\":\"mine\",\"environments\":{\"mine\":{\"host\":\"https://h/x\"}}}\n";
        write_text(path, good, sizeof good - 1);
    }
    REQUIRE_OK(gc_auth_new(NULL, NULL, NULL, NULL, &auth));
    text = text_of(gc_auth_host, auth);
    CHECK_TEXT(text, "https://h/x");
    free(text);
    text = text_of(gc_auth_to_json, auth);
    gc_auth_free(auth);
    auth = NULL;
    CHECK_OK(gc_auth_from_json("", text, &auth));
    free(text);
    gc_auth_free(auth);
    /* An empty variable is none. */
    setenv("GCAUTH_CONFIG", "", 1);
    TAKEN(NULL);
    unsetenv("GCAUTH_CONFIG");
    unlink(path);
    rmdir(dir);
}

static void environments(void)
{
    static const char config[] = "{\"env\":\"b\",\"environments\":{\"a\":{\"host\":\"https://a.example/\"},"
                                 "\"b\":{\"host\":\"https://b.example\"},\"prod\":{\"host\":\"https://p.example/v2\"}}}";
    static const char *const expected[][2] = {
        { NULL, "https://b.example" }, { "", "https://b.example" }, { "a", "https://a.example/" },
        { "prod", "https://p.example/v2" }, { "dev", "https://auth-apidev.genomcore.net/api/v1" } };
    static const char *const unknown[] = { "c", "A", "prod ", "a.host", "..", "\xc3\xa9" };
    gc_auth_t *auth = NULL;
    char *text;
    size_t i;
    for (i = 0; i < sizeof expected / sizeof *expected; i++) {
        REQUIRE_OK(gc_auth_new(config, NULL, NULL, expected[i][0], &auth));
        text = text_of(gc_auth_host, auth);
        CHECK_TEXT(text, expected[i][1]);
        free(text);
        text = text_of(gc_auth_env, auth);
        CHECK_TEXT(text, expected[i][0] && *expected[i][0] ? expected[i][0] : "b");
        free(text);
        gc_auth_free(auth);
        auth = NULL;
    }
    for (i = 0; i < sizeof unknown / sizeof *unknown; i++) {
        CHECK_STATUS(gc_auth_new(config, NULL, NULL, unknown[i], &auth), GC_AUTH_ERR_CONFIG);
        CHECK_HOLDS(gc_auth_last_error_message(), "a, b, dev, prod");
        CHECK(auth == NULL);
    }
    REFUSED("{\"env\":\"nowhere\"}", "env");
}

/* The keys that say how requests look and answers are read. */
static void custom_wire(const struct sandbox *sandbox)
{
    char host[256], *text;
    gc_auth_t *auth = NULL;
    /* Host and path are joined with one slash, whoever has it. */
    snprintf(host, sizeof host, "%s/", sandbox->http);
    REQUIRE_OK(gc_auth_new(config_for(sandbox, host, "\"login\":{\"path\":\"/frontdesk/login\"},"
                                      "\"user_agent\":\"test-agent/7 VERSION\""), NULL, NULL, NULL, &auth));
    CHECK_OK(log_in(auth));
    text = sandbox_control(sandbox, "GET", "requests", NULL);
    CHECK_HOLDS(text, "\"path\":\"/api/v1/frontdesk/login\"");
    CHECK_HOLDS(text, "test-agent/7");
    free(text);
    gc_auth_free(auth);

    auth = sandbox_handle(sandbox, "\"login\":{\"path\":\"other/path\",\"fields\":{\"username\":\"u\",\"password\":\"p\","
                          "\"organization_id\":\"o\",\"project_id\":\"j\"}}", NULL, NULL);
    CHECK_STATUS(gc_auth_login(auth, USER, PASSWORD, ORGANIZATION, "slug"), GC_AUTH_ERR_UNAUTHORIZED);
    text = sandbox_control(sandbox, "GET", "requests", NULL);
    CHECK_HOLDS(text, "\"raw_body\":\"{\\\"u\\\":\\\"ada\\\",\\\"p\\\":\\\"lovelace\\\","
                      "\\\"o\\\":\\\"analytical-engines\\\",\\\"j\\\":\\\"slug\\\"}\"");
    CHECK_HOLDS(text, "/api/v1/other/path");
    free(text);
    gc_auth_free(auth);

    auth = sandbox_handle(sandbox, "\"response\":{\"token\":\"data.access\",\"refresh_token\":\"data.more.refresh\","
                          "\"token_type\":\"data.kind\"}", NULL, NULL);
    sandbox_fault(sandbox, "{\"on\":\"login\",\"do\":{\"body\":{\"json\":{\"data\":{\"access\":\"AAA\",\"kind\":\"K\","
                           "\"more\":{\"refresh\":\"RRR\"}}}}}}");
    CHECK_OK(log_in(auth));
    text = text_of(gc_auth_token, auth);
    CHECK_TEXT(text, "AAA");
    free(text);
    text = text_of(gc_auth_refresh_token, auth);
    CHECK_TEXT(text, "RRR");
    free(text);
    text = text_of(gc_auth_token_type, auth);
    CHECK_TEXT(text, "K");
    free(text);
    gc_auth_free(auth);
}

int main(void)
{
    static const char *const options[] = { "--alg", "EdDSA", "--record-bodies", NULL };
    struct sandbox sandbox;
    check_begin();
    not_json();
    unknown_keys();
    wrong_types();
    absurd_values();
    config_file();
    environments();
    sandbox_start(&sandbox, options);
    custom_wire(&sandbox);
    sandbox_stop(&sandbox);
    return check_end();
}
