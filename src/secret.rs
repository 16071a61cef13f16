//! Text that must not leak: left out of core dumps, wiped when dropped, redacted in Debug.
#![forbid(unsafe_code)]

use std::fmt;
use std::sync::Arc;

use crate::error::{Error, Result, Status};
use crate::pages::{Pages, Text};

/// A password, token or key. A copy of it is the same memory.
#[derive(Clone)]
pub struct Secret(Arc<Text>);

impl Secret {
    /// A copy of `text`.
    pub fn new(text: &str) -> Result<Self> {
        Self::concat(&[text])
    }

    /// The parts, one after the other.
    pub fn concat(parts: &[&str]) -> Result<Self> {
        Text::concat(parts).map(|text| Secret(Arc::new(text))).ok_or_else(out_of_memory)
    }

    /// The text itself.
    #[inline]
    pub fn expose(&self) -> &str {
        self.0.as_str()
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
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
