//! A key as it was read: what it is, what it may be used for, and what to verify with.
#![forbid(unsafe_code)]

use crate::token::algorithm::{Algorithm, Family};
use crate::token::signature::VerifyingKey;

/// One key of a text, usable or not.
pub(super) struct Key {
    pub(super) kid: Option<String>,
    pub(super) kind: Kind,
    pub(super) alg: KeyAlg,
    /// What to verify with, or why this key can't be used.
    pub(super) material: std::result::Result<VerifyingKey, &'static str>,
}

/// What a key is, as far as it decides which algorithms are possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Rsa,
    /// An RSA key whose certificate or SPKI says that it is for PSS only.
    RsaPss,
    P256,
    P384,
    /// Elliptic curve, but none that is supported.
    OtherEc,
    Ed25519,
    /// Edwards or Montgomery curve, but none that is supported.
    OtherOkp,
    Unknown,
}

/// The algorithm that a JWK names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyAlg {
    Unspecified,
    Only(Algorithm),
    /// It names one that is no signature algorithm of ours.
    Other,
}

impl Key {
    /// Whether a token with this algorithm could be this key's.
    pub(super) fn fits(&self, algorithm: Algorithm) -> bool {
        let family = algorithm.family();
        let by_kind = match self.kind {
            Kind::Rsa => family == Family::Rsa,
            Kind::RsaPss => matches!(algorithm, Algorithm::PS256 | Algorithm::PS384 | Algorithm::PS512),
            Kind::P256 => algorithm == Algorithm::ES256,
            Kind::P384 => algorithm == Algorithm::ES384,
            Kind::OtherEc => family == Family::Ec,
            Kind::Ed25519 | Kind::OtherOkp => family == Family::Ed,
            Kind::Unknown => true,
        };
        by_kind
            && match self.alg {
                KeyAlg::Unspecified => true,
                KeyAlg::Only(only) => only == algorithm,
                KeyAlg::Other => false,
            }
    }
}
