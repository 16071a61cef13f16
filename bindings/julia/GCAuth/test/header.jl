# The package says what include/gcauth.h says.

@testset "header" begin
    header = read(joinpath(ROOT, "include", "gcauth.h"), String)

    in_header = Dict(Symbol(m[1]) => parse(Int, m[2]) for m in eachmatch(r"^#define (GC_AUTH_ERR_\w+) (\d+)$"m, header))
    @test length(in_header) > 20
    @test in_header == Dict(name => code for (name, code, _, _) in GCAuth.STATUSES)
    @test occursin(Regex("^#define GC_AUTH_OK $(GCAuth.OK)\$", "m"), header)
    @test in_header[:GC_AUTH_ERR_BUFFER_TOO_SMALL] == GCAuth.BUFFER_TOO_SMALL
    @test length(GCAuth.TYPES) == length(in_header)

    # What an exception has already, what `library_version` gives in another form, and the log: calls run where the garbage
    # collector does not wait for them, and there no Julia code may be called.
    not_needed = (:gc_auth_last_error_status, :gc_auth_version_number, :gc_auth_set_log)
    functions = Set(Symbol(m[1]) for m in eachmatch(r"^[a-z].*?\b(gc_auth_\w+)\("m, header))
    @test length(functions) > 20
    @test functions == Set([GCAuth.FUNCTIONS..., not_needed...])
end

@testset "documentation" begin
    documented = Docs.meta(GCAuth)
    for name in names(GCAuth)
        @test haskey(documented, Docs.Binding(GCAuth, name))
    end
    table = string(@doc GCAuthError)
    for (_, _, type, _) in GCAuth.STATUSES
        @test occursin("$type", table)
        @test haskey(documented, Docs.Binding(GCAuth, type))
    end
end
