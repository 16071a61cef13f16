//! The store of many hosts: an existing Redis or Valkey.
//!
//! Under `{NAME}` is a hash: `record` is the record as every store writes it, `version` says which it is, `notes` are
//! its present notes. Under `{NAME}:lock` is the owner of the renewal lock, with an expiry. Every change is one write by
//! one script, hence all or nothing, and compares versions as text: Lua's numbers would round them.
//!
//! A connection is opened for each piece of work and closed after it, so that ten thousand hosts do not keep as many.
//!
//! How durable a record is, is up to the Redis: without `appendonly yes` and `appendfsync always`, and where a replica
//! takes over, the last writes may be lost, and a lock may be given twice. What goes over `redis://` can be read on
//! the way, tokens included; `rediss://` can't.
#![forbid(unsafe_code)]

mod fault;
mod frame;
mod link;
#[cfg(test)]
mod tests;
mod url;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use redis::Value;
use zeroize::Zeroizing;

use super::codec::damaged;
use super::{Codec, Commit, Expected, Habits, Lock, Store};
use crate::author::Author;
use crate::error::{Error, Result, Status};
use crate::fork::ProcessMark;
use crate::random;
use crate::record::{Notes, Record, Version};
use crate::redact;
use crate::transport::Trust;
use crate::transport::authority::place;

use link::{Link, Server};
pub(crate) use url::RedisUrl;

/// No piece of work takes longer, whatever the config allows connections.
const MAX_PATIENCE: Duration = Duration::from_secs(5);
/// What a lock is worth waiting for when the time is up already.
const LAST_TRY: Duration = Duration::from_secs(1);
/// What is left for notes, and for giving back a lock, when the call's time is up.
const LAST_WORK: Duration = Duration::from_millis(500);
/// Between two looks at a lock, more or less. Ten thousand hosts may wait for it, with a new connection every time.
const PAUSE: Duration = Duration::from_secs(1);

const NO_LOCK: &str = "has something under the name of the session's lock that is no lock; remove it";
/// How much is shown of where the session is.
const MAX_PLACE: usize = 200;

/// Nothing, or record, version and notes.
const READ: &str = "
if redis.call('EXISTS', KEYS[1]) == 0 then return false end
return redis.call('HMGET', KEYS[1], 'record', 'version', 'notes')";

/// If the version there is ARGV[1] ('' for nothing), what is in the other arguments takes its place. Otherwise as READ.
const COMMIT: &str = "
local seen = redis.call('HGET', KEYS[1], 'version')
if not seen and redis.call('EXISTS', KEYS[1]) == 0 then seen = '' end
if seen == ARGV[1] then
  redis.call('HSET', KEYS[1], 'record', ARGV[2], 'version', ARGV[3], 'notes', ARGV[4])
  return 1
end
if seen == '' then return false end
return redis.call('HMGET', KEYS[1], 'record', 'version', 'notes')";

/// If the version there is ARGV[1], and its notes ARGV[2], ARGV[3] are its notes from now on.
const NOTE: &str = "
if redis.call('HGET', KEYS[1], 'version') ~= ARGV[1] then return 0 end
if redis.call('HGET', KEYS[1], 'notes') ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], 'notes', ARGV[3])
return 1";

/// The lock is ARGV[1]'s for ARGV[2] milliseconds: 1. Somebody's: 0. Nobody's, as it never expires: -1.
const TAKE: &str = "
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return 1 end
if redis.call('PTTL', KEYS[1]) == -1 then return -1 end
return 0";

/// For how many milliseconds the lock is still ARGV[1]'s.
const LOOK: &str = "
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return -2 end
return redis.call('PTTL', KEYS[1])";

/// The lock is free, if it was ARGV[1]'s.
const RELEASE: &str = "
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])";

/// What a record's key holds.
struct Fields {
    record: Zeroizing<Vec<u8>>,
    version: Zeroizing<Vec<u8>>,
    notes: Zeroizing<Vec<u8>>,
}

/// The answer of `READ`; None for nothing.
fn fields(answer: Value) -> Result<Option<Fields>> {
    let fields = match answer {
        Value::Nil => return Ok(None),
        Value::Array(fields) => fields,
        _ => return Err(damaged()),
    };
    let mut texts = fields.into_iter().map(|field| match field {
        Value::BulkString(text) => Ok(Zeroizing::new(text)),
        _ => Err(damaged()),
    });
    let mut text = || texts.next().unwrap_or_else(|| Err(damaged()));
    Ok(Some(Fields { record: text()?, version: text()?, notes: text()? }))
}

/// A session under a name in a Redis.
pub(crate) struct RedisStore {
    server: Arc<Server>,
    codec: Codec,
    /// The longest that a piece of work takes.
    patience: Duration,
    record_key: String,
}

impl RedisStore {
    /// Nothing is sent before the store is used. `connect_timeout` bounds each piece of work, and so do five seconds.
    pub(crate) fn new(url: RedisUrl, trust: &Trust, codec: Codec, connect_timeout: Duration) -> Self {
        let record_key = url.record_key();
        let server = Arc::new(Server::new(url, trust.clone()));
        let patience = connect_timeout.min(MAX_PATIENCE);
        RedisStore { server, codec, patience, record_key }
    }

    fn open(&self, until: Instant) -> Result<Link<'_>> {
        self.server.open(end_of_work(Instant::now(), self.patience, until))
    }

    /// What READ gave.
    fn decode(&self, answer: Value) -> Result<Option<Arc<Record>>> {
        self.fields(answer)?.map(|fields| self.record(&fields).map(Arc::new)).transpose()
    }

    fn record(&self, fields: &Fields) -> Result<Record> {
        let read = || {
            let mut record = self.codec.read(&fields.record)?;
            if version_text(record.version).as_bytes() != fields.version.as_slice() {
                return Err(damaged());
            }
            record.notes = self.codec.read_notes(&fields.notes)?;
            Ok(record)
        };
        read().map_err(|error| self.locate(error))
    }

    fn fields(&self, answer: Value) -> Result<Option<Fields>> {
        fields(answer).map_err(|error| self.locate(error))
    }

    /// `error`, said to be about what this store holds.
    fn locate(&self, error: Error) -> Error {
        error.in_context(&redact::clean(&self.server.url.shown(), &[], MAX_PLACE))
    }

    /// One try. None: somebody else has it.
    fn take(&self, term: Duration, deadline: Instant, until: Instant) -> Result<Option<RedisLock>> {
        let key = self.server.url.lock_key();
        let author = Author::here();
        // 128 random bits; the rest is for people, and should there be no random source.
        let owner = format!("{:016x}{:016x} {}:{}", random::number(), random::number(), author.host, author.pid);
        let term = term.as_millis().max(1).to_string();
        let mut link = self.server.open(deadline)?;
        match link.run(TAKE, &key, &[owner.as_bytes(), term.as_bytes()]) {
            Ok(Value::Int(1)) => Ok(Some(RedisLock {
                server: self.server.clone(),
                key,
                owner,
                process: ProcessMark::current(),
                patience: self.patience,
                until,
            })),
            Ok(Value::Int(0)) => Ok(None),
            Ok(_) => Err(fault_of(&self.server, NO_LOCK)),
            Err(error) => {
                // A server that is slow may still do as it was told, and nobody would know whose the lock is.
                link.retract(RELEASE, &key, &owner);
                Err(error)
            }
        }
    }
}

fn fault_of(server: &Server, what: &str) -> Error {
    fault::lasting(&place(&server.url.host, server.url.port), what)
}

impl Store for RedisStore {
    fn kind(&self) -> &'static str {
        "redis"
    }

    fn place(&self) -> Option<String> {
        Some(self.server.url.shown())
    }

    fn lock_kind(&self) -> &'static str {
        "lease"
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn habits(&self) -> Habits {
        Habits {
            look_pause: PAUSE,
            // As much again at random: hosts must not keep in step, each look being a connection.
            lock_slice: PAUSE.mul_f64(1.0 + random::fraction()),
            early_patience: MAX_PATIENCE,
        }
    }

    fn load(&self, until: Instant) -> Result<Option<Arc<Record>>> {
        let answer = self.open(until)?.run(READ, &self.record_key, &[])?;
        self.decode(answer)
    }

    fn lock(&self, term: Duration, wait_until: Option<Instant>, until: Instant) -> Result<Option<Arc<dyn Lock>>> {
        loop {
            let now = Instant::now();
            let deadline = end_of_work(now, self.patience, until);
            let deadline = wait_until.map_or(deadline, |until| deadline.min(until.max(now + LAST_TRY)));
            if let Some(lock) = self.take(term, deadline, until)? {
                return Ok(Some(Arc::new(lock)));
            }
            let left = wait_until.map_or(Duration::ZERO, |until| until.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return Ok(None);
            }
            std::thread::sleep(pause(left, random::fraction()));
        }
    }

    fn prepare(&self, _until: Instant) -> Result<()> {
        // A Redis without space refuses the notes that are written before already.
        Ok(())
    }

    fn note(&self, seen: Version, was: &Notes, notes: &Notes, until: Instant) -> Result<bool> {
        let mut link = self.open(until)?;
        // Compared by their meaning here, and by their bytes there: another version may write them otherwise.
        let Some(fields) = self.fields(link.run(READ, &self.record_key, &[])?)? else {
            return Ok(false);
        };
        let present = self.record(&fields)?;
        if present.version != seen || present.notes != *was {
            return Ok(false);
        }
        let notes = self.codec.write_notes(notes)?;
        match link.run(NOTE, &self.record_key, &[&fields.version, &fields.notes, notes.expose()])? {
            Value::Int(done) => Ok(done == 1),
            _ => Err(self.locate(damaged())),
        }
    }

    /// A commit whose answer got lost may have been done: then the next try finds its own record there, and calls itself
    /// outdated. Nobody else has what is committed: it may take longer than the call.
    fn commit(&self, expected: Expected, next: Record, _until: Instant) -> Result<Commit> {
        let mut link = self.server.open(Instant::now() + self.patience)?;
        let mut seen = match expected {
            Expected::Record(version) => Some(version),
            Expected::Nothing => None,
            // What can't be read may not be overwritten either.
            Expected::Anything => self.decode(link.run(READ, &self.record_key, &[])?)?.map(|record| record.version),
        };
        // Not endless: the connection has a deadline.
        loop {
            let mut next = next.clone();
            next.version.generation = expected
                .next_generation(seen, next.version.generation)
                .ok_or_else(|| Error::new(Status::Internal, "a commit that expects what it does not expect"))?;
            let (record, notes) = (self.codec.write(&next)?, self.codec.write_notes(&next.notes)?);
            let (before, after) = (seen.map(version_text).unwrap_or_default(), version_text(next.version));
            let arguments: [&[u8]; 4] = [before.as_bytes(), record.expose(), after.as_bytes(), notes.expose()];
            let answer = link.run(COMMIT, &self.record_key, &arguments)?;
            if answer == Value::Int(1) {
                return Ok(Commit::Done(Arc::new(next)));
            }
            let present = self.decode(answer)?;
            if expected != Expected::Anything {
                return present
                    .map(Commit::Outdated)
                    .ok_or_else(|| fault_of(&self.server, "has lost the session's record").retryable());
            }
            seen = present.map(|record| record.version);
        }
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore").field("url", &self.server.url).finish_non_exhaustive()
    }
}

/// When work that begins `now` has to be done.
fn end_of_work(now: Instant, patience: Duration, until: Instant) -> Instant {
    (now + patience).min(until.max(now + LAST_WORK))
}

/// How long to wait for the next look at a lock. There is one at the end in any case, hence none just before.
fn pause(left: Duration, fraction: f64) -> Duration {
    let pause = PAUSE.mul_f64(0.5 + fraction);
    if left < pause + PAUSE / 2 { left } else { pause }
}

fn version_text(version: Version) -> String {
    format!("{:016x}-{}", version.session, version.generation)
}

/// A lease: ours until it expires or is given back.
struct RedisLock {
    server: Arc<Server>,
    key: String,
    owner: String,
    /// A forked child has a copy, but not the lock.
    process: ProcessMark,
    patience: Duration,
    /// The end of the call that took it.
    until: Instant,
}

impl Lock for RedisLock {
    fn is_held(&self, rest: Duration, until: Instant) -> Result<bool> {
        let asked = Instant::now();
        let mut link = self.server.open(end_of_work(asked, self.patience, until))?;
        match link.run(LOOK, &self.key, &[self.owner.as_bytes()])? {
            // The answer may be as old as the question.
            Value::Int(left) => Ok(u64::try_from(left)
                .is_ok_and(|left| Duration::from_millis(left).saturating_sub(asked.elapsed()) >= rest)
                && self.is_ours_here()),
            _ => Err(fault_of(&self.server, NO_LOCK)),
        }
    }
}

impl RedisLock {
    fn is_ours_here(&self) -> bool {
        self.process == ProcessMark::current()
    }
}

impl Drop for RedisLock {
    fn drop(&mut self) {
        if self.is_ours_here() {
            // What can't be given back expires.
            let _ = self
                .server
                .open(end_of_work(Instant::now(), self.patience, self.until))
                .and_then(|mut link| link.run(RELEASE, &self.key, &[self.owner.as_bytes()]));
        }
    }
}
