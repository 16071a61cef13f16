//! Networks and servers that mean harm, or are just broken: which status each becomes, and that the session is as before.

#[path = "support/peers.rs"]
mod peers;
mod support;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use gcauth::{Config, Error, Session, Status, Surroundings};
use gcauth_sandbox::{BadTls, Body, DropPoint, Effect, Fault, Moment, Options, Target};
use peers::*;
use serde_json::{Value, json};
use support::*;

const PROXY_USER: &str = "proxy-user";
const PROXY_PASSWORD: &str = "canary-proxy.password";
/// As a URL has it.
const PROXY_LOGIN: &str = "proxy-user:canary%2Dproxy.password";

fn session_of(config: &Value, token: Option<&str>, refresh_token: Option<&str>) -> Session {
    let config = Config::load(Some(&config.to_string()), &Surroundings::default()).unwrap();
    Session::new(config, token, refresh_token, None).unwrap()
}

/// A config for this base URL, with `more` over it.
fn config_at(url: &str, more: &Value) -> Value {
    let mut config = json!({"env": "x", "environments": {"x": {"host": url}}, "retries": 0});
    for (key, value) in more.as_object().unwrap() {
        config[key] = value.clone();
    }
    config
}

fn exported(session: &Session) -> String {
    session.to_json().unwrap().as_str().to_owned()
}

/// Login and refresh fail with this status, and the session is as before.
#[track_caller]
fn both_fail(session: &Session, status: Status, what: &str) -> [Error; 2] {
    let before = exported(session);
    let errors = [("login", login(session)), ("refresh", session.refresh(None))].map(|(call, outcome)| {
        let error = outcome.expect_err(&format!("{what}: {call}"));
        assert_eq!(error.status(), status, "{what}: {error}");
        assert_eq!(exported(session), before, "{what}: {call}");
        error
    });
    assert!(bearer(session).is_ok(), "{what}: the token that was there is handed out");
    errors
}

/// A session with a token, at a peer that has never seen it.
fn held_at(url: &str, more: &Value) -> Session {
    session_of(&config_at(url, more), Some("an-access-token"), Some("a-refresh-token"))
}

/// A message is one short line of text.
#[track_caller]
fn assert_clean(error: &Error) {
    let is_hidden =
        |c: char| c.is_control() || ('\u{200b}'..='\u{200f}').contains(&c) || ('\u{202a}'..='\u{202e}').contains(&c);
    assert!(error.message().len() < 512 && !error.message().contains(is_hidden), "{error:?}");
}

// Deadlines: each of these peers would keep us forever.

#[test]
fn nobody_takes_the_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    // SAFETY: a socket of ours that listens already; it only gets a shorter queue.
    assert_eq!(unsafe { libc::listen(listener.as_raw_fd(), 0) }, 0);
    let address = listener.local_addr().unwrap();
    let mut queued = Vec::new();
    // Once the queue is full the kernel drops what comes, as a firewall would.
    while let Ok(socket) = TcpStream::connect_timeout(&address, Duration::from_millis(500)) {
        queued.push(socket);
        assert!(queued.len() < 100);
    }
    for more in
        [json!({"timeout_ms": 1000}), json!({"connect_timeout_ms": 1000}), json!({"timeout_ms": 1000, "retries": 5})]
    {
        // The limit that was the shorter one.
        let limit =
            if more.get("connect_timeout_ms").is_some() { "within connect_timeout_ms" } else { "within timeout_ms" };
        for error in both_fail(&held_at(&base(address), &more), Status::Timeout, &more.to_string()) {
            assert!(error.is_retryable() && error.message().contains(limit), "{error}");
        }
    }
}

#[test]
fn nobody_answers() {
    let peer = RawPeer::silent();
    for error in both_fail(&held_at(&base(peer.address), &json!({"timeout_ms": 1000})), Status::Timeout, "http") {
        assert!(error.message().contains("timeout_ms"), "{error}");
    }
    let certificates = Certificates::new();
    let https = base(peer.address).replace("http:", "https:");
    let ca_file = certificates.file("ca.pem");
    for timeout in ["timeout_ms", "connect_timeout_ms"] {
        let session = held_at(&https, &json!({timeout: 1000, "ca_file": ca_file}));
        both_fail(&session, Status::Timeout, timeout);
    }
    // A proxy that does not answer is no different.
    let proxy = format!("http://{}", peer.address);
    let session = held_at("https://a.example", &json!({"timeout_ms": 1000, "proxy": proxy, "ca_file": ca_file}));
    both_fail(&session, Status::Timeout, "proxy");
}

#[test]
fn an_answer_drips() {
    for (head, drop) in [
        ("HTTP/1.1 200 ", "x"),
        ("HTTP/1.1 200 OK\r\n", "X-Endless: 1\r\n"),
        ("HTTP/1.1 200 OK\r\n", "x"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 500000\r\n\r\n", " "),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\n \r\n"),
        ("HTTP/1.1 200 OK\r\n\r\n", " "),
        ("", "HTTP/1.1 100 Continue\r\n\r\n"),
        ("", "HTTP/1.1 103 Early Hints\r\n\r\n"),
    ] {
        let peer = RawPeer::start(move |mut socket| {
            read_request(&mut socket);
            let mut is_open = socket.write_all(head.as_bytes()).is_ok();
            while is_open {
                std::thread::sleep(Duration::from_millis(200));
                is_open = socket.write_all(drop.as_bytes()).is_ok();
            }
        });
        let session = held_at(&base(peer.address), &json!({"timeout_ms": 1000}));
        both_fail(&session, Status::Timeout, &format!("{head:?} {drop:?}"));
    }
}

#[test]
fn retries_end_with_the_deadline() {
    let world = World::new();
    let session = world.logged_in(json!({"retries": 1_000_000, "timeout_ms": 3000}));
    let before = exported(&session);
    world.order(Fault::status(Target::Refresh, 503).forever());
    let error = session.refresh(None).unwrap_err();
    // The deadline may come between two tries, or in one.
    assert!(matches!(error.status(), Status::Server | Status::Timeout) && error.is_retryable(), "{error}");
    assert!(world.refresh_requests() > 1);
    assert_eq!(exported(&session), before);
    world.sandbox.clear_faults();
    session.refresh(None).unwrap();
    // Nobody listens.
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let session = held_at(&base(closed), &json!({"retries": 1_000_000, "timeout_ms": 3000}));
    for outcome in [login(&session), session.refresh(None)] {
        assert!(matches!(outcome.unwrap_err().status(), Status::Connect | Status::Timeout));
    }
}

#[test]
fn a_key_set_that_does_not_come() {
    let world = World::new();
    let url = format!("{}/.well-known/jwks.json", world.sandbox.http_url());
    let session = world.logged_in(json!({"jwks_url": url, "timeout_ms": 2000}));
    world.order(Fault::new(Target::Jwks, Effect::Hold { at: Moment::AfterProcessing }));
    assert_status(session.verify(), Status::Timeout);
    world.sandbox.release();
    // This handle does not ask again for half a minute; another one does, with all the time that it needs.
    assert_status(session.verify(), Status::Timeout);
    world.logged_in(json!({"jwks_url": url})).verify().unwrap();
}

#[test]
fn another_process_renews_for_longer_than_we_can_wait() {
    let world = World::new();
    let directory = Directory::new();
    let store = |more: Value| {
        let mut config = json!({"store": format!("file:{}", directory.file("session").display())});
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        world.session(config)
    };
    let holder = store(json!({"timeout_ms": 120_000}));
    login(&holder).unwrap();
    let other = store(json!({"timeout_ms": 2000}));
    let held = bearer(&other).unwrap();
    world.hold_refresh();
    std::thread::scope(|scope| {
        let renewing = scope.spawn(|| holder.refresh(None));
        world.wait_held();
        let before = exported(&other);
        let error = assert_status(other.refresh(None), Status::LockTimeout);
        assert!(error.is_retryable());
        assert_eq!((exported(&other), bearer(&other).unwrap()), (before, held));
        let error = assert_status(login(&other), Status::LockTimeout);
        assert!(error.is_retryable() && world.counters().requests.login == 1);
        // It was not the server that ended it.
        assert_eq!((world.sandbox.held(), renewing.is_finished()), (1, false));
        world.sandbox.release();
        renewing.join().unwrap().unwrap();
    });
    other.refresh(None).unwrap();
    assert_eq!(world.counters().reuses, 0);
}

// Retries.

#[test]
fn a_login_is_sent_again_while_nothing_of_it_was() {
    let world = World::new();
    let https = json!({"environments": {"sandbox": {"host": world.sandbox.https_url()}}, "ca_file": world.sandbox.ca_file(), "retries": 3});
    for reset in [false, true] {
        world.sandbox.reset();
        // Before TLS is through nothing has been sent.
        let fault = Fault::new(Target::Connection, Effect::Drop { at: DropPoint::BeforeReading, reset });
        world.order(fault.times(3));
        world.logged_in(https.clone());
        assert_eq!((world.counters().connections, world.counters().requests.login), (4, 1));
    }
    world.sandbox.reset();
    world.order(Fault::new(Target::Connection, Effect::Drop { at: DropPoint::BeforeReading, reset: true }).forever());
    let session = world.session(https);
    assert_status(login(&session), Status::Connect);
    assert_eq!(world.counters().connections, 4);
    assert_status(bearer(&session), Status::NoToken);
}

#[test]
fn retry_after_is_waited_for_when_it_fits() {
    // The date is rounded down to a second, and time goes on while it is on its way.
    let date = || httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(4));
    for status in [429, 503] {
        for is_date in [false, true] {
            let world = World::new();
            let session = world.logged_in(json!({"retries": 1}));
            let began = Instant::now();
            let value = if is_date { date() } else { "2".to_owned() };
            let headers = BTreeMap::from([("Retry-After".to_owned(), value.clone())]);
            let effect = Effect::Status { code: status, body: None, headers, processed: false };
            world.order(Fault::new(Target::Refresh, effect));
            session.refresh(None).unwrap();
            assert!(began.elapsed() >= Duration::from_secs(2), "{status} {value}");
            assert_eq!((world.refresh_requests(), world.counters().refreshes), (2, 1));
        }
    }
}

/// A refresh whose answer is lost, by how many tries a renewal has, and whether the server gives it again.
#[test]
fn an_answer_that_is_lost() {
    let lost = [
        Effect::Drop { at: DropPoint::AfterProcessing, reset: false },
        Effect::Drop { at: DropPoint::AfterProcessing, reset: true },
        Effect::Drop { at: DropPoint::MidHeaders, reset: false },
        Effect::Drop { at: DropPoint::MidBody, reset: false },
        Effect::Status { code: 502, body: None, headers: BTreeMap::new(), processed: true },
        Effect::Status { code: 504, body: None, headers: BTreeMap::new(), processed: true },
    ];
    for effect in lost {
        for grace in [Some(Duration::from_secs(600)), None] {
            for retries in [0, 3] {
                let what = format!("{effect:?}, grace {grace:?}, {retries} retries");
                let world = World::with(Options { grace, ..Options::default() });
                let session = world.logged_in(json!({"retries": retries}));
                let before = exported(&session);
                world.order(Fault::new(Target::Refresh, effect.clone()));
                let outcome = session.refresh(None);
                assert_eq!(world.refresh_requests(), if retries == 0 { 1 } else { 2 }, "{what}");
                match (grace, retries) {
                    (Some(_), 3) => {
                        outcome.unwrap_or_else(|error| panic!("{what}: {error}"));
                        assert_eq!(world.counters().graces, 1);
                    }
                    (_, 0) => {
                        let error = outcome.expect_err(&what);
                        assert!(matches!(error.status(), Status::Connect | Status::Server), "{what}: {error}");
                        assert!(error.is_retryable(), "{what}");
                        assert_eq!(exported(&session), before, "{what}");
                        assert_eq!(session.refresh(None).is_ok(), grace.is_some(), "{what}");
                    }
                    _ => {
                        // The server says what it thinks of the old token, and the session is gone. Ours is as before.
                        let error = outcome.expect_err(&what);
                        assert_eq!((error.status(), error.is_retryable()), (Status::Unauthorized, false), "{what}");
                        assert_eq!(exported(&session), before, "{what}");
                        assert_eq!(world.counters().reuses, 1, "{what}");
                        login(&session).unwrap();
                    }
                }
                session.refresh(None).unwrap_or_else(|error| {
                    assert!(grace.is_none() && retries == 0, "{what}: {error}");
                });
            }
        }
    }
}

// Answers.

/// A gzip of `text`, as stored blocks; its checksum is left wrong on demand.
fn gzip(text: &[u8], damage: bool) -> Vec<u8> {
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    let length = u16::try_from(text.len()).unwrap();
    out.push(1);
    out.extend(length.to_le_bytes());
    out.extend((!length).to_le_bytes());
    out.extend(text);
    let mut crc = u32::MAX;
    for byte in text {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
        }
    }
    out.extend((!crc ^ u32::from(damage)).to_le_bytes());
    out.extend(u32::try_from(text.len()).unwrap().to_le_bytes());
    out
}

const TOKENS: &str = r#"{"token":"new-token","refreshToken":"new-refresh-token"}"#;

fn answer(status: &str, headers: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let length = body.as_ref().len();
    let mut out = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n{headers}\r\n").into_bytes();
    out.extend(body.as_ref());
    out
}

#[test]
fn raw_answers_that_are_none() {
    let tokens = |token: &str| format!("{{\"token\":{token},\"refreshToken\":\"r\"}}");
    let many_headers = "X-Header: 1\r\n".repeat(5000);
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("no HTTP", b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()),
        ("HTTP/0.9", TOKENS.as_bytes().to_vec()),
        ("HTTP/2", b"HTTP/2 200\r\n\r\n".to_vec()),
        ("no status", b"HTTP/1.1 abc OK\r\n\r\n".to_vec()),
        ("many headers", answer("200 OK", &many_headers, TOKENS)),
        ("a long header", answer("200 OK", &format!("X-Long: {}\r\n", "x".repeat(200_000)), TOKENS)),
        ("a header with a NUL", answer("200 OK", "X-Nul: \0\r\n", TOKENS)),
        ("a header without a colon", answer("200 OK", "nonsense\r\n", TOKENS)),
        ("a length that is none", b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n{}".to_vec()),
        ("two lengths", format!("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 56\r\n\r\n{TOKENS}").into()),
        ("a giant chunk", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff1\r\n{}".to_vec()),
        (
            "a chunk that is none",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n{}\r\n0\r\n\r\n".to_vec(),
        ),
        ("a wrong checksum", answer("200 OK", "Content-Encoding: gzip\r\n", gzip(TOKENS.as_bytes(), true))),
        ("half a gzip", answer("200 OK", "Content-Encoding: gzip\r\n", &gzip(TOKENS.as_bytes(), false)[..30])),
        ("no gzip at all", answer("200 OK", "Content-Encoding: gzip\r\n", TOKENS)),
        ("brotli", answer("200 OK", "Content-Encoding: br\r\n", [0x8b, 0x1b, 0x80, b'{', b'}', 3])),
        ("no content", b"HTTP/1.1 204 No Content\r\n\r\n".to_vec()),
        ("a deep value", answer("200 OK", "", "[".repeat(100_000))),
        ("a deep member", answer("200 OK", "", format!("{{\"token\":{}", "{\"a\":".repeat(100_000)))),
        ("half a character", answer("200 OK", "", tokens("\"\\ud800\""))),
        ("not UTF-8", answer("200 OK", "", b"{\"token\":\"\xff\",\"refreshToken\":\"r\"}")),
        ("a NUL in the token", answer("200 OK", "", tokens("\"a\\u0000b\""))),
        ("a line break in the token", answer("200 OK", "", tokens("\"a\\r\\nX: b\""))),
        ("a DEL in the token", answer("200 OK", "", tokens("\"a\\u007fb\""))),
        ("a C1 control in the token", answer("200 OK", "", tokens("\"a\\u0085b\""))),
        ("a number", answer("200 OK", "", tokens("1"))),
        ("a list", answer("200 OK", "", tokens("[\"a\"]"))),
        ("true", answer("200 OK", "", tokens("true"))),
        ("a type that is a number", answer("200 OK", "", r#"{"token":"a","refreshToken":"r","tokenType":1}"#)),
        ("two values", answer("200 OK", "", format!("{TOKENS}{TOKENS}"))),
        ("a token of other bytes", answer("200 OK", "", b"{\"token\":\"a\xfcb\",\"refreshToken\":\"r\"}")),
        ("a fold before all headers", b"HTTP/1.1 200 OK\r\n folded\r\nContent-Length: 2\r\n\r\n{}".to_vec()),
    ];
    for (what, bytes) in cases {
        let peer = RawPeer::saying(bytes);
        for error in both_fail(&held_at(&base(peer.address), &json!({"timeout_ms": 60_000})), Status::Protocol, what) {
            assert_clean(&error);
            assert!(!error.is_retryable(), "{what}");
        }
    }
    // Too short for what was announced: a connection that was lost.
    for bytes in [
        format!("HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n{TOKENS}").into_bytes(),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"tok".to_vec(),
        b"HTTP/1.1 200 OK\r\nContent-Le".to_vec(),
        Vec::new(),
    ] {
        let peer = RawPeer::saying(bytes);
        both_fail(&held_at(&base(peer.address), &json!({})), Status::Connect, "cut short");
    }
}

#[test]
fn raw_answers_that_will_do() {
    for bytes in [
        answer("200 OK", "Content-Type: text/html; charset=nonsense\r\n", TOKENS),
        answer("299 Whatever", "Content-Type: \r\n", TOKENS),
        answer("200", "", TOKENS),
        // A header that goes on in the next line, which was allowed once.
        answer("200 OK", "X-Folded: a\r\n b\r\n\tc\r\n \r\nX-Other: d\r\n", TOKENS),
        answer("200 OK", "Retry-After:\r\n 5\r\n", TOKENS),
        // Bytes of another encoding in what nobody asked for.
        answer(
            "200 OK",
            "",
            b"{\"name\":\"M\xfcller\",\"token\":\"new-token\",\"\xe9\":1,\"refreshToken\":\"new-refresh-token\"}",
        ),
        answer("201 Created", "Content-Encoding: gzip\r\n", gzip(TOKENS.as_bytes(), false)),
        answer("200 OK", "Location: http://192.0.2.1/\r\nRefresh: 0\r\nSet-Cookie: a=b\r\n", TOKENS),
        format!("HTTP/1.0 200 OK\r\n\r\n{TOKENS}").into_bytes(),
        format!(
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{:x};a=b\r\n{TOKENS}\r\n0\r\nX: y\r\n\r\n",
            TOKENS.len()
        )
        .into_bytes(),
    ] {
        let what = String::from_utf8_lossy(&bytes).into_owned();
        let peer = RawPeer::saying(bytes);
        let session = held_at(&base(peer.address), &json!({}));
        login(&session).unwrap_or_else(|error| panic!("{error}: {what}"));
        session.refresh(None).unwrap_or_else(|error| panic!("{error}: {what}"));
        assert_eq!((token(&session), refresh_token(&session)), ("new-token".into(), "new-refresh-token".into()));
    }
}

/// What a refusal has for a body changes nothing about it.
#[test]
fn refusals_with_bodies_of_any_kind() {
    let bomb = |bytes| Some(Body::GzipBomb { bytes });
    let bodies = [
        None,
        Some(Body::Empty),
        Some(Body::NotUtf8),
        Some(Body::Html("<!doctype html><title>a\u{202e}b\u{7}</title>".into())),
        Some(Body::Json(
            json!({"message": "a\u{0}\u{1b}[31m\u{202e}\u{2066}b\r\nc\u{85}\u{2028}d", "details": [7, null]}),
        )),
        Some(Body::Json(json!({"message": "x".repeat(100_000)}))),
        Some(Body::Raw("{\"message\":".into())),
        Some(Body::Text("\u{feff}\u{200b}\n\n".into())),
        Some(Body::Huge { bytes: 3 << 20 }),
        bomb(64 << 20),
    ];
    let world = World::new();
    let session = world.logged_in(json!({}));
    for (code, status) in
        [(401, Status::Unauthorized), (418, Status::Http), (429, Status::RateLimited), (503, Status::Server)]
    {
        for body in &bodies {
            let what = format!("{code} {body:?}");
            let headers = BTreeMap::from([("Retry-After".to_owned(), "100000".to_owned())]);
            let effect = Effect::Status { code, body: body.clone(), headers, processed: false };
            world.order(Fault::new(Target::Login, effect.clone()));
            world.order(Fault::new(Target::Refresh, effect));
            for error in both_fail(&session, status, &what) {
                assert_clean(&error);
                assert_eq!(error.http_status(), code, "{what}");
                assert_eq!(error.retry_after(), Some(Duration::from_secs(100_000)), "{what}");
            }
        }
    }
    // The server has judged: it is not asked again for the rest of its words.
    for bytes in [
        "HTTP/1.1 401 Unauthorized\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        "HTTP/1.1 401 Unauthorized\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnone",
    ] {
        let peer = RawPeer::saying(bytes.into());
        both_fail(&held_at(&base(peer.address), &json!({"retries": 3})), Status::Unauthorized, bytes);
        assert_eq!(peer.connections(), 2, "{bytes}");
    }
    // But a connection that was lost on the way is just that.
    let peer = RawPeer::saying(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 5000\r\n\r\n{\"message\":\"no".into());
    for error in both_fail(&held_at(&base(peer.address), &json!({})), Status::Connect, "cut short") {
        assert_eq!(error.http_status(), 401);
    }
    session.refresh(None).unwrap();
}

#[test]
fn redirects_lead_nowhere() {
    let elsewhere = RawPeer::saying(answer("200 OK", "", TOKENS));
    let world = World::new();
    let session = world.logged_in(json!({"retries": 3}));
    for code in [300, 301, 302, 303, 305, 307, 308] {
        for location in
            [base(elsewhere.address), "/api/v1/other".into(), "//127.0.0.1/".into(), "https://a.example/".into()]
        {
            world.sandbox.reset();
            for target in [Target::Login, Target::Refresh] {
                world.order(Fault::new(target, Effect::Redirect { code, location: Some(location.clone()) }));
            }
            for error in both_fail(&session, Status::Insecure, &format!("{code} {location}")) {
                assert_eq!((error.http_status(), error.is_retryable()), (code, false));
            }
            assert_eq!((world.counters().connections, elsewhere.connections()), (2, 0));
        }
    }
    session.refresh(None).unwrap();
}

// TLS.

#[test]
fn each_bad_certificate_is_told_apart() {
    let world = World::new();
    let lender = world.logged_in(json!({}));
    for (kind, what, remedy) in [
        (BadTls::Expired, "expired", "operator"),
        (BadTls::NotYetValid, "not valid yet", "clock"),
        (BadTls::SelfSigned, "self-signed", "ca_file"),
        (BadTls::WrongHost, "another host", "check the host"),
        (BadTls::UnknownIssuer, "unknown issuer", "ca_file"),
        (BadTls::ClientCertificate, "client certificate", "client_cert_file"),
    ] {
        let url = world.sandbox.bad_tls_url(kind).unwrap();
        let more =
            json!({"environments": {"sandbox": {"host": url}}, "ca_file": world.sandbox.ca_file(), "retries": 3});
        let session = world.session_of(more, Some(&token(&lender)), Some(&refresh_token(&lender)));
        let connections = world.counters().connections;
        for error in both_fail(&session, Status::Tls, what) {
            assert!(error.message().contains(what) && error.message().contains(remedy), "{kind:?}: {error}");
            assert!(!error.is_retryable() && error.http_status() == 0);
        }
        // Trying again would not make it better.
        assert_eq!(world.counters().connections, connections + 2);
    }
    assert_eq!((world.counters().requests.login, world.refresh_requests()), (1, 0));
    lender.refresh(None).unwrap();
}

#[test]
fn verification_can_not_be_turned_off() {
    for key in ["verify", "tls_verify", "verify_tls", "insecure", "ssl_verify", "skip_verify", "allow_insecure"] {
        for value in [json!(true), json!(false)] {
            let config = json!({ key: value }).to_string();
            let error = Config::load(Some(&config), &Surroundings::default()).unwrap_err();
            assert_eq!(error.status(), Status::Config, "{key}");
        }
    }
}

/// A server of OpenSSL's that can do no better than this version.
#[test]
fn old_versions_of_tls_are_refused() {
    if !is_installed("openssl") {
        return;
    }
    let certificates = Certificates::new();
    let names = ["server.pem", "server-key.pem"].map(|name| certificates.file(name));
    for (version, is_spoken) in [("-tls1", false), ("-tls1_1", false), ("-tls1_2", true), ("-tls1_3", true)] {
        // At the usual security level OpenSSL itself no longer speaks the old ones.
        let cipher = ["-cipher", "DEFAULT@SECLEVEL=0"];
        let server = Listening::start("openssl s_server", |port| {
            let mut command = Command::new("openssl");
            command.args(["s_server", version, "-quiet", "-accept", &format!("127.0.0.1:{port}")]);
            command.args(["-cert", &names[0], "-key", &names[1]]).args(cipher);
            command
        });
        let control = Command::new("openssl")
            .args(["s_client", version, "-connect", &format!("127.0.0.1:{}", server.port)])
            .args(cipher)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(control.status.success(), "OpenSSL does not speak {version} here");
        let url = format!("https://127.0.0.1:{}/api/v1", server.port);
        // Only what never comes is waited for in vain.
        let timeout_ms = if is_spoken { 3000 } else { 60_000 };
        let session = held_at(&url, &json!({"ca_file": certificates.file("ca.pem"), "timeout_ms": timeout_ms}));
        if is_spoken {
            // It reads what we send, and has nothing to say.
            let status = login(&session).unwrap_err().status();
            assert!(matches!(status, Status::Timeout | Status::Connect), "{version}: {status:?}");
        } else {
            for error in both_fail(&session, Status::Tls, version) {
                assert!(error.message().contains("TLS 1.2"), "{version}: {error}");
            }
        }
    }
}

// nginx in front of the sandbox.

fn behind_nginx(world: &World, certificates: &Certificates, more: &str) -> Option<(Nginx, Session)> {
    let upstream = world.sandbox.http_url().trim_end_matches("/api/v1").to_owned();
    let nginx = Nginx::start(certificates, &upstream, more)?;
    let session = world.session(json!({
        "environments": {"sandbox": {"host": nginx.url("127.0.0.1")}}, "ca_file": certificates.file("ca.pem"),
    }));
    Some((nginx, session))
}

#[test]
fn nginx_stops_and_starts() {
    let (world, certificates) = (World::new(), Certificates::new());
    let Some((mut nginx, session)) = behind_nginx(&world, &certificates, "") else { return };
    login(&session).unwrap();
    session.refresh(None).unwrap();
    nginx.stop();
    for error in both_fail(&session, Status::Connect, "stopped") {
        assert!(error.is_retryable() && error.message().contains("refused"), "{error}");
    }
    nginx.start_again();
    session.refresh(None).unwrap();
    session.refresh(None).unwrap();
    assert_eq!((world.counters().logins, world.counters().refreshes, world.counters().reuses), (1, 3, 0));
}

#[test]
fn nginx_has_lost_its_server() {
    let (world, certificates) = (World::new(), Certificates::new());
    let Some((_nginx, session)) = behind_nginx(&world, &certificates, "proxy_read_timeout 1s;") else { return };
    login(&session).unwrap();
    // Nobody behind it: the request was never seen, and is good for another time.
    let closing = Fault::new(Target::Connection, Effect::Drop { at: DropPoint::BeforeReading, reset: true });
    world.order(closing.forever());
    for error in both_fail(&session, Status::Server, "502") {
        assert_eq!((error.http_status(), error.is_retryable()), (502, true));
        assert!(error.message().contains("502 Bad Gateway"), "{error}");
    }
    world.sandbox.clear_faults();
    session.refresh(None).unwrap();
    // And one who takes too long.
    for target in [Target::Login, Target::Refresh] {
        world.order(Fault::new(target, Effect::Hold { at: Moment::BeforeProcessing }));
    }
    for error in both_fail(&session, Status::Server, "504") {
        assert_eq!((error.http_status(), error.is_retryable()), (504, true));
    }
    world.sandbox.reset();
}

#[test]
fn nginx_has_its_own_opinions() {
    let (world, certificates) = (World::new(), Certificates::new());
    let body = |location: &str| format!("location {location} {{ return 418 'a teapot'; }}");
    for (directives, status, code, words) in [
        (body("= /api/v1/frontdesk/login"), Status::Http, 418, "a teapot"),
        ("client_max_body_size 10;".into(), Status::Http, 413, "413 Request Entity Too Large"),
        ("deny all;".into(), Status::Unauthorized, 403, "403 Forbidden"),
        (
            "auth_basic x; auth_basic_user_file /dev/null;".into(),
            Status::Unauthorized,
            401,
            "401 Authorization Required",
        ),
        ("return 301 https://127.0.0.1:1$request_uri;".into(), Status::Insecure, 301, "redirect"),
        ("return 503;".into(), Status::Server, 503, "503 Service Temporarily Unavailable"),
    ] {
        let Some((_nginx, session)) = behind_nginx(&world, &certificates, &directives) else { return };
        let error = assert_status(login(&session), status);
        assert_eq!(error.http_status(), code, "{error}");
        assert!(error.message().contains(words), "{error}");
        assert_status(bearer(&session), Status::NoToken);
    }
    // One login a minute.
    let limited = "limit_req zone=requests; limit_req_status 429;";
    let Some((_nginx, session)) = behind_nginx(&world, &certificates, limited) else { return };
    login(&session).unwrap();
    for error in both_fail(&session, Status::RateLimited, "429") {
        assert!(error.is_retryable() && error.http_status() == 429);
    }
    // What it changes on the way does no harm.
    for directives in [
        "gzip on; gzip_types *; gzip_min_length 1; gzip_proxied any;",
        "ssl_protocols TLSv1.2;",
        "ssl_protocols TLSv1.3;",
        "proxy_buffering off;",
    ] {
        let Some((_nginx, session)) = behind_nginx(&world, &certificates, directives) else { return };
        login(&session).unwrap_or_else(|error| panic!("{directives}: {error}"));
        session.refresh(None).unwrap();
    }
}

#[test]
fn nginx_wants_a_client_certificate() {
    let (world, certificates, strangers) = (World::new(), Certificates::new(), Certificates::new());
    let wanted = format!("ssl_verify_client on; ssl_client_certificate {};", certificates.file("ca.pem"));
    let Some((nginx, without)) = behind_nginx(&world, &certificates, &wanted) else { return };
    let with = |owner: &Certificates| {
        world.session(json!({
            "environments": {"sandbox": {"host": nginx.url("127.0.0.1")}},
            "ca_file": certificates.file("ca.pem"),
            "client_cert_file": owner.file("client.pem"),
            "client_key_file": owner.file("client-key.pem"),
        }))
    };
    // nginx says it in HTTP, and in a page's title.
    for session in [without, with(&strangers)] {
        let error = assert_status(login(&session), Status::Unauthorized);
        assert!(error.http_status() == 400 && error.message().contains("SSL certificate"), "{error}");
    }
    assert_eq!(world.counters().requests.login, 0);
    let session = with(&certificates);
    login(&session).unwrap();
    session.refresh(None).unwrap();
}

// Proxies.

/// The sandbox behind nginx by a name that only the proxy knows.
struct Proxied {
    world: World,
    certificates: Certificates,
    nginx: Nginx,
    names: NamingProxy,
    tinyproxy: Listening,
    _directory: Directory,
}

impl Proxied {
    fn new() -> Option<Self> {
        let (world, certificates) = (World::new(), Certificates::new());
        let upstream = world.sandbox.http_url().trim_end_matches("/api/v1").to_owned();
        let nginx = Nginx::start(&certificates, &upstream, "")?;
        let (names, directory) = (NamingProxy::start(), Directory::new());
        let tinyproxy = tinyproxy(&directory, &names, PROXY_USER, PROXY_PASSWORD)?;
        Some(Proxied { world, certificates, nginx, names, tinyproxy, _directory: directory })
    }

    /// By this proxy, `http://LOGIN@tinyproxy` for one.
    fn config(&self, proxy: Option<&str>) -> Value {
        let ca_file = self.certificates.file("ca.pem");
        config_at(&self.nginx.url(NAME), &json!({"ca_file": ca_file, "proxy": proxy}))
    }

    fn address(&self) -> String {
        format!("127.0.0.1:{}", self.tinyproxy.port)
    }
}

#[test]
fn through_a_proxy_with_a_password() {
    let Some(proxied) = Proxied::new() else { return };
    let url = format!("http://{PROXY_LOGIN}@{}", proxied.address());
    let session = session_of(&proxied.config(Some(&url)), None, None);
    login(&session).unwrap();
    session.refresh(None).unwrap();
    assert_eq!((proxied.world.counters().logins, proxied.world.counters().refreshes), (1, 1));
    let seen = proxied.names.seen();
    assert_eq!(seen.len(), 2);
    for (target, bytes) in seen {
        assert_eq!(target, format!("{NAME}:{}", proxied.nginx.port));
        // A TLS handshake, and nothing that could be read on the way.
        assert_eq!(bytes[0], 22);
        assert!(!bytes.windows(PASSWORD.len()).any(|window| window == PASSWORD.as_bytes()));
    }
    // Plain http goes through as well, if it may.
    let port = proxied.world.sandbox.http_url().rsplit(':').next().unwrap().to_owned();
    let more = json!({"proxy": url, "allow_http": true});
    let plain = session_of(&config_at(&format!("http://{NAME}:{port}"), &more), None, None);
    login(&plain).unwrap();
    // The wrong password, and none.
    for proxy in
        [format!("http://{PROXY_USER}:canary-wrong@{}", proxied.address()), format!("http://{}", proxied.address())]
    {
        let session = session_of(&proxied.config(Some(&proxy)), Some("an-access-token"), Some("a-refresh-token"));
        for error in both_fail(&session, Status::Connect, &proxy) {
            assert!(error.message().contains("the proxy wants a user name and password"), "{error}");
            assert!(!error.message().contains("canary") && error.http_status() == 0, "{error}");
        }
    }
    // A name that the proxy does not know.
    let unknown =
        config_at("https://unknown.test:1/", &json!({"proxy": url, "ca_file": proxied.certificates.file("ca.pem")}));
    let session = session_of(&unknown, Some("an-access-token"), Some("a-refresh-token"));
    both_fail(&session, Status::Connect, "unknown");
    assert_eq!(proxied.world.counters().logins, 2);
}

/// Not a test: what [`through_the_proxy_of_the_environment`] runs in a process with another environment.
#[test]
fn logs_in_by_the_environment() {
    let Ok(config) = std::env::var("GCAUTH_TEST_PROXIED") else { return };
    let config = Config::load(Some(&config), &Surroundings::from_env()).unwrap();
    let session = Session::new(config, None, None, None).unwrap();
    match login(&session).and_then(|()| session.refresh(None)) {
        Ok(()) => println!("outcome: Ok"),
        Err(error) => println!("outcome: {:?} {error}", error.status()),
    }
}

fn outcome_with(config: &Value, variables: &[(&str, &str)]) -> String {
    let mut command = Command::new(std::env::current_exe().unwrap());
    for name in ["http_proxy", "https_proxy", "all_proxy", "no_proxy"] {
        command.env_remove(name).env_remove(name.to_uppercase());
    }
    let output = command
        .args(["--exact", "logs_in_by_the_environment", "--nocapture", "--test-threads=1"])
        .env("GCAUTH_TEST_PROXIED", config.to_string())
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.split_once("outcome: ").expect("an outcome").1.lines().next().unwrap().to_owned()
}

#[test]
fn through_the_proxy_of_the_environment() {
    let Some(proxied) = Proxied::new() else { return };
    let url = format!("http://{PROXY_LOGIN}@{}", proxied.address());
    let config = proxied.config(None);
    for name in ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
        assert_eq!(outcome_with(&config, &[(name, &url)]), "Ok", "{name}");
    }
    assert_eq!(proxied.world.counters().refreshes, 4);
    // Nobody else knows the name.
    for variables in [
        vec![],
        vec![("http_proxy", url.as_str())],
        vec![("https_proxy", url.as_str()), ("no_proxy", NAME)],
        vec![("https_proxy", url.as_str()), ("NO_PROXY", "test")],
    ] {
        let outcome = outcome_with(&config, &variables);
        assert!(outcome.starts_with("Connect") || outcome.starts_with("Timeout"), "{variables:?}: {outcome}");
    }
    assert!(outcome_with(&config, &[("https_proxy", "socks5://u:canary@127.0.0.1:1")]).starts_with("Config"));
    assert_eq!(proxied.names.seen().len(), 8);
    // The config goes before the environment.
    let silent = RawPeer::silent();
    let elsewhere = format!("http://{}", silent.address);
    assert_eq!(outcome_with(&proxied.config(Some(&url)), &[("https_proxy", &elsewhere), ("no_proxy", "*")]), "Ok");
    assert_eq!(silent.connections(), 0);
}

/// A proxy that is itself spoken to by TLS: nginx takes that off in front of tinyproxy.
#[test]
fn through_a_proxy_with_tls() {
    let Some(proxied) = Proxied::new() else { return };
    let Some(wrapped) = Nginx::start_stream(&proxied.certificates, &proxied.address()) else { return };
    let url = format!("https://{PROXY_LOGIN}@127.0.0.1:{}", wrapped.port);
    let session = session_of(&proxied.config(Some(&url)), None, None);
    login(&session).unwrap();
    session.refresh(None).unwrap();
    for (_, bytes) in proxied.names.seen() {
        // Inside the proxy's TLS there is the server's.
        assert_eq!(bytes[0], 22);
        assert!(!bytes.windows(PASSWORD.len()).any(|window| window == PASSWORD.as_bytes()));
    }
    let port = proxied.world.sandbox.http_url().rsplit(':').next().unwrap().to_owned();
    let more = json!({"proxy": url, "allow_http": true, "ca_file": proxied.certificates.file("ca.pem")});
    let plain = session_of(&config_at(&format!("http://{NAME}:{port}"), &more), None, None);
    login(&plain).unwrap();
    // Its certificate is verified like any other.
    let mut stranger = proxied.config(Some(&url));
    stranger["ca_file"] = Certificates::new().file("ca.pem").into();
    let session = session_of(&stranger, Some("an-access-token"), Some("a-refresh-token"));
    both_fail(&session, Status::Config, "no such file");
    let others = Certificates::new();
    stranger["ca_file"] = others.file("ca.pem").into();
    let session = session_of(&stranger, Some("an-access-token"), Some("a-refresh-token"));
    both_fail(&session, Status::Tls, "another CA");
}

#[test]
fn this_machine_is_reached_without_a_proxy() {
    let world = World::new();
    let proxy = RawPeer::silent();
    let port = world.sandbox.http_url().trim_end_matches("/api/v1").rsplit(':').next().unwrap().to_owned();
    for host in ["127.0.0.1", "localhost", "LOCALHOST", "[::ffff:127.0.0.1]"] {
        let url = format!("http://{host}:{port}/api/v1");
        let config = config_at(&url, &json!({}));
        let address = format!("http://{}", proxy.address);
        let explicit = config_at(&url, &json!({"proxy": address}));
        login(&session_of(&explicit, None, None)).unwrap_or_else(|error| panic!("{host}: {error}"));
        assert_eq!(outcome_with(&config, &[("http_proxy", &address), ("ALL_PROXY", &address)]), "Ok", "{host}");
    }
    assert_eq!(proxy.connections(), 0);
}

/// Whoever is to blame is named, and where its address stands.
#[test]
fn a_proxy_that_fails_is_not_taken_for_the_server() {
    let certificates = Certificates::new();
    let ca_file = certificates.file("ca.pem");
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    // No name has a part as long as that: nobody is asked for it.
    let unknown = format!("{}.test:3128", "x".repeat(64));
    let refusing = RawPeer::saying(answer("403 Filtered", "", ""));
    let failing = RawPeer::saying(answer("500 Out of \"order\"", "", ""));
    let no_proxy = RawPeer::saying(b"SSH-2.0-OpenSSH_9.2\r\n\r\n".to_vec());
    let hanging_up = RawPeer::saying(Vec::new());
    for (what, place, words) in [
        ("nobody listens", closed.to_string(), "connection refused by the proxy"),
        ("an unknown name", unknown, "the host name of the proxy"),
        ("it refuses", refusing.address.to_string(), "HTTP 403 \"Filtered\""),
        ("it fails", failing.address.to_string(), "HTTP 500 \"Out of 'order'\""),
        ("it is none", no_proxy.address.to_string(), "is it a proxy?"),
        ("it hangs up", hanging_up.address.to_string(), "is it a proxy?"),
    ] {
        let url = format!("http://user:canary@{place}");
        let more = json!({"proxy": url, "ca_file": ca_file, "timeout_ms": 20_000});
        for error in both_fail(&held_at("https://a.example", &more), Status::Connect, what) {
            let message = error.message();
            assert!(message.contains(words) && message.contains(&place), "{what}: {message}");
            assert!(!message.contains("the server") && !message.contains("canary"), "{what}: {message}");
            assert_clean(&error);
        }
        let config = config_at("https://a.example", &json!({"ca_file": ca_file}));
        let outcome = outcome_with(&config, &[("https_proxy", &url)]);
        assert!(outcome.starts_with("Connect") && outcome.contains(&place), "{what}: {outcome}");
    }
    let config = config_at("https://a.example", &json!({"ca_file": ca_file}));
    let outcome = outcome_with(&config, &[("https_proxy", &format!("http://{closed}"))]);
    assert!(outcome.contains("check https_proxy"), "{outcome}");
    // A password that ends the address.
    for sign in ["#", "/", "?"] {
        let url = format!("http://user:can{sign}ary@{closed}");
        let outcome = outcome_with(&config, &[("https_proxy", &url)]);
        assert!(outcome.starts_with("Config") && outcome.contains("https_proxy"), "{outcome}");
        assert!(outcome.contains("%23") && !outcome.contains("ary"), "{outcome}");
        let config = config_at("https://a.example", &json!({"proxy": url})).to_string();
        let error = Config::load(Some(&config), &Surroundings::default()).unwrap_err();
        assert!(error.message().contains("\"proxy\"") && error.message().contains("%23"), "{error}");
    }
    // TLS at the proxy is not TLS at the server.
    let plain = RawPeer::start(|mut socket| {
        let _ = socket.read(&mut [0; 1024]);
        let _ = socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    let more = json!({"proxy": format!("https://{}", plain.address), "ca_file": ca_file});
    for error in both_fail(&held_at("https://a.example", &more), Status::Tls, "a plain proxy") {
        assert!(error.message().contains(&format!("the proxy {} does not speak TLS", plain.address)), "{error}");
    }
}

#[test]
fn connect_is_answered_by_any_success() {
    let (world, certificates) = (World::new(), Certificates::new());
    let upstream = world.sandbox.http_url().trim_end_matches("/api/v1").to_owned();
    let Some(nginx) = Nginx::start(&certificates, &upstream, "") else { return };
    let port = nginx.port;
    for said in [
        "HTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.0 200 OK\r\nX-Folded: a\r\n b\r\n\r\n",
        "HTTP/1.1 201 Created\r\n\r\n",
        "HTTP/1.1 204\r\nContent-Length: 12\r\n\r\n",
        "HTTP/1.1 299 Whatever\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nA: b\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
    ] {
        let proxy = RawPeer::start(move |mut client| {
            let head = read_request(&mut client).unwrap();
            assert!(head.starts_with(&format!("CONNECT {NAME}:{port} HTTP/1.1\r\nHost: {NAME}:{port}\r\n")), "{head}");
            client.write_all(said.as_bytes()).unwrap();
            let mut server = TcpStream::connect(("127.0.0.1", port)).unwrap();
            let (mut back, mut to_client) = (server.try_clone().unwrap(), client.try_clone().unwrap());
            std::thread::spawn(move || std::io::copy(&mut back, &mut to_client));
            let _ = std::io::copy(&mut client, &mut server);
            let _ = server.shutdown(std::net::Shutdown::Both);
        });
        let more = json!({"proxy": format!("http://{}", proxy.address), "ca_file": certificates.file("ca.pem")});
        let session = session_of(&config_at(&nginx.url(NAME), &more), None, None);
        login(&session).unwrap_or_else(|error| panic!("{said}: {error}"));
    }
}

/// In the clear a proxy gets the whole URL, and the login to it.
#[test]
fn plain_http_through_a_proxy_has_its_absolute_form() {
    let (send, seen) = std::sync::mpsc::channel();
    let proxy = RawPeer::start(move |mut client| {
        send.send(read_request(&mut client).unwrap()).unwrap();
        client.write_all(&answer("200 OK", "", TOKENS)).unwrap();
    });
    for (host, line, header) in [
        ("http://a.example/api", "POST http://a.example/api/frontdesk/login HTTP/1.1", "host: a.example\r\n"),
        ("http://a.example:81", "POST http://a.example:81/frontdesk/login HTTP/1.1", "host: a.example:81\r\n"),
        (
            "http://[2001:db8::1]:81",
            "POST http://[2001:db8::1]:81/frontdesk/login HTTP/1.1",
            "host: [2001:db8::1]:81\r\n",
        ),
    ] {
        let more = json!({"proxy": format!("http://me:p%40ss@{}", proxy.address), "allow_http": true});
        let session = session_of(&config_at(host, &more), None, None);
        login(&session).unwrap();
        let request = seen.recv_timeout(LONG).unwrap();
        assert_eq!(request.lines().next().unwrap(), line);
        let head = request.to_ascii_lowercase();
        assert!(head.contains(header), "{request}");
        assert!(request.to_ascii_lowercase().contains("proxy-authorization: basic bwu6cebzcw==\r\n"), "{request}");
    }
    // Who wants another login is the proxy, not the server: nothing has reached that.
    let proxy = RawPeer::saying(answer("407 Proxy Authentication Required", "", ""));
    let more = json!({"proxy": format!("http://{}", proxy.address), "allow_http": true});
    for error in both_fail(&held_at("http://a.example", &more), Status::Connect, "407") {
        assert!(error.message().contains("the proxy wants a user name and password"), "{error}");
    }
}

#[test]
fn proxies_that_are_none() {
    let certificates = Certificates::new();
    let ca_file = certificates.file("ca.pem");
    for (what, bytes) in [
        ("it refuses", answer("403 Forbidden", "", "no")),
        ("it has no way", answer("502 Bad Gateway", "", "no")),
        ("it hangs up", Vec::new()),
        ("half an answer", b"HTTP/1.1 200 Conn".to_vec()),
        ("a giant answer", answer("403 Forbidden", &"X: y\r\n".repeat(50_000), "")),
    ] {
        let proxy = RawPeer::saying(bytes);
        let more = json!({"proxy": format!("http://u:canary@{}", proxy.address), "ca_file": ca_file, "timeout_ms": 120_000, "connect_timeout_ms": 120_000});
        for error in both_fail(&held_at("https://a.example", &more), Status::Connect, what) {
            assert!(!error.message().contains("canary"), "{error}");
            assert_clean(&error);
        }
    }
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let more = json!({"proxy": format!("http://{closed}"), "ca_file": ca_file});
    both_fail(&held_at("https://a.example", &more), Status::Connect, "nobody listens");
    // One that reads what is for the server: it gets no further than the handshake.
    let (send, overheard) = std::sync::mpsc::channel();
    let proxy = RawPeer::start(move |mut socket| {
        read_request(&mut socket);
        socket.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
        let mut bytes = vec![0; 4096];
        let count = socket.read(&mut bytes).unwrap_or(0);
        bytes.truncate(count);
        send.send(bytes).unwrap();
    });
    let more = json!({"proxy": format!("http://{}", proxy.address), "ca_file": ca_file});
    both_fail(&held_at("https://a.example", &more), Status::Connect, "it listens");
    let bytes = overheard.recv_timeout(LONG).unwrap();
    assert_eq!(bytes[0], 22);
    assert!(!bytes.windows(PASSWORD.len()).any(|window| window == PASSWORD.as_bytes()));
}
