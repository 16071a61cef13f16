//! The command `gcauth`: the session on the command line, and the token where people's tools look for it.

pub mod args;
mod child;
mod context;
mod failure;
mod fresh;
mod password;
mod payload;
mod private_dir;
mod prompt;
mod remembered;
mod signals;
mod ui;
mod verbs;
mod when;

pub use context::Context;
pub use failure::{Code, Failure, Outcome};

use args::Cli;

/// Does what the command line says. Gives the exit code.
pub fn run(cli: Cli) -> u8 {
    let context = Context::new(cli.common);
    match verbs::run(&context, cli.verb) {
        Ok(code) => code,
        Err(Failure { code, message }) => {
            if !message.is_empty() {
                ui::warn(&format!("gcauth: {message}"));
            }
            code as u8
        }
    }
}
