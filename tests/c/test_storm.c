/* Many threads call everything with the same handles while the server does its worst: for sanitizers, and to see that
 * nothing hangs, crashes or loses the session. */

#include "check.h"
#include "jwt.h"
#include "sandbox.h"
#include "threads.h"

#define HANDLES 3
#define THREADS 12
#define ROUNDS 40

static struct sandbox sandbox;
static gc_auth_t *auths[HANDLES];

static const char *const faults =
    "[{\"on\":\"login\",\"do\":{\"status\":{\"code\":503,\"headers\":{\"Retry-After\":\"0\"}}},\"times\":5},"
    "{\"on\":\"refresh\",\"do\":{\"status\":{\"code\":503}},\"times\":3,\"skip\":2},"
    "{\"on\":\"refresh\",\"do\":{\"drop\":{\"at\":\"before-processing\",\"reset\":true}},\"times\":3,\"skip\":2},"
    "{\"on\":\"refresh\",\"do\":\"broken-json\",\"skip\":3},"
    "{\"on\":\"login\",\"do\":{\"drop\":{\"at\":\"mid-body\"}},\"times\":3},"
    "{\"on\":\"any\",\"do\":{\"latency\":{\"ms\":20}},\"times\":50,\"skip\":5}]";

static void work_everything(struct worker *worker)
{
    unsigned seed = (unsigned)worker->number + 1;
    char buf[8192], own[8192];
    int64_t number;
    size_t size;
    int i;
    for (i = 0; i < ROUNDS; i++) {
        gc_auth_t *auth = auths[rand_r(&seed) % HANDLES], *mine = NULL;
        switch (rand_r(&seed) % 12) {
        case 0:
            log_in(auth);
            break;
        case 1:
            ANY_STATUS(gc_auth_refresh(auth, rand_r(&seed) % 2 ? "genomes" : NULL));
            break;
        case 2:
            if (gc_auth_bearer(auth, buf, sizeof buf, NULL, NULL) == GC_AUTH_OK) {
                CHECK_OK(gc_auth_report_rejected(auth, buf));
            }
            break;
        case 3:
            if (gc_auth_to_json(auth, own, sizeof own, NULL) == GC_AUTH_OK) {
                CHECK_OK(gc_auth_from_json(config_for(&sandbox, auth == auths[1] ? sandbox.https : sandbox.http, ""), own,
                                           &mine));
                ANY_STATUS(gc_auth_token(mine, buf, sizeof buf, NULL));
                gc_auth_free(mine);
            }
            break;
        case 4:
            ANY_STATUS(gc_auth_decoded_token(auth, buf, sizeof buf, NULL));
            ANY_STATUS(gc_auth_project_id(auth, &number));
            break;
        case 5:
            ANY_STATUS(gc_auth_session_info(auth, buf, sizeof buf, &size));
            break;
        case 6:
            ANY_STATUS(gc_auth_login(auth, USER, "wrong", ORGANIZATION, NULL));
            CHECK(gc_auth_last_error_status() != GC_AUTH_OK && *gc_auth_last_error_message());
            break;
        default:
            if (gc_auth_bearer(auth, buf, sizeof buf, &size, &number) == GC_AUTH_OK) {
                /* One token, whole. */
                CHECK(strncmp(buf, "Bearer ey", 9) == 0 && strlen(buf) + 1 == size);
            }
        }
    }
}

int main(void)
{
    static const char *const options[] = { "--alg", "EdDSA", "--token-life", "30", "--grace", "60", NULL };
    char dir[] = "/tmp/gcauth-storm-XXXXXX", more[256], path[512], buf[8192];
    const char *names[] = { "session", "session.lock", "session.write", "session.method", "session.next" };
    struct crew *crew;
    size_t i;

    check_begin();
    sandbox_start(&sandbox, options);
    REQUIRE(mkdtemp(dir) != NULL);
    snprintf(more, sizeof more, "\"retries\":1,\"store_lock\":\"flock\",\"store\":\"file:%s/session\"", dir);
    REQUIRE_OK(gc_auth_new(config_for(&sandbox, sandbox.http, "\"retries\":1"), NULL, NULL, NULL, &auths[0]));
    REQUIRE_OK(gc_auth_new(config_for(&sandbox, sandbox.https, "\"retries\":0"), NULL, NULL, NULL, &auths[1]));
    REQUIRE_OK(gc_auth_new(config_for(&sandbox, sandbox.http, more), NULL, NULL, NULL, &auths[2]));
    for (i = 0; i < HANDLES; i++) {
        REQUIRE_OK(log_in(auths[i]));
    }
    sandbox_fault(&sandbox, faults);
    crew = crew_start(NULL, THREADS, work_everything, NULL);
    crew_join(crew);
    free(crew);
    sandbox_clear_faults(&sandbox);
    for (i = 0; i < HANDLES; i++) {
        /* Whatever happened, the session is there, and a login makes a new one. */
        CHECK(gc_auth_token(auths[i], buf, sizeof buf, NULL) == GC_AUTH_OK);
        CHECK_OK(log_in(auths[i]));
        CHECK_OK(gc_auth_refresh(auths[i], NULL));
        CHECK_OK(gc_auth_bearer(auths[i], buf, sizeof buf, NULL, NULL));
        gc_auth_free(auths[i]);
    }
    for (i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        unlink(path);
    }
    CHECK(rmdir(dir) == 0);
    sandbox_stop(&sandbox);
    return check_end();
}
