//! Looks for documents that cannot be read, with the decoders of those who use them.
//!
//! Collections are read in pages in the order of their ids; nothing is held open
//! in between, and nothing is written. A process that dies in the middle begins again.

use mongodb::Collection;
use mongodb::bson::{Bson, Document, doc};
use mongodb::options::Hint;

use crate::mongo::{Mongo, ask};
use crate::raw::{Raw, Unreadable};
use crate::{Malformed, StoreError};

/// Documents in a page.
const PAGE: usize = 1_000;
/// How many documents are named of one collection.
const NAMED_MAX: usize = 100;

/// A collection whose documents are looked at one by one.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    /// Its name.
    pub collection: &'static str,
    /// What is wrong with a document, by the decoder of who uses it.
    pub check: fn(&Document) -> Result<(), Malformed>,
}

/// What a scan of a collection found.
#[derive(Debug, Clone, Default)]
pub struct Scanned {
    /// How many documents were looked at.
    pub read: usize,
    /// Whether there are more than were looked at.
    pub more: bool,
    /// Those that cannot be read; at most a hundred.
    pub unreadable: Vec<Unreadable>,
    /// How many cannot be read.
    pub count: usize,
}

/// Looks at the documents of a collection, at about `most` of them.
///
/// # Errors
/// The store failed.
pub async fn scan(mongo: &Mongo, kind: Kind, most: usize) -> Result<Scanned, StoreError> {
    let documents = mongo.documents(kind.collection).clone_with_type();
    let (mut scanned, mut last) = (Scanned::default(), None);
    loop {
        let page = page(&documents, last.as_ref()).await?;
        for Raw(document) in &page {
            scanned.read += 1;
            if let Err(why) = (kind.check)(document) {
                scanned.count += 1;
                if scanned.unreadable.len() < NAMED_MAX {
                    let unreadable = Unreadable::new(kind.collection, document, why);
                    scanned.unreadable.push(unreadable);
                }
            }
        }
        scanned.more = page.len() == PAGE;
        last = page.last().and_then(|Raw(last)| last.get("_id")).cloned();
        if !scanned.more || last.is_none() || scanned.read >= most {
            return Ok(scanned);
        }
    }
}

/// The documents behind an id. Index bounds (`min`), unlike a filter with `$gt`, go on
/// across ids of different types.
async fn page(documents: &Collection<Raw>, after: Option<&Bson>) -> Result<Vec<Raw>, StoreError> {
    let by_id = doc! { "_id": 1 };
    let find = documents.find(doc! {}).sort(by_id.clone()).hint(Hint::Keys(by_id));
    // The bound is inclusive.
    let (find, skip) = match after {
        None => (find, 0),
        Some(after) => (find.min(doc! { "_id": after.clone() }), 1),
    };
    let find = find.skip(skip).limit(i64::try_from(PAGE).unwrap_or(i64::MAX));
    ask("look at the documents", find).await
}
