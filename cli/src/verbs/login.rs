//! `gcauth login`.

use gcauth::Session;
use serde_json::json;

use super::token;
use crate::args::Login;
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::prompt::Terminal;
use crate::remembered::Remembered;
use crate::{password, payload, ui, when};

pub fn run(context: &Context, args: &Login) -> Outcome {
    let session = context.open()?;
    let last = Remembered::load(&context.surroundings.user_session);
    let user = match args.user.clone().or_else(|| last.user.clone()) {
        Some(user) => user,
        None => ask("User name: ", "no user name is given")?,
    };
    if !args.force {
        check_owner(&session, &user, &last)?;
    }
    // What somebody else needed last time is no guess for this one.
    let known = if last.user.as_ref() == Some(&user) { last } else { Remembered::default() };
    let organization = match args.organization.clone().or(known.organization) {
        Some(organization) => organization,
        None => ask("Organization: ", "no organization is given (-o ORGANIZATION)")?,
    };
    let project = args.project.clone().or(known.project).filter(|project| !project.is_empty());
    let password = password::get(args, &user)?;
    context.ui.waiting(session.host(), || session.login(&user, &password, &organization, project.as_deref()))?;
    drop(password);
    let now = Remembered {
        user: Some(user.clone()),
        organization: Some(organization.clone()),
        project: project.clone(),
        env: Some(session.env().to_owned()),
        subject: payload::text_of(&session, "sub"),
    };
    // The login itself has succeeded.
    if let Err(failure) = now.save(&context.surroundings.user_session) {
        ui::warn(&format!("gcauth: the next login will ask for everything again: {failure}"));
    }
    let current = session.current()?;
    if context.common.json {
        let mut about = token::when(&session, &current);
        about["user"] = user.into();
        about["organization"] = organization.into();
        about["project"] = project.into();
        about["env"] = json!(session.env());
        return ui::print_line(&about.to_string());
    }
    let project = project.map(|project| format!(", project {project}")).unwrap_or_default();
    let left = session.seconds_left(&current);
    let good = left.map(|left| format!(" The token is good for {}, and renewed when it is time.", when::span(left)));
    context.ui.say(&format!("Logged in as {user} ({organization}{project}).{}", good.unwrap_or_default()));
    Ok(())
}

fn ask(question: &str, otherwise: &str) -> Outcome<String> {
    let Some(mut terminal) = Terminal::open() else {
        return Err(Failure::usage(format!("{otherwise}, and there is no terminal to ask")));
    };
    match terminal.ask(question)? {
        answer if answer.is_empty() => Err(Failure::usage(otherwise)),
        answer => Ok(answer),
    }
}

/// Refuses to replace another person's session. Whose it is, the token tells, and what was typed at the last login.
fn check_owner(session: &Session, user: &str, last: &Remembered) -> Outcome {
    let current = session.current()?;
    if current.token().is_err() {
        return Ok(());
    }
    let names = payload::names(session);
    let is_last = last.subject.is_some() && last.subject == payload::text_of(session, "sub");
    let is_theirs = names.iter().any(|name| name == user) || (is_last && last.user.as_deref() == Some(user));
    if is_theirs || names.is_empty() {
        return Ok(());
    }
    let whose = last.user.clone().filter(|_| is_last).unwrap_or_else(|| names[0].clone());
    Err(Failure::other(format!(
        "{whose} is logged in here, and {user} would replace that session; log out first, use another --session NAME, or \
         --force"
    )))
}
