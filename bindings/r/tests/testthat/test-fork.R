# parallel::mclapply() forks: each child has a copy of its parent's session.
skip_without_sandbox()
skip_on_os("windows")

in_children <- function(count, work) {
    results <- parallel::mclapply(seq_len(count), work, mc.cores = count, mc.preschedule = FALSE)
    lapply(results, function(result) {
        if (inherits(result, "try-error")) stop("in a child: ", result)
        result
    })
}

note_in <- function(path) {
    force(path)
    function(session) file.create(path)
}

# Lets go of the variable `session` of an environment, and tells whether R has freed it.
freed <- function(environment) {
    marker <- tempfile()
    reg.finalizer(get("session", environment), note_in(marker))
    rm("session", envir = environment)
    gc()
    file.exists(marker)
}

test_that("with a shared store children and parent join one renewal", {
    reset_sandbox()
    directory <- tempfile("store")
    dir.create(directory, mode = "0700")
    on.exit(unlink(directory, recursive = TRUE))
    session <- ada(config_with(store = paste0("file:", file.path(directory, "session"))))
    old <- as.character(gc_bearer(session))
    here <- environment()
    control("revoke")
    answers <- in_children(8L, function(i) {
        gc_report_rejected(session, old)
        bearer <- as.character(gc_bearer(session))
        list(bearer = bearer, pid = Sys.getpid(), freed = freed(here))
    })
    expect_true(all(vapply(answers, `[[`, NA, "freed")))
    bearers <- vapply(answers, `[[`, "", "bearer")
    expect_length(unique(vapply(answers, `[[`, 0L, "pid")), 8L)
    expect_length(unique(bearers), 1L)
    expect_false(bearers[[1L]] == old)
    # The parent finds what its children got.
    gc_report_rejected(session, old)
    expect_identical(as.character(gc_bearer(session)), bearers[[1L]])
    expect_identical(counters()[c("logins", "refreshes", "reuses", "refreshes_refused")],
                     list(logins = 1L, refreshes = 1L, reuses = 0L, refreshes_refused = 0L))
})

test_that("with the memory store children use the token, but don't spend the parent's refresh token", {
    reset_sandbox()
    session <- ada()
    old <- as.character(gc_bearer(session))
    here <- environment()
    status <- function(expression) tryCatch({
        expression
        "fine"
    }, gcauth_error = function(condition) class(condition)[[1L]])
    answers <- in_children(4L, function(i) {
        seen <- c(as.character(gc_bearer(session)) == old, status(gc_refresh(session)),
                  status(gc_report_rejected(session, old)), status(gc_bearer(session)))
        c(seen, freed(here))
    })
    for (answer in answers) expect_identical(answer, c("TRUE", "gcauth_forked", "fine", "gcauth_forked", "TRUE"))
    # What children freed was theirs.
    expect_identical(as.character(gc_bearer(session)), old)
    gc_refresh(session)
    expect_identical(status_of(gc_bearer(session)), 200L)
    expect_identical(counters()[c("logins", "refreshes", "reuses", "refreshes_refused")],
                     list(logins = 1L, refreshes = 1L, reuses = 0L, refreshes_refused = 0L))
})

test_that("a child's own login is its own", {
    reset_sandbox()
    session <- ada()
    old <- as.character(gc_bearer(session))
    answers <- in_children(2L, function(i) {
        gc_login(session, "ada", "analytical-engines", password = password)
        gc_refresh(session)
        as.character(gc_bearer(session))
    })
    expect_length(unique(c(old, unlist(answers))), 3L)
    gc_refresh(session)
    expect_identical(counters()[c("logins", "refreshes", "reuses")], list(logins = 3L, refreshes = 3L, reuses = 0L))
})
