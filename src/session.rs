//! A session: one login and its tokens, renewed ahead of time, shared by all threads that hold it.
#![forbid(unsafe_code)]

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Instant;

use arc_swap::{ArcSwap, ArcSwapOption, Guard};

use crate::clock::{Clock, Now};
use crate::config::{Config, StoreChoice};
use crate::drift::Drift;
use crate::error::{Error, Result, Status};
use crate::export::Exported;
use crate::fork::ProcessMark;
use crate::gate::{Admission, Failure, ProcessGate, Turn};
use crate::grant::{Grant, no_token};
use crate::key_source::KeySource;
use crate::log::{Journal, Log, LogLevel, LogSink};
use crate::platform::{Credentials, Platform, is_header_safe, no_refresh_token};
use crate::random;
use crate::record::{Author, Notes, Record, Tokens, Version};
use crate::renewal::{Renewal, Renewed, Wish, early_after_doubt_ms};
use crate::schedule::{Life, Origin, Policy};
use crate::secret::SecretBytes;
#[cfg(feature = "redis")]
use crate::store::RedisStore;
use crate::store::{Codec, Commit, Expected, FileStore, MemoryStore, Store};
use crate::token::{self, KeyCache, Payload};
use crate::wiped_json::{Member, write_object};

const MAX_PROJECT_LEN: usize = 64 * 1024;
/// Longer than a store takes to take a record, or to fail.
const LONGEST_SAVE_MS: i64 = 20_000;

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
    /// Reading of the steady clock before which the store is not looked into again.
    look_again_ms: AtomicI64,
    unsaved: ArcSwapOption<Unsaved>,
    /// Reading of the steady clock before which it is not offered to the store again.
    save_again_ms: AtomicI64,
    counts: Counts,
    log: Log,
}

/// A record that the store could not take.
struct Unsaved {
    record: Arc<Record>,
    seen: Version,
    process: ProcessMark,
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
        self.0.record.tokens.bearer().ok_or_else(no_token)
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
        self.0.record.tokens.refresh_token().ok_or_else(no_refresh_token)
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

/// What a look at the current token asks for.
enum Need {
    /// Hand it out.
    Nothing,
    /// Hand it out, and renew it if nobody else does.
    EarlyRenewal,
    /// There is nothing else to hand out.
    Renewal,
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
        let refresh_token = given("refresh_token", refresh_token.map(str::trim))?;
        let tokens = Tokens::new(token, refresh_token, None, None)?;
        Self::start(config, tokens, env, clock)
    }

    /// The session that [`Session::to_json`] wrote, with the config to go on with. Its environment and host must be
    /// the config's.
    pub fn from_json(config: Config, json: &str) -> Result<Self> {
        let exported = Exported::parse(json)?;
        let (env, host) = config.environment(None)?;
        if exported.env() != Some(env) || !exported.host().is_some_and(|other| host.is_same_base(other)) {
            return Err(Error::new(
                Status::Config,
                "the exported session belongs to another env or host than the config's; give the config it was made with",
            ));
        }
        let tokens = Tokens::new(
            given("token", exported.token().map(strip_scheme))?,
            given("refresh_token", exported.refresh_token().map(str::trim))?,
            exported.token_type(),
            exported.project_id(),
        )?;
        Self::start(config, tokens, None, Clock::System)
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
        };
        let codec = Codec { env: env.to_owned(), host: host.as_str().to_owned(), clock: clock.clone() };
        let store: Arc<dyn Store> = match &config.store {
            StoreChoice::Memory => Arc::new(MemoryStore::new(record.clone())),
            StoreChoice::File(path, lock) => Arc::new(FileStore::new(path.clone(), *lock, codec)),
            #[cfg(feature = "redis")]
            StoreChoice::Redis(url) => {
                Arc::new(RedisStore::new(url.clone(), &config.trust, codec, config.connect_timeout))
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
        let policy = Policy { renew_before_ms: millis(config.renew_before), jitter: 1.0 - 0.1 * random::fraction() };
        let grant = Grant::new(Arc::new(record), clock.now(), 0, policy);
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
            current: ArcSwap::from_pointee(grant),
            gate: ProcessGate::new(),
            drift: Drift::new(millis(config.clock_leeway)),
            keys: KeyCache::new(),
            key_source: KeySource::new(config.public_key.clone(), config.jwks_url.clone()),
            is_read: AtomicBool::new(!store.is_shared()),
            has_seeded: AtomicBool::new(false),
            look_again_ms: AtomicI64::new(i64::MIN),
            unsaved: ArcSwapOption::empty(),
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
        let began = self.renewal(deadline, journal).begin_session(deadline, random::number(), || {
            self.platform.login(credentials, &held.record.tokens, deadline, journal)
        })?;
        self.is_read.store(true, Ordering::Release);
        match began {
            Renewed::Unsaved { record, seen, error } => {
                self.keep_unsaved(*record, seen, &error, &self.current.load_full(), journal);
                Err(error)
            }
            Renewed::Made(record) | Renewed::Adopted(record) => {
                self.unsaved.store(None);
                Ok(self.install(record, &self.current.load_full()).record.version.generation)
            }
            Renewed::Held => {
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

    /// The token to send, renewed if it is time to. On a valid token this takes no lock, allocates nothing and makes no
    /// system call.
    #[inline]
    pub fn bearer(&self) -> Result<Current> {
        match self.bearer_at(self.clock.coarse_s()) {
            Some(current) => Ok(current),
            None => self.bearer_with_care().map(|grant| Current(Guard::from_inner(grant))),
        }
    }

    /// The current token, if it can be handed out at this second of the machine's clock, read coarsely, without another
    /// look.
    #[inline]
    pub(crate) fn bearer_at(&self, coarse_s: i64) -> Option<Current> {
        let current = self.current.load();
        current.is_hot(coarse_s).then_some(Current(current))
    }

    #[cold]
    fn bearer_with_care(&self) -> Result<Arc<Grant>> {
        let journal = self.log.journal();
        let deadline = self.deadline();
        if !self.is_read.load(Ordering::Acquire) {
            let grant = self.current.load_full();
            let is_good = self.is_good(&grant);
            // A store that is down costs nothing while there is a valid token.
            if is_good && !self.may_look(self.clock.now()) {
                return Ok(grant);
            }
            if let Err(error) = self.read_store(deadline) {
                journal.tell(LogLevel::Warning, || error.message().to_owned());
                return if is_good { Ok(grant) } else { Err(error) };
            }
        }
        self.try_save(deadline, &journal);
        let mut may_try_early = true;
        loop {
            let grant = self.current.load_full();
            let now = self.clock.now();
            let need = match self.need(&grant, now) {
                Ok(need) => need,
                Err(_) if self.has_changed(&grant, now, deadline) => continue,
                Err(error) => return Err(error),
            };
            match need {
                Need::Nothing => {
                    grant.warm(now);
                    return Ok(grant);
                }
                Need::EarlyRenewal => {
                    if !may_try_early || !self.may_look(now) {
                        return Ok(grant);
                    }
                    may_try_early = false;
                    let version = grant.record.version;
                    let gate = self.gate.get();
                    if let Some(turn) = gate.try_turn(|state| state.is_early_held(version, now.mono_ms))
                        && self.is_current(&grant)
                    {
                        // A failure costs nothing while the token is valid; the next round looks whether it still is.
                        let _ = self.renew(
                            &turn,
                            &grant,
                            Wish { project: None, is_early: true, is_explicit: false, deadline },
                            &journal,
                        );
                    }
                }
                Need::Renewal => match self.must_renew(&grant, now, deadline, &journal) {
                    Ok(()) => {}
                    Err(error) if may_stand_in(&grant, self.clock.now(), &error) => return Ok(grant),
                    Err(error) => return Err(error),
                },
            }
        }
    }

    /// Renews, or waits until somebody else has tried; then it is time to look again.
    fn must_renew(&self, grant: &Arc<Grant>, now: Now, deadline: Instant, journal: &Journal) -> Result<()> {
        let gate = self.gate.get();
        let version = grant.record.version;
        match gate.turn_or_wait(deadline, |state| state.late_error(version, now.mono_ms)) {
            Admission::Turn(turn) if self.is_current(grant) => {
                self.renew(&turn, grant, Wish { project: None, is_early: false, is_explicit: false, deadline }, journal)
            }
            Admission::Turn(_) => Ok(()),
            Admission::Waited => {
                Counts::add(&self.counts.joined);
                Ok(())
            }
            // Another process may have had more luck meanwhile.
            Admission::Held(_) if self.has_changed(grant, now, deadline) => Ok(()),
            Admission::Held(error) => Err(error),
        }
    }

    fn need(&self, grant: &Grant, now: Now) -> Result<Need> {
        let tokens = &grant.record.tokens;
        if tokens.bearer().is_none() {
            if tokens.refresh_token().is_none() {
                return Err(no_token());
            }
            self.check_may_spend(grant)?;
            return Ok(Need::Renewal);
        }
        let life = grant.schedule.life(now);
        if life == Life::Expired && tokens.refresh_token().is_none() {
            return Err(Error::new(
                Status::TokenExpired,
                "the token has expired, and there is no refresh token to renew it with; log in again",
            ));
        }
        if life == Life::Expired || grant.is_rejected() {
            self.check_may_spend(grant)?;
            return Ok(Need::Renewal);
        }
        match life {
            Life::Due if self.check_may_spend(grant).is_ok() => Ok(Need::EarlyRenewal),
            _ => Ok(Need::Nothing),
        }
    }

    /// Whether there is a refresh token that this process may spend.
    fn check_may_spend(&self, grant: &Grant) -> Result<()> {
        if grant.record.tokens.refresh_token().is_none() {
            return Err(no_refresh_token());
        }
        if !self.store.is_shared() && grant.process != ProcessMark::current() {
            return Err(Error::new(
                Status::Forked,
                "a forked child may not spend its parent's refresh token: log in again here, or share the session by the config key \"store\"",
            ));
        }
        Ok(())
    }

    /// Renews the session of `grant` and makes the outcome current, or notes the failure.
    fn renew(&self, turn: &Turn, grant: &Arc<Grant>, wish: Wish, journal: &Journal) -> Result<()> {
        let began = self.clock.now();
        let was_late = grant.is_rejected()
            || grant.record.tokens.bearer().is_none()
            || grant.schedule.life(began) == Life::Expired;
        let outcome = self.renew_until_valid(grant, wish, journal);
        if let Err(error) = &outcome {
            if was_late || wish.is_explicit {
                journal.tell(LogLevel::Error, || format!("renewal failed: {}", error.message()));
            } else {
                journal.tell(LogLevel::Warning, || {
                    format!("early renewal failed, the token in hand is still valid: {}", error.message())
                });
            }
            // What failed may be the second round, on a newer record.
            let grant = self.current.load_full();
            turn.note(Failure {
                version: grant.record.version,
                scope: wish.project.or(grant.record.tokens.scope.as_deref()).map(str::to_owned),
                error: error.clone(),
                now_ms: self.clock.now().mono_ms,
                early_pause_ms: grant.schedule.early_pause_ms(error.retry_after()),
                was_late,
                was_elsewhere: wish
                    .project
                    .is_some_and(|project| grant.record.tokens.scope.as_deref() != Some(project)),
            });
        }
        outcome
    }

    /// A renewal whose token has already run out (a lost answer that is given again, late) is followed by one more.
    fn renew_until_valid(&self, grant: &Arc<Grant>, wish: Wish, journal: &Journal) -> Result<()> {
        let mut grant = grant.clone();
        // Once, whatever comes of it: a short timeout_ms must not be spent on waiting again and again.
        let mut is_doubtful = !wish.is_early && self.has_seeded.swap(false, Ordering::Relaxed);
        for round in [1, 2] {
            let rest_ms = |error: &Error| grant.schedule.early_pause_ms(error.retry_after());
            grant = match self.renewal(wish.deadline, journal).run(
                &grant.record,
                wish,
                std::mem::take(&mut is_doubtful),
                rest_ms,
            )? {
                Renewed::Held => return Ok(()),
                Renewed::Made(record) => {
                    Counts::add(&self.counts.made);
                    journal
                        .tell(LogLevel::Information, || format!("renewed: generation {}", record.version.generation));
                    self.install(record, &grant)
                }
                Renewed::Adopted(record) => {
                    Counts::add(&self.counts.adopted);
                    journal.tell(LogLevel::Information, || {
                        let Author { host, pid } = &record.author;
                        format!("taken over: generation {}, by process {pid} on {host}", record.version.generation)
                    });
                    self.install(record, &grant)
                }
                Renewed::Unsaved { record, seen, error } => self.keep_unsaved(*record, seen, &error, &grant, journal),
            };
            if grant.record.tokens.bearer().is_none() {
                return Err(no_token());
            }
            if grant.schedule.life(self.clock.now()) != Life::Expired {
                return Ok(());
            }
            if round == 2 || grant.record.tokens.refresh_token().is_none() {
                break;
            }
        }
        Err(Error::new(Status::TokenExpired, "the server's new token has already expired; check this machine's clock"))
    }

    /// Reads the store if nobody has yet, and gives an empty one the tokens that the caller gave.
    fn read_once(&self) -> Result<()> {
        if self.is_read.load(Ordering::Acquire) { Ok(()) } else { self.read_store(self.deadline()) }
    }

    /// Takes over what the store holds.
    fn read_store(&self, deadline: Instant) -> Result<()> {
        if !self.store.is_shared() {
            return Ok(());
        }
        let (grant, store) = (self.current.load_full(), self.store_until(deadline));
        match store.load()? {
            Some(record) => drop(self.install(record, &grant)),
            None if grant.record.version.generation == 0 && !grant.record.tokens.is_none() => {
                let mut seed = Record::clone(&grant.record);
                seed.version.generation = 1;
                seed.notes.early_not_before_ms = early_after_doubt_ms(&self.clock);
                match store.commit(Expected::Nothing, seed)? {
                    Commit::Done(record) => {
                        self.install(record, &grant);
                        self.has_seeded.store(true, Ordering::Relaxed);
                    }
                    Commit::Outdated(record) => drop(self.install(record, &grant)),
                }
            }
            None => {}
        }
        self.is_read.store(true, Ordering::Release);
        Ok(())
    }

    /// Whether the store has something else than `grant` by now, if it is time to look. A store that is out of order has
    /// nothing.
    fn has_changed(&self, grant: &Arc<Grant>, now: Now, deadline: Instant) -> bool {
        self.store.is_shared() && self.may_look(now) && self.read_store(deadline).is_ok() && !self.is_current(grant)
    }

    /// Whether it is time to look into the store again; the next look is some time off then.
    fn may_look(&self, now: Now) -> bool {
        let pause_ms = match self.store.kind() {
            "memory" => return true,
            "redis" => 1000.0,
            _ => 100.0,
        };
        let due = self.look_again_ms.load(Ordering::Relaxed);
        let next = now.mono_ms.saturating_add((pause_ms * (1.0 + 0.5 * random::fraction())) as i64);
        now.mono_ms >= due
            && self.look_again_ms.compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// The pair that the store could not take is current all the same, and is offered again at every later call.
    fn keep_unsaved(
        &self,
        mut record: Record,
        seen: Version,
        why: &Error,
        held: &Arc<Grant>,
        journal: &Journal,
    ) -> Arc<Grant> {
        journal.tell(LogLevel::Error, || {
            format!("the new tokens are kept here only, and offered to the store again: {}", why.message())
        });
        record.version.generation = seen.generation.saturating_add(1);
        let record = Arc::new(record);
        let process = ProcessMark::current();
        self.unsaved.store(Some(Arc::new(Unsaved { record: record.clone(), seen, process })));
        let grant = self.install(record, held);
        grant.cool();
        grant
    }

    /// Offers the store what it could not take before; what could not be saved is good all the same. One thread at a
    /// time, and a store that is slow to refuse is left alone for as long as it took.
    fn try_save(&self, deadline: Instant, journal: &Journal) {
        if self.unsaved.load().is_none() {
            return;
        }
        let began_ms = self.clock.now().mono_ms;
        let due_ms = self.save_again_ms.load(Ordering::Acquire);
        let while_at_it = began_ms.saturating_add(LONGEST_SAVE_MS);
        if began_ms >= due_ms
            && self.save_again_ms.compare_exchange(due_ms, while_at_it, Ordering::AcqRel, Ordering::Relaxed).is_ok()
        {
            let _ = self.save(deadline, journal);
            let ended_ms = self.clock.now().mono_ms;
            self.save_again_ms.store(ended_ms.saturating_add(ended_ms.saturating_sub(began_ms)), Ordering::Release);
        }
    }

    /// Offers the store what it could not take before.
    fn save(&self, deadline: Instant, journal: &Journal) -> Result<()> {
        let Some(unsaved) = self.unsaved.load_full() else {
            return Ok(());
        };
        // A child leaves this to its parent, whose answer it is.
        if unsaved.process != ProcessMark::current() {
            return Ok(());
        }
        let store = self.store_until(deadline);
        let present = store.load()?;
        let ours = unsaved.record.version;
        let expected = match present.as_ref().map(|record| record.version) {
            None => Expected::Nothing,
            Some(version) if version == unsaved.seen => Expected::Record(version),
            // A store that was set back has an older record of the same session.
            Some(version) if version.session == ours.session && version.generation < ours.generation => {
                Expected::Record(version)
            }
            // Somebody else's record, or our own that was taken after all.
            Some(_) => Expected::Nothing,
        };
        match store.commit(expected, Record::clone(&unsaved.record))? {
            Commit::Done(record) | Commit::Outdated(record) => {
                self.unsaved.store(None);
                journal.tell(LogLevel::Information, || "the store has taken the tokens".to_owned());
                self.settle(record);
            }
        }
        Ok(())
    }

    /// Makes the record that the store holds after a late save current, ready to be handed out unseen.
    fn settle(&self, record: Arc<Record>) {
        let held = self.current.load_full();
        if held.record.version != record.version {
            self.install(record, &held);
            return;
        }
        let grant = self.grant(record);
        let previous = self.current.compare_and_swap(&held, grant.clone());
        // A report of the same token counts, before and after.
        if Arc::ptr_eq(&previous, &held) && held.is_rejected() {
            grant.reject();
        }
    }

    /// Whether the token of `grant` can be handed out.
    fn is_good(&self, grant: &Grant) -> bool {
        grant.record.tokens.bearer().is_some()
            && !grant.is_rejected()
            && grant.schedule.life(self.clock.now()) != Life::Expired
    }

    fn grant(&self, record: Arc<Record>) -> Arc<Grant> {
        Arc::new(Grant::new(record, self.clock.now(), self.drift.offset_ms(), self.policy))
    }

    /// Makes `record` current in the place of `seen`, or of something older. Gives back what is current then.
    fn install(&self, record: Arc<Record>, seen: &Arc<Grant>) -> Arc<Grant> {
        let grant = self.grant(record);
        let mut present = self.current.load_full();
        loop {
            let (ours, theirs) = (grant.record.version, present.record.version);
            // Of two sessions the store says which is the other's successor; a look at the store may be an old one.
            let is_next = ours.session != theirs.session
                && grant.record.is_not_older(&present.record)
                && Arc::ptr_eq(&present, seen);
            if ours.generation <= theirs.generation && !is_next {
                return present;
            }
            let previous = self.current.compare_and_swap(&present, grant.clone());
            if Arc::ptr_eq(&previous, &present) {
                return grant;
            }
            present = Guard::into_inner(previous);
        }
    }

    /// A server turned `bearer` (or the bare token) away with 401. If it is the current one, it is not handed out
    /// again.
    pub fn report_rejected(&self, bearer: &str) -> Result<()> {
        let token = given("bearer", Some(strip_scheme(bearer)))?
            .ok_or_else(|| Error::new(Status::InvalidArgument, "bearer holds no token"))?;
        // What nobody has read yet was handed out by another handle, or never.
        if !self.rejects(token) && self.read_once().is_ok() {
            self.rejects(token);
        }
        Ok(())
    }

    /// Takes `token` out of use, if it is the current one.
    fn rejects(&self, token: &str) -> bool {
        let mut grant = self.current.load_full();
        if grant.record.tokens.token() != Some(token) {
            return false;
        }
        // The same token may come in a new grant meanwhile, when a late save succeeds.
        while !grant.is_rejected() && grant.record.tokens.token() == Some(token) {
            grant.reject();
            grant = self.current.load_full();
        }
        self.log.journal().tell(LogLevel::Warning, || {
            format!("a server turned the token of generation {} away", grant.record.version.generation)
        });
        true
    }

    /// Forgets the session, for all who share it.
    pub fn logout(&self) -> Result<()> {
        let journal = self.log.journal();
        let tombstone = self.renewal(self.deadline(), &journal).begin(random::number(), Tokens::none())?;
        journal.tell(LogLevel::Information, || "logged out".to_owned());
        self.unsaved.store(None);
        self.install(tombstone, &self.current.load_full());
        self.is_read.store(true, Ordering::Release);
        Ok(())
    }

    /// What is there, expired or not. Never renews; a shared store that nobody has read yet is read first.
    pub fn current(&self) -> Result<Current> {
        self.read_once()?;
        let grant = self.current.load_full();
        if grant.record.tokens.is_none() && self.may_look(self.clock.now()) {
            // Somebody may have logged in meanwhile.
            self.read_store(self.deadline())?;
        }
        Ok(Current(self.current.load()))
    }

    /// The environment's name.
    pub fn env(&self) -> &str {
        &self.env
    }

    /// The base URL that credentials go to.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The project id claim of the current token.
    pub fn project_id(&self) -> Result<i64> {
        self.current()?.payload()?.project_id(&self.config.project_id_claims)
    }

    /// The payload of the current token: with a key (PEM, JWK or JWKS) only if it verifies, without one unverified.
    pub fn decode_jwt(&self, public_key: Option<&str>) -> Result<Payload> {
        let current = self.current()?;
        let token = current.token()?;
        match public_key {
            None => token::decode(token),
            Some(key) => token::verify_with_key_text(
                token,
                key,
                &self.keys,
                self.clock.now().wall_ms,
                self.config.clock_leeway.as_secs(),
            ),
        }
    }

    /// The payload of the current token, if it verifies with the config's `public_key` or the keys at its `jwks_url`.
    pub fn verify(&self) -> Result<Payload> {
        let current = self.current()?;
        let token = current.token()?;
        token::precheck(token)?;
        let kid = token::kid(token);
        let now = self.clock.now();
        let journal = self.log.journal();
        self.key_source.with_keys(kid.as_deref(), &self.platform, now, self.deadline(), &journal, |keys| {
            token::verify(token, keys, now.wall_ms, self.config.clock_leeway.as_secs())
        })
    }

    /// Sets where lines about this session go from now on, up to which level; None: nowhere. Returns when no other thread
    /// is in the sink that was there before. A sink is called by the thread that calls the session, while that holds no
    /// lock; it must not call the session itself. No line holds a secret.
    pub fn set_log(&self, sink: Option<(LogLevel, Arc<LogSink>)>) -> Result<()> {
        self.log.set(sink)
    }

    /// The session as JSON, to go on with elsewhere. It holds both tokens.
    pub fn to_json(&self) -> Result<SecretBytes> {
        crate::export::to_json(&self.env, &self.host, &self.current()?.0.record.tokens)
    }

    /// How the session is shared, as JSON. No secret in it.
    pub fn info(&self) -> Result<SecretBytes> {
        let current = self.current()?;
        let grant = &current.0;
        let record = &grant.record;
        let count = |count: &AtomicU64| Member::Unsigned(count.load(Ordering::Relaxed));
        let mut members = vec![
            ("generation", Member::Unsigned(record.version.generation)),
            ("store", Member::Text(self.store.kind())),
            ("lock", Member::Text(self.store.lock_kind())),
        ];
        members.extend(record.tokens.scope.as_deref().map(|scope| ("scope", Member::Text(scope))));
        if !record.tokens.is_none() {
            members.extend([
                ("renewed_at", Member::Signed(record.received.wall_ms.div_euclid(1000))),
                ("renewed_by_host", Member::Text(&record.author.host)),
                ("renewed_by_pid", Member::Unsigned(record.author.pid.into())),
            ]);
        }
        members.extend([
            ("made", count(&self.counts.made)),
            ("joined", count(&self.counts.joined)),
            ("adopted", count(&self.counts.adopted)),
        ]);
        members.extend(grant.schedule.seconds_left(self.clock.now()).map(|left| ("expires_in", Member::Signed(left))));
        write_object(&members)
    }

    /// How long no call looks into the store.
    #[cfg(test)]
    pub(crate) fn fresh_for_ms(&self) -> i64 {
        self.current.load().schedule.fresh_for_ms(self.clock.now())
    }

    fn renewal<'a>(&'a self, deadline: Instant, journal: &'a Journal) -> Renewal<'a> {
        Renewal {
            platform: &self.platform,
            store: self.store_until(deadline),
            clock: &self.clock,
            drift: &self.drift,
            journal,
            timeout: self.config.timeout,
        }
    }

    /// The store, for a call that ends then.
    fn store_until(&self, deadline: Instant) -> Arc<dyn Store> {
        self.store.until(deadline).unwrap_or_else(|| self.store.clone())
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
        // The last chance for an answer that the store could not take; a child has none to give.
        let _ = self.save(self.deadline(), &self.log.journal());
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

/// Whether a rejected token is better than this error: the server that could renew it can't be reached.
fn may_stand_in(grant: &Grant, now: Now, error: &Error) -> bool {
    let is_unreachable =
        error.http_status() == 0 && matches!(error.status(), Status::Connect | Status::Timeout | Status::Tls);
    is_unreachable && grant.record.tokens.bearer().is_some() && grant.schedule.life(now) != Life::Expired
}

/// A token as people have it: with white space around, and perhaps the scheme before.
fn strip_scheme(text: &str) -> &str {
    let text = text.trim();
    match text.split_at_checked(7) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("Bearer ") => token.trim(),
        _ if text.eq_ignore_ascii_case("Bearer") => "",
        _ => text,
    }
}

/// A token from outside: an empty one is none, and one that could break a header is refused.
fn given<'a>(name: &str, text: Option<&'a str>) -> Result<Option<&'a str>> {
    match text {
        None | Some("") => Ok(None),
        Some(text) if is_header_safe(text) => Ok(Some(text)),
        Some(_) => {
            Err(Error::new(Status::InvalidArgument, format!("{name} holds white space or control characters inside")))
        }
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

fn millis(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
