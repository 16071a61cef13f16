//! Verification with the keys that the config names: fixed ones, or a key set at a URL.

mod support;

use std::time::Duration;

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

/// Where the key set is, for people to find.
fn place(world: &World) -> String {
    format!("{}/.well-known/jwks.json", world.sandbox.http_url())
}

#[test]
fn a_key_that_is_not_in_it_makes_for_one_more_fetch_in_half_a_minute() {
    let world = world(Some(10_000));
    let session = with_url(&world);
    session.verify().unwrap();
    world.sandbox.rotate_keys(false).unwrap();
    session.refresh(None).unwrap();
    session.verify().unwrap();
    assert_eq!(fetches(&world), 2);
    // A second rotation soon after, which the server shows late: the same call succeeds in a while.
    let old = world.sandbox.jwks();
    world.order(Fault::new(Target::Jwks, Effect::Body(Body::Json(old))).forever());
    world.sandbox.rotate_keys(false).unwrap();
    session.refresh(None).unwrap();
    for seconds_left in [30, 20, 10] {
        let error = assert_status(session.verify(), Status::KeyInvalid);
        assert!(error.is_retryable(), "{error}");
        assert_eq!(error.retry_after(), Some(Duration::from_secs(seconds_left)));
        for words in [&place(&world), "no key with the token's kid", &format!("again in {seconds_left} s")] {
            assert!(error.message().contains(words), "{error}");
        }
        assert!(!error.message().contains("PEM"), "{error}");
        world.advance(10.0);
    }
    assert_eq!(fetches(&world), 2);
    for _ in 0..3 {
        let error = assert_status(session.verify(), Status::KeyInvalid);
        assert!(error.is_retryable() && error.message().contains("again in 30 s"), "{error}");
    }
    assert_eq!(fetches(&world), 3);
    world.sandbox.clear_faults();
    world.advance(30.0);
    session.verify().unwrap();
    assert_eq!(fetches(&world), 4);
}

#[test]
fn a_key_that_was_never_there_is_asked_for_once_in_half_a_minute() {
    let world = world(Some(10_000));
    let other = World::new();
    world.order(Fault::new(Target::Jwks, Effect::Body(Body::Json(other.sandbox.jwks()))).forever());
    let session = with_url(&world);
    for round in 1..4 {
        for _ in 0..3 {
            let error = assert_status(session.verify(), Status::KeyInvalid);
            assert!(error.is_retryable(), "{error}");
        }
        assert_eq!(fetches(&world), round);
        world.advance(30.0);
    }
}

#[test]
fn a_fixed_key_of_another_name_stays_wrong() {
    let (world, other) = (World::new(), World::new());
    let session = world.logged_in(json!({"public_key": other.sandbox.jwks().to_string()}));
    let error = assert_status(session.verify(), Status::KeyInvalid);
    assert!(!error.is_retryable() && error.retry_after().is_none(), "{error}");
}

/// The sandbox's keys now, without their names.
fn nameless(world: &World) -> serde_json::Value {
    let mut keys = world.sandbox.jwks();
    for key in keys["keys"].as_array_mut().unwrap() {
        key.as_object_mut().unwrap().remove("kid");
    }
    keys
}

#[test]
fn keys_without_names_are_looked_for_again_when_none_of_them_fits() {
    let world = world(Some(10_000));
    world.order(Fault::new(Target::Jwks, Effect::Body(Body::Json(nameless(&world)))).forever());
    let session = with_url(&world);
    session.verify().unwrap();
    session.verify().unwrap();
    assert_eq!(fetches(&world), 1);
    world.sandbox.rotate_keys(false).unwrap();
    session.refresh(None).unwrap();
    world.sandbox.clear_faults();
    world.order(Fault::new(Target::Jwks, Effect::Body(Body::Json(nameless(&world)))).forever());
    world.advance(30.0);
    session.verify().unwrap();
    assert_eq!(fetches(&world), 2);
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
        world.order(effect.forever());
        let error = session.verify().expect_err(&what);
        assert_eq!(error.status(), status, "{what}: {error}");
        assert!(error.message().contains(&place(&world)), "{what}: {error}");
        let asked = fetches(&world);
        // The server gets a rest, and everybody hears why.
        world.sandbox.clear_faults();
        world.advance(29.0);
        for _ in 0..3 {
            let again = session.verify().expect_err(&what);
            assert_eq!((again.status(), again.http_status()), (status, error.http_status()), "{what}: {again}");
            assert!(again.message().contains("again in 1 s"), "{what}: {again}");
            assert_eq!(again.is_retryable(), error.is_retryable(), "{what}");
        }
        assert_eq!(fetches(&world), asked, "{what}");
        world.advance(1.0);
        session.verify().unwrap();
        assert_eq!(fetches(&world), asked + 1, "{what}");
    }
}

#[test]
fn many_threads_share_a_fetch_that_fails() {
    let world = world(None);
    world.order(Fault::status(Target::Jwks, 404).forever());
    let session = with_url(&world);
    std::thread::scope(|scope| {
        for _ in 0..32 {
            scope.spawn(|| assert_status(session.verify(), Status::Http));
        }
    });
    assert_eq!(fetches(&world), 1);
}

fn headers(pairs: &[(&str, &str)]) -> Effect {
    Effect::Headers(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
}

#[test]
fn whatever_the_server_says_there_is_one_fetch_in_half_a_minute() {
    for told in [
        &[("Cache-Control", "no-store")][..],
        &[("Cache-Control", "no-cache")],
        &[("Cache-Control", "no-cache, must-revalidate, no-transform, no-store")],
        &[("Cache-Control", "max-age=0")],
        &[("Cache-Control", "max-age=1")],
        &[("Cache-Control", "max-age=300"), ("Age", "299")],
        &[("Cache-Control", "max-age=300"), ("Age", "4000000000")],
    ] {
        let world = world(None);
        world.order(Fault::new(Target::Jwks, headers(told)).forever());
        let session = with_url(&world);
        for round in 1..4 {
            session.verify().unwrap();
            world.advance(29.0);
            session.verify().unwrap();
            assert_eq!(fetches(&world), round, "{told:?}");
            world.advance(1.0);
        }
    }
}

#[test]
fn the_time_in_other_caches_counts() {
    for (age, kept_s) in [("0", 100.0), ("40", 60.0), ("soon", 100.0), ("-5", 100.0)] {
        let world = world(Some(100));
        world.order(Fault::new(Target::Jwks, headers(&[("Age", age)])).forever());
        let session = with_url(&world);
        session.verify().unwrap();
        world.advance(kept_s - 1.0);
        session.verify().unwrap();
        assert_eq!(fetches(&world), 1, "{age}");
        world.advance(1.0);
        session.verify().unwrap();
        assert_eq!(fetches(&world), 2, "{age}");
    }
}

#[test]
fn what_is_no_key_set_is_called_by_its_name() {
    let pem = World::new().sandbox.public_key_pem();
    let raw = |text: &str| Body::Raw(text.to_owned());
    for (body, words) in [
        (
            Body::Json(json!({"issuer": "https://i.example", "jwks_uri": "https://i.example/keys"})),
            ["discovery document", "https://i.example/keys"],
        ),
        (Body::Json(json!({"kid1": pem, "kid2": pem})), ["map from kid to PEM", "public_key"]),
        (Body::Html("<!DOCTYPE html><html><body>Sign in</body></html>".into()), ["HTML", "jwks_url"]),
        (raw("  <?xml version=\"1.0\"?>"), ["HTML", "jwks_url"]),
        (raw(""), ["empty", "jwks_url"]),
        (raw(&pem), ["PEM", "public_key"]),
        (raw("eyJhbGciOiJSUzI1NiJ9.e30.AAAA"), ["is a token", "jwks_url"]),
        (Body::NotUtf8, ["neither keys nor kty", "jwks_url"]),
        (raw("[]"), ["array", "jwks_url"]),
        (raw("null"), ["not a JSON object", "jwks_url"]),
        (raw("{\"keys\":["), ["not a JSON object", "jwks_url"]),
        (Body::Json(json!({})), ["neither keys nor kty", "jwks_url"]),
        (Body::Json(json!({"keys": null})), ["neither keys nor kty", "jwks_url"]),
    ] {
        let world = world(None);
        let what = format!("{body:?}");
        world.order(Fault::new(Target::Jwks, Effect::Body(body)).forever());
        let error = with_url(&world).verify().expect_err(&what);
        assert!(matches!(error.status(), Status::Protocol | Status::KeyInvalid), "{what}: {error}");
        assert!(words.iter().all(|word| error.message().contains(word)), "{what}: {error}");
        assert!(error.message().contains(&place(&world)) && error.message().len() < 400, "{what}: {error}");
    }
    let world = world(None);
    world.order(Fault::status(Target::Jwks, 404).forever());
    let error = assert_status(with_url(&world).verify(), Status::Http);
    assert!(error.message().contains("check jwks_url"), "{error}");
}

#[test]
fn a_single_key_and_a_byte_order_mark_do_no_harm() {
    let world = world(None);
    let single = world.sandbox.jwks()["keys"][0].clone();
    for text in [single.to_string(), format!("\u{feff}{single}"), format!("\u{feff}{}", world.sandbox.jwks())] {
        world.sandbox.clear_faults();
        world.order(Fault::new(Target::Jwks, Effect::Body(Body::Raw(text.clone()))).forever());
        with_url(&world).verify().expect(&text);
    }
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
