//! JSON with secrets in it: written where it can be wiped, and wiped after it was read.
#![forbid(unsafe_code)]

use serde::ser::{SerializeMap, Serializer};
use serde_json::Value;
use zeroize::Zeroize;

use crate::error::{Error, Result, Status};
use crate::secret::SecretBytes;

/// A compact JSON object of strings, in the order given.
pub(crate) fn write_object(members: &[(&str, &str)]) -> Result<SecretBytes> {
    let size = members.iter().map(|(name, value)| name.len() + value.len() + 8).sum();
    let mut bytes = SecretBytes::with_capacity(size)?;
    let mut serializer = serde_json::Serializer::new(&mut bytes);
    let mut write = || {
        let mut map = serializer.serialize_map(Some(members.len()))?;
        for (name, value) in members {
            map.serialize_entry(name, value)?;
        }
        SerializeMap::end(map)
    };
    write().map_err(|_| Error::new(Status::NoMemory, "not enough memory for an input of this size"))?;
    Ok(bytes)
}

/// Parsed JSON whose strings are wiped at the end.
pub(crate) struct WipedJson(Value);

impl WipedJson {
    /// Parses one JSON text. None when it is not JSON.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok().map(WipedJson)
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
        let bytes = write_object(&[("username", "a\"b"), ("password", "ü\n")]).unwrap();
        assert_eq!(bytes.expose(), "{\"username\":\"a\\\"b\",\"password\":\"ü\\n\"}".as_bytes());
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
