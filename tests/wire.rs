//! What login and refresh send, and what each kind of answer becomes.

mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use gcauth::{Config, Session, Status, Surroundings};
use gcauth_sandbox::{BadTls, Body, DropPoint, EchoForm, Effect, Fault, Moment, Target, TokenFault};
use serde_json::{Value, json};
use support::*;

fn status_with(code: u16, body: Option<Body>, headers: &[(&str, &str)]) -> Effect {
    let headers: BTreeMap<String, String> =
        headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Effect::Status { code, body, headers, processed: false }
}

#[test]
fn a_login_sends_what_the_platform_expects() {
    let world = World::new();
    let session = world.session(json!({}));
    session.login(USER, PASSWORD, ORGANIZATION, None).unwrap();
    let body = world.last_body("frontdesk/login");
    assert_eq!(body, json!({"username": USER, "password": PASSWORD, "organization": ORGANIZATION}));
    session.login(USER, PASSWORD, ORGANIZATION, Some(PROJECT)).unwrap();
    assert_eq!(world.last_body("frontdesk/login")["project"], PROJECT);
    let requests = world.sandbox.requests();
    let request = requests.last().unwrap();
    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/api/v1/frontdesk/login"));
    assert_eq!(request.header("content-type"), Some("application/json"));
    assert_eq!(request.header("authorization"), None);
    assert_eq!(request.header("user-agent"), Some(concat!("gcauth/", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn each_request_has_a_connection_of_its_own() {
    let world = World::new();
    let session = world.logged_in(json!({}));
    session.refresh(None).unwrap();
    session.refresh(None).unwrap();
    assert_eq!(world.counters().connections, 3);
}

#[test]
fn paths_and_names_are_configured() {
    let world = World::new();
    let session = world.session(json!({
        "login": {"path": "/frontdesk/login/", "fields": {"username": "user", "project_id": "slug"}},
        "user_agent": "pipeline/1",
    }));
    assert!(session.login(USER, PASSWORD, ORGANIZATION, Some(PROJECT)).is_err());
    let requests = world.sandbox.requests();
    let request = requests.last().unwrap();
    assert_eq!(request.path, "/api/v1/frontdesk/login/");
    assert_eq!(request.header("user-agent"), Some("pipeline/1"));
    let body: Value = serde_json::from_str(request.raw_body.as_deref().unwrap()).unwrap();
    assert_eq!(body["user"], USER);
    assert_eq!(body["slug"], PROJECT);
}

#[test]
fn a_path_may_have_a_query() {
    let world = World::new();
    let session = world.session(json!({"login": {"path": "frontdesk/login?tenant=canary&x=%20"}}));
    login(&session).unwrap();
    assert!(world.sandbox.requests().last().unwrap().path.starts_with("/api/v1/frontdesk/login"));
    world.order(Fault::status(Target::Login, 500));
    // A query may be a secret.
    let error = login(&session).unwrap_err();
    assert!(error.message().contains("/frontdesk/login:") && !error.message().contains("canary"), "{error}");
}

#[test]
fn answers_are_read_by_dotted_paths() {
    let world = World::new();
    let answer =
        json!({"data": {"access": "an-access-token", "more": {"refresh": "a-refresh-token"}}, "kind": "Bearer2"});
    world.order(Fault::new(Target::Login, Effect::Body(Body::Json(answer))));
    let session = world.logged_in(json!({"response": {
        "token": "data.access", "refresh_token": "data.more.refresh", "token_type": "kind",
    }}));
    assert_eq!(token(&session), "an-access-token");
    assert_eq!(refresh_token(&session), "a-refresh-token");
    assert_eq!(session.current().unwrap().token_type(), "Bearer2");
    assert_eq!(bearer(&session).unwrap(), "Bearer an-access-token");
}

#[test]
fn the_token_type_is_bearer_unless_the_answer_says_otherwise() {
    let world = World::new();
    assert_eq!(world.logged_in(json!({})).current().unwrap().token_type(), "Bearer");
    for name in ["tokenType", "token_type"] {
        let set = serde_json::Map::from_iter([(name.to_owned(), json!("Custom"))]);
        world.order(Fault::new(Target::Login, Effect::Fields { set, remove: vec![] }));
        assert_eq!(world.logged_in(json!({})).current().unwrap().token_type(), "Custom");
    }
}

#[test]
fn any_success_status_and_content_type_will_do() {
    for effect in [
        Effect::Code(200),
        Effect::Code(202),
        Effect::Code(299),
        Effect::Headers(BTreeMap::from([("Content-Type".to_owned(), "text/plain".to_owned())])),
        Effect::ExtraFields,
        Effect::Gzip,
        Effect::Chunked,
        Effect::Informational(vec![102, 103]),
        Effect::Informational(vec![100]),
        Effect::Informational(vec![100, 100, 103]),
        Effect::Drip { ms: 1, bytes: 64, part: gcauth_sandbox::Part::All },
    ] {
        let world = World::new();
        let what = format!("{effect:?}");
        world.order(Fault::new(Target::Login, effect));
        let session = world.session(json!({}));
        login(&session).unwrap_or_else(|e| panic!("{what}: {e}"));
    }
}

#[test]
fn statuses_become_statuses() {
    let world = World::new();
    let session = world.session(json!({}));
    for (http, status) in [
        (400, Status::Unauthorized),
        (401, Status::Unauthorized),
        (403, Status::Unauthorized),
        (404, Status::Unauthorized),
        (402, Status::Http),
        (405, Status::Http),
        (408, Status::Http),
        (418, Status::Http),
        (429, Status::RateLimited),
        (500, Status::Server),
        (502, Status::Server),
        (503, Status::Server),
        (504, Status::Server),
        (599, Status::Server),
        (300, Status::Insecure),
        (304, Status::Insecure),
    ] {
        world.order(Fault::status(Target::Login, http));
        let error = assert_status(login(&session), status);
        assert_eq!(error.http_status(), http);
        assert_eq!(error.is_retryable(), matches!(status, Status::RateLimited | Status::Server));
    }
    assert_status(bearer(&session), Status::NoToken);
}

#[test]
fn redirects_are_not_followed() {
    let world = World::new();
    let session = world.session(json!({}));
    for code in [301, 302, 303, 307, 308] {
        world.order(Fault::new(Target::Login, Effect::Redirect { code, location: None }));
        assert_status(login(&session), Status::Insecure);
    }
    assert_eq!(world.counters().connections, 5);
}

#[test]
fn success_answers_that_are_none() {
    let bodies = [
        Effect::Body(Body::Empty),
        Effect::Body(Body::Text("ok".into())),
        Effect::Body(Body::Html("<html>".into())),
        Effect::Body(Body::Raw("[]".into())),
        Effect::Body(Body::Raw("{}".into())),
        Effect::Body(Body::Raw("null".into())),
        Effect::Body(Body::Raw(r#"{"token":"","refreshToken":"r"}"#.into())),
        Effect::Body(Body::NotUtf8),
        Effect::Body(Body::Huge { bytes: 2 << 20 }),
        Effect::Body(Body::GzipBomb { bytes: 64 << 20 }),
        Effect::Padding { bytes: 2 << 20 },
        Effect::BrokenJson,
        Effect::WrongTypes,
        Effect::MissingToken,
        Effect::BrokenChunks,
        Effect::Token(TokenFault::ControlCharacters),
        Effect::Token(TokenFault::Text("two words".into())),
        Effect::Garbage,
    ];
    let world = World::new();
    let session = world.logged_in(json!({}));
    let before = session.to_json().unwrap();
    for effect in bodies {
        let what = format!("{effect:?}");
        world.order(Fault::new(Target::Login, effect));
        let error = login(&session).expect_err(&what);
        assert_eq!(error.status(), Status::Protocol, "{what}: {error}");
        assert_eq!(session.to_json().unwrap().as_str(), before.as_str(), "{what}");
    }
}

#[test]
fn an_answer_of_just_under_a_mebibyte_is_read() {
    let world = World::new();
    world.order(Fault::new(Target::Login, Effect::Padding { bytes: (1 << 20) - 4096 }));
    world.logged_in(json!({}));
}

#[test]
fn lost_connections() {
    let world = World::new();
    let session = world.session(json!({}));
    for at in [
        DropPoint::BeforeReading,
        DropPoint::BeforeProcessing,
        DropPoint::AfterProcessing,
        DropPoint::MidHeaders,
        DropPoint::MidBody,
    ] {
        for reset in [false, true] {
            world.order(Fault::new(Target::Login, Effect::Drop { at, reset }));
            let error = assert_status(login(&session), Status::Connect);
            assert!(error.is_retryable());
        }
    }
}

#[test]
fn nobody_listens() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let config = json!({
        "env": "x", "environments": {"x": {"host": format!("http://{closed}")}}, "retries": 0,
    });
    let config = Config::load(Some(&config.to_string()), &Surroundings::default()).unwrap();
    let session = Session::new(config, None, None, None).unwrap();
    let error = assert_status(login(&session), Status::Connect);
    assert_eq!(error.http_status(), 0);
    assert!(error.message().contains("refused") && error.message().contains(&closed.to_string()), "{error}");
}

#[test]
fn a_name_that_nobody_knows() {
    let config = json!({"env": "x", "environments": {"x": {"host": "https://no-such-host.invalid"}}, "retries": 0});
    let config = Config::load(Some(&config.to_string()), &Surroundings::default()).unwrap();
    let session = Session::new(config, None, None, None).unwrap();
    let error = login(&session).unwrap_err();
    // Without a resolver the question itself times out.
    assert!(matches!(error.status(), Status::Connect | Status::Timeout), "{error}");
}

#[test]
fn the_deadline_bounds_slow_answers() {
    let world = World::new();
    for effect in [
        Effect::Hold { at: Moment::AfterProcessing },
        Effect::Drip { ms: 500, bytes: 1, part: gcauth_sandbox::Part::All },
        Effect::Drip { ms: 500, bytes: 1, part: gcauth_sandbox::Part::Body },
    ] {
        let session = world.session(json!({"timeout_ms": 1500}));
        world.order(Fault::new(Target::Login, effect));
        let error = assert_status(login(&session), Status::Timeout);
        assert!(error.is_retryable());
    }
    world.sandbox.release();
}

#[test]
fn a_login_is_not_repeated_once_its_bytes_are_on_the_way() {
    let world = World::new();
    let session = world.session(json!({"retries": 3}));
    for fault in [
        Fault::new(Target::Login, Effect::Drop { at: DropPoint::BeforeProcessing, reset: false }),
        Fault::status(Target::Login, 503),
        Fault::status(Target::Login, 429),
        Fault::status(Target::Login, 502),
    ] {
        world.sandbox.reset();
        world.order(fault.forever());
        login(&session).unwrap_err();
        assert_eq!(world.counters().requests.login, 1);
    }
}

#[test]
fn a_refresh_is_repeated_when_it_may_be() {
    let lost = |at| Fault::new(Target::Refresh, Effect::Drop { at, reset: false });
    for (fault, requests) in [
        (Fault::status(Target::Refresh, 503), 4),
        (Fault::status(Target::Refresh, 429), 4),
        (Fault::status(Target::Refresh, 502), 2),
        (Fault::status(Target::Refresh, 504), 2),
        (lost(DropPoint::BeforeProcessing), 2),
        (Fault::status(Target::Refresh, 500), 1),
        (Fault::status(Target::Refresh, 401), 1),
        (Fault::new(Target::Refresh, Effect::BrokenJson), 1),
    ] {
        let world = World::new();
        let session = world.logged_in(json!({"retries": 3}));
        let what = format!("{fault:?}");
        world.order(fault.forever());
        session.refresh(None).unwrap_err();
        assert_eq!(world.refresh_requests(), requests, "{what}");
    }
}

#[test]
fn a_refresh_that_succeeds_on_the_second_try_is_a_success() {
    for fault in [
        Fault::status(Target::Refresh, 503),
        Fault::status(Target::Refresh, 502),
        Fault::new(Target::Refresh, Effect::Drop { at: DropPoint::BeforeProcessing, reset: true }),
    ] {
        let world = World::new();
        let session = world.logged_in(json!({"retries": 3}));
        world.order(fault);
        session.refresh(None).unwrap();
        assert_eq!((world.counters().refreshes, world.counters().reuses), (1, 0));
    }
}

#[test]
fn a_lost_answer_is_had_again_where_the_server_grants_grace() {
    let world = World::with(gcauth_sandbox::Options {
        grace: Some(Duration::from_secs(60)),
        ..gcauth_sandbox::Options::default()
    });
    let session = world.logged_in(json!({"retries": 3}));
    world.order(Fault::new(Target::Refresh, Effect::Drop { at: DropPoint::AfterProcessing, reset: false }));
    session.refresh(None).unwrap();
    assert_eq!(world.counters().graces, 1);
    session.refresh(None).unwrap();
}

#[test]
fn retry_after_is_told() {
    let world = World::new();
    let session = world.session(json!({}));
    let far = httpdate::fmt_http_date(std::time::SystemTime::now() + Duration::from_secs(100_000));
    for (value, seconds) in [("7", Some(7..=7)), ("soon", None), (far.as_str(), Some(90_000..=100_000))] {
        world.order(Fault::new(Target::Login, status_with(429, None, &[("Retry-After", value)])));
        let error = assert_status(login(&session), Status::RateLimited);
        match (error.retry_after(), seconds) {
            (Some(wait), Some(range)) => assert!(range.contains(&wait.as_secs()), "{value}: {wait:?}"),
            (wait, range) => assert_eq!(wait.is_none(), range.is_none(), "{value}"),
        }
    }
}

#[test]
fn a_retry_that_would_come_after_the_deadline_is_not_waited_for() {
    let world = World::new();
    let session = world.logged_in(json!({"retries": 3}));
    world.order(Fault::new(Target::Refresh, status_with(503, None, &[("Retry-After", "3600")])).forever());
    let error = assert_status(session.refresh(None), Status::Server);
    assert_eq!(error.retry_after(), Some(Duration::from_secs(3600)));
    assert_eq!(world.refresh_requests(), 1);
}

#[test]
fn messages_say_what_where_and_what_the_server_said() {
    let world = World::new();
    let session = world.session(json!({}));
    let error = assert_status(session.login(USER, "wrong", ORGANIZATION, None), Status::Unauthorized);
    let message = error.message();
    for part in ["login", &world.sandbox.http_url(), "frontdesk/login", "HTTP 401", "check user name"] {
        assert!(message.contains(part), "{message} lacks {part}");
    }
    let body = Body::Json(json!({"message": "No such\r\nuser \u{202e}", "details": ["first", "second"]}));
    world.order(Fault::new(Target::Login, status_with(404, Some(body), &[])));
    let error = assert_status(login(&session), Status::Unauthorized);
    assert!(error.message().contains("\"No such user (first; second)\""), "{error}");
}

#[test]
fn the_message_holds_the_words_of_any_framework() {
    let world = World::new();
    let session = world.session(json!({}));
    for (code, body, words) in [
        (401, json!({"detail": "No active account", "code": "no_active_account"}), "\"No active account\"; check user"),
        (422, json!({"detail": [{"loc": ["body", "username"], "msg": "field required"}]}), "username: field required"),
        (
            403,
            json!({"type": "about:blank", "title": "Locked", "detail": "Ask Mary"}),
            "\"Locked: Ask Mary\"; check user",
        ),
        (400, json!({"Errors": [{"Message": "One"}, {"Message": "Two"}]}), "\"One; Two\"; check user"),
        (400, json!({"username": ["required"]}), "\"username: required\"; check user"),
        (401, json!({"msg": format!("{PASSWORD} is wrong")}), "\"[redacted] is wrong\"; check user"),
        (500, json!({"oops": 17}), "\"{'oops':17}\"; try again later"),
        // Some refuse with a success.
        (
            200,
            json!({"success": false, "message": "Bad password"}),
            "has no \"token\" (only message, success) and says \"Bad password\"",
        ),
        (200, json!({"access_token": "not-to-be-shown"}), "has no \"token\" (only access_token); check \"response\""),
        (200, json!({"data": {"jwt": "not-to-be-shown"}, "list": ["not-to-be-shown"]}), "(only data, list); check"),
        // A name that does not look like one may be a token.
        (200, json!({"Not-to-be-shown": {"token": "x"}, "eyJhbGciOi1.not-to-be-shown": 1}), "has no \"token\"; check"),
        (200, json!({}), "has no \"token\"; check"),
    ] {
        world.order(Fault::new(Target::Login, status_with(code, Some(Body::Json(body)), &[])));
        let error = login(&session).expect_err(words);
        assert!(error.message().contains(words), "{error} lacks {words}");
        assert!(!error.message().contains("not-to-be-shown"), "{error}");
    }
}

#[test]
fn error_bodies_of_any_kind_give_a_short_clean_message() {
    let world = World::new();
    let session = world.session(json!({}));
    for body in [
        Body::Empty,
        Body::NotUtf8,
        Body::Html("<p>no</p>".into()),
        Body::Huge { bytes: 900_000 },
        Body::Raw("{".into()),
    ] {
        world.order(Fault::new(Target::Login, status_with(500, Some(body), &[])));
        let error = assert_status(login(&session), Status::Server);
        assert!(error.message().len() < 512 && !error.message().contains(char::is_control), "{error}");
    }
}

#[test]
fn secrets_that_the_server_echoes_are_cut_out() {
    let canary = "canary \"quoted\" \\ /ü%";
    let world = World::new();
    for form in [EchoForm::Json, EchoForm::Text] {
        let session = world.session(json!({}));
        world.order(Fault::new(Target::Login, Effect::Echo { code: 401, form }));
        let error = assert_status(session.login(USER, canary, ORGANIZATION, None), Status::Unauthorized);
        assert!(!error.message().contains("canary") && error.message().contains("[redacted]"), "{error}");
        let session = world.session_of(json!({}), Some("canary-access-token"), Some("canary-refresh-token"));
        world.order(Fault::new(Target::Refresh, Effect::Echo { code: 400, form }));
        let error = assert_status(session.refresh(None), Status::Unauthorized);
        assert!(!error.message().contains("canary"), "{error}");
        assert!(!format!("{session:?} {error:?}").contains("canary"));
    }
}

#[test]
fn secrets_that_the_server_echoes_in_other_forms_are_cut_out() {
    use base64::Engine;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

    let password = "canary&<Ada>/'+ \"\u{fc}";
    let basic = STANDARD.encode(format!("{USER}:{password}"));
    let forms = [
        "canary&amp;&lt;Ada&gt;/&#x27;+ &quot;\u{fc}".to_owned(),
        "canary%26%3cAda%3e/%27%2b%20%22%c3%bc".to_owned(),
        "canary%26%3CAda%3E%2F%27%2B+%22%C3%BC".to_owned(),
        r#"canary\u0026\u003cAda\u003e\/'+ \"\u00fc"#.to_owned(),
        basic.clone(),
        URL_SAFE_NO_PAD.encode(password),
    ];
    let world = World::new();
    for form in &forms {
        for body in [
            Body::Json(json!({"message": format!("wrong: {form}"), "details": [form]})),
            Body::Text(format!("wrong: {form}")),
            Body::Html(format!("<html><title>wrong: {form}</title></html>")),
            Body::Raw(format!("{{\"message\":\"wrong: {}\"}}", form.replace('\\', r"\\").replace('"', "\\\""))),
        ] {
            let what = format!("{body:?}");
            let session = world.session(json!({}));
            world.order(Fault::new(
                Target::Login,
                Effect::Status { code: 401, body: Some(body), headers: Default::default(), processed: false },
            ));
            let error = assert_status(session.login(USER, password, ORGANIZATION, None), Status::Unauthorized);
            assert!(error.message().contains("wrong: [redacted]"), "{what}: {error}");
            for piece in ["Ada", "canary", &basic[..8], "Y2FuYXJ5"] {
                assert!(!error.message().contains(piece), "{what}: {error}");
            }
        }
    }
}

#[test]
fn plain_http_to_others_is_refused_before_anything_is_sent() {
    for host in ["http://example.org/api", "http://10.255.255.1", "http://127.0.0.1.example.org"] {
        let config = json!({"env": "x", "environments": {"x": {"host": host}}});
        let config = Config::load(Some(&config.to_string()), &Surroundings::default()).unwrap();
        let session = Session::new(config, None, Some("a-refresh-token"), None).unwrap();
        assert_status(login(&session), Status::Insecure);
        assert_status(session.refresh(None), Status::Insecure);
        assert_status(bearer(&session), Status::Insecure);
    }
}

fn https_session(world: &World, url: &str, ca: bool) -> Session {
    let mut more = json!({"environments": {"sandbox": {"host": url}}});
    if ca {
        more["ca_file"] = json!(world.sandbox.ca_file());
    }
    world.session(more)
}

#[test]
fn https_with_the_right_ca() {
    let world = World::new();
    let session = https_session(&world, &world.sandbox.https_url(), true);
    login(&session).unwrap();
    session.refresh(None).unwrap();
}

#[test]
fn certificates_that_are_not_right() {
    let world = World::new();
    for (bad, words) in [
        (BadTls::Expired, "expired"),
        (BadTls::SelfSigned, "self-signed"),
        (BadTls::WrongHost, "another host"),
        (BadTls::UnknownIssuer, "unknown issuer"),
    ] {
        let url = world.sandbox.bad_tls_url(bad).unwrap();
        let error = assert_status(login(&https_session(&world, &url, true)), Status::Tls);
        assert!(error.message().contains(words), "{bad:?}: {error}");
        assert!(!error.is_retryable());
    }
    let error = assert_status(login(&https_session(&world, &world.sandbox.https_url(), false)), Status::Tls);
    assert!(error.message().contains("ca_file"), "{error}");
    assert_eq!(world.counters().requests.login, 0);
}

#[test]
fn https_to_a_port_that_speaks_http() {
    let world = World::new();
    let url = world.sandbox.http_url().replace("http://", "https://");
    let error = login(&https_session(&world, &url, true)).unwrap_err();
    assert!(matches!(error.status(), Status::Tls | Status::Connect), "{error}");
}

#[test]
fn a_ca_file_that_can_not_be_used() {
    let world = World::new();
    for path in ["/no/such/file", "/dev/null", "/"] {
        let session = world.session(json!({
            "environments": {"sandbox": {"host": world.sandbox.https_url()}}, "ca_file": path,
        }));
        let error = assert_status(login(&session), Status::Config);
        assert!(error.message().contains("ca_file"), "{error}");
    }
}

#[test]
fn a_404_puts_the_path_in_doubt_in_a_sentence_of_its_own() {
    let world = World::new();
    let session = world.logged_in(json!({}));
    world.order(Fault::new(Target::Refresh, status_with(404, None, &[])));
    let error = assert_status(session.refresh(None), Status::Unauthorized);
    assert!(error.message().contains("log in again; check host and path in the config as well"), "{error}");
}
