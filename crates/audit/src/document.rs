//! Fields of documents that may have been damaged: nothing is taken for
//! granted about their types.

use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{self, Bson, Document};
use uuid::Uuid;

/// The longest name of an odd id.
const NAME_CHARS_MAX: usize = 64;

/// A field that may hold a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Time {
    /// Absent or null.
    Unset,
    /// Milliseconds since the Unix epoch.
    At(i64),
    /// Of another type.
    Damaged,
}

impl Time {
    pub(crate) const fn ms(self) -> Option<i64> {
        match self {
            Self::At(ms) => Some(ms),
            Self::Unset | Self::Damaged => None,
        }
    }
}

pub(crate) fn time(document: &Document, field: &str) -> Time {
    match document.get(field) {
        None | Some(Bson::Null) => Time::Unset,
        Some(Bson::DateTime(at)) => Time::At(at.timestamp_millis()),
        Some(_) => Time::Damaged,
    }
}

pub(crate) fn id(document: &Document, field: &str) -> Option<Uuid> {
    document.get(field).and_then(as_uuid)
}

pub(crate) fn text<'a>(document: &'a Document, field: &str) -> Option<&'a str> {
    document.get(field).and_then(Bson::as_str)
}

pub(crate) fn as_uuid(value: &Bson) -> Option<Uuid> {
    match value {
        Bson::Binary(binary) if binary.subtype == BinarySubtype::Uuid => {
            Uuid::from_slice(&binary.bytes).ok()
        }
        _ => None,
    }
}

/// A UUID as it is stored.
pub(crate) fn stored(id: Uuid) -> Bson {
    bson::Uuid::from_bytes(id.into_bytes()).into()
}

/// What to call a document: its id if that is one, else as much of it as is
/// needed to find it.
pub(crate) fn name(document: &Document) -> String {
    match document.get("_id") {
        None => "?".to_owned(),
        Some(Bson::ObjectId(id)) => id.to_hex(),
        Some(value) => match as_uuid(value) {
            Some(id) => id.to_string(),
            None => value.to_string().chars().take(NAME_CHARS_MAX).collect(),
        },
    }
}

#[cfg(test)]
mod tests {
    use mongodb::bson::{DateTime, doc};

    use super::*;

    #[test]
    fn a_damaged_field_is_told_from_an_unset_one() {
        let damaged = doc! { "a": null, "b": DateTime::from_millis(7), "c": "noon" };
        let times = ["a", "b", "c", "d"].map(|field| time(&damaged, field));
        assert_eq!(times, [Time::Unset, Time::At(7), Time::Damaged, Time::Unset]);
    }

    #[test]
    fn every_document_has_a_name() {
        let id = Uuid::from_u128(5);
        assert_eq!(name(&doc! { "_id": stored(id) }), id.to_string());
        assert_eq!(name(&doc! { "_id": 5 }), "5");
        assert_eq!(name(&doc! {}), "?");
        assert!(name(&doc! { "_id": "x".repeat(1_000) }).chars().count() <= NAME_CHARS_MAX);
    }
}
