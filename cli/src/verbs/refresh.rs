//! `gcauth refresh` and `gcauth logout`.

use super::token;
use crate::args::Refresh;
use crate::context::Context;
use crate::failure::Outcome;
use crate::remembered::Remembered;
use crate::{ui, when};

pub fn run(context: &Context, args: &Refresh) -> Outcome {
    let session = context.open()?;
    let project = args.project.as_deref().filter(|project| !project.is_empty());
    context.ui.waiting(session.host(), || session.refresh(project))?;
    if let Some(project) = project {
        let remembered = Remembered::load(&context.surroundings.user_session);
        Remembered { project: Some(project.to_owned()), ..remembered }.save(&context.surroundings.user_session)?;
    }
    let current = session.current()?;
    if context.common.json {
        return ui::print_line(&token::when(&session, &current).to_string());
    }
    let good = session.seconds_left(&current).map(|left| format!(" The token is good for {}.", when::span(left)));
    context.ui.say(&format!("Renewed.{}", good.unwrap_or_default()));
    Ok(())
}

pub fn logout(context: &Context) -> Outcome {
    context.open()?.logout()?;
    if context.common.json {
        return ui::print_line("{\"logged_in\":false}");
    }
    context.ui.say("Logged out, for all who share the session.");
    Ok(())
}
