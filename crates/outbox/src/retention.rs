//! Removes rows that are done and old, by the server's clock.
//!
//! A row goes only when its registration is complete (SENT and acknowledged)
//! and both its birth and its end lie before the horizon: `acknowledgedAt`, which the
//! server wrote, decides, and the ids only bound the look. Nothing goes while the
//! clocks of this process and of the server differ. The horizon is noted first, so
//! that an audit knows which rows may be gone: a process that dies between note and
//! removal leaves rows that are merely allowed to be there.

use std::collections::HashSet;
use std::time::Duration;

use mongodb::Collection;
use mongodb::bson::{Bson, DateTime, Document, RawDocumentBuf, doc};
use onboard_contract::EventId;
use onboard_fault::{Step, step};
use onboard_mongo::bson_time::{date, id};
use onboard_mongo::retention::{PAGE, note_horizon, page_full};
use onboard_mongo::{StoreError, ask, bounded, raw_document as raw};
use onboard_runtime::clock::millis;
use uuid::Uuid;

use super::{Outbox, Row, SENT};
use crate::OUTBOX;

impl Outbox {
    /// Removes a page of rows that were complete `kept` ago; true when there
    /// may be more.
    ///
    /// # Errors
    /// The store failed, or the clocks of this process and of the server differ.
    pub async fn purge(&self, kept: Duration) -> Result<bool, StoreError> {
        let now_ms = self.mongo.server_ms_for_removal().await?;
        let horizon = date(now_ms.saturating_sub(millis(kept)));
        let ids = self.removable(horizon).await?;
        if ids.is_empty() {
            return Ok(false);
        }
        note_horizon(self.mongo.database(), OUTBOX, horizon).await?;
        let more = page_full(ids.len());
        let mut done = done_before(horizon);
        done.insert("_id", doc! { "$in": ids });
        let outbox = self.rows();
        let delete = step(Step("purge.outbox"), async { outbox.delete_many(done).await });
        let removed = bounded("remove old rows", delete).await?.deleted_count;
        tracing::info!(removed, %horizon, "rows that were done and old removed");
        Ok(more)
    }

    async fn removable(&self, horizon: DateTime) -> Result<Vec<Bson>, StoreError> {
        let outbox: Collection<RawDocumentBuf> = self.rows().clone_with_type();
        let find = outbox
            .find(done_before(horizon))
            .sort(doc! { "_id": 1 })
            .limit(PAGE)
            .projection(doc! { "_id": 1 });
        let rows: Vec<RawDocumentBuf> = ask("list old rows", find).await?;
        Ok(rows.iter().filter_map(|row| raw::readable(row).get("_id").cloned()).collect())
    }

    /// Which of these events have a row, by one look for all of them.
    ///
    /// # Errors
    /// The store failed.
    pub async fn present(&self, events: &[EventId]) -> Result<HashSet<EventId>, StoreError> {
        if events.is_empty() {
            return Ok(HashSet::new());
        }
        let outbox = self.rows();
        let events: Vec<Bson> = events.iter().map(|event| id(event.uuid())).collect();
        let find = outbox.find(doc! { "_id": { "$in": events } }).projection(doc! { "_id": 1 });
        let rows: Vec<Document> = ask("look for rows", find).await?;
        Ok(rows.iter().filter_map(|row| Row::read(row).id.known()).collect())
    }
}

/// Event ids sort by their time of birth, so the index over `_id` serves this.
fn done_before(horizon: DateTime) -> Document {
    doc! {
        "_id": { "$lt": id(first_of(horizon).uuid()) },
        "status": SENT,
        "createdAt": { "$lt": horizon },
        "acknowledgedAt": { "$lt": horizon },
    }
}

/// The smallest event id of a time (UUIDv7, RFC 9562 section 5.7).
pub(super) fn first_of(time: DateTime) -> EventId {
    let ms = u128::try_from(time.timestamp_millis()).unwrap_or_default();
    Uuid::from_u128(ms << 80).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use onboard_runtime::clock;

    #[test]
    fn the_first_id_of_a_time_parts_older_from_younger_ids() {
        let before = first_of(DateTime::from_millis(clock::now_ms()));
        let id: EventId = clock::ordered_id().into();
        let after = first_of(DateTime::from_millis(clock::now_ms() + 1));
        assert!(before <= id && id < after, "{before} {id} {after}");
    }
}
