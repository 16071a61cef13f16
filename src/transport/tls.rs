//! Trusted CAs, the client certificate, and the meaning of a failed handshake.
#![forbid(unsafe_code)]

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use rustls::client::Resumption;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::{CipherSuite, ClientConfig, RootCertStore};

use super::certificate::private_key_fault;
use super::pem::{self, Pem};
use super::settings::{NamedFile, Trust};
use super::verifier::{Verifier, is_v1};
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

/// How TLS is spoken by a config, made of files that are read when they are needed, and again when they have changed.
pub(crate) struct Tls {
    trust: Trust,
    // Not behind a lock: another thread could hold it when the process forks.
    kept: ArcSwapOption<Kept>,
}

struct Kept {
    config: Arc<ClientConfig>,
    seen: Vec<(PathBuf, Option<Stamp>)>,
}

/// Tells whether a file is the one that was read.
#[derive(PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
}

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        let seen = fs::metadata(path).ok()?;
        let modified = (seen.mtime(), seen.mtime_nsec());
        Some(Stamp { device: seen.dev(), inode: seen.ino(), size: seen.size(), modified })
    }
}

impl Tls {
    pub(crate) fn new(trust: Trust) -> Self {
        Tls { trust, kept: ArcSwapOption::empty() }
    }

    #[cfg(feature = "redis")]
    pub(crate) fn trust(&self) -> &Trust {
        &self.trust
    }

    /// TLS 1.2 and 1.3, ring, certificates always verified.
    pub(crate) fn config(&self) -> Result<Arc<ClientConfig>> {
        let kept = self.kept.load_full();
        if let Some(kept) = &kept
            && kept.seen.iter().all(|(path, stamp)| Stamp::of(path) == *stamp)
        {
            return Ok(kept.config.clone());
        }
        let mut files = Files::default();
        match client_config(&self.trust, &mut files) {
            Ok(config) => {
                let config = Arc::new(config);
                self.kept.store(Some(Arc::new(Kept { config: config.clone(), seen: files.seen })));
                Ok(config)
            }
            // Perhaps they are just being written: what was good is good until TLS says otherwise.
            Err(error) => kept.map(|kept| kept.config.clone()).ok_or(error),
        }
    }

    /// A handshake has failed: the files are read again for the next one, whether they look changed or not.
    pub(crate) fn forget(&self) {
        self.kept.store(None);
    }
}

/// Reads files, and notes how they looked just before.
#[derive(Default)]
struct Files {
    seen: Vec<(PathBuf, Option<Stamp>)>,
}

impl Files {
    fn note(&mut self, path: &Path) {
        self.seen.push((path.to_owned(), Stamp::of(path)));
    }

    fn read(&mut self, path: &Path) -> io::Result<Pem> {
        self.note(path);
        Pem::read(path)
    }

    fn read_named(&mut self, file: &NamedFile) -> Result<Pem> {
        self.read(&file.path).map_err(|error| pem::unreadable(file, &error))
    }
}

fn client_config(trust: &Trust, files: &mut Files) -> Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    match &trust.ca_file {
        Some(file) => add_named(&mut roots, file, files)?,
        None => add_system(&mut roots, trust, files)?,
    }
    if let Some(file) = &trust.ca_extra_file {
        add_named(&mut roots, file, files)?;
    }
    let mut provider = rustls::crypto::ring::default_provider();
    // A few kilobytes cost the same in any cipher, but memcheck can't follow AES-GCM in assembly, and would report errors
    // in every program that logs in under it. Servers that insist on AES still get it.
    provider.cipher_suites.sort_by_key(|suite| !is_chacha20(suite.suite()));
    let provider = Arc::new(provider);
    let internal = || Error::new(Status::Internal, "TLS could not be set up");
    let verifier: Arc<dyn ServerCertVerifier> = Arc::new(Verifier::new(roots, provider.clone()).ok_or_else(internal)?);
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|_| internal())?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut config = match (&trust.client_cert_file, &trust.client_key_file) {
        (Some(cert), Some(key)) => {
            let (chain, key_der) = client_identity(cert, key, files, &provider)?;
            builder.with_client_auth_cert(chain, key_der).map_err(|_| internal())?
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

type Identity = (Vec<CertificateDer<'static>>, rustls::pki_types::PrivateKeyDer<'static>);

/// Our own certificate and its key. What can be wrong with them is said here, by file.
fn client_identity(
    cert: &NamedFile,
    key: &NamedFile,
    files: &mut Files,
    provider: &CryptoProvider,
) -> Result<Identity> {
    let pem = files.read_named(cert)?;
    let chain = pem.certificates();
    if chain.is_empty() {
        return Err(pem::unusable(cert, &pem.no_certificates()));
    }
    let key_der = files.read_named(key)?.private_key().map_err(|why| pem::unusable(key, &why))?;
    let signer = provider.key_provider.load_private_key(key_der.clone_key()).map_err(|_| {
        let why = match private_key_fault(&key_der) {
            Some(fault) => {
                format!("holds {fault} that is not supported; use RSA from 2048 bits on, P-256, P-384 or Ed25519")
            }
            None => "holds a private key that is damaged; get it anew".to_owned(),
        };
        pem::unusable(key, &why)
    })?;
    match rustls::sign::CertifiedKey::new(chain.clone(), signer).keys_match() {
        Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::KeyMismatch)) => Err(pem::unusable(
            key,
            &format!("is not the key of the certificate in {}; name the two that belong together", cert.path.display()),
        )),
        Err(rustls::Error::InvalidCertificate(_)) if is_v1(&chain) => Err(pem::unusable(
            cert,
            "is an X.509 certificate of version 1, which is not supported; have one of version 3 made",
        )),
        Err(rustls::Error::InvalidCertificate(_)) => {
            Err(pem::unusable(cert, "holds a certificate that is damaged; get it anew"))
        }
        // Where it can't be told, the server does.
        _ => Ok((chain, key_der)),
    }
}

fn add_named(roots: &mut RootCertStore, file: &NamedFile, files: &mut Files) -> Result<()> {
    let pem = files.read_named(file)?;
    // Bundles hold a few that can't be used; the others count.
    let (added, _) = roots.add_parsable_certificates(pem.certificates());
    if added == 0 { Err(pem::unusable(file, &pem.no_certificates())) } else { Ok(()) }
}

fn add_system(roots: &mut RootCertStore, trust: &Trust, files: &mut Files) -> Result<()> {
    let mut shortage = None;
    if trust.ssl_cert_file.is_some() || !trust.ssl_cert_dirs.is_empty() {
        for path in trust.ssl_cert_file.iter().chain(&trust.ssl_cert_dirs) {
            add_path(roots, path, files, &mut shortage);
        }
        let none =
            || Error::new(Status::Tls, "SSL_CERT_FILE and SSL_CERT_DIR name no usable certificates; correct them");
        return if roots.is_empty() { Err(shortage.unwrap_or_else(none)) } else { Ok(()) };
    }
    for path in SYSTEM_BUNDLES.iter().chain(SYSTEM_DIRECTORIES).map(Path::new) {
        add_path(roots, path, files, &mut shortage);
        if !roots.is_empty() {
            return Ok(());
        }
    }
    Err(shortage.unwrap_or_else(|| {
        Error::new(Status::Tls, "this machine has no trusted certificates; install ca-certificates or set ca_file")
    }))
}

/// What can be used of a file, or of the files of a directory.
fn add_path(roots: &mut RootCertStore, path: &Path, files: &mut Files, shortage: &mut Option<Error>) {
    let mut certificates = Vec::new();
    let mut take = |read: io::Result<Pem>| match read {
        Ok(pem) => certificates.extend(pem.certificates()),
        Err(error) => *shortage = shortage.take().or(pem::shortage(&error)),
    };
    if path.is_dir() {
        files.note(path);
        match fs::read_dir(path) {
            // What lies in directories below is another list.
            Ok(entries) => entries
                .flatten()
                .map(|entry| entry.path())
                .filter(|path| path.is_file())
                .for_each(|path| take(Pem::read(&path))),
            Err(error) => take(Err(error)),
        }
    } else {
        take(files.read(path));
    }
    // The links of a directory name each certificate several times.
    certificates.sort_unstable_by(|a: &CertificateDer, b| a.as_ref().cmp(b.as_ref()));
    certificates.dedup();
    roots.add_parsable_certificates(certificates);
}
