//! Published tokens and keys: RFC 7515 appendix A, RFC 7520 section 4, RFC 8037 appendix A.
#![forbid(unsafe_code)]

mod token_support;

use gcauth::Status;
use gcauth::token::{self, KeySet};
use serde_json::Value;
use token_support::*;

struct Vector {
    private: Value,
    public: Value,
    payload: String,
    token: String,
}

fn vector(text: &str) -> Vector {
    let vector: Value = serde_json::from_str(text).unwrap();
    let private = vector["key"].clone();
    let mut public = private.clone();
    for name in ["d", "p", "q", "dp", "dq", "qi"] {
        public.as_object_mut().unwrap().remove(name);
    }
    Vector {
        private,
        public,
        payload: vector["payload"].as_str().unwrap().to_owned(),
        token: vector["token"].as_str().unwrap().to_owned(),
    }
}

fn in_a_set(key: &Value) -> String {
    serde_json::json!({"keys": [key]}).to_string()
}

#[test]
fn rfc_7515_tokens_verify_and_expire() {
    for text in [include_str!("vectors/rfc7515_a_2_rs256.json"), include_str!("vectors/rfc7515_a_3_es256.json")] {
        let v = vector(text);
        let key = v.public.to_string();
        let exp = 1_300_819_380_000;
        let payload = verify_at(&v.token, &key, exp - 1, 0).unwrap();
        assert_eq!(payload.as_json(), r#"{"iss":"joe","exp":1300819380,"http://example.com/is_root":true}"#);
        assert_eq!(payload.times().exp_ms, Some(exp));
        assert_eq!(verify_at(&v.token, &in_a_set(&v.public), exp - 1, 0), Ok(payload));
        assert_eq!(verify_at(&v.token, &key, exp, 0), Err(Status::TokenExpired));
        assert!(verify_at(&v.token, &key, exp, 1).is_ok());
    }
}

#[test]
fn rfc_7520_and_8037_signatures_hold_though_the_payload_is_text() {
    for text in [
        include_str!("vectors/rfc7520_4_1_rs256.json"),
        include_str!("vectors/rfc7520_4_2_ps384.json"),
        include_str!("vectors/rfc8037_a_eddsa.json"),
    ] {
        let v = vector(text);
        // Claims are looked at after the signature: this verdict says that it holds.
        for key in [v.public.to_string(), in_a_set(&v.public)] {
            assert_eq!(verify(&v.token, &key), Err(Status::ClaimsMalformed), "{key}");
        }
        let parts: Vec<&str> = v.token.split('.').collect();
        assert_eq!(unb64(parts[1]), v.payload.as_bytes());
        let changed = format!("{}.{}.{}", parts[0], b64("changed"), parts[2]);
        assert_eq!(verify(&changed, &v.public.to_string()), Err(Status::SignatureInvalid));
        // The published private key is refused as a public one, alone and in a set.
        for key in [v.private.to_string(), in_a_set(&v.private)] {
            assert_eq!(verify(&v.token, &key), Err(Status::KeyInvalid), "{key}");
            assert_eq!(KeySet::parse(&key).unwrap_err().status(), Status::KeyInvalid);
        }
    }
}

#[test]
fn es512_and_hmac_are_refused() {
    for text in [include_str!("vectors/rfc7520_4_3_es512.json"), include_str!("vectors/rfc7520_4_4_hs256.json")] {
        let v = vector(text);
        for key in [v.public.to_string(), v.private.to_string(), in_a_set(&v.public), pair("ES256").pem()] {
            assert_eq!(verify(&v.token, &key), Err(Status::AlgorithmRefused), "{key}");
        }
        assert_eq!(token::precheck(&v.token).unwrap_err().status(), Status::AlgorithmRefused);
        assert_eq!(KeySet::parse(&v.public.to_string()).unwrap_err().status(), Status::KeyInvalid);
    }
}

#[test]
fn a_token_of_another_kid_is_not_tried() {
    let v = vector(include_str!("vectors/rfc7520_4_1_rs256.json"));
    let other = with(v.public, serde_json::json!({"kid": "frodo.baggins@hobbiton.example"}));
    for key in [other.to_string(), in_a_set(&other)] {
        assert_eq!(verify(&v.token, &key), Err(Status::KeyInvalid));
    }
}
