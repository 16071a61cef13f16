# What bindings/julia/README.md shows is what happens.

@testset "README" begin
    reset_sandbox()
    readme = read(joinpath(PACKAGE, "..", "README.md"), String)
    examples = normpath(joinpath(PACKAGE, "..", "examples"))
    root = normpath(joinpath(PACKAGE, "..", "..", ".."))
    section = split(readme, "## A first login\n")[2]
    block(language) = match(Regex("```$language\n(.*?)```", "s"), section)[1]

    @test block("julia") == read(joinpath(examples, "first_login.jl"), String)

    # The printed session: each command with what it printed. Ports differ from run to run.
    without_ports(text) = replace(text, r"127\.0\.0\.1:\d+" => "127.0.0.1:PORT")
    commands = split(block("console"), r"^\$ "m; keepempty = false)
    @test length(commands) == 3
    mktempdir() do bin
        write(joinpath(bin, "julia"), "#!/bin/sh\nexec $(Base.shell_escape(julia())) \"\$@\"\n")
        chmod(joinpath(bin, "julia"), 0o755)
        environment = merge(Dict(ENV), Dict("PATH" => "$bin:$(ENV["PATH"])"))
        for text in commands
            command, printed = split(text, '\n'; limit = 2)
            startswith(command, "export GCAUTH_CONFIG=") && continue # the tests' sandbox is another one
            process = ignorestatus(setenv(`bash -c "{ $command; } 2>&1"`, environment; dir = root))
            output = read(process, String)
            @test without_ports(output) == without_ports(printed)
        end
    end
end
