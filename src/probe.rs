//! A look at the way to the server: what `gcauth doctor` tells.
#![forbid(unsafe_code)]

use std::time::Instant;

use crate::error::Result;
use crate::platform::Platform;
use crate::transport::not_after_s;

/// What a request without credentials showed of the server.
#[derive(Clone, Debug)]
pub struct Probe {
    /// The status of the answer. Any is a sign of life: nothing was asked for.
    pub http_status: u16,
    /// When the server answered, by its own clock: Unix milliseconds.
    pub date_ms: Option<i64>,
    /// The same by this machine's clock.
    pub received_ms: i64,
    /// When the certificates expire that the server showed, its own first: Unix seconds. They have been verified.
    pub certificates_end: Vec<i64>,
}

impl Probe {
    pub(crate) fn of(platform: &Platform, received_ms: impl FnOnce() -> i64, deadline: Instant) -> Result<Self> {
        let (answer, chain) = platform.probe(deadline)?;
        Ok(Probe {
            http_status: answer.status,
            date_ms: answer.date_ms,
            received_ms: received_ms(),
            certificates_end: chain.iter().filter_map(|certificate| not_after_s(certificate)).collect(),
        })
    }
}
