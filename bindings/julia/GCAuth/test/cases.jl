# The table that the tests of all languages run; its head explains it.

const CASES = joinpath(ROOT, "tests", "cases")

mutable struct Case
    session::Union{Session,Nothing}
    config::String
    bearer::String
end

# The arguments, `nothing` for those that are left out.
function arguments_of(text)
    for (name, value) in ("@HTTPS@" => HTTPS, "@CA@" => "$DIRECTORY/ca.pem", "@DIR@" => DIRECTORY, "@CASES@" => CASES)
        text = replace(text, name => value)
    end
    return Union{String,Nothing}[a == "-" ? nothing : String(a) for a in split(text, '|')]
end

# Makes the call. Gives what is to be compared with the value, or `nothing`.
function make(case, call, text)
    if call == "sandbox"
        path, body = split(text, ' '; limit = 2)
        control("POST", path, body)
        return nothing
    end
    arguments = arguments_of(text)
    argument(n) = n <= length(arguments) ? arguments[n] : nothing
    session = case.session
    if call == "new"
        case.config = argument(1)
        case.session = Session(config = argument(1), token = argument(2), refresh_token = argument(3))
    elseif call == "login"
        login!(session, argument(1), argument(3); password = argument(2), project = argument(4))
    elseif call == "refresh"
        refresh!(session; project = argument(1))
    elseif call == "report-rejected"
        report_rejected!(session, case.bearer)
    elseif call == "logout"
        logout!(session)
    elseif call == "bearer"
        before, case.bearer = case.bearer, bearer(session)
        return case.bearer == before ? "same" : "new"
    elseif call == "env"
        return GCAuth.env(session)
    elseif call == "token-type"
        return GCAuth.token_type(session)
    elseif call == "project-id"
        return string(project_id(session))
    elseif call == "decode-jwt"
        decode_jwt(session, read(argument(1), String))
    elseif call == "export and go on"
        case.session = from_json(to_json(session); config = case.config)
    elseif call == "counter"
        return string(counter(argument(1)))
    else
        error("the table has a call that is not known: $call")
    end
    return nothing
end

# Status, HTTP status, retryable, value, as the table has them.
function outcome(case, call, text)
    try
        value = make(case, call, text)
        return "OK", "0", "0", something(value, "-")
    catch error
        error isa GCAuthError && !(error isa GCAuth.UnknownStatus) || rethrow()
        name = replace(GCAuth.status_name(error), r"^GC_AUTH_" => "")
        return name, string(error.http_status), string(Int(error.retryable)), "-"
    end
end

@testset "cases" begin
    case = Case(nothing, "", "")
    current = ""
    lines = 0
    for line in eachline(joinpath(CASES, "cases.tsv"))
        startswith(line, '#') && continue
        name, call, arguments = split(line, '\t')
        expected = split(line, '\t')[4:end]
        if name != current
            reset_sandbox()
            case = Case(nothing, "", "")
            current = name
        end
        actual = outcome(case, call, arguments)
        # "-" is not compared.
        compared = [e == "-" ? a : e for (e, a) in zip(expected, actual)]
        actual == Tuple(compared) || @error "case \"$name\": $call" arguments expected actual
        @test actual == Tuple(compared)
        lines += 1
    end
    @test lines > 80
end
