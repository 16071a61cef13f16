//! What went wrong, and the exit code that says so.

use std::fmt;

use gcauth::{Error, Status};

/// Exit codes, as `gcauth --help` lists them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Code {
    Done = 0,
    Other = 1,
    Usage = 2,
    NotLoggedIn = 3,
    Refused = 4,
    Network = 5,
    Store = 6,
    Verification = 7,
}

impl From<Status> for Code {
    fn from(status: Status) -> Self {
        match status {
            Status::Ok => Code::Done,
            Status::NoToken | Status::NoRefreshToken | Status::TokenExpired => Code::NotLoggedIn,
            Status::Unauthorized => Code::Refused,
            Status::Connect
            | Status::Timeout
            | Status::Tls
            | Status::Insecure
            | Status::Http
            | Status::RateLimited
            | Status::Server
            | Status::Protocol => Code::Network,
            Status::Store | Status::LockTimeout => Code::Store,
            Status::TokenMalformed
            | Status::ClaimsMalformed
            | Status::SignatureInvalid
            | Status::AlgorithmRefused
            | Status::KeyInvalid
            | Status::TokenNotYetValid => Code::Verification,
            _ => Code::Other,
        }
    }
}

/// An error with its exit code. Its text holds no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The exit code.
    pub code: Code,
    /// What failed, and what to do; one line. Empty where everything has been said.
    pub message: String,
}

/// The outcome of a verb.
pub type Outcome<T = ()> = Result<T, Failure>;

impl Failure {
    /// A failure of this kind.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Failure { code, message: message.into() }
    }

    /// One that is none of the others.
    pub fn other(message: impl Into<String>) -> Self {
        Failure::new(Code::Other, message)
    }

    /// The caller's mistake.
    pub fn usage(message: impl Into<String>) -> Self {
        Failure::new(Code::Usage, message)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let code = Code::from(error.status());
        let advice = match error.status() {
            Status::NoToken | Status::TokenExpired | Status::NoRefreshToken => "; run: gcauth login",
            Status::Unauthorized if !error.message().contains("check user name") => "; run: gcauth login",
            _ => "",
        };
        Failure { code, message: format!("{}{advice}", error.message()) }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
