//! Takes a compact JWS (RFC 7515) apart: three parts of canonical base64url, and a header that is understood.
#![forbid(unsafe_code)]

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::algorithm::Algorithm;
use super::json::{self, Fault, Object};
use crate::error::{Error, Result, Status};

/// The longest token that is looked at, in bytes.
pub const MAX_TOKEN_LEN: usize = 64 * 1024;

/// A token taken apart. Nothing in it is to be trusted before the signature holds.
pub(crate) struct Jws<'a> {
    /// What the signature covers: header and payload as they came.
    pub(crate) signing_input: &'a [u8],
    pub(crate) header: Header,
    /// Not looked at yet.
    pub(crate) payload: Vec<u8>,
    pub(crate) signature: Vec<u8>,
}

/// What counts in a header; null counts as absent. Members that would bring a key along (`jwk`, `jku`, `x5c`, `x5u`) are not read.
pub(crate) struct Header {
    /// The algorithm, or why there is none that could be accepted.
    pub(crate) algorithm: std::result::Result<Algorithm, &'static str>,
    pub(crate) kid: Option<String>,
}

impl<'a> Jws<'a> {
    /// The parts of `token`, or [`Status::TokenMalformed`].
    pub(crate) fn parse(token: &'a str) -> Result<Self> {
        if token.len() > MAX_TOKEN_LEN {
            return Err(malformed("is longer than 64 KiB"));
        }
        let mut parts = token.split('.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(malformed("does not have three parts with a dot between"));
        };
        let signing_input = &token.as_bytes()[..header.len() + 1 + payload.len()];
        Ok(Jws {
            signing_input,
            header: Header::parse(&decode_part(header, "header")?)?,
            payload: decode_part(payload, "payload")?,
            signature: decode_part(signature, "signature")?,
        })
    }
}

impl Header {
    fn parse(header: &[u8]) -> Result<Self> {
        let bad = |what| malformed_part("header", what);
        let header = std::str::from_utf8(header).map_err(|_| bad("is not UTF-8"))?;
        let header = Object::parse(header).map_err(|fault| match fault {
            Fault::NoMemory => out_of_memory(),
            fault => bad(fault.as_str()),
        })?;

        let algorithm =
            header.present("alg").and_then(json::string).ok_or_else(|| bad("has no alg that is a string"))?;
        // No extension is implemented, so any that must be understood is unknown.
        if header.present("crit").is_some() {
            return Err(bad("has a crit that is not supported"));
        }
        // RFC 7797: the payload would not be base64url.
        if !matches!(header.present("b64"), None | Some("true")) {
            return Err(bad("has a b64 other than true"));
        }
        let kid = match header.present("kid") {
            None => None,
            Some(kid) => Some(json::string(kid).ok_or_else(|| bad("has a kid that is not a string"))?.into_owned()),
        };
        Ok(Header { algorithm: supported(&algorithm), kid })
    }
}

/// The algorithm of that name if any key could be used with it.
fn supported(name: &str) -> std::result::Result<Algorithm, &'static str> {
    Algorithm::named(name).ok_or_else(|| match name {
        "HS256" | "HS384" | "HS512" => {
            "the token is made with HMAC, which a public key can't verify: have it signed with RS, PS, ES or EdDSA"
        }
        _ if name.eq_ignore_ascii_case("none") => {
            "the token is not signed (alg none): have it signed with RS, PS, ES or EdDSA"
        }
        _ => "the token's alg is not supported: RS256/384/512, PS256/384/512, ES256, ES384 and EdDSA are",
    })
}

/// Canonical base64url: no padding, no other alphabet, no white space, no stray bits in the last character.
fn decode_part(part: &str, name: &str) -> Result<Vec<u8>> {
    decode_base64url(part)?.ok_or_else(|| malformed_part(name, "is not canonical base64url"))
}

/// The bytes that `text` stands for; none when it is not canonical base64url.
pub(crate) fn decode_base64url(text: &str) -> Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(base64::decoded_len_estimate(text.len())).map_err(|_| out_of_memory())?;
    // The room is there, so this allocates nothing.
    Ok(URL_SAFE_NO_PAD.decode_vec(text, &mut bytes).is_ok().then_some(bytes))
}

fn malformed(what: &str) -> Error {
    Error::new(Status::TokenMalformed, format!("the token {what}: it is not a compact JWS"))
}

fn malformed_part(part: &str, what: &str) -> Error {
    malformed(&format!("has a {part} that {what}"))
}

pub(crate) fn out_of_memory() -> Error {
    Error::new(Status::NoMemory, "not enough memory for a token or key of this size")
}
