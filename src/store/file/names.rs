//! The numbered files of a store with leases.
#![forbid(unsafe_code)]

use std::collections::BTreeSet;

/// A generation, and a number within it.
pub(super) type Numbered = (u64, u64);

/// What lies beside the store.
#[derive(Debug, Default)]
pub(super) struct Listing {
    pub(super) records: BTreeSet<u64>,
    pub(super) notes: BTreeSet<Numbered>,
    pub(super) leases: BTreeSet<Numbered>,
    pub(super) released: BTreeSet<Numbered>,
    pub(super) reserved: BTreeSet<Numbered>,
    /// The suffixes of other temporary files.
    pub(super) temporaries: Vec<String>,
}

impl Listing {
    /// Sorts the suffixes; what is not exactly as written below is not ours.
    pub(super) fn of(suffixes: &[String]) -> Self {
        let mut listing = Listing::default();
        for suffix in suffixes {
            if let Some(rest) = suffix.strip_prefix(".g") {
                listing.records.extend(number(rest));
            } else if let Some(rest) = suffix.strip_prefix(".n.") {
                listing.notes.extend(numbered(rest));
            } else if let Some(rest) = suffix.strip_prefix(".lease.") {
                match rest.strip_suffix(".free") {
                    Some(rest) => listing.released.extend(numbered(rest)),
                    None => listing.leases.extend(numbered(rest)),
                }
            } else if let Some(rest) = suffix.strip_prefix(".tmp.") {
                if let Some(reserved) = numbered(rest) {
                    listing.reserved.insert(reserved);
                } else if rest.len() == 16 && rest.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
                    listing.temporaries.push(suffix.clone());
                }
            }
        }
        listing
    }

    /// The highest number of `of` within `generation`; 0 if there is none.
    pub(super) fn highest(of: &BTreeSet<Numbered>, generation: u64) -> u64 {
        of.range((generation, 0)..=(generation, u64::MAX)).next_back().map_or(0, |(_, number)| *number)
    }
}

pub(super) fn record(number: u64) -> String {
    format!(".g{number}")
}

pub(super) fn note((generation, number): Numbered) -> String {
    format!(".n.{generation}.{number}")
}

pub(super) fn lease((generation, attempt): Numbered) -> String {
    format!(".lease.{generation}.{attempt}")
}

pub(super) fn released((generation, attempt): Numbered) -> String {
    format!(".lease.{generation}.{attempt}.free")
}

pub(super) fn reserved((generation, attempt): Numbered) -> String {
    format!(".tmp.{generation}.{attempt}")
}

fn numbered(text: &str) -> Option<Numbered> {
    let (generation, number_in_it) = text.split_once('.')?;
    Some((number(generation)?, number(number_in_it)?))
}

/// A decimal number as we write it: no sign, no leading zeros.
fn number(text: &str) -> Option<u64> {
    let is_ours = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if is_ours { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back_as_they_were() {
        let temporary = ".tmp.00112233445566ff".to_owned();
        let suffixes =
            [record(7), record(10), note((7, 2)), lease((7, 3)), released((7, 1)), reserved((7, 3)), temporary.clone()];
        let listing = Listing::of(&suffixes);
        assert_eq!(listing.records.into_iter().collect::<Vec<_>>(), [7, 10]);
        assert_eq!(Listing::highest(&listing.notes, 7), 2);
        assert_eq!(Listing::highest(&listing.notes, 8), 0);
        assert_eq!(Listing::highest(&listing.leases, 7), 3);
        assert_eq!(Listing::highest(&listing.released, 7), 1);
        assert_eq!(Listing::highest(&listing.reserved, 7), 3);
        assert_eq!(listing.temporaries, [temporary]);
    }

    #[test]
    fn what_is_not_ours_is_left_alone() {
        let foreign = [
            "",
            ".g",
            ".g07",
            ".g+7",
            ".g-1",
            ".g7~",
            ".g7.bak",
            ".g18446744073709551616",
            ".n.7",
            ".n.7.",
            ".n.07.1",
            ".n.7.1.2",
            ".lease.7",
            ".lease.7.1.freed",
            ".lease.x.1",
            ".lease.7.1.free.free",
            ".tmp",
            ".tmp.1",
            ".tmp.00112233445566FF",
            ".method",
            ".lock",
            "x.g7",
        ];
        let listing = Listing::of(&foreign.map(str::to_owned));
        assert_eq!(format!("{listing:?}"), format!("{:?}", Listing::default()));
    }
}
