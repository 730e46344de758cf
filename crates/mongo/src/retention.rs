//! What removals of old documents share: the page, and the horizon that is noted before
//! anything older than it is removed. A process that dies in between has noted a horizon
//! behind which documents are still there.

use mongodb::Database;
use mongodb::bson::{DateTime, Document, doc};
use onboard_fault::{Step, step};

use crate::StoreError;
use crate::mongo::{OPERATION_DEADLINE, Read, bounded};

/// The collection of the horizons, one document for each kind of what is removed.
pub const HORIZONS: &str = "retention";
/// Documents removed at once.
pub const PAGE: i64 = 500;

/// Whether a page has as many documents as one may have.
#[must_use]
pub fn page_full(found: usize) -> bool {
    i64::try_from(found).is_ok_and(|found| found >= PAGE)
}

/// Until when documents may be gone, in Unix ms; `None` when none were removed.
///
/// # Errors
/// The read failed.
pub async fn removed_before(database: &Database, of: &str) -> mongodb::error::Result<Option<i64>> {
    let horizons = database.collection::<Document>(HORIZONS);
    let find = horizons.find_one(doc! { "_id": of });
    let note = find.read(OPERATION_DEADLINE).await?;
    let before = note.and_then(|note| note.get_datetime("removedBefore").copied().ok());
    Ok(before.map(DateTime::timestamp_millis))
}

/// Notes that documents older than `horizon` may be gone. It never moves back.
///
/// # Errors
/// The write failed.
pub async fn note_horizon(
    database: &Database,
    of: &str,
    horizon: DateTime,
) -> Result<(), StoreError> {
    let horizons = database.collection::<Document>(HORIZONS);
    let update = horizons
        .update_one(doc! { "_id": of }, doc! { "$max": { "removedBefore": horizon } })
        .upsert(true);
    let note = step(Step("purge.horizon"), async { update.await });
    bounded("note the horizon", note).await.map(drop)
}
