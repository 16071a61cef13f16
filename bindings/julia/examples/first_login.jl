# Logs in and shows what a program would send: first_login.jl USER ORGANIZATION, with the password in GCAUTH_PASSWORD.
using GCAuth

try
    session = Session()
    password = get(ENV, "GCAUTH_PASSWORD", nothing) # without it, login! asks
    login!(session, ARGS[1], ARGS[2]; password = password)
    name, value = auth_header(session) # once before each request
    println(name, ": ", first(value, 19), "...") # a token is a secret: the beginning will do
catch error
    error isa GCAuthError || rethrow()
    showerror(stderr, error)
    println(stderr)
    exit(1)
end
