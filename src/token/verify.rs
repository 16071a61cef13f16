//! The gate: a payload comes out only when the signature, the claims' types and the times hold.
#![forbid(unsafe_code)]

use super::algorithm::Algorithm;
use super::claims::{Payload, Times};
use super::jws::Jws;
use super::key::{KeyCache, KeySet};
use crate::error::{Error, Result, Status};

/// Verifies `token` with `keys` at `now_ms` (milliseconds since the Unix epoch). The first fault is reported, in this order:
/// token malformed, algorithm, key, signature, claims, `nbf`, `exp`.
pub fn verify(token: &str, keys: &KeySet, now_ms: i64, leeway_s: u64) -> Result<Payload> {
    check(&Jws::parse(token)?, keys, now_ms, leeway_s)
}

/// As [`verify`], with the text of the key: PEM, JWK or JWKS. `cache` keeps what was parsed of it.
pub fn verify_with_key_text(
    token: &str,
    key_text: &str,
    cache: &KeyCache,
    now_ms: i64,
    leeway_s: u64,
) -> Result<Payload> {
    let jws = Jws::parse(token)?;
    algorithm(&jws)?;
    cache.with(key_text, |keys| check(&jws, keys, now_ms, leeway_s))
}

/// The faults that no key could heal: a malformed token, an algorithm that is never accepted.
pub fn precheck(token: &str) -> Result<()> {
    algorithm(&Jws::parse(token)?).map(drop)
}

/// The payload of `token`, not verified: its form is checked, its signature and algorithm are not.
pub fn decode(token: &str) -> Result<Payload> {
    Payload::parse(&Jws::parse(token)?.payload)
}

/// The `kid` of the token's header; none when it has none, or is malformed.
pub fn kid(token: &str) -> Option<String> {
    Jws::parse(token).ok()?.header.kid
}

fn algorithm(jws: &Jws<'_>) -> Result<Algorithm> {
    jws.header.algorithm.map_err(|why| Error::new(Status::AlgorithmRefused, why))
}

fn check(jws: &Jws<'_>, keys: &KeySet, now_ms: i64, leeway_s: u64) -> Result<Payload> {
    let algorithm = algorithm(jws)?;
    let keys = keys.select(algorithm, jws.header.kid.as_deref())?;
    if !keys.into_iter().any(|key| key.holds(algorithm, jws.signing_input, &jws.signature)) {
        return Err(Error::new(
            Status::SignatureInvalid,
            "the token's signature does not hold: it was changed, or made with another key",
        ));
    }
    let payload = Payload::parse_typed(&jws.payload)?;
    check_times(payload.times(), now_ms, leeway_s)?;
    Ok(payload)
}

fn check_times(times: Times, now_ms: i64, leeway_s: u64) -> Result<()> {
    let leeway_ms = i64::try_from(leeway_s).unwrap_or(i64::MAX).saturating_mul(1000);
    if times.nbf_ms.is_some_and(|nbf| now_ms.saturating_add(leeway_ms) < nbf) {
        return Err(Error::new(
            Status::TokenNotYetValid,
            "the token is not valid yet (nbf): check this machine's clock",
        ));
    }
    if times.exp_ms.is_some_and(|exp| now_ms >= exp.saturating_add(leeway_ms)) {
        return Err(Error::new(Status::TokenExpired, "the token has expired (exp): refresh it, or log in again"));
    }
    Ok(())
}
