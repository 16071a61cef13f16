# Errors are conditions without a call: a call can hold a password that somebody wrote into it.
gc_abort <- function(failure) {
    name <- failure$name
    # A status that this library's successor brought has its name from there.
    leaf <- if (startsWith(name, "GC_AUTH_ERR_")) tolower(sub("^GC_AUTH_ERR_", "gcauth_", name))
    classes <- c(leaf, if (failure$network) "gcauth_network", "gcauth_error", "error", "condition")
    fields <- unclass(failure)[c("status", "name", "http_status", "retryable", "retry_after")]
    stop(structure(c(list(message = failure$message, call = NULL), fields), class = classes))
}

is_failure <- function(result) inherits(result, "gcauth_failure")

# What a routine gave, or the condition that it asks for.
gc_result <- function(result) {
    if (is_failure(result)) gc_abort(result)
    result
}

# An argument that can't be used; the status is the library's.
gc_refuse <- function(...) gc_abort(.Call(C_refuse, paste0(...), FALSE))

# The same of a config.
gc_refuse_config <- function(...) gc_abort(.Call(C_refuse, paste0(...), TRUE))
