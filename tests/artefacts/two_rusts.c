/* Two static Rust libraries in one program, each with its own standard library; both work. */

#include <gcauth.h>

#include <stdio.h>

int other_rust_library_catches(void);

int main(void)
{
    gc_auth_t *auth = NULL;
    char bearer[64];

    if (other_rust_library_catches() != 17) {
        fprintf(stderr, "the other library does not catch its panic\n");
        return 1;
    }
    if (gc_auth_new("{}", "a-token", NULL, NULL, &auth) != GC_AUTH_OK
        || gc_auth_bearer(auth, bearer, sizeof bearer, NULL, NULL) != GC_AUTH_OK) {
        fprintf(stderr, "%s\n", gc_auth_last_error_message());
        return 1;
    }
    gc_auth_free(auth);
    return 0;
}
