gc_bearer <- function(session) {
    check_session(session)
    bearer <- gc_result(.Call(C_bearer, session))
    attr(bearer, "expires_at") <- .POSIXct(attr(bearer, "expires_at"))
    secret(bearer)
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
    parsed(gc_result(.Call(C_session_info, session)), as)
}

gc_version <- function() .Call(C_version)
