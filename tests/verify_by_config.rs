//! Verification with the keys that the config names: fixed ones, or a key set at a URL.

mod support;

use std::collections::BTreeMap;

use gcauth::{Session, Status};
use gcauth_sandbox::{Body, DropPoint, Effect, Fault, Options, Target, TokenFault};
use serde_json::json;
use support::*;

fn with_url(world: &World) -> Session {
    world.logged_in(json!({"jwks_url": format!("{}/.well-known/jwks.json", world.sandbox.http_url())}))
}

fn world(max_age: Option<u32>) -> World {
    World::with(Options { jwks_max_age_s: max_age, ..Options::default() })
}

fn fetches(world: &World) -> u64 {
    world.counters().requests.jwks
}

#[test]
fn with_a_fixed_key() {
    let world = World::new();
    for key in [world.sandbox.public_key_pem(), world.sandbox.jwks().to_string()] {
        let session = world.logged_in(json!({"public_key": key}));
        let payload = session.verify().unwrap();
        assert_eq!(payload.as_json(), session.current().unwrap().payload().unwrap().as_json());
    }
    let other = World::new();
    let session = world.logged_in(json!({"public_key": other.sandbox.public_key_pem()}));
    assert_status(session.verify(), Status::SignatureInvalid);
    let session = world.logged_in(json!({"public_key": "no key"}));
    assert_status(session.verify(), Status::KeyInvalid);
}

#[test]
fn without_any_key() {
    let world = World::new();
    assert_status(world.session(json!({})).verify(), Status::NoToken);
    assert_status(world.logged_in(json!({})).verify(), Status::Config);
}

#[test]
fn a_key_set_is_fetched_once_and_kept_for_its_max_age() {
    let world = world(Some(100));
    let session = with_url(&world);
    assert_eq!(fetches(&world), 0);
    for _ in 0..5 {
        session.verify().unwrap();
    }
    world.advance(99.0);
    session.verify().unwrap();
    assert_eq!(fetches(&world), 1);
    world.advance(2.0);
    session.verify().unwrap();
    assert_eq!(fetches(&world), 2);
}

#[test]
fn for_five_minutes_when_the_server_does_not_say() {
    let world = world(None);
    let session = with_url(&world);
    session.verify().unwrap();
    world.advance(299.0);
    session.verify().unwrap();
    assert_eq!(fetches(&world), 1);
    world.advance(2.0);
    session.verify().unwrap();
    assert_eq!(fetches(&world), 2);
}

#[test]
fn it_is_kept_when_the_server_is_down() {
    let world = world(Some(100));
    let session = with_url(&world);
    session.verify().unwrap();
    for fault in [
        Fault::status(Target::Jwks, 500),
        Fault::status(Target::Jwks, 404),
        Fault::new(Target::Jwks, Effect::Drop { at: DropPoint::BeforeProcessing, reset: true }),
        Fault::new(Target::Jwks, Effect::Body(Body::Raw("{".into()))),
        Fault::new(Target::Jwks, Effect::Body(Body::Json(json!({"keys": [{"kty": "oct", "k": "AAAA"}]})))),
    ] {
        world.sandbox.clear_faults();
        world.order(fault.forever());
        world.advance(101.0);
        let before = fetches(&world);
        session.verify().unwrap();
        session.verify().unwrap();
        assert_eq!(fetches(&world), before + 1);
    }
}

#[test]
fn a_key_that_is_not_in_it_makes_for_one_more_fetch_a_minute() {
    let world = world(Some(10_000));
    let session = with_url(&world);
    session.verify().unwrap();
    world.sandbox.rotate_keys(false).unwrap();
    session.refresh(None).unwrap();
    session.verify().unwrap();
    assert_eq!(fetches(&world), 2);
    // A server that shows the new key late.
    let old = world.sandbox.jwks();
    world.order(Fault::new(Target::Jwks, Effect::Body(Body::Json(old))).forever());
    world.sandbox.rotate_keys(false).unwrap();
    session.refresh(None).unwrap();
    for _ in 0..3 {
        assert_status(session.verify(), Status::KeyInvalid);
    }
    assert_eq!(fetches(&world), 2);
    world.advance(60.0);
    for _ in 0..3 {
        assert_status(session.verify(), Status::KeyInvalid);
    }
    assert_eq!(fetches(&world), 3);
    world.sandbox.clear_faults();
    world.advance(60.0);
    session.verify().unwrap();
    assert_eq!(fetches(&world), 4);
}

#[test]
fn the_first_fetch_that_fails_gives_its_status() {
    for (effect, status) in [
        (Fault::status(Target::Jwks, 500), Status::Server),
        (Fault::status(Target::Jwks, 404), Status::Http),
        (Fault::status(Target::Jwks, 401), Status::Http),
        (Fault::status(Target::Jwks, 429), Status::RateLimited),
        (Fault::new(Target::Jwks, Effect::Redirect { code: 302, location: None }), Status::Insecure),
        (Fault::new(Target::Jwks, Effect::Drop { at: DropPoint::MidBody, reset: false }), Status::Connect),
        (Fault::new(Target::Jwks, Effect::Body(Body::Html("<html>".into()))), Status::Protocol),
        (Fault::new(Target::Jwks, Effect::Body(Body::Huge { bytes: 2 << 20 })), Status::Protocol),
        (
            Fault::new(Target::Jwks, Effect::Body(Body::Json(json!({"keys": [{"kty": "oct", "k": "AAAA"}]})))),
            Status::KeyInvalid,
        ),
    ] {
        let world = world(None);
        let session = with_url(&world);
        let what = format!("{effect:?}");
        world.order(effect);
        let error = session.verify().expect_err(&what);
        assert_eq!(error.status(), status, "{what}: {error}");
        session.verify().unwrap();
    }
}

#[test]
fn no_store_means_a_fetch_each_time() {
    let world = world(None);
    let no_store = BTreeMap::from([("Cache-Control".to_owned(), "no-store".to_owned())]);
    world.order(Fault::new(Target::Jwks, Effect::Headers(no_store)).forever());
    let session = with_url(&world);
    for _ in 0..3 {
        session.verify().unwrap();
    }
    assert_eq!(fetches(&world), 3);
}

#[test]
fn a_token_that_no_key_could_save_needs_no_fetch() {
    for (fault, status) in [
        (TokenFault::NotAJwt, Status::TokenMalformed),
        (TokenFault::Text("eyJhbGciOiJub25lIn0.e30.".into()), Status::AlgorithmRefused),
    ] {
        let world = world(None);
        world.order(Fault::new(Target::Login, Effect::Token(fault)));
        assert_status(with_url(&world).verify(), status);
        assert_eq!(fetches(&world), 0);
    }
}

#[test]
fn many_threads_make_one_fetch() {
    let world = world(None);
    let session = with_url(&world);
    std::thread::scope(|scope| {
        for _ in 0..32 {
            scope.spawn(|| session.verify().unwrap());
        }
    });
    assert_eq!(fetches(&world), 1);
}

#[test]
fn times_count_by_the_sessions_clock_with_the_leeway() {
    let world = World::new();
    let session = world.logged_in(json!({"public_key": world.sandbox.public_key_pem()}));
    world.advance(3610.0);
    session.verify().unwrap();
    world.advance(30.0);
    assert_status(session.verify(), Status::TokenExpired);
}

#[test]
fn key_sets_come_over_tls_or_loopback_only() {
    let world = World::new();
    let session = world.logged_in(json!({"jwks_url": "http://example.org/jwks"}));
    assert_status(session.verify(), Status::Insecure);
}
