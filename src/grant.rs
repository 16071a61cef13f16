//! A record ready to be handed out: with its schedule, and what was learnt of the token since.
#![forbid(unsafe_code)]

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use once_cell::race::OnceBox;

use crate::error::{Error, Result, Status};
use crate::fork::ProcessMark;
use crate::record::{Author, Record};
use crate::schedule::{Origin, Policy, Schedule};
use crate::token::{self, Payload};

/// The current token of a handle.
pub(crate) struct Grant {
    /// From this second on, read coarsely, the token is handed out without another look,
    hot_from_s: i64,
    /// for so many seconds: none once it is rejected.
    hot_for_s: AtomicU64,
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
        let (hot_from_s, hot_until_s) = (schedule.hot_from_s(), schedule.hot_until_s());
        let is_ever_hot = record.tokens.bearer_bytes().is_some() && hot_until_s > hot_from_s;
        Grant {
            hot_from_s,
            hot_for_s: AtomicU64::new(if is_ever_hot { hot_until_s.abs_diff(hot_from_s) } else { 0 }),
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
        // One comparison for both ends: what lies before wraps around to what is very far.
        (coarse_s.wrapping_sub(self.hot_from_s) as u64) < self.hot_for_s.load(Ordering::Acquire)
    }

    /// Not to be handed out without another look.
    pub(crate) fn cool(&self) {
        self.hot_for_s.store(0, Ordering::Release);
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
