//! Documents of accounts and todos that no part of this system wrote: a field of any
//! type, or none, or a text that is no UTF-8. Such a document counts as absent: no
//! answer is a 5xx, everybody else is served, and the tools name it.

mod accounts;
mod keys;
mod named;
mod rows;
mod todos;

use mongodb::Collection;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{
    Binary, Bson, DateTime, Document, RawDocumentBuf, Regex, Timestamp, doc, serialize_to_vec,
};

/// A text that is written as bytes that are no UTF-8.
const NO_UTF8: &str = "@@no-utf8@@";

/// What stands where something else belongs; `None`: the field is missing.
fn values() -> Vec<Option<Bson>> {
    let binary = |subtype, bytes: usize| Binary { subtype, bytes: vec![7; bytes] };
    let pattern = Regex { pattern: ".".try_into().unwrap(), options: "".try_into().unwrap() };
    let values = [
        Bson::Null,
        Bson::Undefined,
        Bson::Boolean(true),
        Bson::Int32(-7),
        Bson::Int64(i64::MAX),
        Bson::Double(f64::NAN),
        Bson::String("odd".to_owned()),
        Bson::String(String::new()),
        Bson::String(NO_UTF8.to_owned()),
        Bson::Array(vec![Bson::Int32(7), Bson::Null]),
        Bson::Document(doc! { "$gt": 7 }),
        Bson::ObjectId(ObjectId::from_bytes([7; 12])),
        Bson::DateTime(DateTime::MAX),
        Bson::DateTime(DateTime::MIN),
        Bson::Timestamp(Timestamp { time: 7, increment: 7 }),
        Bson::RegularExpression(pattern),
        Bson::Binary(binary(BinarySubtype::Uuid, 16)),
        Bson::Binary(binary(BinarySubtype::Generic, 3)),
        Bson::MinKey,
        Bson::MaxKey,
    ];
    values.into_iter().map(Some).chain([None]).collect()
}

/// Whether MongoDB and the driver take such an id.
fn is_id(value: Option<&Bson>) -> bool {
    match value {
        None
        | Some(Bson::Array(_) | Bson::Document(_) | Bson::Undefined | Bson::RegularExpression(_)) => {
            false
        }
        Some(value) => value.as_str() != Some(NO_UTF8),
    }
}

/// A document with one field changed.
fn with(document: &Document, field: &str, value: Option<&Bson>) -> Document {
    let mut changed = document.clone();
    match value {
        Some(value) => drop(changed.insert(field, value.clone())),
        None => drop(changed.remove(field)),
    }
    changed
}

/// Writes a document in place of the one with its id, whatever its validator says.
async fn put(documents: &Collection<Document>, document: &Document) {
    let mut bytes = serialize_to_vec(document).unwrap();
    let mark = NO_UTF8.as_bytes();
    while let Some(at) = bytes.windows(mark.len()).position(|window| window == mark) {
        bytes[at..at + mark.len()].fill(0xFF);
    }
    let raw = RawDocumentBuf::from_bytes(bytes).unwrap();
    let this = doc! { "_id": document.get("_id").unwrap() };
    documents.delete_one(this).await.unwrap();
    let insert = documents.clone_with_type::<RawDocumentBuf>();
    insert.insert_one(raw).bypass_document_validation(true).await.unwrap();
}

/// Whether a status is an answer to somebody whose document is odd.
fn is_served(status: u16) -> bool {
    (200..500).contains(&status)
}
