/* What the programs that verify a token have in common: verify.c, verify_libjwt.c, verify_cppjwt.cpp.
 *
 *   verify KEY_FILE TOKEN_FILE      prints the best of several rounds, in µs for one verification */

#ifndef VERIFY_H
#define VERIFY_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static char key_text[16384];
static char token_text[16384];

static void read_text(const char *path, char *text, size_t size)
{
    FILE *file = fopen(path, "r");
    size_t got = file ? fread(text, 1, size - 1, file) : 0;
    if (got == 0) {
        fprintf(stderr, "%s can't be read\n", path);
        exit(1);
    }
    fclose(file);
    text[got] = '\0';
    if (text == token_text) {
        text[strcspn(text, "\r\n")] = '\0';
    }
}

/* CPU time, which is what openssl speed counts as well. */
static double now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

/* Runs `verify` in rounds of some 20 ms. */
static void measure(void (*verify)(void))
{
    double best = 1e18, began;
    long calls = 1, i;
    int round;
    verify();
    for (;;) {
        began = now_us();
        for (i = 0; i < calls; i++) {
            verify();
        }
        if (now_us() - began > 20000) {
            break;
        }
        calls *= 2;
    }
    for (round = 0; round < 30; round++) {
        double spent;
        began = now_us();
        for (i = 0; i < calls; i++) {
            verify();
        }
        spent = (now_us() - began) / (double)calls;
        best = spent < best ? spent : best;
    }
    printf("%.2f\n", best);
}

static void read_arguments(int count, char **arguments)
{
    if (count != 3) {
        exit(2);
    }
    read_text(arguments[1], key_text, sizeof key_text);
    read_text(arguments[2], token_text, sizeof token_text);
}

#endif
