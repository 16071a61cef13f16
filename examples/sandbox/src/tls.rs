//! The sandbox's own CA, its certificates, and certificates with injected faults.

use std::fmt;
use std::io;
use std::str::FromStr;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use serde::{Deserialize, Serialize};

/// What is wrong with an HTTPS listener, or at least out of the ordinary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BadTls {
    /// By the right CA, but valid in 2020 only.
    Expired,
    /// By the right CA, but valid from 2090 on.
    NotYetValid,
    /// Signed with its own key.
    SelfSigned,
    /// By the right CA, for `wrong-host.example` only.
    WrongHost,
    /// Signed by a CA that is not in `ca.pem`.
    UnknownIssuer,
    /// A good certificate, but clients must show one of their own: `client.pem` and `client-key.pem`.
    ClientCertificate,
}

impl BadTls {
    /// All of them.
    pub const ALL: [BadTls; 6] = [
        BadTls::Expired,
        BadTls::NotYetValid,
        BadTls::SelfSigned,
        BadTls::WrongHost,
        BadTls::UnknownIssuer,
        BadTls::ClientCertificate,
    ];

    /// The name that options and control endpoints use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            BadTls::Expired => "expired",
            BadTls::NotYetValid => "not-yet-valid",
            BadTls::SelfSigned => "self-signed",
            BadTls::WrongHost => "wrong-host",
            BadTls::UnknownIssuer => "unknown-issuer",
            BadTls::ClientCertificate => "client-certificate",
        }
    }
}

impl FromStr for BadTls {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        BadTls::ALL.into_iter().find(|bad| bad.name() == name).ok_or_else(|| {
            let names: Vec<&str> = BadTls::ALL.into_iter().map(BadTls::name).collect();
            format!("{name}: not one of {}", names.join(", "))
        })
    }
}

impl fmt::Display for BadTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A certificate with its private key.
pub(crate) struct Identity {
    certificate: Certificate,
    key: KeyPair,
}

impl Identity {
    pub(crate) fn certificate_pem(&self) -> String {
        self.certificate.pem()
    }

    pub(crate) fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }
}

/// The CA and what it has signed.
pub(crate) struct Certificates {
    ca: Certificate,
    issuer: Issuer<'static, KeyPair>,
    pub(crate) server: Identity,
    pub(crate) client: Identity,
}

impl Certificates {
    pub(crate) fn new() -> io::Result<Self> {
        let (ca, issuer) = authority("gcauth sandbox CA")?;
        let server = issue(server_params(&LOOPBACK)?, &issuer)?;
        let mut params = leaf_params("gcauth sandbox client", &[])?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let client = issue(params, &issuer)?;
        Ok(Certificates { ca, issuer, server, client })
    }

    pub(crate) fn ca_pem(&self) -> String {
        self.ca.pem()
    }

    /// How the ordinary HTTPS listener speaks TLS.
    pub(crate) fn server_config(&self) -> io::Result<Arc<ServerConfig>> {
        config(&self.server, None)
    }

    /// How a listener with something wrong does.
    pub(crate) fn bad_server_config(&self, bad: BadTls) -> io::Result<Arc<ServerConfig>> {
        let mut params = server_params(&LOOPBACK)?;
        let identity = match bad {
            BadTls::Expired => {
                params.not_after = date_time_ymd(2020, 12, 31);
                issue(params, &self.issuer)?
            }
            BadTls::NotYetValid => {
                params.not_before = date_time_ymd(2090, 1, 1);
                params.not_after = date_time_ymd(2090, 12, 31);
                issue(params, &self.issuer)?
            }
            BadTls::SelfSigned => {
                params.use_authority_key_identifier_extension = false;
                let key = KeyPair::generate().map_err(other)?;
                Identity { certificate: params.self_signed(&key).map_err(other)?, key }
            }
            BadTls::WrongHost => issue(server_params(&["wrong-host.example"])?, &self.issuer)?,
            BadTls::UnknownIssuer => issue(params, &authority("somebody else's CA")?.1)?,
            BadTls::ClientCertificate => return config(&self.server, Some(self.ca.der())),
        };
        config(&identity, None)
    }
}

const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

fn authority(name: &str) -> io::Result<(Certificate, Issuer<'static, KeyPair>)> {
    let mut params = leaf_params(name, &[])?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.use_authority_key_identifier_extension = false;
    let key = KeyPair::generate().map_err(other)?;
    let certificate = params.self_signed(&key).map_err(other)?;
    Ok((certificate, Issuer::new(params, key)))
}

fn server_params(hosts: &[&str]) -> io::Result<CertificateParams> {
    let mut params = leaf_params("gcauth sandbox", hosts)?;
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    Ok(params)
}

fn leaf_params(name: &str, hosts: &[&str]) -> io::Result<CertificateParams> {
    let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(hosts).map_err(other)?;
    params.distinguished_name.push(DnType::CommonName, name);
    // Wide, so that a client whose clock is off by hours or years still gets as far as the token.
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2049, 12, 31);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

fn issue(params: CertificateParams, issuer: &Issuer<'static, KeyPair>) -> io::Result<Identity> {
    let key = KeyPair::generate().map_err(other)?;
    Ok(Identity { certificate: params.signed_by(&key, issuer).map_err(other)?, key })
}

fn config(identity: &Identity, client_ca: Option<&CertificateDer<'static>>) -> io::Result<Arc<ServerConfig>> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(other)?;
    let builder = match client_ca {
        None => builder.with_no_client_auth(),
        Some(ca) => {
            let mut roots = RootCertStore::empty();
            roots.add(ca.clone()).map_err(other)?;
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().map_err(other)?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let chain = vec![identity.certificate.der().clone()];
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(identity.key.serialize_der()));
    Ok(Arc::new(builder.with_single_cert(chain, key).map_err(other)?))
}

fn other(error: impl fmt::Display) -> io::Error {
    io::Error::other(error.to_string())
}
