//! The relay's look at the rows that are due.
//!
//! A row is due when it is PENDING and its `nextAttemptAt` has come, by the server's
//! clock. A page is read as raw documents and each row is decoded alone; a row that
//! cannot be started is set apart (`apart`), a page of such rows with one command.
//! A process that dies here has set some of them apart, and the next look finds the
//! others.

use mongodb::Collection;
use mongodb::bson::{DateTime, Document, RawDocumentBuf, doc};
use onboard_contract::{Delivery, EventId, EventType, TraceParent};
use onboard_mongo::bson_time::date;
use onboard_mongo::{Malformed, StoreError, ask, raw_document as raw};
use uuid::Uuid;

use super::apart::Odd;
use super::{Outbox, PENDING, Row};

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
    /// Its `nextAttemptAt` when it was read: a claim moves that.
    pub(super) seen: DateTime,
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
    /// The row waits for a build that knows its version.
    #[error("this build knows no version {1} of {0}: upgrade relay and worker, or remove the row")]
    UnknownVersion(&'static str, i64),
}

impl NotStartable {
    /// The beginnings of what it says on a row.
    const WORDS: [&str; 3] = [
        "the relay cannot read this row",
        "this build knows no event type",
        "this build knows no version",
    ];

    /// Whether a row was set apart for such a reason, as it says itself.
    pub(crate) fn is_said_by(row: &Row) -> bool {
        let said = row.last_error.as_ref().known();
        said.is_some_and(|said| Self::WORDS.iter().any(|words| said.starts_with(words)))
    }

    /// The event type of a row, in a version that this build knows.
    pub(crate) fn known(row: &Row) -> Result<&'static EventType, Self> {
        let name = row.event_type()?;
        let unknown = || Self::UnknownType(name.chars().take(TYPE_CHARS_MAX).collect());
        let event_type = onboard_events::find(name).ok_or_else(unknown)?;
        let version = row.schema_version()?;
        let known = u32::try_from(version).ok().and_then(|number| event_type.version(number));
        known.map(|_| event_type).ok_or(Self::UnknownVersion(event_type.name, version))
    }
}

/// A look at the rows that are due.
#[derive(Debug)]
pub struct DuePage {
    /// Those that can be started.
    pub rows: Vec<Due>,
    /// How many of the others were set apart.
    pub set_apart: usize,
    /// How many of the others MongoDB has refused to change: they stay due.
    pub immovable: usize,
    /// Whether there may be more.
    pub full: bool,
}

impl Due {
    /// Takes from a row what the relay needs.
    ///
    /// # Errors
    /// A field that decides is missing or of another type, or no build knows the
    /// event type.
    pub(crate) fn of(row: &Row) -> Result<Self, NotStartable> {
        let event_type = NotStartable::known(row)?;
        Ok(Self {
            event_id: row.id()?,
            event_type,
            aggregate_id: row.aggregate_id()?.uuid(),
            traceparent: row.traceparent(),
            delivery: row.delivery()?,
            attempts: row.attempts(),
            refusals: row.refusals(),
            created_at_ms: row.created_at.known(),
            seen: date(row.next_attempt_at()?),
        })
    }

    /// How long it has been due at a time of the server, in ms.
    #[must_use]
    pub fn waited_ms(&self, now_ms: i64) -> i64 {
        now_ms.saturating_sub(self.seen.timestamp_millis())
    }
}

impl Outbox {
    /// The due rows that have waited longest, at most `limit`. A row that cannot be
    /// started is set apart and holds up no other.
    ///
    /// Rows are read as the majority has them: one that could still be rolled
    /// back gets no workflow.
    ///
    /// # Errors
    /// The store failed.
    pub async fn due(&self, limit: u32) -> Result<DuePage, StoreError> {
        self.due_after(0, limit).await
    }

    /// The same after the first `skip` of them.
    ///
    /// # Errors
    /// The store failed.
    pub async fn due_after(&self, skip: u64, limit: u32) -> Result<DuePage, StoreError> {
        let now = date(self.mongo.server_ms().await?);
        let outbox: Collection<RawDocumentBuf> = self.rows().clone_with_type();
        let find = outbox
            .find(due_filter(now))
            .sort(due_order())
            .skip(skip)
            .limit(i64::from(limit))
            .projection(needed());
        let rows: Vec<RawDocumentBuf> = ask("list the due rows", find).await?;
        let full = u32::try_from(rows.len()).is_ok_and(|rows| rows >= limit);
        let (mut due, mut odd) = (Vec::with_capacity(rows.len()), Vec::new());
        for raw in rows {
            let row = Row::read(&raw::readable(&raw));
            match Due::of(&row) {
                Ok(row) => due.push(row),
                Err(error) => odd.extend(Odd::new(&raw, &row, &error.to_string())),
            }
        }
        let found = odd.len();
        let set_apart = self.set_apart(odd).await?;
        Ok(DuePage { rows: due, set_apart, immovable: found - set_apart, full })
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

/// The fields of a row the relay needs; no personal data among them.
pub(crate) fn needed() -> Document {
    doc! {
        "aggregateId": 1, "traceparent": 1, "attempts": 1, "refusals": 1, "nextAttemptAt": 1,
        "createdAt": 1, "eventType": 1, "schemaVersion": 1, "status": 1, "expects": 1, "acknowledgements": 1,
        "waived": 1, "quarantinedAt": 1, "lastError": 1,
    }
}
