//! One login shared by processes: the places where it can lie, workers (the test program itself, started again), and
//! what they wrote down.
#![allow(dead_code)]

use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::str::FromStr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use gcauth::{Config, Error, Session, Status, Surroundings};
use gcauth_sandbox::{Algorithm, Options, Sandbox};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Map, Value, json};

use crate::redis::RedisServer;

/// How long a test waits for what has to happen; it never matters when all is well.
pub const LONG: Duration = Duration::from_secs(240);
/// Names what a worker has to do.
const WORK: &str = "GCAUTH_TEST_WORK";
/// The short lives that time-bound tests work with. The window is a third of it.
pub const LIFE_S: u64 = 6;
/// How much of such a life passes before somebody may renew.
pub const BEFORE_WINDOW_S: u64 = LIFE_S - LIFE_S / 3;
/// `timeout_ms` of tests that wait for leases to run out.
pub const SHORT_TIMEOUT_MS: u64 = 2000;
/// A lease that such a call took has run out after this long.
pub const LEASE: Duration = Duration::from_millis(SHORT_TIMEOUT_MS + 5000 + 500);

/// Whether tests have their full size.
pub fn is_soak() -> bool {
    std::env::var_os("GCAUTH_SOAK").is_some_and(|value| value == "1")
}

/// One of two sizes.
pub fn sized<T>(usual: T, soak: T) -> T {
    if is_soak() { soak } else { usual }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Flock,
    Lease,
    Redis,
}

/// Where a session lies.
pub struct Place {
    pub kind: Kind,
    pub dir: PathBuf,
    pub redis: Option<RedisServer>,
}

impl Place {
    /// None where there is no Redis.
    pub fn new(kind: Kind) -> Option<Self> {
        let redis = match kind {
            Kind::Redis => Some(RedisServer::start_with(&["--appendonly", "yes", "--appendfsync", "always"])?),
            _ => None,
        };
        Some(Place { kind, dir: directory(), redis })
    }

    pub fn store(&self) -> String {
        match &self.redis {
            Some(redis) => format!("{}?key=test", redis.url()),
            None => format!("file:{}", self.dir.join("store").join("session").display()),
        }
    }

    pub fn settings(&self) -> Value {
        match self.kind {
            Kind::Flock => json!({"store": self.store(), "store_lock": "flock"}),
            Kind::Lease => json!({"store": self.store(), "store_lock": "lease"}),
            Kind::Redis => json!({"store": self.store()}),
        }
    }

    /// What lies in the store's directory.
    pub fn files(&self) -> Vec<String> {
        let names = fs::read_dir(self.dir.join("store")).into_iter().flatten();
        let mut names: Vec<String> =
            names.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8")).collect();
        names.sort();
        names
    }

    /// That deaths have left nothing behind, once others have renewed twice.
    #[track_caller]
    pub fn assert_no_litter(&self, what: &str) {
        let files = self.files();
        let temporary: Vec<&String> =
            files.iter().filter(|name| name.contains(".tmp") || name.ends_with(".next")).collect();
        assert!(temporary.is_empty(), "{what}: litter in {files:?}");
        let most = if self.kind == Kind::Lease { 24 } else { 5 };
        assert!(files.len() <= most, "{what}: too many files: {files:?}");
    }

    /// Makes the store unusable, or usable again.
    pub fn take_away(&mut self) {
        match &mut self.redis {
            Some(redis) => redis.stop(),
            None => fs::rename(self.dir.join("store"), self.dir.join("away")).expect("it is renamed"),
        }
    }

    pub fn bring_back(&mut self) {
        match &mut self.redis {
            Some(redis) => redis.start_again(),
            None => fs::rename(self.dir.join("away"), self.dir.join("store")).expect("it is renamed"),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

fn directory() -> PathBuf {
    use std::os::unix::fs::DirBuilderExt;
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let dir = std::env::temp_dir().join(format!("gcauth-shared-{}-{count}", std::process::id()));
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder.create(dir.join("store")).expect("a directory for temporary files");
    dir
}

/// A server and a place; the session in it.
pub struct Shared {
    pub sandbox: Sandbox,
    pub place: Place,
    more: Value,
}

impl Shared {
    pub fn new(kind: Kind, token_life_s: u64, grace_s: Option<u64>, more: Value) -> Option<Self> {
        let place = Place::new(kind)?;
        let sandbox = Sandbox::start(Options {
            algorithm: Algorithm::EdDsa,
            token_life_s: token_life_s as f64,
            grace: grace_s.map(Duration::from_secs),
            record_bodies: true,
            ..Options::default()
        })
        .expect("the sandbox starts");
        Some(Shared { sandbox, place, more })
    }

    pub fn config(&self) -> Value {
        let mut config = json!({
            "env": "sandbox",
            "environments": {"sandbox": {"host": self.sandbox.http_url()}},
        });
        for settings in [&self.place.settings(), &self.more] {
            for (key, value) in settings.as_object().expect("an object") {
                config[key] = value.clone();
            }
        }
        config
    }

    pub fn session(&self) -> Session {
        session(&self.config(), None, None).expect("a session")
    }

    pub fn logged_in(&self) -> Session {
        let session = self.session();
        login(&session).expect("a login");
        session
    }

    /// Where workers write down what happens.
    pub fn log(&self) -> PathBuf {
        self.place.dir.join("log")
    }

    pub fn events(&self) -> Vec<Event> {
        read_log(&self.log())
    }

    pub fn note(&self, members: Value) {
        note(&self.log(), members);
    }

    /// A process that does `works`, one after another.
    pub fn worker(&self, group: &str, works: &[Value], env: &[(&str, &str)]) -> Worker {
        self.worker_with(self.config(), group, works, env)
    }

    pub fn worker_with(&self, config: Value, group: &str, works: &[Value], env: &[(&str, &str)]) -> Worker {
        self.worker_by(Command::new(this_program()), config, group, works, env)
    }

    /// A process that `command` makes of this program, the last of its arguments so far.
    pub fn worker_by(
        &self,
        mut command: Command,
        config: Value,
        group: &str,
        works: &[Value],
        env: &[(&str, &str)],
    ) -> Worker {
        let dir = self.place.dir.join(format!("group-{group}"));
        fs::create_dir_all(&dir).expect("a directory");
        let order = json!({"config": config, "works": works, "log": self.log(), "group": group});
        let child = command
            .args(["--exact", "worker", "--nocapture", "--test-threads=1", "--quiet"])
            .env(WORK, order.to_string())
            .envs(env.iter().copied())
            // Groups share nothing but what they are told.
            .env("TMPDIR", &dir)
            .current_dir(&dir)
            // In the test's own group, they would all be told to go on (SIGCONT) when the shell ends that started it.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("a process");
        Worker { child }
    }

    /// Tells workers that go round to come to an end.
    pub fn stop_file(&self) -> PathBuf {
        self.place.dir.join("stop")
    }

    /// The worker that waits for the answer to a refresh now.
    pub fn renewing_pid(&self) -> Option<u32> {
        let requests = self.sandbox.requests();
        let last = requests.last().filter(|last| last.status.is_none() && last.path.ends_with("refresh-token"))?;
        let agent = last.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("user-agent"))?;
        agent.1.strip_prefix("worker/")?.parse().ok()
    }

    /// Calls `bearer` all the time, until told to stop.
    pub fn round(&self, pause_ms: u64, refresh_every_ms: u64) -> Value {
        json!({
            "do": "round",
            "pause_ms": pause_ms,
            "refresh_every_ms": refresh_every_ms,
            "stop": self.stop_file(),
            "me": self.sandbox.http_url(),
        })
    }
}

/// A small generator of numbers; its seed is told, for a second run.
pub struct Dice(u64);

impl Dice {
    pub fn new() -> Self {
        let seed = std::env::var("GCAUTH_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(now_ms);
        eprintln!("GCAUTH_SEED={seed}");
        Dice(seed | 1)
    }

    pub fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).expect("a small number")
    }
}

/// The test program itself.
pub fn this_program() -> PathBuf {
    std::env::current_exe().expect("this program")
}

/// Another process.
pub struct Worker {
    child: Child,
}

impl Worker {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, signal: Signal) {
        let _ = kill(Pid::from_raw(i32::try_from(self.pid()).expect("a pid")), signal);
    }

    pub fn kill(&mut self) {
        self.signal(Signal::SIGKILL);
        let _ = self.child.wait();
    }

    /// Whether it has ended, in whatever way.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("its state").is_some()
    }

    /// Waits until it has stopped or ended; whether it has stopped.
    pub fn wait_stopped(&mut self) -> bool {
        let end = Instant::now() + LONG;
        while Instant::now() < end {
            let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap_or_default();
            // The name before may hold anything.
            if stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('T')) {
                return true;
            }
            if self.has_ended() {
                return false;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("a worker neither stops nor ends");
    }

    /// Waits for its end, and has it go on whenever it stops again; whether it ended well.
    pub fn join(&mut self) -> bool {
        let end = Instant::now() + LONG;
        while Instant::now() < end {
            if let Some(status) = self.child.try_wait().expect("its state") {
                return status.success();
            }
            self.signal(Signal::SIGCONT);
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("a worker does not end");
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Leaves the log for the picture, where somebody wants one.
pub fn keep_log(shared: &Shared, name: &str) {
    if let Some(dir) = std::env::var_os("GCAUTH_SOAK_DIR") {
        fs::copy(shared.log(), Path::new(&dir).join(format!("{name}.log"))).expect("a copy of the log");
    }
}

/// What a worker wrote down.
#[derive(Clone, Debug)]
pub struct Event(Map<String, Value>);

impl Event {
    pub fn what(&self) -> &str {
        self.text("what")
    }

    pub fn text(&self, name: &str) -> &str {
        self.0.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    pub fn number(&self, name: &str) -> u64 {
        self.0.get(name).and_then(Value::as_u64).unwrap_or_default()
    }

    pub fn pid(&self) -> u32 {
        u32::try_from(self.number("pid")).expect("a pid")
    }

    pub fn is_ok(&self) -> bool {
        self.text("status") == "Ok"
    }
}

/// One line, in one write: a process that is killed leaves all of it or nothing.
pub fn note(log: &Path, mut members: Value) {
    members["at_ms"] = now_ms().into();
    if members.get("pid").is_none() {
        members["pid"] = std::process::id().into();
    }
    let mut file = OpenOptions::new().create(true).append(true).open(log).expect("the log");
    file.write_all(format!("{members}\n").as_bytes()).expect("the log");
}

pub fn read_log(log: &Path) -> Vec<Event> {
    let text = fs::read_to_string(log).unwrap_or_default();
    text.lines().map(|line| Event(serde_json::from_str(line).expect("a line of the log"))).collect()
}

pub fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    u64::try_from(now.as_millis()).expect("not that late")
}

pub fn session(config: &Value, token: Option<&str>, refresh_token: Option<&str>) -> Result<Session, Error> {
    let config = Config::load(Some(&config.to_string()), &Surroundings::default())?;
    Session::new(config, token, refresh_token, None)
}

pub fn login(session: &Session) -> Result<(), Error> {
    session.login("ada", "lovelace", "analytical-engines", None)
}

pub fn bearer(session: &Session) -> Result<String, Error> {
    session.bearer().map(|current| current.bearer().expect("a bearer").to_owned())
}

/// A member of `info`.
pub fn info(session: &Session, name: &str) -> Value {
    let info = session.info().expect("info");
    serde_json::from_slice::<Value>(info.expose()).expect("JSON")[name].take()
}

/// Whether the error is for want of time only: somebody else held the lock, or the machine was busy, or the store was.
fn was_too_late(error: &Error) -> bool {
    match error.status() {
        Status::LockTimeout | Status::Timeout => true,
        Status::Store => error.is_retryable() && error.message().contains("no answer in time"),
        _ => false,
    }
}

/// Renews; tries again as long as there was no time for it.
pub fn refresh_patiently(session: &Session) -> Result<(), Error> {
    let end = Instant::now() + LONG;
    loop {
        match session.refresh(None) {
            Err(error) if was_too_late(&error) && Instant::now() < end => {}
            other => return other,
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The status of `GET me` with this token.
pub fn me(base: &str, bearer: &str) -> std::io::Result<u16> {
    let host = base.trim_start_matches("http://").split('/').next().expect("a host");
    let path = &base[base.find("/api").expect("a path")..];
    let mut socket = TcpStream::connect(host)?;
    write!(socket, "GET {path}/me HTTP/1.1\r\nHost: {host}\r\nAuthorization: {bearer}\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer)?;
    Ok(answer.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or_default())
}

/// What a test program's test `worker` does: nothing, unless it was started as one.
pub fn work() {
    let Ok(order) = std::env::var(WORK) else {
        return;
    };
    // Nobody else ends it when the test is broken off: Ctrl-C is for the test's own group.
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).expect("an end with the test");
    let order: Value = serde_json::from_str(&order).expect("an order");
    let log = PathBuf::from(order["log"].as_str().expect("a log"));
    let group = order["group"].as_str().expect("a group");
    let write = |what: &str, outcome: &Result<(), Error>, session: &Session| {
        let (status, message) = match outcome {
            Ok(()) => (Status::Ok, ""),
            Err(error) => (error.status(), error.message()),
        };
        note(
            &log,
            json!({
                "what": what, "group": group, "status": format!("{status:?}"), "message": message,
                "generation": info(session, "generation"), "made": info(session, "made"),
            }),
        );
    };
    let token = order["config"]["given_token"].as_str().map(str::to_owned);
    let refresh_token = order["config"]["given_refresh_token"].as_str().map(str::to_owned);
    let mut config = order["config"].clone();
    for key in ["given_token", "given_refresh_token"] {
        config.as_object_mut().expect("an object").remove(key);
    }
    // Tells the server who it is, for tests that want to know.
    config["user_agent"] = format!("worker/{}", std::process::id()).into();
    let make = || session(&config, token.as_deref(), refresh_token.as_deref()).expect("a session");
    let session = make();
    for work in order["works"].as_array().expect("works") {
        match work["do"].as_str().expect("what to do") {
            "refresh" => write("refresh", &session.refresh(None), &session),
            "bearer" => write("bearer", &session.bearer().map(drop), &session),
            "login" => write("login", &login(&session), &session),
            "logout" => write("logout", &session.logout(), &session),
            "sleep" => std::thread::sleep(Duration::from_millis(work["ms"].as_u64().expect("a time"))),
            "wait" => wait_for_file(Path::new(work["file"].as_str().expect("a path"))),
            // Somebody else's server turned down the token that we have.
            "reject" => {
                let held = session.current().and_then(|current| current.bearer().map(str::to_owned)).expect("a token");
                note(&log, json!({"what": "ready", "group": group}));
                wait_for_file(Path::new(work["file"].as_str().expect("a path")));
                write("reject", &session.report_rejected(&held), &session);
                let renewed = bearer(&session);
                write("bearer", &renewed.as_ref().map(drop).map_err(Clone::clone), &session);
                assert_ne!(renewed.as_ref().ok(), Some(&held), "a rejected token is handed out");
            }
            "handles" => {
                let count = work["count"].as_u64().expect("a count");
                for _ in 0..count {
                    let handle = make();
                    write("bearer", &handle.bearer().map(drop), &handle);
                }
            }
            "round" => go_round(&session, work, &log, group, &write),
            // The way out of a host without another.
            "forward" => {
                for port in work["ports"].as_array().expect("ports") {
                    let port = u16::try_from(port.as_u64().expect("a port")).expect("a port");
                    let there = IpAddr::from_str(work["to"].as_str().expect("an address")).expect("an address");
                    forward(TcpListener::bind(("127.0.0.1", port)).expect("a free port"), (there, port).into());
                }
                note(&log, json!({"what": "ready", "group": group}));
                std::thread::sleep(LONG * 10);
            }
            other => panic!("{other}: nothing that a worker does"),
        }
    }
}

/// Takes what comes at `here` to `there`, and back, from now on.
pub fn forward(here: TcpListener, there: SocketAddr) {
    std::thread::spawn(move || {
        for client in here.incoming().map_while(Result::ok) {
            std::thread::spawn(move || {
                let server = TcpStream::connect(there)?;
                let (mut from_client, mut to_server) = (client.try_clone()?, server.try_clone()?);
                std::thread::spawn(move || {
                    let _ = std::io::copy(&mut from_client, &mut to_server);
                    let _ = to_server.shutdown(Shutdown::Write);
                });
                let (mut from_server, mut to_client) = (server, client);
                let _ = std::io::copy(&mut from_server, &mut to_client);
                to_client.shutdown(Shutdown::Both)
            });
        }
    });
}

fn wait_for_file(path: &Path) {
    let end = Instant::now() + LONG;
    while !path.exists() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Writes what a call brought.
type Report<'a> = dyn Fn(&str, &Result<(), Error>, &Session) + 'a;

fn go_round(session: &Session, work: &Value, log: &Path, group: &str, write: &Report) {
    let stop = PathBuf::from(work["stop"].as_str().expect("a path"));
    let pause = Duration::from_millis(work["pause_ms"].as_u64().expect("a time"));
    let refresh_every_ms = work["refresh_every_ms"].as_u64().unwrap_or(0);
    let me_at = work["me"].as_str().expect("a URL");
    let (mut generation, mut made, mut calls) = (0, 0, 0u64);
    // Not all at once.
    let mut refresh_at = now_ms() + refresh_every_ms * u64::from(std::process::id() % 16) / 16;
    while !stop.exists() {
        let before_ms = now_ms();
        let outcome = session.bearer();
        calls += 1;
        match &outcome {
            // The cheap clock lags a little.
            Ok(current) if (current.expires_at() as u64) * 1000 + 20 < before_ms => {
                note(
                    log,
                    json!({"what": "expired", "group": group, "late_ms": before_ms - current.expires_at() as u64 * 1000}),
                );
            }
            Ok(_) => {}
            Err(error) => write("bearer", &Err(error.clone()), session),
        }
        let now = (info(session, "generation").as_u64().unwrap_or(0), info(session, "made").as_u64().unwrap_or(0));
        if now.0 != generation {
            let what = if now.1 > made { "renewed" } else { "adopted" };
            (generation, made) = now;
            note(log, json!({"what": what, "group": group, "generation": generation}));
            if let Ok(current) = &outcome
                && current.expires_at() as u64 * 1000 > now_ms() + 2000
            {
                let status = me(me_at, current.bearer().expect("a bearer")).unwrap_or(0);
                if status != 200 {
                    note(log, json!({"what": "turned away", "group": group, "code": status}));
                }
            }
        }
        drop(outcome);
        if refresh_every_ms > 0 && now_ms() >= refresh_at {
            refresh_at = now_ms() + refresh_every_ms;
            let outcome = session.refresh(None);
            if outcome.as_ref().is_err_and(|error| !was_too_late(error)) {
                write("refresh", &outcome, session);
            }
        }
        std::thread::sleep(pause);
    }
    note(log, json!({"what": "end", "group": group, "generation": generation, "made": made, "calls": calls}));
}
