/* Forked children that check. */

#ifndef CHILDREN_H
#define CHILDREN_H

#include "check.h"

#include <errno.h>
#include <sys/types.h>
#include <sys/wait.h>

/* Forks; 0 in the child, which ends by `end_child`. */
MAYBE_UNUSED static pid_t begin_child(void)
{
    pid_t pid;
    fflush(NULL);
    pid = fork();
    REQUIRE(pid >= 0);
    if (pid == 0) {
        /* A child that hangs is ended by a signal. */
        alarm(240);
        checks_failed = 0;
    }
    return pid;
}

/* The number of its failed checks is a child's exit status. */
MAYBE_UNUSED static void end_child(void)
{
    _exit(checks_failed > 100 ? 100 : (int)checks_failed);
}

/* Runs `work` in a child. */
MAYBE_UNUSED static pid_t child(void (*work)(gc_auth_t *), gc_auth_t *auth)
{
    pid_t pid = begin_child();
    if (pid == 0) {
        work(auth);
        end_child();
    }
    return pid;
}

/* Waits for the end of a child; whether all of its checks held. */
MAYBE_UNUSED static int await(pid_t pid)
{
    int status = -1;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (!CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0)) {
        fprintf(stderr, "... a child ended with %s %d\n", WIFSIGNALED(status) ? "signal" : "status",
                WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
        return 0;
    }
    return 1;
}

#endif
