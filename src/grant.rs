//! A record ready to be handed out: with its schedule, and what was learnt of the token since.
#![forbid(unsafe_code)]

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use once_cell::race::OnceBox;

use crate::error::{Error, Result, Status};
use crate::fork::ProcessMark;
use crate::record::{Author, Record};
use crate::schedule::{Origin, Policy, Schedule};
use crate::token::{self, Payload};

/// The current token of a handle.
pub(crate) struct Grant {
    /// Up to this second, read coarsely, the token is handed out without another look. In the past once it is
    /// rejected.
    hot_until_s: AtomicI64,
    /// And from this one on.
    hot_from_s: i64,
    is_rejected: AtomicBool,
    pub(crate) record: Arc<Record>,
    pub(crate) schedule: Schedule,
    /// The process that got the tokens: a forked child may not spend them.
    pub(crate) process: ProcessMark,
    // A race instead of a lock: a lock could be held by another thread when the process forks.
    payload: OnceBox<Result<Payload>>,
}

impl Grant {
    pub(crate) fn new(record: Arc<Record>, offset_ms: i64, policy: Policy) -> Self {
        let times = record.tokens.token().map(token::times).unwrap_or_default();
        let mut schedule = Schedule::new(times, record.origin, record.received, offset_ms, policy);
        if record.origin != Origin::Given && record.author == Author::here() {
            schedule = schedule.since(record.received);
        }
        let hot_until_s = if record.tokens.bearer().is_some() { schedule.hot_until_s() } else { i64::MIN };
        Grant {
            hot_until_s: AtomicI64::new(hot_until_s),
            hot_from_s: schedule.hot_from_s(),
            is_rejected: AtomicBool::new(false),
            record,
            schedule,
            process: ProcessMark::current(),
            payload: OnceBox::new(),
        }
    }

    /// Whether the token can be handed out at this second without another look.
    #[inline]
    pub(crate) fn is_hot(&self, coarse_s: i64) -> bool {
        coarse_s < self.hot_until_s.load(Ordering::Acquire) && coarse_s >= self.hot_from_s
    }

    /// Not to be handed out without another look.
    pub(crate) fn cool(&self) {
        self.hot_until_s.store(i64::MIN, Ordering::Release);
    }

    /// The server turned the token away.
    pub(crate) fn reject(&self) {
        self.is_rejected.store(true, Ordering::Release);
        self.cool();
    }

    /// Whether somebody reported the token.
    pub(crate) fn is_rejected(&self) -> bool {
        self.is_rejected.load(Ordering::Acquire)
    }

    /// The access token.
    pub(crate) fn token(&self) -> Result<&str> {
        self.record.tokens.token().ok_or_else(no_token)
    }

    /// The payload, decoded once.
    pub(crate) fn payload(&self) -> Result<&Payload> {
        let token = self.token()?;
        self.payload.get_or_init(|| Box::new(token::decode(token))).as_ref().map_err(Clone::clone)
    }
}

/// Nothing to hand out.
pub(crate) fn no_token() -> Error {
    Error::new(Status::NoToken, "there is no token: log in first")
}

impl fmt::Debug for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grant").field("generation", &self.record.version.generation).finish_non_exhaustive()
    }
}
