//! Whether a signature holds. All of the cryptography is ring's.
#![forbid(unsafe_code)]

use ring::signature::{self, RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm};

use super::algorithm::Algorithm;

/// What to verify with. A key is only ever used with the algorithms of its own kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum VerifyingKey {
    /// Big-endian numbers without leading zeros.
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    /// A point on the curve of ES256, uncompressed.
    P256(Vec<u8>),
    /// A point on the curve of ES384, uncompressed.
    P384(Vec<u8>),
    Ed25519([u8; 32]),
}

impl VerifyingKey {
    /// Whether `signature` is this key's for `message`; never for an algorithm that is not the key's.
    pub(crate) fn holds(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        let by_bytes = |algorithm: &'static dyn VerificationAlgorithm, key: &[u8]| {
            UnparsedPublicKey::new(algorithm, key).verify(message, signature).is_ok()
        };
        match (self, algorithm) {
            // FIXED is the raw r || s of RFC 7518; ring checks both to be in 1..n.
            (VerifyingKey::P256(point), Algorithm::ES256) => by_bytes(&signature::ECDSA_P256_SHA256_FIXED, point),
            (VerifyingKey::P384(point), Algorithm::ES384) => by_bytes(&signature::ECDSA_P384_SHA384_FIXED, point),
            (VerifyingKey::Ed25519(key), Algorithm::EdDSA) => by_bytes(&signature::ED25519, key),
            (VerifyingKey::Rsa { n, e }, _) => rsa(algorithm)
                .is_some_and(|rsa| RsaPublicKeyComponents { n, e }.verify(rsa, message, signature).is_ok()),
            _ => false,
        }
    }
}

fn rsa(algorithm: Algorithm) -> Option<&'static RsaParameters> {
    match algorithm {
        Algorithm::RS256 => Some(&signature::RSA_PKCS1_2048_8192_SHA256),
        Algorithm::RS384 => Some(&signature::RSA_PKCS1_2048_8192_SHA384),
        Algorithm::RS512 => Some(&signature::RSA_PKCS1_2048_8192_SHA512),
        Algorithm::PS256 => Some(&signature::RSA_PSS_2048_8192_SHA256),
        Algorithm::PS384 => Some(&signature::RSA_PSS_2048_8192_SHA384),
        Algorithm::PS512 => Some(&signature::RSA_PSS_2048_8192_SHA512),
        Algorithm::ES256 | Algorithm::ES384 | Algorithm::EdDSA => None,
    }
}
