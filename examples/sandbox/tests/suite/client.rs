//! A client that shows everything: the bytes of an answer, and how the connection ended.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Output};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gcauth_sandbox::{Algorithm, Options, Sandbox};
use serde_json::{Map, Value, json};

/// A sandbox whose key costs nothing.
pub fn start() -> Sandbox {
    start_with(Options::default())
}

pub fn start_with(options: Options) -> Sandbox {
    Sandbox::start(Options { algorithm: Algorithm::EdDsa, ..options }).expect("the sandbox starts")
}

/// Everything that came back.
#[derive(Debug)]
pub struct Answer {
    pub wire: Vec<u8>,
    /// How reading ended, if not by a proper end.
    pub broken: Option<io::ErrorKind>,
}

impl Answer {
    fn head_and_body(&self) -> (String, &[u8]) {
        let border = self.wire.windows(4).position(|bytes| bytes == b"\r\n\r\n").expect("a whole head");
        (String::from_utf8_lossy(&self.wire[..border]).into_owned(), &self.wire[border + 4..])
    }

    pub fn code(&self) -> u16 {
        self.head_and_body().0[9..12].parse().expect("a status")
    }

    pub fn header(&self, name: &str) -> Option<String> {
        self.head_and_body().0.lines().skip(1).find_map(|line| {
            let (known, value) = line.split_once(": ")?;
            known.eq_ignore_ascii_case(name).then(|| value.to_owned())
        })
    }

    pub fn body(&self) -> &[u8] {
        self.head_and_body().1
    }

    /// The body, where it is as long as the head says.
    pub fn json(&self) -> Value {
        let (_, body) = self.head_and_body();
        assert_eq!(self.header("Content-Length"), Some(body.len().to_string()));
        serde_json::from_slice(body).expect("JSON")
    }

    pub fn text(&self, member: &str) -> String {
        self.json()[member].as_str().unwrap_or_else(|| panic!("{member} in {:?}", self.json())).to_owned()
    }
}

/// One request by raw socket. The URL is that of plain HTTP.
pub fn request(method: &str, url: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let (host, path) = url.strip_prefix("http://").expect("plain http").split_once('/').expect("a path");
    let mut stream = TcpStream::connect(host).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a limit");
    let mut head = format!("{method} /{path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {}\r\n", body.len());
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let mut wire = format!("{head}\r\n").into_bytes();
    wire.extend_from_slice(body);
    // The server may be gone already; reading tells.
    let _ = stream.write_all(&wire);
    let mut answer = Vec::new();
    let broken = stream.read_to_end(&mut answer).err().map(|error| error.kind());
    Answer { wire: answer, broken }
}

pub fn post(url: &str, body: &Value) -> Answer {
    request("POST", url, &[("Content-Type", "application/json")], body.to_string().as_bytes())
}

pub fn ada() -> Value {
    json!({ "username": "ada", "password": "lovelace", "organization": "analytical-engines" })
}

pub fn login(sandbox: &Sandbox) -> Answer {
    post(&format!("{}/frontdesk/login", sandbox.http_url()), &ada())
}

pub fn refresh(sandbox: &Sandbox, refresh_token: &str) -> Answer {
    post(&format!("{}/auth/refresh-token", sandbox.http_url()), &json!({ "refreshToken": refresh_token }))
}

pub fn me(sandbox: &Sandbox, token: &str) -> Answer {
    let bearer = format!("Bearer {token}");
    request("GET", &format!("{}/me", sandbox.http_url()), &[("Authorization", &bearer)], b"")
}

pub fn jwks(sandbox: &Sandbox) -> Answer {
    request("GET", &format!("{}/.well-known/jwks.json", sandbox.http_url()), &[], b"")
}

pub fn claims(token: &str) -> Map<String, Value> {
    let payload = token.split('.').nth(1).expect("three parts");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).expect("base64url")).expect("a JSON object")
}

pub fn run(program: &str, arguments: &[&str]) -> Output {
    Command::new(program).args(arguments).output().unwrap_or_else(|error| panic!("{program}: {error}"))
}

/// curl's standard output; it must succeed.
pub fn curl(arguments: &[&str]) -> String {
    let output = run("curl", &[&["-sS", "--max-time", "20"], arguments].concat());
    assert!(output.status.success(), "curl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}
