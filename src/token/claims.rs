//! What a payload says: its compact text, its times, its project, and the types of the registered claims.
#![forbid(unsafe_code)]

use std::fmt;

use super::json::{self, Fault, Object};
use super::jws::{decode_base64url, out_of_memory};
use crate::error::{Error, Result, Status};

/// A greater numeric date is one in milliseconds.
const MOST_SECONDS: i64 = 100_000_000_000;
/// From 2004 to 2286.
const PLAUSIBLE_MS: std::ops::Range<f64> = 1.1e12..1e13;

/// The payload of a token: a JSON object.
#[derive(Clone, PartialEq, Eq)]
pub struct Payload {
    json: String,
    times: Times,
}

/// When a token was issued and when it expires, in milliseconds since the Unix epoch, rounded down; what is
/// numeric but absurd saturates. None where the token does not say so in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// The claim `exp`.
    pub exp_ms: Option<i64>,
    /// The claim `iat`.
    pub iat_ms: Option<i64>,
    /// The claim `nbf`.
    pub nbf_ms: Option<i64>,
    /// Whether the claim `exp` is there, and says nothing that could be read.
    pub is_exp_unreadable: bool,
}

impl Times {
    /// The claim `exp` in whole seconds, rounded down.
    pub fn exp_s(&self) -> Option<i64> {
        self.exp_ms.map(|ms| ms.div_euclid(1000))
    }

    fn of(claims: &Object<'_>, read: impl Fn(&str) -> Option<i64>) -> Self {
        let time = |name| claims.get_last(name).filter(|value| *value != "null").map(&read);
        let exp = time("exp");
        Times {
            exp_ms: exp.flatten(),
            iat_ms: time("iat").flatten(),
            nbf_ms: time("nbf").flatten(),
            is_exp_unreadable: exp == Some(None),
        }
    }
}

impl Payload {
    /// Checks that `bytes` are one JSON object without duplicate members, and keeps its compact text.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self> {
        let text = text(bytes)?;
        Self::of(text, &object(text)?)
    }

    /// As [`Payload::parse`]; the registered claims must also have the types of RFC 7519.
    pub(crate) fn parse_typed(bytes: &[u8]) -> Result<Self> {
        let text = text(bytes)?;
        let claims = object(text)?;
        check_types(&claims)?;
        Self::of(text, &claims)
    }

    fn of(text: &str, claims: &Object<'_>) -> Result<Self> {
        Ok(Payload { json: json::compact(text).map_err(malformed)?, times: Times::of(claims, milliseconds) })
    }

    /// The object in compact form: members in the token's own order, numbers and strings in their own text.
    pub fn as_json(&self) -> &str {
        &self.json
    }

    /// The times of the payload.
    pub fn times(&self) -> Times {
        self.times
    }

    /// The project's number: the first claim in `paths` that is there decides. A path is a member's name, or
    /// names with dots between. A number without fraction or a string of digits counts; objects, arrays and
    /// null are passed over.
    pub fn project_id(&self, paths: &[String]) -> Result<i64> {
        let claims = object(&self.json)?;
        for path in paths {
            let Some(value) = find(&claims, path) else {
                continue;
            };
            let number = match value.as_bytes().first() {
                Some(b'{' | b'[') => continue,
                _ if value == "null" => continue,
                Some(b'"') => json::string(value).and_then(|text| integer(&text)),
                _ => integer(value),
            };
            return number.ok_or_else(|| {
                Error::new(
                    Status::ClaimMissing,
                    format!("the claim {path} is not a 64-bit integer: set claims.project_id in the config"),
                )
            });
        }
        Err(Error::new(
            Status::ClaimMissing,
            "the token has no claim with a project id: log in to a project, or set claims.project_id in the config",
        ))
    }
}

impl fmt::Debug for Payload {
    // Claims are personal data: they have no place in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Payload").field("times", &self.times).finish_non_exhaustive()
    }
}

/// The times of whatever may be a token, to know when to renew it. Never fails: what can't be read is not there. Numbers
/// in text, and milliseconds, count here, unlike in verification: a token that is never renewed would be the worse fault.
pub fn times(token: &str) -> Times {
    let Some(payload) = token.split('.').nth(1) else {
        return Times::default();
    };
    match decode_base64url(payload.trim_end_matches('=')) {
        Ok(Some(bytes)) => std::str::from_utf8(&bytes)
            .ok()
            .and_then(|text| Object::parse_shallow(text).ok())
            .map(|claims| Times::of(&claims, milliseconds_in_any_form))
            .unwrap_or_default(),
        _ => Times::default(),
    }
}

fn text(bytes: &[u8]) -> Result<&str> {
    std::str::from_utf8(bytes).map_err(|_| wrong("is not UTF-8"))
}

fn object(text: &str) -> Result<Object<'_>> {
    Object::parse(text).map_err(malformed)
}

/// Null counts as absent.
fn check_types(claims: &Object<'_>) -> Result<()> {
    let is_string = |value: &str| value.starts_with('"');
    if claims.present("iss").is_some_and(|value| !is_string(value)) {
        return Err(wrong_type("iss", "a string"));
    }
    // RFC 7519 has strings only, but issuers take numbers from their databases, and refusing those protects nobody.
    for name in ["sub", "jti"] {
        if claims.present(name).is_some_and(|value| !is_string(value) && !json::is_number(value)) {
            return Err(wrong_type(name, "a string or a number"));
        }
    }
    if let Some(aud) = claims.present("aud") {
        let strings = |list: Vec<&str>| list.into_iter().all(is_string);
        if !is_string(aud) && !json::array(aud).is_ok_and(strings) {
            return Err(wrong_type("aud", "a string or an array of strings"));
        }
    }
    for name in ["exp", "nbf", "iat"] {
        if claims.present(name).is_some_and(|value| !json::is_number(value)) {
            return Err(wrong_type(name, "a number"));
        }
    }
    Ok(())
}

/// As [`milliseconds`], for what issuers write in its place: text with a number in it, or a finer unit.
fn milliseconds_in_any_form(value: &str) -> Option<i64> {
    let text = if json::is_number(value) { value.into() } else { json::string(value)? };
    let text = text.trim();
    let is_number =
        text.trim_start_matches('-').starts_with(|c: char| c.is_ascii_digit()) && text.parse::<f64>().is_ok();
    let ms = is_number.then(|| milliseconds(text)).flatten()?;
    if ms <= MOST_SECONDS * 1000 {
        return Some(ms);
    }
    // In seconds that would be in the year 5138. Still finer units are taken only where they give a likely date: round
    // numbers beyond mean never.
    let number = text.parse::<f64>().ok()?;
    let per_ms = [1e6, 1e3].into_iter().find(|per_ms| PLAUSIBLE_MS.contains(&(number / per_ms))).unwrap_or(1.0);
    Some((number / per_ms).floor() as i64)
}

/// A numeric date (seconds) in milliseconds, rounded down.
fn milliseconds(value: &str) -> Option<i64> {
    if !json::is_number(value) {
        return None;
    }
    if value.contains(['e', 'E']) {
        let seconds: f64 = value.parse().ok()?;
        return Some((seconds * 1000.0).floor() as i64);
    }
    let (negative, digits) = match value.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, value),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    // More digits than fit are far beyond what is saturated to anyway.
    let whole = whole.parse::<i64>().unwrap_or(i64::MAX);
    let thousandths = fraction
        .bytes()
        .chain(std::iter::repeat(b'0'))
        .take(3)
        .fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0'));
    let ms = whole.saturating_mul(1000).saturating_add(thousandths);
    if !negative {
        return Some(ms);
    }
    let rest = fraction.bytes().skip(3).any(|digit| digit != b'0');
    Some((-ms).saturating_sub(i64::from(rest)))
}

fn integer(text: &str) -> Option<i64> {
    // from_str would take a plus sign as well.
    if text.starts_with('+') {
        return None;
    }
    text.parse().ok()
}

/// A member of that whole name, or else a walk along the names between the dots.
fn find<'a>(claims: &Object<'a>, path: &str) -> Option<&'a str> {
    if let Some(value) = claims.get(path) {
        return Some(value);
    }
    let (first, rest) = path.split_once('.')?;
    let inner = Object::parse_shallow(claims.get(first)?).ok()?;
    find(&inner, rest)
}

fn malformed(fault: Fault) -> Error {
    match fault {
        Fault::NoMemory => out_of_memory(),
        fault => wrong(fault.as_str()),
    }
}

fn wrong(what: &str) -> Error {
    Error::new(Status::ClaimsMalformed, format!("the token's payload {what}: ask its issuer"))
}

fn wrong_type(claim: &str, expected: &str) -> Error {
    wrong(&format!("has a claim {claim} that is not {expected}"))
}
