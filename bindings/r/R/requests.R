gc_header <- function(session) {
    secret(c(Authorization = as.character(gc_bearer(session))))
}

gc_send <- function(session, send) {
    check_session(session)
    if (!is.function(send)) gc_refuse("send: not a function")
    bearer <- gc_bearer(session)
    result <- tryCatch(send(bearer), httr2_http_401 = identity, http_401 = identity)
    if (inherits(result, "condition") || is_rejection(result)) {
        gc_report_rejected(session, bearer)
        again <- gc_bearer(session)
        # The same one comes back when the server that could renew it is out of reach.
        if (as.character(again) != as.character(bearer)) return(send(again))
        if (inherits(result, "condition")) stop(result)
    }
    result
}

# Responses of httr2, httr and curl have their status in the same place.
is_rejection <- function(response) is.list(response) && identical(as.integer(response[["status_code"]]), 401L)

req_auth_gcauth <- function(req, session) {
    if (!requireNamespace("httr2", quietly = TRUE)) gc_refuse("req_auth_gcauth() needs the package httr2")
    check_session(session)
    hooks <- oauth_hooks(session)
    httr2::req_oauth(req, flow = hooks$flow, flow_params = list(), cache = hooks[c("get", "set", "clear")])
}

# The bearers of first tries, by request. They are here and not in the requests, which people save to files.
first_tries <- new.env(parent = emptyenv())

# What httr2 calls to sign a request. Every version calls get() before each request, and asks for another token after a
# 401 that says "invalid_token": up to 1.1.0 by get() and flow(), later by clear() and get(). As requests can be under
# way at once, what is reported is the bearer of the last first try; that of a second try was never refused.
oauth_hooks <- function(session) {
    me <- new.env(parent = emptyenv())
    me$second <- FALSE
    id <- format(me)
    reg.finalizer(me, function(me) suppressWarnings(rm(list = format(me), envir = first_tries)))

    token <- function(bearer) httr2::oauth_token(sub("^Bearer ", "", as.character(bearer)))
    # The last two, the newest last.
    tries <- function() get0(id, envir = first_tries, inherits = FALSE)
    reject <- function(bearer) if (!is.null(bearer)) gc_report_rejected(session, bearer)

    list(
        get = function() {
            bearer <- gc_bearer(session)
            if (!me$second) assign(id, c(rev(tries())[1L], as.character(bearer)), envir = first_tries)
            me$second <- FALSE
            token(bearer)
        },
        set = function(token) invisible(),
        clear = function() {
            reject(rev(tries())[1L])
            me$second <- TRUE
        },
        flow = function() {
            reject(tries()[1L])
            token(gc_bearer(session))
        }
    )
}
