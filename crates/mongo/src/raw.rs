//! Documents that anybody may have written: each is read alone, so that one that
//! cannot be read spoils no other.
//!
//! A document that cannot be read counts as absent. It is named, by its id and the
//! field that is wrong, in the log of each process once, and by `doctor`, `audit`
//! and the commands that list (see [`scan`](crate::scan)). A process that dies here
//! has changed nothing.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use mongodb::bson::{Bson, Document, RawDocumentBuf};
use serde::{Deserialize, Deserializer};

use crate::field::{self, Malformed};
use crate::raw_document::readable;

/// The longest name of an odd id.
const NAME_CHARS_MAX: usize = 64;
/// How many texts a process remembers that it has said in the log.
const NOTED_MAX: usize = 1_000;
/// For how long it remembers them at least.
const NOTED_FOR: Duration = Duration::from_hours(1);

/// A document as it lies in MongoDB. A value that is no valid BSON, such as a text
/// that is no UTF-8, is read as `undefined`; the other fields are read as they are.
#[derive(Debug, Clone, PartialEq)]
pub struct Raw(pub Document);

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        RawDocumentBuf::deserialize(deserializer).map(|raw| Self(readable(&raw)))
    }
}

/// A document that cannot be read. No value of a field is in it but the id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// The collection it lies in.
    pub collection: &'static str,
    /// Its id, as far as is needed to find it.
    pub id: String,
    /// The first field that is wrong.
    pub why: Malformed,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.collection, self.id, self.why)
    }
}

impl Unreadable {
    /// The document and what is wrong with it.
    #[must_use]
    pub fn new(collection: &'static str, document: &Document, why: Malformed) -> Self {
        Self { collection, id: name(document), why }
    }
}

/// What to call a document: its id if that is a UUID or a text, else as much of it as
/// is needed to find it.
#[must_use]
pub fn name(document: &Document) -> String {
    let shortened = |text: &str| text.chars().take(NAME_CHARS_MAX).collect();
    match document.get("_id") {
        None => "?".to_owned(),
        Some(Bson::ObjectId(id)) => id.to_hex(),
        Some(Bson::String(text)) => shortened(text),
        Some(value) => match field::as_uuid(value) {
            Some(id) => id.to_string(),
            None => shortened(&value.to_string()),
        },
    }
}

/// The documents that this process has named in its log.
#[derive(Debug, Clone, Default)]
pub struct Noted(Arc<Mutex<Said>>);

#[derive(Debug)]
struct Said {
    texts: HashSet<String>,
    since: Instant,
}

impl Default for Said {
    fn default() -> Self {
        Self { texts: HashSet::new(), since: Instant::now() }
    }
}

impl Noted {
    /// What a document says; `None` when it cannot be read, which is logged once.
    pub fn read<T>(
        &self,
        collection: &'static str,
        Raw(document): &Raw,
        read: impl FnOnce(&Document) -> Result<T, Malformed>,
    ) -> Option<T> {
        match read(document) {
            Ok(value) => Some(value),
            Err(why) => {
                self.note(&Unreadable::new(collection, document, why));
                None
            }
        }
    }

    /// Names a document in the log, unless this process has done so.
    pub fn note(&self, unreadable: &Unreadable) {
        let Unreadable { collection, id, why } = unreadable;
        if self.is_news(format!("{collection} {id} {why}")) {
            tracing::error!(collection, id, %why, "a document cannot be read and counts as absent");
        }
    }

    /// Whether this process has not said that before. It remembers 1,000 texts for an
    /// hour at least and says no more than these in that time: a look that finds more
    /// would otherwise say all of it again each time.
    pub fn is_news(&self, what: String) -> bool {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if said.texts.len() >= NOTED_MAX && said.since.elapsed() >= NOTED_FOR {
            *said = Said::default();
        }
        said.texts.len() < NOTED_MAX && said.texts.insert(what)
    }
}

#[cfg(test)]
mod tests {
    use mongodb::bson::doc;

    use super::*;
    use crate::bson_time;

    #[test]
    fn what_was_said_before_is_no_news() {
        let noted = Noted::default();
        let is_news = |what: &str| noted.is_news(what.to_owned());
        assert!(is_news("a") && !is_news("a") && is_news("b"));
        let said = (0..2 * NOTED_MAX).filter(|number| is_news(&number.to_string())).count();
        assert_eq!(said, NOTED_MAX - 2, "more is not remembered, and not said");
    }

    #[test]
    fn every_document_has_a_name() {
        let id = uuid::Uuid::from_u128(5);
        assert_eq!(name(&doc! { "_id": bson_time::id(id) }), id.to_string());
        assert_eq!(name(&doc! { "_id": 5 }), "5");
        assert_eq!(name(&doc! { "_id": "five" }), "five");
        assert_eq!(name(&doc! {}), "?");
        assert!(name(&doc! { "_id": "x".repeat(1_000) }).chars().count() <= NAME_CHARS_MAX);
    }
}
