//! The worker's side: load the row for publishing, mark it SENT, record the
//! acknowledgement.

use mongodb::bson::{self, DateTime, doc};
use onboard_contract::names::USER_REGISTERED;
use onboard_contract::{EventId, TraceParent, UserId};
use onboard_fault::{Step, step};
use onboard_runtime::clock;
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
        let now = date(clock::now_ms());
        let outbox = self.mongo.outbox();
        let update = outbox.update_one(
            doc! { "_id": id(event.uuid()), "status": PENDING },
            vec![
                doc! { "$set": {
                    "status": SENT,
                    "sentAt": now,
                    "startedAt": { "$ifNull": ["$startedAt", now] },
                    "lastError": null,
                } },
                doc! { "$unset": ["nextAttemptAt", "refusals", "quarantinedAt"] },
            ],
        );
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
        let now = date(clock::now_ms());
        let outbox = self.mongo.outbox();
        let update = outbox.update_one(
            doc! { "_id": id(event.uuid()) },
            vec![doc! { "$set": { "acknowledgedAt": { "$ifNull": ["$acknowledgedAt", now] } } }],
        );
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
