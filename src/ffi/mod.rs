//! The C face: the only place with raw pointers and `unsafe`. Each export checks its arguments by [`arguments`], runs
//! under [`guard`], and leaves what went wrong in [`last_error`].
#![allow(unsafe_code, clippy::missing_safety_doc)]

mod arguments;
mod errors;
mod guard;
mod handle;
pub(crate) mod host;
mod knowledge;
mod last_error;
mod life;
mod log;
