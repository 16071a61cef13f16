//! Renewal as the caller of `bearer` sees it, against a real server, with a clock that the tests set.

mod support;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Barrier};

use gcauth::clock::{Clock, ManualClock};
use gcauth::{Session, Status};
use gcauth_sandbox::{Body, DropPoint, Effect, Fault, Options, Target, TokenFault};
use serde_json::{Value, json};
use support::*;

fn world_of_life(token_life_s: f64) -> World {
    World::with(Options { token_life_s, ..Options::default() })
}

#[test]
fn outside_the_window_the_token_is_handed_out() {
    let world = World::new();
    let session = world.logged_in(json!({}));
    let first = bearer(&session).unwrap();
    world.advance(2600.0);
    assert_eq!(bearer(&session).unwrap(), first);
    assert_eq!(world.refresh_requests(), 0);
}

#[test]
fn in_the_window_it_is_renewed() {
    let world = World::new();
    let session = world.logged_in(json!({}));
    let first = bearer(&session).unwrap();
    world.advance(2850.0);
    let second = bearer(&session).unwrap();
    assert_ne!(second, first);
    assert_eq!(bearer(&session).unwrap(), second);
    assert_eq!((world.refresh_requests(), world.counters().refreshes), (1, 1));
}

#[test]
fn the_window_is_a_third_of_a_short_life() {
    let world = world_of_life(1200.0);
    let session = world.logged_in(json!({}));
    world.advance(700.0);
    bearer(&session).unwrap();
    assert_eq!(world.refresh_requests(), 0);
    world.advance(180.0);
    bearer(&session).unwrap();
    assert_eq!(world.refresh_requests(), 1);
}

#[test]
fn the_window_is_configured() {
    let world = World::new();
    let session = world.logged_in(json!({"renew_before_s": 0}));
    world.advance(3500.0);
    bearer(&session).unwrap();
    assert_eq!(world.refresh_requests(), 0);
}

#[test]
fn without_iat_life_begins_at_receipt() {
    let world = world_of_life(1200.0);
    world.order(Fault::new(Target::Login, Effect::Token(TokenFault::NoIat)));
    let session = world.logged_in(json!({}));
    world.advance(700.0);
    bearer(&session).unwrap();
    assert_eq!(world.refresh_requests(), 0);
    world.advance(180.0);
    bearer(&session).unwrap();
    assert_eq!(world.refresh_requests(), 1);
}

#[test]
fn an_early_renewal_that_fails_costs_nothing() {
    let failures = [
        Fault::status(Target::Refresh, 401),
        Fault::status(Target::Refresh, 429),
        Fault::status(Target::Refresh, 500),
        Fault::status(Target::Refresh, 418),
        Fault::new(Target::Refresh, Effect::Redirect { code: 307, location: None }),
        Fault::new(Target::Refresh, Effect::Drop { at: DropPoint::BeforeProcessing, reset: false }),
        Fault::new(Target::Refresh, Effect::Drop { at: DropPoint::MidBody, reset: true }),
        Fault::new(Target::Refresh, Effect::BrokenJson),
        Fault::new(Target::Refresh, Effect::WrongTypes),
        Fault::new(Target::Refresh, Effect::Garbage),
    ];
    for fault in failures {
        let world = World::new();
        let session = world.logged_in(json!({}));
        let first = bearer(&session).unwrap();
        world.advance(2850.0);
        let what = format!("{fault:?}");
        world.order(fault.forever());
        assert_eq!(bearer(&session).unwrap(), first, "{what}");
        assert_eq!(world.refresh_requests(), 1, "{what}");
    }
}

#[test]
fn after_a_failed_early_renewal_the_next_comes_a_minute_later() {
    let world = World::new();
    let session = world.logged_in(json!({}));
    world.advance(2850.0);
    world.fail_refresh(500);
    bearer(&session).unwrap();
    world.advance(59.0);
    bearer(&session).unwrap();
    assert_eq!(world.refresh_requests(), 1);
    world.advance(1.0);
    bearer(&session).unwrap();
    assert_eq!(world.refresh_requests(), 2);
}

#[test]
fn or_a_quarter_of_the_window_if_that_is_less() {
    // Window at most 100 s, so a quarter is 22.5 to 25 s.
    let world = world_of_life(300.0);
    let session = world.logged_in(json!({}));
    world.advance(220.0);
    world.fail_refresh(500);
    bearer(&session).unwrap();
    world.advance(22.0);
    bearer(&session).unwrap();
    assert_eq!(world.refresh_requests(), 1);
    world.advance(3.0);
    bearer(&session).unwrap();
    assert_eq!(world.refresh_requests(), 2);
}

#[test]
fn or_later_if_the_server_says_so() {
    let world = World::new();
    let session = world.logged_in(json!({}));
    world.advance(2850.0);
    assert_rests(&world, &session, "200", 200.0);
}

/// The window is 810 to 900 s: what the server asks for is cut to a quarter.
#[test]
fn but_not_for_most_of_the_window() {
    for asked in ["3600", "400000000", "Fri, 31 Dec 2100 23:59:59 GMT"] {
        let world = World::new();
        let session = world.logged_in(json!({}));
        world.advance(2850.0);
        assert_rests(&world, &session, asked, 225.0);
    }
}

/// One renewal meets a server that asks for a pause; the next comes when `rest_s` have passed, at most.
fn assert_rests(world: &World, session: &Session, asked: &str, rest_s: f64) {
    let effect = Effect::Status {
        code: 503,
        body: None,
        headers: BTreeMap::from([("Retry-After".to_owned(), asked.to_owned())]),
        processed: false,
    };
    world.order(Fault::new(Target::Refresh, effect));
    bearer(session).unwrap();
    world.advance(199.0);
    bearer(session).unwrap();
    assert_eq!(world.refresh_requests(), 1);
    world.advance(rest_s - 199.0);
    bearer(session).unwrap();
    assert_eq!(world.counters().refreshes, 1);
}

#[test]
fn without_a_refresh_token_the_valid_token_goes_on_until_it_expires() {
    let world = World::new();
    let lender = world.logged_in(json!({}));
    let given = token(&lender);
    let session = world.session_of(json!({}), Some(&given), None);
    world.advance(3500.0);
    assert_eq!(bearer(&session).unwrap(), format!("Bearer {given}"));
    world.advance(100.0);
    assert_status(bearer(&session), Status::TokenExpired);
    assert_eq!(world.refresh_requests(), 0);
}

#[test]
fn expired_it_is_renewed_or_the_renewals_status_comes_back() {
    let world = World::new();
    for (http, status) in
        [(429, Status::RateLimited), (500, Status::Server), (418, Status::Http), (401, Status::Unauthorized)]
    {
        let session = world.logged_in(json!({}));
        world.advance(3601.0);
        world.order(Fault::status(Target::Refresh, http));
        let error = assert_status(bearer(&session), status);
        assert_eq!(error.http_status(), http);
    }
    let session = world.logged_in(json!({}));
    let first = bearer(&session).unwrap();
    world.advance(3601.0);
    assert_ne!(bearer(&session).unwrap(), first);
}

#[test]
fn expired_it_is_tried_at_once_then_after_1_2_4_8_16_30_30_seconds() {
    let world = World::new();
    let session = world.logged_in(json!({}));
    world.advance(3601.0);
    world.fail_refresh(500);
    let first = assert_status(bearer(&session), Status::Server);
    for (tries, pause) in (1..).zip([1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]) {
        world.advance(pause - 0.001);
        // Between attempts the same error, without network.
        assert_eq!(bearer(&session).unwrap_err(), first);
        assert_eq!(world.refresh_requests(), tries);
        world.advance(0.001);
        assert_status(bearer(&session), Status::Server);
        assert_eq!(world.refresh_requests(), tries + 1);
    }
    world.sandbox.clear_faults();
    world.advance(30.0);
    bearer(&session).unwrap();
}

#[test]
fn an_early_failure_does_not_hold_back_the_first_late_attempt() {
    let world = World::new();
    let session = world.logged_in(json!({}));
    world.advance(3590.0);
    world.order(Fault::status(Target::Refresh, 500));
    bearer(&session).unwrap();
    world.advance(11.0);
    bearer(&session).unwrap();
    assert_eq!(world.counters().refreshes, 1);
}

#[test]
fn a_refused_refresh_token_is_not_sent_again_by_itself() {
    let world = World::new();
    let session = world.logged_in(json!({}));
    world.advance(2850.0);
    world.sandbox.end_sessions();
    let first = bearer(&session).unwrap();
    world.advance(700.0);
    assert_eq!(bearer(&session).unwrap(), first);
    world.advance(100.0);
    for _ in 0..3 {
        let error = assert_status(bearer(&session), Status::Unauthorized);
        assert_eq!(error.http_status(), 401);
        world.advance(100.0);
    }
    assert_eq!(world.refresh_requests(), 1);
    // Asked for by name, it is.
    assert_status(session.refresh(None), Status::Unauthorized);
    assert_eq!(world.refresh_requests(), 2);
    login(&session).unwrap();
    world.advance(3601.0);
    bearer(&session).unwrap();
    assert_eq!(world.counters().refreshes, 1);
}

#[test]
fn a_refusal_for_a_moment_ends_nothing() {
    for http in [400, 401, 403, 404] {
        for (age, is_late) in [(2850.0, false), (3601.0, true)] {
            let world = World::new();
            let session = world.logged_in(json!({}));
            let first = bearer(&session).unwrap();
            world.advance(age);
            world.order(Fault::status(Target::Refresh, http));
            for _ in 0..2 {
                match is_late {
                    false => assert_eq!(bearer(&session).unwrap(), first),
                    true => {
                        let error = assert_status(bearer(&session), Status::Unauthorized);
                        assert_eq!(error.http_status(), http);
                        assert!(error.message().contains("tried again in "), "{error}");
                    }
                }
                assert_eq!(world.refresh_requests(), 1, "{http}");
                world.advance(59.0);
            }
            assert_ne!(bearer(&session).unwrap(), first);
            assert_eq!(world.counters().refreshes, 1, "{http}");
        }
    }
}

#[test]
fn the_same_refusal_after_a_rest_is_final() {
    for http in [400, 401] {
        let world = World::new();
        let session = world.logged_in(json!({}));
        world.advance(3601.0);
        world.fail_refresh(http);
        for (requests, pause) in [(1, 60.0), (2, 60.0), (2, 86_400.0), (2, 1.0)] {
            assert_status(bearer(&session), Status::Unauthorized);
            assert_eq!(world.refresh_requests(), requests, "{http}");
            world.advance(pause);
        }
        // Asked for by name it is sent all the same, and success ends it.
        assert_status(session.refresh(None), Status::Unauthorized);
        world.sandbox.reset();
        assert_status(bearer(&session), Status::Unauthorized);
        assert_eq!(world.refresh_requests(), 0);
        session.refresh(None).unwrap();
        world.advance(3601.0);
        bearer(&session).unwrap();
        assert_eq!(world.counters().refreshes, 2);
    }
}

#[test]
fn what_stands_in_front_of_the_server_is_asked_again_with_growing_pauses() {
    for http in [403, 404] {
        let world = World::new();
        let session = world.logged_in(json!({}));
        world.advance(3601.0);
        world.fail_refresh(http);
        for (requests, pause) in [(1, 60.0), (2, 120.0), (3, 240.0), (4, 300.0), (5, 300.0), (6, 300.0)] {
            assert_status(bearer(&session), Status::Unauthorized);
            assert_eq!(world.refresh_requests(), requests, "{http}");
            world.advance(pause - 1.0);
            assert_status(bearer(&session), Status::Unauthorized);
            assert_eq!(world.refresh_requests(), requests, "{http}");
            world.advance(1.0);
        }
        world.sandbox.clear_faults();
        bearer(&session).unwrap();
        assert_eq!(world.counters().refreshes, 1, "{http}");
    }
}

#[test]
fn words_about_the_token_are_final_at_once() {
    for (code, words) in [
        (400, json!({"error": "invalid_grant"})),
        (401, json!({"detail": "Token is blacklisted", "code": "token_not_valid"})),
        (403, json!({"message": "the refresh token has been revoked"})),
        (404, json!({"message": ["unknown refreshToken"]})),
    ] {
        let world = World::new();
        let session = world.logged_in(json!({}));
        world.advance(3601.0);
        let effect = Effect::Status { code, body: Some(Body::Json(words)), headers: BTreeMap::new(), processed: false };
        world.order(Fault::new(Target::Refresh, effect).forever());
        for _ in 0..4 {
            let error = assert_status(bearer(&session), Status::Unauthorized);
            assert!(!error.message().contains("tried again in "), "{error}");
            world.advance(3600.0);
        }
        assert_eq!(world.refresh_requests(), 1, "{code}");
    }
}

/// A refusal stands until there is another verdict: a server that is busy gives none.
#[test]
fn a_failure_of_another_kind_takes_no_refusal_back() {
    for fault in [
        Fault::status(Target::Refresh, 503),
        Fault::status(Target::Refresh, 500),
        Fault::new(Target::Refresh, Effect::Drop { at: DropPoint::BeforeReading, reset: true }),
        Fault::new(Target::Refresh, Effect::BrokenJson),
    ] {
        let what = format!("{fault:?}");
        let world = World::new();
        let session = world.logged_in(json!({}));
        world.advance(3601.0);
        world.sandbox.end_sessions();
        assert_status(bearer(&session), Status::Unauthorized);
        world.order(fault.forever());
        session.refresh(None).unwrap_err();
        let requests = world.refresh_requests();
        for pause in [0.0, 2.0, 60.0, 3600.0] {
            world.advance(pause);
            assert_status(bearer(&session), Status::Unauthorized);
        }
        assert_eq!(world.refresh_requests(), requests, "{what}");
    }
}

/// Handles that share a file, all with the clock of the test.
struct SharedFile {
    world: World,
    dir: std::path::PathBuf,
}

impl SharedFile {
    fn new() -> Self {
        Self::of_life(3600.0)
    }

    fn of_life(token_life_s: f64) -> Self {
        use std::os::unix::fs::DirBuilderExt;
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("gcauth-renewal-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let dir = std::env::temp_dir().join(name);
        std::fs::DirBuilder::new().mode(0o700).create(&dir).unwrap();
        SharedFile { world: world_of_life(token_life_s), dir }
    }

    fn config(&self) -> Value {
        json!({"store": format!("file:{}", self.dir.join("session").display())})
    }

    fn sessions(&self, count: usize) -> Vec<Session> {
        login(&self.world.session(self.config())).unwrap();
        (0..count).map(|_| self.world.session(self.config())).collect()
    }
}

impl Drop for SharedFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

#[test]
fn who_was_told_of_a_refusal_rests_like_who_met_it() {
    let shared = SharedFile::new();
    let world = &shared.world;
    let sessions = shared.sessions(4);
    world.advance(3601.0);
    world.order(Fault::status(Target::Refresh, 404));
    for pause in [0.0, 30.0, 29.0] {
        world.advance(pause);
        for session in &sessions {
            assert_eq!(assert_status(bearer(session), Status::Unauthorized).http_status(), 404);
        }
        assert_eq!(world.refresh_requests(), 1);
    }
    world.advance(1.0);
    let tokens: Vec<String> = sessions.iter().map(|session| bearer(session).unwrap()).collect();
    assert!(tokens.iter().all(|token| *token == tokens[0]));
    assert_eq!((world.refresh_requests(), world.counters().refreshes), (2, 1));
}

#[test]
fn all_agree_on_what_is_final() {
    let shared = SharedFile::new();
    let world = &shared.world;
    let sessions = shared.sessions(4);
    world.advance(3601.0);
    world.fail_refresh(401);
    for (pause, requests) in [(0.0, 1), (60.0, 2), (600.0, 2), (86_400.0, 2)] {
        world.advance(pause);
        for session in sessions.iter().rev() {
            assert_status(bearer(session), Status::Unauthorized);
        }
        assert_eq!(world.refresh_requests(), requests);
    }
    // Who begins only now knows as well.
    assert_status(bearer(&world.session(shared.config())), Status::Unauthorized);
    assert_eq!(world.refresh_requests(), 2);
    world.sandbox.clear_faults();
    login(&sessions[0]).unwrap();
    world.advance(1.0);
    for session in &sessions {
        bearer(session).unwrap();
    }
}

/// As a cluster has them: one process whose config names a wrong path.
#[test]
fn a_process_with_a_wrong_path_does_not_silence_the_others_for_good() {
    let shared = SharedFile::new();
    let world = &shared.world;
    let sessions = shared.sessions(2);
    let mut wrong = shared.config();
    wrong["refresh"] = json!({"path": "auth/refresh-tokens"});
    let wrong = world.session(wrong);
    world.advance(3601.0);
    for pause in [0.0, 60.0, 120.0] {
        world.advance(pause);
        assert_eq!(assert_status(bearer(&wrong), Status::Unauthorized).http_status(), 404);
        assert_status(bearer(&sessions[0]), Status::Unauthorized);
    }
    world.advance(240.0);
    let token = bearer(&sessions[0]).unwrap();
    assert_eq!((bearer(&wrong).unwrap(), bearer(&sessions[1]).unwrap()), (token.clone(), token));
}

#[test]
fn a_clock_that_is_stepped_makes_no_renewal_right_after_one() {
    let world = World::new();
    let session = world.logged_in(json!({}));
    let first = bearer(&session).unwrap();
    world.clock.step_wall_ms(7_200_000);
    for _ in 0..5 {
        assert_eq!(bearer(&session).unwrap(), first);
    }
    assert_eq!(world.refresh_requests(), 0);
    // A minute later the clock is believed, until the server's tokens show that it is wrong.
    world.advance(60.0);
    let second = bearer(&session).unwrap();
    assert_ne!(second, first);
    let made = world.refresh_requests();
    world.advance(2600.0);
    assert_eq!(bearer(&session).unwrap(), second);
    assert_eq!(world.refresh_requests(), made);
}

#[test]
fn but_a_rejected_token_is_renewed_right_after_one() {
    let world = World::new();
    let session = world.logged_in(json!({}));
    let first = bearer(&session).unwrap();
    session.report_rejected(&first).unwrap();
    let second = bearer(&session).unwrap();
    assert_ne!(second, first);
    session.report_rejected(&second).unwrap();
    assert_ne!(bearer(&session).unwrap(), second);
    assert_eq!(world.refresh_requests(), 2);
}

#[test]
fn a_wrong_clock_is_corrected_by_the_servers() {
    let world = World::new();
    // Ours is two hours behind, then two ahead of the server's.
    for step in [-7_200_000, 14_400_000] {
        world.clock.step_wall_ms(step);
        let session = world.logged_in(json!({}));
        let before = world.refresh_requests();
        let first = bearer(&session).unwrap();
        world.advance(2600.0);
        assert_eq!(bearer(&session).unwrap(), first);
        assert_eq!(world.refresh_requests(), before);
        world.advance(250.0);
        assert_ne!(bearer(&session).unwrap(), first);
        assert_eq!(world.refresh_requests(), before + 1);
    }
}

/// The server keeps a token, and gives it again while it lasts.
#[test]
fn a_login_that_brings_an_old_token_tells_nothing_of_the_clock() {
    let world = World::new();
    world.order(Fault::new(Target::Login, Effect::Token(TokenFault::ClockOff(-3588.0))));
    let session = world.logged_in(json!({}));
    let first = bearer(&session).unwrap();
    world.advance(13.0);
    assert_ne!(bearer(&session).unwrap(), first, "the token has run out");
    assert_eq!(world.counters().refreshes, 1);
}

#[test]
fn a_wrong_clock_is_noticed_by_a_renewal_too() {
    let world = World::new();
    let lender = world.logged_in(json!({}));
    world.clock.step_wall_ms(7_200_000);
    let session = world.session_of(json!({}), None, Some(&refresh_token(&lender)));
    // The token could be an old one given again; the answer's date shows that it is the clock.
    let first = bearer(&session).unwrap();
    assert_eq!(world.refresh_requests(), 1);
    world.advance(2600.0);
    assert_eq!(bearer(&session).unwrap(), first);
    assert_eq!(world.refresh_requests(), 1);
}

#[test]
fn a_token_without_exp_or_that_is_no_jwt_is_handed_out_as_it_is() {
    for fault in [TokenFault::NoExp, TokenFault::NotAJwt] {
        let world = World::new();
        world.order(Fault::new(Target::Login, Effect::Token(fault)));
        let session = world.logged_in(json!({}));
        let first = bearer(&session).unwrap();
        world.advance(1e9);
        let current = session.bearer().unwrap();
        assert_eq!(current.bearer().unwrap(), first);
        assert_eq!(current.expires_at(), 0);
        assert_eq!(world.refresh_requests(), 0);
    }
}

#[test]
fn the_expiry_belongs_to_the_token() {
    let world = World::new();
    let session = world.logged_in(json!({}));
    for _ in 0..2 {
        let current = session.bearer().unwrap();
        let payload: Value = serde_json::from_str(current.payload().unwrap().as_json()).unwrap();
        assert_eq!(Some(current.expires_at()), payload["exp"].as_i64());
        world.advance(2850.0);
    }
}

#[test]
fn a_renewal_that_brings_an_expired_token_is_followed_by_one_more() {
    let world = World::new();
    let session = world.logged_in(json!({}));
    world.advance(3601.0);
    world.order(Fault::new(Target::Refresh, Effect::Token(TokenFault::Expired)));
    bearer(&session).unwrap();
    assert_eq!(world.counters().refreshes, 2);
}

#[test]
fn tokens_that_always_come_expired_do_not_make_a_renewal_at_every_call() {
    let world = World::new();
    let session = world.logged_in(json!({}));
    world.advance(3601.0);
    let expired = TokenFault::Claims(serde_json::Map::from_iter([("exp".to_owned(), json!(1))]));
    world.order(Fault::new(Target::Refresh, Effect::Token(expired)).forever());
    for _ in 0..5 {
        assert_status(bearer(&session), Status::TokenExpired);
    }
    assert_eq!(world.refresh_requests(), 2);
    // Nothing is lost: the newest refresh token is kept.
    world.sandbox.clear_faults();
    world.advance(1.0);
    bearer(&session).unwrap();
    assert_eq!(world.counters().reuses, 0);
}

#[test]
fn with_a_refresh_token_only_it_renews_first_without_a_token_in_the_request() {
    let world = World::new();
    let lender = world.logged_in(json!({}));
    let session = world.session_of(json!({}), None, Some(&refresh_token(&lender)));
    assert_status(session.current().unwrap().token().map(str::to_owned), Status::NoToken);
    bearer(&session).unwrap();
    assert_eq!(world.refresh_requests(), 1);
    let body = world.last_body("refresh-token");
    assert!(body.get("token").is_none() && body.get("refreshToken").is_some() && body.get("project").is_none());
}

#[test]
fn without_tokens_there_is_nothing_to_hand_out() {
    let world = World::new();
    let session = world.session(json!({}));
    assert_status(bearer(&session), Status::NoToken);
    assert_status(session.refresh(None), Status::NoRefreshToken);
    assert_eq!(world.counters().connections, 0);
}

#[test]
fn a_rejected_token_is_handed_out_when_nobody_can_be_reached() {
    let world = World::new();
    let session = world.logged_in(json!({}));
    let first = bearer(&session).unwrap();
    session.report_rejected(&first).unwrap();
    world.order(Fault::new(Target::Refresh, Effect::Drop { at: DropPoint::BeforeProcessing, reset: false }).forever());
    for _ in 0..3 {
        assert_eq!(bearer(&session).unwrap(), first);
    }
    assert_eq!(world.refresh_requests(), 1);
    world.sandbox.clear_faults();
    world.advance(1.0);
    assert_ne!(bearer(&session).unwrap(), first);
}

#[test]
fn a_rejected_token_is_not_handed_out_when_the_server_answers() {
    for (http, status) in [(500, Status::Server), (401, Status::Unauthorized)] {
        let world = World::new();
        let session = world.logged_in(json!({}));
        session.report_rejected(&bearer(&session).unwrap()).unwrap();
        world.fail_refresh(http);
        assert_status(bearer(&session), status);
        assert_status(bearer(&session), status);
        assert_eq!(world.refresh_requests(), 1);
    }
}

#[test]
fn a_rejected_token_without_refresh_token_is_not_handed_out() {
    let world = World::new();
    let given = token(&world.logged_in(json!({})));
    let session = world.session_of(json!({}), Some(&given), None);
    session.report_rejected(&given).unwrap();
    assert_status(bearer(&session), Status::NoRefreshToken);
}

#[test]
fn many_reports_of_one_token_cause_one_renewal() {
    let world = World::new();
    let session = world.logged_in(json!({}));
    let first = bearer(&session).unwrap();
    for _ in 0..5000 {
        session.report_rejected(&first).unwrap();
        assert_ne!(bearer(&session).unwrap(), first);
    }
    assert_eq!(world.refresh_requests(), 1);
}

#[test]
fn reports_of_other_tokens_do_nothing() {
    let world = World::new();
    let session = world.logged_in(json!({}));
    let first = bearer(&session).unwrap();
    session.report_rejected("Bearer something.else.entirely").unwrap();
    assert_eq!(bearer(&session).unwrap(), first);
    assert_status(session.report_rejected("Bearer "), Status::InvalidArgument);
    assert_status(session.report_rejected("a b"), Status::InvalidArgument);
}

#[test]
fn a_report_with_the_bare_token_counts_too() {
    let world = World::new();
    let session = world.logged_in(json!({}));
    let first = bearer(&session).unwrap();
    session.report_rejected(&format!(" {}\n", token(&session))).unwrap();
    assert_ne!(bearer(&session).unwrap(), first);
}

#[test]
fn a_report_during_a_renewal_that_fails_is_not_lost() {
    let world = World::new();
    let session = world.logged_in(json!({}));
    let first = bearer(&session).unwrap();
    world.advance(2850.0);
    world.order(Fault::status(Target::Refresh, 500).and(Effect::Hold { at: gcauth_sandbox::Moment::BeforeProcessing }));
    std::thread::scope(|scope| {
        let renewing = scope.spawn(|| bearer(&session));
        world.wait_held();
        session.report_rejected(&first).unwrap();
        world.sandbox.release();
        // The one that renewed early must not come back with the rejected token either.
        assert_ne!(renewing.join().unwrap().unwrap(), first);
    });
    assert_eq!(world.counters().refreshes, 1);
}

/// Runs `many` threads that all ask for the bearer at once.
fn ask_at_once(session: &Session, many: usize) -> Vec<Result<String, gcauth::Error>> {
    let start = Barrier::new(many);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..many)
            .map(|_| {
                scope.spawn(|| {
                    start.wait();
                    bearer(session)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

#[test]
fn in_the_window_one_renews_and_all_others_go_on_at_once() {
    let world = World::new();
    let session = world.logged_in(json!({}));
    let first = bearer(&session).unwrap();
    world.advance(2850.0);
    world.hold_refresh();
    std::thread::scope(|scope| {
        let renewing = scope.spawn(|| bearer(&session));
        world.wait_held();
        // These return although the renewal is stuck.
        for outcome in ask_at_once(&session, 16) {
            assert_eq!(outcome.unwrap(), first);
        }
        world.sandbox.release();
        assert_ne!(renewing.join().unwrap().unwrap(), first);
    });
    assert_eq!(world.refresh_requests(), 1);
}

#[test]
fn sixty_four_threads_at_the_window_make_one_refresh() {
    let world = World::new();
    let session = world.logged_in(json!({}));
    world.advance(2850.0);
    for outcome in ask_at_once(&session, 64) {
        outcome.unwrap();
    }
    assert_eq!(world.refresh_requests(), 1);
}

#[test]
fn expired_everybody_joins_one_renewal() {
    let world = World::new();
    let session = world.logged_in(json!({}));
    world.advance(3601.0);
    let bearers: Vec<String> = ask_at_once(&session, 64).into_iter().map(Result::unwrap).collect();
    assert!(bearers.iter().all(|bearer| *bearer == bearers[0]));
    assert_eq!(world.refresh_requests(), 1);
}

#[test]
fn expired_everybody_joins_one_failure() {
    let world = World::new();
    let session = world.logged_in(json!({}));
    world.advance(3601.0);
    world.fail_refresh(500);
    for outcome in ask_at_once(&session, 64) {
        assert_status(outcome, Status::Server);
    }
    assert_eq!(world.refresh_requests(), 1);
}

#[test]
fn a_wait_for_another_thread_that_runs_out_is_a_timeout() {
    let world = World::new();
    let session = world.logged_in(json!({"timeout_ms": 1000}));
    world.advance(3601.0);
    world.hold_refresh();
    for outcome in ask_at_once(&session, 8) {
        assert_status(outcome, Status::Timeout);
    }
    assert_eq!(world.refresh_requests(), 1);
    world.sandbox.release();
}

#[test]
fn a_logout_during_a_renewal_stays_one() {
    let world = World::new();
    let session = world.logged_in(json!({}));
    world.advance(3601.0);
    world.hold_refresh();
    std::thread::scope(|scope| {
        let renewing = scope.spawn(|| bearer(&session));
        world.wait_held();
        session.logout().unwrap();
        world.sandbox.release();
        assert_status(renewing.join().unwrap(), Status::NoToken);
    });
    assert_status(bearer(&session), Status::NoToken);
    assert_status(session.current().unwrap().refresh_token().map(str::to_owned), Status::NoRefreshToken);
    login(&session).unwrap();
    bearer(&session).unwrap();
}

#[test]
fn a_login_waits_for_a_renewal_and_wins() {
    let world = World::new();
    let session = world.logged_in(json!({}));
    world.advance(3601.0);
    world.hold_refresh();
    std::thread::scope(|scope| {
        let renewing = scope.spawn(|| bearer(&session));
        world.wait_held();
        let logging_in = scope.spawn(|| session.login(USER, PASSWORD, ORGANIZATION, Some(PROJECT)));
        world.sandbox.release();
        renewing.join().unwrap().unwrap();
        logging_in.join().unwrap().unwrap();
    });
    assert_eq!(session.project_id().unwrap(), 9_007_199_254_740_993);
    assert_eq!(world.counters().logins, 2);
}

#[test]
fn refresh_renews_whatever_the_expiry() {
    let world = World::new();
    let session = world.logged_in(json!({}));
    let (first, first_refresh) = (token(&session), refresh_token(&session));
    session.refresh(None).unwrap();
    assert_ne!(token(&session), first);
    assert_ne!(refresh_token(&session), first_refresh);
    assert_eq!(world.last_body("refresh-token"), json!({"token": first, "refreshToken": first_refresh}));
}

#[test]
fn a_refresh_that_others_make_meanwhile_will_do() {
    let world = World::new();
    let session = world.logged_in(json!({}));
    world.hold_refresh();
    let start = Barrier::new(9);
    std::thread::scope(|scope| {
        let first = scope.spawn(|| session.refresh(None));
        world.wait_held();
        let others: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    start.wait();
                    session.refresh(None)
                })
            })
            .collect();
        start.wait();
        // The others may not have got as far as waiting; those that come later make one more refresh among them.
        world.sandbox.release();
        first.join().unwrap().unwrap();
        for other in others {
            other.join().unwrap().unwrap();
        }
    });
    assert_eq!(world.counters().reuses, 0);
    assert!(world.counters().refreshes <= 9);
}

#[test]
fn a_refresh_to_another_project_is_made_all_the_same() {
    let world = World::new();
    let session = world.logged_in(json!({}));
    world.hold_refresh();
    std::thread::scope(|scope| {
        let plain = scope.spawn(|| session.refresh(None));
        world.wait_held();
        let scoped = scope.spawn(|| session.refresh(Some(PROJECT)));
        world.sandbox.release();
        plain.join().unwrap().unwrap();
        scoped.join().unwrap().unwrap();
    });
    assert_eq!(session.project_id().unwrap(), 9_007_199_254_740_993);
    assert_eq!(world.counters().refreshes, 2);
}

#[test]
fn the_scope_is_kept_by_all_later_renewals() {
    let world = World::new();
    let session = world.logged_in(json!({}));
    assert_status(session.project_id(), Status::ClaimMissing);
    session.refresh(Some(PROJECT)).unwrap();
    assert_eq!(world.last_body("refresh-token")["project"], PROJECT);
    world.advance(2850.0);
    bearer(&session).unwrap();
    assert_eq!(world.last_body("refresh-token")["project"], PROJECT);
    session.refresh(None).unwrap();
    assert_eq!(world.last_body("refresh-token")["project"], PROJECT);
    session.refresh(Some(OTHER_PROJECT)).unwrap();
    assert_eq!(world.last_body("refresh-token")["project"], OTHER_PROJECT);
    assert_eq!(session.project_id().unwrap(), 42);
    // A login without a project ends the scope.
    login(&session).unwrap();
    session.refresh(None).unwrap();
    assert!(world.last_body("refresh-token").get("project").is_none());
}

#[test]
fn a_refresh_that_fails_leaves_the_session_as_before() {
    let world = World::new();
    let session = world.session(json!({}));
    session.login(USER, PASSWORD, ORGANIZATION, Some(PROJECT)).unwrap();
    let before = session.to_json().unwrap();
    assert_status(session.refresh(Some("no-such-project")), Status::Unauthorized);
    world.order(Fault::new(Target::Refresh, Effect::Body(gcauth_sandbox::Body::Raw("{".into()))));
    // This one is answered with nonsense after the token was spent: even so nothing is replaced.
    assert_status(session.refresh(None), Status::Protocol);
    assert_eq!(session.to_json().unwrap().as_str(), before.as_str());
}

#[test]
fn an_answer_without_refresh_token_keeps_the_old_one() {
    let world = World::new();
    let session = world.logged_in(json!({}));
    let kept = refresh_token(&session);
    world.order(Fault::new(Target::Refresh, Effect::MissingRefreshToken));
    session.refresh(None).unwrap();
    assert_eq!(refresh_token(&session), kept);
}

#[test]
fn a_refused_project_says_nothing_about_the_session() {
    for http in [400, 401, 403, 404] {
        let world = World::new();
        let session = world.logged_in(json!({}));
        let first = bearer(&session).unwrap();
        world.order(Fault::status(Target::Refresh, http));
        assert_status(session.refresh(Some("no-such-project")), Status::Unauthorized);
        world.advance(2850.0);
        assert_ne!(bearer(&session).unwrap(), first, "{http}");
        world.order(Fault::status(Target::Refresh, http));
        assert_status(session.refresh(Some("no-such-project")), Status::Unauthorized);
        world.advance(3601.0);
        bearer(&session).unwrap();
    }
}

/// A machine whose clock is off, and whose time passes with the others'.
fn machine_off_by(world: &World, seconds: i64) -> Arc<ManualClock> {
    ManualClock::at_ms(world.clock.now().wall_ms + seconds * 1000)
}

fn session_on(shared: &SharedFile, clock: &Arc<ManualClock>) -> Session {
    let config = shared.world.config(shared.config());
    Session::with_clock(config, None, None, None, Clock::Manual(clock.clone())).unwrap()
}

/// Time passes on all machines, and the handles there call now and then; none may be given a token that has run out.
fn live(shared: &SharedFile, seconds: u64, clocks: &[&Arc<ManualClock>], sessions: &[&Session]) {
    for _ in 0..seconds / 5 {
        shared.world.advance(5.0);
        clocks.iter().for_each(|clock| clock.advance_ms(5_000));
        for (at, session) in sessions.iter().enumerate() {
            let current = session.bearer().unwrap();
            let left = current.expires_at() as f64 - shared.world.sandbox.now();
            assert!(left > -1.0, "handle {at} is given a token that ran out {left} s ago");
        }
    }
}

#[test]
fn a_host_that_is_behind_hands_out_no_token_beyond_its_end() {
    // Some begin in the middle of a token's life: they can only tell by how much they are behind at least.
    for (life, age) in [(3600.0, 0.0), (3600.0, 1800.0), (120.0, 0.0), (120.0, 60.0)] {
        let shared = SharedFile::of_life(life);
        let right = shared.sessions(1).remove(0);
        shared.world.advance(age);
        let behind = machine_off_by(&shared.world, -3600);
        let late = session_on(&shared, &behind);
        live(&shared, life as u64 * 3, &[&behind], &[&late, &right]);
        let refreshes = shared.world.counters().refreshes;
        assert!(refreshes <= 5, "{refreshes} renewals in 3 lives");
    }
}

#[test]
fn a_host_that_is_ahead_learns_it_once() {
    let shared = SharedFile::new();
    let right = shared.sessions(1).remove(0);
    let ahead = machine_off_by(&shared.world, 7200);
    let first: Vec<Session> = (0..5).map(|_| session_on(&shared, &ahead)).collect();
    let tokens: Vec<String> = first.iter().map(|session| bearer(session).unwrap()).collect();
    assert!(tokens.iter().all(|token| *token == tokens[0]));
    assert_eq!(shared.world.counters().refreshes, 1);
    // Somebody with a right clock renews; who begins on the machine then need not.
    live(&shared, 2800, &[&ahead], &[&right]);
    assert_eq!(shared.world.counters().refreshes, 2);
    let next: Vec<Session> = (0..5).map(|_| session_on(&shared, &ahead)).collect();
    let all: Vec<&Session> = first.iter().chain(&next).chain([&right]).collect();
    for session in &all {
        bearer(session).unwrap();
    }
    assert_eq!(shared.world.counters().refreshes, 2);
    live(&shared, 7200, &[&ahead], &all);
    let refreshes = shared.world.counters().refreshes;
    assert!(refreshes <= 5, "{refreshes} renewals in 10,000 s");
}

#[test]
fn a_clock_that_is_set_right_is_believed_again() {
    let shared = SharedFile::new();
    shared.sessions(0);
    let ahead = machine_off_by(&shared.world, 7200);
    bearer(&session_on(&shared, &ahead)).unwrap();
    ahead.step_wall_ms(-7_200_000);
    let sessions = [session_on(&shared, &ahead), session_on(&shared, &ahead)];
    live(&shared, 7200, &[&ahead], &[&sessions[0], &sessions[1]]);
    assert!(shared.world.counters().refreshes <= 4);
}

#[test]
fn a_host_that_is_ahead_stops_nobodys_early_renewals() {
    let shared = SharedFile::new();
    let right = shared.sessions(1).remove(0);
    shared.world.advance(2850.0);
    let ahead = machine_off_by(&shared.world, 3600);
    shared.world.order(Fault::status(Target::Refresh, 503));
    assert_status(bearer(&session_on(&shared, &ahead)), Status::Server);
    for _ in 0..2 {
        bearer(&right).unwrap();
        shared.world.advance(61.0);
    }
    assert_eq!(shared.world.counters().refreshes, 1);
}

/// The first may renew at 2700 s, the last from 2790 s on; a server may have ended the old token meanwhile.
#[test]
fn what_another_has_renewed_is_found_before_ones_own_turn() {
    for revokes in [false, true] {
        let shared = SharedFile::new();
        let world = &shared.world;
        let mut config = shared.config();
        config["revokes_old_tokens"] = revokes.into();
        let sessions: Vec<Session> =
            shared.sessions(1).into_iter().chain((0..20).map(|_| world.session(config.clone()))).collect();
        let first = bearer(&sessions[0]).unwrap();
        world.advance(2690.0);
        assert!(sessions.iter().all(|session| bearer(session).unwrap() == first));
        sessions[0].refresh(None).unwrap();
        world.advance(22.0);
        let newest = bearer(&sessions[0]).unwrap();
        assert_ne!(newest, first);
        assert!(sessions.iter().all(|session| bearer(session).unwrap() == newest), "revokes: {revokes}");
        assert_eq!(world.counters().refreshes, 1);
    }
}
