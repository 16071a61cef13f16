/* A program with more rights than its caller (setuid, file capabilities) reads nothing of the caller's environment: it
 * would send its passwords to a server of the caller's choice. Needs root, to make such programs. */

#include "check.h"
#include "children.h"
#include "sandbox.h"

#include <dlfcn.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#define NOBODY 65534

static int asked;

/* The library's calls end here, in place of the C library. */
char *getenv(const char *name)
{
    static char *(*original)(const char *);
    *(void **)&original = dlsym(RTLD_NEXT, "getenv");
    asked++;
    return original(name);
}

/* What the program with more rights does: `inside`, base URL, CA, and whether it is one (1) or the control (0). */
static int inside(char **arguments)
{
    const char *url = arguments[2], *ca = arguments[3];
    int is_secure = arguments[4][0] == '1';
    char config[1024];
    gc_auth_t *auth = NULL;
    char host[256], *exported = NULL;
    size_t size = 0;

    /* Not check_begin(), which takes the variables away. */
    alarm(600);
    CHECK_INT(getauxval(AT_SECURE) != 0, is_secure);
    asked = 0;
    /* Where the config comes from. */
    REQUIRE_OK(gc_auth_new(NULL, NULL, NULL, NULL, &auth));
    REQUIRE_OK(gc_auth_host(auth, host, sizeof host, NULL));
    CHECK_TEXT(host, is_secure ? "https://auth-api.genomcore.net/api/v1" : url);
    gc_auth_free(auth);
    /* Whom to trust: SSL_CERT_FILE names a CA of the caller's. */
    snprintf(config, sizeof config,
             "{\"env\":\"x\",\"environments\":{\"x\":{\"host\":\"%s\"}},\"retries\":0}", url);
    REQUIRE_OK(gc_auth_new(config, NULL, NULL, NULL, &auth));
    CHECK_STATUS(log_in(auth), is_secure ? GC_AUTH_ERR_TLS : GC_AUTH_OK);
    gc_auth_free(auth);
    /* Which way to take. No name is looked up: the proxy would do that. */
    snprintf(config, sizeof config,
             "{\"env\":\"x\",\"environments\":{\"x\":{\"host\":\"https://192.0.2.1:1\"}},\"retries\":0,"
             "\"ca_file\":\"%s\",\"timeout_ms\":500}", ca);
    REQUIRE_OK(gc_auth_new(config, "t", "r", NULL, &auth));
    log_in(auth);
    if (is_secure) {
        CHECK_LACKS(gc_auth_last_error_message(), "proxy");
    } else {
        CHECK_HOLDS(gc_auth_last_error_message(), "proxy");
    }
    CHECK_INT(gc_auth_to_json(auth, NULL, 0, &size), GC_AUTH_ERR_BUFFER_TOO_SMALL);
    exported = malloc(size);
    REQUIRE_OK(gc_auth_to_json(auth, exported, size, NULL));
    gc_auth_free(auth);
    REQUIRE_OK(gc_auth_from_json(config, exported, &auth));
    free(exported);
    CHECK(gc_auth_refresh(auth, NULL) != GC_AUTH_OK);
    gc_auth_free(auth);
    /* Where the user's own session lies. */
    REQUIRE_OK(gc_auth_new("{\"store\":\"user\"}", NULL, NULL, NULL, &auth));
    gc_auth_free(auth);
    /* Nothing at all, whatever it may be for. */
    if (is_secure) {
        CHECK_INT(asked, 0);
    } else {
        CHECK(asked > 0);
    }
    return check_end();
}

static void copy(const char *from, const char *to)
{
    char bytes[65536];
    size_t got;
    FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
    REQUIRE(in && out);
    while ((got = fread(bytes, 1, sizeof bytes, in)) > 0) {
        REQUIRE(fwrite(bytes, 1, got, out) == got);
    }
    fclose(in);
    REQUIRE(fclose(out) == 0);
}

static void run(const char *program, struct sandbox *sandbox, int is_secure, const char *ca, const char *config_file)
{
    pid_t pid = begin_child();
    if (pid == 0) {
        setenv("GCAUTH_CONFIG", config_file, 1);
        setenv("SSL_CERT_FILE", ca, 1);
        setenv("SSL_CERT_DIR", "/nowhere", 1);
        setenv("https_proxy", "http://127.0.0.1:1", 1);
        setenv("ALL_PROXY", "http://127.0.0.1:1", 1);
        setenv("HOME", "/nowhere", 1);
        setenv("XDG_STATE_HOME", "/nowhere", 1);
        REQUIRE(setgroups(0, NULL) == 0 && setgid(NOBODY) == 0 && setuid(NOBODY) == 0);
        execl(program, program, "inside", sandbox->https, ca, is_secure ? "1" : "0", (char *)NULL);
        perror(program);
        _exit(127);
    }
    if (!await(pid)) {
        fprintf(stderr, "... it was %s\n", program);
    }
}

int main(int argc, char **argv)
{
    static struct sandbox sandbox;
    char dir[] = "/tmp/gcauth-secure-XXXXXX";
    char ca[PATH_MAX], config_file[PATH_MAX], program[PATH_MAX];
    struct vfs_cap_data capabilities;
    FILE *file;

    if (argc == 5 && strcmp(argv[1], "inside") == 0) {
        return inside(argv);
    }
    check_begin();
    if (geteuid() != 0) {
        fprintf(stderr, "SKIPPED: only root can make programs that have more rights than their callers\n");
        return check_end();
    }
    sandbox_start(&sandbox, NULL);
    REQUIRE(mkdtemp(dir) != NULL && chmod(dir, 0755) == 0);
    snprintf(ca, sizeof ca, "%s/ca.pem", dir);
    copy(sandbox.ca, ca);
    snprintf(config_file, sizeof config_file, "%s/config.json", dir);
    file = fopen(config_file, "w");
    REQUIRE(file != NULL);
    fprintf(file, "{\"env\":\"evil\",\"environments\":{\"evil\":{\"host\":\"%s\"}}}", sandbox.https);
    REQUIRE(fclose(file) == 0 && chmod(ca, 0644) == 0 && chmod(config_file, 0644) == 0);

    snprintf(program, sizeof program, "%s/plain", dir);
    copy("/proc/self/exe", program);
    REQUIRE(chmod(program, 0755) == 0);
    run(program, &sandbox, 0, ca, config_file);

    /* setuid */
    REQUIRE(chmod(program, 04755) == 0);
    run(program, &sandbox, 1, ca, config_file);
    REQUIRE(chmod(program, 0755) == 0);
    /* setgid */
    REQUIRE(chmod(program, 02755) == 0);
    run(program, &sandbox, 1, ca, config_file);
    REQUIRE(chmod(program, 0755) == 0);
    /* A capability, as setcap gives it: here to bind ports below 1024. */
    memset(&capabilities, 0, sizeof capabilities);
    capabilities.magic_etc = VFS_CAP_REVISION_2 | VFS_CAP_FLAGS_EFFECTIVE;
    capabilities.data[0].permitted = 1u << CAP_NET_BIND_SERVICE;
    if (setxattr(program, "security.capability", &capabilities, sizeof capabilities, 0) == 0) {
        run(program, &sandbox, 1, ca, config_file);
    } else {
        perror("SKIPPED: file capabilities");
    }

    CHECK(remove(program) == 0 && remove(ca) == 0 && remove(config_file) == 0 && rmdir(dir) == 0);
    sandbox_stop(&sandbox);
    return check_end();
}
