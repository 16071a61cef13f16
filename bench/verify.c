/* Verifies by gc_auth_decode_jwt(), which is given the key's text each time, and returns the payload. */

#define _GNU_SOURCE
#include <gcauth.h>

#include "verify.h"

static gc_auth_t *auth;

static void verify(void)
{
    char payload[8192];
    if (gc_auth_decode_jwt(auth, key_text, payload, sizeof payload, NULL) != GC_AUTH_OK) {
        fprintf(stderr, "%s\n", gc_auth_last_error_message());
        exit(1);
    }
}

int main(int count, char **arguments)
{
    read_arguments(count, arguments);
    if (gc_auth_new("{}", token_text, NULL, NULL, &auth) != GC_AUTH_OK) {
        fprintf(stderr, "%s\n", gc_auth_last_error_message());
        return 1;
    }
    measure(verify);
    gc_auth_free(auth);
    return 0;
}
