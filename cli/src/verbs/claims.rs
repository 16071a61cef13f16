//! `gcauth claims` and `gcauth project-id`: what the token says, not verified.

use serde_json::json;

use crate::args::Claims;
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::{payload, ui};

pub fn run(context: &Context, args: &Claims) -> Outcome {
    let session = context.open()?;
    let current = session.current()?;
    let all = current.payload()?.as_json();
    let Some(path) = &args.claim else {
        return ui::print_line(all);
    };
    let read = if context.common.json { payload::claim } else { payload::plain };
    match read(all, path) {
        Some(value) => ui::print_line(&value),
        None => {
            Err(Failure::other(format!("the token has no claim \"{path}\"; gcauth claims shows those that it has")))
        }
    }
}

pub fn project_id(context: &Context) -> Outcome {
    let number = context.open()?.project_id()?;
    let text = if context.common.json { json!({"project_id": number}).to_string() } else { number.to_string() };
    ui::print_line(&text)
}
