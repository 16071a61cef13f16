//! What can go wrong: the statuses of the C API and the error that carries one.
#![forbid(unsafe_code)]

use std::fmt;
use std::time::Duration;

use crate::status::*;

/// The verdict of a call. The numbers are the C API's and are never renumbered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i32)]
#[non_exhaustive]
pub enum Status {
    /// Success.
    Ok = GC_AUTH_OK,
    /// NULL or empty where it may not be, or anything but visible ASCII in a token.
    InvalidArgument = GC_AUTH_ERR_INVALID_ARGUMENT,
    /// Text that is not UTF-8.
    InvalidUtf8 = GC_AUTH_ERR_INVALID_UTF8,
    /// The caller's buffer is too small.
    BufferTooSmall = GC_AUTH_ERR_BUFFER_TOO_SMALL,
    /// The configuration is not what is expected.
    Config = GC_AUTH_ERR_CONFIG,
    /// A forked child would have to spend its parent's refresh token.
    Forked = GC_AUTH_ERR_FORKED,
    /// There is no token: log in first.
    NoToken = GC_AUTH_ERR_NO_TOKEN,
    /// There is no refresh token to renew with.
    NoRefreshToken = GC_AUTH_ERR_NO_REFRESH_TOKEN,
    /// The token has expired.
    TokenExpired = GC_AUTH_ERR_TOKEN_EXPIRED,
    /// Not a compact JWS.
    TokenMalformed = GC_AUTH_ERR_TOKEN_MALFORMED,
    /// The payload is not a JSON object, or a registered claim has the wrong type.
    ClaimsMalformed = GC_AUTH_ERR_CLAIMS_MALFORMED,
    /// A claim that was asked for is missing.
    ClaimMissing = GC_AUTH_ERR_CLAIM_MISSING,
    /// The signature does not hold.
    SignatureInvalid = GC_AUTH_ERR_SIGNATURE_INVALID,
    /// The token's algorithm is refused, or is not the key's.
    AlgorithmRefused = GC_AUTH_ERR_ALGORITHM_REFUSED,
    /// Not a usable public key.
    KeyInvalid = GC_AUTH_ERR_KEY_INVALID,
    /// `nbf` lies in the future.
    TokenNotYetValid = GC_AUTH_ERR_TOKEN_NOT_YET_VALID,
    /// The server refused the login or the refresh token.
    Unauthorized = GC_AUTH_ERR_UNAUTHORIZED,
    /// No connection, or it was lost.
    Connect = GC_AUTH_ERR_CONNECT,
    /// Out of time.
    Timeout = GC_AUTH_ERR_TIMEOUT,
    /// Certificate or handshake.
    Tls = GC_AUTH_ERR_TLS,
    /// Plain http to a host that is not loopback, or a redirect.
    Insecure = GC_AUTH_ERR_INSECURE,
    /// An HTTP status that fits nothing else.
    Http = GC_AUTH_ERR_HTTP,
    /// HTTP 429.
    RateLimited = GC_AUTH_ERR_RATE_LIMITED,
    /// HTTP 5xx.
    Server = GC_AUTH_ERR_SERVER,
    /// A success answer that is not what it should be.
    Protocol = GC_AUTH_ERR_PROTOCOL,
    /// The session store could not be read or written.
    Store = GC_AUTH_ERR_STORE,
    /// Another process held the renewal too long.
    LockTimeout = GC_AUTH_ERR_LOCK_TIMEOUT,
    /// Memory sized by input could not be reserved.
    NoMemory = GC_AUTH_ERR_NO_MEMORY,
    /// A bug of ours.
    Internal = GC_AUTH_ERR_INTERNAL,
}

impl Status {
    /// The number of the C API.
    pub const fn code(self) -> gc_auth_status_t {
        self as gc_auth_status_t
    }

    /// Whether the same call may succeed later without a change by the caller.
    pub const fn is_retryable(self) -> bool {
        matches!(self, Status::Connect | Status::Timeout | Status::RateLimited | Status::Server | Status::LockTimeout)
    }
}

/// A failed call: its status, one line of text, and what the server said of it. Never a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    status: Status,
    message: String,
    http_status: u16,
    retry_after: Option<Duration>,
    retryable: bool,
    /// For how long nobody tries again by itself, where that is known.
    stands_for: Option<Duration>,
    is_our_delay: bool,
}

/// The result of a call.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error with a message that holds no secret.
    pub fn new(status: Status, message: impl Into<String>) -> Self {
        Error {
            status,
            message: message.into(),
            http_status: 0,
            retry_after: None,
            retryable: status.is_retryable(),
            stands_for: None,
            is_our_delay: false,
        }
    }

    /// Adds the HTTP status of the response.
    pub fn with_http_status(mut self, http_status: u16) -> Self {
        self.http_status = http_status;
        self
    }

    /// Adds the time that the server asked to wait.
    pub fn with_retry_after(mut self, retry_after: Option<Duration>) -> Self {
        self.retry_after = retry_after;
        self
    }

    /// Adds for how long nobody tries again by itself.
    pub(crate) fn standing_for(mut self, rest: Duration) -> Self {
        self.stands_for = Some(rest);
        self
    }

    /// For how long nobody tries again by itself, where that is known.
    pub(crate) fn stands_for(&self) -> Option<Duration> {
        self.stands_for
    }

    /// The same call may succeed later, whatever the status says of most.
    pub(crate) fn retryable(mut self) -> Self {
        self.retryable = true;
        self
    }

    /// Time ran out on this side: it says nothing about the server.
    pub(crate) fn our_delay(mut self) -> Self {
        self.is_our_delay = true;
        self
    }

    /// Whether time ran out on this side.
    pub(crate) fn is_our_delay(&self) -> bool {
        self.is_our_delay
    }

    /// Adds what led to it.
    pub(crate) fn because(mut self, why: &str) -> Self {
        self.message = format!("{} ({why})", self.message);
        self
    }

    /// Says where it happened, ahead of what it says already.
    pub(crate) fn in_context(mut self, place: &str) -> Self {
        self.message = format!("{place}: {}", self.message);
        self
    }

    /// The status.
    pub fn status(&self) -> Status {
        self.status
    }

    /// What failed, where, and what to do next; one line.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The HTTP status of the response; 0 when none arrived.
    pub fn http_status(&self) -> u16 {
        self.http_status
    }

    /// How long the server asked to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// Whether the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        self.retryable
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}
