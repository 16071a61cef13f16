//! Peers of a test's own: real ones (nginx, tinyproxy, openssl), on ports that were free and in directories of their own,
//! and one that does what no real one would.
#![allow(dead_code)]

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How long a peer may take to start or stop; it never matters when all is well.
const LONG: Duration = Duration::from_secs(60);

/// Whether a program is installed. Where it is not, the test is left out, unless it is demanded.
pub fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Where Debian keeps nginx, and ordinary users don't look.
    let mut places = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    if places.any(|place| place.join(program).is_file()) {
        return true;
    }
    let is_required = std::env::var_os("GCAUTH_REQUIRE_PEERS").is_some_and(|value| value == "1");
    assert!(!is_required, "{program} is missing, and GCAUTH_REQUIRE_PEERS=1");
    eprintln!("SKIPPED: this test needs {program}, which is not installed");
    false
}

pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port").port()
}

/// A directory that goes when this is dropped.
pub struct Directory(PathBuf);

impl Directory {
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("gcauth-peer-{}-{count}", std::process::id()));
        fs::create_dir_all(&path).expect("a directory for temporary files");
        Directory(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A process that listens at `port`, until this is dropped.
pub struct Listening {
    process: Child,
    pub port: u16,
}

impl Listening {
    /// Starts what `command` makes of a free port, again with another one if somebody was faster.
    pub fn start(what: &str, mut command: impl FnMut(u16) -> Command) -> Self {
        (0..5)
            .find_map(|_| {
                let port = free_port();
                Self::start_at(port, command(port))
            })
            .unwrap_or_else(|| panic!("{what} does not start"))
    }

    pub fn start_at(port: u16, mut command: Command) -> Option<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut process = command.spawn().expect("it runs");
        let end = Instant::now() + LONG;
        while Instant::now() < end && process.try_wait().expect("its state").is_none() {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Some(Listening { process, port });
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = process.kill();
        let _ = process.wait();
        None
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        // nginx has workers, which end with it only when it is asked to.
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.process.id()).expect("a pid"));
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
        let end = Instant::now() + LONG;
        while Instant::now() < end && self.process.try_wait().is_ok_and(|status| status.is_none()) {
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The name that certificates of [`Certificates`] are for beside 127.0.0.1; nobody but [`NamingProxy`] knows it.
pub const NAME: &str = "platform.test";

/// A CA, and a server's certificate by it.
pub struct Certificates(Directory);

impl Certificates {
    pub fn new() -> Self {
        use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

        let directory = Directory::new();
        let write = |name: &str, text: String| fs::write(directory.file(name), text).expect("a certificate is written");
        let named = |name: &str, hosts: Vec<String>| {
            let mut params = CertificateParams::new(hosts).expect("parameters");
            params.distinguished_name.push(DnType::CommonName, name);
            params
        };
        // By the same name they would pass for each other.
        let mut params = named(&format!("the CA in {}", directory.path().display()), Vec::new());
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        write("ca.pem", params.self_signed(&key).expect("a CA").pem());
        let issuer = Issuer::new(params, key);
        for (name, hosts) in
            [("server", vec![NAME.to_owned(), "127.0.0.1".to_owned()]), ("client", vec!["a-client.test".to_owned()])]
        {
            let key = KeyPair::generate().expect("a key");
            let certificate = named(name, hosts).signed_by(&key, &issuer).expect("a certificate");
            write(&format!("{name}.pem"), certificate.pem());
            write(&format!("{name}-key.pem"), key.serialize_pem());
        }
        Certificates(directory)
    }

    pub fn file(&self, name: &str) -> String {
        self.0.file(name).display().to_string()
    }
}

/// An nginx with one server, in front of `upstream`.
pub struct Nginx {
    listening: Option<Listening>,
    directory: Directory,
    pub port: u16,
}

impl Nginx {
    /// With TLS, and more directives for its server. None, where there is no nginx and none is demanded.
    pub fn start(certificates: &Certificates, upstream: &str, more: &str) -> Option<Self> {
        Self::start_with(|port, directory| {
            let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
                .iter()
                .map(|kind| format!("{kind}_temp_path {};\n", directory.file(kind).display()))
                .collect();
            format!(
                "http {{
                    access_log off;
                    {temporary}
                    limit_req_zone $server_port zone=requests:64k rate=1r/m;
                    server {{
                        listen 127.0.0.1:{port} ssl;
                        ssl_certificate {};
                        ssl_certificate_key {};
                        {more}
                        location / {{ proxy_pass {upstream}; }}
                    }}
                }}",
                certificates.file("server.pem"),
                certificates.file("server-key.pem"),
            )
        })
    }

    /// Takes TLS off what goes to `upstream`, an address.
    pub fn start_stream(certificates: &Certificates, upstream: &str) -> Option<Self> {
        const MODULE: &str = "/usr/lib/nginx/modules/ngx_stream_module.so";
        if is_installed("nginx") && !Path::new(MODULE).exists() {
            let is_required = std::env::var_os("GCAUTH_REQUIRE_PEERS").is_some_and(|value| value == "1");
            assert!(!is_required, "nginx's stream module is missing, and GCAUTH_REQUIRE_PEERS=1");
            eprintln!("SKIPPED: this test needs nginx's stream module, which is not installed");
            return None;
        }
        Self::start_with(|port, _| {
            format!(
                "load_module {MODULE};
                 stream {{
                    server {{
                        listen 127.0.0.1:{port} ssl;
                        ssl_certificate {};
                        ssl_certificate_key {};
                        proxy_pass {upstream};
                    }}
                 }}",
                certificates.file("server.pem"),
                certificates.file("server-key.pem"),
            )
        })
    }

    fn start_with(config: impl Fn(u16, &Directory) -> String) -> Option<Self> {
        if !is_installed("nginx") {
            return None;
        }
        let directory = Directory::new();
        let listening = Listening::start("nginx", |port| {
            let user = if nix::unistd::geteuid().is_root() { "user root;" } else { "" };
            let text = format!(
                "{}\ndaemon off; {user} worker_processes 1; events {{}} pid {}; error_log {};\n",
                config(port, &directory),
                directory.file("pid").display(),
                directory.file("error.log").display(),
            );
            fs::write(directory.file("nginx.conf"), text).expect("a config file");
            Self::command(&directory)
        });
        Some(Nginx { port: listening.port, listening: Some(listening), directory })
    }

    fn command(directory: &Directory) -> Command {
        let mut command = Command::new("nginx");
        command.env("PATH", "/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin");
        command.arg("-p").arg(directory.path()).arg("-c").arg(directory.file("nginx.conf"));
        command.arg("-e").arg(directory.file("error.log"));
        command
    }

    /// The base URL by this host name.
    pub fn url(&self, host: &str) -> String {
        format!("https://{host}:{}/api/v1", self.port)
    }

    pub fn stop(&mut self) {
        self.listening = None;
    }

    pub fn start_again(&mut self) {
        self.listening = Listening::start_at(self.port, Self::command(&self.directory));
        assert!(self.listening.is_some(), "nginx does not start again");
    }
}

/// What was asked for, and the first bytes that went through.
type Seen = Arc<Mutex<Vec<(String, Vec<u8>)>>>;

/// A proxy that knows one more name than others: what is for [`NAME`] goes to this machine, by CONNECT, or in the clear
/// by a whole URL.
pub struct NamingProxy {
    pub address: SocketAddr,
    seen: Seen,
}

impl NamingProxy {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its address");
        let seen = Arc::new(Mutex::new(Vec::new()));
        let noted = seen.clone();
        std::thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let noted = noted.clone();
                std::thread::spawn(move || Self::serve(socket, &noted));
            }
        });
        NamingProxy { address, seen }
    }

    fn serve(mut client: TcpStream, seen: &Mutex<Vec<(String, Vec<u8>)>>) {
        let Some(head) = read_head(&mut client) else { return };
        let mut words = head.split(' ');
        let is_connect = words.next() == Some("CONNECT");
        let target = words.next().unwrap_or_default().trim_start_matches("http://");
        let target = target.split('/').next().unwrap_or_default().to_owned();
        let index = {
            let mut seen = seen.lock().expect("what was seen");
            seen.push((target.clone(), Vec::new()));
            seen.len() - 1
        };
        let port = target.strip_prefix(NAME).and_then(|rest| rest.strip_prefix(':')?.parse::<u16>().ok());
        let Some(mut server) = port.and_then(|port| TcpStream::connect(("127.0.0.1", port)).ok()) else {
            let _ = client.write_all(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n");
            return;
        };
        let is_through = match is_connect {
            true => client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").is_ok(),
            false => server.write_all(head.replacen(&format!("http://{target}"), "", 1).as_bytes()).is_ok(),
        };
        if !is_through {
            return;
        }
        let (mut back, mut to_client) = (server.try_clone().expect("a socket"), client.try_clone().expect("a socket"));
        let returning = std::thread::spawn(move || {
            let _ = std::io::copy(&mut back, &mut to_client);
            let _ = to_client.shutdown(Shutdown::Write);
        });
        let mut chunk = [0; 4096];
        while let Ok(count @ 1..) = client.read(&mut chunk) {
            seen.lock().expect("what was seen")[index].1.extend_from_slice(&chunk[..count]);
            if server.write_all(&chunk[..count]).is_err() {
                break;
            }
        }
        let _ = server.shutdown(Shutdown::Write);
        let _ = returning.join();
    }

    pub fn seen(&self) -> Vec<(String, Vec<u8>)> {
        self.seen.lock().expect("what was seen").clone()
    }
}

/// A tinyproxy that wants a user and a password, and asks `names` for the way.
pub fn tinyproxy(directory: &Directory, names: &NamingProxy, user: &str, password: &str) -> Option<Listening> {
    if !is_installed("tinyproxy") {
        return None;
    }
    Some(Listening::start("tinyproxy", |port| {
        let config = format!(
            "Port {port}\nListen 127.0.0.1\nTimeout 600\nMaxClients 50\nLogFile \"{}\"\nLogLevel Connect\n\
             BasicAuth {user} {password}\nUpstream http {}\n",
            directory.file("tinyproxy.log").display(),
            names.address,
        );
        fs::write(directory.file("tinyproxy.conf"), config).expect("a config file");
        let mut command = Command::new("tinyproxy");
        command.arg("-d").arg("-c").arg(directory.file("tinyproxy.conf"));
        command
    }))
}

/// A peer that does as a test says with each connection.
pub struct RawPeer {
    pub address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl RawPeer {
    pub fn start(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its address");
        let (serve, connections) = (Arc::new(serve), Arc::new(AtomicUsize::new(0)));
        let count = connections.clone();
        std::thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                count.fetch_add(1, Ordering::SeqCst);
                let serve = serve.clone();
                std::thread::spawn(move || serve(socket));
            }
        });
        RawPeer { address, connections }
    }

    /// Answers each request with these bytes, and closes.
    pub fn saying(answer: Vec<u8>) -> Self {
        Self::start(move |mut socket| {
            if read_request(&mut socket).is_some() {
                let _ = socket.write_all(&answer);
            }
        })
    }

    /// Says nothing before its client has gone.
    pub fn silent() -> Self {
        Self::start(|mut socket| while let Ok(1..) = socket.read(&mut [0; 4096]) {})
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// Up to the empty line.
fn read_head(socket: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if !matches!(socket.read(&mut byte), Ok(1)) {
            return None;
        }
        head.push(byte[0]);
    }
    Some(String::from_utf8_lossy(&head).into_owned())
}

/// A request with its body.
pub fn read_request(socket: &mut TcpStream) -> Option<String> {
    let head = read_head(socket)?;
    let length = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    socket.read_exact(&mut body).ok()?;
    Some(head + &String::from_utf8_lossy(&body))
}

/// The base URL of a peer that speaks plain http.
pub fn base(address: SocketAddr) -> String {
    format!("http://{address}/api/v1")
}
