//! Whether a refusal judges the refresh token itself, or may be somebody else's: an ingress, a maintenance page, a path
//! that is wrong.
#![forbid(unsafe_code)]

use serde_json::Value;

use crate::wiped_json::WipedJson;

/// How much of a text is looked at.
const LOOKED_AT: usize = 4 * 1024;
/// Levels of JSON that are looked into.
const MAX_DEPTH: usize = 6;

/// What a refresh token is called, and what it stands for.
const NAMES: &[&str] = &["token", "session"];
/// What makes of such a name a verdict.
const VERDICTS: &[&str] = &[
    "invalid",
    "not valid",
    "expired",
    "revoked",
    "used",
    "reuse",
    "consumed",
    "ended",
    "terminated",
    "closed",
    "unknown",
    "not found",
    "not exist",
    "not active",
    "inactive",
    "not recognized",
    "no longer",
    "blacklist",
    "blocklist",
];
/// What is said of a request that was not understood, of a body that is not JSON, or of another kind of token.
const EXCUSES: &[&str] = &["missing", "required", "must be", "should", "unexpected", "csrf", "xsrf"];

/// Whether the body of a refusal is about the refresh token: one of its texts says `invalid_grant`, or that a token or
/// a session is invalid, expired, revoked, used, unknown or the like. Pages of markup never do.
pub(crate) fn is_about_token(body: &[u8]) -> bool {
    if let Some(json) = WipedJson::parse_answer(body) {
        return any_text(json.root(), 0);
    }
    std::str::from_utf8(body).is_ok_and(|text| !text.trim_start().starts_with('<') && judges(text))
}

fn any_text(value: &Value, depth: usize) -> bool {
    match value {
        _ if depth > MAX_DEPTH => false,
        Value::String(text) => judges(text),
        Value::Array(items) => items.iter().any(|item| any_text(item, depth + 1)),
        Value::Object(map) => map.values().any(|value| any_text(value, depth + 1)),
        _ => false,
    }
}

fn judges(text: &str) -> bool {
    let start = text.char_indices().nth(LOOKED_AT).map_or(text, |(end, _)| &text[..end]);
    // The path of the request is echoed by many a server that does not know it.
    let words: Vec<String> =
        start.split_whitespace().filter(|word| !word.contains('/')).map(str::to_lowercase).collect();
    let said = words.join(" ").replace(['_', '-'], " ");
    let has = |words: &[&str]| words.iter().any(|word| said.contains(word));
    said.contains("invalid grant") || (has(NAMES) && has(VERDICTS) && !has(EXCUSES))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_judges_the_token() {
        for body in [
            r#"{"error":"invalid_grant"}"#,
            r#"{"error":"invalid_grant","error_description":"Token is not active"}"#,
            r#"{"error":{"code":"INVALID_GRANT"}}"#,
            r#"{"detail":"Token is blacklisted","code":"token_not_valid"}"#,
            r#"{"message":"the refresh token was used before; the session has been ended","details":[]}"#,
            r#"{"message":"unknown refresh token"}"#,
            r#"{"message":"the session has ended"}"#,
            r#"{"message":["Refresh-Token expired"],"statusCode":401}"#,
            r#"{"errors":[{"code":"REFRESH_TOKEN_EXPIRED"}]}"#,
            "invalid refreshToken",
        ] {
            assert!(is_about_token(body.as_bytes()), "{body}");
        }
    }

    #[test]
    fn what_may_be_somebody_elses_word() {
        for body in [
            "",
            "{}",
            "null",
            "default backend - 404",
            "404 page not found",
            r#"{"message":"as ordered","details":[]}"#,
            r#"{"message":"Missing Authentication Token"}"#,
            r#"{"message":"Cannot POST /api/v1/auth/refresh-token","error":"Not Found","statusCode":404}"#,
            r#"{"status":404,"error":"Not Found","path":"/api/v1/auth/refresh-token"}"#,
            r#"{"message":["refreshToken must be a string","refreshToken should not be empty"]}"#,
            r#"{"message":"Unexpected token < in JSON at position 0","type":"invalid"}"#,
            r#"{"message":"invalid csrf token"}"#,
            r#"{"error":"forbidden","token":null,"expired":true}"#,
            "<html><title>403 Forbidden</title>invalid token</html>",
            "\u{feff}<!doctype html><p>Your session has expired",
        ] {
            assert!(!is_about_token(body.trim_start_matches('\u{feff}').as_bytes()), "{body}");
        }
        assert!(!is_about_token(b"token expired \xff"));
        let far = format!("{}token expired", " x".repeat(LOOKED_AT));
        assert!(!is_about_token(far.as_bytes()));
    }
}
