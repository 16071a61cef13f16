//! Log in to Genomcore and hand out bearer tokens.
#![deny(unsafe_code)]
#![warn(missing_docs)]

mod author;
pub mod clock;
mod config;
mod drift;
pub mod error;
mod export;
mod failpoint;
mod ffi;
mod files;
pub mod fork;
mod gate;
mod grant;
mod key_source;
mod log;
mod pages;
mod platform;
mod probe;
mod random;
mod record;
mod redact;
mod renewal;
mod schedule;
mod secret;
mod server_words;
mod session;
#[cfg(test)]
mod simulation;
pub mod status;
mod store;
mod text;
pub mod token;
pub mod token_file;
mod transport;
mod user_session;
mod verdict;
mod wiped_json;
mod wrong_clocks;

pub use config::{Config, Surroundings};
pub use error::{Error, Result, Status};
pub use log::{LogLevel, LogSink};
pub use probe::Probe;
pub use secret::SecretBytes;
pub use session::{Current, Session};
pub use user_session::UserSession;
