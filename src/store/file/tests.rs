#![forbid(unsafe_code)]

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::AtomicUsize;
use std::time::SystemTime;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill, raise};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::super::codec::tests::{codec, later, record};
use super::directory::Moment;
use super::directory::tests::{left, meet};
use super::flock::Flock;
use super::*;
use crate::author::Author;
use crate::error::Status;
use crate::random;
use crate::record::{Intent, Tokens};

const BOTH: [LockChoice; 2] = [LockChoice::Flock, LockChoice::Lease];
/// Longer than any test.
const LONG: Duration = Duration::from_secs(600);

/// A directory of its own that goes with the test.
struct Place(PathBuf);

impl Place {
    fn new() -> Self {
        Self::within(&std::env::temp_dir())
    }

    /// Where syncing costs nothing, if there is such a place.
    fn fast() -> Self {
        let memory = Path::new("/dev/shm");
        if memory.is_dir() { Self::within(memory) } else { Self::new() }
    }

    fn within(parent: &Path) -> Self {
        let path = parent.join(format!("gcauth-file-{:016x}", random::number()));
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
        Place(path)
    }

    fn path(&self) -> PathBuf {
        self.0.join("session")
    }

    fn store(&self, choice: LockChoice) -> Files {
        Files::new(self.path(), choice, codec())
    }

    fn file(&self, suffix: &str) -> PathBuf {
        self.0.join(format!("session{suffix}"))
    }

    fn suffixes(&self) -> BTreeSet<String> {
        let names = fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.map(|name| name.strip_prefix("session").unwrap().to_owned()).collect()
    }

    /// Lets a minute pass for a file.
    fn age(&self, suffix: &str) {
        let file = fs::File::options().write(true).open(self.file(suffix)).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(60)).unwrap();
    }

    fn age_all(&self) {
        self.suffixes().iter().for_each(|suffix| self.age(suffix));
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn names(suffixes: &[&str]) -> BTreeSet<String> {
    suffixes.iter().map(|suffix| (*suffix).to_owned()).collect()
}

fn lock(store: &Files) -> Arc<dyn Lock> {
    store.lock(LONG, soon(), later()).unwrap().expect("nobody holds the lock")
}

fn soon() -> Option<Instant> {
    Instant::now().checked_add(LONG)
}

fn version(store: &Files) -> Version {
    store.load(later()).unwrap().unwrap().version
}

fn is_done(commit: &Commit) -> bool {
    matches!(commit, Commit::Done(_))
}

fn refusal(result: Result<impl Sized>) -> String {
    let error = result.err().expect("it is refused");
    assert_eq!(error.status(), Status::Store, "{error}");
    assert!(!error.message().contains('\n'), "{error}");
    error.message().to_owned()
}

fn intent(spends: &str) -> Notes {
    let author = Author { host: "node".into(), pid: 7, place: None };
    let intent = Intent { spends: spends.into(), begun_ms: 1, deadline_ms: 2, author };
    Notes { early_not_before_ms: 3, intent: Some(intent), ..Notes::default() }
}

#[test]
fn nothing_is_touched_before_the_first_use() {
    for choice in BOTH {
        let place = Place::new();
        let store = place.store(choice);
        assert_eq!((store.kind(), store.lock_kind(), store.is_shared()), ("file", choice_name(choice), true));
        assert!(store.load(later()).unwrap().is_none());
        assert!(!store.note(record(1, 1).version, &Notes::default(), &Notes::default(), later()).unwrap());
        assert!(place.suffixes().is_empty());
    }
}

#[test]
fn a_commit_on_what_was_not_seen_is_outdated() {
    for choice in BOTH {
        let place = Place::new();
        let (store, other) = (place.store(choice), place.store(LockChoice::Auto));
        assert!(is_done(&store.commit(Expected::Nothing, record(1, 0), later()).unwrap()));
        let seen = Expected::Record(record(1, 0).version);
        assert!(
            matches!(other.commit(seen, record(1, 0), later()).unwrap(), Commit::Done(r) if r.version.generation == 1)
        );
        for _ in 0..2 {
            let outdated = store.commit(seen, record(1, 0), later()).unwrap();
            assert!(matches!(outdated, Commit::Outdated(r) if r.version.generation == 1));
        }
        assert!(matches!(store.commit(Expected::Nothing, record(1, 0), later()).unwrap(), Commit::Outdated(_)));
        let wrong_session = Expected::Record(record(2, 1).version);
        assert!(matches!(store.commit(wrong_session, record(2, 1), later()).unwrap(), Commit::Outdated(_)));
        let done = store.commit(Expected::Anything, record(2, 0), later()).unwrap();
        assert!(matches!(done, Commit::Done(r) if r.version == Version { session: 2, generation: 2 }));
        let seen = other.load(later()).unwrap().unwrap();
        assert_eq!(seen.version, Version { session: 2, generation: 2 });
        assert_eq!(seen.tokens.token(), Some("access"));
        assert_eq!(seen.tokens.refresh_token(), Some("refresh"));
    }
}

#[test]
fn a_record_that_is_gone_can_not_be_continued_but_begun() {
    for choice in BOTH {
        let place = Place::new();
        let store = place.store(choice);
        assert!(
            refusal(store.commit(Expected::Record(record(1, 5).version), record(1, 5), later())).contains("is gone")
        );
        assert!(store.load(later()).unwrap().is_none());
        // A high generation comes back as it was, and the next follow.
        for generation in [57, 58, 59] {
            let done = store.commit(Expected::Anything, record(1, 57), later()).unwrap();
            assert!(matches!(done, Commit::Done(r) if r.version.generation == generation));
            assert_eq!(version(&store).generation, generation);
            assert_eq!(version(&place.store(LockChoice::Auto)).generation, generation);
        }
    }
}

#[test]
fn notes_are_for_the_record_that_was_seen() {
    for choice in BOTH {
        let place = Place::new();
        let (store, other) = (place.store(choice), place.store(choice));
        store.commit(Expected::Nothing, record(1, 5), later()).unwrap();
        assert!(!store.note(record(1, 4).version, &Notes::default(), &intent("a"), later()).unwrap());
        assert!(!store.note(record(2, 5).version, &Notes::default(), &intent("a"), later()).unwrap());
        assert_eq!(other.load(later()).unwrap().unwrap().notes, Notes::default());
        let mut was = Notes::default();
        for notes in [intent("a"), Notes::default(), intent("b"), intent("c"), Notes::default()] {
            // Who comes late must not erase what somebody else noted.
            assert!(!store.note(record(1, 5).version, &intent("x"), &notes, later()).unwrap());
            assert!(store.note(record(1, 5).version, &was, &notes, later()).unwrap());
            was = notes.clone();
            assert_eq!(other.load(later()).unwrap().unwrap().notes, notes);
            assert_eq!(store.load(later()).unwrap().unwrap().notes, notes);
            assert_eq!(place.store(choice).load(later()).unwrap().unwrap().notes, notes);
        }
        store.note(record(1, 5).version, &Notes::default(), &intent("d"), later()).unwrap();
        let seen = Expected::Record(record(1, 5).version);
        assert!(is_done(&other.commit(seen, Record { notes: intent("e"), ..record(1, 5) }, later()).unwrap()));
        assert_eq!(store.load(later()).unwrap().unwrap().notes, intent("e"));
        assert!(!store.note(record(1, 5).version, &Notes::default(), &intent("f"), later()).unwrap());
    }
}

#[test]
fn what_is_stale_is_read_again() {
    let place = Place::new();
    let (store, other) = (place.store(LockChoice::Lease), place.store(LockChoice::Lease));
    store.commit(Expected::Nothing, record(1, 0), later()).unwrap();
    store.load(later()).unwrap();
    other.commit(Expected::Anything, record(1, 0), later()).unwrap();
    for (moment, errno) in [(Moment::Open, Errno::ESTALE), (Moment::Open, Errno::ENOENT), (Moment::List, Errno::ESTALE)]
    {
        let fresh = place.store(LockChoice::Lease);
        fresh.method().unwrap();
        for store in [&fresh, &store] {
            meet(moment, errno, 1);
            assert_eq!(store.load(later()).map(|seen| seen.unwrap().version.generation), Ok(1), "{moment:?}");
        }
        meet(moment, errno, 1);
        assert!(
            is_done(&store.commit(Expected::Record(record(1, 1).version), record(1, 1), later()).unwrap()),
            "{moment:?}"
        );
        assert_eq!(left(), 0);
        fs::remove_file(place.file(".g2")).unwrap();
    }
    meet(Moment::Open, Errno::ESTALE, 1);
    assert!(store.base.directory.time().is_ok());
    // A directory that stays stale is an error that may pass.
    meet(Moment::List, Errno::ESTALE, 2);
    let fresh = place.store(LockChoice::Lease);
    let error = fresh.load(later()).unwrap_err();
    assert_eq!((error.status(), error.is_retryable(), left()), (Status::Store, true, 0), "{error}");
}

#[test]
fn one_at_a_time_has_the_lock() {
    for choice in BOTH {
        let place = Place::new();
        let (store, other) = (place.store(choice), place.store(choice));
        for generation in 0..3 {
            let held = lock(&store);
            assert!(held.is_held(Duration::from_secs(1), later()).unwrap());
            assert!(other.lock(LONG, None, later()).unwrap().is_none());
            let short = Instant::now().checked_add(Duration::from_millis(60));
            assert!(store.lock(LONG, short, later()).unwrap().is_none());
            drop(held);
            let held = lock(&other);
            store.commit(Expected::Anything, record(1, generation), later()).unwrap();
            drop(held);
        }
    }
}

#[test]
fn a_lock_that_is_waited_for_comes_when_it_is_given_back() {
    for choice in BOTH {
        let place = Place::new();
        let store = place.store(choice);
        let held = lock(&store);
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| drop(lock(&place.store(choice))));
            std::thread::sleep(Duration::from_millis(100));
            assert!(!waiting.is_finished());
            drop(held);
        });
    }
}

#[test]
fn of_many_beginners_one_is_first() {
    for choice in BOTH {
        let place = Place::fast();
        let firsts = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for session in 1..=8 {
                let (place, firsts) = (&place, &firsts);
                scope.spawn(move || {
                    let done =
                        place.store(choice).commit(Expected::Nothing, record(session, session % 3), later()).unwrap();
                    firsts.fetch_add(usize::from(is_done(&done)), Ordering::SeqCst);
                });
            }
        });
        assert_eq!(firsts.into_inner(), 1);
    }
}

#[test]
fn no_commit_of_many_threads_is_lost() {
    for choice in BOTH {
        let place = Place::fast();
        let one = place.store(choice);
        let commits = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let (place, one, commits) = (&place, &one, &commits);
                scope.spawn(move || {
                    // Some share a handle, some have their own.
                    let own = place.store(choice);
                    let store = if thread % 2 == 0 { one } else { &own };
                    for _ in 0..25 {
                        assert!(is_done(&store.commit(Expected::Anything, record(1, 0), later()).unwrap()));
                        let done =
                            is_done(&store.commit(Expected::Record(version(store)), record(1, 0), later()).unwrap());
                        commits.fetch_add(1 + usize::from(done), Ordering::SeqCst);
                    }
                });
            }
        });
        // The first one is number 0.
        assert_eq!(version(&one).generation + 1, commits.into_inner() as u64);
    }
}

#[test]
fn the_first_number_is_not_given_away_while_its_followers_are_young() {
    let place = Place::new();
    let store = place.store(LockChoice::Lease);
    for _ in 0..3 {
        assert!(is_done(&store.commit(Expected::Anything, record(1, 0), later()).unwrap()));
    }
    // Whoever made number 0 finds two more when it looks around: that says nothing against it.
    assert!(!store.leased.was_removed_before(0).unwrap());
    let next = fs::File::open(place.0.join("session.g1")).unwrap();
    next.set_modified(std::time::SystemTime::now() - Duration::from_secs(60)).unwrap();
    assert!(store.leased.was_removed_before(0).unwrap());
}

#[test]
fn what_was_prepared_is_used_or_removed() {
    for choice in BOTH {
        let place = Place::new();
        let store = place.store(choice);
        store.commit(Expected::Nothing, record(1, 0), later()).unwrap();
        let before = place.suffixes();
        // Without the lock there is no place of one's own.
        store.prepare(later()).unwrap();
        assert_eq!(place.suffixes(), before);
        let held = lock(&store);
        store.prepare(later()).unwrap();
        let reserved = store.base.held().unwrap().reserved.clone();
        assert!(fs::metadata(&reserved).unwrap().len() >= LEAST_RESERVED as u64);
        // Notes leave it alone.
        assert!(store.note(record(1, 0).version, &Notes::default(), &intent("a"), later()).unwrap());
        assert!(reserved.exists());
        assert!(is_done(&store.commit(Expected::Record(record(1, 0).version), record(1, 1), later()).unwrap()));
        assert!(!reserved.exists());
        assert_eq!(version(&place.store(choice)).generation, 1);
        drop(held);
        let held = lock(&store);
        store.prepare(later()).unwrap();
        let reserved = store.base.held().unwrap().reserved.clone();
        assert!(reserved.exists());
        drop(held);
        assert!(!reserved.exists() && store.base.held().is_none());
    }
}

#[test]
fn what_was_prepared_is_the_holders_alone() {
    for choice in BOTH {
        let place = Place::new();
        let store = place.store(choice);
        store.commit(Expected::Nothing, record(1, 0), later()).unwrap();
        let held = lock(&store);
        store.prepare(later()).unwrap();
        let reserved = store.base.held().unwrap().reserved.clone();
        let is_untouched = || fs::read(&reserved).is_ok_and(|bytes| bytes.iter().all(|byte| *byte == 0));
        // A logout, or tokens that were not saved before: without the lock, in the same process.
        std::thread::scope(|scope| {
            let other = scope.spawn(|| {
                let written = store.base.write(place.file("-other"), &codec().write(&record(1, 0)).unwrap()).unwrap();
                assert!(is_untouched());
                drop(written);
                store.prepare(later()).unwrap();
                assert!(is_done(&store.commit(Expected::Anything, record(1, 0), later()).unwrap()));
                assert!(store.note(version(&store), &Notes::default(), &intent("a"), later()).unwrap());
            });
            other.join().unwrap();
        });
        assert!(is_untouched());
        assert!(is_done(&store.commit(Expected::Anything, record(1, 0), later()).unwrap()));
        assert!(!reserved.exists());
        drop(held);
        assert_eq!(version(&place.store(choice)).generation, 2);
    }
}

#[test]
fn a_writer_that_was_stopped_is_an_obstacle_that_may_go() {
    let place = Place::new();
    let store = place.store(LockChoice::Flock);
    store.commit(Expected::Nothing, record(1, 0), later()).unwrap();
    let writing = Flock::take(&store.base.directory, ".write", None, SHORT).unwrap().unwrap();
    let error = store.commit(Expected::Anything, record(1, 0), later()).unwrap_err();
    assert_eq!((error.status(), error.is_retryable()), (Status::Store, true), "{error}");
    assert!(error.message().contains("look for a stopped process"), "{error}");
    drop(writing);
    assert!(is_done(&store.commit(Expected::Anything, record(1, 0), later()).unwrap()));
}

#[test]
fn a_prepared_file_that_somebody_removed_is_made_anew() {
    for choice in BOTH {
        let place = Place::new();
        let store = place.store(choice);
        store.commit(Expected::Nothing, record(1, 0), later()).unwrap();
        let _held = lock(&store);
        store.prepare(later()).unwrap();
        fs::remove_file(&store.base.held().unwrap().reserved).unwrap();
        assert!(is_done(&store.commit(Expected::Record(record(1, 0).version), record(1, 1), later()).unwrap()));
    }
}

fn tombstone(session: u64) -> Record {
    Record { tokens: Tokens::none(), ..record(session, 0) }
}

impl Place {
    /// The files that hold a token.
    fn with_tokens(&self) -> BTreeSet<String> {
        let holds = |suffix: &String| {
            let text = fs::read(self.file(suffix)).unwrap();
            ["\"access\"", "\"refresh\""].iter().any(|token| text.windows(token.len()).any(|at| at == token.as_bytes()))
        };
        self.suffixes().into_iter().filter(holds).collect()
    }

    fn write(&self, suffix: &str, record: &Record) {
        fs::write(self.file(suffix), codec().write(record).unwrap().expose()).unwrap();
        fs::set_permissions(self.file(suffix), fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn modified(&self, suffix: &str) -> SystemTime {
        fs::metadata(self.file(suffix)).unwrap().modified().unwrap()
    }
}

#[test]
fn a_logout_leaves_no_token() {
    for choice in BOTH {
        let place = Place::new();
        let store = place.store(choice);
        for _ in 0..4 {
            assert!(is_done(&store.commit(Expected::Anything, record(1, 0), later()).unwrap()));
        }
        // What holders and writers left who were killed with an answer in hand.
        match choice {
            LockChoice::Lease => [".tmp.3.1", ".tmp.00112233445566ff"].iter().for_each(|suffix| {
                place.write(suffix, &record(1, 4));
            }),
            _ => [".next", ".tmp"].iter().for_each(|suffix| place.write(suffix, &record(1, 4))),
        }
        assert!(place.with_tokens().len() >= 3);
        assert!(is_done(&store.commit(Expected::Anything, tombstone(2), later()).unwrap()));
        assert_eq!(place.with_tokens(), BTreeSet::new());
        assert!(store.leased.hint.load().as_ref().is_none_or(|hint| hint.record.tokens.is_none()));
        assert!(!place.suffixes().iter().any(|suffix| suffix.starts_with(".tmp") || suffix == ".next"));
        for store in [&store, &place.store(choice)] {
            assert_eq!(version(store), Version { session: 2, generation: 4 });
        }
        // Life goes on, and ends again.
        let held = lock(&store);
        store.prepare(later()).unwrap();
        assert!(is_done(&store.commit(Expected::Anything, record(3, 0), later()).unwrap()));
        drop(held);
        assert_eq!(version(&place.store(choice)), Version { session: 3, generation: 5 });
        assert!(is_done(&store.commit(Expected::Anything, tombstone(4), later()).unwrap()));
        assert_eq!(place.with_tokens(), BTreeSet::new());
    }
}

#[test]
fn a_logout_leaves_the_file_of_a_holder_alone() {
    for choice in BOTH {
        let place = Place::new();
        let (store, other) = (place.store(choice), place.store(choice));
        store.commit(Expected::Nothing, record(1, 0), later()).unwrap();
        let held = lock(&store);
        store.prepare(later()).unwrap();
        let reserved = store.base.held().unwrap().reserved.clone();
        assert!(is_done(&other.commit(Expected::Anything, tombstone(2), later()).unwrap()));
        assert!(reserved.exists());
        let commit = store.commit(Expected::Record(record(1, 0).version), record(1, 0), later()).unwrap();
        assert!(matches!(commit, Commit::Outdated(record) if record.tokens.is_none()));
        drop(held);
        assert_eq!(place.with_tokens(), BTreeSet::new());
        assert!(!reserved.exists());
    }
}

#[test]
fn what_a_logout_emptied_keeps_its_name_and_its_age_and_leads_on() {
    let place = Place::new();
    let store = place.store(LockChoice::Lease);
    store.commit(Expected::Nothing, record(1, 7), later()).unwrap();
    let mut watchers = Vec::new();
    for _ in 0..3 {
        let watcher = place.store(LockChoice::Lease);
        watcher.load(later()).unwrap();
        watchers.push(watcher);
        store.commit(Expected::Anything, record(1, 0), later()).unwrap();
    }
    place.age(".g8");
    let numbers = [".g0", ".g7", ".g8", ".g9", ".g10"];
    let ages = numbers.map(|suffix| place.modified(suffix));
    store.commit(Expected::Anything, tombstone(2), later()).unwrap();
    assert_eq!(place.with_tokens(), BTreeSet::new());
    assert_eq!(numbers.map(|suffix| place.modified(suffix)), ages);
    let expected = Version { session: 2, generation: 11 };
    for watcher in &watchers {
        assert_eq!(version(watcher), expected);
    }
    // Who listed the files just before the logout reads one that leads to the tombstone.
    for number in [0, 7, 8, 9, 10] {
        let text = fs::read(place.file(&format!(".g{number}"))).unwrap();
        assert_eq!(codec().read(&text).unwrap().version, expected);
    }
    let copy = Place::new();
    for suffix in [".method", ".g10"] {
        fs::copy(place.file(suffix), copy.file(suffix)).unwrap();
    }
    assert_eq!(version(&copy.store(LockChoice::Lease)), expected);
    for _ in 0..2 {
        place.age_all();
        let held = lock(&store);
        store.commit(Expected::Anything, record(3, 0), later()).unwrap();
        drop(held);
    }
    assert!(!place.suffixes().contains(".g10"), "{:?}", place.suffixes());
}

#[test]
fn who_slept_over_a_logout_gets_no_number_twice() {
    let place = Place::new();
    let (store, sleeper) = (place.store(LockChoice::Lease), place.store(LockChoice::Lease));
    for _ in 0..6 {
        store.commit(Expected::Anything, record(1, 0), later()).unwrap();
    }
    place.age_all();
    drop(lock(&store));
    assert!(!place.suffixes().contains(".g3") && place.suffixes().contains(".g4"));
    store.commit(Expected::Anything, tombstone(2), later()).unwrap();
    let late = || sleeper.base.directory.write(sleeper.base.directory.unique(), b"late").unwrap();
    assert!(!sleeper.leased.append(&late(), Some(2), 3).unwrap());
    // One who emptied old files slept, too, and brought a name back.
    fs::copy(place.file(".g4"), place.file(".g2")).unwrap();
    assert!(!sleeper.leased.append(&late(), Some(2), 3).unwrap());
    assert!(!place.suffixes().contains(".g3"));
}

#[test]
fn a_logout_that_was_killed_is_finished_by_who_comes_later() {
    let place = Place::new();
    let store = place.store(LockChoice::Lease);
    for _ in 0..2 {
        store.commit(Expected::Anything, record(1, 0), later()).unwrap();
    }
    store.commit(Expected::Anything, tombstone(2), later()).unwrap();
    place.write(".g0", &record(1, 0));
    place.write(".g1", &record(1, 1));
    // Whoever logs out may be still at it.
    assert!(place.store(LockChoice::Lease).load(later()).unwrap().is_some());
    assert_eq!(place.with_tokens(), names(&[".g0", ".g1"]));
    place.age(".g2");
    assert!(place.store(LockChoice::Lease).load(later()).unwrap().is_some());
    assert_eq!(place.with_tokens(), BTreeSet::new());
    // Or by another logout.
    place.write(".g1", &record(1, 1));
    store.commit(Expected::Anything, tombstone(3), later()).unwrap();
    assert_eq!(place.with_tokens(), BTreeSet::new());
}

#[test]
fn a_logout_that_could_not_clean_up_says_so_and_stands() {
    let place = Place::new();
    let store = place.store(LockChoice::Lease);
    for _ in 0..2 {
        store.commit(Expected::Anything, record(1, 0), later()).unwrap();
    }
    let set_mode = |mode| fs::set_permissions(place.file(".g0"), fs::Permissions::from_mode(mode)).unwrap();
    set_mode(0o644);
    let message = refusal(store.commit(Expected::Anything, tombstone(2), later()));
    assert!(message.contains("log out again") && message.contains("session.g0"), "{message}");
    assert!(store.load(later()).unwrap().unwrap().tokens.is_none());
    set_mode(0o600);
    assert!(is_done(&store.commit(Expected::Anything, tombstone(3), later()).unwrap()));
    assert_eq!(place.with_tokens(), BTreeSet::new());
}

#[test]
fn logouts_and_logins_at_once_are_seen_whole() {
    let place = Place::fast();
    place.store(LockChoice::Lease).commit(Expected::Nothing, record(1, 0), later()).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..6 {
            let place = &place;
            scope.spawn(move || {
                let store = place.store(LockChoice::Lease);
                for round in 0..20 {
                    match thread % 3 {
                        0 => drop(store.commit(Expected::Anything, tombstone(round), later()).unwrap()),
                        1 => drop(store.commit(Expected::Anything, record(round, 0), later()).unwrap()),
                        _ => assert!(place.store(LockChoice::Lease).load(later()).unwrap().is_some()),
                    }
                }
            });
        }
    });
    let store = place.store(LockChoice::Lease);
    let commit = store.commit(Expected::Anything, tombstone(99), later()).unwrap();
    assert!(matches!(commit, Commit::Done(record) if record.version.generation == 81));
    assert_eq!(place.with_tokens(), BTreeSet::new());
    assert!(!place.suffixes().iter().any(|suffix| suffix.starts_with(".tmp")));
}

#[test]
fn no_litter_is_left() {
    for choice in BOTH {
        let place = Place::new();
        let store = place.store(choice);
        for generation in 0..6 {
            let _held = lock(&store);
            store.prepare(later()).unwrap();
            if let Some(seen) = store.load(later()).unwrap() {
                store.note(seen.version, &Notes::default(), &intent("a"), later()).unwrap();
            }
            store.commit(Expected::Anything, record(1, generation), later()).unwrap();
            // A renewal comes minutes after the last.
            place.age_all();
        }
        let expected: &[&str] = match choice {
            LockChoice::Lease => &[".method", ".g4", ".g5", ".n.4.1", ".lease.4.1"],
            _ => &["", ".method", ".lock", ".write"],
        };
        assert_eq!(place.suffixes(), names(expected));
        for suffix in place.suffixes() {
            assert_eq!(fs::metadata(place.file(&suffix)).unwrap().permissions().mode() & 0o777, 0o600, "{suffix}");
        }
    }
}

#[test]
fn what_the_dead_left_is_removed() {
    let place = Place::new();
    let store = place.store(LockChoice::Flock);
    store.commit(Expected::Nothing, record(1, 0), later()).unwrap();
    for suffix in [".next", ".tmp"] {
        fs::write(place.file(suffix), "left").unwrap();
    }
    fs::hard_link(place.file(".method"), place.file(".method.flock")).unwrap();
    drop(lock(&store));
    store.note(record(1, 0).version, &Notes::default(), &intent("a"), later()).unwrap();
    assert_eq!(place.suffixes(), names(&["", ".method", ".lock", ".write"]));

    let place = Place::new();
    let store = place.store(LockChoice::Lease);
    store.commit(Expected::Nothing, record(1, 0), later()).unwrap();
    fs::write(place.file(".tmp.0.1"), "left by the holder of an earlier lease").unwrap();
    fs::write(place.file(".tmp.00112233445566ff"), "in use, or left").unwrap();
    fs::write(place.file(".tmp.mine"), "not ours").unwrap();
    fs::hard_link(place.file(".method"), place.file(".method.lease")).unwrap();
    drop(lock(&store));
    drop(lock(&store));
    let after = place.suffixes();
    assert!(after.contains(".tmp.00112233445566ff") && !after.contains(".tmp.0.1"), "{after:?}");
    place.age(".tmp.00112233445566ff");
    drop(lock(&store));
    let after = place.suffixes();
    let expected = [".g0", ".method", ".lease.0.2", ".lease.0.2.free", ".lease.0.3", ".lease.0.3.free", ".tmp.mine"];
    assert_eq!(after, names(&expected));
}

#[test]
fn a_draft_of_a_store_that_was_not_finished_is_no_store() {
    for choice in BOTH {
        let place = Place::new();
        fs::write(place.file(&format!(".method.{}", choice_name(choice))), "").unwrap();
        fs::set_permissions(place.file(&format!(".method.{}", choice_name(choice))), fs::Permissions::from_mode(0o600))
            .unwrap();
        let store = place.store(choice);
        assert!(is_done(&store.commit(Expected::Nothing, record(1, 0), later()).unwrap()));
        assert_eq!(fs::read_to_string(place.file(".method")).unwrap(), format!("{}\n", choice_name(choice)));
        assert!(!place.file(&format!(".method.{}", choice_name(choice))).exists());
    }
}

#[test]
fn a_lease_runs_out_and_is_taken_over() {
    let place = Place::new();
    let (store, other) = (place.store(LockChoice::Lease), place.store(LockChoice::Lease));
    store.commit(Expected::Nothing, record(1, 0), later()).unwrap();
    let term = Duration::from_secs(30);
    let held = store.lock(term, None, later()).unwrap().unwrap();
    store.prepare(later()).unwrap();
    assert!(held.is_held(Duration::from_secs(2), later()).unwrap());
    assert!(!held.is_held(Duration::from_secs(40), later()).unwrap());
    assert!(other.lock(term, None, later()).unwrap().is_none());
    place.age(".lease.0.1");
    let next = other.lock(term, None, later()).unwrap().unwrap();
    assert!(next.is_held(Duration::ZERO, later()).unwrap());
    assert!(!held.is_held(Duration::ZERO, later()).unwrap());
    // The late holder alone has the answer of the server: it is kept, if it comes in time.
    assert!(is_done(&store.commit(Expected::Record(record(1, 0).version), record(1, 1), later()).unwrap()));
    assert!(!next.is_held(Duration::ZERO, later()).unwrap());
    assert!(matches!(
        other.commit(Expected::Record(record(1, 0).version), record(1, 1), later()).unwrap(),
        Commit::Outdated(record) if record.version.generation == 1
    ));
    drop(held);
    drop(next);
    assert!(place.store(LockChoice::Auto).lock(term, None, later()).unwrap().is_some());
}

#[test]
fn a_lease_ends_with_its_record() {
    let place = Place::new();
    let (store, other) = (place.store(LockChoice::Lease), place.store(LockChoice::Lease));
    let held = lock(&store);
    assert!(held.is_held(Duration::ZERO, later()).unwrap());
    other.commit(Expected::Anything, record(1, 3), later()).unwrap();
    assert!(!held.is_held(Duration::ZERO, later()).unwrap());
    let next = other.lock(LONG, None, later()).unwrap().unwrap();
    drop(held);
    assert!(next.is_held(Duration::ZERO, later()).unwrap());
    assert!(store.lock(LONG, None, later()).unwrap().is_none());
}

#[test]
fn a_lease_that_can_not_be_read_ends_too() {
    let place = Place::new();
    let store = place.store(LockChoice::Lease);
    drop(lock(&store));
    let lease = place.file(".lease.0.2");
    fs::write(&lease, "").unwrap();
    fs::set_permissions(&lease, fs::Permissions::from_mode(0o600)).unwrap();
    assert!(store.lock(LONG, None, later()).unwrap().is_none());
    place.age(".lease.0.2");
    let file = fs::File::options().write(true).open(&lease).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(70)).unwrap();
    assert!(store.lock(LONG, None, later()).unwrap().is_some());
}

#[test]
fn who_slept_over_many_generations_gets_no_number_twice() {
    let place = Place::new();
    let (store, sleeper) = (place.store(LockChoice::Lease), place.store(LockChoice::Lease));
    store.commit(Expected::Anything, record(1, 0), later()).unwrap();
    let seen = sleeper.leased.present(None).unwrap().unwrap();
    let written = sleeper.base.directory.write(sleeper.base.directory.unique(), b"late").unwrap();
    for generation in 1..6 {
        let _held = lock(&store);
        store.note(version(&store), &Notes::default(), &intent("a"), later()).unwrap();
        store.commit(Expected::Anything, record(1, generation), later()).unwrap();
        place.age_all();
    }
    drop(lock(&store));
    assert!(!place.suffixes().contains(".g1"));
    assert!(!sleeper.leased.append(&written, Some(seen.number), 1).unwrap());
    drop(written);
    assert!(!place.suffixes().contains(".g1"));
    // What it remembers leads it to what there is.
    assert_eq!(version(&sleeper).generation, 5);
    assert!(!sleeper.note(seen.record.version, &Notes::default(), &intent("b"), later()).unwrap());
    assert_eq!(store.load(later()).unwrap().unwrap().notes, Notes::default());
}

#[test]
fn who_slept_over_many_leases_holds_none() {
    let place = Place::new();
    let (store, sleeper) = (place.store(LockChoice::Lease), place.store(LockChoice::Lease));
    for _ in 0..9 {
        drop(lock(&store));
    }
    let held = lock(&store);
    assert!(!place.suffixes().contains(".lease.0.2"));
    assert!(sleeper.leased.take((0, 2), None, LONG).unwrap().is_none());
    assert!(!place.suffixes().contains(".lease.0.2"));
    assert!(sleeper.leased.take((0, 10), None, LONG).unwrap().is_none());
    assert!(held.is_held(Duration::ZERO, later()).unwrap());
}

#[test]
fn many_notes_on_one_record_are_thinned_out_and_the_last_counts() {
    let place = Place::new();
    let store = place.store(LockChoice::Lease);
    store.commit(Expected::Nothing, record(1, 0), later()).unwrap();
    // One watcher for every number of notes that it may have seen last.
    let watchers: Vec<Files> = (0..12)
        .map(|number| {
            let watcher = place.store(LockChoice::Lease);
            watcher.load(later()).unwrap();
            let was = store.load(later()).unwrap().unwrap().notes.clone();
            assert!(store.note(record(1, 0).version, &was, &intent(&number.to_string()), later()).unwrap());
            watcher
        })
        .collect();
    place.age_all();
    drop(lock(&store));
    let notes: Vec<String> = place.suffixes().into_iter().filter(|suffix| suffix.starts_with(".n.")).collect();
    assert_eq!(notes, [".n.0.1", ".n.0.11", ".n.0.12"]);
    for watcher in &watchers {
        assert_eq!(watcher.load(later()).unwrap().unwrap().notes, intent("11"));
    }
}

#[test]
fn notes_that_an_older_session_left_are_none_of_the_next() {
    let place = Place::new();
    let store = place.store(LockChoice::Lease);
    store.commit(Expected::Nothing, record(1, 0), later()).unwrap();
    store.note(record(1, 0).version, &Notes::default(), &intent("a"), later()).unwrap();
    fs::remove_file(place.file(".g0")).unwrap();
    assert!(store.load(later()).unwrap().is_none());
    store.commit(Expected::Nothing, record(2, 0), later()).unwrap();
    assert_eq!(store.load(later()).unwrap().unwrap().notes, Notes::default());
    assert!(store.note(record(2, 0).version, &Notes::default(), &intent("b"), later()).unwrap());
    assert_eq!(store.load(later()).unwrap().unwrap().notes, intent("b"));
}

#[test]
fn a_record_that_was_brought_back_halfway_is_brought_back() {
    let place = Place::new();
    let store = place.store(LockChoice::Lease);
    store.commit(Expected::Nothing, record(1, 9), later()).unwrap();
    // Its author died between the two names.
    fs::remove_file(place.file(".g9")).unwrap();
    assert_eq!(version(&place.store(LockChoice::Lease)).generation, 9);
    assert!(place.file(".g9").exists());
    assert!(matches!(
        store.commit(Expected::Record(record(1, 9).version), record(1, 9), later()).unwrap(),
        Commit::Done(record) if record.version.generation == 10
    ));
}

#[test]
fn all_who_share_a_store_lock_it_alike() {
    for (choice, other) in [(LockChoice::Flock, LockChoice::Lease), (LockChoice::Lease, LockChoice::Flock)] {
        let place = Place::new();
        place.store(choice).commit(Expected::Nothing, record(1, 0), later()).unwrap();
        let before = place.suffixes();
        let store = place.store(other);
        for message in [
            refusal(store.load(later())),
            refusal(store.lock(LONG, None, later())),
            refusal(store.commit(Expected::Anything, record(1, 0), later())),
            refusal(store.note(record(1, 0).version, &Notes::default(), &Notes::default(), later())),
        ] {
            assert!(message.contains("store_lock"), "{message}");
        }
        assert_eq!(place.suffixes(), before);
        let auto = place.store(LockChoice::Auto);
        assert!(auto.load(later()).unwrap().is_some());
        assert_eq!(auto.lock_kind(), choice_name(choice));
        // Removed by hand, it is not guessed.
        fs::remove_file(place.file(".method")).unwrap();
        assert!(refusal(place.store(other).lock(LONG, None, later())).contains(".method is missing"));
        assert!(place.store(choice).lock(LONG, None, later()).unwrap().is_some());
        fs::write(place.file(".method"), "moon\n").unwrap();
        assert!(refusal(place.store(LockChoice::Auto).load(later())).contains("no lock that this version knows"));
    }
}

#[test]
fn a_method_that_is_no_word_is_repaired() {
    for choice in BOTH {
        let place = Place::new();
        let good = format!("{}\n", choice_name(choice));
        place.store(choice).commit(Expected::Nothing, record(1, 0), later()).unwrap();
        // As a host writes it that has closed its standard error.
        for garbage in [format!("{good}error: no such file\n"), "Error: x\n".into(), String::new(), "\0\0\0".into()] {
            fs::write(place.file(".method"), &garbage).unwrap();
            std::thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| assert!(place.store(LockChoice::Auto).load(later()).unwrap().is_some()));
                }
            });
            assert_eq!(fs::read_to_string(place.file(".method")).unwrap(), good, "{garbage:?}");
            assert!(place.store(choice).lock(LONG, None, later()).unwrap().is_some());
        }
        assert!(place.suffixes().iter().all(|suffix| !suffix.contains(".tmp")), "{:?}", place.suffixes());
    }
}

#[test]
fn a_lease_of_a_clock_that_was_set_back_ends_with_its_term() {
    let place = Place::new();
    let (store, other) = (place.store(LockChoice::Lease), place.store(LockChoice::Lease));
    let held = store.lock(SHORT, None, later()).unwrap().unwrap();
    // Its holder is dead, and the clock was an hour ahead.
    let file = fs::File::options().write(true).open(place.file(".lease.0.1")).unwrap();
    file.set_modified(SystemTime::now() + Duration::from_secs(3600)).unwrap();
    assert!(other.lock(SHORT, None, later()).unwrap().is_none());
    let next = other.lock(LONG, Some(later()), later()).unwrap();
    assert!(next.is_some(), "it holds for as long as the clock was set back");
    // One that lives does not believe that it still has it, either.
    assert!(!held.is_held(Duration::ZERO, later()).unwrap());
}

#[test]
fn a_writer_that_was_stopped_is_waited_for_as_long_as_the_call_lasts() {
    let place = Place::new();
    let store = place.store(LockChoice::Flock);
    store.commit(Expected::Nothing, record(1, 0), later()).unwrap();
    let _writing = Flock::take(&store.base.directory, ".write", None, SHORT).unwrap().unwrap();
    let now = Instant::now();
    for message in [
        refusal(store.note(record(1, 0).version, &Notes::default(), &intent("a"), now)),
        refusal(store.commit(Expected::Anything, record(1, 0), now)),
    ] {
        let waited = message.split(" for ").nth(1).and_then(|rest| rest.split(' ').next()?.parse::<u64>().ok());
        assert!(waited.is_some_and(|ms| ms < 2000), "{message}");
    }
}

#[test]
fn what_is_known_of_the_file_system_decides() {
    let place = Place::new();
    let keeps = file_system::keeps_flock(&place.0);
    let store = place.store(LockChoice::Auto);
    drop(lock(&store));
    assert_eq!(fs::read_to_string(place.file(".method")).unwrap(), if keeps { "flock\n" } else { "lease\n" });
    assert_eq!(store.lock_kind(), if keeps { "flock" } else { "lease" });
}

#[test]
fn a_directory_that_is_not_safe_is_refused() {
    for choice in BOTH {
        let place = Place::new();
        for mode in [0o720, 0o702, 0o1777, 0o770] {
            fs::set_permissions(&place.0, fs::Permissions::from_mode(mode)).unwrap();
            let store = place.store(choice);
            for message in [
                refusal(store.load(later())),
                refusal(store.lock(LONG, None, later())),
                refusal(store.commit(Expected::Anything, record(1, 0), later())),
                refusal(store.note(record(1, 0).version, &Notes::default(), &Notes::default(), later())),
            ] {
                assert!(message.contains("others can write"), "{message}");
            }
        }
        fs::set_permissions(&place.0, fs::Permissions::from_mode(0o755)).unwrap();
        assert!(place.suffixes().is_empty());
        assert!(place.store(choice).lock(LONG, None, later()).unwrap().is_some());
        let nowhere = Files::new(place.0.join("none/session"), choice, codec());
        assert!(refusal(nowhere.load(later())).contains("make it"));
        let in_a_file = Files::new(place.file(".method").join("session"), choice, codec());
        refusal(in_a_file.load(later()));
        let root = Files::new(PathBuf::from("/"), choice, codec());
        assert!(refusal(root.load(later())).contains("names no file"));
        if nix::unistd::geteuid().is_root() {
            std::os::unix::fs::chown(&place.0, Some(12345), None).unwrap();
            assert!(refusal(place.store(choice).load(later())).contains("belongs to another user"));
        } else {
            println!("not root: a directory of another user is not tested");
        }
    }
}

#[test]
fn a_file_that_is_not_safe_is_refused_and_left_as_it_is() {
    for (choice, suffix) in [(LockChoice::Flock, ""), (LockChoice::Lease, ".g0")] {
        let place = Place::new();
        place.store(choice).commit(Expected::Nothing, record(1, 0), later()).unwrap();
        let path = place.file(suffix);
        let refused = |word: &str| {
            let store = place.store(choice);
            for message in [
                refusal(store.load(later())),
                refusal(store.commit(Expected::Anything, record(1, 0), later())),
                refusal(store.note(record(1, 0).version, &Notes::default(), &Notes::default(), later())),
            ] {
                assert!(message.contains(word) && message.contains("session"), "{message}");
            }
        };
        for mode in [0o640, 0o604, 0o620, 0o601] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            refused("chmod 600");
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        if nix::unistd::geteuid().is_root() {
            std::os::unix::fs::chown(&path, Some(12345), None).unwrap();
            refused("another user");
            std::os::unix::fs::chown(&path, Some(0), None).unwrap();
        } else {
            println!("not root: a file of another user is not tested");
        }
        assert!(place.store(choice).load(later()).unwrap().is_some());
        let elsewhere = place.file("-elsewhere");
        fs::rename(&path, &elsewhere).unwrap();
        symlink(&elsewhere, &path).unwrap();
        refused("symbolic link");
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        refused("regular file");
        fs::remove_dir(&path).unwrap();
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        refused("regular file");
        fs::remove_file(&path).unwrap();
        fs::rename(&elsewhere, &path).unwrap();
        assert!(place.store(choice).load(later()).unwrap().is_some());
    }
}

#[test]
fn a_lock_file_that_leads_elsewhere_is_refused() {
    for suffix in [".lock", ".method"] {
        let place = Place::new();
        fs::write(place.file("-elsewhere"), "").unwrap();
        symlink(place.file("-elsewhere"), place.file(suffix)).unwrap();
        assert!(refusal(place.store(LockChoice::Flock).lock(LONG, None, later())).contains("symbolic link"));
        assert_eq!(fs::read(place.file("-elsewhere")).unwrap(), b"");
    }
}

#[test]
fn what_is_no_record_of_ours_is_never_overwritten() {
    let good = codec().write(&record(1, 0)).unwrap().as_str().to_owned();
    for (choice, suffix) in [(LockChoice::Flock, ""), (LockChoice::Lease, ".g0")] {
        for bad in [String::new(), good[..good.len() / 2].to_owned(), good.replace("\"format\":1", "\"format\":2")] {
            let place = Place::new();
            let store = place.store(choice);
            store.commit(Expected::Nothing, record(1, 0), later()).unwrap();
            fs::write(place.file(suffix), &bad).unwrap();
            for store in [&store, &place.store(choice)] {
                refusal(store.load(later()));
                refusal(store.commit(Expected::Anything, record(2, 0), later()));
                refusal(store.commit(Expected::Nothing, record(2, 0), later()));
                refusal(store.note(record(1, 0).version, &Notes::default(), &intent("a"), later()));
            }
            assert_eq!(fs::read_to_string(place.file(suffix)).unwrap(), bad);
            assert!(!place.suffixes().contains(".g1"));
        }
    }
    // A path that is another file's is not even locked.
    let place = Place::new();
    fs::write(place.path(), "machine example login me").unwrap();
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o600)).unwrap();
    for choice in BOTH {
        refusal(place.store(choice).lock(LONG, None, later()));
        refusal(place.store(choice).commit(Expected::Anything, record(1, 0), later()));
    }
    assert_eq!(place.suffixes(), names(&[""]));
}

/// Does `work` on a file system of its own. False: that is not allowed here.
fn on(kind: &str, options: &str, work: impl FnOnce(&Place) + std::panic::UnwindSafe) -> bool {
    let place = Place::new();
    let mount = Command::new("mount").args(["-t", kind, "-o", options, "none"]).arg(&place.0).output();
    if !mount.is_ok_and(|output| output.status.success()) {
        println!("not tested: a {kind} can't be mounted here");
        return false;
    }
    let outcome = std::panic::catch_unwind(|| work(&place));
    // Lazily: a process that another test has started may still have what was open here.
    assert!(Command::new("umount").arg("--lazy").arg(&place.0).status().unwrap().success());
    outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    true
}

#[test]
fn an_unknown_file_system_gets_leases() {
    on("ramfs", "mode=700", |place| {
        let flock = place.store(LockChoice::Flock);
        assert!(refusal(flock.lock(LONG, None, later())).contains("can't be relied upon"));
        assert!(place.suffixes().is_empty());
        let store = place.store(LockChoice::Auto);
        assert_eq!(store.lock_kind(), "lease");
        drop(lock(&store));
        assert_eq!(fs::read_to_string(place.file(".method")).unwrap(), "lease\n");
        // Nor does it help that others made it so.
        fs::write(place.file(".method"), "flock\n").unwrap();
        assert!(refusal(place.store(LockChoice::Auto).load(later())).contains("can't be relied upon"));
    });
}

#[test]
fn a_full_disk_shows_before_it_is_too_late() {
    let fill = |place: &Place| {
        let mut filler = fs::File::options().create(true).append(true).open(place.file("-filler")).unwrap();
        while filler.write_all(&[1; 4096]).is_ok() {}
    };
    for choice in BOTH {
        let is_tested = on("tmpfs", "size=256k,mode=700", |place| {
            let store = place.store(choice);
            store.commit(Expected::Nothing, record(1, 0), later()).unwrap();
            let held = lock(&store);
            store.prepare(later()).unwrap();
            fill(place);
            // What was prepared is enough.
            assert!(is_done(&store.commit(Expected::Record(record(1, 0).version), record(1, 1), later()).unwrap()));
            drop(held);
            fill(place);
            // Nothing more goes, and nothing is lost or left.
            let before = place.suffixes();
            let full = [
                refusal(store.commit(Expected::Anything, record(1, 2), later())),
                refusal(store.note(record(1, 1).version, &Notes::default(), &intent("a"), later())),
            ];
            assert!(full.iter().all(|message| message.contains("make room")), "{full:?}");
            match store.lock(LONG, None, later()) {
                // A lock file that is there needs no room.
                Ok(held) => {
                    assert!(held.is_some());
                    assert!(refusal(store.prepare(later())).contains("make room"));
                }
                Err(error) => assert!(error.message().contains("make room"), "{error}"),
            }
            assert_eq!(place.suffixes(), before);
            assert_eq!(version(&place.store(choice)).generation, 1);
            fs::remove_file(place.file("-filler")).unwrap();
            assert!(is_done(&store.commit(Expected::Anything, record(1, 2), later()).unwrap()));
        });
        if !is_tested {
            return;
        }
    }
}

// Processes.

const ROLE: &str = "GCAUTH_TEST_FILE_ROLE";
const PATH: &str = "GCAUTH_TEST_FILE_PATH";
const LOCK: &str = "GCAUTH_TEST_FILE_LOCK";
const ROUNDS: u64 = 50;
const SHORT: Duration = Duration::from_secs(1);

/// Another process that plays a role with a store, and goes when this is dropped.
struct Player {
    child: Child,
    says: BufReader<ChildStdout>,
}

impl Player {
    fn new(role: &str, place: &Place, choice: LockChoice) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "--nocapture", "--test-threads=1", "store::file::tests::player"])
            .env(ROLE, role)
            .env(PATH, place.path())
            .env(LOCK, choice_name(choice))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let says = BufReader::new(child.stdout.take().unwrap());
        Player { child, says }
    }

    /// Waits until it says a line with `word`; false if it ends before.
    fn hear(&mut self, word: &str) -> bool {
        let mut line = String::new();
        while self.says.read_line(&mut line).unwrap() > 0 {
            if line.contains(word) {
                return true;
            }
            line.clear();
        }
        false
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).unwrap())
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn finish(mut self) {
        self.hear("no such line");
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Player {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What another process does; nothing in the process of the tests.
#[test]
fn player() {
    let (Ok(role), Some(path), Ok(name)) = (std::env::var(ROLE), std::env::var_os(PATH), std::env::var(LOCK)) else {
        return;
    };
    let choice = BOTH.into_iter().find(|choice| choice_name(*choice) == name).unwrap();
    let path = PathBuf::from(path);
    let store = Files::new(path.clone(), choice, codec());
    match role.as_str() {
        "count" => {
            let counter = path.with_file_name("session-counter");
            for _ in 0..ROUNDS {
                let held = lock(&store);
                let seen = store.load(later()).unwrap().unwrap();
                // Wrong by some, unless one at a time does it.
                let count: u64 = fs::read_to_string(&counter).unwrap().parse().unwrap();
                std::thread::yield_now();
                fs::write(&counter, (count + 1).to_string()).unwrap();
                store.prepare(later()).unwrap();
                assert!(held.is_held(Duration::ZERO, later()).unwrap());
                assert!(is_done(&store.commit(Expected::Record(seen.version), record(1, 0), later()).unwrap()));
            }
        }
        "hold" => {
            let held = store.lock(SHORT, soon(), later()).unwrap().unwrap();
            store.prepare(later()).unwrap();
            say("held");
            std::thread::sleep(LONG);
            drop(held);
        }
        "sleep" => {
            let held = store.lock(SHORT, soon(), later()).unwrap().unwrap();
            let seen = store.load(later()).unwrap().unwrap();
            store.prepare(later()).unwrap();
            raise(Signal::SIGSTOP).unwrap();
            let is_lease = choice == LockChoice::Lease;
            assert_eq!(held.is_held(Duration::ZERO, later()).unwrap(), !is_lease);
            let commit = store.commit(Expected::Record(seen.version), record(1, 0), later()).unwrap();
            assert_eq!(is_done(&commit), !is_lease);
            assert_eq!(version(&store).generation, if is_lease { 2 } else { 1 });
        }
        "work" => loop {
            let _held = store.lock(SHORT, soon(), later()).unwrap().unwrap();
            let seen = store.load(later()).unwrap().unwrap();
            store.note(seen.version, &Notes::default(), &intent("a"), later()).unwrap();
            store.prepare(later()).unwrap();
            store.commit(Expected::Record(seen.version), record(1, 0), later()).unwrap();
            say("done");
        },
        "leave" => loop {
            store.commit(Expected::Anything, record(1, 0), later()).unwrap();
            store.commit(Expected::Anything, tombstone(2), later()).unwrap();
            say("done");
        },
        // A forked child, but for the descriptors, which here are the parent's own: `copy` stands for the parent.
        "fork" => {
            let held = Flock::take(&store.base.directory, ".lock", None, SHORT).unwrap().unwrap();
            let copy = held.copy();
            let lock = lock_of(&store, choice);
            crate::fork::note_child();
            assert!(!held.is_held(&store.base.directory).unwrap());
            assert!(lock.as_ref().is_none_or(|lock| !lock.is_held(Duration::ZERO, later()).unwrap()));
            assert!(store.base.held().is_none());
            let before: Vec<_> =
                fs::read_dir(path.parent().unwrap()).unwrap().map(|e| e.unwrap().file_name()).collect();
            drop(held);
            drop(lock);
            let after: Vec<_> = fs::read_dir(path.parent().unwrap()).unwrap().map(|e| e.unwrap().file_name()).collect();
            assert_eq!(before, after);
            let again = || Flock::take(&store.base.directory, ".lock", None, SHORT).unwrap();
            assert!(again().is_none(), "the parent's lock is still there");
            drop(copy);
            assert!(again().is_some(), "no copy is left in the child");
        }
        other => panic!("no such role: {other}"),
    }
}

fn lock_of(store: &Files, choice: LockChoice) -> Option<Arc<dyn Lock>> {
    let lock = (choice == LockChoice::Lease).then(|| lock(store));
    store.prepare(later()).unwrap();
    lock
}

fn say(word: &str) {
    let mut out = std::io::stdout();
    writeln!(out, "{word}").and_then(|()| out.flush()).unwrap();
}

fn choice_name(choice: LockChoice) -> &'static str {
    match choice {
        LockChoice::Auto => "auto",
        LockChoice::Flock => "flock",
        LockChoice::Lease => "lease",
    }
}

#[test]
fn sixteen_processes_lose_no_commit_and_hold_the_lock_one_at_a_time() {
    for choice in BOTH {
        let place = Place::fast();
        let store = place.store(choice);
        store.commit(Expected::Nothing, record(1, 0), later()).unwrap();
        fs::write(place.file("-counter"), "0").unwrap();
        let players: Vec<Player> = (0..16).map(|_| Player::new("count", &place, choice)).collect();
        players.into_iter().for_each(Player::finish);
        assert_eq!(version(&store).generation, 16 * ROUNDS);
        assert_eq!(fs::read_to_string(place.file("-counter")).unwrap(), (16 * ROUNDS).to_string());
        assert!(!place.suffixes().iter().any(|suffix| suffix.starts_with(".tmp") || suffix == ".next"));
    }
}

#[test]
fn a_killed_holder_sets_the_lock_free() {
    for choice in BOTH {
        let place = Place::new();
        let store = place.store(choice);
        store.commit(Expected::Nothing, record(1, 0), later()).unwrap();
        let mut holder = Player::new("hold", &place, choice);
        assert!(holder.hear("held"));
        if choice == LockChoice::Flock {
            assert!(store.lock(LONG, None, later()).unwrap().is_none());
        }
        holder.kill();
        // The system frees flock with the process; a lease has its term.
        let wait_until = if choice == LockChoice::Flock { None } else { soon() };
        let held = store.lock(LONG, wait_until, later()).unwrap().unwrap();
        assert!(held.is_held(Duration::ZERO, later()).unwrap());
        drop(held);
        assert!(!place.suffixes().iter().any(|suffix| suffix.starts_with(".tmp") || suffix == ".next"));
    }
}

#[test]
fn a_stopped_holder_comes_too_late_with_a_lease_and_in_time_with_flock() {
    for choice in BOTH {
        let place = Place::new();
        let store = place.store(choice);
        store.commit(Expected::Nothing, record(1, 0), later()).unwrap();
        let sleeper = Player::new("sleep", &place, choice);
        let stopped = waitpid(sleeper.pid(), Some(WaitPidFlag::WUNTRACED)).unwrap();
        assert!(matches!(stopped, WaitStatus::Stopped(_, Signal::SIGSTOP)), "{stopped:?}");
        if choice == LockChoice::Lease {
            let held = store.lock(LONG, soon(), later()).unwrap().unwrap();
            assert!(is_done(&store.commit(Expected::Record(version(&store)), record(1, 0), later()).unwrap()));
            drop(held);
            store.commit(Expected::Anything, record(1, 0), later()).unwrap();
        } else {
            let short = Instant::now().checked_add(SHORT * 2);
            assert!(store.lock(LONG, short, later()).unwrap().is_none());
        }
        kill(sleeper.pid(), Signal::SIGCONT).unwrap();
        sleeper.finish();
    }
}

#[test]
fn killed_at_any_moment_nobody_leaves_half_a_record() {
    for choice in BOTH {
        let place = Place::fast();
        let store = place.store(choice);
        store.commit(Expected::Nothing, record(1, 0), later()).unwrap();
        let mut last = 0;
        for _ in 0..15 {
            let mut worker = Player::new("work", &place, choice);
            assert!(worker.hear("done"));
            std::thread::sleep(Duration::from_secs_f64(random::fraction() / 20.0));
            worker.kill();
            let generation = version(&store).generation;
            assert!(generation > last);
            last = generation;
        }
        place.age_all();
        drop(store.lock(LONG, soon(), later()).unwrap().unwrap());
        store.commit(Expected::Anything, record(1, 0), later()).unwrap();
        drop(lock(&store));
        let after = place.suffixes();
        assert!(!after.iter().any(|suffix| suffix.starts_with(".tmp") || suffix == ".next"), "{after:?}");
        assert!(after.len() <= 12, "{after:?}");
    }
}

#[test]
fn a_logout_that_is_killed_at_any_moment_leaves_nothing_that_the_next_does_not_end() {
    for choice in BOTH {
        let place = Place::fast();
        for _ in 0..10 {
            let mut leaver = Player::new("leave", &place, choice);
            assert!(leaver.hear("done"));
            std::thread::sleep(Duration::from_secs_f64(random::fraction() / 50.0));
            leaver.kill();
            let store = place.store(choice);
            let before = version(&store).generation;
            let commit = store.commit(Expected::Anything, tombstone(3), later()).unwrap();
            assert!(matches!(commit, Commit::Done(record) if record.version.generation == before + 1));
            assert_eq!(place.with_tokens(), BTreeSet::new());
        }
        place.age_all();
        drop(lock(&place.store(choice)));
        assert!(!place.suffixes().iter().any(|suffix| suffix.starts_with(".tmp") || suffix == ".next"));
    }
}

#[test]
fn a_forked_child_gives_back_nothing_of_its_parents() {
    for choice in BOTH {
        let place = Place::new();
        place.store(choice).commit(Expected::Nothing, record(1, 0), later()).unwrap();
        Player::new("fork", &place, choice).finish();
    }
}

#[test]
fn a_store_without_its_method_is_not_an_empty_one() {
    for choice in BOTH {
        let place = Place::new();
        place.store(choice).commit(Expected::Anything, record(1, 0), later()).unwrap();
        fs::remove_file(place.file(".method")).unwrap();
        assert_eq!(version(&place.store(choice)).session, 1);
        assert!(place.suffixes().contains(".method"));
    }
    for text in ["", "{", "garbage"] {
        let place = Place::new();
        fs::write(place.file(""), text).unwrap();
        fs::set_permissions(place.file(""), fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(place.store(LockChoice::Flock).load(later()).unwrap_err().status(), Status::Store, "{text:?}");
    }
    let place = Place::new();
    std::os::unix::fs::symlink("/dev/null", place.file("")).unwrap();
    assert_eq!(place.store(LockChoice::Flock).load(later()).unwrap_err().status(), Status::Store);
}

#[test]
fn a_time_that_cannot_be_told_names_the_file() {
    let path = std::env::current_exe().unwrap();
    let found = std::fs::metadata(&path).unwrap();
    let error = super::lease::end_of(&path, &found, Duration::MAX).unwrap_err();
    assert!(error.message().contains(&path.display().to_string()), "{error}");
}
