const FUNCTIONS = (
    :gc_auth_new,
    :gc_auth_from_json,
    :gc_auth_login,
    :gc_auth_refresh,
    :gc_auth_report_rejected,
    :gc_auth_logout,
    :gc_auth_free,
    :gc_auth_bearer,
    :gc_auth_bearer_valid_for,
    :gc_auth_token,
    :gc_auth_refresh_token,
    :gc_auth_token_type,
    :gc_auth_env,
    :gc_auth_host,
    :gc_auth_decoded_token,
    :gc_auth_decode_jwt,
    :gc_auth_verify,
    :gc_auth_project_id,
    :gc_auth_to_json,
    :gc_auth_session_info,
    :gc_auth_write_token_file,
    :gc_auth_last_error_message,
    :gc_auth_last_error_http_status,
    :gc_auth_last_error_retry_after_ms,
    :gc_auth_last_error_is_retryable,
    :gc_auth_status_name,
    :gc_auth_version_string,
)

# Where the functions are. Known when the package is loaded, not when it is precompiled, so not constants.
const ADDRESSES = NamedTuple{FUNCTIONS}(Tuple(Ref(C_NULL) for _ in FUNCTIONS))
const LOADED = Ref(false)
const LOADING = ReentrantLock()

# Loads the library that the environment variable GCAUTH_LIBRARY names, or else the one that the system finds.
function load()
    lock(LOADING) do
        LOADED[] && return
        path = get(ENV, "GCAUTH_LIBRARY", "")
        advice = "install libgcauth, or set the environment variable GCAUTH_LIBRARY to the path of libgcauth.so"
        library = try
            # Julia's default flags have RTLD_DEEPBIND, which keeps symbols of Julia's own libraries away from it.
            Libdl.dlopen(isempty(path) ? "libgcauth.so.0" : path)
        catch error
            error isa ErrorException || rethrow()
            throw(LibraryError("$(replace(error.msg, '\n' => ": ")); $advice"))
        end
        for name in FUNCTIONS
            address = Libdl.dlsym(library, name; throw_error = false)
            address === nothing && throw(LibraryError(
                "$(Libdl.dlpath(library)) has no $name, so it is no libgcauth, or too old a one; $advice"))
            ADDRESSES[name][] = address
        end
        LOADED[] = true
    end
    return
end

# @status gc_auth_name(value::Type, ...): calls, and gives `nothing` or the exception.
#
# What the library says of a failure belongs to the thread and lasts until the next call, so it is fetched before
# anything can give the thread to another task: between the calls there is no I/O, no lock, no wait. Finalizers may run
# there; ours calls gc_auth_free() at most, which leaves the last error alone.
#
# A call may wait for the network, and meanwhile the garbage collector must not wait for this thread.
macro status(call)
    address = :(ADDRESSES.$(call.args[1])[])
    arguments = call.args[2:end]
    types = [esc(argument.args[2]) for argument in arguments]
    values = [gensym("value") for _ in arguments]
    raw = [gensym("raw") for _ in arguments]
    convert = [:($v = Base.cconvert($t, $(esc(a.args[1])))) for (v, t, a) in zip(values, types, arguments)]
    unsafe_convert = [:($r = Base.unsafe_convert($t, $v)) for (r, t, v) in zip(raw, types, values)]
    quote
        address = $address
        $(convert...)
        GC.@preserve $(values...) begin
            $(unsafe_convert...)
            gc_state = ccall(:jl_gc_safe_enter, Int8, ())
            status = ccall(address, Int32, ($(types...),), $(raw...))
            ccall(:jl_gc_safe_leave, Cvoid, (Int8,), gc_state)
        end
        status == OK ? nothing : failure(status)
    end
end

@noinline function failure(status::Int32)
    http_status = ccall(ADDRESSES.gc_auth_last_error_http_status[], Int32, ())
    retryable = ccall(ADDRESSES.gc_auth_last_error_is_retryable[], Int32, ()) != 0
    retry_after_ms = ccall(ADDRESSES.gc_auth_last_error_retry_after_ms[], Int64, ())
    message = unsafe_string(ccall(ADDRESSES.gc_auth_last_error_message[], Cstring, ()))
    retry_after = retry_after_ms < 0 ? nothing : retry_after_ms / 1000
    return get(TYPES, status, UnknownStatus)(message, status, http_status, retryable, retry_after)
end

# A string that can be given to C. Base would refuse a NUL as well, and show the string, which may be a secret.
function c_string(what, text::AbstractString)
    string = String(text)
    any(iszero, codeunits(string)) && throw(InvalidArgument("$what: has a NUL character inside"))
    return string
end

# Where the library lets something be absent, it takes an empty string for that.
c_string(what, ::Nothing) = ""

"""
    GCAuth.status_name(error::GCAuthError) -> String

The name of the error's status in `gcauth.h`, for example `"GC_AUTH_ERR_TIMEOUT"`.
"""
function status_name(error::GCAuthError)
    LOADED[] || return "unknown status"
    return unsafe_string(ccall(ADDRESSES.gc_auth_status_name[], Cstring, (Int32,), error.status))
end

"""
    GCAuth.library_version() -> VersionNumber

The version of the libgcauth that is in use.
"""
function library_version()
    load()
    return VersionNumber(unsafe_string(ccall(ADDRESSES.gc_auth_version_string[], Cstring, ())))
end
