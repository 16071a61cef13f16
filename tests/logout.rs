//! A logout: in the store for all who share it, and at the server where the config says how.

#[path = "support/redis.rs"]
mod redis;
#[path = "support/shared.rs"]
mod shared;
mod support;

use std::sync::{Arc, Mutex};

use gcauth::{Config, LogLevel, Session, Status, Surroundings};
use gcauth_sandbox::{DropPoint, Effect, Fault, Options, Sandbox, Target};
use serde_json::{Value, json};
use shared::{Kind, Place};
use support::*;

fn with_path(mut settings: Value) -> Value {
    settings["logout"] = json!({"path": "auth/logout"});
    settings
}

fn log_of(session: &Session) -> Arc<Mutex<Vec<String>>> {
    let lines: Arc<Mutex<Vec<String>>> = Arc::default();
    let sink = lines.clone();
    let sink = move |level: LogLevel, line: &str| sink.lock().unwrap().push(format!("{level:?} {line}"));
    session.set_log(Some((LogLevel::Debug, Arc::new(sink)))).unwrap();
    lines
}

#[test]
fn the_server_is_told_with_both_tokens() {
    let world = World::new();
    let session = world.logged_in(with_path(json!({})));
    let (token, refresh_token) = (token(&session), refresh_token(&session));
    session.logout().unwrap();
    assert_eq!(world.last_body("auth/logout"), json!({"token": token, "refreshToken": refresh_token}));
    assert_eq!((world.counters().requests.logout, world.counters().logouts), (1, 1));
    assert_status(bearer(&session), Status::NoToken);
    // The tokens are no good elsewhere either.
    let thief = world.session_of(json!({}), None, Some(&refresh_token));
    let error = assert_status(bearer(&thief), Status::Unauthorized);
    assert!(error.message().contains("the session has ended"), "{error}");
    // There is nothing more to tell.
    session.logout().unwrap();
    assert_eq!(world.counters().requests.logout, 1);
}

#[test]
fn names_are_configured_and_absent_tokens_left_out() {
    let world = World::new();
    let logout = json!({"path": "/auth/logout", "fields": {"token": "access", "refresh_token": "refresh.it"}});
    let settings = json!({"logout": logout});
    for (token, refresh_token, body) in [
        (Some("a"), Some("r"), json!({"access": "a", "refresh.it": "r"})),
        (Some("a"), None, json!({"access": "a"})),
        (None, Some("r"), json!({"refresh.it": "r"})),
    ] {
        world.session_of(settings.clone(), token, refresh_token).logout().unwrap();
        assert_eq!(world.last_body("auth/logout"), body);
    }
    let requests = world.counters().requests.logout;
    world.session(settings).logout().unwrap();
    assert_eq!(world.counters().requests.logout, requests);
}

#[test]
fn without_a_path_the_server_is_not_told() {
    for settings in [json!({}), json!({"logout": null}), json!({"logout": {}}), json!({"logout": {"path": ""}})] {
        let world = World::new();
        let session = world.logged_in(settings);
        session.logout().unwrap();
        let requests = world.counters().requests;
        assert_eq!((requests.logout, requests.other), (0, 0));
    }
    for (wrong, words) in [
        (json!({"fields": {"token": "t"}}), "\"logout.path\" is missing"),
        (json!({"path": "x", "fields": {"token": "t", "refresh_token": "t"}}), "\"logout.fields\" gives two fields"),
        (json!({"path": "a b"}), "\"logout.path\""),
        (json!({"paths": "x"}), "\"logout.path\""),
        (json!("auth/logout"), "\"logout\" must be an object, {\"path\": …}, but is text"),
    ] {
        let config = Config::load(Some(&json!({"logout": wrong}).to_string()), &Surroundings::default());
        let error = assert_status(config, Status::Config);
        assert!(error.message().contains(words), "{error}");
    }
}

#[test]
fn a_server_that_does_not_hear_changes_nothing() {
    for (effect, words) in [
        (Effect::Status { code: 500, body: None, headers: [].into(), processed: false }, "HTTP 500"),
        (Effect::Status { code: 401, body: None, headers: [].into(), processed: false }, "HTTP 401"),
        (Effect::Drop { at: DropPoint::BeforeProcessing, reset: false }, "logout at"),
    ] {
        let world = World::new();
        let session = world.logged_in(with_path(json!({})));
        let secrets = [token(&session), refresh_token(&session)];
        let lines = log_of(&session);
        world.order(Fault::new(Target::Logout, effect).forever());
        session.logout().unwrap();
        assert_status(bearer(&session), Status::NoToken);
        let lines = lines.lock().unwrap().join("\n");
        for part in ["logged out", "Warning the session is ended here, but the server does not know", words] {
            assert!(lines.contains(part), "{lines}\nlacks {part}");
        }
        assert!(secrets.iter().all(|secret| !lines.contains(secret)), "{lines}");
        assert_eq!(world.counters().logouts, 0);
    }
    // Nobody listens, and nothing is sent in the clear.
    for host in ["http://127.0.0.1:1", "http://platform.example"] {
        let settings = with_path(json!({"environments": {"sandbox": {"host": host}}}));
        let session = World::new().session_of(settings, Some("a"), Some("r"));
        session.logout().unwrap();
        assert_status(bearer(&session), Status::NoToken);
    }
}

#[test]
fn a_slow_server_is_waited_for_no_longer_than_the_call_lasts() {
    let world = World::new();
    let session = world.session_of(with_path(json!({"timeout_ms": 300})), Some("a"), Some("r"));
    world.order(Fault::new(Target::Logout, Effect::Hold { at: gcauth_sandbox::Moment::BeforeProcessing }));
    // It would wait for ever.
    session.logout().unwrap();
    assert_status(bearer(&session), Status::NoToken);
    world.sandbox.release();
}

#[test]
fn what_the_store_holds_is_ended_and_not_what_this_handle_remembers() {
    for kind in [Kind::Flock, Kind::Lease, Kind::Redis] {
        let Some(place) = Place::new(kind) else { continue };
        let world = World::new();
        let settings = with_path(place.settings());
        let session = world.logged_in(settings.clone());
        let other = world.session(settings);
        bearer(&other).unwrap();
        session.refresh(None).unwrap();
        let newest = refresh_token(&session);
        assert_ne!(refresh_token(&other), newest);
        // The store first: whoever hears of it finds it done.
        world.order(Fault::new(Target::Logout, Effect::Hold { at: gcauth_sandbox::Moment::BeforeProcessing }));
        std::thread::scope(|scope| {
            let logout = scope.spawn(|| other.logout());
            world.wait_held();
            let third = world.session(place.settings());
            assert_status(bearer(&third), Status::NoToken);
            world.sandbox.release();
            logout.join().unwrap().unwrap();
        });
        assert_eq!(world.last_body("auth/logout")["refreshToken"], newest);
        assert_eq!(world.counters().logouts, 1);
        // Nothing is there that a second one could end.
        session.logout().unwrap();
        assert_eq!(world.counters().requests.logout, 1);
    }
}

#[test]
fn the_sandbox_names_the_path_when_asked() {
    for logout in [false, true] {
        let sandbox = Sandbox::start(Options { logout, ..Options::default() }).unwrap();
        let config: Value = serde_json::from_slice(&std::fs::read(sandbox.config_file()).unwrap()).unwrap();
        assert_eq!(config.get("logout"), logout.then_some(&json!({"path": "auth/logout"})));
    }
}
