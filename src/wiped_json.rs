//! JSON with secrets in it: written where it can be wiped, and wiped after it was read.
#![forbid(unsafe_code)]

use serde::Serialize;
use serde::ser::Serializer;
use serde_json::Value;
use zeroize::Zeroize;

use crate::error::{Error, Result, Status};
use crate::secret::SecretBytes;
use crate::text::without_mark;

/// A member's value.
#[derive(Clone, Copy)]
pub(crate) enum Member<'a> {
    Text(&'a str),
    Signed(i64),
    Unsigned(u64),
    Object(&'a [(&'a str, Member<'a>)]),
}

impl Member<'_> {
    /// About how many bytes it takes.
    fn size(&self) -> usize {
        match self {
            Member::Text(text) => text.len(),
            Member::Signed(_) | Member::Unsigned(_) => 20,
            Member::Object(members) => size_of(members),
        }
    }
}

fn size_of(members: &[(&str, Member)]) -> usize {
    members.iter().map(|(name, value)| name.len() + value.size() + 8).sum()
}

impl Serialize for Member<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        match *self {
            Member::Text(text) => serializer.serialize_str(text),
            Member::Signed(number) => serializer.serialize_i64(number),
            Member::Unsigned(number) => serializer.serialize_u64(number),
            Member::Object(members) => serializer.collect_map(members.iter().copied()),
        }
    }
}

/// A compact JSON object, members in the order given.
pub(crate) fn write_object(members: &[(&str, Member)]) -> Result<SecretBytes> {
    let mut bytes = SecretBytes::with_capacity(size_of(members))?;
    let mut serializer = serde_json::Serializer::new(&mut bytes);
    Member::Object(members)
        .serialize(&mut serializer)
        .map_err(|_| Error::new(Status::NoMemory, "not enough memory for an input of this size"))?;
    Ok(bytes)
}

/// Parsed JSON whose strings are wiped at the end.
pub(crate) struct WipedJson(Value);

impl WipedJson {
    /// The same of a server's answer, in which some texts may be in another encoding: their bytes become U+FFFD. No token
    /// has that.
    pub(crate) fn parse_answer(bytes: &[u8]) -> Option<Self> {
        Self::parse(bytes).or_else(|| {
            std::str::from_utf8(bytes).err()?;
            Self::parse(zeroize::Zeroizing::new(String::from_utf8_lossy(bytes).into_owned()).as_bytes())
        })
    }

    /// Parses one JSON text, perhaps with a byte order mark before it. None when it is not JSON.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(without_mark(bytes)).ok().map(WipedJson)
    }

    /// All of it.
    pub(crate) fn root(&self) -> &Value {
        &self.0
    }

    /// The text at a path.
    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        self.lookup(path).and_then(Value::as_str)
    }

    /// Whether it is an object.
    pub(crate) fn is_object(&self) -> bool {
        self.0.is_object()
    }

    /// The value at a dotted path; a member with the very name comes first.
    pub(crate) fn lookup(&self, path: &str) -> Option<&Value> {
        self.0.get(path).or_else(|| path.split('.').try_fold(&self.0, |value, name| value.get(name)))
    }
}

impl Drop for WipedJson {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(items) => items.iter_mut().for_each(wipe),
        Value::Object(map) => map.values_mut().for_each(wipe),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_keep_the_order_and_escape() {
        let inner = [("a", Member::Text("b"))];
        let members = [
            ("user", Member::Text("a\"ü\n")),
            ("n", Member::Signed(-1)),
            ("u", Member::Unsigned(u64::MAX)),
            ("o", Member::Object(&inner)),
        ];
        let bytes = write_object(&members).unwrap();
        assert_eq!(bytes.as_str(), "{\"user\":\"a\\\"ü\\n\",\"n\":-1,\"u\":18446744073709551615,\"o\":{\"a\":\"b\"}}");
    }

    #[test]
    fn dotted_paths_reach_into_objects() {
        let json = WipedJson::parse(br#"{"data": {"token": "t"}, "a.b": 1, "a": {"b": 2}}"#).unwrap();
        assert_eq!(json.lookup("data.token").unwrap(), "t");
        assert_eq!(json.lookup("a.b").unwrap(), 1);
        assert!(json.lookup("data.none").is_none());
    }

    #[test]
    fn wiping_leaves_no_string() {
        let mut json = serde_json::json!({"a": ["canary", {"b": "canary"}], "c": 1});
        wipe(&mut json);
        assert!(!json.to_string().contains("canary"));
    }
}
