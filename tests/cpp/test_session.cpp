/* What gcauth.hpp adds to the C functions: ownership, strings, errors as exceptions and as results. */
#include <gcauth.hpp>

#include <cstdlib>
#include <iostream>
#include <new>
#include <optional>
#include <sstream>
#include <thread>
#include <vector>

gcauth::Result<std::string> bearer_of_second_unit(const char *token);

static int failed = 0;
static thread_local long allocations = 0;

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            std::cerr << __FILE__ << ":" << __LINE__ << ": failed: " << #condition << '\n';                            \
            failed++;                                                                                                  \
        }                                                                                                              \
    } while (false)

void *operator new(std::size_t size)
{
    allocations++;
    if (void *memory = std::malloc(size))
        return memory;
    throw std::bad_alloc();
}

void operator delete(void *memory) noexcept
{
    std::free(memory);
}

void operator delete(void *memory, std::size_t) noexcept
{
    std::free(memory);
}

static const std::string long_token(3000, 'x');
/* {"exp":4102444800,"project_id":42} */
static const char *const jwt = "eyJhbGciOiJub25lIn0.eyJleHAiOjQxMDI0NDQ4MDAsInByb2plY3RfaWQiOjQyfQ.c2ln";

static void ownership()
{
    gcauth::Session first("{}", "first");
    gcauth::Session second("{}", "second");
    CHECK(first.bearer() == "Bearer first");

    gcauth::Session moved(std::move(first));
    CHECK(moved.bearer() == "Bearer first");
    CHECK(first.get() == nullptr); // NOLINT(bugprone-use-after-move)
    CHECK(first.try_bearer().error().status() == gcauth::Status::invalid_argument);

    moved = std::move(second);
    CHECK(moved.bearer() == "Bearer second");

    std::vector<gcauth::Session> many;
    for (int i = 0; i < 20; i++)
        many.emplace_back("{}", std::to_string(i));
    CHECK(many.back().bearer() == "Bearer 19");

    gc_auth_t *handle = moved.release();
    CHECK(moved.get() == nullptr);
    gcauth::Session adopted = gcauth::Session::adopt(handle);
    CHECK(adopted.bearer() == "Bearer second");
}

static void text()
{
    gcauth::Session session("{}", long_token);
    CHECK(session.bearer() == "Bearer " + long_token);
    CHECK(session.token() == long_token);
    CHECK(session.env() == "prod");

    // The string grows when it must, and is then used again as it is.
    std::string bearer;
    CHECK(!session.bearer_into(bearer));
    CHECK(bearer == "Bearer " + long_token);
    const char *place = bearer.data();
    allocations = 0;
    for (int i = 0; i < 100; i++)
        session.bearer_into(bearer);
    CHECK(allocations == 0 && bearer.data() == place && bearer == "Bearer " + long_token);

    // One that is longer than needed shrinks to what there is, and one with other text is overwritten.
    gcauth::Session small("{}", "y");
    small.bearer_into(bearer);
    CHECK(bearer == "Bearer y" && bearer.size() == 8);

    gcauth::Session dated("{}", jwt);
    const gcauth::Expiry expiry = dated.bearer_into(bearer);
    CHECK(expiry && expiry->time_since_epoch().count() == 4102444800);
    CHECK(dated.project_id() == 42);
    CHECK(dated.decoded_token() == R"({"exp":4102444800,"project_id":42})");
    CHECK(gcauth::Session::from_json(dated.to_json(), "{}").token() == jwt);

    // What failed leaves nothing that could be taken for a bearer.
    gcauth::Session empty("{}");
    CHECK(!empty.try_bearer_into(bearer) && bearer.empty());

    auto second = bearer_of_second_unit("z");
    CHECK(second && *second == "Bearer z");
}

static void views()
{
    const std::string all = "ignored long_token {} ignored";
    const std::string_view config = std::string_view(all).substr(19, 2), token = std::string_view(all).substr(8, 10);
    gcauth::Session session(config, token, std::string_view(), std::string_view("dev!", 3));
    CHECK(session.token() == "long_token");
    CHECK(session.env() == "dev");
    CHECK(session.try_report_rejected(std::string_view("Bearer long_token.", 17)).has_value());
    CHECK(session.try_login(std::string_view("a\0b", 3), "password", "organization").error().status()
          == gcauth::Status::invalid_argument);
    CHECK(session.try_decode_jwt(std::string_view()).error().status() == gcauth::Status::invalid_argument);
    CHECK(session.try_decode_jwt(std::string_view("x", 0)).error().status() == gcauth::Status::invalid_argument);

    // A copy of a Text has what it needs, also when the first one is gone.
    std::optional<gcauth::Text> first(token);
    const gcauth::Text second(*first);
    first.reset();
    CHECK(second.c_str() == std::string("long_token") && second.c_str() != token.data());
}

static void description()
{
    const auto printed = [](const gcauth::Session &session) {
        std::ostringstream out;
        out << session;
        return out.str();
    };
    const std::string dev = "gcauth::Session(dev, https://auth-apidev.genomcore.net/api/v1, ";
    CHECK(printed(gcauth::Session("{}", {}, {}, "dev")) == dev + "not logged in)");
    CHECK(printed(gcauth::Session("{}", "an-opaque-token", {}, "dev")) == dev + "user unknown)");
    CHECK(printed(gcauth::Session("{}", {}, "a-refresh-token", "dev")) == dev + "user unknown)");
    CHECK(printed(gcauth::Session("{}", jwt, {}, "dev")) == dev + "user unknown, until 2100-01-01 00:00:00 UTC)");
    /* {"aud":["sub","x"],"o":{"sub":"inner","exp":1},"sub":"ada \"\u0007","exp":4102444800} */
    CHECK(printed(gcauth::Session("{}", "eyJhbGciOiJub25lIn0.eyJhdWQiOlsic3ViIiwieCJdLCJvIjp7InN1YiI6ImlubmVyIiwiZXhwIjoxfSwic3ViIjoiYWRhIFwiXHUwMDA3IiwiZXhwIjo0MTAyNDQ0ODAwfQ.c2ln",
                                  {}, "dev")) == dev + "ada \\\"\\u0007, until 2100-01-01 00:00:00 UTC)");
    /* {"exp":951782400,"sub":7} */
    gcauth::Session leap("{}", "eyJhbGciOiJub25lIn0.eyJleHAiOjk1MTc4MjQwMCwic3ViIjo3fQ.c2ln");
    CHECK(leap.describe() == "prod, https://auth-api.genomcore.net/api/v1, 7, until 2000-02-29 00:00:00 UTC");
    gcauth::Session moved(std::move(leap));
    CHECK(leap.describe() == "no session"); // NOLINT(bugprone-use-after-move)
    CHECK(gcauth::Session(R"({"store":"file:/nowhere/at/all"})").describe().find("GC_AUTH_ERR_STORE") != std::string::npos);
}

static void log()
{
    std::vector<std::string> lines;
    const auto collect = [&](gcauth::LogLevel level, std::string_view line) {
        CHECK(level == gcauth::LogLevel::warning);
        lines.emplace_back(line);
        throw std::runtime_error("lost");
    };
    gcauth::Session session("{}", "token");
    session.set_log(collect);
    session.report_rejected("token");
    CHECK(lines.size() == 1 && lines[0] == "a server turned the token of generation 0 away");
    session.set_log(collect, gcauth::LogLevel::error);
    session.report_rejected("token");
    CHECK(lines.size() == 1);

    // It moves with the session, and ends with it.
    session.set_log(collect);
    gcauth::Session moved(std::move(session));
    moved.report_rejected("token");
    CHECK(lines.size() == 2);
    gcauth::Session other("{}", "token");
    other.set_log([](gcauth::LogLevel, std::string_view) {});
    other = std::move(moved);
    other.report_rejected("token");
    CHECK(lines.size() == 3);
    other.set_log({});
    other.report_rejected("token");
    CHECK(lines.size() == 3);

    // Who gets the handle gets no log.
    other.set_log(collect);
    gcauth::Session adopted = gcauth::Session::adopt(other.release());
    adopted.report_rejected("token");
    CHECK(lines.size() == 3);
    CHECK(adopted.try_set_log(collect, static_cast<gcauth::LogLevel>(9)).error().status()
          == gcauth::Status::invalid_argument);
}

static void errors()
{
    gcauth::Session session("{}");
    try {
        session.bearer();
        CHECK(!"it throws");
    } catch (const gcauth::Error &error) {
        CHECK(error.status() == gcauth::Status::no_token);
        CHECK(error.what() == std::string(gc_auth_last_error_message()) && error.what()[0] != '\0');
        CHECK(error.http_status() == 0 && !error.is_retryable() && !error.retry_after());
        CHECK(to_string(error.status()) == std::string("GC_AUTH_ERR_NO_TOKEN"));
    }
    try {
        gcauth::Session wrong("not JSON");
        CHECK(!"it throws");
    } catch (const std::exception &error) { // and not by its own name only
        CHECK(dynamic_cast<const gcauth::Error *>(&error) != nullptr);
    }

    // An error outlives the calls after it.
    gcauth::Result<std::string> result = session.try_bearer();
    const std::string message = result.error().what();
    CHECK(session.try_refresh().error().status() == gcauth::Status::no_refresh_token);
    CHECK(result.error().what() == message && result.error().status() == gcauth::Status::no_token);

    CHECK(!result && !result.has_value() && std::move(result).value_or("none") == "none");
    try {
        session.try_refresh().value();
        CHECK(!"it throws");
    } catch (const gcauth::Error &error) {
        CHECK(error.status() == gcauth::Status::no_refresh_token);
    }

    // A string that C would cut short is refused and not cut.
    const std::string cut("ada\0lace", 8);
    CHECK(session.try_login(cut, "password", "organization").error().status() == gcauth::Status::invalid_argument);
    CHECK(gcauth::Session::try_new("{}", cut).error().status() == gcauth::Status::invalid_argument);
    CHECK(session.try_decode_jwt(cut).error().status() == gcauth::Status::invalid_argument);
    CHECK(session.try_decode_jwt("").error().status() == gcauth::Status::invalid_argument);
    CHECK(session.try_decode_jwt(nullptr).error().status() == gcauth::Status::invalid_argument);

    CHECK(session.try_write_token_file(cut, "curl").error().status() == gcauth::Status::invalid_argument);
    CHECK(session.try_write_token_file("file", "none").error().status() == gcauth::Status::invalid_argument);
    CHECK(session.try_bearer_valid_for(std::chrono::seconds(-1)).error().status() == gcauth::Status::invalid_argument);
    CHECK(session.try_bearer_valid_for(std::chrono::minutes(1)).error().status() == gcauth::Status::no_token);

    // nullptr and nothing are the same; where text is needed, the library says so.
    CHECK(session.try_login(nullptr, "password", "organization").error().status() == gcauth::Status::invalid_argument);

    CHECK(gcauth::version_number() == GC_AUTH_VERSION_NUMBER);
    CHECK(std::string(gcauth::version_string()).find('.') != std::string::npos);
}

static void threads()
{
    const gcauth::Session session("{}", long_token);
    std::vector<std::thread> crew;
    for (int i = 0; i < 4; i++) {
        crew.emplace_back([&] {
            std::string bearer;
            for (int round = 0; round < 1000; round++)
                session.bearer_into(bearer);
            CHECK(bearer == "Bearer " + long_token);
        });
    }
    for (std::thread &thread : crew)
        thread.join();
}

int main()
{
    ownership();
    text();
    views();
    description();
    errors();
    log();
    threads();
    std::cout << (failed == 0 ? "passed\n" : "FAILED\n");
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
