//! Tokens made by other implementations: openssl, PyJWT, joserfc; and those that jsonwebtoken verifies.
//!
//! The Python part runs with the interpreter that `GCAUTH_INTEROP_PYTHON` names, or else that of the virtual
//! environment `interop-venv` in the target directory. Where it is missing, the test says so and passes, unless
//! `GCAUTH_REQUIRE_INTEROP=1` is set.
#![forbid(unsafe_code)]

mod token_support;

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use gcauth::token;
use serde_json::Value;
use token_support::*;

#[test]
fn openssl() {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("token_interop-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let path = |name: &str| directory.join(name).to_str().unwrap().to_owned();
    for algorithm in ALGORITHMS {
        let key = path("key.pem");
        let message = path("message");
        let input = format!("{}.{}", b64(header(algorithm)), b64(claims()));
        std::fs::write(&key, pair(algorithm).private_pem()).unwrap();
        std::fs::write(&message, &input).unwrap();

        let digest = format!("-sha{}", algorithm.get(2..).unwrap_or_default());
        let mut dgst = vec!["dgst", &digest, "-sign", &key];
        if algorithm.starts_with("PS") {
            dgst.extend(["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest"]);
        }
        dgst.push(&message);
        let signature = match algorithm {
            "EdDSA" => token_support::openssl(&["pkeyutl", "-sign", "-rawin", "-inkey", &key, "-in", &message], b""),
            "ES256" => raw(&token_support::openssl(&dgst, b""), 32),
            "ES384" => raw(&token_support::openssl(&dgst, b""), 48),
            _ => token_support::openssl(&dgst, b""),
        };
        let token = format!("{input}.{}", b64(signature));
        let payload = verify(&token, &pair(algorithm).pem());
        assert_eq!(payload.unwrap().as_json(), claims(), "{algorithm}");
    }
    std::fs::remove_dir_all(directory).unwrap();
}

/// Its cryptography is not ring's, so that a mistake of one shows.
#[test]
fn jsonwebtoken_says_the_same() {
    use jsonwebtoken::{Algorithm, DecodingKey, Validation};

    for name in ALGORITHMS {
        let algorithm: Algorithm = name.parse().unwrap();
        let key = jwk(name);
        let member = |member: &str| key[member].as_str().unwrap();
        let theirs = match member("kty") {
            "RSA" => DecodingKey::from_rsa_components(member("n"), member("e")),
            "EC" => DecodingKey::from_ec_components(member("x"), member("y")),
            _ => DecodingKey::from_ed_components(member("x")),
        }
        .unwrap();
        let mut validation = Validation::new(algorithm);
        validation.validate_exp = false;

        let good = token(name);
        let (rest, signature) = good.rsplit_once('.').unwrap();
        let changed = |at: usize| {
            let mut bytes = unb64(signature);
            bytes[at] ^= 1;
            format!("{rest}.{}", b64(bytes))
        };
        let other = token_of(name, header(name), "{}");
        let swapped = format!("{rest}.{}", other.rsplit_once('.').unwrap().1);
        let tokens = [(good.clone(), true), (changed(0), false), (changed(40), false), (swapped, false)];
        for (token, holds) in tokens {
            let by_them = jsonwebtoken::decode::<Value>(&token, &theirs, &validation);
            assert_eq!(by_them.is_ok(), holds, "{name}: {by_them:?}");
            assert_eq!(verify(&token, &key.to_string()).is_ok(), holds, "{name}");
        }
    }
}

/// The two numbers of a DER signature, each of the full length.
fn raw(der: &[u8], length: usize) -> Vec<u8> {
    let number = |at: usize| {
        assert_eq!(der[at], 2);
        let end = at + 2 + usize::from(der[at + 1]);
        let digits: Vec<u8> = der[at + 2..end].iter().copied().skip_while(|b| *b == 0).collect();
        ([vec![0; length - digits.len()], digits].concat(), end)
    };
    let (r, end) = number(2);
    let (s, end) = number(end);
    assert_eq!(end, der.len());
    [r, s].concat()
}

#[test]
fn pyjwt_and_joserfc() {
    let python = env::var_os("GCAUTH_INTEROP_PYTHON").map_or_else(
        || Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("interop-venv").join("bin/python"),
        PathBuf::from,
    );
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interop/make_tokens.py");
    let output = match Command::new(&python).arg(script).output() {
        Ok(output) if output.status.success() => output.stdout,
        failed => {
            let required = env::var("GCAUTH_REQUIRE_INTEROP").is_ok_and(|value| value == "1");
            assert!(
                !required,
                "{} can't make tokens; pip install PyJWT joserfc cryptography: {failed:?}",
                python.display()
            );
            eprintln!("SKIPPED: {} can't make tokens with PyJWT and joserfc", python.display());
            return;
        }
    };

    let made: Vec<Value> = serde_json::from_slice(&output).unwrap();
    assert_eq!(made.len(), 2 * ALGORITHMS.len());
    let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64;
    for case in &made {
        let text = |name: &str| case[name].as_str().unwrap();
        let what = format!("{} {}", text("maker"), text("alg"));
        assert!(ALGORITHMS.contains(&text("alg")));
        let expected: Value = serde_json::from_str(text("payload")).unwrap();
        for form in ["pem", "certificate", "jwk", "jwks"] {
            let payload = verify_at(text("token"), text(form), now_ms, 30)
                .unwrap_or_else(|status| panic!("{what} by {form}: {status:?}"));
            let claims: Value = serde_json::from_str(payload.as_json()).unwrap();
            assert_eq!(claims, expected, "{what}");
            assert!(payload.as_json().contains(r#""project_id":9223372036854775807"#));
        }
        assert_eq!(token::kid(text("token")), Some(format!("key of {}", text("alg"))));
        let changed = text("token").replacen('.', ".e", 1);
        assert!(verify_at(&changed, text("pem"), now_ms, 30).is_err(), "{what}");
    }
}
