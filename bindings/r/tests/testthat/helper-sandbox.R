# Tests talk to a gcauth-sandbox, whose addresses are in the environment; bindings/r/check starts one.
skip_without_sandbox <- function() {
    skip_if(Sys.getenv("GCAUTH_SANDBOX_CONTROL") == "", "no sandbox: run bindings/r/check")
}

# A request to the sandbox's control endpoints; what it answers.
control <- function(path, body = NULL, method = "POST") {
    handle <- curl::new_handle(customrequest = method)
    if (method == "POST") curl::handle_setopt(handle, copypostfields = if (is.null(body)) "" else body)
    url <- paste0(Sys.getenv("GCAUTH_SANDBOX_CONTROL"), "/", path)
    answer <- curl::curl_fetch_memory(url, handle)
    text <- rawToChar(answer$content)
    if (answer$status_code >= 300) stop(path, ": HTTP ", answer$status_code, ": ", text)
    if (nzchar(text)) jsonlite::fromJSON(text)
}

counters <- function() control("counters", method = "GET")

reset_sandbox <- function() {
    control("reset")
    control("faults", method = "DELETE")
}

password <- function() "lovelace"

# A session that is logged in; `...` goes to gc_session().
ada <- function(..., project = NULL) {
    session <- gc_session(...)
    gc_login(session, "ada", "analytical-engines", project, password)
    session
}

# The config of the sandbox with more in it.
config_with <- function(...) {
    config <- jsonlite::fromJSON(Sys.getenv("GCAUTH_CONFIG"), simplifyVector = FALSE)
    utils::modifyList(config, list(...))
}

resource <- function() paste0(Sys.getenv("GCAUTH_SANDBOX_HTTP"), "/me")

# A token that nobody signed, with this payload.
token_of <- function(payload) {
    part <- function(text) gsub("[=\n]+", "", chartr("+/", "-_", jsonlite::base64_enc(charToRaw(text))))
    paste(part("{\"alg\":\"RS256\"}"), part(payload), part("signature"), sep = ".")
}

# What an R of its own prints, standard error included.
in_another_r <- function(lines, env = character()) {
    script <- tempfile(fileext = ".R")
    on.exit(unlink(script))
    writeLines(c(sprintf(".libPaths(%s)", deparse1(.libPaths())), "library(gcauth)", lines), script)
    suppressWarnings(system2(file.path(R.home("bin"), "Rscript"), c("--vanilla", script), stdout = TRUE, stderr = TRUE,
                             env = env))
}

# What the server says to a bearer.
status_of <- function(bearer) {
    handle <- curl::new_handle()
    curl::handle_setheaders(handle, Authorization = bearer)
    curl::curl_fetch_memory(resource(), handle)$status_code
}
