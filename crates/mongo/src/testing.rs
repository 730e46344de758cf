//! Values of every type and documents that are no sound BSON, for the tests of decoders.

#![allow(clippy::missing_panics_doc, clippy::unwrap_used, reason = "only tests use this")]

use mongodb::bson::oid::ObjectId;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{
    Binary, Bson, DateTime, Decimal128, Document, JavaScriptCodeWithScope, RawDocumentBuf, Regex,
    Timestamp, doc, serialize_to_raw_document_buf,
};
use proptest::prelude::*;
use uuid::Uuid;

use crate::{Field, bson_time};

/// A text that no error may show.
pub const SECRET: &str = "ada@example.com";

/// Whether a field takes a value.
pub type Takes = fn(&Bson) -> bool;

/// One value at least of every BSON type that still is in use.
#[must_use]
pub fn every_type() -> Vec<Bson> {
    let binary = |subtype, bytes: usize| Binary { subtype, bytes: vec![7; bytes] };
    vec![
        Bson::Null,
        Bson::Undefined,
        Bson::Boolean(true),
        Bson::Int32(7),
        Bson::Int32(-7),
        Bson::Int64(7),
        Bson::Int64(i64::MAX),
        Bson::Double(7.0),
        Bson::Double(f64::NAN),
        Bson::Decimal128(Decimal128::from_bytes([7; 16])),
        Bson::String(SECRET.to_owned()),
        Bson::String(Uuid::from_u128(7).to_string()),
        Bson::String(String::new()),
        Bson::Symbol(SECRET.to_owned()),
        Bson::RegularExpression(Regex {
            pattern: ".".try_into().unwrap(),
            options: "".try_into().unwrap(),
        }),
        Bson::JavaScriptCode(SECRET.to_owned()),
        Bson::JavaScriptCodeWithScope(JavaScriptCodeWithScope {
            code: SECRET.to_owned(),
            scope: doc! {},
        }),
        Bson::Array(vec![Bson::Int32(7)]),
        Bson::Document(doc! { "userId": 7, "email": SECRET }),
        Bson::Document(doc! {}),
        Bson::ObjectId(ObjectId::from_bytes([7; 12])),
        Bson::DateTime(DateTime::from_millis(7)),
        Bson::DateTime(DateTime::MAX),
        Bson::DateTime(DateTime::MIN),
        Bson::Timestamp(Timestamp { time: 7, increment: 7 }),
        bson_time::id(Uuid::from_u128(7)),
        Bson::Binary(binary(BinarySubtype::Uuid, 15)),
        Bson::Binary(binary(BinarySubtype::Generic, 16)),
        Bson::Binary(binary(BinarySubtype::UuidOld, 16)),
        Bson::MinKey,
        Bson::MaxKey,
    ]
}

/// Any value, of the types that fields hold and of some that they do not.
pub fn any_value() -> impl Strategy<Value = Bson> {
    prop_oneof![
        proptest::sample::select(every_type()),
        any::<i32>().prop_map(Bson::Int32),
        any::<i64>().prop_map(Bson::Int64),
        any::<f64>().prop_map(Bson::Double),
        any::<i64>().prop_map(|ms| DateTime::from_millis(ms).into()),
        any::<u128>().prop_map(|id| bson_time::id(Uuid::from_u128(id))),
        ".{0,40}".prop_map(Bson::String),
    ]
}

/// How a field that takes some values sees this one.
#[must_use]
pub fn seen(value: &Bson, takes: Takes) -> Field<()> {
    match value {
        value if takes(value) => Field::Is(()),
        Bson::Null => Field::Unset,
        value => Field::Other(value.element_type()),
    }
}

/// Whether it is the UUID of [`every_type`].
#[must_use]
pub fn is_uuid(value: &Bson) -> bool {
    *value == bson_time::id(Uuid::from_u128(7))
}

/// Whether it is a date.
#[must_use]
pub fn is_date(value: &Bson) -> bool {
    matches!(value, Bson::DateTime(_))
}

/// Whether it is a text.
#[must_use]
pub fn is_text(value: &Bson) -> bool {
    matches!(value, Bson::String(_))
}

/// Whether it is a whole number.
#[must_use]
pub fn is_number(value: &Bson) -> bool {
    matches!(value, Bson::Int32(_) | Bson::Int64(_))
}

/// Whether it is the count of [`every_type`].
#[must_use]
pub fn is_count(value: &Bson) -> bool {
    matches!(value, Bson::Int32(7) | Bson::Int64(7))
}

/// Whether it is a document.
#[must_use]
pub fn is_document(value: &Bson) -> bool {
    matches!(value, Bson::Document(_))
}

/// A text that [`broken`] makes into none. One byte would stand in every tenth
/// document anyway, in a random id.
pub const NO_UTF8: &str = "~utf8";

/// The document with the first byte of each [`NO_UTF8`] made into one that no UTF-8
/// text has.
#[must_use]
pub fn broken(document: &Document) -> RawDocumentBuf {
    let mut bytes = serialize_to_raw_document_buf(document).unwrap().into_bytes();
    let mark = NO_UTF8.as_bytes();
    let places = bytes.windows(mark.len()).enumerate().filter(|(_, text)| *text == mark);
    for at in places.map(|(at, _)| at).collect::<Vec<_>>() {
        bytes.get_mut(at).into_iter().for_each(|byte| *byte = 0xff);
    }
    RawDocumentBuf::from_bytes(bytes).unwrap()
}
