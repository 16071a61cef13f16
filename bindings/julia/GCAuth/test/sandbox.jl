# The sandbox, and what the tests share.

const HTTPS = ENV["GCAUTH_SANDBOX_HTTPS"]
const DIRECTORY = ENV["GCAUTH_SANDBOX_DIR"]
const USER = "ada"
const PASSWORD = "lovelace"
const ORGANIZATION = "analytical-engines"

# A config that leads to the sandbox, with more members after it.
sandbox_config(more = "") =
    """{"env":"sandbox","environments":{"sandbox":{"host":"$HTTPS"}},"ca_file":"$DIRECTORY/ca.pem"$more}"""

# The body of the control endpoint's answer.
function control(method, path, body = "")
    address = match(r"^http://([^:/]+):(\d+)(/.*)$", ENV["GCAUTH_SANDBOX_CONTROL"])
    connection = connect(parse(IPAddr, address[1]), parse(Int, address[2]))
    write(connection, """$method $(address[3])/$path HTTP/1.1\r
                         Host: $(address[1]):$(address[2])\r
                         Connection: close\r
                         Content-Length: $(sizeof(body))\r
                         \r
                         $body""")
    answer = read(connection, String)
    close(connection)
    head, content = split(answer, "\r\n\r\n"; limit = 2)
    startswith(head, r"HTTP/1\.1 2\d\d ") || error("$method /sandbox/$path: $answer")
    return String(content)
end

# An integer of a JSON object.
integer(json, name) = parse(Int, match(Regex("\"$name\":(-?[0-9]+)"), json)[1])

counter(name) = integer(control("GET", "counters"), name)

function reset_sandbox()
    control("POST", "reset")
    control("DELETE", "faults")
end

# Polls, as slowly as the machine may be.
function wait_until(condition)
    while !condition()
        sleep(0.02)
    end
end

# A session that is logged in at the sandbox.
function logged_in(more = ""; keywords...)
    session = Session(config = sandbox_config(more))
    return login!(session, USER, ORGANIZATION; password = PASSWORD, keywords...)
end

# The exception that `f` throws.
function thrown(f)
    try
        f()
    catch error
        return error
    end
    return nothing
end

# A JWT with this payload, whose signature nobody checks.
function jwt(payload)
    encode(text) = replace(replace(rstrip(base64encode(text), '='), '+' => '-'), '/' => '_')
    return string(encode("""{"alg":"RS256"}"""), ".", encode(payload), ".", encode("signature"))
end

# Another Julia, in the environment of this one.
julia(arguments...) = `$(Base.julia_cmd()) --startup-file=no --project=$(Base.active_project()) $arguments`
