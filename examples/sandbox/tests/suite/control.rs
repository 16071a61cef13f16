//! The control endpoints, as scripts use them.

use gcauth_sandbox::{Fault, Sandbox, Target, Times};
use serde_json::{Value, json};

use crate::client::{Answer, claims, jwks, login, me, refresh, request, start};

fn control(sandbox: &Sandbox, method: &str, endpoint: &str, body: Value) -> Answer {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    request(method, &format!("{}/{endpoint}", sandbox.control_url()), &[], body.as_bytes())
}

fn order(sandbox: &Sandbox, fault: Value) {
    let answer = control(sandbox, "POST", "faults", fault.clone());
    assert_eq!((answer.code(), answer.json()), (200, json!({ "ordered": 1 })), "{fault}");
}

#[test]
fn counters_and_requests() {
    let sandbox = start();
    login(&sandbox);
    let counters = control(&sandbox, "GET", "counters", Value::Null).json();
    assert_eq!((&counters["logins"], &counters["connections"]), (&json!(1), &json!(1)));
    assert_eq!((&counters["requests"]["login"], &counters["held"]), (&json!(1), &json!(0)));
    let requests = control(&sandbox, "GET", "requests", Value::Null).json();
    assert_eq!(requests[0]["path"], "/api/v1/frontdesk/login");
    assert_eq!(requests[0]["body"]["username"], "ada");
    assert_eq!(requests[0]["status"], 201);
    assert!(requests[0].get("raw_body").is_none());

    order(&sandbox, json!({ "do": { "code": 200 } }));
    assert_eq!(control(&sandbox, "POST", "reset", Value::Null).code(), 200);
    assert_eq!(control(&sandbox, "GET", "counters", Value::Null).json()["logins"], 0);
    assert_eq!(control(&sandbox, "GET", "requests", Value::Null).json(), json!([]));
    assert_eq!(control(&sandbox, "GET", "faults", Value::Null).json(), json!([]));
    assert_eq!(login(&sandbox).code(), 201);
}

#[test]
fn faults_in_json() {
    let sandbox = start();
    // One of each.
    let effects = json!([
        { "status": { "code": 503, "body": { "html": "<h1>Sorry</h1>" }, "headers": { "Retry-After": "2" } } },
        { "status": { "code": 502, "processed": true } },
        { "status": { "code": 500, "body": "empty" } },
        { "status": { "code": 500, "body": "not-utf8" } },
        { "status": { "code": 500, "body": { "huge": { "bytes": 2000000 } } } },
        { "body": { "json": [] } },
        { "body": { "text": "hello" } },
        { "body": { "raw": "{]" } },
        { "body": { "gzip-bomb": { "bytes": 100000000 } } },
        { "redirect": { "code": 307, "location": "http://127.0.0.1:1/" } },
        { "redirect": { "code": 301 } },
        { "echo": {} },
        { "echo": { "code": 401, "form": "text" } },
        { "code": 202 },
        { "headers": { "Content-Type": "text/html" } },
        { "latency": { "ms": 10, "at": "before-processing" } },
        { "hold": {} },
        { "drip": { "ms": 100 } },
        { "drip": { "ms": 100, "bytes": 10, "part": "all" } },
        { "drop": { "at": "before-reading" } },
        { "drop": { "at": "before-processing", "reset": true } },
        { "drop": { "at": "after-processing" } },
        { "drop": { "at": "mid-headers" } },
        { "drop": { "at": "mid-body" } },
        "garbage",
        { "informational": [100, 103] },
        "broken-json",
        "wrong-types",
        "missing-token",
        "missing-refresh-token",
        "extra-fields",
        { "token-type": "Bearer" },
        { "fields": { "set": { "token": null }, "remove": ["refreshToken"] } },
        { "padding": { "bytes": 2000000 } },
        "gzip",
        "chunked",
        "broken-chunks",
        "until-close",
        { "token": "no-exp" },
        { "token": "no-iat" },
        { "token": "not-a-jwt" },
        { "token": "expired" },
        { "token": "control-characters" },
        { "token": { "clock-off": 3600 } },
        { "token": { "iat-off": -3600.5 } },
        { "token": { "claims": { "project_id": "17", "exp": null } } },
        { "token": { "text": "abc" } },
    ]);
    let effects = effects.as_array().expect("an array");
    for effect in effects {
        order(&sandbox, json!({ "on": "jwks", "times": "forever", "skip": 1, "do": effect }));
    }
    let pending = sandbox.faults();
    assert_eq!(pending.len(), effects.len());
    assert!(pending.iter().all(|fault| fault.on == Target::Jwks && fault.times == Times::Forever && fault.skip == 1));
    // What is shown can be ordered again.
    let shown = control(&sandbox, "GET", "faults", Value::Null).json();
    let again: Vec<Fault> = serde_json::from_value(shown).expect("faults");
    assert_eq!(again, pending);
    assert_eq!(control(&sandbox, "DELETE", "faults", Value::Null).code(), 200);
    assert!(sandbox.faults().is_empty());

    let list = json!([{ "do": { "code": 202 } }, { "on": "login", "times": 2, "do": ["gzip", { "code": 203 }] }]);
    assert_eq!(control(&sandbox, "POST", "faults", list).json(), json!({ "ordered": 2 }));
    assert_eq!((0..4).map(|_| login(&sandbox).code()).collect::<Vec<_>>(), [202, 203, 203, 201]);
}

#[test]
fn bad_orders() {
    let sandbox = start();
    for (endpoint, body, said) in [
        ("faults", json!({ "do": "nonsense" }), "unknown variant `nonsense`"),
        ("faults", json!({ "on": "logn", "do": "gzip" }), "unknown variant `logn`"),
        ("faults", json!({ "time": 3, "do": "gzip" }), "unknown field `time`"),
        ("faults", json!({ "times": -1, "do": "gzip" }), "times"),
        ("faults", json!({ "on": "login" }), "missing field `do`"),
        ("faults", json!({ "do": { "code": 99 } }), "not a status"),
        ("faults", json!({ "on": "connection", "do": "gzip" }), "connection"),
        ("faults", json!([{ "do": "gzip" }, { "do": { "drop": { "at": "noon" } } }]), "noon"),
        ("faults", json!({ "do": { "padding": { "bytes": 1_u64 << 40 } } }), "at most"),
        ("faults", json!({ "do": { "body": { "huge": { "bytes": 1_u64 << 40 } } } }), "at most"),
        (
            "faults",
            json!({ "do": { "status": { "code": 500, "body": { "gzip-bomb": { "bytes": 1_u64 << 40 } } } } }),
            "at most",
        ),
        ("clock", json!({ "offset": 1 }), "unknown field"),
        ("token-life", json!({}), "missing field"),
        ("grace", json!({ "seconds": -1 }), "negative"),
        ("bad-tls", json!({ "kind": "rusty" }), "unknown variant"),
        ("clock", Value::Null, "EOF"),
    ] {
        let answer = control(&sandbox, "POST", endpoint, body.clone());
        assert_eq!(answer.code(), 400, "{endpoint} {body}");
        assert!(answer.text("message").contains(said), "{endpoint} {body}: {}", answer.text("message"));
    }
    assert!(sandbox.faults().is_empty());
    assert_eq!(control(&sandbox, "POST", "nothing", json!({})).code(), 404);
    assert_eq!(control(&sandbox, "GET", "reset", Value::Null).code(), 404);
    // No fault applies to these endpoints, and nobody counts them.
    order(&sandbox, json!({ "on": "connection", "times": "forever", "do": { "drop": { "at": "before-reading" } } }));
    order(&sandbox, json!({ "times": "forever", "do": { "code": 500 } }));
    assert_eq!(control(&sandbox, "GET", "counters", Value::Null).json()["connections"], 0);
}

#[test]
fn settings() {
    let sandbox = start();
    let answer = control(&sandbox, "POST", "clock", json!({ "offset_s": -3600 }));
    assert!((answer.json()["now"].as_f64().expect("a number") - sandbox.now()).abs() < 5.0);
    assert_eq!(control(&sandbox, "POST", "token-life", json!({ "seconds": 12 })).code(), 200);
    let pair = login(&sandbox);
    let claims = claims(&pair.text("token"));
    assert_eq!(claims["exp"].as_i64().expect("whole") - claims["iat"].as_i64().expect("whole"), 12);
    assert!((claims["iat"].as_f64().expect("a number") - sandbox.now()).abs() < 5.0);

    assert_eq!(control(&sandbox, "POST", "grace", json!({ "seconds": 5.5 })).code(), 200);
    for _ in 0..2 {
        assert_eq!(refresh(&sandbox, &pair.text("refreshToken")).code(), 200);
    }
    assert_eq!(control(&sandbox, "POST", "grace", json!({ "seconds": null })).code(), 200);
    assert_eq!(refresh(&sandbox, &pair.text("refreshToken")).code(), 401);
}

#[test]
fn sessions_keys_and_holds() {
    let sandbox = start();
    let pair = login(&sandbox);
    assert_eq!(control(&sandbox, "POST", "keys/rotate", Value::Null).code(), 200);
    assert_eq!(jwks(&sandbox).json()["keys"].as_array().map(Vec::len), Some(2));
    assert_eq!(me(&sandbox, &pair.text("token")).code(), 200);
    let public = std::fs::read_to_string(sandbox.dir().join("public.pem")).expect("a file");
    assert_eq!(public, sandbox.public_key_pem());
    assert_eq!(control(&sandbox, "POST", "keys/rotate", json!({ "keep_old": false })).code(), 200);
    assert_eq!(me(&sandbox, &pair.text("token")).code(), 401);

    let pair = login(&sandbox);
    assert_eq!(control(&sandbox, "POST", "revoke", Value::Null).code(), 200);
    assert_eq!(me(&sandbox, &pair.text("token")).code(), 401);
    let pair = refresh(&sandbox, &pair.text("refreshToken"));
    assert_eq!(me(&sandbox, &pair.text("token")).code(), 200);
    assert_eq!(control(&sandbox, "POST", "end-sessions", Value::Null).code(), 200);
    assert_eq!(refresh(&sandbox, &pair.text("refreshToken")).code(), 401);

    order(&sandbox, json!({ "on": "login", "do": { "hold": {} } }));
    std::thread::scope(|scope| {
        let held = scope.spawn(|| login(&sandbox));
        assert!(sandbox.wait_held(1, std::time::Duration::from_secs(120)));
        assert_eq!(control(&sandbox, "GET", "held", Value::Null).json(), json!({ "held": 1 }));
        assert_eq!(control(&sandbox, "POST", "release", Value::Null).json(), json!({ "released": 1 }));
        assert_eq!(held.join().expect("an answer").code(), 201);
    });

    let url = control(&sandbox, "POST", "bad-tls", json!({ "kind": "expired" })).text("url");
    assert!(url.starts_with("https://127.0.0.1:"), "{url}");
}

/// The examples of the README can be ordered as they stand.
#[test]
fn the_readme_knows_the_faults() {
    let sandbox = start();
    let examples: Vec<&str> =
        include_str!("../../README.md").lines().filter(|line| line.starts_with("{\"on\"")).collect();
    assert!(examples.len() > 40);
    for example in examples {
        let answer = request("POST", &format!("{}/faults", sandbox.control_url()), &[], example.as_bytes());
        assert_eq!(answer.code(), 200, "{example}: {:?}", answer.json());
    }
}
