//! The relay's side, before the start: find what is due, claim it.
//!
//! A row is due when it is PENDING and its `nextAttemptAt` has come. A claim
//! moves `nextAttemptAt` ahead by compare-and-set, many rows at once, so of
//! several relays one works on a row; one that dies lets the row become due
//! again. What becomes of a claimed row is noted in `outcome`.

use std::time::Duration;

use futures::TryStreamExt;
use mongodb::bson::{Bson, DateTime, Document, doc};
use mongodb::options::{Hint, ReadConcern, WriteConcern};
use onboard_contract::{Delivery, EventId, EventType, TraceParent};
use onboard_fault::{Step, step};
use onboard_runtime::clock;
use uuid::Uuid;

use super::alone::together_else_alone;
use super::{Outbox, PENDING, Row, later};
use crate::bson_time::{date, id};
use crate::mongo::bounded;
use crate::{Malformed, StoreError};

/// Added to the lease of a claim at random, at most: see [`Outbox::claim`].
pub const LEASE_JITTER: Duration = Duration::from_secs(1);

/// When an unreadable row is looked at again.
const UNREADABLE_RETRY: Duration = Duration::from_mins(10);

/// So much of an unknown event type is named.
const TYPE_CHARS_MAX: usize = 100;

/// A row the relay has to start a workflow for.
#[derive(Debug, Clone)]
pub struct Due {
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
    /// Tries before this one.
    pub attempts: u32,
    /// How often Temporal has refused it while others passed.
    pub refusals: u32,
    /// When it was registered, in ms since the Unix epoch; absent in a row
    /// that does not say it.
    pub created_at_ms: Option<i64>,
    seen: DateTime,
}

/// Why no workflow can be started for a row.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotStartable {
    /// A field is not what belongs there.
    #[error("the relay cannot read this row, repair it by hand: {0}")]
    Malformed(#[from] Malformed),
    /// The row waits for a build that knows its event type.
    #[error("this build knows no event type {0:?}: upgrade relay and worker, or remove the row")]
    UnknownType(String),
}

impl NotStartable {
    /// The event type of a row.
    pub(crate) fn known(row: &Row) -> Result<&'static EventType, Self> {
        let name = row.event_type()?;
        let unknown = || Self::UnknownType(name.chars().take(TYPE_CHARS_MAX).collect());
        EventType::find(name).ok_or_else(unknown)
    }
}

/// A look at the rows that are due.
#[derive(Debug)]
pub struct DuePage {
    /// Those that can be read.
    pub rows: Vec<Due>,
    /// Whether there may be more.
    pub full: bool,
}

/// When a claim counts as written. Losing one is harmless: another relay
/// starts the workflow again, and finds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// When the primary has it: quick.
    Primary,
    /// When the majority has it: then the next look no longer finds the rows.
    Majority,
}

impl Written {
    fn concern(self) -> WriteConcern {
        match self {
            Self::Primary => WriteConcern::nodes(1),
            Self::Majority => WriteConcern::majority(),
        }
    }
}

impl Due {
    /// Takes from a row what the relay needs.
    ///
    /// # Errors
    /// A field is missing or of another type, or no build knows the event type.
    pub(crate) fn of(row: &Row) -> Result<Self, NotStartable> {
        let event_type = NotStartable::known(row)?;
        Ok(Self {
            event_id: row.id()?,
            event_type,
            aggregate_id: row.aggregate_id()?.uuid(),
            traceparent: row.traceparent()?,
            delivery: row.delivery()?,
            attempts: row.attempts()?,
            refusals: row.refusals()?,
            created_at_ms: row.created_at.known(),
            seen: date(row.next_attempt_at()?),
        })
    }

    /// Whether its time comes only after `time`.
    pub(crate) fn is_due_after(&self, time: DateTime) -> bool {
        self.seen > time
    }
}

impl Outbox {
    /// The due rows that have waited longest, at most `limit`. A row that
    /// cannot be read is named in the log and put off, so that it does not
    /// hold up the others.
    ///
    /// Rows are read as the majority has them: one that could still be rolled
    /// back gets no workflow.
    ///
    /// # Errors
    /// The store failed.
    pub async fn due(&self, limit: u32) -> Result<DuePage, StoreError> {
        let now = date(clock::now_ms());
        let outbox = self.mongo.outbox();
        let find = outbox
            .find(due_filter(now))
            .sort(due_order())
            .limit(i64::from(limit))
            .projection(needed());
        let rows: Vec<Document> =
            bounded("list the due rows", async { find.await?.try_collect().await }).await?;
        let full = u32::try_from(rows.len()).is_ok_and(|rows| rows >= limit);
        let mut due = Vec::with_capacity(rows.len());
        for row in rows {
            match Due::of(&Row::read(&row)) {
                Ok(row) => due.push(row),
                Err(error) => {
                    let row_id = row.get("_id").cloned().unwrap_or_default();
                    self.put_off(row_id, error).await?;
                }
            }
        }
        Ok(DuePage { rows: due, full })
    }

    async fn put_off(&self, row: Bson, error: NotStartable) -> Result<(), StoreError> {
        tracing::error!(?row, %error, "an outbox row is quarantined");
        let outbox = self.mongo.outbox();
        let update = outbox.update_one(
            doc! { "_id": row, "status": PENDING },
            vec![doc! { "$set": {
                "nextAttemptAt": later(UNREADABLE_RETRY),
                "quarantinedAt": { "$ifNull": ["$quarantinedAt", date(clock::now_ms())] },
                "lastError": { "$literal": error.to_string() },
            } }],
        );
        let put_off = step(Step::RelayPutOff, async { update.await });
        bounded("put the unreadable row off", put_off).await.map(drop)
    }

    /// Claims rows until `lease` from now, with one update. A row that another
    /// relay has claimed since it was seen, or that is SENT by now, is left out.
    ///
    /// The time until which a row is claimed tells whose it is: it has
    /// jitter ([`LEASE_JITTER`]), and two relays that draw the same one both start the
    /// workflow, of which there is one all the same.
    ///
    /// Returns the events of the rows that it got. A row that cannot be claimed spoils
    /// the update for all of them: then each is claimed alone.
    ///
    /// # Errors
    /// The store failed, or refused every row; some or all may be claimed, and become
    /// due again.
    pub async fn claim(
        &self,
        rows: &[&Due],
        lease: Duration,
        written: Written,
    ) -> Result<Vec<EventId>, StoreError> {
        let claim = |rows| self.claim_together(rows, lease, written);
        let (mut ours, mut failed) = (Vec::with_capacity(rows.len()), None);
        for claimed in together_else_alone(rows.to_vec(), claim).await {
            match claimed {
                Ok(events) => ours.extend(events),
                Err(error) => failed = Some(error),
            }
        }
        match failed {
            // Refused to all alike: it is not about a row.
            Some(error) if ours.is_empty() => Err(error),
            _ => Ok(ours),
        }
    }

    async fn claim_together(
        &self,
        rows: Vec<&Due>,
        lease: Duration,
        written: Written,
    ) -> Result<Vec<EventId>, StoreError> {
        let Some(seen) = rows.iter().map(|row| row.seen).max() else { return Ok(Vec::new()) };
        let ids: Vec<Bson> = rows.iter().map(|row| id(row.event_id.uuid())).collect();
        let until = later(lease + LEASE_JITTER.mul_f64(clock::jitter()));
        let outbox = self.mongo.outbox();
        let update = outbox
            .update_many(
                claim_filter(ids.clone(), seen),
                doc! { "$set": { "nextAttemptAt": until }, "$inc": { "attempts": 1 } },
            )
            .hint(Hint::Keys(by_id()))
            .write_concern(written.concern());
        let claim = step(Step::RelayClaim, async { update.await });
        let done = bounded("claim the rows", claim).await?;
        match usize::try_from(done.modified_count) {
            Ok(claimed) if claimed == rows.len() => {
                Ok(rows.iter().map(|row| row.event_id).collect())
            }
            Ok(0) => Ok(Vec::new()),
            _ => self.claimed_until(ids, until).await,
        }
    }

    /// Which of these rows this very claim has moved. It asks the primary for
    /// what it has, since a claim does not wait for the others.
    async fn claimed_until(
        &self,
        ids: Vec<Bson>,
        until: DateTime,
    ) -> Result<Vec<EventId>, StoreError> {
        let outbox = self.mongo.outbox();
        let find = outbox
            .find(doc! { "_id": { "$in": ids }, "status": PENDING, "nextAttemptAt": until })
            .hint(Hint::Keys(by_id()))
            .projection(by_id())
            .read_concern(ReadConcern::local());
        let rows: Vec<Document> =
            bounded("list the claimed rows", async { find.await?.try_collect().await }).await?;
        Ok(rows.iter().filter_map(|row| Row::read(row).id.known()).collect())
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

/// These rows, unless they have moved on since the latest of them was seen:
/// a claim moves `nextAttemptAt` by a whole lease. Meant for the index over ids.
#[must_use]
pub fn claim_filter(ids: Vec<Bson>, seen: DateTime) -> Document {
    doc! { "_id": { "$in": ids }, "status": PENDING, "nextAttemptAt": { "$lte": seen } }
}

/// The index over ids, said aloud: the server might try the one over PENDING
/// rows, which walks a backlog.
#[must_use]
pub fn by_id() -> Document {
    doc! { "_id": 1 }
}

/// The fields of a row the relay needs; no personal data among them.
pub(crate) fn needed() -> Document {
    doc! {
        "aggregateId": 1, "traceparent": 1, "attempts": 1, "refusals": 1, "nextAttemptAt": 1,
        "createdAt": 1, "eventType": 1, "status": 1, "expects": 1, "acknowledgements": 1,
        "waived": 1,
    }
}
