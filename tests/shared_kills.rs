//! Processes that are killed or stopped at every step of a renewal: the session outlives them wherever the server's own
//! rules leave a way. Needs the feature `failpoints`.

#[path = "support/redis.rs"]
mod redis;
#[path = "support/shared.rs"]
mod shared;

use std::fs;
use std::time::{Duration, Instant};

use gcauth::Status;
use gcauth_sandbox::{Effect, Fault, Moment, Target};
use nix::sys::signal::Signal;
use serde_json::json;
use shared::*;

/// The steps at which the request has not been sent.
const UNSENT: [&str; 4] = ["locked", "intended", "connected", "looked"];
/// Not a step of ours: the server has worked, and its answer is on its way.
const SENT: &str = "sent";

/// Not a test: what the other processes run.
#[test]
fn worker() {
    work();
}

fn short(kind: Kind, grace_s: Option<u64>) -> Option<Shared> {
    Shared::new(kind, 3600, grace_s, json!({"timeout_ms": SHORT_TIMEOUT_MS, "retries": 0}))
}

/// A process that renews and comes to grief at `step`.
fn victim(shared: &Shared, step: &str, how: &str, after: &[serde_json::Value]) -> Worker {
    let works: Vec<_> = std::iter::once(json!({"do": "refresh"})).chain(after.iter().cloned()).collect();
    if step != SENT {
        return shared.worker("victim", &works, &[("GCAUTH_FAILPOINT", &format!("{step}:{how}"))]);
    }
    shared.sandbox.order(Fault::new(Target::Refresh, Effect::Hold { at: Moment::AfterProcessing }));
    let mut victim = shared.worker("victim", &works, &[]);
    assert!(shared.sandbox.wait_held(1, LONG));
    victim.signal(Signal::SIGSTOP);
    assert!(victim.wait_stopped());
    shared.sandbox.release();
    victim
}

/// All steps at once, each with a server of its own.
fn at_each_step(steps: &[&'static str], test: impl Fn(&'static str) + Sync) {
    std::thread::scope(|scope| {
        let threads: Vec<_> = steps.iter().map(|step| (step, scope.spawn(|| test(step)))).collect();
        let failed: Vec<_> = threads.into_iter().filter_map(|(step, run)| run.join().err().map(|_| step)).collect();
        assert!(failed.is_empty(), "failed at {failed:?}, see above");
    });
}

fn killed(kind: Kind, grace_s: Option<u64>) {
    let steps = [&UNSENT[..], &[SENT, "answered", "committed"]].concat();
    at_each_step(&steps, |step| {
        let Some(shared) = short(kind, grace_s) else { return };
        let what = format!("{kind:?}, grace {grace_s:?}, killed at {step}");
        let survivor = shared.logged_in();
        let mut victim = victim(&shared, step, "kill", &[]);
        let pid = victim.pid();
        if step == SENT {
            victim.kill();
        } else {
            assert!(!victim.wait_stopped(), "{what}: it goes on");
            assert_eq!(shared.events().len(), 0, "{what}: it went on");
        }
        // The token is valid all the time.
        bearer(&survivor).unwrap_or_else(|error| panic!("{what}: {error}"));
        let outcome = refresh_patiently(&survivor);
        let counters = shared.sandbox.counters();
        let is_lost = grace_s.is_none() && [SENT, "answered"].contains(&step);
        if is_lost {
            let error = outcome.expect_err(&what);
            assert_eq!(error.status(), Status::Unauthorized, "{what}: {error}");
            let host = nix::unistd::gethostname().unwrap().into_string().unwrap();
            for part in ["interrupted", &format!("process {pid} "), &host, " ago"] {
                assert!(error.message().contains(part), "{what}: no {part:?} in: {error}");
            }
            assert_eq!((counters.requests.refresh, counters.refreshes, counters.reuses), (2, 1, 1), "{what}");
            // A new login mends everything.
            login(&survivor).unwrap_or_else(|error| panic!("{what}: {error}"));
        } else {
            outcome.unwrap_or_else(|error| panic!("{what}: {error}"));
            let (refreshes, graces) = match step {
                SENT | "answered" => (1, 1),
                "committed" => (2, 0),
                _ => (1, 0),
            };
            assert_eq!((counters.refreshes, counters.graces), (refreshes, graces), "{what}");
            assert_eq!((counters.reuses, counters.refreshes_refused), (0, 0), "{what}");
        }
        for _ in 0..3 {
            refresh_patiently(&survivor).unwrap_or_else(|error| panic!("{what}: {error}"));
        }
        let other = shared.session();
        assert_eq!(bearer(&other).unwrap(), bearer(&survivor).unwrap(), "{what}");
        assert_eq!(me(&shared.sandbox.http_url(), &bearer(&other).unwrap()).unwrap(), 200, "{what}");
        shared.place.assert_no_litter(&what);
    });
}

#[test]
fn killed_with_flock_and_grace() {
    killed(Kind::Flock, Some(60));
}

#[test]
fn killed_with_flock_without_grace() {
    killed(Kind::Flock, None);
}

#[test]
fn killed_with_leases_and_grace() {
    killed(Kind::Lease, Some(60));
}

#[test]
fn killed_with_leases_without_grace() {
    killed(Kind::Lease, None);
}

#[test]
fn killed_with_redis_and_grace() {
    killed(Kind::Redis, Some(60));
}

#[test]
fn killed_with_redis_without_grace() {
    killed(Kind::Redis, None);
}

/// Stopped for longer than the lease, then on again, when others have renewed.
fn stopped(kind: Kind, grace_s: Option<u64>, steps: &[&'static str]) {
    at_each_step(steps, |step| {
        let Some(shared) = short(kind, grace_s) else { return };
        let what = format!("{kind:?}, grace {grace_s:?}, stopped at {step}");
        let survivor = shared.logged_in();
        let mut victim = victim(&shared, step, "stop", &[json!({"do": "bearer"})]);
        assert!(victim.wait_stopped(), "{what}: it ended");
        bearer(&survivor).unwrap_or_else(|error| panic!("{what}: {error}"));
        std::thread::sleep(LEASE);
        let mut renewed = None;
        if kind == Kind::Flock {
            // There is no way past a stopped holder; nobody is worse off than before.
            let error = survivor.refresh(None).expect_err(&what);
            assert_eq!(error.status(), Status::LockTimeout, "{what}: {error}");
            bearer(&survivor).unwrap_or_else(|error| panic!("{what}: {error}"));
        } else {
            refresh_patiently(&survivor).unwrap_or_else(|error| panic!("{what}: {error}"));
            renewed = Some(bearer(&survivor).unwrap());
        }
        assert!(victim.join(), "{what}: {:#?}", shared.events());
        let events = shared.events();
        let bearers: Vec<&Event> = events.iter().filter(|event| event.what() == "bearer").collect();
        assert!(bearers.len() == 1 && bearers[0].is_ok(), "{what}: {events:#?}");
        let lost = ["Unauthorized", "NoToken", "Internal"];
        assert!(!events.iter().any(|event| lost.contains(&event.text("status"))), "{what}: {events:#?}");
        if let Some(renewed) = renewed {
            // The newer generation has won: what the victim brought later is not in its place, unless it renewed again.
            let present = bearer(&shared.session()).unwrap();
            let has_renewed = events.iter().any(|event| event.number("made") > 0);
            assert!(present == renewed || has_renewed, "{what}: {events:#?}");
        }
        for _ in 0..3 {
            refresh_patiently(&survivor).unwrap_or_else(|error| panic!("{what}: {error}"));
        }
        let counters = shared.sandbox.counters();
        assert_eq!((counters.reuses, counters.refreshes_refused), (0, 0), "{what}: {counters:?}");
        assert_eq!(me(&shared.sandbox.http_url(), &bearer(&survivor).unwrap()).unwrap(), 200, "{what}");
        shared.place.assert_no_litter(&what);
    });
}

const ALL: [&str; 7] = ["locked", "intended", "connected", "looked", SENT, "answered", "committed"];
/// Without grace nobody can help one who is stopped with the answer, or between its last look and the sending.
const SAFE: [&str; 4] = ["locked", "intended", "connected", "committed"];

#[test]
fn stopped_with_flock_and_grace() {
    stopped(Kind::Flock, Some(60), &ALL);
}

/// Nobody gets past a holder that is stopped: not even the lost answer is lost.
#[test]
fn stopped_with_flock_without_grace() {
    stopped(Kind::Flock, None, &["locked", "intended", "looked", "answered", "committed"]);
}

#[test]
fn stopped_with_leases_and_grace() {
    stopped(Kind::Lease, Some(60), &ALL);
}

#[test]
fn stopped_with_leases_without_grace() {
    stopped(Kind::Lease, None, &SAFE);
}

#[test]
fn stopped_with_redis_and_grace() {
    stopped(Kind::Redis, Some(60), &ALL);
}

#[test]
fn stopped_with_redis_without_grace() {
    stopped(Kind::Redis, None, &SAFE);
}

/// A population whose members die at any moment, and are replaced. Half of the new ones carry their death in them, at a
/// step of a renewal, and others are killed while the server answers them.
fn random_kills(kind: Kind, token_life_s: u64, refresh_every_ms: u64, processes: usize, kills: usize) {
    let more = json!({"timeout_ms": if refresh_every_ms > 0 { 1000 } else { 30_000 }});
    // Many in a row may come to grief, and each leaves its lease behind: the server has patience for all of them.
    let Some(shared) = Shared::new(kind, token_life_s, Some(3600), more) else { return };
    let mut dice = Dice::new();
    drop(shared.logged_in());
    // Renewals that last a while are hit more often.
    shared
        .sandbox
        .order(Fault::new(Target::Refresh, Effect::Latency { ms: 100, at: Moment::AfterProcessing }).forever());
    let round = [shared.round(20, refresh_every_ms)];
    let steps = ["locked", "intended", "connected", "looked", "answered", "answered", "committed"];
    let begin = |number: usize, dice: &mut Dice| {
        let order = format!("{}:kill", steps[dice.below(steps.len())]);
        let env = [("GCAUTH_FAILPOINT", order.as_str())];
        let is_doomed = dice.below(2) == 0;
        shared.worker(&number.to_string(), &round, if is_doomed { &env } else { &[] })
    };
    // The founders are whole.
    let mut workers: Vec<Worker> =
        (0..processes).map(|number| shared.worker(&number.to_string(), &round, &[])).collect();
    std::thread::sleep(Duration::from_secs(2));
    let (mut killed, mut in_a_renewal) = (0, 0);
    let (mut next, mut renewing, mut is_target) = (Instant::now(), None, false);
    let end = Instant::now() + LONG * 4;
    while killed < kills {
        assert!(Instant::now() < end, "{killed} kills only");
        for (number, slot) in workers.iter_mut().enumerate() {
            if slot.has_ended() {
                shared.note(json!({"what": "killed", "pid": slot.pid(), "group": number.to_string(), "by": "itself"}));
                killed += 1;
                in_a_renewal += 1;
                *slot = begin(number, &mut dice);
            }
        }
        // Every other one who has sent, and waits for the answer; besides them, now and then anybody.
        let renewing_now = shared.renewing_pid();
        if renewing_now != renewing {
            (renewing, is_target) = (renewing_now, dice.below(2) == 0);
        }
        let target =
            renewing.filter(|_| is_target).and_then(|pid| workers.iter().position(|worker| worker.pid() == pid));
        if target.is_some() || Instant::now() >= next {
            let number = target.unwrap_or_else(|| dice.below(processes));
            if !workers[number].has_ended() {
                workers[number].kill();
                shared.note(json!({"what": "killed", "pid": workers[number].pid(), "group": number.to_string()}));
                killed += 1;
                in_a_renewal += usize::from(target.is_some());
                workers[number] = begin(number, &mut dice);
            }
            if target.is_none() {
                next = Instant::now() + Duration::from_millis(100 + dice.below(2000) as u64);
            }
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    fs::write(shared.stop_file(), "").unwrap();
    for worker in &mut workers {
        worker.join();
    }
    let events = shared.events();
    let bad: Vec<&Event> =
        events.iter().filter(|event| ["bearer", "refresh", "expired", "turned away"].contains(&event.what())).collect();
    let counters = shared.sandbox.counters();
    eprintln!(
        "{kind:?}: {killed} killed, {in_a_renewal} of them in a renewal; {} refreshes, {} graces",
        counters.refreshes, counters.graces
    );
    keep_log(&shared, &format!("kills-{kind:?}-{token_life_s}"));
    assert!(bad.is_empty(), "{} failures: {bad:#?}", bad.len());
    assert_eq!((counters.reuses, counters.refreshes_refused), (0, 0));
    let heir = shared.session();
    for _ in 0..3 {
        refresh_patiently(&heir).unwrap();
    }
    assert_eq!(me(&shared.sandbox.http_url(), &bearer(&heir).unwrap()).unwrap(), 200);
    shared.place.assert_no_litter("random kills");
}

/// Tokens with short lives, renewed when it is time to.
#[test]
fn random_kills_with_flock_and_short_lives() {
    random_kills(Kind::Flock, LIFE_S, 0, sized(12, 40), sized(40, 200));
}

#[test]
fn random_kills_with_flock() {
    random_kills(Kind::Flock, 3600, 500, 8, sized(25, 100));
}

#[test]
fn random_kills_with_leases() {
    random_kills(Kind::Lease, 3600, 500, 8, sized(25, 100));
}

#[test]
fn random_kills_with_redis() {
    random_kills(Kind::Redis, 3600, 500, 8, sized(25, 100));
}
