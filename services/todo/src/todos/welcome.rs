//! The welcome todos of users, in a transaction of the inbox.
//!
//! A user whose welcome todo was deleted gets no other: a record of the inbox notes
//! the deletion. A process that dies before the commit has made none of them.

use std::collections::{HashMap, HashSet};

use futures::TryStreamExt;
use mongodb::ClientSession;
use mongodb::bson::{Bson, DateTime, Document, RawDocumentBuf, doc};
use onboard_contract::UserId;
use onboard_events::TodoId;
use onboard_events::todo::WELCOME_TITLE;
use onboard_inbox::InboxRecord;
use onboard_mongo::bson_time::{date, id};
use onboard_mongo::{OPERATION_DEADLINE, Read, StoreError, bounded, field, raw_document, refusal};
use onboard_runtime::clock;

use super::{TODOS, Todos, owned};
use crate::INBOX_NAMES;

/// What a user's todo is known to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Welcome {
    /// Not made yet: when it is there, the insert fails with a duplicate key.
    Missing,
    /// It may be there, so look first.
    Unknown,
}

impl Todos {
    /// Makes the welcome todos of these users, unless they are there or were deleted.
    ///
    /// # Errors
    /// The driver's.
    pub async fn welcome(
        &self,
        session: &mut ClientSession,
        users: &[UserId],
        known: Welcome,
    ) -> mongodb::error::Result<()> {
        let all: Vec<Bson> = users.iter().map(|user| id(TodoId::welcome(*user).uuid())).collect();
        // First, while the index knows nothing of these users but what it is
        // asked for. The snapshot is the same anywhere in the transaction.
        let mut there = self.deleted(session, &all).await?;
        if known == Welcome::Unknown {
            there.extend(self.present(session, users).await?);
        }
        let now = date(clock::now_ms());
        let missing = users.iter().filter(|user| there.insert(TodoId::welcome(**user)));
        let missing: Vec<Document> = missing.map(|user| welcome(*user, now)).collect();
        if !missing.is_empty() {
            self.mongo.documents(TODOS).insert_many(missing).session(session).await?;
        }
        Ok(())
    }

    /// Whether the user has this todo, or has deleted it as the welcome todo. A todo of
    /// another user with the same id does not count.
    ///
    /// # Errors
    /// The store failed.
    pub async fn has_or_deleted(&self, user: UserId, todo: TodoId) -> Result<bool, StoreError> {
        let (todos, inbox) =
            (self.mongo.documents(TODOS), self.mongo.documents(INBOX_NAMES.collection));
        let of_user = todos.find_one(owned(user, todo)).projection(doc! { "_id": 1 });
        let deletion = inbox.find_one(deletions_of(&[id(todo.uuid())]));
        let deletion = deletion.projection(doc! { "_id": 1 });
        let look = async {
            Ok(of_user.read(OPERATION_DEADLINE).await?.is_some()
                || (todo == TodoId::welcome(user)
                    && deletion.read(OPERATION_DEADLINE).await?.is_some()))
        };
        bounded("look for the welcome todo", look).await
    }

    /// Those that their users have deleted.
    async fn deleted(
        &self,
        session: &mut ClientSession,
        todos: &[Bson],
    ) -> mongodb::error::Result<HashSet<TodoId>> {
        let only = doc! { "_id": 0, "todoId": 1, "todoDeletedAt": 1, "conflicts": 1 };
        let inbox =
            self.mongo.documents(INBOX_NAMES.collection).clone_with_type::<RawDocumentBuf>();
        let find = inbox.find(deletions_of(todos)).projection(only);
        let mut found = find.session(&mut *session).await?;
        let records: Vec<RawDocumentBuf> = found.stream(session).try_collect().await?;
        let read = |one: &RawDocumentBuf| INBOX_NAMES.read(&raw_document::readable(one));
        let records: Vec<_> = records.iter().map(read).collect();
        let made = records.iter().flat_map(InboxRecord::made);
        Ok(made.filter(|(_, deleted)| *deleted).map(|(todo, _)| todo.into()).collect())
    }

    /// Those that are there.
    async fn present(
        &self,
        session: &mut ClientSession,
        users: &[UserId],
    ) -> mongodb::error::Result<HashSet<TodoId>> {
        let owners: HashMap<TodoId, UserId> =
            users.iter().map(|user| (TodoId::welcome(*user), *user)).collect();
        let all: Vec<Bson> = owners.keys().map(|todo| id(todo.uuid())).collect();
        let collection = self.mongo.documents(TODOS);
        let find = collection.find(doc! { "_id": { "$in": all } });
        let mut found = find.projection(doc! { "userId": 1 }).session(&mut *session).await?;
        let todos: Vec<Document> = found.stream(session).try_collect().await?;
        let mut there = HashSet::new();
        for found in &todos {
            let Some(todo) = field::id(found, "_id").map(TodoId::from).known() else { continue };
            let owner = field::id(found, "userId").map(UserId::from).known();
            if owner != owners.get(&todo).copied() {
                return Err(refusal("another user's todo has the id of the welcome todo"));
            }
            there.insert(todo);
        }
        Ok(there)
    }
}

fn welcome(user: UserId, now: DateTime) -> Document {
    doc! {
        "_id": id(TodoId::welcome(user).uuid()),
        "userId": id(user.uuid()),
        "title": WELCOME_TITLE,
        "completed": false,
        "createdAt": now,
        "updatedAt": now,
    }
}

/// The records that note the deletion of one of these welcome todos.
fn deletions_of(todos: &[Bson]) -> Document {
    let noted = doc! { "todoId": { "$in": todos }, "todoDeletedAt": { "$exists": true } };
    doc! { "$or": [noted.clone(), { "conflicts": { "$elemMatch": noted } }] }
}
