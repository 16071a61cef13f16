//! What a token says, member by member, numbers in their own text.

use std::collections::BTreeMap;

use gcauth::Session;
use serde_json::value::RawValue;

/// Who a token is for, as far as it says so: the first that is there.
const NAMES: [&str; 5] = ["preferred_username", "username", "email", "name", "sub"];

/// The claim at `path`, as JSON. A claim with the very name comes first, then a member of a member by dots.
pub fn claim(payload: &str, path: &str) -> Option<String> {
    let members: BTreeMap<String, &RawValue> = serde_json::from_str(payload).ok()?;
    if let Some(value) = members.get(path) {
        return Some(value.get().to_owned());
    }
    // From the longest name to the shortest: "a.b.c" may be the member "c" of "a.b".
    path.rmatch_indices('.').find_map(|(dot, _)| claim(members.get(&path[..dot])?.get(), &path[dot + 1..]))
}

/// The claim at `path`, text without its quotes.
pub fn plain(payload: &str, path: &str) -> Option<String> {
    let value = claim(payload, path)?;
    Some(serde_json::from_str::<String>(&value).unwrap_or(value))
}

/// The text claim `name` of the session's token.
pub fn text_of(session: &Session, name: &str) -> Option<String> {
    let current = session.current().ok()?;
    serde_json::from_str(&claim(current.payload().ok()?.as_json(), name)?).ok()
}

/// The whole number that the claim `name` of the session's token is.
pub fn number_of(session: &Session, name: &str) -> Option<i64> {
    let current = session.current().ok()?;
    claim(current.payload().ok()?.as_json(), name)?.parse().ok()
}

/// Who the session's token is for, by every name that it has.
pub fn names(session: &Session) -> Vec<String> {
    NAMES.iter().filter_map(|name| text_of(session, name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_are_found_by_name_and_by_dots() {
        let payload = r#"{"a":{"b":{"c":1},"b.c":2},"a.x":3,"t":"te\"xt","n":9007199254740993.0,"z":null}"#;
        for (path, value) in [
            ("a.b.c", Some("2")),
            ("a.x", Some("3")),
            ("a.b", Some(r#"{"c":1}"#)),
            ("n", Some("9007199254740993.0")),
            ("z", Some("null")),
            ("t", Some(r#""te\"xt""#)),
            ("t.u", None),
            ("a.", None),
            ("", None),
        ] {
            assert_eq!(claim(payload, path).as_deref(), value, "{path}");
        }
        assert_eq!(plain(payload, "t").unwrap(), "te\"xt");
        assert_eq!(plain(payload, "n").unwrap(), "9007199254740993.0");
        assert_eq!(claim("[]", "a"), None);
    }
}
