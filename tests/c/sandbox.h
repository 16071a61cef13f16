/* A private sandbox for a test program: started from GCAUTH_SANDBOX_BIN, ended with the program. */

#ifndef SANDBOX_H
#define SANDBOX_H

#include "check.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/wait.h>

#define USER "ada"
#define PASSWORD "lovelace"
#define ORGANIZATION "analytical-engines"

struct sandbox {
    pid_t pid;
    int input;        /* the sandbox ends when this is closed */
    int port;         /* of plain HTTP */
    char http[128];   /* base URLs */
    char https[128];
    char ca[512];     /* the certificate that its HTTPS hangs on */
    char dir[512];    /* where its files are */
    char ready[4096]; /* the line that it began with */
};

/* The value of a word `name=value` of the ready line. */
MAYBE_UNUSED static int sandbox_word(const struct sandbox *sandbox, const char *name, char *value, size_t size)
{
    const char *at = sandbox->ready;
    size_t length = strlen(name);
    while ((at = strchr(at, ' ')) != NULL) {
        at++;
        if (strncmp(at, name, length) == 0 && at[length] == '=') {
            size_t end;
            at += length + 1;
            end = strcspn(at, " \n");
            if (end >= size) {
                return 0;
            }
            memcpy(value, at, end);
            value[end] = '\0';
            return 1;
        }
    }
    return 0;
}

/* Starts a sandbox with `options`, at most ten of them, NULL at their end. */
MAYBE_UNUSED static void sandbox_start(struct sandbox *sandbox, const char *const *options)
{
    const char *program = getenv("GCAUTH_SANDBOX_BIN");
    int in[2], out[2], i;
    char *arguments[16];
    size_t used = 0;
    char *slash;

    if (!program || !*program) {
        fprintf(stderr, "GCAUTH_SANDBOX_BIN must name the program gcauth-sandbox\n");
        exit(2);
    }
    memset(sandbox, 0, sizeof *sandbox);
    REQUIRE(pipe(in) == 0 && pipe(out) == 0);
    sandbox->pid = fork();
    REQUIRE(sandbox->pid >= 0);
    if (sandbox->pid == 0) {
        int count = 0;
        arguments[count++] = (char *)program;
        arguments[count++] = (char *)"--exit-with-stdin";
        for (i = 0; options && options[i] && i < 10; i++) {
            arguments[count++] = (char *)options[i];
        }
        arguments[count] = NULL;
        dup2(in[0], 0);
        dup2(out[1], 1);
        for (i = 3; i < 64; i++) {
            close(i);
        }
        execv(program, arguments);
        perror(program);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    sandbox->input = in[1];
    fcntl(sandbox->input, F_SETFD, FD_CLOEXEC);
    while (used < sizeof sandbox->ready - 1) {
        ssize_t got = read(out[0], sandbox->ready + used, sizeof sandbox->ready - 1 - used);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            break;
        }
        used += (size_t)got;
        if (sandbox->ready[used - 1] == '\n') {
            break;
        }
    }
    close(out[0]);
    REQUIRE(sandbox_word(sandbox, "http", sandbox->http, sizeof sandbox->http));
    REQUIRE(sandbox_word(sandbox, "https", sandbox->https, sizeof sandbox->https));
    REQUIRE(sandbox_word(sandbox, "ca", sandbox->ca, sizeof sandbox->ca));
    REQUIRE(sandbox_word(sandbox, "config", sandbox->dir, sizeof sandbox->dir));
    slash = strrchr(sandbox->dir, '/');
    REQUIRE(slash != NULL);
    *slash = '\0';
    sandbox->port = atoi(strrchr(sandbox->http, ':') + 1);
    REQUIRE(sandbox->port > 0);
}

MAYBE_UNUSED static void sandbox_stop(struct sandbox *sandbox)
{
    int status;
    if (sandbox->pid > 0) {
        close(sandbox->input);
        while (waitpid(sandbox->pid, &status, 0) < 0 && errno == EINTR) {
        }
        sandbox->pid = 0;
    }
}

/* One request by plain HTTP; the answer's body, in memory to free. */
MAYBE_UNUSED static char *sandbox_request(const struct sandbox *sandbox, const char *method, const char *path,
                                          const char *body)
{
    struct sockaddr_in address;
    size_t room = 65536, used = 0, length = body ? strlen(body) : 0;
    char *text = malloc(room);
    char *request = malloc(length + 512);
    size_t size, sent = 0;
    char *start;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_port = htons((uint16_t)sandbox->port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(fd >= 0 && text && request);
    REQUIRE(connect(fd, (struct sockaddr *)&address, sizeof address) == 0);
    size = (size_t)snprintf(request, length + 512,
                            "%s %s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
                            "Content-Length: %lu\r\n\r\n%s",
                            method, path, (unsigned long)length, body ? body : "");
    while (sent < size) {
        ssize_t n = send(fd, request + sent, size - sent, MSG_NOSIGNAL);
        REQUIRE(n > 0);
        sent += (size_t)n;
    }
    for (;;) {
        ssize_t got;
        if (used + 1 >= room) {
            room *= 2;
            text = realloc(text, room);
            REQUIRE(text != NULL);
        }
        got = recv(fd, text + used, room - 1 - used, 0);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            break;
        }
        used += (size_t)got;
    }
    text[used] = '\0';
    close(fd);
    free(request);
    start = strstr(text, "\r\n\r\n");
    if (!start || strncmp(text + 8, " 200", 4) != 0) {
        fprintf(stderr, "%s %s: %s\n", method, path, text);
        exit(2);
    }
    memmove(text, start + 4, strlen(start + 4) + 1);
    return text;
}

/* The same, to a control endpoint. */
MAYBE_UNUSED static char *sandbox_control(const struct sandbox *sandbox, const char *method, const char *endpoint,
                                          const char *body)
{
    char path[128];
    snprintf(path, sizeof path, "/sandbox/%s", endpoint);
    return sandbox_request(sandbox, method, path, body);
}

MAYBE_UNUSED static void sandbox_post(const struct sandbox *sandbox, const char *endpoint, const char *body)
{
    free(sandbox_control(sandbox, "POST", endpoint, body));
}

/* Orders faults: one, or an array of them. */
MAYBE_UNUSED static void sandbox_fault(const struct sandbox *sandbox, const char *fault)
{
    sandbox_post(sandbox, "faults", fault);
}

MAYBE_UNUSED static void sandbox_clear_faults(const struct sandbox *sandbox)
{
    free(sandbox_control(sandbox, "DELETE", "faults", NULL));
}

/* A counter by its name; the requests by path are "login", "refresh" and so on. */
MAYBE_UNUSED static long sandbox_counter(const struct sandbox *sandbox, const char *name)
{
    char *text = sandbox_control(sandbox, "GET", "counters", NULL);
    char key[64];
    const char *at;
    long value = -1;
    snprintf(key, sizeof key, "\"%s\":", name);
    at = strstr(text, key);
    if (at) {
        value = strtol(at + strlen(key), NULL, 10);
    }
    free(text);
    return value;
}

/* Waits until that many requests are held. */
MAYBE_UNUSED static int sandbox_await_held(const struct sandbox *sandbox, long count)
{
    int i;
    for (i = 0; i < 6000; i++) {
        if (sandbox_counter(sandbox, "held") >= count) {
            return 1;
        }
        pause_ms(10);
    }
    return 0;
}

MAYBE_UNUSED static void sandbox_release(const struct sandbox *sandbox)
{
    sandbox_post(sandbox, "release", "");
}

/* A config for `host` with more members, for example "\"retries\":0". Static memory of the calling thread. */
MAYBE_UNUSED static const char *config_for(const struct sandbox *sandbox, const char *host, const char *more)
{
    static __thread char config[8192];
    snprintf(config, sizeof config, "{\"env\":\"sandbox\",\"environments\":{\"sandbox\":{\"host\":\"%s\"}},"
             "\"ca_file\":\"%s\"%s%s}", host, sandbox->ca, more && *more ? "," : "", more ? more : "");
    return config;
}

#ifndef CHECK_NOT_LINKED

/* A handle for the sandbox's plain HTTP. */
MAYBE_UNUSED static gc_auth_t *sandbox_handle(const struct sandbox *sandbox, const char *more, const char *token,
                                              const char *refresh_token)
{
    gc_auth_t *auth = NULL;
    REQUIRE_OK(gc_auth_new(config_for(sandbox, sandbox->http, more), token, refresh_token, NULL, &auth));
    return auth;
}

MAYBE_UNUSED static gc_auth_status_t log_in(gc_auth_t *auth)
{
    return gc_auth_login(auth, USER, PASSWORD, ORGANIZATION, NULL);
}

/* A handle that is logged in. */
MAYBE_UNUSED static gc_auth_t *sandbox_session(const struct sandbox *sandbox, const char *more)
{
    gc_auth_t *auth = sandbox_handle(sandbox, more, NULL, NULL);
    REQUIRE_OK(log_in(auth));
    return auth;
}

#endif

/* The text of a file, in memory to free. */
MAYBE_UNUSED static char *file_text(const char *dir, const char *name)
{
    char path[1024];
    FILE *file;
    char *text = calloc(1, 65536);
    snprintf(path, sizeof path, "%s/%s", dir, name);
    file = fopen(path, "r");
    REQUIRE(file != NULL && text != NULL);
    /* A file may be empty. */
    REQUIRE(fread(text, 1, 65535, file) > 0 || feof(file));
    fclose(file);
    return text;
}

#endif
