//! The text of a config: where it comes from, and what is wrong with it where it is no JSON.
#![forbid(unsafe_code)]

use std::io::{ErrorKind, Read};
use std::path::Path;

use serde_json::Value;

use super::clean_path;
use crate::error::{Error, Result, Status};
use crate::files;
use crate::redact::clean;
use crate::token::json::{Fault, Object};

/// Larger than any config in its right mind.
const MAX_LEN: usize = 1 << 20;
const TOO_LARGE: &str = "is larger than 1 MiB";

/// The text of the config file at `path`, which `named_by` says the origin of.
pub(super) fn read_file(path: &Path, named_by: &str) -> Result<String> {
    let fail = |why: &str| {
        let message = format!("the config file {}{named_by} {why}", clean_path(path));
        Error::new(Status::Config, message)
    };
    let unreadable = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => fail("does not exist; correct its name, or name none for the defaults"),
        ErrorKind::PermissionDenied => fail("may not be read by this user; see its mode and its directories'"),
        ErrorKind::IsADirectory => fail("is a directory; name the file in it"),
        _ => fail(&format!("can't be read: {error}")),
    };
    let mut bytes = Vec::new();
    let file = files::open(path).map_err(unreadable)?;
    file.take(MAX_LEN as u64 + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() > MAX_LEN {
        return Err(fail(TOO_LARGE));
    }
    if bytes.trim_ascii().is_empty() {
        return Err(fail("is empty; write {} for the defaults"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let line = 1 + error.as_bytes()[..error.utf8_error().valid_up_to()].iter().filter(|b| **b == b'\n').count();
        fail(&format!("is not UTF-8 (line {line}); save it as UTF-8"))
    })
}

/// The JSON value that `text` is.
pub(super) fn parse(text: &str, is_from_file: bool) -> Result<Value> {
    let wrong = |why: &str| Error::new(Status::Config, format!("the config {why}"));
    if text.len() > MAX_LEN {
        return Err(wrong(TOO_LARGE));
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let value: Value = serde_json::from_str(text).map_err(|error| {
        if let Some(why) = file_name(text).filter(|_| !is_from_file) {
            return wrong(&why);
        }
        let Mistake { line, column, why } = Mistake::of(text, &error);
        wrong(&format!("is not valid JSON (line {line}, column {column}): {why}"))
    })?;
    match Object::parse(text) {
        // What is no object is told by what is there instead.
        Ok(_) | Err(Fault::NotAnObject) => Ok(value),
        Err(fault) => Err(wrong(fault.as_str())),
    }
}

/// What to say where the text looks like the name of a file.
fn file_name(text: &str) -> Option<String> {
    let text = text.trim();
    let is_one_word = !text.is_empty() && !text.contains(['{', '}', '"', '\n', '=', '@', ',']) && text.len() < 4096;
    let (_, extension) = text.rsplit_once('.').unwrap_or_default();
    let is_path = text.contains('/') || ["json", "conf", "config", "cfg", "yaml", "yml", "toml"].contains(&extension);
    (is_one_word && is_path && !text.contains("://")).then(|| {
        format!(
            "is the name of a file, \"{}\", where the JSON text itself is expected; give the file's content, or name \
             the file by the environment variable GCAUTH_CONFIG and give no config",
            clean(text, &[], 120)
        )
    })
}

/// Why a text is no JSON, and where; nothing of the text is repeated.
struct Mistake {
    line: usize,
    /// In characters, from 1.
    column: usize,
    why: &'static str,
}

impl Mistake {
    fn of(text: &str, error: &serde_json::Error) -> Self {
        let line_start: usize = text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
        let at = crate::redact::floor_char_boundary(text, line_start + error.column().saturating_sub(1));
        let (before, rest) = text.split_at(at);
        let column = 1 + before[line_start.min(before.len())..].chars().count();
        // Only the first words: what follows can repeat the input.
        Mistake { line: error.line().max(1), column, why: why(before, rest, &error.to_string(), error.is_eof()) }
    }
}

/// `before` and `rest`: the text on both sides of where the parser stopped. `verdict`: what it says.
fn why(before: &str, rest: &str, verdict: &str, is_eof: bool) -> &'static str {
    let begins = |words: &[&str]| words.iter().any(|word| rest.starts_with(word));
    let is_said = |words: &str| verdict.starts_with(words);
    let start = if before.trim().is_empty() { rest } else { before }.trim_start();
    if start.is_empty() {
        return "it is empty; write {} for the defaults";
    }
    if begins(&["//", "/*", "#"]) {
        return "there is a comment, and JSON has none; remove it";
    }
    if begins(&["'", "`", "\u{201c}", "\u{201d}", "\u{2018}", "\u{2019}", "\u{201e}", "\u{ab}"]) {
        return "text and names stand in straight double quotes (\") in JSON";
    }
    if is_said("trailing comma") || (begins(&["}", "]"]) && before.trim_end().ends_with(',')) {
        return "there is a comma after the last member; remove it";
    }
    if !start.starts_with('{') {
        return "it must begin with {; YAML, TOML and INI are not read";
    }
    if is_said("control character") {
        return "there is a line break or another control character inside a text, or the quote at its end is missing";
    }
    if is_said("invalid escape") {
        return "there is a backslash in a text that JSON does not know; write two of them";
    }
    if is_said("key must be a string") {
        return "the name of a member must stand in double quotes (\")";
    }
    if is_said("trailing characters") {
        return "there is something after the end of the object; is there a brace too many?";
    }
    if is_eof {
        return "it ends too early; a brace, a bracket or a quote is not closed";
    }
    if begins(&["True", "False", "None", "NaN", "Infinity", "yes", "no", "undefined", "nil"]) {
        return "JSON has the words true, false and null only, in lower case";
    }
    if is_said("invalid number") {
        return "there is a number that JSON does not know";
    }
    if is_said("number out of range") {
        return "there is a number that is too large";
    }
    if is_said("expected `:`") {
        return "a colon is missing between a name and its value";
    }
    if is_said("expected `,`") {
        return "a comma or a closing bracket is missing before this place";
    }
    if is_said("expected value") || is_said("expected ident") {
        return "there is no value here; text must stand in double quotes (\")";
    }
    if ["invalid unicode", "lone leading surrogate", "unexpected end of hex"].iter().any(|words| is_said(words)) {
        return "there is a \\u in a text that stands for no character";
    }
    if is_said("recursion limit") {
        return "it is nested too deeply";
    }
    "check it with a JSON tool, such as jq or python3 -m json.tool"
}
