//! What real stores and servers do too rarely to be waited for: a store that fails, forgets, or is written by others at
//! the very moment that a test wants.
#![forbid(unsafe_code)]

use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::*;
use crate::clock::{ManualClock, Now};
use crate::config::Surroundings;
use crate::record::Intent;
use crate::renewal::fingerprint;
use crate::secret::SecretBytes;
use crate::store::{Commit, Expected, Habits, Lock};
use crate::transport::{Answer, BeforeSend, Endpoint, Exchange, Failure as Lost};
use crate::wiped_json::WipedJson;
use crate::wrong_clocks::WrongClocks;

/// What a test decides about the store and the way to the server.
#[derive(Debug)]
struct Kept {
    clock: Arc<ManualClock>,
    record: Mutex<Option<Record>>,
    is_locked: AtomicBool,
    fails_to_load: AtomicBool,
    fails_to_prepare: AtomicBool,
    fails_to_commit: AtomicBool,
    /// How many commits fail yet.
    failing_commits: AtomicUsize,
    load_takes_ms: AtomicU64,
    /// While a test holds it, no load ends.
    loads: Mutex<()>,
    /// How long it takes to reach the server.
    connect_takes_ms: AtomicU64,
    /// How long each operation takes, by the clock of the test.
    takes_ms: AtomicI64,
    operations: AtomicUsize,
    /// For how long the lock was last asked for.
    term: Mutex<Duration>,
}

impl Kept {
    fn holds(&self) -> Option<(Version, String)> {
        let record = self.record.lock().unwrap();
        record.as_ref().map(|record| (record.version, record.tokens.refresh_token().unwrap_or_default().to_owned()))
    }

    fn put(&self, record: Option<Record>) {
        *self.record.lock().unwrap() = record;
    }

    fn intent(&self) -> Option<Intent> {
        self.record.lock().unwrap().as_ref().and_then(|record| record.notes.intent.clone())
    }

    fn operate(&self, fails: &AtomicBool) -> Result<()> {
        self.operations.fetch_add(1, SeqCst);
        self.clock.advance_ms(self.takes_ms.load(SeqCst));
        if fails.load(SeqCst) { Err(Error::new(Status::Store, "out of order")) } else { Ok(()) }
    }
}

#[derive(Clone, Debug)]
struct TestStore(Arc<Kept>);

struct TestLock(Arc<Kept>);

impl Drop for TestLock {
    fn drop(&mut self) {
        self.0.is_locked.store(false, SeqCst);
    }
}

impl Lock for TestLock {
    fn is_held(&self, _rest: Duration, _until: Instant) -> Result<bool> {
        Ok(true)
    }
}

impl Store for TestStore {
    fn kind(&self) -> &'static str {
        "file"
    }

    fn lock_kind(&self) -> &'static str {
        "lease"
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn habits(&self) -> Habits {
        Habits {
            look_pause: Duration::from_millis(100),
            lock_slice: Duration::from_millis(500),
            early_patience: Duration::from_secs(5),
        }
    }

    fn load(&self, _until: Instant) -> Result<Option<Arc<Record>>> {
        std::thread::sleep(Duration::from_millis(self.0.load_takes_ms.load(SeqCst)));
        let outcome = self.0.operate(&self.0.fails_to_load);
        drop(self.0.loads.lock().unwrap());
        outcome?;
        Ok(self.0.record.lock().unwrap().clone().map(Arc::new))
    }

    fn lock(&self, term: Duration, wait_until: Option<Instant>, _until: Instant) -> Result<Option<Arc<dyn Lock>>> {
        *self.0.term.lock().unwrap() = term;
        while self.0.is_locked.swap(true, SeqCst) {
            if wait_until.is_none_or(|until| Instant::now() >= until) {
                return Ok(None);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(Some(Arc::new(TestLock(self.0.clone()))))
    }

    fn prepare(&self, _until: Instant) -> Result<()> {
        self.0.operate(&self.0.fails_to_prepare)
    }

    fn note(&self, seen: Version, was: &Notes, notes: &Notes, _until: Instant) -> Result<bool> {
        let mut present = self.0.record.lock().unwrap();
        let present = present.as_mut().filter(|record| record.version == seen && record.notes == *was);
        Ok(present.map(|record| record.notes = notes.clone()).is_some())
    }

    fn commit(&self, expected: Expected, mut next: Record, _until: Instant) -> Result<Commit> {
        self.0.operate(&self.0.fails_to_commit)?;
        if self.0.failing_commits.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok() {
            return Err(Error::new(Status::Store, "not yet"));
        }
        let mut present = self.0.record.lock().unwrap();
        match expected.next_generation(present.as_ref().map(|record| record.version), next.version.generation) {
            Some(generation) => {
                next.version.generation = generation;
                *present = Some(next.clone());
                Ok(Commit::Done(Arc::new(next)))
            }
            None => Ok(Commit::Outdated(Arc::new(present.clone().expect("a record")))),
        }
    }
}

/// Status and body for the nth request, which came with this refresh token.
type Reply = Box<dyn Fn(&str, usize) -> (u16, String) + Send + Sync>;
/// The refresh tokens that were sent.
type Sent = Arc<Mutex<Vec<String>>>;

struct Server {
    store: Arc<Kept>,
    reply: Reply,
    sent: Sent,
}

impl Exchange for Server {
    fn post_json(
        &self,
        _endpoint: &Endpoint,
        body: &SecretBytes,
        before: Option<BeforeSend>,
        _deadline: Instant,
    ) -> std::result::Result<Answer, Lost> {
        std::thread::sleep(Duration::from_millis(self.store.connect_takes_ms.load(SeqCst)));
        if let Some(before) = before {
            before().map_err(|error| Lost { error, was_sent: false })?;
        }
        let refresh_token = WipedJson::parse(body.expose()).unwrap().text("refreshToken").unwrap_or("login").to_owned();
        let number = {
            let mut sent = self.sent.lock().unwrap();
            sent.push(refresh_token.clone());
            sent.len()
        };
        let (status, text) = (self.reply)(&refresh_token, number);
        if status == 0 {
            return Err(Lost { error: Error::new(Status::Connect, "reset"), was_sent: true });
        }
        let mut body = SecretBytes::with_capacity(0).unwrap();
        body.push(text.as_bytes()).unwrap();
        Ok(Answer { status, retry_after: None, max_age: None, date_ms: None, body })
    }

    fn get_json(&self, _endpoint: &Endpoint, _deadline: Instant) -> std::result::Result<Answer, Lost> {
        unreachable!()
    }

    fn secrets(&self) -> Vec<&str> {
        Vec::new()
    }
}

const NOW_S: i64 = 1_700_000_000;
const LIFE_S: i64 = 3600;
const EXPIRED_S: i64 = NOW_S - LIFE_S - 1;

/// A store and its clock, and sessions that share them.
struct World {
    clock: Arc<ManualClock>,
    store: Arc<Kept>,
}

impl World {
    fn new() -> Self {
        let clock = ManualClock::at_ms(NOW_S * 1000);
        let store = Kept {
            clock: clock.clone(),
            record: Mutex::default(),
            is_locked: AtomicBool::default(),
            fails_to_load: AtomicBool::default(),
            fails_to_prepare: AtomicBool::default(),
            fails_to_commit: AtomicBool::default(),
            failing_commits: AtomicUsize::default(),
            load_takes_ms: AtomicU64::default(),
            loads: Mutex::default(),
            connect_takes_ms: AtomicU64::default(),
            takes_ms: AtomicI64::default(),
            operations: AtomicUsize::default(),
            term: Mutex::default(),
        };
        World { clock, store: Arc::new(store) }
    }

    /// A record of somebody else's with a token that is valid from `iat` on.
    fn record(&self, session: u64, generation: u64, iat: i64, refresh_token: &str, origin: Origin) -> Record {
        Record {
            version: Version { session, generation },
            tokens: Tokens::new(Some(&jwt(iat, 0)), Some(refresh_token), None, None).unwrap(),
            origin,
            received: self.clock.now(),
            author: Author { host: "elsewhere".to_owned(), pid: 1, place: None },
            notes: Notes::default(),
            clocks: WrongClocks::default(),
        }
    }

    fn given(&self, session: u64, iat: i64, refresh_token: &str) -> Record {
        self.record(session, 0, iat, refresh_token, Origin::Given)
    }

    fn session_of(&self, given: Record, timeout_ms: u64, retries: u32, reply: Reply) -> (Session, Sent) {
        let text = format!(
            r#"{{"env":"s","environments":{{"s":{{"host":"https://host"}}}},"timeout_ms":{timeout_ms},"retries":{retries}}}"#
        );
        let config = Config::load(Some(&text), &Surroundings::default()).unwrap();
        let (env, endpoint) = config.environment(None).map(|(env, host)| (env.to_owned(), host.clone())).unwrap();
        let (clock, sent) = (Clock::Manual(self.clock.clone()), Sent::default());
        let server = Box::new(Server { store: self.store.clone(), reply, sent: sent.clone() });
        let platform = Platform::with_transport(&config, &endpoint, clock.clone(), server).unwrap();
        let (host, store) = (endpoint.as_str().to_owned(), Arc::new(TestStore(self.store.clone())));
        (Session::assemble(config, env, host, platform, store, given, clock), sent)
    }

    /// Waits until somebody keeps the lock for more than a moment.
    #[track_caller]
    fn wait_locked(&self) {
        let end = Instant::now() + Duration::from_secs(60);
        while !self.store.is_locked.load(SeqCst) {
            assert!(Instant::now() < end, "nobody keeps the lock");
            std::thread::yield_now();
        }
    }

    /// The same, with calls that do not wait for long.
    fn hasty_session(&self, reply: Reply) -> (Session, Sent) {
        self.session_of(self.given(1, EXPIRED_S, "never sent"), 1_000, 0, reply)
    }

    /// A session that was given nothing that matters.
    fn session(&self, reply: Reply) -> (Session, Sent) {
        self.session_of(self.given(1, EXPIRED_S, "never sent"), 8_000, 0, reply)
    }
}

fn jwt(iat: i64, number: usize) -> String {
    let exp = iat + LIFE_S;
    format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(format!(r#"{{"iat":{iat},"exp":{exp},"n":{number}}}"#)))
}

/// A server that grants everything.
fn good(iat: i64) -> Reply {
    Box::new(move |refresh_token, number| granted(iat, refresh_token, number))
}

fn granted(iat: i64, refresh_token: &str, number: usize) -> (u16, String) {
    (200, format!(r#"{{"token":"{}","refreshToken":"{refresh_token}+"}}"#, jwt(iat, number)))
}

fn bearer(session: &Session) -> Result<String> {
    session.bearer().and_then(|current| current.bearer().map(str::to_owned))
}

fn sent(sent: &Sent) -> Vec<String> {
    sent.lock().unwrap().clone()
}

#[test]
fn a_report_outlives_a_late_save() {
    let world = World::new();
    world.store.put(Some(world.record(7, 3, EXPIRED_S, "r", Origin::Renewal)));
    let (session, requests) = world.hasty_session(good(NOW_S));
    session.current().unwrap();
    world.store.fails_to_commit.store(true, SeqCst);
    let unsaved = bearer(&session).unwrap();
    session.report_rejected(&unsaved).unwrap();
    world.store.fails_to_commit.store(false, SeqCst);
    assert_ne!(bearer(&session).unwrap(), unsaved);
    assert_eq!(sent(&requests), ["r", "r+"]);
}

#[test]
fn a_login_in_a_store_that_was_removed_has_a_clean_slate() {
    let world = World::new();
    let refuses_old = |refresh_token: &str, number: usize| match refresh_token {
        "old" => (401, "{}".to_owned()),
        _ => granted(NOW_S + LIFE_S, refresh_token, number),
    };
    let (session, requests) = world.session_of(world.given(1, EXPIRED_S, "old"), 8_000, 0, Box::new(refuses_old));
    assert_eq!(bearer(&session).unwrap_err().status(), Status::Unauthorized);
    // Somebody removes the store, as the number of the new record shows, and logs in.
    world.store.put(Some(world.record(99, 1, NOW_S, "new", Origin::Login)));
    world.clock.advance_ms(5_000);
    bearer(&session).unwrap();
    world.clock.advance_ms(LIFE_S * 1000);
    bearer(&session).unwrap();
    assert_eq!(sent(&requests), ["old", "new"]);
}

#[test]
fn tokens_that_seed_an_emptied_store_give_way_to_what_it_had() {
    let world = World::new();
    world.store.put(Some(world.record(7, 50, NOW_S, "r50", Origin::Renewal)));
    let (holder, requests) = world.session(good(NOW_S + 3000));
    bearer(&holder).unwrap();
    world.store.put(None);
    let (job, none) = world.session_of(world.given(2, NOW_S - 60, "spent long ago"), 8_000, 0, good(NOW_S));
    bearer(&job).unwrap();
    assert_eq!(world.store.holds().unwrap().1, "spent long ago");
    // The holder's window: it puts back what it has, goes on with its token, and renews when others had time.
    world.clock.advance_ms(3_000_000);
    let held = bearer(&holder).unwrap();
    assert_eq!(world.store.holds(), Some((Version { session: 7, generation: 50 }, "r50".to_owned())));
    world.clock.advance_ms(1_000);
    assert_eq!((bearer(&holder).unwrap(), sent(&requests)), (held, vec![]));
    world.clock.advance_ms(1_001);
    bearer(&holder).unwrap();
    assert_eq!((sent(&requests), sent(&none)), (vec!["r50".to_owned()], vec![]));
    assert_eq!(world.store.holds(), Some((Version { session: 7, generation: 51 }, "r50+".to_owned())));
    // And the job takes it over.
    world.clock.advance_ms(200);
    bearer(&job).unwrap();
    assert_eq!((job.current().unwrap().refresh_token().unwrap(), sent(&none)), ("r50+", vec![]));
}

#[test]
fn who_puts_an_old_record_back_waits_for_a_newer_one() {
    let world = World::new();
    let [older, newer] = [(49, "r49"), (50, "r50")].map(|(generation, refresh_token)| {
        world.store.put(Some(world.record(7, generation, EXPIRED_S, refresh_token, Origin::Renewal)));
        let (session, requests) = world.session(good(NOW_S));
        session.current().unwrap();
        (session, requests)
    });
    world.store.put(None);
    std::thread::scope(|scope| {
        scope.spawn(|| bearer(&older.0).unwrap());
        // The one with the older record has the lock.
        world.wait_locked();
        scope.spawn(|| bearer(&newer.0).unwrap());
    });
    let all = [sent(&older.1), sent(&newer.1)].concat();
    assert_eq!(all, ["r50"]);
    assert_eq!(world.store.holds(), Some((Version { session: 7, generation: 51 }, "r50+".to_owned())));
    assert_eq!(bearer(&older.0).unwrap(), bearer(&newer.0).unwrap());
}

#[test]
fn a_seed_is_not_spent_before_others_could_bring_something_newer() {
    let world = World::new();
    world.store.put(Some(world.record(7, 50, EXPIRED_S, "r50", Origin::Renewal)));
    let (holder, requests) = world.session(good(NOW_S));
    holder.current().unwrap();
    world.store.put(None);
    let (job, others) = world.session_of(world.given(2, EXPIRED_S, "spent long ago"), 8_000, 0, good(NOW_S));
    std::thread::scope(|scope| {
        scope.spawn(|| bearer(&job).unwrap());
        world.wait_locked();
        scope.spawn(|| bearer(&holder).unwrap());
    });
    assert_eq!([sent(&requests), sent(&others)].concat(), ["r50"]);
    assert_eq!(bearer(&job).unwrap(), bearer(&holder).unwrap());
}

#[test]
fn a_server_that_fails_ends_no_doubt() {
    let world = World::new();
    let mut record = world.record(7, 5, EXPIRED_S, "r", Origin::Renewal);
    let author = Author { host: "elsewhere".to_owned(), pid: 9, place: None };
    record.notes.intent = Some(Intent { spends: "00".to_owned(), begun_ms: 1, deadline_ms: 2, author });
    world.store.put(Some(record));
    let fails_then_refuses = |_: &str, number: usize| match number {
        1 => (500, "{}".to_owned()),
        // For a moment only, for all that is known.
        2 => (401, "{}".to_owned()),
        _ => (401, r#"{"error":"invalid_grant"}"#.to_owned()),
    };
    let (session, _) = world.session(Box::new(fails_then_refuses));
    for status in [Status::Server, Status::Unauthorized] {
        assert_eq!(session.refresh(None).unwrap_err().status(), status);
        assert_eq!(world.store.intent().map(|intent| intent.author.pid), Some(9));
    }
    let error = session.refresh(None).unwrap_err();
    assert!(error.status() == Status::Unauthorized && error.message().contains("process 9 on elsewhere"), "{error}");
    assert_eq!(world.store.intent(), None);
}

#[test]
fn a_page_that_is_not_found_after_a_lost_answer_has_judged_nothing() {
    let world = World::new();
    world.store.put(Some(world.record(7, 5, EXPIRED_S, "r", Origin::Renewal)));
    let loses_then_refuses = |_: &str, number: usize| (if number == 1 { 0 } else { 404 }, String::new());
    let (session, requests) =
        world.session_of(world.given(1, EXPIRED_S, "never sent"), 8_000, 1, Box::new(loses_then_refuses));
    assert_eq!(session.refresh(None).unwrap_err().status(), Status::Unauthorized);
    assert_eq!(sent(&requests), ["r", "r"]);
    assert!(world.store.intent().is_some());
}

#[test]
fn a_server_that_fails_after_a_lost_answer_has_judged_nothing() {
    let world = World::new();
    world.store.put(Some(world.record(7, 5, EXPIRED_S, "r", Origin::Renewal)));
    let loses_then_fails = |_: &str, number: usize| (if number == 1 { 0 } else { 500 }, "{}".to_owned());
    let (session, requests) =
        world.session_of(world.given(1, EXPIRED_S, "never sent"), 8_000, 1, Box::new(loses_then_fails));
    assert_eq!(session.refresh(None).unwrap_err().status(), Status::Server);
    assert_eq!(sent(&requests), ["r", "r"]);
    assert!(world.store.intent().is_some());
}

/// The renewal began by a clock that is a little ahead of the reader's.
#[test]
fn an_intent_from_a_clock_that_is_a_little_ahead_is_waited_for() {
    for (ahead_ms, is_waited_for) in [(0, true), (10_000, true), (29_000, true), (3_600_000, false)] {
        let world = World::new();
        let mut record = world.record(7, 5, EXPIRED_S, "r", Origin::Renewal);
        let begun_ms = NOW_S * 1000 + ahead_ms;
        let author = Author { host: "elsewhere".to_owned(), pid: 9, place: None };
        record.notes.intent = Some(Intent {
            spends: crate::renewal::fingerprint("r"),
            begun_ms,
            deadline_ms: begun_ms + crate::clock::millis(crate::renewal::LONGEST),
            author,
        });
        world.store.put(Some(record));
        let (session, requests) = world.session_of(world.given(1, EXPIRED_S, "never sent"), 1_000, 0, good(NOW_S));
        match is_waited_for {
            true => assert_eq!(bearer(&session).unwrap_err().status(), Status::LockTimeout, "{ahead_ms}"),
            false => drop(bearer(&session).unwrap()),
        }
        assert_eq!(sent(&requests).is_empty(), is_waited_for, "{ahead_ms}");
    }
}

#[test]
fn what_could_not_be_prepared_leaves_no_intent() {
    let world = World::new();
    world.store.put(Some(world.record(7, 5, EXPIRED_S, "r", Origin::Renewal)));
    let (session, requests) = world.session(good(NOW_S));
    world.store.fails_to_prepare.store(true, SeqCst);
    assert_eq!(session.refresh(None).unwrap_err().status(), Status::Store);
    assert_eq!((sent(&requests), world.store.intent()), (vec![], None));
}

#[test]
fn a_refusal_is_remembered_even_if_the_store_is_away() {
    let world = World::new();
    world.store.put(Some(world.record(7, 5, EXPIRED_S, "r", Origin::Renewal)));
    let store = world.store.clone();
    let refuses = move |_: &str, _| {
        store.fails_to_load.store(true, SeqCst);
        (401, "{}".to_owned())
    };
    let (session, requests) = world.session(Box::new(refuses));
    session.current().unwrap();
    assert_eq!(bearer(&session).unwrap_err().status(), Status::Unauthorized);
    // Also while the store is away, the error stands.
    world.clock.advance_ms(30_000);
    assert_eq!(bearer(&session).unwrap_err().status(), Status::Unauthorized);
    world.store.fails_to_load.store(false, SeqCst);
    world.clock.advance_ms(29_999);
    assert_eq!(bearer(&session).unwrap_err().status(), Status::Unauthorized);
    assert_eq!(sent(&requests), ["r"]);
}

#[test]
fn a_store_that_was_never_read_is_not_asked_at_every_call() {
    let world = World::new();
    world.store.fails_to_load.store(true, SeqCst);
    let (session, _) = world.session_of(world.given(1, NOW_S, "r"), 8_000, 0, good(NOW_S));
    let held = bearer(&session).unwrap();
    for _ in 0..50 {
        assert_eq!(bearer(&session).unwrap(), held);
    }
    assert_eq!(world.store.operations.load(SeqCst), 1);
    // Later it is, and a report needs no store.
    world.clock.advance_ms(1_000);
    bearer(&session).unwrap();
    assert_eq!(world.store.operations.load(SeqCst), 2);
    session.report_rejected(&held).unwrap();
    world.clock.advance_ms(1_000);
    assert_eq!(bearer(&session).unwrap_err().status(), Status::Store);
}

#[test]
fn a_token_that_runs_out_while_the_store_is_read_is_not_handed_out() {
    let world = World::new();
    world.store.fails_to_load.store(true, SeqCst);
    world.store.takes_ms.store(5_000, SeqCst);
    let (session, _) = world.session_of(world.given(1, NOW_S - LIFE_S + 3, "r"), 8_000, 0, good(NOW_S));
    assert_eq!(bearer(&session).unwrap_err().status(), Status::Store);
}

#[test]
fn a_store_that_is_slow_to_fail_rests_after_each_look() {
    let world = World::new();
    world.store.fails_to_load.store(true, SeqCst);
    world.store.takes_ms.store(5_000, SeqCst);
    let (session, _) = world.session_of(world.given(1, NOW_S, "r"), 8_000, 0, good(NOW_S));
    let looks = |after_ms: i64| {
        world.clock.advance_ms(after_ms);
        let before = world.store.operations.load(SeqCst);
        bearer(&session).unwrap();
        world.store.operations.load(SeqCst) - before
    };
    assert_eq!([looks(0), looks(0), looks(999), looks(1)], [1, 0, 0, 1]);
    assert_eq!([looks(0), looks(1_999), looks(1)], [0, 0, 1]);
    // Doubled up to half a minute, and from the beginning after a success.
    for _ in 0..10 {
        looks(30_000);
    }
    assert_eq!([looks(29_999), looks(1)], [0, 1]);
}

#[test]
fn one_thread_looks_and_the_others_go_on_however_long_it_takes() {
    let world = World::new();
    let (session, _) = world.session_of(world.given(1, NOW_S, "r"), 8_000, 0, good(NOW_S));
    let held = world.store.loads.lock().unwrap();
    std::thread::scope(|scope| {
        let looking = scope.spawn(|| bearer(&session).unwrap());
        while world.store.operations.load(SeqCst) == 0 {
            std::thread::yield_now();
        }
        for _ in 0..5 {
            world.clock.advance_ms(5_000);
            bearer(&session).unwrap();
        }
        assert_eq!(world.store.operations.load(SeqCst), 1);
        drop(held);
        looking.join().unwrap();
    });
}

#[test]
fn without_a_token_a_store_that_fails_is_not_asked_at_every_call() {
    let world = World::new();
    world.store.fails_to_load.store(true, SeqCst);
    let none = Record { tokens: Tokens::none(), ..world.given(1, NOW_S, "r") };
    let (session, _) = world.session_of(none, 8_000, 0, good(NOW_S));
    let first = bearer(&session).unwrap_err();
    assert_eq!(first.status(), Status::Store);
    for _ in 0..50 {
        assert_eq!(bearer(&session).unwrap_err(), first);
        assert_eq!(session.current().unwrap_err(), first);
        assert_eq!(session.to_json().unwrap_err(), first);
    }
    assert_eq!(world.store.operations.load(SeqCst), 1);
    world.clock.advance_ms(1_000);
    bearer(&session).unwrap_err();
    world.clock.advance_ms(1_999);
    bearer(&session).unwrap_err();
    assert_eq!(world.store.operations.load(SeqCst), 2);
    // Who asks for it by name is served.
    world.store.put(Some(world.record(7, 3, NOW_S, "r", Origin::Login)));
    world.store.fails_to_load.store(false, SeqCst);
    session.refresh(None).unwrap();
    bearer(&session).unwrap();
}

#[test]
fn a_report_needs_no_store_and_counts_when_it_is_read() {
    let world = World::new();
    world.store.put(Some(world.record(7, 3, NOW_S, "r", Origin::Renewal)));
    let (session, requests) = world.session(good(NOW_S + 1));
    session.report_rejected(&jwt(NOW_S, 0)).unwrap();
    assert_eq!(world.store.operations.load(SeqCst), 0);
    assert_ne!(bearer(&session).unwrap(), format!("Bearer {}", jwt(NOW_S, 0)));
    assert_eq!(sent(&requests), ["r"]);
    // It was for that token only.
    bearer(&session).unwrap();
    assert_eq!(sent(&requests), ["r"]);
}

#[test]
fn a_report_outlives_the_seeding_of_the_store() {
    let world = World::new();
    world.store.fails_to_load.store(true, SeqCst);
    let (session, requests) = world.session_of(world.given(1, NOW_S, "r"), 8_000, 0, good(NOW_S + 1));
    session.report_rejected(&bearer(&session).unwrap()).unwrap();
    world.store.fails_to_load.store(false, SeqCst);
    world.clock.advance_ms(1_000);
    bearer(&session).unwrap();
    assert_eq!(sent(&requests), ["r"]);
}

#[test]
fn a_seed_is_spent_within_a_short_call() {
    let world = World::new();
    for (number, timeout_ms) in [4_000, 2_000].into_iter().enumerate() {
        world.store.put(None);
        let (session, requests) =
            world.session_of(world.given(number as u64, EXPIRED_S, "r"), timeout_ms, 0, good(NOW_S));
        bearer(&session).unwrap();
        assert_eq!(sent(&requests), ["r"], "{timeout_ms}");
    }
}

#[test]
fn a_rejected_token_does_not_come_back_because_a_call_was_slow() {
    let world = World::new();
    world.store.put(Some(world.record(7, 5, NOW_S, "r", Origin::Renewal)));
    let (session, requests) = world.session_of(world.given(1, EXPIRED_S, "never sent"), 2_000, 0, good(NOW_S));
    session.report_rejected(&bearer(&session).unwrap()).unwrap();
    // Too little time is left to begin, whatever the server could do.
    world.store.load_takes_ms.store(1_500, SeqCst);
    assert_eq!(bearer(&session).unwrap_err().status(), Status::Timeout);
    assert_eq!(sent(&requests), Vec::<String>::new());
}

/// A session that has logged in while the store, which holds `r` of session 7, could not take it; and what it logs.
fn unsaved_login(world: &World) -> (Session, Sent, Arc<Mutex<Vec<String>>>) {
    world.store.put(Some(world.record(7, 3, NOW_S - 1, "r", Origin::Login)));
    let (session, requests) = world.hasty_session(good(NOW_S));
    session.current().unwrap();
    let lines = Arc::new(Mutex::new(Vec::new()));
    let kept = lines.clone();
    let sink: Arc<LogSink> = Arc::new(move |_, line: &str| kept.lock().unwrap().push(line.to_owned()));
    session.set_log(Some((LogLevel::Debug, sink))).unwrap();
    world.store.fails_to_commit.store(true, SeqCst);
    let error = session.login("grace", "hopper", "navy", None).unwrap_err();
    assert_eq!(error.status(), Status::Store);
    (session, requests, lines)
}

/// The token that a login brought in `unsaved_login`.
fn of_login() -> String {
    format!("Bearer {}", jwt(NOW_S, 1))
}

fn says(lines: &Mutex<Vec<String>>, what: &str) -> bool {
    lines.lock().unwrap().iter().any(|line| line.contains(what))
}

#[test]
fn an_unsaved_login_takes_the_place_of_what_was_renewed_meanwhile() {
    let world = World::new();
    let (session, _, lines) = unsaved_login(&world);
    assert_eq!(bearer(&session).unwrap(), of_login());
    assert!(!says(&lines, "the store has taken"));
    // Somebody renews the session of before, twice, and the store is back.
    world.store.put(Some(world.record(7, 5, NOW_S - 1, "r++", Origin::Renewal)));
    world.store.fails_to_commit.store(false, SeqCst);
    assert_eq!(bearer(&session).unwrap(), of_login());
    assert!(says(&lines, "the store has taken"));
    let (version, refresh_token) = world.store.holds().unwrap();
    assert_eq!((version.generation, refresh_token.as_str()), (6, "login+"));
    assert_ne!(version.session, 7);
    // And it goes on from there.
    world.clock.advance_ms(60_000);
    session.refresh(None).unwrap();
    assert_eq!(world.store.holds().unwrap().1, "login++");
}

#[test]
fn nothing_is_taken_over_while_a_login_is_unsaved() {
    let world = World::new();
    let (session, requests, _) = unsaved_login(&world);
    world.store.put(Some(world.record(7, 9, NOW_S, "r+++", Origin::Renewal)));
    // Looks of any kind: by name, by a getter, early, late, and one that began before the login.
    assert_eq!(session.refresh(None).unwrap_err().status(), Status::Store);
    assert_eq!(session.current().unwrap().bearer().unwrap(), of_login());
    let held = session.current.load_full();
    session.install(Arc::new(world.record(7, 9, NOW_S, "r+++", Origin::Renewal)), &held);
    assert_eq!(bearer(&session).unwrap(), of_login());
    let _ = session.info();
    world.clock.advance_ms(LIFE_S * 1000 * 9 / 10);
    assert_eq!(bearer(&session).unwrap(), of_login());
    world.clock.advance_ms(LIFE_S * 1000);
    assert_eq!(bearer(&session).unwrap_err().status(), Status::Store);
    assert_eq!(sent(&requests), ["login"]);
}

#[test]
fn an_unsaved_login_gives_way_to_a_later_one_loudly() {
    let world = World::new();
    let logged_in = world.record(99, 4, NOW_S, "theirs", Origin::Login);
    let logged_out = Record { tokens: Tokens::none(), ..logged_in.clone() };
    for other in [logged_in, logged_out] {
        let (session, _, lines) = unsaved_login(&world);
        world.store.put(Some(other.clone()));
        world.store.fails_to_commit.store(false, SeqCst);
        for _ in 0..3 {
            let error = bearer(&session).unwrap_err();
            assert!(error.status() == Status::NoToken && error.message().contains("log in again"), "{error}");
            assert_eq!(session.refresh(None).unwrap_err(), error);
            assert_eq!(session.current().map(drop).unwrap_err(), error);
            world.clock.advance_ms(60_000);
        }
        assert!(!says(&lines, "the store has taken") && says(&lines, "log in again"));
        assert_eq!(world.store.holds().unwrap().0, other.version);
        session.login("grace", "hopper", "navy", None).unwrap();
        bearer(&session).unwrap();
        assert_eq!(world.store.holds().unwrap().1, "login+");
        session.logout().unwrap();
    }
}

#[test]
fn a_login_of_which_only_the_answer_got_lost_is_saved() {
    let world = World::new();
    let (session, _, _) = unsaved_login(&world);
    // The store had taken it, and others have gone on.
    let ours = session.current.load_full().record.version.session;
    world.store.put(Some(world.record(ours, 9, NOW_S + 5, "of ours", Origin::Renewal)));
    world.store.fails_to_commit.store(false, SeqCst);
    assert_eq!(bearer(&session).unwrap(), format!("Bearer {}", jwt(NOW_S + 5, 0)));
}

#[test]
fn an_unsaved_renewal_that_comes_too_late_is_not_said_to_be_saved() {
    let world = World::new();
    world.store.put(Some(world.record(7, 3, EXPIRED_S, "r", Origin::Renewal)));
    let (session, _) = world.hasty_session(good(NOW_S));
    let lines = Arc::new(Mutex::new(Vec::new()));
    let kept = lines.clone();
    let sink: Arc<LogSink> = Arc::new(move |_, line: &str| kept.lock().unwrap().push(line.to_owned()));
    session.set_log(Some((LogLevel::Debug, sink))).unwrap();
    world.store.fails_to_commit.store(true, SeqCst);
    bearer(&session).unwrap();
    world.store.put(Some(world.record(7, 5, NOW_S + 9, "others", Origin::Renewal)));
    world.store.fails_to_commit.store(false, SeqCst);
    assert_eq!(bearer(&session).unwrap(), format!("Bearer {}", jwt(NOW_S + 9, 0)));
    assert!(!says(&lines, "the store has taken"), "{lines:?}");
}

#[test]
fn an_answer_is_offered_to_the_store_until_the_call_ends() {
    for wants_login in [false, true] {
        let world = World::new();
        world.store.put(Some(world.record(7, 3, EXPIRED_S, "r", Origin::Renewal)));
        let (session, _) = world.session_of(world.given(1, EXPIRED_S, "never sent"), 60_000, 0, good(NOW_S));
        // For four seconds and more.
        world.store.failing_commits.store(20, SeqCst);
        let refresh_token = if wants_login {
            session.login("grace", "hopper", "navy", None).unwrap();
            "login+"
        } else {
            bearer(&session).unwrap();
            "r+"
        };
        assert_eq!(world.store.holds().unwrap().1, refresh_token);
    }
}

#[test]
fn an_answer_that_another_process_may_bring_is_waited_for_while_the_token_is_valid() {
    let world = World::new();
    let mut child = std::process::Command::new("sleep").arg("600").spawn().unwrap();
    let minute = 60_000;
    let by = |author: Author| Intent {
        spends: fingerprint("r"),
        begun_ms: world.clock.now().wall_ms,
        deadline_ms: world.clock.now().wall_ms + minute,
        author,
    };
    let elsewhere = Author { host: "elsewhere".to_owned(), pid: 9, place: None };
    let (running, unknown) = (by(Author::of(child.id())), by(elsewhere));
    let requests_of = |intent: &Intent, iat: i64| {
        let mut record = world.record(7, 5, iat, "r", Origin::Renewal);
        record.notes.intent = Some(intent.clone());
        let now = world.clock.now();
        record.received = Now { wall_ms: now.wall_ms - 10 * minute, mono_ms: now.mono_ms - 10 * minute };
        world.store.put(Some(record));
        let (session, requests) = world.session(good(NOW_S + LIFE_S));
        session.current().unwrap();
        // Not before the store may be looked into again.
        world.clock.advance_ms(2_000);
        bearer(&session).unwrap();
        sent(&requests).len()
    };
    world.clock.advance_ms(2 * minute);
    let in_window = NOW_S - LIFE_S + 600;
    assert_eq!([&running, &unknown].map(|intent| requests_of(intent, in_window)), [0, 1]);
    // One that has given up brings nothing.
    assert_eq!(requests_of(&running.clone().given_up(), in_window), 1);
    // Without a valid token it is tried.
    assert_eq!(requests_of(&running, EXPIRED_S), 1);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(requests_of(&running, in_window), 1);
}

#[test]
fn an_old_look_does_not_undo_a_logout() {
    let world = World::new();
    let old = world.record(7, 3, NOW_S, "r", Origin::Renewal);
    world.store.put(Some(old.clone()));
    let (session, _) = world.session(good(NOW_S));
    session.current().unwrap();
    let seen = session.current.load_full();
    session.logout().unwrap();
    // A thread that looked before comes late.
    session.install(Arc::new(old), &seen);
    assert_eq!(bearer(&session).unwrap_err().status(), Status::NoToken);
}

#[test]
fn a_slow_store_leaves_too_little_time_to_begin() {
    let world = World::new();
    world.store.put(Some(world.record(7, 5, EXPIRED_S, "r", Origin::Renewal)));
    let (session, requests) = world.session(good(NOW_S));
    session.current().unwrap();
    // A second and a half have to be left of it; two looks at the store take more than the rest.
    world.store.load_takes_ms.store(1_500, SeqCst);
    let deadline = Instant::now() + Duration::from_millis(4_200);
    let wish = Wish { project: None, is_early: false, is_explicit: true, deadline };
    let (grant, journal) = (session.current.load_full(), session.log.journal());
    let error = session.renewal(deadline, false, &journal).run(&grant.record, wish, false, |_| 0).unwrap_err();
    assert_eq!(error.status(), Status::Timeout, "{error}");
    assert_eq!((sent(&requests), world.store.intent()), (vec![], None));
}

#[test]
fn a_request_is_not_sent_when_its_answer_could_not_come_in_time() {
    let world = World::new();
    world.store.put(Some(world.record(7, 5, EXPIRED_S, "r", Origin::Renewal)));
    let (session, requests) = world.session(good(NOW_S));
    session.current().unwrap();
    // A second has to be left when the server is reached.
    world.store.connect_takes_ms.store(3_500, SeqCst);
    let deadline = Instant::now() + Duration::from_millis(4_200);
    let wish = Wish { project: None, is_early: false, is_explicit: true, deadline };
    let (grant, journal) = (session.current.load_full(), session.log.journal());
    let error = session.renewal(deadline, false, &journal).run(&grant.record, wish, false, |_| 0).unwrap_err();
    assert_eq!(error.status(), Status::Timeout, "{error}");
    assert_eq!((sent(&requests), world.store.intent()), (vec![], None));
}

#[test]
fn a_project_that_is_refused_ends_no_doubt() {
    let world = World::new();
    let mut record = world.record(7, 5, NOW_S, "r", Origin::Renewal);
    let author = Author { host: "elsewhere".to_owned(), pid: 9, place: None };
    record.notes.intent = Some(Intent { spends: "00".to_owned(), begun_ms: 1, deadline_ms: 2, author });
    world.store.put(Some(record));
    let (session, _) = world.session(Box::new(|_, _| (403, r#"{"error":"invalid_grant"}"#.to_owned())));
    assert_eq!(session.refresh(Some("another")).unwrap_err().status(), Status::Unauthorized);
    assert_eq!(world.store.intent().map(|intent| intent.author.pid), Some(9));
    assert_eq!(session.refresh(None).unwrap_err().status(), Status::Unauthorized);
    assert_eq!(world.store.intent(), None);
}

#[test]
fn a_store_that_is_slow_to_refuse_a_late_save_is_left_alone_for_as_long() {
    let world = World::new();
    world.store.put(Some(world.record(7, 3, EXPIRED_S, "r", Origin::Renewal)));
    let (session, _) = world.hasty_session(good(NOW_S));
    session.current().unwrap();
    world.store.fails_to_commit.store(true, SeqCst);
    let unsaved = bearer(&session).unwrap();
    world.store.fails_to_load.store(true, SeqCst);
    world.store.takes_ms.store(5_000, SeqCst);
    let tries = || {
        let before = world.store.operations.load(SeqCst);
        assert_eq!(bearer(&session).unwrap(), unsaved);
        world.store.operations.load(SeqCst) - before
    };
    assert_eq!([tries(), tries(), tries()], [1, 0, 0]);
    world.clock.advance_ms(5_000);
    assert_eq!([tries(), tries()], [1, 0]);
    // One that refuses at once is asked at every call.
    world.store.takes_ms.store(0, SeqCst);
    world.clock.advance_ms(5_000);
    assert_eq!([tries(), tries()], [1, 1]);
}

/// A server may take as long as the call has, and the lock lasts as long; a minute is enough for both.
#[test]
fn a_renewal_may_take_what_the_call_has() {
    for (timeout_ms, term_s) in [(8_000, 13), (30_000, 35), (60_000, 65), (300_000, 65)] {
        let world = World::new();
        world.store.put(Some(world.record(7, 5, EXPIRED_S, "r", Origin::Renewal)));
        let (session, _) = world.session_of(world.given(1, EXPIRED_S, "never sent"), timeout_ms, 0, good(NOW_S));
        session.current().unwrap();
        bearer(&session).unwrap();
        let term = *world.store.term.lock().unwrap();
        assert!(term <= Duration::from_secs(term_s) && term > Duration::from_secs(term_s - 3), "{term:?}");
    }
}

/// In an outage of the server the record says when to look again.
#[test]
fn a_store_that_asks_for_a_rest_is_not_looked_into_before() {
    let world = World::new();
    let mut record = world.record(7, 5, NOW_S - 3000, "r", Origin::Renewal);
    record.notes.early_not_before_ms = (NOW_S + 261) * 1000;
    world.store.put(Some(record));
    let (session, requests) = world.session(good(NOW_S));
    bearer(&session).unwrap();
    // Now the token is no longer new.
    world.clock.advance_ms(61_000);
    for _ in 0..2 {
        bearer(&session).unwrap();
        world.clock.advance_ms(1_000);
    }
    let before = world.store.operations.load(SeqCst);
    for _ in 0..197 {
        world.clock.advance_ms(1_000);
        bearer(&session).unwrap();
    }
    assert_eq!((world.store.operations.load(SeqCst), sent(&requests)), (before, vec![]));
    world.clock.advance_ms(22_000);
    bearer(&session).unwrap();
    assert_eq!(sent(&requests), ["r"]);
}

#[test]
fn a_login_holds_the_lock_no_longer_than_a_renewal() {
    let world = World::new();
    let (session, requests) = world.session_of(world.given(1, EXPIRED_S, "r"), 300_000, 0, good(NOW_S));
    session.login("ada", "lovelace", "analytical-engines", None).unwrap();
    assert_eq!(sent(&requests), ["login"]);
    assert_eq!(*world.store.term.lock().unwrap(), Duration::from_secs(65));
}
