//! What a server says of an error in its own words, whichever framework wrote the body.
#![forbid(unsafe_code)]

use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::redact::{clean, floor_char_boundary};
use crate::wiped_json::WipedJson;

/// How much is shown in all.
const MAX_WORDS: usize = 200;
/// How much of a phrase is shown that others follow.
const MAX_PHRASE: usize = 100;
/// How much of a phrase is looked at.
const LOOKED_AT: usize = 4 * 1024;
const MAX_DETAILS: usize = 3;
/// A shorter phrase may stand in another by chance.
const SHORTEST_ECHO: usize = 8;
/// Levels and members that are looked into.
const MAX_DEPTH: usize = 6;
const MAX_MEMBERS: usize = 64;

/// What a phrase is to the others, in the order in which they are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Title,
    Message,
    Detail,
}

/// Members that hold words, in lower case without `_` and `-`, the more general first.
const NAMES: &[(&str, Kind)] = &[
    ("title", Kind::Title),
    ("error", Kind::Title),
    ("err", Kind::Title),
    ("fault", Kind::Title),
    ("reason", Kind::Title),
    ("message", Kind::Message),
    ("msg", Kind::Message),
    ("errordescription", Kind::Message),
    ("errormessage", Kind::Message),
    ("errormsg", Kind::Message),
    ("errorsummary", Kind::Message),
    ("faultstring", Kind::Message),
    ("statusmessage", Kind::Message),
    ("detail", Kind::Message),
    ("description", Kind::Message),
    ("details", Kind::Detail),
    ("errors", Kind::Detail),
    ("messages", Kind::Detail),
    ("nonfielderrors", Kind::Detail),
    ("fielderrors", Kind::Detail),
    ("validationerrors", Kind::Detail),
    ("invalidparams", Kind::Detail),
    ("violations", Kind::Detail),
    ("errorcauses", Kind::Detail),
    ("rootcause", Kind::Detail),
    ("hint", Kind::Detail),
];
/// Members that wrap the whole answer.
const WRAPPERS: &[&str] = &["data", "result", "response", "body", "payload"];
/// Members of a list's element that say which field it is about.
const FIELDS: &[&str] = &["loc", "field", "param", "property", "propertyname", "propertypath", "path"];
/// The parts of a request, which tell nobody anything when a field's place begins with one.
const PLACES: &[&str] = &["body", "query", "header", "path"];

/// What the server said: the members of a JSON body that are for people, the title of a page, or the start of any
/// other body. One clean line, without `secrets`.
pub(crate) fn server_words(body: &[u8], secrets: &[&str]) -> Option<String> {
    let text = Zeroizing::new(String::from_utf8_lossy(body).into_owned());
    let said = match WipedJson::parse(text.as_bytes()) {
        Some(json) if is_blank(json.root()) => return None,
        Some(json) => spoken(json.root(), Strictness::Error, secrets),
        // Of a page of markup only the title tells a person something.
        None if text.trim_start().starts_with('<') => {
            let inside = element(&text, "title").or_else(|| element(&text, "message"))?;
            Some(clean(inside, secrets, MAX_WORDS))
        }
        None => None,
    };
    quotable(said.unwrap_or_else(|| clean(&text, secrets, MAX_WORDS)))
}

/// What a success answer says of an error all the same. Only members that are for people are looked at: the others may
/// be tokens.
pub(crate) fn words_in_success(json: &WipedJson, secrets: &[&str]) -> Option<String> {
    spoken(json.root(), Strictness::Success, secrets).and_then(quotable)
}

/// Quotes would end the quotation early.
fn quotable(words: String) -> Option<String> {
    (!words.is_empty()).then(|| words.replace('"', "'"))
}

/// Whether there is nothing in it.
fn is_blank(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.trim().is_empty(),
        Value::Array(items) => items.iter().all(is_blank),
        Value::Object(map) => map.values().all(is_blank),
        _ => false,
    }
}

/// What the first element of that name holds.
fn element<'a>(page: &'a str, name: &str) -> Option<&'a str> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let begins_with = |at: usize, tag: &str| page.get(at..at + tag.len()).is_some_and(|t| t.eq_ignore_ascii_case(tag));
    let find = |from: usize, tag: &str| (from..page.len()).find(|at| begins_with(*at, tag));
    let start = find(0, &open)? + open.len();
    page.get(start..find(start, &close)?)
}

/// How much of an object is taken for words.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Strictness {
    /// Named members, and lists of text under the name of a field.
    Error,
    /// Named members only.
    Success,
}

/// The words in `value`, put together; None when no member is known to hold any.
fn spoken(value: &Value, strictness: Strictness, secrets: &[&str]) -> Option<String> {
    let mut words = Words::new(strictness, secrets);
    match value {
        Value::Object(map) => words.hear_top(map, 0),
        // A number or a word that stands alone in a success answer may be anything.
        _ if strictness == Strictness::Success => {}
        Value::Array(_) => words.hear(value, Kind::Detail, "", 1),
        _ => words.hear(value, Kind::Message, "", 1),
    }
    words.put_together()
}

struct Words<'a> {
    secrets: &'a [&'a str],
    strictness: Strictness,
    phrases: Vec<(Kind, String)>,
}

impl<'a> Words<'a> {
    fn new(strictness: Strictness, secrets: &'a [&'a str]) -> Self {
        Words { secrets, strictness, phrases: Vec::new() }
    }

    fn hear_top(&mut self, map: &Map<String, Value>, depth: usize) {
        self.hear_named(map, Kind::Title, depth);
        if self.phrases.is_empty() && depth < MAX_DEPTH {
            for inner in WRAPPERS.iter().filter_map(|name| member(map, name)).filter_map(Value::as_object) {
                self.hear_top(inner, depth + 1);
            }
        }
        if self.phrases.is_empty() && self.strictness == Strictness::Error {
            for (name, value) in map.iter().take(MAX_MEMBERS).filter(|(_, value)| is_texts(value)) {
                self.hear(value, Kind::Detail, name, depth + 1);
            }
        }
    }

    /// Members with a name that says what they hold.
    fn hear_named(&mut self, map: &Map<String, Value>, at_least: Kind, depth: usize) {
        for (name, kind) in NAMES {
            if let Some(value) = member(map, name) {
                self.hear(value, at_least.max(*kind), "", depth + 1);
            }
        }
    }

    /// Under the name of each field what is wrong with it.
    fn hear_fields(&mut self, map: &Map<String, Value>, prefix: &str, depth: usize) {
        if self.strictness == Strictness::Error {
            for (name, value) in map.iter().take(MAX_MEMBERS) {
                self.hear(value, Kind::Detail, &within(prefix, name), depth + 1);
            }
        }
    }

    fn hear(&mut self, value: &Value, kind: Kind, prefix: &str, depth: usize) {
        match value {
            _ if depth > MAX_DEPTH => {}
            Value::String(text) => self.say(kind, prefix, text),
            Value::Array(items) => {
                items.iter().take(MAX_MEMBERS).for_each(|item| self.hear(item, Kind::Detail, prefix, depth + 1));
            }
            Value::Object(map) if kind == Kind::Detail => {
                let prefix = within(prefix, &place(map));
                let mut inner = Words::new(self.strictness, self.secrets);
                inner.hear_named(map, Kind::Title, depth);
                match inner.put_together() {
                    Some(words) => self.say(Kind::Detail, &prefix, &words),
                    None => self.hear_fields(map, &prefix, depth),
                }
            }
            Value::Object(map) => {
                let before = self.phrases.len();
                self.hear_named(map, kind, depth);
                if self.phrases.len() == before {
                    self.hear_fields(map, prefix, depth);
                }
            }
            _ => {}
        }
    }

    fn say(&mut self, kind: Kind, prefix: &str, text: &str) {
        let text = &text[..floor_char_boundary(text, LOOKED_AT)];
        if text.trim().is_empty() {
            return;
        }
        let phrase = match prefix {
            "" => clean(text, self.secrets, MAX_WORDS),
            prefix => {
                let both = Zeroizing::new(format!("{prefix}: {text}"));
                clean(&both, self.secrets, MAX_WORDS)
            }
        };
        if !phrase.is_empty() && !self.phrases.iter().any(|(_, other)| says_the_same(other, &phrase)) {
            self.phrases.retain(|(_, other)| !says_the_same(&phrase, other));
            self.phrases.push((kind, phrase));
        }
    }

    /// `title: message (detail; detail)`
    fn put_together(mut self) -> Option<String> {
        self.phrases.sort_by_key(|(kind, _)| *kind);
        let (mut details, mut heads): (Vec<_>, Vec<_>) =
            self.phrases.into_iter().partition(|(kind, _)| *kind == Kind::Detail);
        details.truncate(MAX_DETAILS);
        // What comes first leaves room for the others.
        let all_but_last = (heads.len() + details.len()).saturating_sub(1);
        for (_, phrase) in heads.iter_mut().chain(&mut details).take(all_but_last) {
            *phrase = clean(phrase, &[], MAX_PHRASE);
        }
        let head = heads.into_iter().fold(String::new(), |head, (_, phrase)| match head.chars().last() {
            None => phrase,
            Some('.' | '!' | '?' | ':' | '…') => format!("{head} {phrase}"),
            Some(_) => format!("{head}: {phrase}"),
        });
        let details: Vec<String> = details.into_iter().map(|(_, phrase)| phrase).collect();
        match (head.is_empty(), details.is_empty()) {
            (true, true) => None,
            (false, true) => Some(clean(&head, &[], MAX_WORDS)),
            (true, false) => Some(clean(&details.join("; "), &[], MAX_WORDS)),
            (false, false) => Some(clean(&format!("{head} ({})", details.join("; ")), &[], MAX_WORDS)),
        }
    }
}

/// The member whose name is `name` but for case, `_` and `-`.
fn member<'a>(map: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    let is_it = |other: &str| {
        let letters = other.bytes().filter(|b| !b"_-".contains(b)).map(|b| b.to_ascii_lowercase());
        letters.eq(name.bytes())
    };
    map.iter().find_map(|(other, value)| is_it(other).then_some(value))
}

/// The field that an element of a list is about.
fn place(map: &Map<String, Value>) -> String {
    match FIELDS.iter().find_map(|name| member(map, name)) {
        Some(Value::String(field)) => field.clone(),
        Some(Value::Array(steps)) => {
            let steps: Vec<String> = steps
                .iter()
                .enumerate()
                .filter_map(|(at, step)| match step {
                    Value::String(name) if at == 0 && PLACES.contains(&name.as_str()) => None,
                    Value::String(name) => Some(name.clone()),
                    Value::Number(index) => Some(index.to_string()),
                    _ => None,
                })
                .collect();
            steps.join(".")
        }
        _ => String::new(),
    }
}

/// `name` below `prefix`, cut where it grows too long to be a field's.
fn within(prefix: &str, name: &str) -> String {
    let separator = if prefix.is_empty() || name.is_empty() { "" } else { "." };
    let mut path = format!("{prefix}{separator}{name}");
    path.truncate(floor_char_boundary(&path, LOOKED_AT));
    path
}

/// Whether it is a list of text.
fn is_texts(value: &Value) -> bool {
    value.as_array().is_some_and(|items| !items.is_empty() && items.iter().all(Value::is_string))
}

/// Whether `words` say what `others` say.
fn says_the_same(words: &str, others: &str) -> bool {
    let plain = |text: &str| text.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
    let (words, others) = (plain(words), plain(others));
    words == others || (others.len() >= SHORTEST_ECHO && words.contains(&others))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(body: &str) -> String {
        server_words(body.as_bytes(), &["canary-secret"]).unwrap_or_default()
    }

    #[test]
    fn what_each_kind_of_server_says() {
        for (kind, body, words) in [
            ("the platform", r#"{"message":"no","details":["first","second"]}"#, "no (first; second)"),
            ("the platform", r#"{"details":["only details"]}"#, "only details"),
            ("the platform", r#"{"message":7,"details":[{"message":"x"}]}"#, "x"),
            ("the platform", r#"{"message":"no","details":"why not"}"#, "no (why not)"),
            ("the platform", r#"{"message":"no","details":{"reason":"late"}}"#, "no (late)"),
            (
                "OAuth 2",
                r#"{"error":"invalid_grant","error_description":"Token is not active"}"#,
                "invalid_grant: Token is not active",
            ),
            ("OAuth 2", r#"{"error":"invalid_grant"}"#, "invalid_grant"),
            (
                "RFC 9457",
                r#"{"type":"https://x/credit","title":"Out of credit","status":403,"detail":"Your balance is 30","instance":"/a"}"#,
                "Out of credit: Your balance is 30",
            ),
            (
                "RFC 9457",
                r#"{"title":"You do not have enough credit.","detail":"Your balance is 30."}"#,
                "You do not have enough credit. Your balance is 30.",
            ),
            ("RFC 9457", r#"{"type":"about:blank","title":"Forbidden","status":403}"#, "Forbidden"),
            (
                "ASP.NET",
                r#"{"title":"One or more validation errors occurred.","status":400,"errors":{"Username":["Too short."],"Password":["Missing."]}}"#,
                "One or more validation errors occurred. (Password: Missing.; Username: Too short.)",
            ),
            ("ASP.NET", r#"{"Message":"Authorization has been denied."}"#, "Authorization has been denied."),
            ("FastAPI", r#"{"detail":"Incorrect username"}"#, "Incorrect username"),
            ("FastAPI", r#"{"Detail":"Incorrect username"}"#, "Incorrect username"),
            (
                "FastAPI",
                r#"{"detail":[{"loc":["body","username"],"msg":"field required","type":"value_error.missing"}]}"#,
                "username: field required",
            ),
            (
                "FastAPI",
                r#"{"detail":[{"type":"missing","loc":["body","a",0,"b"],"msg":"Field required","input":"other secret"},{"loc":["body"],"msg":"bad"}]}"#,
                "a.0.b: Field required; bad",
            ),
            ("FastAPI", r#"{"detail":["one","two"]}"#, "one; two"),
            ("FastAPI", r#"{"detail":{"code":"E17","message":"blocked"}}"#, "blocked"),
            (
                "Django",
                r#"{"username":["This field is required."],"password":["Too short.","Too common."]}"#,
                "password: Too short.; password: Too common.; username: This field is required.",
            ),
            ("Django", r#"{"username":["required"]}"#, "username: required"),
            (
                "djoser",
                r#"{"non_field_errors":["Unable to log in with provided credentials."]}"#,
                "Unable to log in with provided credentials.",
            ),
            ("simplejwt", r#"{"detail":"Token is blacklisted","code":"token_not_valid"}"#, "Token is blacklisted"),
            (
                "simplejwt",
                r#"{"detail":"Given token not valid","code":"token_not_valid","messages":[{"token_class":"AccessToken","message":"Token is expired"}]}"#,
                "Given token not valid (Token is expired)",
            ),
            ("Flask-JWT", r#"{"msg":"Token has expired"}"#, "Token has expired"),
            (
                "Flask-JWT",
                r#"{"description":"Invalid credentials","error":"Bad Request","status_code":401}"#,
                "Bad Request: Invalid credentials",
            ),
            (
                "Directus",
                r#"{"errors":[{"message":"Invalid user credentials.","extensions":{"code":"INVALID_CREDENTIALS"}}]}"#,
                "Invalid user credentials.",
            ),
            (
                "JSON:API",
                r#"{"errors":[{"status":"422","title":"Invalid","detail":"Name too short"}]}"#,
                "Invalid: Name too short",
            ),
            (
                "Rails",
                r#"{"errors":{"email":["can't be blank"],"name":"is taken"}}"#,
                "email: can't be blank; name: is taken",
            ),
            ("Rails", r#"{"errors":["one","two"]}"#, "one; two"),
            ("Vault", r#"["permission denied"]"#, "permission denied"),
            ("Google", r#"{"error":{"code":401,"message":"Bad key","status":"UNAUTHENTICATED"}}"#, "Bad key"),
            (
                "Google",
                r#"{"error":{"code":400,"message":"EMAIL_NOT_FOUND","errors":[{"message":"EMAIL_NOT_FOUND","domain":"global"}]}}"#,
                "EMAIL_NOT_FOUND",
            ),
            (
                "Strapi",
                r#"{"data":null,"error":{"status":400,"name":"ValidationError","message":"Invalid identifier","details":{}}}"#,
                "Invalid identifier",
            ),
            (
                "Elasticsearch",
                r#"{"error":{"root_cause":[{"reason":"deep"}],"type":"security","reason":"unable to authenticate"},"status":401}"#,
                "unable to authenticate (deep)",
            ),
            (
                "Kubernetes",
                r#"{"kind":"Status","status":"Failure","message":"no such user","reason":"Unauthorized","code":401}"#,
                "Unauthorized: no such user",
            ),
            (
                "Spring",
                r#"{"timestamp":"2026","status":401,"error":"Unauthorized","message":"Bad credentials","path":"/login"}"#,
                "Unauthorized: Bad credentials",
            ),
            (
                "NestJS",
                r#"{"statusCode":400,"message":["name should not be empty","x"],"error":"Bad Request"}"#,
                "Bad Request (name should not be empty; x)",
            ),
            (
                "Laravel",
                r#"{"message":"The given data was invalid.","errors":{"email":["Taken."]}}"#,
                "The given data was invalid. (email: Taken.)",
            ),
            (
                "express",
                r#"{"errors":[{"type":"field","msg":"Invalid value","path":"email","value":"other secret"}]}"#,
                "email: Invalid value",
            ),
            (
                "Mongoose",
                r#"{"errors":{"email":{"message":"Path is required","value":"other secret"}}}"#,
                "email: Path is required",
            ),
            (
                "Okta",
                r#"{"errorCode":"E4","errorSummary":"Authentication failed","errorCauses":[{"errorSummary":"locked"}]}"#,
                "Authentication failed (locked)",
            ),
            ("Keycloak", r#"{"errorMessage":"User exists"}"#, "User exists"),
            ("Matrix", r#"{"errcode":"M_FORBIDDEN","error":"Invalid password"}"#, "Invalid password"),
            ("wrapped", r#"{"data":{"message":"wrapped"}}"#, "wrapped"),
            ("wrapped", r#"{"success":false,"result":{"error":{"msg":"deep"}}}"#, "deep"),
            (
                "Apigee",
                r#"{"fault":{"faultstring":"Invalid ApiKey","detail":{"errorcode":"oauth.v2"}}}"#,
                "Invalid ApiKey (errorcode: oauth.v2)",
            ),
            (
                "OData",
                r#"{"error":{"code":"","message":{"lang":"en-US","value":"No access"}}}"#,
                "lang: en-US; value: No access",
            ),
            ("GitLab", r#"{"message":{"name":["has been taken"]}}"#, "name: has been taken"),
            ("JSON text", r#""Invalid credentials""#, "Invalid credentials"),
            ("a code only", r#"{"error":{"code":"expired"}}"#, "code: expired"),
            ("said twice", r#"{"message":"Not allowed.","detail":"not allowed","error":"NOT ALLOWED"}"#, "NOT ALLOWED"),
            ("null", r#"{"message":null,"detail":null,"title":"There"}"#, "There"),
            ("empty", r#"{"message":"","detail":" ","reason":"There"}"#, "There"),
            ("nothing known", r#"{"code":17,"kind":"x"}"#, "{'code':17,'kind':'x'}"),
            ("nothing known", "17", "17"),
            ("latin-1", "{\"message\":\"caf\u{fffd}\"}", "caf\u{fffd}"),
        ] {
            assert_eq!(said(body), words, "{kind}: {body}");
        }
    }

    #[test]
    fn bytes_that_are_no_utf8_do_not_hide_the_message() {
        assert_eq!(server_words(b"{\"message\":\"caf\xe9\",\"x\":\"\xff\"}", &[]).unwrap(), "caf\u{fffd}");
    }

    #[test]
    fn nothing_is_no_words() {
        for body in ["", " \n", "{}", "[]", "null", "\"\"", "{\"message\":\"\"}", "[[[]]]", "<html>", "<p>x</p>"] {
            assert_eq!(server_words(body.as_bytes(), &[]), None, "{body}");
        }
    }

    #[test]
    fn the_words_are_short_clean_and_without_secrets() {
        for body in [
            r#"{"message":"no \"canary-secret\" here"}"#,
            r#"{"title":"a","detail":"canary-secret"}"#,
            r#"{"canary-secret":["x"]}"#,
            r#"{"errors":{"token":["canary-secret"]}}"#,
            r#"{"detail":[{"loc":["body","canary-secret"],"msg":"x"}]}"#,
            r#"{"unknown":"canary-secret"}"#,
            r#"["canary-secret"]"#,
            "plain canary-secret",
            "<title>canary-secret</title>",
        ] {
            let words = said(body);
            assert!(words.contains("[redacted]") && !words.contains("canary"), "{body}: {words}");
            assert!(!words.contains('"'), "{words}");
        }
        let long = "x".repeat(5000);
        for body in [
            long.clone(),
            format!(r#"{{"message":"{long}","detail":"y"}}"#),
            format!(r#"{{"title":"{long}","detail":"the detail is seen all the same"}}"#),
            format!(r#"{{"errors":{{"{long}":["{long}"]}}}}"#),
            format!(r#"{{"{long}":17}}"#),
            format!("{{\"errors\":[{}\"x\"]}}", "\"one\",".repeat(1000)),
            format!("{}\"x\"{}", "[".repeat(100), "]".repeat(100)),
        ] {
            let words = said(&body);
            assert!(!words.is_empty() && words.len() <= MAX_WORDS, "{words}");
        }
        let words = said(&format!(r#"{{"title":"{long}","detail":"the detail is seen all the same"}}"#));
        assert!(words.ends_with("the detail is seen all the same"), "{words}");
        assert_eq!(said("plain\r\ntext\u{7}\u{202e}"), "plain text");
    }

    #[test]
    fn a_page_is_known_by_its_title() {
        assert_eq!(said("<ü><Title> 502 canary-secret\nü </TITLE><p>"), "502 [redacted] ü");
        assert_eq!(said("<html><title>x</TITLE"), "");
        assert_eq!(
            said("<?xml version='1.0'?><Error><Code>A</Code><Message>Access denied</Message></Error>"),
            "Access denied"
        );
    }
}
