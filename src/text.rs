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

/// Whether it was copied with the quotes of JSON or of a shell.
pub(crate) fn is_quoted(text: &str) -> bool {
    ['"', '\''].into_iter().any(|quote| text.len() > 1 && text.starts_with(quote) && text.ends_with(quote))
}
