//! What MongoDB holds once everything is quiet: the facts a run is judged by.

use futures::TryStreamExt as _;
use mongodb::Collection;
use mongodb::bson::{self, DateTime, Document, doc};
use onboard_contract::{EventId, OutboxStatus, UserId};
use onboard_events::todo::WELCOME_TITLE;
use onboard_ops::Databases;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

/// A registered user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Its id.
    pub id: UserId,
    /// Its address.
    pub email: String,
}

/// An outbox row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// The event, which is the registration's id.
    pub event: EventId,
    /// The user.
    pub user: UserId,
    /// From registration to terminal record, in ms; `None` while it is not
    /// SENT and acknowledged.
    pub took_ms: Option<i64>,
}

/// An inbox record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Applied {
    /// The event.
    pub event: EventId,
}

/// A welcome todo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Welcome {
    /// Whom it welcomes.
    pub user: UserId,
}

/// Everything of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// The users.
    pub users: Vec<User>,
    /// The outbox.
    pub rows: Vec<Row>,
    /// The inbox.
    pub inbox: Vec<Applied>,
    /// The welcome todos.
    pub todos: Vec<Welcome>,
}

impl Facts {
    /// Reads them, majority-committed.
    ///
    /// # Errors
    /// MongoDB does not answer, or holds something that is no such document.
    pub async fn read(mongo: &Databases) -> anyhow::Result<Self> {
        let welcome = doc! { "title": WELCOME_TITLE };
        let users: Vec<UserDocument> = all(mongo.users(), doc! {}).await?;
        let rows: Vec<RowDocument> = all(mongo.outbox(), doc! {}).await?;
        let inbox: Vec<AppliedDocument> = all(mongo.processed_events(), doc! {}).await?;
        let todos: Vec<WelcomeDocument> = all(mongo.todos(), welcome).await?;
        Ok(Self {
            users: users.into_iter().map(UserDocument::into_user).collect(),
            rows: rows.into_iter().map(RowDocument::into_row).collect(),
            inbox: inbox
                .iter()
                .map(|found| Applied { event: uuid(found.event_id).into() })
                .collect(),
            todos: todos.iter().map(|found| Welcome { user: uuid(found.user_id).into() }).collect(),
        })
    }
}

/// How many outbox rows are not at their end, and how many inbox records do
/// not say that they are acknowledged.
pub(crate) async fn unfinished(mongo: &Databases) -> anyhow::Result<u64> {
    let open = doc! { "$or": [{ "status": { "$ne": "SENT" } }, { "acknowledgedAt": null }] };
    let rows = mongo.outbox().count_documents(open).await?;
    let unnoted = mongo.processed_events().count_documents(doc! { "acknowledgedAt": null }).await?;
    Ok(rows + unnoted)
}

async fn all<T: DeserializeOwned + Send + Sync>(
    collection: Collection<Document>,
    filter: Document,
) -> anyhow::Result<Vec<T>> {
    Ok(collection.clone_with_type::<T>().find(filter).await?.try_collect().await?)
}

fn uuid(id: bson::Uuid) -> Uuid {
    Uuid::from_bytes(id.bytes())
}

#[derive(Debug, Deserialize)]
struct UserDocument {
    #[serde(rename = "_id")]
    id: bson::Uuid,
    email: String,
}

impl UserDocument {
    fn into_user(self) -> User {
        User { id: uuid(self.id).into(), email: self.email }
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RowDocument {
    #[serde(rename = "_id")]
    id: bson::Uuid,
    aggregate_id: bson::Uuid,
    status: OutboxStatus,
    created_at: DateTime,
    acknowledged_at: Option<DateTime>,
}

impl RowDocument {
    fn into_row(self) -> Row {
        let sent = matches!(self.status, OutboxStatus::Sent);
        let ended = self.acknowledged_at.filter(|_| sent);
        let took = |end: DateTime| end.timestamp_millis() - self.created_at.timestamp_millis();
        Row {
            event: uuid(self.id).into(),
            user: uuid(self.aggregate_id).into(),
            took_ms: ended.map(took),
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct AppliedDocument {
    event_id: bson::Uuid,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WelcomeDocument {
    user_id: bson::Uuid,
}
