//! Fields of documents that may have been damaged: nothing is taken for
//! granted about their types.

use mongodb::bson::{self, Bson, Document};
use onboard_store::field;
use uuid::Uuid;

/// The longest name of an odd id.
const NAME_CHARS_MAX: usize = 64;

/// In milliseconds since the Unix epoch.
pub(crate) fn time(document: &Document, field: &str) -> Option<i64> {
    field::time(document, field).known()
}

pub(crate) fn id(document: &Document, field: &str) -> Option<Uuid> {
    field::id(document, field).known()
}

pub(crate) fn text<'a>(document: &'a Document, field: &str) -> Option<&'a str> {
    field::text(document, field).known()
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
        Some(value) => match field::as_uuid(value) {
            Some(id) => id.to_string(),
            None => value.to_string().chars().take(NAME_CHARS_MAX).collect(),
        },
    }
}

#[cfg(test)]
mod tests {
    use mongodb::bson::doc;

    use super::*;

    #[test]
    fn every_document_has_a_name() {
        let id = Uuid::from_u128(5);
        assert_eq!(name(&doc! { "_id": stored(id) }), id.to_string());
        assert_eq!(name(&doc! { "_id": 5 }), "5");
        assert_eq!(name(&doc! {}), "?");
        assert!(name(&doc! { "_id": "x".repeat(1_000) }).chars().count() <= NAME_CHARS_MAX);
    }
}
