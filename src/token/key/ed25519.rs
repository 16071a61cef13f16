//! Whether 32 bytes are a sound Ed25519 key: a point on the curve, encoded in its one way, not of small order.
//!
//! ring looks at a key only while it verifies, and accepts points of small order, for which anybody can make
//! a signature that holds for many messages. All values here are public, so no time is hidden.
#![forbid(unsafe_code)]

/// The fault of the key, as the end of a sentence.
pub(super) fn check(key: &[u8; 32]) -> Result<(), &'static str> {
    let mut bytes = *key;
    // The topmost bit is the sign of x; the rest is y, little-endian.
    bytes[31] &= 0x7f;
    let y = Element::from_bytes(&bytes).ok_or("is an Ed25519 key that is not encoded canonically")?;
    let y2 = y.mul(y);

    // The curve is -x² + y² = 1 + d x² y² with d = -a/b. With that, doubling a point of order 8 gives y = 0
    // exactly when a y⁴ + b = 2 b y².
    let a = Element::small(121_665);
    let b = Element::small(121_666);
    let order_8 = a.mul(y2).mul(y2).add(b) == b.mul(y2).add(b.mul(y2));
    if y == Element::small(0) || y2 == Element::small(1) || order_8 {
        return Err("is an Ed25519 key of small order, which proves nothing");
    }

    // x² = (y² - 1) / (d y² + 1) = b (y² - 1) / (b - a y²), and a quotient is a square when the product is.
    let product = b.mul(y2.sub(Element::small(1))).mul(b.sub(a.mul(y2)));
    if !product.is_square() {
        return Err("is not a point on its curve");
    }
    Ok(())
}

/// A number modulo p = 2^255 - 19, always below p; the least significant word comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Element([u64; 4]);

const P: [u64; 4] = [0xffff_ffff_ffff_ffed, u64::MAX, u64::MAX, 0x7fff_ffff_ffff_ffff];

impl Element {
    fn small(value: u64) -> Self {
        Element([value, 0, 0, 0])
    }

    /// None for a number that is not below p.
    fn from_bytes(bytes: &[u8; 32]) -> Option<Self> {
        let mut words = [0; 4];
        for (i, byte) in bytes.iter().enumerate() {
            words[i / 8] |= u64::from(*byte) << (i % 8 * 8);
        }
        subtract(words, P).is_none().then_some(Element(words))
    }

    /// `words` and a carry that stands for 2^256.
    fn reduce(mut words: [u64; 4], mut carry: u64) -> Self {
        // 2^256 = 38 modulo p.
        while carry != 0 {
            let mut sum = u128::from(carry) * 38;
            for word in &mut words {
                sum += u128::from(*word);
                *word = sum as u64;
                sum >>= 64;
            }
            carry = sum as u64;
        }
        while let Some(less) = subtract(words, P) {
            words = less;
        }
        Element(words)
    }

    fn add(self, other: Self) -> Self {
        let mut words = [0; 4];
        let mut sum = 0u128;
        for (i, word) in words.iter_mut().enumerate() {
            sum += u128::from(self.0[i]) + u128::from(other.0[i]);
            *word = sum as u64;
            sum >>= 64;
        }
        Self::reduce(words, sum as u64)
    }

    fn sub(self, other: Self) -> Self {
        // Never below zero, since every element is below p.
        subtract(P, other.0).map_or(self, |negated| self.add(Element(negated)))
    }

    fn mul(self, other: Self) -> Self {
        let mut wide = [0u64; 8];
        for i in 0..4 {
            let mut sum = 0u128;
            for j in 0..4 {
                sum += u128::from(self.0[i]) * u128::from(other.0[j]) + u128::from(wide[i + j]);
                wide[i + j] = sum as u64;
                sum >>= 64;
            }
            wide[i + 4] = sum as u64;
        }
        let mut words = [0; 4];
        let mut sum = 0u128;
        for i in 0..4 {
            sum += u128::from(wide[i]) + u128::from(wide[i + 4]) * 38;
            words[i] = sum as u64;
            sum >>= 64;
        }
        Self::reduce(words, sum as u64)
    }

    /// Euler's criterion, for anything but zero: the power of (p - 1) / 2 = 2^254 - 10 is one.
    fn is_square(self) -> bool {
        let mut power = Element::small(1);
        for bit in (0..254).rev() {
            power = power.mul(power);
            // 2^254 - 10 is all ones but for bits 0 and 3.
            if bit != 0 && bit != 3 {
                power = power.mul(self);
            }
        }
        power == Element::small(1)
    }
}

/// None when it would be below zero.
fn subtract(from: [u64; 4], what: [u64; 4]) -> Option<[u64; 4]> {
    let mut words = [0; 4];
    let mut borrow = false;
    for (i, word) in words.iter_mut().enumerate() {
        let (less, first) = from[i].overflowing_sub(what[i]);
        let (less, second) = less.overflowing_sub(u64::from(borrow));
        *word = less;
        borrow = first || second;
    }
    (!borrow).then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(y: u64, top: u8) -> [u8; 32] {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&y.to_le_bytes());
        key[31] |= top;
        key
    }

    fn hex(text: &str) -> [u8; 32] {
        let byte = |i: usize| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap();
        std::array::from_fn(byte)
    }

    #[test]
    fn points_are_told_from_others() {
        // For y = 2, 3, …, computed with Python's integers.
        let on_curve = [0, 1, 1, 1, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 1, 0, 1, 1, 0, 1, 0, 1, 1, 1, 1, 1, 1, 1, 1, 0, 1, 1];
        for (y, on_curve) in (2..).zip(on_curve) {
            assert_eq!(check(&key(y, 0)).is_ok(), on_curve == 1, "{y}");
            assert_eq!(check(&key(y, 0x80)).is_ok(), on_curve == 1, "-{y}");
        }
        for (y, on_curve) in [
            ("f5b165224a58b791df6af1d8303e61cdc4bb86c3d1c427103c344c41c4f5170f", true),
            ("7bd5d47e446fcec2a3d811736110e5781bcccea696762e6116c6e9c996ccdf1a", true),
            ("8c2e0718822ce47ca8c74107e66cb0e4b2b3f4d58d82ca6386d2c96e3b87c04d", false),
            ("85c924c3597164c4a6058a00581a22b22de50472433d2e44fed8b6b81a3fa266", true),
            ("3129903ac1d45597a242fdf11f8f2b1a39f3c3e693114351dcbed4077173db02", false),
            ("b99e8306dda748a61e029a8a3f415b024a146cf0d98a98e1cf999661fcb3de57", true),
            ("df0e7337420c13f8f5d40f6ce079d1b987376f07bcb81287fdc8c03847f4c061", true),
            ("a0661970ef3f6df0148ded7e8a34888d396cab3b80d27f58df111a3b1ef9a256", false),
        ] {
            assert_eq!(check(&hex(y)).is_ok(), on_curve, "{y}");
        }
    }

    #[test]
    fn small_order_and_other_encodings_are_refused() {
        let small = Err("is an Ed25519 key of small order, which proves nothing");
        let odd = Err("is an Ed25519 key that is not encoded canonically");
        for (y, expected) in [
            ("0000000000000000000000000000000000000000000000000000000000000000", small),
            ("0100000000000000000000000000000000000000000000000000000000000000", small),
            ("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", small),
            ("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05", small),
            ("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a", small),
            ("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", odd),
            ("eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", odd),
            ("ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", odd),
        ] {
            let mut key = hex(y);
            assert_eq!(check(&key), expected, "{y}");
            key[31] |= 0x80;
            assert_eq!(check(&key), expected, "-{y}");
        }
    }

    #[test]
    fn every_key_that_ring_makes_is_sound() {
        use ring::signature::{Ed25519KeyPair, KeyPair};
        for seed in 0..32 {
            let pair = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap();
            let public = pair.public_key().as_ref().try_into().unwrap();
            assert_eq!(check(public), Ok(()));
        }
    }
}
