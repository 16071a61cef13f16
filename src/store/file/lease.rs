//! Records, notes and leases as numbered files: for file systems where a lock may hold on one host only.
//!
//! A name is given once, by `link`. Whoever finds the name taken has lost. Since old files are removed, a process that
//! slept may still get a name that was given before; so each looks, after it got one, whether the file before is still
//! there: files are removed in the order of their numbers.
#![forbid(unsafe_code)]

use std::fs::Metadata;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use arc_swap::ArcSwapOption;

use super::directory::{Directory, Link, Temporary, store_error};
use super::helper;
use super::names::{self, Listing, Numbered};
use super::tidy::{is_settled, tidy};
use super::{ATTEMPTS, Base, Held, is_same_file, still_there};
use crate::author::Author;
use crate::error::Result;
use crate::fork::ProcessMark;
use crate::random;
use crate::record::{Notes, Record, Version};
use crate::secret::SecretBytes;
use crate::store::{Commit, Expected, Lock};
use crate::wiped_json::{Member, WipedJson, write_object};

/// Pauses between two looks at a lease that another process holds.
const SHORTEST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(200);
/// How long a waiting process relies on the directory listing that a network file system's client has cached.
const NEWS: Duration = Duration::from_secs(1);
/// The term of a lease that can't be read.
const UNKNOWN_TERM: Duration = Duration::from_secs(60);

/// The numbered files.
pub(super) struct Leased {
    base: Arc<Base>,
    /// Where to look first.
    pub(super) hint: ArcSwapOption<Present>,
    /// The lease that was met last, and when it was met first.
    met: ArcSwapOption<Met>,
    /// The number of the last tombstone that was looked behind.
    looked_behind: AtomicU64,
}

/// The current record.
#[derive(Clone, Debug)]
pub(super) struct Present {
    /// The number of its file: its generation.
    pub(super) number: u64,
    /// The number of its last note; 0 if there is none.
    note: u64,
    pub(super) record: Arc<Record>,
}

impl Leased {
    pub(super) fn new(base: Arc<Base>) -> Self {
        Leased {
            base,
            hint: ArcSwapOption::empty(),
            met: ArcSwapOption::empty(),
            looked_behind: AtomicU64::new(u64::MAX),
        }
    }

    pub(super) fn load(&self) -> Result<Option<Arc<Record>>> {
        let present = self.present(self.hint.load_full().as_deref())?;
        if let Some(present) = &present
            && present.record.tokens.is_none()
            && self.looked_behind.swap(present.number, Ordering::SeqCst) != present.number
        {
            // Who can't do that has the record all the same.
            let _ = self.finish(present);
        }
        Ok(present.map(|present| present.record))
    }

    /// The current record; looked for with a list of all files, if there is no `hint`.
    pub(super) fn present(&self, hint: Option<&Present>) -> Result<Option<Present>> {
        let mut hint = hint;
        let mut least = 0;
        for _ in 0..ATTEMPTS {
            let Some(number) = self.top_record(hint)? else {
                return Ok(None);
            };
            let number = number.max(least);
            let text = self.directory().read(&self.directory().file(&names::record(number)))?;
            let record = text.map(|(text, _)| self.base.read(&text)).transpose()?;
            let noted = match record {
                Some(record) if record.version.generation > number => {
                    self.raise(number, record.version.generation)?;
                    // There now, whatever a list says that somebody remembers.
                    least = record.version.generation;
                    None
                }
                Some(record) => self.with_notes(record, hint)?,
                None => {
                    least = 0;
                    None
                }
            };
            if let Some((record, note)) = noted {
                let present = Present { number, note, record: Arc::new(record) };
                self.hint.store(Some(Arc::new(present.clone())));
                return Ok(Some(present));
            }
            // It was removed while we looked for it: there are newer ones.
            hint = None;
        }
        Err(self.base.unsteady())
    }

    /// The highest number of a record. That of the hint, if the next is not there, and it is itself, which whoever asked
    /// finds out by reading it: the next comes before all that are higher, and goes after all that are lower.
    fn top_record(&self, hint: Option<&Present>) -> Result<Option<u64>> {
        if let Some(hint) = hint
            && !self.is_there(&names::record(hint.number.saturating_add(1)))?
        {
            return Ok(Some(hint.number));
        }
        Ok(self.list()?.records.last().copied())
    }

    /// The record with its last notes, and their number. None: look again.
    fn with_notes(&self, record: Record, hint: Option<&Present>) -> Result<Option<(Record, u64)>> {
        let Version { session, generation } = record.version;
        let hint = hint.filter(|hint| hint.record.version == record.version).map(|hint| hint.note);
        let note = match hint {
            // The first note of a record is never removed while the record is current, the others in their order:
            // hence only with the first, there may be others while the second is missing.
            Some(note) if note != 1 && !self.is_there(&names::note((generation, note.saturating_add(1))))? => note,
            _ => Listing::highest(&self.list()?.notes, generation),
        };
        if note == 0 {
            return Ok(Some((record, 0)));
        }
        let Some((text, _)) = self.directory().read(&self.directory().file(&names::note((generation, note))))? else {
            return Ok(None);
        };
        let notes = read_note(&self.base, session, text.expose())?;
        Ok(Some((Record { notes: notes.unwrap_or_else(|| record.notes.clone()), ..record }, note)))
    }

    pub(super) fn note(&self, seen: Version, was: &Notes, notes: &Notes) -> Result<bool> {
        let text = write_note(&self.base, seen.session, notes)?;
        let mut temporary = None;
        for _ in 0..ATTEMPTS {
            let Some(present) =
                self.present(None)?.filter(|present| present.record.version == seen && present.record.notes == *was)
            else {
                return Ok(false);
            };
            let number = (seen.generation, present.note.saturating_add(1));
            let written = match temporary.take() {
                Some(written) => written,
                None => self.directory().write(self.directory().unique(), text.expose())?,
            };
            check_is_wanted()?;
            match self.directory().link(written.path(), &self.directory().file(&names::note(number)))? {
                Link::Taken => temporary = Some(written),
                Link::Vanished => {}
                Link::Made => {
                    drop(written);
                    self.directory().sync()?;
                    let after = self.present(None)?;
                    let after = after.filter(|after| after.record.version == seen);
                    match after {
                        None => return Ok(false),
                        // Later ones have come and seen ours, or were there before, when we slept: look again.
                        Some(after) if after.note > number.1 => {}
                        Some(_) => return Ok(true),
                    }
                }
            }
        }
        Err(self.base.unsteady())
    }

    pub(super) fn commit(&self, expected: Expected, next: Record) -> Result<Commit> {
        for _ in 0..ATTEMPTS {
            let present = self.present(None)?;
            let version = present.as_ref().map(|present| present.record.version);
            let Some(generation) = expected.next_generation(version, next.version.generation) else {
                let present = present.ok_or_else(|| self.base.lost())?;
                return Ok(Commit::Outdated(present.record));
            };
            let mut next = next.clone();
            next.version.generation = generation;
            let text = self.base.codec.write(&next)?;
            let written = self.base.write(self.directory().unique(), &text)?;
            if self.append(&written, present.map(|present| present.number), generation)? {
                if next.tokens.is_none() {
                    self.hint.store(None);
                    self.forget(&next).map_err(still_there)?;
                }
                return Ok(Commit::Done(Arc::new(next)));
            }
        }
        Err(self.base.unsteady())
    }

    /// Makes `written` the record after number `last`. All who come after the same one want the same number, and one
    /// gets it. False: somebody else did.
    pub(super) fn append(&self, written: &Temporary, last: Option<u64>, generation: u64) -> Result<bool> {
        let number = last.map_or(0, |last| last.saturating_add(1));
        let path = self.directory().file(&names::record(number));
        if self.directory().link(written.path(), &path)? != Link::Made {
            return Ok(false);
        }
        // Asked for by its name: a list that is read while others make and remove files can leave one out.
        let has_last = match last {
            Some(last) => self.stands(last)?,
            None => false,
        };
        if !has_last && self.was_removed_before(number)? {
            // The number had been given, used and removed before we came to it: ours comes too late.
            self.directory().remove(&path)?;
            return Ok(false);
        }
        if generation > number {
            self.raise(number, generation)?;
        }
        self.directory().sync()?;
        Ok(true)
    }

    /// Whether the record of this number is there as it was made. One that a logout emptied says nothing: somebody who
    /// slept may have brought its name back.
    fn stands(&self, number: u64) -> Result<bool> {
        let text = self.directory().read(&self.directory().file(&names::record(number)))?;
        Ok(text.is_some_and(|(text, _)| {
            self.base.codec.read(text.expose()).map_or(true, |record| record.version.generation <= number)
        }))
    }

    /// Ends on the disk what `tombstone` ended: no file of before keeps a token. Their names stay taken, and the
    /// files as old as they were: both tell who comes late.
    fn forget(&self, tombstone: &Record) -> Result<()> {
        let text = self.base.codec.write(tombstone)?;
        let generation = tombstone.version.generation;
        // A list that is read while others make and remove files can leave one out: hence two, and the last by its name.
        let mut listing = Listing::default();
        for _ in 0..2 {
            listing = self.list()?;
            let older = listing.records.range(..generation).copied();
            for number in older.chain(generation.checked_sub(1)) {
                self.empty(&self.directory().file(&names::record(number)), text.expose())?;
            }
        }
        // Records that never got their names. Whoever is still at work finds its file gone, and what there is.
        let reserved = listing.reserved.iter().copied().map(names::reserved);
        for suffix in reserved.chain(listing.temporaries.iter().cloned()) {
            let path = self.directory().file(&suffix);
            if self.directory().read(&path)?.is_some_and(|(text, _)| self.has_token(&text)) {
                self.directory().remove(&path)?;
            }
        }
        self.directory().sync()
    }

    /// Puts a copy of a tombstone in the place of a record with tokens.
    fn empty(&self, path: &Path, tombstone: &[u8]) -> Result<()> {
        for _ in 0..ATTEMPTS {
            match self.directory().read(path)? {
                Some((text, old)) if self.has_token(&text) => {
                    let copy = self.directory().write_as_old(self.directory().unique(), tombstone, &old)?;
                    if self.directory().try_replace(copy, path)? {
                        return Ok(());
                    }
                }
                None if self.directory().look_at(path)?.is_some() => {}
                _ => return Ok(()),
            }
        }
        Err(self.base.unsteady())
    }

    /// Whether it is a record with a token. What is no record of ours is left alone.
    fn has_token(&self, text: &SecretBytes) -> bool {
        self.base.codec.read(text.expose()).is_ok_and(|record| !record.tokens.is_none())
    }

    /// Completes an interrupted logout.
    fn finish(&self, tombstone: &Present) -> Result<()> {
        for number in self.list()?.records.range(..tombstone.number) {
            let text = self.directory().read(&self.directory().file(&names::record(*number)))?;
            if text.is_some_and(|(text, _)| self.has_token(&text)) {
                // Not all at once who see the tombstone while its author is still at it.
                let suffix = names::record(tombstone.number);
                let is_left = is_settled(self.directory(), &suffix, self.directory().time()?)?;
                return if is_left { self.forget(&tombstone.record) } else { Ok(()) };
            }
        }
        Ok(())
    }

    /// Whether a record of this number was there before and went: never before the next had stood for a while.
    pub(super) fn was_removed_before(&self, number: u64) -> Result<bool> {
        let next = number.saturating_add(1);
        if self.list()?.records.last().is_none_or(|top| *top <= next) {
            return Ok(false);
        }
        let suffix = names::record(next);
        Ok(!self.is_there(&suffix)? || is_settled(self.directory(), &suffix, self.directory().time()?)?)
    }

    /// Gives the record of this number the number of its generation too, before anybody goes on from there. A record
    /// with a high generation may be brought to a store that lost it; the number after the last one decides who does.
    fn raise(&self, number: u64, generation: u64) -> Result<()> {
        let path = |number| self.directory().file(&names::record(number));
        self.directory().link(&path(number), &path(generation)).map(drop)
    }

    pub(super) fn lock(&self, term: Duration, wait_until: Option<Instant>) -> Result<Option<Arc<dyn Lock>>> {
        let mut wait = Wait { until: wait_until, pause: SHORTEST_PAUSE };
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                self.directory().time()?;
            }
            let present = self.present(None)?;
            let version = present.map(|present| present.record.version);
            let generation = version.map_or(0, |version| version.generation);
            let attempt = Listing::highest(&self.list()?.leases, generation);
            match self.standing((generation, attempt), &mut wait)? {
                Standing::Held => return Ok(None),
                Standing::Unknown => {}
                // Who loses against another looks again, and finds the other's lease.
                Standing::Free => {
                    if let Some(lease) = self.take((generation, attempt.saturating_add(1)), version, term)? {
                        return Ok(Some(Arc::new(lease)));
                    }
                }
            }
        }
        Err(self.base.unsteady())
    }

    /// How it is with the last lease, at the end of the wait at the latest.
    fn standing(&self, number: Numbered, wait: &mut Wait) -> Result<Standing> {
        if number.1 == 0 {
            return Ok(Standing::Free);
        }
        let path = self.directory().file(&names::lease(number));
        let Some((text, found)) = self.directory().read(&path)? else {
            return Ok(Standing::Unknown);
        };
        if self.is_there(&names::released(number))? {
            return Ok(Standing::Free);
        }
        let term = read_term(text.expose());
        let end = end_of(&path, &found, term)?;
        let now = self.directory().time()?;
        // The clock of whoever keeps the files may have been set back: nothing lasts longer than its term.
        let rest = term.saturating_sub(self.first_met(number, found).elapsed());
        if now > end || rest.is_zero() {
            return Ok(Standing::Free);
        }
        // Until then only its release or a new record end it; no need to ask for the time, but now and then for news.
        let mut asked = Instant::now();
        let until = asked.checked_add(end.duration_since(now).unwrap_or_default().min(rest));
        while until.is_some_and(|until| Instant::now() <= until) {
            if !wait.pause() {
                return Ok(Standing::Held);
            }
            if asked.elapsed() > NEWS {
                self.directory().time()?;
                asked = Instant::now();
            }
            let present = self.load()?;
            if self.is_there(&names::released(number))?
                || present.is_some_and(|present| present.version.generation != number.0)
            {
                break;
            }
        }
        Ok(Standing::Unknown)
    }

    /// When this lease was met first, by a clock that nobody sets.
    fn first_met(&self, number: Numbered, found: Metadata) -> Instant {
        if let Some(met) = self.met.load().as_deref()
            && met.number == number
            && is_same_file(&met.found, &found)
        {
            return met.at;
        }
        let at = Instant::now();
        self.met.store(Some(Arc::new(Met { number, found, at })));
        at
    }

    /// Takes the lease of this number, if nobody else does.
    pub(super) fn take(&self, number: Numbered, version: Option<Version>, term: Duration) -> Result<Option<Lease>> {
        let taken = Instant::now();
        let path = self.directory().file(&names::lease(number));
        let written = self.directory().write(self.directory().unique(), write_term(term)?.expose())?;
        check_is_wanted()?;
        let found = self.directory().look_at(written.path())?;
        if self.directory().link(written.path(), &path)? != Link::Made {
            return Ok(None);
        }
        drop(written);
        let Some(found) = found else {
            return Ok(None);
        };
        let lease = Lease {
            number,
            end: end_of(&path, &found, term)?,
            ends: taken.checked_add(term),
            found,
            version,
            held: self.base.hold(self.directory().file(&names::reserved(number)))?,
            mark: ProcessMark::current(),
            leased: Leased::new(self.base.clone()),
        };
        // Whether the record is still the one that the lease is for, and nobody has a later one.
        Ok(lease.stands(Duration::ZERO)?.then_some(lease))
    }

    fn list(&self) -> Result<Listing> {
        Ok(Listing::of(&self.directory().suffixes()?))
    }

    fn is_there(&self, suffix: &str) -> Result<bool> {
        Ok(self.directory().look_at(&self.directory().file(suffix))?.is_some())
    }

    fn directory(&self) -> &Directory {
        &self.base.directory
    }
}

/// That somebody waits for what is done here: a lease or an intent that nobody knows of would only keep others waiting.
fn check_is_wanted() -> Result<()> {
    if helper::is_abandoned() { Err(store_error("nobody waits for this any more")) } else { Ok(()) }
}

/// A lease that somebody holds, or held.
struct Met {
    number: Numbered,
    found: Metadata,
    at: Instant,
}

/// How it is with a lease.
enum Standing {
    /// There is none, or it was given back, or it has run out.
    Free,
    Held,
    /// It has to be looked at again.
    Unknown,
}

/// How long somebody waits for a lease.
struct Wait {
    until: Option<Instant>,
    pause: Duration,
}

impl Wait {
    /// Waits a little. False: there is no time left.
    fn pause(&mut self) -> bool {
        let left = self.until.map_or(Duration::ZERO, |until| until.saturating_duration_since(Instant::now()));
        if left.is_zero() {
            return false;
        }
        std::thread::sleep(left.min(self.pause.mul_f64(0.5 + random::fraction())));
        self.pause = self.pause.saturating_mul(2).min(LONGEST_PAUSE);
        true
    }
}

/// The renewal lock of one record, until its end by the clock of whoever keeps the files.
pub(super) struct Lease {
    number: Numbered,
    found: Metadata,
    end: SystemTime,
    /// The same by a clock that nobody sets.
    ends: Option<Instant>,
    /// The record that it was taken for; a later one has leases of its own.
    version: Option<Version>,
    held: Arc<Held>,
    mark: ProcessMark,
    leased: Leased,
}

impl Lease {
    fn is_of_this_process(&self) -> bool {
        self.mark == ProcessMark::current()
    }

    fn is_mine(&self) -> Result<bool> {
        let directory = self.leased.directory();
        let seen = directory.look_at(&directory.file(&names::lease(self.number)))?;
        Ok(seen.is_some_and(|seen| is_same_file(&seen, &self.found)))
    }

    /// Gives it back: a name of its own says so, since its file must not go while others may want its number.
    fn release(&self) -> Result<()> {
        let (generation, attempt) = self.number;
        let listing = self.leased.list()?;
        let is_last = listing.records.last().is_none_or(|last| *last <= generation)
            && Listing::highest(&listing.leases, generation) <= attempt;
        let directory = self.leased.directory();
        if is_last && self.is_mine()? {
            let file = |suffix: String| directory.file(&suffix);
            directory.link(&file(names::lease(self.number)), &file(names::released(self.number)))?;
        }
        tidy(directory, &listing)
    }
}

impl Lock for Lease {
    fn is_held(&self, rest: Duration, _until: Instant) -> Result<bool> {
        self.stands(rest)
    }
}

impl Lease {
    /// Whether it is ours, and the last one of the present record.
    fn stands(&self, rest: Duration) -> Result<bool> {
        if !self.is_of_this_process() {
            return Ok(false);
        }
        // First of all, since it has the client of a network file system ask the server about the others.
        let now = self.leased.directory().time()?;
        let is_in_time = now.checked_add(rest).is_some_and(|then| then <= self.end)
            && self.ends.is_none_or(|ends| Instant::now() + rest <= ends);
        let (generation, attempt) = self.number;
        let present = self.leased.present(None)?.map(|present| present.record.version);
        Ok(is_in_time
            && present == self.version
            && Listing::highest(&self.leased.list()?.leases, generation) == attempt
            && !self.leased.is_there(&names::released(self.number))?
            && self.is_mine()?)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.is_of_this_process() {
            self.leased.base.let_go(&self.held);
            // What could not be given back runs out.
            let _ = self.release();
        }
    }
}

/// The moment that lies `term` after the file at `path` was written.
pub(super) fn end_of(path: &Path, found: &Metadata, term: Duration) -> Result<SystemTime> {
    let end = found.modified().ok().and_then(|written| written.checked_add(term));
    end.ok_or_else(|| {
        store_error(format!("the file system of {} keeps no times; keep the store on another", path.display()))
    })
}

/// A lease: how long it is, and for people whose.
fn write_term(term: Duration) -> Result<SecretBytes> {
    let author = Author::here();
    write_object(&[
        ("term_ms", Member::Unsigned(u64::try_from(term.as_millis()).unwrap_or(u64::MAX))),
        ("by_host", Member::Text(&author.host)),
        ("by_pid", Member::Unsigned(author.pid.into())),
    ])
}

fn read_term(text: &[u8]) -> Duration {
    let json = WipedJson::parse(text);
    let term = json.as_ref().and_then(|json| json.lookup("term_ms")).and_then(serde_json::Value::as_u64);
    term.map_or(UNKNOWN_TERM, Duration::from_millis)
}

/// Notes, and the session that they are about: those of an older one may have been left behind by whoever removed it.
fn write_note(base: &Base, session: u64, notes: &Notes) -> Result<SecretBytes> {
    let mut text = SecretBytes::with_capacity(0)?;
    text.push(about(session).as_bytes())?;
    text.push(base.codec.write_notes(notes)?.expose())?;
    Ok(text)
}

fn read_note(base: &Base, session: u64, text: &[u8]) -> Result<Option<Notes>> {
    text.strip_prefix(about(session).as_bytes()).map(|text| base.codec.read_notes(text)).transpose()
}

fn about(session: u64) -> String {
    format!("{session:016x}\n")
}
