/* What a library without Redis says to configs: without_redis PATH. */

#include <stdio.h>
#include <string.h>

#include "gcauth.h"

static int failed;

static void check(const char *store, gc_auth_status_t expected, const char *said)
{
    char config[512];
    gc_auth_t *auth = NULL;
    gc_auth_status_t status;

    snprintf(config, sizeof config, "{\"store\": \"%s\"}", store);
    status = gc_auth_new(config, NULL, NULL, NULL, &auth);
    if (status != expected || strstr(gc_auth_last_error_message(), said) == NULL) {
        printf("%s: %s: %s\n", store, gc_auth_status_name(status), gc_auth_last_error_message());
        failed = 1;
    }
    gc_auth_free(auth);
}

int main(int argc, char **argv)
{
    char file[512];

    if (argc != 2) {
        return 2;
    }
    snprintf(file, sizeof file, "file:%s", argv[1]);
    check("memory", GC_AUTH_OK, "");
    check(file, GC_AUTH_OK, "");
    check("redis://127.0.0.1", GC_AUTH_ERR_CONFIG, "names Redis, which this build leaves out");
    check("rediss://127.0.0.1?key=k", GC_AUTH_ERR_CONFIG, "names Redis, which this build leaves out");
    return failed;
}
