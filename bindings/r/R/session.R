gc_session <- function(config = NULL, token = NULL, refresh_token = NULL, env = NULL) {
    config <- config_text(config)
    check_text(token, "token", optional = TRUE)
    check_text(refresh_token, "refresh_token", optional = TRUE)
    check_text(env, "env", optional = TRUE)
    gc_result(.Call(C_new_session, config, token, refresh_token, env))
}

gc_from_json <- function(json, config = NULL) {
    config <- config_text(config)
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

# Reads neither network nor store: it is called at every look into an environment.
format.gcauth_session <- function(x, ...) {
    if (!.Call(C_is_alive, x)) return("<gcauth session of another R process>")
    paste0("<gcauth session: ", .Call(C_env, x), ", ", .Call(C_host, x), ">")
}

print.gcauth_session <- function(x, ...) {
    cat(format(x), "\n", sep = "")
    invisible(x)
}

str.gcauth_session <- function(object, ...) cat(" ", format(object), "\n", sep = "")
