# The table that the tests of every language run; its head tells what the columns mean.
skip_without_sandbox()

cases_file <- Sys.getenv("GCAUTH_CASES")
skip_if(cases_file == "", "no table of cases: run bindings/r/check")

replaced <- function(text) {
    places <- c("@HTTPS@" = Sys.getenv("GCAUTH_SANDBOX_HTTPS"), "@DIR@" = Sys.getenv("GCAUTH_SANDBOX_DIR"),
                "@CA@" = file.path(Sys.getenv("GCAUTH_SANDBOX_DIR"), "ca.pem"), "@CASES@" = dirname(cases_file))
    for (place in names(places)) text <- gsub(place, places[[place]], text, fixed = TRUE)
    text
}

# The arguments of a row; those that are left out are NULL.
arguments_of <- function(text, count) {
    if (text == "-") return(rep(list(NULL), count))
    # A character at the end, because strsplit() drops an empty last part.
    parts <- strsplit(paste0(replaced(text), "|."), "|", fixed = TRUE)[[1L]]
    parts <- lapply(parts[-length(parts)], function(part) if (part != "-") part)
    c(parts, rep(list(NULL), count - length(parts)))
}

# A case: its session, its config, and its last bearer.
run_case <- function(rows) {
    session <- config <- last <- NULL
    calls <- list(
        "new" = function(text) {
            given <- arguments_of(text, 3L)
            config <<- given[[1L]]
            session <<- gc_session(config, given[[2L]], given[[3L]])
        },
        "login" = function(text) {
            given <- arguments_of(text, 4L)
            gc_login(session, given[[1L]], given[[3L]], given[[4L]], given[[2L]])
        },
        "refresh" = function(text) gc_refresh(session, arguments_of(text, 1L)[[1L]]),
        "report-rejected" = function(text) gc_report_rejected(session, last),
        "logout" = function(text) gc_logout(session),
        "bearer" = function(text) {
            bearer <- as.character(gc_bearer(session))
            answer <- if (identical(bearer, last)) "same" else "new"
            last <<- bearer
            answer
        },
        "env" = function(text) gc_env(session),
        "token-type" = function(text) gc_token_type(session),
        "project-id" = function(text) gc_project_id(session),
        "decode-jwt" = function(text) gc_decode_jwt(session, paste(readLines(replaced(text)), collapse = "\n")),
        "export and go on" = function(text) session <<- gc_from_json(gc_as_json(session), config),
        "sandbox" = function(text) control(sub(" .*", "", text), sub("^[^ ]* ", "", text)),
        "counter" = function(text) as.character(counters()[[text]])
    )
    for (i in seq_len(nrow(rows))) {
        row <- rows[i, ]
        where <- paste0("row ", i, ", ", row$call)
        failure <- NULL
        value <- tryCatch(calls[[row$call]](row$arguments), gcauth_error = function(condition) {
            failure <<- condition
            NULL
        })
        status <- if (is.null(failure)) "OK" else sub("^GC_AUTH_", "", failure$name)
        expect_identical(status, row$status, info = where)
        if (row$http_status != "-") {
            http_status <- if (is.na(failure$http_status)) 0L else failure$http_status
            expect_identical(http_status, as.integer(row$http_status), info = where)
        }
        if (row$retryable != "-") expect_identical(failure$retryable, row$retryable == "1", info = where)
        if (row$value != "-") expect_identical(value, row$value, info = where)
    }
}

table <- utils::read.delim(cases_file, header = FALSE, comment.char = "#", quote = "", colClasses = "character",
                           na.strings = character(), col.names = c("case", "call", "arguments", "status", "http_status",
                                                                    "retryable", "value"))

for (case in unique(table$case)) {
    test_that(case, {
        reset_sandbox()
        run_case(table[table$case == case, ])
    })
}
