//! A session: one login and its tokens, renewed ahead of time, shared by all threads that hold it.
#![forbid(unsafe_code)]

mod bearer;
mod info;
mod looks;
mod replica;
mod valid_for;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Instant;

use arc_swap::{ArcSwap, ArcSwapOption, Guard};

use crate::author::Author;
use crate::clock::{Clock, millis};
use crate::config::{Config, StoreChoice};
use crate::drift::Drift;
use crate::error::{Error, Result, Status};
use crate::export::Exported;
use crate::fork::ProcessMark;
use crate::gate::{Admission, ProcessGate};
use crate::grant::Grant;
use crate::key_source::KeySource;
use crate::log::{Journal, Log, LogLevel, LogSink};
use crate::platform::{Credentials, Platform};
use crate::random;
use crate::record::{Notes, Record, Tokens, Version};
use crate::renewal::{Renewal, Renewed, Wish};
use crate::schedule::{Origin, Policy, Watch};
#[cfg(feature = "redis")]
use crate::store::RedisStore;
use crate::store::{Codec, FileStore, Hurry, Impatient, MemoryStore, Store};
use crate::text::{is_quoted, is_visible_ascii};
use crate::token::{KeyCache, Payload};
use crate::wrong_clocks::WrongClocks;
use looks::Looks;
use replica::Unsaved;

const MAX_PROJECT_LEN: usize = 64 * 1024;

#[cfg(test)]
mod tests;

/// One login and its tokens. Share it between threads by reference.
pub struct Session {
    config: Config,
    env: String,
    host: String,
    platform: Platform,
    store: Arc<dyn Store>,
    clock: Clock,
    policy: Policy,
    /// Where the store is.
    place: Option<Arc<str>>,
    current: ArcSwap<Grant>,
    gate: ProcessGate,
    drift: Drift,
    /// Keys that callers give.
    keys: KeyCache,
    /// Keys that the config names.
    key_source: KeySource,
    /// Whether the store was read at all.
    is_read: AtomicBool,
    /// Whether this handle has put the given tokens into an empty store, and has not tried to spend them since: the store
    /// may have lost something newer.
    has_seeded: AtomicBool,
    looks: Looks,
    /// The fingerprint of a token that was reported before the store was read.
    reported: ArcSwapOption<String>,
    /// Whether the log was told of a token whose `exp` can't be read.
    has_warned_of_exp: AtomicBool,
    unsaved: ArcSwapOption<Unsaved>,
    /// Why a login that was never saved has come to nothing; until the next one.
    displaced: ArcSwapOption<Error>,
    /// Earliest monotonic time (ms) at which it is offered to the store again.
    save_again_ms: AtomicI64,
    counts: Counts,
    log: Log,
}

/// What this handle did about renewals.
#[derive(Debug, Default)]
struct Counts {
    made: AtomicU64,
    joined: AtomicU64,
    adopted: AtomicU64,
}

impl Counts {
    fn add(count: &AtomicU64) {
        count.fetch_add(1, Ordering::Relaxed);
    }
}

/// A token that was current when it was asked for; it stays readable when the session moves on.
pub struct Current(Guard<Arc<Grant>>);

impl Current {
    /// `Bearer <token>`, for an Authorization header.
    pub fn bearer(&self) -> Result<&str> {
        self.0.record.tokens.bearer().ok_or_else(|| self.0.no_token())
    }

    /// The same, as it is copied in front of every request.
    #[inline]
    pub(crate) fn bearer_bytes(&self) -> Option<&[u8]> {
        self.0.record.tokens.bearer_bytes()
    }

    /// When this token expires: Unix seconds, rounded down; 0 when the token does not say.
    #[inline]
    pub fn expires_at(&self) -> i64 {
        self.0.schedule.expires_at_s()
    }

    /// The access token.
    pub fn token(&self) -> Result<&str> {
        self.0.token()
    }

    /// The refresh token.
    pub fn refresh_token(&self) -> Result<&str> {
        self.0.record.tokens.refresh_token().ok_or_else(|| self.0.no_refresh_token())
    }

    /// The token type: `Bearer` unless the server said otherwise.
    pub fn token_type(&self) -> &str {
        &self.0.record.tokens.token_type
    }

    /// The payload of the token, not verified.
    pub fn payload(&self) -> Result<&Payload> {
        self.0.payload()
    }
}

impl fmt::Debug for Current {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Session {
    /// A session for the environment `env` (or the config's own), with tokens that the caller has already, if any.
    /// White space around them and `Bearer ` before the token are taken off. No network is touched.
    pub fn new(config: Config, token: Option<&str>, refresh_token: Option<&str>, env: Option<&str>) -> Result<Self> {
        Self::with_clock(config, token, refresh_token, env, Clock::System)
    }

    /// As [`Session::new`], with a clock of the caller's.
    pub fn with_clock(
        config: Config,
        token: Option<&str>,
        refresh_token: Option<&str>,
        env: Option<&str>,
        clock: Clock,
    ) -> Result<Self> {
        let token = given("token", token.map(strip_scheme))?;
        let refresh_token = given("refresh_token", refresh_token.map(trim))?;
        let tokens = Tokens::new(token, refresh_token, None, None)?;
        Self::start(config, tokens, env, clock)
    }

    /// The session that [`Session::to_json`] wrote, with the config to go on with. Its environment and host must be
    /// the config's.
    pub fn from_json(config: Config, json: &str) -> Result<Self> {
        let exported = Exported::parse(json)?;
        let (env, host) = config.environment(None)?;
        exported.check_place(env, host.as_str())?;
        Self::start(config, tokens_of(&exported)?, None, Clock::System)
    }

    fn start(config: Config, tokens: Tokens, env: Option<&str>, clock: Clock) -> Result<Self> {
        let (env, host) = config.environment(env)?;
        let platform = Platform::new(&config, host, clock.clone())?;
        let record = Record {
            version: Version { session: random::number(), generation: 0 },
            tokens,
            origin: Origin::Given,
            received: clock.now(),
            author: Author::here(),
            notes: Notes::default(),
            clocks: WrongClocks::default(),
        };
        let codec = Codec { env: env.to_owned(), host: host.as_str().to_owned() };
        let store: Arc<dyn Store> = match &config.store {
            StoreChoice::Memory => Arc::new(MemoryStore::new(record.clone())),
            StoreChoice::File(path, lock) => Arc::new(FileStore::new(path.clone(), *lock, codec)),
            StoreChoice::User(path, lock) => Arc::new(FileStore::of_user(path.clone(), *lock, codec)),
            #[cfg(feature = "redis")]
            StoreChoice::Redis(url) => {
                Arc::new(RedisStore::new(url.clone(), &config.redis_trust, codec, config.connection.connect_timeout))
            }
        };
        let (env, host) = (env.to_owned(), host.as_str().to_owned());
        Ok(Self::assemble(config, env, host, platform, store, record, clock))
    }

    /// A session of these parts.
    pub(crate) fn assemble(
        config: Config,
        env: String,
        host: String,
        platform: Platform,
        store: Arc<dyn Store>,
        record: Record,
        clock: Clock,
    ) -> Self {
        let watch = match (store.is_shared(), config.revokes_old_tokens) {
            (false, _) => Watch::Never,
            (true, false) => Watch::Loosely,
            (true, true) => Watch::Closely,
        };
        let jitter = 1.0 - 0.1 * random::fraction();
        let policy = Policy { renew_before_ms: millis(config.renew_before), jitter, watch };
        let place = store.place().map(Arc::from);
        let grant = Grant::new(Arc::new(record), clock.now(), 0, policy, place.clone());
        if store.is_shared() {
            // What is stored goes before what was given: nothing is handed out unseen.
            grant.cool();
        }
        Session {
            env,
            host,
            platform,
            clock,
            policy,
            place,
            current: ArcSwap::from_pointee(grant),
            gate: ProcessGate::new(),
            drift: Drift::new(millis(config.clock_leeway)),
            keys: KeyCache::new(),
            key_source: KeySource::new(config.public_key.clone(), config.jwks_url.clone()),
            is_read: AtomicBool::new(!store.is_shared()),
            has_seeded: AtomicBool::new(false),
            looks: Looks::new(),
            reported: ArcSwapOption::empty(),
            has_warned_of_exp: AtomicBool::new(false),
            unsaved: ArcSwapOption::empty(),
            displaced: ArcSwapOption::empty(),
            save_again_ms: AtomicI64::new(i64::MIN),
            counts: Counts::default(),
            log: Log::default(),
            store,
            config,
        }
    }

    /// Logs in. On failure the session is as before.
    pub fn login(&self, username: &str, password: &str, organization_id: &str, project_id: Option<&str>) -> Result<()> {
        check_project(project_id)?;
        let journal = self.log.journal();
        let credentials = Credentials { username, password, organization_id, project_id };
        let outcome = self.begin_session(&credentials, &journal);
        match &outcome {
            Ok(generation) => {
                journal.tell(LogLevel::Information, || format!("logged in: generation {generation} of the session"));
            }
            Err(error) => journal.tell(LogLevel::Error, || format!("login failed: {}", error.message())),
        }
        outcome.map(drop)
    }

    fn begin_session(&self, credentials: &Credentials, journal: &Journal) -> Result<u64> {
        let deadline = self.deadline();
        let gate = self.gate.get();
        let _turn = loop {
            match gate.turn_or_wait(deadline, |_| None) {
                Admission::Turn(turn) => break turn,
                Admission::Waited => {}
                Admission::Held(error) => return Err(error),
            }
        };
        let held = self.current.load_full();
        let began = self.renewal(deadline, false, journal).begin_session(deadline, random::number(), || {
            self.platform.login(credentials, &held.record.tokens, deadline, journal)
        })?;
        self.is_read.store(true, Ordering::Release);
        match began {
            Renewed::Unsaved { record, seen, error } => {
                self.displaced.store(None);
                self.keep_unsaved(*record, seen, &error, &self.current.load_full(), journal);
                Err(error)
            }
            Renewed::Made(record) | Renewed::Adopted(record) => {
                let generation = record.version.generation;
                self.start_anew(record);
                Ok(generation)
            }
            Renewed::Held(_) => {
                Err(Error::new(Status::LockTimeout, "another process held this session too long; try again"))
            }
        }
    }

    /// Renews now, whatever the expiry. `project_id` scopes the session to that project from now on; `None` keeps the
    /// scope. A renewal that somebody else made meanwhile, with the scope asked for, will do.
    pub fn refresh(&self, project_id: Option<&str>) -> Result<()> {
        check_project(project_id)?;
        let journal = self.log.journal();
        let deadline = self.deadline();
        self.read_store(deadline)?;
        let begun = self.current.load_full();
        let gate = self.gate.get();
        let turns = gate.turns();
        loop {
            let grant = self.current.load_full();
            let scope = project_id.or(grant.record.tokens.scope.as_deref());
            let is_newer = grant.record.version != begun.record.version;
            if is_newer && grant.record.tokens.bearer().is_some() && grant.record.tokens.scope.as_deref() == scope {
                return self.save(deadline, &journal);
            }
            self.check_may_spend(&grant)?;
            match gate.turn_or_wait(deadline, |state| state.error_since(turns, scope)) {
                Admission::Turn(turn) if self.is_current(&grant) => {
                    self.renew(
                        &turn,
                        &grant,
                        Wish { project: project_id, is_early: false, is_explicit: true, deadline },
                        &journal,
                    )?;
                }
                Admission::Turn(_) => {}
                Admission::Waited => Counts::add(&self.counts.joined),
                Admission::Held(error) => return Err(error),
            }
        }
    }

    /// Goes on with the session that [`Session::to_json`] wrote, in the place of the one that is there, for all who share
    /// it. Its environment and host must be those of this session.
    pub fn replace(&self, json: &str) -> Result<()> {
        let exported = Exported::parse(json)?;
        exported.check_place(&self.env, &self.host)?;
        let journal = self.log.journal();
        let record = self.renewal(self.deadline(), false, &journal).replace(random::number(), tokens_of(&exported)?)?;
        journal.tell(LogLevel::Information, || "an exported session was taken over".to_owned());
        self.start_anew(record);
        self.is_read.store(true, Ordering::Release);
        Ok(())
    }

    /// Forgets the session, for all who share it, and then tells the server, where the config says how. Whether the
    /// server has heard makes no difference to the outcome.
    pub fn logout(&self) -> Result<()> {
        let journal = self.log.journal();
        let deadline = self.deadline();
        let held = self.current.load_full();
        let (tombstone, last) = self.renewal(deadline, false, &journal).end_session(random::number())?;
        journal.tell(LogLevel::Information, || "logged out".to_owned());
        self.start_anew(tombstone);
        self.is_read.store(true, Ordering::Release);
        // What the store could not take, or has lost, is here only.
        let is_newer = |last: &Arc<Record>| {
            let (ours, theirs) = (held.record.version, last.version);
            ours.session == theirs.session && ours.generation > theirs.generation
        };
        let last = last.filter(|last| !is_newer(last)).unwrap_or_else(|| held.record.clone());
        // A child must not end its parent's session.
        let is_ours = self.store.is_shared() || held.process == ProcessMark::current();
        if is_ours
            && !last.tokens.is_none()
            && let Err(error) = self.platform.logout(&last.tokens, deadline, &journal)
        {
            journal.tell(LogLevel::Warning, || {
                format!("the session is ended here, but the server does not know: {}", error.message())
            });
        }
        Ok(())
    }

    /// Whatever was kept here of an earlier login is void.
    fn start_anew(&self, record: Arc<Record>) {
        self.unsaved.store(None);
        self.displaced.store(None);
        self.settle(record);
    }

    /// What is there, expired or not. Never renews; a shared store that nobody has read yet is read first.
    pub fn current(&self) -> Result<Current> {
        self.read_once(|| self.deadline())?;
        let grant = self.current.load_full();
        if grant.record.tokens.is_none() {
            // Somebody may have logged in meanwhile.
            self.has_changed(&grant, self.deadline());
            if let Some(error) = self.displaced() {
                return Err(error);
            }
        }
        Ok(Current(self.current.load()))
    }

    /// Sets where lines about this session go from now on, up to which level; None: nowhere. Returns when no other thread
    /// is in the sink that was there before. A sink is called by the thread that calls the session, while that holds no
    /// lock; it must not call the session itself. No line holds a secret.
    pub fn set_log(&self, sink: Option<(LogLevel, Arc<LogSink>)>) -> Result<()> {
        self.log.set(sink)
    }

    fn renewal<'a>(&'a self, deadline: Instant, is_early: bool, journal: &'a Journal) -> Renewal<'a> {
        Renewal {
            platform: &self.platform,
            store: self.store_for(is_early),
            clock: &self.clock,
            drift: &self.drift,
            journal,
            timeout: self.config.timeout,
            deadline,
            is_early,
        }
    }

    /// The store for a call; for one that has a valid token it has to be quick.
    fn store_for(&self, is_early: bool) -> Arc<dyn Store> {
        if is_early { Arc::new(Impatient::new(self.store.clone(), self.clock.clone())) } else { self.store.clone() }
    }

    /// Whether `grant` is still the current one.
    fn is_current(&self, grant: &Arc<Grant>) -> bool {
        Arc::ptr_eq(&self.current.load(), grant)
    }

    fn deadline(&self) -> Instant {
        self.clock.instant() + self.config.timeout
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // The last chance for an answer that the store could not take; a child leaves it to its parent.
        if self.unsaved.load().as_deref().is_some_and(Unsaved::is_of_this_process) {
            let _hurry = Hurry::enter();
            let _ = self.save(self.early_until(self.deadline()), &self.log.journal());
        }
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("env", &self.env)
            .field("host", &self.host)
            .field("current", &self.current.load())
            .finish_non_exhaustive()
    }
}

/// The tokens of an exported session.
fn tokens_of(exported: &Exported) -> Result<Tokens> {
    Tokens::new(
        given("token", exported.token().map(strip_scheme))?,
        given("refresh_token", exported.refresh_token().map(trim))?,
        given("token_type", exported.token_type())?,
        exported.project_id(),
    )
}

/// A token as people have it: with white space around, and a byte order mark before it. Blanks that are not ASCII are none
/// that a file ends with.
fn trim(text: &str) -> &str {
    text.trim_start_matches(|c: char| c == '\u{feff}' || c.is_ascii_whitespace()).trim_ascii_end()
}

/// The same, perhaps with the scheme before it.
fn strip_scheme(text: &str) -> &str {
    let text = trim(text);
    match text.split_at_checked(7) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("Bearer ") => trim(token),
        _ if text.eq_ignore_ascii_case("Bearer") => "",
        _ => text,
    }
}

/// A token from outside: an empty one is none, and one that could break a header is refused.
fn given<'a>(name: &str, text: Option<&'a str>) -> Result<Option<&'a str>> {
    match text {
        None | Some("") => Ok(None),
        Some(text) if !is_visible_ascii(text) => Err(Error::new(
            Status::InvalidArgument,
            format!("{name} holds {}; give visible ASCII only", first_odd(text)),
        )),
        Some(text) if is_quoted(text) => {
            Err(Error::new(Status::InvalidArgument, format!("{name} stands in quotes; give it without them")))
        }
        Some(text) => Ok(Some(text)),
    }
}

/// What is wrong with the first character that is not visible ASCII. A token is never shown, not even in part.
fn first_odd(text: &str) -> &'static str {
    match text.chars().find(|c| !c.is_ascii_graphic()) {
        Some(c) if c.is_ascii_whitespace() => "white space inside",
        Some(c) if c.is_ascii() => "a control character",
        Some('\u{feff}') => "a byte order mark inside",
        Some('\u{2018}'..='\u{201f}') => "typographic quotes",
        _ => "a character that is not ASCII",
    }
}

/// A project's name is kept in many places, and is no place for megabytes.
fn check_project(project_id: Option<&str>) -> Result<()> {
    match project_id {
        Some(project) if project.len() > MAX_PROJECT_LEN => {
            Err(Error::new(Status::InvalidArgument, "project_id is longer than 64 KiB"))
        }
        _ => Ok(()),
    }
}
