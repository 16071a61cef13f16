//! The renewal procedure: what is done, in which order, to turn one record into the next. It does not know which
//! store it has.
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::time::Instant;

use crate::clock::Clock;
use crate::error::Result;
use crate::platform::Platform;
use crate::record::{Author, Notes, Record, Tokens, Version};
use crate::schedule::Origin;
use crate::store::{Commit, Expected, Store};

/// What a renewal works with.
pub(crate) struct Renewal<'a> {
    pub(crate) platform: &'a Platform,
    pub(crate) store: &'a dyn Store,
    pub(crate) clock: &'a Clock,
}

impl Renewal<'_> {
    /// The record after `seen`, with tokens for `scope`: somebody else's if they were first, ours otherwise.
    pub(crate) fn run(&self, seen: &Record, scope: Option<&str>, deadline: Instant) -> Result<Arc<Record>> {
        let present = self.store.load()?.ok_or_else(crate::grant::no_token)?;
        if present.version.generation > seen.version.generation && present.tokens.scope.as_deref() == scope {
            return Ok(present);
        }
        let tokens = self.platform.refresh(&present.tokens, scope, deadline)?;
        match self.store.commit(
            Expected::Record(present.version),
            self.answered(present.version.session, tokens, Origin::Renewal),
        )? {
            Commit::Done(record) | Commit::Outdated(record) => Ok(record),
        }
    }

    /// The record of a new session, or of none. Whatever was there is replaced.
    pub(crate) fn begin(&self, session: u64, tokens: Tokens) -> Result<Arc<Record>> {
        match self.store.commit(Expected::Anything, self.answered(session, tokens, Origin::Login))? {
            Commit::Done(record) | Commit::Outdated(record) => Ok(record),
        }
    }

    fn answered(&self, session: u64, tokens: Tokens, origin: Origin) -> Record {
        Record {
            version: Version { session, generation: 0 },
            tokens,
            origin,
            received: self.clock.now(),
            author: Author::here(),
            notes: Notes::default(),
        }
    }
}
