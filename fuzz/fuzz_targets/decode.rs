//! Any text as a token, and any bytes as the payload of one.
#![no_main]

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gcauth::token;
use libfuzzer_sys::fuzz_target;

fn with_payload(payload: &[u8]) -> String {
    // {"alg":"none"}
    format!("eyJhbGciOiJub25lIn0.{}.", URL_SAFE_NO_PAD.encode(payload))
}

fuzz_target!(|data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data) {
        check(text);
    }
    check(&with_payload(data));
});

fn check(token: &str) {
    let times = token::times(token);
    let _ = token::kid(token);
    let _ = token::precheck(token);
    let Ok(payload) = token::decode(token) else {
        return;
    };
    let json = payload.as_json();
    serde_json::from_str::<&serde_json::value::RawValue>(json).expect("compact text is JSON");
    assert_eq!(payload.times(), times);
    let paths = ["a", "a.b", "project_id", ""].map(str::to_owned);
    let _ = payload.project_id(&paths);

    let again = token::decode(&with_payload(json.as_bytes()));
    // Compact text never grows, but the header of this one may be longer than the first.
    if let Ok(again) = again {
        assert_eq!(again, payload);
    } else {
        assert!(json.len() > 40_000);
    }
}
