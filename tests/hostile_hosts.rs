//! Machines that are in the way: disks that are full, stores that are not what they should be, clocks that are set.

#[path = "support/peers.rs"]
mod peers;
mod support;

use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use gcauth::{Session, Status};
use gcauth_sandbox::{Effect, Fault, Moment, Target};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use peers::Directory;
use serde_json::json;
use support::*;

const LOCKS: [&str; 2] = ["flock", "lease"];

fn stored(world: &World, path: &Path, lock: &str) -> Session {
    world.session(json!({"store": format!("file:{}", path.display()), "store_lock": lock, "timeout_ms": 20_000}))
}

fn exported(session: &Session) -> String {
    session.to_json().unwrap().as_str().to_owned()
}

/// The file with the record.
fn record(store: &Path, lock: &str) -> PathBuf {
    if lock == "flock" {
        return store.to_owned();
    }
    let number = |path: &PathBuf| path.to_str()?.rsplit_once(".g")?.1.parse::<u64>().ok();
    let entries = fs::read_dir(store.parent().unwrap()).unwrap();
    entries.map(|entry| entry.unwrap().path()).filter(|path| number(path).is_some()).max_by_key(number).unwrap()
}

/// A login and a renewal fail without anything being sent, and the token is handed out as before.
#[track_caller]
fn nothing_goes(world: &World, session: &Session, what: &str) {
    let (before, counters) = (exported(session), world.counters());
    for (call, outcome) in [("login", login(session)), ("refresh", session.refresh(None))] {
        let error = outcome.expect_err(&format!("{what}: {call}"));
        assert_eq!(error.status(), Status::Store, "{what}: {call}: {error}");
        assert!(error.message().contains('/') && error.message().len() < 512, "{error}");
    }
    assert_eq!(exported(session), before, "{what}");
    bearer(session).unwrap_or_else(|error| panic!("{what}: {error}"));
    assert_eq!(world.counters().requests, counters.requests, "{what}");
}

#[test]
fn a_record_that_is_not_what_it_should_be() {
    for lock in LOCKS {
        let world = World::new();
        let directory = Directory::new();
        let path = directory.file("session");
        let session = stored(&world, &path, lock);
        login(&session).unwrap();
        let good = fs::read(record(&path, lock)).unwrap();
        let text = String::from_utf8(good.clone()).unwrap();
        let later = text.replace("\"format\":1", "\"format\":2");
        assert_ne!(later, text);
        let mode = |file: &Path, mode| fs::set_permissions(file, Permissions::from_mode(mode)).unwrap();
        type Spoil<'a> = Box<dyn Fn(&Path) + 'a>;
        let write = |bytes: Vec<u8>| -> Spoil { Box::new(move |file: &Path| fs::write(file, &bytes).unwrap()) };
        let mut faults: Vec<(&str, Spoil)> = vec![
            ("world-readable", Box::new(|file| mode(file, 0o644))),
            ("world-writable", Box::new(|file| mode(file, 0o602))),
            ("truncated", write(good[..good.len() / 2].to_vec())),
            ("empty", write(Vec::new())),
            ("from the future", write(later.into_bytes())),
            ("not UTF-8", write(vec![0xff; 100])),
            ("huge", write(vec![b' '; 17 << 20])),
            (
                "a symbolic link",
                Box::new(|file| {
                    fs::rename(file, directory.file("-elsewhere")).unwrap();
                    symlink(directory.file("-elsewhere"), file).unwrap();
                }),
            ),
            (
                "a directory",
                Box::new(|file| {
                    fs::remove_file(file).unwrap();
                    fs::create_dir(file).unwrap();
                }),
            ),
        ];
        if nix::unistd::geteuid().is_root() {
            faults.push(("somebody else's", Box::new(|file| chown(file, Some(12345), None).unwrap())));
        }
        for (what, spoil) in faults {
            let what = format!("{lock}: {what}");
            let file = record(&path, lock);
            spoil(&file);
            let seen = fs::symlink_metadata(&file).unwrap();
            nothing_goes(&world, &session, &what);
            let fresh = stored(&world, &path, lock);
            assert_status(bearer(&fresh), Status::Store);
            assert_status(fresh.refresh(None), Status::Store);
            assert_status(fresh.logout(), Status::Store);
            // Left as it is, for somebody to look at.
            let after = fs::symlink_metadata(&file).unwrap();
            assert_eq!((seen.mode(), seen.len(), seen.uid()), (after.mode(), after.len(), after.uid()), "{what}");
            if file.is_dir() && !file.is_symlink() {
                fs::remove_dir(&file).unwrap()
            } else {
                fs::remove_file(&file).unwrap()
            }
            fs::write(&file, &good).unwrap();
            mode(&file, 0o600);
            // A store that failed rests for a while.
            world.advance(31.0);
            assert_eq!(bearer(&fresh).unwrap(), bearer(&session).unwrap(), "{what}");
        }
        session.refresh(None).unwrap();
        assert_eq!((world.counters().reuses, world.counters().refreshes_refused), (0, 0));
    }
}

/// Does `work` in a file system of its own, in memory. Where that is not allowed, nothing.
fn in_memory(options: &str, work: impl FnOnce(&Path) + std::panic::UnwindSafe) {
    let directory = Directory::new();
    let mount = Command::new("mount").args(["-t", "tmpfs", "-o", options, "none"]).arg(directory.path()).output();
    if !mount.is_ok_and(|output| output.status.success()) {
        eprintln!("not tested: nothing can be mounted here");
        return;
    }
    let outcome = std::panic::catch_unwind(|| work(directory.path()));
    assert!(Command::new("umount").arg(directory.path()).status().unwrap().success());
    outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
}

#[test]
fn a_disk_that_is_full() {
    for lock in LOCKS {
        in_memory("size=256k,mode=700", |directory| {
            let world = World::new();
            let path = directory.join("session");
            let session = stored(&world, &path, lock);
            login(&session).unwrap();
            let mut filler = File::create(directory.join("filler")).unwrap();
            while filler.write_all(&[1; 4096]).is_ok() {}
            nothing_goes(&world, &session, lock);
            let error = assert_status(session.refresh(None), Status::Store);
            assert!(error.is_retryable() && error.message().contains("make room"), "{error}");
            drop(filler);
            fs::remove_file(directory.join("filler")).unwrap();
            session.refresh(None).unwrap();
            assert_eq!((world.counters().refreshes, world.counters().reuses), (1, 0));
        });
    }
}

#[test]
fn a_disk_that_can_only_be_read() {
    for lock in LOCKS {
        in_memory("mode=700", |directory| {
            let world = World::new();
            let path = directory.join("session");
            let session = stored(&world, &path, lock);
            login(&session).unwrap();
            let remount = |how| {
                assert!(Command::new("mount").args(["-o", how]).arg(directory).status().unwrap().success());
            };
            remount("remount,ro");
            nothing_goes(&world, &session, lock);
            // Who comes new can still use the token.
            assert_eq!(bearer(&stored(&world, &path, lock)).unwrap(), bearer(&session).unwrap());
            remount("remount,rw");
            session.refresh(None).unwrap();
            assert_eq!((world.counters().refreshes, world.counters().reuses), (1, 0));
        });
    }
}

/// A clock that is set in the middle of a session: at worst one renewal that need not have been, never one per call, no
/// token that has run out, and the session goes on.
#[test]
fn a_clock_that_is_set() {
    for hours in [-48, -5, -1, 1, 5, 48] {
        let world = World::new();
        let session = world.logged_in(json!({}));
        bearer(&session).unwrap();
        world.clock.step_wall_ms(hours * 3_600_000);
        // Ten hours of use, a call every ten minutes; tokens live for one.
        for _ in 0..60 {
            world.advance(600.0);
            let bearer = bearer(&session).unwrap_or_else(|error| panic!("{hours} h: {error}"));
            assert_eq!(me(&world, &bearer), 200, "{hours} h");
        }
        let counters = world.counters();
        // About 13 windows begin in that time.
        assert!((9..=17).contains(&counters.refreshes), "{hours} h: {} renewals", counters.refreshes);
        assert_eq!((counters.requests.refresh, counters.reuses), (counters.refreshes, 0), "{hours} h");
    }
}

/// Set back by less than the token's age: that is noticed before the token runs out, too.
#[test]
fn a_clock_that_is_set_back_a_little() {
    for back_s in [1, 20, 59, 61, 300, 2000] {
        let world = World::new();
        let session = world.logged_in(json!({}));
        world.advance(2400.0);
        let old = bearer(&session).unwrap();
        world.clock.step_wall_ms(-1000 * back_s);
        assert_eq!(bearer(&session).unwrap(), old, "{back_s} s");
        // Half an hour of use, a call every ten seconds.
        for _ in 0..180 {
            world.advance(10.0);
            let bearer = bearer(&session).unwrap_or_else(|error| panic!("{back_s} s: {error}"));
            assert_eq!(me(&world, &bearer), 200, "{back_s} s");
        }
        assert_eq!((world.counters().requests.refresh, world.counters().reuses), (1, 0), "{back_s} s");
    }
}

/// The status of `GET me` with this token.
fn me(world: &World, bearer: &str) -> u16 {
    let url = world.sandbox.http_url();
    let host = url.trim_start_matches("http://").split('/').next().unwrap().to_owned();
    let mut socket = std::net::TcpStream::connect(&host).unwrap();
    write!(socket, "GET /api/v1/me HTTP/1.1\r\nHost: {host}\r\nAuthorization: {bearer}\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    std::io::Read::read_to_string(&mut socket, &mut answer).unwrap();
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

/// Names what the other process does.
const WORK: &str = "GCAUTH_TEST_WORK";

/// Not a test: a process whose host has done something to it.
#[test]
fn worker() {
    let Ok(work) = std::env::var(WORK) else { return };
    let (what, config) = work.split_once(' ').unwrap();
    let config = gcauth::Config::load(Some(config), &gcauth::Surroundings::default()).unwrap();
    let session = Session::new(config, None, None, None).unwrap();
    if what == "limited" {
        let (_, hard) = getrlimit(Resource::RLIMIT_FSIZE).unwrap();
        setrlimit(Resource::RLIMIT_FSIZE, 1000, hard).unwrap();
        let error = login(&session).unwrap_err();
        assert_eq!(error.status(), Status::Store, "{error}");
        return;
    }
    for fd in 0..3 {
        nix::unistd::close(fd).unwrap();
    }
    // There is no way left to say what went wrong.
    std::process::exit(if login(&session).is_ok() { 0 } else { 3 });
}

/// A process of this program that does `what` with a session in `directory`.
fn other_process(world: &World, directory: &Directory, lock: &str, what: &str) -> Command {
    let config = json!({
        "env": "sandbox",
        "environments": {"sandbox": {"host": world.sandbox.http_url()}},
        "store": format!("file:{}", directory.file("session").display()),
        "store_lock": lock,
    });
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["worker", "--exact", "--nocapture"]).env(WORK, format!("{what} {config}"));
    command
}

#[test]
fn the_numbers_of_closed_standard_streams_are_not_used() {
    for lock in LOCKS {
        let (world, directory) = (World::new(), Directory::new());
        world.order(Fault::new(Target::Login, Effect::Hold { at: Moment::BeforeProcessing }));
        let mut process = other_process(&world, &directory, lock, "closed").spawn().unwrap();
        world.wait_held();
        // The connection is open, and the lock's file.
        let open: Vec<String> = fs::read_dir(format!("/proc/{}/fd", process.id()))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        world.sandbox.release();
        assert!(process.wait().unwrap().success(), "{lock}");
        assert!(
            !open.is_empty() && !["0", "1", "2"].iter().any(|fd| open.iter().any(|it| it == fd)),
            "{lock}: {open:?}"
        );
    }
}

#[test]
fn a_limit_on_files_is_an_error_and_not_the_end_of_the_host() {
    for lock in LOCKS {
        let (world, directory) = (World::new(), Directory::new());
        // What it says may go to a file that is longer than the limit already.
        let mut process = other_process(&world, &directory, lock, "limited");
        let status = process.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
        assert!(status.success(), "{lock}: {status}");
        assert_eq!(world.counters().requests.login, 0, "{lock}");
    }
}
