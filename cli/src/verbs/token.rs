//! `gcauth token`, `bearer` and `header`.

use gcauth::{Current, Session};
use serde_json::json;

use crate::args::ValidFor;
use crate::context::Context;
use crate::failure::Outcome;
use crate::ui;

/// How much of a header to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Token,
    Bearer,
    Header,
}

pub fn run(context: &Context, args: &ValidFor, part: Part) -> Outcome {
    let session = context.open()?;
    let current = get(context, &session, args)?;
    let (name, text) = match part {
        Part::Token => ("token", current.token()?.to_owned()),
        Part::Bearer => ("bearer", current.bearer()?.to_owned()),
        Part::Header => ("header", format!("Authorization: {}", current.bearer()?)),
    };
    if !context.common.json {
        return ui::print_line(&text);
    }
    let mut about = when(&session, &current);
    about[name] = text.into();
    ui::print_line(&about.to_string())
}

/// The token, renewed if it is time to.
pub fn get(context: &Context, session: &Session, args: &ValidFor) -> Outcome<Current> {
    let current = context.ui.waiting(session.host(), || match args.valid_for {
        Some(time) => session.bearer_valid_for(time),
        None => session.bearer(),
    })?;
    Ok(current)
}

/// When the token expires, as JSON.
pub fn when(session: &Session, current: &Current) -> serde_json::Value {
    let expires_at = Some(current.expires_at()).filter(|at| *at != 0);
    json!({"expires_at": expires_at, "expires_in": session.seconds_left(current)})
}
