/* One bearer from a valid token of about 1 KB, beside the physical limit and what people use.
 *
 *   bearer time        rounds of each in turn, the best of each, in ns; then the work of two threads over that of one
 *   bearer count N     N calls, to be counted by callgrind */

#define _GNU_SOURCE
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <gcauth.h>

#define CALLS 100000
#define ROUNDS 60
/* Threads together: short rounds and many, since on a busy machine two CPUs are seldom free at once. */
#define CALLS_TOGETHER 40000
#define ROUNDS_TOGETHER 200

static gc_auth_t *auth;
static char bearer[4096];
static size_t bearer_size;
static int64_t expires_at;

#define KEEP(memory) __asm__ volatile("" : : "r"(memory) : "memory")

static double now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* What can't be gone below: what time it is, and the copy. */
static void clock_and_copy(long calls, clockid_t clock)
{
    char buf[8192];
    struct timespec now;
    long i;
    for (i = 0; i < calls; i++) {
        clock_gettime(clock, &now);
        if (now.tv_sec >= expires_at) {
            abort();
        }
        memcpy(buf, bearer, bearer_size);
        KEEP(buf);
    }
}

static void realtime(long calls)
{
    clock_and_copy(calls, CLOCK_REALTIME);
}

static void coarse(long calls)
{
    clock_and_copy(calls, CLOCK_REALTIME_COARSE);
}

static void gcauth(long calls)
{
    char buf[8192];
    size_t size;
    int64_t expires;
    long i;
    for (i = 0; i < calls; i++) {
        if (gc_auth_bearer(auth, buf, sizeof buf, &size, &expires) != GC_AUTH_OK) {
            abort();
        }
        KEEP(buf);
    }
}

/* What a C program does by itself. */
static void mutex_and_strdup(long calls)
{
    static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    struct timespec now;
    char *copy;
    long i;
    for (i = 0; i < calls; i++) {
        pthread_mutex_lock(&mutex);
        clock_gettime(CLOCK_REALTIME, &now);
        if (now.tv_sec >= expires_at) {
            abort();
        }
        copy = strdup(bearer);
        pthread_mutex_unlock(&mutex);
        KEEP(copy);
        free(copy);
    }
}

static const struct {
    const char *name;
    void (*work)(long);
} ways[] = {
    { "realtime", realtime }, { "gcauth", gcauth }, { "coarse", coarse }, { "mutex", mutex_and_strdup } };
#define WAYS (sizeof ways / sizeof *ways)

struct runner {
    void (*work)(long);
    pthread_barrier_t *barrier;
    double began, ended;
};

static void *run(void *argument)
{
    struct runner *runner = argument;
    runner->work(1000);
    pthread_barrier_wait(runner->barrier);
    runner->began = now_ns();
    runner->work(CALLS_TOGETHER);
    runner->ended = now_ns();
    return NULL;
}

/* Millions of calls a second of that many threads together. */
static double throughput(void (*work)(long), int count)
{
    pthread_barrier_t barrier;
    pthread_t threads[8];
    struct runner runners[8];
    double began = 0, ended = 0;
    int i;
    pthread_barrier_init(&barrier, NULL, (unsigned)count);
    for (i = 0; i < count; i++) {
        runners[i].work = work;
        runners[i].barrier = &barrier;
        pthread_create(&threads[i], NULL, run, &runners[i]);
    }
    for (i = 0; i < count; i++) {
        pthread_join(threads[i], NULL);
        began = i == 0 || runners[i].began < began ? runners[i].began : began;
        ended = runners[i].ended > ended ? runners[i].ended : ended;
    }
    pthread_barrier_destroy(&barrier);
    return (double)CALLS_TOGETHER * count / (ended - began) * 1e3;
}

static void times(void)
{
    double best[WAYS], one[WAYS] = { 0 }, two[WAYS] = { 0 };
    size_t k;
    int round;
    for (k = 0; k < WAYS; k++) {
        best[k] = 1e18;
        ways[k].work(10000);
    }
    for (round = 0; round < ROUNDS; round++) {
        for (k = 0; k < WAYS; k++) {
            double began = now_ns(), spent;
            ways[k].work(CALLS);
            spent = (now_ns() - began) / CALLS;
            best[k] = spent < best[k] ? spent : best[k];
        }
    }
    for (round = 0; round < ROUNDS_TOGETHER; round++) {
        for (k = 0; k < WAYS; k++) {
            double with_one = throughput(ways[k].work, 1), with_two = throughput(ways[k].work, 2);
            one[k] = with_one > one[k] ? with_one : one[k];
            two[k] = with_two > two[k] ? with_two : two[k];
        }
    }
    for (k = 0; k < WAYS; k++) {
        printf("%s_ns %.2f\n%s_one %.3f\n%s_two %.3f\n", ways[k].name, best[k], ways[k].name, one[k], ways[k].name, two[k]);
    }
    printf("size %lu\n", (unsigned long)bearer_size);
}

/* A token with this payload and a signature of 256 bytes that is none: nobody verifies it here. */
static void make_token(char *token)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    char payload[512];
    size_t used, i, length;
    expires_at = (int64_t)time(NULL) + 86400;
    length = (size_t)snprintf(payload, sizeof payload, "{\"iss\":\"gcauth-sandbox\",\"sub\":\"ada\",\"exp\":%lld,\"pad\":\"",
                              (long long)expires_at);
    while (length < 475) {
        payload[length++] = 'x';
    }
    length += (size_t)snprintf(payload + length, sizeof payload - length, "\"}");
    used = (size_t)sprintf(token, "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.");
    for (i = 0; i + 2 < length; i += 3) {
        unsigned group = (unsigned)(unsigned char)payload[i] << 16 | (unsigned)(unsigned char)payload[i + 1] << 8
            | (unsigned char)payload[i + 2];
        token[used++] = digits[group >> 18 & 63];
        token[used++] = digits[group >> 12 & 63];
        token[used++] = digits[group >> 6 & 63];
        token[used++] = digits[group & 63];
    }
    token[used++] = '.';
    memset(token + used, 'A', 342);
    token[used + 342] = '\0';
}

int main(int count, char **arguments)
{
    char token[4096];
    int64_t expires = 0;
    make_token(token);
    if (gc_auth_new("{}", token, "refresh-token", NULL, &auth) != GC_AUTH_OK
        || gc_auth_bearer(auth, bearer, sizeof bearer, &bearer_size, &expires) != GC_AUTH_OK || expires != expires_at) {
        fprintf(stderr, "%s\n", gc_auth_last_error_message());
        return 1;
    }
    if (count == 2 && strcmp(arguments[1], "time") == 0) {
        times();
    } else if (count == 3 && strcmp(arguments[1], "count") == 0) {
        gcauth(atol(arguments[2]));
    } else {
        return 2;
    }
    gc_auth_free(auth);
    return 0;
}
