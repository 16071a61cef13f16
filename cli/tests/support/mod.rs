//! A sandbox, a home directory of a test's own, and the command that runs there.
#![allow(dead_code)]

use std::fs;
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use gcauth_sandbox::{Algorithm, Options, Sandbox};
use serde_json::{Value, json};

/// How long a test waits for what has to happen; it never matters when all is well.
pub const LONG: Duration = Duration::from_secs(120);
pub const PASSWORD: &str = "lovelace";

/// The exit codes of `gcauth --help`.
pub const OTHER: i32 = 1;
pub const USAGE: i32 = 2;
pub const NOT_LOGGED_IN: i32 = 3;
pub const REFUSED: i32 = 4;
pub const NETWORK: i32 = 5;
pub const STORE: i32 = 6;
pub const VERIFICATION: i32 = 7;

pub struct World {
    pub sandbox: Sandbox,
    pub home: PathBuf,
}

impl World {
    pub fn new() -> Self {
        Self::with(Options::default())
    }

    pub fn of_life(token_life_s: f64) -> Self {
        Self::with(Options { token_life_s, ..Options::default() })
    }

    pub fn with(options: Options) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let home = std::env::temp_dir().join(format!("gcauth-cli-{}-{count}", std::process::id()));
        fs::DirBuilder::new().mode(0o700).create(&home).expect("a home directory");
        fs::create_dir(home.join("tmp")).expect("a directory for temporary files");
        let sandbox =
            Sandbox::start(Options { algorithm: Algorithm::EdDsa, record_bodies: true, ..options }).expect("a sandbox");
        let world = World { sandbox, home };
        world.configure(json!({}));
        world
    }

    /// Writes the config, with `more` over what leads to the sandbox.
    pub fn configure(&self, more: Value) {
        let mut config = json!({
            "env": "sandbox",
            "environments": {"sandbox": {"host": self.sandbox.http_url()}},
            "retries": 0,
        });
        for (key, value) in more.as_object().expect("an object") {
            config[key] = value.clone();
        }
        fs::write(self.config(), config.to_string()).expect("a config");
    }

    pub fn config(&self) -> PathBuf {
        self.home.join("config.json")
    }

    /// The session's directory.
    pub fn session_dir(&self, name: &str) -> PathBuf {
        self.home.join(".local/state/gcauth").join(name)
    }

    /// Where `gcauth exec` keeps its directories.
    pub fn private_dirs(&self) -> Vec<PathBuf> {
        let base = self.home.join(format!("tmp/gcauth-{}", nix::unistd::geteuid()));
        fs::read_dir(base).into_iter().flatten().map(|entry| entry.expect("an entry").path()).collect()
    }

    /// A program in this home, with nothing of the environment but the search path.
    pub fn program(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", &self.home)
            .env("TMPDIR", self.home.join("tmp"))
            .env("GCAUTH_CONFIG", self.config())
            .stdin(Stdio::null());
        command
    }

    pub fn gcauth(&self, args: &[&str]) -> Command {
        let mut command = self.program(env!("CARGO_BIN_EXE_gcauth"));
        command.args(args);
        command
    }

    /// Runs it to its end.
    pub fn run(&self, args: &[&str]) -> Outcome {
        Outcome::of(self.gcauth(args))
    }

    /// Runs it with `input` on its standard input.
    pub fn run_with_input(&self, args: &[&str], input: &str) -> Outcome {
        let mut command = self.gcauth(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        // It may end without reading.
        let _ = child.stdin.take().expect("standard input").write_all(input.as_bytes());
        Outcome::from(child.wait_with_output().expect("it ends"))
    }

    pub fn login(&self) {
        self.login_as("default");
    }

    pub fn login_as(&self, session: &str) {
        let args = ["login", "ada", "-o", "analytical-engines", "--password-stdin", "-q", "--session", session];
        self.run_with_input(&args, PASSWORD).assert_ok();
    }

    pub fn refreshes(&self) -> u64 {
        self.sandbox.counters().requests.refresh
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.home);
    }
}

/// How a command ended.
#[derive(Debug)]
pub struct Outcome {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl From<Output> for Outcome {
    fn from(output: Output) -> Self {
        Outcome {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).expect("UTF-8"),
            err: String::from_utf8(output.stderr).expect("UTF-8"),
        }
    }
}

impl Outcome {
    pub fn of(mut command: Command) -> Self {
        Outcome::from(command.output().expect("it starts"))
    }

    #[track_caller]
    pub fn assert_ok(self) -> Self {
        assert_eq!(self.code, Some(0), "{self:?}");
        self
    }

    /// It failed with this code, and said so on standard error only.
    #[track_caller]
    pub fn assert_fails(self, code: i32, said: &str) -> Self {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert!(self.err.contains(said), "{said} is missing in {self:?}");
        assert_eq!(self.out, "", "{self:?}");
        self
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The one line of the output.
    #[track_caller]
    pub fn line(&self) -> &str {
        let line = self.out.strip_suffix('\n').unwrap_or_else(|| panic!("no line: {self:?}"));
        assert!(!line.contains('\n'), "{self:?}");
        line
    }
}

/// Waits until `is_done`.
#[track_caller]
pub fn wait_until(what: &str, mut is_done: impl FnMut() -> bool) {
    let end = Instant::now() + LONG;
    while !is_done() {
        assert!(Instant::now() < end, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

pub fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::MetadataExt;
    fs::symlink_metadata(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).mode() & 0o7777
}

pub fn signal(child: &Child, signal: nix::sys::signal::Signal) {
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).expect("a pid"));
    nix::sys::signal::kill(pid, signal).expect("it is there");
}
