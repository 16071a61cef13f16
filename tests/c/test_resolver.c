/* Name resolution that takes forever or fails, that needs much stack, and threads that can't be started. The C library's own functions are
 * replaced for this program; the library calls them like anybody else. */

#include "check.h"
#include "jwt.h"
#include "sandbox.h"

#include "children.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netdb.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <dlfcn.h>

static struct sandbox sandbox;

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int is_held, inside, calls, answer;
static sigset_t mask_inside;

/* A host with much thread-local data: glibc takes the room for them from each thread's stack. */
static __thread volatile char thread_local_data[250 * 1024];

/* What modules of the name service take. */
static void use_stack(void)
{
    volatile char room[64 * 1024];
    size_t i;
    for (i = 0; i < sizeof room; i += 512) {
        room[i] = (char)i;
    }
}

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **result)
{
    static int (*original)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    int status;
    pthread_mutex_lock(&mutex);
    calls++;
    inside++;
    pthread_sigmask(SIG_SETMASK, NULL, &mask_inside);
    while (is_held) {
        pthread_cond_wait(&changed, &mutex);
    }
    status = answer;
    inside--;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&mutex);
    thread_local_data[calls % sizeof thread_local_data]++;
    use_stack();
    if (status != 0) {
        return status;
    }
    *(void **)&original = dlsym(RTLD_NEXT, "getaddrinfo");
    (void)node;
    return original("127.0.0.1", service, hints, result);
}

static int no_threads;

static void *nothing(void *argument)
{
    return argument;
}

/* clone and clone3 are refused to this process from now on. */
static void forbid_threads(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone3, 1, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = { sizeof filter / sizeof *filter, filter };
    REQUIRE(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    REQUIRE(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *), void *argument)
{
    static int (*original)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    if (no_threads) {
        return EAGAIN;
    }
    *(void **)&original = dlsym(RTLD_NEXT, "pthread_create");
    return original(thread, attributes, start, argument);
}

static void hold(int held)
{
    pthread_mutex_lock(&mutex);
    is_held = held;
    pthread_cond_broadcast(&changed);
    while (!held && inside > 0) {
        pthread_cond_wait(&changed, &mutex);
    }
    pthread_mutex_unlock(&mutex);
}

static void check_as_before(gc_auth_t *auth, const char *before)
{
    char *after = text_of(gc_auth_to_json, auth), *bearer = text_of(bearer_text, auth);
    CHECK_TEXT(after, before);
    CHECK_TEXT(bearer, "Bearer an-access-token");
    free(after);
    free(bearer);
}

int main(void)
{
    char host[128], *before;
    sigset_t mask;
    gc_auth_t *auth = NULL;
    pthread_t thread;
    pid_t pid;
    int number;

    check_begin();
    sandbox_start(&sandbox, NULL);
    snprintf(host, sizeof host, "http://platform.test:%d/api/v1", sandbox.port);
    REQUIRE_OK(gc_auth_new(config_for(&sandbox, host, "\"timeout_ms\":1500,\"allow_http\":true"), "an-access-token",
                           "a-refresh-token", NULL, &auth));
    before = text_of(gc_auth_to_json, auth);

    /* A resolver that does not come back. It has still not when the call returns. */
    hold(1);
    CHECK_STATUS(log_in(auth), GC_AUTH_ERR_TIMEOUT);
    CHECK_HOLDS(gc_auth_last_error_message(), "platform.test");
    CHECK_HOLDS(gc_auth_last_error_message(), "timeout_ms");
    CHECK_STATUS(gc_auth_refresh(auth, NULL), GC_AUTH_ERR_TIMEOUT);
    CHECK(inside >= 2);
    check_as_before(auth, before);
    /* Its threads take no signal of the program's. */
    for (number = 1; number < 32; number++) {
        CHECK(sigismember(&mask_inside, number) == 1 || number == SIGKILL || number == SIGSTOP);
    }
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    CHECK_INT(sigismember(&mask, SIGTERM), 0);
    hold(0);

    /* From here on calls may take as long as they like. */
    gc_auth_free(auth);
    REQUIRE_OK(gc_auth_new(config_for(&sandbox, host, "\"allow_http\":true,\"retries\":0"), "an-access-token",
                           "a-refresh-token", NULL, &auth));

    /* One that fails. */
    for (number = 0; number < 4; number++) {
        static const int answers[] = { EAI_NONAME, EAI_AGAIN, EAI_FAIL, EAI_MEMORY };
        answer = answers[number];
        CHECK_STATUS(log_in(auth), GC_AUTH_ERR_CONNECT);
        CHECK_HOLDS(gc_auth_last_error_message(), number == 0 ? "is not known" : "name service (DNS)");
        CHECK_STATUS(gc_auth_refresh(auth, NULL), GC_AUTH_ERR_CONNECT);
        check_as_before(auth, before);
    }
    answer = 0;

    /* No thread for it: then the calling thread does it. */
    number = calls;
    no_threads = 1;
    answer = EAI_AGAIN;
    CHECK_STATUS(log_in(auth), GC_AUTH_ERR_CONNECT);
    CHECK(calls > number);
    check_as_before(auth, before);
    answer = 0;
    number = calls;
    CHECK_INT(sandbox_counter(&sandbox, "login"), 0);
    CHECK_OK(log_in(auth));
    CHECK_OK(gc_auth_refresh(auth, NULL));
    CHECK_INT(calls, number + 2);
    no_threads = 0;

    /* The same where the kernel refuses, as in a sandbox. */
    pid = begin_child();
    if (pid == 0) {
        forbid_threads();
        CHECK(pthread_create(&thread, NULL, nothing, NULL) != 0);
        CHECK_OK(log_in(auth));
        gc_auth_free(auth);
        end_child();
    }
    await(pid);

    number = calls;
    CHECK_OK(log_in(auth));
    CHECK_OK(gc_auth_refresh(auth, NULL));
    CHECK_INT(calls, number + 2);
    gc_auth_free(auth);
    free(before);
    sandbox_stop(&sandbox);
    return check_end();
}
