/* What a machine can do to a program: no file descriptors left, signals all the time, no environment, small stacks, a
 * store that is another's, and core dumps. */

#include "check.h"
#include "children.h"
#include "jwt.h"
#include "sandbox.h"
#include "threads.h"

#include <grp.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>

static struct sandbox sandbox;

static char *directory(void)
{
    char *dir = malloc(64);
    REQUIRE(dir != NULL);
    strcpy(dir, "/tmp/gcauth-hosts-XXXXXX");
    REQUIRE(mkdtemp(dir) != NULL);
    return dir;
}

static void remove_directory(char *dir)
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
    free(dir);
}

static gc_auth_t *handle(const char *host, const char *more)
{
    gc_auth_t *auth = NULL;
    REQUIRE_OK(gc_auth_new(config_for(&sandbox, host, more), NULL, NULL, NULL, &auth));
    return auth;
}

/* ERR_STORE may or may not be retryable; the rest is as with CHECK_STATUS. */
static void check_store_error(gc_auth_status_t status, int is_retryable)
{
    CHECK_INT(status, GC_AUTH_ERR_STORE);
    CHECK_INT(gc_auth_last_error_status(), GC_AUTH_ERR_STORE);
    CHECK_INT(gc_auth_last_error_is_retryable(), is_retryable);
}

/* File descriptors */

static int taken[4096];

static void take_all_files(void)
{
    int count = 0;
    struct rlimit limit = { 64, 64 };
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = 64;
    REQUIRE(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    while (count < 4095 && (taken[count] = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0) {
        count++;
    }
    REQUIRE(errno == EMFILE);
    taken[count] = -1;
}

static void give_files_back(void)
{
    int i;
    for (i = 0; taken[i] >= 0; i++) {
        close(taken[i]);
    }
}

static void no_files(void)
{
    char *dir = directory(), more[256];
    gc_auth_t *auths[3], *fresh, *unread;
    char *before[3], *after, buf[4096];
    long requests;
    int i;

    auths[0] = handle(sandbox.http, "\"retries\":0");
    auths[1] = handle(sandbox.https, "\"retries\":0");
    snprintf(more, sizeof more, "\"retries\":0,\"store\":\"file:%s/session\"", dir);
    auths[2] = handle(sandbox.http, more);
    for (i = 0; i < 3; i++) {
        REQUIRE_OK(log_in(auths[i]));
        before[i] = text_of(gc_auth_to_json, auths[i]);
    }
    /* Has not read its CA, nor the store, so far. */
    fresh = handle(sandbox.https, "\"retries\":0");
    unread = handle(sandbox.http, more);
    requests = sandbox_counter(&sandbox, "refresh");
    take_all_files();
    CHECK_STATUS(log_in(auths[0]), GC_AUTH_ERR_CONNECT);
    CHECK_HOLDS(gc_auth_last_error_message(), "Too many open files");
    CHECK_STATUS(gc_auth_refresh(auths[0], NULL), GC_AUTH_ERR_CONNECT);
    CHECK_STATUS(log_in(auths[1]), GC_AUTH_ERR_CONNECT);
    CHECK_STATUS(gc_auth_refresh(auths[1], NULL), GC_AUTH_ERR_CONNECT);
    CHECK_STATUS(log_in(fresh), GC_AUTH_ERR_CONNECT);
    CHECK_HOLDS(gc_auth_last_error_message(), "Too many open files");
    check_store_error(log_in(auths[2]), 1);
    CHECK_HOLDS(gc_auth_last_error_message(), "Too many open files");
    check_store_error(gc_auth_refresh(auths[2], NULL), 1);
    check_store_error(gc_auth_bearer(unread, buf, sizeof buf, NULL, NULL), 1);
    for (i = 0; i < 3; i++) {
        CHECK_OK(gc_auth_bearer(auths[i], buf, sizeof buf, NULL, NULL));
        after = text_of(gc_auth_to_json, auths[i]);
        CHECK_TEXT(after, before[i]);
        free(after);
    }
    give_files_back();
    CHECK_INT(sandbox_counter(&sandbox, "refresh"), requests);
    CHECK_OK(log_in(fresh));
    /* Without a token a store that failed rests for a second or two before it is asked again. */
    for (i = 0; i < 300 && gc_auth_bearer(unread, buf, sizeof buf, NULL, NULL) == GC_AUTH_ERR_STORE; i++) {
        pause_ms(100);
    }
    CHECK_OK(gc_auth_bearer(unread, buf, sizeof buf, NULL, NULL));
    for (i = 0; i < 3; i++) {
        CHECK_OK(gc_auth_refresh(auths[i], NULL));
        free(before[i]);
        gc_auth_free(auths[i]);
    }
    gc_auth_free(fresh);
    gc_auth_free(unread);
    remove_directory(dir);
}

/* Signals */

static volatile sig_atomic_t signals_seen;

static void on_signal(int number)
{
    (void)number;
    signals_seen++;
}

static void storm(int is_on)
{
    struct itimerval timer;
    memset(&timer, 0, sizeof timer);
    timer.it_value.tv_usec = timer.it_interval.tv_usec = is_on ? 1000 : 0;
    REQUIRE(setitimer(ITIMER_REAL, &timer, NULL) == 0);
}

static void interrupted_all_the_time(void)
{
    struct sigaction mine, previous;
    char *dir = directory(), flock[256], lease[256];
    const char *mores[4];
    int i, round;

    alarm(0);
    memset(&mine, 0, sizeof mine);
    mine.sa_handler = on_signal;  /* without SA_RESTART */
    sigaction(SIGALRM, &mine, &previous);
    snprintf(flock, sizeof flock, "\"store\":\"file:%s/flock\",\"store_lock\":\"flock\"", dir);
    snprintf(lease, sizeof lease, "\"store\":\"file:%s/lease\",\"store_lock\":\"lease\"", dir);
    mores[0] = mores[1] = "\"timeout_ms\":120000";
    mores[2] = flock;
    mores[3] = lease;
    for (i = 0; i < 4; i++) {
        gc_auth_t *auth = handle(i == 1 ? sandbox.https : sandbox.http, mores[i]);
        char buf[4096];
        long seen = signals_seen;
        /* Slow enough to be hit in each read. */
        sandbox_fault(&sandbox, "[{\"on\":\"login\",\"do\":{\"drip\":{\"ms\":5,\"bytes\":64,\"part\":\"all\"}}},"
                                "{\"on\":\"refresh\",\"do\":{\"drip\":{\"ms\":5,\"bytes\":64,\"part\":\"all\"}}},"
                                "{\"on\":\"refresh\",\"do\":{\"status\":{\"code\":503}}}]");
        storm(1);
        CHECK_OK(log_in(auth));
        for (round = 0; round < 5; round++) {
            CHECK_OK(gc_auth_refresh(auth, NULL));
            CHECK_OK(gc_auth_bearer(auth, buf, sizeof buf, NULL, NULL));
            CHECK_OK(gc_auth_report_rejected(auth, buf));
            CHECK_OK(gc_auth_bearer(auth, buf, sizeof buf, NULL, NULL));
        }
        CHECK_OK(gc_auth_logout(auth));
        storm(0);
        CHECK(signals_seen - seen > 20);
        gc_auth_free(auth);
    }
    sigaction(SIGALRM, &previous, NULL);
    alarm(600);
    CHECK_INT(sandbox_counter(&sandbox, "reuses"), 0);
    remove_directory(dir);
}

/* Environment */

/* Does `work` in a child, which may do to itself what it likes. */
static void in_child(void (*work)(const char *), const char *argument)
{
    pid_t pid = begin_child();
    if (pid == 0) {
        work(argument);
        end_child();
    }
    await(pid);
}

static void without_environment(const char *dir)
{
    char more[256];
    gc_auth_t *auth;
    clearenv();
    snprintf(more, sizeof more, "\"store\":\"file:%s/bare\"", dir);
    auth = handle(sandbox.https, more);
    CHECK_OK(log_in(auth));
    CHECK_OK(gc_auth_refresh(auth, NULL));
    gc_auth_free(auth);
    auth = NULL;
    CHECK_OK(gc_auth_new(NULL, "token", NULL, NULL, &auth));
    gc_auth_free(auth);
}

/* Stores that are not ours: tried as an ordinary user, since root may do everything. */
static void as_nobody(const char *dir)
{
    char more[256], buf[4096];
    gc_auth_t *auth;
    int i;

    REQUIRE(chmod(dir, 0755) == 0);
    snprintf(more, sizeof more, "\"store\":\"file:%s/foreign\"", dir);
    auth = handle(sandbox.http, more);
    REQUIRE_OK(log_in(auth));
    gc_auth_free(auth);
    REQUIRE(setgroups(0, NULL) == 0 && setgid(65534) == 0 && setuid(65534) == 0);
    /* A directory of root's that we may read, a session in it that is root's, and a directory that is not there. */
    for (i = 0; i < 3; i++) {
        static const char *const names[] = { "new", "foreign", "none/session" };
        snprintf(more, sizeof more, "\"store\":\"file:%s/%s\"", dir, names[i]);
        auth = handle(sandbox.http, more);
        CHECK_INT(log_in(auth), GC_AUTH_ERR_STORE);
        CHECK_HOLDS(gc_auth_last_error_message(), dir);
        /* That there is no session may be seen by anybody who may read there. */
        CHECK_INT(gc_auth_bearer(auth, buf, sizeof buf, NULL, NULL), i == 0 ? GC_AUTH_ERR_NO_TOKEN : GC_AUTH_ERR_STORE);
        if (i > 0) {
            CHECK_INT(gc_auth_refresh(auth, NULL), GC_AUTH_ERR_STORE);
        }
        gc_auth_free(auth);
    }
}

/* A session in a directory of ours that loses its rights on the way. */
static void unwritable(const char *dir)
{
    char more[256], buf[4096], *before, *after;
    gc_auth_t *auth, *other;
    long logins, refreshes;

    REQUIRE(chown(dir, 65534, 65534) == 0);
    REQUIRE(setgroups(0, NULL) == 0 && setgid(65534) == 0 && setuid(65534) == 0);
    snprintf(more, sizeof more, "\"store\":\"file:%s/session\"", dir);
    auth = handle(sandbox.http, more);
    REQUIRE_OK(log_in(auth));
    before = text_of(gc_auth_to_json, auth);
    logins = sandbox_counter(&sandbox, "login");
    refreshes = sandbox_counter(&sandbox, "refresh");
    REQUIRE(chmod(dir, 0500) == 0);
    CHECK_INT(gc_auth_refresh(auth, NULL), GC_AUTH_ERR_STORE);
    CHECK_HOLDS(gc_auth_last_error_message(), "Permission denied");
    CHECK_INT(log_in(auth), GC_AUTH_ERR_STORE);
    CHECK_OK(gc_auth_bearer(auth, buf, sizeof buf, NULL, NULL));
    after = text_of(gc_auth_to_json, auth);
    CHECK_TEXT(after, before);
    free(after);
    /* Nothing was sent that could not have been kept. */
    CHECK_INT(sandbox_counter(&sandbox, "login"), logins);
    CHECK_INT(sandbox_counter(&sandbox, "refresh"), refreshes);
    /* Others may still read. */
    other = handle(sandbox.http, more);
    CHECK_OK(gc_auth_bearer(other, buf, sizeof buf, NULL, NULL));
    gc_auth_free(other);
    REQUIRE(chmod(dir, 0700) == 0);
    CHECK_OK(gc_auth_refresh(auth, NULL));
    gc_auth_free(auth);
    free(before);
}

static void stores(void)
{
    char *dir = directory();
    in_child(without_environment, dir);
    if (geteuid() != 0) {
        printf("not root: stores of others are not tested\n");
    } else {
        char *foreign = directory(), *own = directory();
        in_child(as_nobody, foreign);
        in_child(unwritable, own);
        remove_directory(foreign);
        remove_directory(own);
    }
    remove_directory(dir);
}

/* Core dumps */

/* Memory of this program's own that core dumps leave out: what is in a dump is the library's. */
static char *hidden(size_t size)
{
    char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(memory != MAP_FAILED && madvise(memory, size, MADV_DONTDUMP) == 0);
    return memory;
}

/* Fills `text` with letters that nobody has seen before. */
static void fill_with_letters(char *text, size_t length)
{
    size_t i;
    int fd = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
    REQUIRE(fd >= 0 && read(fd, text, length) == (ssize_t)length);
    close(fd);
    for (i = 0; i < length; i++) {
        text[i] = (char)('a' + (unsigned char)text[i] % 26);
    }
    text[length] = '\0';
}

static void tell(const char *name, const char *text)
{
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    size_t length = strlen(text);
    REQUIRE(fd >= 0 && write(fd, text, length) == (ssize_t)length);
    close(fd);
}

/* Holds tokens, uses them, and dies. */
static void die_with_tokens(const char *dir)
{
    struct rlimit limit = { RLIM_INFINITY, RLIM_INFINITY };
    char *text = hidden(65536), *control = malloc(65);
    gc_auth_t *auth = NULL;

    REQUIRE(chdir(dir) == 0);
    setrlimit(RLIMIT_CORE, &limit);
    fill_with_letters(control, 64);
    tell("control", control);
    fill_with_letters(text, 64);
    fill_with_letters(text + 100, 64);
    tell("token", text);
    tell("refresh", text + 100);
    REQUIRE_OK(gc_auth_new(config_for(&sandbox, sandbox.https, ""), text, text + 100, NULL, &auth));
    REQUIRE_OK(gc_auth_bearer(auth, text + 4096, 8192, NULL, NULL));
    REQUIRE_OK(gc_auth_token(auth, text + 4096, 8192, NULL));
    REQUIRE_OK(gc_auth_refresh_token(auth, text + 4096, 8192, NULL));
    REQUIRE_OK(gc_auth_to_json(auth, text + 4096, 8192, NULL));
    signal(SIGABRT, SIG_DFL);
    abort();
}

/* The dump of the child that has died in `dir`; 0: this machine sends dumps elsewhere. */
static int find_core(const char *dir, char *path, size_t size)
{
    DIR *entries = opendir(dir);
    struct dirent *entry;
    int found = 0;
    REQUIRE(entries != NULL);
    while ((entry = readdir(entries)) != NULL) {
        if (strstr(entry->d_name, "core")) {
            snprintf(path, size, "%s/%s", dir, entry->d_name);
            found = 1;
        }
    }
    closedir(entries);
    return found;
}

static int holds(const char *core, const char *dir, const char *name)
{
    char *text = file_text(dir, name);
    int fd = open(core, O_RDONLY | O_CLOEXEC), found;
    struct stat state;
    char *memory;
    REQUIRE(fd >= 0 && fstat(fd, &state) == 0 && strlen(text) == 64);
    memory = mmap(NULL, (size_t)state.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    REQUIRE(memory != MAP_FAILED);
    /* Half of one is as bad. */
    found = memmem(memory, (size_t)state.st_size, text, 32) || memmem(memory, (size_t)state.st_size, text + 32, 32);
    munmap(memory, (size_t)state.st_size);
    close(fd);
    free(text);
    return found;
}

static void core_dump(void)
{
#ifdef UNDER_SANITIZER
    /* Sanitizers have tables as large as the address space. */
    (void)die_with_tokens;
    (void)find_core;
    (void)holds;
#else
    char *dir = directory(), core[512];
    int status = -1;
    pid_t pid = begin_child();
    if (pid == 0) {
        die_with_tokens(dir);
    }
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    REQUIRE(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    if (!find_core(dir, core, sizeof core)) {
        const char *required = getenv("GCAUTH_REQUIRE_CORE");
        CHECK(!required || strcmp(required, "1") != 0);
        printf("no core file in the working directory: core dumps are not tested\n");
    } else {
        CHECK(holds(core, dir, "control"));
        CHECK(!holds(core, dir, "token"));
        CHECK(!holds(core, dir, "refresh"));
    }
    remove_directory(dir);
#endif
}

int main(void)
{
    static const char *const options[] = { "--alg", "RS256", NULL };
    check_begin();
    sandbox_start(&sandbox, options);
    no_files();
    interrupted_all_the_time();
    stores();
    core_dump();
    sandbox_stop(&sandbox);
    return check_end();
}
