/* The same POST by libcurl.
 *
 *   login_curl URL CA_FILE */

#define _GNU_SOURCE
#include <curl/curl.h>

#include "usage.h"

static size_t answer_size;

static size_t take(char *data, size_t size, size_t count, void *unused)
{
    (void)data;
    (void)unused;
    answer_size += size * count;
    return size * count;
}

int main(int count, char **arguments)
{
    double before = cpu_ms();
    struct curl_slist *headers = NULL;
    long status = 0;
    CURL *curl;
    CURLcode code;
    if (count != 3) {
        return 2;
    }
    curl_global_init(CURL_GLOBAL_DEFAULT);
    curl = curl_easy_init();
    headers = curl_slist_append(headers, "Content-Type: application/json");
    curl_easy_setopt(curl, CURLOPT_URL, arguments[1]);
    curl_easy_setopt(curl, CURLOPT_CAINFO, arguments[2]);
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS,
                     "{\"username\":\"ada\",\"password\":\"lovelace\",\"organization\":\"analytical-engines\"}");
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
    code = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    if (code != CURLE_OK || status != 201 || answer_size < 100) {
        fprintf(stderr, "%s, HTTP %ld\n", curl_easy_strerror(code), status);
        return 1;
    }
    printf("%.3f %ld\n", cpu_ms() - before, rss_kb());
    curl_easy_cleanup(curl);
    curl_slist_free_all(headers);
    return 0;
}
