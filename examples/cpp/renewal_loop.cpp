/*
 * A worker that runs for long: renewal_loop USER ORGANIZATION URL RENEWALS, with the password in GCAUTH_PASSWORD. It
 * sends a request each second until it has seen that many renewals.
 *
 * There is no timer and no thread that renews: asking for the bearer before each request, as authorised_get() does, is
 * all. It renews ahead of time, so no request goes out with a token that is about to expire, and where the token is
 * refused before its time, reporting it brings a new one.
 */
#include "authorised_get.hpp"

#include <chrono>
#include <iostream>
#include <thread>

static int work(gcauth::Session &session, const std::string &url, long renewals)
{
    std::string bearer;
    session.bearer_into(bearer);
    std::string current = bearer;

    for (long number = 1, renewed = 0; renewed < renewals; number++) {
        std::cout << "request " << number << ": ";
        try {
            const Answer answer = authorised_get(session, url, bearer);
            if (answer.http_status != 200) {
                std::cerr << "request " << number << ": HTTP " << answer.http_status << ": " << answer.body << '\n';
                return EXIT_FAILURE;
            }
            if (bearer == current) {
                std::cout << "200, same token" << std::endl;
            } else {
                renewed++;
                current = bearer;
                std::cout << "200, " << (answer.repeated ? "renewed after a 401" : "renewed ahead of time")
                          << std::endl;
            }
        } catch (const gcauth::Error &error) {
            // A worker lives through a bad hour of the server's: what may succeed later is tried again later.
            if (!error.is_retryable())
                throw;
            std::cout << "no bearer now: " << error.what() << std::endl;
        }
        std::this_thread::sleep_for(std::chrono::seconds(1));
    }
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    const char *password = std::getenv("GCAUTH_PASSWORD");
    if (argc != 5 || password == nullptr) {
        std::cerr << "usage: GCAUTH_PASSWORD=... renewal_loop USER ORGANIZATION URL RENEWALS\n";
        return 2;
    }
    const Curl curl;
    try {
        gcauth::Session session;
        session.login(argv[1], password, argv[2]);
        return work(session, argv[3], std::strtol(argv[4], nullptr, 10));
    } catch (const gcauth::Error &error) {
        std::cerr << to_string(error.status()) << ": " << error.what() << '\n';
        return EXIT_FAILURE;
    }
}
