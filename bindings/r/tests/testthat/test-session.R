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
