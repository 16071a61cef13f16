/* Makes tokens whose signature is nonsense: enough for all that is not verification. */

#ifndef JWT_H
#define JWT_H

#include "check.h"

MAYBE_UNUSED static size_t base64url(char *out, const void *data, size_t size)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const unsigned char *bytes = data;
    size_t used = 0, i;
    for (i = 0; i < size; i += 3) {
        unsigned long group = (unsigned long)bytes[i] << 16;
        size_t left = size - i;
        if (left > 1) {
            group |= (unsigned long)bytes[i + 1] << 8;
        }
        if (left > 2) {
            group |= bytes[i + 2];
        }
        out[used++] = digits[group >> 18 & 63];
        out[used++] = digits[group >> 12 & 63];
        if (left > 1) {
            out[used++] = digits[group >> 6 & 63];
        }
        if (left > 2) {
            out[used++] = digits[group & 63];
        }
    }
    out[used] = '\0';
    return used;
}

/* A token with this header and payload, in memory to free. */
MAYBE_UNUSED static char *jwt_with_header(const char *header, const char *payload)
{
    char *token = malloc((strlen(header) + strlen(payload)) * 2 + 64);
    size_t used;
    REQUIRE(token != NULL);
    used = base64url(token, header, strlen(header));
    token[used++] = '.';
    used += base64url(token + used, payload, strlen(payload));
    strcpy(token + used, ".c2lnbmF0dXJl");
    return token;
}

MAYBE_UNUSED static char *jwt(const char *payload)
{
    return jwt_with_header("{\"alg\":\"RS256\",\"typ\":\"JWT\"}", payload);
}

/* A token that began and ends that many seconds from now. */
MAYBE_UNUSED static char *jwt_with_times(long iat, long exp)
{
    char payload[256];
    long long now = (long long)time(NULL);
    snprintf(payload, sizeof payload, "{\"sub\":\"given\",\"iat\":%lld,\"exp\":%lld}", now + iat, now + exp);
    return jwt(payload);
}

/* A token of a life of one hour that is due for renewal and good for another ten minutes. */
MAYBE_UNUSED static char *jwt_due(void)
{
    return jwt_with_times(-3000, 600);
}

/* A token that ran out a minute ago. */
MAYBE_UNUSED static char *jwt_expired(void)
{
    return jwt_with_times(-3660, -60);
}

/* A token with most of its hour before it. */
MAYBE_UNUSED static char *jwt_fresh(void)
{
    return jwt_with_times(0, 3600);
}

#endif
