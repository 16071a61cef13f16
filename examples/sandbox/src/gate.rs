//! Where requests wait: for a time, or until they are released. Stopping the sandbox lets all of them go.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Nobody waits longer for an answer, and the clock can't overflow.
const LONGEST_SLEEP: Duration = Duration::from_secs(24 * 3600);

#[derive(Debug, Default)]
struct State {
    held: usize,
    releases: u64,
    stopping: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

impl Gate {
    /// Waits until the next [`Gate::release`].
    pub(crate) fn hold(&self) {
        let mut state = self.lock();
        let releases_before = state.releases;
        state.held += 1;
        self.changed.notify_all();
        while state.releases == releases_before && !state.stopping {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.held -= 1;
        self.changed.notify_all();
    }

    /// Lets all go that are held now; tells how many.
    pub(crate) fn release(&self) -> usize {
        let mut state = self.lock();
        state.releases += 1;
        self.changed.notify_all();
        state.held
    }

    pub(crate) fn held(&self) -> usize {
        self.lock().held
    }

    /// Waits until `count` requests are held; tells whether that came true in time.
    pub(crate) fn wait_held(&self, count: usize, limit: Duration) -> bool {
        let (state, _) = self
            .changed
            .wait_timeout_while(self.lock(), limit, |state| state.held < count)
            .unwrap_or_else(PoisonError::into_inner);
        state.held >= count
    }

    /// Sleeps; tells `false` when the sandbox stops meanwhile.
    pub(crate) fn sleep(&self, time: Duration) -> bool {
        let end = Instant::now() + time.min(LONGEST_SLEEP);
        let mut state = self.lock();
        while !state.stopping {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            (state, _) = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner);
        }
        false
    }

    pub(crate) fn stop(&self) {
        self.lock().stopping = true;
        self.changed.notify_all();
    }

    pub(crate) fn stopping(&self) -> bool {
        self.lock().stopping
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
