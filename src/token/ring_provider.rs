//! The crypto provider for jsonwebtoken that is made of ring: it verifies and does nothing else.
//!
//! It is called directly and never installed as the default of the process.
#![forbid(unsafe_code)]

use jsonwebtoken::crypto::{CryptoProvider, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{Error, ErrorKind, Result};
use jsonwebtoken::signature::{self, Verifier};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, DecodingKeyKind};
use ring::signature::{self as ring_signature, RsaParameters, RsaPublicKeyComponents};

/// Verifies RS, PS, ES and EdDSA; refuses to sign, and HMAC.
pub(crate) static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: |_, _| Err(unsupported()),
    verifier_factory: |algorithm, key| RingVerifier::boxed(*algorithm, key),
    // The dummies of jsonwebtoken would panic.
    key_utils: KeyUtils {
        rsa_pub_components_from_private_key: |_| Err(unsupported()),
        rsa_pub_components_from_public_key: |_| Err(unsupported()),
        ec_pub_components_from_private_key: |_, _| Err(unsupported()),
        ed_pub_components_from_private_key: |_, _| Err(unsupported()),
        compute_digest: |_, _| Err(unsupported()),
    },
};

struct RingVerifier {
    algorithm: Algorithm,
    key: DecodingKey,
}

impl RingVerifier {
    fn boxed(algorithm: Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>> {
        // An RSA key is its two numbers, any other its bytes; what does not fit can't be verified with.
        let fits = match key.kind() {
            DecodingKeyKind::RsaModulusExponent { .. } => algorithm.family() == AlgorithmFamily::Rsa,
            DecodingKeyKind::SecretOrDer(_) => {
                matches!(algorithm.family(), AlgorithmFamily::Ec | AlgorithmFamily::Ed)
            }
        };
        if !fits || algorithm.family() != key.family() {
            return Err(ErrorKind::InvalidAlgorithm.into());
        }
        Ok(Box::new(RingVerifier { algorithm, key: key.clone() }))
    }

    fn try_verify(&self, message: &[u8], signature: &[u8]) -> Option<()> {
        match self.key.kind() {
            DecodingKeyKind::RsaModulusExponent { n, e } => {
                RsaPublicKeyComponents { n, e }.verify(rsa(self.algorithm)?, message, signature).ok()
            }
            DecodingKeyKind::SecretOrDer(key) => {
                ring_signature::UnparsedPublicKey::new(curve(self.algorithm)?, key).verify(message, signature).ok()
            }
        }
    }
}

impl JwtVerifier for RingVerifier {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

impl Verifier<Vec<u8>> for RingVerifier {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> std::result::Result<(), signature::Error> {
        self.try_verify(message, signature).ok_or_else(signature::Error::new)
    }
}

fn rsa(algorithm: Algorithm) -> Option<&'static RsaParameters> {
    match algorithm {
        Algorithm::RS256 => Some(&ring_signature::RSA_PKCS1_2048_8192_SHA256),
        Algorithm::RS384 => Some(&ring_signature::RSA_PKCS1_2048_8192_SHA384),
        Algorithm::RS512 => Some(&ring_signature::RSA_PKCS1_2048_8192_SHA512),
        Algorithm::PS256 => Some(&ring_signature::RSA_PSS_2048_8192_SHA256),
        Algorithm::PS384 => Some(&ring_signature::RSA_PSS_2048_8192_SHA384),
        Algorithm::PS512 => Some(&ring_signature::RSA_PSS_2048_8192_SHA512),
        _ => None,
    }
}

// FIXED is the raw r || s of RFC 7518; ring checks both to be in 1..n.
fn curve(algorithm: Algorithm) -> Option<&'static dyn ring_signature::VerificationAlgorithm> {
    match algorithm {
        Algorithm::ES256 => Some(&ring_signature::ECDSA_P256_SHA256_FIXED),
        Algorithm::ES384 => Some(&ring_signature::ECDSA_P384_SHA384_FIXED),
        Algorithm::EdDSA => Some(&ring_signature::ED25519),
        _ => None,
    }
}

fn unsupported() -> Error {
    ErrorKind::UnsupportedAlgorithm.into()
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{Validation, decode};
    use serde_json::Value;

    use super::*;

    fn key(jwk: &Value) -> DecodingKey {
        let member = |name: &str| jwk[name].as_str().unwrap();
        match member("kty") {
            "RSA" => DecodingKey::from_rsa_components(member("n"), member("e")),
            _ => DecodingKey::from_ec_components(member("x"), member("y")),
        }
        .unwrap()
    }

    #[test]
    fn jsonwebtoken_itself_verifies_with_it() {
        // This process is the test's own; the library installs nothing.
        PROVIDER.install_default().unwrap();
        for (text, algorithm) in [
            (include_str!("../../tests/vectors/rfc7515_a_2_rs256.json"), Algorithm::RS256),
            (include_str!("../../tests/vectors/rfc7515_a_3_es256.json"), Algorithm::ES256),
        ] {
            let vector: Value = serde_json::from_str(text).unwrap();
            let token = vector["token"].as_str().unwrap();
            let mut validation = Validation::new(algorithm);
            validation.validate_exp = false;
            let claims = decode::<Value>(token, &key(&vector["key"]), &validation).unwrap();
            assert_eq!(claims.claims["iss"], "joe");
            let forged = token.replacen('.', ".e", 1);
            assert!(decode::<Value>(forged, &key(&vector["key"]), &validation).is_err());
        }
    }

    #[test]
    fn a_key_verifies_for_its_own_family_only() {
        let rsa = DecodingKey::from_rsa_raw_components(&[0xff; 256], &[1, 0, 1]);
        let rsa_der = DecodingKey::from_rsa_der(&[0xff; 270]);
        let ec = DecodingKey::from_ec_der(&[4; 65]);
        let ed = DecodingKey::from_ed_der(&[1; 32]);
        let secret = DecodingKey::from_secret(&[4; 65]);
        for (algorithm, keys) in [
            (Algorithm::RS256, [&rsa_der, &ec, &ed, &secret]),
            (Algorithm::PS512, [&rsa_der, &ec, &ed, &secret]),
            (Algorithm::ES256, [&rsa_der, &rsa, &ed, &secret]),
            (Algorithm::EdDSA, [&rsa_der, &rsa, &ec, &secret]),
            (Algorithm::HS256, [&rsa, &ec, &ed, &secret]),
        ] {
            for key in keys {
                assert!((PROVIDER.verifier_factory)(&algorithm, key).is_err());
            }
        }
    }
}
