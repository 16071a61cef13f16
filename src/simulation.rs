//! Processes and hosts that share a session, simulated: one thing happens at a time, in an order that a seed decides.
#![forbid(unsafe_code)]
#![allow(dead_code)]

use std::time::{Duration, Instant};

use crate::clock::Now;

/// The clocks of one host.
#[derive(Clone, Debug)]
pub struct HostClock;

impl HostClock {
    pub(crate) fn now(&self) -> Now {
        Now { wall_ms: 0, mono_ms: 0 }
    }

    pub(crate) fn instant(&self) -> Instant {
        Instant::now()
    }

    pub(crate) fn sleep(&self, _pause: Duration) {}
}

/// The next of this simulated process's random numbers; None outside of a simulation.
pub(crate) fn random_number() -> Option<u64> {
    None
}
