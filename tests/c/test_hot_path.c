/* gc_auth_bearer() on a valid token makes no system call and allocates nothing. Not about time: it is proved by the
 * kernel, which ends a process that makes a system call after it has said that it will not, and by counting each
 * allocation. */

#include "check.h"
#include "jwt.h"

#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <linux/seccomp.h>

#define CALLS 1000000

/* The allocator of this program, in the place of the C library's, so that each call is counted. */
extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);
extern void __libc_free(void *);

static long allocations;

static void count(void)
{
    __atomic_add_fetch(&allocations, 1, __ATOMIC_RELAXED);
}

void *malloc(size_t size)
{
    count();
    return __libc_malloc(size);
}

void *calloc(size_t number, size_t size)
{
    count();
    return __libc_calloc(number, size);
}

void *realloc(void *old, size_t size)
{
    count();
    return __libc_realloc(old, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    count();
    return __libc_memalign(alignment, size);
}

int posix_memalign(void **out, size_t alignment, size_t size)
{
    count();
    *out = __libc_memalign(alignment, size);
    return *out ? 0 : 12;
}

void free(void *memory)
{
    count();
    __libc_free(memory);
}

static gc_auth_t *auth;
static char *bearer;

static int read_clock(void)
{
    struct timespec now;
    int i;
    for (i = 0; i < CALLS / 10; i++) {
        if (clock_gettime(CLOCK_REALTIME_COARSE, &now) != 0) {
            return 1;
        }
    }
    return 0;
}

static int call_bearer(void)
{
    char buf[8192];
    size_t size;
    int64_t expires;
    int i;
    for (i = 0; i < CALLS; i++) {
        buf[0] = '\0';
        if (gc_auth_bearer(auth, buf, sizeof buf, &size, &expires) != GC_AUTH_OK || strcmp(buf, bearer) != 0) {
            return 1;
        }
        /* Failures on the way out are no different. */
        if (gc_auth_last_error_status() != GC_AUTH_OK) {
            return 2;
        }
    }
    return 0;
}

static int call_getters(void)
{
    char buf[8192];
    int i;
    for (i = 0; i < CALLS / 10; i++) {
        if (gc_auth_token(auth, buf, sizeof buf, NULL) || gc_auth_token_type(auth, buf, sizeof buf, NULL)
            || gc_auth_env(auth, buf, sizeof buf, NULL) || gc_auth_host(auth, buf, sizeof buf, NULL)
            || gc_auth_refresh_token(auth, buf, sizeof buf, NULL) || gc_auth_decoded_token(auth, buf, sizeof buf, NULL)) {
            return 1;
        }
    }
    return 0;
}

static int call_something_else(void)
{
    return getppid() > 0 ? 0 : 1;
}

/* Runs `work` in a child that may only read, write and end; its exit status, or minus the signal that ended it. */
static int run_strictly(int (*work)(void))
{
    int status = -1;
    pid_t pid;
    fflush(NULL);
    pid = fork();
    REQUIRE(pid >= 0);
    if (pid == 0) {
        /* First of all what happens at the first call of a thread. */
        char buf[8192];
        int result = gc_auth_bearer(auth, buf, sizeof buf, NULL, NULL);
        alarm(0);
        if (result == GC_AUTH_OK && prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) == 0) {
            result = work();
        } else {
            result = 77;
        }
        syscall(SYS_exit, result);
    }
    REQUIRE(waitpid(pid, &status, 0) == pid);
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static void no_system_call(void)
{
    int result = run_strictly(call_something_else);
    if (result == 77) {
        printf("the kernel has no strict mode here: not tested\n");
        return;
    }
    /* The probe works. */
    CHECK_INT(result, -SIGKILL);
    result = run_strictly(read_clock);
    if (result != 0) {
        printf("a clock read is a system call here: not tested\n");
        return;
    }
    CHECK_INT(run_strictly(call_bearer), 0);
    CHECK_INT(run_strictly(call_getters), 0);
}

static void no_allocation(void)
{
    long before;
    char buf[8192];
    free(malloc(1));
    CHECK(allocations > 0);
    CHECK_OK(gc_auth_bearer(auth, buf, sizeof buf, NULL, NULL));
    before = allocations;
    CHECK_INT(call_bearer(), 0);
    CHECK_INT(allocations, before);
}

static void *in_a_thread(void *argument)
{
    long *before = argument;
    char buf[8192];
    CHECK_OK(gc_auth_bearer(auth, buf, sizeof buf, NULL, NULL));
    /* From the second call of a thread on, nothing. */
    *before = allocations;
    CHECK_INT(call_bearer(), 0);
    CHECK_INT(allocations, *before);
    return NULL;
}

int main(void)
{
    char *token, *config = "{\"env\":\"prod\"}", payload[1024];
    pthread_t thread;
    long before;
    size_t used;

    check_begin();
    /* About 1 KB, as tokens are. */
    used = (size_t)snprintf(payload, sizeof payload, "{\"exp\":%lld,\"pad\":\"", (long long)time(NULL) + 86400);
    memset(payload + used, 'x', 650);
    strcpy(payload + used + 650, "\"}");
    token = jwt(payload);
    REQUIRE_OK(gc_auth_new(config, token, "refresh", NULL, &auth));
    bearer = text_of(bearer_text, auth);
    REQUIRE(bearer != NULL && strlen(bearer) > 900);
    free(text_of(gc_auth_decoded_token, auth));
    no_allocation();
    no_system_call();
    REQUIRE(pthread_create(&thread, NULL, in_a_thread, &before) == 0);
    pthread_join(thread, NULL);
    gc_auth_free(auth);
    free(bearer);
    free(token);
    return check_end();
}
