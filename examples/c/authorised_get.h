/*
 * A GET with a bearer token, by libcurl: the one place where these examples meet HTTP. Copy it into your program.
 *
 * The recipe, whatever the HTTP library: ask for the bearer before each request; on a 401 report it, ask again, and
 * repeat the request once. More would not help: a token that is new and refused as well is refused for good.
 */
#ifndef AUTHORISED_GET_H
#define AUTHORISED_GET_H

#include <curl/curl.h>
#include <gcauth.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What came back. */
struct answer {
    long http_status; /* 0: no answer; the reason stands in `body` */
    int repeated;     /* 1: the first try was answered by a 401 */
    char body[4096];  /* cut if it is longer */
};

static size_t keep(char *data, size_t size, size_t count, void *user_data)
{
    struct answer *answer = user_data;
    size_t have = strlen(answer->body);
    size_t free_space = sizeof answer->body - 1 - have;
    size_t length = size * count;
    memcpy(answer->body + have, data, length < free_space ? length : free_space);
    return length;
}

/* One request, with this bearer. */
static void get_once(const char *url, const char *bearer, struct answer *answer)
{
    char header[8192 + 32];
    snprintf(header, sizeof header, "Authorization: %s", bearer);
    answer->http_status = 0;
    memset(answer->body, 0, sizeof answer->body);

    CURL *curl = curl_easy_init();
    struct curl_slist *headers = curl_slist_append(NULL, header);
    if (curl == NULL || headers == NULL) {
        snprintf(answer->body, sizeof answer->body, "libcurl: out of memory");
    } else {
        curl_easy_setopt(curl, CURLOPT_URL, url);
        curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
        curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, keep);
        curl_easy_setopt(curl, CURLOPT_WRITEDATA, answer);
        curl_easy_setopt(curl, CURLOPT_TIMEOUT, 60L);
        /* The program curl reads this variable, the library does not. */
        if (getenv("CURL_CA_BUNDLE") != NULL)
            curl_easy_setopt(curl, CURLOPT_CAINFO, getenv("CURL_CA_BUNDLE"));
        CURLcode code = curl_easy_perform(curl);
        if (code == CURLE_OK)
            curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &answer->http_status);
        else
            snprintf(answer->body, sizeof answer->body, "libcurl: %s", curl_easy_strerror(code));
    }
    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);
}

/* The whole recipe. A status other than GC_AUTH_OK means that there was no bearer to send. */
static gc_auth_status_t authorised_get(gc_auth_t *auth, const char *url, struct answer *answer)
{
    char bearer[8192];
    gc_auth_status_t status = gc_auth_bearer(auth, bearer, sizeof bearer, NULL, NULL);
    answer->repeated = 0;
    if (status != GC_AUTH_OK)
        return status;
    get_once(url, bearer, answer);
    if (answer->http_status == 401) {
        status = gc_auth_report_rejected(auth, bearer);
        if (status == GC_AUTH_OK)
            status = gc_auth_bearer(auth, bearer, sizeof bearer, NULL, NULL);
        if (status != GC_AUTH_OK)
            return status;
        answer->repeated = 1;
        get_once(url, bearer, answer);
    }
    return GC_AUTH_OK;
}

#endif
