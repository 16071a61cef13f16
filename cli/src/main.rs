//! The command `gcauth`.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    ExitCode::from(gcauth_cli::run(gcauth_cli::args::Cli::parse()))
}
