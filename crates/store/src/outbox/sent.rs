//! The worker's side: load the row for publishing, mark it SENT, record the
//! acknowledgement.
//!
//! Marks and records that meet go to MongoDB in one command; each caller still
//! gets the answer for its own row. A process that dies here has changed some
//! of the rows, or none: each change is a compare-and-set, or keeps the first
//! time, and whoever asked asks again.

use futures::future::join_all;
use mongodb::bson::{self, Bson, DateTime, Document, doc};
use onboard_contract::names::USER_REGISTERED;
use onboard_contract::{EventId, TraceParent, UserId};
use onboard_fault::{Step, step};
use onboard_runtime::{Group, clock};
use serde::Deserialize;

use super::{Outbox, PENDING, SENT};
use crate::StoreError;
use crate::bson_time::{date, id, uuid};
use crate::mongo::bounded;

/// A whole row, as the publish activity needs it.
#[derive(Debug, Clone)]
pub struct OutboxRow {
    /// The event.
    pub event_id: EventId,
    /// The user.
    pub user_id: UserId,
    /// The address as given.
    pub email: String,
    /// The trace the registration belongs to.
    pub traceparent: Option<TraceParent>,
    /// When the user registered (RFC 3339).
    pub occurred_at: Option<String>,
}

/// What marking a row SENT found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MarkedSent {
    /// It was PENDING and is SENT now.
    Now,
    /// It was SENT before.
    Already,
    /// There is no such row.
    Missing,
}

/// What recording an acknowledgement found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recorded {
    /// It is recorded, now or since before.
    Done,
    /// There is no such row.
    Missing,
}

impl Outbox {
    /// Loads a row for publishing; `None` when there is none.
    ///
    /// # Errors
    /// The store failed, or the row is corrupt (permanent).
    pub async fn find(&self, event: EventId) -> Result<Option<OutboxRow>, StoreError> {
        let rows = self.mongo.outbox().clone_with_type::<WholeRow>();
        let find = rows.find_one(doc! { "_id": id(event.uuid()), "eventType": USER_REGISTERED });
        let row = bounded("load the row", async { find.await }).await?;
        Ok(row.map(WholeRow::into_row))
    }

    /// PENDING → SENT, once.
    ///
    /// # Errors
    /// The store failed.
    pub async fn mark_sent(&self, event: EventId) -> Result<MarkedSent, StoreError> {
        self.together.sent.submit(event, |events| self.mark_each(events)).await
    }

    async fn mark_each(&self, events: Vec<EventId>) -> Vec<Result<MarkedSent, StoreError>> {
        match self.mark_all(&events).await {
            Ok(true) => events.iter().map(|_| Ok(MarkedSent::Now)).collect(),
            // Some case differs, or one may have spoilt it for all: each for itself.
            _ => join_all(events.into_iter().map(|event| self.mark_one(event))).await,
        }
    }

    /// True when every one of several rows was PENDING and is SENT now.
    async fn mark_all(&self, events: &[EventId]) -> Result<bool, StoreError> {
        if events.len() < 2 {
            return Ok(false);
        }
        let outbox = self.mongo.outbox();
        let pending = doc! { "_id": { "$in": ids(events) }, "status": PENDING };
        let update = outbox.update_many(pending, sent_now());
        let done = bounded("mark rows SENT", step(Step::SentMark, async { update.await })).await?;
        Ok(done.matched_count == events.len() as u64)
    }

    async fn mark_one(&self, event: EventId) -> Result<MarkedSent, StoreError> {
        let outbox = self.mongo.outbox();
        let pending = doc! { "_id": id(event.uuid()), "status": PENDING };
        let update = outbox.update_one(pending, sent_now());
        let done =
            bounded("mark the row SENT", step(Step::SentMark, async { update.await })).await?;
        if done.matched_count == 1 {
            return Ok(MarkedSent::Now);
        }
        Ok(if self.exists(event).await? { MarkedSent::Already } else { MarkedSent::Missing })
    }

    /// Writes the terminal record. The first time stands.
    ///
    /// # Errors
    /// The store failed.
    pub async fn record_acknowledged(&self, event: EventId) -> Result<Recorded, StoreError> {
        self.together.recorded.submit(event, |events| self.record_each(events)).await
    }

    async fn record_each(&self, events: Vec<EventId>) -> Vec<Result<Recorded, StoreError>> {
        match self.record_all(&events).await {
            Ok(true) => events.iter().map(|_| Ok(Recorded::Done)).collect(),
            _ => join_all(events.into_iter().map(|event| self.record_one(event))).await,
        }
    }

    /// True when every one of several rows has its record.
    async fn record_all(&self, events: &[EventId]) -> Result<bool, StoreError> {
        if events.len() < 2 {
            return Ok(false);
        }
        let outbox = self.mongo.outbox();
        let update = outbox.update_many(doc! { "_id": { "$in": ids(events) } }, acknowledged_now());
        let done =
            bounded("record acknowledgements", step(Step::TerminalRecord, async { update.await }))
                .await?;
        Ok(done.matched_count == events.len() as u64)
    }

    async fn record_one(&self, event: EventId) -> Result<Recorded, StoreError> {
        let outbox = self.mongo.outbox();
        let update = outbox.update_one(doc! { "_id": id(event.uuid()) }, acknowledged_now());
        let done = bounded(
            "record the acknowledgement",
            step(Step::TerminalRecord, async { update.await }),
        )
        .await?;
        Ok(if done.matched_count == 1 { Recorded::Done } else { Recorded::Missing })
    }

    async fn exists(&self, event: EventId) -> Result<bool, StoreError> {
        let outbox = self.mongo.outbox();
        let find = outbox.find_one(doc! { "_id": id(event.uuid()) }).projection(doc! { "_id": 1 });
        let found = bounded("look for the row", async { find.await }).await?;
        Ok(found.is_some())
    }
}

/// What waits to be written together.
#[derive(Debug)]
pub(super) struct Together {
    sent: Group<EventId, Result<MarkedSent, StoreError>>,
    recorded: Group<EventId, Result<Recorded, StoreError>>,
}

impl Default for Together {
    /// Two groups at once: one gathers and travels while the other commits.
    fn default() -> Self {
        Self { sent: Group::new(2, 100), recorded: Group::new(2, 100) }
    }
}

fn ids(events: &[EventId]) -> Vec<Bson> {
    events.iter().map(|event| id(event.uuid())).collect()
}

fn sent_now() -> Vec<Document> {
    let now = date(clock::now_ms());
    marked(doc! {
        "status": SENT,
        "sentAt": now,
        "startedAt": { "$ifNull": ["$startedAt", now] },
        "lastError": null,
    })
}

/// What is acknowledged was sent, whatever the row says: it may have been
/// restored to a time before that.
fn acknowledged_now() -> Vec<Document> {
    let now = date(clock::now_ms());
    let first = |field: &str| doc! { "$ifNull": [format!("${field}"), now] };
    marked(doc! {
        "status": SENT,
        "sentAt": first("sentAt"),
        "startedAt": first("startedAt"),
        "lastError": null,
        "acknowledgedAt": first("acknowledgedAt"),
    })
}

/// With these fields the row is no longer the relay's.
fn marked(fields: Document) -> Vec<Document> {
    vec![doc! { "$set": fields }, doc! { "$unset": ["nextAttemptAt", "refusals", "quarantinedAt"] }]
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WholeRow {
    #[serde(rename = "_id")]
    id: bson::Uuid,
    payload: Payload,
    #[serde(default)]
    traceparent: Option<String>,
    created_at: DateTime,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Payload {
    user_id: bson::Uuid,
    email: String,
}

impl WholeRow {
    fn into_row(self) -> OutboxRow {
        OutboxRow {
            event_id: uuid(self.id).into(),
            user_id: uuid(self.payload.user_id).into(),
            email: self.payload.email,
            traceparent: self.traceparent.as_deref().and_then(|t| TraceParent::parse(t).ok()),
            occurred_at: self.created_at.try_to_rfc3339_string().ok(),
        }
    }
}
