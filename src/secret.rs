//! Text that must not leak: wiped when dropped, redacted in Debug.
#![forbid(unsafe_code)]

use std::fmt;

use zeroize::Zeroizing;

use crate::error::{Error, Result, Status};

/// A password, token or key.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// A copy of `text`.
    pub fn new(text: &str) -> Result<Self> {
        Self::concat(&[text])
    }

    /// The parts, one after the other, in one allocation: growing would leave copies behind.
    pub fn concat(parts: &[&str]) -> Result<Self> {
        let len = parts.iter().try_fold(0usize, |sum, part| sum.checked_add(part.len()));
        let mut text = Zeroizing::new(String::new());
        match len {
            Some(len) if text.try_reserve_exact(len).is_ok() => {}
            _ => return Err(out_of_memory()),
        }
        for part in parts {
            text.push_str(part);
        }
        Ok(Secret(text))
    }

    /// The text itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// Bytes of a request or an answer. Growing moves them to a new place and wipes the old one.
pub struct SecretBytes(Zeroizing<Vec<u8>>);

impl SecretBytes {
    /// An empty buffer.
    pub fn with_capacity(capacity: usize) -> Result<Self> {
        let mut bytes = Zeroizing::new(Vec::new());
        bytes.try_reserve_exact(capacity).map_err(|_| out_of_memory())?;
        Ok(SecretBytes(bytes))
    }

    /// Appends `more`.
    pub fn push(&mut self, more: &[u8]) -> Result<()> {
        if self.0.capacity() - self.0.len() < more.len() {
            let wanted = self.0.len().saturating_add(more.len()).max(self.0.capacity().saturating_mul(2));
            let mut roomier = Self::with_capacity(wanted)?;
            roomier.0.extend_from_slice(&self.0);
            *self = roomier;
        }
        self.0.extend_from_slice(more);
        Ok(())
    }

    /// The bytes.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The bytes as text; empty if they are none.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
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
        write!(f, "[{} redacted bytes]", self.0.len())
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
