gc_session <- function(config = NULL, token = NULL, refresh_token = NULL, env = NULL, file = NULL) {
    config <- config_text(config, file)
    check_text(token, "token", optional = TRUE)
    check_text(refresh_token, "refresh_token", optional = TRUE)
    check_text(env, "env", optional = TRUE)
    gc_result(.Call(C_new_session, config, token, refresh_token, env))
}

gc_from_json <- function(json, config = NULL, file = NULL) {
    config <- config_text(config, file)
    check_text(json, "json")
    gc_result(.Call(C_from_json, config, json))
}

gc_as_json <- function(session) {
    check_session(session)
    secret(gc_result(.Call(C_as_json, session)))
}

gc_login <- function(session, username, organization, project = NULL, password = NULL) {
    check_session(session)
    check_text(username, "username")
    check_text(organization, "organization")
    check_text(project, "project", optional = TRUE)
    password <- password_text(password, username)
    gc_result(.Call(C_login, session, username, password, organization, project))
    invisible(session)
}

gc_refresh <- function(session, project = NULL) {
    check_session(session)
    check_text(project, "project", optional = TRUE)
    gc_result(.Call(C_refresh, session, project))
    invisible(session)
}

gc_report_rejected <- function(session, bearer) {
    check_session(session)
    check_text(bearer, "bearer")
    gc_result(.Call(C_report_rejected, session, bearer))
    invisible(session)
}

gc_logout <- function(session) {
    check_session(session)
    gc_result(.Call(C_logout, session))
    invisible(session)
}

# No secret in it. A shared store is read if that has not been done yet; nothing is renewed.
format.gcauth_session <- function(x, ...) {
    if (!.Call(C_is_alive, x)) return("<gcauth session of another R process>")
    paste0("<gcauth session: ", .Call(C_env, x), ", ", .Call(C_host, x), ", ", who_and_until(x), ">")
}

who_and_until <- function(session) {
    logged_in <- .Call(C_has_token, session)
    if (is_failure(logged_in)) return(logged_in$name)
    if (!logged_in) return("not logged in")
    claims <- .Call(C_claims, session)
    claims <- if (is_failure(claims)) list() else from_json_text(claims)
    who <- Filter(function(claim) is.character(claim) || is.numeric(claim),
                  claims[c("preferred_username", "username", "sub", "email")])
    who <- if (length(who) > 0L) encodeString(as.character(who[[1L]])) else "user unknown"
    paste0(c(who, format_until(claims$exp, .Call(C_session_info, session))), collapse = ", until ")
}

# The end that the token tells, or else what the session reckons with.
format_until <- function(exp, info) {
    if (!is.numeric(exp) || exp > 1e11) {
        left <- if (!is_failure(info)) from_json_text(info)$expires_in
        if (is.null(left)) return(NULL)
        exp <- floor(as.numeric(Sys.time())) + left
    }
    format(.POSIXct(exp, tz = "UTC"), "%Y-%m-%d %H:%M:%S UTC")
}

print.gcauth_session <- function(x, ...) {
    cat(format(x), "\n", sep = "")
    invisible(x)
}

# Reads no store: development environments call it at every look into an environment.
str.gcauth_session <- function(object, ...) {
    alive <- .Call(C_is_alive, object)
    what <- if (alive) paste0(": ", .Call(C_env, object), ", ", .Call(C_host, object)) else " of another R process"
    cat(" <gcauth session", what, ">\n", sep = "")
}
