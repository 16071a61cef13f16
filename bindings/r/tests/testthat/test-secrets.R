skip_without_sandbox()

printed <- function(...) paste(utils::capture.output(...), collapse = "\n")

test_that("neither sessions nor tokens show what they hold", {
    reset_sandbox()
    session <- ada()
    bearer <- as.character(gc_bearer(session))
    token <- sub("^Bearer ", "", bearer)
    refresh_token <- as.character(gc_refresh_token(session))
    expect_gt(nchar(refresh_token), 10L)
    values <- list(session, gc_bearer(session), gc_token(session), gc_refresh_token(session), gc_as_json(session),
                   gc_header(session), gc_session_info(session))
    shown <- printed(print(values), str(values), cat(format(session)), cat(format(gc_bearer(session))), dput(session),
                     for (value in values) print(value), for (value in values) str(value))
    expect_match(shown, "gcauth session: sandbox, https://127.0.0.1", fixed = TRUE)
    expect_no_match(shown, substr(token, 1, 12), fixed = TRUE)
    expect_no_match(shown, refresh_token, fixed = TRUE)
    expect_match(shown, "expires at 20")
})

test_that("as.character() shows it", {
    session <- ada()
    bearer <- gc_bearer(session)
    expect_identical(paste0("Bearer ", gc_token(session)), as.character(bearer))
    expect_match(as.character(bearer), "^Bearer eyJ")
    expect_identical(attributes(as.character(bearer)), NULL)
    expect_gt(as.numeric(attr(bearer, "expires_at")), as.numeric(Sys.time()))
    expect_s3_class(attr(bearer, "expires_at"), "POSIXct")
})

test_that("what a request has of this package does not carry the bearer into a file", {
    session <- ada()
    request <- httr2::request(resource()) |> req_auth_gcauth(session)
    httr2::req_perform(request)
    bytes <- serialize(request$policies, NULL, ascii = TRUE)
    token <- as.character(gc_token(session))
    expect_identical(grepRaw(charToRaw(token), bytes, fixed = TRUE), integer())
    expect_identical(grepRaw(charToRaw(token), serialize(session, NULL, ascii = TRUE), fixed = TRUE), integer())
})

test_that("an error that nobody catches shows no password", {
    output <- in_another_r("gc_login(gc_session(), 'ada', 'analytical-engines', password = 'Xyzzy-Plugh')")
    expect_match(output, "^Error: login at https://127.0.0.1:[0-9]+/", all = FALSE)
    expect_no_match(output, "Xyzzy")
})

test_that("a refused login shows no password", {
    reset_sandbox()
    for (form in c("json", "text")) {
        control("faults", sprintf("{\"on\":\"login\",\"do\":{\"echo\":{\"code\":400,\"form\":\"%s\"}}}", form))
        condition <- tryCatch(gc_login(gc_session(), "ada", "analytical-engines", password = "Xyzzy-Plugh"),
                              gcauth_error = identity)
        expect_s3_class(condition, "gcauth_unauthorized")
        expect_no_match(printed(print(condition), str(condition)), "Xyzzy")
    }
})
