//! The worker's side: load the row for publishing, mark it SENT, record the
//! acknowledgement.
//!
//! Marks and records that meet go to MongoDB in one command; each caller still
//! gets the answer for its own row. A process that dies here has changed some
//! of the rows, or none: each change is a compare-and-set, or keeps the first
//! time, and whoever asked asks again.

use std::collections::HashSet;

use futures::future::join_all;
use mongodb::Collection;
use mongodb::bson::spec::ElementType;
use mongodb::bson::{Bson, Document, RawDocumentBuf, doc};
use onboard_contract::{ConsumerName, Event, EventId, EventType, OutboxStatus, UserId};
use onboard_fault::{Step, step};
use onboard_mongo::bson_time::{date, id};
use onboard_mongo::field::{self, DOCUMENT};
use onboard_mongo::{Malformed, StoreError, ask, bounded, raw_document as raw};
use onboard_runtime::Group;

use super::json::json;
use super::{Outbox, PENDING, Row, SENT, date_or};

const LOAD: &str = "load the row";
/// What belongs into `eventType`, in words.
const KNOWN: &str = "an event type that this build knows";
/// What belongs into `payload`, in words.
const JSON: &str = "a document of values that JSON knows";

/// A whole row, as the publish activity needs it.
#[derive(Debug, Clone)]
pub struct OutboxRow {
    /// The type of the event.
    pub event_type: &'static EventType,
    /// The event.
    pub event: Event,
    /// Whether the row is SENT.
    pub sent: bool,
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

/// An acknowledgement that is to be recorded on its row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The event.
    pub event: EventId,
    /// The consumer that has acknowledged.
    pub consumer: ConsumerName,
    /// What the consumer made.
    pub reference: Option<String>,
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
        let outbox: Collection<RawDocumentBuf> = self.rows().clone_with_type();
        let find = outbox.find_one(doc! { "_id": id(event.uuid()) });
        let Some(row) = ask(LOAD, find).await? else { return Ok(None) };
        OutboxRow::read(&raw::readable(&row)).map(Some)
    }

    /// The user whom a registration's event is about; absent when the row is
    /// gone, or does not say.
    ///
    /// # Errors
    /// The store failed.
    pub async fn user_of(&self, event: EventId) -> Result<Option<UserId>, StoreError> {
        let outbox = self.rows();
        let find = outbox.find_one(doc! { "_id": id(event.uuid()) });
        let find = find.projection(doc! { "aggregateId": 1 });
        let row = ask("look for the event's user", find).await?;
        Ok(row.and_then(|row| Row::read(&row).aggregate_id.known()))
    }

    /// PENDING → SENT, once.
    ///
    /// # Errors
    /// The store failed.
    pub async fn mark_sent(&self, event: EventId) -> Result<MarkedSent, StoreError> {
        self.together.sent.submit(event, |events| self.mark_each(events)).await
    }

    async fn mark_each(&self, events: Vec<EventId>) -> Vec<Result<MarkedSent, StoreError>> {
        let (all, one) = (self.mark_all(&events), |event| self.mark_one(event));
        all_or_each(&events, all, MarkedSent::Now, one).await
    }

    /// How many of the rows were PENDING and are SENT now.
    async fn mark_all(&self, events: &[EventId]) -> Result<u64, StoreError> {
        let outbox = self.rows();
        let pending = doc! { "_id": { "$in": ids(events.iter().copied()) }, "status": PENDING };
        let update = outbox.update_many(pending, sent_now());
        let done =
            bounded("mark rows SENT", step(Step("sent.mark"), async { update.await })).await?;
        Ok(done.matched_count)
    }

    async fn mark_one(&self, event: EventId) -> Result<MarkedSent, StoreError> {
        let outbox = self.rows();
        let pending = doc! { "_id": id(event.uuid()), "status": PENDING };
        let update = outbox.update_one(pending, sent_now());
        let done =
            bounded("mark the row SENT", step(Step("sent.mark"), async { update.await })).await?;
        if done.matched_count == 1 {
            return Ok(MarkedSent::Now);
        }
        Ok(if self.exists(event).await? { MarkedSent::Already } else { MarkedSent::Missing })
    }

    /// Records what a consumer has acknowledged; with the last expected one,
    /// that the event is done. The first time stands.
    ///
    /// # Errors
    /// The store failed.
    pub async fn record_acknowledged(&self, record: Record) -> Result<Recorded, StoreError> {
        self.together.recorded.submit(record, |records| self.record_each(records)).await
    }

    async fn record_each(&self, records: Vec<Record>) -> Vec<Result<Recorded, StoreError>> {
        let (all, one) = (self.record_all(&records), |record| self.record_one(record));
        all_or_each(&records, all, Recorded::Done, one).await
    }

    /// How many of the records are on their rows; none when two of them are of
    /// one row, which is updated once.
    async fn record_all(&self, records: &[Record]) -> Result<u64, StoreError> {
        let distinct: HashSet<EventId> = records.iter().map(|record| record.event).collect();
        if distinct.len() < records.len() {
            return Ok(0);
        }
        let rows = doc! { "_id": { "$in": ids(records.iter().map(|record| record.event)) } };
        let outbox = self.rows();
        let update = outbox.update_many(rows, acknowledged(records));
        let done = bounded(
            "record acknowledgements",
            step(Step("terminal.record"), async { update.await }),
        )
        .await?;
        Ok(done.matched_count)
    }

    async fn record_one(&self, record: Record) -> Result<Recorded, StoreError> {
        let row = doc! { "_id": id(record.event.uuid()) };
        let outbox = self.rows();
        let update = outbox.update_one(row, acknowledged(&[record]));
        let done = bounded(
            "record the acknowledgement",
            step(Step("terminal.record"), async { update.await }),
        )
        .await?;
        Ok(if done.matched_count == 1 { Recorded::Done } else { Recorded::Missing })
    }

    async fn exists(&self, event: EventId) -> Result<bool, StoreError> {
        let outbox = self.rows();
        let find = outbox.find_one(doc! { "_id": id(event.uuid()) }).projection(doc! { "_id": 1 });
        let found = ask("look for the row", find).await?;
        Ok(found.is_some())
    }
}

/// What waits to be written together.
#[derive(Debug)]
pub(super) struct Together {
    sent: Group<EventId, Result<MarkedSent, StoreError>>,
    recorded: Group<Record, Result<Recorded, StoreError>>,
}

impl Default for Together {
    /// Two groups at once: one gathers and travels while the other commits.
    fn default() -> Self {
        Self { sent: Group::new(2, 100), recorded: Group::new(2, 100) }
    }
}

/// The answer for each row: `answer` when the one command for all of several
/// matched every one, else the answer of a command of its own. The case of some
/// row differs then, or one row may have spoilt the command for all.
async fn all_or_each<I: Clone, T: Copy, F>(
    items: &[I],
    all: impl Future<Output = Result<u64, StoreError>>,
    answer: T,
    one: impl Fn(I) -> F,
) -> Vec<Result<T, StoreError>>
where
    F: Future<Output = Result<T, StoreError>>,
{
    let several = items.len() as u64;
    if several > 1 && all.await.is_ok_and(|matched| matched == several) {
        return items.iter().map(|_| Ok(answer)).collect();
    }
    join_all(items.iter().cloned().map(one)).await
}

fn ids(events: impl Iterator<Item = EventId>) -> Vec<Bson> {
    events.map(|event| id(event.uuid())).collect()
}

fn sent_now() -> Vec<Document> {
    marked(doc! {
        "status": SENT,
        "sentAt": "$$NOW",
        "startedAt": date_or("startedAt", "$$NOW"),
        "lastError": null,
    })
}

/// Adds to each row its own acknowledgement, and ends the row with the last one
/// that it expects. What is acknowledged was sent, whatever the row says: it may
/// have been restored to a time before that.
fn acknowledged(records: &[Record]) -> Vec<Document> {
    let each: Vec<Document> = records
        .iter()
        .map(|record| {
            let mut one = doc! { "at": "$$NOW" };
            let reference = record.reference.as_ref().map(|it| doc! { "$literal": it });
            one.extend(reference.map(|it| ("ref".to_owned(), it.into())));
            doc! { record.consumer.as_str(): one }
        })
        .collect();
    let rows = ids(records.iter().map(|record| record.event));
    let own = doc! { "$arrayElemAt": [each, { "$indexOfArray": [{ "$literal": rows }, "$_id"] }] };
    // Of two values for one key the last one counts: the first stands.
    let all = doc! { "$mergeObjects": [own, object("acknowledgements")] };
    vec![doc! { "$set": { "acknowledgements": all } }, doc! { "$set": ended() }]
}

/// The field if it holds a document, else an empty one; in an update.
fn object(field: &str) -> Document {
    let field = format!("${field}");
    doc! { "$cond": [{ "$eq": [{ "$type": field.as_str() }, "object"] }, field, {}] }
}

/// The fields of a row that nobody is awaited for: each expected consumer has
/// acknowledged or is waived. Other rows stay as they are.
pub(super) fn ended() -> Document {
    let released = [String::from(onboard_events::RELEASED_CONSUMER)];
    let expects = doc! { "$cond": [{ "$isArray": "$expects" }, "$expects", released] };
    let names = |field: &str| {
        let all = doc! { "$objectToArray": object(field) };
        doc! { "$map": { "input": all, "in": "$$this.k" } }
    };
    let settled = doc! { "$setUnion": [names("acknowledgements"), names("waived")] };
    let done = doc! { "$setIsSubset": [expects, settled] };
    let then = |field: &str, value: Bson| {
        doc! { "$cond": [done.clone(), value, format!("${field}")] }
    };
    let first = |field: &str| then(field, date_or(field, "$$NOW").into());
    let removed = |field: &str| then(field, "$$REMOVE".into());
    doc! {
        "status": then("status", SENT.into()),
        "sentAt": first("sentAt"),
        "startedAt": first("startedAt"),
        "acknowledgedAt": first("acknowledgedAt"),
        "lastError": then("lastError", Bson::Null),
        "nextAttemptAt": removed("nextAttemptAt"),
        "refusals": removed("refusals"),
        "quarantinedAt": removed("quarantinedAt"),
        "aheadSeenAt": removed("aheadSeenAt"),
    }
}

/// With these fields the row is no longer the relay's.
fn marked(fields: Document) -> Vec<Document> {
    let relays = ["nextAttemptAt", "refusals", "quarantinedAt", "aheadSeenAt"];
    vec![doc! { "$set": fields }, doc! { "$unset": relays.map(Bson::from).to_vec() }]
}

impl OutboxRow {
    /// Reads a whole row.
    ///
    /// # Errors
    /// The row is corrupt (permanent): a field that a message needs is missing or of
    /// another type.
    pub fn read(row: &Document) -> Result<Self, StoreError> {
        Self::of(row).map_err(|malformed| StoreError::corrupt(LOAD, malformed))
    }

    fn of(document: &Document) -> Result<Self, Malformed> {
        let row = Row::read(document);
        let field = "eventType";
        let unknown = Malformed { field, expected: KNOWN, found: Some(ElementType::String) };
        let event_type = onboard_events::find(row.event_type()?).ok_or(unknown)?;
        let content = field::document(document, "payload");
        let payload = content.required("payload", DOCUMENT)?;
        let field = "payload";
        let odd = Malformed { field, expected: JSON, found: Some(ElementType::EmbeddedDocument) };
        let version = row.schema_version()?;
        let event = Event {
            event_id: row.id()?,
            schema_version: u32::try_from(version).unwrap_or_default(),
            aggregate_id: row.aggregate_id()?.uuid(),
            occurred_at: row.occurred_at().and_then(|at| date(at).try_to_rfc3339_string().ok()),
            aggregate_version: row.aggregate_version.known().and_then(|it| u64::try_from(it).ok()),
            payload: json(payload).ok_or(odd)?,
            traceparent: row.traceparent(),
        };
        let sent = row.status.known() == Some(OutboxStatus::Sent);
        Ok(Self { event_type, event, sent })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn failed<T>() -> Result<T, StoreError> {
        Err(StoreError::TimedOut { what: "mark rows SENT" })
    }

    /// The answers of so many rows, of which the second cannot be marked.
    async fn answers(rows: u128, all: Result<u64, StoreError>) -> Vec<Option<&'static str>> {
        let events: Vec<EventId> = (1..=rows).map(|row| Uuid::from_u128(row).into()).collect();
        let second = EventId::from(Uuid::from_u128(2));
        let one = async |event: EventId| if event == second { failed() } else { Ok("alone") };
        let answers = all_or_each(&events, async { all }, "together", one).await;
        answers.into_iter().map(Result::ok).collect()
    }

    #[tokio::test]
    async fn rows_that_one_command_matches_are_answered_together() {
        assert_eq!(answers(3, Ok(3)).await, [Some("together"); 3]);
    }

    #[tokio::test]
    async fn where_the_one_command_fails_or_misses_a_row_each_is_answered_alone() {
        let alone = [Some("alone"), None, Some("alone")];
        for all in [Ok(2), failed()] {
            assert_eq!(answers(3, all).await, alone);
        }
    }

    #[tokio::test]
    async fn a_lone_row_has_its_own_command() {
        assert_eq!(answers(1, Ok(1)).await, [Some("alone")]);
    }
}
