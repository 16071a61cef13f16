# What takes a process of its own.

# Standard output of Julia code in a process of its own; a failure of that is a failure of the test.
function output_of(code, environment...; arguments = String[])
    output, errors = IOBuffer(), IOBuffer()
    # addenv() is of Julia 1.6.
    command = setenv(julia("-e", code, arguments...), merge(Dict(ENV), Dict(environment)))
    process = run(pipeline(ignorestatus(command); stdout = output, stderr = errors))
    success(process) || @error "a process failed" output = String(take!(errors))
    @test success(process)
    return String(take!(output))
end

@testset "processes" begin
    reset_sandbox()

    @testset "where the library is" begin
        attempt = """
            using GCAuth
            try
                Session()
            catch error
                println(nameof(typeof(error)), ' ', error.status, ' ', error.message)
            end
            """
        missing_one = output_of(attempt, "GCAUTH_LIBRARY" => "/nowhere/libgcauth.so")
        @test startswith(missing_one, "LibraryError -1 ")
        @test occursin("/nowhere/libgcauth.so", missing_one) && occursin("GCAUTH_LIBRARY", missing_one)
        another = output_of(attempt, "GCAUTH_LIBRARY" => "libm.so.6")
        @test startswith(another, "LibraryError -1 ") && occursin("has no gc_auth_new", another)

        # By the system's search path; and late, by the variable, after it was not found.
        library = realpath(ENV["GCAUTH_LIBRARY"])
        mktempdir() do directory
            symlink(library, joinpath(directory, "libgcauth.so.0"))
            path = string(directory, ':', get(ENV, "LD_LIBRARY_PATH", ""))
            code = "using GCAuth; print(repr(Session()))"
            @test startswith(output_of(code, "GCAUTH_LIBRARY" => "", "LD_LIBRARY_PATH" => path), "Session(env")
        end
        code = "using GCAuth; ENV[\"GCAUTH_LIBRARY\"] = ARGS[1]; print(GCAuth.library_version())"
        @test output_of(code, "GCAUTH_LIBRARY" => "/nowhere"; arguments = [library]) == "$(GCAuth.library_version())"
    end

    @testset "processes that share a store" begin
        reset_sandbox()
        mktempdir() do directory
            store = ",\"store\":\"file:$directory/session\""
            session = logged_in(store)
            # No login, no password: the stored session is everybody's.
            code = """
                using GCAuth
                session = Session(config = ARGS[1])
                println(bearer(session))
                readline()
                report_rejected!(session, bearer(session))
                println(bearer(session))
                readline()
                """
            workers = [open(julia("-e", code, sandbox_config(store)), "r+") for _ in 1:2]
            old = bearer(session)
            @test readline.(workers) == [old, old]
            println.(workers)
            new = readline.(workers)
            println.(workers)
            @test all(success, workers)
            @test new[1] == new[2] != old
            @test counter("refreshes") == 1
            @test counter("reuses") == 0

            report_rejected!(session, old)
            @test bearer(session) == new[1]
            @test counter("refreshes") == 1
        end
    end

    @testset "asking for the password" begin
        reset_sandbox()
        code = """
            using GCAuth
            session = login!(Session(), "ada", "analytical-engines"; project = "genomes")
            println("logged in: ", project_id(session))
            """
        # A terminal, on which everything that is echoed would show. Prompts are flushed after echo is off.
        command = Base.shell_escape(julia("-e", code))
        terminal = open(`script --quiet --return --echo always --command $command /dev/null`, "r+")
        shown = readuntil(terminal, "Password of ada: "; keep = true)
        @test endswith(shown, "Password of ada: ")
        println(terminal, PASSWORD)
        shown *= read(terminal, String)
        @test occursin("logged in: 9007199254740993", shown)
        @test !occursin(PASSWORD, shown)

        no_terminal = output_of("""
            using GCAuth
            try
                login!(Session(), "ada", "analytical-engines")
            catch error
                print(error.message)
            end
            """)
        @test occursin("no terminal", no_terminal)
    end

    @testset "a panic in the library is an error" begin
        mktempdir() do directory
            clock = joinpath(directory, "failing_clock.so")
            run(`cc -shared -fPIC -O1 -o $clock $PACKAGE/test/failing_clock.c -ldl`)
            code = """
                using Libdl
                # As Julia's packages don't: so that its symbols are looked for in Julia's own libraries first.
                dlopen(ENV["GCAUTH_LIBRARY"], RTLD_NOW)
                using GCAuth
                const fail_reading = dlsym(dlopen(ARGS[1]), :fail_reading)
                session = login!(Session(), "ada", "analytical-engines"; password = "lovelace")
                panics = 0
                for n in 1:40
                    ccall(fail_reading, Cvoid, (Cint,), n)
                    try
                        refresh!(session)
                    catch error
                        error isa GCAuth.InternalError && (global panics += 1)
                    end
                    ccall(fail_reading, Cvoid, (Cint,), 0)
                end
                login!(session, "ada", "analytical-engines"; password = "lovelace")
                println(panics > 0, ' ', startswith(bearer(session), "Bearer "))
                """
            @test output_of(code, "LD_PRELOAD" => clock, "RUST_BACKTRACE" => "0"; arguments = [clock]) == "true true\n"
        end
    end
end
