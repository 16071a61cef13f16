//! Tokens as they come from callers, servers and stores: what may stand in them, and when they expire.
#![forbid(unsafe_code)]

mod support;

use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gcauth::{Config, LogLevel, Session, Status, Surroundings};
use gcauth_sandbox::{Body, Effect, Fault, Target, TokenFault};
use serde_json::json;
use support::*;

/// What no token may hold, as people paste it.
const ODD: [&str; 20] = [
    "abc def",
    "abc\ndef",
    "abc\u{7}def",
    "abc\u{7f}def",
    "abc\u{feff}def",
    "abcdef\u{feff}",
    "abc\u{200b}def",
    "\u{200b}abcdef",
    "\u{201c}abcdef\u{201d}",
    "abc\u{2019}def",
    "abc\u{ad}def",
    "abc\u{a0}def",
    "abcdef\u{a0}",
    "\u{3000}abcdef",
    "abcdef\u{85}",
    "abcdef\u{2028}",
    "abc\u{2013}def",
    "abcd\u{e9}f",
    "abc\u{ff0e}def",
    "abc\u{1f511}def",
];

fn unsigned(payload: &str) -> String {
    format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(payload))
}

#[test]
fn callers_give_visible_ascii() {
    let world = World::new();
    for odd in ODD {
        for (token, refresh_token, name) in
            [(Some(odd), None, "token"), (None, Some(odd), "refresh_token"), (Some("T"), Some(odd), "refresh_token")]
        {
            let error = Session::new(world.config(json!({})), token, refresh_token, None).expect_err(odd);
            assert_eq!(error.status(), Status::InvalidArgument, "{odd:?}");
            assert!(error.message().contains(name) && !error.message().contains("def"), "{odd:?}: {error}");
        }
        let session = world.session_of(json!({}), Some("T"), None);
        assert_status(session.report_rejected(odd), Status::InvalidArgument);
        assert_status(session.report_rejected(&format!("Bearer {odd}")), Status::InvalidArgument);
        assert_eq!(bearer(&session).unwrap(), "Bearer T");
        for name in ["token", "refresh_token", "token_type"] {
            let mut exported: serde_json::Value = serde_json::from_str(session.to_json().unwrap().as_str()).unwrap();
            exported[name] = odd.into();
            let error = Session::from_json(world.config(json!({})), &exported.to_string()).expect_err(odd);
            assert_eq!(error.status(), Status::InvalidArgument, "{name} {odd:?}: {error}");
        }
    }
    let all: String = ('\u{21}'..='\u{7e}').collect();
    let session = world.session_of(json!({}), Some(&all), Some(&all));
    assert_eq!(bearer(&session).unwrap(), format!("Bearer {all}"));
    for quoted in ["\"abc\"", "'abc'", "Bearer \"abc\"", "\"Bearer abc\""] {
        let error = Session::new(world.config(json!({})), Some(quoted), None, None).expect_err(quoted);
        assert_eq!(error.status(), Status::InvalidArgument, "{quoted}");
    }
}

#[test]
fn white_space_and_a_byte_order_mark_before_a_token_are_stripped() {
    let world = World::new();
    for before in ["\u{feff}", "\u{feff} ", " \u{feff}", "\r\n\u{feff}\t", "\u{feff}\u{feff}"] {
        for scheme in ["", "Bearer ", "bearer \u{feff}"] {
            let text = format!("{before}{scheme}abc\n");
            let session = world.session_of(json!({}), Some(&text), Some(&format!("{before}ref\r\n")));
            assert_eq!(bearer(&session).unwrap(), "Bearer abc", "{text:?}");
            assert_eq!(refresh_token(&session), "ref");
            session.report_rejected(&text).unwrap();
            let none = world.session_of(json!({}), Some(before), Some(before));
            assert_status(none.current().unwrap().token().map(str::to_owned), Status::NoToken);
            assert_status(session.report_rejected(before), Status::InvalidArgument);
        }
    }
}

#[test]
fn servers_give_visible_ascii() {
    for odd in ODD.into_iter().chain(["\"abcdef\"", "'abcdef'"]) {
        let world = World::new();
        let body = |name: &str| {
            let mut body = json!({"token": "T", "refreshToken": "R", "tokenType": "Bearer"});
            body[name] = odd.into();
            Effect::Body(Body::Json(body))
        };
        for name in ["token", "refreshToken", "tokenType"] {
            let session = world.session(json!({}));
            world.order(Fault::new(Target::Login, body(name)));
            let error = assert_status(login(&session), Status::Protocol);
            assert!(error.message().contains(name) && !error.message().contains("def"), "{odd:?}: {error}");
            assert_status(bearer(&session), Status::NoToken);
        }
        let session = world.logged_in(json!({}));
        let held = bearer(&session).unwrap();
        world.order(Fault::new(Target::Refresh, body("token")));
        assert_status(session.refresh(None), Status::Protocol);
        assert_eq!(bearer(&session).unwrap(), held);
    }
}

#[test]
fn a_byte_order_mark_before_json_is_no_fault() {
    let world = World::new();
    let body = "\u{feff}{\"token\":\"T\",\"refreshToken\":\"R\"}";
    world.order(Fault::new(Target::Login, Effect::Body(Body::Raw(body.into()))));
    let session = world.logged_in(json!({}));
    assert_eq!(bearer(&session).unwrap(), "Bearer T");
    let exported = format!("\u{feff}{}", session.to_json().unwrap().as_str());
    let session = Session::from_json(world.config(json!({})), &exported).unwrap();
    assert_eq!(bearer(&session).unwrap(), "Bearer T");
    for config in ["\u{feff}{}", "\u{feff}\r\n{ }\n"] {
        Config::load(Some(config), &Surroundings::default()).unwrap();
        let directory = std::path::PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
        let path = directory.join(format!("token_inputs-{}.json", std::process::id()));
        std::fs::write(&path, config).unwrap();
        let mut surroundings = Surroundings::default();
        surroundings.config_file = Some(path.clone());
        Config::load(None, &surroundings).unwrap();
        std::fs::remove_file(path).unwrap();
    }
}

fn now_s(world: &World) -> i64 {
    world.clock.now().wall_ms.div_euclid(1000)
}

/// A session with a log, whose logins and refreshes give tokens with these claims.
fn claiming(world: &World, claims: impl Fn(i64) -> serde_json::Value) -> (Session, Arc<Mutex<Vec<String>>>) {
    let now_s = now_s(world);
    let claims = claims(now_s).as_object().unwrap().clone();
    world.order(Fault::new(Target::Login, Effect::Token(TokenFault::Claims(claims))));
    let session = world.session(json!({}));
    let lines = Arc::new(Mutex::new(Vec::new()));
    let told = lines.clone();
    let sink = move |_: LogLevel, line: &str| told.lock().unwrap().push(line.to_owned());
    session.set_log(Some((LogLevel::Warning, Arc::new(sink)))).unwrap();
    login(&session).unwrap();
    (session, lines)
}

#[test]
fn an_expiry_in_another_form_is_the_same_expiry() {
    let forms =
        ["text", "text with decimals", "text with blanks", "exponent", "milliseconds", "microseconds", "nanoseconds"];
    for form in forms.into_iter().chain(["text of milliseconds"]) {
        let world = World::new();
        let value = |seconds: i64| match form {
            "text" => json!(seconds.to_string()),
            "text with decimals" => json!(format!("{seconds}.000")),
            "text with blanks" => json!(format!(" {seconds}\n")),
            "exponent" => serde_json::from_str(&format!("{}e3", seconds as f64 / 1000.0)).unwrap(),
            "milliseconds" => json!(seconds * 1000),
            "microseconds" => json!(seconds * 1_000_000),
            "nanoseconds" => json!(seconds * 1_000_000_000),
            _ => json!((seconds * 1000).to_string()),
        };
        let (session, lines) = claiming(&world, |now_s| json!({"iat": value(now_s), "exp": value(now_s + 3600)}));
        let first = bearer(&session).unwrap();
        assert_eq!(session.bearer().unwrap().expires_at(), now_s(&world) + 3600, "{form}");
        world.advance(2000.0);
        assert_eq!(bearer(&session).unwrap(), first, "{form}");
        assert_eq!(world.refresh_requests(), 0, "{form}");
        world.advance(1000.0);
        assert_ne!(bearer(&session).unwrap(), first, "{form}");
        assert_eq!(world.refresh_requests(), 1, "{form}");
        assert!(lines.lock().unwrap().is_empty(), "{form}: {:?}", lines.lock().unwrap());
    }
}

#[test]
fn an_expiry_that_cannot_be_read_is_warned_of_once() {
    for exp in
        [json!("soon"), json!(""), json!(true), json!([4_102_444_800_i64]), json!({}), json!("2027-01-15T08:00Z")]
    {
        let world = World::new();
        let (session, lines) = claiming(&world, |_| json!({"exp": exp}));
        let first = bearer(&session).unwrap();
        for _ in 0..5 {
            world.advance(3000.0);
            assert_eq!(bearer(&session).unwrap(), first);
            assert_eq!(session.bearer().unwrap().expires_at(), 0);
        }
        let lines = lines.lock().unwrap();
        assert_eq!(lines.len(), 1, "{exp}: {lines:?}");
        assert!(lines[0].contains("exp") && !lines[0].contains("soon"), "{lines:?}");
    }
    // Nothing is odd about a token that does not say, or is no JWT.
    for token in [unsigned("{}"), unsigned(r#"{"exp":null}"#), "opaque".to_owned(), unsigned(r#"{"exp":4102444800}"#)] {
        let world = World::new();
        let session = world.session_of(json!({}), Some(&token), None);
        let sink = |_: LogLevel, line: &str| panic!("{line}");
        session.set_log(Some((LogLevel::Warning, Arc::new(sink)))).unwrap();
        bearer(&session).unwrap();
    }
}

#[test]
fn an_expiry_beyond_all_units_means_never() {
    for exp in ["999999999999999999", "1e300", "99999999999999999999999999"] {
        let world = World::new();
        let session = world.session_of(json!({}), Some(&unsigned(&format!("{{\"exp\":{exp}}}"))), Some("R"));
        bearer(&session).unwrap();
        assert_eq!(world.refresh_requests(), 0, "{exp}");
    }
}

#[test]
fn an_exported_session_of_another_place_names_both() {
    let world = World::new();
    let session = world.session_of(json!({}), Some("T"), None);
    let exported: serde_json::Value = serde_json::from_str(session.to_json().unwrap().as_str()).unwrap();
    let refusal = |exported: &serde_json::Value| {
        let error = Session::from_json(world.config(json!({})), &exported.to_string()).expect_err("another place");
        assert_eq!(error.status(), Status::Config);
        error.message().to_owned()
    };
    let here = exported["host"].as_str().unwrap();
    let mut other = exported.clone();
    other["host"] = "https://elsewhere.example/api".into();
    let message = refusal(&other);
    assert!(message.contains("https://elsewhere.example/api") && message.contains(here), "{message}");
    other["host"] = "https://ada:canary@elsewhere.example/api".into();
    assert!(!refusal(&other).contains("canary"));
    other["host"] = here.into();
    other["env"] = "elsewhere".into();
    let message = refusal(&other);
    let env = format!("\"{}\"", exported["env"].as_str().unwrap());
    assert!(message.contains("\"elsewhere\"") && message.contains(&env), "{message}");
    for absent in ["env", "host"] {
        let mut other = exported.clone();
        other[absent] = serde_json::Value::Null;
        assert!(refusal(&other).contains("no \"env\" or no \"host\""));
    }
}

#[test]
fn a_success_that_is_no_json_says_what_it_is() {
    let bodies = [
        ("<!DOCTYPE html><title>Welcome</title>", "not JSON but HTML"),
        ("\u{feff}\r\n<html>", "not JSON but HTML"),
        ("", "is empty"),
        (" \r\n", "is empty"),
        ("token=abcdef", "is not JSON;"),
    ];
    for (body, said) in bodies {
        let world = World::new();
        let session = world.session(json!({}));
        world.order(Fault::new(Target::Login, Effect::Body(Body::Raw(body.into()))));
        let error = assert_status(login(&session), Status::Protocol);
        assert!(error.message().contains(said) && error.message().contains("host and paths"), "{error}");
        assert!(!error.message().contains("abcdef"), "{error}");
    }
}
