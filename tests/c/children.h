/* Forked children that check. */

#ifndef CHILDREN_H
#define CHILDREN_H

#include "check.h"

#include <errno.h>
#include <sys/types.h>
#include <sys/wait.h>

/* Runs `work` in a child; the number of its failed checks is its exit status. */
MAYBE_UNUSED static pid_t child(void (*work)(gc_auth_t *), gc_auth_t *auth)
{
    pid_t pid;
    fflush(NULL);
    pid = fork();
    REQUIRE(pid >= 0);
    if (pid == 0) {
        /* A child that hangs is ended by a signal. */
        alarm(240);
        checks_failed = 0;
        work(auth);
        _exit(checks_failed > 100 ? 100 : (int)checks_failed);
    }
    return pid;
}

MAYBE_UNUSED static void await(pid_t pid)
{
    int status = -1;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (!CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0)) {
        fprintf(stderr, "... a child ended with %s %d\n", WIFSIGNALED(status) ? "signal" : "status",
                WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    }
}

#endif
