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
    pub(crate) ca_file: Option<PathBuf>,
    pub(crate) client_cert_file: Option<PathBuf>,
    pub(crate) client_key_file: Option<PathBuf>,
    pub(crate) ssl_cert_file: Option<PathBuf>,
    pub(crate) ssl_cert_dir: Option<PathBuf>,
}
