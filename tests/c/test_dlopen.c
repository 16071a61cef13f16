/* The library loaded, let go, and loaded again by a program that is not linked to it. It stays where it is. */

#define CHECK_NOT_LINKED
#include "check.h"
#include "sandbox.h"

#include <dlfcn.h>

#define GET(handle, name) (*(void **)(void *)&name##_ = dlsym(handle, #name))

static gc_auth_status_t (*gc_auth_new_)(const char *, const char *, const char *, const char *, gc_auth_t **);
static gc_auth_status_t (*gc_auth_login_)(gc_auth_t *, const char *, const char *, const char *, const char *);
static gc_auth_status_t (*gc_auth_bearer_)(gc_auth_t *, char *, size_t, size_t *, int64_t *);
static const char *(*gc_auth_last_error_message_)(void);
static const char *(*gc_auth_status_name_)(gc_auth_status_t);
static const char *(*gc_auth_version_string_)(void);
static void (*gc_auth_free_)(gc_auth_t *);

static void load(void **library)
{
    const char *path = getenv("GCAUTH_LIBRARY");
    REQUIRE(path != NULL);
    *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!*library) {
        fprintf(stderr, "%s\n", dlerror());
    }
    REQUIRE(*library != NULL);
    REQUIRE(GET(*library, gc_auth_new) && GET(*library, gc_auth_login) && GET(*library, gc_auth_bearer)
            && GET(*library, gc_auth_last_error_message) && GET(*library, gc_auth_status_name)
            && GET(*library, gc_auth_version_string) && GET(*library, gc_auth_free));
}

static void *thread(void *argument)
{
    char buf[4096];
    /* This thread ends after the library has been let go: what it keeps per thread must not be gone. */
    CHECK(gc_auth_bearer_(argument, buf, sizeof buf, NULL, NULL) == GC_AUTH_OK);
    CHECK(gc_auth_bearer_(NULL, buf, sizeof buf, NULL, NULL) == GC_AUTH_ERR_INVALID_ARGUMENT);
    CHECK(*gc_auth_last_error_message_() != '\0');
    return NULL;
}

int main(void)
{
    static const char *const options[] = { "--alg", "EdDSA", NULL };
    struct sandbox sandbox;
    const char *name, *version, *message;
    gc_auth_t *auth = NULL;
    void *library, *first;
    pthread_t other;
    pid_t pid;
    int i, status = -1;
    char buf[4096];

    check_begin();
    sandbox_start(&sandbox, options);
    load(&library);
    first = (void *)library;
    name = gc_auth_status_name_(GC_AUTH_ERR_TLS);
    version = gc_auth_version_string_();
    CHECK(gc_auth_new_(config_for(&sandbox, sandbox.https, ""), NULL, NULL, NULL, &auth) == GC_AUTH_OK);
    REQUIRE(auth != NULL);
    CHECK(gc_auth_login_(auth, USER, PASSWORD, ORGANIZATION, NULL) == GC_AUTH_OK);
    message = gc_auth_last_error_message_();
    for (i = 0; i < 5; i++) {
        CHECK(gc_auth_login_(auth, "", "", "", NULL) == GC_AUTH_ERR_INVALID_ARGUMENT);
        dlclose(library);
        /* Static text, the last error, functions and handles are still there. */
        CHECK_TEXT(name, "GC_AUTH_ERR_TLS");
        CHECK_HOLDS(version, ".");
        CHECK_HOLDS(message, "username");
        CHECK(gc_auth_bearer_(auth, buf, sizeof buf, NULL, NULL) == GC_AUTH_OK);
        REQUIRE(pthread_create(&other, NULL, thread, auth) == 0);
        pthread_join(other, NULL);
        CHECK(gc_auth_login_(auth, "", "", "", NULL) == GC_AUTH_ERR_INVALID_ARGUMENT);
        /* A fork runs what the library registered for it. */
        fflush(NULL);
        pid = fork();
        if (pid == 0) {
            alarm(240);
            i = gc_auth_bearer_(auth, buf, sizeof buf, NULL, NULL) == GC_AUTH_OK;
            gc_auth_free_(auth);
            _exit(i ? 0 : 1);
        }
        waitpid(pid, &status, 0);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        load(&library);
        CHECK(library == first);
        CHECK(gc_auth_status_name_(GC_AUTH_ERR_TLS) == name);
        CHECK(gc_auth_bearer_(auth, buf, sizeof buf, NULL, NULL) == GC_AUTH_OK);
    }
    gc_auth_free_(auth);
    dlclose(library);
    sandbox_stop(&sandbox);
    return check_end();
}
