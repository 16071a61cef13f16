# In `uses`: the session is closed; the handle is freed. The bits below count the calls that are under way.
const CLOSED = 1 << 62
const FREED = 1 << 61

"""
    Session(; config, config_file, token, refresh_token, env)
    Session(f; ...)

A login and its tokens. Makes no request, so it does not tell whether tokens are any good.

- `config`: a JSON object as text (not a file's name); docs/configuration.md of libgcauth lists the keys. Without it: the file that
  the environment variable `GCAUTH_CONFIG` names, or else the built-in defaults.
- `token`, `refresh_token`: tokens from elsewhere. With a shared store they only seed an empty one.
- `env`: which of the config's environments to use. Without it: the config's own choice.

The session is freed, and its secrets are wiped, when it is closed by `close(session)`, at the end of `f(session)`, or
by the garbage collector. Closing while calls are under way is fine: they end as they would, and the last one frees.

```julia
Session(config = Dict("store" => "file:/home/ada/.gcauth/session", "timeout_ms" => 60_000))
Session(config_file = "/home/ada/.gcauth/config.json")
```

Printed, it says who is logged in and until when (UTC), and shows no secret.

A session can't be sent to another process, and `serialize` refuses it. Let processes share a store (config key `store`),
or hand the session on by [`to_json`](@ref).
"""
mutable struct Session
    handle::Ptr{Cvoid}
    uses::Threads.Atomic{Int}

    function Session(handle::Ptr{Cvoid})
        session = new(handle, Threads.Atomic{Int}(0))
        return finalizer(close, session)
    end
end

const Text = Union{AbstractString,Nothing}
const Config = Union{Text,AbstractDict,NamedTuple}

config_text(config::Text, ::Nothing) = config
config_text(config::Union{AbstractDict,NamedTuple}, ::Nothing) = json_text(config)
config_text(::Nothing, file::AbstractString) = try
    read(file, String)
catch error
    error isa SystemError || rethrow()
    throw(ConfigError("config_file: can't read $file: $(Libc.strerror(error.errnum))"))
end
config_text(_, ::AbstractString) = throw(InvalidArgument("config and config_file: both are given; give one of them"))

function Session(; config::Config = nothing, config_file::Text = nothing, token::Text = nothing,
                 refresh_token::Text = nothing, env::Text = nothing)
    config = config_text(config, config_file)
    load()
    handle = Ref{Ptr{Cvoid}}(C_NULL)
    error = @status gc_auth_new(c_string("config", config)::Cstring, c_string("token", token)::Cstring,
                                c_string("refresh token", refresh_token)::Cstring, c_string("env", env)::Cstring,
                                handle::Ptr{Ptr{Cvoid}})
    error === nothing || throw(error)
    return Session(handle[])
end

"""
    from_json(json; config, config_file) -> Session

A session of what [`to_json`](@ref) wrote. The config's environment and host must be those of `json`. Only one of the
two processes may go on with the session, unless they share a store: refresh tokens are good for one use.
"""
function from_json(json::AbstractString; config::Config = nothing, config_file::Text = nothing)
    config = config_text(config, config_file)
    load()
    handle = Ref{Ptr{Cvoid}}(C_NULL)
    error = @status gc_auth_from_json(c_string("config", config)::Cstring, c_string("json", json)::Cstring,
                                      handle::Ptr{Ptr{Cvoid}})
    error === nothing || throw(error)
    return Session(handle[])
end

function Session(f::Base.Callable; keywords...)
    session = Session(; keywords...)
    try
        return f(session)
    finally
        close(session)
    end
end

function Base.close(session::Session)
    Threads.atomic_or!(session.uses, CLOSED) == 0 && free(session)
    return
end

# A pointer is worth nothing in another process, and NULL is what some ways to write objects make of it.
Base.isopen(session::Session) = session.handle != C_NULL && session.uses[] < FREED

# Once the session is closed, whoever finds no call under way comes here: perhaps several do, and one frees.
function free(session::Session)
    Threads.atomic_or!(session.uses, FREED) & FREED == 0 && session.handle != C_NULL || return
    ccall(ADDRESSES.gc_auth_free[], Cvoid, (Ptr{Cvoid},), session.handle)
    return
end

# What `f` gives for the handle, which is not freed meanwhile: `nothing` or an exception.
@inline function with_handle(f, session::Session)
    uses = Threads.atomic_add!(session.uses, 1)
    try
        open = uses < FREED && session.handle != C_NULL
        return open ? f(session.handle) : InvalidArgument("the session is closed")
    finally
        Threads.atomic_sub!(session.uses, 1) == CLOSED + 1 && free(session)
    end
end

@inline function checked(f, session::Session)
    error = with_handle(f, session)
    error === nothing || throw(error)
    return session
end

Serialization.serialize(::Serialization.AbstractSerializer, ::Session) = throw(InvalidArgument(
    "session: can't be used in another Julia process; hand it on by to_json() and from_json(), or share a store"))

# A copy would free the handle a second time.
Base.deepcopy_internal(session::Session, ::IdDict) = session

# No secret in it. A shared store is read if that has not been done yet; nothing is renewed.
function Base.show(io::IO, session::Session)
    isopen(session) || return print(io, "Session(closed)")
    print(io, "Session(env = ", repr(env(session)), ", host = ", repr(host(session)))
    try
        if has_token(session)
            payload = claims_or_none(session)
            print(io, ", user = ", something(user(payload), "unknown"))
            until = good_until(payload, session_info(session))
            until === nothing || print(io, ", until = ", until, " UTC")
        else
            print(io, ", not logged in")
        end
    catch error
        error isa GCAuthError || rethrow()
        print(io, ", ", nameof(typeof(error)))
    end
    return print(io, ")")
end

# Whether there is a token of either kind; neither is fetched.
function has_token(session)
    needed = Ref{Csize_t}(0)
    error = with_handle(session) do handle
        @status gc_auth_token(handle::Ptr{Cvoid}, C_NULL::Ptr{UInt8}, 0::Csize_t, needed::Ptr{Csize_t})
    end
    error isa NoToken && (error = with_handle(session) do handle
        @status gc_auth_refresh_token(handle::Ptr{Cvoid}, C_NULL::Ptr{UInt8}, 0::Csize_t, needed::Ptr{Csize_t})
    end)
    error isa Union{BufferTooSmall,NoRefreshToken} || throw(error)
    return error isa BufferTooSmall
end

claims_or_none(session) = try
    claims(session)
catch error
    error isa TokenError || rethrow()
    "{}"
end

# Who a token's payload says that it is for; as it is written there, and a string in its quotes.
function user(payload)
    for name in ("preferred_username", "username", "sub", "email")
        value = json_member(payload, name)
        value === nothing || return occursin(r"^-?[0-9]+$", value) ? value : "\"$value\""
    end
    return nothing
end

function good_until(payload, info)
    is_seconds(value) = value !== nothing && occursin(r"^[0-9]{1,11}$", value)
    expiry, left = json_member(payload, "exp"), json_member(info, "expires_in")
    is_seconds(expiry) && return date_time(parse(Int64, expiry))
    is_seconds(left) && return date_time(floor(Int64, time()) + parse(Int64, left))
    return nothing
end

date_time(seconds) = Dates.unix2datetime(seconds)

"""
    login!(session, username, organization; password, project) -> session

Logs in. On failure the session is as before.

- `password`: a `Base.SecretBuffer`, which stays yours to `Base.shred!`, or a string, which nobody can wipe. Without it,
  `Base.getpass` asks for it, if there is a terminal.
- `project`: the project's name, not the number in the token. All later renewals keep it.

Waits for the server, for at most the config's `timeout_ms`, and so do other tasks on the same thread; other threads and
the garbage collector don't. With a shared store the new session is everybody's.

```julia
Base.shred!(Base.getpass("Password")) do password
    login!(session, "ada", "analytical-engines"; password = password, project = "genomes")
end
```
"""
function login!(session::Session, username::AbstractString, organization::AbstractString;
                password::Union{AbstractString,Base.SecretBuffer,Nothing} = nothing, project::Text = nothing)
    if password === nothing
        return Base.shred!(ask_password(username)) do password
            login!(session, username, organization; password = password, project = project)
        end
    end
    secret = c_secret(password)
    # Base's conversion of a SecretBuffer does not keep it alive.
    GC.@preserve secret begin
        checked(session) do handle
            @status gc_auth_login(handle::Ptr{Cvoid}, c_string("username", username)::Cstring, secret::Cstring,
                                  c_string("organization", organization)::Cstring,
                                  c_string("project", project)::Cstring)
        end
    end
    return session
end

function ask_password(username)
    isinteractive() || stdin isa Base.TTY ||
        throw(InvalidArgument("password: none was given, and there is no terminal to ask for it"))
    return Base.getpass("Password of $username")
end

# The caller's own password, of which C gets a pointer: there is no copy that would have to be wiped.
c_secret(password::AbstractString) = c_string("password", password)

function c_secret(password::Base.SecretBuffer)
    try
        Base.unsafe_convert(Cstring, password)
    catch error
        error isa ArgumentError || rethrow()
        throw(InvalidArgument("password: has a NUL character inside"))
    end
    return password
end

"""
    refresh!(session; project) -> session

Renews the token now, whatever its expiry, and with `project` switches to that project, for all later renewals too. On
failure the session is as before. Programs that only send bearers don't need it: [`bearer`](@ref) renews by itself.
"""
function refresh!(session::Session; project::Text = nothing)
    checked(session) do handle
        @status gc_auth_refresh(handle::Ptr{Cvoid}, c_string("project", project)::Cstring)
    end
end

"""
    bearer(session) -> String

The token to send, as `"Bearer <token>"`, renewed if it is time to. Ask before each request: on a valid token it costs
next to nothing. See also [`auth_header`](@ref).

When a renewal is due for a token that is still valid, one caller waits for the server, and all others get the valid
token at once. When the token has expired, all wait, for at most the config's `timeout_ms`.
"""
bearer(session::Session) = bearer_until(session)[1]

"""
    bearer_valid_for(session, seconds) -> String

As [`bearer`](@ref), and renews first if less than `seconds` are left: for an upload that takes long. Where the server's
tokens don't live that long, it is the newest one.
"""
bearer_valid_for(session::Session, seconds::Real) = text_out(session) do handle, buffer, size, needed
    @status gc_auth_bearer_valid_for(handle::Ptr{Cvoid}, ceil(Int64, seconds)::Int64, buffer::Ptr{UInt8}, size::Csize_t,
                                     needed::Ptr{Csize_t}, C_NULL::Ptr{Int64})
end

"""
    expires_at(session) -> Union{DateTime,Nothing}

When the token that [`bearer`](@ref) gives now expires, as a `DateTime` in UTC, to be compared with `Dates.now(UTC)`; or
`nothing` if the token does not say. Renews, waits and fails as `bearer` does.
"""
function expires_at(session::Session)
    seconds = bearer_until(session)[2]
    return seconds == 0 ? nothing : date_time(seconds)
end

"""
    write_token_file(session, path, format) -> session

Writes the current token for other programs to the file `path`, of mode 0600 and in one go: `format` is `"htslib"`,
`"wlcg"` or `"curl"`. The token is renewed first where that is due; write it again before it expires.
"""
function write_token_file(session::Session, path::AbstractString, format::Union{AbstractString,Symbol})
    checked(session) do handle
        @status gc_auth_write_token_file(handle::Ptr{Cvoid}, c_string("path", path)::Cstring,
                                         c_string("format", string(format))::Cstring)
    end
end

function bearer_until(session)
    until = Ref{Int64}(0)
    text = text_out(session) do handle, buffer, size, needed
        @status gc_auth_bearer(handle::Ptr{Cvoid}, buffer::Ptr{UInt8}, size::Csize_t, needed::Ptr{Csize_t},
                               until::Ptr{Int64})
    end
    return text, until[]
end

"""
    auth_header(session) -> Pair{String,String}

`"Authorization" => bearer(session)`, for HTTP.jl and other clients:

```julia
HTTP.get(url, [auth_header(session)])
```

When the server answers 401 all the same, report it and repeat the request once:

```julia
header = auth_header(session)
response = HTTP.get(url, [header]; status_exception = false)
if response.status == 401
    report_rejected!(session, header)
    response = HTTP.get(url, [auth_header(session)])
end
```
"""
auth_header(session::Session) = "Authorization" => bearer(session)

"""
    report_rejected!(session, bearer) -> session

Tells the session that a server answered 401 to this bearer, which is what [`bearer`](@ref) or [`auth_header`](@ref)
gave. If it is still the current one, the next `bearer` renews; any number of reports of the same token cause one
renewal. If the same bearer comes back, the server that could renew it is out of reach: don't report it again in a loop.
"""
function report_rejected!(session::Session, bearer::AbstractString)
    checked(session) do handle
        @status gc_auth_report_rejected(handle::Ptr{Cvoid}, c_string("bearer", bearer)::Cstring)
    end
end

report_rejected!(session::Session, header::Pair) = report_rejected!(session, last(header))

"""
    logout!(session) -> session

Forgets both tokens and the project, and what is in the store, for all who share it. The server is not told. Another
[`login!`](@ref) is possible.
"""
function logout!(session::Session)
    checked(session) do handle
        @status gc_auth_logout(handle::Ptr{Cvoid})
    end
end

"""
    claims(session) -> String
    claims(f, session)

The payload of the current token, a JSON object in compact form. NOT verified: see [`decode_jwt`](@ref).

It is text, so that this package needs no JSON package and you can take your own, as `f`:

```julia
claims(JSON3.read, session).sub
```

Numbers are as the token has them: take a parser that keeps integers of 64 bits.
"""
claims(session::Session) = text_out(session) do handle, buffer, size, needed
    @status gc_auth_decoded_token(handle::Ptr{Cvoid}, buffer::Ptr{UInt8}, size::Csize_t, needed::Ptr{Csize_t})
end

claims(f, session::Session) = f(claims(session))

"""
    decode_jwt(session, public_key) -> String
    decode_jwt(f, session, public_key)

The payload of the current token as [`claims`](@ref) gives it, if the token verifies with the issuer's public key: PEM
(`PUBLIC KEY`, `RSA PUBLIC KEY`, `CERTIFICATE`), a JWK or a JWKS. Checks signature, `nbf` and `exp`; audience and issuer
are yours to check.
"""
function decode_jwt(session::Session, public_key::AbstractString)
    isempty(public_key) && throw(InvalidArgument("public key: is empty; `claims` is without verification"))
    return text_out(session) do handle, buffer, size, needed
        @status gc_auth_decode_jwt(handle::Ptr{Cvoid}, c_string("public key", public_key)::Cstring, buffer::Ptr{UInt8},
                                   size::Csize_t, needed::Ptr{Csize_t})
    end
end

decode_jwt(f, session::Session, public_key::AbstractString) = f(decode_jwt(session, public_key))

"""
    verify(session) -> String
    verify(f, session)

As [`decode_jwt`](@ref), with the config's `public_key`, or the key set at its `jwks_url`, which is fetched when it is
needed.
"""
verify(session::Session) = text_out(session) do handle, buffer, size, needed
    @status gc_auth_verify(handle::Ptr{Cvoid}, buffer::Ptr{UInt8}, size::Csize_t, needed::Ptr{Csize_t})
end

verify(f, session::Session) = f(verify(session))

"""
    project_id(session) -> Int64

The number of the token's project. Not the name that [`login!`](@ref) takes. Not verified.
"""
function project_id(session::Session)
    number = Ref{Int64}(0)
    checked(session) do handle
        @status gc_auth_project_id(handle::Ptr{Cvoid}, number::Ptr{Int64})
    end
    return number[]
end

"""
    to_json(session) -> String

The session as JSON, for [`from_json`](@ref). It holds both tokens: keep it secret.
"""
to_json(session::Session) = text_out(session) do handle, buffer, size, needed
    @status gc_auth_to_json(handle::Ptr{Cvoid}, buffer::Ptr{UInt8}, size::Csize_t, needed::Ptr{Csize_t})
end

"""
    session_info(session) -> String
    session_info(f, session)

How the session is shared, as a JSON object without secrets: store, lock, generation, who renewed last, and more.
"""
session_info(session::Session) = text_out(session) do handle, buffer, size, needed
    @status gc_auth_session_info(handle::Ptr{Cvoid}, buffer::Ptr{UInt8}, size::Csize_t, needed::Ptr{Csize_t})
end

session_info(f, session::Session) = f(session_info(session))

"""
    GCAuth.token(session) -> String

The access token as it is, expired or not, without `Bearer `. Never renews.
"""
token(session::Session) = text_out(session) do handle, buffer, size, needed
    @status gc_auth_token(handle::Ptr{Cvoid}, buffer::Ptr{UInt8}, size::Csize_t, needed::Ptr{Csize_t})
end

"""
    GCAuth.refresh_token(session) -> String

The refresh token as it is. Keep it secret; it is good for one use.
"""
refresh_token(session::Session) = text_out(session) do handle, buffer, size, needed
    @status gc_auth_refresh_token(handle::Ptr{Cvoid}, buffer::Ptr{UInt8}, size::Csize_t, needed::Ptr{Csize_t})
end

"""
    GCAuth.token_type(session) -> String

The token type: `"Bearer"`, unless the server's answer said otherwise.
"""
token_type(session::Session) = text_out(session) do handle, buffer, size, needed
    @status gc_auth_token_type(handle::Ptr{Cvoid}, buffer::Ptr{UInt8}, size::Csize_t, needed::Ptr{Csize_t})
end

"""
    GCAuth.env(session) -> String

The name of the environment in use, for example `"prod"`.
"""
env(session::Session) = text_out(session) do handle, buffer, size, needed
    @status gc_auth_env(handle::Ptr{Cvoid}, buffer::Ptr{UInt8}, size::Csize_t, needed::Ptr{Csize_t})
end

"""
    GCAuth.host(session) -> String

The base URL of the environment in use.
"""
host(session::Session) = text_out(session) do handle, buffer, size, needed
    @status gc_auth_host(handle::Ptr{Cvoid}, buffer::Ptr{UInt8}, size::Csize_t, needed::Ptr{Csize_t})
end

# The text that `call` writes into a buffer, which is wiped. Most tokens fit at once; larger arrays are dearer in Julia.
@inline function text_out(call, session::Session, size::Csize_t = Csize_t(1536))
    buffer = Vector{UInt8}(undef, size)
    needed = Ref{Csize_t}(0)
    error = with_handle(handle -> call(handle, buffer, size, needed), session)
    if error === nothing
        text = GC.@preserve buffer unsafe_string(pointer(buffer), needed[] - 1)
        fill!(buffer, 0x00)
        return text
    end
    error isa BufferTooSmall || throw(error)
    return text_out(call, session, needed[])
end
