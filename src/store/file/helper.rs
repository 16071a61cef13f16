//! One thread per store and process that does the work of a store whose file system may hang.
//!
//! Nothing can end a system call that waits for a file server. So callers leave such work to this thread, and go when
//! their time is up. It is there only while there is work; if the kernel holds it, it is left behind, and no other takes
//! its place: what is asked of the store meanwhile fails when its time is up.
#![forbid(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use nix::sys::signal::{SigSet, SigmaskHow};

use crate::error::{Error, Result, Status};
use crate::fork::ProcessMark;
use crate::store::Hurry;

/// Work with files needs little; the host's thread-local data may need the rest.
const STACK: usize = 1 << 20;

/// A caller in a hurry leaves work that has not got on for so long.
const STANDSTILL: Duration = Duration::from_millis(250);

/// The helpers of this process. Whoever looks for one waits for nobody: a fork may come at any moment.
static HELPERS: ArcSwapOption<Vec<Weak<Helper>>> = ArcSwapOption::const_empty();

thread_local! {
    /// The caller of the work that this thread is at.
    static CALLER: RefCell<Option<Arc<Caller>>> = const { RefCell::new(None) };
    /// The number of the thread in whose name this one works; 0 for its own.
    static IN_THE_NAME_OF: Cell<u64> = const { Cell::new(0) };
}

/// The helper of one store in one process.
pub(super) struct Helper {
    store: PathBuf,
    /// A forked child has the memory of its parent's helper, but not the thread.
    process: ProcessMark,
    state: Mutex<State>,
    /// How many calls of the kernel have come back.
    steps: Arc<AtomicU64>,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Job>,
    is_running: bool,
}

struct Job {
    caller: Arc<Caller>,
    work: Box<dyn FnOnce() + Send>,
    /// Whether it is done even if nobody waits for it any more.
    is_kept: bool,
}

/// Somebody who waits for work to be done.
struct Caller {
    thread: u64,
    has_left: AtomicBool,
    steps: Arc<AtomicU64>,
}

/// What work gave, for who waits for it.
struct Outcome<T> {
    value: Mutex<Slot<T>>,
    ready: Condvar,
}

enum Slot<T> {
    Empty,
    Full(T),
    /// There will be nothing: the work panicked.
    Lost,
}

impl Helper {
    /// The one of the store at `path` in this process.
    pub(super) fn of(path: &Path) -> Arc<Self> {
        let process = ProcessMark::current();
        let fresh =
            Arc::new(Helper { store: path.to_owned(), process, state: Mutex::default(), steps: Arc::default() });
        let known = |helpers: &[Weak<Helper>]| {
            helpers.iter().filter_map(Weak::upgrade).find(|other| other.process == process && other.store == path)
        };
        let before = HELPERS.rcu(|helpers| {
            let helpers = helpers.as_deref().map_or(&[][..], Vec::as_slice);
            let mut others: Vec<_> = helpers.iter().filter(|other| other.strong_count() > 0).cloned().collect();
            if known(helpers).is_none() {
                others.push(Arc::downgrade(&fresh));
            }
            Some(Arc::new(others))
        });
        before.and_then(|helpers| known(&helpers)).unwrap_or(fresh)
    }

    /// Whether it is this process's.
    pub(super) fn is_ours(&self) -> bool {
        self.process == ProcessMark::current()
    }

    /// What `work` gives, if that is before `until`. Work that nobody waits for any more is not begun, unless it
    /// `is_kept`.
    pub(super) fn run<T: Send + 'static>(
        self: &Arc<Self>,
        until: Instant,
        is_kept: bool,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let began = Instant::now();
        let caller = Arc::new(Caller {
            thread: super::this_thread(),
            has_left: AtomicBool::new(false),
            steps: self.steps.clone(),
        });
        let outcome = Arc::new(Outcome { value: Mutex::new(Slot::Empty), ready: Condvar::new() });
        let filling = Filling(outcome.clone());
        let work = Box::new(move || filling.fill(work()));
        if !self.submit(Job { caller: caller.clone(), work, is_kept }) {
            // A sandbox may forbid threads. How long this takes is up to the file system.
            self.work_off();
        }
        let mut value = outcome.value.lock().unwrap_or_else(PoisonError::into_inner);
        let longest = if Hurry::is_on() { STANDSTILL } else { Duration::MAX };
        let (mut steps, mut stepped) = (self.steps.load(Ordering::Relaxed), began);
        while matches!(*value, Slot::Empty) {
            let now = Instant::now();
            let seen = self.steps.load(Ordering::Relaxed);
            if seen != steps {
                (steps, stepped) = (seen, now);
            }
            let left = until.saturating_duration_since(now).min(longest.saturating_sub(now - stepped));
            if left.is_zero() {
                break;
            }
            // Who is in a hurry looks now and then whether the work gets on.
            let slice = left.min(longest / 5);
            value = outcome.ready.wait_timeout(value, slice).unwrap_or_else(PoisonError::into_inner).0;
        }
        match std::mem::replace(&mut *value, Slot::Lost) {
            Slot::Full(done) => done,
            Slot::Lost => Err(Error::new(Status::Internal, "work at the session store ended without an outcome")),
            Slot::Empty => {
                caller.has_left.store(true, Ordering::SeqCst);
                Err(Error::new(
                    Status::Store,
                    format!(
                        "the file system of the session store {} has not answered for {} ms; see whether its server is up",
                        self.store.display(),
                        began.elapsed().as_millis()
                    ),
                )
                .retryable())
            }
        }
    }

    /// Has `job` done, by a new thread if there is none. False: no thread can be made.
    fn submit(self: &Arc<Self>, job: Job) -> bool {
        let mut state = self.lock();
        state.waiting.push_back(job);
        if std::mem::replace(&mut state.is_running, true) {
            return true;
        }
        drop(state);
        let helper = self.clone();
        spawn("gcauth-store", STACK, move || helper.work_off()).is_ok()
    }

    /// Does what waits, until nothing does.
    fn work_off(&self) {
        let running = Running(self);
        while let Some(job) = self.next() {
            if job.is_kept || !job.caller.has_left.load(Ordering::SeqCst) {
                let _named = Named::enter(job.caller);
                (job.work)();
            }
        }
        std::mem::forget(running);
    }

    /// The next job. None: there is none, and the thread ends.
    fn next(&self) -> Option<Job> {
        let mut state = self.lock();
        let job = state.waiting.pop_front();
        state.is_running = job.is_some();
        job
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether nobody waits any more for what this thread does: then it begins nothing that others can see.
pub(super) fn is_abandoned() -> bool {
    CALLER.with_borrow(|caller| caller.as_ref().is_some_and(|caller| caller.has_left.load(Ordering::SeqCst)))
}

/// Says that the kernel has answered once more.
pub(super) fn step() {
    CALLER.with_borrow(|caller| caller.as_ref().map(|caller| caller.steps.fetch_add(1, Ordering::Relaxed)));
}

/// The number of the thread in whose name this one works, if it is another's.
pub(super) fn in_the_name_of() -> Option<u64> {
    Some(IN_THE_NAME_OF.get()).filter(|number| *number != 0)
}

/// Work is done in the name of its caller while this lives.
struct Named;

impl Named {
    fn enter(caller: Arc<Caller>) -> Self {
        IN_THE_NAME_OF.set(caller.thread);
        CALLER.set(Some(caller));
        Named
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        IN_THE_NAME_OF.set(0);
        CALLER.set(None);
    }
}

/// Says that there is no thread any more, should one end by a panic.
struct Running<'a>(&'a Helper);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.is_running = false;
        // Who waits for these is told so.
        state.waiting.clear();
    }
}

/// Fills an outcome, or says that there will be none.
struct Filling<T>(Arc<Outcome<Result<T>>>);

impl<T> Filling<T> {
    fn fill(self, value: Result<T>) {
        *self.0.value.lock().unwrap_or_else(PoisonError::into_inner) = Slot::Full(value);
    }
}

impl<T> Drop for Filling<T> {
    fn drop(&mut self) {
        let mut value = self.0.value.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*value, Slot::Empty) {
            *value = Slot::Lost;
        }
        self.0.ready.notify_all();
    }
}

/// Starts a thread that the host's signals are not for.
fn spawn(name: &str, stack: usize, work: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
    // It inherits the mask.
    let previous = SigSet::all().thread_swap_mask(SigmaskHow::SIG_SETMASK);
    let thread = std::thread::Builder::new().name(name.into()).stack_size(stack).spawn(work);
    if let Ok(previous) = previous {
        // Restoring a mask that was just read can't fail.
        let _ = previous.thread_set_mask();
    }
    thread.map(drop)
}
