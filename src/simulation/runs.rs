//! The runs: without faults, with all of them, and with procedures that are broken on purpose.
//!
//! `GCAUTH_SIM_SEEDS=N` says how many seeds, `GCAUTH_SIM_SEED=S` runs one and prints what happened.
#![forbid(unsafe_code)]

use std::sync::Arc;

use super::server::{Grace, Pair};
use super::store::{Mutation, SharedStore};
use super::wire::Wire;
use super::{Faults, HostClock, Inner, LockKind, Numbers, Plan, World};
use crate::author::Author;
use crate::clock::Clock;
use crate::config::{Config, Surroundings};
use crate::error::Status;
use crate::platform::Platform;
use crate::record::{Notes, Record, Tokens, Version};
use crate::schedule::Origin;
use crate::session::Session;
use crate::wrong_clocks::WrongClocks;

const SEEDS: u64 = 200;

/// A session of a simulated process, started with the tokens that all were started with.
pub(super) fn session(world: &Arc<World>, slot: usize, given: &Pair) -> Session {
    let (host, renew_before_s, revokes) = {
        let inner = world.lock();
        (inner.slots[slot].host, inner.plan.renew_before_s, inner.plan.revokes_old_tokens)
    };
    let config = format!(
        r#"{{"env":"simulated","environments":{{"simulated":{{"host":"https://host"}}}},"renew_before_s":{renew_before_s},"revokes_old_tokens":{revokes}}}"#
    );
    let config = Config::load(Some(&config), &Surroundings::default()).unwrap();
    let host_clock = HostClock { world: world.clone(), slot, host };
    let clock = Clock::Simulated(host_clock.clone());
    let (env, endpoint) = config.environment(None).map(|(env, host)| (env.to_owned(), host.clone())).unwrap();
    let wire = Box::new(Wire { world: world.clone(), slot });
    let platform = Platform::with_transport(&config, &endpoint, clock.clone(), wire).unwrap();
    let store = Arc::new(SharedStore { world: world.clone(), slot, clock: host_clock, blind: Arc::default() });
    let record = Record {
        version: Version { session: crate::random::number(), generation: 0 },
        tokens: Tokens::new(Some(&given.token), Some(&given.refresh_token), None, None).unwrap(),
        origin: Origin::Given,
        received: clock.now(),
        author: Author::here(),
        notes: Notes::default(),
        clocks: WrongClocks::default(),
    };
    Session::assemble(config, env, endpoint.as_str().to_owned(), platform, store, record, clock)
}

/// Calls until the end of time.
fn life(world: &Arc<World>, slot: usize, given: &Pair) {
    let session = session(world, slot, given);
    loop {
        let (pause, wants_login) = {
            let mut inner = world.lock();
            if inner.now_ms >= inner.end_ms {
                return;
            }
            let (low, high) = inner.plan.calls_ms;
            let pause = inner.numbers.between(low, high);
            let wants_login = inner.plan.logins && inner.strikes(0.002);
            (pause, wants_login)
        };
        if wants_login {
            let began_ms = world.lock().now_ms;
            let outcome = session.login("user", "password", "organization", None);
            let is_kept = outcome.is_ok() || outcome.is_err_and(|error| error.status() == Status::Store);
            let token = session.current().ok().and_then(|current| current.token().map(str::to_owned).ok());
            if let Some(token) = token.filter(|_| is_kept) {
                world.lock().note_login(slot, began_ms, &token);
            }
        }
        let outcome = session.bearer().and_then(|current| current.token().map(str::to_owned));
        {
            let mut inner = world.lock();
            inner.check_outcome(slot, &outcome);
            if session.has_unsaved() {
                inner.note_kept(slot);
            }
        }
        world.pause(slot, pause, None);
    }
}

fn run(plan: Plan, is_traced: bool) -> Inner {
    let given = std::sync::OnceLock::new();
    World::run(plan, is_traced, |world, slot| {
        let given = given.get_or_init(|| world.lock().server.login(0));
        life(world, slot, given);
    })
}

/// A plan without faults.
pub(super) fn calm(seed: u64) -> Plan {
    let mut numbers = Numbers(seed ^ 0x5eed);
    let life_s = [60, 600, 3600][numbers.below(3) as usize];
    let slowest = (life_s * 1000 / 60).max(1000);
    Plan {
        seed,
        hosts: numbers.between(1, 5) as usize,
        per_host: numbers.between(1, 4) as usize,
        lock: if numbers.chance(0.6) { LockKind::Lease } else { LockKind::Flock },
        kind: if numbers.chance(0.5) { "redis" } else { "file" },
        life_s,
        renew_before_s: 900,
        calls_ms: (slowest / 10, slowest),
        lifetimes: 6,
        grace: Grace::None,
        faults: Faults::default(),
        wrong_clocks: false,
        logins: false,
        server_away_ms: (0, 0),
        revokes_old_tokens: false,
        has_dates: seed.is_multiple_of(2),
        mutation: None,
        store_ms: (1, 40),
        script: None,
    }
}

/// A plan in which each kind of fault may be there or not.
fn faulty(seed: u64) -> Plan {
    let mut plan = calm(seed);
    let mut numbers = Numbers(seed ^ 0xfa17);
    let mut some = |probability: f64| if numbers.chance(0.35) { probability } else { 0.0 };
    plan.faults = Faults {
        crash: some(0.02),
        stop: some(0.03),
        unreachable: some(0.2),
        lost_request: some(0.1),
        lost_reply: some(0.1),
        reset: some(0.1),
        slow_reply: some(0.2),
        unavailable: some(0.2),
        refused: some(0.2),
        bad_gateway: some(0.1),
        store_error: some(0.05),
        store_error_after: some(0.03),
        delay: 0.0,
        store_outage: some(0.2),
        clock_step: some(0.03),
        store_emptied: 0.0,
    };
    plan.wrong_clocks = numbers.chance(0.2);
    plan.logins = numbers.chance(0.3);
    // For longer than a lease, a rest after a failure, and the longest time without a call.
    let ms = 65_000 + 60_000 + plan.calls_ms.1 + 20_000;
    plan.grace = match numbers.below(3) {
        0 => Grace::None,
        1 => Grace::Same { ms },
        _ => Grace::Fresh { ms },
    };
    plan
}

fn seeds() -> Vec<u64> {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse().ok());
    match number("GCAUTH_SIM_SEED") {
        Some(seed) => vec![seed],
        None => (0..number("GCAUTH_SIM_SEEDS").unwrap_or(SEEDS)).collect(),
    }
}

/// Runs `plan`, and once more to say what happened if something is wrong.
fn check(plan: &Plan, also: impl Fn(&mut Inner)) -> Inner {
    let mut end = run(plan.clone(), false);
    also(&mut end);
    if !end.violations.is_empty() {
        let again = run(plan.clone(), true);
        let trace = again.trace.unwrap_or_default();
        let first = trace.iter().position(|line| line.contains("VIOLATION")).unwrap_or(trace.len());
        let shown = &trace[first.saturating_sub(200)..trace.len().min(first + 50)];
        panic!("GCAUTH_SIM_SEED={}\n{plan:#?}\n{}\n{}", plan.seed, shown.join("\n"), end.violations.join("\n"));
    }
    end
}

#[test]
fn without_faults_there_is_one_refresh_per_lifetime() {
    for seed in seeds() {
        check(&calm(seed), |end| {
            let (granted, all) = (end.server.granted, end.server.requests.len() as u64);
            let longest = (end.plan.life_s - end.plan.renew_before_s.min(end.plan.life_s / 3)) * 1000;
            let most = (end.end_ms / longest).unsigned_abs() + 1;
            // Everybody may call too rarely to renew early; the bound is from above.
            if granted != all || granted > most || granted + 1 != end.store.highest {
                end.violation(format!("{granted} refreshes of {all} requests in a time for {most}"));
            }
            let hurried = end.server.grants_ms.windows(2).any(|pair| pair[1] - pair[0] < longest - 2000);
            if hurried {
                end.violation("two refreshes in one lifetime".to_owned());
            }
            if end.slots.iter().any(|slot| !matches!(slot.last_outcome, Some(Ok(())))) {
                end.violation("somebody has no token".to_owned());
            }
        });
    }
}

#[test]
fn whatever_goes_wrong_the_rules_hold() {
    let mut sums = [0u64; 5];
    for seed in seeds() {
        let end = check(&faulty(seed), |_| {});
        let ended = end.server.families.values().filter(|family| family.has_ended).count() as u64;
        let parts = [1, end.server.granted, end.server.graces, end.server.reuses, ended];
        sums.iter_mut().zip(parts).for_each(|(sum, part)| *sum += part);
    }
    let [runs, granted, graces, reuses, ended] = sums;
    println!("{runs} runs: {granted} renewals, {graces} in grace, {reuses} reuses, {ended} sessions ended");
}

#[test]
fn an_emptied_store_is_best_effort() {
    for seed in seeds() {
        let mut plan = faulty(seed);
        plan.faults.store_emptied = 0.05;
        check(&plan, |_| {});
    }
}

/// A plan with few processes and calls, in which every fault is possible and none is left to chance.
fn scripted(lock: LockKind, grace: Grace) -> Plan {
    Plan {
        hosts: 2,
        per_host: 1,
        lock,
        kind: "redis",
        life_s: 60,
        calls_ms: (4_000, 6_000),
        lifetimes: 1,
        grace,
        faults: Faults {
            crash: 1.0,
            stop: 1.0,
            unreachable: 1.0,
            lost_request: 1.0,
            lost_reply: 1.0,
            reset: 1.0,
            slow_reply: 1.0,
            unavailable: 1.0,
            refused: 1.0,
            bad_gateway: 1.0,
            store_error: 1.0,
            store_error_after: 1.0,
            delay: 1.0,
            ..Faults::default()
        },
        script: Some(Vec::new()),
        ..calm(1)
    }
}

/// Every run with `faults` faults: at each opportunity, and then at each that is left after it.
fn explore(plan: &Plan, script: &[usize], faults: usize) -> usize {
    let opportunities = check(&Plan { script: Some(script.to_vec()), ..plan.clone() }, |_| {}).opportunities;
    if faults == 0 {
        return 1;
    }
    let first = script.last().map_or(0, |last| last + 1);
    let runs = (first..opportunities).map(|next| explore(plan, &[script, &[next]].concat(), faults - 1));
    1 + runs.sum::<usize>()
}

fn explore_all(faults: usize) {
    // For longer than a lease, a rest after a failure, and the longest time without a call.
    let ms = 65_000 + 60_000 + 6_000 + 20_000;
    for lock in [LockKind::Lease, LockKind::Flock] {
        for grace in [Grace::None, Grace::Same { ms }, Grace::Fresh { ms }] {
            let runs = explore(&scripted(lock, grace), &[], faults);
            println!("{lock:?}, {grace:?}: {runs} runs");
            assert!(runs > 100);
        }
    }
}

#[test]
fn every_run_with_one_fault_keeps_the_rules() {
    explore_all(1);
}

/// Tens of thousands of runs.
#[test]
#[ignore = "takes minutes; make soak runs it"]
fn every_run_with_two_faults_keeps_the_rules() {
    explore_all(2);
}

#[test]
fn a_seed_gives_the_same_run_again() {
    for seed in [1, 7, 42] {
        let [first, second] = [0, 1].map(|_| run(faulty(seed), true).trace.unwrap());
        assert_eq!(first, second);
    }
}

#[test]
fn broken_procedures_are_found_out() {
    for mutation in [
        Mutation::NoLock,
        Mutation::NoLastLook,
        Mutation::BlindCommit,
        Mutation::ErrorsAreHeldLocks,
        Mutation::NoNotes,
        Mutation::LostCommit,
    ] {
        let found = (0..400).find_map(|seed| {
            let mut sound = faulty(seed);
            if mutation == Mutation::ErrorsAreHeldLocks {
                sound.faults.store_error = 0.3;
            }
            let end = run(Plan { mutation: Some(mutation), ..sound.clone() }, false);
            // Only what the mutation did counts.
            let is_new = !end.violations.is_empty() && run(sound, false).violations.is_empty();
            end.violations.first().filter(|_| is_new).map(|what| format!("seed {seed}: {what}"))
        });
        println!("{mutation:?}: {found:?}");
        assert!(found.is_some(), "{mutation:?} went unnoticed");
    }
}
