//! `gcauth export`.

use gcauth::token_file::{self, Format};

use crate::args::{Export, Form, ValidFor};
use crate::context::Context;
use crate::failure::Outcome;
use crate::ui;

pub fn run(context: &Context, args: &Export) -> Outcome {
    let session = context.open()?;
    let current = match args.form {
        // Its refresh token is what counts.
        Form::Json if session.current()?.refresh_token().is_ok() => session.current()?,
        _ => super::token::get(context, &session, &ValidFor::default())?,
    };
    let file = |format| Ok::<_, gcauth::Error>(token_file::content(&session, &current, format)?.as_str().to_owned());
    let text = match args.form {
        Form::Htslib => file(Format::Htslib)?,
        Form::Wlcg => file(Format::Wlcg)?,
        Form::Curl => file(Format::Curl)?,
        Form::Curlrc => {
            let token = current.token()?.replace('\\', "\\\\").replace('"', "\\\"");
            format!("header = \"Authorization: Bearer {token}\"")
        }
        Form::Env => {
            context.ui.say(
                "gcauth: a variable can't be renewed: what it holds ends with the token; gcauth exec keeps a file fresh",
            );
            format!("export BEARER_TOKEN='{}'", current.token()?.replace('\'', "'\\''"))
        }
        Form::Json => {
            context.ui.say(
                "gcauth: this holds the refresh token, which is good for one use: go on with the session either here or \
                 there",
            );
            session.to_json()?.as_str().to_owned()
        }
    };
    match &args.file {
        Some(path) => Ok(token_file::replace(path, format!("{}\n", text.trim_end()).as_bytes())?),
        None => ui::print_line(text.trim_end()),
    }
}
