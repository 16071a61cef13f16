//! `gcauth sessions`.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use gcauth::Session;
use serde_json::{Value, json};

use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::remembered::Remembered;
use crate::{payload, ui, when};

pub fn run(context: &Context) -> Outcome {
    let directory = context.surroundings.user_session.directory()?;
    let mut names = names(&directory)?;
    names.sort();
    let sessions: Vec<Value> = names.iter().map(|name| describe(context, &directory, name)).collect();
    if context.common.json {
        return ui::print_line(&Value::from(sessions).to_string());
    }
    if sessions.is_empty() {
        context.ui.say("There is no session; gcauth login makes one.");
        return Ok(());
    }
    let text = |session: &Value, name: &str| session[name].as_str().unwrap_or("-").to_owned();
    let mut lines = vec![["SESSION", "USER", "PROJECT", "TOKEN"].map(str::to_owned)];
    lines.extend(sessions.iter().map(|session| {
        let names = ["name", "user", "project"].map(|name| text(session, name));
        let [name, user, project] = names;
        [name, user, project, token(session)]
    }));
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let (name, user, project) = (width(0), width(1), width(2));
    let lines = lines.iter().map(|[a, b, c, d]| format!("{a:<name$}  {b:<user$}  {c:<project$}  {d}\n"));
    ui::print(&lines.collect::<String>())
}

fn token(session: &Value) -> String {
    if let Some(problem) = session["problem"].as_str() {
        return problem.to_owned();
    }
    match session["expires_in"].as_i64() {
        _ if session["logged_in"] != true => "logged out".to_owned(),
        Some(left) if left > 0 => format!("good for {}", when::span(left)),
        Some(left) => format!("expired {} ago", when::span(left)),
        None => "good".to_owned(),
    }
}

fn names(directory: &Path) -> Outcome<Vec<String>> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Failure::other(format!("can't list {}: {error}", directory.display()))),
    };
    let directories = entries.flatten().filter(|entry| entry.path().is_dir());
    Ok(directories.filter_map(|entry| entry.file_name().into_string().ok()).collect())
}

fn describe(context: &Context, directory: &Path, name: &str) -> Value {
    let last = Remembered::load_from(&directory.join(name));
    let mut about = json!({"name": name, "user": last.user, "organization": last.organization, "project": last.project,
        "env": last.env, "logged_in": false});
    let found = open(context, name, last.env.as_deref()).and_then(|session| {
        let current = session.current()?;
        if current.token().is_ok() || current.refresh_token().is_ok() {
            about["logged_in"] = true.into();
            about["expires_in"] = session.seconds_left(&current).into();
            if about["user"].is_null() {
                about["user"] = payload::names(&session).first().cloned().into();
            }
        }
        Ok(())
    });
    if let Err(failure) = found {
        about["problem"] = failure.message.into();
    }
    about
}

fn open(context: &Context, name: &str, env: Option<&str>) -> Outcome<Session> {
    let mut there = Context::new(context.common.clone());
    there.surroundings.user_session = there.surroundings.user_session.named(name);
    let config = there.config()?;
    let env = env.filter(|env| config.environments().any(|known| known == *env)).map(str::to_owned);
    there.open_with(config, there.common.env.as_deref().or(env.as_deref()))
}
