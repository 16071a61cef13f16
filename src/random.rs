//! Random numbers from the operating system: jitter, and names that nobody else picks.
#![forbid(unsafe_code)]

use ring::rand::{SecureRandom, SystemRandom};

/// From 0 up to, but not including, 1.
pub(crate) fn fraction() -> f64 {
    // 53 bits are what an f64 holds exactly.
    (number() >> 11) as f64 / (1u64 << 53) as f64
}

/// Any 64-bit number. Without a random source jitter is lost, which is no reason to fail.
pub(crate) fn number() -> u64 {
    #[cfg(test)]
    if let Some(number) = crate::simulation::random_number() {
        return number;
    }
    let mut bytes = [0u8; 8];
    let _ = SystemRandom::new().fill(&mut bytes);
    u64::from_ne_bytes(bytes)
}

#[cfg(test)]
mod tests {
    #[test]
    fn fractions_lie_below_one_and_differ() {
        let all: Vec<f64> = (0..100).map(|_| super::fraction()).collect();
        assert!(all.iter().all(|f| (0.0..1.0).contains(f)));
        assert!(all.windows(2).any(|w| w[0] != w[1]));
    }
}
