//! What time it is: a cheap reading for the read path, an exact one for decisions, and a clock that tests can set.
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_gettime};

use crate::author::{boot_id, namespace};

/// The cheap reading may lag by a scheduler tick, 10 ms at most; decisions keep this far from a boundary.
pub const COARSE_LAG_MS: i64 = 20;

#[cfg(any(target_os = "linux", target_os = "android"))]
const COARSE: ClockId = ClockId::CLOCK_REALTIME_COARSE;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const COARSE: ClockId = ClockId::CLOCK_REALTIME;

/// Goes on while the machine sleeps, where there is such a clock: tokens get older then.
#[cfg(any(target_os = "linux", target_os = "android"))]
const MONOTONIC: ClockId = ClockId::CLOCK_BOOTTIME;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const MONOTONIC: ClockId = ClockId::CLOCK_MONOTONIC;

/// One exact reading of both clocks, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Since the Unix epoch; may be stepped at any time.
    pub wall_ms: i64,
    /// Since some fixed moment; never stepped.
    pub mono_ms: i64,
}

/// Where a session reads the time.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The machine's clocks.
    #[default]
    System,
    /// A clock that only moves when it is told to, for tests.
    Manual(Arc<ManualClock>),
    /// A host's clock in a simulation, where sleeping takes no time.
    #[cfg(test)]
    Simulated(crate::simulation::HostClock),
}

impl Clock {
    /// Whole Unix seconds, cheaply.
    #[inline]
    pub(crate) fn coarse_s(&self) -> i64 {
        match self {
            // A clock that can't be read makes every token look due, so that the exact path decides.
            Clock::System => clock_gettime(COARSE).map_or(i64::MAX, |t| t.tv_sec()),
            Clock::Manual(clock) => clock.now().wall_ms.div_euclid(1000),
            #[cfg(test)]
            Clock::Simulated(clock) => clock.now().wall_ms.div_euclid(1000),
        }
    }

    /// Both clocks, exactly.
    pub(crate) fn now(&self) -> Now {
        match self {
            Clock::System => Now { wall_ms: read_ms(ClockId::CLOCK_REALTIME), mono_ms: read_ms(MONOTONIC) },
            Clock::Manual(clock) => clock.now(),
            #[cfg(test)]
            Clock::Simulated(clock) => clock.now(),
        }
    }

    /// Names the machine whose clocks these are, from one boot to the next; None where the system does not say.
    pub(crate) fn machine(&self) -> Option<String> {
        match self {
            // Containers of one machine share its clocks, but the monotonic one may be shifted for some.
            Clock::System => Some(format!("{}/{}", boot_id()?, namespace("time")?)),
            Clock::Manual(clock) => Some(format!("manual/{}/{:p}", std::process::id(), Arc::as_ptr(clock))),
            #[cfg(test)]
            Clock::Simulated(clock) => Some(clock.machine()),
        }
    }

    /// The moment that deadlines are measured by: the machine's, also beside a clock that tests set.
    pub(crate) fn instant(&self) -> Instant {
        match self {
            Clock::System | Clock::Manual(_) => Instant::now(),
            #[cfg(test)]
            Clock::Simulated(clock) => clock.instant(),
        }
    }

    /// Lets `pause` pass.
    pub(crate) fn sleep(&self, pause: Duration) {
        match self {
            Clock::System | Clock::Manual(_) => std::thread::sleep(pause),
            #[cfg(test)]
            Clock::Simulated(clock) => clock.sleep(pause),
        }
    }
}

/// `duration` in whole milliseconds, as far as they can be counted.
pub(crate) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn read_ms(clock: ClockId) -> i64 {
    clock_gettime(clock)
        .map_or(i64::MAX / 2, |t| t.tv_sec().saturating_mul(1000).saturating_add(t.tv_nsec() / 1_000_000))
}

/// A clock that only moves when it is told to.
#[derive(Debug)]
pub struct ManualClock {
    wall_ms: AtomicI64,
    mono_ms: AtomicI64,
}

impl ManualClock {
    /// A clock that stands at `wall_ms` milliseconds since the Unix epoch.
    pub fn at_ms(wall_ms: i64) -> Arc<Self> {
        Arc::new(ManualClock { wall_ms: AtomicI64::new(wall_ms), mono_ms: AtomicI64::new(0) })
    }

    /// Time passes.
    pub fn advance_ms(&self, ms: i64) {
        self.wall_ms.fetch_add(ms, Ordering::SeqCst);
        self.mono_ms.fetch_add(ms, Ordering::SeqCst);
    }

    /// Somebody sets the wall clock; no time passes.
    pub fn step_wall_ms(&self, ms: i64) {
        self.wall_ms.fetch_add(ms, Ordering::SeqCst);
    }

    /// The present reading.
    pub fn now(&self) -> Now {
        Now { wall_ms: self.wall_ms.load(Ordering::SeqCst), mono_ms: self.mono_ms.load(Ordering::SeqCst) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_coarse_clock_lags_no_more_than_is_allowed_for() {
        for _ in 0..1000 {
            let before = read_ms(ClockId::CLOCK_REALTIME);
            let coarse = read_ms(COARSE);
            let after = read_ms(ClockId::CLOCK_REALTIME);
            // A preempted test thread widens the bracket, never narrows it.
            assert!(coarse >= before - COARSE_LAG_MS && coarse <= after);
        }
    }

    #[test]
    fn a_manual_clock_moves_when_told() {
        let manual = ManualClock::at_ms(-1);
        let clock = Clock::Manual(manual.clone());
        assert_eq!(clock.coarse_s(), -1);
        manual.advance_ms(5);
        manual.step_wall_ms(1000);
        assert_eq!(clock.now(), Now { wall_ms: 1004, mono_ms: 5 });
    }
}
