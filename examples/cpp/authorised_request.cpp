/*
 * Sends a bearer with libcurl, and gets over a 401: authorised_request USER ORGANIZATION URL, with the password in
 * GCAUTH_PASSWORD. The work is done in authorised_get.hpp.
 */
#include "authorised_get.hpp"

#include <iostream>

static int request(char **argv, const char *password)
{
    gcauth::Session session;
    session.login(argv[1], password, argv[2]);

    std::string bearer;
    const Answer answer = authorised_get(session, argv[3], bearer);
    if (answer.repeated)
        std::cout << "the first token was refused, so it was reported, and a new one sent\n";
    std::cout << "HTTP " << answer.http_status << '\n' << answer.body << '\n';
    return answer.http_status == 200 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    const char *password = std::getenv("GCAUTH_PASSWORD");
    if (argc != 4 || password == nullptr) {
        std::cerr << "usage: GCAUTH_PASSWORD=... authorised_request USER ORGANIZATION URL\n";
        return 2;
    }
    const Curl curl;
    try {
        return request(argv, password);
    } catch (const gcauth::Error &error) {
        std::cerr << to_string(error.status()) << ": " << error.what() << '\n';
        return EXIT_FAILURE;
    }
}
