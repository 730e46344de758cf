//! The relay's side: find what is due, claim it, note what became of it.
//!
//! A row is due when it is PENDING and its `nextAttemptAt` has come. A claim
//! moves `nextAttemptAt` ahead by compare-and-set, so of several relays one
//! works on a row; one that dies lets the row become due again.
//!
//! A row that fails while others pass is put off longer and longer and then
//! quarantined: it says so (`quarantinedAt`, `lastError`), costs one try an hour
//! and holds up nobody.

use std::time::Duration;

use futures::TryStreamExt;
use mongodb::bson::{self, Bson, DateTime, Document, doc};
use onboard_contract::{EventId, TraceParent, UserId};
use onboard_fault::{Step, step};
use onboard_runtime::{Backoff, clock};
use serde::Deserialize;

use super::{Outbox, PENDING, later};
use crate::StoreError;
use crate::bson_time::{date, id, uuid};
use crate::mongo::bounded;

/// The waits of a row that is refused.
const REFUSED_FIRST: Duration = Duration::from_secs(1);
const REFUSED_CAP: Duration = Duration::from_mins(1);
/// Refusals until a row is quarantined: after about five minutes.
pub const REFUSALS_MAX: u32 = 10;
/// When a quarantined row is tried again, should nobody have acted.
const QUARANTINED_RETRY: Duration = Duration::from_hours(1);
/// When an unreadable row is looked at again.
const UNREADABLE_RETRY: Duration = Duration::from_mins(10);

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
    /// How often Temporal has refused it while others passed.
    pub refusals: u32,
    seen: DateTime,
}

impl Outbox {
    /// The due rows that have waited longest, at most `limit`. A row that
    /// cannot be read is named in the log and put off, so that it does not
    /// hold up the others.
    ///
    /// # Errors
    /// The store failed.
    pub async fn due(&self, limit: u32) -> Result<Vec<Due>, StoreError> {
        let now = date(clock::now_ms());
        let outbox = self.mongo.outbox();
        let find =
            outbox.find(due_filter(now)).sort(due_order()).limit(i64::from(limit)).projection(
                doc! {
                    "aggregateId": 1, "traceparent": 1, "attempts": 1, "refusals": 1,
                    "nextAttemptAt": 1,
                },
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
            vec![doc! { "$set": {
                "nextAttemptAt": later(UNREADABLE_RETRY),
                "quarantinedAt": { "$ifNull": ["$quarantinedAt", date(clock::now_ms())] },
                "lastError": "the relay cannot read this row",
            } }],
        );
        let put_off = step(Step::RelayPutOff, async { update.await });
        bounded("put the unreadable row off", put_off).await.map(drop)
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
        let done = bounded("claim the row", step(Step::RelayClaim, async { update.await })).await?;
        Ok(done.modified_count == 1)
    }

    /// Notes that the row's workflow exists, which ends a quarantine. The row
    /// is looked at again after `recheck`, should it still be PENDING then: its
    /// workflow may have been lost together with Temporal's database.
    ///
    /// # Errors
    /// The store failed.
    pub async fn mark_started(&self, event: EventId, recheck: Duration) -> Result<(), StoreError> {
        let update = vec![
            doc! { "$set": {
                "startedAt": { "$ifNull": ["$startedAt", date(clock::now_ms())] },
                "nextAttemptAt": later(recheck),
                "lastError": null,
            } },
            doc! { "$unset": ["refusals", "quarantinedAt"] },
        ];
        self.update(Step::RelayNote, "note the start on the row", event, update).await
    }

    /// Gives a claimed row back, since a server did not answer.
    ///
    /// # Errors
    /// The store failed.
    pub async fn release(
        &self,
        event: EventId,
        retry_in: Duration,
        reason: &str,
    ) -> Result<(), StoreError> {
        let update = vec![doc! { "$set": {
            "nextAttemptAt": later(retry_in),
            "lastError": literal(reason),
        } }];
        self.update(Step::RelayRelease, "give the row back", event, update).await
    }

    /// Gives a claimed row back, since it was refused. `alone` says that other
    /// rows pass meanwhile: then it is this row, and after [`REFUSALS_MAX`] of
    /// these it is quarantined. True when it is.
    ///
    /// # Errors
    /// The store failed.
    pub async fn refuse(&self, due: &Due, alone: bool, reason: &str) -> Result<bool, StoreError> {
        let refusals = due.refusals.saturating_add(u32::from(alone));
        let quarantined = refusals >= REFUSALS_MAX;
        let wait = if quarantined {
            QUARANTINED_RETRY
        } else {
            Backoff::after(REFUSED_FIRST, REFUSED_CAP, due.attempts)
        };
        let mut refused = doc! {
            "nextAttemptAt": later(wait),
            "refusals": refusals,
            "lastError": literal(reason),
        };
        if quarantined {
            let now = date(clock::now_ms());
            refused.insert("quarantinedAt", doc! { "$ifNull": ["$quarantinedAt", now] });
        }
        let update = vec![doc! { "$set": refused }];
        self.update(Step::RelayRelease, "give the row back", due.event_id, update).await?;
        Ok(quarantined)
    }

    async fn update(
        &self,
        taken: Step,
        what: &'static str,
        event: EventId,
        update: Vec<Document>,
    ) -> Result<(), StoreError> {
        let outbox = self.mongo.outbox();
        let update = outbox.update_one(doc! { "_id": id(event.uuid()), "status": PENDING }, update);
        bounded(what, step(taken, async { update.await })).await.map(drop)
    }
}

/// The rows that are due, in terms of the index over PENDING rows.
#[must_use]
pub fn due_filter(now: DateTime) -> Document {
    doc! { "status": PENDING, "nextAttemptAt": { "$lte": now } }
}

/// Those that have waited longest first.
#[must_use]
pub fn due_order() -> Document {
    doc! { "nextAttemptAt": 1, "_id": 1 }
}

/// The reason as a value, whatever characters it begins with.
fn literal(reason: &str) -> Document {
    let reason: String = reason.chars().take(500).collect();
    doc! { "$literal": reason }
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
    #[serde(default)]
    refusals: u32,
    next_attempt_at: DateTime,
}

impl DueDocument {
    fn into_due(self) -> Due {
        Due {
            event_id: uuid(self.id).into(),
            user_id: uuid(self.aggregate_id).into(),
            traceparent: self.traceparent.as_deref().and_then(|t| TraceParent::parse(t).ok()),
            attempts: self.attempts,
            refusals: self.refusals,
            seen: self.next_attempt_at,
        }
    }
}
