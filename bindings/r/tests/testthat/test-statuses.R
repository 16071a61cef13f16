# What the binding says of statuses is what the header of the library says.
header <- Sys.getenv("GCAUTH_HEADER")
skip_if(header == "", "no header: run bindings/r/check")

lines <- grep("^#define GC_AUTH_(OK|ERR_[A-Z0-9_]+) +[0-9]+$", readLines(header), value = TRUE)
names <- sub("^#define ([A-Z0-9_]+) .*", "\\1", lines)
values <- as.integer(sub(".* ", "", lines))
errors <- names[values != 0L]
classes <- tolower(sub("^GC_AUTH_ERR_", "gcauth_", errors))

status_name <- function(value) .Call(gcauth:::C_status_name, value)

test_that("the library that is loaded has the names of the header", {
    expect_gt(length(errors), 20L)
    expect_identical(vapply(values, status_name, ""), names)
})

test_that("every status has a class, and the help knows it", {
    help <- tools::Rd_db("gcauth")[["gcauth_error.Rd"]]
    text <- paste(utils::capture.output(tools::Rd2txt(help, options = list(underline_titles = FALSE))), collapse = "\n")
    documented <- regmatches(text, gregexpr("gcauth_[a-z0-9_]+", text))[[1L]]
    expect_setequal(documented, c(classes, "gcauth_error", "gcauth_network"))
})

test_that("a failure becomes a condition of the class of its status", {
    network <- c("GC_AUTH_ERR_CONNECT", "GC_AUTH_ERR_TIMEOUT", "GC_AUTH_ERR_TLS")
    for (i in seq_along(errors)) {
        failure <- list(status = 7L, name = errors[[i]], message = "what happened", http_status = 429L,
                        retryable = TRUE, retry_after = 2.5, network = errors[[i]] %in% network)
        condition <- tryCatch(gcauth:::gc_abort(failure), condition = identity)
        group <- if (errors[[i]] %in% network) "gcauth_network"
        expect_identical(class(condition), c(classes[[i]], group, "gcauth_error", "error", "condition"))
        expect_identical(conditionMessage(condition), "what happened")
        expect_null(conditionCall(condition))
        expect_identical(condition[c("status", "http_status", "retryable", "retry_after")],
                         list(status = 7L, http_status = 429L, retryable = TRUE, retry_after = 2.5))
    }
})

test_that("a status of a later library is an error all the same", {
    failure <- list(status = 1234L, name = status_name(1234L), message = "", http_status = NA, retryable = FALSE,
                    retry_after = NA, network = FALSE)
    expect_identical(class(tryCatch(gcauth:::gc_abort(failure), condition = identity)),
                     c("gcauth_error", "error", "condition"))
})
