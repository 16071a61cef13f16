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
        @test startswith(json, "{\"iss\":") && integer(json, "exp") == expires_at(session)
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
        # Elsewhere a pointer is worth nothing, so what arrives is closed.
        wire = IOBuffer()
        serialize(wire, session)
        arrived = deserialize(seekstart(wire))
        @test !isopen(arrived)
        @test thrown(() -> bearer(arrived)) isa GCAuth.InvalidArgument
        @test close(arrived) === nothing
        @test isopen(session) && startswith(bearer(session), "Bearer ")
    end
end
