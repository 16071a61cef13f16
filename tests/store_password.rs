//! The password of a Redis, from a file or the environment.

#[path = "support/redis.rs"]
mod redis;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use gcauth::{Config, Session, Status, Surroundings};
use redis::RedisServer;
use serde_json::json;

const PASSWORD: &str = "canary secret, é";

/// A file with this text and mode.
fn file(name: &str, text: &str, mode: u32) -> PathBuf {
    let path = std::env::temp_dir().join(format!("gcauth-password-{}-{name}", std::process::id()));
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    path
}

fn session(config: &serde_json::Value, surroundings: &Surroundings) -> gcauth::Result<Session> {
    let config = Config::load(Some(&config.to_string()), surroundings)?;
    Session::new(config, Some("token"), Some("refresh"), None)
}

/// Whether the session's store can be used.
fn is_let_in(session: &Session) -> bool {
    match session.current() {
        Ok(current) => current.token().is_ok(),
        Err(error) => {
            assert!(!error.message().contains("canary"), "{error}");
            assert_eq!(error.status(), Status::Store, "{error}");
            false
        }
    }
}

/// Not a test: what runs with the variable set.
#[test]
fn with_the_environment() {
    let Ok(url) = std::env::var("GCAUTH_TEST_URL") else { return };
    let session = session(&json!({"store": url}), &Surroundings::from_env()).unwrap();
    println!("let in: {}", is_let_in(&session));
}

/// What a process with the variable set to `password` says of the store at `url`.
fn said_with(url: &str, password: &str) -> String {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "with_the_environment", "--nocapture"])
        .env("GCAUTH_TEST_URL", url)
        .env("GCAUTH_STORE_PASSWORD", password)
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_password_in_a_file_or_the_environment_is_the_urls() {
    let Some(server) = RedisServer::start_with(&["--requirepass", PASSWORD]) else { return };
    let url = server.url();
    let right = file("right", &format!("\u{feff}{PASSWORD}\r\n"), 0o600);
    let wrong = file("wrong", "canary", 0o640);
    let named = |path: &PathBuf| session(&json!({"store": url, "store_password_file": path}), &Surroundings::default());
    assert!(is_let_in(&named(&right).unwrap()));
    assert!(!is_let_in(&named(&wrong).unwrap()));
    let with_user = url.replace("redis://", "redis://default@");
    assert!(is_let_in(
        &session(&json!({"store": with_user, "store_password_file": right}), &Surroundings::default()).unwrap()
    ));
    for (url, password, is_good) in [
        (url.clone(), PASSWORD, true),
        (with_user, PASSWORD, true),
        (url.clone(), "canary", false),
        (url.clone(), "", false),
        // The URL's own goes before.
        (url.replace("redis://", "redis://:canary@"), PASSWORD, false),
    ] {
        let said = said_with(&url, password);
        assert!(said.contains(&format!("let in: {is_good}")), "{said}");
    }
}

#[test]
fn what_is_wrong_with_the_file_is_said() {
    let good = file("good", PASSWORD, 0o600);
    let directory = std::env::temp_dir();
    for (config, words) in [
        (json!({"store": "redis://h", "store_password_file": "/missing"}), "/missing, which can't be read"),
        (json!({"store": "redis://h", "store_password_file": directory}), "is a directory"),
        (json!({"store": "redis://h", "store_password_file": file("open", PASSWORD, 0o644)}), "chmod 600"),
        (json!({"store": "redis://h", "store_password_file": file("empty", "\n", 0o600)}), "is empty"),
        (json!({"store": "redis://h", "store_password_file": file("two", "canary\nx\n", 0o600)}), "more than one line"),
        (json!({"store": "redis://h", "store_password_file": file("long", &"canary".repeat(9999), 0o600)}), "longer"),
        (json!({"store": "redis://u:canary@h", "store_password_file": good}), "both give a password"),
        (json!({"store": "memory", "store_password_file": good}), "is for redis://"),
        (json!({"store": "file:/x", "store_password_file": good}), "is for redis://"),
        (json!({"store": "redis://canary@h"}), "user name without a password"),
        (json!({"store": "redis://h", "store_password_file": 7}), "store_password_file"),
    ] {
        let error = session(&config, &Surroundings::default()).expect_err("no config");
        assert_eq!(error.status(), Status::Config, "{error}");
        assert!(error.message().contains(words) && error.message().contains("store"), "{error}");
        assert!(!error.message().contains("canary"), "{error}");
    }
}
