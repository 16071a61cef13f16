//! Makes text that came from elsewhere fit to be shown: no secrets, no control characters, short.
#![forbid(unsafe_code)]

mod escapes;

use std::collections::HashSet;
use std::ops::Range;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use escapes::Reading;

const MARK: &str = "[redacted]";
/// A piece of a secret of this length is cut out as well: servers like to echo the first part of a token.
const PIECE: usize = 12;
/// In characters: what is shorter is not searched for.
const SHORTEST: usize = 4;
/// How much of a secret is worked on at once.
const CHUNK: usize = 4096;
/// How much of a server's text is looked at; far more than is ever shown.
const LOOKED_AT: usize = 8 * 1024;

/// `text` without any of `secrets`, as they are or in any form that servers and frameworks write them in (JSON, URLs,
/// forms, HTML, base64), without control and direction-changing characters, white space folded, and cut to `max` bytes.
pub(crate) fn clean(text: &str, secrets: &[&str], max: usize) -> String {
    let text = &text[..floor_char_boundary(text, LOOKED_AT)];
    let mut cut = vec![false; text.len()];
    // To cut out a secret of a few letters would tell it.
    let mut secrets = secrets.iter().filter(|secret| secret.chars().nth(SHORTEST - 1).is_some()).peekable();
    let readings = if secrets.peek().is_some() { Reading::all(text) } else { Vec::new() };
    for secret in secrets.flat_map(|secret| chunks(secret)) {
        mark_occurrences(&readings, secret.as_bytes(), &mut cut, |_, found| found);
        for form in base64_forms(secret.as_bytes()) {
            mark_occurrences(&readings, &form, &mut cut, whole_base64);
        }
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

/// Marks every occurrence of `secret`, and every piece of it that is at least `PIECE` long, as far as `extent` says.
fn mark_occurrences(
    readings: &[Reading],
    secret: &[u8],
    cut: &mut [bool],
    extent: impl Fn(&[u8], Range<usize>) -> Range<usize>,
) {
    let piece = secret.len().min(PIECE);
    if piece == 0 {
        return;
    }
    // Every longer piece of a secret is made of its windows; look those up instead of comparing each pair.
    let windows: HashSet<&[u8]> = secret.windows(piece).collect();
    for reading in readings {
        let text = reading.bytes();
        let mut done = 0;
        for (start, window) in text.windows(piece).enumerate() {
            let end = start + piece;
            if end > done && windows.contains(window) {
                let found = extent(text, start..end);
                done = found.end;
                if let Some(marks) = cut.get_mut(reading.place(found)) {
                    marks.fill(true);
                }
            }
        }
    }
}

/// What `secret` looks like within base64 of a text that it is part of: the characters that are made of it alone, for
/// each place that it can begin at, in both alphabets.
fn base64_forms(secret: &[u8]) -> impl Iterator<Item = Zeroizing<Vec<u8>>> {
    [0, 1, 2].into_iter().flat_map(move |before: usize| {
        let plain = Zeroizing::new([&[0; 2][..before], secret].concat());
        [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD].map(|alphabet| {
            let whole = Zeroizing::new(alphabet.encode(&*plain).into_bytes());
            let own = (before * 8).div_ceil(6)..plain.len() * 8 / 6;
            Zeroizing::new(whole.get(own).unwrap_or_default().to_vec())
        })
    })
}

/// All of the base64 that was found in `text`: its ends are made of the secret in part.
fn whole_base64(text: &[u8], found: Range<usize>) -> Range<usize> {
    let belongs = |byte: &&u8| byte.is_ascii_alphanumeric() || b"+/-_".contains(byte);
    let before = text[..found.start].iter().rev().take_while(belongs).count();
    let after = text[found.end..].iter().take_while(belongs).count();
    let padding = text[found.end + after..].iter().take(2).take_while(|byte| **byte == b'=').count();
    found.start - before..found.end + after + padding
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
    fn escapes_hide_no_secret() {
        let secret = "a&b<c>'d\"/e+f g%h=\u{e9}\u{1f511}";
        let html = "a&amp;b&lt;c&gt;&#39;d&quot;/e+f g%h=\u{e9}\u{1f511}";
        let numeric = "a&#38;b&#x3c;c&#x3E;&#x27;d&#34;&#47;e&#43;f&#32;g&#37;h&#61;&#233;&#x1f511;";
        let lower = "a%26b%3cc%3e%27d%22%2fe%2bf%20g%25h%3d%c3%a9%f0%9f%94%91";
        let with_slash = "a%26b%3Cc%3E'd%22/e%2Bf%20g%25h=%C3%A9%F0%9F%94%91";
        let form = "a%26b%3Cc%3E%27d%22%2Fe%2Bf+g%25h%3D%C3%A9%F0%9F%94%91";
        let json = r#"a\u0026b\u003cc\u003E'd\"\/e+f g%h=\u00e9\ud83d\uDD11"#;
        let python =
            r#"a&b<c>\'d"/e+f g%h=\xe9\u{1f511}"#.replace("\\xe9", "\u{e9}").replace("\\u{1f511}", "\u{1f511}");
        let every_byte: String = secret.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let every_char: String = secret.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
        for form in [secret, html, numeric, lower, with_slash, form, json, &python, &every_byte, &every_char] {
            assert_eq!(clean(&format!("<{form}>"), &[secret], 999), "<[redacted]>", "{form}");
        }
    }

    #[test]
    fn escapes_in_escapes_hide_no_secret() {
        let secret = "a&b \"c\"";
        for form in [
            r#"a\u0026amp;b \u0026quot;c\u0026quot;"#,
            "a&amp;amp;b &amp;quot;c&amp;quot;",
            "a%2526b%2520%2522c%2522",
            r#"a&b \\\"c\\\""#,
            "a%26amp%3Bb+%26quot%3Bc%26quot%3B",
            r#"a%5Cu0026b%20%5C%22c%5C%22"#,
        ] {
            assert_eq!(clean(&format!("<{form}>"), &[secret], 999), "<[redacted]>", "{form}");
        }
        // What looks like an escape is part of the secret.
        for secret in [r"p%41&amp;\u0041\\n", "50%25+50%25", "%%%%", "&&amp;&", r"\\\\"] {
            let percent: String = secret.bytes().map(|byte| format!("%{byte:02X}")).collect();
            for form in [secret, &percent, &secret.replace('&', "&amp;"), &secret.replace('\\', r"\\")] {
                assert_eq!(clean(&format!("<{form}>"), &[secret], 999), "<[redacted]>", "{form}");
            }
        }
    }

    #[test]
    fn base64_hides_no_secret() {
        use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
        for secret in ["lovelace", "pa\u{df}w\u{f6}rd>>>???", "abcd", "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln"] {
            for before in ["", "a", "ad", "ada:", "client:"] {
                for after in ["", "x", "yz"] {
                    let plain = format!("{before}{secret}{after}");
                    for engine in [&STANDARD, &STANDARD_NO_PAD, &URL_SAFE, &URL_SAFE_NO_PAD] {
                        let form = engine.encode(&plain);
                        let text = format!("Authorization: Basic {form} is wrong");
                        let shown = clean(&text, &[secret], 999);
                        assert_eq!(shown, "Authorization: Basic [redacted] is wrong", "{plain} {form}");
                        let json = clean(&text.replace('=', "\\u003d").replace('/', "\\/"), &[secret], 999);
                        assert_eq!(json, "Authorization: Basic [redacted] is wrong", "{plain} {form}");
                    }
                }
            }
        }
        assert_eq!(clean("an ordinary text/path-of_words=", &["lovelace"], 99), "an ordinary text/path-of_words=");
    }

    #[test]
    fn a_short_secret_is_not_told_by_cutting_it_out() {
        assert_eq!(
            clean("a abc \u{e9}\u{e9}\u{e9} b", &["a", "ab", "abc", "\u{e9}\u{e9}\u{e9}"], 99),
            "a abc \u{e9}\u{e9}\u{e9} b"
        );
        assert_eq!(clean("a abcd b", &["abcd"], 99), "a [redacted] b");
        assert_eq!(clean("\u{e9}\u{e9}\u{e9}\u{e9}", &["\u{e9}\u{e9}\u{e9}\u{e9}"], 99), "[redacted]");
    }

    #[test]
    fn any_text_of_escapes_is_read_in_no_time_worth_mentioning() {
        let secret = "0123456789abcdef".repeat(400);
        for unit in
            ["%", "\\", "&", "%25", "&amp;", "\\\\", "&#", "\\u", "+", "\\ud83d", "&#x110000;", "&#99999999999;"]
        {
            assert!(clean(&unit.repeat(4000), &[&secret], 99).len() <= 99);
        }
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
        assert_eq!(clean("xabcdabcdx abcd", &["abcd", "abcdabcd"], 99), "x[redacted]x [redacted]");
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
