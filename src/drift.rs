//! How far the server's clock is from ours, as its tokens tell.
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicI64, Ordering};

use crate::schedule::Origin;

/// The server's clock minus ours: this process's own knowledge, kept beside the session.
#[derive(Debug, Default)]
pub(crate) struct Drift {
    offset_ms: AtomicI64,
    last_shift_ms: AtomicI64,
}

impl Drift {
    /// What is known so far, in milliseconds.
    pub(crate) fn offset_ms(&self) -> i64 {
        self.offset_ms.load(Ordering::Relaxed)
    }

    /// Learns from a token that came at `wall_ms` by our clock. Less than the leeway is no difference.
    ///
    /// A login's token is made on the spot. A renewal's may be an old answer that the server gives again because the
    /// first was lost: one from the past counts only when two in a row agree.
    pub(crate) fn learn(&self, origin: Origin, iat_ms: Option<i64>, wall_ms: i64, leeway_ms: i64) {
        let Some(iat) = iat_ms else {
            return;
        };
        let shift = iat.saturating_sub(wall_ms);
        let agrees_with = |other: i64| shift.saturating_sub(other).saturating_abs() <= leeway_ms;
        let is_believed = match origin {
            Origin::Given => return,
            Origin::Login => true,
            Origin::Renewal => shift > 0 || agrees_with(0) || agrees_with(self.last_shift_ms.load(Ordering::Relaxed)),
        };
        self.last_shift_ms.store(shift, Ordering::Relaxed);
        if is_believed {
            self.offset_ms.store(if agrees_with(0) { 0 } else { shift }, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn learnt(steps: &[(Origin, i64)]) -> i64 {
        let drift = Drift::default();
        for (origin, shift) in steps {
            drift.learn(*origin, Some(1_000_000 + shift), 1_000_000, 30_000);
        }
        drift.offset_ms()
    }

    #[test]
    fn a_login_is_believed() {
        assert_eq!(learnt(&[(Origin::Login, -7_200_000)]), -7_200_000);
        assert_eq!(learnt(&[(Origin::Login, 7_200_000)]), 7_200_000);
        assert_eq!(learnt(&[(Origin::Login, 30_000)]), 0);
        assert_eq!(learnt(&[(Origin::Login, 7_200_000), (Origin::Login, -30_000)]), 0);
    }

    #[test]
    fn an_old_renewal_needs_a_second() {
        assert_eq!(learnt(&[(Origin::Renewal, -7_200_000)]), 0);
        assert_eq!(learnt(&[(Origin::Renewal, -7_200_000), (Origin::Renewal, -7_199_000)]), -7_199_000);
        assert_eq!(learnt(&[(Origin::Renewal, -7_200_000), (Origin::Renewal, -3_600_000)]), 0);
        assert_eq!(learnt(&[(Origin::Login, -7_200_000), (Origin::Renewal, -7_201_000)]), -7_201_000);
    }

    #[test]
    fn a_renewal_from_the_future_is_believed() {
        assert_eq!(learnt(&[(Origin::Renewal, 7_200_000)]), 7_200_000);
    }

    #[test]
    fn given_tokens_and_those_without_iat_teach_nothing() {
        assert_eq!(learnt(&[(Origin::Given, 7_200_000)]), 0);
        let drift = Drift::default();
        drift.learn(Origin::Login, None, 0, 0);
        drift.learn(Origin::Renewal, Some(i64::MIN), i64::MAX, i64::MAX);
        assert_eq!(drift.offset_ms(), 0);
    }
}
