/* The log of a session: which lines come, when, and where to. */

#include "check.h"
#include "jwt.h"
#include "sandbox.h"
#include "threads.h"

static struct sandbox sandbox;

/* What the callback was told. */
struct told {
    pthread_mutex_t mutex;
    int count[5]; /* by level */
    char text[16384];
    pthread_t thread;
    int hold;     /* a callback that does not return while this is 1 */
    int is_held;
    gc_auth_t *auth;
    gc_auth_status_t status;
};

static void note(void *user_data, int32_t level, const char *message)
{
    struct told *told = user_data;
    size_t used;
    pthread_mutex_lock(&told->mutex);
    CHECK(level >= 1 && level <= 4);
    CHECK(*message && strlen(message) <= 500 && !strpbrk(message, "\r\n"));
    told->count[level]++;
    told->thread = pthread_self();
    used = strlen(told->text);
    snprintf(told->text + used, sizeof told->text - used, "%d %s\n", (int)level, message);
    pthread_mutex_unlock(&told->mutex);
    while (__atomic_load_n(&told->hold, __ATOMIC_SEQ_CST)) {
        __atomic_store_n(&told->is_held, 1, __ATOMIC_SEQ_CST);
        pause_ms(2);
    }
}

static void forget(struct told *told)
{
    memset(told, 0, sizeof *told);
    pthread_mutex_init(&told->mutex, NULL);
}

/* A thread whose refresh has failed, and that is in the callback until `told->hold` is 0. */
static struct crew *hold(struct told *told, gc_auth_t *auth)
{
    struct crew *slow;
    forget(told);
    told->hold = 1;
    told->auth = auth;
    CHECK_OK(gc_auth_set_log(auth, note, told, 1));
    sandbox_fault(&sandbox, "{\"on\":\"refresh\",\"do\":{\"status\":{\"code\":500}}}");
    slow = crew_start(auth, 1, work_refresh, NULL);
    while (!__atomic_load_n(&told->is_held, __ATOMIC_SEQ_CST)) {
        pause_ms(2);
    }
    return slow;
}

static void arguments(void)
{
    gc_auth_t *auth = sandbox_handle(&sandbox, "", NULL, NULL);
    static const int32_t levels[] = { 0, 5, -1, INT32_MAX, INT32_MIN };
    size_t i;
    CHECK_STATUS(gc_auth_set_log(NULL, note, NULL, 1), GC_AUTH_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(gc_auth_set_log(NULL, NULL, NULL, 1), GC_AUTH_ERR_INVALID_ARGUMENT);
    for (i = 0; i < sizeof levels / sizeof *levels; i++) {
        CHECK_STATUS(gc_auth_set_log(auth, note, NULL, levels[i]), GC_AUTH_ERR_INVALID_ARGUMENT);
        CHECK_OK(gc_auth_set_log(auth, NULL, NULL, levels[i]));
    }
    gc_auth_free(auth);
}

/* The lines of a session's life. */
static void lines(void)
{
    struct told told;
    gc_auth_t *auth = sandbox_handle(&sandbox, "\"retries\":1", NULL, NULL);
    char buf[8192];

    forget(&told);
    CHECK_OK(gc_auth_set_log(auth, note, &told, 3));
    CHECK_OK(log_in(auth));
    CHECK_HOLDS(told.text, "3 login at http");
    CHECK_HOLDS(told.text, "/frontdesk/login: HTTP 201 after ");
    CHECK_HOLDS(told.text, "3 logged in: generation 1 of the session\n");
    CHECK(pthread_equal(told.thread, pthread_self()));

    forget(&told);
    CHECK_OK(gc_auth_bearer(auth, buf, sizeof buf, NULL, NULL));
    CHECK_TEXT(told.text, "");

    CHECK_OK(gc_auth_report_rejected(auth, buf));
    CHECK_TEXT(told.text, "2 a server turned the token of generation 1 away\n");
    CHECK_OK(gc_auth_bearer(auth, buf, sizeof buf, NULL, NULL));
    CHECK_HOLDS(told.text, "/auth/refresh-token: HTTP 200 after ");
    CHECK_HOLDS(told.text, "3 renewed: generation 2\n");

    forget(&told);
    sandbox_fault(&sandbox, "{\"on\":\"refresh\",\"do\":{\"status\":{\"code\":503}}}");
    CHECK_OK(gc_auth_refresh(auth, NULL));
    CHECK_HOLDS(told.text, "HTTP 503");
    CHECK_HOLDS(told.text, "trying again in ");
    CHECK_INT(told.count[2], 1);
    CHECK_INT(told.count[1], 0);

    forget(&told);
    sandbox_fault(&sandbox, "{\"on\":\"refresh\",\"times\":\"forever\",\"do\":{\"status\":{\"code\":500}}}");
    CHECK_STATUS(gc_auth_refresh(auth, NULL), GC_AUTH_ERR_SERVER);
    CHECK_HOLDS(told.text, "1 renewal failed: refresh at http");
    CHECK_INT(told.count[1], 1);
    sandbox_clear_faults(&sandbox);

    /* Nothing but errors, then nothing at all */
    forget(&told);
    CHECK_OK(gc_auth_set_log(auth, note, &told, 1));
    CHECK_OK(log_in(auth));
    CHECK_STATUS(gc_auth_login(auth, USER, "wrong", ORGANIZATION, NULL), GC_AUTH_ERR_UNAUTHORIZED);
    CHECK_INT(told.count[1], 1);
    CHECK_INT(told.count[2] + told.count[3] + told.count[4], 0);
    CHECK_HOLDS(told.text, "1 login failed: login at http");
    CHECK_LACKS(told.text, "wrong");
    CHECK_OK(gc_auth_set_log(auth, NULL, NULL, 0));
    CHECK_STATUS(gc_auth_login(auth, USER, "wrong", ORGANIZATION, NULL), GC_AUTH_ERR_UNAUTHORIZED);
    CHECK_INT(told.count[1], 1);

    /* Down to the last step */
    forget(&told);
    CHECK_OK(gc_auth_set_log(auth, note, &told, 4));
    CHECK_OK(gc_auth_refresh(auth, NULL));
    CHECK(told.count[4] > 0);
    CHECK_OK(gc_auth_logout(auth));
    CHECK_HOLDS(told.text, "3 logged out\n");
    gc_auth_free(auth);
}

/* An early renewal that fails costs the caller nothing, and is told. */
static void early_failure(void)
{
    struct told told;
    char *token = jwt_due(), buf[8192];
    gc_auth_t *auth = sandbox_handle(&sandbox, "\"retries\":0", token, "made-up");
    forget(&told);
    CHECK_OK(gc_auth_set_log(auth, note, &told, 2));
    CHECK_OK(gc_auth_bearer(auth, buf, sizeof buf, NULL, NULL));
    CHECK_HOLDS(told.text, "2 early renewal failed, the token in hand is still valid: refresh at http");
    CHECK_LACKS(told.text, "made-up");
    gc_auth_free(auth);
    free(token);
}

/* No lock of the library is held in a callback: while one does not return, the others go on. */
static void no_lock(void)
{
    struct told told;
    gc_auth_t *auth = sandbox_session(&sandbox, "");
    struct crew *slow;
    char buf[8192];

    slow = hold(&told, auth);
    /* Each of these would need whatever the slow one held. */
    CHECK_OK(gc_auth_bearer(auth, buf, sizeof buf, NULL, NULL));
    CHECK_OK(gc_auth_refresh(auth, NULL));
    CHECK_OK(log_in(auth));
    __atomic_store_n(&told.hold, 0, __ATOMIC_SEQ_CST);
    crew_join(slow);
    CHECK_INT(slow->workers[0].status, GC_AUTH_ERR_SERVER);
    free(slow);
    gc_auth_free(auth);
}

static void *turn_off(void *argument)
{
    struct told *told = argument;
    CHECK_OK(gc_auth_set_log(told->auth, NULL, NULL, 0));
    /* Whoever was in the callback has left it. */
    CHECK_INT(__atomic_load_n(&told->hold, __ATOMIC_SEQ_CST), 0);
    return NULL;
}

/* Turning it off waits for whoever is in it. */
static void waits(void)
{
    struct told told;
    pthread_t thread;
    struct crew *slow;

    slow = hold(&told, sandbox_session(&sandbox, ""));
    REQUIRE(pthread_create(&thread, NULL, turn_off, &told) == 0);
    pause_ms(50);
    __atomic_store_n(&told.hold, 0, __ATOMIC_SEQ_CST);
    pthread_join(thread, NULL);
    crew_join(slow);
    free(slow);
    gc_auth_free(told.auth);
}

static void change_the_log(void *user_data, int32_t level, const char *message)
{
    struct told *told = user_data;
    (void)level;
    (void)message;
    told->status = gc_auth_set_log(told->auth, NULL, NULL, 0);
}

/* A callback that breaks the rules is told so, rather than wait for itself. */
static void from_within(void)
{
    struct told told;
    forget(&told);
    told.auth = sandbox_handle(&sandbox, "", NULL, NULL);
    CHECK_OK(gc_auth_set_log(told.auth, change_the_log, &told, 1));
    CHECK_STATUS(gc_auth_login(told.auth, USER, "wrong", ORGANIZATION, NULL), GC_AUTH_ERR_UNAUTHORIZED);
    CHECK_INT(told.status, GC_AUTH_ERR_INVALID_ARGUMENT);
    gc_auth_free(told.auth);
}

static void work_storm(struct worker *worker)
{
    struct told *told = (struct told *)worker->crew->argument;
    int i;
    for (i = 0; i < 30; i++) {
        if (worker->number % 4 == 0) {
            CHECK_OK(gc_auth_set_log(worker->crew->auth, i % 2 ? note : NULL, told, 1 + i % 4));
        } else if (worker->number % 4 == 1) {
            CHECK_OK(gc_auth_refresh(worker->crew->auth, NULL));
        } else {
            CHECK_OK(gc_auth_report_rejected(worker->crew->auth, "not-the-current-one"));
            worker->status = gc_auth_bearer(worker->crew->auth, worker->text, sizeof worker->text, NULL, NULL);
            CHECK_INT(worker->status, GC_AUTH_OK);
        }
    }
}

/* Set, used and turned off by many threads at once. */
static void storm(void)
{
    struct told *told = calloc(1, sizeof *told);
    gc_auth_t *auth = sandbox_session(&sandbox, "\"timeout_ms\":120000");
    struct crew *crew;
    forget(told);
    crew = crew_start(auth, 12, work_storm, told);
    crew_join(crew);
    free(crew);
    gc_auth_free(auth);
    free(told);
}

/* A child goes on with the log, also if a thread of the parent was in it. */
static void fork_in_a_callback(void)
{
    struct told told;
    struct crew *slow;
    pid_t child;
    int status = 0;

    slow = hold(&told, sandbox_session(&sandbox, ""));
    child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        struct told own;
        alarm(240);
        told.hold = 0;
        forget(&own);
        if (gc_auth_login(told.auth, USER, "wrong", ORGANIZATION, NULL) != GC_AUTH_ERR_UNAUTHORIZED || told.count[1] != 2) {
            _exit(1);
        }
        if (gc_auth_set_log(told.auth, note, &own, 1) != GC_AUTH_OK) {
            _exit(2);
        }
        if (gc_auth_login(told.auth, USER, "wrong", ORGANIZATION, NULL) != GC_AUTH_ERR_UNAUTHORIZED || own.count[1] != 1) {
            _exit(3);
        }
        _exit(gc_auth_set_log(told.auth, NULL, NULL, 0) == GC_AUTH_OK ? 0 : 4);
    }
    REQUIRE(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status));
    CHECK_INT(WEXITSTATUS(status), 0);
    __atomic_store_n(&told.hold, 0, __ATOMIC_SEQ_CST);
    crew_join(slow);
    free(slow);
    gc_auth_free(told.auth);
}

int main(void)
{
    static const char *const options[] = { "--alg", "EdDSA", NULL };
    check_begin();
    sandbox_start(&sandbox, options);
    arguments();
    lines();
    early_failure();
    no_lock();
    waits();
    from_within();
    storm();
    fork_in_a_callback();
    sandbox_stop(&sandbox);
    return check_end();
}
