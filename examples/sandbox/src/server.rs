//! Listeners and threads: a sandbox from its start to its end.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock, Weak};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustls::ServerConfig;
use serde_json::Value;
use socket2::{Domain, Socket as RawSocket, Type};

use crate::clock::Clock;
use crate::faults::{Fault, Faults};
use crate::files::Dir;
use crate::gate::Gate;
use crate::options::Options;
use crate::platform::Platform;
use crate::records::{Counters, Records, RequestRecord};
use crate::routes::{self, BASE};
use crate::tls::{BadTls, Certificates};
use crate::tokens::KeyRing;
use crate::transport::Socket;

/// Enough for TLS in a debug build; hundreds of these cost next to nothing.
const STACK_SIZE: usize = 512 * 1024;
/// A fleet of clients may connect at the same instant.
const BACKLOG: i32 = 1024;

/// What can be changed while the server runs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) token_life_s: f64,
    pub(crate) grace: Option<Duration>,
    pub(crate) jwks_max_age_s: Option<u32>,
}

/// All that the threads of a sandbox share.
pub(crate) struct Shared {
    pub(crate) clock: Clock,
    pub(crate) settings: Mutex<Settings>,
    pub(crate) keys: RwLock<KeyRing>,
    pub(crate) platform: Mutex<Platform>,
    pub(crate) faults: Faults,
    pub(crate) records: Records,
    pub(crate) gate: Gate,
    pub(crate) log: bool,
    dir: Dir,
    certificates: Certificates,
    listeners: Mutex<Vec<Listener>>,
    bad_tls: Mutex<BTreeMap<BadTls, u16>>,
    connections: Mutex<Connections>,
    connection_ended: Condvar,
}

struct Listener {
    address: SocketAddr,
    thread: JoinHandle<()>,
}

#[derive(Default)]
struct Connections {
    open: usize,
    sockets: Vec<Weak<TcpStream>>,
}

impl Shared {
    pub(crate) fn reset(&self) {
        self.faults.clear();
        self.gate.release();
        self.records.reset();
    }

    pub(crate) fn change_settings(&self, change: impl FnOnce(&mut Settings)) {
        change(&mut lock(&self.settings));
    }

    pub(crate) fn rotate_keys(&self, keep_old: bool) -> io::Result<()> {
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        keys.rotate(keep_old)?;
        self.dir.write_public("public.pem", &keys.public_key_pem())
    }

    pub(crate) fn platform(&self) -> MutexGuard<'_, Platform> {
        lock(&self.platform)
    }

    /// The base URL of a listener with something wrong, which is opened when it is first asked for.
    pub(crate) fn bad_tls_url(self: &Arc<Self>, bad: BadTls) -> io::Result<String> {
        let mut open = lock(&self.bad_tls);
        let port = match open.get(&bad) {
            Some(port) => *port,
            None => {
                let port = self.listen(0, Some(self.certificates.bad_server_config(bad)?))?;
                self.dir.write_config(&format!("{bad}-config.json"), &https_url(port))?;
                open.insert(bad, port);
                port
            }
        };
        Ok(https_url(port))
    }

    fn listen(self: &Arc<Self>, port: u16, tls: Option<Arc<ServerConfig>>) -> io::Result<u16> {
        let socket = RawSocket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.set_reuse_address(true)?;
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into())?;
        socket.listen(BACKLOG)?;
        let listener = TcpListener::from(socket);
        let address = listener.local_addr()?;
        let shared = self.clone();
        let thread = thread::Builder::new()
            .name("sandbox-accept".into())
            .spawn(move || shared.accept(&listener, tls.as_ref()))?;
        lock(&self.listeners).push(Listener { address, thread });
        Ok(address.port())
    }

    fn accept(self: &Arc<Self>, listener: &TcpListener, tls: Option<&Arc<ServerConfig>>) {
        loop {
            let accepted = listener.accept();
            if self.gate.stopping() {
                return;
            }
            match accepted {
                Ok((tcp, _)) => self.start_connection(Arc::new(tcp), tls.cloned()),
                // No descriptors left, most likely: they come back when connections end.
                Err(_) => thread::sleep(Duration::from_millis(10)),
            }
        }
    }

    fn start_connection(self: &Arc<Self>, tcp: Arc<TcpStream>, tls: Option<Arc<ServerConfig>>) {
        {
            let mut connections = lock(&self.connections);
            connections.open += 1;
            connections.sockets.retain(|socket| socket.strong_count() > 0);
            connections.sockets.push(Arc::downgrade(&tcp));
        }
        let open = OpenConnection(self.clone());
        let serve = move || {
            // What goes wrong with one connection is its client's business.
            let _ = Socket::new(tcp).and_then(|socket| routes::serve(&open.0, socket, tls));
        };
        // Without a thread the connection is dropped, and counted off.
        let _ = thread::Builder::new().name("sandbox-connection".into()).stack_size(STACK_SIZE).spawn(serve);
    }

    fn stop(&self) {
        self.gate.stop();
        for listener in std::mem::take(&mut *lock(&self.listeners)) {
            // Wakes the thread that accepts.
            let _ = TcpStream::connect(listener.address);
            let _ = listener.thread.join();
        }
        let connections = lock(&self.connections);
        for socket in connections.sockets.iter().filter_map(Weak::upgrade) {
            let _ = socket.shutdown(Shutdown::Both);
        }
        let limit = Duration::from_secs(60);
        let rest = self.connection_ended.wait_timeout_while(connections, limit, |connections| connections.open > 0);
        drop(rest);
        // Here, and not with the last thread that knows of it: whoever dropped the sandbox relies on it.
        self.dir.remove_if_temporary();
    }
}

/// Counts a connection off, however it ends.
struct OpenConnection(Arc<Shared>);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        lock(&self.0.connections).open -= 1;
        self.0.connection_ended.notify_all();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn https_url(port: u16) -> String {
    format!("https://127.0.0.1:{port}{BASE}")
}

/// A running server. Dropping it closes its listeners and connections, and ends its threads.
///
/// ```
/// use gcauth_sandbox::{Algorithm, Options, Sandbox};
///
/// # fn main() -> std::io::Result<()> {
/// let sandbox = Sandbox::start(Options { algorithm: Algorithm::EdDsa, ..Options::default() })?;
/// assert!(sandbox.https_url().starts_with("https://127.0.0.1:"));
/// assert_eq!(sandbox.counters().logins, 0);
/// # Ok(())
/// # }
/// ```
pub struct Sandbox {
    shared: Arc<Shared>,
    http_port: u16,
    https_port: u16,
}

impl Sandbox {
    /// Starts a server on the loopback interface; it answers as soon as this returns.
    ///
    /// # Errors
    ///
    /// When a port is taken, or the directory can't be written.
    pub fn start(options: Options) -> io::Result<Sandbox> {
        let dir = Dir::open(options.dir.as_deref(), options.logout)?;
        let certificates = Certificates::new()?;
        let keys = KeyRing::new(options.algorithm)?;
        dir.write_public("ca.pem", &certificates.ca_pem())?;
        for (name, identity) in [("server", &certificates.server), ("client", &certificates.client)] {
            dir.write_public(&format!("{name}.pem"), &identity.certificate_pem())?;
            dir.write_private(&format!("{name}-key.pem"), &identity.key_pem())?;
        }
        dir.write_public("public.pem", &keys.public_key_pem())?;
        let tls = certificates.server_config()?;
        let shared = Arc::new(Shared {
            clock: Clock::default(),
            settings: Mutex::new(Settings {
                token_life_s: options.token_life_s,
                grace: options.grace,
                jwks_max_age_s: options.jwks_max_age_s,
            }),
            keys: RwLock::new(keys),
            platform: Mutex::new(Platform::new(options.users)),
            faults: Faults::default(),
            records: Records::new(options.record_limit, options.record_bodies),
            gate: Gate::default(),
            log: options.log,
            dir,
            certificates,
            listeners: Mutex::default(),
            bad_tls: Mutex::default(),
            connections: Mutex::default(),
            connection_ended: Condvar::new(),
        });
        // From here on, dropping it ends what has been started.
        let mut sandbox = Sandbox { shared, http_port: 0, https_port: 0 };
        sandbox.http_port = sandbox.shared.listen(options.http_port, None)?;
        sandbox.https_port = sandbox.shared.listen(options.https_port, Some(tls))?;
        for bad in options.bad_tls {
            sandbox.bad_tls_url(bad)?;
        }
        sandbox.shared.dir.write_config("http-config.json", &sandbox.http_url())?;
        // Last: whoever waits for it finds everything else.
        sandbox.shared.dir.write_config("config.json", &sandbox.https_url())?;
        Ok(sandbox)
    }

    /// The base URL over plain HTTP.
    #[must_use]
    pub fn http_url(&self) -> String {
        format!("http://127.0.0.1:{}{BASE}", self.http_port)
    }

    /// The base URL over HTTPS.
    #[must_use]
    pub fn https_url(&self) -> String {
        https_url(self.https_port)
    }

    /// The base URL of an HTTPS listener with something wrong, which is opened when it is first asked for.
    ///
    /// # Errors
    ///
    /// When there is no port left for it.
    pub fn bad_tls_url(&self, bad: BadTls) -> io::Result<String> {
        self.shared.bad_tls_url(bad)
    }

    /// Where the control endpoints are: `http://127.0.0.1:PORT/sandbox`.
    #[must_use]
    pub fn control_url(&self) -> String {
        format!("http://127.0.0.1:{}/sandbox", self.http_port)
    }

    /// The directory with certificates and config files.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.shared.dir.path()
    }

    /// The certificate of the CA, for the config key `ca_file`.
    #[must_use]
    pub fn ca_file(&self) -> PathBuf {
        self.shared.dir.join("ca.pem")
    }

    /// A config file for the library, with the HTTPS listener.
    #[must_use]
    pub fn config_file(&self) -> PathBuf {
        self.shared.dir.join("config.json")
    }

    /// What has been counted.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.shared.records.counters()
    }

    /// The last requests, the newest at the end.
    #[must_use]
    pub fn requests(&self) -> Vec<RequestRecord> {
        self.shared.records.requests()
    }

    /// Forgets counters, recorded requests and faults, and releases what is held. Clock, settings, keys and sessions
    /// stay as they are.
    pub fn reset(&self) {
        self.shared.reset();
    }

    /// Injects a fault.
    ///
    /// # Panics
    ///
    /// When it makes no sense, such as a status of 1000.
    pub fn order(&self, fault: Fault) {
        if let Err(why) = fault.check() {
            panic!("{why}");
        }
        self.shared.faults.order(fault);
    }

    /// The faults that are still to happen.
    #[must_use]
    pub fn faults(&self) -> Vec<Fault> {
        self.shared.faults.pending()
    }

    /// Takes back the faults that are still to happen.
    pub fn clear_faults(&self) {
        self.shared.faults.clear();
    }

    /// How many requests are held.
    #[must_use]
    pub fn held(&self) -> usize {
        self.shared.gate.held()
    }

    /// Waits until that many requests are held; `false` if that takes longer than the limit.
    #[must_use]
    pub fn wait_held(&self, count: usize, limit: Duration) -> bool {
        self.shared.gate.wait_held(count, limit)
    }

    /// Lets all held requests go on; tells how many there were.
    pub fn release(&self) -> usize {
        self.shared.gate.release()
    }

    /// The server's clock: seconds since 1970.
    #[must_use]
    pub fn now(&self) -> f64 {
        self.shared.clock.now()
    }

    /// Sets the server's clock to the machine's plus this many seconds.
    pub fn set_clock_offset(&self, seconds: f64) {
        self.shared.clock.set_offset(seconds);
    }

    /// How long access tokens are good for from now on.
    pub fn set_token_life(&self, seconds: f64) {
        self.shared.change_settings(|settings| settings.token_life_s = seconds);
    }

    /// For how long a spent refresh token is answered once more.
    pub fn set_grace(&self, grace: Option<Duration>) {
        self.shared.change_settings(|settings| settings.grace = grace);
    }

    /// The `max-age` of the JWKS.
    pub fn set_jwks_max_age(&self, seconds: Option<u32>) {
        self.shared.change_settings(|settings| settings.jwks_max_age_s = seconds);
    }

    /// A new key signs from now on. The old ones stay good if `keep_old`.
    ///
    /// # Errors
    ///
    /// When the key can't be made, or `public.pem` can't be written.
    pub fn rotate_keys(&self, keep_old: bool) -> io::Result<()> {
        self.shared.rotate_keys(keep_old)
    }

    /// Refuses all access tokens made until now; refresh tokens go on working.
    pub fn revoke(&self) {
        self.shared.platform().revoke();
    }

    /// Ends all sessions: neither their access tokens nor their refresh tokens are good any more.
    pub fn end_sessions(&self) {
        self.shared.platform().end_sessions();
    }

    /// The public key that goes with new tokens: SPKI in PEM.
    #[must_use]
    pub fn public_key_pem(&self) -> String {
        self.shared.keys.read().unwrap_or_else(PoisonError::into_inner).public_key_pem()
    }

    /// All public keys, as the JWKS endpoint gives them.
    #[must_use]
    pub fn jwks(&self) -> Value {
        self.shared.keys.read().unwrap_or_else(PoisonError::into_inner).jwks()
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.shared.stop();
    }
}
