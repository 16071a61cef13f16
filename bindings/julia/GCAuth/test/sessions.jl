# What sessions do beyond the table of cases.

@testset "sessions" begin
    reset_sandbox()

    @testset "texts" begin
        session = logged_in(project = "genomes")
        @test startswith(bearer(session), "Bearer ")
        @test bearer(session) == "Bearer " * GCAuth.token(session)
        @test auth_header(session) == ("Authorization" => bearer(session))
        @test [auth_header(session), "Accept" => "application/json"] isa Vector{Pair{String,String}}
        @test !isempty(GCAuth.refresh_token(session))
        @test GCAuth.host(session) == HTTPS
        @test GCAuth.library_version() >= v"0.1.0"

        json = claims(session)
        @test startswith(json, "{\"iss\":") && unix2datetime(integer(json, "exp")) === expires_at(session)
        @test now(UTC) < expires_at(session) < now(UTC) + Hour(2)
        @test claims(text -> integer(text, "project_id"), session) == 9007199254740993
        @test session_info(text -> integer(text, "generation"), session) == 1
        @test project_id(session) === Int64(9007199254740993)

        exported = to_json(session)
        other = from_json(exported; config = sandbox_config())
        @test to_json(other) == exported
        @test bearer(other) == bearer(session)
        elsewhere = """{"env":"sandbox","environments":{"sandbox":{"host":"http://127.0.0.1:1"}}}"""
        @test thrown(() -> from_json(exported; config = elsewhere)) isa GCAuth.ConfigError
    end

    @testset "verification" begin
        session = logged_in(""","jwks_url":"$HTTPS/.well-known/jwks.json" """)
        key = read(joinpath(DIRECTORY, "public.pem"), String)
        @test decode_jwt(session, key) == claims(session) == verify(session)
        @test decode_jwt(sizeof, session, key) == verify(sizeof, session) == sizeof(claims(session))
        @test thrown(() -> decode_jwt(session, "")) isa GCAuth.InvalidArgument
        @test thrown(() -> verify(logged_in())) isa GCAuth.ConfigError
    end

    @testset "tokens from elsewhere" begin
        token = jwt("""{"project_id":9223372036854775807,"sub":"Åda ✓"}""")
        session = Session(config = sandbox_config(), token = token)
        @test GCAuth.token(session) == token
        @test project_id(session) === typemax(Int64)
        @test claims(session) == """{"project_id":9223372036854775807,"sub":"Åda ✓"}"""
        @test expires_at(session) === nothing
        @test GCAuth.env(Session(config = sandbox_config(), env = "dev")) == "dev"

        # Of each size around that of the buffer, and far larger.
        for size in [1500:1600; 1_000_000]
            opaque = "x"^size
            session = Session(config = sandbox_config(), token = opaque)
            @test GCAuth.token(session) == opaque
            @test bearer(session) == "Bearer " * opaque
        end
    end

    @testset "a bearer that was refused" begin
        session = logged_in()
        header = auth_header(session)
        @test report_rejected!(session, header) === session
        @test auth_header(session) != header
        old = bearer(session)
        report_rejected!(session, old)
        @test bearer(session) != old
    end

    @testset "errors" begin
        reset_sandbox()
        session = Session(config = sandbox_config())
        control("POST", "faults",
                """{"on":"login","do":{"status":{"code":429,"headers":{"Retry-After":"3600"}}},"times":"forever"}""")
        busy = thrown(() -> login!(session, USER, ORGANIZATION; password = PASSWORD))
        @test busy isa GCAuth.RateLimited && busy isa GCAuth.ResponseError && busy isa GCAuthError
        @test (busy.status, busy.http_status, busy.retryable, busy.retry_after) == (61, 429, true, 3600.0)
        @test GCAuth.status_name(busy) == "GC_AUTH_ERR_RATE_LIMITED"
        reset_sandbox()

        refused = thrown(() -> login!(session, USER, ORGANIZATION; password = "babbage"))
        @test refused isa GCAuth.Unauthorized
        @test (refused.status, refused.http_status, refused.retryable, refused.retry_after) == (30, 401, false, nothing)
        @test sprint(showerror, refused) == "GCAuth.Unauthorized: " * refused.message
        @test occursin("wrong password", refused.message)

        none = thrown(() -> bearer(session))
        @test none isa GCAuth.NoToken && none isa GCAuth.TokenError
        down = """{"env":"e","environments":{"e":{"host":"http://127.0.0.1:1"}},"retries":0}"""
        unreachable = thrown(() -> login!(Session(config = down), USER, ORGANIZATION; password = PASSWORD))
        @test unreachable isa GCAuth.ConnectError && unreachable isa GCAuth.NetworkError && unreachable.retryable

        @test GCAuth.failure(Int32(77)) isa GCAuth.UnknownStatus # of a later library
    end

    @testset "strings that C can't take" begin
        session = Session(config = sandbox_config())
        nul = "secret\0secret"
        for f in (
            () -> Session(config = nul),
            () -> Session(config = sandbox_config(), token = nul),
            () -> Session(config = sandbox_config(), refresh_token = nul),
            () -> Session(config = sandbox_config(), env = nul),
            () -> from_json(nul),
            () -> login!(session, nul, ORGANIZATION; password = PASSWORD),
            () -> login!(session, USER, nul; password = PASSWORD),
            () -> login!(session, USER, ORGANIZATION; password = nul),
            () -> login!(session, USER, ORGANIZATION; password = PASSWORD, project = nul),
            () -> refresh!(session; project = nul),
            () -> report_rejected!(session, nul),
            () -> decode_jwt(session, nul),
            () -> Base.shred!(p -> login!(session, USER, ORGANIZATION; password = p), Base.SecretBuffer(nul)),
        )
            error = thrown(f)
            @test error isa GCAuth.InvalidArgument
            @test occursin("NUL", error.message) && !occursin("secret", error.message)
        end

        @test thrown(() -> login!(session, "\xff", ORGANIZATION; password = PASSWORD)) isa GCAuth.InvalidUTF8
        @test thrown(() -> login!(session, "", ORGANIZATION; password = PASSWORD)) isa GCAuth.InvalidArgument
        # No error of ours, and nothing is cut off on the way.
        reset_sandbox()
        @test thrown(() -> login!(session, "Åda ✓", ORGANIZATION; password = PASSWORD)).http_status == 404
        @test occursin("Åda ✓", control("GET", "requests"))
        @test login!(session, SubString("xada", 2), ORGANIZATION; password = SubString("lovelacex", 1, 8)) === session
    end

    @testset "the end of a session" begin
        session = logged_in()
        @test isopen(session)
        close(session)
        close(session)
        @test !isopen(session)
        @test repr(session) == "Session(closed)"
        for f in (
            () -> login!(session, USER, ORGANIZATION; password = PASSWORD),
            () -> refresh!(session),
            () -> report_rejected!(session, "Bearer x"),
            () -> logout!(session),
            () -> bearer(session),
            () -> expires_at(session),
            () -> claims(session),
            () -> project_id(session),
            () -> to_json(session),
        )
            error = thrown(f)
            @test error isa GCAuth.InvalidArgument && occursin("closed", error.message)
        end

        kept = Session(config = sandbox_config()) do session
            @test isopen(session)
            session
        end
        @test !isopen(kept)
        @test thrown(() -> Session(session -> error("out"), config = sandbox_config())) isa ErrorException

        session = logged_in()
        @test deepcopy(session) === session
        for held in (session, [session], Dict(:a => (session,)), () -> session)
            refused = thrown(() -> serialize(IOBuffer(), held))
            @test refused isa GCAuth.InvalidArgument
            @test occursin("another Julia process; hand it on by to_json() and from_json()", refused.message)
        end
        @test isopen(session) && startswith(bearer(session), "Bearer ")
    end

    @testset "the config" begin
        lab = Dict("env" => "lab", "environments" => Dict("lab" => Dict("host" => "https://lab.example")),
                   "ca_file" => nothing, "retries" => 0, "allow_http" => false,
                   "claims" => Dict("project_id" => ["a.b", "Åb\"\\\n\u1"]))
        @test GCAuth.host(Session(config = lab)) == "https://lab.example"
        @test GCAuth.host(Session(config = (env = "lab", environments = (lab = (host = "https://lab.example",),),
                                            renew_before_s = 60.0))) == "https://lab.example"
        @test GCAuth.env(Session(config = Dict(), env = "dev")) == "dev"
        @test GCAuth.json_text(Dict("a" => [1, 2.5, true, "\"\\\n", :b, missing, Dict()])) ==
            "{\"a\":[1,2.5,true,\"\\\"\\\\\\u000a\",\"b\",null,{}]}"
        unknown = thrown(() -> Session(config = Dict("retrys" => 5)))
        @test unknown isa GCAuth.ConfigError && occursin("retries", unknown.message)
        for (config, words) in (Dict("retries" => NaN) => "NaN", Dict(1 => 2) => "Int64", Dict("env" => 'c') => "Char")
            refused = thrown(() -> Session(config = config))
            @test refused isa GCAuth.ConfigError && refused.status == 4 && occursin(words, refused.message)
        end

        file = joinpath(DIRECTORY, "config.json")
        @test GCAuth.host(Session(config_file = file)) == HTTPS
        nowhere = thrown(() -> Session(config_file = "/nowhere/config.json"))
        @test nowhere isa GCAuth.ConfigError
        @test nowhere.message == "config_file: can't read /nowhere/config.json: No such file or directory"
        @test thrown(() -> Session(config = "{}", config_file = file)) isa GCAuth.InvalidArgument
        exported = to_json(logged_in())
        @test to_json(from_json(exported; config_file = file)) == exported
    end

    @testset "who, and until when" begin
        dev(; keywords...) = repr(Session(; config = "{}", env = "dev", keywords...))
        start = "Session(env = \"dev\", host = \"https://auth-apidev.genomcore.net/api/v1\", "
        @test dev() == start * "not logged in)"
        @test dev(token = "opaque") == dev(refresh_token = "refresh") == start * "user = unknown)"
        payload = """{"aud":["sub","x"],"o":{"sub":"inner","exp":1},"sub":"ada \\"\\u0007","exp":4102444800}"""
        @test dev(token = jwt(payload)) == start * "user = \"ada \\\"\\u0007\", until = 2100-01-01T00:00:00 UTC)"
        @test dev(token = jwt("""{"sub":7,"email":null}""")) == start * "user = 7)"
        session = logged_in()
        @test repr(session) == string(session) ==
            "Session(env = \"sandbox\", host = \"$HTTPS\", user = \"ada\", until = $(expires_at(session)) UTC)"
        @test endswith(repr(logout!(session)), ", not logged in)")
        @test endswith(repr(Session(config = Dict("store" => "file:/nowhere/at/all"))), ", StoreError)")
    end

    @testset "a bearer that is good for some time, and files" begin
        reset_sandbox()
        session = logged_in()
        old = bearer(session)
        @test bearer_valid_for(session, 60) == old
        @test thrown(() -> bearer_valid_for(session, -1)) isa GCAuth.InvalidArgument
        mktempdir() do directory
            path = joinpath(directory, "token")
            @test write_token_file(session, path, "wlcg") === session
            @test strip(read(path, String)) == GCAuth.token(session)
            @test filemode(path) & 0o777 == 0o600
            @test thrown(() -> write_token_file(session, path, "other")) isa GCAuth.InvalidArgument
        end
    end
end
