//! What many processes cost the server and the store in one token lifetime.
//! `cargo test --release --lib figures -- --ignored --nocapture`
#![forbid(unsafe_code)]

use std::sync::OnceLock;

use super::runs::{calm, session};
use super::{LockKind, Plan, World};

/// Simulates `processes` that call once a second, each from its own moment, for three hours.
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
    let given = OnceLock::new();
    let end = World::run(plan, false, |world, slot| {
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
            let pause = session.fresh_for_ms().max(1000).div_euclid(1000) * 1000;
            world.pause(slot, pause, None);
        }
    });
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
