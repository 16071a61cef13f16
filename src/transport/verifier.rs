//! Verifies a peer's certificate as rustls does, and says better why not.
#![forbid(unsafe_code)]

use std::fmt;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    AlertDescription, CertificateError, DigitallySignedStruct, OtherError, PeerIncompatible, PeerMisbehaved,
    RootCertStore, SignatureScheme,
};

use super::certificate::{Certificate, anchor_key_fault, signature_name};
use super::peer::Peer;
use crate::error::{Error, Status};

/// The verdict is rustls' own; only the reason of a refusal is looked into.
#[derive(Debug)]
pub(super) struct Verifier {
    inner: Arc<WebPkiServerVerifier>,
    roots: Arc<RootCertStore>,
}

impl Verifier {
    pub(super) fn new(roots: RootCertStore, provider: Arc<CryptoProvider>) -> Option<Self> {
        let roots = Arc::new(roots);
        let inner = WebPkiServerVerifier::builder_with_provider(roots.clone(), provider).build().ok()?;
        Some(Verifier { inner, roots })
    }

    /// A signature that does not hold, by a key that ring does not take: then the key is the reason.
    fn explain(&self, error: rustls::Error, chain: &[&CertificateDer<'_>]) -> rustls::Error {
        let rustls::Error::InvalidCertificate(fault) = &error else {
            return error;
        };
        let is_about_signatures = match fault {
            CertificateError::BadSignature
            | CertificateError::UnsupportedSignatureAlgorithmContext { .. }
            | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => true,
            #[allow(deprecated)]
            CertificateError::UnsupportedSignatureAlgorithm => true,
            _ => false,
        };
        if !is_about_signatures {
            return error;
        }
        let read: Vec<Certificate> = chain.iter().filter_map(|der| Certificate::read(der)).collect();
        let own = read.iter().find_map(Certificate::key_fault);
        let fault = own.or_else(|| {
            let anchors =
                || self.roots.roots.iter().filter(|root| read.iter().any(|c| c.issuer == root.subject.as_ref()));
            anchors().find_map(|root| anchor_key_fault(&root.subject_public_key_info))
        });
        match fault {
            Some(fault) => CertificateError::Other(OtherError(Arc::new(KeyFault(fault)))).into(),
            None => error,
        }
    }
}

/// A key in the chain that can't be used.
#[derive(Debug)]
struct KeyFault(&'static str);

impl fmt::Display for KeyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for KeyFault {}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now).map_err(|error| {
            let chain: Vec<_> = std::iter::once(end_entity).chain(intermediates).collect();
            self.explain(error, &chain)
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls12_signature(message, cert, signed).map_err(|error| self.explain(error, &[cert]))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls13_signature(message, cert, signed).map_err(|error| self.explain(error, &[cert]))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

/// Whether the first certificate is one of version 1.
pub(super) fn is_v1(chain: &[CertificateDer<'_>]) -> bool {
    chain.first().and_then(|der| Certificate::read(der)).is_some_and(|certificate| certificate.is_v1)
}

/// What TLS has against this peer, and the one thing to do.
pub(crate) fn describe(error: &rustls::Error, peer: &Peer) -> Error {
    let Peer { name, see, ca_key, client_cert, .. } = peer;
    let text = match error {
        rustls::Error::InvalidCertificate(fault) => match certificate_text(fault, peer) {
            Some((what, to_do)) => format!("{name}'s certificate {what}; {to_do}"),
            None => format!("{name}'s certificate can't be used ({}); tell its operator", other_name(fault)),
        },
        rustls::Error::NoCertificatesPresented => format!("{name} sent no certificate; tell its operator"),
        rustls::Error::PeerIncompatible(PeerIncompatible::ServerDoesNotSupportTls12Or13)
        | rustls::Error::AlertReceived(AlertDescription::ProtocolVersion) => {
            format!("{name} speaks neither TLS 1.2 nor TLS 1.3; its operator has to allow one of them")
        }
        rustls::Error::PeerIncompatible(_)
        | rustls::Error::AlertReceived(AlertDescription::HandshakeFailure | AlertDescription::InsufficientSecurity) => {
            // TLS 1.2 has no word of its own for it.
            let or = if client_cert.is_none() { ", or it wants a client certificate (client_cert_file)" } else { "" };
            format!(
                "{name} and we have nothing in common: it allows neither TLS 1.2 nor 1.3 with the usual ciphers, or its \
                 certificate has a P-521, Ed448 or DSA key, which are not supported{or}; ask its operator which"
            )
        }
        rustls::Error::PeerMisbehaved(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme) => format!(
            "{name}'s certificate has a key that is not supported (RSA from 2048 bits on, P-256, P-384 and Ed25519 \
             are); ask its operator for another"
        ),
        rustls::Error::InvalidMessage(_) => {
            format!("{name} does not speak TLS on this port; is it http://? check {see}")
        }
        rustls::Error::AlertReceived(alert) => match (alert_text(*alert), client_cert) {
            (Some(_), None) => {
                format!("{name} wants a client certificate; set client_cert_file and client_key_file")
            }
            (Some(what), Some(file)) => {
                format!("{name} refused our client certificate: {what}; see client_cert_file, {file}")
            }
            (None, _) => format!("{name} ended the TLS handshake (alert {alert:?}); tell its operator"),
        },
        rustls::Error::General(_) | rustls::Error::FailedToGetCurrentTime | rustls::Error::FailedToGetRandomBytes => {
            "the TLS handshake failed here, not at the other end; is /dev/urandom there, and the clock set?".to_owned()
        }
        _ => format!("the TLS handshake with {name} failed; check {see}, and {ca_key}"),
    };
    Error::new(Status::Tls, text)
}

/// What is said of a certificate, and what to do.
fn certificate_text(fault: &CertificateError, peer: &Peer) -> Option<(String, String)> {
    let ask = || "ask its operator for another".to_owned();
    let supported = "(RSA from 2048 bits on, P-256, P-384 and Ed25519 are)";
    let (what, to_do) = match fault {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            let date = match fault {
                CertificateError::ExpiredContext { not_after, .. } => format!(" on {}", date(*not_after)),
                _ => String::new(),
            };
            (format!("has expired{date}"), "tell its operator, and check this machine's clock".to_owned())
        }
        CertificateError::NotValidYet => ("is not valid yet".into(), "check this machine's clock".into()),
        CertificateError::NotValidYetContext { not_before, .. } => {
            (format!("is not valid yet, but from {} on", date(*not_before)), "check this machine's clock".into())
        }
        CertificateError::NotValidForNameContext { presented, .. } if presented.is_empty() => {
            ("names no host in its subjectAltName (a name in the subject alone no longer counts)".into(), ask())
        }
        CertificateError::NotValidForName => ("is for another host".into(), format!("check {}", peer.see)),
        CertificateError::NotValidForNameContext { presented, .. } => {
            let names = presented.iter().map(|name| name.trim_end_matches(')').rsplit('(').next().unwrap_or(name));
            let names: Vec<&str> = names.map(|name| name.trim_matches('"')).take(3).collect();
            let names = crate::redact::clean(&names.join(", "), &[], 100);
            (format!("is for another host ({names})"), format!("check {}", peer.see))
        }
        CertificateError::UnknownIssuer => {
            ("comes from an unknown issuer or is self-signed".into(), format!("set {} to its CA", peer.ca_key))
        }
        CertificateError::Revoked => ("was revoked".into(), "tell its operator".into()),
        CertificateError::BadSignature => ("has a signature that does not hold".into(), ask()),
        CertificateError::BadEncoding => ("is damaged, or not an X.509 certificate".into(), ask()),
        CertificateError::UnhandledCriticalExtension => ("has a critical extension that is not known".into(), ask()),
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            ("is for another purpose than to be a server (its extended key usage lacks serverAuth)".into(), ask())
        }
        CertificateError::UnsupportedSignatureAlgorithmContext { signature_algorithm_id, .. }
        | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { signature_algorithm_id, .. } => (
            format!(
                "is signed with {}, which is not supported (SHA-256 and SHA-384 are, and for RSA SHA-512)",
                signature_name(signature_algorithm_id)
            ),
            ask(),
        ),
        CertificateError::Other(OtherError(inner)) => {
            if let Some(KeyFault(key)) = inner.downcast_ref() {
                return Some((format!("depends on {key}, which is not supported {supported}"), ask()));
            }
            let what = match other_name(fault).as_str() {
                "CaUsedAsEndEntity" => {
                    return Some((
                        "is self-signed (a CA used as a server's)".into(),
                        format!("have a server certificate made by a CA, and set {} to that", peer.ca_key),
                    ));
                }
                "UnsupportedCertVersion" => "is an X.509 certificate of version 1, which is not supported",
                "NameConstraintViolation" => "is for a host that its CA may not vouch for (name constraints)",
                "EndEntityUsedAsCa" => "was issued by a certificate that is no CA's",
                "PathLenConstraintViolated" => "has a chain that is longer than its CA allows",
                "UnsupportedCriticalExtension" => "has a critical extension that is not known",
                "SignatureAlgorithmMismatch" => "names two different signature algorithms",
                _ => return None,
            };
            (what.into(), ask())
        }
        _ => return None,
    };
    Some((what, to_do))
}

/// What the verifier itself calls it.
fn other_name(fault: &CertificateError) -> String {
    let name = match fault {
        CertificateError::Other(OtherError(inner)) => inner.to_string(),
        fault => format!("{fault:?}"),
    };
    crate::redact::clean(&name, &[], 40)
}

/// What a server says that is about our certificate.
fn alert_text(alert: AlertDescription) -> Option<&'static str> {
    Some(match alert {
        AlertDescription::CertificateRequired => "it got none that it takes",
        AlertDescription::BadCertificate => "it does not hold",
        AlertDescription::UnsupportedCertificate => "it is of a kind that is not taken",
        AlertDescription::CertificateRevoked => "it was revoked",
        AlertDescription::CertificateExpired => "it has expired",
        AlertDescription::CertificateUnknown => "it is not accepted",
        AlertDescription::UnknownCA => "it comes from an unknown CA",
        AlertDescription::AccessDenied => "it gives no access",
        _ => return None,
    })
}

fn date(time: UnixTime) -> String {
    let since = std::time::Duration::from_secs(time.as_secs().min(253_402_300_799));
    httpdate::fmt_http_date(std::time::SystemTime::UNIX_EPOCH + since)
}
