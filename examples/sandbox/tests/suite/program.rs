//! The program `gcauth-sandbox`.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use gcauth_sandbox::{Options, Sandbox};
use serde_json::{Value, json};

use crate::client::{ada, curl, start};

const PROGRAM: &str = env!("CARGO_BIN_EXE_gcauth-sandbox");

/// The program, killed when the test ends.
struct Running(Child);

impl Running {
    /// With the line that it prints.
    fn start(arguments: &[&str]) -> (Self, String) {
        let mut child = Command::new(PROGRAM)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
        (Running(child), line)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn value<'a>(line: &'a str, name: &str) -> &'a str {
    let word = line.split_whitespace().find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
    word.unwrap_or_else(|| panic!("{name} in {line}"))
}

/// A directory that goes away with its sandbox.
fn scratch() -> (Sandbox, PathBuf) {
    let sandbox = start();
    let dir = sandbox.dir().join("scratch");
    (sandbox, dir)
}

#[test]
fn it_says_when_it_is_ready_and_writes_its_files() {
    let (_owner, dir) = scratch();
    let name = dir.to_str().expect("UTF-8");
    let pid_file = format!("{name}.pid");
    let (running, line) =
        Running::start(&["--alg", "es256", "--dir", name, "--pid-file", &pid_file, "--bad-tls", "expired,wrong-host"]);
    assert!(line.starts_with("gcauth-sandbox ready http=http://127.0.0.1:"), "{line}");
    let https = value(&line, "https");
    assert_eq!(value(&line, "ca"), format!("{name}/ca.pem"));
    assert_eq!(value(&line, "config"), format!("{name}/config.json"));
    assert!(value(&line, "expired").starts_with("https://") && value(&line, "wrong-host").starts_with("https://"));
    assert_eq!(fs::read_to_string(&pid_file).expect("a file"), format!("{}\n", running.0.id()));

    let read = |file: &str| fs::read_to_string(dir.join(file)).expect("a file");
    let config: Value = serde_json::from_str(&read("config.json")).expect("JSON");
    let expected = json!({ "env": "sandbox", "environments": { "sandbox": { "host": https } },
                           "ca_file": format!("{name}/ca.pem") });
    assert_eq!(config, expected);
    let config: Value = serde_json::from_str(&read("http-config.json")).expect("JSON");
    assert_eq!(config["environments"]["sandbox"]["host"], value(&line, "http"));
    assert!(read("public.pem").starts_with("-----BEGIN PUBLIC KEY-----\n"));
    for key in ["server-key.pem", "client-key.pem"] {
        let mode = fs::metadata(dir.join(key)).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{key}");
    }
    let leftovers = fs::read_dir(&dir)
        .expect("a directory")
        .filter(|entry| entry.as_ref().is_ok_and(|entry| entry.file_name().to_string_lossy().ends_with(".new")));
    assert_eq!(leftovers.count(), 0);

    let answer = curl(&["--cacert", value(&line, "ca"), "-d", &ada().to_string(), &format!("{https}/frontdesk/login")]);
    assert!(serde_json::from_str::<Value>(&answer).expect("JSON")["token"].is_string());
}

#[test]
fn it_ends_with_its_standard_input() {
    let (mut running, line) = Running::start(&["--alg", "EdDSA", "--exit-with-stdin"]);
    let config = PathBuf::from(value(&line, "config"));
    assert!(config.exists());
    let dir = config.parent().expect("a directory").to_owned();
    assert_eq!(fs::metadata(&dir).expect("a directory").permissions().mode() & 0o777, 0o700);
    drop(running.0.stdin.take());
    assert!(running.0.wait().expect("an end").success());
    // Nobody asked for it by name.
    assert!(!dir.exists());
}

#[test]
fn its_options_do_what_they_say() {
    let (_owner, dir) = scratch();
    let (mut running, line) = Running::start(&[
        "--alg",
        "eddsa",
        "--dir",
        dir.to_str().expect("UTF-8"),
        "--token-life",
        "1.5",
        "--grace",
        "5",
        "--jwks-max-age",
        "9",
        "--user",
        "grace:hopper:navy:cobol",
        "--user",
        "alan:turing:bletchley",
        "--record-bodies",
        "--log",
    ]);
    let http = value(&line, "http");
    let body =
        json!({ "username": "grace", "password": "hopper", "organization": "navy", "project": "cobol" }).to_string();
    let pair: Value = serde_json::from_str(&curl(&["-d", &body, &format!("{http}/frontdesk/login")])).expect("JSON");
    let claims = crate::client::claims(pair["token"].as_str().expect("a token"));
    assert!((claims["exp"].as_f64().expect("a number") - claims["iat"].as_f64().expect("a number") - 1.5).abs() < 0.01);
    for _ in 0..2 {
        let body = json!({ "refreshToken": pair["refreshToken"] }).to_string();
        let again = curl(&["-d", &body, &format!("{http}/auth/refresh-token")]);
        assert!(again.contains("refreshToken"), "{again}");
    }
    assert!(curl(&["-i", &format!("{http}/.well-known/jwks.json")]).contains("max-age=9\r\n"));
    let alan = json!({ "username": "alan", "password": "turing", "organization": "bletchley" }).to_string();
    assert!(curl(&["-d", &alan, &format!("{http}/frontdesk/login")]).contains("token"));
    let requests = curl(&[&http.replace("/api/v1", "/sandbox/requests")]);
    let requests: Value = serde_json::from_str(&requests).expect("JSON");
    assert_eq!(requests[0]["raw_body"], body);

    let _ = running.0.kill();
    let mut log = String::new();
    running.0.stderr.take().expect("a pipe").read_to_string(&mut log).expect("UTF-8");
    assert!(log.starts_with("http /frontdesk/login 201\nhttp /auth/refresh-token 200\n"), "{log}");
    assert!(!log.contains("hopper") && !log.contains("eyJ"), "{log}");
}

#[test]
fn bad_options_and_help() {
    for arguments in [
        &["--alg", "HS256"][..],
        &["--user", "grace"],
        &["--grace", "-1"],
        &["--token-life", "nan"],
        &["--bad-tls", "rusty"],
        &["--http-port", "70000"],
        &["--nonsense"],
    ] {
        let output = Command::new(PROGRAM).args(arguments).output().expect("the program starts");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stdout.is_empty());
    }
    let output = Command::new(PROGRAM).arg("--help").output().expect("the program starts");
    let help = String::from_utf8(output.stdout).expect("UTF-8");
    for option in ["--http-port", "--token-life", "--grace", "--user", "--exit-with-stdin", "--pid-file", "lovelace"] {
        assert!(help.contains(option), "{help}");
    }
    // A port that is taken.
    let taken = Sandbox::start(Options { algorithm: gcauth_sandbox::Algorithm::EdDsa, ..Options::default() })
        .expect("a sandbox");
    let port = taken.http_url()[17..].split('/').next().expect("a port").to_owned();
    let output =
        Command::new(PROGRAM).args(["--alg", "EdDSA", "--http-port", &port]).output().expect("the program starts");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("gcauth-sandbox: "));
}
