//! Removes files that nobody needs any more.
#![forbid(unsafe_code)]

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use super::directory::Directory;
use super::lease::end_of;
use super::names::{self, Listing, Numbered};
use crate::error::Result;

/// A file untouched for this long is not in use by any running process.
const SETTLED: Duration = Duration::from_secs(10);

/// Removes files that are two generations old, and files that dead processes left.
pub(super) fn tidy(directory: &Directory, listing: &Listing) -> Result<()> {
    let generation = listing.records.last().copied().unwrap_or(0);
    let attempt = Listing::highest(&listing.leases, generation);
    let is_behind = |(number, _): Numbered| number.saturating_add(2) <= generation;
    let files = |numbers: &BTreeSet<Numbered>, name: fn(Numbered) -> String, is_old: &dyn Fn(Numbered) -> bool| {
        numbers.iter().copied().filter(|number| is_old(*number)).map(name).collect::<Vec<_>>()
    };
    // Whoever sleeps and comes late for an attempt finds a higher one.
    let is_spent =
        |number: Numbered| is_behind(number) || number.0 == generation && number.1.saturating_add(2) <= attempt;
    let is_left = |number: Numbered| number < (generation, attempt);
    let at_once = [
        files(&listing.leases, names::lease, &is_spent),
        files(&listing.released, names::released, &is_spent),
        files(&listing.reserved, names::reserved, &is_left),
        files(&listing.notes, names::note, &is_behind),
    ];
    for suffix in at_once.iter().flatten() {
        directory.remove(&directory.file(suffix))?;
    }
    // A number may be given again once its file is gone: only when nobody is about to ask for it, for long after there
    // was another.
    let records: Vec<u64> = listing.records.iter().copied().collect();
    let notes: Vec<u64> =
        listing.notes.range((generation, 2)..=(generation, u64::MAX)).map(|(_, number)| *number).collect();
    let with_next = |numbers: &[u64], name: &dyn Fn(u64) -> String| {
        let top = numbers.last().copied().unwrap_or(0);
        let pairs = numbers.iter().zip(numbers.iter().skip(1));
        let old = pairs.filter(|(number, _)| number.saturating_add(2) <= top);
        old.map(|(number, next)| (name(*number), name(*next))).collect::<Vec<_>>()
    };
    let in_order =
        [with_next(&records, &names::record), with_next(&notes, &|number| names::note((generation, number)))];
    if in_order.iter().all(Vec::is_empty) && listing.temporaries.is_empty() {
        return Ok(());
    }
    let now = directory.time()?;
    for numbers in &in_order {
        for (suffix, next) in numbers {
            if !is_settled(directory, next, now)? {
                break;
            }
            directory.remove(&directory.file(suffix))?;
        }
    }
    for suffix in &listing.temporaries {
        if is_settled(directory, suffix, now)? {
            directory.remove(&directory.file(suffix))?;
        }
    }
    Ok(())
}

/// Whether a file has stood for a while by now.
pub(super) fn is_settled(directory: &Directory, suffix: &str, now: SystemTime) -> Result<bool> {
    let path = directory.file(suffix);
    let found = directory.look_at(&path)?;
    Ok(found.is_some_and(|found| end_of(&path, &found, SETTLED).is_ok_and(|end| end < now)))
}
