// Verifies by cpp-jwt; the algorithm is the third argument.

#include <jwt/jwt.hpp>

#include "verify.h"

static std::string key, token;
static std::vector<std::string> names;

static void verify()
{
    using namespace jwt::params;
    auto decoded = jwt::decode(token, algorithms(names), secret(key), jwt::params::verify(true));
    if (!decoded.has_claim("sub")) {
        std::exit(1);
    }
}

int main(int count, char **arguments)
{
    if (count != 4) {
        return 2;
    }
    names = { arguments[3] };
    read_arguments(count - 1, arguments);
    key = key_text;
    token = token_text;
    try {
        measure(verify);
    } catch (const std::exception &error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
    return 0;
}
