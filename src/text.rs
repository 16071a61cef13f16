//! Text from files, answers and callers: what may stand before it, and what may stand in a token.
#![forbid(unsafe_code)]

/// `text` without white space and byte order marks at its beginning.
pub(crate) fn trim_start(text: &str) -> &str {
    text.trim_start_matches(|c: char| c == '\u{feff}' || c.is_whitespace())
}

/// `bytes` without the byte order mark of UTF-8 at their beginning.
pub(crate) fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}

/// Whether `text` is visible ASCII: what a token is made of, and can't break a header.
pub(crate) fn is_visible_ascii(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic())
}
