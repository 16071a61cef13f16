//! Public keys in JSON: a JWK or a JWKS (RFC 7517).
#![forbid(unsafe_code)]

use super::types::{Key, KeyAlg, Kind};
use super::{KeySet, check, invalid};
use crate::error::{Error, Result};
use crate::token::algorithm::Algorithm;
use crate::token::json::{self, Fault, Object};
use crate::token::jws::{decode_base64url, out_of_memory};

/// Members that only a private or symmetric key has.
const SECRET_MEMBERS: [&str; 9] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"];

/// The key or keys of `text`.
pub(super) fn parse(text: &str) -> Result<KeySet> {
    let object = parse_object(text)?;
    match object.get("keys") {
        None => Ok(KeySet::single(parse_jwk(&object)?)),
        Some(_) if object.contains("kty") => Err(invalid("is a JWK and a JWKS at once")),
        Some(keys) => parse_set(keys),
    }
}

fn parse_set(keys: &str) -> Result<KeySet> {
    let keys = json::array(keys).map_err(|fault| match fault {
        Fault::NoMemory => out_of_memory(),
        _ => invalid("is a JWKS whose keys are not an array"),
    })?;
    let mut parsed: Vec<Key> = Vec::new();
    parsed.try_reserve_exact(keys.len()).map_err(|_| out_of_memory())?;
    for key in keys {
        parsed.push(parse_jwk(&parse_object(key)?)?);
    }

    let mut kids: Vec<&str> = parsed.iter().filter_map(|key| key.kid.as_deref()).collect();
    kids.sort_unstable();
    if kids.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(invalid("is a JWKS with the same kid twice"));
    }
    Ok(KeySet::set(parsed))
}

fn parse_object(text: &str) -> Result<Object<'_>> {
    Object::parse(text).map_err(|fault| match fault {
        Fault::NoMemory => out_of_memory(),
        fault => invalid(fault.as_str()),
    })
}

/// An error spoils the whole text; a fault only this key, and others of its set may still do.
fn parse_jwk(jwk: &Object<'_>) -> Result<Key> {
    let kty = jwk.get("kty").and_then(json::string);
    if kty.as_deref() == Some("oct") {
        return Err(invalid("is symmetric, or has such a key beside it"));
    }
    if SECRET_MEMBERS.iter().any(|name| jwk.contains(name)) {
        return Err(invalid("is a private key, or has one beside it: keep that secret"));
    }

    let crv = jwk.get("crv").and_then(json::string);
    let kind = match (kty.as_deref(), crv.as_deref()) {
        (Some("RSA"), _) => Kind::Rsa,
        (Some("EC"), Some("P-256")) => Kind::P256,
        (Some("EC"), Some("P-384")) => Kind::P384,
        (Some("EC"), _) => Kind::OtherEc,
        (Some("OKP"), Some("Ed25519")) => Kind::Ed25519,
        (Some("OKP"), _) => Kind::OtherOkp,
        _ => Kind::Unknown,
    };
    let mut key =
        Key { kid: None, kind, alg: KeyAlg::Unspecified, material: Err("is of a type that is not supported") };
    key.material = match material(kind, jwk)? {
        Ok(material) => restrict(&mut key, jwk).map(|()| material),
        Err(fault) => {
            // Its kid still counts: a token that names it must not be tried with another key.
            restrict(&mut key, jwk).ok();
            Err(fault)
        }
    };
    Ok(key)
}

/// Takes over `kid` and `alg`; a fault when the key says that it is not for verifying.
fn restrict(key: &mut Key, jwk: &Object<'_>) -> std::result::Result<(), &'static str> {
    let mut fault = Ok(());
    match jwk.get("kid").map(json::string) {
        None => {}
        Some(Some(kid)) => key.kid = Some(kid.into_owned()),
        Some(None) => fault = Err("has a kid that is not a string"),
    }
    match jwk.get("alg").map(json::string) {
        None => {}
        Some(Some(alg)) => {
            key.alg = Algorithm::named(&alg).map_or(KeyAlg::Other, KeyAlg::Only);
        }
        Some(None) => fault = Err("has an alg that is not a string"),
    }
    match jwk.get("use").map(json::string) {
        None => {}
        Some(Some(purpose)) if purpose == "sig" => {}
        Some(_) => fault = Err("has a use other than sig"),
    }
    if let Some(operations) = jwk.get("key_ops") {
        let operations: Option<Vec<_>> =
            json::array(operations).ok().and_then(|operations| operations.into_iter().map(json::string).collect());
        let verifies = |operations: Vec<_>| operations.iter().any(|name| name == "verify");
        if !operations.is_some_and(verifies) {
            fault = Err("has key_ops without verify");
        }
    }
    fault
}

/// The outer error is memory that could not be reserved.
fn material(kind: Kind, jwk: &Object<'_>) -> Result<check::Material> {
    let bytes = |name| member_bytes(jwk, name);
    Ok(match kind {
        Kind::Rsa => match (bytes("n")?, bytes("e")?) {
            (Some(n), Some(e)) => check::rsa(&n, &e),
            _ => Err("lacks n or e in canonical base64url"),
        },
        Kind::P256 | Kind::P384 => match (bytes("x")?, bytes("y")?) {
            (Some(x), Some(y)) => check::ec_coordinates(kind, &x, &y),
            _ => Err("lacks x or y in canonical base64url"),
        },
        Kind::Ed25519 => match bytes("x")? {
            Some(x) => check::ed25519(&x),
            None => Err("lacks x in canonical base64url"),
        },
        Kind::OtherEc | Kind::OtherOkp => Err(check::OTHER_CURVE),
        Kind::RsaPss | Kind::Unknown => Err("is of a type that is not supported"),
    })
}

fn member_bytes(jwk: &Object<'_>, name: &str) -> std::result::Result<Option<Vec<u8>>, Error> {
    match jwk.get(name).and_then(json::string) {
        Some(text) => decode_base64url(&text),
        None => Ok(None),
    }
}
