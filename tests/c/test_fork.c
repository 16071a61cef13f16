/* Rule 11, with the in-memory store: forked children use their parent's handle, never hang, and never spend the
 * parent's refresh token. */

#include "check.h"
#include "children.h"
#include "jwt.h"
#include "sandbox.h"
#include "threads.h"

static struct sandbox sandbox;

static gc_auth_t *with_token(char *token, const char *more)
{
    gc_auth_t *login = sandbox_session(&sandbox, ""), *auth;
    char *refresh_token = text_of(gc_auth_refresh_token, login);
    auth = sandbox_handle(&sandbox, more, token, refresh_token);
    gc_auth_free(login);
    free(refresh_token);
    free(token);
    return auth;
}

static gc_auth_status_t bearer(gc_auth_t *auth)
{
    char buf[4096];
    return gc_auth_bearer(auth, buf, sizeof buf, NULL, NULL);
}

/* A child hands out the valid token and reads everything; it may not renew, and is told what to do. */
static void use_valid(gc_auth_t *auth)
{
    char buf[8192];
    int64_t number;
    CHECK_OK(bearer(auth));
    CHECK_OK(gc_auth_token(auth, buf, sizeof buf, NULL));
    CHECK_OK(gc_auth_refresh_token(auth, buf, sizeof buf, NULL));
    CHECK_OK(gc_auth_token_type(auth, buf, sizeof buf, NULL));
    CHECK_OK(gc_auth_env(auth, buf, sizeof buf, NULL));
    CHECK_OK(gc_auth_host(auth, buf, sizeof buf, NULL));
    CHECK_OK(gc_auth_decoded_token(auth, buf, sizeof buf, NULL));
    CHECK_OK(gc_auth_decode_jwt(auth, NULL, buf, sizeof buf, NULL));
    CHECK_STATUS(gc_auth_project_id(auth, &number), GC_AUTH_ERR_CLAIM_MISSING);
    CHECK_OK(gc_auth_to_json(auth, buf, sizeof buf, NULL));
    CHECK_STATUS(gc_auth_refresh(auth, NULL), GC_AUTH_ERR_FORKED);
    CHECK_HOLDS(gc_auth_last_error_message(), "store");
    CHECK_STATUS(gc_auth_refresh(auth, "genomes"), GC_AUTH_ERR_FORKED);
    CHECK_OK(bearer(auth));
    /* A token that was rejected is not good any more, and the child may not renew it. */
    CHECK_OK(gc_auth_token(auth, buf, sizeof buf, NULL));
    CHECK_OK(gc_auth_report_rejected(auth, buf));
    CHECK_STATUS(bearer(auth), GC_AUTH_ERR_FORKED);
    CHECK_OK(gc_auth_token(auth, buf, sizeof buf, NULL));
    gc_auth_free(auth);
}

static void must_spend(gc_auth_t *auth)
{
    CHECK_STATUS(bearer(auth), GC_AUTH_ERR_FORKED);
    CHECK_HOLDS(gc_auth_last_error_message(), "store");
    CHECK_INT(gc_auth_last_error_http_status(), 0);
    CHECK_STATUS(bearer(auth), GC_AUTH_ERR_FORKED);
    CHECK_STATUS(gc_auth_refresh(auth, NULL), GC_AUTH_ERR_FORKED);
    gc_auth_free(auth);
}

static void due(gc_auth_t *auth)
{
    int i;
    for (i = 0; i < 10; i++) {
        CHECK_OK(bearer(auth));
    }
    gc_auth_free(auth);
}

static void own_login(gc_auth_t *auth)
{
    char buf[4096];
    CHECK_OK(log_in(auth));
    CHECK_OK(bearer(auth));
    CHECK_OK(gc_auth_refresh(auth, NULL));
    CHECK_OK(gc_auth_refresh(auth, "exomes"));
    CHECK_OK(gc_auth_token(auth, buf, sizeof buf, NULL));
    CHECK_OK(gc_auth_report_rejected(auth, buf));
    CHECK_OK(bearer(auth));
    gc_auth_free(auth);
}

static void logout(gc_auth_t *auth)
{
    CHECK_OK(gc_auth_logout(auth));
    CHECK_STATUS(bearer(auth), GC_AUTH_ERR_NO_TOKEN);
    gc_auth_free(auth);
}

static void only_free(gc_auth_t *auth)
{
    gc_auth_free(auth);
}

static void nothing(gc_auth_t *auth)
{
    (void)auth;
}

/* A child of the child is not the parent either; the child's own login is not the grandchild's. */
static void grandchild(gc_auth_t *auth)
{
    CHECK_OK(bearer(auth));
    CHECK_STATUS(gc_auth_refresh(auth, NULL), GC_AUTH_ERR_FORKED);
    gc_auth_free(auth);
}

static void child_with_child(gc_auth_t *auth)
{
    await(child(grandchild, auth));
    CHECK_OK(log_in(auth));
    await(child(grandchild, auth));
    CHECK_OK(gc_auth_refresh(auth, NULL));
    await(child(own_login, auth));
    CHECK_OK(gc_auth_refresh(auth, NULL));
    gc_auth_free(auth);
}

static const char *exported;

/* A child that alone goes on takes the session over. */
static void takes_over(gc_auth_t *auth)
{
    gc_auth_t *own = NULL;
    CHECK_OK(gc_auth_from_json(config_for(&sandbox, sandbox.http, ""), exported, &own));
    CHECK_OK(bearer(own));
    CHECK_OK(gc_auth_refresh(own, NULL));
    gc_auth_free(own);
    gc_auth_free(auth);
}

static void own_handle(gc_auth_t *auth)
{
    gc_auth_t *own = NULL;
    CHECK_OK(gc_auth_new(config_for(&sandbox, sandbox.https, ""), NULL, NULL, NULL, &own));
    CHECK_OK(log_in(own));
    CHECK_OK(gc_auth_refresh(own, NULL));
    gc_auth_free(own);
    gc_auth_free(auth);
}

static void quiet_parent(void)
{
    gc_auth_t *auth = sandbox_session(&sandbox, "");
    long refreshes = sandbox_counter(&sandbox, "refresh"), connections;
    await(child(use_valid, auth));
    /* What the child did to its copy is none of the parent's business. */
    CHECK_OK(bearer(auth));
    CHECK_INT(sandbox_counter(&sandbox, "refresh"), refreshes);
    await(child(logout, auth));
    CHECK_OK(bearer(auth));
    CHECK_OK(gc_auth_refresh(auth, NULL));
    connections = sandbox_counter(&sandbox, "connections");
    await(child(only_free, auth));
    await(child(nothing, auth));
    CHECK_INT(sandbox_counter(&sandbox, "connections"), connections);
    CHECK_OK(gc_auth_refresh(auth, NULL));
    await(child(own_login, auth));
    CHECK_OK(gc_auth_refresh(auth, NULL));
    await(child(child_with_child, auth));
    CHECK_OK(gc_auth_refresh(auth, NULL));
    await(child(own_handle, auth));
    CHECK_OK(gc_auth_refresh(auth, NULL));
    exported = text_of(gc_auth_to_json, auth);
    await(child(takes_over, auth));
    /* Now the parent's refresh token is spent. */
    CHECK_STATUS(gc_auth_refresh(auth, NULL), GC_AUTH_ERR_UNAUTHORIZED);
    free((char *)exported);
    gc_auth_free(auth);

    auth = with_token(jwt_expired(), "");
    refreshes = sandbox_counter(&sandbox, "refresh");
    await(child(must_spend, auth));
    await(child(own_login, auth));
    CHECK_OK(bearer(auth));
    gc_auth_free(auth);

    auth = with_token(jwt_due(), "");
    refreshes = sandbox_counter(&sandbox, "refresh");
    await(child(due, auth));
    CHECK_INT(sandbox_counter(&sandbox, "refresh"), refreshes);
    CHECK_OK(bearer(auth));
    CHECK_INT(sandbox_counter(&sandbox, "refresh"), refreshes + 1);
    gc_auth_free(auth);

    /* A refresh token only */
    auth = with_token(jwt_expired(), "");
    {
        char *refresh_token = text_of(gc_auth_refresh_token, auth);
        gc_auth_free(auth);
        auth = sandbox_handle(&sandbox, "", NULL, refresh_token);
        free(refresh_token);
    }
    await(child(must_spend, auth));
    CHECK_OK(bearer(auth));
    gc_auth_free(auth);
}

/* Forks children while threads of the parent, that were started by `begin`, are in a request that the server holds; whether
 * they were in it until all children were there. */
static int fork_meanwhile(const char *fault, struct crew *(*begin)(gc_auth_t *), gc_auth_t *auth,
                          void (*const *works)(gc_auth_t *), int count)
{
    pid_t pids[20];
    struct crew *crew;
    int i, meanwhile;

    sandbox_fault(&sandbox, fault);
    crew = begin(auth);
    REQUIRE(sandbox_await_held(&sandbox, 1));
    crew_await_begun(crew);
    for (i = 0; i < 20; i++) {
        pids[i] = child(works[i % count], auth);
    }
    /* What a child has of its parent's threads is decided now, so these need not wait for the children: a renewal lasts
     * 15 s at most, and children may take longer. */
    meanwhile = __atomic_load_n(&crew->ended, __ATOMIC_SEQ_CST) == 0;
    sandbox_release(&sandbox);
    crew_join(crew);
    for (i = 0; i < crew->count; i++) {
        CHECK(!meanwhile || crew->workers[i].status == GC_AUTH_OK);
    }
    free(crew);
    for (i = 0; i < 20; i++) {
        if (meanwhile) {
            await(pids[i]);
        } else {
            waitpid(pids[i], NULL, 0);
        }
    }
    return meanwhile;
}

/* One renews, the others wait in the gate: locks and condition variables are all in use. */
static struct crew *begin_renewal(gc_auth_t *auth)
{
    return crew_start(auth, 8, work_bearer, NULL);
}

/* A login that lasts. */
static struct crew *begin_login(gc_auth_t *auth)
{
    return crew_start(auth, 1, work_login, NULL);
}

/* Once more where the machine was too slow for twenty forks in one request. */
static void busy_parent(void)
{
    static void (*const spoilt[])(gc_auth_t *) = { must_spend, own_login, logout, only_free, own_handle };
    static void (*const valid[])(gc_auth_t *) = { own_login, use_valid };
    gc_auth_t *auth;
    int meanwhile;

    do {
        auth = with_token(jwt_expired(), "\"timeout_ms\":300000");
        meanwhile = fork_meanwhile("{\"on\":\"refresh\",\"do\":{\"hold\":{}}}", begin_renewal, auth, spoilt, 5);
        gc_auth_free(auth);
    } while (!meanwhile);

    /* Over TLS that is in the making; children with a valid token. */
    do {
        auth = NULL;
        REQUIRE_OK(gc_auth_new(config_for(&sandbox, sandbox.https, "\"timeout_ms\":300000"), NULL, NULL, NULL, &auth));
        CHECK_OK(log_in(auth));
        meanwhile = fork_meanwhile("{\"on\":\"login\",\"do\":{\"hold\":{}}}", begin_login, auth, valid, 2);
        CHECK_OK(gc_auth_refresh(auth, NULL));
        gc_auth_free(auth);
    } while (!meanwhile);
}

/* Forks at any moment, while threads read, decode, report and renew. */
static int stop;

static void *busy(void *argument)
{
    gc_auth_t *auth = argument;
    char buf[8192];
    while (!__atomic_load_n(&stop, __ATOMIC_SEQ_CST)) {
        ANY_STATUS(gc_auth_bearer(auth, buf, sizeof buf, NULL, NULL));
        ANY_STATUS(gc_auth_decoded_token(auth, buf, sizeof buf, NULL));
        ANY_STATUS(gc_auth_token(auth, buf, sizeof buf, NULL));
        ANY_STATUS(gc_auth_report_rejected(auth, buf));
        ANY_STATUS(gc_auth_bearer(auth, buf, sizeof buf, NULL, NULL));
        ANY_STATUS(gc_auth_refresh(auth, "genomes"));
    }
    return NULL;
}

static void any_moment_child(gc_auth_t *auth)
{
    char buf[8192];
    gc_auth_status_t status = gc_auth_bearer(auth, buf, sizeof buf, NULL, NULL);
    CHECK(status == GC_AUTH_OK || status == GC_AUTH_ERR_FORKED);
    status = gc_auth_refresh(auth, NULL);
    CHECK_INT(status, GC_AUTH_ERR_FORKED);
    CHECK_OK(gc_auth_decoded_token(auth, buf, sizeof buf, NULL));
    CHECK_OK(log_in(auth));
    CHECK_OK(bearer(auth));
    gc_auth_free(auth);
}

static void any_moment(void)
{
    gc_auth_t *auth = sandbox_session(&sandbox, "");
    pthread_t threads[3];
    int i;
    for (i = 0; i < 3; i++) {
        REQUIRE(pthread_create(&threads[i], NULL, busy, auth) == 0);
    }
    for (i = 0; i < 40; i++) {
        await(child(any_moment_child, auth));
    }
    __atomic_store_n(&stop, 1, __ATOMIC_SEQ_CST);
    for (i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
    }
    CHECK_INT(sandbox_counter(&sandbox, "reuses"), 0);
    gc_auth_free(auth);
}

/* A child that logs out forgets its copy of the session; the server is the parent's to tell. */
static void logs_out(gc_auth_t *auth)
{
    CHECK_OK(gc_auth_logout(auth));
    CHECK_STATUS(bearer(auth), GC_AUTH_ERR_NO_TOKEN);
    gc_auth_free(auth);
}

static void child_logs_out(void)
{
    gc_auth_t *auth = sandbox_session(&sandbox, "\"logout\":{\"path\":\"auth/logout\"}");
    await(child(logs_out, auth));
    CHECK_INT(sandbox_counter(&sandbox, "logouts"), 0);
    CHECK_OK(gc_auth_refresh(auth, NULL));
    CHECK_OK(gc_auth_logout(auth));
    CHECK_INT(sandbox_counter(&sandbox, "logouts"), 1);
    gc_auth_free(auth);
}

int main(void)
{
    static const char *const options[] = { "--alg", "EdDSA", NULL };
    check_begin();
    sandbox_start(&sandbox, options);
    busy_parent();
    CHECK_INT(sandbox_counter(&sandbox, "reuses"), 0);
    any_moment();
    quiet_parent();
    child_logs_out();
    sandbox_stop(&sandbox);
    return check_end();
}
