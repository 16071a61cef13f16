//! What stands in a certificate, for messages: whether it is valid, others judge.
#![forbid(unsafe_code)]

use rustls::pki_types::PrivateKeyDer;
use spki::der::asn1::{AnyRef, GeneralizedTime, ObjectIdentifier, UintRef, UtcTime};
use spki::der::{self, Decode, Reader, SliceReader, Tag, Tagged};
use spki::{AlgorithmIdentifierRef, SubjectPublicKeyInfoRef};

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const RSA_PSS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10");
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const DSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10040.4.1");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
const ED448: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.113");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const P521: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");

/// Signature algorithms that are not supported, as people know them.
const SIGNATURES: &[(ObjectIdentifier, &str)] = &[
    (ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.4"), "ECDSA and SHA-512"),
    (ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.1"), "ECDSA and SHA-224"),
    (ObjectIdentifier::new_unwrap("1.2.840.10045.4.1"), "ECDSA and SHA-1"),
    (ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.4"), "RSA and MD5"),
    (ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.5"), "RSA and SHA-1"),
    (ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.14"), "RSA and SHA-224"),
    (RSA_PSS, "RSASSA-PSS and unusual parameters"),
    (ED448, "Ed448"),
    (ObjectIdentifier::new_unwrap("1.2.840.10040.4.3"), "DSA"),
    (ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.3.2"), "DSA"),
];

/// The parts of a certificate that messages need.
pub(super) struct Certificate<'a> {
    pub(super) is_v1: bool,
    pub(super) issuer: &'a [u8],
    validity: AnyRef<'a>,
    key: SubjectPublicKeyInfoRef<'a>,
}

impl<'a> Certificate<'a> {
    pub(super) fn read(der: &'a [u8]) -> Option<Self> {
        let mut reader = SliceReader::new(der).ok()?;
        reader.sequence(Self::read_all).ok()
    }

    fn read_all(certificate: &mut SliceReader<'a>) -> der::Result<Self> {
        let found = certificate.sequence(|tbs| {
            let first = AnyRef::decode(tbs)?;
            // Those of version 1 leave it out.
            let is_v1 = !first.tag().is_context_specific();
            if !is_v1 {
                AnyRef::decode(tbs)?;
            }
            AlgorithmIdentifierRef::decode(tbs)?;
            let issuer = AnyRef::decode(tbs)?.value();
            let validity = AnyRef::decode(tbs)?;
            AnyRef::decode(tbs)?;
            let key = SubjectPublicKeyInfoRef::decode(tbs)?;
            tbs.drain(tbs.remaining_len())?;
            Ok::<_, der::Error>(Certificate { is_v1, issuer, validity, key })
        })?;
        certificate.drain(certificate.remaining_len())?;
        Ok(found)
    }

    /// When it expires: Unix seconds.
    fn not_after_s(&self) -> Option<i64> {
        let mut validity = SliceReader::new(self.validity.value()).ok()?;
        AnyRef::decode(&mut validity).ok()?;
        let end = AnyRef::decode(&mut validity).ok()?;
        let since_epoch = match end.tag() {
            Tag::UtcTime => end.decode_as::<UtcTime>().ok()?.to_unix_duration(),
            _ => end.decode_as::<GeneralizedTime>().ok()?.to_unix_duration(),
        };
        i64::try_from(since_epoch.as_secs()).ok()
    }

    /// What is wrong with its key, if it is of no use to us.
    pub(super) fn key_fault(&self) -> Option<&'static str> {
        key_fault(&self.key)
    }
}

/// When the certificate `der` expires: Unix seconds.
pub(crate) fn not_after_s(der: &[u8]) -> Option<i64> {
    Certificate::read(der)?.not_after_s()
}

/// The same of a public key without the frame of its outer sequence, as trust anchors have it.
pub(super) fn anchor_key_fault(spki: &[u8]) -> Option<&'static str> {
    let mut reader = SliceReader::new(spki).ok()?;
    let algorithm = AlgorithmIdentifierRef::decode(&mut reader).ok()?;
    let subject_public_key = Decode::decode(&mut reader).ok()?;
    key_fault(&SubjectPublicKeyInfoRef { algorithm, subject_public_key })
}

fn key_fault(key: &SubjectPublicKeyInfoRef) -> Option<&'static str> {
    match key.algorithm.oid {
        RSA | RSA_PSS => {
            let mut reader = SliceReader::new(key.subject_public_key.as_bytes()?).ok()?;
            let modulus: UintRef = reader
                .sequence(|key| {
                    let modulus = UintRef::decode(key)?;
                    key.drain(key.remaining_len())?;
                    Ok::<_, der::Error>(modulus)
                })
                .ok()?;
            is_weak(modulus).then_some("an RSA key under 2048 bits")
        }
        EC => curve_fault(key.algorithm.parameters.and_then(|parameters| ObjectIdentifier::try_from(parameters).ok())),
        ED25519 => None,
        ED448 => Some("an Ed448 key"),
        DSA => Some("a DSA key"),
        _ => Some("a key of an unusual kind"),
    }
}

fn curve_fault(curve: Option<ObjectIdentifier>) -> Option<&'static str> {
    match curve {
        Some(P256 | P384) => None,
        Some(P521) => Some("a P-521 key"),
        _ => Some("a key on another elliptic curve than P-256 and P-384"),
    }
}

fn is_weak(modulus: UintRef) -> bool {
    let bytes = modulus.as_bytes();
    let bits = bytes.first().map_or(0, |first| 8 * bytes.len() - first.leading_zeros() as usize);
    bits < 2048
}

/// What is wrong with a private key that can't be loaded.
pub(super) fn private_key_fault(key: &PrivateKeyDer) -> Option<&'static str> {
    let read = || -> der::Result<Option<&'static str>> {
        match key {
            PrivateKeyDer::Pkcs8(der) => {
                let mut reader = SliceReader::new(der.secret_pkcs8_der())?;
                reader.sequence(|key| {
                    UintRef::decode(key)?;
                    let algorithm = AlgorithmIdentifierRef::decode(key)?;
                    let private = AnyRef::decode(key)?.value();
                    key.drain(key.remaining_len())?;
                    let curve = algorithm.parameters.and_then(|parameters| ObjectIdentifier::try_from(parameters).ok());
                    Ok::<_, der::Error>(match algorithm.oid {
                        RSA | RSA_PSS => pkcs1_fault(private)?,
                        EC => curve_fault(curve),
                        ED25519 => None,
                        ED448 => Some("an Ed448 key"),
                        DSA => Some("a DSA key"),
                        _ => Some("a key of an unusual kind"),
                    })
                })
            }
            PrivateKeyDer::Pkcs1(der) => pkcs1_fault(der.secret_pkcs1_der()),
            PrivateKeyDer::Sec1(der) => {
                let mut reader = SliceReader::new(der.secret_sec1_der())?;
                reader.sequence(|key| {
                    UintRef::decode(key)?;
                    AnyRef::decode(key)?;
                    let curve = AnyRef::decode(key)?.value();
                    key.drain(key.remaining_len())?;
                    Ok::<_, der::Error>(curve_fault(ObjectIdentifier::from_der(curve).ok()))
                })
            }
            _ => Ok(None),
        }
    };
    read().ok().flatten()
}

fn pkcs1_fault(der: &[u8]) -> der::Result<Option<&'static str>> {
    let mut reader = SliceReader::new(der)?;
    reader.sequence(|key| {
        UintRef::decode(key)?;
        let modulus = UintRef::decode(key)?;
        key.drain(key.remaining_len())?;
        Ok(is_weak(modulus).then_some("an RSA key under 2048 bits"))
    })
}

/// The name of a signature algorithm, from its identifier in a certificate.
pub(super) fn signature_name(identifier: &[u8]) -> &'static str {
    let holds = |oid: &ObjectIdentifier| identifier.windows(oid.as_bytes().len()).any(|part| part == oid.as_bytes());
    SIGNATURES.iter().find(|(oid, _)| holds(oid)).map_or("an unusual algorithm", |(_, name)| name)
}
