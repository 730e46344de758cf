//! Documents as the server sends them, of which any member may be no sound BSON:
//! MongoDB stores what a client sends and checks no text for being UTF-8.
//!
//! A page is read as raw documents and each of them is made readable alone, so a
//! bad document, or a bad field, spoils nothing else. The functions are pure: a
//! process that dies here has changed nothing.

use mongodb::bson::{Bson, Document, RawDocument, RawDocumentBuf};

/// The most characters of an id that are shown.
const SHOWN_CHARS_MAX: usize = 100;

/// The document with every field that is sound BSON. A field that is not becomes
/// `Undefined`, which is a value of no field; fields behind a broken one that has
/// no end are left out.
#[must_use]
pub fn readable(raw: &RawDocument) -> Document {
    if let Ok(sound) = Document::try_from(raw) {
        return sound;
    }
    let elements = raw.iter_elements().map_while(Result::ok);
    let fields = elements.map(|element| {
        let name = element.key().as_str().to_owned();
        (name, Bson::try_from(element).unwrap_or(Bson::Undefined))
    });
    fields.collect()
}

/// The filter that matches this document alone: its `_id`, byte by byte as the
/// server sent it, whatever its type. `None` of a document without an id.
#[must_use]
pub fn address(raw: &RawDocument) -> Option<RawDocumentBuf> {
    const NAME: &str = "_id";
    let mut begin = size_of::<i32>();
    for element in raw.iter_elements().map_while(Result::ok) {
        // A byte for the type, and one that ends the name.
        let end = begin + 1 + element.key().as_str().len() + 1 + element.size();
        if element.key().as_str() == NAME {
            let id = raw.as_bytes().get(begin..end)?;
            let length = i32::try_from(size_of::<i32>() + id.len() + 1).ok()?;
            let mut filter = length.to_le_bytes().to_vec();
            filter.extend_from_slice(id);
            filter.push(0);
            return RawDocumentBuf::from_bytes(filter).ok();
        }
        begin = end;
    }
    None
}

/// The id of a document in words: a UUID as people write it, a text as it is, any
/// other value as it is printed.
#[must_use]
pub fn shown_id(raw: &RawDocument) -> String {
    let id = raw.iter_elements().map_while(Result::ok).find(|one| one.key().as_str() == "_id");
    let value = id.and_then(|id| Bson::try_from(id.value_utf8_lossy().ok()?).ok());
    let shown = match value {
        Some(Bson::String(text)) => text,
        Some(value) => {
            crate::field::as_uuid(&value).map_or_else(|| value.to_string(), |id| id.to_string())
        }
        None => "an id that cannot be read".to_owned(),
    };
    shown.chars().filter(|char| !char.is_control()).take(SHOWN_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use mongodb::bson::{doc, serialize_to_raw_document_buf};
    use uuid::Uuid;

    use super::*;
    use crate::bson_time;
    use crate::testing::{NO_UTF8, broken, every_type};

    #[test]
    fn a_text_that_is_no_utf8_spoils_its_own_field_alone() {
        let raw = broken(&doc! { "_id": 1, "a": NO_UTF8, "b": { "c": NO_UTF8 }, "d": "well" });
        let expected = doc! { "_id": 1, "a": Bson::Undefined, "b": Bson::Undefined, "d": "well" };
        assert_eq!(readable(&raw), expected);
    }

    #[test]
    fn a_sound_document_is_read_as_it_is() {
        let sound = doc! { "_id": bson_time::id(Uuid::from_u128(7)), "a": [1, { "b": "c" }] };
        assert_eq!(readable(&serialize_to_raw_document_buf(&sound).unwrap()), sound);
    }

    #[test]
    fn a_document_is_addressed_by_its_own_bytes_wherever_its_id_stands() {
        for id in every_type() {
            let raw =
                serialize_to_raw_document_buf(&doc! { "before": "x", "_id": id.clone(), "b": 2 });
            let address = address(&raw.unwrap()).unwrap();
            let expected = serialize_to_raw_document_buf(&doc! { "_id": id }).unwrap();
            assert_eq!(address.as_bytes(), expected.as_bytes());
        }
        let odd = broken(&doc! { "_id": NO_UTF8 });
        assert_eq!(address(&odd).unwrap().as_bytes(), odd.as_bytes());
        assert!(address(&broken(&doc! { "a": 1 })).is_none());
    }

    #[test]
    fn an_id_is_shown_in_words() {
        let id = Uuid::from_u128(7);
        for (document, shown) in [
            (doc! { "_id": bson_time::id(id) }, id.to_string()),
            (doc! { "_id": id.to_string() }, id.to_string()),
            (doc! { "_id": "no ~utf8" }, "no \u{fffd}utf8".to_owned()),
            (doc! { "_id": 7 }, "7".to_owned()),
            (doc! { "a": 7 }, "an id that cannot be read".to_owned()),
        ] {
            assert_eq!(shown_id(&broken(&document)), shown);
        }
    }
}
