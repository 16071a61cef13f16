//! Places where a test can kill or stop the process, or make it panic. Compiled to nothing without the feature
//! `failpoints`.
#![forbid(unsafe_code)]

/// Says that the procedure has come to `step`. With the feature, `GCAUTH_FAILPOINT=STEP:kill` or `STEP:stop` makes the
/// process go no further, and `STEP:panic` panics there.
#[cfg(feature = "failpoints")]
pub(crate) fn reach(step: &str) {
    use nix::sys::signal::{Signal, raise};
    let Ok(order) = std::env::var("GCAUTH_FAILPOINT") else {
        return;
    };
    let signal = match order.split_once(':') {
        Some((at, "kill")) if at == step => Signal::SIGKILL,
        Some((at, "stop")) if at == step => Signal::SIGSTOP,
        Some((at, "panic")) if at == step => panic!("the test's panic at {step}"),
        _ => return,
    };
    // To this very thread: one that is sent to the process may leave it running for a while.
    let _ = raise(signal);
}

/// Says that the procedure has come to `step`, to nobody.
#[cfg(not(feature = "failpoints"))]
#[inline]
pub(crate) fn reach(_step: &str) {}
