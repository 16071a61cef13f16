# Runs beside a sandbox: see bindings/julia/check.
using Base64
using Dates
using GCAuth
using Serialization
using Sockets
using Test

haskey(ENV, "GCAUTH_SANDBOX_CONTROL") || error("these tests need a sandbox beside them: run bindings/julia/check")
# Julia 1.5 takes no more threads than there are cores, whatever it is told.
Threads.nthreads() >= 2 || error("these tests need threads: julia --threads=4")

# Not in a command literal, where @__DIR__ is another directory.
const PACKAGE = dirname(@__DIR__)
const ROOT = normpath(joinpath(PACKAGE, "..", "..", ".."))

include("sandbox.jl")

@testset "GCAuth" begin
    include("header.jl")
    include("cases.jl")
    include("sessions.jl")
    include("secrets.jl")
    include("concurrency.jl")
    include("processes.jl")
    include("readme.jl")
end
