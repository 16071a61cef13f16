//! Text that must not leak: left out of core dumps, wiped when dropped, redacted in Debug.
#![forbid(unsafe_code)]

use std::fmt;
use std::sync::Arc;

use crate::error::{Error, Result, Status};
use crate::pages::Pages;

/// A password, token or key. A copy of it is the same memory.
#[derive(Clone)]
pub struct Secret(Arc<Pages>);

impl Secret {
    /// A copy of `text`.
    pub fn new(text: &str) -> Result<Self> {
        Self::concat(&[text])
    }

    /// The parts, one after the other.
    pub fn concat(parts: &[&str]) -> Result<Self> {
        let len = parts.iter().fold(0usize, |sum, part| sum.saturating_add(part.len()));
        let mut pages = Pages::with_capacity(len).ok_or_else(out_of_memory)?;
        let is_complete = parts.iter().all(|part| pages.push(part.as_bytes()));
        debug_assert!(is_complete);
        Ok(Secret(Arc::new(pages)))
    }

    /// The text itself.
    pub fn expose(&self) -> &str {
        // It is made of whole strings.
        std::str::from_utf8(self.expose_bytes()).unwrap_or_default()
    }

    /// Its bytes.
    #[inline]
    pub fn expose_bytes(&self) -> &[u8] {
        self.0.bytes()
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.expose_bytes() == other.expose_bytes()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// Bytes of a request or an answer. Growing moves them to a new place and wipes the old one.
pub struct SecretBytes(Pages);

impl SecretBytes {
    /// An empty buffer.
    pub fn with_capacity(capacity: usize) -> Result<Self> {
        Pages::with_capacity(capacity).map(SecretBytes).ok_or_else(out_of_memory)
    }

    /// Nothing, without memory of its own.
    pub(crate) fn empty() -> Self {
        SecretBytes(Pages::empty())
    }

    /// Appends `more`.
    pub fn push(&mut self, more: &[u8]) -> Result<()> {
        if !self.0.push(more) {
            let len = self.0.bytes().len();
            let wanted = len.saturating_add(more.len()).max(self.0.capacity().saturating_mul(2));
            let mut roomier = Self::with_capacity(wanted)?;
            let is_moved = roomier.0.push(self.0.bytes()) && roomier.0.push(more);
            debug_assert!(is_moved);
            *self = roomier;
        }
        Ok(())
    }

    /// The bytes.
    pub fn expose(&self) -> &[u8] {
        self.0.bytes()
    }

    /// The bytes as text; empty if they are none.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(self.expose()).unwrap_or_default()
    }
}

impl std::io::Write for SecretBytes {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self.push(bytes) {
            Ok(()) => Ok(bytes.len()),
            Err(_) => Err(std::io::ErrorKind::OutOfMemory.into()),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

fn out_of_memory() -> Error {
    Error::new(Status::NoMemory, "not enough memory for an input of this size")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing() {
        let secret = Secret::concat(&["Bearer ", "canary"]).unwrap();
        assert_eq!(secret.expose(), "Bearer canary");
        assert_eq!(format!("{secret:?}"), "[redacted]");
        let mut bytes = SecretBytes::with_capacity(1).unwrap();
        bytes.push(b"canary").unwrap();
        assert_eq!(format!("{bytes:?}"), "[6 redacted bytes]");
    }

    #[test]
    fn growing_keeps_the_bytes() {
        let mut bytes = SecretBytes::with_capacity(0).unwrap();
        for chunk in [b"ab".as_slice(), b"", b"cdefghijkl", b"m"] {
            bytes.push(chunk).unwrap();
        }
        assert_eq!(bytes.expose(), b"abcdefghijklm");
    }
}
