//! What many processes cost the server and the store in one token lifetime.
//! `cargo test --release --lib figures -- --ignored --nocapture`
#![forbid(unsafe_code)]

use std::sync::OnceLock;

use super::runs::{calm, session};
use super::{Inner, LockKind, Plan, World};

/// Simulates processes that call once a second, each from its own moment.
fn simulate(plan: Plan, every_call_counts: bool) -> Inner {
    let given = OnceLock::new();
    World::run(plan, false, |world, slot| {
        let given = given.get_or_init(|| world.lock().server.login(0));
        let session = session(world, slot, given);
        loop {
            {
                let inner = world.lock();
                if inner.now_ms >= inner.end_ms {
                    return;
                }
            }
            let outcome = session.bearer().and_then(|current| current.token().map(str::to_owned));
            world.lock().check_outcome(slot, &outcome);
            // Calls that read the token in hand cost nothing; time passes to the next one that may look.
            let idle_ms = if every_call_counts { 0 } else { session.fresh_for_ms() };
            let pause = idle_ms.max(1000).div_euclid(1000) * 1000;
            world.pause(slot, pause, None);
        }
    })
}

/// What an outage of the server costs the store: from before the first window until the tokens have run out for long.
fn outage(hosts: usize) {
    let life_ms = 3_600_000;
    let away_ms = (1_800_000, life_ms + 900_000);
    let plan = Plan {
        hosts,
        per_host: 1,
        lock: LockKind::Lease,
        kind: "redis",
        life_s: life_ms / 1000,
        calls_ms: (1000, 1001),
        lifetimes: 1,
        server_away_ms: away_ms,
        store_ms: (1, 2),
        ..calm(1)
    };
    let end = simulate(plan, false);
    let show = |what: &str, from_ms: i64, to_ms: i64| {
        let seconds = || end.store.seconds.range(from_ms / 1000..to_ms / 1000).map(|(_, count)| *count);
        let mean = seconds().sum::<u64>() as f64 / ((to_ms - from_ms) / 1000) as f64;
        println!("| {hosts:>6} | {what:<22} | {mean:>8.1} | {:>6} |", seconds().max().unwrap_or(0));
    };
    show("first minute of window", life_ms - 900_000, life_ms - 840_000);
    show("rest of the window", life_ms - 840_000, life_ms - 5_000);
    show("tokens run out", life_ms - 5_000, life_ms + 60_000);
    show("after that", life_ms + 60_000, away_ms.1);
}

/// How often a token is used that a server has revoked at a refresh by somebody else.
fn rejected(kind: &'static str, life_s: i64, per_host: usize, revokes_old_tokens: bool) {
    // From one to the next a process makes more calls the longer the tokens live.
    let lifetimes = if life_s < 600 { 20 } else { 2 };
    let plan = Plan {
        hosts: 1,
        per_host,
        lock: LockKind::Lease,
        kind,
        life_s,
        calls_ms: (1000, 1001),
        lifetimes,
        revokes_old_tokens,
        store_ms: (1, 2),
        ..calm(1)
    };
    let end = simulate(plan, true);
    let uses: u64 = end.slots.iter().map(|slot| slot.rejected_uses).sum();
    let renewals = end.server.granted as f64;
    let looks = end.store.counts.loads as f64 / renewals;
    println!(
        "| {per_host:>4} on {kind:>5}, {life_s:>5} s | {revokes_old_tokens:>5} | {:>6.1} rejected uses | {looks:>7.1} looks | per renewal",
        uses as f64 / renewals
    );
}

#[test]
#[ignore = "figures for the documentation"]
fn figures_of_an_outage() {
    println!("operations of the store per second while nobody reaches the auth server");
    for hosts in [100, 1000] {
        outage(hosts);
    }
}

#[test]
#[ignore = "figures for the documentation"]
fn figures_of_rejected_uses() {
    for (kind, life_s, processes) in [("file", 90, 30), ("redis", 90, 30), ("redis", 3600, 100)] {
        for revokes_old_tokens in [false, true] {
            rejected(kind, life_s, processes, revokes_old_tokens);
        }
    }
}

/// What a lifetime without faults costs.
fn measure(hosts: usize, per_host: usize, kind: &'static str, store_ms: (i64, i64)) {
    let lock = LockKind::Lease;
    let (life_s, lifetimes) = (3600, 1);
    let plan = Plan {
        hosts,
        per_host,
        lock,
        kind,
        life_s,
        renew_before_s: 900,
        calls_ms: (1000, 1001),
        lifetimes,
        store_ms,
        ..calm(1)
    };
    let end = simulate(plan, false);
    assert_eq!(end.violations, Vec::<String>::new());
    let renewals = end.server.granted;
    let first_ms = 1_000_000;
    let ops: u64 = end.store.seconds.range(first_ms / 1000..).map(|(_, count)| *count).sum();
    let peak = end.store.seconds.range(first_ms / 1000..).map(|(_, count)| *count).max().unwrap_or(0);
    let start: u64 = end.store.seconds.range(..first_ms / 1000).map(|(_, count)| *count).sum();
    let counts = end.store.counts;
    let per = |count: u64| count as f64 / renewals as f64;
    println!(
        "| {:>6} x {:<4} | {kind:>5} {:>2} ms | {:>8.2} | {:>9.0} | {:>6} | {:>8.0} | {:>8.0} | {:>8.0} | {:>5.1} | {start:>6} |",
        hosts,
        per_host,
        store_ms.1 * 2,
        per(end.server.requests.len() as u64),
        ops as f64 / renewals as f64,
        peak,
        per(counts.locks),
        per(counts.loads),
        per(counts.releases),
        per(counts.notes + counts.commits + counts.looks),
    );
}

#[test]
#[ignore = "figures for the README"]
fn figures() {
    println!("per token lifetime of 3600 s, renew_before_s 900, each process calls once a second");
    println!(
        "| hosts x proc  | store       | requests | store ops | peak/s | locks    | loads    | releases | rest  | start  |"
    );
    for (hosts, per_host) in [(100, 1), (1000, 1), (3000, 1), (10_000, 1)] {
        measure(hosts, per_host, "redis", (1, 2));
    }
    measure(1, 200, "file", (1, 2));
}
