//! Fields of documents that may have been damaged: nothing is taken for
//! granted about their types.

use mongodb::bson::{self, Bson, Document};
use onboard_mongo::field;
pub(crate) use onboard_mongo::name;
use uuid::Uuid;

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
