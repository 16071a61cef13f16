//! When a token is due for renewal, and when a renewal that failed may be tried again. Pure arithmetic on times.
#![forbid(unsafe_code)]

use std::time::Duration;

use crate::clock::{COARSE_LAG_MS, Now, millis};
use crate::token::Times;

const MINUTE_MS: i64 = 60_000;
const LONGEST_PAUSE_MS: i64 = 30_000;
/// The longest that early renewals rest after a failure.
pub(crate) const LONGEST_REST_MS: i64 = 300_000;

/// Where a token stands in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    /// To be handed out as it is.
    Fresh,
    /// Not ours to renew yet, but others may have: time to look into the store.
    Watched,
    /// Still valid, and time to renew it.
    Due,
    /// No longer valid.
    Expired,
}

/// How a token came here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The caller had it.
    Given,
    /// The server has just made it.
    Login,
    /// The server has sent it for a refresh token.
    Renewal,
}

/// What a handle's config and luck say about renewal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Policy {
    pub(crate) renew_before_ms: i64,
    /// Between 0.9 and 1.0, fixed for the handle: equal processes must not wake at the same second.
    pub(crate) jitter: f64,
    pub(crate) watch: Watch,
}

/// When to look for what others have renewed before it is our turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Watch {
    /// There are no others.
    Never,
    /// Now and then, from the moment at which the first of them may renew.
    Loosely,
    /// From that moment on as often as the store allows.
    Closely,
    /// The same, all the time.
    Always,
}

/// The part of a window over which handles begin theirs.
const SPREAD: i64 = 10;
/// How many times closer together they look for what others have renewed.
const LOOKS_PER_SPREAD: i64 = 8;
/// Over which time the first looks of those are spread that look as often as they may.
const FIRST_LOOKS_MS: i64 = 1_000;

/// The plan for one token.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schedule {
    exp_ms: Option<i64>,
    is_exp_unreadable: bool,
    window_ms: i64,
    /// How long before the expiry others may have renewed: at least the window.
    watch_ms: i64,
    /// Between two looks until then.
    watch_pause_ms: i64,
    /// The server's clock minus ours.
    offset_ms: i64,
    /// Until this monotonic time (ms) a token that the server has just sent counts as fresh, whatever the wall clock
    /// says: a wrong clock must not make a renewal at every call.
    quiet_until_mono_ms: i64,
    /// When the token came, by the server's clock and our monotonic one: a wall clock that is set back since then makes
    /// the token no younger.
    came: Option<Now>,
}

/// Seconds of this machine's clock, read coarsely, in which a token is handed out without another look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hot {
    from_s: i64,
    for_s: u16,
}

impl Hot {
    /// No second at all.
    pub(crate) const NEVER: Hot = Hot { from_s: 0, for_s: 0 };

    /// Both in one word, for an atomic: the count in its lowest bits.
    pub(crate) fn to_bits(self) -> u64 {
        (self.from_s << 16) as u64 | u64::from(self.for_s)
    }

    /// Whether this second is one of those packed in `bits`.
    #[inline]
    pub(crate) fn has(bits: u64, coarse_s: i64) -> bool {
        // One comparison for both ends: what lies before wraps around to what is very far.
        (coarse_s.wrapping_sub(bits as i64 >> 16) as u64) < bits & 0xffff
    }
}

impl Schedule {
    /// The plan for a token that came `at`, by the server's clock. `offset_ms` is that minus ours.
    pub(crate) fn new(times: Times, origin: Origin, at: Now, offset_ms: i64, policy: Policy) -> Self {
        let born = times.iat_ms.unwrap_or(at.wall_ms);
        let life = times.exp_ms.map_or(i64::MAX, |exp| exp.saturating_sub(born)).max(0);
        // An old answer that is given again may have less time left than the pause would last.
        let left = times.exp_ms.map_or(i64::MAX, |exp| exp.saturating_sub(at.wall_ms));
        let quiet = match origin {
            Origin::Login | Origin::Renewal => MINUTE_MS.min(life / 3).min(left),
            Origin::Given => 0,
        };
        let widest_ms = policy.renew_before_ms.min(life / 3);
        let window_ms = (widest_ms as f64 * policy.jitter) as i64;
        // The first looks of all handles are spread like the beginnings of their windows, only closer together.
        let loosely_ms = (widest_ms - window_ms) / LOOKS_PER_SPREAD;
        let closely_ms = (FIRST_LOOKS_MS as f64 * (1.0 - policy.jitter) * SPREAD as f64) as i64;
        Schedule {
            exp_ms: times.exp_ms,
            is_exp_unreadable: times.is_exp_unreadable,
            window_ms,
            watch_ms: match policy.watch {
                Watch::Never => window_ms,
                Watch::Loosely => widest_ms - loosely_ms,
                Watch::Closely => widest_ms - loosely_ms.min(closely_ms),
                Watch::Always => i64::MAX,
            },
            watch_pause_ms: match policy.watch {
                Watch::Loosely => widest_ms / SPREAD / LOOKS_PER_SPREAD,
                _ => 0,
            },
            offset_ms,
            quiet_until_mono_ms: if quiet > 0 { at.mono_ms.saturating_add(quiet) } else { i64::MIN },
            came: None,
        }
    }

    /// The same, where the time `at` which the token came counts, by the server's clock: from then on the monotonic
    /// clock tells its age, too.
    pub(crate) fn since(self, at: Now) -> Self {
        Schedule { came: Some(at), ..self }
    }

    /// The server's clock: what our wall clock makes of it, or what the monotonic one makes of the time when the token
    /// came, if that is later.
    fn wall_ms(&self, now: Now) -> i64 {
        let monotonic =
            self.came.map_or(i64::MIN, |came| came.wall_ms.saturating_add(now.mono_ms.saturating_sub(came.mono_ms)));
        now.wall_ms.saturating_add(self.offset_ms).max(monotonic)
    }

    /// Where the token stands.
    pub(crate) fn life(&self, now: Now) -> Life {
        let Some(exp) = self.exp_ms else {
            return Life::Fresh;
        };
        if self.is_new(now) {
            return Life::Fresh;
        }
        let wall = self.wall_ms(now);
        if wall >= exp {
            Life::Expired
        } else if wall >= exp.saturating_sub(self.window_ms) {
            Life::Due
        } else if wall >= exp.saturating_sub(self.watch_ms) {
            Life::Watched
        } else {
            Life::Fresh
        }
    }

    /// How long the token needs no other look, at a time when `life` is `Fresh`. Never for long: a clock that is set
    /// back has to be noticed before the token runs out.
    pub(crate) fn hot(&self, now: Now) -> Hot {
        let longest_s = (MINUTE_MS.min(self.window_ms / 2) / 1000).max(1);
        let for_s = self.fresh_for_ms(now).div_euclid(1000).min(longest_s);
        match u16::try_from(for_s) {
            Ok(for_s @ 1..) => Hot { from_s: now.wall_ms.saturating_sub(COARSE_LAG_MS).div_euclid(1000), for_s },
            _ => Hot::NEVER,
        }
    }

    /// How long until it is time to look into the store, or to renew the token.
    pub(crate) fn fresh_for_ms(&self, now: Now) -> i64 {
        self.exp_ms.map_or(i64::MAX, |exp| exp.saturating_sub(self.watch_ms).saturating_sub(self.wall_ms(now)))
    }

    /// How long to leave the store alone after a look at a time when `life` is `Watched`: not into our own window.
    pub(crate) fn watch_pause(&self, now: Now) -> Duration {
        let due_in_ms =
            self.exp_ms.map_or(i64::MAX, |exp| exp.saturating_sub(self.window_ms).saturating_sub(self.wall_ms(now)));
        Duration::from_millis(u64::try_from(self.watch_pause_ms.min(due_in_ms)).unwrap_or_default())
    }

    /// Unix seconds by the server's clock, rounded down; 0 when unknown.
    pub(crate) fn expires_at_s(&self) -> i64 {
        self.exp_ms.map_or(0, |exp| exp.div_euclid(1000))
    }

    /// Whether the token has an end that nobody can read.
    pub(crate) fn is_exp_unreadable(&self) -> bool {
        self.is_exp_unreadable
    }

    /// Whole seconds until the token expires, by the server's clock; negative afterwards. None when it does not say.
    pub(crate) fn seconds_left(&self, now: Now) -> Option<i64> {
        let wall = self.wall_ms(now);
        self.exp_ms.map(|exp| exp.saturating_sub(wall).div_euclid(1000))
    }

    /// Whether the server has only just sent the token: a renewal would bring nothing.
    pub(crate) fn is_new(&self, now: Now) -> bool {
        now.mono_ms < self.quiet_until_mono_ms
    }

    /// How long an early renewal that failed keeps others from trying.
    pub(crate) fn early_pause_ms(&self, retry_after: Option<Duration>) -> i64 {
        // What a server asks for must not cost the whole window.
        let most = self.window_ms / 4;
        let asked = retry_after.map_or(0, millis).min(LONGEST_REST_MS);
        MINUTE_MS.max(asked).min(most)
    }
}

/// How long the `failures`th failure in a row keeps others from trying when there is no valid token.
pub(crate) fn late_pause_ms(failures: u32) -> i64 {
    LONGEST_PAUSE_MS.min(1000 << failures.saturating_sub(1).min(10))
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: Policy = Policy { renew_before_ms: 900_000, jitter: 1.0, watch: Watch::Never };
    const AT: Now = Now { wall_ms: 1_000_000_000, mono_ms: 5_000 };

    fn times(iat: Option<i64>, exp: Option<i64>) -> Times {
        Times {
            iat_ms: iat.map(|s| AT.wall_ms + s * 1000),
            exp_ms: exp.map(|s| AT.wall_ms + s * 1000),
            ..Times::default()
        }
    }

    fn after(seconds: i64) -> Now {
        Now { wall_ms: AT.wall_ms + seconds * 1000, mono_ms: AT.mono_ms + seconds * 1000 }
    }

    fn given(iat: Option<i64>, exp: Option<i64>) -> Schedule {
        Schedule::new(times(iat, exp), Origin::Given, AT, 0, POLICY)
    }

    fn answered(iat: Option<i64>, exp: Option<i64>) -> Schedule {
        Schedule::new(times(iat, exp), Origin::Login, AT, 0, POLICY)
    }

    #[test]
    fn the_window_is_renew_before_or_a_third_of_the_life() {
        let hour = given(Some(0), Some(3600));
        assert_eq!(hour.life(after(2699)), Life::Fresh);
        assert_eq!(hour.life(after(2700)), Life::Due);
        let minute = given(Some(0), Some(60));
        assert_eq!(minute.life(after(39)), Life::Fresh);
        assert_eq!(minute.life(after(40)), Life::Due);
    }

    #[test]
    fn without_iat_the_life_begins_at_receipt() {
        let token = given(None, Some(60));
        assert_eq!(token.life(after(39)), Life::Fresh);
        assert_eq!(token.life(after(40)), Life::Due);
    }

    #[test]
    fn a_given_token_is_measured_by_its_own_iat() {
        let old = given(Some(-3000), Some(600));
        assert_eq!(old.life(AT), Life::Due);
    }

    #[test]
    fn the_jitter_shortens_the_window() {
        let token = Schedule::new(times(Some(0), Some(3600)), Origin::Given, AT, 0, Policy { jitter: 0.9, ..POLICY });
        assert_eq!(token.life(after(3600 - 810 - 1)), Life::Fresh);
        assert_eq!(token.life(after(3600 - 810)), Life::Due);
    }

    #[test]
    fn others_are_watched_from_the_first_moment_at_which_one_may_renew() {
        let shared = |jitter, watch| {
            Schedule::new(times(Some(0), Some(3600)), Origin::Given, AT, 0, Policy { jitter, watch, ..POLICY })
        };
        // The first may renew at 2700 s, this one from 2790 s on.
        let last = shared(0.9, Watch::Loosely);
        let lives = [2711, 2712, 2789, 2790].map(|seconds| last.life(after(seconds)));
        assert_eq!(lives, [Life::Fresh, Life::Watched, Life::Watched, Life::Due]);
        assert_eq!(last.hot(after(2712)), Hot::NEVER);
        assert_eq!(last.watch_pause(after(2712)), Duration::from_millis(11_250));
        assert_eq!(last.watch_pause(after(2785)), Duration::from_secs(5));
        assert_eq!(shared(0.9, Watch::Closely).watch_pause(after(2712)), Duration::ZERO);
        let lives = [2700, 2701].map(|seconds| shared(0.9, Watch::Closely).life(after(seconds)));
        assert_eq!(lives, [Life::Fresh, Life::Watched]);
        // Whoever is the first itself has nobody to watch.
        assert_eq!(shared(1.0, Watch::Closely).life(after(2699)), Life::Fresh);
        assert_eq!(shared(0.9, Watch::Never).life(after(2789)), Life::Fresh);
        assert_eq!(shared(0.9, Watch::Always).life(AT), Life::Watched);
    }

    #[test]
    fn expired_from_the_very_second_without_leeway() {
        let token = given(Some(0), Some(60));
        assert_eq!(token.life(after(59)), Life::Due);
        assert_eq!(token.life(after(60)), Life::Expired);
    }

    #[test]
    fn without_exp_a_token_stays_fresh() {
        let token = given(Some(0), None);
        assert_eq!(token.life(after(1_000_000_000)), Life::Fresh);
        assert_eq!((token.fresh_for_ms(AT), token.expires_at_s()), (i64::MAX, 0));
    }

    #[test]
    fn a_new_token_is_left_alone_for_a_third_of_its_life_or_a_minute() {
        let stepped = |mono: i64| Now { wall_ms: AT.wall_ms + 999_999_000, mono_ms: AT.mono_ms + mono };
        let short = answered(Some(0), Some(30));
        assert_eq!(short.life(stepped(9_999)), Life::Fresh);
        assert_eq!(short.life(stepped(10_000)), Life::Expired);
        let long = answered(Some(0), Some(3600));
        assert_eq!(long.life(stepped(59_999)), Life::Fresh);
        assert_eq!(long.life(stepped(60_000)), Life::Expired);
        assert_eq!(given(Some(0), Some(3600)).life(stepped(0)), Life::Expired);
    }

    #[test]
    fn a_clock_that_is_set_back_makes_no_token_younger() {
        let set_back = |seconds: i64| Now { wall_ms: AT.wall_ms - 7_200_000, ..after(seconds) };
        let ours = answered(Some(0), Some(3600)).since(AT);
        assert_eq!(ours.life(set_back(2699)), Life::Fresh);
        assert_eq!(ours.life(set_back(2700)), Life::Due);
        assert_eq!(ours.life(set_back(3600)), Life::Expired);
        assert_eq!(ours.seconds_left(set_back(3000)), Some(600));
        assert_ne!(ours.hot(set_back(2690)), Hot::NEVER);
        assert_eq!(ours.hot(set_back(2700)), Hot::NEVER);
        // Where that is not known, only the wall clock can be asked.
        assert_eq!(answered(Some(0), Some(3600)).life(set_back(3600)), Life::Fresh);
    }

    #[test]
    fn a_look_is_enough_for_a_minute_and_not_into_the_window() {
        let is_hot = |hot: Hot, seconds: i64| Hot::has(hot.to_bits(), AT.wall_ms / 1000 + seconds);
        let hot = given(Some(0), Some(3600)).hot(after(1000));
        // The coarse clock lags: the second before is still read.
        let seconds: Vec<i64> = (-10..4000).filter(|seconds| is_hot(hot, *seconds)).collect();
        assert_eq!(seconds, (999..1059).collect::<Vec<_>>());
        let last = given(Some(0), Some(3600)).hot(after(2690));
        assert!(is_hot(last, 2698) && !is_hot(last, 2699), "{last:?}");
        assert_eq!(given(Some(0), Some(3600)).hot(after(2700)), Hot::NEVER);
        // Half a window: set back by as much right then, the clock shows it again before the token runs out.
        let short = given(Some(0), Some(60)).hot(AT);
        assert!(is_hot(short, 8) && !is_hot(short, 9), "{short:?}");
        assert!(is_hot(given(None, None).hot(AT), 58));
        assert!(!Hot::has(Hot::NEVER.to_bits(), 0));
        let early = Hot { from_s: -5, for_s: 3 };
        let seconds: Vec<i64> = (-10..10).filter(|seconds| Hot::has(early.to_bits(), *seconds)).collect();
        assert_eq!(seconds, [-5, -4, -3]);
    }

    #[test]
    fn an_old_answer_is_not_left_alone_beyond_its_end() {
        let old = Schedule::new(times(Some(-3590), Some(10)), Origin::Renewal, AT, 0, POLICY);
        assert_eq!(old.life(after(9)), Life::Fresh);
        assert_eq!(old.life(after(10)), Life::Expired);
    }

    #[test]
    fn the_offset_moves_everything_but_the_expiry_that_callers_see() {
        let ahead = Schedule::new(times(Some(7200), Some(7200 + 3600)), Origin::Login, AT, 7_200_000, POLICY);
        assert_eq!(ahead.life(after(2699)), Life::Fresh);
        assert_eq!(ahead.life(after(2700)), Life::Due);
        assert_eq!(ahead.life(after(3600)), Life::Expired);
        assert_eq!(ahead.fresh_for_ms(after(700)), 2_000_000);
        assert_eq!(ahead.expires_at_s(), AT.wall_ms / 1000 + 7200 + 3600);
    }

    #[test]
    fn a_token_that_has_run_out_on_arrival_is_expired() {
        assert_eq!(answered(None, Some(-1)).life(AT), Life::Expired);
        assert_eq!(answered(Some(0), Some(0)).life(AT), Life::Expired);
    }

    #[test]
    fn absurd_times_overflow_nothing() {
        for iat in [None, Some(i64::MIN), Some(i64::MAX), Some(0)] {
            for exp in [i64::MIN, i64::MAX, 0] {
                let absurd = Times { iat_ms: iat, exp_ms: Some(exp), ..Times::default() };
                for origin in [Origin::Given, Origin::Login] {
                    for offset in [i64::MIN, 0, i64::MAX] {
                        let plan = Schedule::new(absurd, origin, AT, offset, POLICY);
                        plan.life(AT);
                        plan.hot(AT);
                    }
                }
            }
        }
    }

    #[test]
    fn pauses_after_failures() {
        let hour = given(Some(0), Some(3600));
        assert_eq!(hour.early_pause_ms(None), 60_000);
        assert_eq!(hour.early_pause_ms(Some(Duration::from_secs(200))), 200_000);
        let years = Some(Duration::from_secs(1 << 30));
        assert_eq!(hour.early_pause_ms(years), 225_000);
        assert_eq!(hour.early_pause_ms(Some(Duration::MAX)), 225_000);
        let long = Policy { renew_before_ms: 7_200_000, ..POLICY };
        assert_eq!(
            Schedule::new(times(Some(0), Some(86_400)), Origin::Given, AT, 0, long).early_pause_ms(years),
            300_000
        );
        assert_eq!(given(Some(0), Some(60)).early_pause_ms(None), 5_000);
        let late: Vec<i64> = (1..=8).map(late_pause_ms).collect();
        assert_eq!(late, [1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000]);
        assert_eq!(late_pause_ms(u32::MAX), 30_000);
    }
}
