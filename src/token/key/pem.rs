//! Public keys in PEM: SPKI, PKCS#1, and X.509 certificates, which serve as containers of a key only.
#![forbid(unsafe_code)]

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use spki::der::asn1::{AnyRef, ObjectIdentifier, UintRef};
use spki::der::{self, Decode, Reader, SliceReader, Tag, Tagged};
use spki::{AlgorithmIdentifierRef, SubjectPublicKeyInfoRef};

use super::check::{self, Material};
use super::shape::Shape;
use super::types::{Key, KeyAlg, Kind};
use super::{fault, invalid};
use crate::error::Result;
use crate::token::jws::out_of_memory;

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const RSA_PSS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10");
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
const ED448: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.113");
const X25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.110");
const X448: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.111");

const NOT_DER: &str = "is not the DER that its PEM label announces";

/// The first usable key of `text`, or else the first with its fault. A private key in it spoils the text.
pub(super) fn parse(text: &str) -> Result<Key> {
    // However broken its block may be.
    if text.contains("PRIVATE KEY") {
        return Err(invalid("is a private key, or has one beside it: keep that secret"));
    }
    let mut unusable = None;
    for block in text.split("-----BEGIN ").skip(1).map(Block::of) {
        let parse = match block.label {
            "PUBLIC KEY" => spki,
            "RSA PUBLIC KEY" => pkcs1,
            "CERTIFICATE" => certificate,
            _ => continue,
        };
        let key = match block.decode()? {
            Some(der) => parse(&der).unwrap_or_else(|_| unknown(NOT_DER)),
            None => unknown("is PEM with a body that is not base64, or without its END line"),
        };
        if key.material.is_ok() {
            return Ok(key);
        }
        unusable.get_or_insert(key);
    }
    unusable.ok_or_else(|| fault(&Shape::of(text).instead_of_a_key()))
}

/// What follows a BEGIN line.
struct Block<'a> {
    label: &'a str,
    /// None when there is no END line of the same label.
    body: Option<&'a str>,
}

impl<'a> Block<'a> {
    /// From the text between one "BEGIN" and the next.
    fn of(text: &'a str) -> Self {
        let (label, rest) = text.split_once("-----").unwrap_or((text, ""));
        let body = rest.split_once("-----END ").and_then(|(body, end)| {
            let end = end.strip_prefix(label)?;
            end.starts_with("-----").then_some(body)
        });
        Block { label, body }
    }

    /// None when the body is not base64. White space in it has no meaning, and neither have escaped line ends.
    fn decode(&self) -> Result<Option<Vec<u8>>> {
        let Some(body) = self.body else {
            return Ok(None);
        };
        let (mut packed, mut der) = (Vec::new(), Vec::new());
        packed
            .try_reserve_exact(body.len())
            .and_then(|()| der.try_reserve_exact(base64::decoded_len_estimate(body.len())))
            .map_err(|_| out_of_memory())?;
        let mut bytes = body.bytes().peekable();
        while let Some(byte) = bytes.next() {
            match byte {
                _ if byte.is_ascii_whitespace() => {}
                // From an environment variable or a JSON file: line ends of two characters, or three.
                b'\\' if matches!(bytes.peek(), Some(b'n' | b'r' | b'\\')) => {
                    while bytes.next_if_eq(&b'\\').is_some() {}
                    bytes.next_if(|byte| matches!(byte, b'n' | b'r'));
                }
                _ => packed.push(byte),
            }
        }
        Ok(STANDARD.decode_vec(&packed, &mut der).is_ok().then_some(der))
    }
}

fn spki(der: &[u8]) -> der::Result<Key> {
    Ok(from_spki(&SubjectPublicKeyInfoRef::from_der(der)?))
}

fn pkcs1(der: &[u8]) -> der::Result<Key> {
    Ok(rsa(Kind::Rsa, der))
}

/// Neither dates nor signature of a certificate are looked at: who gives it, trusts it.
fn certificate(der: &[u8]) -> der::Result<Key> {
    let mut reader = SliceReader::new(der)?;
    let key = reader.sequence(|certificate| {
        let key = certificate.sequence(|tbs| {
            // The version, which certificates of version 1 leave out.
            let mut serial = AnyRef::decode(tbs)?;
            if serial.tag().is_context_specific() {
                serial = AnyRef::decode(tbs)?;
            }
            serial.tag().assert_eq(Tag::Integer)?;
            AlgorithmIdentifierRef::decode(tbs)?;
            for _issuer_validity_subject in 0..3 {
                AnyRef::decode(tbs)?.tag().assert_eq(Tag::Sequence)?;
            }
            let key = from_spki(&SubjectPublicKeyInfoRef::decode(tbs)?);
            tbs.drain(tbs.remaining_len())?;
            Ok::<_, der::Error>(key)
        })?;
        certificate.drain(certificate.remaining_len())?;
        Ok::<_, der::Error>(key)
    })?;
    reader.finish()?;
    Ok(key)
}

fn from_spki(spki: &SubjectPublicKeyInfoRef<'_>) -> Key {
    let Some(bytes) = spki.subject_public_key.as_bytes() else {
        return unknown(NOT_DER);
    };
    let parameters = spki.algorithm.parameters;
    match spki.algorithm.oid {
        RSA if parameters.is_some_and(AnyRef::is_null) => rsa(Kind::Rsa, bytes),
        RSA => faulty(Kind::Rsa, "is RSA with parameters, which must be NULL"),
        RSA_PSS if parameters.is_none() => rsa(Kind::RsaPss, bytes),
        RSA_PSS => faulty(Kind::RsaPss, "is RSASSA-PSS with restrictions, which are not supported"),
        EC => match parameters.map(ObjectIdentifier::try_from) {
            Some(Ok(P256)) => key(Kind::P256, check::ec(Kind::P256, bytes)),
            Some(Ok(P384)) => key(Kind::P384, check::ec(Kind::P384, bytes)),
            Some(Ok(_)) => faulty(Kind::OtherEc, check::OTHER_CURVE),
            _ => faulty(Kind::OtherEc, "has no named curve"),
        },
        ED25519 if parameters.is_none() => key(Kind::Ed25519, check::ed25519(bytes)),
        ED25519 => faulty(Kind::Ed25519, NOT_DER),
        ED448 | X25519 | X448 => faulty(Kind::OtherOkp, check::OTHER_CURVE),
        _ => unknown("is of a type that is not supported"),
    }
}

fn rsa(kind: Kind, der: &[u8]) -> Key {
    let numbers = SliceReader::new(der).and_then(|mut reader| {
        let numbers = reader.sequence(|key| {
            let n = UintRef::decode(key)?;
            let e = UintRef::decode(key)?;
            Ok::<_, der::Error>((n, e))
        })?;
        reader.finish()?;
        Ok(numbers)
    });
    match numbers {
        Ok((n, e)) => key(kind, check::rsa(n.as_bytes(), e.as_bytes())),
        Err(_) => faulty(kind, NOT_DER),
    }
}

fn key(kind: Kind, material: Material) -> Key {
    Key { kid: None, kind, alg: KeyAlg::Unspecified, material }
}

fn faulty(kind: Kind, fault: &'static str) -> Key {
    key(kind, Err(fault))
}

fn unknown(fault: &'static str) -> Key {
    faulty(Kind::Unknown, fault)
}
