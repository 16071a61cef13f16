//! What the crate offers for the command `gcauth`: a look at the server, sessions that replace another, times.

mod support;

use std::time::Duration;

use gcauth::{Config, Session, Status, Surroundings};
use gcauth_sandbox::BadTls;
use serde_json::json;
use support::*;

#[test]
fn a_probe_shows_certificates_and_clock_and_sends_no_credential() {
    let world = World::new();
    let host = json!({"sandbox": {"host": world.sandbox.https_url()}});
    let session = world.logged_in(json!({"environments": host, "ca_file": world.sandbox.ca_file()}));
    world.sandbox.reset();
    let probe = session.probe().unwrap();
    assert_ne!(probe.http_status, 0);
    let here = probe.received_ms;
    assert!((here - probe.date_ms.unwrap()).abs() < 120_000, "{probe:?}");
    assert!(!probe.certificates_end.is_empty());
    assert!(probe.certificates_end.iter().all(|end| *end > here / 1000 && *end < 4_102_444_800), "{probe:?}");
    let requests = world.sandbox.requests();
    assert_eq!(requests.len(), 1);
    assert!(!format!("{:?}", requests[0]).contains("Bearer"), "{:?}", requests[0]);
    assert_eq!(session.proxy().unwrap(), None);
}

#[test]
fn a_probe_says_what_is_wrong_on_the_way() {
    let world = World::new();
    let expired = json!({"sandbox": {"host": world.sandbox.bad_tls_url(BadTls::Expired).unwrap()}});
    let session = world.session(json!({"environments": expired, "ca_file": world.sandbox.ca_file()}));
    assert_status(session.probe(), Status::Tls);
    let session = world.session(json!({"environments": {"sandbox": {"host": "http://127.0.0.1:1/"}}}));
    assert_status(session.probe(), Status::Connect);
}

#[test]
fn an_exported_session_takes_the_place_of_the_one_that_is_there() {
    let world = World::new();
    let store = |name: &str| json!({"store": format!("file:{}", world.sandbox.dir().join(name).display())});
    let (mine, theirs) = (world.logged_in(store("mine")), world.logged_in(store("theirs")));
    let bystander = world.session(store("mine"));
    bearer(&bystander).unwrap();
    mine.replace(theirs.to_json().unwrap().as_str()).unwrap();
    assert_eq!(bearer(&mine).unwrap(), bearer(&theirs).unwrap());
    let later = world.session(store("mine"));
    assert_eq!(bearer(&later).unwrap(), bearer(&theirs).unwrap());
    // Those who share it see it when they look next, and it is renewed like any other.
    world.advance(2800.0);
    let renewed = bearer(&later).unwrap();
    world.advance(1.0);
    assert_eq!((bearer(&bystander).unwrap(), world.refresh_requests()), (renewed, 1));
    for json in ["", "{}", "[]", r#"{"env":"sandbox","host":"http://elsewhere.example/","token":"t"}"#] {
        assert_status(mine.replace(json), Status::Config);
    }
}

#[test]
fn it_is_told_when_a_token_is_due() {
    let world = World::new();
    let session = world.logged_in(json!({}));
    let current = session.current().unwrap();
    let due = session.until_renewal(&current).unwrap();
    assert!(due > Duration::from_secs(2600) && due < Duration::from_secs(2800), "{due:?}");
    world.advance(3000.0);
    assert_eq!(session.until_renewal(&current), Some(Duration::ZERO));
    let opaque = world.session_of(json!({}), Some("opaque"), None);
    assert_eq!(opaque.until_renewal(&opaque.current().unwrap()), None);
}

#[test]
fn a_store_can_be_tried_without_a_session() {
    let world = World::new();
    let path = world.sandbox.dir().join("store");
    let session = world.session(json!({"store": format!("file:{}", path.display())}));
    session.try_store().unwrap();
    assert_status(session.bearer(), Status::NoToken);
    let nowhere = world.session(json!({"store": "file:/nowhere/session"}));
    assert_status(nowhere.try_store(), Status::Store);
}

#[test]
fn a_config_can_be_told_its_file_its_timeout_and_its_store() {
    let world = World::new();
    let path = world.sandbox.dir().join("given.json");
    let surroundings = Surroundings::default();
    let read = || Config::from_file(&path, ", named by --config,", &surroundings);
    let error = read().unwrap_err();
    assert!(error.message().contains("given.json, named by --config, does not exist"), "{error}");
    std::fs::write(&path, "{\"stor\": 1}").unwrap();
    let error = read().unwrap_err();
    assert!(error.message().contains("given.json, named by --config: unknown config key \"stor\""), "{error}");
    std::fs::write(&path, "{\"store\": \"memory\"}").unwrap();
    let config = read().unwrap().or_user_store(&surroundings.user_session).unwrap();
    assert!(config.names_store() && !config.is_shared());
    std::fs::write(&path, "{}").unwrap();
    let config = read().unwrap();
    assert!(!config.names_store() && !config.is_shared());
    assert_eq!(config.environments().collect::<Vec<_>>(), ["dev", "prod"]);
    let config = config.with_timeout(Duration::from_millis(300)).or_user_store(&surroundings.user_session).unwrap();
    assert!(config.is_shared());

    let slow = world.config(json!({})).with_timeout(Duration::from_millis(300));
    let session = Session::new(slow, None, None, None).unwrap();
    world.order(gcauth_sandbox::Fault::new(
        gcauth_sandbox::Target::Login,
        gcauth_sandbox::Effect::Hold { at: gcauth_sandbox::Moment::BeforeProcessing },
    ));
    assert_status(login(&session), Status::Timeout);
    world.sandbox.release();
}
