"""
Log in to Genomcore and hand out bearer tokens, by libgcauth.

    using GCAuth
    session = Session()
    login!(session, "ada", "analytical-engines")     # asks for the password
    HTTP.get(url, [auth_header(session)])

A [`Session`](@ref) is a login and its tokens. It is renewed ahead of time, by whoever asks next, with one renewal for
all tasks, threads, processes and hosts that share it. Any task on any thread may call anything with any session.

Names that programs like to have for themselves are not exported: `GCAuth.token`, `GCAuth.refresh_token`,
`GCAuth.token_type`, `GCAuth.env`, `GCAuth.host`, `GCAuth.library_version`, and the exceptions, see
[`GCAuthError`](@ref).
"""
module GCAuth

import Dates
import Libdl
import Serialization

export Session, login!, refresh!, bearer, bearer_valid_for, auth_header, expires_at, report_rejected!, logout!
export claims, decode_jwt, verify, project_id, session_info, to_json, from_json, write_token_file
export GCAuthError

include("errors.jl")
include("library.jl")
include("json.jl")
include("session.jl")

# A library that is missing is an error when a session is made, so that the package can be loaded without it.
function __init__()
    try
        load()
    catch error
        error isa LibraryError || rethrow()
    end
end

end
