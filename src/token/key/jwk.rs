//! Public keys in JSON: a JWK or a JWKS (RFC 7517). Null counts as absent.
#![forbid(unsafe_code)]

use super::shape::Shape;
use super::types::{Key, KeyAlg, Kind};
use super::{KeySet, check, fault, invalid};
use crate::error::{Error, Result};
use crate::redact;
use crate::token::algorithm::Algorithm;
use crate::token::json::{self, Fault, Object};
use crate::token::jws::{decode_base64url, out_of_memory};

/// Members that only a private key has.
const PRIVATE_MEMBERS: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "priv"];
/// The member that only a symmetric key has.
const SYMMETRIC_MEMBER: &str = "k";
/// How much of a kid is shown.
pub(super) const MAX_KID: usize = 60;

/// The key or keys of `text`.
pub(super) fn parse(text: &str) -> Result<KeySet> {
    let object = Object::parse(text).map_err(|fault| match fault {
        Fault::NoMemory => out_of_memory(),
        fault => invalid(fault.as_str()),
    })?;
    match (object.present("keys"), object.present("kty")) {
        (Some(_), Some(_)) => Err(invalid("is a JWK and a JWKS at once")),
        (Some(keys), None) => parse_set(keys),
        (None, Some(_)) => {
            check_is_public(&object, None)?;
            Ok(KeySet::single(parse_jwk(&object)?))
        }
        (None, None) => {
            check_is_public(&object, None)?;
            Err(fault(&Shape::of(text).instead_of_a_key()))
        }
    }
}

fn parse_set(keys: &str) -> Result<KeySet> {
    let keys = json::array(keys).map_err(|fault| match fault {
        Fault::NoMemory => out_of_memory(),
        _ => invalid("is a JWKS whose keys are not an array"),
    })?;
    let mut parsed: Vec<Key> = Vec::new();
    parsed.try_reserve_exact(keys.len()).map_err(|_| out_of_memory())?;
    for (index, key) in keys.into_iter().enumerate() {
        // What is no object is no key, and the others are as good as before. The whole text was checked already.
        if let Ok(jwk) = Object::parse_shallow(key) {
            check_is_public(&jwk, Some(index + 1))?;
            parsed.push(parse_jwk(&jwk)?);
        }
    }
    Ok(KeySet::set(parsed))
}

/// Nobody should have got a key that is not public: whoever publishes or gives one has to hear of it.
fn check_is_public(jwk: &Object<'_>, number: Option<usize>) -> Result<()> {
    let is_symmetric = jwk.present("kty").and_then(json::string).as_deref() == Some("oct");
    let secret_members = || [SYMMETRIC_MEMBER].into_iter().chain(PRIVATE_MEMBERS);
    let found = secret_members().find(|name| jwk.present(name).is_some());
    if !is_symmetric && found.is_none() {
        return Ok(());
    }
    let what = if is_symmetric || found == Some(SYMMETRIC_MEMBER) { "symmetric" } else { "private" };
    let member = found.map(|name| format!(" (it has \"{name}\")")).unwrap_or_default();
    let Some(number) = number else {
        return Err(fault(&format!("is a {what} key{member}: keep that secret, and give the public one")));
    };
    // A kid is no secret, unless it is made of one.
    let secrets: Vec<_> = secret_members().filter_map(|name| jwk.present(name).and_then(json::string)).collect();
    let secrets: Vec<&str> = secrets.iter().map(AsRef::as_ref).collect();
    let kid = match jwk.present("kid").and_then(json::string) {
        Some(kid) => format!(" with kid \"{}\"", redact::clean(&kid, &secrets, MAX_KID)),
        None => String::new(),
    };
    Err(fault(&format!("set holds a {what} key: key {number} of it{kid}{member}; have its publisher take that out")))
}

/// The error is memory that could not be reserved; a fault is this key's only, and others of its set may still do.
fn parse_jwk(jwk: &Object<'_>) -> Result<Key> {
    let kty = jwk.present("kty").and_then(json::string);
    let crv = jwk.present("crv").and_then(json::string);
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
    match jwk.present("kid").map(json::string) {
        None => {}
        Some(Some(kid)) => key.kid = Some(kid.into_owned()),
        Some(None) => fault = Err("has a kid that is not a string"),
    }
    match jwk.present("alg").map(json::string) {
        None => {}
        Some(Some(alg)) => {
            key.alg = Algorithm::named(&alg).map_or(KeyAlg::Other, KeyAlg::Only);
        }
        Some(None) => fault = Err("has an alg that is not a string"),
    }
    match jwk.present("use").map(json::string) {
        None => {}
        Some(Some(purpose)) if purpose == "sig" => {}
        Some(_) => fault = Err("has a use other than sig"),
    }
    if let Some(operations) = jwk.present("key_ops") {
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
    match jwk.present(name).and_then(json::string) {
        Some(text) => decode_base64url(&text),
        None => Ok(None),
    }
}
