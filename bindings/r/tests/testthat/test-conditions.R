test_that("arguments that can't be used are conditions as well", {
    session <- gc_session("{}")
    expect_error(gc_bearer(NULL), "not a session", class = "gcauth_invalid_argument")
    expect_error(gc_bearer(structure(list(), class = "gcauth_session")), class = "gcauth_invalid_argument")
    expect_error(gc_session(env = 1), "env: not one string or NULL", class = "gcauth_invalid_argument")
    expect_error(gc_session(env = c("a", "b")), class = "gcauth_invalid_argument")
    expect_error(gc_session(env = NA_character_), class = "gcauth_invalid_argument")
    expect_error(gc_login(session, NULL, "o", password = "p"), "username", class = "gcauth_invalid_argument")
    expect_error(gc_login(session, "u", "o", password = 1), "password", class = "gcauth_invalid_argument")
    expect_error(gc_login(session, "u", "o", password = function() NULL), class = "gcauth_invalid_argument")
    expect_error(gc_send(session, "bearer"), "send", class = "gcauth_invalid_argument")
    condition <- tryCatch(gc_bearer(NULL), gcauth_error = identity)
    expect_identical(condition$name, "GC_AUTH_ERR_INVALID_ARGUMENT")
    expect_null(conditionCall(condition))
    expect_identical(condition$http_status, NA_integer_)
    expect_identical(condition$retry_after, NA_real_)
})

test_that("without a terminal a password is asked of nobody", {
    skip_if(interactive())
    expect_error(gc_login(gc_session("{}"), "ada", "o"), "nobody to ask", class = "gcauth_invalid_argument")
})

test_that("askpass gives the password when somebody is there", {
    asked <- NULL
    old <- options(askpass = function(prompt) {
        asked <<- prompt
        "lovelace"
    })
    on.exit(options(old))
    expect_identical(gcauth:::password_text(NULL, "ada", ask = TRUE), "lovelace")
    expect_identical(asked, "Password of ada: ")
    options(askpass = function(prompt) NULL)
    expect_error(gcauth:::password_text(NULL, "ada", ask = TRUE), class = "gcauth_invalid_argument")
})

test_that("tryCatch tells them apart", {
    skip_without_sandbox()
    reset_sandbox()
    log_in <- function(session, ...) {
        tryCatch(gc_login(session, "ada", "analytical-engines", password = "babbage"),
                 gcauth_unauthorized = function(condition) "unauthorized",
                 gcauth_network = function(condition) "network",
                 gcauth_error = function(condition) "other")
    }
    nowhere <- list(environments = list(prod = list(host = "http://127.0.0.1:1")), retries = 0)
    expect_identical(log_in(gc_session()), "unauthorized")
    expect_identical(log_in(gc_session(nowhere)), "network")
    control("faults", "{\"on\":\"login\",\"do\":{\"status\":{\"code\":500}}}")
    expect_identical(log_in(gc_session()), "other")
})

test_that("what the server asks for is told in seconds", {
    skip_without_sandbox()
    reset_sandbox()
    control("faults", "{\"on\":\"login\",\"do\":{\"status\":{\"code\":429,\"headers\":{\"Retry-After\":\"3600\"}}}}")
    condition <- tryCatch(ada(), gcauth_rate_limited = identity)
    expect_s3_class(condition, "gcauth_rate_limited")
    expect_identical(condition$retry_after, 3600)
    expect_identical(condition$http_status, 429L)
    expect_true(condition$retryable)
})
