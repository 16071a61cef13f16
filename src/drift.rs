//! How far the server's clock is from ours, as its answers tell.
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use crate::clock::{Clock, Now};
use crate::record::Record;
use crate::schedule::Origin;
use crate::token;
use crate::wrong_clocks::WrongClocks;

/// Two differences that say the same: the time that a request takes is in them.
const AGREEMENT_MS: i64 = 5_000;

/// The server's clock minus ours: this process's own knowledge, kept beside the session.
#[derive(Debug)]
pub(crate) struct Drift {
    leeway_ms: i64,
    offset_ms: AtomicI64,
    last_shift_ms: AtomicI64,
    /// Whether the offset comes from an answer, here or in another process of this machine. Otherwise the server's clock
    /// is there at least.
    is_measured: AtomicBool,
}

/// When an answer was asked for and came, by our clock, and when it was made, by the server's.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Heard {
    pub(crate) asked_ms: i64,
    pub(crate) received_ms: i64,
    /// The answer's `Date`.
    pub(crate) date_ms: Option<i64>,
    /// The token's `iat`.
    pub(crate) iat_ms: Option<i64>,
    /// Whether an earlier answer was lost: this may be the same once more.
    pub(crate) may_be_old: bool,
}

impl Heard {
    /// How far `server_ms` lies outside of the time in which the answer was made: negative in the past. A process that
    /// was stopped between question and answer can't tell when within.
    fn shift_of(&self, server_ms: i64) -> i64 {
        let (first, last) = (self.asked_ms.min(self.received_ms), self.asked_ms.max(self.received_ms));
        server_ms.saturating_sub(server_ms.clamp(first, last))
    }
}

impl Drift {
    /// Differences up to `leeway_ms` are none.
    pub(crate) fn new(leeway_ms: i64) -> Self {
        Drift {
            leeway_ms,
            offset_ms: AtomicI64::new(0),
            last_shift_ms: AtomicI64::new(0),
            is_measured: AtomicBool::new(false),
        }
    }

    /// How far clocks may be apart that are taken for right.
    pub(crate) fn leeway_ms(&self) -> i64 {
        self.leeway_ms
    }

    /// What is known so far, in milliseconds.
    pub(crate) fn offset_ms(&self) -> i64 {
        self.offset_ms.load(Ordering::Relaxed)
    }

    /// What the server's clock shows, as far as is known, when ours shows `now`.
    pub(crate) fn server_time(&self, now: Now) -> Now {
        Now { wall_ms: now.wall_ms.saturating_add(self.offset_ms()), ..now }
    }

    /// What others should know of this machine's clock, given what they know already.
    pub(crate) fn tell(&self, known: WrongClocks, clock: &Clock) -> WrongClocks {
        if !self.is_measured.load(Ordering::Relaxed) || (self.offset_ms() == 0 && known.is_empty()) {
            return known;
        }
        let now = self.server_time(clock.now());
        match clock.machine() {
            Some(machine) if self.offset_ms() != 0 || known.base_ms(&machine).is_some() => {
                known.with(&machine, now.wall_ms.saturating_sub(now.mono_ms))
            }
            _ => known,
        }
    }

    /// Learns from a record that somebody else wrote. Gives the difference if it is another than before.
    ///
    /// Another process of this machine may have told how far its clock is off. A token from the future, of whatever
    /// origin, tells that our clock is behind: by as much at least.
    pub(crate) fn see(&self, record: &Record, clock: &Clock) -> Option<i64> {
        let (now, before_ms) = (clock.now(), self.offset_ms());
        let least_ms = record
            .tokens
            .token()
            .and_then(|token| token::times(token).iat_ms)
            .map_or(i64::MIN, |iat_ms| iat_ms.saturating_sub(now.wall_ms));
        let is_possible = |offset_ms: &i64| least_ms <= offset_ms.saturating_add(self.leeway_ms);
        let told_ms = (!record.clocks.is_empty())
            .then(|| record.clocks.base_ms(&clock.machine()?))
            .flatten()
            .map(|base_ms| base_ms.saturating_add(now.mono_ms).saturating_sub(now.wall_ms))
            .map(|offset_ms| if offset_ms.saturating_abs() <= self.leeway_ms { 0 } else { offset_ms })
            .filter(is_possible);
        let offset_ms = match told_ms {
            Some(told_ms) => {
                self.is_measured.store(true, Ordering::Relaxed);
                // The same, but for what passes between two readings of a clock.
                if told_ms.saturating_sub(before_ms).saturating_abs() <= AGREEMENT_MS { before_ms } else { told_ms }
            }
            None if !is_possible(&before_ms) => {
                self.is_measured.store(false, Ordering::Relaxed);
                least_ms
            }
            None => before_ms,
        };
        (self.offset_ms.swap(offset_ms, Ordering::Relaxed) != offset_ms).then_some(offset_ms)
    }

    /// Whether ours is known to be behind, and not by how much.
    pub(crate) fn is_only_bounded(&self) -> bool {
        self.offset_ms() != 0 && !self.is_measured.load(Ordering::Relaxed)
    }

    /// Learns from a token. Gives the difference if it is another than before.
    ///
    /// A token may be older than its answer: a renewal's because the server gives one again whose answer was lost, a
    /// login's because it keeps one. One from the past counts only when the answer's date says the same; without a date
    /// a login's counts, and a renewal's if the token before it said the same.
    pub(crate) fn learn(&self, origin: Origin, heard: Heard) -> Option<i64> {
        let shift = heard.shift_of(heard.iat_ms?);
        let agrees_with = |other: i64| shift.saturating_sub(other).saturating_abs() <= AGREEMENT_MS;
        let is_small = shift.saturating_abs() <= self.leeway_ms;
        // Two old answers may be equally old: what is tried again after a loss comes after a fixed time.
        if heard.may_be_old && heard.date_ms.is_none() && shift < -self.leeway_ms {
            return None;
        }
        let last_shift_ms = self.last_shift_ms.swap(shift, Ordering::Relaxed);
        let is_believed = match (origin, heard.date_ms) {
            (Origin::Given, _) => false,
            _ if is_small || shift > 0 => true,
            (_, Some(date)) => agrees_with(heard.shift_of(date)),
            (Origin::Login, None) => true,
            (Origin::Renewal, None) => agrees_with(last_shift_ms) || agrees_with(self.offset_ms()),
        };
        let offset_ms = if is_small { 0 } else { shift };
        if is_believed {
            self.is_measured.store(true, Ordering::Relaxed);
        }
        let is_new = is_believed && self.offset_ms.swap(offset_ms, Ordering::Relaxed) != offset_ms;
        is_new.then_some(offset_ms)
    }
}

/// An offset that is new, for people.
pub(crate) fn told(offset_ms: i64) -> String {
    match offset_ms {
        0 => "this machine's clock and the server's agree again".to_owned(),
        _ => format!(
            "the server's clock is {} s {} this machine's; expiry is reckoned by the server's",
            offset_ms.unsigned_abs() / 1000,
            if offset_ms > 0 { "ahead of" } else { "behind" }
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    const NOW: i64 = 1_000_000_000;

    /// A token `shift` ms off, asked for two seconds before it came.
    fn heard(shift: i64, date_shift: Option<i64>) -> Heard {
        Heard {
            asked_ms: NOW - 2_000,
            received_ms: NOW,
            date_ms: date_shift.map(|ms| NOW + ms),
            iat_ms: Some(NOW + shift),
            may_be_old: false,
        }
    }

    fn learnt(steps: &[(Origin, i64, Option<i64>)]) -> i64 {
        let drift = Drift::new(30_000);
        for (origin, shift, date) in steps {
            drift.learn(*origin, heard(*shift, *date));
        }
        drift.offset_ms()
    }

    #[test]
    fn a_login_is_believed() {
        assert_eq!(learnt(&[(Origin::Login, -7_202_000, None)]), -7_200_000);
        assert_eq!(learnt(&[(Origin::Login, 7_200_000, Some(0))]), 7_200_000);
        assert_eq!(learnt(&[(Origin::Login, 30_000, None)]), 0);
        assert_eq!(learnt(&[(Origin::Login, 7_200_000, None), (Origin::Login, -30_000, None)]), 0);
    }

    #[test]
    fn a_login_that_brings_an_old_token_is_not() {
        assert_eq!(learnt(&[(Origin::Login, -3_588_000, Some(0))]), 0);
        assert_eq!(learnt(&[(Origin::Login, -7_202_000, Some(-7_201_000))]), -7_200_000);
    }

    #[test]
    fn an_old_renewal_needs_a_second_where_there_is_no_date() {
        let renewals = |shifts: &[i64]| shifts.iter().map(|ms| (Origin::Renewal, *ms, None)).collect::<Vec<_>>();
        assert_eq!(learnt(&renewals(&[-7_200_000])), 0);
        assert_eq!(learnt(&renewals(&[-7_200_000, -7_199_000])), -7_197_000);
        assert_eq!(learnt(&renewals(&[-7_200_000, -3_600_000])), 0);
        // Less than the leeway apart, and still two old answers.
        assert_eq!(learnt(&renewals(&[-8_000, -36_000])), 0);
        assert_eq!(learnt(&[(Origin::Login, -7_200_000, None), (Origin::Renewal, -7_201_000, None)]), -7_199_000);
    }

    #[test]
    fn two_answers_that_may_both_be_old_prove_nothing() {
        let drift = Drift::new(30_000);
        let old = |shift, date| Heard { may_be_old: true, ..heard(shift, date) };
        for _ in 0..3 {
            drift.learn(Origin::Renewal, old(-82_000, None));
        }
        assert_eq!(drift.offset_ms(), 0);
        drift.learn(Origin::Renewal, old(-82_000, Some(-82_000)));
        assert_eq!(drift.offset_ms(), -80_000);
    }

    #[test]
    fn the_date_of_an_answer_tells_an_old_one_from_a_clock_that_is_behind() {
        assert_eq!(learnt(&[(Origin::Renewal, -7_200_000, Some(-7_201_000))]), -7_198_000);
        assert_eq!(learnt(&[(Origin::Renewal, -7_200_000, Some(0)), (Origin::Renewal, -7_200_000, Some(0))]), 0);
        // What was known stays.
        let behind = [(Origin::Login, -7_200_000, None), (Origin::Renewal, -7_260_000, Some(-7_200_000))];
        assert_eq!(learnt(&behind), -7_198_000);
    }

    #[test]
    fn a_renewal_from_the_future_is_believed() {
        assert_eq!(learnt(&[(Origin::Renewal, 7_200_000, None)]), 7_200_000);
    }

    #[test]
    fn a_process_that_was_stopped_while_it_waited_learns_nothing() {
        let drift = Drift::new(30_000);
        for _ in 0..3 {
            let slow = Heard { asked_ms: NOW - 600_000, ..heard(-599_000, None) };
            drift.learn(Origin::Renewal, slow);
            drift.learn(Origin::Login, slow);
        }
        assert_eq!(drift.offset_ms(), 0);
    }

    /// Somebody else's record with a token that was made `iat` ms after the machine's clock showed `NOW`.
    fn seen(drift: &Drift, iat_ms: Option<i64>, clocks: &WrongClocks, clock: &Clock) -> i64 {
        use base64::Engine;
        use base64::engine::general_purpose::URL_SAFE_NO_PAD;
        let payload = iat_ms.map_or("{}".to_owned(), |ms| format!(r#"{{"iat":{}}}"#, (NOW + ms) / 1000));
        let token = format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(payload));
        let record = Record {
            version: crate::record::Version { session: 1, generation: 1 },
            tokens: crate::record::Tokens::new(Some(&token), None, None, None).unwrap(),
            origin: Origin::Renewal,
            received: clock.now(),
            author: crate::author::Author { host: "other".to_owned(), pid: 1, place: None },
            notes: crate::record::Notes::default(),
            clocks: clocks.clone(),
        };
        drift.see(&record, clock);
        drift.offset_ms()
    }

    #[test]
    fn a_token_from_the_future_tells_that_our_clock_is_behind() {
        let (clock, none) = (Clock::Manual(ManualClock::at_ms(NOW)), WrongClocks::default());
        let drift = Drift::new(30_000);
        assert_eq!(seen(&drift, None, &none, &clock), 0);
        assert_eq!(seen(&drift, Some(-7_200_000), &none, &clock), 0);
        assert_eq!(seen(&drift, Some(30_000), &none, &clock), 0);
        assert_eq!((seen(&drift, Some(3_600_000), &none, &clock), drift.is_only_bounded()), (3_600_000, true));
        // At least: an older one takes nothing back, and it is nothing to tell others.
        assert_eq!(seen(&drift, Some(1_800_000), &none, &clock), 3_600_000);
        assert!(drift.tell(none, &clock).is_empty());
    }

    #[test]
    fn what_one_process_has_learnt_the_others_of_its_machine_need_not() {
        let manual = ManualClock::at_ms(NOW);
        let clock = Clock::Manual(manual.clone());
        let first = Drift::new(30_000);
        assert!(first.tell(WrongClocks::default(), &clock).is_empty());
        first.learn(Origin::Login, Heard { iat_ms: Some(NOW + 7_200_000), ..heard(0, None) });
        let told = first.tell(WrongClocks::default(), &clock);
        manual.advance_ms(60_000);
        let second = Drift::new(30_000);
        assert_eq!((seen(&second, Some(0), &told, &clock), second.is_only_bounded()), (7_200_000, false));
        // Somebody sets the clock right: what was told holds, since the monotonic clock was not set.
        manual.step_wall_ms(7_200_000);
        assert_eq!(seen(&second, Some(0), &told, &clock), 0);
        assert!(second.tell(told.clone(), &clock).base_ms(&clock.machine().unwrap()).is_some());
        // On another machine it means nothing.
        let elsewhere = Clock::Manual(ManualClock::at_ms(NOW));
        assert_eq!(seen(&Drift::new(30_000), Some(0), &told, &elsewhere), 0);
        // A token that was made later than it says was possible proves it wrong.
        let late = Drift::new(30_000);
        assert_eq!(seen(&late, Some(20_000_000), &told, &clock), NOW + 20_000_000 - clock.now().wall_ms);
    }

    #[test]
    fn given_tokens_and_those_without_iat_teach_nothing() {
        assert_eq!(learnt(&[(Origin::Given, 7_200_000, None)]), 0);
        let drift = Drift::new(0);
        drift.learn(Origin::Login, Heard { iat_ms: None, ..heard(0, None) });
        let extreme = Heard { asked_ms: i64::MAX, received_ms: i64::MAX, iat_ms: Some(i64::MIN), ..Heard::default() };
        drift.learn(Origin::Renewal, extreme);
        assert_eq!(drift.offset_ms(), 0);
    }
}
