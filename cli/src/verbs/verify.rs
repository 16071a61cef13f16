//! `gcauth verify`.

use std::fs;

use gcauth::Status;

use crate::args::Verify;
use crate::context::Context;
use crate::failure::{Code, Failure, Outcome};
use crate::ui;

pub fn run(context: &Context, args: &Verify) -> Outcome {
    let session = context.open()?;
    let verified = match &args.key {
        Some(path) => {
            let key = fs::read_to_string(path)
                .map_err(|error| Failure::other(format!("the key {} can't be read: {error}", path.display())))?;
            // An empty key must not switch verification off.
            if key.trim().is_empty() {
                return Err(Failure::new(Code::Verification, format!("the key {} is empty", path.display())));
            }
            session.decode_jwt(Some(&key))
        }
        None => context.ui.waiting(session.host(), || session.verify()),
    };
    let verified = verified.map_err(|error| match error.status() {
        Status::TokenExpired => Failure::new(Code::Verification, error.message()),
        _ => error.into(),
    })?;
    ui::print_line(verified.as_json())
}
