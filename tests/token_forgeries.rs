//! Forgeries by name, each with its exact status, and the order in which faults are reported.
#![forbid(unsafe_code)]

mod token_support;

use gcauth::Status;
use gcauth::token::{self, MAX_DEPTH, MAX_TOKEN_LEN};
use ring::hmac;
use serde_json::json;
use token_support::*;

/// The verdict on each token with the RSA key, and whether it can be decoded without one.
fn expect(status: Status, decodes: bool, forgeries: &[(&str, String)]) {
    for (name, token) in forgeries {
        assert_eq!(verdict("RS256", token), status, "{name}");
        let decoded = token::decode(token);
        assert_eq!(decoded.is_ok(), decodes, "{name}: {decoded:?}");
    }
}

fn parts(token: &str) -> [String; 3] {
    let parts: Vec<String> = token.split('.').map(str::to_owned).collect();
    parts.try_into().unwrap()
}

fn good() -> [String; 3] {
    parts(&token("RS256"))
}

/// A truly signed token with this header.
fn headed(header: impl AsRef<[u8]>) -> String {
    token_of("RS256", header, claims())
}

/// A truly signed token with this payload.
fn claiming(payload: impl AsRef<[u8]>) -> String {
    token_of("RS256", header("RS256"), payload)
}

#[test]
fn good_tokens_hold_in_every_algorithm() {
    for algorithm in ALGORITHMS {
        let token = token(algorithm);
        let payload = verify(&token, &pair(algorithm).pem()).unwrap();
        assert_eq!(payload.as_json(), claims());
        assert_eq!(payload, token::decode(&token).unwrap());
        assert!(token::precheck(&token).is_ok());
    }
}

#[test]
fn alg_none_in_all_spellings() {
    let [_, payload, signature] = good();
    let mut forgeries = Vec::new();
    for bits in 0..16 {
        let spelling: String =
            "none".char_indices().map(|(i, c)| if bits >> i & 1 == 1 { c.to_ascii_uppercase() } else { c }).collect();
        let header = b64(format!(r#"{{"alg":"{spelling}"}}"#));
        forgeries.push(("none, unsigned", format!("{header}.{payload}.")));
        forgeries.push(("none, signed", format!("{header}.{payload}.{signature}")));
        forgeries.push(("none, truly signed", headed(format!(r#"{{"alg":"{spelling}"}}"#))));
    }
    for spelling in ["", " none", "none ", "\\u006eone", "no\\u0000ne", "n\u{f6}ne"] {
        let header = b64(format!(r#"{{"alg":"{spelling}"}}"#));
        forgeries.push(("none, odd", format!("{header}.{payload}.")));
    }
    expect(Status::AlgorithmRefused, true, &forgeries);
}

#[test]
fn the_public_key_as_hmac_secret() {
    let pem = pair("RS256").pem();
    let mut forgeries = Vec::new();
    for secret in
        [pem.as_bytes(), pem.trim_end().as_bytes(), &pair("RS256").public_der, &pair("RS256").rsa_public_der(), b""]
    {
        for (name, algorithm) in
            [("HS256", hmac::HMAC_SHA256), ("HS384", hmac::HMAC_SHA384), ("HS512", hmac::HMAC_SHA512)]
        {
            let input = format!("{}.{}", b64(header(name)), b64(claims()));
            let tag = hmac::sign(&hmac::Key::new(algorithm, secret), input.as_bytes());
            forgeries.push((name, format!("{input}.{}", b64(tag))));
        }
    }
    expect(Status::AlgorithmRefused, true, &forgeries);
}

#[test]
fn unknown_and_unsupported_algorithms() {
    let forgeries: Vec<_> = [
        "RS1",
        "RS128",
        "rs256",
        "RS256 ",
        "Rs256",
        "RS-256",
        "PS1",
        "ES512",
        "ES256K",
        "ES521",
        "Ed25519",
        "Ed448",
        "eddsa",
        "RSA-OAEP",
        "RSA1_5",
        "dir",
        "A128KW",
        "ML-DSA-44",
        "HS1",
        "hs256",
        "\\u0000RS256",
        "SHA256withRSA",
    ]
    .into_iter()
    .map(|name| (name, headed(header(name))))
    .collect();
    expect(Status::AlgorithmRefused, true, &forgeries);
}

#[test]
fn the_algorithm_of_another_key() {
    for key in ["RS256", "ES256", "ES384", "EdDSA"] {
        let family = |name: &str| match name {
            "ES256" | "ES384" | "EdDSA" => name.to_owned(),
            _ => "RSA".to_owned(),
        };
        for algorithm in ALGORITHMS {
            let expected = if family(key) == family(algorithm) { Status::Ok } else { Status::AlgorithmRefused };
            assert_eq!(verdict(key, &token(algorithm)), expected, "{algorithm} by {key}");
        }
    }
}

#[test]
fn keys_in_the_header_supply_nothing() {
    let attacker = Pair::rsa(2048);
    let der = attacker.rsa_public_der();
    // PKCS#1: 30 len, 02 len n, 02 03 e; n is 257 bytes with its leading zero.
    let n = &der[der.len() - 5 - 256..der.len() - 5];
    let jwk = json!({"kty": "RSA", "n": b64(n), "e": "AQAB", "kid": "evil"});
    for header in [
        json!({"alg": "RS256", "jwk": jwk}),
        json!({"alg": "RS256", "kid": "evil", "jwk": jwk}),
        json!({"alg": "RS256", "jku": "https://evil.example/jwks.json"}),
        json!({"alg": "RS256", "x5u": "https://evil.example/cert.pem"}),
        json!({"alg": "RS256", "x5c": [base64_standard(&attacker.public_der)]}),
        json!({"alg": "RS256", "x5t": b64([0; 20]), "x5t#S256": b64([0; 32])}),
    ] {
        let input = format!("{}.{}", b64(header.to_string()), b64(claims()));
        let signature = b64(sign_with(&attacker, "RS256", input.as_bytes()));
        // The forged token is good with the attacker's own key: the forgery itself is sound.
        let forged = format!("{input}.{signature}");
        assert!(verify(&forged, &attacker.pem()).is_ok());
        assert_eq!(verdict("RS256", &forged), Status::SignatureInvalid, "{header}");
        // Such members do no harm in a token that the right key signed.
        assert_eq!(verdict("RS256", &headed(header.to_string())), Status::Ok, "{header}");
    }
}

fn base64_standard(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

#[test]
fn kid_tricks() {
    let tricks = [
        "",
        "../../../../dev/null",
        "/etc/passwd",
        "' OR 1=1 --",
        "evil",
        "Good",
        "good ",
        " good",
        "good\\u0000",
        "g\u{f6}od",
        "good.",
        "*",
        "|id",
        "https://evil.example/jwks",
    ];
    let set = json!({"keys": [with(jwk("RS256"), json!({"kid": "good"}))]}).to_string();
    let single = with(jwk("RS256"), json!({"kid": "good"})).to_string();
    for kid in tricks {
        let token = headed(format!(r#"{{"alg":"RS256","kid":"{kid}"}}"#));
        assert_eq!(verify(&token, &set), Err(Status::KeyInvalid), "{kid}");
        assert_eq!(verify(&token, &single), Err(Status::KeyInvalid), "{kid}");
        // A PEM key has no id that could differ.
        assert_eq!(verdict("RS256", &token), Status::Ok, "{kid}");
    }
    let token = headed(r#"{"alg":"RS256","kid":"go\u006fd"}"#);
    assert!(verify(&token, &set).is_ok());
    assert_eq!(token::kid(&token).as_deref(), Some("good"));

    let odd: Vec<_> = ["1", "true", "[\"good\"]", "{}", "[]"]
        .into_iter()
        .map(|kid| (kid, headed(format!(r#"{{"alg":"RS256","kid":{kid}}}"#))))
        .collect();
    expect(Status::TokenMalformed, false, &odd);
}

#[test]
fn headers_that_are_malformed() {
    let mut forgeries: Vec<(&str, String)> = [
        "",
        "{",
        "{}",
        "[]",
        "null",
        "1",
        "\"RS256\"",
        "{\"alg\":\"RS256\"}}",
        "{\"alg\":\"RS256\"}{}",
        "{\"alg\":\"RS256\",}",
        "{'alg':'RS256'}",
        "{alg:\"RS256\"}",
        "\u{feff}{\"alg\":\"RS256\"}",
        "[{\"alg\":\"RS256\"}]",
        "{\"typ\":\"JWT\"}",
        "{\"ALG\":\"RS256\"}",
        "{\"alg\":null}",
        "{\"alg\":256}",
        "{\"alg\":true}",
        "{\"alg\":[\"RS256\"]}",
        "{\"alg\":{\"alg\":\"RS256\"}}",
        "{\"alg\":\"RS256\",\"alg\":\"RS256\"}",
        "{\"alg\":\"none\",\"alg\":\"RS256\"}",
        "{\"alg\":\"RS256\",\"\\u0061lg\":\"none\"}",
        "{\"alg\":\"RS256\",\"kid\":\"a\",\"kid\":\"b\"}",
        "{\"alg\":\"RS256\",\"x\":{\"y\":1,\"y\":2}}",
        "{\"alg\":\"RS256\",\"x\":[{\"\":1,\"\":2}]}",
        "{\"alg\":\"RS256\",\"x\":\"\\ud800\"}",
        "{\"alg\":\"RS256\",\"x\":01}",
        "{\"alg\":\"RS256\",\"x\":\"\t\"}",
        "{\"alg\":\"RS256\"}\0",
        "{\"alg\":\"RS256\" \"x\":1}",
        "{\"alg\":\"RS256\",\"crit\":[\"exp\"],\"exp\":1}",
        "{\"alg\":\"RS256\",\"crit\":[]}",
        "{\"alg\":\"RS256\",\"crit\":\"b64\"}",
        "{\"alg\":\"RS256\",\"crit\":[\"alg\"]}",
        "{\"alg\":\"RS256\",\"crit\":[\"b64\"],\"b64\":true}",
        "{\"alg\":\"RS256\",\"crit\":[\"b64\"],\"b64\":false}",
        "{\"alg\":\"RS256\",\"b64\":false}",
        "{\"alg\":\"RS256\",\"b64\":\"true\"}",
        "{\"alg\":\"RS256\",\"b64\":0}",
    ]
    .into_iter()
    .map(|header| (header, headed(header)))
    .collect();
    forgeries.push(("not UTF-8", headed(b"{\"alg\":\"RS256\",\"x\":\"\xff\"}")));
    forgeries.push(("overlong UTF-8", headed(b"{\"alg\":\"RS256\",\"x\":\"\xc0\xaf\"}")));
    let deep = |levels: usize| format!(r#"{{"alg":"RS256","x":{}{}}}"#, "[".repeat(levels), "]".repeat(levels));
    forgeries.push(("too deep", headed(deep(MAX_DEPTH))));
    forgeries.push(("far too deep", headed(deep(20_000))));
    expect(Status::TokenMalformed, false, &forgeries);

    for header in [
        deep(MAX_DEPTH - 1).as_str(),
        " {\r\n\"alg\"\t:\"RS256\" } ",
        r#"{"\u0061lg":"RS\u003256"}"#,
        r#"{"alg":"RS256","b64":true}"#,
        r#"{"alg":"RS256","typ":"at+jwt","x":1e999,"cty":"JWT"}"#,
    ] {
        assert_eq!(verdict("RS256", &headed(header)), Status::Ok, "{header}");
    }
}

#[test]
fn parts_that_are_malformed() {
    let [h, p, s] = good();
    let mut forgeries: Vec<(&str, String)> = vec![
        ("nothing", String::new()),
        ("one part", h.clone()),
        ("two parts", format!("{h}.{p}")),
        ("four parts", format!("{h}.{p}.{s}.")),
        ("trailing dots", format!("{h}.{p}.{s}...")),
        ("leading dot", format!(".{h}.{p}.{s}")),
        ("doubled dot", format!("{h}..{p}.{s}")),
        ("five parts", format!("{h}.{p}.{s}.{p}.{s}")),
        ("dots alone", "..".to_owned()),
        ("no header", format!(".{p}.{s}")),
        ("JSON", json!({"protected": h, "payload": p, "signature": s}).to_string()),
        ("Bearer", format!("Bearer {h}.{p}.{s}")),
        ("quoted", format!("\"{h}.{p}.{s}\"")),
        ("other dots", format!("{h}\u{ff0e}{p}\u{ff0e}{s}")),
        ("unicode", format!("{h}.{p}\u{200b}.{s}")),
        ("unicode letter", format!("{h}.{p}.{s}\u{e9}")),
        ("NUL", format!("{h}.{p}.{s}\0")),
        ("percent", format!("{h}.{p}.{s}%3D")),
        ("one character", format!("{h}.{p}.A")),
        ("one character too many", format!("{h}.A.{s}")),
    ];
    for (i, part) in [&h, &p, &s].into_iter().enumerate() {
        let mut changed = |name: &'static str, part: String| {
            let mut parts = [h.clone(), p.clone(), s.clone()];
            parts[i] = part;
            forgeries.push((name, parts.join(".")));
        };
        for end in ["=", "==", "===", "====", " ", "\n", "\r\n", "\t", "+", "/", "!", "\u{a0}"] {
            changed("something at the end", format!("{part}{end}"));
            changed("something at the start", format!("{end}{part}"));
            changed("something inside", format!("{}{end}{}", &part[..4], &part[4..]));
        }
        // 62 and 63 of the other alphabet, in the place of a character.
        for other in ["+", "/"] {
            changed("other alphabet", format!("{}{other}{}", &part[..4], &part[5..]));
        }
    }
    expect(Status::TokenMalformed, false, &forgeries);
}

#[test]
fn stray_bits_in_the_last_character() {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    // A signature of 256 bytes, and headers and payloads of 1 and 2 bytes over a multiple of 3.
    let mut seen = 0;
    for blanks in 0..3 {
        let header = format!("{}{}", header("RS256"), " ".repeat(blanks));
        let payload = format!("{}{}", claims(), " ".repeat(blanks));
        let good = parts(&token_of("RS256", header, payload));
        assert_eq!(verdict("RS256", &good.join(".")), Status::Ok);
        for i in 0..3 {
            let spare = match good[i].len() % 4 {
                2 => 4,
                3 => 2,
                _ => continue,
            };
            let last = *good[i].as_bytes().last().unwrap();
            let value = alphabet.iter().position(|c| *c == last).unwrap();
            for stray in 1..(1 << spare) {
                let mut parts = good.clone();
                parts[i].pop();
                parts[i].push(char::from(alphabet[value | stray]));
                let token = parts.join(".");
                assert_eq!(verdict("RS256", &token), Status::TokenMalformed);
                assert!(token::decode(&token).is_err());
                seen += 1;
            }
        }
    }
    assert!(seen >= 3 * 15);
}

#[test]
fn size_is_bounded() {
    let of_length = |length: usize| {
        // No text in base64url is 4n + 1 long: then a blank more in the header makes the difference.
        (0..3)
            .map(|blanks| format!("{}{}", header("RS256"), " ".repeat(blanks)))
            .find_map(|header| {
                let payload_len = length - b64(&header).len() - b64([0; 256]).len() - 2;
                let width = payload_len * 3 / 4;
                let payload = format!("{:width$}", claims());
                let token = token_of("RS256", header, payload);
                (token.len() == length).then_some(token)
            })
            .unwrap()
    };
    let largest = of_length(MAX_TOKEN_LEN);
    assert_eq!(verdict("RS256", &largest), Status::Ok);
    let longer = of_length(MAX_TOKEN_LEN + 1);
    expect(Status::TokenMalformed, false, &[("longer", longer), ("endless", "a".repeat(10 << 20))]);
}

#[test]
fn rsa_signatures_that_are_none() {
    let [h, p, s] = good();
    let signature = unb64(&s);
    let with_signature = |bytes: &[u8]| format!("{h}.{p}.{}", b64(bytes));
    let resigned = |algorithm| with_signature(&sign(algorithm, format!("{h}.{p}").as_bytes()));
    let half = signature.len() / 2;
    let forgeries = [
        ("empty", with_signature(&[])),
        ("null", format!("{h}.{p}.null")),
        ("one zero byte", with_signature(&[0])),
        ("zeros", with_signature(&[0; 256])),
        ("one", with_signature(&[&[0; 255][..], &[1]].concat())),
        ("ones", with_signature(&[0xff; 256])),
        ("truncated", with_signature(&signature[..255])),
        ("without its first byte", with_signature(&signature[1..])),
        ("a zero before", with_signature(&[&[0], &signature[..]].concat())),
        ("a zero behind", with_signature(&[&signature[..], &[0]].concat())),
        ("twice", with_signature(&signature.repeat(2))),
        ("swapped halves", with_signature(&[&signature[half..], &signature[..half]].concat())),
        ("reversed", with_signature(&signature.iter().rev().copied().collect::<Vec<_>>())),
        ("of another digest", resigned("RS512")),
        ("of another padding", resigned("PS256")),
        ("of another family", resigned("ES256")),
        ("of another token", format!("{h}.{p}.{}", parts(&claiming("{}"))[2])),
        ("of another payload", format!("{h}.{}.{s}", b64("{}"))),
        ("of another header", format!("{}.{p}.{s}", b64(r#"{"alg":"RS256"}"#))),
        ("of another algorithm", format!("{}.{p}.{s}", b64(header("PS256")))),
        ("parts exchanged", format!("{h}.{s}.{p}")),
    ];
    // The last has a payload that is not JSON.
    let (exchanged, forgeries) = forgeries.split_last().unwrap();
    expect(Status::SignatureInvalid, true, forgeries);
    expect(Status::SignatureInvalid, false, std::slice::from_ref(exchanged));
}

#[test]
fn ecdsa_signatures_that_are_none() {
    // The orders of the two groups (FIPS 186-4).
    let p256 = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
    let p384 = "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973";
    for (algorithm, order) in [("ES256", p256), ("ES384", p384)] {
        let [h, p, s] = parts(&token(algorithm));
        let signature = unb64(&s);
        let (r, s) = signature.split_at(signature.len() / 2);
        let n: Vec<u8> =
            (0..order.len()).step_by(2).map(|i| u8::from_str_radix(&order[i..i + 2], 16).unwrap()).collect();
        let zero = vec![0; n.len()];
        let mut one = zero.clone();
        *one.last_mut().unwrap() = 1;
        let ones = vec![0xff; n.len()];
        let integer = |number: &[u8]| {
            let pad: &[u8] = if number[0] >= 0x80 { &[0] } else { &[] };
            [&[2, (number.len() + pad.len()) as u8], pad, number].concat()
        };
        let body = [integer(r), integer(s)].concat();
        let der = [&[0x30, body.len() as u8], &body[..]].concat();
        for (name, forged) in [
            ("empty", vec![]),
            ("r = s = 0", [&zero[..], &zero].concat()),
            ("r = 0", [&zero[..], s].concat()),
            ("s = 0", [r, &zero].concat()),
            ("r = s = 1", [&one[..], &one].concat()),
            ("r = s = n", [&n[..], &n].concat()),
            ("r = n", [&n[..], s].concat()),
            ("s = n", [r, &n].concat()),
            ("r = s = 2^k - 1", [&ones[..], &ones].concat()),
            ("swapped halves", [s, r].concat()),
            ("r twice", [r, r].concat()),
            ("half", r.to_vec()),
            ("truncated", signature[..signature.len() - 1].to_vec()),
            ("longer", [&signature[..], &[0]].concat()),
            ("zeros before both", [&[0], r, &[0], s].concat()),
            ("DER", der),
        ] {
            let token = format!("{h}.{p}.{}", b64(forged));
            assert_eq!(verdict(algorithm, &token), Status::SignatureInvalid, "{algorithm} {name}");
        }
    }
}

#[test]
fn eddsa_signatures_that_are_none() {
    let [h, p, s] = parts(&token("EdDSA"));
    let signature = unb64(&s);
    let (r, s) = signature.split_at(32);
    // The order of the group, little-endian (RFC 8032), added to s: the same number by another name.
    let order: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut carry = 0;
    let other_s: Vec<u8> = s
        .iter()
        .zip(order)
        .map(|(a, b)| {
            carry += u16::from(*a) + u16::from(b);
            let byte = carry as u8;
            carry >>= 8;
            byte
        })
        .collect();
    let mut identity = [0; 32];
    identity[0] = 1;
    for (name, forged) in [
        ("empty", vec![]),
        ("zeros", vec![0; 64]),
        ("ones", vec![0xff; 64]),
        ("s + order", [r, &other_s].concat()),
        ("s = 0", [r, &[0; 32]].concat()),
        ("identity and 0", [&identity[..], &[0; 32]].concat()),
        ("swapped halves", [s, r].concat()),
        ("half", r.to_vec()),
        ("truncated", signature[..63].to_vec()),
        ("longer", [&signature[..], &[0]].concat()),
    ] {
        let token = format!("{h}.{p}.{}", b64(forged));
        assert_eq!(verdict("EdDSA", &token), Status::SignatureInvalid, "{name}");
    }
}

#[test]
fn a_key_of_small_order_proves_nothing() {
    // With such a key, R = identity and s = 0 hold for every message whose hash is a multiple of 8.
    let mut order_1 = [0; 32];
    order_1[0] = 1;
    let key = json!({"kty": "OKP", "crv": "Ed25519", "x": b64(order_1)}).to_string();
    let forged = format!("{}.{}.{}", b64(header("EdDSA")), b64(claims()), b64([&order_1[..], &[0; 32]].concat()));
    assert_eq!(verify(&forged, &key), Err(Status::KeyInvalid));
}

#[test]
fn payloads_that_are_malformed() {
    let mut forgeries: Vec<(&str, String)> = [
        "",
        " ",
        "{",
        "[]",
        "[{}]",
        "null",
        "1",
        "\"a\"",
        "{}{}",
        "{}x",
        "{,}",
        "{\"a\":1,}",
        "{\"a\"}",
        "{a:1}",
        "{\"a\":01}",
        "{\"a\":1.}",
        "{\"a\":NaN}",
        "{\"a\":-Infinity}",
        "{\"a\":\"\n\"}",
        "\u{feff}{}",
        "{\"sub\":\"a\",\"sub\":\"b\"}",
        "{\"exp\":1,\"\\u0065xp\":99999999999}",
        "{\"a\":{\"b\":1,\"b\":1}}",
        "{\"a\":[1,{\"b\":[{\"c\":1,\"c\":1}]}]}",
        "{\"a\":\"\\udead\"}",
        "{\"a\":1}\0",
        "alg=none",
        "eyJhIjoxfQ",
    ]
    .into_iter()
    .map(|payload| (payload, claiming(payload)))
    .collect();
    forgeries.push(("not UTF-8", claiming(b"{\"a\":\"\xff\"}")));
    forgeries.push(("UTF-16", claiming(b"{\0}\0")));
    let deep = |levels: usize| format!("{{\"x\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
    forgeries.push(("too deep", claiming(deep(MAX_DEPTH))));
    forgeries.push(("far too deep", claiming(deep(20_000))));
    forgeries.push(("deep and open", claiming("{\"x\":".repeat(8000))));
    expect(Status::ClaimsMalformed, false, &forgeries);

    for payload in ["{}", " {\n} ", &deep(MAX_DEPTH - 1)] {
        assert_eq!(verdict("RS256", &claiming(payload)), Status::Ok);
    }
}

#[test]
fn the_first_fault_is_reported() {
    let short = Pair::rsa(1024).pem();
    let no_key = "not a key";
    let good_key = pair("RS256").pem();
    let private = pair("RS256").private_pem();
    let unsigned = |header: &str, payload: &str| format!("{}.{}.AAAA", b64(header), b64(payload));
    let (rs256, es256) = (header("RS256"), header("ES256"));
    let expired = r#"{"nbf":99999999999,"exp":1}"#;

    for (token, key, status) in [
        // Malformed before algorithm, key, signature, claims.
        (unsigned(r#"{"alg":"none","crit":["x"]}"#, ""), no_key, Status::TokenMalformed),
        (unsigned(r#"{"alg":"none","kid":1}"#, ""), no_key, Status::TokenMalformed),
        (format!("{}.=.AAAA", b64(r#"{"alg":"none"}"#)), no_key, Status::TokenMalformed),
        (format!("{}..A", b64(r#"{"alg":"none"}"#)), no_key, Status::TokenMalformed),
        // Algorithm before key.
        (unsigned(r#"{"alg":"none"}"#, ""), no_key, Status::AlgorithmRefused),
        (unsigned(r#"{"alg":"HS256"}"#, ""), &private, Status::AlgorithmRefused),
        (unsigned(r#"{"alg":"ES512"}"#, ""), "", Status::AlgorithmRefused),
        (unsigned(&es256, ""), &short, Status::AlgorithmRefused),
        // Key before signature.
        (unsigned(&rs256, ""), &short, Status::KeyInvalid),
        (unsigned(&rs256, ""), no_key, Status::KeyInvalid),
        (unsigned(&rs256, ""), &private, Status::KeyInvalid),
        // Signature before claims.
        (unsigned(&rs256, ""), &good_key, Status::SignatureInvalid),
        (unsigned(&rs256, r#"{"exp":"1"}"#), &good_key, Status::SignatureInvalid),
        (unsigned(&rs256, expired), &good_key, Status::SignatureInvalid),
        // Claims before times, nbf before exp.
        (claiming(r#"{"nbf":99999999999,"exp":1,"sub":true}"#), &good_key, Status::ClaimsMalformed),
        (claiming(r#"{"exp":1,"exp":1}"#), &good_key, Status::ClaimsMalformed),
        (claiming(expired), &good_key, Status::TokenNotYetValid),
        (claiming(r#"{"exp":1}"#), &good_key, Status::TokenExpired),
    ] {
        assert_eq!(verify(&token, key), Err(status), "{token} with {key:.40}");
    }
}
