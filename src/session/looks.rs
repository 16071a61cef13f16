//! When the store may be read while that is not urgent: one thread at a time, with a pause after each look, and longer
//! ones after looks that failed.
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;

use crate::clock::{Clock, millis};
use crate::error::Error;
use crate::schedule::late_pause_ms;

/// Longer than a look takes, with the renewal that may follow. After that, whoever began it is taken for gone: a fork
/// copies looks that only the parent ends.
const LONGEST_MS: i64 = 120_000;

/// What a handle remembers of its looks. All times are readings of the monotonic clock in milliseconds.
#[derive(Debug)]
pub(super) struct Looks {
    due_ms: AtomicI64,
    /// Failures in a row.
    failures: AtomicU32,
    failed_until_ms: AtomicI64,
    error: ArcSwapOption<Error>,
}

/// The right to look; the pause begins when it is dropped.
pub(super) struct Look<'a> {
    looks: &'a Looks,
    clock: &'a Clock,
    pause: Duration,
}

impl Looks {
    pub(super) fn new() -> Self {
        Looks {
            due_ms: AtomicI64::new(i64::MIN),
            failures: AtomicU32::new(0),
            failed_until_ms: AtomicI64::new(i64::MIN),
            error: ArcSwapOption::empty(),
        }
    }

    /// The right to look, if it is time to. Another look comes `pause` after the end of this one, or later.
    pub(super) fn begin<'a>(&'a self, clock: &'a Clock, pause: Duration) -> Option<Look<'a>> {
        let now_ms = clock.now().mono_ms;
        let due_ms = self.due_ms.load(Ordering::Acquire);
        let gone_ms = now_ms.saturating_add(LONGEST_MS);
        let is_ours = now_ms >= due_ms
            && self.due_ms.compare_exchange(due_ms, gone_ms, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        is_ours.then(|| Look { looks: self, clock, pause })
    }

    /// How many looks have failed since one succeeded.
    pub(super) fn failures(&self) -> u32 {
        self.failures.load(Ordering::Acquire)
    }

    /// A look has ended that began after `failures` failures. Of several at once that fail, one counts.
    pub(super) fn note(&self, failures: u32, error: Option<&Error>, now_ms: i64) {
        let Some(error) = error else {
            self.failures.store(0, Ordering::Release);
            self.failed_until_ms.store(i64::MIN, Ordering::Release);
            self.error.store(None);
            return;
        };
        let more = failures.saturating_add(1);
        if self.failures.compare_exchange(failures, more, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
            self.error.store(Some(error.clone().into()));
            self.failed_until_ms.store(now_ms.saturating_add(late_pause_ms(more)), Ordering::Release);
        }
    }

    /// What the last look failed with, as long as it rests.
    pub(super) fn standing(&self, now_ms: i64) -> Option<Error> {
        let is_resting = now_ms < self.failed_until_ms.load(Ordering::Acquire);
        self.error.load().as_deref().filter(|_| is_resting).cloned()
    }
}

impl Look<'_> {
    /// The pause is as long as that, unless it is longer already.
    pub(super) fn rest(&mut self, rest: Duration) {
        self.pause = self.pause.max(rest);
    }
}

impl Drop for Look<'_> {
    fn drop(&mut self) {
        let next_ms = self.clock.now().mono_ms.saturating_add(millis(self.pause));
        let rested_ms = self.looks.failed_until_ms.load(Ordering::Acquire);
        self.looks.due_ms.store(next_ms.max(rested_ms), Ordering::Release);
    }
}
