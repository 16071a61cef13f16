test_that("a config may be a list", {
    config <- list(env = "lab", environments = list(lab = list(host = "https://lab.example")), ca_file = NULL)
    session <- gc_session(config)
    expect_identical(gc_env(session), "lab")
    expect_identical(gc_host(session), "https://lab.example")
    expect_identical(gc_host(gc_session(list(), env = "dev")), gc_host(gc_session("{}", env = "dev")))
    expect_error(gc_session(list(retrys = 3)), "retries", class = "gcauth_config")
})

test_that("numbers keep their digits", {
    payload <- "{\"project_id\":9007199254740993,\"small\":11,\"aud\":[\"a\",\"b\"]}"
    session <- gc_session("{}", token = token_of(payload))
    expect_identical(gc_project_id(session), "9007199254740993")
    expect_identical(gc_claims(session), list(project_id = "9007199254740993", small = 11L, aud = c("a", "b")))
    expect_identical(gc_claims(session, "json"), payload)
    expect_identical(gc_decode_jwt(session), gc_claims(session))
})

test_that("a token without an end has none", {
    bearer <- gc_bearer(gc_session("{}", token = token_of("{}")))
    expect_true(is.na(attr(bearer, "expires_at")))
    expect_no_match(format(bearer), "expires")
})

test_that("the functions that go on give the session, unseen", {
    skip_without_sandbox()
    reset_sandbox()
    session <- gc_session()
    expect_invisible(gc_login(session, "ada", "analytical-engines", "exomes", password))
    expect_identical(gc_refresh(session, "genomes"), session)
    expect_invisible(gc_refresh(session))
    expect_identical(gc_claims(session)$project, "genomes")
    expect_identical(gc_report_rejected(session, "other"), session)
    expect_identical(gc_logout(session), session)
    expect_error(gc_token(session), class = "gcauth_no_token")
    expect_error(gc_refresh_token(session), class = "gcauth_no_refresh_token")
})

test_that("tokens are verified with the keys of the config", {
    skip_without_sandbox()
    keys <- paste0(Sys.getenv("GCAUTH_SANDBOX_HTTPS"), "/.well-known/jwks.json")
    session <- ada(config_with(jwks_url = keys))
    expect_identical(gc_verify(session)$sub, "ada")
    expect_identical(gc_verify(session, "json"), gc_claims(session, "json"))
    forged <- gc_session(config_with(jwks_url = keys), token = token_of("{}"))
    expect_error(gc_verify(forged), class = "gcauth_error")
    expect_error(gc_verify(ada()), class = "gcauth_config")
})

test_that("a session goes on elsewhere by way of JSON, and only so", {
    skip_without_sandbox()
    session <- ada()
    expect_identical(as.character(gc_bearer(gc_from_json(gc_as_json(session)))), as.character(gc_bearer(session)))
    copy <- unserialize(serialize(session, NULL))
    expect_error(gc_bearer(copy), "gc_as_json", class = "gcauth_invalid_argument")
    expect_match(format(copy), "another R process")
    other <- list(environments = list(sandbox = list(host = "https://elsewhere.example")), env = "sandbox")
    expect_error(gc_from_json(gc_as_json(session), other), class = "gcauth_config")
})

test_that("sessions come and go with R's own memory", {
    skip_without_sandbox()
    for (i in 1:200) session <- gc_session(token = "abc", refresh_token = "def")
    rm(session)
    expect_no_error(gc())
    session <- ada()
    expect_no_error(gc())
    expect_match(as.character(gc_bearer(session)), "^Bearer ")
})

test_that("the session says how it is shared", {
    skip_without_sandbox()
    info <- gc_session_info(ada(project = "exomes"))
    expect_identical(info[c("store", "scope", "renewed_by_pid")],
                     list(store = "memory", scope = "exomes", renewed_by_pid = Sys.getpid()))
})

test_that("the library tells its version", {
    expect_match(gc_version(), "^[0-9]+\\.[0-9]+\\.[0-9]+$")
})

test_that("a config may stand in a file", {
    file <- tempfile(fileext = ".json")
    on.exit(unlink(file))
    writeLines('{"env":"lab","environments":{"lab":{"host":"https://lab.example/\u00e9"}}}', file, useBytes = TRUE)
    expect_identical(gc_env(gc_session(file = file)), "lab")
    json <- gc_as_json(gc_session(file = file, token = "abc"))
    expect_identical(as.character(gc_token(gc_from_json(json, file = file))), "abc")
    nowhere <- file.path(tempdir(), "nowhere.json")
    expect_error(gc_session(file = nowhere), nowhere, fixed = TRUE, class = "gcauth_config")
    expect_error(gc_session(file = tempdir()), "is a directory", class = "gcauth_config")
    expect_error(gc_session("{}", file = file), "both", class = "gcauth_invalid_argument")
    expect_error(gc_session(file = c("a", "b")), "one file", class = "gcauth_invalid_argument")
})

test_that("a printed session says who, and until when", {
    dev <- function(...) format(gc_session("{}", env = "dev", ...))
    start <- "<gcauth session: dev, https://auth-apidev.genomcore.net/api/v1, "
    expect_identical(dev(), paste0(start, "not logged in>"))
    expect_identical(dev(token = "opaque"), paste0(start, "user unknown>"))
    expect_identical(dev(refresh_token = "refresh"), paste0(start, "user unknown>"))
    payload <- "{\"o\":{\"sub\":\"inner\"},\"sub\":\"ada\\u0007\",\"exp\":4102444800}"
    expect_identical(dev(token = token_of(payload)), paste0(start, "ada\\a, until 2100-01-01 00:00:00 UTC>"))
    payload <- "{\"email\":\"ada@lab.example\",\"sub\":7,\"exp\":951827696}"
    expect_identical(dev(token = token_of(payload)), paste0(start, "7, until 2000-02-29 12:34:56 UTC>"))
    expect_match(format(gc_session(list(store = "file:/nowhere/at/all"))), "GC_AUTH_ERR_STORE>")
    skip_without_sandbox()
    session <- ada()
    until <- format(gc_expires_at(session), "%Y-%m-%d %H:%M:%S UTC", tz = "UTC")
    expect_match(format(session), paste0(", ada, until ", until, ">"), fixed = TRUE)
    expect_output(print(session), until, fixed = TRUE)
    expect_output(str(session), "gcauth session: sandbox, https://[^,]*>")
})

test_that("times are POSIXct", {
    skip_without_sandbox()
    session <- ada()
    expect_s3_class(gc_expires_at(session), "POSIXct")
    expect_identical(gc_expires_at(session), attr(gc_bearer(session), "expires_at"))
    expect_s3_class(gc_session_info(session)$renewed_at, "POSIXct")
    expect_lt(abs(as.numeric(gc_session_info(session)$renewed_at) - as.numeric(Sys.time())), 3600)
    expect_identical(gcauth:::with_times(list(at = 1, lock = "at", last_failure = list(at = 2, status = "s"), flat = 3)),
                     list(at = .POSIXct(1), lock = "at", last_failure = list(at = .POSIXct(2), status = "s"), flat = 3))
    expect_true(is.na(gc_expires_at(gc_session("{}", token = "opaque"))))
})

test_that("a bearer is good for as long as is asked, and goes to files", {
    skip_without_sandbox()
    session <- ada()
    bearer <- gc_bearer(session)
    expect_identical(gc_bearer_valid_for(session, 60), bearer)
    expect_identical(gc_bearer_valid_for(session, as.difftime(1, units = "mins")), bearer)
    expect_s3_class(attr(gc_bearer_valid_for(session, 1e300), "expires_at"), "POSIXct")
    expect_error(gc_bearer_valid_for(session, -1), class = "gcauth_invalid_argument")
    expect_error(gc_bearer_valid_for(session, "1"), "seconds", class = "gcauth_invalid_argument")
    directory <- tempfile()
    dir.create(directory, mode = "0700")
    on.exit(unlink(directory, recursive = TRUE))
    path <- file.path(directory, "token")
    expect_invisible(gc_write_token_file(session, path, "wlcg"))
    expect_identical(readLines(path, warn = FALSE), as.character(gc_token(session)))
    expect_identical(format(file.info(path)$mode), "600")
    expect_error(gc_write_token_file(session, path, "other"), class = "gcauth_invalid_argument")
    expect_error(gc_write_token_file(session, path), "format", class = "gcauth_invalid_argument")
})
