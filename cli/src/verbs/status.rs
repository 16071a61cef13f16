//! `gcauth status`.

use std::time::Duration;

use gcauth::Session;
use serde_json::{Value, json};

use crate::args::Status;
use crate::context::Context;
use crate::failure::{Code, Outcome};
use crate::remembered::Remembered;
use crate::{payload, ui, when};

/// How often `--watch` looks.
const PAUSE: Duration = Duration::from_secs(2);

pub fn run(context: &Context, args: &Status) -> Outcome<u8> {
    if !args.watch {
        let about = look(context)?;
        show(context, &about)?;
        return Ok(about["exit"].as_u64().and_then(|code| u8::try_from(code).ok()).unwrap_or(Code::Other as u8));
    }
    let mut before = Value::Null;
    loop {
        let about = look(context).unwrap_or_else(
            |failure| json!({"state": failure.message, "exit": failure.code as u8, "logged_in": false}),
        );
        let lasting = without_counters(&about);
        if lasting != before {
            show(context, &about)?;
            before = lasting;
        }
        std::thread::sleep(PAUSE);
    }
}

/// All that is known, without a renewal.
pub fn look(context: &Context) -> Outcome<Value> {
    let session = context.open()?;
    let current = session.current()?;
    let info: Value = serde_json::from_str(session.info()?.as_str()).unwrap_or_default();
    let left = session.seconds_left(&current);
    let (has_token, can_renew) = (current.token().is_ok(), current.refresh_token().is_ok());
    let (state, code) = state(&info, has_token, can_renew, left.is_some_and(|left| left <= 0));
    let mut about = json!({
        "session": context.surroundings.user_session.name()?,
        "state": state,
        "exit": code as u8,
        "logged_in": has_token || can_renew,
        "env": session.env(),
        "host": session.host(),
        "store": info,
    });
    if has_token || can_renew {
        let (user, organization) = who(context, &session);
        about["user"] = user.into();
        about["organization"] = organization.into();
        about["project"] = about["store"]["scope"].clone();
        about["project_id"] = session.project_id().ok().into();
        about["expires_at"] = Some(current.expires_at()).filter(|at| *at != 0).into();
        about["expires_in"] = left.into();
        about["renewal_in"] = session.until_renewal(&current).map(|due| due.as_secs()).into();
        about["can_renew"] = can_renew.into();
    }
    Ok(about)
}

/// Whether a job would get a token.
fn state(info: &Value, has_token: bool, can_renew: bool, is_expired: bool) -> (&'static str, Code) {
    let is_failing = !info["last_failure"].is_null();
    if !has_token && !can_renew {
        ("not logged in", Code::NotLoggedIn)
    } else if !info["refused_with"].is_null() {
        ("refused by the server; log in again", Code::Refused)
    } else if is_expired && !can_renew {
        ("expired, and there is nothing to renew it with", Code::NotLoggedIn)
    } else if is_failing && is_expired {
        ("expired, and renewals fail", Code::Network)
    } else if is_failing {
        ("renewals fail, the token is still valid", Code::Network)
    } else if is_expired || !has_token {
        ("to be renewed by the next who needs a token", Code::Done)
    } else {
        ("good", Code::Done)
    }
}

/// User and organization: what was typed, if the session is still that of the last login, else what the token says.
fn who(context: &Context, session: &Session) -> (Option<String>, Option<String>) {
    let last = Remembered::load(&context.surroundings.user_session);
    if last.subject == payload::text_of(session, "sub") && last.user.is_some() {
        return (last.user, last.organization);
    }
    (payload::names(session).first().cloned(), payload::text_of(session, "organization"))
}

fn show(context: &Context, about: &Value) -> Outcome {
    if context.common.json {
        return ui::print_line(&about.to_string());
    }
    let is_good = about["exit"] == 0;
    let lines = lines(about).into_iter().enumerate().map(|(number, (name, value))| {
        let value = if number == 0 { context.ui.mark(&value, is_good) } else { value };
        format!("{name:<14}{value}\n")
    });
    ui::print(&lines.collect::<String>())
}

fn lines(about: &Value) -> Vec<(&'static str, String)> {
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Null => None,
        other => Some(other.to_string()),
    };
    let store = &about["store"];
    let named = text(&about["session"]).map(|name| format!("{name}: ")).unwrap_or_default();
    let mut lines = vec![("Session", format!("{named}{}", text(&about["state"]).unwrap_or_default()))];
    if let Some(user) = text(&about["user"]) {
        let organization = text(&about["organization"]).map(|name| format!(" ({name})")).unwrap_or_default();
        lines.push(("User", format!("{user}{organization}")));
    }
    let project = match (text(&about["project"]), text(&about["project_id"])) {
        (Some(name), Some(number)) => Some(format!("{name} (number {number})")),
        (name, number) => name.or(number.map(|number| format!("number {number}"))),
    };
    lines.extend(project.map(|project| ("Project", project)));
    if let (Some(env), Some(host)) = (text(&about["env"]), text(&about["host"])) {
        lines.push(("Environment", format!("{env}, {host}")));
    }
    if let (Some(left), Some(at)) = (about["expires_in"].as_i64(), about["expires_at"].as_i64()) {
        let span = when::span(left);
        let state = if left > 0 { format!("good for {span}") } else { format!("expired {span} ago") };
        lines.push(("Token", format!("{state} ({})", when::date(at))));
    }
    if let (true, Some(due)) = (about["can_renew"] == true, about["renewal_in"].as_i64()) {
        lines.push(("Renewal", if due > 0 { format!("due in {}", when::span(due)) } else { "due".to_owned() }));
    }
    if let Some(kind) = text(&store["store"]) {
        let place = text(&store["place"]).map(|place| format!(" {place}")).unwrap_or_default();
        lines.push(("Store", format!("{kind}{place}, lock: {}", text(&store["lock"]).unwrap_or_default())));
    }
    if let Some(at) = store["renewed_at"].as_i64() {
        let [pid, host] = ["renewed_by_pid", "renewed_by_host"].map(|name| text(&store[name]).unwrap_or_default());
        lines.push(("Last renewal", format!("{}, by process {pid} on {host}", when::date(at))));
    }
    if let Some(message) = text(&store["last_failure"]["message"]) {
        let at = store["last_failure"]["at"].as_i64().map(|at| format!("{}: ", when::date(at))).unwrap_or_default();
        lines.push(("Last failure", format!("{at}{message}")));
    }
    lines.extend(text(&store["logged_out_by"]).map(|who| ("Logged out by", who)));
    lines
}

/// What changes by itself is no news.
fn without_counters(about: &Value) -> Value {
    let mut lasting = about.clone();
    for name in ["expires_in", "renewal_in"] {
        lasting[name] = Value::Null;
    }
    if let Some(store) = lasting["store"].as_object_mut() {
        store.retain(|name, _| !["expires_in", "made", "joined", "adopted"].contains(&name.as_str()));
    }
    lasting
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_code_says_whether_a_job_would_get_a_token() {
        let (fine, failing) = (json!({}), json!({"last_failure": {"status": 40}}));
        let refused = json!({"refused_with": 401, "last_failure": {"status": 30}});
        for (info, has_token, can_renew, is_expired, code) in [
            (&fine, false, false, false, Code::NotLoggedIn),
            (&fine, true, true, false, Code::Done),
            (&fine, true, false, false, Code::Done),
            (&fine, true, true, true, Code::Done),
            (&fine, false, true, false, Code::Done),
            (&fine, true, false, true, Code::NotLoggedIn),
            (&failing, true, true, false, Code::Network),
            (&failing, true, true, true, Code::Network),
            (&refused, true, true, false, Code::Refused),
            (&refused, true, true, true, Code::Refused),
            (&refused, false, false, false, Code::NotLoggedIn),
        ] {
            assert_eq!(
                state(info, has_token, can_renew, is_expired).1,
                code,
                "{info} {has_token} {can_renew} {is_expired}"
            );
        }
    }
}
