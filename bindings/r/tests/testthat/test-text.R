# The sandbox has a user with letters beyond ASCII: bindings/r/check orders her.
name <- "zo\u00eb"
secret_word <- "na\u00efvet\u00e9 \u5bc6"

log_zoe_in <- function(username = name, password = secret_word) {
    gc_login(gc_session(), username, "analytical-engines", "genomes", password)
}

test_that("text is sent as UTF-8, whatever its encoding", {
    skip_without_sandbox()
    reset_sandbox()
    expect_identical(gc_claims(log_zoe_in())$sub, name)
    expect_identical(Encoding(gc_claims(log_zoe_in())$sub), "UTF-8")
    latin <- iconv(name, "UTF-8", "latin1")
    expect_identical(Encoding(latin), "latin1")
    expect_identical(gc_claims(log_zoe_in(latin))$sub, name)
    expect_identical(gc_claims(log_zoe_in(name, charToRaw(enc2utf8(secret_word))))$sub, name)
})

test_that("a job in the C locale sends what stands in its environment", {
    skip_without_sandbox()
    output <- in_another_r(c("session <- gc_session()",
                             "word <- Sys.getenv('WORD')",
                             "gc_login(session, Sys.getenv('WHO'), 'analytical-engines', password = word)",
                             "cat(charToRaw(gc_claims(session)$sub) == charToRaw(Sys.getenv('WHO')), '\\n')"),
                           env = c("LC_ALL=C", paste0("WHO='", name, "'"), paste0("WORD='", secret_word, "'")))
    expect_identical(trimws(output), "TRUE TRUE TRUE TRUE")
})

test_that("bytes that are not UTF-8 are refused", {
    bad <- rawToChar(as.raw(c(0x61, 0xff)))
    expect_error(gc_session(env = bad), class = "gcauth_invalid_utf8")
    Encoding(bad) <- "bytes"
    expect_error(gc_session(env = bad), class = "gcauth_invalid_utf8")
    expect_error(gc_session(env = as.raw(0xff)), class = "gcauth_invalid_utf8")
})

test_that("a NUL is refused and not taken for the end", {
    nul <- as.raw(c(0x61, 0x00, 0x62))
    session <- gc_session("{}")
    expect_error(gc_session(token = nul), "token: there is a NUL inside", class = "gcauth_invalid_argument")
    expect_error(gc_login(session, "ada", "o", password = nul), "password: there is a NUL",
                 class = "gcauth_invalid_argument")
    expect_error(gc_decode_jwt(session, nul), "public_key: there is a NUL", class = "gcauth_key_invalid")
})

test_that("an empty key is an error, not a way to verify nothing", {
    session <- gc_session("{}", token = token_of("{}"))
    for (empty in list("", raw(0)))
        expect_error(gc_decode_jwt(session, empty), "public_key: empty", class = "gcauth_invalid_argument")
    expect_identical(gc_decode_jwt(session, NULL, as = "json"), "{}")
})

test_that("text of any length comes back", {
    long <- token_of(paste0("{\"text\":\"", strrep("x", 20000), "\",\"project_id\":-9223372036854775808}"))
    session <- gc_session("{}", token = long)
    expect_identical(as.character(gc_token(session)), long)
    expect_identical(as.character(gc_bearer(session)), paste("Bearer", long))
    expect_identical(nchar(gc_claims(session)$text), 20000L)
    expect_identical(gc_project_id(session), "-9223372036854775808")
})
