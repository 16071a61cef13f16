//! Whom we trust, who we are, and what a failed handshake means.
#![forbid(unsafe_code)]

use std::path::Path;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{AlertDescription, CertificateError, CipherSuite, ClientConfig, RootCertStore};

use super::Trust;
use crate::error::{Error, Result, Status};

/// The bundles that Linux distributions keep, one file each: reading the directory beside it costs three times as much.
const SYSTEM_BUNDLES: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];
const SYSTEM_DIRECTORIES: &[&str] = &["/etc/ssl/certs", "/etc/pki/tls/certs"];

/// TLS 1.2 and 1.3, ring, certificates always verified.
pub(crate) fn client_config(trust: &Trust) -> Result<ClientConfig> {
    let roots = match &trust.ca_file {
        Some(file) => from_ca_file(file)?,
        None => from_system(trust)?,
    };
    let mut provider = rustls::crypto::ring::default_provider();
    // A few kilobytes cost the same in any cipher, but memcheck can't follow AES-GCM in assembly, and would report errors
    // in every program that logs in under it. Servers that insist on AES still get it.
    provider.cipher_suites.sort_by_key(|suite| !is_chacha20(suite.suite()));
    let builder = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .map_err(|_| Error::new(Status::Internal, "TLS could not be set up"))?
        .with_root_certificates(roots);
    let mut config = match (&trust.client_cert_file, &trust.client_key_file) {
        (Some(cert), Some(key)) => {
            let chain = CertificateDer::pem_file_iter(cert)
                .and_then(Iterator::collect)
                .map_err(|error| unreadable("client_cert_file", cert, &error))?;
            let key_der =
                PrivateKeyDer::from_pem_file(key).map_err(|error| unreadable("client_key_file", key, &error))?;
            builder.with_client_auth_cert(chain, key_der).map_err(|_| unusable("client_key_file", key))?
        }
        _ => builder.with_no_client_auth(),
    };
    // A resumed session would tie two connections, or a parent and its forked child, together.
    config.resumption = Resumption::disabled();
    Ok(config)
}

fn is_chacha20(suite: CipherSuite) -> bool {
    matches!(
        suite,
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256
            | CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256
            | CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256
    )
}

fn from_ca_file(file: &Path) -> Result<RootCertStore> {
    let roots = load(Some(file), None)?;
    if roots.is_empty() { Err(unusable("ca_file", file)) } else { Ok(roots) }
}

fn from_system(trust: &Trust) -> Result<RootCertStore> {
    if trust.ssl_cert_file.is_some() || trust.ssl_cert_dir.is_some() {
        let roots = load(trust.ssl_cert_file.as_deref(), trust.ssl_cert_dir.as_deref())?;
        return if roots.is_empty() {
            Err(Error::new(Status::Tls, "SSL_CERT_FILE and SSL_CERT_DIR name no usable certificates"))
        } else {
            Ok(roots)
        };
    }
    let bundles = SYSTEM_BUNDLES.iter().map(Path::new).filter(|p| p.exists()).map(|p| load(Some(p), None));
    let directories = SYSTEM_DIRECTORIES.iter().map(Path::new).filter(|p| p.exists()).map(|p| load(None, Some(p)));
    bundles.chain(directories).find(|roots| !roots.as_ref().is_ok_and(RootCertStore::is_empty)).unwrap_or_else(|| {
        Err(Error::new(Status::Tls, "this machine has no trusted certificates; install ca-certificates or set ca_file"))
    })
}

/// What can be used of the certificates there. An error only where it is not the files' fault.
fn load(file: Option<&Path>, dir: Option<&Path>) -> Result<RootCertStore> {
    let found = rustls_native_certs::load_certs_from_paths(file, dir);
    let mut roots = RootCertStore::empty();
    // System bundles hold a few that can't be used; the others count.
    roots.add_parsable_certificates(found.certs);
    let shortage = found.errors.iter().find_map(|error| match &error.kind {
        rustls_native_certs::ErrorKind::Io { inner, .. } => shortage(inner),
        rustls_native_certs::ErrorKind::Pem(pem::Error::Io(inner)) => shortage(inner),
        _ => None,
    });
    match shortage {
        Some(error) if roots.is_empty() => Err(error),
        _ => Ok(roots),
    }
}

/// No file can be opened for now: that says nothing about the config, and passes.
fn shortage(error: &std::io::Error) -> Option<Error> {
    let is_one = matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE));
    is_one.then(|| Error::new(Status::Connect, format!("the certificates can't be read: {error}")))
}

fn unreadable(key: &str, file: &Path, error: &pem::Error) -> Error {
    let shortage = if let pem::Error::Io(error) = error { shortage(error) } else { None };
    shortage.unwrap_or_else(|| unusable(key, file))
}

fn unusable(key: &str, file: &Path) -> Error {
    Error::new(
        Status::Config,
        format!("config key \"{key}\": {} can't be read, or holds nothing usable in PEM form", file.display()),
    )
}

/// Which certificate fault it was, and what to do.
pub(crate) fn describe(error: &rustls::Error) -> Error {
    let text = match error {
        rustls::Error::InvalidCertificate(fault) => match fault {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "the server's certificate has expired; tell its operator, and check this machine's clock"
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "the server's certificate is not valid yet; check this machine's clock"
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "the server's certificate is for another host; check the host in the config"
            }
            CertificateError::UnknownIssuer => {
                "the server's certificate comes from an unknown issuer or is self-signed; set ca_file to its CA"
            }
            CertificateError::Revoked => "the server's certificate was revoked; tell its operator",
            CertificateError::Other(inner) if inner.to_string().contains("CaUsedAsEndEntity") => {
                "the server's certificate is self-signed (a CA used as a server's); set ca_file to a proper CA"
            }
            _ => "the server's certificate is not valid",
        },
        rustls::Error::NoCertificatesPresented => "the server sent no certificate",
        rustls::Error::PeerIncompatible(_)
        | rustls::Error::AlertReceived(
            AlertDescription::ProtocolVersion
            | AlertDescription::HandshakeFailure
            | AlertDescription::InsufficientSecurity,
        ) => "the server speaks no TLS 1.2 or 1.3 that we can use",
        rustls::Error::InvalidMessage(_) => "the server does not speak TLS on this port; is it http://?",
        rustls::Error::AlertReceived(
            AlertDescription::CertificateRequired
            | AlertDescription::BadCertificate
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied,
        ) => "the server refused our client certificate, or wants one; see client_cert_file",
        _ => "the TLS handshake failed",
    };
    Error::new(Status::Tls, text)
}
