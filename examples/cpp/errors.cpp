/*
 * Errors, handled well: errors USER ORGANIZATION, with the right password in GCAUTH_PASSWORD.
 *
 * It logs in with a wrong password, then at a server that is down, then for good with patience. The first is caught as
 * an exception, the others come back as results: take the form that suits the place.
 */
#include <gcauth.hpp>

#include <algorithm>
#include <chrono>
#include <iostream>
#include <thread>

using std::chrono::milliseconds;

/* What there is to know about a failure. The message is for people; programs go by the status. */
static void tell(const gcauth::Error &error)
{
    std::cout << "  " << error.what() << "\n  " << to_string(error.status()) << ", HTTP " << error.http_status() << ", "
              << (error.is_retryable() ? "worth another try" : "no use trying again") << '\n';
}

/* Tries again what may succeed later, and nothing else: a refused password stays refused, and too many tries lock. */
static gcauth::Result<void> patient_login(gcauth::Session &session, const char *user, const char *password,
                                          const char *organization)
{
    for (int tries = 0;; tries++) {
        auto result = session.try_login(user, password, organization);
        if (result || !result.error().is_retryable() || tries == 4)
            return result;
        tell(result.error());
        // What the server asks for, or else 1 s, 2 s, 4 s and so on, at most a minute.
        const milliseconds own = std::min(milliseconds(1000 << tries), milliseconds(60000));
        const milliseconds pause = result.error().retry_after().value_or(own);
        std::cout << "  waiting for " << pause.count() << " ms" << std::endl;
        std::this_thread::sleep_for(pause);
    }
}

static int run(const char *user, const char *password, const char *organization)
{
    gcauth::Session session;

    std::cout << "A wrong password\n";
    try {
        session.login(user, "not the password", organization);
    } catch (const gcauth::Error &error) {
        tell(error);
    }

    std::cout << "A server that is down\n";
    gcauth::Session nowhere(R"({"env": "nowhere", "environments": {"nowhere": {"host": "http://127.0.0.1:1"}},
                                "retries": 0})");
    if (auto result = nowhere.try_login(user, password, organization); !result)
        tell(result.error());

    std::cout << "A server that is busy\n";
    if (auto result = patient_login(session, user, password, organization); !result) {
        tell(result.error());
        return EXIT_FAILURE;
    }
    std::cout << "  logged in\n  " << session.bearer().substr(0, 19) << "...\n";
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    const char *password = std::getenv("GCAUTH_PASSWORD");
    if (argc != 3 || password == nullptr) {
        std::cerr << "usage: GCAUTH_PASSWORD=... errors USER ORGANIZATION\n";
        return 2;
    }
    try {
        return run(argv[1], password, argv[2]);
    } catch (const gcauth::Error &error) {
        tell(error);
        return EXIT_FAILURE;
    }
}
