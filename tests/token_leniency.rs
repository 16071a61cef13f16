//! What issuers and users do to keys and tokens, and what does no harm: one odd key among good ones, `null` for what is
//! absent, one `kid` for several keys, numbers with leading zeros, byte order marks, lines that were escaped.
#![forbid(unsafe_code)]

mod token_support;

use gcauth::Status;
use gcauth::token::{self, KeyCache, KeySet};
use serde_json::{Value, json};
use token_support::*;

const KINDS: [&str; 4] = ["RS256", "ES256", "ES384", "EdDSA"];

fn set(keys: &[Value]) -> String {
    json!({"keys": keys}).to_string()
}

fn named(algorithm: &str, kid: &str) -> Value {
    with(jwk(algorithm), json!({"kid": kid}))
}

fn status(outcome: Result<token::Payload, Status>) -> Status {
    outcome.err().unwrap_or(Status::Ok)
}

/// The verdict on a good token with this header.
fn headed(algorithm: &str, header: Value, key: &str) -> Status {
    status(verify(&token_of(algorithm, header.to_string(), claims()), key))
}

fn with_kid(algorithm: &str, kid: &str, key: &str) -> Status {
    headed(algorithm, json!({"alg": algorithm, "kid": kid}), key)
}

fn without_kid(algorithm: &str, key: &str) -> Status {
    status(verify(&token(algorithm), key))
}

/// The message on a good token with this `kid`.
fn message(algorithm: &str, kid: Option<&str>, key: &str) -> String {
    let token = token_of(algorithm, json!({"alg": algorithm, "kid": kid}).to_string(), claims());
    token::verify_with_key_text(&token, key, &KeyCache::new(), NOW_MS, 0).unwrap_err().message().to_owned()
}

/// Another RSA key than the pair's.
fn other_rsa() -> Value {
    let pair = Pair::rsa(2048);
    let pair = ring::rsa::KeyPair::from_pkcs8(&pair.private_der).unwrap();
    let ring::rsa::PublicKeyComponents::<Vec<u8>> { n, e } = pair.public().into();
    json!({"kty": "RSA", "n": b64(n), "e": b64(e)})
}

#[test]
fn an_entry_that_is_no_key_spoils_no_other() {
    let good = named("RS256", "good");
    for odd in [
        json!(1),
        json!(null),
        json!("x"),
        json!([]),
        json!([good]),
        json!(true),
        json!({}),
        json!({"keys": [named("ES256", "good")]}),
        json!({"kty": 1}),
        json!({"kty": null}),
        json!({"kty": "RSA"}),
        json!({"kty": "RSA", "x5c": ["MIIB"]}),
        json!({"kty": "RSA", "n": 1, "e": {}}),
        json!({"kty": "RSA", "n": "AQAB", "e": "AQAB", "kid": "good"}),
        json!({"kty": "EC", "crv": "P-521", "x": "AA", "y": "AA", "alg": "ES512", "kid": "good"}),
        json!({"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA", "kid": "good"}),
        json!({"kty": "OKP", "crv": "X25519", "x": "AA", "use": "enc"}),
        json!({"kty": "AKP", "alg": "ML-DSA-44", "pub": "AA", "kid": "good"}),
        json!({"kid": 7}),
        with(other_rsa(), json!({"kid": 7})),
        with(other_rsa(), json!({"kid": "good", "use": "enc"})),
        with(other_rsa(), json!({"kid": "good", "alg": "RSA-OAEP-256"})),
        with(other_rsa(), json!({"kid": "good", "key_ops": ["wrapKey"]})),
        with(other_rsa(), json!({"kid": ["good"], "alg": 5})),
    ] {
        for keys in [[good.clone(), odd.clone()], [odd.clone(), good.clone()]] {
            let keys = set(&keys);
            assert_eq!(with_kid("RS256", "good", &keys), Status::Ok, "{odd}");
            assert_eq!(without_kid("RS256", &keys), Status::Ok, "{odd}");
        }
        let alone = without_kid("RS256", &set(std::slice::from_ref(&odd)));
        assert!(matches!(alone, Status::KeyInvalid | Status::AlgorithmRefused), "{odd}: {alone:?}");
    }
}

#[test]
fn what_must_not_be_in_a_set_is_named() {
    let good = named("RS256", "good");
    for (bad, words) in [
        (with(jwk("ES256"), json!({"kid": "mine", "d": b64([7; 32])})), ["private", "\"mine\"", "\"d\""]),
        (with(jwk("RS256"), json!({"kid": "mine", "qi": b64([7; 32])})), ["private", "\"mine\"", "\"qi\""]),
        (json!({"kty": "AKP", "kid": "mine", "priv": "AA"}), ["private", "\"mine\"", "\"priv\""]),
        (json!({"kty": "oct", "kid": "mine", "k": b64([7; 32])}), ["symmetric", "\"mine\"", "key 2"]),
        (json!({"kty": "oct", "kid": "mine"}), ["symmetric", "\"mine\"", "key 2"]),
        (json!({"kty": "oct", "k": b64([7; 32])}), ["symmetric", "key 2", "set"]),
        (json!({"kid": "mine", "k": b64([7; 32])}), ["symmetric", "\"mine\"", "\"k\""]),
    ] {
        let keys = set(&[good.clone(), bad.clone()]);
        assert_eq!(with_kid("RS256", "good", &keys), Status::KeyInvalid, "{bad}");
        assert_eq!(KeySet::parse(&keys).unwrap_err().status(), Status::KeyInvalid, "{bad}");
        let message = message("RS256", Some("good"), &keys);
        assert!(words.iter().all(|word| message.contains(word)), "{bad}: {message}");
    }
    // What is secret is not shown, not even as a name.
    let secret = b64([7; 32]);
    let keys = set(&[json!({"kty": "oct", "kid": secret, "k": secret})]);
    assert!(!message("RS256", None, &keys).contains(&secret));
}

#[test]
fn null_is_absent_in_keys() {
    let nulls = json!({
        "kid": null, "use": null, "alg": null, "key_ops": null, "d": null, "p": null, "q": null, "dp": null, "dq": null,
        "qi": null, "oth": null, "k": null, "priv": null, "x5c": null, "keys": null,
    });
    for kind in KINDS {
        let key = with(jwk(kind), nulls.clone());
        for text in [key.to_string(), set(std::slice::from_ref(&key)), set(&[json!(null), key.clone()])] {
            assert_eq!(without_kid(kind, &text), Status::Ok, "{text}");
            assert_eq!(with_kid(kind, "any", &text), Status::Ok, "{text}");
        }
    }
    let both = json!({"keys": [jwk("RS256")], "kty": null}).to_string();
    assert_eq!(without_kid("RS256", &both), Status::Ok);
    for none in [r#"{"keys":null}"#, r#"{"keys":[]}"#, r#"{"keys":[null]}"#, r#"{"kty":null}"#, "{}"] {
        assert_eq!(without_kid("RS256", none), Status::KeyInvalid, "{none}");
    }
    for name in ["n", "e", "kty"] {
        let lacking = with(jwk("RS256"), json!({name: null}));
        assert_eq!(without_kid("RS256", &lacking.to_string()), Status::KeyInvalid, "{name}");
    }
}

#[test]
fn null_is_absent_in_headers() {
    let all = set(&[named("RS256", "a"), named("ES256", "b")]);
    for header in [
        json!({"alg": "ES256", "kid": null}),
        json!({"alg": "ES256", "kid": null, "typ": null, "cty": null, "jwk": null, "x5c": null}),
        json!({"alg": "ES256", "crit": null, "b64": null}),
    ] {
        assert_eq!(headed("ES256", header.clone(), &all), Status::Ok, "{header}");
        assert_eq!(headed("ES256", header.clone(), &named("ES256", "b").to_string()), Status::Ok, "{header}");
    }
    assert_eq!(headed("ES256", json!({"alg": null}), &all), Status::TokenMalformed);
    assert_eq!(headed("ES256", json!({"alg": "ES256", "kid": 1}), &all), Status::TokenMalformed);
    assert_eq!(headed("ES256", json!({"alg": "ES256", "crit": []}), &all), Status::TokenMalformed);
    assert_eq!(headed("ES256", json!({"alg": "ES256", "b64": false}), &all), Status::TokenMalformed);
}

#[test]
fn null_is_absent_in_registered_claims() {
    let key = pair("EdDSA").pem();
    let verdict = |payload: &str| status(verify(&token_of("EdDSA", header("EdDSA"), payload), &key));
    for claim in ["iss", "sub", "jti", "aud", "exp", "nbf", "iat"] {
        assert_eq!(verdict(&format!(r#"{{"{claim}":null}}"#)), Status::Ok, "{claim}");
    }
    assert_eq!(verdict(r#"{"aud":["a",null]}"#), Status::ClaimsMalformed);
    assert_eq!(verdict(r#"{"exp":null,"exp":1}"#), Status::ClaimsMalformed);
}

#[test]
fn a_number_names_a_subject_or_a_token() {
    let key = pair("EdDSA").pem();
    let verdict = |payload: &str| status(verify(&token_of("EdDSA", header("EdDSA"), payload), &key));
    for claim in ["sub", "jti"] {
        for number in ["0", "-1", "42", "9007199254740993", "1.5", "1e3"] {
            let payload = format!(r#"{{"{claim}":{number}}}"#);
            assert_eq!(verdict(&payload), Status::Ok, "{payload}");
        }
        for other in ["true", "[]", "[1]", "{}", "{\"id\":1}"] {
            let payload = format!(r#"{{"{claim}":{other}}}"#);
            assert_eq!(verdict(&payload), Status::ClaimsMalformed, "{payload}");
        }
    }
    for other in [r#"{"iss":1}"#, r#"{"aud":1}"#, r#"{"aud":[1]}"#, r#"{"exp":"4102444800"}"#, r#"{"iat":"1"}"#] {
        assert_eq!(verdict(other), Status::ClaimsMalformed, "{other}");
    }
    // Nothing of it counts before the signature holds.
    let forged = format!("{}x", token_of("EdDSA", header("EdDSA"), r#"{"sub":1}"#));
    assert_ne!(status(verify(&forged, &key)), Status::Ok);
}

#[test]
fn one_kid_on_several_keys() {
    let signing = with(named("RS256", "k"), json!({"use": "sig"}));
    let encrypting = with(other_rsa(), json!({"kid": "k", "use": "enc"}));
    let curve = named("ES256", "k");
    let other = with(other_rsa(), json!({"kid": "k"}));
    for keys in [
        vec![signing.clone(), encrypting.clone()],
        vec![encrypting.clone(), signing.clone()],
        vec![signing.clone(), curve.clone()],
        vec![curve.clone(), signing.clone(), encrypting.clone(), named("EdDSA", "k")],
        vec![signing.clone(), signing.clone()],
        vec![signing.clone(), named("RS256", "k"), with(named("RS256", "k"), json!({"alg": "RS256"}))],
        vec![signing.clone(), with(other.clone(), json!({"alg": "PS256"}))],
        vec![with(other.clone(), json!({"alg": "RS512"})), with(signing.clone(), json!({"alg": "RS256"}))],
    ] {
        assert_eq!(with_kid("RS256", "k", &set(&keys)), Status::Ok, "{keys:?}");
        assert_eq!(without_kid("RS256", &set(&keys)), Status::Ok, "{keys:?}");
    }
    assert_eq!(with_kid("ES256", "k", &set(&[curve.clone(), signing.clone()])), Status::Ok);
    assert_eq!(
        with_kid("PS256", "k", &set(&[with(signing.clone(), json!({"alg": "PS256"})), other.clone()])),
        Status::KeyInvalid
    );
    // No key of that name is for the algorithm.
    assert_eq!(with_kid("ES384", "k", &set(&[curve.clone(), signing.clone()])), Status::AlgorithmRefused);
    assert_eq!(with_kid("RS256", "k", &set(&[encrypting.clone(), encrypting.clone()])), Status::KeyInvalid);

    // Several that could be meant: nobody may choose.
    for keys in [[signing.clone(), other.clone()], [other.clone(), signing.clone()]] {
        assert_eq!(with_kid("RS256", "k", &set(&keys)), Status::KeyInvalid);
        assert!(message("RS256", Some("k"), &set(&keys)).contains("\"k\""));
        // Unless the token names another, or none.
        let keys = set(&[&keys[..], &[named("ES256", "e")]].concat());
        assert!(KeySet::parse(&keys).is_ok());
        assert_eq!(with_kid("ES256", "e", &keys), Status::Ok);
        assert_eq!(without_kid("RS256", &keys), Status::Ok);
        assert_eq!(with_kid("RS256", "x", &keys), Status::KeyInvalid);
    }
}

#[test]
fn leading_zeros_make_no_other_number() {
    let key = jwk("RS256");
    let octets = |name: &str| unb64(key[name].as_str().unwrap());
    for zeros in [1, 2, 3, 300] {
        let pad = |name: &str| json!(b64([&vec![0; zeros], &octets(name)[..]].concat()));
        for padded in [json!({"n": pad("n")}), json!({"e": pad("e")}), json!({"n": pad("n"), "e": pad("e")})] {
            let padded = with(key.clone(), padded);
            assert_eq!(without_kid("RS256", &padded.to_string()), Status::Ok, "{zeros}");
            assert_eq!(without_kid("PS384", &set(&[padded])), Status::Ok, "{zeros}");
        }
    }
    // The same key with and without them is one key.
    let padded = json!({"n": b64([&[0], &octets("n")[..]].concat()), "kid": "k"});
    let twice = set(&[with(key.clone(), json!({"kid": "k"})), with(key.clone(), padded)]);
    assert_eq!(with_kid("RS256", "k", &twice), Status::Ok);
    // They make no weak key strong, and nothing of zeros alone.
    let weak = json!({"kty": "RSA", "n": b64([&[0; 256], &[0xff; 128][..]].concat()), "e": "AQAB"});
    assert_eq!(without_kid("RS256", &weak.to_string()), Status::KeyInvalid);
    for (name, value) in [("n", b64([0; 256])), ("e", b64([0; 4])), ("e", b64([0, 1]))] {
        assert_eq!(without_kid("RS256", &with(key.clone(), json!({name: value})).to_string()), Status::KeyInvalid);
    }
}

#[test]
fn ed25519_is_another_name_of_eddsa_on_its_curve() {
    for key in
        [jwk("EdDSA"), with(jwk("EdDSA"), json!({"alg": "Ed25519"})), with(jwk("EdDSA"), json!({"alg": "EdDSA"}))]
    {
        for alg in ["EdDSA", "Ed25519"] {
            for text in [key.to_string(), set(std::slice::from_ref(&key)), pair("EdDSA").pem()] {
                assert_eq!(headed("EdDSA", json!({"alg": alg}), &text), Status::Ok, "{alg} {text}");
            }
        }
    }
    for alg in ["Ed448", "ed25519", "ED25519", "Ed25519ph"] {
        assert_eq!(headed("EdDSA", json!({"alg": alg}), &pair("EdDSA").pem()), Status::AlgorithmRefused, "{alg}");
        let key = with(jwk("EdDSA"), json!({"alg": alg})).to_string();
        assert_eq!(headed("EdDSA", json!({"alg": "EdDSA"}), &key), Status::AlgorithmRefused, "{alg}");
    }
    assert_eq!(headed("EdDSA", json!({"alg": "Ed25519"}), &pair("RS256").pem()), Status::AlgorithmRefused);
}

#[test]
fn a_byte_order_mark_and_escaped_lines() {
    for kind in KINDS {
        let pem = pair(kind).pem();
        let texts = [jwk(kind).to_string(), set(&[jwk(kind)]), pem.clone()];
        for text in &texts {
            for before in ["\u{feff}", "\u{feff}\r\n ", " \u{feff}", "\u{feff}\u{feff}"] {
                assert_eq!(without_kid(kind, &format!("{before}{text}")), Status::Ok, "{kind} {before:?} {text}");
            }
        }
        for line_end in ["\\n", "\\r\\n", "\\r", "\\\\n", "\\n\n", "\\n    "] {
            let escaped = pem.replace('\n', line_end);
            assert_eq!(without_kid(kind, &escaped), Status::Ok, "{kind} {line_end:?}");
            assert_eq!(without_kid(kind, &format!("\"{escaped}\"")), Status::Ok, "{kind} {line_end:?}");
        }
        let private = pair(kind).private_pem().replace('\n', "\\n");
        assert_eq!(without_kid(kind, &format!("{pem}{private}")), Status::KeyInvalid, "{kind}");
    }
    // A lone backslash is no line end.
    let broken = pair("RS256").pem().replacen('A', "\\A", 1);
    assert_eq!(without_kid("RS256", &broken), Status::KeyInvalid);
}

#[test]
fn keys_without_kid_are_tried_for_a_token_that_has_one() {
    for kind in KINDS {
        assert_eq!(with_kid(kind, "x", &set(&[jwk(kind)])), Status::Ok, "{kind}");
        assert_eq!(with_kid(kind, "x", &set(&[named("ES384", "y"), jwk(kind)])), Status::Ok, "{kind}");
    }
    let all = set(&KINDS.map(jwk));
    for kind in KINDS {
        assert_eq!(with_kid(kind, "x", &all), Status::Ok, "{kind}");
    }
    assert_eq!(with_kid("RS256", "x", &set(&[other_rsa(), jwk("RS256")])), Status::Ok);
    assert_eq!(with_kid("RS256", "x", &set(&[other_rsa()])), Status::SignatureInvalid);
    // Those that the token names go before, those that have another name are never tried.
    assert_eq!(
        with_kid("RS256", "x", &set(&[jwk("RS256"), with(other_rsa(), json!({"kid": "x"}))])),
        Status::SignatureInvalid
    );
    assert_eq!(with_kid("RS256", "x", &set(&[named("RS256", "y"), other_rsa()])), Status::SignatureInvalid);
    assert_eq!(with_kid("RS256", "x", &set(&[named("RS256", "y")])), Status::KeyInvalid);
    assert_eq!(with_kid("RS256", "x", &set(&[named("RS256", "y"), jwk("ES256")])), Status::KeyInvalid);
    assert_eq!(with_kid("RS256", "x", &set(&[jwk("ES256")])), Status::AlgorithmRefused);
    let message = message("RS256", Some("x\u{202e}"), &set(&[named("RS256", "y")]));
    assert!(message.contains("\"x\""), "{message}");
}

#[test]
fn other_things_than_keys_are_called_by_their_name() {
    for (text, words) in [
        (r#"{"issuer":"https://i","jwks_uri":"https://i/keys"}"#.to_owned(), ["discovery", "jwks_uri"]),
        ("<!DOCTYPE html><html></html>".to_owned(), ["HTML", "key"]),
        (json!({"k1": pair("RS256").pem(), "k2": pair("ES256").pem()}).to_string(), ["PEM", "kid"]),
        (token("RS256"), ["token", "key"]),
        (format!("[{}]", jwk("RS256")), ["array", "keys"]),
        ("ssh-rsa AAAAB3NzaC1yc2E x@y".to_owned(), ["SSH", "PEM"]),
        ("/etc/keys/issuer.pem".to_owned(), ["file", "text"]),
    ] {
        assert_eq!(without_kid("RS256", &text), Status::KeyInvalid, "{text}");
        let message = message("RS256", None, &text);
        assert!(words.iter().all(|word| message.contains(word)), "{text}: {message}");
    }
}
