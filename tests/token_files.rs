//! Tokens that are good for at least some time, tokens in files for other people's tools, and the user's own session.

mod support;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use gcauth::token_file::{self, Format};
use gcauth::{Config, Session, Status, Surroundings, UserSession};
use gcauth_sandbox::{Effect, Fault, Moment, Options, Target};
use serde_json::{Value, json};
use support::*;

fn world_of_life(token_life_s: f64) -> World {
    World::with(Options { token_life_s, ..Options::default() })
}

fn valid_for(session: &Session, seconds: u64) -> gcauth::Result<String> {
    session.bearer_valid_for(Duration::from_secs(seconds)).map(|current| current.bearer().unwrap().to_owned())
}

/// A directory that goes when this is dropped.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("gcauth-files-{}-{count}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Directory(path)
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

// Good for at least some time.

#[test]
fn a_token_that_lasts_is_not_renewed() {
    let world = world_of_life(3600.0);
    let session = world.logged_in(json!({}));
    world.advance(100.0);
    let before = bearer(&session).unwrap();
    // The server rounds its times to seconds.
    for seconds in [0, 60, 3498] {
        assert_eq!(valid_for(&session, seconds).unwrap(), before);
    }
    assert_eq!(world.refresh_requests(), 0);
}

#[test]
fn a_token_that_does_not_last_is_renewed_once() {
    let world = world_of_life(3600.0);
    let session = world.logged_in(json!({}));
    world.advance(100.0);
    let before = bearer(&session).unwrap();
    let current = session.bearer_valid_for(Duration::from_secs(3501)).unwrap();
    assert_ne!(current.bearer().unwrap(), before);
    assert!(session.seconds_left(&current).unwrap() >= 3599);
    assert_eq!(valid_for(&session, 3501).unwrap(), current.bearer().unwrap());
    assert_eq!(world.refresh_requests(), 1);
}

#[test]
fn where_tokens_do_not_live_that_long_the_newest_will_do() {
    let world = world_of_life(600.0);
    let session = world.logged_in(json!({}));
    // It has only just come.
    let first = valid_for(&session, 3600).unwrap();
    assert_eq!(world.refresh_requests(), 0);
    world.advance(100.0);
    let second = valid_for(&session, 3600).unwrap();
    assert_ne!(first, second);
    for _ in 0..5 {
        assert_eq!(valid_for(&session, u64::MAX).unwrap(), second);
    }
    assert_eq!(world.refresh_requests(), 1);
}

#[test]
fn all_who_ask_at_once_get_one_renewal() {
    let world = world_of_life(3600.0);
    let session = world.logged_in(json!({}));
    world.advance(1000.0);
    world.hold_refresh();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| valid_for(&session, 3000).unwrap())).collect();
        world.wait_held();
        world.sandbox.release();
        let bearers: Vec<String> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        assert!(bearers.iter().all(|bearer| *bearer == bearers[0]));
    });
    assert_eq!(world.refresh_requests(), 1);
}

#[test]
fn a_failed_renewal_gives_the_valid_token_while_a_minute_is_left() {
    let world = world_of_life(3600.0);
    let session = world.logged_in(json!({}));
    let before = bearer(&session).unwrap();
    world.fail_refresh(500);
    // Ahead of the window, in it, and near its end: one request each, and then the server is left alone for a while.
    for (seconds, requests) in [(1000.0, 1), (2000.0, 2), (535.0, 3)] {
        world.advance(seconds);
        for _ in 0..3 {
            assert_eq!(valid_for(&session, 3000).unwrap(), before);
            assert_eq!(world.refresh_requests(), requests);
        }
    }
    world.advance(10.0);
    let error = assert_status(valid_for(&session, 3000), Status::Server);
    assert_eq!(error.http_status(), 500);
    assert_eq!(bearer(&session).unwrap(), before, "without the demand it is good to its end");
}

#[test]
fn threads_that_wait_for_a_renewal_that_fails_do_not_each_try() {
    let world = world_of_life(3600.0);
    let session = world.logged_in(json!({}));
    world.advance(3580.0);
    world.order(Fault::status(Target::Refresh, 500).and(Effect::Hold { at: Moment::BeforeProcessing }));
    world.fail_refresh(500);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| valid_for(&session, 600))).collect();
        world.wait_held();
        world.sandbox.release();
        for thread in threads {
            assert_status(thread.join().unwrap(), Status::Server);
        }
    });
    assert_eq!(world.refresh_requests(), 1);
}

#[test]
fn without_a_refresh_token_a_minute_is_asked_for() {
    let world = world_of_life(3600.0);
    let token = token(&world.logged_in(json!({})));
    let session = world.session_of(json!({}), Some(&token), None);
    world.advance(3535.0);
    assert!(valid_for(&session, 600).is_ok());
    world.advance(10.0);
    assert!(valid_for(&session, 50).is_ok());
    assert_status(valid_for(&session, 60), Status::NoRefreshToken);
    world.advance(60.0);
    assert_status(valid_for(&session, 0), Status::TokenExpired);
}

#[test]
fn a_token_without_expiry_lasts_for_ever() {
    let world = World::new();
    let session = world.session_of(json!({}), Some("opaque"), Some("refresh"));
    let current = session.bearer_valid_for(Duration::from_secs(u64::MAX)).unwrap();
    assert_eq!((current.bearer().unwrap(), session.seconds_left(&current)), ("Bearer opaque", None));
    assert_eq!(world.refresh_requests(), 0);
}

#[test]
fn handles_on_one_store_share_the_renewal_and_the_rest_after_a_failure() {
    let (world, directory) = (world_of_life(3600.0), Directory::new());
    let store = json!({"store": format!("file:{}", directory.0.join("session").display()), "timeout_ms": 5000});
    let (one, two) = (world.logged_in(store.clone()), world.session(store));
    bearer(&two).unwrap();
    world.advance(1000.0);
    assert_eq!(valid_for(&one, 3000).unwrap(), valid_for(&two, 3000).unwrap());
    assert_eq!(world.refresh_requests(), 1);
    world.fail_refresh(503);
    world.advance(1000.0);
    assert_eq!(valid_for(&one, 3000).unwrap(), valid_for(&two, 3000).unwrap());
    assert_eq!(world.refresh_requests(), 2, "what one was told binds the other");
}

// Files.

fn written(session: &Session, path: &Path, format: Format) -> String {
    token_file::write(session, path, format).unwrap();
    fs::read_to_string(path).unwrap()
}

#[test]
fn each_format_is_what_its_readers_expect() {
    let (world, directory) = (world_of_life(3600.0), Directory::new());
    let session = world.logged_in(json!({}));
    let (token, path) = (token(&session), directory.0.join("file"));
    assert_eq!(
        written(&session, &path, Format::Htslib),
        format!("{{\"access_token\":\"{token}\",\"token_type\":\"Bearer\",\"expires_in\":360}}")
    );
    assert_eq!(written(&session, &path, Format::Wlcg), token);
    assert_eq!(written(&session, &path, Format::Curl), format!("Authorization: Bearer {token}\n"));
    assert_eq!(directory.names(), ["file"]);
}

#[test]
fn htslib_is_told_a_time_by_which_the_file_is_new() {
    let (world, directory) = (world_of_life(3600.0), Directory::new());
    let session = world.logged_in(json!({"renew_before_s": 0}));
    let path = directory.0.join("file");
    // The server rounds its times to seconds.
    let expires_in = || {
        let json: Value = serde_json::from_str(&written(&session, &path, Format::Htslib)).unwrap();
        json["expires_in"].as_i64().unwrap()
    };
    assert_eq!(expires_in(), 360);
    world.advance(3600.0 - 300.0);
    assert!((239..=240).contains(&expires_in()));
    world.advance(200.0);
    assert_eq!(expires_in(), 61);
}

#[test]
fn a_file_is_the_users_alone_and_replaced_in_one_go() {
    let (world, directory) = (World::new(), Directory::new());
    let session = world.logged_in(json!({}));
    let path = directory.0.join("file");
    fs::write(&path, "old").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let (mut old, inode) = (fs::File::open(&path).unwrap(), fs::metadata(&path).unwrap().ino());
    token_file::write(&session, &path, Format::Wlcg).unwrap();
    let new = fs::metadata(&path).unwrap();
    assert_eq!((new.mode() & 0o7777, new.ino() == inode), (0o600, false));
    // Who has the old one open reads it to its end.
    let mut text = String::new();
    std::io::Read::read_to_string(&mut old, &mut text).unwrap();
    assert_eq!(text, "old");
}

#[test]
fn a_token_that_is_due_is_renewed_for_the_file() {
    let (world, directory) = (world_of_life(3600.0), Directory::new());
    let session = world.logged_in(json!({}));
    world.advance(2800.0);
    let before = token(&session);
    assert_ne!(written(&session, &directory.0.join("file"), Format::Wlcg), before);
    assert_eq!(world.refresh_requests(), 1);
}

#[test]
fn what_can_not_be_written_leaves_everything_as_it_was() {
    let (world, directory) = (World::new(), Directory::new());
    let session = world.logged_in(json!({}));
    for (path, status) in [
        (directory.0.join("none/file"), Status::Store),
        (directory.0.clone(), Status::InvalidArgument),
        (PathBuf::from("/dev/null"), Status::InvalidArgument),
        (PathBuf::from(".."), Status::InvalidArgument),
        (PathBuf::from("/"), Status::InvalidArgument),
        (directory.0.join("n".repeat(300)), Status::Store),
    ] {
        let error = assert_status(token_file::write(&session, &path, Format::Curl).map(drop), status);
        assert!(!error.message().contains("Bearer"), "{error}");
    }
    assert!(directory.names().is_empty());
    let path = directory.0.join("file");
    let nobody = world.session(json!({}));
    assert_status(token_file::write(&nobody, &path, Format::Curl).map(drop), Status::NoToken);
    assert!(directory.names().is_empty());
    // A long name of its own is no obstacle.
    assert!(token_file::write(&session, &directory.0.join("n".repeat(255)), Format::Curl).is_ok());
}

#[test]
fn a_link_is_replaced_and_what_it_leads_to_is_left_alone() {
    let (world, directory) = (World::new(), Directory::new());
    let session = world.logged_in(json!({}));
    let (target, path) = (directory.0.join("target"), directory.0.join("link"));
    fs::write(&target, "precious").unwrap();
    symlink(&target, &path).unwrap();
    token_file::write(&session, &path, Format::Wlcg).unwrap();
    assert_eq!(fs::read_to_string(&target).unwrap(), "precious");
    assert!(fs::symlink_metadata(&path).unwrap().is_file());
}

// The user's own session.

fn user_config(world: &World, variables: &[(&str, &str)]) -> gcauth::Result<Config> {
    let host = json!({"sandbox": {"host": world.sandbox.http_url()}});
    let config = json!({"env": "sandbox", "environments": host, "store": "user"});
    let mut surroundings = Surroundings::default();
    surroundings.user_session = UserSession::from_variables(|name| {
        variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into())
    });
    Config::load(Some(&config.to_string()), &surroundings)
}

#[test]
fn the_users_session_is_made_by_the_first_login_and_found_by_all() {
    let (world, directory) = (World::new(), Directory::new());
    let home = directory.0.to_str().unwrap();
    let open =
        |variables: &[(&str, &str)]| Session::new(user_config(&world, variables).unwrap(), None, None, None).unwrap();
    let one = open(&[("HOME", home)]);
    assert_status(bearer(&one), Status::NoToken);
    assert!(directory.names().is_empty(), "reading makes nothing");
    login(&one).unwrap();
    for (made, mode) in [
        (".local", 0o700),
        (".local/state", 0o700),
        (".local/state/gcauth", 0o700),
        (".local/state/gcauth/default", 0o700),
        (".local/state/gcauth/default/session", 0o600),
    ] {
        assert_eq!(fs::metadata(directory.0.join(made)).unwrap().mode() & 0o7777, mode, "{made}");
    }
    let state = directory.0.join(".local/state");
    let state = state.to_str().unwrap();
    for same in [&[("HOME", home)][..], &[("XDG_STATE_HOME", state)], &[("HOME", home), ("GCAUTH_SESSION", "default")]]
    {
        assert_eq!(bearer(&open(same)).unwrap(), bearer(&one).unwrap());
    }
    let other = open(&[("HOME", home), ("GCAUTH_SESSION", "other")]);
    assert_status(bearer(&other), Status::NoToken);
    login(&other).unwrap();
    assert_eq!(fs::metadata(directory.0.join(".local/state/gcauth/other")).unwrap().mode() & 0o7777, 0o700);
    one.logout().unwrap();
    assert_status(bearer(&open(&[("HOME", home)])), Status::NoToken);
    assert!(bearer(&other).is_ok());
}

#[test]
fn given_tokens_seed_the_users_session() {
    let (world, directory) = (World::new(), Directory::new());
    let variables = [("HOME", directory.0.to_str().unwrap())];
    let given = token(&world.logged_in(json!({})));
    let session = Session::new(user_config(&world, &variables).unwrap(), Some(&given), None, None).unwrap();
    assert!(bearer(&session).is_ok());
    assert!(directory.0.join(".local/state/gcauth/default/session").exists());
}

#[test]
fn a_name_that_leads_elsewhere_is_a_config_error() {
    let world = World::new();
    for name in ["..", "../other", "a/b", "/tmp"] {
        let config = user_config(&world, &[("HOME", "/nowhere"), ("GCAUTH_SESSION", name)]);
        assert_eq!(config.unwrap_err().status(), Status::Config, "{name}");
    }
}

#[test]
fn others_who_can_write_to_the_directory_are_an_error() {
    let (world, directory) = (World::new(), Directory::new());
    let own = directory.0.join("gcauth/default");
    fs::create_dir_all(&own).unwrap();
    fs::set_permissions(&own, fs::Permissions::from_mode(0o777)).unwrap();
    let variables = [("XDG_STATE_HOME", directory.0.to_str().unwrap())];
    let session = Session::new(user_config(&world, &variables).unwrap(), None, None, None).unwrap();
    let error = assert_status(login(&session), Status::Store);
    assert!(error.message().contains(own.to_str().unwrap()), "{error}");
    assert_eq!(world.counters().requests.login, 0);
}
