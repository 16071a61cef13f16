//! HTTPS with certificates that are good, and with others.

use std::process::Output;
use std::thread;
use std::time::{Duration, Instant};

use gcauth_sandbox::{BadTls, DropPoint, Effect, Fault, Options, Part, Sandbox, Target};
use serde_json::{Value, json};

use crate::client::{ada, curl, run, start, start_with};

fn path(sandbox: &Sandbox, file: &str) -> String {
    sandbox.dir().join(file).to_str().expect("UTF-8").to_owned()
}

fn login(sandbox: &Sandbox, base: &str, more: &[&str]) -> Output {
    let (ca, url, body) = (path(sandbox, "ca.pem"), format!("{base}/frontdesk/login"), ada().to_string());
    let arguments = ["-sS", "--max-time", "20", "--cacert", &ca, "-d", &body, &url];
    run("curl", &[arguments.as_slice(), more].concat())
}

#[test]
fn curl_trusts_it_with_the_ca_file_only() {
    let sandbox = start();
    assert_eq!(path(&sandbox, "ca.pem"), sandbox.ca_file().to_str().expect("UTF-8"));
    for host in ["127.0.0.1", "localhost"] {
        for version in ["1.2", "1.3"] {
            let base = sandbox.https_url().replace("127.0.0.1", host);
            let output = login(&sandbox, &base, &["--tls-max", version, &format!("--tlsv{version}"), "--ipv4"]);
            let body: Value = serde_json::from_slice(&output.stdout).expect("JSON");
            assert!(body["token"].is_string());
        }
    }
    assert!(sandbox.requests().iter().all(|request| request.secure));
    assert_eq!(sandbox.counters().tls_failures, 0);
    let output = run("curl", &["-sS", &sandbox.https_url()]);
    assert_eq!(output.status.code(), Some(60));
    // The server hears of it after curl has ended.
    let limit = Instant::now() + Duration::from_secs(120);
    while sandbox.counters().tls_failures == 0 && Instant::now() < limit {
        thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(sandbox.counters().tls_failures, 1);
    // Old versions are not spoken.
    let output = login(&sandbox, &sandbox.https_url(), &["--tls-max", "1.1"]);
    assert_eq!(output.status.code(), Some(35));
}

#[test]
fn bad_certificates() {
    let sandbox = start_with(Options { bad_tls: vec![BadTls::Expired], ..Options::default() });
    for (bad, said) in [
        (BadTls::Expired, "certificate has expired"),
        (BadTls::NotYetValid, "certificate is not yet valid"),
        (BadTls::SelfSigned, "self-signed certificate"),
        (BadTls::WrongHost, "no alternative certificate subject name matches"),
        (BadTls::UnknownIssuer, "unable to get local issuer certificate"),
    ] {
        let url = sandbox.bad_tls_url(bad).expect("a listener");
        assert_eq!(sandbox.bad_tls_url(bad).expect("the same one"), url);
        let output = login(&sandbox, &url, &[]);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(60), "{bad}: {error}");
        assert!(error.contains(said), "{bad}: {error}");
        let config = std::fs::read_to_string(path(&sandbox, &format!("{bad}-config.json"))).expect("a file");
        assert!(config.contains(&url), "{config}");
        assert_eq!(bad.name().parse(), Ok(bad));
    }
    assert_eq!(sandbox.counters().requests.login, 0);
    assert!("rusty".parse::<BadTls>().is_err());
}

#[test]
fn client_certificates() {
    let sandbox = start();
    let url = sandbox.bad_tls_url(BadTls::ClientCertificate).expect("a listener");
    assert!(!login(&sandbox, &url, &[]).status.success());
    let (cert, key) = (path(&sandbox, "client.pem"), path(&sandbox, "client-key.pem"));
    let output = login(&sandbox, &url, &["--cert", &cert, "--key", &key]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let (cert, key) = (path(&sandbox, "server.pem"), path(&sandbox, "server-key.pem"));
    assert!(!login(&sandbox, &url, &["--cert", &cert, "--key", &key]).status.success());
    assert_eq!(sandbox.counters().logins, 1);
}

#[test]
fn faults_over_tls() {
    let sandbox = start();
    let base = sandbox.https_url();
    let dropped = |at, reset| Effect::Drop { at, reset };
    // curl's exit codes: 7 no connection, 18 partial body, 35 handshake, 52 nothing, 56 receive error.
    for (fault, exit_codes) in [
        (Fault::new(Target::Connection, dropped(DropPoint::BeforeReading, false)), [35, 35, 35]),
        (Fault::new(Target::Connection, dropped(DropPoint::BeforeReading, true)), [7, 35, 56]),
        (Fault::new(Target::Connection, Effect::Garbage), [35, 35, 35]),
        (Fault::new(Target::Login, dropped(DropPoint::AfterProcessing, false)), [52, 56, 56]),
        (Fault::new(Target::Login, dropped(DropPoint::AfterProcessing, true)), [52, 56, 56]),
        (Fault::new(Target::Login, dropped(DropPoint::MidBody, false)), [18, 56, 56]),
        (Fault::new(Target::Login, Effect::Garbage), [1, 8, 8]),
        (Fault::new(Target::Login, Effect::Drip { ms: 1, bytes: 9, part: Part::All }), [0, 0, 0]),
        (Fault::status(Target::Login, 503), [0, 0, 0]),
    ] {
        sandbox.order(fault.clone());
        let output = login(&sandbox, &base, &[]);
        let code = output.status.code().expect("an exit code");
        assert!(exit_codes.contains(&code), "{fault:?}: {code} {}", String::from_utf8_lossy(&output.stderr));
        assert!(sandbox.faults().is_empty());
    }
    assert_eq!(sandbox.counters().faults, 9);
}

#[test]
fn control_endpoints_are_not_there() {
    let sandbox = start();
    let url = sandbox.https_url().replace("/api/v1", "/sandbox/counters");
    let ca = path(&sandbox, "ca.pem");
    let body = curl(&["--cacert", &ca, &url]);
    assert_eq!(serde_json::from_str::<Value>(&body).expect("JSON")["message"], json!("no such path"));
}
