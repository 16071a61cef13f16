//! A real redis-server of a test's own: on a port that was free, in a directory of its own, gone at the end.
#![allow(dead_code)]

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// How long a server may take to start; it never matters when all is well.
const LONG: Duration = Duration::from_secs(60);

pub struct RedisServer {
    process: Option<Child>,
    port: u16,
    tls_port: Option<u16>,
    dir: PathBuf,
    more: Vec<String>,
}

impl RedisServer {
    /// Without persistence or password. None, where there is no redis-server and none is demanded.
    pub fn start() -> Option<Self> {
        Self::start_with(&[])
    }

    /// With more arguments.
    pub fn start_with(more: &[&str]) -> Option<Self> {
        Self::start_in(directory(), None, more)
    }

    /// Speaks TLS on a second port, with a certificate for 127.0.0.1 by the CA in `ca_file`.
    pub fn start_with_tls(more: &[&str]) -> Option<Self> {
        let dir = directory();
        write_certificates(&dir);
        let file = |name: &str| dir.join(name).display().to_string();
        let tls = ["--tls-cert-file", &file("server.pem"), "--tls-key-file", &file("server-key.pem")].map(String::from);
        let trust = ["--tls-ca-cert-file", &file("ca.pem")].map(String::from);
        let all: Vec<&str> = tls.iter().chain(&trust).map(String::as_str).chain(more.iter().copied()).collect();
        Self::start_in(dir, Some(free_port()), &all)
    }

    fn start_in(dir: PathBuf, tls_port: Option<u16>, more: &[&str]) -> Option<Self> {
        if Command::new("redis-server").arg("--version").stdout(Stdio::null()).status().is_err() {
            assert!(
                std::env::var_os("GCAUTH_REQUIRE_REDIS").is_none_or(|value| value != "1"),
                "redis-server is missing, and GCAUTH_REQUIRE_REDIS=1"
            );
            eprintln!("SKIPPED: this test needs redis-server, which is not installed");
            return None;
        }
        let more = more.iter().map(|argument| (*argument).to_owned()).collect();
        let mut server = RedisServer { process: None, port: free_port(), tls_port, dir, more };
        // Somebody may have taken the port meanwhile.
        let started = (0..5).any(|_| {
            server.try_start() || {
                server.port = free_port();
                server.tls_port = server.tls_port.map(|_| free_port());
                false
            }
        });
        assert!(started, "redis-server does not start: {}", server.log());
        Some(server)
    }

    fn try_start(&mut self) -> bool {
        let mut command = Command::new("redis-server");
        command
            .args(["--bind", "127.0.0.1", "--port", &self.port.to_string()])
            .args(["--save", "", "--appendonly", "no", "--dir"])
            .arg(&self.dir)
            .arg("--logfile")
            .arg(self.dir.join("log"))
            .args(self.tls_port.map(|port| ["--tls-port".to_owned(), port.to_string()]).into_iter().flatten())
            .args(&self.more)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut process = command.spawn().expect("redis-server runs");
        let end = Instant::now() + LONG;
        while Instant::now() < end {
            if process.try_wait().expect("its state").is_some() {
                return false;
            }
            if self.answers() {
                self.process = Some(process);
                return true;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = process.kill();
        let _ = process.wait();
        false
    }

    /// Whether it says anything of Redis', be it that it wants a password.
    fn answers(&self) -> bool {
        let ask = || -> std::io::Result<[u8; 5]> {
            let mut socket = TcpStream::connect(("127.0.0.1", self.port))?;
            socket.set_read_timeout(Some(Duration::from_secs(1)))?;
            socket.write_all(b"PING\r\n")?;
            let mut answer = [0; 5];
            socket.read_exact(&mut answer)?;
            Ok(answer)
        };
        ask().is_ok_and(|answer| answer == *b"+PONG" || answer == *b"-NOAU")
    }

    /// Dies at once, and its data with it.
    pub fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    /// Runs again, on the same port.
    pub fn start_again(&mut self) {
        self.stop();
        assert!(self.try_start(), "redis-server does not start again: {}", self.log());
    }

    /// Takes connections and does nothing.
    pub fn suspend(&self) {
        self.signal(Signal::SIGSTOP);
    }

    /// Goes on.
    pub fn resume(&self) {
        self.signal(Signal::SIGCONT);
    }

    fn signal(&self, signal: Signal) {
        let process = self.process.as_ref().expect("it runs");
        kill(Pid::from_raw(i32::try_from(process.id()).expect("a pid")), signal).expect("it runs");
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// `redis://…` without a path.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// `rediss://…` without a path.
    pub fn tls_url(&self) -> String {
        format!("rediss://127.0.0.1:{}", self.tls_port.expect("a server with TLS"))
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The CA of a server with TLS.
    pub fn ca_file(&self) -> PathBuf {
        self.dir.join("ca.pem")
    }

    /// What `redis-cli` prints for a command.
    pub fn cli(&self, command: &[&str]) -> String {
        let output = Command::new("redis-cli")
            .args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "--no-auth-warning"])
            .args(command)
            .output()
            .expect("redis-cli runs");
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.join("log")).unwrap_or_default()
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.stop();
        let _ = fs::remove_dir_all(&self.dir);
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port").port()
}

fn directory() -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let dir = std::env::temp_dir().join(format!("gcauth-redis-{}-{count}", std::process::id()));
    fs::create_dir_all(&dir).expect("a directory for temporary files");
    dir
}

/// `ca.pem`, and by it `server.pem` with `server-key.pem`; `other-ca.pem` signed nothing.
fn write_certificates(dir: &Path) {
    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

    let write = |name: &str, text: String| fs::write(dir.join(name), text).expect("a certificate is written");
    // By the same name they would all pass for self-signed.
    let named = |name: &str, hosts: Vec<String>| {
        let mut params = CertificateParams::new(hosts).expect("parameters");
        params.distinguished_name.push(DnType::CommonName, name);
        params
    };
    let authority = |name: &str| {
        let mut params = named(name, Vec::new());
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a CA");
        (certificate.pem(), Issuer::new(params, key))
    };
    let (ca, issuer) = authority("the CA");
    let key = KeyPair::generate().expect("a key");
    let params = named("the server", vec!["127.0.0.1".to_owned()]);
    let certificate = params.signed_by(&key, &issuer).expect("a certificate");
    write("ca.pem", ca);
    write("other-ca.pem", authority("another CA").0);
    write("server.pem", certificate.pem());
    write("server-key.pem", key.serialize_pem());
}
