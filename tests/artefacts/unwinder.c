/* A program that exports an unwinder of its own, as Julia does, and makes the library panic: the panic is caught
 * inside, by the library's own unwinder, and is a status like any other. Nothing of this one is ever called. */

#define _POSIX_C_SOURCE 200809L /* setenv */

#include <gcauth.h>

#include <stdio.h>
#include <stdlib.h>

#define EXPORTED(name)                                                                                                 \
    void name(void);                                                                                                   \
    void name(void)                                                                                                    \
    {                                                                                                                  \
        fprintf(stderr, "the library called the program's " #name "\n");                                              \
        abort();                                                                                                       \
    }

EXPORTED(_Unwind_Backtrace)
EXPORTED(_Unwind_DeleteException)
EXPORTED(_Unwind_FindEnclosingFunction)
EXPORTED(_Unwind_Find_FDE)
EXPORTED(_Unwind_ForcedUnwind)
EXPORTED(_Unwind_GetCFA)
EXPORTED(_Unwind_GetDataRelBase)
EXPORTED(_Unwind_GetGR)
EXPORTED(_Unwind_GetIP)
EXPORTED(_Unwind_GetIPInfo)
EXPORTED(_Unwind_GetLanguageSpecificData)
EXPORTED(_Unwind_GetRegionStart)
EXPORTED(_Unwind_GetTextRelBase)
EXPORTED(_Unwind_RaiseException)
EXPORTED(_Unwind_Resume)
EXPORTED(_Unwind_Resume_or_Rethrow)
EXPORTED(_Unwind_SetGR)
EXPORTED(_Unwind_SetIP)

int main(void)
{
    gc_auth_t *auth = NULL;
    char env[64];
    gc_auth_status_t status;

    if (gc_auth_new("{\"retries\":0}", NULL, "refresh-token", NULL, &auth) != GC_AUTH_OK) {
        fprintf(stderr, "%s\n", gc_auth_last_error_message());
        return 1;
    }
    setenv("GCAUTH_FAILPOINT", "locked:panic", 1);
    status = gc_auth_refresh(auth, NULL);
    if (status != GC_AUTH_ERR_INTERNAL) {
        fprintf(stderr, "a panic gives %s, not GC_AUTH_ERR_INTERNAL\n", gc_auth_status_name(status));
        return 1;
    }
    unsetenv("GCAUTH_FAILPOINT");
    status = gc_auth_env(auth, env, sizeof env, NULL);
    if (status != GC_AUTH_OK) {
        fprintf(stderr, "after it the handle gives %s\n", gc_auth_status_name(status));
        return 1;
    }
    gc_auth_free(auth);
    return 0;
}
