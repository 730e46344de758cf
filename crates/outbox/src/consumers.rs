//! The operators' side of what rows expect: who waits for a consumer, and the
//! rows that are made to expect one more consumer, or one less. `lag` is the
//! relay's look at all consumers.
//!
//! Each change is one update of a page of rows with its condition in the filter:
//! a row that was changed before is left alone. A process that dies here has
//! changed some pages, and the same command changes the others.

mod change;
mod lag;

use mongodb::bson::{Bson, Document, doc};
use mongodb::options::Hint;
use mongodb::{Collection, Cursor};
use onboard_contract::{ConsumerName, Delivery, EventId, EventType, OutboxStatus, TraceParent};
use onboard_fault::{Step, step};
use onboard_mongo::bson_time::{date, id};
use onboard_mongo::retention::removed_before;
use onboard_mongo::{StoreError, ask, bounded, walk};
use uuid::Uuid;

use self::change::{awaiting, expected_too, not_expecting, waived};
use super::due::NotStartable;
use super::retention::first_of;
use super::stages::{COUNT_MAX, order};
use super::{Outbox, PENDING, Row, SENT};
use crate::OUTBOX;

/// Rows changed by one update.
pub const CHANGED_AT_ONCE: usize = 200;
/// An event id is made a moment before its row's `createdAt` is: so much may lie
/// between them.
const BORN_BEFORE_MS: i64 = 60_000;

/// The unfinished rows that await a consumer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AwaitedBy {
    /// How many; at most [`COUNT_MAX`].
    pub rows: u64,
    /// When the oldest of them was created, in Unix ms.
    pub oldest_ms: Option<i64>,
}

/// How far back rows reach, in Unix ms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reach {
    /// When the oldest row was created; absent when there is none.
    pub oldest_ms: Option<i64>,
    /// Retention may have removed rows from before then.
    pub removed_before_ms: Option<i64>,
}

/// A row whose workflow is to be told, or started, after a change.
#[derive(Debug, Clone)]
pub struct ChangedRow {
    /// The type of the event.
    pub event_type: &'static EventType,
    /// The event.
    pub event: EventId,
    /// What the event is about.
    pub aggregate_id: Uuid,
    /// The trace the registration belongs to; an invalid one is left out.
    pub traceparent: Option<TraceParent>,
    /// Whether the row is SENT.
    pub sent: bool,
    /// Whether the row is acknowledged.
    pub acknowledged: bool,
    /// What a new run is to deliver; absent in the plan of released builds.
    pub delivery: Option<Delivery>,
}

/// Rows of registrations from a time on that do not expect a consumer, in the order
/// of their ids.
#[derive(Debug)]
pub struct NotExpecting {
    outbox: Outbox,
    consumer: ConsumerName,
    since_ms: i64,
    last: Bson,
}

/// Unfinished rows that await a consumer.
#[derive(Debug)]
pub struct Awaiting(Cursor<Document>);

impl Outbox {
    /// Looks who waits for the consumer. The oldest row of each status decides
    /// about the age: so a look costs the same with a million rows.
    ///
    /// # Errors
    /// The store failed.
    pub async fn awaited_by(&self, consumer: &ConsumerName) -> Result<AwaitedBy, StoreError> {
        let outbox = self.rows();
        let count =
            outbox.count_documents(awaiting(consumer)).limit(COUNT_MAX).hint(Hint::Keys(order()));
        let rows = ask("count the rows that await a consumer", count);
        let (rows, pending, sent) = tokio::try_join!(
            rows,
            self.oldest_of(consumer, PENDING),
            self.oldest_of(consumer, SENT)
        )?;
        let oldest_ms = pending.into_iter().chain(sent).min();
        Ok(AwaitedBy { rows, oldest_ms })
    }

    async fn oldest_of(
        &self,
        consumer: &ConsumerName,
        status: &str,
    ) -> Result<Option<i64>, StoreError> {
        let mut filter = awaiting(consumer);
        filter.insert("status", status);
        let outbox = self.rows();
        let find = outbox
            .find_one(filter)
            .hint(Hint::Keys(order()))
            .sort(order())
            .projection(doc! { "createdAt": 1 });
        let row = ask("find the oldest row that awaits a consumer", find);
        Ok(row.await?.and_then(|row| Row::read(&row).created_at.known()))
    }

    /// The consumers that unfinished rows name, of the first [`COUNT_MAX`] rows.
    ///
    /// # Errors
    /// The store failed.
    pub async fn expected(&self) -> Result<Vec<ConsumerName>, StoreError> {
        let outbox: Collection<Document> = self.rows();
        let look = outbox
            .aggregate([
                doc! { "$match": { "acknowledgedAt": null, "expects": { "$exists": true } } },
                doc! { "$limit": i64::try_from(COUNT_MAX).unwrap_or(i64::MAX) },
                doc! { "$unwind": "$expects" },
                doc! { "$group": { "_id": "$expects" } },
            ])
            .hint(Hint::Keys(order()));
        let names = ask("list the consumers that rows expect", look).await?;
        Ok(names.iter().filter_map(|name| name.get_str("_id").ok()?.parse().ok()).collect())
    }

    /// Looks how far back rows reach.
    ///
    /// # Errors
    /// The store failed.
    pub async fn reach(&self) -> Result<Reach, StoreError> {
        let outbox: Collection<Document> = self.rows();
        let find =
            outbox.find_one(doc! {}).sort(doc! { "_id": 1 }).projection(doc! { "createdAt": 1 });
        let horizon = removed_before(self.mongo.database(), OUTBOX);
        let (oldest, removed_before_ms) = tokio::try_join!(
            ask("find the oldest row", find),
            bounded("look how far rows are removed", horizon),
        )?;
        let oldest_ms = oldest.and_then(|row| Row::read(&row).created_at.known());
        Ok(Reach { oldest_ms, removed_before_ms })
    }

    /// The rows that were created since then and do not expect the consumer.
    #[must_use]
    pub fn not_expecting(&self, consumer: &ConsumerName, since_ms: i64) -> NotExpecting {
        let begin = first_of(date(since_ms.saturating_sub(BORN_BEFORE_MS)));
        let (outbox, consumer) = (self.clone(), consumer.clone());
        NotExpecting { outbox, consumer, since_ms, last: id(begin.uuid()) }
    }

    /// Makes these rows expect the consumer, which they await from then on. An
    /// acknowledgement that a released build has recorded is kept as the todo
    /// service's. How many rows were changed.
    ///
    /// # Errors
    /// The store failed; some of the rows may be changed.
    pub async fn expect_too(
        &self,
        events: &[EventId],
        consumer: &ConsumerName,
    ) -> Result<u64, StoreError> {
        let mut rows = not_expecting(consumer);
        rows.insert("_id", doc! { "$in": ids(events) });
        let outbox = self.rows();
        let update = outbox.update_many(rows, expected_too(consumer));
        let update = step(Step("redrive.release"), async { update.await });
        let done = bounded("make rows expect a consumer", update).await?;
        Ok(done.modified_count)
    }

    /// The unfinished rows that await the consumer.
    ///
    /// # Errors
    /// The store failed.
    pub async fn awaiting(&self, consumer: &ConsumerName) -> Result<Awaiting, StoreError> {
        let outbox = self.rows();
        let find = outbox
            .find(awaiting(consumer))
            .hint(Hint::Keys(order()))
            .projection(doc! { "_id": 1, "aggregateId": 1 });
        let rows = walk("list the rows that await a consumer", find).await?;
        Ok(Awaiting(rows))
    }

    /// Waives the consumer on these rows, and ends those that await nobody else.
    /// How many rows were changed.
    ///
    /// # Errors
    /// The store failed; some of the rows may be changed.
    pub async fn waive(
        &self,
        events: &[EventId],
        consumer: &ConsumerName,
        reason: &str,
    ) -> Result<u64, StoreError> {
        let mut rows = awaiting(consumer);
        rows.insert("_id", doc! { "$in": ids(events) });
        let outbox = self.rows();
        let update = outbox.update_many(rows, waived(consumer, reason));
        let update = step(Step("redrive.release"), async { update.await });
        let done = bounded("waive a consumer on rows", update).await?;
        Ok(done.modified_count)
    }

    /// Loads rows after a change. A row that is gone, or that cannot be read, is
    /// left out.
    ///
    /// # Errors
    /// The store failed.
    pub async fn changed(&self, events: &[EventId]) -> Result<Vec<ChangedRow>, StoreError> {
        let outbox = self.rows();
        let find = outbox.find(doc! { "_id": { "$in": ids(events) } }).projection(needed());
        let rows: Vec<Document> = ask("load the changed rows", find).await?;
        Ok(rows.iter().filter_map(|row| ChangedRow::of(&Row::read(row)).ok()).collect())
    }
}

impl NotExpecting {
    /// The next rows, with those among them that can be changed; none at the end.
    ///
    /// # Errors
    /// The store failed.
    pub async fn page(&mut self) -> Result<Option<Vec<EventId>>, StoreError> {
        let mut filter = not_expecting(&self.consumer);
        filter.insert("_id", doc! { "$gt": self.last.clone() });
        filter.insert("createdAt", doc! { "$gte": date(self.since_ms) });
        let outbox = self.outbox.rows();
        let find = outbox
            .find(filter)
            .sort(doc! { "_id": 1 })
            .limit(i64::try_from(CHANGED_AT_ONCE).unwrap_or(i64::MAX))
            .projection(needed());
        let rows: Vec<Document> = ask("list rows to be changed", find).await?;
        let Some(last) = rows.last().and_then(|row| row.get("_id").cloned()) else {
            return Ok(None);
        };
        self.last = last;
        let read = rows.iter().filter_map(|row| ChangedRow::of(&Row::read(row)).ok());
        Ok(Some(read.map(|row| row.event).collect()))
    }
}

impl Awaiting {
    /// The next rows, at most [`CHANGED_AT_ONCE`]; none at the end.
    ///
    /// # Errors
    /// The store failed; the rest is left to another look.
    pub async fn page(&mut self) -> Result<Vec<EventId>, StoreError> {
        let mut events = Vec::with_capacity(CHANGED_AT_ONCE);
        while events.len() < CHANGED_AT_ONCE
            && bounded("read a row", async { self.0.advance().await }).await?
        {
            let row = self.0.deserialize_current().ok();
            events.extend(row.and_then(|row| Row::read(&row).id.known()));
        }
        Ok(events)
    }
}

impl ChangedRow {
    fn of(row: &Row) -> Result<Self, NotStartable> {
        Ok(Self {
            event_type: NotStartable::known(row)?,
            event: row.id()?,
            aggregate_id: row.aggregate_id()?.uuid(),
            traceparent: row.traceparent(),
            sent: row.status.known() == Some(OutboxStatus::Sent),
            acknowledged: row.acknowledged_at.known().is_some(),
            delivery: row.delivery()?,
        })
    }
}

/// The fields of a row that its workflow's start needs; no personal data.
fn needed() -> Document {
    doc! {
        "aggregateId": 1, "eventType": 1, "schemaVersion": 1, "traceparent": 1, "status": 1,
        "expects": 1, "acknowledgements": 1, "waived": 1, "acknowledgedAt": 1,
    }
}

fn ids(events: &[EventId]) -> Vec<Bson> {
    events.iter().map(|event| id(event.uuid())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_that_cannot_be_read_is_not_made_to_expect_anything() {
        assert!(ChangedRow::of(&Row::read(&doc! { "expects": ["todo"] })).is_err());
    }
}
