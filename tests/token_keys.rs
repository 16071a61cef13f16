//! Public keys in every form that is accepted, and all that is refused.
#![forbid(unsafe_code)]

mod token_support;

use std::fs;
use std::path::PathBuf;

use gcauth::Status;
use gcauth::token::{self, KeyCache, KeySet, MAX_KEY_LEN};
use serde_json::{Value, json};
use token_support::*;

/// The verdict on a good token of the algorithm.
fn verdict_by(algorithm: &str, key: &str) -> Status {
    verify(&token(algorithm), key).err().unwrap_or(Status::Ok)
}

/// The verdict on a good token with this `kid`.
fn verdict_for_kid(algorithm: &str, kid: &str, key: &str) -> Status {
    let header = json!({"alg": algorithm, "kid": kid}).to_string();
    let token = token_of(algorithm, header, claims());
    verify(&token, key).err().unwrap_or(Status::Ok)
}

fn refused(key: &str) {
    assert_eq!(KeySet::parse(key).unwrap_err().status(), Status::KeyInvalid, "{key}");
}

fn set(keys: &[Value]) -> String {
    json!({"keys": keys}).to_string()
}

/// A file of this run, for what openssl does not read from its input.
fn file(name: &str, bytes: impl AsRef<[u8]>) -> String {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("token_keys-{}-{name}", std::process::id()));
    fs::write(&path, bytes).unwrap();
    path.to_str().unwrap().to_owned()
}

fn certificate(algorithm: &str) -> String {
    let key = pair(algorithm).private_pem();
    let args = ["req", "-x509", "-key", "/dev/stdin", "-subj", "/CN=issuer", "-days", "1"];
    String::from_utf8(openssl(&args, key.as_bytes())).unwrap()
}

const KINDS: [&str; 4] = ["RS256", "ES256", "ES384", "EdDSA"];

#[test]
fn pem_of_spki_pkcs1_and_certificates() {
    for kind in KINDS {
        assert_eq!(verdict_by(kind, &pair(kind).pem()), Status::Ok, "{kind}");
        assert_eq!(verdict_by(kind, &certificate(kind)), Status::Ok, "{kind}");
    }
    let pkcs1 = pem("RSA PUBLIC KEY", &pair("RS256").rsa_public_der());
    assert_eq!(verdict_by("RS256", &pkcs1), Status::Ok);
    assert_eq!(verdict_by("PS512", &pkcs1), Status::Ok);
}

#[test]
fn a_certificate_of_version_1() {
    let key = file("v1.pem", pair("ES256").private_pem());
    let request = openssl(&["req", "-new", "-key", &key, "-subj", "/CN=issuer"], b"");
    let certificate = openssl(&["x509", "-req", "-signkey", &key, "-days", "1"], &request);
    fs::remove_file(key).unwrap();
    let certificate = String::from_utf8(certificate).unwrap();
    assert_eq!(verdict_by("ES256", &certificate), Status::Ok);
}

#[test]
fn pem_in_every_dress() {
    for kind in KINDS {
        let pem = pair(kind).pem();
        for (name, dressed) in [
            ("leading blanks", format!("\n \t\n  {pem}")),
            ("trailing blanks", format!("{pem}\n \t\n")),
            ("CRLF", pem.replace('\n', "\r\n")),
            ("CR", pem.replace('\n', "\r")),
            ("indented", pem.replace('\n', "\n    ")),
            ("on one line", pem.replace('\n', "")),
            ("blanks for lines", pem.replace('\n', " ")),
            ("no last newline", pem.trim_end().to_owned()),
            ("text around", format!("Key of the issuer:\n{pem}(end)\n")),
            ("byte order mark", format!("\u{feff}{pem}")),
        ] {
            assert_eq!(verdict_by(kind, &dressed), Status::Ok, "{kind} {name}");
        }
    }
}

#[test]
fn the_first_usable_block_counts() {
    let rsa = pair("RS256").pem();
    let ec = pair("ES256").pem();
    let other = Pair::ec("P-256").pem();
    let unusable = [
        Pair::rsa(1024).pem(),
        Pair::ec("secp256k1").pem(),
        Pair::generate(&["-algorithm", "X25519"]).pem(),
        pem("PUBLIC KEY", b"not DER"),
        pem("PUBLIC KEY", b""),
        "-----BEGIN PUBLIC KEY-----\n?!\n-----END PUBLIC KEY-----\n".to_owned(),
        "-----BEGIN PUBLIC KEY-----\nAAAA\n".to_owned(),
        "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END CERTIFICATE-----\n".to_owned(),
        "-----BEGIN PUBLIC KEY".to_owned() + "-----\n",
        pem("EC PARAMETERS", &[6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7]),
        pem("CERTIFICATE REQUEST", b"x"),
        pem("X509 CRL", b"x"),
        certificate("ES256").replace("CERTIFICATE", "PUBLIC KEY"),
    ];
    for block in &unusable {
        refused(block);
        assert_eq!(verdict_by("ES256", &format!("{block}{ec}")), Status::Ok, "{block}");
        assert_eq!(verdict_by("ES256", &format!("{ec}{block}")), Status::Ok, "{block}");
    }
    refused(&ec.replace("-----END PUBLIC KEY-----", "-----END PUBLIC KEY"));
    let all = unusable.concat();
    // Of the unusable ones the first is reported: an RSA key, and then one that is none.
    assert_eq!(verdict_by("ES256", &format!("{}{}", unusable[0], unusable[3])), Status::AlgorithmRefused);
    assert_eq!(verdict_by("ES256", &format!("{}{}", unusable[3], unusable[0])), Status::KeyInvalid);
    assert_eq!(verdict_by("ES256", &format!("{all}{ec}{rsa}")), Status::Ok);

    // Later ones are never tried.
    assert_eq!(verdict_by("ES256", &format!("{other}{ec}")), Status::SignatureInvalid);
    assert_eq!(verdict_by("ES256", &format!("{rsa}{ec}")), Status::AlgorithmRefused);
    assert_eq!(verdict_by("RS256", &format!("{rsa}{ec}")), Status::Ok);
}

#[test]
fn private_keys_in_pem_are_refused() {
    let rsa = pair("RS256");
    let traditional = |args: &[&str], pem: String| String::from_utf8(openssl(args, pem.as_bytes())).unwrap();
    let encrypted = traditional(&["pkcs8", "-topk8", "-passout", "pass:x"], rsa.private_pem());
    for (kind, key) in [
        ("RS256", rsa.private_pem()),
        ("RS256", traditional(&["rsa", "-traditional"], rsa.private_pem())),
        ("RS256", encrypted),
        ("ES256", pair("ES256").private_pem()),
        ("ES256", traditional(&["ec"], pair("ES256").private_pem())),
        ("EdDSA", pair("EdDSA").private_pem()),
        ("RS256", pem("OPENSSH PRIVATE KEY", b"x")),
        ("RS256", "-----BEGIN PRIVATE KEY-----".to_owned()),
        ("RS256", "-----BEGIN PRIVATE KEY".to_owned()),
        ("RS256", format!("-----BEGIN X\n{}", rsa.private_pem())),
    ] {
        assert!(key.contains("PRIVATE KEY"));
        let public = pair(kind).pem();
        for text in [key.clone(), format!("{public}{key}"), format!("{key}{public}")] {
            refused(&text);
            assert_eq!(verdict_by(kind, &text), Status::KeyInvalid, "{text}");
        }
    }
    // A private key under a public label is no public key.
    refused(&pem("PUBLIC KEY", &rsa.private_der));
    refused(&pem("RSA PUBLIC KEY", &rsa.private_der));
    refused(&pem("CERTIFICATE", &rsa.private_der));
    refused(&pem("PUBLIC KEY", &pair("EdDSA").private_der));
}

#[test]
fn texts_that_are_no_key() {
    for text in [
        "",
        " ",
        "secret",
        "null",
        "[]",
        "{}",
        "{",
        "{\"keys\":1}",
        "{\"keys\":{}}",
        "{\"keys\":null}",
        "{\"kty\":\"RSA\"}",
        "{\"kty\":null}",
        "\"-----BEGIN\"",
        "-----BEGIN ",
        "-----BEGIN -----",
        "ssh-rsa AAAAB3NzaC1yc2E",
        "\0",
    ] {
        refused(text);
        assert_eq!(verdict_by("RS256", text), Status::KeyInvalid, "{text}");
    }
    refused(&format!("{}{}", pair("RS256").pem(), " ".repeat(MAX_KEY_LEN)));
    // Many blocks take no more time than one.
    refused(&"-----BEGIN PUBLIC KEY-----".repeat(MAX_KEY_LEN / 30));
    refused(&"-----BEGIN ".repeat(MAX_KEY_LEN / 12));
    let nested = format!("{{\"x\":{}{}}}", "[".repeat(100), "]".repeat(100));
    refused(&nested);
}

#[test]
fn der_is_read_to_its_end() {
    for kind in KINDS {
        let der = &pair(kind).public_der;
        for length in 0..der.len() {
            refused(&pem("PUBLIC KEY", &der[..length]));
        }
        refused(&pem("PUBLIC KEY", &[&der[..], &[0]].concat()));
    }
    let der = pair("RS256").rsa_public_der();
    refused(&pem("RSA PUBLIC KEY", &der[..der.len() - 1]));
    refused(&pem("RSA PUBLIC KEY", &[&der[..], &[0]].concat()));
}

#[test]
fn rsa_keys_by_size_and_exponent() {
    for bits in [1024, 2040, 2047] {
        let pair = Pair::rsa(bits);
        refused(&pair.pem());
        assert_eq!(verdict_by("RS256", &pair.pem()), Status::KeyInvalid, "{bits}");
    }
    let long = Pair::rsa(3072);
    let input = format!("{}.{}", b64(header("RS256")), b64(claims()));
    let signature = sign_with(&long, "RS256", input.as_bytes());
    assert!(verify(&format!("{input}.{}", b64(signature)), &long.pem()).is_ok());

    // ring does not sign with 3, openssl does.
    let three =
        Pair::generate(&["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-pkeyopt", "rsa_keygen_pubexp:3"]);
    let key = file("three.pem", three.private_pem());
    let signature = openssl(&["dgst", "-sha256", "-sign", &key], input.as_bytes());
    fs::remove_file(key).unwrap();
    assert!(verify(&format!("{input}.{}", b64(signature)), &three.pem()).is_ok());

    for (e, good) in [
        (&[1, 0, 1][..], true),
        (&[3], true),
        (&[1, 0xff, 0xff, 0xff, 0xff], true),
        (&[2, 0, 0, 0, 1], false),
        (&[1, 0, 0, 0, 0, 0, 0, 0, 1], false),
        (&[1], false),
        (&[2], false),
        (&[0], false),
        (&[], false),
        (&[1, 0, 0], false),
        (&[0, 1, 0, 1], true),
    ] {
        let key = with(jwk("RS256"), json!({"e": b64(e)})).to_string();
        assert_eq!(KeySet::parse(&key).is_ok(), good, "{e:?}");
    }
}

/// An RSA key that nobody can sign with: its modulus has so many bits and no small factor.
fn synthetic(bits: usize) -> String {
    let bytes = bits.div_ceil(8);
    let has_small_factor =
        |n: &[u8]| (2..1000u32).any(|p| n.iter().fold(0, |rest, byte| (rest * 256 + u32::from(*byte)) % p) == 0);
    let mut n = vec![0; bytes];
    n[0] = 1 << ((bits - 1) % 8);
    let n = (1..=u16::MAX)
        .find_map(|low| {
            n[bytes - 2..].copy_from_slice(&low.to_be_bytes());
            (!has_small_factor(&n)).then(|| n.clone())
        })
        .unwrap();
    json!({"kty": "RSA", "n": b64(n), "e": "AQAB"}).to_string()
}

#[test]
fn rsa_sizes_to_the_bit() {
    for (bits, good) in [
        (2047, false),
        (2048, true),
        (2049, true),
        (4096, true),
        (8191, true),
        (8192, true),
        (8193, false),
        (16384, false),
    ] {
        assert_eq!(KeySet::parse(&synthetic(bits)).is_ok(), good, "{bits}");
        let status = if good { Status::SignatureInvalid } else { Status::KeyInvalid };
        assert_eq!(verdict_by("RS256", &synthetic(bits)), status, "{bits}");
    }
}

#[test]
fn rsa_keys_that_are_weak() {
    let roca = include_str!("vectors/roca_2048.json");
    refused(roca);
    assert_eq!(verdict_by("RS256", roca), Status::KeyInvalid);
    let message = KeySet::parse(roca).unwrap_err().message().to_owned();
    assert!(message.contains("ROCA"), "{message}");

    let n = unb64(jwk("RS256")["n"].as_str().unwrap());
    let modulus = |n: &[u8]| with(jwk("RS256"), json!({"n": b64(n)})).to_string();
    assert!(KeySet::parse(&modulus(&n)).is_ok());
    let mut even = n.clone();
    *even.last_mut().unwrap() &= 0xfe;
    refused(&modulus(&even));
    refused(&modulus(&[0xff; 256]));
    refused(&modulus(&[]));
    refused(&modulus(&n[1..]));
}

#[test]
fn rsa_keys_for_pss_only() {
    let generated = |more: &[&str]| {
        let args = ["-algorithm", "RSA-PSS", "-pkeyopt", "rsa_keygen_bits:2048"];
        Pair::generate(&[&args, more].concat()).pem()
    };
    let unrestricted = generated(&[]);
    for (algorithm, status) in [
        ("PS256", Status::SignatureInvalid),
        ("PS512", Status::SignatureInvalid),
        ("RS256", Status::AlgorithmRefused),
        ("ES256", Status::AlgorithmRefused),
    ] {
        assert_eq!(verdict_by(algorithm, &unrestricted), status, "{algorithm}");
    }
    refused(&generated(&["-pkeyopt", "rsa_pss_keygen_md:sha256"]));
}

#[test]
fn curves_that_are_not_supported() {
    for (args, algorithm) in [
        (&["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521"][..], "ES256"),
        (&["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:secp256k1"], "ES256"),
        (&["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-224"], "ES256"),
        (&["-algorithm", "ED448"], "EdDSA"),
        (&["-algorithm", "X25519"], "EdDSA"),
    ] {
        let pem = Pair::generate(args).pem();
        refused(&pem);
        assert_eq!(verdict_by(algorithm, &pem), Status::KeyInvalid, "{args:?}");
        assert_eq!(verdict_by("RS256", &pem), Status::AlgorithmRefused, "{args:?}");
    }
    let explicit = Pair::generate(&[
        "-algorithm",
        "EC",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-pkeyopt",
        "ec_param_enc:explicit",
    ]);
    refused(&explicit.pem());
    let key = pair("ES256").pem();
    let compressed = openssl(&["ec", "-pubin", "-conv_form", "compressed"], key.as_bytes());
    refused(std::str::from_utf8(&compressed).unwrap());
}

#[test]
fn jwks_of_one_and_of_many() {
    for kind in KINDS {
        let key = jwk(kind);
        assert_eq!(verdict_by(kind, &key.to_string()), Status::Ok);
        assert_eq!(verdict_by(kind, &format!(" \r\n{key:#}\n")), Status::Ok);
        assert_eq!(verdict_by(kind, &set(&[key])), Status::Ok);
    }
    let all = set(&KINDS.map(|kind| with(jwk(kind), json!({"kid": kind, "use": "sig"}))));
    for algorithm in ALGORITHMS {
        assert_eq!(verdict_by(algorithm, &all), Status::Ok, "{algorithm}");
    }
    for kind in KINDS {
        assert_eq!(verdict_for_kid(kind, kind, &all), Status::Ok);
        assert_eq!(verdict_for_kid(kind, "other", &all), Status::KeyInvalid);
    }
    assert_eq!(verdict_for_kid("RS256", "ES256", &all), Status::AlgorithmRefused);
    let keys = KeySet::parse(&all).unwrap();
    assert!(keys.has_kid("ES384") && !keys.has_kid("es384") && !keys.has_kid(""));
}

#[test]
fn without_kid_those_that_fit_are_tried() {
    let decoy = |kid: &str| {
        let der = Pair::ec("P-256").public_der;
        let (x, y) = der[der.len() - 64..].split_at(32);
        json!({"kty": "EC", "crv": "P-256", "x": b64(x), "y": b64(y), "kid": kid})
    };
    let with_kid = |kind, kid: &str| with(jwk(kind), json!({"kid": kid}));
    let keys = set(&[decoy("1"), with_kid("RS256", "2"), decoy("3"), with_kid("ES256", "4")]);
    assert_eq!(verdict_by("ES256", &keys), Status::Ok);
    assert_eq!(verdict_for_kid("ES256", "4", &keys), Status::Ok);
    // With kid only that one.
    assert_eq!(verdict_for_kid("ES256", "3", &keys), Status::SignatureInvalid);
    assert_eq!(verdict_by("ES256", &set(&[decoy("1"), decoy("2")])), Status::SignatureInvalid);
    assert_eq!(verdict_by("ES384", &keys), Status::AlgorithmRefused);
    // A key that stands alone may lack it.
    assert_eq!(verdict_for_kid("ES256", "x", &jwk("ES256").to_string()), Status::Ok);
    assert_eq!(verdict_by("ES256", &with_kid("ES256", "4").to_string()), Status::Ok);
    assert_eq!(verdict_for_kid("ES256", "5", &with_kid("ES256", "4").to_string()), Status::KeyInvalid);
}

#[test]
fn sets_that_are_refused_whole() {
    let good = with(jwk("RS256"), json!({"kid": "good"}));
    let symmetric = json!({"kty": "oct", "k": b64([7; 32]), "kid": "hmac"});
    let private = with(jwk("ES256"), json!({"kid": "private", "d": b64([7; 32])}));
    for bad in [symmetric, json!({"kty": "oct"}), private, json!({"kty": "RSA", "p": "AQ"})] {
        for keys in [[good.clone(), bad.clone()], [bad.clone(), good.clone()]] {
            refused(&set(&keys));
            assert_eq!(verdict_for_kid("RS256", "good", &set(&keys)), Status::KeyInvalid);
            assert_eq!(verdict_by("RS256", &set(&keys)), Status::KeyInvalid);
        }
    }
    let text = good.to_string();
    refused(&format!(r#"{{"keys":[{text}],"keys":[]}}"#));
    refused(&format!(r#"{{"keys":[{text},{{"kid":"a","kid":"b"}}]}}"#));
    refused(&with(good, json!({"keys": []})).to_string());
}

#[test]
fn keys_of_a_set_that_are_passed_over() {
    let good = with(jwk("RS256"), json!({"kid": "good"}));
    for (odd, named) in [
        (json!({"kty": "AKP", "alg": "ML-DSA-44", "pub": "AA", "kid": "odd"}), Status::AlgorithmRefused),
        (json!({"kty": "AKP", "pub": "AA", "kid": "odd"}), Status::KeyInvalid),
        (json!({"kid": "odd"}), Status::KeyInvalid),
        (json!({"kty": "RSA", "kid": "odd"}), Status::KeyInvalid),
        (json!({"kty": "RSA", "n": "AQAB", "e": "AQAB", "kid": "odd"}), Status::KeyInvalid),
        (with(good.clone(), json!({"kid": "odd", "use": "enc"})), Status::KeyInvalid),
        (with(good.clone(), json!({"kid": "odd", "key_ops": ["encrypt"]})), Status::KeyInvalid),
        (with(good.clone(), json!({"kid": "odd", "alg": "RSA-OAEP"})), Status::AlgorithmRefused),
        (json!({"kty": "EC", "crv": "P-521", "x": "", "y": "", "kid": "odd"}), Status::AlgorithmRefused),
    ] {
        for keys in [[good.clone(), odd.clone()], [odd.clone(), good.clone()]] {
            let keys = set(&keys);
            assert_eq!(verdict_for_kid("RS256", "good", &keys), Status::Ok, "{odd}");
            assert_eq!(verdict_by("RS256", &keys), Status::Ok, "{odd}");
            assert_eq!(verdict_for_kid("RS256", "odd", &keys), named, "{odd}");
        }
        // Where it is alone there is nothing to verify with.
        let alone = verdict_by("RS256", &set(std::slice::from_ref(&odd)));
        assert!(matches!(alone, Status::KeyInvalid | Status::AlgorithmRefused), "{odd}");
    }
    // What is not understood is no key that the algorithm could be of.
    let unknown = json!({"kty": "AKP", "pub": "AA"});
    assert_eq!(verdict_by("ES256", &set(&[good, unknown.clone()])), Status::AlgorithmRefused);
    assert_eq!(verdict_by("ES256", &set(&[unknown])), Status::KeyInvalid);
    assert!(KeySet::parse(&set(&[])).is_ok());
    assert_eq!(verdict_by("RS256", &set(&[])), Status::KeyInvalid);
}

#[test]
fn jwks_say_what_they_are_for() {
    for (members, status) in [
        (json!({"use": "sig"}), Status::Ok),
        (json!({"use": "enc"}), Status::KeyInvalid),
        (json!({"use": "SIG"}), Status::KeyInvalid),
        (json!({"use": ""}), Status::KeyInvalid),
        (json!({"use": null}), Status::Ok),
        (json!({"use": ["sig"]}), Status::KeyInvalid),
        (json!({"key_ops": ["verify"]}), Status::Ok),
        (json!({"key_ops": ["sign", "verify"]}), Status::Ok),
        (json!({"key_ops": []}), Status::KeyInvalid),
        (json!({"key_ops": ["sign"]}), Status::KeyInvalid),
        (json!({"key_ops": ["Verify"]}), Status::KeyInvalid),
        (json!({"key_ops": "verify"}), Status::KeyInvalid),
        (json!({"key_ops": ["verify", 1]}), Status::KeyInvalid),
        (json!({"key_ops": null}), Status::Ok),
        (json!({"use": "sig", "key_ops": ["verify"]}), Status::Ok),
        (json!({"use": "sig", "key_ops": ["encrypt"]}), Status::KeyInvalid),
        (json!({"use": "enc", "key_ops": ["verify"]}), Status::KeyInvalid),
        (json!({"alg": "RS256"}), Status::Ok),
        (json!({"alg": "RS512"}), Status::AlgorithmRefused),
        (json!({"alg": "PS256"}), Status::AlgorithmRefused),
        (json!({"alg": "HS256"}), Status::AlgorithmRefused),
        (json!({"alg": "none"}), Status::AlgorithmRefused),
        (json!({"alg": "rs256"}), Status::AlgorithmRefused),
        (json!({"alg": "ES256"}), Status::AlgorithmRefused),
        (json!({"alg": null}), Status::Ok),
        (json!({"alg": ["RS256"]}), Status::KeyInvalid),
        // The algorithm is the graver fault.
        (json!({"alg": "RS512", "use": "enc"}), Status::AlgorithmRefused),
        (json!({"kid": 1}), Status::KeyInvalid),
        (json!({"x5c": ["!"], "x5u": 1, "other": {"a": 1}}), Status::Ok),
    ] {
        let key = with(jwk("RS256"), members.clone());
        assert_eq!(verdict_by("RS256", &key.to_string()), status, "{members}");
        assert_eq!(verdict_by("RS256", &set(&[key])), status, "{members} in a set");
    }
}

#[test]
fn jwks_with_private_or_wrong_members() {
    for name in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
        for value in [json!(b64([7; 32])), json!(""), json!(false), json!([])] {
            let key = with(jwk("RS256"), json!({name: value})).to_string();
            refused(&key);
            assert_eq!(verdict_by("RS256", &key), Status::KeyInvalid, "{name}");
        }
    }
    refused(&json!({"kty": "oct", "k": b64([7; 32])}).to_string());
    assert_eq!(verdict_by("RS256", &json!({"kty": "oct", "k": b64([7; 32])}).to_string()), Status::KeyInvalid);

    let ec = jwk("ES256");
    let x = unb64(ec["x"].as_str().unwrap());
    for (name, value) in [
        ("x", json!(b64(&x[1..]))),
        ("x", json!(b64([&[0], &x[..]].concat()))),
        ("x", json!("")),
        ("x", json!(null)),
        ("x", json!(1)),
        ("x", json!(format!("{}=", b64(&x)))),
        ("x", json!(format!("{}\n", b64(&x)))),
        ("x", json!(b64([0; 32]))),
        ("x", json!(b64([0xff; 32]))),
        ("y", ec["x"].clone()),
        ("y", json!(b64([0xff; 32]))),
        ("crv", json!("P-384")),
        ("crv", json!("p-256")),
        ("crv", json!("secp256k1")),
        ("crv", json!(null)),
        ("kty", json!("ec")),
        ("kty", json!("OKP")),
        ("kty", json!(null)),
    ] {
        refused(&with(ec.clone(), json!({name: value})).to_string());
    }
    // The right point, cut at the wrong place.
    let point = [x, unb64(ec["y"].as_str().unwrap())].concat();
    refused(&with(ec.clone(), json!({"x": b64(&point[..31]), "y": b64(&point[31..])})).to_string());
    let okp = jwk("EdDSA");
    for (name, value) in [
        ("x", json!(b64([2; 31]))),
        ("x", json!(b64([2; 33]))),
        ("x", json!(b64([0; 32]))),
        ("x", json!(b64([0xff; 32]))),
        ("crv", json!("Ed448")),
        ("crv", json!("X25519")),
        ("kty", json!("EC")),
    ] {
        refused(&with(okp.clone(), json!({name: value})).to_string());
    }
    let text = okp.to_string();
    let twice = text.replacen('{', r#"{"kty":"OKP","#, 1);
    refused(&twice);
    refused(&format!("{text}{text}"));
}

#[test]
fn the_cache_knows_a_text_by_all_of_it() {
    let cache = KeyCache::new();
    let token = token("RS256");
    let verify = |key: &str| {
        token::verify_with_key_text(&token, key, &cache, NOW_MS, 0)
            .map_err(|error| error.status())
            .err()
            .unwrap_or(Status::Ok)
    };
    let good = pair("RS256").pem();
    let other = Pair::rsa(2048).pem();
    let private = pair("RS256").private_pem();
    for _ in 0..3 {
        assert_eq!(verify(&good), Status::Ok);
        assert_eq!(verify(&good), Status::Ok);
        assert_eq!(verify(&other), Status::SignatureInvalid);
        assert_eq!(verify(&private), Status::KeyInvalid);
        assert_eq!(verify(&good[..good.len() / 2]), Status::KeyInvalid);
        assert_eq!(verify(&pair("ES256").pem()), Status::AlgorithmRefused);
    }
}

#[test]
fn neither_token_nor_key_is_ever_shown() {
    let canary = "canary7f3e";
    let keys = [
        format!("-----BEGIN PRIVATE KEY-----\n{canary}\n-----END PRIVATE KEY-----\n"),
        json!({"kty": "oct", "k": canary, "kid": canary}).to_string(),
        json!({"kty": "RSA", "d": canary, "n": canary, "e": canary}).to_string(),
        json!({"kty": canary, canary: canary}).to_string(),
        json!({"kty": "EC", "crv": canary, "alg": canary, "use": canary}).to_string(),
        canary.to_owned(),
    ];
    let tokens = [
        canary.to_owned(),
        token_of("RS256", format!(r#"{{"alg":"{canary}"}}"#), "{}"),
        token_of("RS256", format!(r#"{{"alg":"RS256","kid":"{canary}","crit":1}}"#), "{}"),
        token_of("RS256", header("RS256"), format!(r#"{{"sub":["{canary}"]}}"#)),
        token_of("RS256", header("RS256"), format!("{{{canary}")),
    ];
    let good = pair("RS256").pem();
    let mut seen = 0;
    for token in &tokens {
        for key in keys.iter().chain([&good]) {
            let cache = KeyCache::new();
            let error = token::verify_with_key_text(token, key, &cache, NOW_MS, 0).unwrap_err();
            let shown = format!("{error} {error:?} {cache:?} {:?}", KeySet::parse(key));
            assert!(!shown.contains(canary), "{shown}");
            seen += 1;
        }
    }
    assert_eq!(seen, tokens.len() * (keys.len() + 1));
}
