/* The header a second time in the same program, and twice in the same file. Compiled without exceptions as well. */
#include <gcauth.hpp>
#include <gcauth.hpp>

gcauth::Result<std::string> bearer_of_second_unit(const char *token);

gcauth::Result<std::string> bearer_of_second_unit(const char *token)
{
    auto session = gcauth::Session::try_new("{}", token);
    if (!session)
        return std::move(session).error();
    return session->try_bearer();
}
