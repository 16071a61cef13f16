//! A session at one moment: the tokens and what belongs to them. Records are replaced, never changed.
#![forbid(unsafe_code)]

use crate::clock::Now;
use crate::error::Result;
use crate::schedule::Origin;
use crate::secret::Secret;

const SCHEME: &str = "Bearer ";
/// What the platform's tokens are, unless an answer says otherwise.
pub(crate) const DEFAULT_TOKEN_TYPE: &str = "Bearer";

/// The tokens of a session and their standing.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) version: Version,
    pub(crate) tokens: Tokens,
    pub(crate) origin: Origin,
    /// When the tokens came; the steady reading is this process's own.
    pub(crate) received: Now,
    /// Who got them.
    pub(crate) author: Author,
    pub(crate) notes: Notes,
}

impl Record {
    /// Whether this record, found in the store, stands where `held` stood, or after it.
    pub(crate) fn is_not_older(&self, held: &Record) -> bool {
        if self.version.session == held.version.session {
            return self.version.generation >= held.version.generation;
        }
        // Another session is another login, whatever its number; but given tokens only seed a store that is empty, and
        // one that has lost what we hold was no such thing.
        self.version.generation > held.version.generation
            || self.origin != Origin::Given
            || held.origin == Origin::Given
    }
}

/// Which record it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Version {
    /// Random, new at each login: tells a renewal of this session from another login.
    pub(crate) session: u64,
    /// Counts every change of tokens; a record with a higher one is newer.
    pub(crate) generation: u64,
}

/// A process on a host, for people to find.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Author {
    pub(crate) host: String,
    pub(crate) pid: u32,
}

/// What those who share a record tell each other about it; changes without a new generation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Notes {
    /// Unix milliseconds before which nobody tries an early renewal.
    pub(crate) early_not_before_ms: i64,
    pub(crate) intent: Option<Intent>,
    pub(crate) refusal: Option<Refusal>,
}

/// The server refused the refresh token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) http_status: u16,
    /// Unix milliseconds.
    pub(crate) at_ms: i64,
}

/// Somebody is about to spend the refresh token, or was, and did not come back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Intent {
    /// SHA-256 of the refresh token, in hexadecimal.
    pub(crate) spends: String,
    /// Unix milliseconds.
    pub(crate) begun_ms: i64,
    /// Unix milliseconds after which nobody is at it any more.
    pub(crate) deadline_ms: i64,
    pub(crate) author: Author,
}

/// What a login or a renewal brings.
#[derive(Clone, Debug)]
pub(crate) struct Tokens {
    /// The whole header value: handing it out is one copy.
    bearer: Option<Secret>,
    refresh_token: Option<Secret>,
    pub(crate) token_type: String,
    /// The project as it was sent.
    pub(crate) scope: Option<String>,
}

impl Tokens {
    /// Tokens of a session; either may be missing.
    pub(crate) fn new(
        token: Option<&str>,
        refresh_token: Option<&str>,
        token_type: Option<&str>,
        scope: Option<&str>,
    ) -> Result<Self> {
        Ok(Tokens {
            bearer: token.map(|token| Secret::concat(&[SCHEME, token])).transpose()?,
            refresh_token: refresh_token.map(Secret::new).transpose()?,
            token_type: token_type.unwrap_or(DEFAULT_TOKEN_TYPE).to_owned(),
            scope: scope.map(str::to_owned),
        })
    }

    /// No session.
    pub(crate) fn none() -> Self {
        Tokens { bearer: None, refresh_token: None, token_type: DEFAULT_TOKEN_TYPE.to_owned(), scope: None }
    }

    /// Whether there is neither token.
    pub(crate) fn is_none(&self) -> bool {
        self.bearer.is_none() && self.refresh_token.is_none()
    }

    /// `Bearer <token>`.
    pub(crate) fn bearer(&self) -> Option<&str> {
        self.bearer.as_ref().map(Secret::expose)
    }

    /// The same, without a look at what it holds.
    #[inline]
    pub(crate) fn bearer_bytes(&self) -> Option<&[u8]> {
        self.bearer.as_ref().map(Secret::expose_bytes)
    }

    /// The access token.
    pub(crate) fn token(&self) -> Option<&str> {
        self.bearer().and_then(|bearer| bearer.get(SCHEME.len()..))
    }

    /// Both tokens, as far as there are any.
    pub(crate) fn secrets(&self) -> Vec<&str> {
        self.token().into_iter().chain(self.refresh_token()).collect()
    }

    /// The refresh token.
    pub(crate) fn refresh_token(&self) -> Option<&str> {
        self.refresh_token.as_ref().map(Secret::expose)
    }
}

impl Author {
    /// This process.
    pub(crate) fn here() -> Self {
        #[cfg(test)]
        if let Some(author) = crate::simulation::author() {
            return author;
        }
        let host = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
        Author { host: host.unwrap_or_else(|| "unknown".to_owned()), pid: std::process::id() }
    }

    /// Whether it was a process of this machine that is no more.
    pub(crate) fn is_dead_here(&self) -> bool {
        let Ok(pid) = i32::try_from(self.pid) else {
            return false;
        };
        let state = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), None);
        self.host == Author::here().host && pid > 0 && state == Err(nix::errno::Errno::ESRCH)
    }
}
