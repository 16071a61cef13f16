/**
 * libgcauth for C++17: log in to Genomcore and hand out bearer tokens.
 *
 *     #include <gcauth.hpp>
 *
 *     gcauth::Session session;                                  // what went wrong is thrown, as a gcauth::Error
 *     session.login("ada", password, "my-organization");
 *     std::string header = "Authorization: " + session.bearer(); // before each request
 *
 * Every member that can fail comes in two forms: f() throws, try_f() returns a gcauth::Result, which holds the value or
 * the error. Both do what the C function of the same name does, and gcauth.h is the manual for it: statuses, renewal,
 * stores, forks. Here stands only what is different.
 *
 * Text in is a string, a string_view or a literal, or nullptr or {} where it may be absent. A NUL inside it is refused.
 * Text out is a std::string of the right size. Copies of secrets in strings are the caller's, and nobody wipes them.
 *
 * Threads: any thread may call any member of one session at any time, except moving, assigning and destroying it.
 *
 * Header-only; link with -lgcauth. Without exceptions (-fno-exceptions) use the try_ members; what would throw ends the
 * process. SPDX-License-Identifier: MIT
 */
#ifndef GCAUTH_HPP
#define GCAUTH_HPP

#if !defined(__cplusplus)
#error "gcauth.hpp is for C++17 or later: a C program includes gcauth.h"
#elif __cplusplus < 201703L && (!defined(_MSVC_LANG) || _MSVC_LANG < 201703L)
#error "gcauth.hpp needs C++17 or later: compile with -std=c++17"
#else

#include <gcauth.h>

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <iosfwd>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

namespace gcauth {

/** The statuses of gcauth.h. A later library may give others: treat an unknown one as a failure. */
enum class Status : gc_auth_status_t {
    ok = GC_AUTH_OK,
    invalid_argument = GC_AUTH_ERR_INVALID_ARGUMENT,
    invalid_utf8 = GC_AUTH_ERR_INVALID_UTF8,
    buffer_too_small = GC_AUTH_ERR_BUFFER_TOO_SMALL,
    config = GC_AUTH_ERR_CONFIG,
    forked = GC_AUTH_ERR_FORKED,
    no_token = GC_AUTH_ERR_NO_TOKEN,
    no_refresh_token = GC_AUTH_ERR_NO_REFRESH_TOKEN,
    token_expired = GC_AUTH_ERR_TOKEN_EXPIRED,
    token_malformed = GC_AUTH_ERR_TOKEN_MALFORMED,
    claims_malformed = GC_AUTH_ERR_CLAIMS_MALFORMED,
    claim_missing = GC_AUTH_ERR_CLAIM_MISSING,
    signature_invalid = GC_AUTH_ERR_SIGNATURE_INVALID,
    algorithm_refused = GC_AUTH_ERR_ALGORITHM_REFUSED,
    key_invalid = GC_AUTH_ERR_KEY_INVALID,
    token_not_yet_valid = GC_AUTH_ERR_TOKEN_NOT_YET_VALID,
    unauthorized = GC_AUTH_ERR_UNAUTHORIZED,
    connect = GC_AUTH_ERR_CONNECT,
    timeout = GC_AUTH_ERR_TIMEOUT,
    tls = GC_AUTH_ERR_TLS,
    insecure = GC_AUTH_ERR_INSECURE,
    http = GC_AUTH_ERR_HTTP,
    rate_limited = GC_AUTH_ERR_RATE_LIMITED,
    server = GC_AUTH_ERR_SERVER,
    protocol = GC_AUTH_ERR_PROTOCOL,
    store = GC_AUTH_ERR_STORE,
    lock_timeout = GC_AUTH_ERR_LOCK_TIMEOUT,
    no_memory = GC_AUTH_ERR_NO_MEMORY,
    internal = GC_AUTH_ERR_INTERNAL,
};

/** The name in gcauth.h, for example "GC_AUTH_ERR_TIMEOUT". */
inline const char *to_string(Status status) noexcept
{
    return gc_auth_status_name(static_cast<gc_auth_status_t>(status));
}

/** The version of the library, for example "0.1.0". */
inline const char *version_string() noexcept
{
    return gc_auth_version_string();
}

/** The version of the library as a number, to be compared with GC_AUTH_VERSION_NUMBER. */
inline std::uint32_t version_number() noexcept
{
    return gc_auth_version_number();
}

/** How much a line of the log matters. */
enum class LogLevel : std::int32_t { error = 1, warning = 2, information = 3, debug = 4 };

/** Takes a line of the log. What it throws is lost. See gc_auth_log_fn. */
using Log = std::function<void(LogLevel level, std::string_view line)>;

/** When a token expires, to the second; nothing when the token does not say. */
using Expiry = std::optional<std::chrono::time_point<std::chrono::system_clock, std::chrono::seconds>>;

/** What went wrong: all that the library knew about it when the call failed. what() is its message, for people. */
class Error : public std::runtime_error {
public:
    Error(Status status, const std::string &message) : std::runtime_error(message), status_(status) {}

    /** What this thread's last call, which failed, left behind: also after calls of gcauth.h itself. */
    static Error last()
    {
        Error error(static_cast<Status>(gc_auth_last_error_status()), gc_auth_last_error_message());
        error.http_status_ = gc_auth_last_error_http_status();
        error.retry_after_ms_ = gc_auth_last_error_retry_after_ms();
        error.is_retryable_ = gc_auth_last_error_is_retryable() != 0;
        return error;
    }

    Status status() const noexcept { return status_; }

    /** The HTTP status of the response, 0 when none arrived. */
    int http_status() const noexcept { return http_status_; }

    /** Whether the same call may succeed later without a change on this side. */
    bool is_retryable() const noexcept { return is_retryable_; }

    /** How long the server asks to wait, if it does. */
    std::optional<std::chrono::milliseconds> retry_after() const noexcept
    {
        if (retry_after_ms_ < 0)
            return std::nullopt;
        return std::chrono::milliseconds(retry_after_ms_);
    }

private:
    Status status_;
    bool is_retryable_ = false;
    std::int32_t http_status_ = 0;
    std::int64_t retry_after_ms_ = -1;
};

namespace detail {

[[noreturn]] inline void raise(Error error)
{
#if defined(__cpp_exceptions)
    throw error;
#else
    static_cast<void>(error);
    std::abort();
#endif
}

} // namespace detail

/** A value or an error, in the manner of C++23's std::expected. value() throws the error if that is what it holds. */
template <typename T>
class [[nodiscard]] Result {
public:
    using value_type = T;
    using error_type = Error;

    Result(T value) : held_(std::in_place_index<0>, std::move(value)) {}
    Result(Error error) : held_(std::in_place_index<1>, std::move(error)) {}

    bool has_value() const noexcept { return held_.index() == 0; }
    explicit operator bool() const noexcept { return has_value(); }

    T &value() &
    {
        check();
        return **this;
    }
    const T &value() const &
    {
        check();
        return **this;
    }
    T &&value() &&
    {
        check();
        return std::move(**this);
    }
    template <typename Other>
    T value_or(Other &&other) const &
    {
        return has_value() ? **this : static_cast<T>(std::forward<Other>(other));
    }
    template <typename Other>
    T value_or(Other &&other) &&
    {
        return has_value() ? std::move(**this) : static_cast<T>(std::forward<Other>(other));
    }

    /** Only where there is a value. */
    T &operator*() & noexcept { return *std::get_if<0>(&held_); }
    const T &operator*() const & noexcept { return *std::get_if<0>(&held_); }
    T &&operator*() && noexcept { return std::move(*std::get_if<0>(&held_)); }
    T *operator->() noexcept { return std::get_if<0>(&held_); }
    const T *operator->() const noexcept { return std::get_if<0>(&held_); }

    /** Only where there is an error. */
    const Error &error() const & noexcept { return *std::get_if<1>(&held_); }
    Error &&error() && noexcept { return std::move(*std::get_if<1>(&held_)); }

private:
    void check() const
    {
        if (!has_value())
            detail::raise(error());
    }

    std::variant<T, Error> held_;
};

/** A success or an error. */
template <>
class [[nodiscard]] Result<void> {
public:
    using value_type = void;
    using error_type = Error;

    Result() = default;
    Result(Error error) : error_(std::move(error)) {}

    bool has_value() const noexcept { return !error_.has_value(); }
    explicit operator bool() const noexcept { return has_value(); }
    void value() const
    {
        if (error_)
            detail::raise(*error_);
    }

    /** Only where there is an error. */
    const Error &error() const & noexcept { return *error_; }
    Error &&error() && noexcept { return std::move(*error_); }

private:
    std::optional<Error> error_;
};

namespace detail {

/* A copy of text that may be a secret: wiped when nobody has it any more. */
class WipedCopy {
public:
    explicit WipedCopy(std::string_view text) : text_(text) {}
    WipedCopy(const WipedCopy &) = delete;
    WipedCopy &operator=(const WipedCopy &) = delete;
    ~WipedCopy()
    {
        volatile char *byte = text_.data(); // so that it is not optimised away
        for (std::size_t left = text_.size(); left > 0; left--)
            *byte++ = '\0';
    }
    const char *c_str() const noexcept { return text_.c_str(); }

private:
    std::string text_;
};

/* The value of a member of a JSON object without white space between its parts, as it is written there; a string without
 * its quotes. Nothing where it is absent, null, an array or an object. */
inline std::optional<std::string_view> json_member(std::string_view object, std::string_view name)
{
    const auto string_end = [object](std::size_t at) {
        while (at < object.size() && object[at] != '"')
            at += object[at] == '\\' ? 2 : 1;
        return at < object.size() ? at : object.size();
    };
    int depth = 0;
    for (std::size_t at = 0; at < object.size(); at++) {
        if (object[at] == '{' || object[at] == '[')
            depth++;
        if (object[at] == '}' || object[at] == ']')
            depth--;
        if (object[at] != '"')
            continue;
        const std::size_t begin = at + 1;
        at = string_end(begin);
        if (depth != 1 || object.substr(begin, at - begin) != name || object.substr(at, 2) != "\":")
            continue;
        const std::size_t value = at + 2;
        if (value < object.size() && object[value] == '"')
            return object.substr(value + 1, string_end(value + 1) - value - 1);
        const std::string_view scalar = object.substr(value, object.find_first_of(",}", value) - value);
        if (scalar.empty() || scalar == "null" || scalar.front() == '{' || scalar.front() == '[')
            return std::nullopt;
        return scalar;
    }
    return std::nullopt;
}

/* A whole number that is a time in seconds, and not one in milliseconds. */
inline std::optional<std::int64_t> seconds_of(std::optional<std::string_view> digits)
{
    std::int64_t seconds = 0;
    if (!digits || digits->empty() || digits->size() > 11)
        return std::nullopt;
    for (const char digit : *digits) {
        if (digit < '0' || digit > '9')
            return std::nullopt;
        seconds = seconds * 10 + (digit - '0');
    }
    return seconds;
}

/* "2026-11-24 21:17:57 UTC", by the calendar's own arithmetic: the C library's would need a lock or an extension. */
inline std::string utc_text(std::int64_t seconds)
{
    const std::int64_t days = seconds / 86400;
    const std::int64_t of_day = seconds % 86400;
    // Years that begin in March, in eras of 400 years, from 0000-03-01.
    const std::int64_t shifted = days + 719468;
    const std::int64_t era = shifted / 146097;
    const std::int64_t day_of_era = shifted % 146097;
    const std::int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    const std::int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    const std::int64_t month = (5 * day_of_year + 2) / 153;
    const auto two = [](std::int64_t number) {
        return std::string(number < 10 ? "0" : "") + std::to_string(number);
    };
    return std::to_string(year_of_era + era * 400 + (month >= 10 ? 1 : 0)) + "-" + two(month < 10 ? month + 3 : month - 9) +
           "-" + two(day_of_year - (153 * month + 2) / 5 + 1) + " " + two(of_day / 3600) + ":" +
           two(of_day / 60 % 60) + ":" + two(of_day % 60) + " UTC";
}

} // namespace detail

/** Text for the library: a string, a string_view or a literal; nullptr and {} are absent, and so is a string_view of
 *  nothing. It refers to what it was made of, but for a string_view, which has no NUL at its end: of that it keeps a copy,
 *  and wipes it. */
class Text {
public:
    Text() noexcept = default;
    Text(std::nullptr_t) noexcept {}
    Text(const char *text) noexcept : text_(text) {}
    Text(const std::string &text) noexcept : text_(text.c_str()), is_cut_(text.find('\0') != std::string::npos) {}
    Text(std::string_view text)
    {
        if (text.data() == nullptr)
            return;
        copy_ = std::make_shared<detail::WipedCopy>(text);
        text_ = copy_->c_str();
        is_cut_ = text.find('\0') != std::string_view::npos;
    }

    const char *c_str() const noexcept { return text_; }

    /** Whether a NUL inside would cut it short on its way to the library. */
    bool is_cut() const noexcept { return is_cut_; }

private:
    const char *text_ = nullptr;
    bool is_cut_ = false;
    std::shared_ptr<const detail::WipedCopy> copy_;
};

/** A session, see gc_auth_new(). It can be moved, not copied; after that it gives Status::invalid_argument. */
class Session {
public:
    /** Touches neither network nor session store. */
    explicit Session(Text config = {}, Text token = {}, Text refresh_token = {}, Text env = {})
        : Session(try_new(config, token, refresh_token, env).value())
    {
    }
    static Result<Session> try_new(Text config = {}, Text token = {}, Text refresh_token = {}, Text env = {})
    {
        gc_auth_t *handle = nullptr;
        return made(handle, refuse_cut(config, token, refresh_token, env), [&] {
            return gc_auth_new(config.c_str(), token.c_str(), refresh_token.c_str(), env.c_str(), &handle);
        });
    }

    /** Takes over a handle that gcauth.h gave. */
    static Session adopt(gc_auth_t *handle) noexcept { return Session(Handle(handle)); }

    /** From what to_json() gave, see gc_auth_from_json(). */
    static Session from_json(Text json, Text config = {}) { return try_from_json(json, config).value(); }
    static Result<Session> try_from_json(Text json, Text config = {})
    {
        gc_auth_t *handle = nullptr;
        return made(handle, refuse_cut(json, config),
                    [&] { return gc_auth_from_json(config.c_str(), json.c_str(), &handle); });
    }

    /** See gc_auth_login(). */
    void login(Text username, Text password, Text organization_id, Text project_id = {})
    {
        try_login(username, password, organization_id, project_id).value();
    }
    Result<void> try_login(Text username, Text password, Text organization_id, Text project_id = {})
    {
        return done(refuse_cut(username, password, organization_id, project_id), [&] {
            return gc_auth_login(get(), username.c_str(), password.c_str(), organization_id.c_str(),
                                 project_id.c_str());
        });
    }

    /** See gc_auth_refresh(). */
    void refresh(Text project_id = {}) { try_refresh(project_id).value(); }
    Result<void> try_refresh(Text project_id = {})
    {
        return done(refuse_cut(project_id), [&] { return gc_auth_refresh(get(), project_id.c_str()); });
    }

    /** See gc_auth_report_rejected(). */
    void report_rejected(Text bearer) { try_report_rejected(bearer).value(); }
    Result<void> try_report_rejected(Text bearer)
    {
        return done(refuse_cut(bearer), [&] { return gc_auth_report_rejected(get(), bearer.c_str()); });
    }

    /** See gc_auth_logout(). */
    void logout() { try_logout().value(); }
    Result<void> try_logout()
    {
        return done(std::nullopt, [&] { return gc_auth_logout(get()); });
    }

    /** `Bearer <token>`, renewed if it is time to. Call it before each request, see gc_auth_bearer(). */
    std::string bearer() const { return try_bearer().value(); }
    Result<std::string> try_bearer() const
    {
        return text([&](char *buf, std::size_t size, std::size_t *out) {
            return gc_auth_bearer(get(), buf, size, out, nullptr);
        });
    }

    /**
     * The same into a string of the caller's: one that held the last bearer has the room already, and then the call
     * costs little more than gc_auth_bearer(). Tells when exactly this token expires. On failure `out` is empty.
     */
    Expiry bearer_into(std::string &out) const
    {
        std::int64_t expires_at = 0;
        const gc_auth_status_t status = bearer_status(out, expires_at);
        if (status != GC_AUTH_OK)
            detail::raise(Error::last());
        return expiry(expires_at);
    }
    Result<Expiry> try_bearer_into(std::string &out) const
    {
        std::int64_t expires_at = 0;
        const gc_auth_status_t status = bearer_status(out, expires_at);
        if (status != GC_AUTH_OK)
            return Error::last();
        return expiry(expires_at);
    }

    /** The token to send, good for at least `min_valid` where the server's tokens live that long, see
     *  gc_auth_bearer_valid_for(). */
    std::string bearer_valid_for(std::chrono::seconds min_valid) const { return try_bearer_valid_for(min_valid).value(); }
    Result<std::string> try_bearer_valid_for(std::chrono::seconds min_valid) const
    {
        return text([&](char *buf, std::size_t size, std::size_t *out) {
            return gc_auth_bearer_valid_for(get(), min_valid.count(), buf, size, out, nullptr);
        });
    }

    /** Writes the token to a file for other people's tools; `format` is htslib, wlcg or curl. See
     *  gc_auth_write_token_file(). */
    void write_token_file(Text path, Text format) const { try_write_token_file(path, format).value(); }
    Result<void> try_write_token_file(Text path, Text format) const
    {
        return done(refuse_cut(path, format),
                    [&] { return gc_auth_write_token_file(get(), path.c_str(), format.c_str()); });
    }

    /** See gc_auth_token(). */
    std::string token() const { return try_token().value(); }
    Result<std::string> try_token() const { return text_of(gc_auth_token); }

    /** See gc_auth_refresh_token(). */
    std::string refresh_token() const { return try_refresh_token().value(); }
    Result<std::string> try_refresh_token() const { return text_of(gc_auth_refresh_token); }

    /** See gc_auth_token_type(). */
    std::string token_type() const { return try_token_type().value(); }
    Result<std::string> try_token_type() const { return text_of(gc_auth_token_type); }

    /** See gc_auth_env(). */
    std::string env() const { return try_env().value(); }
    Result<std::string> try_env() const { return text_of(gc_auth_env); }

    /** See gc_auth_host(). */
    std::string host() const { return try_host().value(); }
    Result<std::string> try_host() const { return text_of(gc_auth_host); }

    /** The payload, JSON, not verified. See gc_auth_decoded_token(). */
    std::string decoded_token() const { return try_decoded_token().value(); }
    Result<std::string> try_decoded_token() const { return text_of(gc_auth_decoded_token); }

    /** The payload, JSON, if the token verifies with this key, see gc_auth_decode_jwt(). A key has to be there; without
     *  verification there is decoded_token(). */
    std::string decode_jwt(Text public_key) const { return try_decode_jwt(public_key).value(); }
    Result<std::string> try_decode_jwt(Text public_key) const
    {
        if (auto error = refuse_cut(public_key))
            return *std::move(error);
        if (public_key.c_str() == nullptr || *public_key.c_str() == '\0')
            return Error(Status::invalid_argument, "public_key is empty; decoded_token() verifies nothing");
        return text([&](char *buf, std::size_t size, std::size_t *out) {
            return gc_auth_decode_jwt(get(), public_key.c_str(), buf, size, out);
        });
    }

    /** The payload, JSON, if the token verifies with the config's key. See gc_auth_verify(). */
    std::string verify() const { return try_verify().value(); }
    Result<std::string> try_verify() const { return text_of(gc_auth_verify); }

    /** The number of the token's project, see gc_auth_project_id(). */
    std::int64_t project_id() const { return try_project_id().value(); }
    Result<std::int64_t> try_project_id() const
    {
        std::int64_t number = 0;
        const gc_auth_status_t status = gc_auth_project_id(get(), &number);
        if (status != GC_AUTH_OK)
            return Error::last();
        return number;
    }

    /** The session with both tokens, for from_json(): keep it secret. See gc_auth_to_json(). */
    std::string to_json() const { return try_to_json().value(); }
    Result<std::string> try_to_json() const { return text_of(gc_auth_to_json); }

    /** How the session is shared, JSON, see gc_auth_session_info(). */
    std::string session_info() const { return try_session_info().value(); }
    Result<std::string> try_session_info() const { return text_of(gc_auth_session_info); }

    /** For people: environment and host, who is logged in, and until when the token is good, as far as that is known. No
     *  secret in it. Renews nothing; a shared store is read if that has not been done yet. */
    std::string describe() const
    {
        const auto environment = try_env();
        if (!environment)
            return "no session";
        std::string said = *environment + ", " + try_host().value_or(std::string("?")) + ", ";
        const auto info = try_session_info();
        if (!info)
            return said + to_string(info.error().status());
        if (!is_there(gc_auth_token) && !is_there(gc_auth_refresh_token))
            return said + "not logged in";
        const std::string payload = try_decoded_token().value_or(std::string());
        std::optional<std::string_view> who;
        for (const char *claim : {"preferred_username", "username", "sub", "email"})
            if (!who)
                who = detail::json_member(payload, claim);
        said += who ? std::string(*who) : "user unknown";
        auto until = detail::seconds_of(detail::json_member(payload, "exp"));
        if (const auto left = detail::seconds_of(detail::json_member(*info, "expires_in")); left && !until)
            until = static_cast<std::int64_t>(std::time(nullptr)) + *left;
        return until ? said + ", until " + detail::utc_text(*until) : said;
    }

    /** Prints describe(). */
    template <typename Traits>
    friend std::basic_ostream<char, Traits> &operator<<(std::basic_ostream<char, Traits> &out, const Session &session)
    {
        return out << "gcauth::Session(" << session.describe() << ')';
    }

    /** Where lines about this session go from now on, see gc_auth_set_log(). An empty one turns the log off. For one
     *  thread at a time. */
    void set_log(Log log, LogLevel level = LogLevel::information) { try_set_log(std::move(log), level).value(); }
    Result<void> try_set_log(Log log, LogLevel level = LogLevel::information)
    {
        auto kept = log ? std::make_unique<Log>(std::move(log)) : nullptr;
        const gc_auth_status_t status =
            gc_auth_set_log(get(), kept ? &call_log : nullptr, kept.get(), static_cast<std::int32_t>(level));
        if (status != GC_AUTH_OK)
            return Error::last();
        // Nobody is in the old one any more.
        handle_.get_deleter().log = std::move(kept);
        return {};
    }

    /** The handle, for functions of gcauth.h. It stays the session's. */
    gc_auth_t *get() const noexcept { return handle_.get(); }

    /** The handle, for the caller to free. Its log is turned off. */
    gc_auth_t *release() noexcept
    {
        if (handle_.get_deleter().log)
            static_cast<void>(gc_auth_set_log(get(), nullptr, nullptr, 0));
        return handle_.release();
    }

private:
    struct Free {
        // With the handle, since freeing it may still tell something.
        std::unique_ptr<Log> log;
        void operator()(gc_auth_t *handle) const noexcept { gc_auth_free(handle); }
    };
    using Handle = std::unique_ptr<gc_auth_t, Free>;

    explicit Session(Handle handle) noexcept : handle_(std::move(handle)) {}

    static void call_log(void *log, std::int32_t level, const char *line) noexcept
    {
#ifdef __cpp_exceptions
        try {
            (*static_cast<Log *>(log))(static_cast<LogLevel>(level), line);
        } catch (...) {
        }
#else
        (*static_cast<Log *>(log))(static_cast<LogLevel>(level), line);
#endif
    }

    template <typename... Texts>
    static std::optional<Error> refuse_cut(const Texts &...texts)
    {
        if ((texts.is_cut() || ...))
            return Error(Status::invalid_argument, "a string holds a NUL, which would cut it short");
        return std::nullopt;
    }

    template <typename Call>
    static Result<void> done(std::optional<Error> refused, Call call)
    {
        if (refused)
            return *std::move(refused);
        const gc_auth_status_t status = call();
        if (status != GC_AUTH_OK)
            return Error::last();
        return {};
    }

    template <typename Call>
    static Result<Session> made(gc_auth_t *&handle, std::optional<Error> refused, Call call)
    {
        if (auto result = done(std::move(refused), call); !result)
            return std::move(result).error();
        return adopt(handle);
    }

    /* The text that is in `out` already is the room that the library gets, its NUL included: nothing is cleared or
     * copied to make room, except where it grows. A loop, since the text may be longer again at the next call. */
    template <typename Getter>
    static gc_auth_status_t text_status(std::string &out, const Getter &getter)
    {
        for (;;) {
            std::size_t size = 0;
            const gc_auth_status_t status = getter(out.data(), out.size() + 1, &size);
            if (status == GC_AUTH_OK) {
                if (size - 1 != out.size()) // a call that is not inlined
                    out.resize(size - 1);
                return status;
            }
            if (status != GC_AUTH_ERR_BUFFER_TOO_SMALL) {
                out.clear();
                return status;
            }
            out.resize(size - 1);
        }
    }

    template <typename Getter>
    static Result<std::string> text(const Getter &getter)
    {
        std::string out;
        const gc_auth_status_t status = text_status(out, getter);
        if (status != GC_AUTH_OK)
            return Error::last();
        return out;
    }

    Result<std::string> text_of(gc_auth_status_t (*getter)(gc_auth_t *, char *, std::size_t, std::size_t *)) const
    {
        return text([&](char *buf, std::size_t size, std::size_t *out) { return getter(get(), buf, size, out); });
    }

    /* Whether there is such a text, which is not fetched. */
    bool is_there(gc_auth_status_t (*getter)(gc_auth_t *, char *, std::size_t, std::size_t *)) const
    {
        std::size_t size = 0;
        return getter(get(), nullptr, 0, &size) == GC_AUTH_ERR_BUFFER_TOO_SMALL;
    }

    gc_auth_status_t bearer_status(std::string &out, std::int64_t &expires_at) const
    {
        return text_status(out, [&](char *buf, std::size_t size, std::size_t *needed) {
            return gc_auth_bearer(get(), buf, size, needed, &expires_at);
        });
    }

    static Expiry expiry(std::int64_t seconds)
    {
        if (seconds == 0)
            return std::nullopt;
        return Expiry::value_type(std::chrono::seconds(seconds));
    }

    Handle handle_;
};

static_assert(std::is_nothrow_move_constructible_v<Session> && std::is_nothrow_move_assignable_v<Session>);
static_assert(!std::is_copy_constructible_v<Session> && !std::is_copy_assignable_v<Session>);

} // namespace gcauth

#endif // C++17

#endif
