//! Each fault, as a client meets it.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read as _};
use std::thread;
use std::time::{Duration, Instant};

use flate2::read::GzDecoder;
use gcauth_sandbox::{
    Body, DropPoint, EchoForm, Effect, Fault, Moment, Options, Part, Sandbox, Target, Times, TokenFault,
};
use serde_json::{Map, Value, json};

use crate::client::{Answer, ada, claims, jwks, login, me, post, refresh, request, start, start_with};

/// The answer to a login when this is the fault.
fn login_with(effect: Effect) -> Answer {
    let sandbox = start();
    sandbox.order(Fault::new(Target::Login, effect));
    login(&sandbox)
}

fn status(code: u16, body: Option<Body>) -> Effect {
    Effect::Status { code, body, headers: BTreeMap::new(), processed: false }
}

fn drop_at(at: DropPoint) -> Effect {
    Effect::Drop { at, reset: false }
}

fn unpacked(bytes: &[u8]) -> Vec<u8> {
    let mut all = Vec::new();
    GzDecoder::new(bytes).read_to_end(&mut all).expect("gzip");
    all
}

#[test]
fn status_in_the_place_of_the_answer() {
    let sandbox = start();
    let headers = BTreeMap::from([("Retry-After".to_owned(), "7".to_owned())]);
    let unavailable = Effect::Status { code: 503, body: None, headers, processed: false };
    sandbox.order(Fault::new(Target::Login, unavailable));
    let answer = login(&sandbox);
    assert_eq!((answer.code(), answer.header("Retry-After").as_deref()), (503, Some("7")));
    assert_eq!(answer.json(), json!({ "message": "as ordered", "details": [] }));
    assert_eq!((sandbox.counters().logins, sandbox.counters().faults), (0, 1));
    assert_eq!(sandbox.requests()[0].status, Some(503));
    assert_eq!(login(&sandbox).code(), 201);
}

#[test]
fn a_status_with_the_work_done() {
    let sandbox = start();
    let first = login(&sandbox).text("refreshToken");
    let gateway = Effect::Status { code: 504, body: None, headers: BTreeMap::new(), processed: true };
    sandbox.order(Fault::new(Target::Refresh, gateway));
    assert_eq!(refresh(&sandbox, &first).code(), 504);
    assert_eq!(sandbox.counters().refreshes, 1);
    assert_eq!(refresh(&sandbox, &first).code(), 401);
    assert_eq!(sandbox.counters().reuses, 1);
}

#[test]
fn bodies_of_all_kinds() {
    let answer = login_with(status(418, Some(Body::Json(json!({ "message": "teapot" })))));
    assert_eq!((answer.code(), answer.text("message")), (418, "teapot".into()));
    for (body, content_type, bytes) in [
        (Body::Text("no".into()), Some("text/plain; charset=utf-8"), b"no".as_slice()),
        (Body::Html("<p>".into()), Some("text/html; charset=utf-8"), b"<p>"),
        (Body::Raw("{]".into()), Some("application/json"), b"{]"),
        (Body::Empty, None, b""),
    ] {
        let answer = login_with(status(500, Some(body)));
        assert_eq!(answer.header("Content-Type").as_deref(), content_type);
        assert_eq!(answer.body(), bytes);
        assert_eq!(answer.header("Content-Length"), Some(bytes.len().to_string()));
    }
    let answer = login_with(status(500, Some(Body::NotUtf8)));
    assert!(std::str::from_utf8(answer.body()).is_err());
    let answer = login_with(status(500, Some(Body::Huge { bytes: 3_000_000 })));
    assert_eq!((answer.code(), answer.body().len()), (500, 3_000_000));
    let answer = login_with(status(500, Some(Body::GzipBomb { bytes: 20_000_000 })));
    assert_eq!(answer.header("Content-Encoding").as_deref(), Some("gzip"));
    assert!(answer.body().len() < 40_000);
    let all = unpacked(answer.body());
    assert_eq!(all.len(), 20_000_000);
    assert!(serde_json::from_slice::<Value>(&all).is_ok());
}

#[test]
fn another_body_with_the_right_status() {
    let sandbox = start();
    sandbox.order(Fault::new(Target::Login, Effect::Body(Body::Html("<h1>Welcome</h1>".into()))));
    let answer = login(&sandbox);
    assert_eq!((answer.code(), answer.body()), (201, b"<h1>Welcome</h1>".as_slice()));
    assert_eq!(sandbox.counters().logins, 1);
}

#[test]
fn redirects() {
    for code in [301, 302, 303, 307, 308] {
        let sandbox = start();
        sandbox.order(Fault::new(Target::Login, Effect::Redirect { code, location: None }));
        let answer = login(&sandbox);
        assert_eq!(answer.code(), code);
        assert_eq!(answer.header("Location").as_deref(), Some("/api/v1/frontdesk/login/elsewhere"));
        assert_eq!(sandbox.counters().logins, 0);
    }
    let location = Some("http://evil.example/".to_owned());
    let answer = login_with(Effect::Redirect { code: 307, location: location.clone() });
    assert_eq!(answer.header("Location"), location);
}

#[test]
fn echoes_of_the_secrets() {
    let password = "p\"ass/wörd+\\&\tx";
    for form in [EchoForm::Json, EchoForm::Text] {
        let sandbox = start();
        sandbox.order(Fault::new(Target::Login, Effect::Echo { code: 422, form }));
        let mut body = ada();
        body["password"] = password.into();
        let answer = post(&format!("{}/frontdesk/login", sandbox.http_url()), &body);
        assert_eq!(answer.code(), 422);
        let told = match form {
            EchoForm::Json => answer.text("message"),
            EchoForm::Text => String::from_utf8(answer.body().to_vec()).expect("UTF-8"),
        };
        assert!(told.contains(password), "{told}");
        assert!(told.contains(r#""p\"ass/wörd+\\&\tx""#), "{told}");
        assert!(told.contains("p%22ass%2Fw%C3%B6rd%2B%5C%26%09x"), "{told}");
        assert!(!told.contains("ada"), "{told}");
    }
    let sandbox = start();
    sandbox.order(Fault::new(Target::Any, Effect::Echo { code: 400, form: EchoForm::Json }).times(2));
    let body = json!({ "token": "the-token", "refreshToken": "the-refresh-token", "project": "p" });
    let told = post(&format!("{}/auth/refresh-token", sandbox.http_url()), &body).text("message");
    assert!(told.contains("the-token") && told.contains("the-refresh-token"), "{told}");
    assert!(me(&sandbox, "my-bearer").text("message").contains("my-bearer"));
}

#[test]
fn the_answer_with_another_status_or_header() {
    for code in [200, 202, 203, 299] {
        let answer = login_with(Effect::Code(code));
        assert_eq!((answer.code(), claims(&answer.text("token"))["sub"].clone()), (code, "ada".into()));
    }
    let answer = login_with(Effect::Code(204));
    assert_eq!((answer.header("Content-Length"), answer.body()), (None, b"".as_slice()));
    let headers = BTreeMap::from([("content-type".to_owned(), "text/html".to_owned())]);
    let answer = login_with(Effect::Headers(headers));
    assert_eq!((answer.code(), answer.header("Content-Type").as_deref()), (201, Some("text/html")));
    assert!(!answer.text("token").is_empty());
}

#[test]
fn latency() {
    for at in [Moment::BeforeProcessing, Moment::AfterProcessing] {
        let start = Instant::now();
        assert_eq!(login_with(Effect::Latency { ms: 300, at }).code(), 201);
        assert!(start.elapsed() >= Duration::from_millis(300));
    }
}

#[test]
fn held_requests_wait_for_their_release() {
    for (at, logins) in [(Moment::BeforeProcessing, 0), (Moment::AfterProcessing, 1)] {
        let sandbox = start();
        sandbox.order(Fault::new(Target::Login, Effect::Hold { at }));
        thread::scope(|scope| {
            let client = scope.spawn(|| login(&sandbox));
            assert!(sandbox.wait_held(1, Duration::from_secs(120)));
            assert_eq!((sandbox.held(), sandbox.counters().logins), (1, logins));
            assert!(!client.is_finished());
            assert_eq!(sandbox.release(), 1);
            assert_eq!(client.join().expect("an answer").code(), 201);
        });
        assert!(!sandbox.wait_held(1, Duration::from_millis(50)));
    }
}

#[test]
fn drips() {
    let sandbox = start();
    let body = Some(Body::Text("0123456789".into()));
    sandbox.order(Fault::new(Target::Login, status(500, body)).and(Effect::Drip {
        ms: 20,
        bytes: 2,
        part: Part::Body,
    }));
    let begin = Instant::now();
    assert_eq!(login(&sandbox).body(), b"0123456789");
    assert!(begin.elapsed() >= Duration::from_millis(100));
    sandbox.order(Fault::new(Target::Login, Effect::Drip { ms: 1, bytes: 10, part: Part::All }));
    let begin = Instant::now();
    assert_eq!(login(&sandbox).code(), 201);
    assert!(begin.elapsed() >= Duration::from_millis(50));
}

#[test]
fn dropped_connections() {
    for (at, processed) in [
        (DropPoint::BeforeReading, 0),
        (DropPoint::BeforeProcessing, 0),
        (DropPoint::AfterProcessing, 1),
        (DropPoint::MidHeaders, 1),
        (DropPoint::MidBody, 1),
    ] {
        for reset in [false, true] {
            let sandbox = start();
            let first = login(&sandbox).text("refreshToken");
            sandbox.order(Fault::new(Target::Refresh, Effect::Drop { at, reset }));
            let answer = refresh(&sandbox, &first);
            match at {
                DropPoint::MidHeaders => {
                    assert!(answer.wire.starts_with(b"HTTP/1.1 200"));
                    assert!(!answer.wire.windows(4).any(|bytes| bytes == b"\r\n\r\n"));
                }
                DropPoint::MidBody => {
                    let told: usize = answer.header("Content-Length").and_then(|n| n.parse().ok()).expect("a number");
                    assert_eq!(answer.body().len(), told / 2);
                }
                _ => assert!(answer.wire.is_empty()),
            }
            assert_eq!(answer.broken == Some(ErrorKind::ConnectionReset), reset, "{at:?} {:?}", answer.broken);
            assert_eq!(sandbox.counters().refreshes, processed, "{at:?}");
            assert_eq!(sandbox.requests()[1].status, None);
            assert_eq!(refresh(&sandbox, &first).code(), if processed == 1 { 401 } else { 200 });
        }
    }
}

#[test]
fn a_lost_reply_can_be_had_again_within_the_grace() {
    let sandbox = start_with(Options { grace: Some(Duration::from_secs(60)), ..Options::default() });
    let first = login(&sandbox).text("refreshToken");
    sandbox.order(Fault::new(Target::Refresh, drop_at(DropPoint::AfterProcessing)));
    assert!(refresh(&sandbox, &first).wire.is_empty());
    assert_eq!(refresh(&sandbox, &first).code(), 200);
    let counters = sandbox.counters();
    assert_eq!((counters.refreshes, counters.graces, counters.reuses), (1, 1, 0));
}

#[test]
fn connections_that_never_become_requests() {
    let sandbox = start();
    sandbox.order(Fault::new(Target::Connection, drop_at(DropPoint::BeforeReading)));
    assert!(login(&sandbox).wire.is_empty());
    sandbox.order(Fault::new(Target::Connection, Effect::Drop { at: DropPoint::BeforeReading, reset: true }));
    assert_eq!(login(&sandbox).broken, Some(ErrorKind::ConnectionReset));
    sandbox.order(Fault::new(Target::Connection, Effect::Garbage));
    assert!(!login(&sandbox).wire.starts_with(b"HTTP"));
    let counters = sandbox.counters();
    assert_eq!((counters.connections, counters.requests.login, counters.faults), (3, 0, 3));
    let wait = Effect::Latency { ms: 200, at: Moment::BeforeProcessing };
    sandbox.order(Fault::new(Target::Connection, wait));
    let begin = Instant::now();
    assert_eq!(login(&sandbox).code(), 201);
    assert!(begin.elapsed() >= Duration::from_millis(200));
}

#[test]
fn garbage() {
    let sandbox = start();
    sandbox.order(Fault::new(Target::Login, Effect::Garbage));
    let answer = login(&sandbox);
    assert!(!answer.wire.is_empty() && !answer.wire.starts_with(b"HTTP"));
    assert_eq!(sandbox.counters().logins, 0);
}

#[test]
fn interim_answers() {
    let answer = login_with(Effect::Informational(vec![100, 103]));
    let wire = String::from_utf8_lossy(&answer.wire);
    let lines: Vec<&str> = wire.lines().filter(|line| line.starts_with("HTTP/1.1")).collect();
    assert_eq!(lines, ["HTTP/1.1 100 Interim", "HTTP/1.1 103 Interim", "HTTP/1.1 201 Created"]);
}

#[test]
fn json_that_is_not_what_it_should_be() {
    let answer = login_with(Effect::BrokenJson);
    assert_eq!(answer.code(), 201);
    assert!(answer.body().starts_with(b"{\"") && !answer.body().ends_with(b"}"));
    let members = login_with(Effect::WrongTypes).json();
    assert!(members["token"].is_number() && members["refreshToken"].is_array());
    let members = login_with(Effect::MissingToken).json();
    assert!(members["token"].is_null() && members["refreshToken"].is_string());
    let members = login_with(Effect::MissingRefreshToken).json();
    assert!(members["token"].is_string() && members["refreshToken"].is_null());
    let members = login_with(Effect::ExtraFields).json();
    assert!(members["token"].is_string() && members.as_object().expect("an object").len() > 2);
    assert_eq!(login_with(Effect::TokenType("MAC".into())).text("tokenType"), "MAC");
    let set = Map::from_iter([("token".to_owned(), Value::Null), ("a".to_owned(), json!({ "b": 1 }))]);
    let members = login_with(Effect::Fields { set, remove: vec!["refreshToken".into()] }).json();
    assert_eq!(members, json!({ "token": null, "a": { "b": 1 } }));
    let answer = login_with(Effect::Padding { bytes: 2_000_000 });
    assert!(answer.body().len() > 2_000_000);
    assert!(answer.json()["token"].is_string());
}

#[test]
fn encodings() {
    let answer = login_with(Effect::Gzip);
    assert_eq!(answer.header("Content-Encoding").as_deref(), Some("gzip"));
    let members: Value = serde_json::from_slice(&unpacked(answer.body())).expect("JSON");
    assert!(members["token"].is_string());

    let answer = login_with(Effect::UntilClose);
    assert_eq!((answer.header("Content-Length"), answer.header("Transfer-Encoding")), (None, None));
    assert!(serde_json::from_slice::<Value>(answer.body()).expect("JSON")["token"].is_string());

    let answer = login_with(Effect::Chunked);
    assert_eq!(answer.header("Transfer-Encoding").as_deref(), Some("chunked"));
    assert_eq!(answer.header("Content-Length"), None);
    let sandbox = start();
    sandbox.order(Fault::new(Target::Login, Effect::Chunked));
    let url = format!("{}/frontdesk/login", sandbox.http_url());
    let body = crate::client::curl(&[&url, "-d", &ada().to_string()]);
    assert!(serde_json::from_str::<Value>(&body).expect("JSON")["token"].is_string());

    sandbox.order(Fault::new(Target::Login, Effect::BrokenChunks));
    let output = crate::client::run("curl", &["-sS", &url, "-d", &ada().to_string()]);
    assert_eq!(output.status.code(), Some(56));
}

#[test]
fn tokens_out_of_the_ordinary() {
    let token = |fault: TokenFault| login_with(Effect::Token(fault)).text("token");
    assert!(!claims(&token(TokenFault::NoExp)).contains_key("exp"));
    assert!(!claims(&token(TokenFault::NoIat)).contains_key("iat"));
    assert!(!token(TokenFault::NotAJwt).contains('.'));
    assert!(token(TokenFault::ControlCharacters).contains("\r\n"));
    assert_eq!(token(TokenFault::Text("abc".into())), "abc");
    let changes = json!({ "project_id": "17", "exp": null }).as_object().expect("an object").clone();
    let changed = claims(&token(TokenFault::Claims(changes)));
    assert_eq!(changed["project_id"], "17");
    assert!(!changed.contains_key("exp"));

    let sandbox = start();
    let times = |fault: TokenFault| {
        sandbox.order(Fault::new(Target::Login, Effect::Token(fault)));
        let claims = claims(&login(&sandbox).text("token"));
        let since = |name: &str| claims[name].as_f64().expect("a number") - sandbox.now();
        (since("iat"), since("exp"))
    };
    let near = |value: f64, expected: f64| (value - expected).abs() < 5.0;
    let (iat, exp) = times(TokenFault::Expired);
    assert!(near(iat, -3660.0) && near(exp, -60.0), "{iat} {exp}");
    let (iat, exp) = times(TokenFault::ClockOff(7200.0));
    assert!(near(iat, 7200.0) && near(exp, 10_800.0), "{iat} {exp}");
    let (iat, exp) = times(TokenFault::IatOff(-7200.0));
    assert!(near(iat, -7200.0) && near(exp, 3600.0), "{iat} {exp}");

    // They are signed all the same, and expired ones are refused.
    sandbox.order(Fault::new(Target::Login, Effect::Token(TokenFault::NoExp)));
    assert_eq!(me(&sandbox, &login(&sandbox).text("token")).code(), 200);
    sandbox.order(Fault::new(Target::Login, Effect::Token(TokenFault::Expired)));
    assert_eq!(me(&sandbox, &login(&sandbox).text("token")).code(), 401);
}

#[test]
fn which_requests_and_how_often() {
    let sandbox = start();
    sandbox.order(Fault::status(Target::Login, 500).times(2).skip(1));
    sandbox.order(Fault::status(Target::Resource, 501).forever());
    sandbox.order(Fault::status(Target::Jwks, 502));
    // The first that is for a request and does not skip it.
    sandbox.order(Fault::status(Target::Any, 503).skip(1));
    let codes: Vec<u16> = (0..6).map(|_| login(&sandbox).code()).collect();
    assert_eq!(codes, [201, 500, 500, 503, 201, 201]);
    assert_eq!([me(&sandbox, "x").code(), me(&sandbox, "x").code()], [501, 501]);
    assert_eq!([jwks(&sandbox).code(), jwks(&sandbox).code()], [502, 200]);
    assert_eq!(sandbox.faults().len(), 1);
    assert_eq!(sandbox.faults()[0].times, Times::Forever);
    sandbox.clear_faults();
    assert_eq!(me(&sandbox, "x").code(), 401);
    sandbox.order(Fault::status(Target::Any, 500));
    let url = sandbox.http_url().replace("/api/v1", "/nowhere");
    assert_eq!(request("GET", &url, &[], b"").code(), 500);
}

#[test]
fn several_effects_on_one_request() {
    let sandbox = start();
    let fault = Fault::status(Target::Login, 429)
        .and(Effect::Headers(BTreeMap::from([("Retry-After".into(), "1".into())])))
        .and(Effect::Latency { ms: 100, at: Moment::AfterProcessing })
        .and(Effect::Gzip);
    sandbox.order(fault);
    let begin = Instant::now();
    let answer = login(&sandbox);
    assert!(begin.elapsed() >= Duration::from_millis(100));
    assert_eq!((answer.code(), answer.header("Retry-After").as_deref()), (429, Some("1")));
    assert!(unpacked(answer.body()).starts_with(b"{\"message\""));
}

#[test]
fn faults_that_make_no_sense() {
    for (on, effect) in [
        (Target::Login, Effect::Code(100)),
        (Target::Login, status(600, None)),
        (Target::Login, Effect::Redirect { code: 200, location: None }),
        (Target::Login, Effect::Informational(vec![200])),
        (Target::Login, Effect::Drip { ms: 1, bytes: 0, part: Part::All }),
        (Target::Connection, Effect::Gzip),
    ] {
        let sandbox: Sandbox = start();
        let order = std::panic::AssertUnwindSafe(|| sandbox.order(Fault::new(on, effect.clone())));
        assert!(std::panic::catch_unwind(order).is_err(), "{effect:?}");
        assert!(sandbox.faults().is_empty());
    }
}
