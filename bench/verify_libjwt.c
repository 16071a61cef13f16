/* Verifies by libjwt. */

#define _GNU_SOURCE
#include <jwt.h>

#include "verify.h"

static int key_size;

static void verify(void)
{
    jwt_t *jwt = NULL;
    char *payload;
    if (jwt_decode(&jwt, token_text, (const unsigned char *)key_text, key_size) != 0) {
        fprintf(stderr, "refused\n");
        exit(1);
    }
    payload = jwt_get_grants_json(jwt, NULL);
    free(payload);
    jwt_free(jwt);
}

int main(int count, char **arguments)
{
    read_arguments(count, arguments);
    key_size = (int)strlen(key_text);
    measure(verify);
    return 0;
}
