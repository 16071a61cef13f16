//! Strict JSON: no duplicate member at any level, bounded depth, numbers and strings in their own text.
#![forbid(unsafe_code)]

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// How many arrays and objects may lie in one another, the outermost included.
pub const MAX_DEPTH: usize = 64;

/// What is wrong with a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Not JSON, or not the object that is expected.
    NotAnObject,
    /// An object names a member twice.
    DuplicateMember,
    /// More than [`MAX_DEPTH`] levels.
    TooDeep,
    /// Memory could not be reserved.
    NoMemory,
}

impl Fault {
    /// The fault as the end of a sentence that begins with the name of the text.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Fault::NotAnObject => "is not a JSON object",
            Fault::DuplicateMember => "has a duplicate member",
            Fault::TooDeep => "is nested too deeply",
            Fault::NoMemory => "is too large for the memory at hand",
        }
    }
}

/// The members of an object in their own order; each value is its own text.
#[derive(Debug, Default)]
pub(crate) struct Object<'a> {
    members: Vec<(Cow<'a, str>, &'a str)>,
}

impl<'a> Object<'a> {
    /// Parses and checks the whole of `text`, which must be one object.
    pub(crate) fn parse(text: &'a str) -> Result<Self, Fault> {
        let object = Self::parse_shallow(text)?;
        object.check(1)?;
        Ok(object)
    }

    /// Parses the members of `text` without a look into them: duplicates are kept, depth is not bounded.
    pub(crate) fn parse_shallow(text: &'a str) -> Result<Self, Fault> {
        let members: Members = serde_json::from_str(text).map_err(|_| Fault::NotAnObject)?;
        match members.0 {
            Some(members) => Ok(Object { members }),
            None => Err(Fault::NoMemory),
        }
    }

    fn check(&self, depth: usize) -> Result<(), Fault> {
        if self.has_duplicates()? {
            return Err(Fault::DuplicateMember);
        }
        self.members.iter().try_for_each(|(_, value)| check(value, depth + 1))
    }

    fn has_duplicates(&self) -> Result<bool, Fault> {
        // Comparing all pairs is the faster way for the few members that are usual.
        if self.members.len() <= 16 {
            return Ok(self
                .members
                .iter()
                .enumerate()
                .any(|(i, (name, _))| self.members[..i].iter().any(|(other, _)| other == name)));
        }
        let mut names = HashSet::new();
        names.try_reserve(self.members.len()).map_err(|_| Fault::NoMemory)?;
        Ok(!self.members.iter().all(|(name, _)| names.insert(name.as_ref())))
    }

    /// The text of a member's value.
    pub(crate) fn get(&self, name: &str) -> Option<&'a str> {
        self.members.iter().find_map(|(other, value)| (other == name).then_some(*value))
    }

    /// The same, where null counts as absent.
    pub(crate) fn present(&self, name: &str) -> Option<&'a str> {
        self.get(name).filter(|value| *value != "null")
    }

    /// The texts of all values.
    pub(crate) fn values(&self) -> impl Iterator<Item = &'a str> {
        self.members.iter().map(|(_, value)| *value)
    }

    /// The text of the last member of that name, where duplicates were kept.
    pub(crate) fn get_last(&self, name: &str) -> Option<&'a str> {
        self.members.iter().rev().find_map(|(other, value)| (other == name).then_some(*value))
    }
}

/// Checks a value that serde_json has found well-formed; `depth` is the level it would open.
fn check(value: &str, depth: usize) -> Result<(), Fault> {
    match value.as_bytes().first() {
        Some(b'{' | b'[') if depth > MAX_DEPTH => Err(Fault::TooDeep),
        Some(b'{') => Object::parse_shallow(value)?.check(depth),
        Some(b'[') => array(value)?.into_iter().try_for_each(|element| check(element, depth + 1)),
        // A skipped string may still have an escape that stands for no character.
        Some(b'"') if value.contains('\\') => string(value).map(drop).ok_or(Fault::NotAnObject),
        _ => Ok(()),
    }
}

/// The string that a value's text stands for; none for another kind.
pub(crate) fn string(value: &str) -> Option<Cow<'_, str>> {
    serde_json::from_str::<Text>(value).ok().map(|text| text.0)
}

/// The texts of an array's elements; a fault for another kind.
pub(crate) fn array(value: &str) -> Result<Vec<&str>, Fault> {
    let elements: Elements = serde_json::from_str(value).map_err(|_| Fault::NotAnObject)?;
    elements.0.ok_or(Fault::NoMemory)
}

/// Whether a value's text is a number.
pub(crate) fn is_number(value: &str) -> bool {
    matches!(value.as_bytes().first(), Some(b'-' | b'0'..=b'9'))
}

/// The text without the white space between its tokens. `text` must be well-formed.
pub(crate) fn compact(text: &str) -> Result<String, Fault> {
    let mut out = String::new();
    out.try_reserve_exact(text.len()).map_err(|_| Fault::NoMemory)?;
    let (mut in_string, mut escaped, mut start) = (false, false, 0);
    for (i, byte) in text.bytes().enumerate() {
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
        } else {
            match byte {
                b'"' => in_string = true,
                b' ' | b'\t' | b'\n' | b'\r' => {
                    out.push_str(&text[start..i]);
                    start = i + 1;
                }
                _ => {}
            }
        }
    }
    out.push_str(&text[start..]);
    Ok(out)
}

/// None when memory could not be reserved.
struct Members<'a>(Option<Vec<(Cow<'a, str>, &'a str)>>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MembersVisitor;

        impl<'de> Visitor<'de> for MembersVisitor {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(Text(name)) = map.next_key()? {
                    let value = map.next_value::<&RawValue>()?.get();
                    if members.try_reserve(1).is_err() {
                        return Ok(Members(None));
                    }
                    members.push((name, value));
                }
                Ok(Members(Some(members)))
            }
        }

        deserializer.deserialize_map(MembersVisitor)
    }
}

/// None when memory could not be reserved.
struct Elements<'a>(Option<Vec<&'a str>>);

impl<'de: 'a, 'a> Deserialize<'de> for Elements<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ElementsVisitor;

        impl<'de> Visitor<'de> for ElementsVisitor {
            type Value = Elements<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Self::Value, A::Error> {
                let mut elements = Vec::new();
                while let Some(element) = array.next_element::<&RawValue>()? {
                    if elements.try_reserve(1).is_err() {
                        return Ok(Elements(None));
                    }
                    elements.push(element.get());
                }
                Ok(Elements(Some(elements)))
            }
        }

        deserializer.deserialize_seq(ElementsVisitor)
    }
}

/// Borrowed where it holds no escape; serde's own `Cow` never borrows.
struct Text<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor).map(Text)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> Option<Fault> {
        Object::parse(text).err()
    }

    #[test]
    fn only_one_object_is_an_object() {
        assert_eq!(fault("{}"), None);
        assert_eq!(fault(" {\"a\" : [1, {\"b\":null}]}\n"), None);
        for text in [
            "",
            " ",
            "[]",
            "1",
            "null",
            "\"{}\"",
            "{",
            "{}}",
            "{} {}",
            "{,}",
            "{\"a\":1,}",
            "{\"a\"}",
            "{a:1}",
            "{'a':1}",
            "{\"a\":01}",
            "{\"a\":+1}",
            "{\"a\":.5}",
            "{\"a\":1.}",
            "{\"a\":0x1}",
            "{\"a\":NaN}",
            "{\"a\":Infinity}",
            "{\"a\":True}",
            "{\"a\":1}//",
            "\u{feff}{}",
            "{\"a\":\"\t\"}",
            "{\"a\":\"\\x\"}",
            "{\"a\":\"\\ud800\"}",
            "{\"a\":[\"\\udc00\\ud800\"]}",
            "{\"\\ud800\":1}",
            "{\"a\":1}\0",
            "{\"a\":\"\0\"}",
            "{\"a\":[1,]}",
            "{1:1}",
            "{\"a\":1 \"b\":2}",
            "{\"a\"\u{a0}:1}",
        ] {
            assert_eq!(fault(text), Some(Fault::NotAnObject), "{text:?}");
        }
    }

    #[test]
    fn duplicates_are_found_at_every_level_and_in_every_spelling() {
        for text in
            [r#"{"a":1,"a":1}"#, r#"{"a":1,"\u0061":2}"#, r#"{"a":{"b":1,"b":2}}"#, r#"{"a":[[{"x":{"":1,"":2}}]]}"#]
        {
            assert_eq!(fault(text), Some(Fault::DuplicateMember), "{text}");
        }
        assert_eq!(fault(r#"{"a":{"a":{"a":1}},"A":1}"#), None);

        let many = |last: &str| {
            let members: String = (0..40).map(|i| format!("\"m{i}\":{i},")).collect();
            format!("{{{members}\"{last}\":0}}")
        };
        assert_eq!(fault(&many("m40")), None);
        assert_eq!(fault(&many("m7")), Some(Fault::DuplicateMember));
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |open: &str, close: &str, levels: usize| {
            format!("{{\"a\":{}1{}}}", open.repeat(levels), close.repeat(levels))
        };
        assert_eq!(fault(&nested("[", "]", MAX_DEPTH - 1)), None);
        assert_eq!(fault(&nested("[", "]", MAX_DEPTH)), Some(Fault::TooDeep));
        assert_eq!(fault(&nested("{\"b\":", "}", MAX_DEPTH - 1)), None);
        assert_eq!(fault(&nested("{\"b\":", "}", MAX_DEPTH)), Some(Fault::TooDeep));
        assert_eq!(fault(&nested("[", "]", 20_000)), Some(Fault::TooDeep));
        assert_eq!(fault(&"[".repeat(20_000)), Some(Fault::NotAnObject));
    }

    #[test]
    fn compacting_touches_nothing_but_white_space_between_tokens() {
        let text = " { \"a b\" :\t[ 1.10 , -0 , 1e999 , 9223372036854775808 ] ,\r\n \"\\\" \\\\\" : \" \\u0041 \" } ";
        assert!(Object::parse(text).is_ok());
        assert_eq!(compact(text).unwrap(), r#"{"a b":[1.10,-0,1e999,9223372036854775808],"\" \\":" \u0041 "}"#);
    }

    #[test]
    fn members_are_found_by_what_their_names_mean() {
        let object = Object::parse(r#"{"\u0065xp":1,"x":"\u0041"}"#).unwrap();
        assert_eq!(object.get("exp"), Some("1"));
        assert_eq!(string(object.get("x").unwrap()).unwrap(), "A");
        assert_eq!(object.get("y"), None);
        assert!(string("1").is_none() && array("{}").is_err());
    }
}
