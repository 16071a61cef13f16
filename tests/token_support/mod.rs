//! What the token tests share: keys made by openssl for this run, and a signer for every algorithm.
#![forbid(unsafe_code)]
#![allow(dead_code)] // Each test crate uses its part.

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use gcauth::Status;
use gcauth::token::{self, KeyCache, KeySet, Payload};
use ring::rand::SystemRandom;
use ring::rsa::PublicKeyComponents;
use ring::signature::{self, EcdsaKeyPair, Ed25519KeyPair, RsaKeyPair};
use serde_json::{Value, json};

/// The time of the tests.
pub const NOW_S: i64 = 1_800_000_000;
pub const NOW_MS: i64 = NOW_S * 1000;

pub const ALGORITHMS: [&str; 9] = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"];

/// Base64url without padding.
pub fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub fn unb64(text: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text).unwrap()
}

/// PEM of DER.
pub fn pem(label: &str, der: &[u8]) -> String {
    let body = STANDARD.encode(der);
    let lines: Vec<&str> = body.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

/// Runs openssl and returns what it printed.
pub fn openssl(args: &[&str], input: &[u8]) -> Vec<u8> {
    let mut child = Command::new("openssl")
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the tests need openssl: apt-get install openssl");
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "openssl {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// A key pair of this run.
pub struct Pair {
    /// PKCS#8.
    pub private_der: Vec<u8>,
    /// SPKI.
    pub public_der: Vec<u8>,
}

impl Pair {
    /// `args` are those of `openssl genpkey`.
    pub fn generate(args: &[&str]) -> Self {
        let generated = openssl(&[&["genpkey"], args].concat(), b"");
        let private_der = openssl(&["pkcs8", "-topk8", "-nocrypt", "-outform", "DER"], &generated);
        let public_der = openssl(&["pkey", "-inform", "DER", "-pubout", "-outform", "DER"], &private_der);
        Pair { private_der, public_der }
    }

    pub fn rsa(bits: usize) -> Self {
        let bits = format!("rsa_keygen_bits:{bits}");
        Self::generate(&["-algorithm", "RSA", "-pkeyopt", &bits])
    }

    pub fn ec(curve: &str) -> Self {
        let curve = format!("ec_paramgen_curve:{curve}");
        Self::generate(&["-algorithm", "EC", "-pkeyopt", &curve])
    }

    pub fn pem(&self) -> String {
        pem("PUBLIC KEY", &self.public_der)
    }

    pub fn private_pem(&self) -> String {
        pem("PRIVATE KEY", &self.private_der)
    }

    /// The public key in PKCS#1.
    pub fn rsa_public_der(&self) -> Vec<u8> {
        let pair = RsaKeyPair::from_pkcs8(&self.private_der).unwrap();
        pair.public().as_ref().to_vec()
    }
}

/// The pair of this run whose kind the algorithm needs.
pub fn pair(algorithm: &str) -> &'static Pair {
    static RSA: OnceLock<Pair> = OnceLock::new();
    static P256: OnceLock<Pair> = OnceLock::new();
    static P384: OnceLock<Pair> = OnceLock::new();
    static ED25519: OnceLock<Pair> = OnceLock::new();
    match algorithm {
        "ES256" => P256.get_or_init(|| Pair::ec("P-256")),
        "ES384" => P384.get_or_init(|| Pair::ec("P-384")),
        "EdDSA" => ED25519.get_or_init(|| Pair::generate(&["-algorithm", "ED25519"])),
        _ => RSA.get_or_init(|| Pair::rsa(2048)),
    }
}

/// The public key as a JWK without `kid`, `alg` and `use`.
pub fn jwk(algorithm: &str) -> Value {
    let pair = pair(algorithm);
    let tail = |length: usize| &pair.public_der[pair.public_der.len() - length..];
    let ec = |crv, length: usize| {
        let (x, y) = tail(2 * length).split_at(length);
        json!({"kty": "EC", "crv": crv, "x": b64(x), "y": b64(y)})
    };
    match algorithm {
        "ES256" => ec("P-256", 32),
        "ES384" => ec("P-384", 48),
        "EdDSA" => json!({"kty": "OKP", "crv": "Ed25519", "x": b64(tail(32))}),
        _ => {
            let pair = RsaKeyPair::from_pkcs8(&pair.private_der).unwrap();
            let PublicKeyComponents::<Vec<u8>> { n, e } = pair.public().into();
            json!({"kty": "RSA", "n": b64(n), "e": b64(e)})
        }
    }
}

/// `jwk` with more members, or others.
pub fn with(mut jwk: Value, members: Value) -> Value {
    let members = members.as_object().unwrap().clone();
    jwk.as_object_mut().unwrap().extend(members);
    jwk
}

/// Signs with this run's key of the algorithm.
pub fn sign(algorithm: &str, message: &[u8]) -> Vec<u8> {
    sign_with(pair(algorithm), algorithm, message)
}

pub fn sign_with(pair: &Pair, algorithm: &str, message: &[u8]) -> Vec<u8> {
    let random = SystemRandom::new();
    let rsa = |padding: &'static dyn signature::RsaEncoding| {
        let pair = RsaKeyPair::from_pkcs8(&pair.private_der).unwrap();
        let mut signature = vec![0; pair.public().modulus_len()];
        pair.sign(padding, &random, message, &mut signature).unwrap();
        signature
    };
    let ec = |algorithm| {
        EcdsaKeyPair::from_pkcs8(algorithm, &pair.private_der, &random)
            .unwrap()
            .sign(&random, message)
            .unwrap()
            .as_ref()
            .to_vec()
    };
    match algorithm {
        "RS256" => rsa(&signature::RSA_PKCS1_SHA256),
        "RS384" => rsa(&signature::RSA_PKCS1_SHA384),
        "RS512" => rsa(&signature::RSA_PKCS1_SHA512),
        "PS256" => rsa(&signature::RSA_PSS_SHA256),
        "PS384" => rsa(&signature::RSA_PSS_SHA384),
        "PS512" => rsa(&signature::RSA_PSS_SHA512),
        "ES256" => ec(&signature::ECDSA_P256_SHA256_FIXED_SIGNING),
        "ES384" => ec(&signature::ECDSA_P384_SHA384_FIXED_SIGNING),
        "EdDSA" => {
            Ed25519KeyPair::from_pkcs8_maybe_unchecked(&pair.private_der).unwrap().sign(message).as_ref().to_vec()
        }
        _ => panic!("no signer for {algorithm}"),
    }
}

/// The token with a true signature over whatever header and payload.
pub fn token_of(algorithm: &str, header: impl AsRef<[u8]>, payload: impl AsRef<[u8]>) -> String {
    let input = format!("{}.{}", b64(header), b64(payload));
    let signature = sign(algorithm, input.as_bytes());
    format!("{input}.{}", b64(signature))
}

/// A good token.
pub fn token(algorithm: &str) -> String {
    token_of(algorithm, header(algorithm), claims())
}

pub fn header(algorithm: &str) -> String {
    format!(r#"{{"alg":"{algorithm}","typ":"JWT"}}"#)
}

/// Claims that hold at the time of the tests.
pub fn claims() -> String {
    format!(
        r#"{{"iss":"https://auth.example","sub":"ana","project_id":9007199254740993,"iat":{},"exp":{}}}"#,
        NOW_S - 60,
        NOW_S + 3600
    )
}

/// Verifies at the time of the tests with a leeway of 30 s, by both ways that there are.
pub fn verify(token: &str, key: &str) -> Result<Payload, Status> {
    verify_at(token, key, NOW_MS, 30)
}

pub fn verify_at(token: &str, key: &str, now_ms: i64, leeway_s: u64) -> Result<Payload, Status> {
    let by_text = token::verify_with_key_text(token, key, &KeyCache::new(), now_ms, leeway_s);
    if let Err(error) = &by_text {
        assert!(error.message().len() < 200 && !error.message().contains('\n'), "{}", error.message());
    }
    // A key that was parsed before gives the same verdict, as far as it can be parsed.
    if let Ok(keys) = KeySet::parse(key) {
        let by_keys = token::verify(token, &keys, now_ms, leeway_s);
        assert_eq!(by_keys, by_text);
    }
    by_text.map_err(|error| error.status())
}

/// The verdict on `token` with the PEM key of the algorithm.
pub fn verdict(algorithm: &str, token: &str) -> Status {
    match verify(token, &pair(algorithm).pem()) {
        Ok(_) => Status::Ok,
        Err(status) => status,
    }
}
