//! The rows whose acknowledgement is overdue by far: those that the relay asks
//! Temporal about, since their workflow may be lost.
//!
//! Nothing is written here. A read that is cut off is begun anew.

use std::time::Duration;

use mongodb::bson::{Document, doc};
use mongodb::options::Hint;
use mongodb::{Collection, Cursor};
use onboard_contract::{Delivery, EventId, EventType, OutboxStatus, TraceParent};
use onboard_mongo::bson_time::id;
use onboard_mongo::{StoreError, ask, bounded, raw_document as raw, walk};
use uuid::Uuid;

use super::due::NotStartable;
use super::stages::{order, overdue};
use super::{Outbox, Row};

/// Rows that MongoDB sends at once. They are read slowly, and a cursor that is
/// not asked for ten minutes is closed.
const BATCH: u32 = 256;

/// A row that was started long ago and is not acknowledged.
#[derive(Debug, Clone)]
pub struct Overdue {
    /// The event.
    pub event_id: EventId,
    /// The type of the event.
    pub event_type: &'static EventType,
    /// What the event is about.
    pub aggregate_id: Uuid,
    /// The trace the registration belongs to; an invalid one is left out.
    pub traceparent: Option<TraceParent>,
    /// What the run is to deliver; absent in the plan of released builds.
    pub delivery: Option<Delivery>,
    /// Whether the row is SENT.
    pub sent: bool,
}

/// Overdue rows of one status, oldest first.
#[derive(Debug)]
pub struct OverdueRows(Cursor<Document>);

impl Outbox {
    /// The rows that were started (PENDING) or sent (SENT) `age` ago and have
    /// come no further since.
    ///
    /// # Errors
    /// The store failed.
    pub async fn overdue(
        &self,
        status: OutboxStatus,
        age: Duration,
    ) -> Result<OverdueRows, StoreError> {
        let outbox = self.rows();
        let find = outbox
            .find(overdue(status, self.before_now(age).await?))
            .hint(Hint::Keys(order()))
            .sort(order())
            .batch_size(BATCH)
            .projection(doc! {
                "aggregateId": 1, "eventType": 1, "schemaVersion": 1, "traceparent": 1, "status": 1,
                "expects": 1, "acknowledgements": 1, "waived": 1,
            });
        let rows = walk("list the overdue rows", find).await?;
        Ok(OverdueRows(rows))
    }

    /// Whether the row is there and still not acknowledged.
    ///
    /// # Errors
    /// The store failed.
    pub async fn awaits_acknowledgement(&self, event: EventId) -> Result<bool, StoreError> {
        let outbox: Collection<Document> = self.rows();
        let find = outbox
            .find_one(doc! { "_id": id(event.uuid()), "acknowledgedAt": null })
            .projection(doc! { "_id": 1 });
        let found = ask("look for the row", find).await?;
        Ok(found.is_some())
    }
}

impl OverdueRows {
    /// The next rows, at most so many; none at the end. One that cannot be read
    /// is left out: the look at all unfinished rows sets it apart.
    ///
    /// # Errors
    /// The store failed; the rest is left to another look.
    pub async fn page(&mut self, most: usize) -> Result<Vec<Overdue>, StoreError> {
        let mut rows = Vec::with_capacity(most);
        while rows.len() < most
            && bounded("read an overdue row", async { self.0.advance().await }).await?
        {
            let row = Row::read(&raw::readable(self.0.current()));
            rows.extend(Overdue::of(&row));
        }
        Ok(rows)
    }
}

impl Overdue {
    fn of(row: &Row) -> Result<Self, NotStartable> {
        Ok(Self {
            event_id: row.id()?,
            event_type: NotStartable::known(row)?,
            aggregate_id: row.aggregate_id()?.uuid(),
            traceparent: row.traceparent(),
            delivery: row.delivery()?,
            sent: row.status.known() == Some(OutboxStatus::Sent),
        })
    }
}
