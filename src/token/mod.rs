//! Access tokens: reading and verifying them.
//!
//! A token goes from `jws` (its three parts and header) by way of `key` (what to verify with) and
//! `signature` to `claims` (what it says); `verify` keeps the order.
#![forbid(unsafe_code)]

mod algorithm;
mod claims;
pub(crate) mod json;
mod jws;
mod key;
mod signature;
mod verify;

pub use claims::{Payload, Times, times};
pub use json::MAX_DEPTH;
pub use jws::MAX_TOKEN_LEN;
pub(crate) use key::not_a_set;
pub use key::{KeyCache, KeySet, MAX_KEY_LEN};
pub use verify::{decode, kid, precheck, verify, verify_with_key_text};
