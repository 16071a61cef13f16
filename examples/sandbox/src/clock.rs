//! The server's clock: the machine's, which tests can shift.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Seconds since 1970, as the server sees them.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    /// The bits of an `f64`: there is no atomic for it.
    offset_s: AtomicU64,
}

impl Clock {
    pub(crate) fn now(&self) -> f64 {
        let machine = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        machine.as_secs_f64() + self.offset()
    }

    pub(crate) fn offset(&self) -> f64 {
        f64::from_bits(self.offset_s.load(Ordering::Relaxed))
    }

    pub(crate) fn set_offset(&self, seconds: f64) {
        self.offset_s.store(seconds.to_bits(), Ordering::Relaxed);
    }

    /// For the `Date` header, which has no place for times before 1970 or after 9999.
    pub(crate) fn http_date(&self) -> String {
        let seconds = self.now().clamp(0.0, 253_402_300_799.0);
        httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs_f64(seconds))
    }
}
