//! Many clients at once, and the end of a sandbox.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use gcauth_sandbox::{Effect, Fault, Moment, Options, Target};

use crate::client::{curl, login, refresh, start, start_with};

#[test]
fn hundreds_of_connections_at_once() {
    let sandbox = start();
    sandbox.order(Fault::new(Target::Login, Effect::Hold { at: Moment::BeforeProcessing }).forever());
    thread::scope(|scope| {
        let clients: Vec<_> = (0..300).map(|_| scope.spawn(|| login(&sandbox).code())).collect();
        assert!(sandbox.wait_held(300, Duration::from_secs(240)), "{} are held", sandbox.held());
        assert_eq!(sandbox.release(), 300);
        for client in clients {
            assert_eq!(client.join().expect("an answer"), 201);
        }
    });
    assert_eq!(sandbox.held(), 0);
    assert_eq!(sandbox.counters().logins, 300);
    assert_eq!(sandbox.counters().connections, 300);
}

#[test]
fn of_many_refreshes_with_one_token_one_is_granted() {
    let sandbox = start();
    let token = login(&sandbox).text("refreshToken");
    let codes: Vec<u16> = thread::scope(|scope| {
        let clients: Vec<_> = (0..20).map(|_| scope.spawn(|| refresh(&sandbox, &token).code())).collect();
        clients.into_iter().map(|client| client.join().expect("an answer")).collect()
    });
    assert_eq!(codes.iter().filter(|code| **code == 200).count(), 1);
    let counters = sandbox.counters();
    assert_eq!((counters.refreshes, counters.reuses, counters.refreshes_refused), (1, 1, 19));
}

#[test]
fn dropping_it_ends_everything() {
    let sandbox = start();
    let (port, dir) =
        (sandbox.http_url()[17..].split('/').next().expect("a port").to_owned(), sandbox.dir().to_owned());
    assert!(dir.join("config.json").exists());
    sandbox.order(Fault::new(Target::Any, Effect::Hold { at: Moment::AfterProcessing }));
    let mut idle = TcpStream::connect(format!("127.0.0.1:{port}")).expect("a connection");
    thread::scope(|scope| {
        let url = format!("{}/frontdesk/login", sandbox.http_url());
        let held = scope.spawn(move || crate::client::post(&url, &crate::client::ada()));
        assert!(sandbox.wait_held(1, Duration::from_secs(120)));
        let start = Instant::now();
        drop(sandbox);
        assert!(start.elapsed() < Duration::from_secs(50));
        let answer = held.join().expect("an end");
        assert!(answer.wire.is_empty());
    });
    let mut rest = Vec::new();
    let _ = idle.read_to_end(&mut rest);
    assert!(rest.is_empty());
    assert!(TcpStream::connect(format!("127.0.0.1:{port}")).is_err());
    assert!(!dir.exists());
}

#[test]
fn a_named_directory_stays() {
    let parent = start();
    let dir = parent.dir().join("named");
    let sandbox = start_with(Options { dir: Some(dir.clone()), ..Options::default() });
    drop(sandbox);
    assert!(dir.join("ca.pem").exists());
    // Again in the same place, over the old files.
    let sandbox = start_with(Options { dir: Some(dir), ..Options::default() });
    let ca = sandbox.ca_file();
    let url = format!("{}/.well-known/jwks.json", sandbox.https_url());
    assert!(curl(&["--cacert", ca.to_str().expect("UTF-8"), &url]).contains("keys"));
}

#[test]
fn a_port_that_is_taken_is_an_error() {
    let sandbox = start();
    let port = sandbox.http_url()[17..].split('/').next().and_then(|port| port.parse().ok()).expect("a port");
    let options = Options { https_port: port, algorithm: gcauth_sandbox::Algorithm::EdDsa, ..Options::default() };
    assert!(gcauth_sandbox::Sandbox::start(options).is_err());
}

#[test]
fn a_client_that_stalls_does_not_keep_it_from_ending() {
    let sandbox = start();
    let mut clients = Vec::new();
    // Nothing at all, the beginning of a control request, of a request, of its body.
    for sent in
        ["", "GET /sand", "POST /api/v1/frontdesk/login HTTP/1.1\r\n", "POST /x HTTP/1.1\r\nContent-Length: 9\r\n\r\n{"]
    {
        let host = sandbox.http_url()[7..].split('/').next().expect("a host").to_owned();
        let mut client = TcpStream::connect(host).expect("a connection");
        client.write_all(sent.as_bytes()).expect("written");
        clients.push(client);
    }
    while sandbox.counters().requests.other == 0 {
        thread::sleep(Duration::from_millis(1));
    }
    let begin = Instant::now();
    drop(sandbox);
    assert!(begin.elapsed() < Duration::from_secs(50), "{:?}", begin.elapsed());
}
