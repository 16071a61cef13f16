//! Sessions on a network file system that hangs, is slow, or fails: whoever has a valid token gets it all the same.

#[path = "support/fuse.rs"]
mod fuse;
mod support;

use std::fs;
use std::process::Command;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, mpsc};
use std::time::Duration;

use fuse::Disk;
use gcauth::{Config, Session, Status, Surroundings};
use gcauth_sandbox::Options;
use nix::errno::Errno;
use nix::sys::wait::waitpid;
use nix::unistd::ForkResult;
use serde_json::json;
use support::*;

/// `timeout_ms` of calls that are not to wait for so long: a test waits for a tenth of it.
const TIMEOUT_MS: u64 = 600_000;
const SOON: Duration = Duration::from_secs(60);
/// A token's life, and the begin of everybody's window.
const LIFE_S: f64 = 3000.0;
const IN_WINDOW_S: f64 = 2200.0;
/// How often a test tries again to see something happen.
const ROUNDS: u32 = 100;

fn world() -> World {
    World::with(Options { token_life_s: LIFE_S, ..Options::default() })
}

fn stored(world: &World, disk: &Disk, timeout_ms: u64) -> Session {
    world.session(json!({"store": disk.store(), "timeout_ms": timeout_ms}))
}

/// One of two sizes: the usual one, and that of a soak.
fn sized<T>(usual: T, soak: T) -> T {
    if std::env::var_os("GCAUTH_SOAK").is_some_and(|value| value == "1") { soak } else { usual }
}

/// The threads of this process that work with the store: their numbers.
fn helpers(of: &str) -> Vec<String> {
    let threads = fs::read_dir(format!("/proc/{of}/task")).unwrap().map(|thread| thread.unwrap().path());
    threads
        .filter(|thread| fs::read_to_string(thread.join("comm")).is_ok_and(|name| name == "gcauth-store\n"))
        .map(|thread| thread.file_name().unwrap().to_string_lossy().into_owned())
        .collect()
}

/// What `call` gives; it has to end before a call would that waits for the file system.
#[track_caller]
fn soon<T: Send>(what: &str, disk: &Disk, call: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let (sender, receiver) = mpsc::channel();
        scope.spawn(move || sender.send(call()));
        receiver.recv_timeout(SOON).unwrap_or_else(|_| {
            // Or the thread would never end.
            disk.resume();
            panic!("{what}: it waits for the file system")
        })
    })
}

/// Held by all tests, and by one that counts threads alone.
static THREADS: RwLock<()> = RwLock::new(());

fn with_others() -> RwLockReadGuard<'static, ()> {
    THREADS.read().unwrap_or_else(PoisonError::into_inner)
}

/// Operations of a renewal that nothing disturbs.
fn operations_of_a_renewal() -> Option<u64> {
    let (world, disk) = (world(), Disk::mount()?);
    let session = stored(&world, &disk, TIMEOUT_MS);
    login(&session).unwrap();
    world.advance(IN_WINDOW_S);
    let before = disk.operations();
    bearer(&session).unwrap();
    assert_eq!(world.counters().refreshes, 1);
    Some(disk.operations() - before)
}

#[test]
fn a_valid_token_is_handed_out_while_the_file_system_hangs() {
    let _with = with_others();
    let Some(operations) = operations_of_a_renewal() else { return };
    // The last ones give the lock back, when the caller may be gone.
    for hangs_after in (0..operations - 12).step_by(sized(11, 1)) {
        let what = format!("after {hangs_after} operations");
        let (world, disk) = (world(), Disk::mount().unwrap());
        let session = stored(&world, &disk, TIMEOUT_MS);
        login(&session).unwrap();
        let old = bearer(&session).unwrap();
        world.advance(IN_WINDOW_S);
        disk.hang_after(hangs_after);
        for call in 0..3 {
            soon(&format!("{what}, call {call}"), &disk, || bearer(&session)).unwrap();
        }
        assert!(disk.is_hanging(), "{what}");
        disk.resume();
        // What was begun ends, or is begun again after a pause.
        for _ in 0..ROUNDS {
            if bearer(&session).unwrap() != old {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
            world.advance((LIFE_S - IN_WINDOW_S) / ROUNDS as f64 / 2.0);
        }
        assert_ne!(bearer(&session).unwrap(), old, "{what}: nobody renews");
        let counters = world.counters();
        assert_eq!((counters.refreshes, counters.reuses, counters.refreshes_refused), (1, 0, 0), "{what}");
        let other = stored(&world, &disk, TIMEOUT_MS);
        assert_eq!(bearer(&other).unwrap(), bearer(&session).unwrap(), "{what}");
    }
}

#[test]
fn what_has_to_wait_ends_with_its_call() {
    let _with = with_others();
    let Some(disk) = Disk::mount() else { return };
    let world = world();
    let session = stored(&world, &disk, 1500);
    login(&session).unwrap();
    let fresh = stored(&world, &disk, 1500);
    world.advance(LIFE_S + 1.0);
    disk.hang_after(3);
    for outcome in [
        soon("bearer", &disk, || bearer(&session).map(drop)),
        soon("refresh", &disk, || session.refresh(None)),
        soon("logout", &disk, || session.logout()),
        soon("login", &disk, || login(&session)),
        soon("a getter", &disk, || fresh.current().map(drop)),
    ] {
        let error = outcome.unwrap_err();
        assert_eq!((error.status(), error.is_retryable()), (Status::Store, true), "{error}");
    }
    // None of them was sent.
    assert_eq!(world.counters().requests.refresh, 0);
    disk.resume();
    soon("afterwards", &disk, || login(&session)).unwrap();
    bearer(&session).unwrap();
}

#[test]
fn one_thread_hangs_and_nobody_waits_for_it() {
    let _alone = THREADS.write().unwrap_or_else(PoisonError::into_inner);
    let Some(disk) = Disk::mount() else { return };
    let world = world();
    let session = stored(&world, &disk, TIMEOUT_MS);
    login(&session).unwrap();
    let given = session.current().unwrap().token().unwrap().to_owned();
    let before = helpers("self").len();
    world.advance(IN_WINDOW_S);
    disk.hang_after(0);
    for _ in 0..20 {
        let other = world.session_of(json!({"store": disk.store(), "timeout_ms": TIMEOUT_MS}), Some(&given), None);
        soon("another handle", &disk, || bearer(&other)).unwrap();
        soon("the end of a handle", &disk, || drop(other));
        soon("the first handle", &disk, || bearer(&session)).unwrap();
        world.advance(1.0);
    }
    assert!(disk.is_hanging());
    let hanging = helpers("self");
    assert!(hanging.len() <= before + 1, "{hanging:?}");
    for thread in hanging {
        // All but SIGKILL, SIGSTOP and the two that the C library keeps for itself.
        let status = fs::read_to_string(format!("/proc/self/task/{thread}/status")).unwrap();
        let blocked = status.lines().find_map(|line| line.strip_prefix("SigBlk:\t")).unwrap();
        assert_eq!(u64::from_str_radix(blocked, 16).unwrap() | 0x1_8004_0100, u64::MAX, "{blocked}");
    }
    soon("the end of the first handle", &disk, || drop(session));
    disk.resume();
}

#[test]
fn errors_of_the_file_system_cost_no_valid_token_and_no_session() {
    let _with = with_others();
    let Some(operations) = operations_of_a_renewal() else { return };
    for errno in [Errno::EDQUOT, Errno::ENOSPC, Errno::EIO, Errno::ESTALE] {
        for (fails_after, times) in
            (0..operations).step_by(sized(23, 1)).flat_map(|fails_after| [(fails_after, 1), (fails_after, 1 << 20)])
        {
            let what = format!("{errno}, {times} times after {fails_after} operations");
            let (world, disk) = (world(), Disk::mount().unwrap());
            let session = stored(&world, &disk, 5000);
            login(&session).unwrap();
            world.advance(IN_WINDOW_S);
            disk.fail_after(fails_after, errno, times);
            bearer(&session).unwrap_or_else(|error| panic!("{what}: {error}"));
            disk.resume();
            // The rest after a failure is over.
            world.advance((LIFE_S - IN_WINDOW_S) / 2.0);
            bearer(&session).unwrap_or_else(|error| panic!("{what}: {error}"));
            let counters = world.counters();
            assert_eq!((counters.reuses, counters.refreshes_refused), (0, 0), "{what}");
            // A lease that could not be given back has to run out.
            assert!(counters.refreshes == 1 || times > 1 && counters.refreshes == 0, "{what}: {counters:?}");
            let other = stored(&world, &disk, 5000);
            assert_eq!(bearer(&other).unwrap(), bearer(&session).unwrap(), "{what}");
        }
    }
}

/// Names what the other process needs.
const WORK: &str = "GCAUTH_TEST_WORK";

/// Not a test: a process that meets a file system that hangs, and has a child.
#[test]
fn worker() {
    let Ok(work) = std::env::var(WORK) else { return };
    let parts: Vec<&str> = work.split('\n').collect();
    let (config, token, done) = (parts[0], parts[1], parts[2]);
    let config = Config::load(Some(config), &Surroundings::default()).unwrap();
    let session = Session::new(config, Some(token), None, None).unwrap();
    assert_eq!(bearer(&session).unwrap(), format!("Bearer {token}"));
    // SAFETY: the child does what this test is about, and ends.
    match unsafe { nix::unistd::fork() }.unwrap() {
        ForkResult::Child => {
            gcauth::fork::note_child();
            let is_good = bearer(&session).is_ok();
            drop(session);
            fs::write(done, if is_good { "good" } else { "bad" }).unwrap();
            std::process::exit(0);
        }
        ForkResult::Parent { child } => drop(waitpid(child, None)),
    }
}

#[test]
fn a_child_does_not_wait() {
    let _with = with_others();
    let Some(disk) = Disk::mount() else { return };
    let world = world();
    let session = stored(&world, &disk, TIMEOUT_MS);
    login(&session).unwrap();
    let token = session.current().unwrap().token().unwrap().to_owned();
    disk.hang_after(2);
    let config = json!({
        "env": "sandbox",
        "environments": {"sandbox": {"host": world.sandbox.http_url()}},
        "store": disk.store(),
        "timeout_ms": TIMEOUT_MS,
    });
    let done = std::env::temp_dir().join(format!("gcauth-child-{}", std::process::id()));
    let mut process = Command::new(std::env::current_exe().unwrap())
        .args(["worker", "--exact"])
        .env(WORK, format!("{config}\n{token}\n{}", done.display()))
        .spawn()
        .unwrap();
    soon("the child", &disk, || {
        while fs::read(&done).is_ok_and(|text| text.is_empty()) || !done.exists() {
            std::thread::sleep(Duration::from_millis(10));
        }
    });
    // The kernel ends no process before such a file system has answered.
    disk.resume();
    assert!(process.wait().unwrap().success());
    assert_eq!(fs::read_to_string(&done).unwrap(), "good");
    fs::remove_file(&done).unwrap();
}

#[test]
fn a_file_system_that_is_only_slow_sees_early_renewals() {
    let _with = with_others();
    let Some(disk) = Disk::mount() else { return };
    let world = world();
    let session = stored(&world, &disk, TIMEOUT_MS);
    login(&session).unwrap();
    let old = bearer(&session).unwrap();
    world.advance(IN_WINDOW_S);
    // As a server in the next building; a renewal asks it some hundred times.
    disk.remember(Duration::from_secs(3));
    disk.slow(1, 1);
    for _ in 0..ROUNDS {
        if bearer(&session).unwrap() != old {
            break;
        }
        world.advance((LIFE_S - IN_WINDOW_S) / f64::from(ROUNDS) / 2.0);
    }
    assert_ne!(bearer(&session).unwrap(), old, "nobody renews before the end");
}
