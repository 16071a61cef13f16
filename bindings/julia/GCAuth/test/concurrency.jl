# Tasks and threads.

# Runs `f(i)` for each `i` in a task of its own, on whatever threads there are.
in_tasks(f, n) = foreach(wait, [Threads.@spawn f(i) for i in 1:n])

isfreed(session) = session.uses[] == GCAuth.CLOSED | GCAuth.FREED

@testset "concurrency" begin
    reset_sandbox()

    @testset "an error is that of its call" begin
        in_order = logged_in()
        key = read(joinpath(DIRECTORY, "public.pem"), String)
        mixed_up = Threads.Atomic{Int}(0)
        expect(type, words, f) = begin
            error = thrown(f)
            right = typeof(error) == type && occursin(words, error.message)
            right || Threads.atomic_add!(mixed_up, 1)
        end
        function hammer(i)
            nowhere = """{"host":"http://127.0.0.1:1/e$i"}"""
            down = Session(config = """{"env":"e$i","environments":{"e$i":$nowhere},"retries":0}""")
            for round in 1:60
                kind = (i + round) % 6
                kind == 0 && expect(GCAuth.ConfigError, ", e$i-$round, ", () -> Session(
                    config = """{"environments":{"e$i-$round":{"host":"http://127.0.0.1:1"}}}""", env = "nowhere"))
                kind == 1 && expect(GCAuth.NoToken, "log in", () -> bearer(down))
                kind == 2 && expect(GCAuth.ConnectError, "/e$i/",
                                    () -> login!(down, USER, ORGANIZATION; password = PASSWORD))
                kind == 3 && expect(GCAuth.KeyInvalid, "", () -> decode_jwt(in_order, "no key"))
                kind == 4 && expect(GCAuth.ClaimMissing, "", () -> project_id(in_order))
                kind == 5 && (decode_jwt(in_order, key) == claims(in_order) || Threads.atomic_add!(mixed_up, 1))
                # Sessions that nobody holds any more are freed by the collector in the midst of all this.
                Session(config = sandbox_config())
                round % 20 == 0 && i % 8 == 0 && GC.gc(false)
                round % 5 == 0 && yield()
            end
        end
        in_tasks(hammer, 48)
        foreach(wait, [@async hammer(i) for i in 1:16])
        @test mixed_up[] == 0
    end

    @testset "one renewal for all" begin
        reset_sandbox()
        session = logged_in()
        old = bearer(session)
        bearers = Vector{String}(undef, 64)
        in_tasks(64) do i
            report_rejected!(session, old)
            bearers[i] = bearer(session)
        end
        @test old != bearers[1] && all(==(bearers[1]), bearers)
        @test counter("refreshes") == 1
        @test counter("reuses") == 0
    end

    @testset "bearers while the session changes" begin
        session = logged_in()
        wrong = Threads.Atomic{Int}(0)
        in_tasks(24) do i
            for round in 1:50
                if i == 1 && round % 10 == 0
                    refresh!(session)
                elseif i == 2 && round % 10 == 0
                    thrown(() -> login!(session, USER, ORGANIZATION; password = "wrong")) isa GCAuth.Unauthorized ||
                        Threads.atomic_add!(wrong, 1)
                else
                    occursin(r"^Bearer [\w-]+\.[\w-]+\.[\w-]+$", bearer(session)) || Threads.atomic_add!(wrong, 1)
                end
            end
        end
        @test wrong[] == 0
        @test counter("reuses") == 0
    end

    @testset "a session that is closed under its users" begin
        token = "x"^700
        for _ in 1:200
            session = Session(config = sandbox_config(), token = token)
            started = Threads.Atomic{Int}(0)
            tasks = map(1:4) do _
                Threads.@spawn begin
                    Threads.atomic_add!(started, 1)
                    thrown() do
                        while true
                            bearer(session) == "Bearer " * token || error("not the bearer")
                            yield()
                        end
                    end
                end
            end
            while started[] == 0
                yield()
            end
            close(session)
            for task in tasks
                error = fetch(task)
                error isa GCAuth.InvalidArgument && occursin("closed", error.message) || @test error === nothing
            end
            isfreed(session) || @test isfreed(session)
        end
        @test true
    end

    @testset "the collector does not wait for the server" begin
        reset_sandbox()
        session = Session(config = sandbox_config(""","timeout_ms":120000"""))
        control("POST", "faults", """{"on":"login","do":{"hold":{"at":"before-processing"}}}""")
        collected = Ref(false)
        # Static, so that the two are sure to be on two threads.
        Threads.@threads :static for thread in 1:Threads.nthreads()
            if thread == 1
                wait_until(() -> integer(control("GET", "held"), "held") == 1)
                GC.gc()
                collected[] = true
                control("POST", "release")
            elseif thread == 2
                login!(session, USER, ORGANIZATION; password = PASSWORD)
            end
        end
        @test collected[]
        @test startswith(bearer(session), "Bearer ")
    end
end
