//! Makes text that came from elsewhere fit to be shown: no secrets, no control characters, short.
#![forbid(unsafe_code)]

use std::collections::HashSet;

use zeroize::Zeroizing;

const MARK: &str = "[redacted]";
/// A piece of a secret of this length is cut out as well: servers like to echo the first part of a token.
const PIECE: usize = 12;
/// How much of a secret is worked on at once.
const CHUNK: usize = 4096;
/// How much of a server's text is looked at; far more than is ever shown.
const LOOKED_AT: usize = 8 * 1024;

/// `text` without any of `secrets`, as they are or as JSON or a URL would write them, without control and
/// direction-changing characters, white space folded, and cut to `max` bytes.
pub(crate) fn clean(text: &str, secrets: &[&str], max: usize) -> String {
    let text = &text[..floor_char_boundary(text, LOOKED_AT)];
    let mut cut = vec![false; text.len()];
    for secret in secrets.iter().flat_map(|secret| chunks(secret)) {
        mark_occurrences(text.as_bytes(), secret.as_bytes(), &mut cut);
        mark_occurrences(text.as_bytes(), json_form(secret).as_bytes(), &mut cut);
        mark_occurrences(text.as_bytes(), percent_form(secret).as_bytes(), &mut cut);
    }
    let mut out = String::new();
    let mut last_was_cut = false;
    let mut last_was_space = true;
    for (at, c) in text.char_indices() {
        if cut[at..at + c.len_utf8()].contains(&true) {
            if !last_was_cut {
                out.push_str(MARK);
            }
            last_was_cut = true;
            last_was_space = false;
        } else if c.is_whitespace() || c.is_control() {
            if !last_was_space {
                out.push(' ');
            }
            last_was_space = true;
            last_was_cut = false;
        } else if !is_invisible(c) {
            out.push(c);
            last_was_space = false;
            last_was_cut = false;
        }
    }
    out.truncate(out.trim_end().len());
    if out.len() > max {
        out.truncate(floor_char_boundary(&out, max.saturating_sub('…'.len_utf8())));
        out.push('…');
    }
    out
}

/// The greatest char boundary of `text` that is not beyond `at`.
pub(crate) fn floor_char_boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// Parts of a secret of any size that overlap by more than a piece, so that the work space stays small.
fn chunks(secret: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(secret).filter(|secret| !secret.is_empty());
    std::iter::from_fn(move || {
        let present = rest?;
        let end = floor_char_boundary(present, CHUNK);
        let next = floor_char_boundary(present, CHUNK - 8 * PIECE);
        rest = (end < present.len()).then(|| &present[next..]);
        Some(&present[..end])
    })
}

/// Marks every occurrence of `secret`, and every piece of it that is at least `PIECE` long.
fn mark_occurrences(text: &[u8], secret: &[u8], cut: &mut [bool]) {
    let piece = secret.len().min(PIECE);
    if piece == 0 || text.len() < piece {
        return;
    }
    // Every longer piece of a secret is made of its windows; look those up instead of comparing each pair.
    let windows: HashSet<&[u8]> = secret.windows(piece).collect();
    for start in 0..=text.len() - piece {
        if windows.contains(&text[start..start + piece]) {
            cut[start..start + piece].fill(true);
        }
    }
}

fn json_form(secret: &str) -> Zeroizing<String> {
    let mut quoted = Zeroizing::new(serde_json::to_string(secret).unwrap_or_default());
    if quoted.len() >= 2 {
        quoted.pop();
        quoted.remove(0);
    }
    quoted
}

fn percent_form(secret: &str) -> Zeroizing<String> {
    let mut out = Zeroizing::new(String::with_capacity(secret.len() * 3));
    for byte in secret.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            for digit in [byte >> 4, byte & 15] {
                out.push(char::from(b"0123456789ABCDEF"[usize::from(digit)]));
            }
        }
    }
    out
}

/// Characters that show nothing and can reorder or hide what stands beside them.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{00AD}' | '\u{034F}' | '\u{061C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}'
        | '\u{180B}'..='\u{180F}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}'
        | '\u{2060}'..='\u{206F}' | '\u{3164}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{FFA0}'
        | '\u{FFF0}'..='\u{FFFB}' | '\u{E0000}'..='\u{E0FFF}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_cut_out_in_every_form() {
        let secret = "p\"a ss/é";
        let text = r#"got p"a ss/é, p\"a ss/é and p%22a%20ss%2F%C3%A9"#;
        assert_eq!(clean(text, &[secret], 200), "got [redacted], [redacted] and [redacted]");
    }

    #[test]
    fn a_long_piece_of_a_secret_is_cut_out() {
        let token = "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.payload.signature";
        assert_eq!(clean("bad token eyJhbGciOiJSUzI1… sorry", &[token], 200), "bad token [redacted]… sorry");
    }

    #[test]
    fn the_end_of_a_huge_secret_is_cut_out_too() {
        let secret: String = (0..10_000).map(|n| format!("{n:x}ü")).collect();
        for (start, len) in [(0, 40), (4000, 200), (secret.len() - 40, 40), (30_000, 300)] {
            let start = floor_char_boundary(&secret, start);
            let piece = &secret[start..floor_char_boundary(&secret, start + len)];
            assert_eq!(clean(&format!("<{piece}>"), &[&secret], 999), "<[redacted]>");
        }
    }

    #[test]
    fn a_secret_inside_another_leaves_no_piece() {
        assert_eq!(clean("xabcabcx abc", &["abc", "abcabc"], 99), "x[redacted]x [redacted]");
    }

    #[test]
    fn control_and_direction_characters_go() {
        assert_eq!(clean("a\r\nb\u{202e}c\u{7}\u{200b}d \t e\u{feff}\n", &[], 99), "a bc d e");
    }

    #[test]
    fn the_cut_is_at_a_character() {
        let out = clean(&"é".repeat(300), &[], 100);
        assert!(out.len() <= 100 && out.ends_with('…'));
        assert_eq!(floor_char_boundary("é", 1), 0);
    }

    #[test]
    fn an_empty_secret_cuts_nothing() {
        assert_eq!(clean("plain", &[""], 99), "plain");
    }
}
