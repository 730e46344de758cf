//! Reads, which the server gives up when their caller does (`maxTimeMS`).
//!
//! The server goes on with a read whose caller has stopped waiting, and a caller that
//! asks again would add one read to the next. So each read carries its deadline. A walk
//! over many documents has a limit of its own, since the server counts the work for
//! all pages of a cursor together, and each of its pages is bounded by its caller.

use std::time::Duration;

use futures::TryStreamExt;
use mongodb::Cursor;
use mongodb::action::{Aggregate, CountDocuments, Find, FindOne};
use mongodb::bson::Document;
use serde::de::DeserializeOwned;

use super::{OPERATION_DEADLINE, bounded};
use crate::StoreError;

/// How long the server may work for one walk.
const WALK_MAX: Duration = Duration::from_mins(10);

/// A question that is answered as a whole.
pub trait Read {
    /// The answer.
    type Found;

    /// Asks; the server works for it no longer than this.
    fn read(
        self,
        limit: Duration,
    ) -> impl Future<Output = mongodb::error::Result<Self::Found>> + Send;
}

impl<T: DeserializeOwned + Send + Sync> Read for FindOne<'_, T> {
    type Found = Option<T>;

    async fn read(self, limit: Duration) -> mongodb::error::Result<Option<T>> {
        self.max_time(limit).await
    }
}

impl<T: DeserializeOwned + Send + Sync + Unpin + 'static> Read for Find<'_, T> {
    type Found = Vec<T>;

    async fn read(self, limit: Duration) -> mongodb::error::Result<Vec<T>> {
        self.max_time(limit).await?.try_collect().await
    }
}

impl Read for Aggregate<'_> {
    type Found = Vec<Document>;

    async fn read(self, limit: Duration) -> mongodb::error::Result<Vec<Document>> {
        self.max_time(limit).await?.try_collect().await
    }
}

impl Read for CountDocuments<'_> {
    type Found = u64;

    async fn read(self, limit: Duration) -> mongodb::error::Result<u64> {
        self.max_time(limit).await
    }
}

/// Asks under the deadline of one operation, at the server, too.
///
/// # Errors
/// The read failed, or took too long.
pub async fn ask<R: Read>(what: &'static str, read: R) -> Result<R::Found, StoreError> {
    bounded(what, read.read(OPERATION_DEADLINE)).await
}

/// Begins to walk over many documents.
///
/// # Errors
/// The first page failed, or took too long.
pub async fn walk<T: Send + Sync>(
    what: &'static str,
    find: Find<'_, T>,
) -> Result<Cursor<T>, StoreError> {
    bounded(what, async { find.max_time(WALK_MAX).await }).await
}
