//! What a config says about connections.
#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::time::Duration;

use super::ProxySetting;

/// How requests are sent.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) connect_timeout: Duration,
    pub(crate) trust: Trust,
    pub(crate) proxy: ProxySetting,
    pub(crate) user_agent: String,
    pub(crate) allow_http: bool,
}

/// Whom TLS trusts, and who we are to it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trust {
    /// In place of all other CAs.
    pub(crate) ca_file: Option<NamedFile>,
    /// Beside the others.
    pub(crate) ca_extra_file: Option<NamedFile>,
    pub(crate) client_cert_file: Option<NamedFile>,
    pub(crate) client_key_file: Option<NamedFile>,
    /// `SSL_CERT_FILE` and `SSL_CERT_DIR`, in place of the system's.
    pub(crate) ssl_cert_file: Option<PathBuf>,
    pub(crate) ssl_cert_dirs: Vec<PathBuf>,
}

/// A file, and the config key that names it.
#[derive(Clone, Debug)]
pub(crate) struct NamedFile {
    pub(crate) key: &'static str,
    pub(crate) path: PathBuf,
}

impl Trust {
    /// The same for somebody who has a CA of his own.
    #[cfg(feature = "redis")]
    pub(crate) fn with_ca(&self, ca_file: Option<NamedFile>) -> Self {
        match ca_file {
            Some(_) => Trust { ca_file, ca_extra_file: None, ..self.clone() },
            None => self.clone(),
        }
    }
}
