//! Claims: their types, the times, the project, and that every value survives.
#![forbid(unsafe_code)]

mod token_support;

use gcauth::Status;
use gcauth::token::{self, Times};
use token_support::*;

fn verdict_on(payload: &str) -> Status {
    verdict("EdDSA", &token_of("EdDSA", header("EdDSA"), payload))
}

/// A token that nobody signed.
fn unsigned(payload: impl AsRef<[u8]>) -> String {
    format!("{}.{}.", b64(r#"{"alg":"none"}"#), b64(payload))
}

#[test]
fn registered_claims_have_their_types() {
    let wrong_for_strings = ["true", "[]", "[\"a\"]", "{}"];
    let wrong_for_numbers =
        ["true", "false", "\"1800000100\"", "\"\"", "[]", "[1800000100]", "{}", "\"2027-01-15T08:00:00Z\""];
    let wrong_for_audience = ["1", "true", "{}", "[1]", "[\"a\",null]", "[[\"a\"]]", "{\"a\":\"b\"}"];
    for (names, values) in [
        (&["iss", "sub", "jti"][..], &wrong_for_strings[..]),
        (&["iss"], &["1", "1.5"]),
        (&["exp", "nbf", "iat"], &wrong_for_numbers),
        (&["aud"], &wrong_for_audience),
    ] {
        for name in names {
            for value in values {
                let payload = format!(r#"{{"{name}":{value}}}"#);
                assert_eq!(verdict_on(&payload), Status::ClaimsMalformed, "{payload}");
                // Reading without verifying does not judge types.
                assert_eq!(token::decode(&unsigned(&payload)).unwrap().as_json(), payload);
            }
        }
    }
    for payload in [
        r#"{}"#,
        r#"{"iss":"","sub":"a","jti":"x","aud":"b"}"#,
        r#"{"aud":[]}"#,
        r#"{"aud":["a","b"]}"#,
        r#"{"exp":1800000100.5,"nbf":1799999999.5,"iat":1.79e9}"#,
        r#"{"exp":18e8,"nbf":0,"iat":-1}"#,
        r#"{"IAT":"x","Exp":null,"issuer":1}"#,
        r#"{"nested":{"exp":"x","aud":1}}"#,
        // An odd iat is not in the table of faults.
        r#"{"iat":99999999999}"#,
    ] {
        assert_eq!(verdict_on(payload), Status::Ok, "{payload}");
    }
}

#[test]
fn times_are_kept_to_the_millisecond() {
    let key = pair("EdDSA").pem();
    let at = |payload: &str, now_ms, leeway_s| {
        let token = token_of("EdDSA", header("EdDSA"), payload);
        verify_at(&token, &key, now_ms, leeway_s).err().unwrap_or(Status::Ok)
    };
    let exp = r#"{"exp":1000}"#;
    assert_eq!(at(exp, 999_999, 0), Status::Ok);
    assert_eq!(at(exp, 1_000_000, 0), Status::TokenExpired);
    assert_eq!(at(exp, 1_029_999, 30), Status::Ok);
    assert_eq!(at(exp, 1_030_000, 30), Status::TokenExpired);
    assert_eq!(at(r#"{"exp":1000.5}"#, 1_000_499, 0), Status::Ok);
    assert_eq!(at(r#"{"exp":1000.5}"#, 1_000_500, 0), Status::TokenExpired);
    assert_eq!(at(r#"{"exp":1.0005e3}"#, 1_000_499, 0), Status::Ok);
    assert_eq!(at(r#"{"exp":1.0005e3}"#, 1_000_500, 0), Status::TokenExpired);

    let nbf = r#"{"nbf":1000}"#;
    assert_eq!(at(nbf, 999_999, 0), Status::TokenNotYetValid);
    assert_eq!(at(nbf, 1_000_000, 0), Status::Ok);
    assert_eq!(at(nbf, 969_999, 30), Status::TokenNotYetValid);
    assert_eq!(at(nbf, 970_000, 30), Status::Ok);

    // Without exp there is no end; with nonsense for a clock or a leeway no overflow.
    assert_eq!(at("{}", i64::MAX, 0), Status::Ok);
    assert_eq!(at("{}", i64::MIN, u64::MAX), Status::Ok);
    assert_eq!(at(exp, i64::MAX, 0), Status::TokenExpired);
    assert_eq!(at(exp, i64::MIN, u64::MAX), Status::Ok);
    assert_eq!(at(nbf, i64::MIN, u64::MAX), Status::TokenNotYetValid);
}

#[test]
fn huge_numbers_saturate() {
    for (number, status_as_exp, status_as_nbf) in [
        ("1e400", Status::Ok, Status::TokenNotYetValid),
        ("1e99999999999999999999", Status::Ok, Status::TokenNotYetValid),
        ("9223372036854775807", Status::Ok, Status::TokenNotYetValid),
        ("9223372036854775808", Status::Ok, Status::TokenNotYetValid),
        ("99999999999999999999999999.9", Status::Ok, Status::TokenNotYetValid),
        ("-1e400", Status::TokenExpired, Status::Ok),
        ("-9223372036854775809", Status::TokenExpired, Status::Ok),
        ("1e-400", Status::TokenExpired, Status::Ok),
        ("0", Status::TokenExpired, Status::Ok),
        ("-0", Status::TokenExpired, Status::Ok),
    ] {
        assert_eq!(verdict_on(&format!(r#"{{"exp":{number}}}"#)), status_as_exp, "{number}");
        assert_eq!(verdict_on(&format!(r#"{{"nbf":{number}}}"#)), status_as_nbf, "{number}");
        assert_eq!(verdict_on(&format!(r#"{{"iat":{number}}}"#)), Status::Ok, "{number}");
    }
    let long = "9".repeat(10_000);
    assert_eq!(verdict_on(&format!(r#"{{"exp":{long}}}"#)), Status::Ok);
    assert_eq!(verdict_on(&format!(r#"{{"exp":0.{long}}}"#)), Status::TokenExpired);
}

#[test]
fn the_payload_is_compact_and_otherwise_untouched() {
    let payload = " { \"z\" : 9223372036854775808 ,\n\"a\": [ 1.10, 1E5, -0.0 ,1e999 ] ,\t\"t\":\" \\u00e9\\/ \u{1f600} \\u0000\",\"\":{ } }";
    let compact =
        "{\"z\":9223372036854775808,\"a\":[1.10,1E5,-0.0,1e999],\"t\":\" \\u00e9\\/ \u{1f600} \\u0000\",\"\":{}}";
    let token = token_of("EdDSA", header("EdDSA"), payload);
    assert_eq!(token::decode(&token).unwrap().as_json(), compact);
    assert_eq!(verify(&token, &pair("EdDSA").pem()).unwrap().as_json(), compact);
    // Nothing of the claims gets into a log by accident.
    let debug = format!("{:?}", token::decode(&token).unwrap());
    assert!(!debug.contains("9223372036854775808"), "{debug}");
}

#[test]
fn the_first_path_that_is_there_gives_the_project() {
    let paths: Vec<String> = ["project_id", "projectId", "project.id", "project"].map(str::to_owned).to_vec();
    let project =
        |payload: &str| token::decode(&unsigned(payload)).unwrap().project_id(&paths).map_err(|error| error.status());
    for (payload, id) in [
        (r#"{"project_id":7}"#, 7),
        (r#"{"project_id":"42"}"#, 42),
        (r#"{"project_id":-1}"#, -1),
        (r#"{"project_id":9223372036854775807}"#, i64::MAX),
        (r#"{"project_id":"-9223372036854775808"}"#, i64::MIN),
        (r#"{"project_id":9007199254740993}"#, 9_007_199_254_740_993),
        (r#"{"projectId":2,"project_id":1}"#, 1),
        (r#"{"projectId":2}"#, 2),
        (r#"{"project":{"id":3}}"#, 3),
        (r#"{"project":{"id":"3","name":"x"}}"#, 3),
        (r#"{"project.id":4,"project":{"id":3}}"#, 4),
        (r#"{"project":5}"#, 5),
        (r#"{"project_id":null,"project":5}"#, 5),
        (r#"{"project_id":{},"projectId":[],"project":5}"#, 5),
        (r#"{"project\u005fid":6}"#, 6),
    ] {
        assert_eq!(project(payload), Ok(id), "{payload}");
    }
    for payload in [
        r#"{}"#,
        r#"{"project":{}}"#,
        r#"{"project":{"name":"x"}}"#,
        r#"{"project":{"id":{"id":1}}}"#,
        r#"{"project_id":null}"#,
        r#"{"project_id":""}"#,
        r#"{"project_id":"abc"}"#,
        r#"{"project_id":"1 "}"#,
        r#"{"project_id":"+1"}"#,
        r#"{"project_id":1.5}"#,
        r#"{"project_id":1.0}"#,
        r#"{"project_id":1e3}"#,
        r#"{"project_id":true}"#,
        r#"{"project_id":9223372036854775808}"#,
        r#"{"project_id":"x","projectId":2}"#,
        r#"{"PROJECT_ID":1}"#,
    ] {
        assert_eq!(project(payload), Err(Status::ClaimMissing), "{payload}");
    }
    let none = token::decode(&unsigned(r#"{"project_id":1}"#)).unwrap();
    assert_eq!(none.project_id(&[]).unwrap_err().status(), Status::ClaimMissing);
}

#[test]
fn times_in_other_forms() {
    let times = |claims: &str| token::times(&unsigned(claims));
    for (value, ms) in [
        ("1800000000", 1_800_000_000_000),
        ("1.8e9", 1_800_000_000_000),
        ("\"1800000000\"", 1_800_000_000_000),
        ("\" 1800000000.5\\n\"", 1_800_000_000_500),
        ("\"1.8e9\"", 1_800_000_000_000),
        ("\"\\u0031800000000\"", 1_800_000_000_000),
        ("1800000000123", 1_800_000_000_123),
        ("1800000000123.9", 1_800_000_000_123),
        ("1.800000000123e12", 1_800_000_000_123),
        ("\"1800000000123\"", 1_800_000_000_123),
        ("100000000000", 100_000_000_000_000),
        ("100000000000.001", 100_000_000_000),
        ("100000000001", 100_000_000_001),
        ("0", 0),
        ("-1", -1000),
        ("\"-1.5\"", -1500),
        // In nanoseconds; what no unit explains means never.
        ("9223372036854775807", i64::MAX / 1_000_000),
        ("1e999", i64::MAX),
        ("\"99999999999999999999999999\"", i64::MAX),
    ] {
        let found = times(&format!(r#"{{"exp":{value},"iat":{value},"nbf":{value}}}"#));
        assert_eq!((found.exp_ms, found.iat_ms, found.nbf_ms), (Some(ms), Some(ms), Some(ms)), "{value}");
        assert!(!found.is_exp_unreadable, "{value}");
    }
    for value in [
        "\"\"",
        "\" \"",
        "\"soon\"",
        "\"1 h\"",
        "\"inf\"",
        "\"NaN\"",
        "\"--1\"",
        "\"0x10\"",
        "\"1_000\"",
        "true",
        "[1]",
        "{}",
    ] {
        let found = times(&format!(r#"{{"exp":{value},"iat":{value}}}"#));
        assert_eq!((found.exp_ms, found.iat_ms, found.is_exp_unreadable), (None, None, true), "{value}");
    }
    for claims in ["{}", r#"{"exp":null}"#, r#"{"iat":"x"}"#] {
        assert!(!times(claims).is_exp_unreadable, "{claims}");
    }
    // Verification knows seconds only.
    assert_eq!(verdict_on(r#"{"exp":"4102444800"}"#), Status::ClaimsMalformed);
    assert_eq!(verdict_on(r#"{"nbf":1800000000000}"#), Status::TokenNotYetValid);
}

#[test]
fn times_never_fail() {
    let none = Times::default();
    for token in ["", ".", "..", "opaque", "a.b.c", "\u{1f600}.\u{1f600}.", "x.e30.", "x.bnVsbA.y", "x.eyJleHAi.y"] {
        assert_eq!(token::times(token), none, "{token}");
    }
    let times = |payload: &str| token::times(&unsigned(payload));
    let exp = |payload: &str| times(payload).exp_ms;
    // Other forms count for renewal; see times_in_other_forms.
    assert_eq!(exp(r#"{"exp":"1800000000"}"#), Some(1_800_000_000_000));
    assert_eq!(exp(r#"{"exp":null}"#), None);
    assert_eq!(exp(r#"{"exp":1}"#), Some(1000));
    assert_eq!(exp(r#"{"exp":1.9999}"#), Some(1999));
    assert_eq!(exp(r#"{"exp":1800000000.001}"#), Some(1_800_000_000_001));
    assert_eq!(exp(r#"{"exp":-0.5}"#), Some(-500));
    assert_eq!(exp(r#"{"exp":-0.0001}"#), Some(-1));
    assert_eq!(exp(r#"{"exp":-1.5}"#), Some(-1500));
    assert_eq!(exp(r#"{"exp":1e3}"#), Some(1_000_000));
    assert_eq!(exp(r#"{"exp":1e300}"#), Some(i64::MAX));
    assert_eq!(exp(r#"{"exp":-1e300}"#), Some(i64::MIN));
    assert_eq!(exp(r#"{"exp":9223372036854775807}"#), Some(i64::MAX / 1_000_000));
    assert_eq!(times(r#"{"exp":-0.5}"#).exp_s(), Some(-1));
    assert_eq!(times(r#"{"exp":1999.9}"#).exp_s(), Some(1999));
    // What verification would refuse still tells when to renew.
    for payload in [r#"{"exp":2,"iat":1,"a":1,"a":1}"#, r#"{"exp":1,"iat":1,"exp":2}"#] {
        let found = times(payload);
        assert_eq!((found.exp_ms, found.iat_ms), (Some(2000), Some(1000)), "{payload}");
    }
    let padded = format!("not a header.{}==.?", b64(r#"{"exp":2,"a":1}"#));
    assert_eq!(token::times(&padded).exp_ms, Some(2000));
    assert_eq!(token::times(&unsigned("[".repeat(50_000))), none);
}

#[test]
fn kids_are_read_without_a_key() {
    let kid = |header: &str| token::kid(&format!("{}.e30.", b64(header)));
    assert_eq!(kid(r#"{"alg":"RS256","kid":"k1"}"#).as_deref(), Some("k1"));
    assert_eq!(kid(r#"{"alg":"none","kid":""}"#).as_deref(), Some(""));
    assert_eq!(kid(r#"{"alg":"RS256"}"#), None);
    assert_eq!(kid(r#"{"kid":"k1"}"#), None);
    assert_eq!(token::kid("opaque"), None);
}
