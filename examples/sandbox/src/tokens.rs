//! Signing keys and the access tokens made with them.

use std::convert::Infallible;
use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::{SecureRandom as _, SystemRandom};
use ring::signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RsaKeyPair};
use rsa::pkcs8::EncodePrivateKey as _;
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Map, Value, json};

use crate::options::Algorithm;

/// The claims of one token, in the order in which they are written.
#[derive(Clone, Debug)]
pub(crate) struct Claims(pub(crate) Vec<(String, Value)>);

impl Claims {
    pub(crate) fn set(&mut self, name: &str, value: Value) {
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name.into(), value)),
        }
    }

    pub(crate) fn remove(&mut self, name: &str) {
        self.0.retain(|(known, _)| known != name);
    }
}

impl Serialize for Claims {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

enum Pair {
    Rsa(Box<RsaKeyPair>),
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

/// One signing key.
pub(crate) struct Key {
    pair: Pair,
    kid: String,
}

/// The current key, and those before it whose tokens are still good.
pub(crate) struct KeyRing {
    algorithm: Algorithm,
    current: Key,
    kept: Vec<Key>,
}

impl KeyRing {
    pub(crate) fn new(algorithm: Algorithm) -> io::Result<Self> {
        Ok(KeyRing { algorithm, current: Key::generate(algorithm)?, kept: Vec::new() })
    }

    /// A new key signs from now on. The old ones still verify if `keep_old`, and are forgotten otherwise.
    pub(crate) fn rotate(&mut self, keep_old: bool) -> io::Result<()> {
        let old = std::mem::replace(&mut self.current, Key::generate(self.algorithm)?);
        if keep_old {
            self.kept.push(old);
        } else {
            self.kept.clear();
        }
        Ok(())
    }

    pub(crate) fn sign(&self, claims: &Claims) -> io::Result<String> {
        let header = json!({ "alg": self.algorithm.name(), "typ": "JWT", "kid": self.current.kid });
        let signed = format!("{}.{}", encode(header.to_string()), encode(serde_json::to_string(claims)?));
        let signature = self.current.sign(signed.as_bytes())?;
        Ok(format!("{signed}.{}", encode(signature)))
    }

    /// The claims of a token that one of the keys has signed.
    pub(crate) fn verify(&self, token: &str) -> Option<Map<String, Value>> {
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, payload) = signed.split_once('.')?;
        let header: Map<String, Value> = serde_json::from_slice(&decode(header)?).ok()?;
        if header.get("alg")?.as_str()? != self.algorithm.name() {
            return None;
        }
        let kid = header.get("kid")?.as_str()?;
        let key = std::iter::once(&self.current).chain(&self.kept).find(|key| key.kid == kid)?;
        key.verify(signed.as_bytes(), &decode(signature)?).then_some(())?;
        serde_json::from_slice(&decode(payload)?).ok()
    }

    pub(crate) fn public_key_pem(&self) -> String {
        let base64 = STANDARD.encode(self.current.spki());
        let mut pem = String::from("-----BEGIN PUBLIC KEY-----\n");
        // Base64 is ASCII: every index is a character boundary.
        for start in (0..base64.len()).step_by(64) {
            pem.push_str(&base64[start..base64.len().min(start + 64)]);
            pem.push('\n');
        }
        pem + "-----END PUBLIC KEY-----\n"
    }

    pub(crate) fn jwks(&self) -> Value {
        let keys: Vec<Value> = std::iter::once(&self.current).chain(&self.kept).map(Key::jwk).collect();
        json!({ "keys": keys })
    }
}

impl Key {
    fn generate(algorithm: Algorithm) -> io::Result<Self> {
        let rng = SystemRandom::new();
        let pair = match algorithm {
            Algorithm::Rs256 => {
                let key = rsa::PrivateKey::new(&mut SystemRng, 2048).map_err(other)?;
                let pkcs8 = key.to_pkcs8_der().map_err(other)?;
                Pair::Rsa(Box::new(RsaKeyPair::from_pkcs8(pkcs8.as_bytes()).map_err(other)?))
            }
            Algorithm::Es256 => {
                let kind = &signature::ECDSA_P256_SHA256_FIXED_SIGNING;
                let pkcs8 = EcdsaKeyPair::generate_pkcs8(kind, &rng).map_err(other)?;
                Pair::Ecdsa(EcdsaKeyPair::from_pkcs8(kind, pkcs8.as_ref(), &rng).map_err(other)?)
            }
            Algorithm::EdDsa => {
                let pkcs8 = Ed25519KeyPair::generate_pkcs8(&rng).map_err(other)?;
                Pair::Ed25519(Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).map_err(other)?)
            }
        };
        let mut key = Key { pair, kid: String::new() };
        let digest = ring::digest::digest(&ring::digest::SHA256, &key.spki());
        key.kid = encode(&digest.as_ref()[..12]);
        Ok(key)
    }

    fn sign(&self, data: &[u8]) -> io::Result<Vec<u8>> {
        let rng = SystemRandom::new();
        match &self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(&signature::RSA_PKCS1_SHA256, &rng, data, &mut signature).map_err(other)?;
                Ok(signature)
            }
            Pair::Ecdsa(pair) => Ok(pair.sign(&rng, data).map_err(other)?.as_ref().to_vec()),
            Pair::Ed25519(pair) => Ok(pair.sign(data).as_ref().to_vec()),
        }
    }

    fn verify(&self, data: &[u8], signature: &[u8]) -> bool {
        let kind: &dyn signature::VerificationAlgorithm = match self.pair {
            Pair::Rsa(_) => &signature::RSA_PKCS1_2048_8192_SHA256,
            Pair::Ecdsa(_) => &signature::ECDSA_P256_SHA256_FIXED,
            Pair::Ed25519(_) => &signature::ED25519,
        };
        signature::UnparsedPublicKey::new(kind, self.public()).verify(data, signature).is_ok()
    }

    /// As ring has it: PKCS#1 for RSA, the uncompressed point for ECDSA, 32 bytes for Ed25519.
    fn public(&self) -> &[u8] {
        match &self.pair {
            Pair::Rsa(pair) => pair.public_key().as_ref(),
            Pair::Ecdsa(pair) => pair.public_key().as_ref(),
            Pair::Ed25519(pair) => pair.public_key().as_ref(),
        }
    }

    /// SubjectPublicKeyInfo: the algorithm, and the key in a bit string.
    fn spki(&self) -> Vec<u8> {
        let algorithm: &[u8] = match self.pair {
            // rsaEncryption, NULL
            Pair::Rsa(_) => &[0x30, 13, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 5, 0],
            // id-ecPublicKey, prime256v1
            Pair::Ecdsa(_) => {
                &[0x30, 19, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7]
            }
            // id-Ed25519
            Pair::Ed25519(_) => &[0x30, 5, 6, 3, 0x2b, 0x65, 0x70],
        };
        let no_unused_bits = [&[0], self.public()].concat();
        der(0x30, &[algorithm, &der(0x03, &no_unused_bits)].concat())
    }

    fn jwk(&self) -> Value {
        let mut jwk = match &self.pair {
            Pair::Rsa(pair) => {
                let parts: signature::RsaPublicKeyComponents<Vec<u8>> = pair.public_key().into();
                json!({ "kty": "RSA", "alg": "RS256", "n": encode(parts.n), "e": encode(parts.e) })
            }
            Pair::Ecdsa(pair) => {
                let point = pair.public_key().as_ref();
                json!({ "kty": "EC", "alg": "ES256", "crv": "P-256",
                        "x": encode(&point[1..33]), "y": encode(&point[33..65]) })
            }
            Pair::Ed25519(pair) => {
                json!({ "kty": "OKP", "alg": "EdDSA", "crv": "Ed25519", "x": encode(pair.public_key()) })
            }
        };
        jwk["kid"] = self.kid.clone().into();
        jwk["use"] = "sig".into();
        jwk
    }
}

/// A random string, base64url, of that many bytes.
pub(crate) fn random_text(bytes: usize) -> String {
    let mut random = vec![0; bytes];
    SystemRandom::new().fill(&mut random).expect("the system gives random numbers");
    encode(random)
}

/// How a secret is shown where it may not be: the start of its SHA-256, `sha256:0123456789ab`. The same as
/// `printf %s SECRET | sha256sum | cut -c1-12` says.
#[must_use]
pub fn secret_mark(secret: &str) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, secret.as_bytes());
    let hex: String = digest.as_ref()[..6].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// ring's random numbers, in the form in which key generation wants them.
struct SystemRng;

impl rsa::rand_core::TryRng for SystemRng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_ne_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_ne_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        SystemRandom::new().fill(bytes).expect("the system gives random numbers");
        Ok(())
    }
}

impl rsa::rand_core::TryCryptoRng for SystemRng {}

/// A DER element.
fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let length = &length[length.iter().take_while(|byte| **byte == 0).count()..];
    let mut element = vec![tag];
    match length {
        [short] if *short < 0x80 => element.push(*short),
        long => {
            element.push(0x80 | long.len() as u8);
            element.extend_from_slice(long);
        }
    }
    element.extend_from_slice(content);
    element
}

fn other(error: impl std::fmt::Display) -> io::Error {
    io::Error::other(error.to_string())
}
