//! One module for each verb, or for a few that are much alike.

mod claims;
mod completions;
mod doctor;
mod exec;
mod export;
mod import;
mod keep;
mod login;
mod refresh;
mod sessions;
mod status;
mod token;
mod verify;

use crate::args::Verb;
use crate::context::Context;
use crate::failure::Outcome;

/// Does what is asked for. Gives the exit code.
pub fn run(context: &Context, verb: Verb) -> Outcome<u8> {
    match verb {
        Verb::Login(args) => login::run(context, &args)?,
        Verb::Status(args) => return status::run(context, &args),
        Verb::Token(args) => token::run(context, &args, token::Part::Token)?,
        Verb::Bearer(args) => token::run(context, &args, token::Part::Bearer)?,
        Verb::Header(args) => token::run(context, &args, token::Part::Header)?,
        Verb::Claims(args) => claims::run(context, &args)?,
        Verb::Verify(args) => verify::run(context, &args)?,
        Verb::ProjectId => claims::project_id(context)?,
        Verb::Refresh(args) => refresh::run(context, &args)?,
        Verb::Logout => refresh::logout(context)?,
        Verb::Export(args) => export::run(context, &args)?,
        Verb::Import(args) => import::run(context, &args)?,
        Verb::Exec(args) => return exec::run(context, &args),
        Verb::Keep(args) => keep::run(context, args)?,
        Verb::Sessions => sessions::run(context)?,
        Verb::Doctor => return doctor::run(context),
        Verb::Completions(args) => completions::run(&args)?,
        Verb::Man(args) => completions::man(&args)?,
    }
    Ok(0)
}
