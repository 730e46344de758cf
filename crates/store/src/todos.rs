//! The todos of users: each call names the user, and the user is in the filter
//! of every query, so that nobody reaches another's.
//!
//! A todo has a version that grows by one with every change; a document
//! without one (a welcome todo as it was made) is in version 1. Every change is
//! one document update with its condition in the filter. When the process dies,
//! a change has happened whole or not at all, and only its answer is lost.

mod change;
mod create;
mod page;
mod remove;
mod welcome;

use mongodb::bson::{self, Bson, DateTime, Document, doc};
use onboard_contract::{TodoId, UserId};
use serde::Deserialize;

use crate::StoreError;
use crate::bson_time::{id, uuid};
use crate::mongo::{Mongo, bounded};

pub use change::{Change, Changed};
pub use create::Created;
pub use page::{Position, TodoPage};
pub use remove::Removed;
pub use welcome::Welcome;

/// Who made a todo that is not the welcome todo (`createdBy`).
pub const CREATED_BY_USER: &str = "user";
/// The version of a document that has none.
const FIRST: i64 = 1;

/// The todos in MongoDB.
#[derive(Debug, Clone)]
pub struct Todos {
    mongo: Mongo,
}

/// A todo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Todo {
    /// Its id.
    pub id: TodoId,
    /// The title, as it was given.
    pub title: String,
    /// Whether it is done.
    pub completed: bool,
    /// When it was made, in ms.
    pub created_at_ms: i64,
    /// When it was changed last, in ms; `created_at_ms` when never.
    pub updated_at_ms: i64,
    /// Grows by one with every change.
    pub version: i64,
}

/// In which version a todo must be for an act on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// In any.
    Any,
    /// In one of these.
    OneOf(Vec<i64>),
}

impl Todos {
    /// Over a client.
    #[must_use]
    pub fn new(mongo: &Mongo) -> Self {
        Self { mongo: mongo.clone() }
    }

    /// Looks up a todo of the user.
    ///
    /// # Errors
    /// The store failed.
    pub async fn find(&self, user: UserId, todo: TodoId) -> Result<Option<Todo>, StoreError> {
        let todos = self.mongo.todos().clone_with_type::<TodoDocument>();
        let find = todos.find_one(owned(user, todo));
        let found = bounded("look up the todo", async { find.await }).await?;
        Ok(found.map(TodoDocument::into_todo))
    }
}

/// The filter for a todo of this user and nobody else.
fn owned(user: UserId, todo: TodoId) -> Document {
    doc! { "_id": id(todo.uuid()), "userId": id(user.uuid()) }
}

impl Expected {
    /// The filter for the todo in such a version.
    fn of(&self, user: UserId, todo: TodoId) -> Document {
        let mut filter = owned(user, todo);
        if let Self::OneOf(versions) = self {
            let mut wanted: Vec<Bson> = versions.iter().copied().map(Bson::Int64).collect();
            if versions.contains(&FIRST) {
                // Also matches a document without the field.
                wanted.push(Bson::Null);
            }
            filter.insert("version", doc! { "$in": wanted });
        }
        filter
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct TodoDocument {
    #[serde(rename = "_id")]
    id: bson::Uuid,
    title: String,
    completed: bool,
    created_at: DateTime,
    updated_at: DateTime,
    #[serde(default = "first")]
    version: i64,
}

const fn first() -> i64 {
    FIRST
}

impl TodoDocument {
    fn into_todo(self) -> Todo {
        Todo {
            id: uuid(self.id).into(),
            title: self.title,
            completed: self.completed,
            created_at_ms: self.created_at.timestamp_millis(),
            updated_at_ms: self.updated_at.timestamp_millis(),
            version: self.version,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_filter_names_the_user() {
        let user = UserId::from(uuid::Uuid::from_u128(1));
        let todo = TodoId::from(uuid::Uuid::from_u128(2));
        for expected in [Expected::Any, Expected::OneOf(vec![]), Expected::OneOf(vec![1, 7])] {
            let filter = expected.of(user, todo);
            assert_eq!(filter.get("userId"), Some(&id(user.uuid())), "{filter}");
            assert_eq!(filter.get("_id"), Some(&id(todo.uuid())), "{filter}");
        }
    }

    #[test]
    fn a_document_without_a_version_is_in_the_first() {
        let (user, todo) = (uuid::Uuid::from_u128(1).into(), uuid::Uuid::from_u128(2).into());
        let wanted = |versions: &[i64]| {
            let filter = Expected::OneOf(versions.to_vec()).of(user, todo);
            filter.get_document("version").unwrap().get_array("$in").unwrap().clone()
        };
        assert_eq!(wanted(&[1]), [Bson::Int64(1), Bson::Null]);
        assert_eq!(wanted(&[2]), [Bson::Int64(2)]);
        assert_eq!(wanted(&[]), []);
    }
}
