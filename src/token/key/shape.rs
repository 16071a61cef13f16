//! Describes a text that is not a key although it should be, and says what to give instead.
#![forbid(unsafe_code)]

use crate::redact;
use crate::text::trim_start;
use crate::token::json::{self, Object};

/// How much of a name that stands in the text is shown.
const MAX_SHOWN: usize = 120;

/// Something that people take for a key or a key set.
pub(crate) enum Shape {
    Nothing,
    Html,
    /// OpenID Connect's, with the URL of the key set.
    Discovery(String),
    PemByKid,
    Pem,
    Array,
    Token,
    Ssh,
    FileName,
    OtherJson,
    Other,
}

/// What `text` is instead of a JWKS, or a JWK; none where it is one, perhaps with keys that can't be used.
pub(crate) fn not_a_set(text: &str) -> Option<Shape> {
    let object = Object::parse_shallow(trim_start(text));
    let is_set = object.is_ok_and(|object| object.present("keys").or(object.present("kty")).is_some());
    (!is_set).then(|| Shape::of(text))
}

impl Shape {
    /// What `text` looks like, provided that it is neither a JWK nor a JWKS.
    pub(super) fn of(text: &str) -> Self {
        let text = trim_start(text).trim_end();
        let begins = |start: &str| text.get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start));
        let is_one_word = !text.contains(|c: char| c.is_whitespace());
        let ends_like_a_file = [".pem", ".json", ".jwk", ".jwks", ".crt", ".cer", ".key", ".pub"];
        match text {
            "" => Shape::Nothing,
            _ if text.contains("-----BEGIN ") && !begins("{") => Shape::Pem,
            _ if begins("<") => Shape::Html,
            _ if begins("ssh-") || begins("ecdsa-sha2-") => Shape::Ssh,
            _ if begins("[") => Shape::Array,
            _ if begins("{") => Self::of_object(text),
            _ if begins("eyJ") && is_one_word && text.split('.').count() == 3 => Shape::Token,
            _ if is_one_word
                && (begins("/") || begins("./") || ends_like_a_file.iter().any(|end| text.ends_with(end))) =>
            {
                Shape::FileName
            }
            _ => Shape::Other,
        }
    }

    fn of_object(text: &str) -> Self {
        let Ok(object) = Object::parse_shallow(text) else {
            return Shape::Other;
        };
        if let Some(uri) = object.present("jwks_uri").and_then(json::string) {
            return Shape::Discovery(redact::clean(&uri, &[], MAX_SHOWN));
        }
        let is_pem = |value: &str| json::string(value).is_some_and(|text| text.contains("-----BEGIN "));
        if object.values().any(is_pem) { Shape::PemByKid } else { Shape::OtherJson }
    }

    /// Whether it is at least a JSON object.
    pub(crate) fn is_object(&self) -> bool {
        matches!(self, Shape::Discovery(_) | Shape::PemByKid | Shape::OtherJson)
    }

    /// The end of a sentence that begins with the key.
    pub(super) fn instead_of_a_key(&self) -> String {
        match self {
            Shape::Nothing => "is empty: give the issuer's as PEM, JWK or JWKS",
            Shape::Html => "is HTML, a web page: give the issuer's key as PEM, JWK or JWKS",
            Shape::Discovery(_) => "is a discovery document: give the text at its jwks_uri, or set that as jwks_url",
            Shape::PemByKid => "is a map from kid to PEM: give the PEM of one kid, or the issuer's JWKS",
            Shape::Array => "is a JSON array: give the keys as {\"keys\": [...]}",
            Shape::Token => "is a token: give the issuer's key as PEM, JWK or JWKS",
            Shape::Ssh => "is in the form of SSH: give it as PEM (ssh-keygen -e -m PKCS8)",
            Shape::FileName => "is the name of a file: give the text that is in the file",
            Shape::OtherJson => "is JSON with neither kty nor keys: give the issuer's as PEM, JWK or JWKS",
            Shape::Pem | Shape::Other => {
                "is neither PEM nor JSON with a public key in it: give the issuer's as PEM, JWK or JWKS"
            }
        }
        .to_owned()
    }

    /// The same for a sentence that begins with the answer of a `jwks_url`.
    pub(crate) fn instead_of_a_set(&self) -> String {
        match self {
            Shape::Nothing => "is empty: check jwks_url".into(),
            Shape::Html => "is HTML, a web page: set jwks_url to the key set itself (JSON)".into(),
            Shape::Discovery(uri) => format!("is a discovery document: set jwks_url to its jwks_uri, {uri}"),
            Shape::PemByKid => {
                "is a map from kid to PEM: set public_key to the PEM of one kid, or jwks_url to the issuer's JWKS"
                    .into()
            }
            Shape::Pem => "is PEM, not a JWKS: set public_key to this text instead of jwks_url".into(),
            Shape::Array => "is a JSON array, not a JWKS: set jwks_url to an object with the member keys".into(),
            Shape::Token => "is a token: set jwks_url to the issuer's key set".into(),
            Shape::OtherJson => "is JSON with neither keys nor kty: set jwks_url to the issuer's key set".into(),
            Shape::Ssh | Shape::FileName | Shape::Other => {
                "is not a JSON object: set jwks_url to the issuer's key set".into()
            }
        }
    }
}
