/* The same work in many threads that start together. */

#ifndef THREADS_H
#define THREADS_H

#include "check.h"

#include <dirent.h>

#define MOST_THREADS 64

struct crew;

struct worker {
    struct crew *crew;
    int number;
    gc_auth_status_t status;
    int32_t http_status;
    int64_t expires_at;
    char text[4096];
};

struct crew {
    gc_auth_t *auth;
    const void *argument;
    int count;
    int begun;  /* threads that are about to call */
    int ended;  /* threads whose call has returned */
    void (*work)(struct worker *);
    pthread_barrier_t barrier;
    pthread_t threads[MOST_THREADS];
    struct worker workers[MOST_THREADS];
};

MAYBE_UNUSED static void *crew_thread(void *argument)
{
    struct worker *worker = argument;
    pthread_barrier_wait(&worker->crew->barrier);
    __atomic_add_fetch(&worker->crew->begun, 1, __ATOMIC_SEQ_CST);
    worker->crew->work(worker);
    worker->http_status = gc_auth_last_error_http_status();
    __atomic_add_fetch(&worker->crew->ended, 1, __ATOMIC_SEQ_CST);
    return NULL;
}

MAYBE_UNUSED static struct crew *crew_start(gc_auth_t *auth, int count, void (*work)(struct worker *),
                                            const void *argument)
{
    struct crew *crew = calloc(1, sizeof *crew);
    int i;
    REQUIRE(crew != NULL && count <= MOST_THREADS);
    crew->auth = auth;
    crew->argument = argument;
    crew->count = count;
    crew->work = work;
    pthread_barrier_init(&crew->barrier, NULL, (unsigned)count);
    for (i = 0; i < count; i++) {
        crew->workers[i].crew = crew;
        crew->workers[i].number = i;
        REQUIRE(pthread_create(&crew->threads[i], NULL, crew_thread, &crew->workers[i]) == 0);
    }
    return crew;
}

/* Whether all threads of this process but the caller's wait for something. */
MAYBE_UNUSED static int all_others_wait(void)
{
    DIR *tasks = opendir("/proc/self/task");
    struct dirent *entry;
    int running = 0;
    REQUIRE(tasks != NULL);
    while ((entry = readdir(tasks)) != NULL) {
        char path[320], line[512] = "", *state;
        FILE *file;
        if (entry->d_name[0] == '.') {
            continue;
        }
        snprintf(path, sizeof path, "/proc/self/task/%s/stat", entry->d_name);
        file = fopen(path, "r");
        if (file) {
            state = fgets(line, sizeof line, file) ? strrchr(line, ')') : NULL;
            running += state && state[1] == ' ' && state[2] != 'S';
            fclose(file);
        }
    }
    closedir(tasks);
    return running <= 1;
}

/* Waits until all have begun, and have got to where they wait. */
MAYBE_UNUSED static void crew_await_begun(struct crew *crew)
{
    int i, waiting = 0;
    while (__atomic_load_n(&crew->begun, __ATOMIC_SEQ_CST) < crew->count) {
        pause_ms(5);
    }
    for (i = 0; i < 3000 && waiting < 25; i++) {
        waiting = all_others_wait() ? waiting + 1 : 0;
        pause_ms(20);
    }
}

/* Waits until that many have ended. */
MAYBE_UNUSED static int crew_await_ended(struct crew *crew, int count)
{
    int i;
    for (i = 0; i < 12000; i++) {
        if (__atomic_load_n(&crew->ended, __ATOMIC_SEQ_CST) >= count) {
            return 1;
        }
        pause_ms(5);
    }
    return 0;
}

MAYBE_UNUSED static void crew_join(struct crew *crew)
{
    int i;
    for (i = 0; i < crew->count; i++) {
        pthread_join(crew->threads[i], NULL);
    }
    pthread_barrier_destroy(&crew->barrier);
}

MAYBE_UNUSED static void work_bearer(struct worker *worker)
{
    worker->status = gc_auth_bearer(worker->crew->auth, worker->text, sizeof worker->text, NULL, &worker->expires_at);
}

MAYBE_UNUSED static void work_refresh(struct worker *worker)
{
    worker->status = gc_auth_refresh(worker->crew->auth, worker->crew->argument);
}

MAYBE_UNUSED static void work_login(struct worker *worker)
{
    worker->status = gc_auth_login(worker->crew->auth, "ada", "lovelace", "analytical-engines",
                                   worker->crew->argument);
}

#endif
