//! No single bit of a token may change, in no part and for no algorithm.
#![forbid(unsafe_code)]

mod token_support;

use gcauth::token::{self, KeySet};
use token_support::*;

/// Flips every bit of the token's text, dots included, and every bit of what its parts stand for.
fn flip_all(algorithm: &str) {
    let good = token(algorithm);
    let keys = KeySet::parse(&pair(algorithm).pem()).unwrap();
    let verify = |token: &str| token::verify(token, &keys, NOW_MS, 30);
    assert!(verify(&good).is_ok());

    let mut tried = 0;
    for bit in 0..good.len() * 8 {
        let mut bytes = good.clone().into_bytes();
        bytes[bit / 8] ^= 1 << (bit % 8);
        // The C API refuses what is not UTF-8 before a token is looked at.
        if let Ok(text) = String::from_utf8(bytes) {
            assert!(verify(&text).is_err(), "{algorithm}: bit {bit} of the text");
            tried += 1;
        }
    }
    assert!(tried > good.len() * 6);

    let parts: Vec<&str> = good.split('.').collect();
    for (i, part) in parts.iter().enumerate() {
        let bytes = unb64(part);
        for bit in 0..bytes.len() * 8 {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let mut changed = parts.clone();
            let flipped = b64(bytes);
            changed[i] = &flipped;
            assert!(verify(&changed.join(".")).is_err(), "{algorithm}: bit {bit} of part {i}");
        }
    }

    for length in 0..good.len() {
        assert!(verify(&good[..length]).is_err(), "{algorithm}: cut to {length}");
    }
}

macro_rules! flips {
    ($($name:ident $algorithm:literal)*) => {$(
        #[test]
        fn $name() {
            flip_all($algorithm);
        }
    )*};
}

flips! {
    rs256 "RS256"
    rs384 "RS384"
    rs512 "RS512"
    ps256 "PS256"
    ps384 "PS384"
    ps512 "PS512"
    es256 "ES256"
    es384 "ES384"
    eddsa "EdDSA"
}
