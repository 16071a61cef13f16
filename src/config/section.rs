//! One object of the config at a time: which keys it may have, and values of the right type. Messages name the key by
//! its dotted path, and show no text from the config: it may be a secret.
#![forbid(unsafe_code)]

use std::borrow::Cow;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::error::{Error, Result, Status};
use crate::redact::clean;
use crate::transport::Endpoint;

/// Times in milliseconds and seconds stay below this, so that sums of them can't overflow anything.
pub(super) const MAX_NUMBER: u64 = i32::MAX as u64;
/// The name of an environment, in a path.
const ANY_ENV: &str = "<env>";

/// Every key that there is.
const KEYS: &[&str] = &[
    "env",
    "environments",
    "environments.<env>.host",
    "login",
    "login.path",
    "login.fields",
    "login.fields.username",
    "login.fields.password",
    "login.fields.organization_id",
    "login.fields.project_id",
    "refresh",
    "refresh.path",
    "refresh.fields",
    "refresh.fields.token",
    "refresh.fields.refresh_token",
    "refresh.fields.project_id",
    "logout",
    "logout.path",
    "logout.fields",
    "logout.fields.token",
    "logout.fields.refresh_token",
    "response",
    "response.token",
    "response.refresh_token",
    "response.token_type",
    "claims",
    "claims.project_id",
    "renew_before_s",
    "revokes_old_tokens",
    "clock_leeway_s",
    "connect_timeout_ms",
    "timeout_ms",
    "retries",
    "ca_file",
    "ca_extra_file",
    "redis_ca_file",
    "store_password_file",
    "client_cert_file",
    "client_key_file",
    "proxy",
    "public_key",
    "jwks_url",
    "user_agent",
    "allow_http",
    "store",
    "store_lock",
];

/// What others call a key, in lower case without `_` and `-`.
const ALIASES: &[(&str, &str)] = &[
    ("url", "environments.<env>.host"),
    ("baseurl", "environments.<env>.host"),
    ("apiurl", "environments.<env>.host"),
    ("server", "environments.<env>.host"),
    ("endpoint", "environments.<env>.host"),
    ("hostname", "environments.<env>.host"),
    ("authurl", "environments.<env>.host"),
    ("environment", "env"),
    ("loginurl", "login.path"),
    ("refreshurl", "refresh.path"),
    ("logouturl", "logout.path"),
    ("ca", "ca_file"),
    ("cabundle", "ca_file"),
    ("verify", "ca_file"),
    ("insecure", "ca_file"),
    ("skipverify", "ca_file"),
    ("extraca", "ca_extra_file"),
    ("nodeextracacerts", "ca_extra_file"),
    ("redisca", "redis_ca_file"),
    ("cert", "client_cert_file"),
    ("key", "client_key_file"),
    ("redis", "store"),
    ("session", "store"),
    ("lock", "store_lock"),
    ("leeway", "clock_leeway_s"),
];

/// What is no setting, and which function takes it.
const ARGUMENTS: &[(&str, &str)] = &[
    ("username", "gc_auth_login()"),
    ("user", "gc_auth_login()"),
    ("password", "gc_auth_login()"),
    ("organization", "gc_auth_login()"),
    ("organizationid", "gc_auth_login()"),
    ("project", "gc_auth_login()"),
    ("projectid", "gc_auth_login()"),
    ("token", "gc_auth_new()"),
    ("refreshtoken", "gc_auth_new()"),
];

/// One object of the config, with the dotted path to it for messages.
pub(super) struct Section<'a> {
    path: String,
    /// The same as it stands in `KEYS`.
    pattern: Cow<'static, str>,
    /// None where the config does not have the section.
    map: Option<&'a Map<String, Value>>,
}

impl<'a> Section<'a> {
    pub(super) fn top(value: &'a Value) -> Result<Self> {
        match value {
            Value::Object(map) => Ok(Section { path: String::new(), pattern: "".into(), map: Some(map) }),
            _ => {
                let message = format!("the config must be a JSON object, {{…}}, but is {}", kind(value));
                Err(Error::new(Status::Config, message))
            }
        }
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &'a String> {
        self.map.into_iter().flat_map(Map::keys)
    }

    /// The value of `key`; null counts as absent.
    pub(super) fn get(&self, key: &str) -> Option<&'a Value> {
        self.map?.get(key).filter(|value| !value.is_null())
    }

    fn name(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    pub(super) fn wrong(&self, key: &str, why: &str) -> Error {
        let name = clean(&self.name(key), &[], 100);
        Error::new(Status::Config, format!("config key \"{name}\" {why}"))
    }

    /// The error of a value of another type than the one that is `wanted`.
    fn wrong_type(&self, key: &str, wanted: &str, value: &Value) -> Error {
        self.wrong(key, &format!("must be {wanted}, but is {}", kind(value)))
    }

    /// Refuses keys that are not known, and says which is meant.
    pub(super) fn check_keys(&self) -> Result<()> {
        match self.keys().find(|key| !self.known().any(|known| known == key.as_str())) {
            None => Ok(()),
            Some(unknown) => Err(Error::new(Status::Config, self.unknown(unknown))),
        }
    }

    /// The keys that this section may have.
    fn known(&self) -> impl Iterator<Item = &'static str> {
        KEYS.iter().map(|path| split(path)).filter(|(parent, _)| *parent == self.pattern).map(|(_, key)| key)
    }

    fn unknown(&self, key: &str) -> String {
        let shown = clean(key, &[], 60);
        let begin = format!("unknown config key \"{}\"", clean(&self.name(&shown), &[], 100));
        let letters = plain(key);
        if let Some(known) = self.known().find(|known| plain(known) == letters) {
            return format!("{begin}; write \"{}\"", self.name(known));
        }
        let near = self.nearest(&letters);
        let is_near_top = self.path.is_empty() || self.path == "login";
        if let Some((_, function)) = ARGUMENTS.iter().find(|(name, _)| *name == letters && is_near_top) {
            let places = elsewhere(&self.pattern, &letters);
            let near = places.first().copied().unwrap_or(&near);
            return format!(
                "{begin}: it is given to {function}, not in the config; the nearest known key, \"{near}\", names a \
                 member of requests or answers"
            );
        }
        let mut places = elsewhere(&self.pattern, &letters);
        places.extend(ALIASES.iter().filter(|(alias, _)| *alias == letters).map(|(_, path)| *path));
        match places.as_slice() {
            [] => format!("{begin}; the nearest known key is \"{near}\""),
            [place] if place.contains(ANY_ENV) => {
                format!("{begin}; the known key is \"{place}\": {{\"environments\": {{\"<env>\": {{\"host\": …}}}}}}")
            }
            places => format!("{begin} here; the known key is \"{}\"", places.join("\" or \"")),
        }
    }

    /// The path of the known key that looks most like `letters`; those of this section come first.
    fn nearest(&self, letters: &str) -> String {
        let likeness = |path: &&'static str| {
            let (parent, key) = split(path);
            let bonus = if parent == self.pattern { 0.2 } else { 0.0 };
            strsim::jaro_winkler(letters, &plain(key)) + bonus
        };
        let nearest = KEYS.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b))).copied().unwrap_or_default();
        let (parent, key) = split(nearest);
        if parent == self.pattern { self.name(key) } else { nearest.to_owned() }
    }

    pub(super) fn section(&self, key: &str) -> Result<Section<'a>> {
        let last = if self.pattern == "environments" { ANY_ENV } else { key };
        let pattern = if self.pattern.is_empty() { last.to_owned() } else { format!("{}.{last}", self.pattern) };
        let section = |map| Section { path: self.name(key), pattern: pattern.clone().into(), map };
        match self.get(key) {
            None => Ok(section(None)),
            Some(Value::Object(map)) => Ok(section(Some(map))),
            Some(value) => {
                let inner = section(None);
                let first = inner.known().next().map(|known| format!(", {{\"{known}\": …}}")).unwrap_or_default();
                Err(self.wrong_type(key, &format!("an object{first}"), value))
            }
        }
    }

    /// A string; an empty one counts as absent.
    pub(super) fn optional_text(&self, key: &str) -> Result<Option<&'a str>> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::String(text)) if text.is_empty() => Ok(None),
            Some(Value::String(text)) if text.contains('\0') => Err(self.wrong(key, "must not contain a NUL")),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(value) => Err(self.wrong_type(key, "a string in quotes", value)),
        }
    }

    pub(super) fn text(&self, key: &str, default: &str) -> Result<String> {
        Ok(self.optional_text(key)?.unwrap_or(default).to_owned())
    }

    /// A path below a base URL.
    pub(super) fn path(&self, key: &str, default: &str) -> Result<String> {
        let path = self.text(key, default)?;
        match Endpoint::parse("https://host").and_then(|host| host.join(&path)) {
            Ok(_) => Ok(path),
            Err(why) if why.starts_with("is a whole URL") => Err(self.wrong(key, why)),
            Err(_) => Err(self.wrong(key, "must be a path without fragment or white space")),
        }
    }

    /// A whole number; 1e3 and 1000.0 are whole numbers too.
    pub(super) fn number(&self, key: &str, default: u64, min: u64) -> Result<u64> {
        let Some(value) = self.get(key) else {
            return Ok(default);
        };
        let wanted = format!("a whole number from {min} to {MAX_NUMBER}");
        let whole = |f: &f64| f.fract() == 0.0 && *f >= 0.0 && *f <= MAX_NUMBER as f64;
        match value {
            Value::Number(n) => n
                .as_u64()
                .or_else(|| n.as_f64().filter(whole).map(|f| f as u64))
                .filter(|n| (min..=MAX_NUMBER).contains(n))
                .ok_or_else(|| {
                    self.wrong(key, &format!("must be {wanted}, but is {}", clean(&n.to_string(), &[], 30)))
                }),
            // A number as such is no secret, and the quotes are easily overlooked.
            Value::String(text) if !text.is_empty() && text.len() <= 20 && text.parse::<f64>().is_ok() => {
                Err(self.wrong(key, &format!("must be {wanted}, but is the text \"{text}\"; leave out the quotes")))
            }
            _ => Err(self.wrong_type(key, &wanted, value)),
        }
    }

    pub(super) fn millis(&self, key: &str, default: u64) -> Result<Duration> {
        Ok(Duration::from_millis(self.number(key, default, 1)?))
    }

    pub(super) fn boolean(&self, key: &str, default: bool) -> Result<bool> {
        match self.get(key) {
            None => Ok(default),
            Some(Value::Bool(b)) => Ok(*b),
            Some(Value::String(text)) if ["true", "false"].contains(&text.to_ascii_lowercase().as_str()) => {
                Err(self.wrong(key, "must be true or false, but is text; leave out the quotes"))
            }
            Some(value) => Err(self.wrong_type(key, "true or false", value)),
        }
    }

    /// Refuses two fields of one request under the same name.
    pub(super) fn distinct(&self, names: &[&String]) -> Result<()> {
        for (i, name) in names.iter().enumerate() {
            if names[..i].contains(name) {
                return Err(Error::new(
                    Status::Config,
                    format!("config key \"{}\" gives two fields the same name", self.path),
                ));
            }
        }
        Ok(())
    }
}

/// What a value is, without telling it.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(true) => "true",
        Value::Bool(false) => "false",
        Value::Number(_) => "a number",
        Value::String(text) if text.is_empty() => "empty text",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// A key's path, and its own name.
fn split(path: &'static str) -> (&'static str, &'static str) {
    path.rsplit_once('.').unwrap_or(("", path))
}

/// A name without what people write differently: case, `_`, `-`, and the dots of a path.
fn plain(name: &str) -> String {
    name.replace(ANY_ENV, "").chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

/// Known keys outside of the section `pattern` with these letters, in their own name or in their path.
fn elsewhere(pattern: &str, letters: &str) -> Vec<&'static str> {
    let is_meant = |path: &&&'static str| {
        let (parent, key) = split(path);
        !letters.is_empty() && parent != pattern && (plain(key) == letters || plain(path) == letters)
    };
    KEYS.iter().filter(is_meant).copied().collect()
}
