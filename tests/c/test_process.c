/* What the library does to the process it lives in: nothing. */

#include "check.h"
#include "jwt.h"
#include "sandbox.h"
#include "threads.h"

#include <dirent.h>
#include <sys/stat.h>

static struct sandbox sandbox;

/* The environment is read in two functions only. The C library's getenv() is the only way to it for Rust as well. */
extern char **environ;
static long environment_reads;

char *getenv(const char *name)
{
    size_t length = strlen(name), i;
    __atomic_add_fetch(&environment_reads, 1, __ATOMIC_SEQ_CST);
    for (i = 0; environ && environ[i]; i++) {
        if (strncmp(environ[i], name, length) == 0 && environ[i][length] == '=') {
            return environ[i] + length + 1;
        }
    }
    return NULL;
}

static int entries(const char *directory)
{
    DIR *dir = opendir(directory);
    int count = 0;
    REQUIRE(dir != NULL);
    while (readdir(dir)) {
        count++;
    }
    closedir(dir);
    return count - 2;
}

/* Open files; the one that counts is counted each time. */
static int files(void)
{
    return entries("/proc/self/fd");
}

static int threads(void)
{
    return entries("/proc/self/task");
}

static void environment(void)
{
    gc_auth_t *auth = NULL;
    char buf[8192], *json;
    int64_t number;
    const char *config = config_for(&sandbox, sandbox.https, "\"retries\":0");
    long reads = environment_reads;

    REQUIRE_OK(gc_auth_new(config, NULL, NULL, NULL, &auth));
    /* The probe works. */
    CHECK(environment_reads > reads);
    reads = environment_reads;
    /* From here on the environment could say anything. */
    setenv("GCAUTH_CONFIG", "/nonexistent/config.json", 1);
    setenv("https_proxy", "http://127.0.0.1:1", 1);
    setenv("HTTPS_PROXY", "http://127.0.0.1:1", 1);
    setenv("SSL_CERT_FILE", "/nonexistent/ca.pem", 1);
    CHECK_OK(gc_auth_login(auth, USER, PASSWORD, ORGANIZATION, "genomes"));
    CHECK_OK(gc_auth_refresh(auth, NULL));
    CHECK_OK(gc_auth_bearer(auth, buf, sizeof buf, NULL, NULL));
    CHECK_OK(gc_auth_report_rejected(auth, buf));
    CHECK_OK(gc_auth_bearer(auth, buf, sizeof buf, NULL, NULL));
    CHECK_OK(gc_auth_token(auth, buf, sizeof buf, NULL));
    CHECK_OK(gc_auth_refresh_token(auth, buf, sizeof buf, NULL));
    CHECK_OK(gc_auth_token_type(auth, buf, sizeof buf, NULL));
    CHECK_OK(gc_auth_env(auth, buf, sizeof buf, NULL));
    CHECK_OK(gc_auth_host(auth, buf, sizeof buf, NULL));
    CHECK_OK(gc_auth_decoded_token(auth, buf, sizeof buf, NULL));
    CHECK_OK(gc_auth_decode_jwt(auth, NULL, buf, sizeof buf, NULL));
    CHECK_OK(gc_auth_project_id(auth, &number));
    CHECK_STATUS(gc_auth_login(auth, USER, "wrong", ORGANIZATION, NULL), GC_AUTH_ERR_UNAUTHORIZED);
    json = text_of(gc_auth_to_json, auth);
    CHECK_OK(gc_auth_logout(auth));
    CHECK_INT(environment_reads, reads);
    gc_auth_free(auth);
    CHECK_INT(environment_reads, reads);
    /* gc_auth_from_json() reads it, being a maker of handles too. */
    CHECK_STATUS(gc_auth_from_json(NULL, json, &auth), GC_AUTH_ERR_CONFIG);
    CHECK_HOLDS(gc_auth_last_error_message(), "/nonexistent/config.json");
    CHECK(environment_reads > reads);
    free(json);
    unsetenv("GCAUTH_CONFIG");
    unsetenv("https_proxy");
    unsetenv("HTTPS_PROXY");
    unsetenv("SSL_CERT_FILE");
}

/* A process that never talks to the network loads no trust roots: the CA is a pipe that nobody writes to, which would
 * be waited for forever, and the system's roots are said to be in a file that is not there. */
static void no_roots_without_network(void)
{
    char dir[] = "/tmp/gcauth-test-XXXXXX", path[128], config[1024], buf[4096];
    char *token = jwt_fresh();
    gc_auth_t *auth = NULL;

    REQUIRE(mkdtemp(dir) != NULL);
    snprintf(path, sizeof path, "%s/ca.pem", dir);
    REQUIRE(mkfifo(path, 0600) == 0);
    snprintf(config, sizeof config, "{\"ca_file\":\"%s\",\"client_cert_file\":\"%s\",\"client_key_file\":\"%s\"}", path,
             path, path);
    setenv("SSL_CERT_FILE", path, 1);
    setenv("SSL_CERT_DIR", path, 1);
    REQUIRE_OK(gc_auth_new(config, token, "refresh", NULL, &auth));
    CHECK_OK(gc_auth_bearer(auth, buf, sizeof buf, NULL, NULL));
    CHECK_OK(gc_auth_decoded_token(auth, buf, sizeof buf, NULL));
    CHECK_OK(gc_auth_to_json(auth, buf, sizeof buf, NULL));
    CHECK_OK(gc_auth_logout(auth));
    gc_auth_free(auth);
    auth = NULL;
    REQUIRE_OK(gc_auth_new("{}", token, "refresh", NULL, &auth));
    CHECK_OK(gc_auth_bearer(auth, buf, sizeof buf, NULL, NULL));
    gc_auth_free(auth);
    /* Plain HTTP to this machine needs none either. */
    auth = NULL;
    snprintf(config, sizeof config, "{\"env\":\"s\",\"environments\":{\"s\":{\"host\":\"%s\"}},\"ca_file\":\"%s\"}",
             sandbox.http, path);
    REQUIRE_OK(gc_auth_new(config, NULL, NULL, NULL, &auth));
    CHECK_OK(log_in(auth));
    gc_auth_free(auth);
    unsetenv("SSL_CERT_FILE");
    unsetenv("SSL_CERT_DIR");
    unlink(path);
    rmdir(dir);
    free(token);
}

/* Roots come from where SSL_CERT_FILE says, if the config names no CA. */
static void roots_of_the_environment(void)
{
    char config[512];
    gc_auth_t *auth = NULL;
    snprintf(config, sizeof config, "{\"env\":\"s\",\"environments\":{\"s\":{\"host\":\"%.200s\"}}}", sandbox.https);
    setenv("SSL_CERT_FILE", sandbox.ca, 1);
    REQUIRE_OK(gc_auth_new(config, NULL, NULL, NULL, &auth));
    unsetenv("SSL_CERT_FILE");
    CHECK_OK(log_in(auth));
    gc_auth_free(auth);
}

/* No thread is started, not even while a request is under way. */
static void no_threads(void)
{
    gc_auth_t *auth = NULL;
    struct crew *crew;
    REQUIRE_OK(gc_auth_new(config_for(&sandbox, sandbox.https, "\"timeout_ms\":120000"), NULL, NULL, NULL, &auth));
    CHECK_INT(threads(), 1);
    CHECK_OK(log_in(auth));
    CHECK_INT(threads(), 1);
    sandbox_fault(&sandbox, "{\"on\":\"login\",\"do\":{\"hold\":{}}}");
    crew = crew_start(auth, 1, work_login, NULL);
    REQUIRE(sandbox_await_held(&sandbox, 1));
    CHECK_INT(threads(), 2);
    sandbox_release(&sandbox);
    crew_join(crew);
    free(crew);
    CHECK_OK(gc_auth_refresh(auth, NULL));
    CHECK_INT(threads(), 1);
    gc_auth_free(auth);
}

static volatile sig_atomic_t signals_seen;

static void on_signal(int number)
{
    (void)number;
    signals_seen++;
}

static void *on_small_stack(void *argument)
{
    gc_auth_t *auth = NULL;
    char buf[4096], *pem = argument;
    CHECK_OK(gc_auth_new(config_for(&sandbox, sandbox.https, ""), NULL, NULL, NULL, &auth));
    if (auth) {
        CHECK_OK(log_in(auth));
        CHECK_OK(gc_auth_bearer(auth, buf, sizeof buf, NULL, NULL));
        CHECK_OK(gc_auth_refresh(auth, "genomes"));
        CHECK_OK(gc_auth_decode_jwt(auth, pem, buf, sizeof buf, NULL));
        CHECK_STATUS(gc_auth_login(auth, "nobody", "x", "y", NULL), GC_AUTH_ERR_UNAUTHORIZED);
        CHECK_STATUS(gc_auth_new("{\"a\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}", NULL,
                                 NULL, NULL, (gc_auth_t *[]){ NULL }), GC_AUTH_ERR_CONFIG);
        gc_auth_free(auth);
    }
    return NULL;
}

static void small_stack(void)
{
    pthread_attr_t attributes;
    pthread_t thread;
    char *pem = file_text(sandbox.dir, "public.pem");
    pthread_attr_init(&attributes);
    /* Twice of what is needed, which the README promises. */
    REQUIRE(pthread_attr_setstacksize(&attributes, 128 * 1024) == 0);
    REQUIRE(pthread_create(&thread, &attributes, on_small_stack, pem) == 0);
    pthread_join(thread, NULL);
    pthread_attr_destroy(&attributes);
    free(pem);
}

/* No file stays open, however a login ends. */
static void no_leaks(void)
{
    static const char *const effects[] = { NULL, "{\"status\":{\"code\":401}}", "{\"status\":{\"code\":500}}",
        "\"garbage\"", "{\"drop\":{\"at\":\"mid-body\"}}", "{\"drop\":{\"at\":\"before-processing\",\"reset\":true}}",
        "{\"padding\":{\"bytes\":2000000}}", "\"broken-chunks\"", "{\"redirect\":{\"code\":302}}", "\"until-close\"" };
    gc_auth_t *plain = sandbox_handle(&sandbox, "\"retries\":0", NULL, NULL), *secure = NULL;
    int before, i;
    REQUIRE_OK(gc_auth_new(config_for(&sandbox, sandbox.https, "\"retries\":0"), NULL, NULL, NULL, &secure));
    CHECK_OK(log_in(plain));
    CHECK_OK(log_in(secure));
    before = files();
    for (i = 0; i < 50; i++) {
        const char *effect = effects[i % (int)(sizeof effects / sizeof *effects)];
        gc_auth_t *other = NULL;
        char fault[256];
        if (effect) {
            snprintf(fault, sizeof fault, "{\"on\":\"login\",\"times\":2,\"do\":%s}", effect);
            sandbox_fault(&sandbox, fault);
        }
        CHECK(log_in(plain) == GC_AUTH_OK || effect);
        CHECK(log_in(secure) == GC_AUTH_OK || effect);
        CHECK_INT(files(), before);
        sandbox_clear_faults(&sandbox);
        CHECK_OK(gc_auth_new(config_for(&sandbox, sandbox.https, ""), NULL, NULL, NULL, &other));
        gc_auth_free(other);
    }
    CHECK_INT(files(), before);
    gc_auth_free(plain);
    gc_auth_free(secure);
    CHECK_INT(files(), before);
}

static void exercise(void)
{
    static const char *const effects[] = { "{\"drop\":{\"at\":\"before-reading\",\"reset\":true}}",
        "{\"drop\":{\"at\":\"before-reading\"}}", "{\"drop\":{\"at\":\"mid-body\",\"reset\":true}}" };
    const char *hosts[2];
    char *large = malloc(600001);
    size_t i;
    int k, round;

    hosts[0] = sandbox.http;
    hosts[1] = sandbox.https;
    memset(large, 'x', 600000);
    large[600000] = '\0';
    for (k = 0; k < 2; k++) {
        gc_auth_t *auth = NULL;
        REQUIRE_OK(gc_auth_new(config_for(&sandbox, hosts[k], "\"retries\":0"), NULL, NULL, NULL, &auth));
        for (i = 0; i < sizeof effects / sizeof *effects; i++) {
            for (round = 0; round < 5; round++) {
                char fault[256];
                snprintf(fault, sizeof fault, "{\"on\":\"login\",\"do\":%s}", effects[i]);
                sandbox_fault(&sandbox, fault);
                /* A body that does not fit into the kernel's buffers is still being written when the peer goes. */
                CHECK_STATUS(gc_auth_login(auth, USER, large, ORGANIZATION, NULL), GC_AUTH_ERR_CONNECT);
                sandbox_clear_faults(&sandbox);
                sandbox_fault(&sandbox, "{\"on\":\"connection\",\"do\":{\"drop\":{\"at\":\"before-reading\",\"reset\":true}}}");
                CHECK_STATUS(gc_auth_login(auth, USER, large, ORGANIZATION, NULL), GC_AUTH_ERR_CONNECT);
                sandbox_clear_faults(&sandbox);
            }
        }
        gc_auth_free(auth);
    }
    free(large);
}

/* No SIGPIPE is raised; no handler and no mask is changed. */
static void signals(void)
{
    struct sigaction before[65], after;
    sigset_t mask, mask_after;
    int number;

    memset(before, 0, sizeof before);
    {
        struct sigaction mine;
        memset(&mine, 0, sizeof mine);
        mine.sa_handler = on_signal;
        sigaction(SIGPIPE, &mine, NULL);
    }
    for (number = 1; number < 65; number++) {
        sigaction(number, NULL, &before[number]);
    }
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    exercise();
    CHECK_INT(signals_seen, 0);
    pthread_sigmask(SIG_SETMASK, NULL, &mask_after);
    for (number = 1; number < 65; number++) {
        if (sigaction(number, NULL, &after) == 0) {
            CHECK(after.sa_handler == before[number].sa_handler && after.sa_flags == before[number].sa_flags);
            CHECK(sigismember(&mask, number) == sigismember(&mask_after, number));
        }
    }
    signal(SIGPIPE, SIG_DFL);
    /* And with the default, which would end the process: */
    exercise();
}

/* Calls that are interrupted by signals go on. */
static void interrupted(void)
{
    gc_auth_t *auth = sandbox_handle(&sandbox, "\"timeout_ms\":120000", NULL, NULL);
    struct sigaction mine;
    struct crew *crew;
    int i;
    memset(&mine, 0, sizeof mine);
    mine.sa_handler = on_signal;  /* without SA_RESTART */
    sigaction(SIGUSR1, &mine, NULL);
    sandbox_fault(&sandbox, "{\"on\":\"login\",\"do\":{\"hold\":{}}}");
    crew = crew_start(auth, 1, work_login, NULL);
    REQUIRE(sandbox_await_held(&sandbox, 1));
    for (i = 0; i < 20; i++) {
        pthread_kill(crew->threads[0], SIGUSR1);
        pause_ms(5);
    }
    CHECK_INT(crew->ended, 0);
    sandbox_release(&sandbox);
    crew_join(crew);
    CHECK_INT(crew->workers[0].status, GC_AUTH_OK);
    CHECK(signals_seen > 0);
    free(crew);
    gc_auth_free(auth);
}

int main(void)
{
    static const char *const options[] = { "--alg", "RS256", NULL };
    check_begin();
    sandbox_start(&sandbox, options);
    no_threads();
    environment();
    no_roots_without_network();
    roots_of_the_environment();
    small_stack();
    no_leaks();
    signals();
    interrupted();
    sandbox_stop(&sandbox);
    return check_end();
}
