check_session <- function(session) {
    if (!inherits(session, "gcauth_session") || typeof(session) != "externalptr")
        gc_refuse("session: not a session, make one by gc_session()")
    if (!.Call(C_is_alive, session))
        gc_refuse("session: made in another R process; hand it on by gc_as_json() and gc_from_json()")
}

# Says nothing of the value: it may be a secret.
check_text <- function(value, name, optional = FALSE) {
    string <- is.character(value) && length(value) == 1L && !is.na(value)
    if (!string && !is.raw(value) && !(optional && is.null(value)))
        gc_refuse(name, ": not one string", if (optional) " or NULL")
}

# A config may be a list as well, or stand in a file.
config_text <- function(config, file) {
    if (!is.null(file)) {
        if (!is.null(config)) gc_refuse("config and file: both are given; give one of them")
        return(file_bytes(file))
    }
    if (is.list(config)) {
        if (length(config) == 0L) return("{}")
        config <- as.character(jsonlite::toJSON(config, auto_unbox = TRUE, null = "null", digits = NA))
    }
    check_text(config, "config", optional = TRUE)
    config
}

file_bytes <- function(file) {
    if (!is.character(file) || length(file) != 1L || is.na(file)) gc_refuse("file: not the name of one file")
    size <- file.info(file, extra_cols = FALSE)
    if (is.na(size$size)) gc_refuse_config("file: there is no ", file)
    if (size$isdir) gc_refuse_config("file: ", file, " is a directory")
    tryCatch(
        suppressWarnings(readBin(file, "raw", size$size)),
        error = function(condition) gc_refuse_config("file: can't read ", file)
    )
}

password_text <- function(password, username, ask = interactive()) {
    if (is.null(password)) {
        if (!ask) gc_refuse("password: none is given, and there is nobody to ask; give a function that reads it")
        who <- if (is.raw(username)) rawToChar(username[username != 0L]) else username
        password <- askpass::askpass(paste0("Password of ", who, ": "))
    } else if (is.function(password)) {
        password <- password()
    }
    check_text(password, "password")
    password
}

parsed <- function(json, as) {
    if (as == "json") return(json)
    from_json_text(json)
}

from_json_text <- function(json) {
    jsonlite::fromJSON(json, simplifyDataFrame = FALSE, simplifyMatrix = FALSE, bigint_as_char = TRUE)
}
