//! Checks that a public key is sound: sizes, points on their curves, and keys known to be weak.
#![forbid(unsafe_code)]

use ring::agreement::{self, EphemeralPrivateKey, UnparsedPublicKey};
use ring::rand::SystemRandom;

use super::ed25519 as edwards;
use super::types::Kind;
use crate::token::signature::VerifyingKey;

/// What to verify with, or the fault of the key, as the end of a sentence.
pub(super) type Material = Result<VerifyingKey, &'static str>;

pub(super) const OTHER_CURVE: &str = "is on a curve that is not supported (P-256, P-384 and Ed25519 are)";

/// An RSA key of big-endian numbers. RFC 7518 asks issuers for no leading zeros, and they write them.
pub(super) fn rsa(n: &[u8], e: &[u8]) -> Material {
    let (n, e) = (without_zeros(n), without_zeros(e));
    let bits = match n.first() {
        None => return Err("is RSA with a modulus that is empty or zero"),
        Some(first) => n.len() * 8 - first.leading_zeros() as usize,
    };
    if bits < 2048 {
        return Err("is RSA under 2048 bits");
    }
    if bits > 8192 {
        return Err("is RSA over 8192 bits");
    }
    if e.last().is_none_or(|low| low % 2 == 0) || e == [1] {
        return Err("is RSA with an exponent that is not an odd number from 3");
    }
    // ring computes with exponents up to this size only.
    if e.len() > 5 || (e.len() == 5 && e[0] > 1) {
        return Err("is RSA with an exponent over 33 bits");
    }
    if n.last().is_none_or(|low| low % 2 == 0) || SMALL_PRIMES.iter().any(|p| remainder(n, *p) == 0) {
        return Err("is RSA with a modulus that has a small factor");
    }
    if is_roca(n) {
        return Err("is an RSA key with the ROCA weakness (CVE-2017-15361): have it replaced");
    }
    Ok(VerifyingKey::Rsa { n: n.to_vec(), e: e.to_vec() })
}

/// The number without zeros before it.
fn without_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    &number[zeros..]
}

/// The odd primes up to 167, over which the ROCA fingerprint is defined for the shortest keys. The longer
/// keys' generators use a multiple of their product, so the test serves for all.
const SMALL_PRIMES: [u16; 38] = [
    3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103, 107, 109,
    113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
];

/// Primes of the weak generator are k·M + (65537^a mod M) with M a product of small primes, so that the
/// modulus is a power of 65537 modulo each of them. One sound key in 10^8 would be refused.
fn is_roca(n: &[u8]) -> bool {
    SMALL_PRIMES.iter().all(|&prime| {
        let residue = remainder(n, prime);
        let generator = 65537 % u32::from(prime);
        let mut power = 1;
        for _ in 0..prime {
            if power == residue {
                return true;
            }
            power = power * generator % u32::from(prime);
        }
        false
    })
}

fn remainder(n: &[u8], prime: u16) -> u32 {
    n.iter().fold(0, |rest, byte| (rest * 256 + u32::from(*byte)) % u32::from(prime))
}

/// A point on P-256 or P-384 from its coordinates, each of the field's full length.
pub(super) fn ec_coordinates(kind: Kind, x: &[u8], y: &[u8]) -> Material {
    let length = coordinate_len(kind);
    if x.len() != length || y.len() != length {
        return Err("has a coordinate of the wrong length");
    }
    ec(kind, &[&[4], x, y].concat())
}

/// A point on P-256 or P-384 in uncompressed form.
pub(super) fn ec(kind: Kind, point: &[u8]) -> Material {
    if matches!(point.first(), Some(2 | 3)) {
        return Err("is a compressed point: convert it with openssl ec -conv_form uncompressed");
    }
    if point.len() != 1 + 2 * coordinate_len(kind) {
        return Err("is a point of the wrong length");
    }
    let (algorithm, key) = match kind {
        Kind::P256 => (&agreement::ECDH_P256, VerifyingKey::P256(point.to_vec())),
        _ => (&agreement::ECDH_P384, VerifyingKey::P384(point.to_vec())),
    };
    // ring shows its check of a point only through a key agreement: one with a key that is thrown away.
    EphemeralPrivateKey::generate(algorithm, &SystemRandom::new())
        .and_then(|key| agreement::agree_ephemeral(key, &UnparsedPublicKey::new(algorithm, point), |_| ()))
        .map_err(|_| "is not a point on its curve")?;
    Ok(key)
}

fn coordinate_len(kind: Kind) -> usize {
    match kind {
        Kind::P256 => 32,
        _ => 48,
    }
}

/// An Ed25519 key in its encoding.
pub(super) fn ed25519(key: &[u8]) -> Material {
    let key: &[u8; 32] = key.try_into().map_err(|_| "is an Ed25519 key that is not 32 bytes long")?;
    edwards::check(key)?;
    Ok(VerifyingKey::Ed25519(*key))
}
