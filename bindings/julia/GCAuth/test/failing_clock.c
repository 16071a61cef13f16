/* To be preloaded: a clock that can be made to fail, which is the one way to make the library panic in a test. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <time.h>

static __thread int readings;

/* The n-th reading of this thread from now on fails; 0: none does. */
void fail_reading(int n)
{
    readings = n;
}

int clock_gettime(clockid_t clock, struct timespec *time)
{
    static int (*real)(clockid_t, struct timespec *);
    if (real == NULL)
        *(void **)&real = dlsym(RTLD_NEXT, "clock_gettime");
    if (readings > 0 && --readings == 0) {
        errno = EINVAL;
        return -1;
    }
    return real(clock, time);
}
