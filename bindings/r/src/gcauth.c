/* The way from R to libgcauth and back.
 *
 * Nothing here raises an R error on behalf of the library: a call that fails returns a list of class
 * "gcauth_failure", and R code makes a condition of it. What can raise one (allocation by R) happens before the
 * library is called or after it has returned, with nothing held but memory that R takes back by itself. */

#define R_NO_REMAP
#include <R.h>
#include <Rinternals.h>
#include <R_ext/Rdynload.h>
#include <R_ext/Visibility.h>

#include <gcauth.h>
#include <inttypes.h>
#include <langinfo.h>
#include <stdio.h>
#include <string.h>

/* Tokens are about 1 KB. */
#define FIRST_SIZE 8192

/* Through a volatile pointer, so that it is not optimised away. */
static void wipe(void *memory, size_t size)
{
    volatile unsigned char *byte = memory;
    while (size-- > 0)
        *byte++ = 0;
}

/* ---- failures ---- */

static SEXP failure(gc_auth_status_t status, const char *name, const char *message, int32_t http_status,
                    int32_t retryable, int64_t retry_after_ms)
{
    const char *names[] = {"status", "name", "message", "http_status", "retryable", "retry_after", "network", ""};
    SEXP list = PROTECT(Rf_mkNamed(VECSXP, names));
    SET_VECTOR_ELT(list, 0, Rf_ScalarInteger(status));
    SET_VECTOR_ELT(list, 1, Rf_ScalarString(Rf_mkCharCE(name, CE_UTF8)));
    SET_VECTOR_ELT(list, 2, Rf_ScalarString(Rf_mkCharCE(message, CE_UTF8)));
    SET_VECTOR_ELT(list, 3, Rf_ScalarInteger(http_status == 0 ? NA_INTEGER : http_status));
    SET_VECTOR_ELT(list, 4, Rf_ScalarLogical(retryable != 0));
    SET_VECTOR_ELT(list, 5, Rf_ScalarReal(retry_after_ms < 0 ? NA_REAL : (double)retry_after_ms / 1000.0));
    SET_VECTOR_ELT(list, 6, Rf_ScalarLogical(status == GC_AUTH_ERR_CONNECT || status == GC_AUTH_ERR_TIMEOUT
                                             || status == GC_AUTH_ERR_TLS));
    Rf_setAttrib(list, R_ClassSymbol, PROTECT(Rf_mkString("gcauth_failure")));
    UNPROTECT(2);
    return list;
}

/* The last call's failure. The message is copied first: allocation by R can run finalizers, and these can call the
 * library. */
static SEXP last_failure(gc_auth_status_t status)
{
    char message[512];
    snprintf(message, sizeof message, "%s", gc_auth_last_error_message());
    return failure(status, gc_auth_status_name(status), message, gc_auth_last_error_http_status(),
                   gc_auth_last_error_is_retryable(), gc_auth_last_error_retry_after_ms());
}

/* A failure that this file finds before the library does. */
static SEXP refusal(gc_auth_status_t status, const char *message)
{
    return failure(status, gc_auth_status_name(status), message, 0, 0, -1);
}

/* ---- text in ---- */

struct text {
    const char *bytes; /* NULL where nothing was given */
    char *own;         /* a copy to wipe, or NULL */
    size_t size;
    const char *fault; /* why it can't be used, or NULL */
};

/* Whether native strings go to the library as they are. In a UTF-8 locale translation has nothing to do, and would make
 * text of bytes that are none ("<ff>"), where the library refuses them. In the C locale other bytes than ASCII are from
 * files and variables that are UTF-8 elsewhere. */
static int native_is_utf8(void)
{
    const char *codeset = nl_langinfo(CODESET);
    return strcmp(codeset, "UTF-8") == 0 || strcmp(codeset, "ANSI_X3.4-1968") == 0 || strcmp(codeset, "US-ASCII") == 0;
}

/* NULL, a string, or the bytes of one. R code has seen to it that it is one of them. */
static struct text text_in(SEXP value)
{
    struct text text = {NULL, NULL, 0, NULL};
    if (TYPEOF(value) == RAWSXP) {
        text.size = (size_t)XLENGTH(value);
        if (memchr(RAW(value), 0, text.size) != NULL) {
            text.fault = "there is a NUL inside";
            return text;
        }
        text.own = R_alloc(text.size + 1, 1);
        memcpy(text.own, RAW(value), text.size);
        text.own[text.size] = '\0';
        text.bytes = text.own;
    } else if (TYPEOF(value) == STRSXP) {
        SEXP string = STRING_ELT(value, 0);
        cetype_t encoding = Rf_getCharCE(string);
        if (encoding == CE_BYTES || (encoding == CE_NATIVE && native_is_utf8())) {
            text.bytes = CHAR(string);
        } else {
            text.bytes = Rf_translateCharUTF8(string);
            if (text.bytes != CHAR(string)) {
                text.own = (char *)text.bytes;
                text.size = strlen(text.own);
            }
        }
        if (text.own == NULL && strlen(text.bytes) != (size_t)LENGTH(string))
            text.fault = "there is a NUL inside";
    }
    return text;
}

static void drop(struct text *text)
{
    if (text->own != NULL)
        wipe(text->own, text->size);
}

/* ---- the handle ---- */

static void finalize(SEXP session)
{
    gc_auth_t *auth = R_ExternalPtrAddr(session);
    R_ClearExternalPtr(session);
    gc_auth_free(auth);
}

/* Made before the library is called, so that nothing can go wrong between the library's handle and its owner. */
static SEXP owner(void)
{
    SEXP session = PROTECT(R_MakeExternalPtr(NULL, R_NilValue, R_NilValue));
    R_RegisterCFinalizerEx(session, finalize, TRUE);
    Rf_setAttrib(session, R_ClassSymbol, PROTECT(Rf_mkString("gcauth_session")));
    UNPROTECT(2);
    return session;
}

static gc_auth_t *handle(SEXP session)
{
    return R_ExternalPtrAddr(session);
}

static SEXP is_alive(SEXP session)
{
    return Rf_ScalarLogical(handle(session) != NULL);
}

/* ---- life of a session ---- */

#define MOST_TEXTS 4

/* Lets `call` work with texts: all come in first, and all copies are wiped. */
static SEXP with_texts(gc_auth_status_t (*call)(void *context, const char *const *texts), void *context,
                       SEXP success, int count, SEXP const *values, const char *const *names)
{
    struct text texts[MOST_TEXTS];
    const char *bytes[MOST_TEXTS];
    char message[128] = "";
    gc_auth_status_t status = GC_AUTH_OK;
    for (int i = 0; i < count; i++) {
        texts[i] = text_in(values[i]);
        bytes[i] = texts[i].bytes;
        if (texts[i].fault != NULL && message[0] == '\0')
            snprintf(message, sizeof message, "%s: %s", names[i], texts[i].fault);
    }
    if (message[0] == '\0')
        status = call(context, bytes);
    for (int i = 0; i < count; i++)
        drop(&texts[i]);
    if (message[0] != '\0')
        return refusal(GC_AUTH_ERR_INVALID_ARGUMENT, message);
    return status == GC_AUTH_OK ? success : last_failure(status);
}

static gc_auth_status_t call_new(void *context, const char *const *texts)
{
    return gc_auth_new(texts[0], texts[1], texts[2], texts[3], context);
}

static SEXP new_session(SEXP config, SEXP token, SEXP refresh_token, SEXP env)
{
    static const char *const names[] = {"config", "token", "refresh_token", "env"};
    SEXP values[] = {config, token, refresh_token, env};
    gc_auth_t *auth = NULL;
    SEXP session = PROTECT(owner());
    SEXP result = with_texts(call_new, &auth, session, 4, values, names);
    if (auth != NULL)
        R_SetExternalPtrAddr(session, auth);
    UNPROTECT(1);
    return result;
}

static gc_auth_status_t call_from_json(void *context, const char *const *texts)
{
    return gc_auth_from_json(texts[0], texts[1], context);
}

static SEXP from_json(SEXP config, SEXP json)
{
    static const char *const names[] = {"config", "json"};
    SEXP values[] = {config, json};
    gc_auth_t *auth = NULL;
    SEXP session = PROTECT(owner());
    SEXP result = with_texts(call_from_json, &auth, session, 2, values, names);
    if (auth != NULL)
        R_SetExternalPtrAddr(session, auth);
    UNPROTECT(1);
    return result;
}

static gc_auth_status_t call_login(void *context, const char *const *texts)
{
    return gc_auth_login(context, texts[0], texts[1], texts[2], texts[3]);
}

static SEXP login(SEXP session, SEXP username, SEXP password, SEXP organization, SEXP project)
{
    static const char *const names[] = {"username", "password", "organization", "project"};
    SEXP values[] = {username, password, organization, project};
    return with_texts(call_login, handle(session), R_NilValue, 4, values, names);
}

static gc_auth_status_t call_refresh(void *context, const char *const *texts)
{
    return gc_auth_refresh(context, texts[0]);
}

static SEXP refresh(SEXP session, SEXP project)
{
    static const char *const names[] = {"project"};
    return with_texts(call_refresh, handle(session), R_NilValue, 1, &project, names);
}

static gc_auth_status_t call_report_rejected(void *context, const char *const *texts)
{
    return gc_auth_report_rejected(context, texts[0]);
}

static SEXP report_rejected(SEXP session, SEXP bearer)
{
    static const char *const names[] = {"bearer"};
    return with_texts(call_report_rejected, handle(session), R_NilValue, 1, &bearer, names);
}

static gc_auth_status_t call_write_token_file(void *context, const char *const *texts)
{
    return gc_auth_write_token_file(context, texts[0], texts[1]);
}

static SEXP write_token_file(SEXP session, SEXP path, SEXP format)
{
    static const char *const names[] = {"path", "format"};
    SEXP values[] = {path, format};
    return with_texts(call_write_token_file, handle(session), R_NilValue, 2, values, names);
}

static SEXP logout(SEXP session)
{
    gc_auth_status_t status = gc_auth_logout(handle(session));
    return status == GC_AUTH_OK ? R_NilValue : last_failure(status);
}

/* ---- what the session knows ---- */

struct question {
    gc_auth_t *auth;
    const char *public_key;
    int64_t expires_at;
    int64_t min_valid_s;
};

typedef gc_auth_status_t (*getter)(struct question *question, char *buf, size_t buf_size, size_t *out_size);

/* Text out, in a buffer that grows when the text has grown between two calls. */
static SEXP text_out(getter get, struct question *question)
{
    char first[FIRST_SIZE];
    char *buf = first;
    size_t buf_size = sizeof first, size = 0;
    gc_auth_status_t status;
    while ((status = get(question, buf, buf_size, &size)) == GC_AUTH_ERR_BUFFER_TOO_SMALL && size > buf_size) {
        buf = R_alloc(size, 1);
        buf_size = size;
    }
    if (status != GC_AUTH_OK)
        return last_failure(status);
    SEXP text = PROTECT(Rf_ScalarString(Rf_mkCharLenCE(buf, (int)size - 1, CE_UTF8)));
    wipe(buf, size);
    UNPROTECT(1);
    return text;
}

static gc_auth_status_t get_bearer(struct question *question, char *buf, size_t buf_size, size_t *out_size)
{
    return gc_auth_bearer(question->auth, buf, buf_size, out_size, &question->expires_at);
}

static gc_auth_status_t get_bearer_valid_for(struct question *question, char *buf, size_t buf_size, size_t *out_size)
{
    return gc_auth_bearer_valid_for(question->auth, question->min_valid_s, buf, buf_size, out_size,
                                    &question->expires_at);
}

/* The text, with the second of its expiry as the attribute "expires_at". */
static SEXP bearer_by(getter get, struct question question)
{
    SEXP text = PROTECT(text_out(get, &question));
    if (TYPEOF(text) == STRSXP) {
        double expires_at = question.expires_at == 0 ? NA_REAL : (double)question.expires_at;
        Rf_setAttrib(text, Rf_install("expires_at"), PROTECT(Rf_ScalarReal(expires_at)));
        UNPROTECT(1);
    }
    UNPROTECT(1);
    return text;
}

static SEXP bearer(SEXP session)
{
    struct question question = {handle(session), NULL, 0, 0};
    return bearer_by(get_bearer, question);
}

static SEXP bearer_valid_for(SEXP session, SEXP seconds)
{
    /* What is larger than any token's life is as good as this. */
    double wanted = Rf_asReal(seconds), most = 1e15;
    struct question question = {handle(session), NULL, 0, 0};
    question.min_valid_s = (int64_t)(wanted > most ? most : wanted < -1 ? -1 : wanted);
    if (question.min_valid_s < wanted && wanted < most)
        question.min_valid_s++;
    return bearer_by(get_bearer_valid_for, question);
}

#define GETTER(name, function)                                                                                       \
    static gc_auth_status_t get_##name(struct question *question, char *buf, size_t buf_size, size_t *out_size)      \
    {                                                                                                                \
        return function(question->auth, buf, buf_size, out_size);                                                    \
    }                                                                                                                \
    static SEXP name(SEXP session)                                                                                   \
    {                                                                                                                \
        struct question question = {handle(session), NULL, 0, 0};                                                    \
        return text_out(get_##name, &question);                                                                      \
    }

GETTER(token, gc_auth_token)
GETTER(refresh_token, gc_auth_refresh_token)
GETTER(token_type, gc_auth_token_type)
GETTER(env, gc_auth_env)
GETTER(host, gc_auth_host)
GETTER(claims, gc_auth_decoded_token)
GETTER(verify, gc_auth_verify)
GETTER(as_json, gc_auth_to_json)
GETTER(session_info, gc_auth_session_info)

/* Whether the session has a token of either kind; neither is fetched. */
static SEXP has_token(SEXP session)
{
    size_t size = 0;
    gc_auth_status_t status = gc_auth_token(handle(session), NULL, 0, &size);
    if (status == GC_AUTH_ERR_NO_TOKEN)
        status = gc_auth_refresh_token(handle(session), NULL, 0, &size);
    if (status == GC_AUTH_ERR_BUFFER_TOO_SMALL || status == GC_AUTH_ERR_NO_REFRESH_TOKEN)
        return Rf_ScalarLogical(status == GC_AUTH_ERR_BUFFER_TOO_SMALL);
    return last_failure(status);
}

static gc_auth_status_t get_decode_jwt(struct question *question, char *buf, size_t buf_size, size_t *out_size)
{
    return gc_auth_decode_jwt(question->auth, question->public_key, buf, buf_size, out_size);
}

static SEXP decode_jwt(SEXP session, SEXP public_key)
{
    struct text key = text_in(public_key);
    struct question question = {handle(session), key.bytes, 0, 0};
    if (key.fault != NULL)
        return refusal(GC_AUTH_ERR_KEY_INVALID, "public_key: there is a NUL inside");
    return text_out(get_decode_jwt, &question);
}

/* As text: a double keeps whole numbers up to 2^53 only. */
static SEXP project_id(SEXP session)
{
    char digits[24];
    int64_t number = 0;
    gc_auth_status_t status = gc_auth_project_id(handle(session), &number);
    if (status != GC_AUTH_OK)
        return last_failure(status);
    snprintf(digits, sizeof digits, "%" PRId64, number);
    return Rf_mkString(digits);
}

/* ---- the library ---- */

static SEXP version(void)
{
    return Rf_mkString(gc_auth_version_string());
}

static SEXP status_name(SEXP status)
{
    return Rf_mkString(gc_auth_status_name(Rf_asInteger(status)));
}

static SEXP refuse(SEXP message, SEXP is_config)
{
    gc_auth_status_t status = Rf_asLogical(is_config) == TRUE ? GC_AUTH_ERR_CONFIG : GC_AUTH_ERR_INVALID_ARGUMENT;
    return refusal(status, Rf_translateCharUTF8(STRING_ELT(message, 0)));
}

#define ROUTINE(name, arguments) {#name, (DL_FUNC)&name, arguments}

static const R_CallMethodDef routines[] = {
    ROUTINE(as_json, 1), ROUTINE(bearer, 1), ROUTINE(bearer_valid_for, 2), ROUTINE(claims, 1), ROUTINE(decode_jwt, 2), ROUTINE(env, 1),
    ROUTINE(from_json, 2), ROUTINE(has_token, 1), ROUTINE(host, 1), ROUTINE(is_alive, 1), ROUTINE(login, 5), ROUTINE(logout, 1),
    ROUTINE(new_session, 4), ROUTINE(project_id, 1), ROUTINE(refresh, 2), ROUTINE(refresh_token, 1),
    ROUTINE(refuse, 2), ROUTINE(report_rejected, 2), ROUTINE(session_info, 1), ROUTINE(status_name, 1),
    ROUTINE(token, 1), ROUTINE(token_type, 1), ROUTINE(verify, 1), ROUTINE(version, 0),
    ROUTINE(write_token_file, 3), {NULL, NULL, 0}};

attribute_visible void R_init_gcauth(DllInfo *dll)
{
    R_registerRoutines(dll, NULL, routines, NULL, NULL);
    R_useDynamicSymbols(dll, FALSE);
    R_forceSymbols(dll, TRUE);
}
