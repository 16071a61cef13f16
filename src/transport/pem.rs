//! Certificates and private keys in PEM files, as they are found in the world.
#![forbid(unsafe_code)]

use std::io::{self, Read};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use spki::der::{Decode, Header, Reader, SliceReader};
use zeroize::Zeroizing;

use super::settings::NamedFile;
use crate::error::{Error, Status};
use crate::files;

/// The largest bundles have a few hundred kilobytes.
const MAX_FILE: u64 = 16 << 20;

/// What a file holds, block by block.
pub(super) struct Pem {
    blocks: Vec<Block>,
    /// What the file is when it has no block.
    what: &'static str,
}

struct Block {
    label: String,
    is_encrypted: bool,
    /// None for a body that is not base64.
    der: Option<Zeroizing<Vec<u8>>>,
}

impl Pem {
    /// Reads a file.
    pub(super) fn read(path: &std::path::Path) -> io::Result<Self> {
        let mut bytes = Zeroizing::new(Vec::new());
        let mut file = files::open(path)?;
        if file.metadata()?.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        file.by_ref().take(MAX_FILE).read_to_end(&mut bytes)?;
        Ok(Self::parse(&bytes))
    }

    /// White space, comments and a byte order mark have no meaning, and lines may end in the two characters `\n`.
    fn parse(bytes: &[u8]) -> Self {
        let text = Zeroizing::new(String::from_utf8_lossy(bytes).replace("\\n", "\n"));
        let blocks: Vec<Block> = text.split("-----BEGIN ").skip(1).filter_map(Block::of).collect();
        let what = match bytes {
            _ if bytes.iter().all(u8::is_ascii_whitespace) => "is empty",
            [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => "is UTF-16 text; write it as UTF-8",
            [0x30, ..] if bytes.iter().any(|byte| *byte == 0 || *byte > 0x7f) => {
                "is in DER or PKCS#12 form; convert it to PEM with openssl"
            }
            _ => "holds nothing in PEM form",
        };
        Pem { blocks, what }
    }

    /// The certificates, whatever their label says of their use.
    pub(super) fn certificates(&self) -> Vec<CertificateDer<'static>> {
        let ders = self.blocks.iter().filter(|block| block.is_certificate()).filter_map(|block| block.der.as_ref());
        // A trusted one has OpenSSL's opinion behind it.
        ders.filter_map(|der| first_value(der)).map(|der| CertificateDer::from(der.to_vec())).collect()
    }

    /// Why there are no certificates, to be said of the file.
    pub(super) fn no_certificates(&self) -> String {
        if self.blocks.iter().any(Block::is_certificate) {
            return "holds a certificate that is damaged; get it anew".to_owned();
        }
        match self.blocks.first() {
            Some(block) => format!("holds no CERTIFICATE, but a {}; name the file with the certificate", block.label),
            None => format!("{}; a certificate in PEM form belongs there", self.what),
        }
    }

    /// The first private key, or why there is none, to be said of the file.
    pub(super) fn private_key(&self) -> std::result::Result<PrivateKeyDer<'static>, String> {
        const ENCRYPTED: &str = "is encrypted; take the passphrase off (openssl pkey -in FILE -out NEWFILE)";
        for block in &self.blocks {
            if block.is_encrypted {
                return Err(ENCRYPTED.into());
            }
            let der = || match &block.der {
                Some(der) => Ok(der.to_vec()),
                None => Err("holds a private key that is damaged; get it anew".to_owned()),
            };
            return match block.label.as_str() {
                "PRIVATE KEY" => Ok(PrivateKeyDer::Pkcs8(der()?.into())),
                "RSA PRIVATE KEY" => Ok(PrivateKeyDer::Pkcs1(der()?.into())),
                "EC PRIVATE KEY" => Ok(PrivateKeyDer::Sec1(der()?.into())),
                "OPENSSH PRIVATE KEY" => {
                    Err("is a key in OpenSSH's form; convert it to PEM (ssh-keygen -p -m PEM -f FILE)".into())
                }
                label if label.ends_with("PRIVATE KEY") => {
                    Err(format!("is a {label}, which is not supported; use RSA, P-256, P-384 or Ed25519"))
                }
                _ => continue,
            };
        }
        Err(match self.blocks.first() {
            Some(block) => format!("holds no PRIVATE KEY, but a {}; name the file with the key", block.label),
            None => format!("{}; a private key in PEM form belongs there", self.what),
        })
    }
}

impl Block {
    /// From the text between one BEGIN and the next. None without an END line.
    fn of(text: &str) -> Option<Self> {
        let (label, rest) = text.split_once("-----")?;
        let (body, _) = rest.split_once("-----END ")?;
        let is_header = |line: &&str| line.contains(':');
        let is_encrypted =
            label == "ENCRYPTED PRIVATE KEY" || body.lines().filter(is_header).any(|line| line.contains("ENCRYPTED"));
        let mut packed = Zeroizing::new(Vec::with_capacity(body.len()));
        for line in body.lines().filter(|line| !is_header(line)) {
            packed.extend(line.bytes().filter(|byte| !byte.is_ascii_whitespace()));
        }
        Some(Block { label: label.to_owned(), is_encrypted, der: STANDARD.decode(&*packed).ok().map(Zeroizing::new) })
    }

    fn is_certificate(&self) -> bool {
        ["CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE"].contains(&self.label.as_str())
    }
}

/// The first DER value of `bytes`, as it stands there.
fn first_value(bytes: &[u8]) -> Option<&[u8]> {
    let mut reader = SliceReader::new(bytes).ok()?;
    let header = Header::decode(&mut reader).ok()?;
    let start = usize::try_from(reader.position()).ok()?;
    bytes.get(..start.checked_add(usize::try_from(header.length()).ok()?)?)
}

/// `file` can't be used, for a reason that is said of it. That no file can be opened for now says nothing about it.
pub(super) fn unusable(file: &NamedFile, why: &str) -> Error {
    Error::new(Status::Config, format!("config key \"{}\": {} {why}", file.key, file.path.display()))
}

/// `file` can't be read.
pub(super) fn unreadable(file: &NamedFile, error: &io::Error) -> Error {
    shortage(error).unwrap_or_else(|| match error.kind() {
        io::ErrorKind::NotFound => unusable(file, "does not exist; check the path"),
        io::ErrorKind::IsADirectory => unusable(file, "is a directory; name a file in it"),
        io::ErrorKind::PermissionDenied => unusable(file, "may not be read by this user; check its permissions"),
        _ => unusable(file, &format!("can't be read: {error}")),
    })
}

/// No file can be opened for now: that says nothing about the config, and passes.
pub(super) fn shortage(error: &io::Error) -> Option<Error> {
    let is_one = matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE));
    is_one.then(|| Error::new(Status::Connect, format!("the certificates can't be read: {error}")))
}
