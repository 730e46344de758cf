//! Fields of documents that anybody may have written or damaged: each is read
//! on its own, and nothing is taken for granted about its type.
//!
//! No value leaves through an error, since a value may be personal data. These
//! are pure functions: a process that dies here has changed nothing.

use std::fmt;

use mongodb::bson::spec::{BinarySubtype, ElementType};
use mongodb::bson::{Binary, Bson, Document};
use uuid::Uuid;

/// The words for the types that fields have.
/// What a malformed id should have been.
pub const UUID: &str = "a UUID";
/// The same of a time.
pub const DATE: &str = "a date";
/// The same of a text.
pub const TEXT: &str = "a text";
/// The same of a count.
pub const COUNT: &str = "a count";
/// The same of a document.
pub const DOCUMENT: &str = "a document";
/// The same of bytes.
pub const BYTES: &str = "bytes";
/// The same of a flag.
pub const FLAG: &str = "true or false";

/// A field as it was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field<T> {
    /// The field is absent or null.
    Unset,
    /// The field holds a value of its type.
    Is(T),
    /// The field holds something else, of this BSON type.
    Other(ElementType),
}

/// A field that somebody needs is missing, or holds something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed {
    /// The name of the field.
    pub field: &'static str,
    /// What belongs there, in words.
    pub expected: &'static str,
    /// The BSON type that stands there; absent when the field is unset.
    pub found: Option<ElementType>,
}

impl std::error::Error for Malformed {}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { field, expected, found } = self;
        match found {
            None => write!(f, "{field} is missing where {expected} belongs"),
            Some(found) => {
                write!(f, "{field} is of the BSON type {found:?} where {expected} belongs")
            }
        }
    }
}

impl<T> Field<T> {
    /// The value, if the field holds one of its type.
    #[must_use]
    pub fn known(self) -> Option<T> {
        match self {
            Self::Is(value) => Some(value),
            Self::Unset | Self::Other(_) => None,
        }
    }

    /// Whether the field holds something that does not belong there.
    #[must_use]
    pub const fn is_other(&self) -> bool {
        matches!(self, Self::Other(_))
    }

    /// The same field with a reference to its value.
    #[must_use]
    pub const fn as_ref(&self) -> Field<&T> {
        match self {
            Self::Unset => Field::Unset,
            Self::Is(value) => Field::Is(value),
            Self::Other(found) => Field::Other(*found),
        }
    }

    /// The same field with its value made into another.
    #[must_use]
    pub fn map<U>(self, make: impl FnOnce(T) -> U) -> Field<U> {
        match self {
            Self::Unset => Field::Unset,
            Self::Is(value) => Field::Is(make(value)),
            Self::Other(found) => Field::Other(found),
        }
    }

    /// The value of a field that must be there.
    ///
    /// # Errors
    /// The field is unset, or holds something else.
    pub fn required(self, field: &'static str, expected: &'static str) -> Result<T, Malformed> {
        self.optional(field, expected)?.ok_or(Malformed { field, expected, found: None })
    }

    /// The value of a field that may be unset.
    ///
    /// # Errors
    /// The field holds something else.
    pub fn optional(
        self,
        field: &'static str,
        expected: &'static str,
    ) -> Result<Option<T>, Malformed> {
        match self {
            Self::Unset => Ok(None),
            Self::Is(value) => Ok(Some(value)),
            Self::Other(found) => Err(Malformed { field, expected, found: Some(found) }),
        }
    }
}

/// A field that holds a BSON UUID.
#[must_use]
pub fn id(document: &Document, name: &str) -> Field<Uuid> {
    read(document, name, as_uuid)
}

/// A field that holds a date, in ms since the Unix epoch.
#[must_use]
pub fn time(document: &Document, name: &str) -> Field<i64> {
    read(document, name, |value| value.as_datetime().map(|at| at.timestamp_millis()))
}

/// A field that holds a text.
#[must_use]
pub fn text<'a>(document: &'a Document, name: &str) -> Field<&'a str> {
    read(document, name, Bson::as_str)
}

/// A field that holds a whole number, stored as an int or a long.
#[must_use]
pub fn number(document: &Document, name: &str) -> Field<i64> {
    read(document, name, whole)
}

/// A field that holds a count. Null is no count: MongoDB cannot add to it.
#[must_use]
pub fn count(document: &Document, name: &str) -> Field<u32> {
    if let Some(Bson::Null) = document.get(name) {
        return Field::Other(ElementType::Null);
    }
    read(document, name, |value| u32::try_from(whole(value)?).ok())
}

/// A field that holds true or false.
#[must_use]
pub fn flag(document: &Document, name: &str) -> Field<bool> {
    read(document, name, Bson::as_bool)
}

/// A field that holds bytes of no special kind.
#[must_use]
pub fn bytes<'a>(document: &'a Document, name: &str) -> Field<&'a [u8]> {
    read(document, name, |value| match value {
        Bson::Binary(Binary { subtype: BinarySubtype::Generic, bytes }) => Some(bytes.as_slice()),
        _ => None,
    })
}

/// A field that holds a document.
#[must_use]
pub fn document<'a>(document: &'a Document, name: &str) -> Field<&'a Document> {
    read(document, name, Bson::as_document)
}

/// A field that holds a list of at least one member, each of which can be read.
#[must_use]
pub fn list<T>(
    document: &Document,
    name: &str,
    member: impl Fn(&Bson) -> Option<T>,
) -> Field<Vec<T>> {
    let all = |value: &Bson| value.as_array()?.iter().map(&member).collect::<Option<Vec<T>>>();
    read(document, name, |value| all(value).filter(|members| !members.is_empty()))
}

/// A BSON UUID (binary subtype 4) as a plain one.
#[must_use]
pub fn as_uuid(value: &Bson) -> Option<Uuid> {
    match value {
        Bson::Binary(binary) if binary.subtype == BinarySubtype::Uuid => {
            Uuid::from_slice(&binary.bytes).ok()
        }
        _ => None,
    }
}

/// Reads a field with a function that says what belongs there.
pub fn read<'a, T>(
    document: &'a Document,
    name: &str,
    value: impl FnOnce(&'a Bson) -> Option<T>,
) -> Field<T> {
    match document.get(name) {
        None | Some(Bson::Null) => Field::Unset,
        Some(found) => value(found).map_or(Field::Other(found.element_type()), Field::Is),
    }
}

fn whole(value: &Bson) -> Option<i64> {
    match value {
        Bson::Int32(number) => Some(i64::from(*number)),
        Bson::Int64(number) => Some(*number),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use mongodb::bson::{DateTime, doc};

    use super::*;
    use crate::testing::{
        SECRET, every_type, is_count, is_date, is_document, is_number, is_text, is_uuid, seen,
    };

    #[test]
    fn every_reader_takes_its_own_type_alone() {
        for value in every_type() {
            let holder = doc! { "a": value.clone() };
            let taken = |takes| seen(&value, takes);
            assert_eq!(id(&holder, "a").map(drop), taken(is_uuid), "{value}");
            assert_eq!(time(&holder, "a").map(drop), taken(is_date), "{value}");
            assert_eq!(text(&holder, "a").map(drop), taken(is_text), "{value}");
            assert_eq!(number(&holder, "a").map(drop), taken(is_number), "{value}");
            assert_eq!(document(&holder, "a").map(drop), taken(is_document), "{value}");
            let counted = count(&holder, "a").map(drop);
            if value == Bson::Null {
                assert_eq!(counted, Field::Other(ElementType::Null));
            } else {
                assert_eq!(counted, taken(is_count), "{value}");
            }
        }
    }

    #[test]
    fn an_absent_field_is_unset_for_every_reader() {
        let empty = doc! {};
        assert_eq!(id(&empty, "a"), Field::Unset);
        assert_eq!(time(&empty, "a"), Field::Unset);
        assert_eq!(text(&empty, "a"), Field::Unset);
        assert_eq!(number(&empty, "a"), Field::Unset);
        assert_eq!(count(&empty, "a"), Field::Unset);
        assert_eq!(document(&empty, "a"), Field::Unset);
    }

    #[test]
    fn a_damaged_field_is_told_from_an_unset_one() {
        let damaged = doc! { "a": null, "b": DateTime::from_millis(7), "c": "noon" };
        let times = ["a", "b", "c", "d"].map(|field| time(&damaged, field));
        let text = Field::Other(ElementType::String);
        assert_eq!(times, [Field::Unset, Field::Is(7), text, Field::Unset]);
        let optional = times.map(|time| time.optional("at", DATE).ok());
        assert_eq!(optional, [Some(None), Some(Some(7)), None, Some(None)]);
        let required = times.map(|time| time.required("at", DATE).ok());
        assert_eq!(required, [None, Some(7), None, None]);
    }

    #[test]
    fn what_is_malformed_is_named_without_its_value() {
        let holder = doc! { "a": SECRET };
        let wrong = id(&holder, "a").required("a", UUID).unwrap_err().to_string();
        assert_eq!(wrong, "a is of the BSON type String where a UUID belongs");
        let missing = id(&holder, "b").required("b", UUID).unwrap_err().to_string();
        assert_eq!(missing, "b is missing where a UUID belongs");
    }
}
