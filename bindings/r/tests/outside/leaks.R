# Run under valgrind, beside a sandbox: sessions that are dropped, kept to the end, and never made.
library(gcauth)

for (i in 1:20) {
    session <- gc_session(token = "abc", refresh_token = "def")
    try(gc_login(session, "ada", "analytical-engines", password = function() "babbage"), silent = TRUE)
    try(gc_session("{}", env = as.raw(0xff)), silent = TRUE)
}
rm(session)
invisible(gc())

kept <- gc_session()
gc_login(kept, "ada", "analytical-engines", password = charToRaw("lovelace"))
gc_refresh(kept, enc2native("exomes"))
other <- gc_from_json(gc_as_json(kept))
stopifnot(gc_claims(other)$project == "exomes", nchar(gc_bearer(other)) > 100)
