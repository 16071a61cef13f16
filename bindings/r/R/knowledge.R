gc_bearer <- function(session) {
    check_session(session)
    bearer <- gc_result(.Call(C_bearer, session))
    attr(bearer, "expires_at") <- .POSIXct(attr(bearer, "expires_at"))
    secret(bearer)
}

gc_bearer_valid_for <- function(session, seconds) {
    check_session(session)
    # A period of difftime() counts in its own unit.
    if (inherits(seconds, "difftime")) seconds <- as.numeric(seconds, units = "secs")
    if (!is.numeric(seconds) || length(seconds) != 1L || is.na(seconds)) gc_refuse("seconds: not one number")
    bearer <- gc_result(.Call(C_bearer_valid_for, session, as.numeric(seconds)))
    attr(bearer, "expires_at") <- .POSIXct(attr(bearer, "expires_at"))
    secret(bearer)
}

gc_expires_at <- function(session) attr(gc_bearer(session), "expires_at")

gc_write_token_file <- function(session, path, format = c("htslib", "wlcg", "curl")) {
    check_session(session)
    check_text(path, "path")
    if (missing(format)) gc_refuse("format: not given; give \"htslib\", \"wlcg\" or \"curl\"")
    check_text(format, "format")
    if (is.character(path)) path <- path.expand(path)
    gc_result(.Call(C_write_token_file, session, path, format))
    invisible(session)
}

gc_token <- function(session) {
    check_session(session)
    secret(gc_result(.Call(C_token, session)))
}

gc_refresh_token <- function(session) {
    check_session(session)
    secret(gc_result(.Call(C_refresh_token, session)))
}

gc_token_type <- function(session) {
    check_session(session)
    gc_result(.Call(C_token_type, session))
}

gc_env <- function(session) {
    check_session(session)
    gc_result(.Call(C_env, session))
}

gc_host <- function(session) {
    check_session(session)
    gc_result(.Call(C_host, session))
}

gc_project_id <- function(session) {
    check_session(session)
    gc_result(.Call(C_project_id, session))
}

gc_claims <- function(session, as = c("list", "json")) {
    as <- match.arg(as)
    check_session(session)
    parsed(gc_result(.Call(C_claims, session)), as)
}

gc_decode_jwt <- function(session, public_key = NULL, as = c("list", "json")) {
    as <- match.arg(as)
    check_session(session)
    check_text(public_key, "public_key", optional = TRUE)
    # A file that was read as empty must not switch verification off.
    if (length(public_key) == 0L && !is.null(public_key) || identical(public_key, ""))
        gc_refuse("public_key: empty; give NULL if nothing is to be verified")
    parsed(gc_result(.Call(C_decode_jwt, session, public_key)), as)
}

gc_verify <- function(session, as = c("list", "json")) {
    as <- match.arg(as)
    check_session(session)
    parsed(gc_result(.Call(C_verify, session)), as)
}

gc_session_info <- function(session, as = c("list", "json")) {
    as <- match.arg(as)
    check_session(session)
    info <- parsed(gc_result(.Call(C_session_info, session)), as)
    if (as == "list") with_times(info) else info
}

# Seconds become times where a name says that they are one: `at`, or something that ends in `_at`.
with_times <- function(info) {
    for (name in names(info)) {
        value <- info[[name]]
        if (is.list(value)) {
            info[[name]] <- with_times(value)
        } else if (is.numeric(value) && grepl("(^|_)at$", name)) {
            info[[name]] <- .POSIXct(as.numeric(value))
        }
    }
    info
}

gc_version <- function() .Call(C_version)
