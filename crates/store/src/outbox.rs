//! The outbox rows, as the relay and the activities use them.
//!
//! A row is due when it is PENDING and its `nextAttemptAt` has come. A claim
//! moves `nextAttemptAt` ahead by compare-and-set, so of several relays one
//! works on a row; one that dies lets the row become due again.

use std::time::Duration;

use futures::TryStreamExt;
use mongodb::bson::{self, Bson, DateTime, Document, doc};
use onboard_contract::names::USER_REGISTERED;
use onboard_contract::{EventId, OutboxStatus, TraceParent, UserId};
use onboard_runtime::clock;
use serde::Deserialize;

use crate::StoreError;
use crate::bson_time::{date, id, uuid};
use crate::mongo::{Mongo, bounded};

/// A row the relay has to start a workflow for.
#[derive(Debug, Clone)]
pub struct Due {
    /// The event.
    pub event_id: EventId,
    /// The user.
    pub user_id: UserId,
    /// The trace the registration belongs to; an invalid one is left out.
    pub traceparent: Option<TraceParent>,
    /// Tries before this one.
    pub attempts: u32,
    seen: DateTime,
}

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

/// The outbox in MongoDB.
#[derive(Debug, Clone)]
pub struct Outbox {
    mongo: Mongo,
}

impl Outbox {
    /// Over a client.
    #[must_use]
    pub fn new(mongo: &Mongo) -> Self {
        Self { mongo: mongo.clone() }
    }

    /// The due rows that have waited longest, at most `limit`. A row that
    /// cannot be read is named in the log and put off, so that it does not
    /// hold up the others.
    ///
    /// # Errors
    /// The store failed.
    pub async fn due(&self, limit: u32) -> Result<Vec<Due>, StoreError> {
        let now = date(clock::now_ms());
        let outbox = self.mongo.outbox();
        let find = outbox
            .find(doc! { "status": PENDING, "nextAttemptAt": { "$lte": now } })
            .sort(doc! { "nextAttemptAt": 1, "_id": 1 })
            .limit(i64::from(limit))
            .projection(
                doc! { "aggregateId": 1, "traceparent": 1, "attempts": 1, "nextAttemptAt": 1 },
            );
        let rows: Vec<Document> =
            bounded("list the due rows", async { find.await?.try_collect().await }).await?;
        let mut due = Vec::with_capacity(rows.len());
        for row in rows {
            let row_id = row.get("_id").cloned().unwrap_or_default();
            match bson::deserialize_from_document::<DueDocument>(row) {
                Ok(row) => due.push(row.into_due()),
                Err(error) => self.put_off(row_id, &error).await?,
            }
        }
        Ok(due)
    }

    async fn put_off(&self, row: Bson, error: &bson::error::Error) -> Result<(), StoreError> {
        tracing::error!(?row, %error, "an outbox row cannot be read; repair it by hand");
        let outbox = self.mongo.outbox();
        let update = outbox.update_one(
            doc! { "_id": row, "status": PENDING },
            doc! { "$set": {
                "nextAttemptAt": later(UNREADABLE_RETRY),
                "lastError": "the relay cannot read this row",
            } },
        );
        bounded("put the unreadable row off", async { update.await }).await.map(drop)
    }

    /// Claims a due row for `lease`; false when another relay was first or
    /// the row is SENT by now.
    ///
    /// # Errors
    /// The store failed.
    pub async fn claim(&self, due: &Due, lease: Duration) -> Result<bool, StoreError> {
        let claim = self.mongo.outbox();
        let update = claim.update_one(
            doc! { "_id": id(due.event_id.uuid()), "status": PENDING, "nextAttemptAt": due.seen },
            doc! { "$set": { "nextAttemptAt": later(lease) }, "$inc": { "attempts": 1 } },
        );
        let done = bounded("claim the row", async { update.await }).await?;
        Ok(done.modified_count == 1)
    }

    /// Notes that the row's workflow exists. The row is looked at again after
    /// `recheck`, should it still be PENDING then: its workflow may have been
    /// lost together with Temporal's database.
    ///
    /// # Errors
    /// The store failed.
    pub async fn mark_started(&self, event: EventId, recheck: Duration) -> Result<(), StoreError> {
        let update = vec![doc! { "$set": {
            "startedAt": { "$ifNull": ["$startedAt", date(clock::now_ms())] },
            "nextAttemptAt": later(recheck),
            "lastError": null,
        } }];
        self.update("note the start on the row", event, update).await
    }

    /// Gives a claimed row back after a failure, with the reason.
    ///
    /// # Errors
    /// The store failed.
    pub async fn release(
        &self,
        event: EventId,
        retry_in: Duration,
        reason: &str,
    ) -> Result<(), StoreError> {
        let reason: String = reason.chars().take(500).collect();
        let update = vec![doc! { "$set": {
            "nextAttemptAt": later(retry_in),
            "lastError": { "$literal": reason },
        } }];
        self.update("give the row back", event, update).await
    }

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
                    "status": OutboxStatus::Sent.as_str(),
                    "sentAt": now,
                    "startedAt": { "$ifNull": ["$startedAt", now] },
                    "lastError": null,
                } },
                doc! { "$unset": "nextAttemptAt" },
            ],
        );
        let done = bounded("mark the row SENT", async { update.await }).await?;
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
        let done = bounded("record the acknowledgement", async { update.await }).await?;
        Ok(if done.matched_count == 1 { Recorded::Done } else { Recorded::Missing })
    }

    async fn update(
        &self,
        what: &'static str,
        event: EventId,
        update: Vec<Document>,
    ) -> Result<(), StoreError> {
        let outbox = self.mongo.outbox();
        let update = outbox.update_one(doc! { "_id": id(event.uuid()), "status": PENDING }, update);
        bounded(what, async { update.await }).await.map(drop)
    }

    async fn exists(&self, event: EventId) -> Result<bool, StoreError> {
        let outbox = self.mongo.outbox();
        let find = outbox.find_one(doc! { "_id": id(event.uuid()) }).projection(doc! { "_id": 1 });
        let found = bounded("look for the row", async { find.await }).await?;
        Ok(found.is_some())
    }
}

const PENDING: &str = OutboxStatus::Pending.as_str();
/// When an unreadable row is looked at again.
const UNREADABLE_RETRY: Duration = Duration::from_mins(10);

fn later(wait: Duration) -> DateTime {
    let wait_ms = i64::try_from(wait.as_millis()).unwrap_or(i64::MAX);
    date(clock::now_ms().saturating_add(wait_ms))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct DueDocument {
    #[serde(rename = "_id")]
    id: bson::Uuid,
    aggregate_id: bson::Uuid,
    #[serde(default)]
    traceparent: Option<String>,
    #[serde(default)]
    attempts: u32,
    next_attempt_at: DateTime,
}

impl DueDocument {
    fn into_due(self) -> Due {
        Due {
            event_id: uuid(self.id).into(),
            user_id: uuid(self.aggregate_id).into(),
            traceparent: self.traceparent.as_deref().and_then(|t| TraceParent::parse(t).ok()),
            attempts: self.attempts,
            seen: self.next_attempt_at,
        }
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
