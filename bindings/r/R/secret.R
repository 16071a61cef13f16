# Text that is not to appear on a screen or in a report just because it was the value of a line.
secret <- function(text) {
    class(text) <- c("gcauth_secret", "character")
    text
}

format.gcauth_secret <- function(x, ...) {
    what <- if (is.null(names(x))) "" else paste0(" ", names(x)[[1L]])
    expires_at <- attr(x, "expires_at")
    until <- if (!is.null(expires_at) && !is.na(expires_at)) paste0(", expires at ", format(expires_at, usetz = TRUE))
    paste0("<secret", what, ": ", nchar(unclass(x)), " characters", until, "; as.character() gives them>")
}

print.gcauth_secret <- function(x, ...) {
    cat(format(x), "\n", sep = "")
    invisible(x)
}

str.gcauth_secret <- function(object, ...) cat(" ", format(object), "\n", sep = "")
