/*
 * A GET with a bearer token, by libcurl: the one place where these examples meet HTTP. Copy it into your program.
 *
 * The recipe, whatever the HTTP library: ask for the bearer before each request; on a 401 report it, ask again, and
 * repeat the request once. More would not help: a token that is new and refused as well is refused for good.
 */
#ifndef AUTHORISED_GET_HPP
#define AUTHORISED_GET_HPP

#include <curl/curl.h>
#include <gcauth.hpp>

#include <cstdlib>
#include <memory>
#include <string>

/* What came back. */
struct Answer {
    long http_status = 0;  // 0: no answer; the reason stands in `body`
    bool repeated = false; // the first try was answered by a 401
    std::string body;
};

/* libcurl as a whole, for as long as main() runs: made before any thread is started. */
class Curl {
public:
    Curl() { curl_global_init(CURL_GLOBAL_DEFAULT); }
    ~Curl() { curl_global_cleanup(); }
    Curl(const Curl &) = delete;
    Curl &operator=(const Curl &) = delete;
};

inline std::size_t keep(char *data, std::size_t size, std::size_t count, void *user_data)
{
    static_cast<std::string *>(user_data)->append(data, size * count);
    return size * count;
}

/* One request, with this bearer. */
inline Answer get_once(const std::string &url, const std::string &bearer)
{
    Answer answer;
    const std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> curl(curl_easy_init(), &curl_easy_cleanup);
    const std::unique_ptr<curl_slist, decltype(&curl_slist_free_all)> headers(
        curl_slist_append(nullptr, ("Authorization: " + bearer).c_str()), &curl_slist_free_all);
    if (!curl || !headers) {
        answer.body = "libcurl: out of memory";
        return answer;
    }
    curl_easy_setopt(curl.get(), CURLOPT_URL, url.c_str());
    curl_easy_setopt(curl.get(), CURLOPT_HTTPHEADER, headers.get());
    curl_easy_setopt(curl.get(), CURLOPT_WRITEFUNCTION, keep);
    curl_easy_setopt(curl.get(), CURLOPT_WRITEDATA, &answer.body);
    curl_easy_setopt(curl.get(), CURLOPT_TIMEOUT, 60L);
    // The program curl reads this variable, the library does not.
    if (const char *bundle = std::getenv("CURL_CA_BUNDLE"))
        curl_easy_setopt(curl.get(), CURLOPT_CAINFO, bundle);
    const CURLcode code = curl_easy_perform(curl.get());
    if (code == CURLE_OK)
        curl_easy_getinfo(curl.get(), CURLINFO_RESPONSE_CODE, &answer.http_status);
    else
        answer.body = std::string("libcurl: ") + curl_easy_strerror(code);
    return answer;
}

/* The whole recipe. `bearer` is the caller's, so that its memory is used again. Throws when there is none to send. */
inline Answer authorised_get(gcauth::Session &session, const std::string &url, std::string &bearer)
{
    session.bearer_into(bearer);
    Answer answer = get_once(url, bearer);
    if (answer.http_status == 401) {
        session.report_rejected(bearer);
        session.bearer_into(bearer);
        answer = get_once(url, bearer);
        answer.repeated = true;
    }
    return answer;
}

#endif
