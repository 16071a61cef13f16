//! Who is at the other end: every message about a connection names it, and where its address stands.
#![forbid(unsafe_code)]

use std::io;

use super::Proxy;
use super::connector::Unconnected;
use super::resolver::Unresolved;
use super::settings::Trust;
use super::stream::verdict;
use super::verifier::describe;
use crate::error::{Error, Status};

/// The other end of a connection.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    pub(crate) name: String,
    /// Where its address stands, as an object of "check".
    pub(crate) see: &'static str,
    /// The config key for the CA that its certificate may hang on.
    pub(crate) ca_key: &'static str,
    /// The config key of the time for a connection to it.
    pub(crate) limit: &'static str,
    /// The client certificate that it is shown.
    pub(crate) client_cert: Option<String>,
}

impl Peer {
    fn new(name: impl Into<String>, see: &'static str, ca_key: &'static str, trust: &Trust) -> Self {
        let client_cert = trust.client_cert_file.as_ref().map(|file| file.path.display().to_string());
        Peer { name: name.into(), see, ca_key, limit: "connect_timeout_ms", client_cert }
    }

    /// The platform's server.
    pub(crate) fn server(trust: &Trust) -> Self {
        Self::new("the server", "the host in the config", "ca_file", trust)
    }

    /// Who has the issuer's keys.
    pub(crate) fn key_server(trust: &Trust) -> Self {
        Self::new("the key server", "jwks_url in the config", "ca_file", trust)
    }

    /// The session store.
    #[cfg(feature = "redis")]
    pub(crate) fn store(place: &str, trust: &Trust) -> Self {
        Self::new(format!("the session store at {place}"), "\"store\" in the config", "redis_ca_file", trust)
    }

    /// What stands between us and the server.
    pub(crate) fn proxy(proxy: &Proxy, trust: &Trust) -> Self {
        Self::new(format!("the proxy {}", proxy.place()), proxy.named_by(), "ca_file", trust)
    }

    /// Why there is no connection to it.
    pub(crate) fn unconnected(&self, why: &Unconnected) -> Error {
        let Peer { name, see, limit, .. } = self;
        let (status, text) = match why {
            Unconnected::Unresolved(Unresolved::Unknown) => {
                (Status::Connect, format!("the host name of {name} is not known; check {see}"))
            }
            Unconnected::Unresolved(Unresolved::Outage) => (
                Status::Connect,
                format!(
                    "the host name of {name} could not be looked up: this machine's name service (DNS) gives no \
                     answer; try again later"
                ),
            ),
            Unconnected::Unresolved(Unresolved::TooLate) => {
                (Status::Timeout, format!("the host name of {name} was not looked up within {limit}; try again later"))
            }
            Unconnected::TooLate => (
                Status::Timeout,
                format!("no connection to {name} within {limit}; is it up, and does a firewall let us through?"),
            ),
            Unconnected::Failed(error) => (Status::Connect, self.failed(error)),
        };
        Error::new(status, text)
    }

    /// Why there is no TLS with it.
    pub(crate) fn unsecured(&self, error: &io::Error) -> Error {
        let Peer { name, see, limit, .. } = self;
        if let Some(verdict) = verdict(error) {
            return describe(verdict, self);
        }
        match error.kind() {
            io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => Error::new(
                Status::Timeout,
                format!("{name} did not finish the TLS handshake within {limit}; does it speak TLS? check {see}"),
            ),
            _ => Error::new(
                Status::Connect,
                format!("{name} closed the connection during the TLS handshake; does it speak TLS? check {see}"),
            ),
        }
    }

    fn failed(&self, error: &io::Error) -> String {
        let Peer { name, see, .. } = self;
        match error.kind() {
            io::ErrorKind::ConnectionRefused => {
                format!("connection refused by {name}; is it up, and the port right? check {see}")
            }
            io::ErrorKind::PermissionDenied => {
                format!("this machine's firewall forbids a connection to {name}; ask who runs the machine")
            }
            io::ErrorKind::TimedOut => format!("{name} does not answer; is it up, and does a firewall let us through?"),
            io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable => {
                format!("{name} can't be reached from here ({error}); check this machine's network")
            }
            // The operating system's own words hold no input of ours.
            _ if error.raw_os_error().is_some() => format!("no connection to {name}: {error}"),
            _ => format!("no connection to {name}; check {see}"),
        }
    }
}
