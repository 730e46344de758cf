//! Stop 5 of a registration: inbox record and welcome todo in one transaction,
//! which many events share (`together`) or one has to itself (`apply`).
//!
//! The inbox (`processed_events`) is the truth about what was applied. A message
//! that repeats an event id for another user is a conflict (`conflict`). A crash
//! before the commit leaves nothing and the message comes again; a crash after
//! it leaves a record, and the message that comes again is a duplicate.

mod conflict;
mod purge;
mod together;

use std::time::Duration;

use futures::TryStreamExt;
use mongodb::bson::{Bson, DateTime, Document, doc};
use onboard_contract::names::WELCOME_TITLE;
use onboard_contract::{Acknowledgement, EventId, TodoId, TraceParent, UserId, UserRegistered};
use onboard_fault::{self as fault, Step, step};
use onboard_runtime::clock;

use onboard_store::bson_time::{date, id};
use onboard_store::{
    InboxRecord, Malformed, Mongo, OPERATION_DEADLINE, StoreError, bounded, earlier,
    is_duplicate_key, transaction,
};

use conflict::deletions_of;

pub(crate) use purge::Cursor;

/// What applying an event did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Applied {
    /// The event is recorded now.
    Created(TodoId),
    /// It was recorded before; nothing changed.
    Duplicate(TodoId),
    /// The record of the event names another user. The effect is applied for the
    /// event's own user, whose todo this is.
    Conflict(TodoId),
}

impl Applied {
    /// The welcome todo of the event's user.
    pub(crate) const fn todo_id(self) -> TodoId {
        match self {
            Self::Created(todo) | Self::Duplicate(todo) | Self::Conflict(todo) => todo,
        }
    }
}

/// When the event happened, in ms since the Unix epoch, if it says so.
pub(crate) fn occurred_at_ms(event: &UserRegistered) -> Option<i64> {
    let at = DateTime::parse_rfc3339_str(event.occurred_at.as_deref()?).ok()?;
    Some(at.timestamp_millis())
}

/// The inbox in MongoDB.
#[derive(Debug, Clone)]
pub struct Inbox {
    mongo: Mongo,
}

impl Inbox {
    /// Over a client.
    #[must_use]
    pub fn new(mongo: &Mongo) -> Self {
        Self { mongo: mongo.clone() }
    }

    /// Records the event and creates the user's welcome todo, or finds that
    /// it was done before; in a transaction of its own. When the record names
    /// another user, the conflict is noted on it and the todo is created.
    ///
    /// # Errors
    /// The store failed.
    pub(crate) async fn apply(&self, event: &UserRegistered) -> Result<Applied, StoreError> {
        let todo = TodoId::welcome(event.user_id);
        let commit = self.commit(event, todo);
        match tokio::time::timeout(OPERATION_DEADLINE, commit).await {
            Ok(Ok(())) => Ok(Applied::Created(todo)),
            Ok(Err(error)) if is_duplicate_key(&error) => self.repeated(event, error).await,
            Ok(Err(error)) => Err(StoreError::from_driver(WHAT, error)),
            Err(_) => Err(StoreError::TimedOut { what: WHAT }),
        }
    }

    /// The duplicate key leaves the callback and is understood here: inside,
    /// the server has already aborted the transaction.
    async fn commit(&self, event: &UserRegistered, todo: TodoId) -> mongodb::error::Result<()> {
        let (inbox, todos) = (self.mongo.processed_events(), self.mongo.todos());
        let now = date(clock::now_ms());
        let record = record(event, now);
        let welcome = doc! { "$setOnInsert": welcome(event, now) };
        // Another event of a user who has deleted the welcome todo.
        let deletion = deletions_of(&[id(todo.uuid())]);
        let mut session = self.mongo.todo().client().start_session().await?;
        transaction(&mut session)
            .and_run2(async move |session| {
                inbox.insert_one(&record).session(&mut *session).await?;
                let deleted = inbox.find_one(deletion.clone()).session(&mut *session).await?;
                if deleted.is_none() {
                    todos
                        .update_one(doc! { "_id": id(todo.uuid()) }, welcome.clone())
                        .upsert(true)
                        .session(&mut *session)
                        .await?;
                }
                fault::before(Step::InboxCommit).await;
                Ok(())
            })
            .await?;
        fault::after(Step::InboxCommit).await;
        Ok(())
    }

    async fn repeated(
        &self,
        event: &UserRegistered,
        error: mongodb::error::Error,
    ) -> Result<Applied, StoreError> {
        let Some(record) = self.record_of(event.event_id).await? else {
            // Another event of the same user won the race for the todo: the
            // next try finds it there.
            return Err(StoreError::Unavailable { what: WHAT, source: error });
        };
        let known = record.acknowledgement_for(event.user_id);
        match known.map_err(|malformed| StoreError::corrupt(LOOK, malformed))? {
            Some(acknowledgement) => Ok(Applied::Duplicate(acknowledgement.todo_id)),
            None => self.apply_conflict(event).await,
        }
    }

    /// Looks up what was applied for an event and its user. Without a user, what
    /// the record says is found, whoever its user is.
    ///
    /// # Errors
    /// The store failed, or the record cannot be read.
    pub async fn find(
        &self,
        event: EventId,
        user: Option<UserId>,
    ) -> Result<Option<Acknowledgement>, StoreError> {
        let Some(record) = self.record_of(event).await? else { return Ok(None) };
        let found = match user {
            Some(user) => record.acknowledgement_for(user),
            None => record.acknowledgement().map(Some),
        };
        found.map_err(|malformed| StoreError::corrupt(LOOK, malformed))
    }

    async fn record_of(&self, event: EventId) -> Result<Option<InboxRecord>, StoreError> {
        let inbox = self.mongo.processed_events();
        let find = inbox.find_one(doc! { "eventId": id(event.uuid()) });
        let found = bounded(LOOK, async { find.await }).await?;
        Ok(found.as_ref().map(InboxRecord::read))
    }

    /// Notes that the workflows were told, or that there is none to tell.
    ///
    /// # Errors
    /// The store failed; some of them may be noted.
    pub(crate) async fn note_acknowledged(&self, events: &[EventId]) -> Result<(), StoreError> {
        let inbox = self.mongo.processed_events();
        let events: Vec<Bson> = events.iter().map(|event| id(event.uuid())).collect();
        let update = inbox.update_many(
            doc! { "eventId": { "$in": events }, "acknowledgedAt": null },
            doc! { "$set": { "acknowledgedAt": date(clock::now_ms()) } },
        );
        let noted = step(Step::AcknowledgeNote, async { update.await });
        bounded("note the acknowledgement", noted).await.map(drop)
    }

    /// Records whose workflow is not known to have been told, processed at
    /// least `older_than` ago, oldest first, at most `limit` after the last one
    /// seen. A record that cannot be read is named in the log and passed over.
    ///
    /// # Errors
    /// The store failed.
    pub(crate) async fn unacknowledged(
        &self,
        older_than: Duration,
        after: Option<Seen>,
        limit: u32,
    ) -> Result<Unacknowledged, StoreError> {
        let inbox = self.mongo.processed_events();
        let find = inbox
            .find(unnoted(earlier(older_than), after.as_ref()))
            .sort(doc! { "processedAt": 1, "_id": 1 })
            .limit(i64::from(limit));
        let records: Vec<Document> =
            bounded("list the inbox", async { find.await?.try_collect().await }).await?;
        let last = records.last().and_then(Seen::of);
        Ok(Unacknowledged { found: records.iter().filter_map(readable).collect(), last })
    }
}

/// The inbox record of an event.
fn record(event: &UserRegistered, now: DateTime) -> Document {
    let mut record = doc! {
        "eventId": id(event.event_id.uuid()),
        "userId": id(event.user_id.uuid()),
        "todoId": id(TodoId::welcome(event.user_id).uuid()),
        "processedAt": now,
        "acknowledgedAt": null,
    };
    // For an acknowledgement that is sent late.
    if let Some(traceparent) = &event.traceparent {
        record.insert("traceparent", traceparent.as_str());
    }
    record
}

/// The welcome todo of an event's user, without its id.
fn welcome(event: &UserRegistered, now: DateTime) -> Document {
    doc! {
        "userId": id(event.user_id.uuid()),
        "title": WELCOME_TITLE,
        "completed": false,
        "createdAt": now,
        "updatedAt": now,
    }
}

/// A page of records whose workflow is to be told.
#[derive(Debug)]
pub(crate) struct Unacknowledged {
    /// What to tell.
    pub(crate) found: Vec<Untold>,
    /// The last record of the page; none when there was nothing.
    pub(crate) last: Option<Seen>,
}

/// What a workflow is to be told.
#[derive(Debug, Clone)]
pub(crate) struct Untold {
    /// The acknowledgement.
    pub(crate) acknowledgement: Acknowledgement,
    /// The trace of the message that made the record.
    pub(crate) traceparent: Option<TraceParent>,
}

/// A record that a sweep has seen.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    processed_at: DateTime,
    id: Bson,
}

impl Seen {
    fn of(record: &Document) -> Option<Self> {
        let processed_at_ms = InboxRecord::read(record).processed_at.known()?;
        Some(Self { processed_at: date(processed_at_ms), id: record.get("_id")?.clone() })
    }
}

/// In terms of the index over records that are not noted.
fn unnoted(before: DateTime, after: Option<&Seen>) -> Document {
    let mut filter = doc! { "acknowledgedAt": null, "processedAt": { "$lte": before } };
    if let Some(Seen { processed_at, id }) = after {
        filter.insert("processedAt", doc! { "$lte": before, "$gte": processed_at });
        filter.insert(
            "$or",
            [
                doc! { "processedAt": { "$gt": processed_at } },
                doc! { "processedAt": processed_at, "_id": { "$gt": id } },
            ],
        );
    }
    filter
}

const WHAT: &str = "commit the inbox record";
const LOOK: &str = "look into the inbox";

impl Untold {
    fn of(record: &InboxRecord) -> Result<Self, Malformed> {
        Ok(Self { acknowledgement: record.acknowledgement()?, traceparent: record.traceparent()? })
    }
}

fn readable(record: &Document) -> Option<Untold> {
    let untold = Untold::of(&InboxRecord::read(record)).inspect_err(|error| {
        let id = record.get("_id");
        tracing::error!(?id, %error, "an inbox record cannot be read; repair it by hand");
    });
    untold.ok()
}
