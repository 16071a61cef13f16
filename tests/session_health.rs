//! What a session tells of its health: where it is kept, why it is not renewed, who ended it.

#[path = "support/redis.rs"]
mod redis;
#[path = "support/shared.rs"]
mod shared;
mod support;

use gcauth::{Session, Status};
use gcauth_sandbox::{Body, Effect, Fault, Target};
use serde_json::{Value, json};
use shared::{Kind, Place};
use support::*;

const KINDS: [Option<Kind>; 4] = [None, Some(Kind::Flock), Some(Kind::Lease), Some(Kind::Redis)];

/// Does `check` with a session in memory and in each kind of store, where another handle on the same store is there as
/// well.
fn with_each_store(check: impl Fn(&World, &Session, Option<&Session>, &str)) {
    for kind in KINDS {
        let world = World::new();
        let place = match kind {
            None => None,
            Some(kind) => match Place::new(kind) {
                None => continue,
                place => place,
            },
        };
        let settings = place.as_ref().map_or(json!({}), Place::settings);
        let session = world.session(settings.clone());
        let other = place.as_ref().map(|_| world.session(settings));
        check(&world, &session, other.as_ref(), &place.as_ref().map(Place::store).unwrap_or_default());
    }
}

fn info(session: &Session) -> Value {
    serde_json::from_str(session.info().unwrap().as_str()).unwrap()
}

fn now_s(world: &World) -> i64 {
    world.clock.now().wall_ms.div_euclid(1000)
}

fn refuse(world: &World, code: u16, body: Value) {
    let effect = Effect::Status { code, body: Some(Body::Json(body)), headers: [].into(), processed: false };
    world.order(Fault::new(Target::Refresh, effect).forever());
}

/// The members about trouble, which are there only when there is any.
fn troubles(info: &Value) -> Vec<&String> {
    let names = ["refused_with", "refused_at", "last_failure", "next_try_at", "logged_out_by", "logged_out_at"];
    info.as_object().unwrap().keys().filter(|name| names.contains(&name.as_str())).collect()
}

#[test]
fn the_place_is_told_without_secrets() {
    with_each_store(|_, session, _, store| {
        let told = info(session)["place"].clone();
        match store.split_once(':') {
            None => assert_eq!(told, Value::Null),
            Some(("file", path)) => assert_eq!(told, path),
            Some(_) => assert_eq!(told, store),
        }
    });
}

#[test]
fn renewals_that_fail_are_told_to_all_who_share_them() {
    with_each_store(|world, session, other, store| {
        login(session).unwrap();
        let handles = || [Some(session), other].into_iter().flatten();
        handles().for_each(|session| assert!(troubles(&info(session)).is_empty()));
        let secret = refresh_token(session);
        world.advance(2900.0);
        refuse(world, 503, json!({"detail": format!("closed, {secret}"), "title": "Maintenance"}));
        bearer(session).unwrap();
        let failed_at = now_s(world);
        world.advance(3.0);
        for session in handles() {
            let info = info(session);
            let failure = &info["last_failure"];
            assert_eq!(
                (&failure["status"], &failure["at"]),
                (&json!("GC_AUTH_ERR_SERVER"), &json!(failed_at)),
                "{info}"
            );
            let message = failure["message"].as_str().unwrap();
            for part in ["auth/refresh-token", "HTTP 503", "Maintenance: closed, [redacted]"] {
                assert!(message.contains(part), "{message} lacks {part}");
            }
            let next = info["next_try_at"].as_i64().unwrap();
            assert!(next > now_s(world) && next <= failed_at + 60, "{info}");
            assert_eq!(troubles(&info).len(), 2, "{info}");
            assert!(!info.to_string().contains(&secret), "{info}");
        }
        if let Some(path) = store.strip_prefix("file:") {
            let record = std::fs::read_dir(std::path::Path::new(path).parent().unwrap()).unwrap();
            let texts = record.filter_map(|entry| std::fs::read_to_string(entry.unwrap().path()).ok());
            // Once as the token itself, and nowhere else.
            assert!(texts.into_iter().all(|text| text.matches(&secret).count() <= 1));
        }
        // Expired: the pauses are those of one who has nothing to hand out.
        world.advance(1000.0);
        bearer(session).unwrap_err();
        let next = info(session)["next_try_at"].as_i64().unwrap();
        assert!((now_s(world)..=now_s(world) + 1).contains(&next));
        world.sandbox.clear_faults();
        world.advance(2.0);
        bearer(session).unwrap();
        handles().for_each(|session| assert!(troubles(&info(session)).is_empty()));
    });
}

#[test]
fn a_refused_refresh_token_is_told_to_all_who_share_it() {
    for (body, is_final) in [(json!({"error": "invalid_grant"}), true), (json!({"message": "not now"}), false)] {
        with_each_store(|world, session, other, _| {
            login(session).unwrap();
            world.advance(4000.0);
            refuse(world, 401, body.clone());
            assert_status(bearer(session), Status::Unauthorized);
            let refused_at = now_s(world);
            world.advance(5.0);
            for session in [Some(session), other].into_iter().flatten() {
                let info = info(session);
                assert_eq!((&info["refused_with"], &info["refused_at"]), (&json!(401), &json!(refused_at)), "{info}");
                assert_eq!(info["last_failure"]["status"], "GC_AUTH_ERR_UNAUTHORIZED", "{info}");
                let words = if is_final { "\"invalid_grant\"" } else { "\"not now\"" };
                assert!(info["last_failure"]["message"].as_str().unwrap().contains(words), "{info}");
                // What is refused for good is not tried again before a login.
                let next = if is_final { Value::Null } else { json!(refused_at + 60) };
                assert_eq!(info["next_try_at"], next, "{info}");
            }
            world.sandbox.clear_faults();
            login(session).unwrap();
            assert!(troubles(&info(session)).is_empty());
        });
    }
}

#[test]
fn who_holds_the_renewal_is_named() {
    for kind in [Kind::Flock, Kind::Lease, Kind::Redis] {
        let Some(place) = Place::new(kind) else { continue };
        let world = World::new();
        let session = world.logged_in(place.settings());
        let mut settings = place.settings();
        settings["timeout_ms"] = json!(8000);
        let other = world.session(settings);
        world.hold_refresh();
        std::thread::scope(|scope| {
            let renewal = scope.spawn(|| session.refresh(None));
            world.wait_held();
            let error = assert_status(other.refresh(None), Status::LockTimeout);
            world.sandbox.release();
            renewal.join().unwrap().unwrap();
            let store = place.store();
            let process = format!("another process (process {} on ", std::process::id());
            for part in [&process, "held the renewal of the session in", store.trim_start_matches("file:"), "try again"]
            {
                assert!(error.message().contains(part), "{error} lacks {part}");
            }
        });
    }
}

#[test]
fn a_server_out_of_reach_is_told() {
    let world = World::new();
    let session = world.session_of(
        json!({"environments": {"sandbox": {"host": "http://127.0.0.1:1"}}}),
        None,
        Some("a-refresh-token"),
    );
    assert_status(bearer(&session), Status::Connect);
    let info = info(&session);
    assert_eq!(info["last_failure"]["status"], "GC_AUTH_ERR_CONNECT");
    assert!(info["next_try_at"].is_i64(), "{info}");
}

#[test]
fn who_logged_out_is_told_to_all_who_share_it() {
    with_each_store(|world, session, other, store| {
        login(session).unwrap();
        other.map(info);
        session.logout().unwrap();
        let at = now_s(world);
        world.advance(5.0);
        for session in [Some(session), other].into_iter().flatten() {
            let info = info(session);
            let by = info["logged_out_by"].as_str().unwrap();
            let host = by.strip_suffix(&format!(":{}", std::process::id()));
            assert!(host.is_some_and(|host| !host.is_empty()), "{info}");
            assert_eq!(info["logged_out_at"], json!(at));
            assert_eq!(troubles(&info).len(), 2, "{info}");
            for error in [
                assert_status(bearer(session), Status::NoToken),
                assert_status(session.current().unwrap().token(), Status::NoToken),
                assert_status(session.refresh(None), Status::NoRefreshToken),
            ] {
                let message = error.message();
                let process = format!("process {} on ", std::process::id());
                for part in [&process, "logged out", " GMT; log in again"] {
                    assert!(message.contains(part), "{message} lacks {part}");
                }
                assert!(store.strip_prefix("file:").is_none_or(|path| message.contains(path)), "{message}");
            }
        }
        login(session).unwrap();
        assert!(troubles(&info(session)).is_empty());
    });
}

#[test]
fn no_token_says_whether_there_is_a_store() {
    with_each_store(|_, session, _, store| {
        let (store, words) = match store.split_once(':') {
            None => ("", "log in first; the config names no \"store\""),
            Some(("file", path)) => (path, "is empty; log in first"),
            Some(_) => (store, "is empty; log in first"),
        };
        for error in [
            assert_status(bearer(session), Status::NoToken),
            assert_status(session.current().unwrap().bearer(), Status::NoToken),
            assert_status(session.verify(), Status::NoToken),
        ] {
            for part in ["there is no token", words, store] {
                assert!(error.message().contains(part), "{error} lacks {part}");
            }
        }
    });
}
