//! Who may talk to the server now: one thread of a handle at a time, and nobody right after a failure.
#![forbid(unsafe_code)]

use std::sync::{Arc, PoisonError, TryLockError};
#[cfg(not(all(test, feature = "loom")))]
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::Instant;

use arc_swap::ArcSwap;
#[cfg(all(test, feature = "loom"))]
use loom::sync::{Condvar, Mutex, MutexGuard};

use crate::clock::millis;
use crate::error::{Error, Status};
use crate::fork::ProcessMark;
use crate::record::Version;
use crate::schedule::late_pause_ms;

/// The gate of this process. A forked child gets a new one: another thread of the parent may have held the old.
#[derive(Debug)]
pub(crate) struct ProcessGate(ArcSwap<(ProcessMark, Arc<Gate>)>);

impl ProcessGate {
    pub(crate) fn new() -> Self {
        ProcessGate(ArcSwap::from_pointee((ProcessMark::current(), Arc::default())))
    }

    pub(crate) fn get(&self) -> Arc<Gate> {
        let process = ProcessMark::current();
        let gate = self.0.load();
        if gate.0 == process {
            return gate.1.clone();
        }
        let fresh = Arc::new((process, Arc::default()));
        let previous = self.0.compare_and_swap(&*gate, fresh.clone());
        if Arc::ptr_eq(&previous, &gate) { fresh.1.clone() } else { previous.1.clone() }
    }
}

/// Lets one thread pass at a time.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    state: Mutex<State>,
    idle: Condvar,
}

/// What the gate knows of attempts so far.
#[derive(Debug, Default)]
pub(crate) struct State {
    is_busy: bool,
    turns: u64,
    failures: Failures,
}

/// Failed renewals of one record; another starts with a clean slate.
#[derive(Debug, Default)]
struct Failures {
    version: Option<Version>,
    early_not_before_ms: i64,
    late_count: u32,
    late_not_before_ms: i64,
    /// The server refused the refresh token: until then it is not sent again by itself.
    refused_until_ms: i64,
    /// What callers are told as long as nothing is tried.
    standing: Option<Error>,
    /// Reading of the monotonic clock at the last failure.
    failed_ms: i64,
    last: Option<Failed>,
}

#[derive(Debug)]
struct Failed {
    turn: u64,
    scope: Option<String>,
    error: Error,
}

/// A renewal that failed.
pub(crate) struct Failure {
    pub(crate) version: Version,
    pub(crate) scope: Option<String>,
    pub(crate) error: Error,
    /// Monotonic time (ms) of the failure.
    pub(crate) now_ms: i64,
    /// How long early renewals rest.
    pub(crate) early_pause_ms: i64,
    /// Whether there was no valid token at the time.
    pub(crate) was_late: bool,
    /// Whether another project was asked for: then it says nothing about renewals that keep the session's own.
    pub(crate) was_elsewhere: bool,
}

/// A failure that stands; all times are readings of the monotonic clock.
pub(crate) struct Standing {
    pub(crate) error: Error,
    pub(crate) failed_ms: i64,
    pub(crate) early_not_before_ms: i64,
    pub(crate) late_not_before_ms: i64,
}

/// How asking for a turn ended.
pub(crate) enum Admission<'a> {
    /// Go ahead.
    Turn(Turn<'a>),
    /// Somebody else had the turn until now: look again at what there is.
    Waited,
    /// Not now, for this reason.
    Held(Error),
}

/// The right to talk to the server; given back when dropped, also by a panic.
pub(crate) struct Turn<'a> {
    gate: &'a Gate,
    number: u64,
}

impl Failures {
    fn is_refused(&self, now_ms: i64) -> bool {
        now_ms < self.refused_until_ms
    }
}

impl State {
    /// Why an early renewal of the record `version` rests at `now_ms`.
    pub(crate) fn is_early_held(&self, version: Version, now_ms: i64) -> bool {
        let failures = &self.failures;
        failures.version == Some(version) && (failures.is_refused(now_ms) || now_ms < failures.early_not_before_ms)
    }

    /// The error that stands while an early renewal of the record `version` rests.
    pub(crate) fn early_error(&self, version: Version, now_ms: i64) -> Option<Error> {
        self.failures.standing.clone().filter(|_| self.is_early_held(version, now_ms))
    }

    /// The error that stands while a renewal of the record `version` that can't wait is not tried again.
    pub(crate) fn late_error(&self, version: Version, now_ms: i64) -> Option<Error> {
        let failures = &self.failures;
        let is_held = failures.version == Some(version)
            && (failures.is_refused(now_ms) || (failures.late_count > 0 && now_ms < failures.late_not_before_ms));
        failures.standing.clone().filter(|_| is_held)
    }

    /// What is known of the failure of the record `version`.
    pub(crate) fn standing(&self, version: Version) -> Option<Standing> {
        let failures = &self.failures;
        let error = failures.standing.clone().filter(|_| failures.version == Some(version))?;
        Some(Standing {
            error,
            failed_ms: failures.failed_ms,
            early_not_before_ms: failures.early_not_before_ms,
            late_not_before_ms: failures.late_not_before_ms,
        })
    }

    /// The error of a renewal to `scope` that began after turn `since`.
    pub(crate) fn error_since(&self, since: u64, scope: Option<&str>) -> Option<Error> {
        let failed = self.failures.last.as_ref()?;
        (failed.turn > since && failed.scope.as_deref() == scope).then(|| failed.error.clone())
    }
}

impl Gate {
    /// What is known of the failure of the record `version`.
    pub(crate) fn standing(&self, version: Version) -> Option<Standing> {
        self.lock().standing(version)
    }

    /// How many turns began until now.
    pub(crate) fn turns(&self) -> u64 {
        self.lock().turns
    }

    /// A turn if nobody has it and `is_held` does not object; never waits, not even for the gate itself.
    pub(crate) fn try_turn(&self, is_held: impl FnOnce(&State) -> bool) -> Option<Turn<'_>> {
        let state = match self.state.try_lock() {
            Ok(state) => state,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        if state.is_busy || is_held(&state) { None } else { Some(self.begin(state)) }
    }

    /// A turn, or the end of somebody else's, or an error that `held` gives.
    pub(crate) fn turn_or_wait(&self, deadline: Instant, held: impl FnOnce(&State) -> Option<Error>) -> Admission<'_> {
        let mut state = self.lock();
        if !state.is_busy {
            return match held(&state) {
                Some(error) => Admission::Held(error),
                None => Admission::Turn(self.begin(state)),
            };
        }
        let number = state.turns;
        while state.is_busy && state.turns == number {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let why = "timeout_ms ran out while another thread was talking to the server";
                return Admission::Held(Error::new(Status::Timeout, why).our_delay());
            }
            state = self.idle.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        Admission::Waited
    }

    fn begin(&self, mut state: MutexGuard<'_, State>) -> Turn<'_> {
        state.is_busy = true;
        state.turns += 1;
        Turn { gate: self, number: state.turns }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves counters that are still good.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn<'_> {
    /// Remembers that this turn's renewal failed.
    pub(crate) fn note(&self, failure: Failure) {
        let mut state = self.gate.lock();
        if state.failures.version != Some(failure.version) {
            state.failures = Failures { version: Some(failure.version), ..Failures::default() };
        }
        let failures = &mut state.failures;
        failures.last = Some(Failed { turn: self.number, scope: failure.scope, error: failure.error.clone() });
        if failure.was_elsewhere {
            return;
        }
        let was_refused = failures.is_refused(failure.now_ms);
        failures.early_not_before_ms = failure.now_ms.saturating_add(failure.early_pause_ms);
        if failure.was_late {
            failures.late_count = failures.late_count.saturating_add(1);
            failures.late_not_before_ms = failure.now_ms.saturating_add(late_pause_ms(failures.late_count));
        }
        if failure.error.status() == Status::Unauthorized {
            let rest_ms = failure.error.stands_for().map_or(0, millis);
            failures.refused_until_ms = failure.now_ms.saturating_add(rest_ms);
        } else if was_refused {
            // What fails otherwise takes no refusal back.
            return;
        }
        failures.failed_ms = failure.now_ms;
        failures.standing = Some(failure.error);
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.gate.lock().is_busy = false;
        self.gate.idle.notify_all();
    }
}

/// All ways in which a few threads can come between each other: `cargo test --features loom --lib gate::model`.
#[cfg(all(test, feature = "loom"))]
mod model {
    use std::time::Duration;

    use loom::sync::atomic::{AtomicUsize, Ordering};
    use loom::thread;

    use super::*;

    const FIRST: Version = Version { session: 1, generation: 1 };

    /// What renewing threads share.
    #[derive(Default)]
    struct Shared {
        gate: Gate,
        generation: AtomicUsize,
        busy: AtomicUsize,
        renewals: AtomicUsize,
    }

    impl Shared {
        /// One renewal, of which the first `failures` fail.
        fn renew(&self, turn: &Turn, failures: usize) {
            assert_eq!(self.busy.fetch_add(1, Ordering::SeqCst), 0, "two at once");
            if self.renewals.fetch_add(1, Ordering::SeqCst) < failures {
                turn.note(Failure {
                    version: FIRST,
                    scope: None,
                    error: Error::new(Status::Server, "as ordered"),
                    now_ms: 0,
                    early_pause_ms: 500,
                    was_late: true,
                    was_elsewhere: false,
                });
            } else {
                self.generation.fetch_add(1, Ordering::SeqCst);
            }
            self.busy.fetch_sub(1, Ordering::SeqCst);
        }

        /// As a thread without a valid token does it. False: it has been told of a failure.
        fn must_renew(&self, failures: usize) -> bool {
            while self.generation.load(Ordering::SeqCst) == 0 {
                let soon = Instant::now() + Duration::from_secs(3600);
                match self.gate.turn_or_wait(soon, |state| state.late_error(FIRST, 0)) {
                    Admission::Turn(turn) if self.generation.load(Ordering::SeqCst) == 0 => self.renew(&turn, failures),
                    Admission::Turn(_) | Admission::Waited => {}
                    Admission::Held(_) => return false,
                }
            }
            true
        }

        /// As a thread with a valid token does it.
        fn try_early(&self, failures: usize) {
            if let Some(turn) = self.gate.try_turn(|state| state.is_early_held(FIRST, 0))
                && self.generation.load(Ordering::SeqCst) == 0
            {
                self.renew(&turn, failures);
            }
        }
    }

    /// Lets `late` threads renew because they must, and `early` ones because they may.
    fn explore(late: usize, early: usize, failures: usize) {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(3);
        builder.check(move || {
            let shared = Arc::new(Shared::default());
            let threads: Vec<_> = (1..late + early)
                .map(|number| {
                    let shared = shared.clone();
                    thread::spawn(move || {
                        if number < late {
                            shared.must_renew(failures)
                        } else {
                            shared.try_early(failures);
                            true
                        }
                    })
                })
                .collect();
            let was_told = !shared.must_renew(failures);
            let told = threads.into_iter().filter_map(|thread| (!thread.join().unwrap()).then_some(())).count();
            let renewals = shared.renewals.load(Ordering::SeqCst);
            // One renewal, or one failure that holds the others back; nobody is left waiting, or loom would tell.
            assert_eq!(renewals, 1);
            assert_eq!(shared.generation.load(Ordering::SeqCst), usize::from(failures == 0));
            assert_eq!(was_told || told > 0, failures > 0);
        });
    }

    #[test]
    fn threads_that_must_renew_make_one_renewal() {
        explore(3, 0, 0);
    }

    #[test]
    fn threads_that_may_renew_do_not_wait_and_do_not_make_another() {
        explore(2, 1, 0);
    }

    #[test]
    fn a_failure_is_everybodys() {
        explore(3, 0, 1);
        explore(2, 1, 1);
    }

    #[test]
    fn a_turn_that_ends_without_a_renewal_wakes_those_who_wait() {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(3);
        builder.check(|| {
            let shared = Arc::new(Shared::default());
            let other = shared.clone();
            let thread = thread::spawn(move || {
                let turn = other.gate.try_turn(|_| false);
                // What unwinding does.
                drop(turn);
            });
            assert!(shared.must_renew(0));
            thread.join().unwrap();
            assert_eq!(shared.renewals.load(Ordering::SeqCst), 1);
        });
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const FIRST: Version = Version { session: 1, generation: 1 };
    /// The next generation, and one of another login.
    const OTHERS: [Version; 2] = [Version { generation: 2, ..FIRST }, Version { session: 2, ..FIRST }];

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    fn failure(status: Status, was_late: bool) -> Failure {
        Failure {
            version: FIRST,
            scope: None,
            error: Error::new(status, "why"),
            now_ms: 0,
            early_pause_ms: 500,
            was_late,
            was_elsewhere: false,
        }
    }

    #[test]
    fn a_panic_in_a_turn_gives_it_back() {
        let gate = Gate::default();
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _turn = gate.try_turn(|_| false).unwrap();
            panic!("in a renewal");
        }));
        assert!(panicked.is_err());
        assert!(gate.try_turn(|_| false).is_some());
    }

    #[test]
    fn one_turn_at_a_time_and_waiters_are_told() {
        let gate = Gate::default();
        let turn = gate.try_turn(|_| false).unwrap();
        assert!(gate.try_turn(|_| false).is_none());
        assert!(matches!(
            gate.turn_or_wait(Instant::now(), |_| None),
            Admission::Held(e) if e.status() == Status::Timeout
        ));
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| matches!(gate.turn_or_wait(soon(), |_| None), Admission::Waited));
            drop(turn);
            // The waiter may also come after the turn has ended, and then gets its own.
            let _ = waiter.join().unwrap();
        });
        assert!(matches!(gate.turn_or_wait(soon(), |_| None), Admission::Turn(_)));
    }

    #[test]
    fn failures_hold_back_their_own_record_only() {
        let gate = Gate::default();
        gate.try_turn(|_| false).unwrap().note(failure(Status::Server, false));
        let state = gate.lock();
        assert!(state.is_early_held(FIRST, 499) && !state.is_early_held(FIRST, 500));
        assert!(OTHERS.iter().all(|version| !state.is_early_held(*version, 0)));
        assert!(state.late_error(FIRST, 0).is_none());
        assert!(state.error_since(0, None).is_some());
        assert!(state.error_since(1, None).is_none() && state.error_since(0, Some("p")).is_none());
    }

    #[test]
    fn late_failures_hold_longer_each_time() {
        let gate = Gate::default();
        for (count, pause) in [(1, 1000), (2, 2000), (3, 4000)] {
            gate.try_turn(|_| false).unwrap().note(failure(Status::Server, true));
            let state = gate.lock();
            assert!(state.late_error(FIRST, pause - 1).is_some(), "{count}");
            assert!(state.late_error(FIRST, pause).is_none(), "{count}");
        }
    }

    #[test]
    fn a_refused_refresh_token_is_held_for_as_long_as_the_refusal_stands() {
        let gate = Gate::default();
        let refusal = |rest| {
            let refusal = failure(Status::Unauthorized, true);
            Failure { error: refusal.error.standing_for(rest), ..refusal }
        };
        let is_held = |version, now_ms| {
            let state = gate.lock();
            let held = state.is_early_held(version, now_ms);
            assert_eq!(held, state.late_error(version, now_ms).is_some_and(|e| e.status() == Status::Unauthorized));
            held
        };
        gate.try_turn(|_| false).unwrap().note(refusal(Duration::from_secs(60)));
        assert!(is_held(FIRST, 59_999) && !is_held(FIRST, 60_000));
        // Neither a failure of another kind nor a refusal of another project takes it back.
        gate.try_turn(|_| false).unwrap().note(Failure { early_pause_ms: 0, ..failure(Status::Server, true) });
        let elsewhere = Failure { was_elsewhere: true, ..refusal(Duration::ZERO) };
        gate.try_turn(|_| false).unwrap().note(elsewhere);
        assert!(is_held(FIRST, 59_999) && !is_held(FIRST, 60_000));
        gate.try_turn(|_| false).unwrap().note(refusal(Duration::MAX));
        gate.try_turn(|_| false).unwrap().note(failure(Status::Timeout, true));
        assert!(is_held(FIRST, i64::MAX - 1));
        assert!(OTHERS.iter().all(|version| !is_held(*version, 0)));
    }
}
