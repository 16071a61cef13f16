//! `gcauth import`.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use zeroize::Zeroizing;

use super::token;
use crate::args::Import;
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::remembered::Remembered;
use crate::{payload, ui, when};

/// As much as a session can be.
const MAX_LEN: u64 = 4 << 20;

pub fn run(context: &Context, args: &Import) -> Outcome {
    let session = context.open()?;
    let present = session.current()?;
    if !args.force && (present.token().is_ok() || present.refresh_token().is_ok()) {
        let whose = payload::names(&session).into_iter().next().unwrap_or_else(|| "somebody".to_owned());
        return Err(Failure::other(format!("{whose} is logged in here; log out first, or use --force")));
    }
    let json = read(&args.file)?;
    session.replace(json.trim())?;
    let user = payload::names(&session).into_iter().next();
    let remembered = Remembered {
        user: user.clone(),
        organization: payload::text_of(&session, "organization"),
        env: Some(session.env().to_owned()),
        subject: payload::text_of(&session, "sub"),
        ..Remembered::default()
    };
    remembered.save(&context.surroundings.user_session)?;
    let current = session.current()?;
    if context.common.json {
        return ui::print_line(&token::when(&session, &current).to_string());
    }
    let left = session.seconds_left(&current).filter(|left| *left > 0);
    let left = left.map(|left| format!(", its token good for {}", when::span(left))).unwrap_or_default();
    let whose = user.map(|user| format!(" of {user}")).unwrap_or_default();
    context.ui.say(&format!("Imported the session{whose}{left}."));
    Ok(())
}

fn read(path: &Path) -> Outcome<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::with_capacity(64 << 10));
    let outcome = if path == Path::new("-") {
        io::stdin().lock().take(MAX_LEN + 1).read_to_string(&mut text)
    } else {
        File::open(path).and_then(|file| file.take(MAX_LEN + 1).read_to_string(&mut text))
    };
    match outcome {
        Ok(_) => Ok(text),
        Err(error) => Err(Failure::other(format!("{} can't be read: {error}", path.display()))),
    }
}
