/* What belongs to the host stays the host's: its first three descriptors, also where it has closed them, and its limit
 * on the size of files, which kills it. */

#include "check.h"
#include "children.h"
#include "sandbox.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

static struct sandbox sandbox;
/* Calls of the library with one of the first three descriptors, while somebody looks. */
static int is_watched;
static int intrusions;

static void look_at(int descriptor)
{
    if (__atomic_load_n(&is_watched, __ATOMIC_SEQ_CST) && descriptor >= 0 && descriptor <= 2) {
        __atomic_add_fetch(&intrusions, 1, __ATOMIC_SEQ_CST);
    }
}

/* In the place of the C library's, for everybody in this program. */
ssize_t read(int descriptor, void *buf, size_t size)
{
    look_at(descriptor);
    return syscall(SYS_read, descriptor, buf, size);
}

ssize_t write(int descriptor, const void *buf, size_t size)
{
    look_at(descriptor);
    return syscall(SYS_write, descriptor, buf, size);
}

ssize_t send(int descriptor, const void *buf, size_t size, int flags)
{
    look_at(descriptor);
    return syscall(SYS_sendto, descriptor, buf, size, flags, NULL, 0);
}

ssize_t recv(int descriptor, void *buf, size_t size, int flags)
{
    look_at(descriptor);
    return syscall(SYS_recvfrom, descriptor, buf, size, flags, NULL, NULL);
}

int connect(int descriptor, __CONST_SOCKADDR_ARG address, socklen_t size)
{
    look_at(descriptor);
    return (int)syscall(SYS_connect, descriptor, address.__sockaddr__, size);
}

int fsync(int descriptor)
{
    look_at(descriptor);
    return (int)syscall(SYS_fsync, descriptor);
}

static char *directory(void)
{
    static char dir[64];
    strcpy(dir, "/tmp/gcauth-descriptors-XXXXXX");
    REQUIRE(mkdtemp(dir) != NULL);
    return dir;
}

static void remove_directory(const char *dir)
{
    DIR *entries = opendir(dir);
    struct dirent *entry;
    REQUIRE(entries != NULL);
    while ((entry = readdir(entries)) != NULL) {
        char path[512];
        snprintf(path, sizeof path, "%s/%s", dir, entry->d_name);
        if (entry->d_name[0] != '.') {
            remove(path);
        }
    }
    closedir(entries);
    CHECK(rmdir(dir) == 0);
}

/* A login, a renewal and a token file, with no standard descriptors. 0 if all went well. */
static int without_standard_descriptors(const char *more, const char *token_file)
{
    gc_auth_t *auth = NULL;
    char buf[8192];
    int step = 1, descriptor;
    for (descriptor = 0; descriptor <= 2; descriptor++) {
        close(descriptor);
    }
    __atomic_store_n(&is_watched, 1, __ATOMIC_SEQ_CST);
    if (gc_auth_new(config_for(&sandbox, sandbox.https, more), NULL, NULL, NULL, &auth) == GC_AUTH_OK && step++ &&
        log_in(auth) == GC_AUTH_OK && step++ && gc_auth_bearer(auth, buf, sizeof buf, NULL, NULL) == GC_AUTH_OK && step++ &&
        gc_auth_refresh(auth, NULL) == GC_AUTH_OK && step++ &&
        gc_auth_write_token_file(auth, token_file, "curl") == GC_AUTH_OK && step++ && gc_auth_logout(auth) == GC_AUTH_OK) {
        step = 0;
    }
    gc_auth_free(auth);
    __atomic_store_n(&is_watched, 0, __ATOMIC_SEQ_CST);
    for (descriptor = 0; descriptor <= 2; descriptor++) {
        if (fcntl(descriptor, F_GETFD) != -1) {
            intrusions++;
        }
    }
    return step != 0 ? step : intrusions != 0 ? 100 : 0;
}

static void test_the_first_three_descriptors(void)
{
    static const char *const locks[] = { "flock", "lease" };
    size_t i;
    for (i = 0; i < 2; i++) {
        char *dir = directory(), more[512], token_file[128];
        int status;
        pid_t child;
        snprintf(more, sizeof more, "\"store\":\"file:%s/session\",\"store_lock\":\"%s\"", dir, locks[i]);
        snprintf(token_file, sizeof token_file, "%s/token", dir);
        child = fork();
        REQUIRE(child >= 0);
        if (child == 0) {
            _exit(without_standard_descriptors(more, token_file));
        }
        REQUIRE(waitpid(child, &status, 0) == child);
        CHECK(WIFEXITED(status));
        CHECK_INT(WEXITSTATUS(status), 0);
        remove_directory(dir);
    }
}

/* 0 if the limit is told of, and nothing is sent or lost for it. */
static int with_small_files(const char *more, const char *token_file)
{
    gc_auth_t *auth = NULL, *stored = NULL;
    struct rlimit limit = { 200, RLIM_INFINITY };
    char before[8192], after[8192];
    int step = 1;
    if (gc_auth_new(config_for(&sandbox, sandbox.https, more), NULL, NULL, NULL, &auth) != GC_AUTH_OK || !step++ ||
        log_in(auth) != GC_AUTH_OK || !step++ || gc_auth_refresh_token(auth, before, sizeof before, NULL) != GC_AUTH_OK) {
        return step;
    }
    setrlimit(RLIMIT_FSIZE, &limit);
    step = 10;
    if (gc_auth_refresh(auth, NULL) != GC_AUTH_ERR_STORE || !step++ ||
        strstr(gc_auth_last_error_message(), "ulimit -f") == NULL || !step++ ||
        gc_auth_bearer(auth, after, sizeof after, NULL, NULL) != GC_AUTH_OK || !step++ ||
        gc_auth_write_token_file(auth, token_file, "htslib") != GC_AUTH_ERR_STORE || !step++ ||
        access(token_file, F_OK) == 0 || !step++) {
        return step;
    }
    limit.rlim_cur = RLIM_INFINITY;
    setrlimit(RLIMIT_FSIZE, &limit);
    step = 20;
    if (gc_auth_refresh_token(auth, after, sizeof after, NULL) != GC_AUTH_OK || strcmp(before, after) != 0 || !step++ ||
        gc_auth_refresh(auth, NULL) != GC_AUTH_OK || !step++ ||
        gc_auth_new(config_for(&sandbox, sandbox.https, more), NULL, NULL, NULL, &stored) != GC_AUTH_OK ||
        gc_auth_bearer(stored, after, sizeof after, NULL, NULL) != GC_AUTH_OK || !step++) {
        return step;
    }
    gc_auth_free(stored);
    gc_auth_free(auth);
    return 0;
}

static void test_a_limit_on_the_size_of_files(void)
{
    static const char *const locks[] = { "flock", "lease" };
    size_t i;
    for (i = 0; i < 2; i++) {
        char *dir = directory(), more[512], token_file[128];
        int status;
        pid_t child;
        snprintf(more, sizeof more, "\"store\":\"file:%s/session\",\"store_lock\":\"%s\"", dir, locks[i]);
        snprintf(token_file, sizeof token_file, "%s/token", dir);
        child = fork();
        REQUIRE(child >= 0);
        if (child == 0) {
            _exit(with_small_files(more, token_file));
        }
        REQUIRE(waitpid(child, &status, 0) == child);
        /* Not killed by SIGXFSZ. */
        CHECK(WIFEXITED(status));
        CHECK_INT(WEXITSTATUS(status), 0);
        remove_directory(dir);
    }
}

int main(void)
{
    static const char *const options[] = { "--alg", "RS256", NULL };
    check_begin();
    sandbox_start(&sandbox, options);
    test_the_first_three_descriptors();
    test_a_limit_on_the_size_of_files();
    sandbox_stop(&sandbox);
    return check_end();
}
