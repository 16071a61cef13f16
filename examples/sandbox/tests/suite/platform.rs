//! Logins, sessions, rotation, tokens.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gcauth_sandbox::{Algorithm, Options, Project, Sandbox, User, secret_mark};
use serde_json::{Value, json};

use crate::client::{Answer, ada, claims, curl, jwks, login, me, post, refresh, request, run, start, start_with};

fn login_as(sandbox: &Sandbox, changes: Value) -> Answer {
    let mut body = ada();
    for (name, value) in changes.as_object().expect("an object") {
        body[name] = value.clone();
    }
    post(&format!("{}/frontdesk/login", sandbox.http_url()), &body)
}

#[test]
fn login_gives_a_flat_pair() {
    let sandbox = start();
    let answer = login(&sandbox);
    assert_eq!(answer.code(), 201);
    let members = answer.json();
    assert_eq!(members.as_object().expect("an object").len(), 2);
    let claims = claims(&answer.text("token"));
    assert_eq!(claims["iss"], "gcauth-sandbox");
    assert_eq!(claims["sub"], "ada");
    assert_eq!(claims["organization"], "analytical-engines");
    assert_eq!(claims["name"], "Ada");
    assert_eq!(claims["email"], "ada@analytical-engines.example");
    assert!(claims["jti"].is_string());
    let (iat, exp) = (claims["iat"].as_i64().expect("whole"), claims["exp"].as_i64().expect("whole"));
    assert_eq!(exp - iat, 3600);
    assert!((iat as f64 - sandbox.now()).abs() < 5.0);
    assert!(!claims.contains_key("project") && !claims.contains_key("project_id"));
    assert_eq!(sandbox.counters().logins, 1);
}

#[test]
fn the_project_id_survives_64_bits() {
    let sandbox = start();
    let answer = login_as(&sandbox, json!({ "project": "genomes" }));
    let token = answer.text("token");
    assert_eq!(claims(&token)["project"], "genomes");
    assert_eq!(claims(&token)["project_id"].as_i64(), Some(9_007_199_254_740_993));
    let body = me(&sandbox, &token);
    assert!(String::from_utf8_lossy(body.body()).contains("\"project_id\":9007199254740993"));
}

#[test]
fn logins_are_refused_as_the_platform_refuses_them() {
    let sandbox = start();
    for (code, changes) in [
        (404, json!({ "username": "babbage" })),
        (401, json!({ "password": "Lovelace" })),
        (403, json!({ "organization": "difference-engines" })),
        (403, json!({ "project": "proteomes" })),
        (400, json!({ "username": null })),
        (400, json!({ "username": "" })),
        (400, json!({ "password": 5 })),
        (400, json!({ "organization": null })),
        (400, json!({ "project": 5 })),
    ] {
        let answer = login_as(&sandbox, changes.clone());
        assert_eq!(answer.code(), code, "{changes}");
        assert_eq!(answer.json()["details"], json!([]));
        assert!(!answer.text("message").is_empty());
    }
    let url = format!("{}/frontdesk/login", sandbox.http_url());
    for body in ["", "{", "[]", "\"ada\"", "username=ada"] {
        assert_eq!(request("POST", &url, &[], body.as_bytes()).code(), 400, "{body}");
    }
    assert_eq!(sandbox.counters().logins_refused, 14);
    assert_eq!(sandbox.counters().logins, 0);
}

#[test]
fn paths_and_methods() {
    let sandbox = start();
    let answer = request("GET", &format!("{}/frontdesk/login", sandbox.http_url()), &[], b"");
    assert_eq!((answer.code(), answer.header("Allow").as_deref()), (405, Some("POST")));
    let answer = post(&format!("{}/me", sandbox.http_url()), &json!({}));
    assert_eq!((answer.code(), answer.header("Allow").as_deref()), (405, Some("GET")));
    let root = sandbox.http_url().replace("/api/v1", "");
    for path in ["/", "/api/v1", "/api/v1/", "/api/v2/me", "/api/v1//me", "/me", "/api/v1/frontdesk/login/"] {
        assert_eq!(request("GET", &format!("{root}{path}"), &[], b"").code(), 404, "{path}");
    }
    let counted = sandbox.counters().requests;
    assert_eq!((counted.login, counted.resource, counted.other), (1, 1, 7));
}

#[test]
fn refresh_tokens_rotate() {
    let sandbox = start();
    let first = login(&sandbox);
    let second = refresh(&sandbox, &first.text("refreshToken"));
    assert_eq!(second.code(), 200);
    assert_ne!(second.text("refreshToken"), first.text("refreshToken"));
    assert_ne!(second.text("token"), first.text("token"));
    let third = refresh(&sandbox, &second.text("refreshToken"));
    assert_eq!(third.code(), 200);
    // A refresh leaves the access tokens before it as they are.
    for answer in [&first, &second, &third] {
        assert_eq!(me(&sandbox, &answer.text("token")).code(), 200);
    }
    assert_eq!(sandbox.counters().refreshes, 2);
}

#[test]
fn an_old_refresh_token_ends_the_session() {
    let sandbox = start();
    let other = login(&sandbox);
    let first = login(&sandbox);
    let second = refresh(&sandbox, &first.text("refreshToken"));
    assert_eq!(refresh(&sandbox, &first.text("refreshToken")).code(), 401);
    assert_eq!(refresh(&sandbox, &second.text("refreshToken")).code(), 401);
    assert_eq!(me(&sandbox, &second.text("token")).code(), 401);
    let counters = sandbox.counters();
    assert_eq!((counters.refreshes, counters.reuses, counters.refreshes_refused), (1, 1, 2));
    // Nobody else's.
    assert_eq!(refresh(&sandbox, &other.text("refreshToken")).code(), 200);
    assert_eq!(me(&sandbox, &other.text("token")).code(), 200);
}

#[test]
fn grace_gives_the_old_answer_once_more() {
    let sandbox = start_with(Options { grace: Some(Duration::from_secs(30)), ..Options::default() });
    let first = login(&sandbox);
    let second = refresh(&sandbox, &first.text("refreshToken"));
    let again = refresh(&sandbox, &first.text("refreshToken"));
    assert_eq!((again.code(), again.json()), (200, second.json()));
    // In another scope: another access token, but no second line of refresh tokens.
    let url = format!("{}/auth/refresh-token", sandbox.http_url());
    let scoped = post(&url, &json!({ "refreshToken": first.text("refreshToken"), "project": "exomes" }));
    assert_eq!(claims(&scoped.text("token"))["project_id"], 42);
    assert_eq!(scoped.text("refreshToken"), second.text("refreshToken"));
    let counters = sandbox.counters();
    assert_eq!((counters.refreshes, counters.graces, counters.reuses), (1, 2, 0));

    sandbox.set_clock_offset(31.0);
    assert_eq!(refresh(&sandbox, &first.text("refreshToken")).code(), 401);
    assert_eq!(sandbox.counters().reuses, 1);
    assert_eq!(refresh(&sandbox, &second.text("refreshToken")).code(), 401);
}

#[test]
fn what_a_refresh_accepts() {
    let sandbox = start();
    let url = format!("{}/auth/refresh-token", sandbox.http_url());
    let pair = login(&sandbox);
    // Whatever the access token is.
    sandbox.set_clock_offset(7200.0);
    let body = json!({ "token": pair.text("token"), "refreshToken": pair.text("refreshToken") });
    let pair = post(&url, &body);
    assert_eq!(pair.code(), 200);
    let spare = pair.text("refreshToken");
    for (code, body) in [
        (400, json!({})),
        (400, json!({ "refreshToken": 5 })),
        (400, json!({ "refreshToken": "" })),
        (400, json!({ "refreshToken": spare, "token": 5 })),
        (401, json!({ "refreshToken": "unknown" })),
        (403, json!({ "refreshToken": spare, "project": "proteomes" })),
    ] {
        assert_eq!(post(&url, &body).code(), code, "{body}");
    }
    // None of these has spent it.
    let scoped = post(&url, &json!({ "refreshToken": spare, "project": "exomes" }));
    assert_eq!(claims(&scoped.text("token"))["project"], "exomes");
    // The scope is that of the request.
    let unscoped = refresh(&sandbox, &scoped.text("refreshToken"));
    assert!(!claims(&unscoped.text("token")).contains_key("project"));
    assert_eq!(sandbox.counters().refreshes_refused, 6);
}

#[test]
fn the_resource_wants_a_good_bearer() {
    let sandbox = start();
    let token = login(&sandbox).text("token");
    let answer = me(&sandbox, &token);
    assert_eq!((answer.code(), answer.text("sub")), (200, "ada".into()));

    let url = format!("{}/me", sandbox.http_url());
    let answer = request("GET", &url, &[], b"");
    assert_eq!(answer.code(), 401);
    assert_eq!(answer.header("WWW-Authenticate").as_deref(), Some("Bearer realm=\"gcauth-sandbox\""));
    for header in [format!("bearer {token}"), format!("Bearer  {token}"), token.clone(), "Basic YTpi".into()] {
        assert_eq!(request("GET", &url, &[("Authorization", &header)], b"").code(), 401, "{header}");
    }
    let mut forged: Vec<String> = token.split('.').map(Into::into).collect();
    forged[1] = URL_SAFE_NO_PAD.encode(URL_SAFE_NO_PAD.decode(&forged[1]).expect("base64url").to_ascii_uppercase());
    let unsigned = format!("{}.", token.rsplit_once('.').expect("parts").0);
    for bad in [forged.join("."), unsigned, "a.b.c".into(), "nothing".into(), String::new()] {
        let answer = me(&sandbox, &bad);
        assert_eq!(answer.code(), 401, "{bad}");
    }
    assert!(answer.text("message").len() > 5);
    let counters = sandbox.counters();
    assert_eq!((counters.resource_ok, counters.resource_refused), (1, 10));
}

#[test]
fn expiry_follows_the_servers_clock() {
    let sandbox = start_with(Options { token_life_s: 60.0, ..Options::default() });
    let token = login(&sandbox).text("token");
    sandbox.set_clock_offset(58.0);
    assert_eq!(me(&sandbox, &token).code(), 200);
    sandbox.set_clock_offset(61.0);
    let answer = me(&sandbox, &token);
    assert_eq!((answer.code(), answer.text("message")), (401, "the token has expired".into()));
    let header = answer.header("WWW-Authenticate").expect("a header");
    assert!(header.contains("error=\"invalid_token\""), "{header}");
    // New tokens are made by that clock.
    sandbox.set_clock_offset(-100_000.0);
    let token = login(&sandbox).text("token");
    assert!((claims(&token)["iat"].as_f64().expect("a number") - sandbox.now()).abs() < 5.0);
    assert_eq!(me(&sandbox, &token).code(), 200);
}

#[test]
fn token_life_can_be_changed_and_be_a_fraction() {
    let sandbox = start();
    sandbox.set_token_life(2.5);
    let claims = claims(&login(&sandbox).text("token"));
    let life = claims["exp"].as_f64().expect("a number") - claims["iat"].as_f64().expect("a number");
    assert!((life - 2.5).abs() < 0.01, "{life}");
}

#[test]
fn revoked_tokens_can_be_renewed() {
    let sandbox = start();
    let pair = login(&sandbox);
    sandbox.revoke();
    assert_eq!(me(&sandbox, &pair.text("token")).code(), 401);
    let pair = refresh(&sandbox, &pair.text("refreshToken"));
    assert_eq!(pair.code(), 200);
    assert_eq!(me(&sandbox, &pair.text("token")).code(), 200);
}

#[test]
fn ended_sessions_stay_ended() {
    let sandbox = start();
    let pair = login(&sandbox);
    sandbox.end_sessions();
    assert_eq!(me(&sandbox, &pair.text("token")).code(), 401);
    assert_eq!(refresh(&sandbox, &pair.text("refreshToken")).code(), 401);
    assert_eq!(sandbox.counters().reuses, 0);
    assert_eq!(refresh(&sandbox, &login(&sandbox).text("refreshToken")).code(), 200);
}

#[test]
fn more_users() {
    let somebody: User = "grace:hopper:navy:cobol,flow-matic".parse().expect("a user");
    assert_eq!(somebody.projects[1], Project { slug: "flow-matic".into(), id: 1002 });
    assert!(!format!("{somebody:?}").contains("hopper"));
    for bad in ["grace", "grace:hopper", ":hopper:navy", "grace::navy", "grace:hopper:", "a:b:c:d:e"] {
        assert!(bad.parse::<User>().is_err(), "{bad}");
    }
    let sandbox = start_with(Options { users: vec![somebody], ..Options::default() });
    assert_eq!(login(&sandbox).code(), 404);
    let grace = json!({ "username": "grace", "password": "hopper", "organization": "navy", "project": "cobol" });
    let answer = post(&format!("{}/frontdesk/login", sandbox.http_url()), &grace);
    assert_eq!(claims(&answer.text("token"))["project_id"], 1001);
}

#[test]
fn requests_are_recorded_without_secrets() {
    let sandbox = start();
    let token = login(&sandbox).text("token");
    let answer = me(&sandbox, &token);
    assert_eq!(answer.code(), 200);
    let refused = json!({ "refreshToken": "rt-1", "token": "t-1", "surprise": ["s-1"], "project": "genomes" });
    post(&format!("{}/auth/refresh-token", sandbox.http_url()), &refused);
    let requests = sandbox.requests();
    assert_eq!(requests.iter().map(|r| r.number).collect::<Vec<_>>(), [1, 2, 3]);
    let [first, second, third] = requests.as_slice() else { panic!("{requests:?}") };
    assert_eq!((first.method.as_str(), first.path.as_str()), ("POST", "/api/v1/frontdesk/login"));
    assert_eq!((first.status, first.secure), (Some(201), false));
    assert_eq!(first.header("authorization"), None);
    assert_eq!(first.header("content-type"), Some("application/json"));
    let expected =
        json!({ "username": "ada", "password": secret_mark("lovelace"), "organization": "analytical-engines" });
    assert_eq!(first.body, expected);
    assert_eq!(second.header("Authorization"), Some(format!("Bearer {}", secret_mark(&token)).as_str()));
    assert_eq!(
        third.body,
        json!({ "refreshToken": secret_mark("rt-1"), "token": secret_mark("t-1"),
                "surprise": [secret_mark("s-1")], "project": "genomes" })
    );
    let shown = format!("{requests:?}");
    assert!(!shown.contains("lovelace") && !shown.contains(&token) && !shown.contains("rt-1"));
    // As a shell would make it.
    let sum = run("sh", &["-c", "printf %s lovelace | sha256sum | cut -c1-12"]);
    assert_eq!(secret_mark("lovelace"), format!("sha256:{}", String::from_utf8_lossy(&sum.stdout).trim()));
}

#[test]
fn requests_are_recorded_whole_to_order() {
    let sandbox = start_with(Options { record_bodies: true, record_limit: 2, ..Options::default() });
    for _ in 0..2 {
        login(&sandbox);
    }
    me(&sandbox, "my-token");
    let requests = sandbox.requests();
    assert_eq!(requests.iter().map(|r| r.number).collect::<Vec<_>>(), [2, 3]);
    assert_eq!(requests[0].raw_body, Some(ada().to_string()));
    assert_eq!(requests[0].body, ada());
    assert_eq!(requests[1].header("Authorization"), Some("Bearer my-token"));
}

/// openssl has the last word on keys and signatures.
#[test]
fn tokens_and_public_keys_agree() {
    for algorithm in [Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa] {
        let sandbox = Sandbox::start(Options { algorithm, ..Options::default() }).expect("a sandbox");
        let token = login(&sandbox).text("token");
        assert_eq!(me(&sandbox, &token).code(), 200, "{algorithm}");
        let (signed, signature) = token.rsplit_once('.').expect("three parts");
        let header = signed.split('.').next().expect("a header");
        let header: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).expect("base64url")).expect("JSON");
        assert_eq!((&header["alg"], &header["typ"]), (&algorithm.name().into(), &"JWT".into()));
        let keys = jwks(&sandbox).json();
        assert_eq!(keys, sandbox.jwks());
        let key = &keys["keys"][0];
        assert_eq!((&key["kid"], &key["alg"], &key["use"]), (&header["kid"], &header["alg"], &"sig".into()));

        let pem = sandbox.dir().join("public.pem");
        assert_eq!(std::fs::read_to_string(&pem).expect("a file"), sandbox.public_key_pem());
        let (data, raw) = (sandbox.dir().join("data"), sandbox.dir().join("signature"));
        let mut signature = URL_SAFE_NO_PAD.decode(signature).expect("base64url");
        if algorithm == Algorithm::Es256 {
            signature = ecdsa_der(&signature);
        }
        std::fs::write(&data, signed).expect("written");
        std::fs::write(&raw, signature).expect("written");
        let (pem, data, raw) = (pem.to_str().unwrap(), data.to_str().unwrap(), raw.to_str().unwrap());
        let output = match algorithm {
            Algorithm::EdDsa => {
                run("openssl", &["pkeyutl", "-verify", "-pubin", "-inkey", pem, "-rawin", "-in", data, "-sigfile", raw])
            }
            _ => run("openssl", &["dgst", "-sha256", "-verify", pem, "-signature", raw, data]),
        };
        assert!(output.status.success(), "{algorithm}: {}", String::from_utf8_lossy(&output.stderr));
        let text = run("openssl", &["pkey", "-pubin", "-in", pem, "-noout", "-text"]);
        let text = String::from_utf8_lossy(&text.stdout).replace([':', ' ', '\n'], "");
        let main_part = match algorithm {
            Algorithm::Rs256 => &key["n"],
            _ => &key["x"],
        };
        let bytes = URL_SAFE_NO_PAD.decode(main_part.as_str().expect("text")).expect("base64url");
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert!(text.contains(&hex), "{algorithm}: {hex} in {text}");
    }
}

/// r and s as openssl wants them.
fn ecdsa_der(raw: &[u8]) -> Vec<u8> {
    let integer = |half: &[u8]| {
        let mut digits: Vec<u8> = half.iter().copied().skip_while(|byte| *byte == 0).collect();
        if digits.first().is_none_or(|first| first & 0x80 != 0) {
            digits.insert(0, 0);
        }
        [&[2, digits.len() as u8], digits.as_slice()].concat()
    };
    let both = [integer(&raw[..32]), integer(&raw[32..])].concat();
    [&[0x30, both.len() as u8], both.as_slice()].concat()
}

#[test]
fn keys_rotate() {
    let sandbox = start();
    assert_eq!(jwks(&sandbox).header("Cache-Control").as_deref(), Some("public, max-age=300"));
    let (first_pem, first) = (sandbox.public_key_pem(), login(&sandbox).text("token"));
    sandbox.rotate_keys(true).expect("a new key");
    assert_ne!(sandbox.public_key_pem(), first_pem);
    let second = login(&sandbox).text("token");
    assert_eq!(jwks(&sandbox).json()["keys"].as_array().map(Vec::len), Some(2));
    assert_eq!((me(&sandbox, &first).code(), me(&sandbox, &second).code()), (200, 200));
    sandbox.rotate_keys(false).expect("a new key");
    assert_eq!(jwks(&sandbox).json()["keys"].as_array().map(Vec::len), Some(1));
    assert_eq!((me(&sandbox, &first).code(), me(&sandbox, &second).code()), (401, 401));
    sandbox.set_jwks_max_age(None);
    assert_eq!(jwks(&sandbox).header("Cache-Control"), None);
}

#[test]
fn requests_in_every_form() {
    let sandbox = start_with(Options { record_bodies: true, ..Options::default() });
    let url = format!("{}/frontdesk/login", sandbox.http_url());
    let body = ada().to_string();
    for header in ["Transfer-Encoding: chunked", "Expect: 100-continue", "Content-Type: text/plain"] {
        assert!(curl(&[&url, "-H", header, "-d", &body]).contains("token"), "{header}");
    }
    assert!(curl(&[&url, "--http1.0", "-d", &body]).contains("token"));
    assert!(curl(&[&format!("{url}?trace=1"), "-d", &body]).contains("token"));
    assert!(sandbox.requests().iter().all(|request| request.body == ada()));
    // What is no request.
    for bad in ["GET\r\n\r\n", "GET / HTTP/1.1\r\nno header\r\n\r\n", "\u{16}\u{3}\u{1}\u{2}\r\n\r\n"] {
        let mut stream = TcpStream::connect(&url[7..url.find("/api").expect("a path")]).expect("a connection");
        stream.write_all(bad.as_bytes()).expect("written");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 400 "), "{bad}: {answer}");
    }
}
