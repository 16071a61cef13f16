/* What gcauth.hpp costs over the C function: calls of one or the other, to be counted by callgrind, or in ns.
 *
 *   bearer_cpp c|cpp N        N calls, on a token of about 1 KB
 *   bearer_cpp time           the best of several rounds of each, in ns */

#include <gcauth.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#define KEEP(memory) __asm__ volatile("" : : "r"(memory) : "memory")

static void by_c(const gcauth::Session &session, long calls)
{
    char buf[8192];
    std::size_t size = 0;
    std::int64_t expires_at = 0;
    for (long i = 0; i < calls; i++) {
        if (gc_auth_bearer(session.get(), buf, sizeof buf, &size, &expires_at) != GC_AUTH_OK)
            std::abort();
        KEEP(buf);
    }
}

static void by_cpp(const gcauth::Session &session, long calls)
{
    std::string bearer;
    for (long i = 0; i < calls; i++) {
        const gcauth::Expiry expiry = session.bearer_into(bearer);
        KEEP(bearer.data());
        KEEP(&expiry);
    }
}

static double best(void (*work)(const gcauth::Session &, long), const gcauth::Session &session)
{
    double fastest = 1e18;
    for (int round = 0; round < 60; round++) {
        const auto began = std::chrono::steady_clock::now();
        work(session, 100000);
        const std::chrono::duration<double, std::nano> spent = std::chrono::steady_clock::now() - began;
        fastest = std::min(fastest, spent.count() / 100000);
    }
    return fastest;
}

int main(int count, char **arguments)
{
    const gcauth::Session session("{}", std::string(1000, 'x'));
    if (count == 2 && std::strcmp(arguments[1], "time") == 0)
        std::printf("c_ns %.2f\ncpp_ns %.2f\n", best(by_c, session), best(by_cpp, session));
    else if (count == 3)
        (std::strcmp(arguments[1], "c") == 0 ? by_c : by_cpp)(session, std::atol(arguments[2]));
    else
        return 2;
    return 0;
}
