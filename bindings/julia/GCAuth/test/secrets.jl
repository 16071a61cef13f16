# Secrets show nowhere, and passwords are taken as they come.

@testset "secrets" begin
    reset_sandbox()

    @testset "a password that can be wiped" begin
        session = Session(config = sandbox_config())
        password = Base.SecretBuffer(PASSWORD)
        @test login!(session, USER, ORGANIZATION; password = password) === session
        @test read(password, String) == PASSWORD # it stays the caller's
        @test login!(session, USER, ORGANIZATION; password = password) === session
        Base.shred!(password)
        @test thrown(() -> login!(session, USER, ORGANIZATION; password = password)) isa GCAuth.InvalidArgument
    end

    @testset "nothing is shown" begin
        session = logged_in()
        secrets = [GCAuth.token(session), GCAuth.refresh_token(session)]
        shown = [repr(session), sprint(print, session), sprint(dump, session), string([session]),
                 sprint(show, MIME("text/plain"), session), session_info(session)]
        control("POST", "faults", """{"on":"any","do":{"echo":{"code":400,"form":"text"}},"times":"forever"}""")
        for f in (() -> login!(session, USER, ORGANIZATION; password = "canary-password"), () -> refresh!(session))
            error = thrown(f)
            @test error isa GCAuthError
            append!(shown, [repr(error), sprint(showerror, error), sprint(dump, error)])
        end
        reset_sandbox()
        for text in shown, secret in ["canary-password"; secrets]
            @test !occursin(secret, text)
        end
    end
end
