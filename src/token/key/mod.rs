//! Public keys: parsed once, kept, and chosen for a token.
#![forbid(unsafe_code)]

mod check;
mod ed25519;
mod jwk;
mod pem;
mod shape;
mod types;

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwapOption;

pub(crate) use self::shape::not_a_set;
use self::types::{Key, Kind};
use super::algorithm::Algorithm;
use super::jws::out_of_memory;
use super::signature::VerifyingKey;
use crate::error::{Error, Result, Status};
use crate::redact;
use crate::text::trim_start;

/// The longest key text that is looked at, in bytes.
pub const MAX_KEY_LEN: usize = 1024 * 1024;

/// The public keys of one text: a PEM file, a JWK or a JWKS.
pub struct KeySet {
    keys: Vec<Key>,
    /// Keys of a set are chosen by their id; a key that stands alone is taken as it is.
    is_set: bool,
}

impl KeySet {
    /// Parses PEM (`PUBLIC KEY`, `RSA PUBLIC KEY`, `CERTIFICATE`; the first usable block counts), a JWK or a JWKS.
    ///
    /// White space and a byte order mark before the text are passed over, and so are line ends of PEM that were escaped
    /// (`\\n`). In JSON, null counts as absent.
    ///
    /// [`Status::KeyInvalid`] when a lone key can't be used, or when any is private or symmetric. A set may be empty
    /// and have keys that can't be used: they are passed over, unless a token names one. An RSASSA-PSS key is
    /// accepted without restrictions only, for PS256/384/512. Of a certificate only the key is looked at, neither dates
    /// nor signature.
    pub fn parse(text: &str) -> Result<Self> {
        let keys = Self::parse_any(text)?;
        match keys.keys.as_slice() {
            [key] if !keys.is_set => match key.material {
                Ok(_) => Ok(keys),
                Err(fault) => Err(invalid(fault)),
            },
            _ => Ok(keys),
        }
    }

    /// As [`KeySet::parse`], but keeps a lone key that can't be used, since an algorithm that could not be its
    /// own is the graver fault.
    pub(crate) fn parse_any(text: &str) -> Result<Self> {
        if text.len() > MAX_KEY_LEN {
            return Err(invalid("is larger than 1 MiB"));
        }
        let text = trim_start(text);
        if text.starts_with('{') { jwk::parse(text) } else { Ok(KeySet::single(pem::parse(text)?)) }
    }

    fn single(key: Key) -> Self {
        KeySet { keys: vec![key], is_set: false }
    }

    fn set(keys: Vec<Key>) -> Self {
        KeySet { keys, is_set: true }
    }

    /// Whether a key has this id, usable or not.
    pub fn has_kid(&self, kid: &str) -> bool {
        self.keys.iter().any(|key| key.kid.as_deref() == Some(kid))
    }

    /// The keys to try, never none: [`Status::AlgorithmRefused`] when the algorithm is not the key's,
    /// [`Status::KeyInvalid`] when there is no key, it can't be used, or it can't be told which of several is meant.
    pub(crate) fn select(&self, algorithm: Algorithm, kid: Option<&str>) -> Result<Vec<&VerifyingKey>> {
        let candidates = self.candidates(algorithm, kid)?;
        if candidates.is_empty() {
            return Err(of_set("has no key that could verify a token"));
        }

        let fitting: Vec<&Key> = candidates.into_iter().filter(|key| key.fits(algorithm)).collect();
        let Some(first) = fitting.first() else {
            return Err(Error::new(
                Status::AlgorithmRefused,
                format!("the token's alg {algorithm:?} is not one of the key's: check that it is the issuer's key"),
            ));
        };
        if let (Some(kid), false) = (kid, self.is_set)
            && first.kid.as_deref().is_some_and(|own| own != kid)
        {
            return Err(invalid(&format!("has another kid than the token's \"{}\"", shown(kid))));
        }

        let mut usable: Vec<&VerifyingKey> = Vec::new();
        for material in fitting.iter().filter_map(|key| key.material.as_ref().ok()) {
            if !usable.contains(&material) {
                usable.push(material);
            }
        }
        match (usable.len(), kid) {
            (0, _) => {
                let name = first.kid.as_deref().map(|kid| format!("\"{}\" ", shown(kid))).unwrap_or_default();
                Err(invalid(&format!("{name}{}", first.material.as_ref().err().unwrap_or(&""))))
            }
            (2.., Some(kid)) if self.is_set && self.has_kid(kid) => {
                Err(of_set(&format!("has several different keys with the token's kid \"{}\"", shown(kid))))
            }
            _ => Ok(usable),
        }
    }

    /// The keys that the token may mean. Those that it names go before those without a name; what is not understood is
    /// meant only where it is named, and nothing else is.
    fn candidates(&self, algorithm: Algorithm, kid: Option<&str>) -> Result<Vec<&Key>> {
        if !self.is_set {
            return Ok(self.keys.iter().collect());
        }
        let understood = |key: &&Key| key.kind != Kind::Unknown;
        let Some(kid) = kid else {
            return Ok(self.keys.iter().filter(understood).collect());
        };
        let named: Vec<&Key> = self.keys.iter().filter(|key| key.kid.as_deref() == Some(kid)).collect();
        if named.iter().any(understood) {
            return Ok(named.into_iter().filter(understood).collect());
        }
        if !named.is_empty() {
            return Ok(named);
        }
        let mut nameless: Vec<&Key> = self.keys.iter().filter(understood).filter(|key| key.kid.is_none()).collect();
        if nameless.len() < self.keys.iter().filter(understood).count() {
            // Others have names: only what could be the token's own key is worth a try.
            nameless.retain(|key| key.fits(algorithm));
        }
        if nameless.is_empty() {
            return Err(of_set(&format!("has no key with the token's kid \"{}\"", shown(kid))));
        }
        Ok(nameless)
    }
}

impl fmt::Debug for KeySet {
    // Somebody may have given a private key by mistake.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeySet({} keys)", self.keys.len())
    }
}

/// The last key text that was parsed, so that the same text given again costs a comparison. It takes no lock,
/// so that a child forked at any moment may use it.
#[derive(Default)]
pub struct KeyCache(ArcSwapOption<(String, KeySet)>);

impl KeyCache {
    /// An empty cache.
    pub fn new() -> Self {
        Self::default()
    }

    /// Calls `with` with the keys of `text`. A text that can't be used is not kept: it may be a private key.
    pub(crate) fn with<T>(&self, text: &str, with: impl FnOnce(&KeySet) -> Result<T>) -> Result<T> {
        if let Some(entry) = &*self.0.load()
            && entry.0 == text
        {
            return with(&entry.1);
        }
        let keys = KeySet::parse_any(text)?;
        let mut copy = String::new();
        copy.try_reserve_exact(text.len()).map_err(|_| out_of_memory())?;
        copy.push_str(text);
        let entry = Arc::new((copy, keys));
        self.0.store(Some(entry.clone()));
        with(&entry.1)
    }
}

impl fmt::Debug for KeyCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyCache")
    }
}

/// `what` ends a sentence that begins with the key.
fn invalid(what: &str) -> Error {
    fault(&format!("{what}: give the issuer's as PEM, JWK or JWKS"))
}

/// The same, where `what` says already what to do.
fn fault(what: &str) -> Error {
    Error::new(Status::KeyInvalid, format!("the public key {what}"))
}

/// `what` ends a sentence that begins with the set.
fn of_set(what: &str) -> Error {
    fault(&format!("set {what}: check that it is the issuer's"))
}

/// A kid as it may stand in a message.
fn shown(kid: &str) -> String {
    redact::clean(kid, &[], jwk::MAX_KID)
}
