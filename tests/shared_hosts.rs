//! One login for hosts that are cut off from the network time and again: network namespaces with names of their own, a
//! Redis and a server beyond. Part of `make soak`; needs root.

#[path = "support/redis.rs"]
mod redis;
#[path = "support/shared.rs"]
mod shared;

use std::collections::BTreeSet;
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use gcauth_sandbox::{Effect, Fault, Moment, Target};
use serde_json::json;
use shared::*;

/// The window is a third of it, and longer than anybody is cut off.
const LIFE_S: u64 = 60;

/// Not a test: what the other processes run.
#[test]
fn worker() {
    work();
}

/// A network namespace that has nothing but a cable to here.
struct Host {
    name: String,
    number: u8,
}

impl Host {
    fn new(number: u8) -> Self {
        let host = Host { name: format!("gcauth-{}-{number}", std::process::id()), number };
        ip(&["netns", "add", &host.name]);
        let ([ours, theirs], [here, there]) = (host.cable(), host.addresses());
        ip(&["link", "add", &ours, "type", "veth", "peer", "name", &theirs, "netns", &host.name]);
        ip(&["addr", "add", &format!("{here}/24"), "dev", &ours]);
        ip(&["link", "set", &ours, "up"]);
        ip(&["-n", &host.name, "addr", "add", &format!("{there}/24"), "dev", &theirs]);
        ip(&["-n", &host.name, "link", "set", &theirs, "up"]);
        ip(&["-n", &host.name, "link", "set", "lo", "up"]);
        host
    }

    /// The names of its two ends.
    fn cable(&self) -> [String; 2] {
        let pid = std::process::id();
        [format!("gc{pid}-{}a", self.number), format!("gc{pid}-{}b", self.number)]
    }

    fn addresses(&self) -> [Ipv4Addr; 2] {
        [Ipv4Addr::new(10, 213, self.number, 1), Ipv4Addr::new(10, 213, self.number, 2)]
    }

    /// This program, there.
    fn command(&self) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net=/run/netns/{}", self.name))
            .args(["unshare", "--uts", "sh", "-c", "hostname \"$0\" && exec \"$@\"", &self.name])
            .arg(this_program());
        command
    }

    fn cut_off(&self) {
        ip(&["link", "set", &self.cable()[0], "down"]);
    }

    fn connect(&self) {
        ip(&["link", "set", &self.cable()[0], "up"]);
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // The cable goes with it.
        let _ = Command::new("ip").args(["netns", "del", &self.name]).status();
    }
}

#[track_caller]
fn ip(arguments: &[&str]) {
    assert!(Command::new("ip").args(arguments).status().expect("ip runs").success(), "ip {}", arguments.join(" "));
}

fn port_of(url: &str) -> u16 {
    let port = url.rsplit(':').next().and_then(|rest| rest.split('/').next()).expect("a port");
    port.parse().expect("a port")
}

/// For six lifetimes some host is cut off most of the time, in half of them in the middle of its renewal. Nobody is ever
/// without a valid token, the session survives, and all of them renew in turn.
#[test]
#[ignore = "takes minutes, and root; make soak runs it"]
fn hosts_that_are_cut_off() {
    let is_root = Command::new("unshare").args(["--net", "true"]).stderr(Stdio::null()).status();
    if !is_root.is_ok_and(|status| status.success()) {
        eprintln!("SKIPPED: this test needs to make network namespaces, which is not allowed here");
        return;
    }
    let more = json!({"timeout_ms": 2000});
    let Some(shared) = Shared::new(Kind::Redis, LIFE_S, Some(3600), more) else { return };
    let ports = [port_of(&shared.sandbox.http_url()), shared.place.redis.as_ref().unwrap().port()];
    let hosts: Vec<Host> = (1..=4).map(Host::new).collect();
    let mut helpers = Vec::new();
    for host in &hosts {
        let here = host.addresses()[0];
        for port in ports {
            forward(TcpListener::bind((here, port)).unwrap(), (Ipv4Addr::LOCALHOST, port).into());
        }
        let works = [json!({"do": "forward", "ports": ports, "to": here})];
        helpers.push(shared.worker_by(host.command(), shared.config(), &host.name, &works, &[]));
    }
    let end = Instant::now() + LONG;
    while shared.events().len() < hosts.len() {
        assert!(Instant::now() < end, "no way out");
        std::thread::sleep(Duration::from_millis(20));
    }

    drop(shared.logged_in());
    shared
        .sandbox
        .order(Fault::new(Target::Refresh, Effect::Latency { ms: 500, at: Moment::AfterProcessing }).forever());
    let round = [shared.round(50, 0)];
    let mut workers: Vec<(usize, Worker)> = (0..40)
        .map(|number| {
            let at = number % hosts.len();
            (at, shared.worker_by(hosts[at].command(), shared.config(), &hosts[at].name, &round, &[]))
        })
        .collect();
    wait_for_all(&shared, workers.len());
    let mut dice = Dice::new();
    let (mut cuts, mut in_a_renewal, mut grants) = (0, 0, 0);
    let began = Instant::now();
    let mut next = began;
    let mut cut_until: Vec<Option<Instant>> = hosts.iter().map(|_| None).collect();
    while began.elapsed() < Duration::from_secs(6 * (LIFE_S - LIFE_S / 3)) {
        let now = Instant::now();
        for (host, until) in hosts.iter().zip(&mut cut_until) {
            if until.is_some_and(|until| now >= until) {
                host.connect();
                *until = None;
            }
        }
        let (renewing, granted) = (renewing(&shared, &workers), shared.sandbox.counters().refreshes);
        let mut target = None;
        if renewing.is_some() && granted > grants {
            // In every other lifetime the first that renews; the window has room for no more than two leases that
            // nobody gives back.
            grants = granted;
            target = renewing.filter(|_| granted % 2 == 1);
            in_a_renewal += usize::from(target.is_some());
        } else if now >= next {
            // And anybody who does not.
            next = now + Duration::from_millis(500 + dice.below(8000) as u64);
            target = Some(dice.below(hosts.len())).filter(|at| renewing != Some(*at));
        }
        if let Some(at) = target.filter(|at| cut_until[*at].is_none()) {
            cuts += 1;
            hosts[at].cut_off();
            shared.note(json!({"what": "cut off", "group": hosts[at].name}));
            cut_until[at] = Some(now + Duration::from_millis(500 + dice.below(5000) as u64));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    hosts.iter().for_each(Host::connect);
    // What was held up is told now.
    wait_for_all(&shared, workers.len());
    fs::write(shared.stop_file(), "").unwrap();
    let ended_well = workers.iter_mut().filter_map(|(_, worker)| worker.join().then_some(())).count();
    let events = shared.events();
    keep_log(&shared, "hosts");
    let is_bad = |event: &&Event| match event.what() {
        "bearer" | "expired" => true,
        // Where it could not ask, that says nothing.
        "turned away" => event.number("code") != 0,
        _ => false,
    };
    let bad: Vec<&Event> = events.iter().filter(is_bad).collect();
    assert!(bad.is_empty(), "{} of {bad:#?}", bad.len());
    assert_eq!(ended_well, workers.len());
    let counters = shared.sandbox.counters();
    let renewers: BTreeSet<&str> =
        events.iter().filter(|event| event.what() == "renewed").map(|event| event.text("group")).collect();
    eprintln!(
        "{} processes on {} hosts, cut off {cuts} times, {in_a_renewal} of them in a renewal: {} refreshes, {} graces, by {} hosts",
        workers.len(),
        hosts.len(),
        counters.refreshes,
        counters.graces,
        renewers.len()
    );
    assert_eq!((counters.reuses, counters.refreshes_refused), (0, 0), "{counters:?}");
    assert!(counters.graces >= 1 && renewers.len() > 1, "{counters:?}");
    assert!((6..=8).contains(&counters.refreshes), "{counters:?}");
    let last = info(&shared.session(), "renewed_by_host");
    assert!(hosts.iter().any(|host| last.as_str() == Some(&host.name)), "{last}");
    drop(helpers);
}

/// The host that waits for the answer to a refresh now.
fn renewing(shared: &Shared, workers: &[(usize, Worker)]) -> Option<usize> {
    let pid = shared.renewing_pid()?;
    workers.iter().find(|(_, worker)| worker.pid() == pid).map(|(at, _)| *at)
}

/// Waits until all `workers` have the same generation.
fn wait_for_all(shared: &Shared, workers: usize) {
    let end = Instant::now() + LONG;
    loop {
        let mut newest = std::collections::BTreeMap::new();
        for event in shared.events().iter().filter(|event| ["renewed", "adopted"].contains(&event.what())) {
            newest.insert(event.pid(), event.number("generation"));
        }
        let generations: BTreeSet<u64> = newest.values().copied().collect();
        if newest.len() == workers && generations.len() == 1 {
            return;
        }
        assert!(Instant::now() < end, "{newest:?}");
        std::thread::sleep(Duration::from_millis(100));
    }
}
