//! A sandbox server and a session that live by the same clock, which only moves when a test says so.
#![allow(dead_code)]

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gcauth::clock::{Clock, ManualClock};
use gcauth::{Config, Error, Session, Status, Surroundings};
use gcauth_sandbox::{Algorithm, Counters, Effect, Fault, Moment, Options, Sandbox, Target};
use serde_json::{Value, json};

pub const USER: &str = "ada";
pub const PASSWORD: &str = "lovelace";
pub const ORGANIZATION: &str = "analytical-engines";
pub const PROJECT: &str = "genomes";
pub const OTHER_PROJECT: &str = "exomes";

/// How long a test waits for something that has to happen; it never matters when all is well.
pub const LONG: Duration = Duration::from_secs(120);

pub struct World {
    pub sandbox: Sandbox,
    pub clock: Arc<ManualClock>,
    moved_s: std::cell::Cell<f64>,
}

impl World {
    pub fn new() -> Self {
        Self::with(Options::default())
    }

    pub fn with(options: Options) -> Self {
        let options = Options { algorithm: Algorithm::Es256, record_bodies: true, ..options };
        let sandbox = Sandbox::start(options).expect("the sandbox starts");
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        World {
            sandbox,
            clock: ManualClock::at_ms(i64::try_from(now.as_millis()).unwrap()),
            moved_s: std::cell::Cell::new(0.0),
        }
    }

    /// Time passes, here and at the server.
    pub fn advance(&self, seconds: f64) {
        self.clock.advance_ms((seconds * 1000.0) as i64);
        self.moved_s.set(self.moved_s.get() + seconds);
        self.sandbox.set_clock_offset(self.moved_s.get());
    }

    /// A config for the sandbox, with `more` over it.
    pub fn config(&self, more: Value) -> Config {
        let mut config = json!({
            "env": "sandbox",
            "environments": {"sandbox": {"host": self.sandbox.http_url()}},
            // Tests count requests; those that are about retries say so.
            "retries": 0,
        });
        for (key, value) in more.as_object().unwrap() {
            config[key] = value.clone();
        }
        Config::load(Some(&config.to_string()), &Surroundings::default()).unwrap()
    }

    /// A session that has not logged in.
    pub fn session(&self, more: Value) -> Session {
        self.session_of(more, None, None)
    }

    /// A session with given tokens.
    pub fn session_of(&self, more: Value, token: Option<&str>, refresh_token: Option<&str>) -> Session {
        Session::with_clock(self.config(more), token, refresh_token, None, Clock::Manual(self.clock.clone())).unwrap()
    }

    /// A session that has logged in.
    pub fn logged_in(&self, more: Value) -> Session {
        let session = self.session(more);
        login(&session).unwrap();
        session
    }

    pub fn order(&self, fault: Fault) {
        self.sandbox.order(fault);
    }

    pub fn fail_refresh(&self, status: u16) {
        self.order(Fault::status(Target::Refresh, status).forever());
    }

    /// The next refresh is not answered before `release`.
    pub fn hold_refresh(&self) {
        self.order(Fault::new(Target::Refresh, Effect::Hold { at: Moment::BeforeProcessing }));
    }

    pub fn wait_held(&self) {
        assert!(self.sandbox.wait_held(1, LONG), "nothing is held");
    }

    pub fn counters(&self) -> Counters {
        self.sandbox.counters()
    }

    /// How many refresh requests arrived.
    pub fn refresh_requests(&self) -> u64 {
        self.counters().requests.refresh
    }

    /// The body of the last request to a path that ends in `end`.
    pub fn last_body(&self, end: &str) -> Value {
        let requests = self.sandbox.requests();
        let request = requests.iter().rev().find(|request| request.path.ends_with(end)).expect("such a request");
        serde_json::from_str(request.raw_body.as_deref().unwrap()).unwrap()
    }
}

pub fn login(session: &Session) -> gcauth::Result<()> {
    session.login(USER, PASSWORD, ORGANIZATION, None)
}

pub fn bearer(session: &Session) -> Result<String, Error> {
    session.bearer().map(|current| current.bearer().unwrap().to_owned())
}

pub fn token(session: &Session) -> String {
    session.current().unwrap().token().unwrap().to_owned()
}

pub fn refresh_token(session: &Session) -> String {
    session.current().unwrap().refresh_token().unwrap().to_owned()
}

#[track_caller]
pub fn assert_status<T: std::fmt::Debug>(outcome: Result<T, Error>, status: Status) -> Error {
    let error = outcome.expect_err("an error");
    assert_eq!(error.status(), status, "{error}");
    error
}
