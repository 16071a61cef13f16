/* Logs in and shows what a program would send: first_login USER ORGANIZATION, with the password in GCAUTH_PASSWORD. */
#include <gcauth.hpp>

#include <cstdlib>
#include <iostream>

int main(int argc, char **argv)
{
    const char *password = std::getenv("GCAUTH_PASSWORD"); // not an argument: those are for everybody to see
    if (argc != 3 || password == nullptr) {
        std::cerr << "usage: GCAUTH_PASSWORD=... first_login USER ORGANIZATION\n";
        return 2;
    }

    try {
        gcauth::Session session;
        session.login(argv[1], password, argv[2]);
        const std::string bearer = session.bearer(); // once before each request
        std::cout << "Authorization: " << bearer.substr(0, 19) << "...\n"; // a secret: the beginning will do
    } catch (const gcauth::Error &error) {
        std::cerr << to_string(error.status()) << ": " << error.what() << '\n';
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}
