"""
What libgcauth's failures have in common. Each status has an exception of its own, and some belong to a kind:

| exception | kind | when |
|---|---|---|
| `InvalidArgument` | | empty where it may not be, a NUL inside, white space in a token, a closed session |
| `InvalidUTF8` | | a string that is not UTF-8 |
| `ConfigError` | | the config is not as expected, or a stored session is another host's |
| `Forked` | | a forked child may not spend its parent's refresh token |
| `NoToken` | `TokenError` | log in first |
| `NoRefreshToken` | `TokenError` | nothing to renew with |
| `TokenExpired` | `TokenError` | expired, and nothing to renew it with; or found so by verification |
| `TokenMalformed`, `ClaimsMalformed` | `TokenError` | not a JWT, or one with an unusable payload |
| `ClaimMissing` | `TokenError` | the claim that was asked for is not there |
| `SignatureInvalid`, `AlgorithmRefused`, `KeyInvalid`, `TokenNotYetValid` | `TokenError` | the token does not verify |
| `Unauthorized` | | the server refused the login or the refresh token |
| `ConnectError` | `NetworkError` | no connection, or it was lost |
| `TimeoutError` | `NetworkError` | the config's `timeout_ms` ran out |
| `TLSError` | `NetworkError` | the certificate or the handshake was refused |
| `InsecureError` | `NetworkError` | plain http to another machine, or a redirect: nothing was sent |
| `RateLimited` | `ResponseError` | HTTP 429 |
| `ServerError` | `ResponseError` | HTTP 5xx |
| `HTTPError` | `ResponseError` | an HTTP status that fits nothing else |
| `ProtocolError` | `ResponseError` | a success that is not what it should be |
| `StoreError` | | the session store could not be read or written |
| `LockTimeout` | | another process held the renewal too long |
| `NoMemory` | | memory sized by input is not there |
| `InternalError`, `BufferTooSmall` | | a bug in libgcauth or in this package |
| `UnknownStatus` | | a status of a later libgcauth |
| `LibraryError` | | libgcauth can't be loaded |

All have these fields:

- `message`: one line that says what failed, where, what the server said, what to do; never a password, token or key.
- `status`: the number in `gcauth.h`; [`GCAuth.status_name`](@ref) has its name.
- `http_status`: the HTTP status of the answer, 0 if there was none.
- `retryable`: whether the same call may succeed later without a change on this side.
- `retry_after`: the seconds that the server asked to wait, or `nothing`.

```julia
try
    login!(session, "ada", "analytical-engines"; password = password)
catch error
    error isa GCAuth.Unauthorized && return ask_again(error.message)
    error isa GCAuthError && error.retryable || rethrow()
    sleep(something(error.retry_after, 1.0))
end
```
"""
abstract type GCAuthError <: Exception end

"The token is not there, not to be renewed, or does not verify. See [`GCAuthError`](@ref)."
abstract type TokenError <: GCAuthError end

"The request did not get to the server, or no answer came back. See [`GCAuthError`](@ref)."
abstract type NetworkError <: GCAuthError end

"The server answered something else than a success or a refusal. See [`GCAuthError`](@ref)."
abstract type ResponseError <: GCAuthError end

# The statuses of gcauth.h; a test compares.
const STATUSES = (
    (:GC_AUTH_ERR_INVALID_ARGUMENT, 1, :InvalidArgument, :GCAuthError),
    (:GC_AUTH_ERR_INVALID_UTF8, 2, :InvalidUTF8, :GCAuthError),
    (:GC_AUTH_ERR_BUFFER_TOO_SMALL, 3, :BufferTooSmall, :GCAuthError),
    (:GC_AUTH_ERR_CONFIG, 4, :ConfigError, :GCAuthError),
    (:GC_AUTH_ERR_FORKED, 5, :Forked, :GCAuthError),
    (:GC_AUTH_ERR_NO_TOKEN, 20, :NoToken, :TokenError),
    (:GC_AUTH_ERR_NO_REFRESH_TOKEN, 21, :NoRefreshToken, :TokenError),
    (:GC_AUTH_ERR_TOKEN_EXPIRED, 22, :TokenExpired, :TokenError),
    (:GC_AUTH_ERR_TOKEN_MALFORMED, 23, :TokenMalformed, :TokenError),
    (:GC_AUTH_ERR_CLAIMS_MALFORMED, 24, :ClaimsMalformed, :TokenError),
    (:GC_AUTH_ERR_CLAIM_MISSING, 25, :ClaimMissing, :TokenError),
    (:GC_AUTH_ERR_SIGNATURE_INVALID, 26, :SignatureInvalid, :TokenError),
    (:GC_AUTH_ERR_ALGORITHM_REFUSED, 27, :AlgorithmRefused, :TokenError),
    (:GC_AUTH_ERR_KEY_INVALID, 28, :KeyInvalid, :TokenError),
    (:GC_AUTH_ERR_TOKEN_NOT_YET_VALID, 29, :TokenNotYetValid, :TokenError),
    (:GC_AUTH_ERR_UNAUTHORIZED, 30, :Unauthorized, :GCAuthError),
    (:GC_AUTH_ERR_CONNECT, 40, :ConnectError, :NetworkError),
    (:GC_AUTH_ERR_TIMEOUT, 41, :TimeoutError, :NetworkError),
    (:GC_AUTH_ERR_TLS, 42, :TLSError, :NetworkError),
    (:GC_AUTH_ERR_INSECURE, 43, :InsecureError, :NetworkError),
    (:GC_AUTH_ERR_HTTP, 60, :HTTPError, :ResponseError),
    (:GC_AUTH_ERR_RATE_LIMITED, 61, :RateLimited, :ResponseError),
    (:GC_AUTH_ERR_SERVER, 62, :ServerError, :ResponseError),
    (:GC_AUTH_ERR_PROTOCOL, 63, :ProtocolError, :ResponseError),
    (:GC_AUTH_ERR_STORE, 80, :StoreError, :GCAuthError),
    (:GC_AUTH_ERR_LOCK_TIMEOUT, 81, :LockTimeout, :GCAuthError),
    (:GC_AUTH_ERR_NO_MEMORY, 98, :NoMemory, :GCAuthError),
    (:GC_AUTH_ERR_INTERNAL, 99, :InternalError, :GCAuthError),
)

const OK = Int32(0)
const BUFFER_TOO_SMALL = Int32(3)

# A status of a later library, and a failure that is no status of the library.
const NO_STATUS = Int32(-1)

for (type, kind, doc) in (
    ((type, kind, "`$name` of gcauth.h, see [`GCAuthError`](@ref).") for (name, _, type, kind) in STATUSES)...,
    (:UnknownStatus, :GCAuthError, "A status that this package does not know, see [`GCAuthError`](@ref)."),
    (:LibraryError, :GCAuthError, "libgcauth can't be loaded; `status` is -1. See [`GCAuthError`](@ref)."),
)
    @eval begin
        struct $type <: $kind
            message::String
            status::Int32
            http_status::Int
            retryable::Bool
            retry_after::Union{Float64,Nothing}
        end
        @doc $doc $type
    end
end

const TYPES = Dict{Int32,DataType}(code => getfield(GCAuth, type) for (_, code, type, _) in STATUSES)

InvalidArgument(message) = InvalidArgument(message, 1, 0, false, nothing)
ConfigError(message) = ConfigError(message, 4, 0, false, nothing)
LibraryError(message) = LibraryError(message, NO_STATUS, 0, false, nothing)

Base.showerror(io::IO, error::GCAuthError) = print(io, typeof(error), ": ", error.message)
