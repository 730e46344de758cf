//! A collection in pages, in the order of its ids, and lookups for a page.
//!
//! Every page begins where the last one ended, by the index on `_id`: nothing
//! is held open on the server in between. Index bounds (`min`), unlike a
//! filter with `$gt`, go on across ids of different types.

use std::time::Duration;

use futures::TryStreamExt;
use mongodb::bson::{Bson, Document, doc};
use mongodb::options::Hint;
use mongodb::{Collection, Cursor};
use onboard_mongo::Raw;

use crate::audit::AuditError;

/// Documents in a page.
const PAGE: usize = 1_000;
/// How long one read may take.
const READ_DEADLINE: Duration = Duration::from_mins(1);

/// A collection that is being read.
#[derive(Debug)]
pub(crate) struct Pages {
    what: &'static str,
    documents: Collection<Document>,
    projection: Document,
    last: Option<Bson>,
    ended: bool,
    /// How many were read.
    pub(crate) done: u64,
    /// About how many there are.
    pub(crate) total: u64,
}

impl Pages {
    /// From the first document on.
    pub(crate) async fn of(
        what: &'static str,
        documents: Collection<Document>,
        projection: Document,
    ) -> Result<Self, AuditError> {
        let counting = documents.estimated_document_count();
        let total = read(what, async { counting.await }).await?;
        Ok(Self { what, documents, projection, last: None, ended: false, done: 0, total })
    }

    /// The next page; empty when there is none.
    pub(crate) async fn next(&mut self) -> Result<Vec<Document>, AuditError> {
        let mut page = Vec::new();
        while page.is_empty() && !self.ended {
            page = self.read().await?;
        }
        self.done += page.len() as u64;
        self.total = self.total.max(self.done);
        Ok(page)
    }

    async fn read(&mut self) -> Result<Vec<Document>, AuditError> {
        let by_id = doc! { "_id": 1 };
        let documents = self.documents.clone_with_type::<Raw>();
        let mut find = documents
            .find(doc! {})
            .projection(self.projection.clone())
            .sort(by_id.clone())
            .hint(Hint::Keys(by_id))
            .limit(i64::try_from(PAGE + 1).unwrap_or(i64::MAX));
        if let Some(last) = &self.last {
            find = find.min(doc! { "_id": last.clone() });
        }
        let mut page = documents_of(self.what, find.into_future()).await?;
        self.ended = page.len() <= PAGE;
        // The bound is inclusive; its document was on the page before.
        if self.last.is_some()
            && page.first().and_then(|first| first.get("_id")) == self.last.as_ref()
        {
            page.remove(0);
        }
        if let Some(last) = page.last().and_then(|last| last.get("_id")) {
            self.last = Some(last.clone());
        }
        Ok(page)
    }
}

/// The documents whose `field` is one of `keys`.
pub(crate) async fn lookup(
    what: &'static str,
    documents: &Collection<Document>,
    field: &str,
    keys: Vec<Bson>,
    projection: Document,
) -> Result<Vec<Document>, AuditError> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let documents = documents.clone_with_type::<Raw>();
    let find = documents.find(doc! { field: { "$in": keys } }).projection(projection);
    documents_of(what, find.into_future()).await
}

/// What a query finds. A value that is no valid BSON spoils its own field alone.
async fn documents_of(
    what: &'static str,
    find: impl Future<Output = mongodb::error::Result<Cursor<Raw>>>,
) -> Result<Vec<Document>, AuditError> {
    let found: Vec<Raw> = read(what, async { find.await?.try_collect().await }).await?;
    Ok(found.into_iter().map(|Raw(document)| document).collect())
}

/// A read under its deadline.
pub(crate) async fn read<T>(
    what: &'static str,
    operation: impl Future<Output = mongodb::error::Result<T>>,
) -> Result<T, AuditError> {
    match tokio::time::timeout(READ_DEADLINE, operation).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(source)) => Err(AuditError::Mongo { what, source }),
        Err(_) => Err(AuditError::TimedOut { server: "MongoDB", what }),
    }
}
