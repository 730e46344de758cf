//! Inbox record and effect in one transaction, which many events share
//! (`together`) or one has to itself (`apply`).
//!
//! The inbox is the truth about what was applied. A message that repeats an event
//! id for another aggregate is a conflict (`conflict`). A crash before the commit
//! leaves nothing and the message comes again; a crash after it leaves a record,
//! and the message that comes again is a duplicate.

mod again;
mod conflict;
mod prepare;
mod purge;
mod together;

use std::time::Duration;

use futures::future::BoxFuture;
use mongodb::bson::{Bson, DateTime, Document, RawDocumentBuf, doc};
use mongodb::{ClientSession, Collection, Cursor, Database};
use onboard_contract::EventId;
use onboard_fault::{Step, step};
use onboard_mongo::bson_time::{date, id};
use onboard_mongo::{
    Malformed, OPERATION_DEADLINE, StoreError, ask, bounded, earlier, is_duplicate_key,
    raw_document, transact_at, walk,
};
use onboard_runtime::clock;

use crate::{Applied, Arrived, Done, Effect, InboxNames, InboxRecord, Turn};

pub(crate) use purge::Cursor as PurgeCursor;

/// The inbox of a consumer in MongoDB.
#[derive(Debug, Clone)]
pub struct Inbox {
    database: Database,
    names: InboxNames,
}

impl Inbox {
    /// In the consumer's database, under these names.
    #[must_use]
    pub fn new(database: &Database, names: InboxNames) -> Self {
        Self { database: database.clone(), names }
    }

    /// Looks up the record of an event.
    ///
    /// # Errors
    /// The store failed.
    pub async fn find(&self, event: EventId) -> Result<Option<InboxRecord>, StoreError> {
        let inbox = self.raw_records();
        let find = inbox.find_one(doc! { "eventId": id(event.uuid()) });
        let found = ask(LOOK, find).await?;
        Ok(found.map(|record| self.names.read(&raw_document::readable(&record))))
    }

    /// Records the event and applies its effect, or finds that it was done before;
    /// in a transaction of its own. When the record names another aggregate, the
    /// conflict is noted on it and the effect is applied.
    pub(crate) async fn apply<F: Effect>(
        &self,
        effect: &F,
        event: &Arrived<F::Event>,
    ) -> Result<Applied, StoreError> {
        let commit = self.commit(effect, event);
        match tokio::time::timeout(OPERATION_DEADLINE, commit).await {
            Ok(Ok(())) => Ok(Applied::Created(event.reference)),
            Ok(Err(error)) if is_duplicate_key(&error) => self.repeated(effect, event, error).await,
            Ok(Err(error)) => Err(StoreError::from_driver(WHAT, error)),
            Err(_) => Err(StoreError::TimedOut { what: WHAT }),
        }
    }

    /// The duplicate key leaves the callback and is understood here: inside,
    /// the server has already aborted the transaction.
    async fn commit<F: Effect>(
        &self,
        effect: &F,
        event: &Arrived<F::Event>,
    ) -> mongodb::error::Result<()> {
        let (inbox, effect, event) = (self.records(), effect.clone(), event.clone());
        let record = record(self.names, &event, date(clock::now_ms()));
        transact_at(COMMIT, self.database.client(), async move |session| {
            inbox.insert_one(&record).session(&mut *session).await?;
            applying(&effect, session, &[&event], Turn::Again).await
        })
        .await
    }

    async fn repeated<F: Effect>(
        &self,
        effect: &F,
        event: &Arrived<F::Event>,
        error: mongodb::error::Error,
    ) -> Result<Applied, StoreError> {
        let Some(record) = self.find(event.event_id).await? else {
            // Another event of the same aggregate won the race for what the effect
            // makes: the next try finds it there.
            return Err(StoreError::Unavailable { what: WHAT, source: error });
        };
        let known = record.reference_for(event.aggregate_id, event.reference);
        match known.map_err(|malformed| StoreError::corrupt(LOOK, malformed))? {
            Some(reference) => Ok(Applied::Duplicate(reference)),
            None => self.apply_conflict(effect, event).await,
        }
    }

    /// Notes that the events were acknowledged, or that nobody awaits that; when the
    /// store fails, some of them may be noted.
    pub(crate) async fn note_acknowledged(&self, events: &[EventId]) -> Result<(), StoreError> {
        let inbox = self.records();
        let events: Vec<Bson> = events.iter().map(|event| id(event.uuid())).collect();
        let update = inbox.update_many(
            doc! { "eventId": { "$in": events }, "acknowledgedAt": null },
            doc! { "$set": { "acknowledgedAt": date(clock::now_ms()) } },
        );
        let noted = step(Step("acknowledge.note"), async { update.await });
        bounded("note the acknowledgement", noted).await.map(drop)
    }

    /// Opens a look at the records whose event is not known to have been acknowledged,
    /// processed at least `older_than` ago, oldest first.
    pub(crate) async fn unacknowledged(
        &self,
        older_than: Duration,
    ) -> Result<Unacknowledged, StoreError> {
        let inbox = self.raw_records();
        let unnoted =
            doc! { "acknowledgedAt": null, "processedAt": { "$lte": earlier(older_than) } };
        // In the order of the index over records that are not noted.
        let find = inbox.find(unnoted).sort(doc! { "processedAt": 1 }).batch_size(PAGE);
        let cursor = walk(LIST, find).await?;
        Ok(Unacknowledged { cursor, names: self.names })
    }

    fn raw_records(&self) -> Collection<RawDocumentBuf> {
        self.database.collection(self.names.collection)
    }

    fn records(&self) -> Collection<Document> {
        self.database.collection(self.names.collection)
    }
}

/// The effect of some events. Boxed, or the compiler cannot show for every lifetime
/// that the futures which hold it may move between threads.
fn applying<'a, F: Effect>(
    effect: &'a F,
    session: &'a mut ClientSession,
    events: &'a [&'a Arrived<F::Event>],
    turn: Turn,
) -> BoxFuture<'a, mongodb::error::Result<()>> {
    Box::pin(effect.apply(session, events, turn))
}

/// The inbox record of an event.
fn record<E>(names: InboxNames, event: &Arrived<E>, now: DateTime) -> Document {
    let mut record = doc! {
        "eventId": id(event.event_id.uuid()),
        names.aggregate: id(event.aggregate_id),
        names.reference: id(event.reference),
        "processedAt": now,
        "acknowledgedAt": null,
    };
    // For an acknowledgement that is sent late.
    if let Some(traceparent) = &event.traceparent {
        record.insert("traceparent", traceparent.as_str());
    }
    record
}

/// A look at records whose event is to be acknowledged.
pub(crate) struct Unacknowledged {
    cursor: Cursor<RawDocumentBuf>,
    names: InboxNames,
}

/// A record that cannot be acknowledged.
#[derive(Debug)]
pub(crate) struct Unreadable {
    /// Its id, in words.
    pub(crate) id: String,
    /// What is wrong with it.
    pub(crate) why: Malformed,
}

impl Unacknowledged {
    /// The next page, each record read on its own; empty at the end.
    pub(crate) async fn next(&mut self) -> Result<Vec<Result<Done, Unreadable>>, StoreError> {
        let mut page = Vec::new();
        while page.len() < PAGE as usize {
            if !bounded(LIST, async { self.cursor.advance().await }).await? {
                break;
            }
            let record = raw_document::readable(self.cursor.current());
            let id = record.get("_id").map(Bson::to_string).unwrap_or_default();
            page.push(done(&self.names.read(&record)).map_err(|why| Unreadable { id, why }));
        }
        Ok(page)
    }
}

fn done(record: &InboxRecord) -> Result<Done, Malformed> {
    Ok(Done {
        event_id: record.event_id()?,
        reference: record.reference()?,
        // It decides nothing.
        traceparent: record.traceparent().ok().flatten(),
    })
}

/// The step in which records and their effects are committed.
const COMMIT: Step = Step("inbox.commit");
const WHAT: &str = "commit the inbox record";
pub(crate) const LOOK: &str = "look into the inbox";
const LIST: &str = "list the inbox";
/// Records read at once.
const PAGE: u32 = 256;
