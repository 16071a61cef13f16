//! Text from files and answers, which may begin with a byte order mark.
#![forbid(unsafe_code)]

/// `text` without white space and byte order marks at its beginning.
pub(crate) fn trim_start(text: &str) -> &str {
    text.trim_start_matches(|c: char| c == '\u{feff}' || c.is_whitespace())
}

/// `bytes` without the byte order mark of UTF-8 at their beginning.
pub(crate) fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}
