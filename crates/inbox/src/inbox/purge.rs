//! Removes inbox records that nothing can ask for any more.
//!
//! A record goes only when its acknowledgement is noted, it is older than the
//! horizon, and its outbox row is gone: as long as there is a row, a redrive may
//! publish the event again, and only the record knows that it was applied.
//! Should a message be older still than that, the id of what the effect makes,
//! which follows from the aggregate's, keeps it from being made twice. A record that
//! notes the deletion of what the effect made stays: it stands in for that.

use std::collections::HashSet;
use std::time::Duration;

use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Bson, DateTime, Document, doc};
use onboard_contract::EventId;
use onboard_fault::{Step, step};
use onboard_mongo::bson_time::{date, id};
use onboard_mongo::retention::{PAGE, note_horizon, page_full};
use onboard_mongo::{ServerClock, StoreError, ask, bounded};
use onboard_runtime::clock::millis;

use crate::INBOX;

use super::Inbox;

/// Where a removal goes on: records are looked at once each.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cursor(Option<ObjectId>);

impl Inbox {
    /// Looks at a page of records older than `kept` by the server's clock, from the
    /// cursor on, and removes what may go, by what `rows` says about outbox rows; `None`
    /// at the end, or when `rows` has no answer. A record whose event cannot be read stays.
    ///
    /// # Errors
    /// The store failed, or the clocks of this process and of the server differ.
    pub(crate) async fn purge<R, F>(
        &self,
        kept: Duration,
        from: Cursor,
        rows: &R,
    ) -> Result<Option<Cursor>, StoreError>
    where
        R: Fn(Vec<EventId>) -> F,
        F: Future<Output = Option<Vec<EventId>>>,
    {
        // Asked anew for each page: a page is rare, and much depends on its time.
        let now_ms = ServerClock::default().now_ms_for_removal(&self.database).await?;
        let horizon = date(now_ms.saturating_sub(millis(kept)));
        let page = self.old(horizon, from).await?;
        let Some(last) = page.last().and_then(|record| record.get_object_id("_id").ok()) else {
            return Ok(None);
        };
        let event = |record| self.names.read(record).event_id.known();
        let events: Vec<EventId> = page.iter().filter_map(event).collect();
        let Some(rows) = rows(events.clone()).await else { return Ok(None) };
        let rows: HashSet<EventId> = rows.into_iter().collect();
        let orphans = events.iter().filter(|event| !rows.contains(event));
        let orphans: Vec<Bson> = orphans.map(|event| id(event.uuid())).collect();
        if !orphans.is_empty() {
            self.remove(orphans, horizon).await?;
        }
        Ok(page_full(page.len()).then_some(Cursor(Some(last))))
    }

    async fn old(&self, horizon: DateTime, from: Cursor) -> Result<Vec<Document>, StoreError> {
        let inbox = self.records();
        let find = inbox
            .find(old_records(horizon, from))
            .sort(doc! { "_id": 1 })
            .limit(PAGE)
            .projection(doc! { "eventId": 1 });
        ask("list old inbox records", find).await
    }

    async fn remove(&self, events: Vec<Bson>, horizon: DateTime) -> Result<(), StoreError> {
        note_horizon(&self.database, INBOX, horizon).await?;
        let inbox = self.records();
        let mut orphans = doc! {
            "eventId": { "$in": events },
            "processedAt": { "$lt": horizon },
            "acknowledgedAt": { "$type": "date" },
        };
        let deleted = self.names.deleted;
        for noted in [deleted.to_owned(), format!("conflicts.{deleted}")] {
            orphans.insert(noted, doc! { "$exists": false });
        }
        let delete = step(Step("purge.inbox"), async { inbox.delete_many(orphans).await });
        let removed = bounded("remove old inbox records", delete).await?.deleted_count;
        tracing::info!(removed, %horizon, "inbox records that nothing can ask for removed");
        Ok(())
    }
}

/// Record ids begin with their time of birth, so the index over `_id` serves
/// this.
fn old_records(horizon: DateTime, Cursor(from): Cursor) -> Document {
    let seconds = u32::try_from(horizon.timestamp_millis() / 1_000).unwrap_or_default();
    let mut ids = doc! { "$lt": ObjectId::from_parts(seconds, [0; 5], [0; 3]) };
    if let Some(from) = from {
        ids.insert("$gt", from);
    }
    doc! {
        "_id": ids,
        "processedAt": { "$lt": horizon },
        "acknowledgedAt": { "$type": "date" },
    }
}
