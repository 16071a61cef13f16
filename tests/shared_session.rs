//! One login for many threads, processes and hosts: one renewal per lifetime, and a store that may fail.

#[path = "support/redis.rs"]
mod redis;
#[path = "support/shared.rs"]
mod shared;

use std::fs;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use gcauth::Status;
use gcauth_sandbox::{DropPoint, Effect, Fault, Moment, Target};
use serde_json::json;
use shared::*;

/// Not a test: what the other processes run.
#[test]
fn worker() {
    work();
}

fn of_life(kind: Kind, token_life_s: u64) -> Option<Shared> {
    Shared::new(kind, token_life_s, None, json!({}))
}

fn threads(kind: Kind) {
    let Some(shared) = of_life(kind, LIFE_S) else { return };
    let session = shared.logged_in();
    let old = bearer(&session).unwrap();
    let start = Barrier::new(64);
    // The new token is not due before the last thread has asked, however busy the machine is.
    shared.sandbox.set_token_life(3600.0);
    // Into the window, when the renewal takes its time: all of them come while it goes on.
    shared.sandbox.order(Fault::new(Target::Refresh, Effect::Latency { ms: 300, at: Moment::BeforeProcessing }));
    std::thread::sleep(Duration::from_millis(BEFORE_WINDOW_S * 1000 + 250));
    std::thread::scope(|scope| {
        for _ in 0..64 {
            scope.spawn(|| {
                start.wait();
                bearer(&session).unwrap();
            });
        }
    });
    let counters = shared.sandbox.counters();
    assert_eq!((counters.requests.refresh, counters.refreshes), (1, 1));
    assert_ne!(bearer(&session).unwrap(), old);
}

#[test]
fn threads_with_flock() {
    threads(Kind::Flock);
}

#[test]
fn threads_with_leases() {
    threads(Kind::Lease);
}

#[test]
fn threads_with_redis() {
    threads(Kind::Redis);
}

/// Processes in `groups`, over many lifetimes, with nothing but the store in common.
fn lifetimes(kind: Kind, groups: usize) {
    let Some(shared) = of_life(kind, LIFE_S) else { return };
    let (processes, lifetimes) = (sized(40, 200), sized(4, 20));
    let began = Instant::now();
    drop(shared.logged_in());
    let round = [shared.round(50, 0)];
    let mut workers: Vec<Worker> =
        (0..processes).map(|number| shared.worker(&(number % groups).to_string(), &round, &[])).collect();
    // A lifetime ends for those who renew in time when the window begins.
    std::thread::sleep((Duration::from_secs(lifetimes * BEFORE_WINDOW_S)).saturating_sub(began.elapsed()));
    fs::write(shared.stop_file(), "").unwrap();
    let ended_well = workers.iter_mut().filter_map(|worker| worker.join().then_some(())).count();
    let elapsed_s = began.elapsed().as_secs() + 1;
    let events = shared.events();
    let bad: Vec<&Event> =
        events.iter().filter(|event| ["bearer", "expired", "turned away"].contains(&event.what())).collect();
    assert!(bad.is_empty(), "{} of {bad:#?}", bad.len());
    assert_eq!(ended_well, processes);
    let ends: Vec<&Event> = events.iter().filter(|event| event.what() == "end").collect();
    assert_eq!(ends.len(), processes);
    let counters = shared.sandbox.counters();
    let made: u64 = ends.iter().map(|end| end.number("made")).sum();
    eprintln!(
        "{kind:?}: {processes} processes in {groups} groups, {elapsed_s} s: {} refreshes, {} calls",
        counters.refreshes,
        ends.iter().map(|end| end.number("calls")).sum::<u64>(),
    );
    assert_eq!((counters.reuses, counters.graces, counters.refreshes_refused), (0, 0, 0));
    assert_eq!(counters.requests.refresh, counters.refreshes);
    assert_eq!(made, counters.refreshes);
    // iat is rounded down to the second: two renewals are four whole seconds apart, or somebody renewed twice.
    assert!(counters.refreshes <= (elapsed_s + 1) / BEFORE_WINDOW_S, "{} in {elapsed_s} s", counters.refreshes);
    assert!(counters.refreshes >= lifetimes / 2);
    keep_log(&shared, &format!("lifetimes-{kind:?}"));
}

#[test]
fn lifetimes_with_flock() {
    lifetimes(Kind::Flock, 1);
}

#[test]
fn lifetimes_with_leases() {
    lifetimes(Kind::Lease, 1);
}

#[test]
fn lifetimes_with_redis() {
    lifetimes(Kind::Redis, 4);
}

/// 1,000 starts with the tokens of the first day.
fn starts(kind: Kind) {
    let Some(shared) = of_life(kind, 3600) else { return };
    let old = shared.logged_in();
    let token = old.current().unwrap().token().unwrap().to_owned();
    let refresh_token = old.current().unwrap().refresh_token().unwrap().to_owned();
    old.refresh(None).unwrap();
    let generation = info(&old, "generation").as_u64();
    let before = shared.sandbox.counters();
    let mut config = shared.config();
    config["given_token"] = token.into();
    config["given_refresh_token"] = refresh_token.into();
    let processes = sized(40, 200);
    let handles = json!({"do": "handles", "count": 1000 / processes - 1});
    let mut workers: Vec<Worker> = (0..processes)
        .map(|_| shared.worker_with(config.clone(), "0", &[json!({"do": "bearer"}), handles.clone()], &[]))
        .collect();
    assert!(workers.iter_mut().all(Worker::join));
    let events = shared.events();
    assert_eq!(events.len(), 1000);
    assert!(events.iter().all(|event| event.is_ok() && Some(event.number("generation")) == generation));
    assert_eq!(shared.sandbox.counters(), before);
    old.refresh(None).unwrap();
}

#[test]
fn starts_with_flock() {
    starts(Kind::Flock);
}

#[test]
fn starts_with_leases() {
    starts(Kind::Lease);
}

#[test]
fn starts_with_redis() {
    starts(Kind::Redis);
}

/// Many start at once with the same given tokens on an empty store: one pair, spent once.
fn first_starts(kind: Kind) {
    let Some(shared) = of_life(kind, 3600) else { return };
    let elsewhere = session(&json!({"environments": shared.config()["environments"], "env": "sandbox"}), None, None);
    let elsewhere = elsewhere.unwrap();
    login(&elsewhere).unwrap();
    let mut config = shared.config();
    config["given_token"] = elsewhere.current().unwrap().token().unwrap().into();
    config["given_refresh_token"] = elsewhere.current().unwrap().refresh_token().unwrap().into();
    let works = [json!({"do": "bearer"}), json!({"do": "refresh"}), json!({"do": "bearer"})];
    let mut workers: Vec<Worker> = (0..12).map(|_| shared.worker_with(config.clone(), "0", &works, &[])).collect();
    assert!(workers.iter_mut().all(Worker::join));
    let events = shared.events();
    assert!(events.iter().all(Event::is_ok), "{events:#?}");
    let counters = shared.sandbox.counters();
    assert_eq!((counters.reuses, counters.refreshes_refused), (0, 0));
}

#[test]
fn first_starts_with_flock() {
    first_starts(Kind::Flock);
}

#[test]
fn first_starts_with_leases() {
    first_starts(Kind::Lease);
}

#[test]
fn first_starts_with_redis() {
    first_starts(Kind::Redis);
}

/// Many processes learn at the same time that their token is no good any more.
fn rejected(kind: Kind) {
    let Some(shared) = of_life(kind, 3600) else { return };
    drop(shared.logged_in());
    let go = shared.place.dir.join("go");
    let works = [json!({"do": "bearer"}), json!({"do": "reject", "file": go})];
    let mut workers: Vec<Worker> = (0..50).map(|_| shared.worker("0", &works, &[])).collect();
    let end = Instant::now() + LONG;
    while shared.events().iter().filter(|event| event.what() == "ready").count() < 50 {
        assert!(Instant::now() < end && !workers.iter_mut().any(Worker::has_ended), "{:#?}", shared.events());
        std::thread::sleep(Duration::from_millis(20));
    }
    shared.sandbox.revoke();
    fs::write(&go, "").unwrap();
    let ended_well = workers.iter_mut().filter_map(|worker| worker.join().then_some(())).count();
    let failed: Vec<Event> =
        shared.events().into_iter().filter(|event| event.what() != "ready" && !event.is_ok()).collect();
    assert!(failed.is_empty(), "{failed:#?}");
    assert_eq!(ended_well, 50);
    let counters = shared.sandbox.counters();
    assert_eq!((counters.requests.refresh, counters.refreshes, counters.reuses), (1, 1, 0));
}

#[test]
fn rejected_with_flock() {
    rejected(Kind::Flock);
}

#[test]
fn rejected_with_leases() {
    rejected(Kind::Lease);
}

#[test]
fn rejected_with_redis() {
    rejected(Kind::Redis);
}

/// A refresh token that the server refuses is sent once, whoever asks.
fn refused(kind: Kind) {
    let Some(shared) = of_life(kind, 3600) else { return };
    let first = shared.logged_in();
    let others: Vec<_> = (0..5).map(|_| shared.session()).collect();
    for session in others.iter().chain([&first]) {
        session.report_rejected(&bearer(session).unwrap()).unwrap();
    }
    shared.sandbox.end_sessions();
    for session in others.iter().chain([&first]) {
        let error = bearer(session).unwrap_err();
        assert_eq!((error.status(), error.http_status()), (Status::Unauthorized, 401), "{error}");
    }
    assert_eq!(shared.sandbox.counters().requests.refresh, 1);
    // Who wants it all the same gets it.
    assert_eq!(first.refresh(None).unwrap_err().status(), Status::Unauthorized);
    assert_eq!(shared.sandbox.counters().requests.refresh, 2);
    login(&first).unwrap();
    for session in &others {
        let end = Instant::now() + LONG;
        while bearer(session).ok() != bearer(&first).ok() {
            assert!(Instant::now() < end, "{:?}", bearer(session));
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    assert_eq!(shared.sandbox.counters().requests.refresh, 2);
}

#[test]
fn refused_with_flock() {
    refused(Kind::Flock);
}

#[test]
fn refused_with_leases() {
    refused(Kind::Lease);
}

#[test]
fn refused_with_redis() {
    refused(Kind::Redis);
}

/// The bearer, once the handle has looked into the store again: it does not do so all the time.
#[track_caller]
fn bearer_soon(session: &gcauth::Session) -> String {
    let end = Instant::now() + LONG;
    loop {
        match bearer(session) {
            Err(error) if error.status() == Status::NoToken && Instant::now() < end => {
                std::thread::sleep(Duration::from_millis(20));
            }
            outcome => return outcome.expect("a bearer"),
        }
    }
}

/// Login and logout are everybody's.
fn login_and_logout(kind: Kind) {
    // Only the last token before the logout is short-lived, so that nobody renews what is compared.
    let Some(shared) = of_life(kind, 3600) else { return };
    let (one, other) = (shared.session(), shared.session());
    assert_eq!(bearer(&other).unwrap_err().status(), Status::NoToken);
    login(&one).unwrap();
    assert_eq!(bearer_soon(&other), bearer(&one).unwrap());
    // Another login, by another process.
    assert!(shared.worker("0", &[json!({"do": "login"})], &[]).join());
    one.refresh(None).unwrap();
    shared.sandbox.set_token_life(LIFE_S as f64);
    other.refresh(None).unwrap();
    shared.sandbox.set_token_life(3600.0);
    assert!(shared.worker("0", &[json!({"do": "refresh"}), json!({"do": "logout"})], &[]).join());
    assert!(shared.events().iter().all(Event::is_ok), "{:#?}", shared.events());
    // Whoever looks into the store finds nothing there; nobody brings the session back.
    assert_eq!(one.refresh(None).unwrap_err().status(), Status::NoRefreshToken);
    std::thread::sleep(Duration::from_millis(LIFE_S * 1000));
    assert_eq!(bearer(&other).unwrap_err().status(), Status::NoToken);
    assert_eq!(bearer(&shared.session()).unwrap_err().status(), Status::NoToken);
    let counters = shared.sandbox.counters();
    assert_eq!((counters.reuses, counters.refreshes_refused), (0, 0));
    login(&other).unwrap();
    assert_eq!(bearer(&shared.session()).unwrap(), bearer(&other).unwrap());
    assert_eq!(bearer_soon(&one), bearer(&other).unwrap());
}

#[test]
fn login_and_logout_with_flock() {
    login_and_logout(Kind::Flock);
}

#[test]
fn login_and_logout_with_leases() {
    login_and_logout(Kind::Lease);
}

#[test]
fn login_and_logout_with_redis() {
    login_and_logout(Kind::Redis);
}

/// A token is never sent to a host that it was not made for.
fn another_host(kind: Kind) {
    let (Some(shared), Some(elsewhere)) = (of_life(kind, 3600), of_life(kind, 3600)) else { return };
    drop(shared.logged_in());
    let mut config = shared.config();
    config["environments"]["sandbox"]["host"] = elsewhere.sandbox.http_url().into();
    let stranger = session(&config, None, None).unwrap();
    assert_eq!(bearer(&stranger).unwrap_err().status(), Status::Config);
    assert_eq!(stranger.refresh(None).unwrap_err().status(), Status::Config);
    assert_eq!(login(&stranger).unwrap_err().status(), Status::Config);
    let mut config = shared.config();
    config["env"] = "other".into();
    config["environments"]["other"] = config["environments"]["sandbox"].clone();
    let stranger = session(&config, None, None).unwrap();
    assert_eq!(bearer(&stranger).unwrap_err().status(), Status::Config);
    assert_eq!(elsewhere.sandbox.counters().requests.refresh, 0);
    bearer(&shared.session()).unwrap();
}

#[test]
fn another_host_with_flock() {
    another_host(Kind::Flock);
}

#[test]
fn another_host_with_leases() {
    another_host(Kind::Lease);
}

#[test]
fn another_host_with_redis() {
    another_host(Kind::Redis);
}

/// Where the current record is.
fn record_file(shared: &Shared) -> std::path::PathBuf {
    let files = shared.place.files();
    let name = match shared.place.kind {
        Kind::Flock => "session",
        _ => files.iter().filter(|name| name.starts_with("session.g")).max_by_key(|name| name.len()).unwrap(),
    };
    shared.place.dir.join("store").join(name)
}

/// What a later version wrote is neither used nor overwritten.
fn later_format(kind: Kind) {
    let Some(shared) = of_life(kind, 3600) else { return };
    drop(shared.logged_in());
    let read = || match &shared.place.redis {
        Some(redis) => redis.cli(&["--raw", "HGETALL", "{test}"]),
        None => fs::read_to_string(record_file(&shared)).unwrap(),
    };
    let before = read();
    let later = before.replace("\"format\":1", "\"format\":2");
    assert_ne!(later, before);
    match &shared.place.redis {
        Some(redis) => {
            let field = before.lines().zip(before.lines().skip(1)).find(|(_, text)| text.contains("\"format\":1"));
            let (name, text) = field.unwrap();
            redis.cli(&["HSET", "{test}", name, &text.replace("\"format\":1", "\"format\":2")]);
        }
        None => fs::write(record_file(&shared), &later).unwrap(),
    }
    assert_eq!(read(), later);
    let old = shared.session();
    assert_eq!(bearer(&old).unwrap_err().status(), Status::Store);
    assert_eq!(old.refresh(None).unwrap_err().status(), Status::Store);
    assert_eq!(login(&old).unwrap_err().status(), Status::Store);
    assert_eq!(old.logout().unwrap_err().status(), Status::Store);
    assert_eq!(read(), later);
}

#[test]
fn later_format_with_flock() {
    later_format(Kind::Flock);
}

#[test]
fn later_format_with_leases() {
    later_format(Kind::Lease);
}

#[test]
fn later_format_with_redis() {
    later_format(Kind::Redis);
}

/// A store that is down while the token is valid costs nothing; one that is down when it is needed is an error, and
/// nothing is sent.
fn down(kind: Kind) {
    let Some(mut shared) = of_life(kind, LIFE_S) else { return };
    let session = shared.logged_in();
    let began = Instant::now();
    bearer(&session).unwrap();
    shared.place.take_away();
    while began.elapsed() < Duration::from_millis(LIFE_S * 1000 - 1200) {
        let is_good = bearer(&session).is_ok();
        // On a busy machine the end may have come in between.
        assert!(is_good || began.elapsed() >= Duration::from_millis(LIFE_S * 1000 - 1000));
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(session.refresh(None).unwrap_err().status(), Status::Store);
    std::thread::sleep(Duration::from_millis(LIFE_S * 1000 + 500).saturating_sub(began.elapsed()));
    assert_eq!(bearer(&session).unwrap_err().status(), Status::Store);
    assert_eq!(shared.sandbox.counters().requests.refresh, 0);
    shared.place.bring_back();
    refresh_patiently(&session).unwrap();
    bearer(&session).unwrap();
    assert_eq!(shared.sandbox.counters().refreshes_refused, 0);
}

#[test]
fn down_with_flock() {
    down(Kind::Flock);
}

#[test]
fn down_with_leases() {
    down(Kind::Lease);
}

#[test]
fn down_with_redis() {
    down(Kind::Redis);
}

/// The store goes away between the answer and the write. `is_saved_by_drop` has the handle's end save it, otherwise the
/// next call.
fn unsaved(kind: Kind, is_saved_by_drop: bool) {
    let Some(mut shared) = Shared::new(kind, 3600, None, json!({"timeout_ms": 8_000, "retries": 0})) else { return };
    let session = shared.logged_in();
    let old = bearer(&session).unwrap();
    shared.sandbox.order(Fault::new(Target::Refresh, Effect::Hold { at: Moment::AfterProcessing }));
    std::thread::scope(|scope| {
        let renewing = scope.spawn(|| session.refresh(None));
        assert!(shared.sandbox.wait_held(1, LONG));
        shared.place.take_away();
        shared.sandbox.release();
        assert_eq!(renewing.join().unwrap().unwrap_err().status(), Status::Store);
    });
    // The handle has the new pair, and hands it out.
    let new = bearer(&session).unwrap();
    assert_ne!(new, old);
    assert_eq!(me(&shared.sandbox.http_url(), &new).unwrap(), 200);
    assert_eq!(session.refresh(None).unwrap_err().status(), Status::Store);
    shared.place.bring_back();
    if is_saved_by_drop {
        drop(session);
    } else {
        assert_eq!(bearer(&session).unwrap(), new);
    }
    let other = shared.session();
    assert_eq!(bearer(&other).unwrap(), new);
    refresh_patiently(&other).unwrap();
    let counters = shared.sandbox.counters();
    assert_eq!((counters.refreshes, counters.reuses, counters.refreshes_refused), (2, 0, 0));
}

#[test]
fn unsaved_with_flock() {
    unsaved(Kind::Flock, false);
    unsaved(Kind::Flock, true);
}

#[test]
fn unsaved_with_leases() {
    unsaved(Kind::Lease, false);
    unsaved(Kind::Lease, true);
}

#[test]
fn unsaved_with_redis() {
    unsaved(Kind::Redis, false);
    unsaved(Kind::Redis, true);
}

/// A renewal whose answer is lost, and the lock before its second try, by `meanwhile`.
fn lost_twice(shared: &Shared, session: &gcauth::Session, meanwhile: impl FnOnce()) -> Result<(), gcauth::Error> {
    let lost = Effect::Drop { at: DropPoint::AfterProcessing, reset: true };
    shared.sandbox.order(Fault::new(Target::Refresh, Effect::Hold { at: Moment::AfterProcessing }).and(lost));
    std::thread::scope(|scope| {
        let renewing = scope.spawn(|| session.refresh(None));
        assert!(shared.sandbox.wait_held(1, LONG));
        meanwhile();
        shared.sandbox.release();
        renewing.join().unwrap()
    })
}

/// A second try that the last look stops leaves the note of the first: whoever comes next knows that the refresh token
/// may be spent.
#[test]
fn lock_lost_before_a_second_try() {
    let Some(shared) = of_life(Kind::Redis, 3600) else { return };
    let session = shared.logged_in();
    let redis = shared.place.redis.as_ref().unwrap();
    let taken = || drop(redis.cli(&["SET", "{test}:lock", "somebody else", "PX", "1500"]));
    let error = lost_twice(&shared, &session, taken).unwrap_err();
    assert_eq!(error.status(), Status::Unauthorized, "{error}");
    let interrupted = format!("a renewal by process {} ", std::process::id());
    assert!(error.message().contains(&interrupted), "{error}");
    let counters = shared.sandbox.counters();
    assert_eq!((counters.requests.refresh, counters.reuses), (2, 1));
}

/// Somebody logs in before the second try: that is as good as an answer.
#[test]
fn login_before_a_second_try() {
    let Some(shared) = of_life(Kind::Redis, 3600) else { return };
    let (session, other) = (shared.logged_in(), shared.session());
    let redis = shared.place.redis.as_ref().unwrap();
    let logs_in = || {
        redis.cli(&["DEL", "{test}:lock"]);
        login(&other).unwrap();
    };
    lost_twice(&shared, &session, logs_in).unwrap();
    assert_eq!(bearer(&session).unwrap(), bearer(&other).unwrap());
    let counters = shared.sandbox.counters();
    assert_eq!((counters.requests.refresh, counters.reuses), (1, 0));
    refresh_patiently(&session).unwrap();
}

/// A full file system: before the request nothing is sent, after it the space was reserved.
fn full(kind: Kind) {
    let Some(shared) = Shared::new(kind, 3600, None, json!({"timeout_ms": 20_000, "retries": 0})) else { return };
    let dir = shared.place.dir.join("store");
    let Some(_mounted) = SmallDisk::mount(&dir) else {
        eprintln!("SKIPPED: this test needs to mount a small file system, which is not allowed here");
        return;
    };
    let session = shared.logged_in();
    let old = bearer(&session).unwrap();
    let ballast = dir.join("ballast");
    fill(&ballast);
    assert_eq!(session.refresh(None).unwrap_err().status(), Status::Store);
    assert_eq!(bearer(&session).unwrap(), old);
    assert_eq!(shared.sandbox.counters().requests.refresh, 0);
    fs::remove_file(&ballast).unwrap();
    shared.sandbox.order(Fault::new(Target::Refresh, Effect::Hold { at: Moment::AfterProcessing }));
    std::thread::scope(|scope| {
        let renewing = scope.spawn(|| refresh_patiently(&session));
        assert!(shared.sandbox.wait_held(1, LONG));
        fill(&ballast);
        shared.sandbox.release();
        renewing.join().unwrap().unwrap();
    });
    let new = bearer(&session).unwrap();
    assert_ne!(new, old);
    assert_eq!(bearer(&shared.session()).unwrap(), new);
    fs::remove_file(&ballast).unwrap();
    refresh_patiently(&shared.session()).unwrap();
    assert_eq!(shared.sandbox.counters().reuses, 0);
}

struct SmallDisk(std::path::PathBuf);

impl SmallDisk {
    fn mount(dir: &std::path::Path) -> Option<Self> {
        let mount = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=1m,mode=0700", "gcauth-test"])
            .arg(dir)
            .stderr(std::process::Stdio::null())
            .status();
        mount.is_ok_and(|status| status.success()).then(|| SmallDisk(dir.to_owned()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg(&self.0).status();
    }
}

fn fill(path: &std::path::Path) {
    use std::io::Write;
    let mut file = fs::File::create(path).unwrap();
    let mut size = 1 << 16;
    while size > 0 {
        if file.write(&vec![0; size]).is_err() {
            size /= 2;
        }
    }
}

#[test]
fn full_with_flock() {
    full(Kind::Flock);
}

#[test]
fn full_with_leases() {
    full(Kind::Lease);
}

/// Waits until all `workers` have a newer record than `generation`, and says which they all have. What comes right after
/// it can't meet a token at its end, however busy the machine is, nor a process that alone knows the newest.
fn wait_for_renewal(shared: &Shared, workers: usize, generation: u64) -> u64 {
    let end = Instant::now() + LONG;
    while Instant::now() < end {
        let mut newest = std::collections::BTreeMap::new();
        for event in shared.events().iter().filter(|event| ["renewed", "adopted"].contains(&event.what())) {
            newest.insert(event.text("group").to_owned(), event.number("generation"));
        }
        match newest.values().min() {
            Some(all) if newest.len() == workers && *all > generation => return *all,
            _ => std::thread::sleep(Duration::from_millis(100)),
        }
    }
    panic!("not everybody has a newer record than {generation}");
}

/// Redis restarts while a population works: with its data nobody notices, without it somebody puts it back.
fn redis_restarts(with_data: bool) {
    let Some(mut shared) = Shared::new(Kind::Redis, 12, None, json!({})) else { return };
    drop(shared.logged_in());
    let round = [shared.round(50, 0)];
    let mut workers: Vec<Worker> = (0..12).map(|number| shared.worker(&number.to_string(), &round, &[])).collect();
    let mut generation = 1;
    for _ in 0..sized(2, 10) {
        generation = wait_for_renewal(&shared, workers.len(), generation);
        let redis = shared.place.redis.as_mut().unwrap();
        redis.stop();
        if !with_data {
            let _ = fs::remove_dir_all(redis.dir().join("appendonlydir"));
        }
        std::thread::sleep(Duration::from_secs(1));
        redis.start_again();
    }
    wait_for_renewal(&shared, workers.len(), generation);
    fs::write(shared.stop_file(), "").unwrap();
    let ended_well = workers.iter_mut().filter_map(|worker| worker.join().then_some(())).count();
    let events = shared.events();
    let bad: Vec<&Event> =
        events.iter().filter(|event| ["bearer", "expired", "turned away"].contains(&event.what())).collect();
    assert!(bad.is_empty(), "{bad:#?}");
    assert_eq!(ended_well, 12);
    let counters = shared.sandbox.counters();
    assert_eq!((counters.reuses, counters.refreshes_refused), (0, 0), "{counters:?}");
    assert!(counters.refreshes >= 1);
    refresh_patiently(&shared.session()).unwrap();
}

#[test]
fn redis_restarts_with_its_data() {
    redis_restarts(true);
}

#[test]
fn redis_restarts_empty() {
    redis_restarts(false);
}

/// A Redis that takes connections and says nothing.
#[test]
fn redis_is_slow() {
    let Some(shared) = Shared::new(Kind::Redis, 12, None, json!({"timeout_ms": 3000})) else { return };
    drop(shared.logged_in());
    let round = [shared.round(50, 0)];
    let mut workers: Vec<Worker> = (0..12).map(|number| shared.worker(&number.to_string(), &round, &[])).collect();
    let redis = shared.place.redis.as_ref().unwrap();
    let mut generation = 1;
    for _ in 0..sized(2, 12) {
        generation = wait_for_renewal(&shared, workers.len(), generation);
        redis.suspend();
        std::thread::sleep(Duration::from_millis(1500));
        redis.resume();
    }
    wait_for_renewal(&shared, workers.len(), generation);
    fs::write(shared.stop_file(), "").unwrap();
    let ended_well = workers.iter_mut().filter_map(|worker| worker.join().then_some(())).count();
    let events = shared.events();
    let bad: Vec<&Event> =
        events.iter().filter(|event| ["bearer", "expired", "turned away"].contains(&event.what())).collect();
    assert!(bad.is_empty(), "{bad:#?}");
    assert_eq!(ended_well, 12);
    let counters = shared.sandbox.counters();
    assert_eq!((counters.reuses, counters.refreshes_refused), (0, 0), "{counters:?}");
    refresh_patiently(&shared.session()).unwrap();
}
