//! The removal of a todo, by its user.
//!
//! That of the welcome todo is noted on the inbox records in the same
//! transaction, on one that has the user as a conflict, too: without the note its absence is a loss, and an event of the user
//! that comes later would make it anew. Retention keeps a record that has a
//! note. A record that retention removed before cannot be noted on; what that
//! leaves open is said in ADR 0021.

use mongodb::bson::{Document, doc};
use onboard_contract::UserId;
use onboard_events::TodoId;
use onboard_fault::{Step, step};
use onboard_mongo::bson_time::{date, id};
use onboard_mongo::{StoreError, bounded, transact_at};
use onboard_runtime::clock;

use super::{Expected, TODOS, Todos};
use crate::INBOX_NAMES;

/// What became of a removal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removed {
    /// The todo is gone.
    Done,
    /// The user has no such todo.
    Unknown,
    /// The todo is in another version than expected.
    Stale,
}

const WHAT: &str = "remove the todo";

impl Todos {
    /// Removes a todo of the user that is in the expected version.
    ///
    /// # Errors
    /// The store failed. After a time-out it may be gone.
    pub async fn remove(
        &self,
        user: UserId,
        todo: TodoId,
        expected: &Expected,
    ) -> Result<Removed, StoreError> {
        let filter = expected.of(user, todo);
        let gone = if todo == TodoId::welcome(user) {
            bounded(WHAT, self.remove_welcome(user, todo, filter)).await?
        } else {
            bounded(WHAT, self.remove_own(filter)).await?
        };
        if gone {
            return Ok(Removed::Done);
        }
        let stale = self.is_stale(user, todo, expected).await?;
        Ok(if stale { Removed::Stale } else { Removed::Unknown })
    }

    async fn remove_own(&self, filter: Document) -> mongodb::error::Result<bool> {
        let todos = self.mongo.documents(TODOS);
        let removed = step(Step("todo.remove"), async { todos.delete_one(filter).await }).await?;
        Ok(removed.deleted_count > 0)
    }

    async fn remove_welcome(
        &self,
        user: UserId,
        todo: TodoId,
        filter: Document,
    ) -> mongodb::error::Result<bool> {
        let (inbox, todos) =
            (self.mongo.documents(INBOX_NAMES.collection), self.mongo.documents(TODOS));
        let records = doc! { "todoId": id(todo.uuid()), "userId": id(user.uuid()) };
        let now = date(clock::now_ms());
        let note = doc! { "$set": { "todoDeletedAt": now } };
        let conflict = doc! { "conflicts": { "$elemMatch": records.clone() } };
        let note_there = doc! { "$set": { "conflicts.$[one].todoDeletedAt": now } };
        let one = doc! { "one.todoId": id(todo.uuid()), "one.userId": id(user.uuid()) };
        transact_at(Step("todo.remove_commit"), self.mongo.client(), async move |session| {
            let removed = todos.delete_one(filter.clone()).session(&mut *session).await?;
            if removed.deleted_count == 0 {
                return Ok(false);
            }
            inbox.update_many(records.clone(), note.clone()).session(&mut *session).await?;
            inbox
                .update_many(conflict.clone(), note_there.clone())
                .array_filters([one.clone()])
                .session(&mut *session)
                .await?;
            Ok(true)
        })
        .await
    }
}
