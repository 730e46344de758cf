//! A JSON object from outside, read member by member (RFC 8259, RFC 7493).
//!
//! A member that nobody asks for is skipped unread: its depth, its numbers and its
//! characters do not matter, and it may be there twice. A member that somebody asks
//! for must be there once. Skipping is iterative, so no depth overflows the stack.
//! These are pure functions: a process that dies here has changed nothing.

use std::fmt;

use serde::de::{DeserializeOwned, Deserializer, Error, MapAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

/// A JSON object whose members are not read yet.
#[derive(Clone, Default)]
pub struct Object(Vec<(String, Box<RawValue>)>);

/// Why bytes are no object.
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    /// The bytes are not JSON, or not UTF-8.
    #[error("not JSON")]
    NotJson(#[source] serde_json::Error),
    /// The bytes are JSON, but no object.
    #[error("not a JSON object")]
    NotAnObject,
}

/// Why a member cannot be had. The words name the member and not its value.
#[derive(Debug, thiserror::Error)]
pub enum MemberError {
    /// The object has no such member, or it is null.
    #[error("the body lacks {0}")]
    Missing(&'static str),
    /// The object has the member more than once.
    #[error("the body has {0} more than once")]
    Twice(&'static str),
    /// The member is of another type or form.
    #[error("{name} is not of its form")]
    Unreadable {
        /// The member.
        name: &'static str,
        /// The parser's error, which may repeat the value.
        #[source]
        source: serde_json::Error,
    },
}

/// A member that is asked for is there more than once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Twice;

impl Object {
    /// Reads bytes.
    ///
    /// # Errors
    /// They are no JSON object.
    pub fn parse(bytes: &[u8]) -> Result<Self, ObjectError> {
        let whole: &RawValue = serde_json::from_slice(bytes).map_err(ObjectError::NotJson)?;
        if !whole.get().starts_with('{') {
            return Err(ObjectError::NotAnObject);
        }
        serde_json::from_str(whole.get()).map_err(ObjectError::NotJson)
    }

    /// The member of this name, unread.
    ///
    /// # Errors
    /// It is there more than once.
    pub fn find(&self, name: &str) -> Result<Option<&RawValue>, Twice> {
        let mut found = self.0.iter().filter(|(of, _)| of == name);
        let first = found.next().map(|(_, value)| &**value);
        if found.next().is_some() { Err(Twice) } else { Ok(first) }
    }

    /// Reads a member that may be missing or null.
    ///
    /// # Errors
    /// It is there more than once, or not of its form.
    pub fn optional<T: DeserializeOwned>(
        &self,
        name: &'static str,
    ) -> Result<Option<T>, MemberError> {
        let Some(raw) = self.find(name).map_err(|Twice| MemberError::Twice(name))? else {
            return Ok(None);
        };
        serde_json::from_str(raw.get()).map_err(|source| MemberError::Unreadable { name, source })
    }

    /// Reads a member that must be there.
    ///
    /// # Errors
    /// It is missing, there more than once, or not of its form.
    pub fn required<T: DeserializeOwned>(&self, name: &'static str) -> Result<T, MemberError> {
        self.optional(name)?.ok_or(MemberError::Missing(name))
    }
}

/// Members may hold personal data: none is printed.
impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Object").field("members", &self.0.len()).finish()
    }
}

impl Serialize for Object {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Members)
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Object;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
        let mut members = Vec::new();
        while let Some((Name(name), value)) = map.next_entry::<Name, Box<RawValue>>()? {
            members.extend(name.map(|name| (name, value)));
        }
        Ok(Object(members))
    }
}

/// A member's name; none when it holds half of a surrogate pair, since nobody asks
/// for such a name.
struct Name(Option<String>);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_bytes(NameBytes)
    }
}

struct NameBytes;

impl Visitor<'_> for NameBytes {
    type Value = Name;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a member")
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Name, E> {
        Ok(Name(str::from_utf8(bytes).ok().map(str::to_owned)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Object {
        Object::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error:?}"))
    }

    /// Values that are JSON and that few readers can hold.
    fn odd() -> Vec<String> {
        let deep = |open: &str, close: &str| open.repeat(20_000) + "1" + &close.repeat(20_000);
        let mut odd = vec![deep("[", "]"), deep("{\"a\":", "}")];
        odd.extend(["1e400", "-1e-999999", "\"\\ud800\"", "\"\\udc00\\ud800\""].map(str::to_owned));
        odd.push("9".repeat(2_000));
        odd
    }

    #[test]
    fn what_nobody_asks_for_is_skipped_unread() {
        for value in odd() {
            for text in [
                format!(r#"{{"x":{value},"name":"ada"}}"#),
                format!(r#"{{"x":{value},"x":{value},"name":"ada"}}"#),
                format!(r#"{{"name":"ada","x":[{value},{{"name":{value}}}]}}"#),
                format!(r#"{{"\ud800":{value},"name":"ada"}}"#),
            ] {
                let object = parse(&text);
                assert_eq!(object.required::<String>("name").unwrap(), "ada");
            }
        }
    }

    #[test]
    fn what_is_asked_for_is_there_once_and_of_its_form() {
        for text in [r#"{"a":1,"a":1}"#, r#"{"a":1,"\u0061":2}"#, r#"{"a":null,"b":1,"a":1}"#] {
            let object = parse(text);
            assert!(matches!(object.required::<u8>("a"), Err(MemberError::Twice("a"))), "{text}");
            assert!(matches!(object.optional::<u8>("a"), Err(MemberError::Twice("a"))), "{text}");
        }
        for value in odd() {
            let object = parse(&format!(r#"{{"a":{value}}}"#));
            let read = object.required::<String>("a");
            assert!(matches!(read, Err(MemberError::Unreadable { .. })), "{value:.80}");
        }
        for text in ["{}", r#"{"a":null}"#, r#"{"A":1}"#] {
            let object = parse(text);
            assert!(matches!(object.required::<u8>("a"), Err(MemberError::Missing("a"))), "{text}");
            assert!(matches!(object.optional::<u8>("a"), Ok(None)), "{text}");
        }
    }

    #[test]
    fn bytes_that_are_no_object_are_told_apart() {
        let junk: [&[u8]; 8] = [
            b"",
            b"{",
            b"{} {}",
            b"{\"a\":\"\xff\"}",
            b"\xef\xbb\xbf{}",
            b"{\"a\":1,}",
            b"nan",
            b"{'a':1}",
        ];
        for junk in junk {
            assert!(matches!(Object::parse(junk), Err(ObjectError::NotJson(_))), "{junk:?}");
        }
        for other in ["null", "[]", "\"{}\"", " 7 "] {
            let parsed = Object::parse(other.as_bytes());
            assert!(matches!(parsed, Err(ObjectError::NotAnObject)), "{other}");
        }
    }

    #[test]
    fn no_error_repeats_a_value() {
        let object = parse(r#"{"a":"hunter2"}"#);
        let error = object.required::<u8>("a").unwrap_err();
        assert_eq!(error.to_string(), "a is not of its form");
        assert!(!format!("{object:?}").contains("hunter2"));
    }

    proptest! {
        #[test]
        fn no_bytes_crash_the_parser(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
            drop(Object::parse(&bytes));
        }
    }
}
