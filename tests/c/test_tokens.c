/* Tokens that the caller gives, the export and import of sessions, and what is read out of tokens. */

#include "check.h"
#include "jwt.h"
#include "sandbox.h"

/* A handle with these tokens that never needs a server. */
static gc_auth_t *with_tokens(const char *token, const char *refresh_token)
{
    gc_auth_t *auth = NULL;
    REQUIRE_OK(gc_auth_new("{}", token, refresh_token, NULL, &auth));
    return auth;
}

static void given_tokens(void)
{
    static const char *const same[] = { "abc.def.ghi", "abc.def.ghi\n", "  abc.def.ghi", "\t\r\n abc.def.ghi \r\n",
        "Bearer abc.def.ghi", "Bearer abc.def.ghi\n", "  Bearer   abc.def.ghi  ", "bearer abc.def.ghi",
        "BEARER abc.def.ghi", "\xef\xbb\xbf" "abc.def.ghi", "\xef\xbb\xbf Bearer abc.def.ghi\n",
        "Bearer \xef\xbb\xbf" "abc.def.ghi" };
    static const char *const refused[] = { "abc def", "abc\ndef", "abc\r\nX-Header: y", "abc\tdef", "abc\x01" "def",
        "abc\x7f" "def", "abc\x1b[0m", "Bearer abc def", "Bearer Bearer abc", "abc\xc2\xa0" "def", "abc\xc2\x85" "def",
        "abc\xe2\x80\xa8" "def", "Basic abc", "abc\xe2\x80\x8b" "def",
        "abc\xef\xbb\xbf" "def", "\xe2\x80\x9c" "abc\xe2\x80\x9d", "abc\xc3\xa9", "\"abc\"", "'abc'" };
    static const char *const absent[] = { NULL, "", " ", "\n", "\r\n\t " };
    int64_t expires;
    char buf[256], *text;
    gc_auth_t *auth;
    size_t i;

    for (i = 0; i < sizeof same / sizeof *same; i++) {
        auth = with_tokens(same[i], " refresh-token\n");
        expires = 7777;
        CHECK_OK(gc_auth_bearer(auth, buf, sizeof buf, NULL, &expires));
        CHECK_TEXT(buf, "Bearer abc.def.ghi");
        CHECK(expires == 0);
        CHECK_OK(gc_auth_token(auth, buf, sizeof buf, NULL));
        CHECK_TEXT(buf, "abc.def.ghi");
        CHECK_OK(gc_auth_refresh_token(auth, buf, sizeof buf, NULL));
        CHECK_TEXT(buf, "refresh-token");
        gc_auth_free(auth);
    }
    for (i = 0; i < sizeof refused / sizeof *refused; i++) {
        auth = NULL;
        CHECK_STATUS(gc_auth_new("{}", refused[i], NULL, NULL, &auth), GC_AUTH_ERR_INVALID_ARGUMENT);
        CHECK_HOLDS(gc_auth_last_error_message(), "token");
        CHECK_LACKS(gc_auth_last_error_message(), "abc");
        CHECK_STATUS(gc_auth_new("{}", NULL, refused[i], NULL, &auth), GC_AUTH_ERR_INVALID_ARGUMENT);
        CHECK_HOLDS(gc_auth_last_error_message(), "refresh_token");
        CHECK_LACKS(gc_auth_last_error_message(), "abc");
        CHECK(auth == NULL);
    }
    for (i = 0; i < sizeof absent / sizeof *absent; i++) {
        auth = with_tokens(absent[i], absent[i]);
        CHECK_STATUS(gc_auth_bearer(auth, buf, sizeof buf, NULL, NULL), GC_AUTH_ERR_NO_TOKEN);
        CHECK_STATUS(gc_auth_refresh_token(auth, buf, sizeof buf, NULL), GC_AUTH_ERR_NO_REFRESH_TOKEN);
        gc_auth_free(auth);
    }
    /* Not a JWT, or a JWT without exp: handed out as it is. */
    auth = with_tokens("opaque", NULL);
    text = text_of(bearer_text, auth);
    CHECK_TEXT(text, "Bearer opaque");
    free(text);
    gc_auth_free(auth);
    {
        char *token = jwt("{\"sub\":\"x\"}");
        auth = with_tokens(token, NULL);
        expires = 7777;
        CHECK_OK(gc_auth_bearer(auth, buf, sizeof buf, NULL, &expires));
        CHECK(expires == 0);
        CHECK_TEXT(buf + 7, token);
        gc_auth_free(auth);
        free(token);
    }
    /* exp in all its forms; rounded down. */
    {
        static const struct {
            const char *exp;
            int64_t expires;
        } times[] = { { "4102444800", INT64_C(4102444800) }, { "4102444800.999", INT64_C(4102444800) },
            { "4.1024448e9", INT64_C(4102444800) }, { "\"4102444800\"", INT64_C(4102444800) },
            { "\" 4102444800.9 \"", INT64_C(4102444800) }, { "4102444800123", INT64_C(4102444800) },
            { "\"4102444800123\"", INT64_C(4102444800) }, { "\"soon\"", 0 }, { "null", 0 }, { "[]", 0 } };
        for (i = 0; i < sizeof times / sizeof *times; i++) {
            char payload[128], *token;
            snprintf(payload, sizeof payload, "{\"exp\":%s}", times[i].exp);
            token = jwt(payload);
            auth = with_tokens(token, NULL);
            expires = 7777;
            CHECK_OK(gc_auth_bearer(auth, buf, sizeof buf, NULL, &expires));
            CHECK(expires == times[i].expires);
            gc_auth_free(auth);
            free(token);
        }
    }
    /* Expired to the second, and without a refresh token. */
    {
        char *token = jwt_with_times(-10, 0);
        auth = with_tokens(token, NULL);
        CHECK_STATUS(gc_auth_bearer(auth, buf, sizeof buf, NULL, NULL), GC_AUTH_ERR_TOKEN_EXPIRED);
        CHECK_OK(gc_auth_token(auth, buf, sizeof buf, NULL));
        CHECK_TEXT(buf, token);
        gc_auth_free(auth);
        free(token);
    }
}

#define JWKS_PATH "/api/v1/.well-known/jwks.json"
#define HOST "https://h.example/api"
#define CONFIG "{\"env\":\"e\",\"environments\":{\"e\":{\"host\":\"" HOST "\"},\"f\":{\"host\":\"https://f.example\"}}}"

static void export_and_import(const struct sandbox *sandbox)
{
    static const struct {
        const char *token, *refresh_token, *json;
    } forms[] = {
        { NULL, NULL, "{\"env\":\"e\",\"host\":\"" HOST "\"}" },
        { "T", NULL, "{\"env\":\"e\",\"host\":\"" HOST "\",\"token\":\"T\",\"token_type\":\"Bearer\"}" },
        { NULL, "R", "{\"env\":\"e\",\"host\":\"" HOST "\",\"refresh_token\":\"R\",\"token_type\":\"Bearer\"}" },
        { "T\"\\", "R/!~", "{\"env\":\"e\",\"host\":\"" HOST "\",\"token\":\"T\\\"\\\\\",\"refresh_token\":\"R/!~\","
          "\"token_type\":\"Bearer\"}" },
    };
    static const char *const refused[] = {
        "{}", "[]", "null", "1", "\"x\"", "{", "nonsense",
        "{\"env\":\"e\"}", "{\"host\":\"" HOST "\"}",
        "{\"env\":\"f\",\"host\":\"" HOST "\"}",
        "{\"env\":\"f\",\"host\":\"https://f.example\"}",
        "{\"env\":\"e\",\"host\":\"https://f.example\"}",
        "{\"env\":\"e\",\"host\":\"http://h.example/api\"}",
        "{\"env\":\"e\",\"host\":\"https://h.example/api/more\"}",
        "{\"env\":\"e\",\"host\":\"https://h.example.evil/api\"}",
        "{\"env\":1,\"host\":\"" HOST "\"}",
        "{\"env\":\"e\",\"host\":\"" HOST "\",\"token\":1}",
        "{\"env\":\"e\",\"host\":\"" HOST "\",\"refresh_token\":{}}",
        "{\"env\":\"e\",\"host\":\"" HOST "\",\"token_type\":[]}",
        "{\"env\":\"e\",\"host\":\"" HOST "\",\"project_id\":42}",
        "{\"env\":\"e\",\"host\":\"" HOST "\"} trailing",
    };
    gc_auth_t *auth = NULL, *second = NULL;
    char *json, *again, *text;
    size_t i;

    for (i = 0; i < sizeof forms / sizeof *forms; i++) {
        REQUIRE_OK(gc_auth_new(CONFIG, forms[i].token, forms[i].refresh_token, NULL, &auth));
        json = text_of(gc_auth_to_json, auth);
        CHECK_TEXT(json, forms[i].json);
        REQUIRE_OK(gc_auth_from_json(CONFIG, json, &second));
        again = text_of(gc_auth_to_json, second);
        CHECK_TEXT(again, json);
        gc_auth_free(auth);
        gc_auth_free(second);
        free(json);
        free(again);
    }
    for (i = 0; i < sizeof refused / sizeof *refused; i++) {
        second = NULL;
        if (!CHECK_STATUS(gc_auth_from_json(CONFIG, refused[i], &second), GC_AUTH_ERR_CONFIG)) {
            fprintf(stderr, "... with %s\n", refused[i]);
        }
        CHECK(second == NULL);
    }
    CHECK_STATUS(gc_auth_from_json(CONFIG, "{\"env\":\"e\",\"host\":\"" HOST "\",\"token\":\"a b\"}", &second),
                 GC_AUTH_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(gc_auth_from_json(CONFIG, "{\"env\":\"e\",\"host\":\"" HOST "\",\"token_type\":\"\xc3\xa9\"}", &second),
                 GC_AUTH_ERR_INVALID_ARGUMENT);
    /* Members that nobody knows, another order, white space: fine. */
    REQUIRE_OK(gc_auth_from_json(CONFIG, " { \"later\" : [ 1 ] , \"token\" : \"T\" , \"host\" : \"" HOST "/\" , "
                                 "\"env\" : \"e\", \"refresh_token\": null, \"project_id\" : \"p\" } ", &second));
    json = text_of(gc_auth_to_json, second);
    CHECK_TEXT(json, "{\"env\":\"e\",\"host\":\"" HOST "\",\"token\":\"T\",\"token_type\":\"Bearer\",\"project_id\":\"p\"}");
    gc_auth_free(second);
    free(json);

    /* A whole session, with project and token type, goes on elsewhere. */
    auth = sandbox_handle(sandbox, "", NULL, NULL);
    sandbox_fault(sandbox, "{\"on\":\"login\",\"do\":{\"token-type\":\"Kind\"}}");
    CHECK_OK(gc_auth_login(auth, USER, PASSWORD, ORGANIZATION, "exomes"));
    json = text_of(gc_auth_to_json, auth);
    CHECK_HOLDS(json, ",\"token_type\":\"Kind\",\"project_id\":\"exomes\"}");
    REQUIRE_OK(gc_auth_from_json(config_for(sandbox, sandbox->http, ""), json, &second));
    again = text_of(gc_auth_to_json, second);
    CHECK_TEXT(again, json);
    gc_auth_free(auth);
    free(json);
    free(again);
    CHECK_OK(gc_auth_refresh(second, NULL));
    text = text_of(gc_auth_decoded_token, second);
    CHECK_HOLDS(text, "\"project\":\"exomes\"");
    free(text);
    gc_auth_free(second);
}

static void decoded(void)
{
    static const struct {
        const char *payload;
        const char *json;
    } good[] = {
        { "{}", "{}" },
        { "{\"z\":1,\"a\":2,\"m\":3}", "{\"z\":1,\"a\":2,\"m\":3}" },
        { " { \"a\" : [ 1 , 2 ] ,\n\"b\": \"x y\" } ", "{\"a\":[1,2],\"b\":\"x y\"}" },
        { "{\"big\":9223372036854775807,\"bigger\":18446744073709551616,\"small\":-9223372036854775808}",
          "{\"big\":9223372036854775807,\"bigger\":18446744073709551616,\"small\":-9223372036854775808}" },
        { "{\"a\":1e999,\"b\":1.10,\"c\":-0,\"d\":1E+2,\"e\":0.1000000000000000055511151231257827}",
          "{\"a\":1e999,\"b\":1.10,\"c\":-0,\"d\":1E+2,\"e\":0.1000000000000000055511151231257827}" },
        { "{\"u\":\"\\u00e9 \xc3\xa9 \\ud83d\\ude00 \\/ \\u0000\"}", "{\"u\":\"\\u00e9 \xc3\xa9 \\ud83d\\ude00 \\/ \\u0000\"}" },
        { "{\"exp\":\"text\",\"iat\":null,\"aud\":7}", "{\"exp\":\"text\",\"iat\":null,\"aud\":7}" },
        { "{\"\":{\"\":{}}}", "{\"\":{\"\":{}}}" },
    };
    static const char *const claims[] = { "", "[]", "null", "1", "\"x\"", "{", "{\"a\":1,\"a\":2}",
        "{\"a\":{\"b\":1,\"b\":1}}", "{\"a\":1,\"\\u0061\":2}", "{}x", "{\"a\":01}", "\xff", "{\"a\":\"\xff\"}",
        "{\"a\":NaN}", "{'a':1}", "{\"a\":1,}" };
    static const char *const malformed[] = { "opaque", "a.b", "a.b.c.d", "..", "e30.e30", "!.e30.c2ln", "e30.!.c2ln",
        "e30=.e30=.c2ln", "eyJhbGciOiJSUzI1NiJ9.e30.a", "eyJhbGciOiJSUzI1NiJ9.e30.c2ln.", "W10.e30.c2ln",
        "eyJhbGciOiJSUzI1NiJ9.e31.c2ln" };
    char buf[1024], *text;
    gc_auth_t *auth;
    size_t i;

    for (i = 0; i < sizeof good / sizeof *good; i++) {
        char *token = jwt(good[i].payload);
        auth = with_tokens(token, NULL);
        text = text_of(gc_auth_decoded_token, auth);
        CHECK_TEXT(text, good[i].json);
        CHECK_OK(gc_auth_decode_jwt(auth, NULL, buf, sizeof buf, NULL));
        CHECK_TEXT(buf, good[i].json);
        free(text);
        text = text_of(gc_auth_decoded_token, auth);
        CHECK_TEXT(text, good[i].json);
        free(text);
        gc_auth_free(auth);
        free(token);
    }
    for (i = 0; i < sizeof claims / sizeof *claims; i++) {
        char *token = jwt(claims[i]);
        int64_t project;
        int k;
        auth = with_tokens(token, NULL);
        for (k = 0; k < 2; k++) {
            CHECK_STATUS(gc_auth_decoded_token(auth, buf, sizeof buf, NULL), GC_AUTH_ERR_CLAIMS_MALFORMED);
            CHECK_STATUS(gc_auth_decode_jwt(auth, NULL, buf, sizeof buf, NULL), GC_AUTH_ERR_CLAIMS_MALFORMED);
            CHECK_STATUS(gc_auth_project_id(auth, &project), GC_AUTH_ERR_CLAIMS_MALFORMED);
        }
        gc_auth_free(auth);
        free(token);
    }
    for (i = 0; i < sizeof malformed / sizeof *malformed; i++) {
        int64_t project;
        auth = with_tokens(malformed[i], NULL);
        if (!CHECK_STATUS(gc_auth_decoded_token(auth, buf, sizeof buf, NULL), GC_AUTH_ERR_TOKEN_MALFORMED)) {
            fprintf(stderr, "... with %s\n", malformed[i]);
        }
        CHECK_STATUS(gc_auth_decode_jwt(auth, NULL, buf, sizeof buf, NULL), GC_AUTH_ERR_TOKEN_MALFORMED);
        CHECK_STATUS(gc_auth_project_id(auth, &project), GC_AUTH_ERR_TOKEN_MALFORMED);
        /* It is handed out as it is all the same. */
        CHECK_OK(gc_auth_bearer(auth, buf, sizeof buf, NULL, NULL));
        gc_auth_free(auth);
    }
    /* Headers that are not what they should be */
    {
        static const char *const headers[] = { "[]", "{}", "{\"alg\":1}", "", "{\"alg\":\"RS256\",\"alg\":\"RS256\"}",
            "{\"alg\":\"RS256\",\"crit\":[\"x\"]}", "{\"alg\":\"RS256\",\"b64\":false}", "{\"typ\":\"JWT\"}" };
        for (i = 0; i < sizeof headers / sizeof *headers; i++) {
            char *token = jwt_with_header(headers[i], "{}");
            auth = with_tokens(token, NULL);
            if (!CHECK_STATUS(gc_auth_decoded_token(auth, buf, sizeof buf, NULL), GC_AUTH_ERR_TOKEN_MALFORMED)) {
                fprintf(stderr, "... with %s\n", headers[i]);
            }
            gc_auth_free(auth);
            free(token);
        }
    }
    /* More than 64 KiB */
    {
        char *large = malloc(70000), *token;
        memset(large, ' ', 70000);
        large[0] = '{';
        strcpy(large + 60000, "}");
        token = jwt(large);
        auth = with_tokens(token, NULL);
        CHECK_STATUS(gc_auth_decoded_token(auth, buf, sizeof buf, NULL), GC_AUTH_ERR_TOKEN_MALFORMED);
        text = text_of(gc_auth_token, auth);
        CHECK_TEXT(text, token);
        free(text);
        gc_auth_free(auth);
        free(token);
        free(large);
    }
}

static void project_ids(void)
{
    static const struct {
        const char *payload;
        gc_auth_status_t status;
        int64_t project;
    } forms[] = {
        { "{\"project_id\":42}", GC_AUTH_OK, 42 },
        { "{\"project_id\":\"42\"}", GC_AUTH_OK, 42 },
        { "{\"project_id\":-7}", GC_AUTH_OK, -7 },
        { "{\"project_id\":0}", GC_AUTH_OK, 0 },
        { "{\"project_id\":9007199254740993}", GC_AUTH_OK, INT64_C(9007199254740993) },
        { "{\"project_id\":\"9223372036854775807\"}", GC_AUTH_OK, INT64_MAX },
        { "{\"project_id\":-9223372036854775808}", GC_AUTH_OK, INT64_MIN },
        { "{\"projectId\":7}", GC_AUTH_OK, 7 },
        { "{\"project\":{\"id\":8}}", GC_AUTH_OK, 8 },
        { "{\"project.id\":9}", GC_AUTH_OK, 9 },
        { "{\"project\":10}", GC_AUTH_OK, 10 },
        { "{\"project\":\"11\"}", GC_AUTH_OK, 11 },
        { "{\"project\":3,\"projectId\":2,\"project_id\":1}", GC_AUTH_OK, 1 },
        { "{\"project\":3,\"projectId\":2}", GC_AUTH_OK, 2 },
        { "{\"project_id\":9223372036854775808}", GC_AUTH_ERR_CLAIM_MISSING, 0 },
        { "{\"project_id\":1.5}", GC_AUTH_ERR_CLAIM_MISSING, 0 },
        { "{\"project_id\":\"\"}", GC_AUTH_ERR_CLAIM_MISSING, 0 },
        { "{\"project_id\":\"abc\"}", GC_AUTH_ERR_CLAIM_MISSING, 0 },
        { "{\"project_id\":\" 42\"}", GC_AUTH_ERR_CLAIM_MISSING, 0 },
        { "{\"project_id\":\"+42\"}", GC_AUTH_ERR_CLAIM_MISSING, 0 },
        { "{\"project_id\":\"0x2a\"}", GC_AUTH_ERR_CLAIM_MISSING, 0 },
        { "{\"project_id\":\"42abc\"}", GC_AUTH_ERR_CLAIM_MISSING, 0 },
        { "{\"project_id\":true}", GC_AUTH_ERR_CLAIM_MISSING, 0 },
        { "{\"project_id\":null}", GC_AUTH_ERR_CLAIM_MISSING, 0 },
        { "{\"project_id\":[42]}", GC_AUTH_ERR_CLAIM_MISSING, 0 },
        { "{\"project_id\":{}}", GC_AUTH_ERR_CLAIM_MISSING, 0 },
        { "{\"project\":\"genomes\"}", GC_AUTH_ERR_CLAIM_MISSING, 0 },
        { "{\"Project_ID\":1}", GC_AUTH_ERR_CLAIM_MISSING, 0 },
        { "{}", GC_AUTH_ERR_CLAIM_MISSING, 0 },
    };
    size_t i;
    gc_auth_t *auth = NULL;
    int64_t project;
    char *token;
    for (i = 0; i < sizeof forms / sizeof *forms; i++) {
        token = jwt(forms[i].payload);
        auth = with_tokens(token, NULL);
        project = 7777;
        if (!CHECK_STATUS(gc_auth_project_id(auth, &project), forms[i].status)
            || !CHECK(project == (forms[i].status == GC_AUTH_OK ? forms[i].project : 7777))) {
            fprintf(stderr, "... with %s\n", forms[i].payload);
        }
        gc_auth_free(auth);
        free(token);
    }
    /* The config says which claims count. */
    token = jwt("{\"project_id\":1,\"mine\":{\"number\":2}}");
    REQUIRE_OK(gc_auth_new("{\"claims\":{\"project_id\":[\"none\",\"mine.number\"]}}", token, NULL, NULL, &auth));
    CHECK_OK(gc_auth_project_id(auth, &project));
    CHECK(project == 2);
    gc_auth_free(auth);
    REQUIRE_OK(gc_auth_new("{\"claims\":{\"project_id\":[]}}", token, NULL, NULL, &auth));
    CHECK_STATUS(gc_auth_project_id(auth, &project), GC_AUTH_ERR_CLAIM_MISSING);
    gc_auth_free(auth);
    free(token);
}

/* A copy of `token` with one character changed at `at`, to another of the alphabet. */
static char *tampered(const char *token, size_t at)
{
    char *copy = malloc(strlen(token) + 1);
    strcpy(copy, token);
    copy[at] = copy[at] == 'A' ? 'B' : 'A';
    return copy;
}

static void verified(const char *algorithm)
{
    const char *options[] = { "--alg", algorithm, NULL };
    struct sandbox sandbox;
    gc_auth_t *auth, *other;
    char *pem, *jwks, *json, *again, *token, *forged, buf[4096], *start, *private_key;
    long number = checks_failed;
    size_t used, payload_at, signature_at;

    sandbox_start(&sandbox, options);
    auth = sandbox_session(&sandbox, "");
    pem = file_text(sandbox.dir, "public.pem");
    CHECK_OK(gc_auth_decode_jwt(auth, pem, buf, sizeof buf, NULL));
    json = text_of(gc_auth_decoded_token, auth);
    CHECK_TEXT(buf, json);
    /* White space around PEM, and CRLF, are no matter. */
    {
        char *odd = malloc(strlen(pem) * 2 + 16);
        size_t i;
        used = (size_t)sprintf(odd, "\n\n  ");
        for (i = 0; pem[i]; i++) {
            if (pem[i] == '\n') {
                odd[used++] = '\r';
            }
            odd[used++] = pem[i];
        }
        odd[used] = '\0';
        CHECK_OK(gc_auth_decode_jwt(auth, odd, buf, sizeof buf, NULL));
        free(odd);
    }
    jwks = sandbox_request(&sandbox, "GET", JWKS_PATH, NULL);
    CHECK_OK(gc_auth_decode_jwt(auth, jwks, buf, sizeof buf, NULL));
    CHECK_TEXT(buf, json);
    /* One JWK: what stands between the brackets of the set. */
    start = strchr(jwks, '[');
    REQUIRE(start != NULL);
    again = malloc(strlen(start) + 1);
    strcpy(again, start + 1);
    *strrchr(again, ']') = '\0';
    CHECK_OK(gc_auth_decode_jwt(auth, again, buf, sizeof buf, NULL));
    free(again);
    /* The payload's members keep their order. */
    CHECK(strstr(json, "{\"iss\":\"gcauth-sandbox\",\"sub\":\"ada\",\"name\":\"Ada\",") == json);

    /* Forgeries */
    token = text_of(gc_auth_token, auth);
    payload_at = (size_t)(strchr(token, '.') - token) + 1;
    signature_at = (size_t)(strrchr(token, '.') - token) + 1;
    forged = tampered(token, payload_at + 20);
    other = with_tokens(forged, NULL);
    CHECK_STATUS(gc_auth_decode_jwt(other, pem, buf, sizeof buf, NULL), GC_AUTH_ERR_SIGNATURE_INVALID);
    CHECK_STATUS(gc_auth_decode_jwt(other, jwks, buf, sizeof buf, NULL), GC_AUTH_ERR_SIGNATURE_INVALID);
    gc_auth_free(other);
    free(forged);
    forged = tampered(token, signature_at + 20);
    other = with_tokens(forged, NULL);
    CHECK_STATUS(gc_auth_decode_jwt(other, pem, buf, sizeof buf, NULL), GC_AUTH_ERR_SIGNATURE_INVALID);
    gc_auth_free(other);
    token[signature_at] = '\0';
    other = with_tokens(token, NULL);
    CHECK_STATUS(gc_auth_decode_jwt(other, pem, buf, sizeof buf, NULL), GC_AUTH_ERR_SIGNATURE_INVALID);
    gc_auth_free(other);
    free(forged);
    free(token);
    {
        static const char *const algorithms[] = { "none", "None", "HS256", "HS512", "XY256", "" };
        size_t i;
        for (i = 0; i < sizeof algorithms / sizeof *algorithms; i++) {
            char header[64];
            snprintf(header, sizeof header, "{\"alg\":\"%s\"}", algorithms[i]);
            token = jwt_with_header(header, "{}");
            other = with_tokens(token, NULL);
            CHECK_STATUS(gc_auth_decode_jwt(other, pem, buf, sizeof buf, NULL), GC_AUTH_ERR_ALGORITHM_REFUSED);
            gc_auth_free(other);
            free(token);
        }
    }

    /* Times, of tokens with a good signature */
    sandbox_fault(&sandbox, "{\"do\":{\"token\":{\"claims\":{\"nbf\":4102444800}}}}");
    CHECK_OK(log_in(auth));
    CHECK_STATUS(gc_auth_decode_jwt(auth, pem, buf, sizeof buf, NULL), GC_AUTH_ERR_TOKEN_NOT_YET_VALID);
    sandbox_fault(&sandbox, "{\"do\":{\"token\":\"expired\"}}");
    CHECK_OK(log_in(auth));
    CHECK_STATUS(gc_auth_decode_jwt(auth, pem, buf, sizeof buf, NULL), GC_AUTH_ERR_TOKEN_EXPIRED);
    CHECK_OK(gc_auth_decode_jwt(auth, NULL, buf, sizeof buf, NULL));
    sandbox_fault(&sandbox, "{\"do\":{\"token\":\"no-exp\"}}");
    CHECK_OK(log_in(auth));
    CHECK_OK(gc_auth_decode_jwt(auth, pem, buf, sizeof buf, NULL));
    sandbox_fault(&sandbox, "{\"do\":{\"token\":{\"claims\":{\"sub\":7}}}}");
    CHECK_OK(log_in(auth));
    CHECK_OK(gc_auth_decode_jwt(auth, pem, buf, sizeof buf, NULL));
    sandbox_fault(&sandbox, "{\"do\":{\"token\":{\"claims\":{\"sub\":true}}}}");
    CHECK_OK(log_in(auth));
    CHECK_STATUS(gc_auth_decode_jwt(auth, pem, buf, sizeof buf, NULL), GC_AUTH_ERR_CLAIMS_MALFORMED);
    CHECK_OK(log_in(auth));

    /* Keys that are none */
    private_key = file_text(sandbox.dir, "server-key.pem");
    CHECK_STATUS(gc_auth_decode_jwt(auth, private_key, buf, sizeof buf, NULL), GC_AUTH_ERR_KEY_INVALID);
    free(private_key);
    CHECK_STATUS(gc_auth_decode_jwt(auth, "{\"kty\":\"oct\",\"k\":\"c2VjcmV0\"}", buf, sizeof buf, NULL),
                 GC_AUTH_ERR_KEY_INVALID);
    CHECK_STATUS(gc_auth_decode_jwt(auth, "{\"keys\":[]}", buf, sizeof buf, NULL), GC_AUTH_ERR_KEY_INVALID);
    CHECK_STATUS(gc_auth_decode_jwt(auth, "{}", buf, sizeof buf, NULL), GC_AUTH_ERR_KEY_INVALID);
    CHECK_STATUS(gc_auth_decode_jwt(auth, "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", buf,
                                    sizeof buf, NULL), GC_AUTH_ERR_KEY_INVALID);
    /* Another key of the same kind */
    sandbox_post(&sandbox, "keys/rotate", "{\"keep_old\":false}");
    again = sandbox_request(&sandbox, "GET", JWKS_PATH, NULL);
    CHECK_STATUS(gc_auth_decode_jwt(auth, again, buf, sizeof buf, NULL), GC_AUTH_ERR_KEY_INVALID);
    free(again);
    CHECK_OK(log_in(auth));
    CHECK_STATUS(gc_auth_decode_jwt(auth, pem, buf, sizeof buf, NULL), GC_AUTH_ERR_SIGNATURE_INVALID);
    CHECK_STATUS(gc_auth_decode_jwt(auth, jwks, buf, sizeof buf, NULL), GC_AUTH_ERR_KEY_INVALID);
    /* The key of TLS is an ECDSA key: good to verify, but not these. */
    again = file_text(sandbox.dir, "server.pem");
    CHECK_STATUS(gc_auth_decode_jwt(auth, again, buf, sizeof buf, NULL),
                 strcmp(algorithm, "ES256") == 0 ? GC_AUTH_ERR_SIGNATURE_INVALID : GC_AUTH_ERR_ALGORITHM_REFUSED);
    free(again);
    gc_auth_free(auth);
    free(json);
    free(jwks);
    free(pem);
    sandbox_stop(&sandbox);
    if (checks_failed != number) {
        fprintf(stderr, "... with %s\n", algorithm);
    }
}

int main(void)
{
    static const char *const options[] = { "--alg", "EdDSA", NULL };
    struct sandbox sandbox;
    check_begin();
    given_tokens();
    decoded();
    project_ids();
    sandbox_start(&sandbox, options);
    export_and_import(&sandbox);
    sandbox_stop(&sandbox);
    verified("EdDSA");
    verified("ES256");
    verified("RS256");
    return check_end();
}
