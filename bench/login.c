/* The first login of a process: CPU time from the making of the handle to the answer, and memory afterwards.
 *
 *   login CONFIG       the config is JSON */

#define _GNU_SOURCE
#include <gcauth.h>

#include "usage.h"

int main(int count, char **arguments)
{
    gc_auth_t *auth = NULL;
    double before = cpu_ms();
    if (count != 2 || gc_auth_new(arguments[1], NULL, NULL, NULL, &auth) != GC_AUTH_OK
        || gc_auth_login(auth, "ada", "lovelace", "analytical-engines", NULL) != GC_AUTH_OK) {
        fprintf(stderr, "%s\n", gc_auth_last_error_message());
        return 1;
    }
    printf("%.3f %ld\n", cpu_ms() - before, rss_kb());
    gc_auth_free(auth);
    return 0;
}
