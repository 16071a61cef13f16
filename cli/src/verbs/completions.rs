//! `gcauth completions` and `gcauth man`: what the build script made.

use std::fs;

use crate::args::{Completions, Man, Shell};
use crate::failure::{Failure, Outcome};
use crate::ui;

/// Name and text of each man page.
const PAGES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/man.rs"));

pub fn run(args: &Completions) -> Outcome {
    ui::print(match args.shell {
        Shell::Bash => include_str!(concat!(env!("OUT_DIR"), "/completions.bash")),
        Shell::Zsh => include_str!(concat!(env!("OUT_DIR"), "/completions.zsh")),
        Shell::Fish => include_str!(concat!(env!("OUT_DIR"), "/completions.fish")),
    })
}

pub fn man(args: &Man) -> Outcome {
    if let Some(directory) = &args.all {
        for (name, text) in PAGES {
            let path = directory.join(format!("{name}.1"));
            fs::write(&path, text)
                .map_err(|error| Failure::other(format!("can't write {}: {error}", path.display())))?;
        }
        return Ok(());
    }
    let wanted = args.verb.as_ref().map_or("gcauth".to_owned(), |verb| format!("gcauth-{verb}"));
    match PAGES.iter().find(|(name, _)| **name == wanted) {
        Some((_, text)) => ui::print(text),
        None => Err(Failure::usage(format!("there is no page {wanted}"))),
    }
}
