/*
 * The table of cases that the tests of every language run, tests/cases/cases.tsv in the directory GCAUTH_CASES, beside
 * a sandbox. Once with the members that throw, and once with those that return results.
 */
#include <gcauth.hpp>

#include <curl/curl.h>

#include <cstdlib>
#include <fstream>
#include <functional>
#include <iostream>
#include <map>
#include <sstream>
#include <vector>

using gcauth::Result;
using gcauth::Session;
using Arguments = std::vector<std::optional<std::string>>;

static int failed = 0;

static std::string environment(const char *name)
{
    const char *value = std::getenv(name);
    if (value == nullptr)
        throw std::runtime_error(std::string(name) + " is not set");
    return value;
}

static std::string file_text(const std::string &path)
{
    std::ifstream file(path);
    std::ostringstream text;
    text << file.rdbuf();
    if (!file)
        throw std::runtime_error("can't read " + path);
    return text.str();
}

static std::size_t keep(char *data, std::size_t size, std::size_t count, void *text)
{
    static_cast<std::string *>(text)->append(data, size * count);
    return size * count;
}

/* A request to a control endpoint of the sandbox. */
static std::string control(const char *method, const std::string &endpoint, const std::string &body = "")
{
    const std::string url = environment("GCAUTH_SANDBOX_CONTROL") + "/" + endpoint;
    const std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> curl(curl_easy_init(), &curl_easy_cleanup);
    std::string text;
    curl_easy_setopt(curl.get(), CURLOPT_URL, url.c_str());
    curl_easy_setopt(curl.get(), CURLOPT_NOPROXY, "*");
    curl_easy_setopt(curl.get(), CURLOPT_FAILONERROR, 1L);
    curl_easy_setopt(curl.get(), CURLOPT_WRITEFUNCTION, keep);
    curl_easy_setopt(curl.get(), CURLOPT_WRITEDATA, &text);
    if (method == std::string("POST"))
        curl_easy_setopt(curl.get(), CURLOPT_POSTFIELDS, body.c_str());
    else
        curl_easy_setopt(curl.get(), CURLOPT_CUSTOMREQUEST, method);
    if (const CURLcode code = curl_easy_perform(curl.get()); code != CURLE_OK)
        throw std::runtime_error(url + ": " + curl_easy_strerror(code));
    return text;
}

static std::string counter(const std::string &name)
{
    const std::string text = control("GET", "counters");
    const std::string key = "\"" + name + "\":";
    const std::size_t at = text.find(key);
    if (at == std::string::npos)
        throw std::runtime_error("no counter " + name);
    return std::to_string(std::strtol(text.c_str() + at + key.size(), nullptr, 10));
}

static std::string replaced(std::string text)
{
    const std::map<std::string, std::string> names = { { "@HTTPS@", environment("GCAUTH_SANDBOX_HTTPS") },
                                                       { "@CA@", environment("GCAUTH_SANDBOX_DIR") + "/ca.pem" },
                                                       { "@DIR@", environment("GCAUTH_SANDBOX_DIR") },
                                                       { "@CASES@", environment("GCAUTH_CASES") } };
    for (const auto &[name, value] : names)
        for (std::size_t at = text.find(name); at != std::string::npos; at = text.find(name, at + value.size()))
            text.replace(at, name.size(), value);
    return text;
}

static std::vector<std::string> split(const std::string &text, char separator)
{
    std::vector<std::string> parts(1);
    for (const char c : text) {
        if (c == separator)
            parts.emplace_back();
        else
            parts.back() += c;
    }
    return parts;
}

/* What a form of the members makes of a call: its result. */
struct Throwing {
    template <typename Throws, typename Tries>
    static auto call(Throws throws, Tries) -> Result<decltype(throws())>
    {
        try {
            if constexpr (std::is_void_v<decltype(throws())>) {
                throws();
                return {};
            } else {
                return throws();
            }
        } catch (const gcauth::Error &error) {
            return error;
        }
    }
};

struct Trying {
    template <typename Throws, typename Tries>
    static auto call(Throws, Tries tries)
    {
        return tries();
    }
};

/* Runs the calls of the cases. */
template <typename Form>
class Runner {
public:
    void begin()
    {
        session_.reset();
        bearer_.clear();
        control("POST", "reset");
        control("DELETE", "faults");
    }

    /* The value of a call, empty where it has none. */
    Result<std::string> run(const std::string &call, const std::string &text, const Arguments &given)
    {
        const auto argument = [&](std::size_t number) {
            return number < given.size() && given[number] ? gcauth::Text(*given[number]) : gcauth::Text();
        };
        if (call == "new") {
            config_ = given.at(0).value();
            return kept(Form::call([&] { return Session(config_, argument(1), argument(2)); },
                                   [&] { return Session::try_new(config_, argument(1), argument(2)); }));
        }
        if (call == "sandbox") {
            const std::size_t space = text.find(' ');
            control("POST", text.substr(0, space), text.substr(space + 1));
            return std::string();
        }
        if (call == "counter")
            return counter(text);

        Session &session = session_.value();
        if (call == "login") {
            return nothing(Form::call([&] { session.login(argument(0), argument(1), argument(2), argument(3)); },
                                      [&] {
                                          return session.try_login(argument(0), argument(1), argument(2), argument(3));
                                      }));
        }
        if (call == "refresh")
            return nothing(Form::call([&] { session.refresh(argument(0)); },
                                      [&] { return session.try_refresh(argument(0)); }));
        if (call == "report-rejected")
            return nothing(Form::call([&] { session.report_rejected(bearer_); },
                                      [&] { return session.try_report_rejected(bearer_); }));
        if (call == "logout")
            return nothing(Form::call([&] { session.logout(); }, [&] { return session.try_logout(); }));
        if (call == "bearer") {
            auto bearer = Form::call([&] { return session.bearer(); }, [&] { return session.try_bearer(); });
            if (!bearer)
                return bearer;
            const bool is_same = *bearer == bearer_;
            bearer_ = *bearer;
            return std::string(is_same ? "same" : "new");
        }
        if (call == "env")
            return Form::call([&] { return session.env(); }, [&] { return session.try_env(); });
        if (call == "token-type")
            return Form::call([&] { return session.token_type(); }, [&] { return session.try_token_type(); });
        if (call == "project-id") {
            auto number = Form::call([&] { return session.project_id(); }, [&] { return session.try_project_id(); });
            if (!number)
                return number.error();
            return std::to_string(*number);
        }
        if (call == "decode-jwt") {
            const std::string key = file_text(given.at(0).value());
            return Form::call([&] { return session.decode_jwt(key); }, [&] { return session.try_decode_jwt(key); });
        }
        if (call == "export and go on") {
            const std::string json = session.to_json();
            return kept(Form::call([&] { return Session::from_json(json, config_); },
                                   [&] { return Session::try_from_json(json, config_); }));
        }
        throw std::runtime_error("the table has the call " + call + ", which is not known here");
    }

private:
    static Result<std::string> nothing(const Result<void> &result)
    {
        if (!result)
            return result.error();
        return std::string();
    }

    Result<std::string> kept(Result<Session> made)
    {
        if (!made)
            return made.error();
        session_ = std::move(*made);
        return std::string();
    }

    std::optional<Session> session_;
    std::string config_;
    std::string bearer_;
};

/* What is not as the table has it. */
static std::string difference(const Result<std::string> &result, const std::vector<std::string> &columns)
{
    const gcauth::Status status = result ? gcauth::Status::ok : result.error().status();
    std::ostringstream said;
    if (to_string(status) != "GC_AUTH_" + columns[3])
        said << to_string(status) << (result ? "" : result.error().what()) << ", not " << columns[3];
    if (!result && columns[4] != "-" && std::to_string(result.error().http_status()) != columns[4])
        said << " HTTP " << result.error().http_status() << ", not " << columns[4];
    if (!result && columns[5] != "-" && result.error().is_retryable() != (columns[5] == "1"))
        said << " retryable is not " << columns[5];
    if (result && columns[6] != "-" && *result != columns[6])
        said << " gives " << *result << ", not " << columns[6];
    return said.str();
}

template <typename Form>
static void run_table(const char *form)
{
    Runner<Form> runner;
    std::istringstream table(file_text(environment("GCAUTH_CASES") + "/cases.tsv"));
    std::string name;
    int rows = 0;
    for (std::string line; std::getline(table, line);) {
        if (line.empty() || line[0] == '#')
            continue;
        const std::vector<std::string> columns = split(line, '\t');
        if (columns.size() != 7)
            throw std::runtime_error("not seven columns: " + line);
        if (columns[0] != name) {
            name = columns[0];
            runner.begin();
        }
        const std::string text = replaced(columns[2]);
        Arguments arguments;
        for (const std::string &part : split(text, '|'))
            arguments.push_back(part == "-" ? std::optional<std::string>() : part);
        const std::string wrong = difference(runner.run(columns[1], text, arguments), columns);
        if (!wrong.empty()) {
            std::cerr << form << ", " << name << ", " << columns[1] << ": " << wrong << '\n';
            failed++;
        }
        rows++;
    }
    if (rows == 0)
        throw std::runtime_error("the table is empty");
    std::cout << form << ": " << rows << " rows\n";
}

int main()
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
    run_table<Throwing>("with exceptions");
    run_table<Trying>("with results");
    curl_global_cleanup();
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
