/* Logs in and shows what a program would send: first_login USER ORGANIZATION, with the password in GCAUTH_PASSWORD. */
#include <gcauth.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    const char *password = getenv("GCAUTH_PASSWORD"); /* not an argument: those are for everybody to see */
    if (argc != 3 || password == NULL) {
        fprintf(stderr, "usage: GCAUTH_PASSWORD=... first_login USER ORGANIZATION\n");
        return 2;
    }

    gc_auth_t *auth = NULL;
    char bearer[8192];
    gc_auth_status_t status = gc_auth_new(NULL, NULL, NULL, NULL, &auth);
    if (status == GC_AUTH_OK)
        status = gc_auth_login(auth, argv[1], password, argv[2], NULL);
    if (status == GC_AUTH_OK)
        status = gc_auth_bearer(auth, bearer, sizeof bearer, NULL, NULL); /* once before each request */

    if (status == GC_AUTH_OK)
        printf("Authorization: %.19s...\n", bearer); /* a token is a secret: the beginning will do */
    else
        fprintf(stderr, "%s: %s\n", gc_auth_status_name(status), gc_auth_last_error_message());
    gc_auth_free(auth);
    return status == GC_AUTH_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
