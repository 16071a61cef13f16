/* Rule 11, with a store that others share: children that are forked while another thread of their parent renews go on
 * with the session, never hang, and nothing is spent twice. */

#include "check.h"
#include "children.h"
#include "sandbox.h"
#include "threads.h"

#include <signal.h>
#include <sys/stat.h>

#define CHILDREN 20

static struct sandbox sandbox;
static const char *store; /* config members that name it */
static char old_token[4096];

/* The old token was rejected: there is a bearer only when the parent's renewal has ended. */
static void use_new(gc_auth_t *auth)
{
    char buf[4096];
    if (CHECK_OK(gc_auth_bearer(auth, buf, sizeof buf, NULL, NULL))) {
        CHECK(strcmp(buf, old_token) != 0);
    }
    CHECK_OK(gc_auth_session_info(auth, buf, sizeof buf, NULL));
    gc_auth_free(auth);
}

static void read_only(gc_auth_t *auth)
{
    char buf[4096];
    CHECK_OK(gc_auth_token(auth, buf, sizeof buf, NULL));
    CHECK_OK(gc_auth_refresh_token(auth, buf, sizeof buf, NULL));
    CHECK_OK(gc_auth_session_info(auth, buf, sizeof buf, NULL));
}

static void only_free(gc_auth_t *auth)
{
    gc_auth_free(auth);
}

static void own_handle(gc_auth_t *auth)
{
    char buf[4096];
    gc_auth_t *own = sandbox_handle(&sandbox, store, NULL, NULL);
    CHECK_OK(gc_auth_bearer(own, buf, sizeof buf, NULL, NULL));
    gc_auth_free(own);
    gc_auth_free(auth);
}

static void grandchild(gc_auth_t *auth)
{
    await(child(use_new, auth));
    use_new(auth);
}

/* Ends a child that is not needed any more. */
static void discard(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

/* Forks `count` children while threads of the parent renew. 0 where the renewal, which lasts 15 s at most, was over before
 * those children that don't need it: the machine was too slow. */
static int fork_meanwhile(int count)
{
    static void (*const works[])(gc_auth_t *) = { use_new, read_only, only_free, own_handle, grandchild };
    pid_t pids[CHILDREN];
    gc_auth_t *auth = sandbox_session(&sandbox, store);
    long refreshes = sandbox_counter(&sandbox, "refresh");
    struct crew *crew;
    int i, meanwhile, status;

    REQUIRE_OK(gc_auth_bearer(auth, old_token, sizeof old_token, NULL, NULL));
    REQUIRE_OK(gc_auth_report_rejected(auth, old_token));
    sandbox_fault(&sandbox, "{\"on\":\"refresh\",\"do\":{\"hold\":{}}}");
    crew = crew_start(auth, 8, work_bearer, NULL);
    REQUIRE(sandbox_await_held(&sandbox, 1));
    crew_await_begun(crew);
    for (i = 0; i < count; i++) {
        pids[i] = child(works[i % 5], auth);
    }
    /* Those that need nothing new end meanwhile. */
    for (i = 0; i < count; i++) {
        while (i % 5 >= 1 && i % 5 <= 3 && pids[i] != 0 && __atomic_load_n(&crew->ended, __ATOMIC_SEQ_CST) == 0) {
            if (waitpid(pids[i], &status, WNOHANG) == pids[i]) {
                CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
                pids[i] = 0;
            } else {
                pause_ms(5);
            }
        }
    }
    meanwhile = __atomic_load_n(&crew->ended, __ATOMIC_SEQ_CST) == 0;
    sandbox_release(&sandbox);
    for (i = 0; i < count; i++) {
        if (pids[i] != 0 && meanwhile) {
            await(pids[i]);
        } else if (pids[i] != 0) {
            discard(pids[i]);
        }
    }
    crew_join(crew);
    for (i = 0; meanwhile && i < 8; i++) {
        CHECK_INT(crew->workers[i].status, GC_AUTH_OK);
    }
    if (meanwhile) {
        CHECK_INT(sandbox_counter(&sandbox, "refresh"), refreshes + 1);
        CHECK_OK(gc_auth_refresh(auth, NULL));
    }
    free(crew);
    gc_auth_free(auth);
    return meanwhile;
}

/* Once more, with one child of each kind, where the machine was too slow. */
static void busy_parent(void)
{
    int count = CHILDREN;
    while (!fork_meanwhile(count)) {
        fprintf(stderr, "%d children took longer than a renewal may last\n", count);
        count = 5;
    }
}

/* Children that spend go on where the parent is, and the parent where they are. */
static void spend(gc_auth_t *auth)
{
    int i;
    for (i = 0; i < 3; i++) {
        CHECK_OK(gc_auth_refresh(auth, NULL));
    }
    gc_auth_free(auth);
}

static void all_spend(void)
{
    pid_t pids[CHILDREN];
    gc_auth_t *auth = sandbox_session(&sandbox, store);
    char buf[4096];
    int i;
    for (i = 0; i < CHILDREN; i++) {
        pids[i] = child(spend, auth);
    }
    CHECK_OK(gc_auth_refresh(auth, NULL));
    for (i = 0; i < CHILDREN; i++) {
        await(pids[i]);
    }
    CHECK_OK(gc_auth_refresh(auth, NULL));
    CHECK_OK(gc_auth_bearer(auth, buf, sizeof buf, NULL, NULL));
    gc_auth_free(auth);
}

/* A parent that dies in a renewal leaves its lock to nobody, whatever its children have open. */
static void dies(gc_auth_t *unused)
{
    gc_auth_t *auth = sandbox_handle(&sandbox, store, NULL, NULL);
    struct crew *crew;
    (void)unused;
    REQUIRE_OK(gc_auth_bearer(auth, old_token, sizeof old_token, NULL, NULL));
    REQUIRE_OK(gc_auth_report_rejected(auth, old_token));
    crew = crew_start(auth, 1, work_bearer, NULL);
    REQUIRE(sandbox_await_held(&sandbox, 1));
    CHECK_INT(crew->ended, 0);
    if (fork() == 0) {
        /* Lives on, and does nothing. */
        alarm(60);
        pause();
        _exit(0);
    }
    raise(SIGKILL);
}

static void dead_parent(void)
{
    gc_auth_t *auth = sandbox_session(&sandbox, store);
    gc_auth_status_t status;
    pid_t pid;
    int i;
    sandbox_fault(&sandbox, "{\"on\":\"refresh\",\"do\":{\"hold\":{}}}");
    pid = child(dies, NULL);
    waitpid(pid, NULL, 0);
    sandbox_release(&sandbox);
    /* With leases it takes until the dead one's has run out. */
    for (i = 0; i < 20; i++) {
        status = gc_auth_refresh(auth, NULL);
        if (status != GC_AUTH_ERR_LOCK_TIMEOUT) {
            break;
        }
    }
    CHECK_INT(status, GC_AUTH_OK);
    gc_auth_free(auth);
}

static void all_of(const char *name)
{
    fprintf(stderr, "%s\n", name);
    busy_parent();
    all_spend();
    dead_parent();
    CHECK_INT(sandbox_counter(&sandbox, "reuses"), 0);
}

/* Starts a Redis of our own; 0 where there is none. */
static int redis_start(pid_t *pid, int *port)
{
    struct sockaddr_in address;
    socklen_t size = sizeof address;
    char text[16];
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), i;
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0);
    REQUIRE(getsockname(fd, (struct sockaddr *)&address, &size) == 0);
    close(fd);
    *port = ntohs(address.sin_port);
    snprintf(text, sizeof text, "%d", *port);
    *pid = fork();
    REQUIRE(*pid >= 0);
    if (*pid == 0) {
        int null = open("/dev/null", O_RDWR);
        dup2(null, 0);
        dup2(null, 1);
        dup2(null, 2);
        execlp("redis-server", "redis-server", "--port", text, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
               (char *)NULL);
        _exit(127);
    }
    for (i = 0; i < 3000; i++) {
        int is_there;
        fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        is_there = connect(fd, (struct sockaddr *)&address, sizeof address) == 0;
        close(fd);
        if (is_there) {
            return 1;
        }
        if (waitpid(*pid, NULL, WNOHANG) == *pid) {
            return 0;
        }
        pause_ms(10);
    }
    return 0;
}

static void remove_all(const char *dir)
{
    DIR *entries = opendir(dir);
    struct dirent *entry;
    REQUIRE(entries != NULL);
    while ((entry = readdir(entries)) != NULL) {
        char path[1024];
        snprintf(path, sizeof path, "%s/%s", dir, entry->d_name);
        unlink(path);
    }
    closedir(entries);
    rmdir(dir);
}

int main(void)
{
    /* A parent that dies with the answer on its way is what a grace period is for. */
    static const char *const options[] = { "--alg", "EdDSA", "--grace", "3600", NULL };
    static const char *const locks[] = { "flock", "lease" };
    const char *demanded = getenv("GCAUTH_REQUIRE_REDIS");
    char members[1024];
    pid_t pid;
    int port, i;
    check_begin();
    sandbox_start(&sandbox, options);
    store = members;
    for (i = 0; i < 2; i++) {
        char dir[] = "/tmp/gcauth-fork-XXXXXX";
        REQUIRE(mkdtemp(dir) != NULL);
        snprintf(members, sizeof members, "\"store\":\"file:%s/session\",\"store_lock\":\"%s\",\"timeout_ms\":60000", dir,
                 locks[i]);
        all_of(locks[i]);
        remove_all(dir);
    }
    if (redis_start(&pid, &port)) {
        snprintf(members, sizeof members, "\"store\":\"redis://127.0.0.1:%d?key=fork\",\"timeout_ms\":60000", port);
        all_of("redis");
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
    } else {
        fprintf(stderr, "SKIPPED: the part with Redis needs redis-server, which is not there\n");
        CHECK(!demanded || strcmp(demanded, "1") != 0);
    }
    sandbox_stop(&sandbox);
    return check_end();
}
