//! A token, a newline, and a key text; without a newline, the published keys.
#![no_main]

use std::sync::LazyLock;

use gcauth::Status;
use gcauth::token::{self, KeyCache, KeySet};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

/// 2011-03-22, when the tokens of RFC 7515 were valid.
const NOW_MS: i64 = 1_300_800_000_000;

struct Published {
    token: String,
    keys: KeySet,
}

static PUBLISHED: LazyLock<Vec<Published>> = LazyLock::new(|| {
    [
        include_str!("../../tests/vectors/rfc7515_a_2_rs256.json"),
        include_str!("../../tests/vectors/rfc7515_a_3_es256.json"),
        include_str!("../../tests/vectors/rfc7520_4_1_rs256.json"),
        include_str!("../../tests/vectors/rfc7520_4_2_ps384.json"),
        include_str!("../../tests/vectors/rfc8037_a_eddsa.json"),
    ]
    .iter()
    .map(|text| {
        let mut vector: Value = serde_json::from_str(text).expect("vectors are JSON");
        let key = vector["key"].as_object_mut().expect("keys are objects");
        key.retain(|name, _| ["kty", "kid", "crv", "n", "e", "x", "y"].contains(&name.as_str()));
        Published {
            token: vector["token"].as_str().expect("tokens are strings").to_owned(),
            keys: KeySet::parse(&vector["key"].to_string()).expect("published keys are good"),
        }
    })
    .collect()
});

fn signing_input(token: &str) -> Option<&str> {
    token.rsplit_once('.').map(|(input, _)| input)
}

fuzz_target!(|text: &str| {
    if let Some((token, key)) = text.split_once('\n') {
        let cache = KeyCache::new();
        let first = token::verify_with_key_text(token, key, &cache, NOW_MS, 30);
        assert_eq!(first, token::verify_with_key_text(token, key, &cache, NOW_MS, 30));
        if let Ok(keys) = KeySet::parse(key) {
            assert_eq!(first, token::verify(token, &keys, NOW_MS, 30));
        }
        if let Ok(payload) = first {
            assert_eq!(token::decode(token), Ok(payload));
        }
        return;
    }
    for published in PUBLISHED.iter() {
        let holds = match token::verify(text, &published.keys, NOW_MS, 30) {
            Ok(_) => true,
            Err(error) => {
                matches!(error.status(), Status::ClaimsMalformed | Status::TokenNotYetValid | Status::TokenExpired)
            }
        };
        // Two of the tokens share a key.
        let known = |known: &Published| signing_input(&known.token) == signing_input(text);
        assert!(!holds || PUBLISHED.iter().any(known), "a forgery");
    }
});
