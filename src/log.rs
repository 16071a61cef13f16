//! What a session tells its user's log. Lines are kept until the call that they belong to holds no lock any more: a
//! callback may wait for whatever it likes.
#![forbid(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;

use crate::error::{Error, Result, Status};
use crate::fork::ProcessMark;
use crate::redact;

const LONGEST_LINE: usize = 500;
/// How often it is looked whether the old callback has returned everywhere.
const PAUSE: Duration = Duration::from_millis(1);

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Something that was asked for could not be done.
    Error = 1,
    /// Something went wrong, and the session goes on.
    Warning = 2,
    /// What happens once in a token's life: requests, renewals, logins.
    Information = 3,
    /// Each step.
    Debug = 4,
}

/// Takes one line, without its end.
pub type LogSink = dyn Fn(LogLevel, &str) + Send + Sync;

thread_local! {
    static IS_IN_SINK: Cell<bool> = const { Cell::new(false) };
}

/// Where lines go.
#[derive(Default)]
pub(crate) struct Log {
    /// 0 while there is nobody to tell.
    level: AtomicU8,
    target: ArcSwapOption<Target>,
}

struct Target {
    level: LogLevel,
    sink: Arc<LogSink>,
    process: ProcessMark,
}

impl Log {
    /// Sets where lines go from now on. Returns when no other thread is in what was there before.
    pub(crate) fn set(&self, sink: Option<(LogLevel, Arc<LogSink>)>) -> Result<()> {
        if IS_IN_SINK.get() {
            return Err(Error::new(Status::InvalidArgument, "the log can't be changed from within its own callback"));
        }
        let process = ProcessMark::current();
        self.level.store(sink.as_ref().map_or(0, |(level, _)| *level as u8), Ordering::Relaxed);
        let target = sink.map(|(level, sink)| Arc::new(Target { level, sink, process }));
        let Some(mut old) = self.target.swap(target) else {
            return Ok(());
        };
        // A child has none of the threads that its parent had; its own use a copy of their own.
        while old.process == process && Arc::get_mut(&mut old).is_none() {
            std::thread::sleep(PAUSE);
        }
        Ok(())
    }

    /// What is to be told about one call.
    pub(crate) fn journal(&self) -> Journal<'_> {
        Journal { log: self, lines: RefCell::default() }
    }

    fn target(&self) -> Option<Arc<Target>> {
        let process = ProcessMark::current();
        loop {
            let target = self.target.load_full()?;
            if target.process == process {
                return Some(target);
            }
            let own = Arc::new(Target { level: target.level, sink: target.sink.clone(), process });
            self.target.compare_and_swap(&target, Some(own));
        }
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log").field("level", &self.level).finish_non_exhaustive()
    }
}

/// The lines of one call, told when it is dropped: make it before any lock is taken.
pub(crate) struct Journal<'a> {
    log: &'a Log,
    lines: RefCell<Vec<(LogLevel, String)>>,
}

impl Journal<'_> {
    /// Whether anybody wants lines of this level.
    pub(crate) fn wants(&self, level: LogLevel) -> bool {
        level as u8 <= self.log.level.load(Ordering::Relaxed)
    }

    /// Adds a line, if anybody wants it.
    pub(crate) fn tell(&self, level: LogLevel, line: impl FnOnce() -> String) {
        if self.wants(level) {
            self.lines.borrow_mut().push((level, line()));
        }
    }
}

impl Drop for Journal<'_> {
    fn drop(&mut self) {
        let lines = self.lines.take();
        if lines.is_empty() || std::thread::panicking() {
            return;
        }
        let Some(target) = self.log.target() else {
            return;
        };
        let _inside = Inside::enter();
        for (level, line) in lines.iter().filter(|(level, _)| *level <= target.level) {
            (target.sink)(*level, &redact::clean(line, &[], LONGEST_LINE));
        }
    }
}

/// This thread is in a callback.
struct Inside;

impl Inside {
    fn enter() -> Self {
        IS_IN_SINK.set(true);
        Inside
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        IS_IN_SINK.set(false);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::AtomicBool;

    use super::*;

    type Lines = Arc<Mutex<Vec<(LogLevel, String)>>>;

    fn collector() -> (Lines, Arc<LogSink>) {
        let lines = Lines::default();
        let kept = lines.clone();
        (lines, Arc::new(move |level, line: &str| kept.lock().unwrap().push((level, line.to_owned()))))
    }

    #[test]
    fn lines_come_at_the_end_of_a_call_and_by_level() {
        let log = Log::default();
        log.journal().tell(LogLevel::Error, || unreachable!("nobody listens"));
        let (lines, sink) = collector();
        log.set(Some((LogLevel::Warning, sink))).unwrap();
        let journal = log.journal();
        journal.tell(LogLevel::Error, || "an\nerror".to_owned());
        journal.tell(LogLevel::Warning, || "a warning".to_owned());
        journal.tell(LogLevel::Information, || unreachable!("nobody asked for it"));
        assert!(lines.lock().unwrap().is_empty());
        drop(journal);
        let told = [(LogLevel::Error, "an error".to_owned()), (LogLevel::Warning, "a warning".to_owned())];
        assert_eq!(*lines.lock().unwrap(), told);
        log.set(None).unwrap();
        log.journal().tell(LogLevel::Error, || unreachable!("nobody listens any more"));
    }

    #[test]
    fn set_waits_for_those_who_are_in_the_old_callback() {
        let log = Log::default();
        let (is_in, may_go, has_left) = (AtomicBool::new(false), AtomicBool::new(false), AtomicBool::new(false));
        let flags = Arc::new((is_in, may_go, has_left));
        let inner = flags.clone();
        let sink = move |_: LogLevel, _: &str| {
            inner.0.store(true, Ordering::SeqCst);
            while !inner.1.load(Ordering::SeqCst) {
                std::thread::sleep(PAUSE);
            }
            inner.2.store(true, Ordering::SeqCst);
        };
        log.set(Some((LogLevel::Error, Arc::new(sink)))).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| log.journal().tell(LogLevel::Error, || "line".to_owned()));
            while !flags.0.load(Ordering::SeqCst) {
                std::thread::sleep(PAUSE);
            }
            scope.spawn(|| {
                std::thread::sleep(PAUSE * 20);
                flags.1.store(true, Ordering::SeqCst);
            });
            log.set(None).unwrap();
            assert!(flags.2.load(Ordering::SeqCst));
        });
    }

    #[test]
    fn a_callback_that_changes_the_log_is_told_that_it_may_not() {
        let log = Arc::new(Log::default());
        let (inner, outcome) = (log.clone(), Arc::new(Mutex::new(None)));
        let kept = outcome.clone();
        let sink = move |_: LogLevel, _: &str| *kept.lock().unwrap() = Some(inner.set(None));
        log.set(Some((LogLevel::Error, Arc::new(sink)))).unwrap();
        log.journal().tell(LogLevel::Error, || "line".to_owned());
        let outcome = outcome.lock().unwrap().take().unwrap();
        assert_eq!(outcome.unwrap_err().status(), Status::InvalidArgument);
        log.set(None).unwrap();
    }
}
