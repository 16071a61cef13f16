/* The table of cases that the tests of every language run: tests/cases/cases.tsv, in the directory GCAUTH_CASES. */

#include "check.h"
#include "sandbox.h"

#define COLUMNS 7
#define ARGUMENTS 4

static struct sandbox sandbox;
static const char *directory;

/* What the case under way has. */
static gc_auth_t *auth;
static char config[4096];
static char bearer[8192];

/* `text` with what it says in the form @NAME@ replaced; in memory to free. */
static char *replaced(const char *text)
{
    const struct {
        const char *name, *value;
    } names[] = { { "@HTTPS@", sandbox.https }, { "@CA@", sandbox.ca }, { "@DIR@", sandbox.dir },
                  { "@CASES@", directory } };
    size_t count = sizeof names / sizeof *names, used = 0, i;
    char *out = calloc(1, 8192);
    REQUIRE(out != NULL);
    while (*text) {
        REQUIRE(used + 1024 < 8192);
        for (i = 0; i < count && strncmp(text, names[i].name, strlen(names[i].name)) != 0; i++) {
        }
        if (i < count) {
            used += (size_t)sprintf(out + used, "%s", names[i].value);
            text += strlen(names[i].name);
        } else {
            out[used++] = *text++;
        }
    }
    return out;
}

/* Splits in place at each `separator`; what is not there, and "-", is NULL. The number of parts, at most `most`. */
static int split(char *text, char separator, char **parts, int most)
{
    int count = 0, i;
    for (i = 0; i < most; i++) {
        parts[i] = NULL;
    }
    while (text && count < most) {
        char *end = strchr(text, separator);
        if (end) {
            *end++ = '\0';
        }
        parts[count++] = strcmp(text, "-") == 0 ? NULL : text;
        text = end;
    }
    REQUIRE(text == NULL);
    return count;
}

static gc_auth_status_t status_named(const char *name)
{
    gc_auth_status_t status;
    for (status = 0; status < 100; status++) {
        const char *known = gc_auth_status_name(status);
        if (strncmp(known, "GC_AUTH_", 8) == 0 && strcmp(known + 8, name) == 0) {
            return status;
        }
    }
    fprintf(stderr, "the table has the status %s, which the library has not\n", name);
    exit(2);
}

/* Takes the session over by way of its JSON. */
static gc_auth_status_t export_and_go_on(void)
{
    char *json = text_of(gc_auth_to_json, auth);
    gc_auth_t *other = NULL;
    gc_auth_status_t status;
    REQUIRE(json != NULL);
    status = gc_auth_from_json(config, json, &other);
    free(json);
    if (status == GC_AUTH_OK) {
        gc_auth_free(auth);
        auth = other;
    }
    return status;
}

/* Makes the call; what it gives goes to `value`, which has room for 8192 bytes. */
static gc_auth_status_t run(const char *call, char *text, char **arguments, char *value)
{
    if (strcmp(call, "new") == 0) {
        gc_auth_free(auth);
        auth = NULL;
        snprintf(config, sizeof config, "%s", arguments[0]);
        return gc_auth_new(config, arguments[1], arguments[2], NULL, &auth);
    }
    if (strcmp(call, "login") == 0) {
        return gc_auth_login(auth, arguments[0], arguments[1], arguments[2], arguments[3]);
    }
    if (strcmp(call, "refresh") == 0) {
        return gc_auth_refresh(auth, arguments[0]);
    }
    if (strcmp(call, "report-rejected") == 0) {
        return gc_auth_report_rejected(auth, bearer);
    }
    if (strcmp(call, "logout") == 0) {
        return gc_auth_logout(auth);
    }
    if (strcmp(call, "bearer") == 0) {
        char now[8192];
        gc_auth_status_t status = gc_auth_bearer(auth, now, sizeof now, NULL, NULL);
        if (status == GC_AUTH_OK) {
            strcpy(value, strcmp(now, bearer) == 0 ? "same" : "new");
            strcpy(bearer, now);
        }
        return status;
    }
    if (strcmp(call, "env") == 0) {
        return gc_auth_env(auth, value, 8192, NULL);
    }
    if (strcmp(call, "token-type") == 0) {
        return gc_auth_token_type(auth, value, 8192, NULL);
    }
    if (strcmp(call, "project-id") == 0) {
        int64_t number = 0;
        gc_auth_status_t status = gc_auth_project_id(auth, &number);
        sprintf(value, "%" PRId64, number);
        return status;
    }
    if (strcmp(call, "decode-jwt") == 0) {
        char *slash = strrchr(arguments[0], '/');
        char *key;
        gc_auth_status_t status;
        REQUIRE(slash != NULL);
        *slash = '\0';
        key = file_text(arguments[0], slash + 1);
        status = gc_auth_decode_jwt(auth, key, value, 8192, NULL);
        free(key);
        return status;
    }
    if (strcmp(call, "export and go on") == 0) {
        return export_and_go_on();
    }
    if (strcmp(call, "sandbox") == 0) {
        char *body = strchr(text, ' ');
        REQUIRE(body != NULL);
        *body = '\0';
        sandbox_post(&sandbox, text, body + 1);
        return GC_AUTH_OK;
    }
    if (strcmp(call, "counter") == 0) {
        sprintf(value, "%ld", sandbox_counter(&sandbox, text));
        return GC_AUTH_OK;
    }
    fprintf(stderr, "the table has the call %s, which is not known here\n", call);
    exit(2);
}

static void row(char **columns)
{
    char *text = replaced(columns[2] ? columns[2] : "");
    char *parts = replaced(text);
    char *arguments[ARGUMENTS];
    char value[8192] = "";
    const char *call = columns[1];
    gc_auth_status_t status, wanted = status_named(columns[3]);

    split(columns[2] ? parts : NULL, '|', arguments, ARGUMENTS);
    status = run(call, text, arguments, value);
    if (status != wanted) {
        fprintf(stderr, "%s, %s: %s (%s), not GC_AUTH_%s\n", columns[0], call, gc_auth_status_name(status),
                gc_auth_last_error_message(), columns[3]);
    }
    CHECK_INT(status, wanted);
    if (columns[4]) {
        CHECK_INT(gc_auth_last_error_http_status(), strtol(columns[4], NULL, 10));
    }
    if (columns[5]) {
        CHECK_INT(gc_auth_last_error_is_retryable(), strtol(columns[5], NULL, 10));
    }
    if (columns[6]) {
        CHECK_TEXT(value, columns[6]);
    }
    free(parts);
    free(text);
}

int main(void)
{
    static char line[8192], name[256];
    char path[1024];
    long rows = 0, failed;
    FILE *table;

    check_begin();
    directory = getenv("GCAUTH_CASES");
    REQUIRE(directory != NULL);
    snprintf(path, sizeof path, "%s/cases.tsv", directory);
    table = fopen(path, "r");
    REQUIRE(table != NULL);
    sandbox_start(&sandbox, NULL);
    while (fgets(line, sizeof line, table)) {
        char *columns[COLUMNS];
        size_t length = strcspn(line, "\n");
        REQUIRE(line[length] == '\n');
        line[length] = '\0';
        if (line[0] == '#' || line[0] == '\0') {
            continue;
        }
        REQUIRE(split(line, '\t', columns, COLUMNS) == COLUMNS);
        if (strcmp(name, columns[0]) != 0) {
            snprintf(name, sizeof name, "%s", columns[0]);
            sandbox_post(&sandbox, "reset", "");
            sandbox_clear_faults(&sandbox);
            gc_auth_free(auth);
            auth = NULL;
            bearer[0] = '\0';
        }
        failed = checks_failed;
        row(columns);
        rows++;
        if (checks_failed > failed) {
            fprintf(stderr, "in the case \"%s\"\n", name);
        }
    }
    CHECK(rows > 0 && !ferror(table));
    fclose(table);
    gc_auth_free(auth);
    sandbox_stop(&sandbox);
    return check_end();
}
