//! The todos of a user, newest first, page by page.
//!
//! A page begins behind a position, not after a number of todos: what is made
//! or removed meanwhile neither shifts a todo onto the next page nor off it.

use futures::TryStreamExt;
use mongodb::bson::{Document, doc};
use onboard_contract::{TodoId, UserId};

use super::{Todo, TodoDocument, Todos};
use crate::StoreError;
use crate::bson_time::{date, id};
use crate::mongo::bounded;

/// Where a page ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// When the last todo of the page was made, in ms.
    pub created_at_ms: i64,
    /// That todo.
    pub id: TodoId,
}

/// A page of todos.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TodoPage {
    /// The todos, newest first.
    pub items: Vec<Todo>,
    /// Where the next page goes on; none at the end.
    pub next: Option<Position>,
}

impl Todos {
    /// At most `limit` todos of the user, those behind `after`.
    ///
    /// # Errors
    /// The store failed.
    pub async fn page(
        &self,
        user: UserId,
        after: Option<Position>,
        limit: usize,
    ) -> Result<TodoPage, StoreError> {
        let todos = self.mongo.todos().clone_with_type::<TodoDocument>();
        let find = todos
            .find(behind(user, after))
            .sort(doc! { "createdAt": -1, "_id": -1 })
            // One more tells whether there is a next page.
            .limit(i64::try_from(limit.saturating_add(1)).unwrap_or(i64::MAX));
        let found: Vec<TodoDocument> =
            bounded("list the todos", async { find.await?.try_collect().await }).await?;
        let more = found.len() > limit;
        let items: Vec<Todo> = found.into_iter().take(limit).map(TodoDocument::into_todo).collect();
        let next = items.last().filter(|_| more).map(Position::of);
        Ok(TodoPage { items, next })
    }
}

impl Position {
    const fn of(todo: &Todo) -> Self {
        Self { created_at_ms: todo.created_at_ms, id: todo.id }
    }
}

/// In terms of the index over `userId`, `createdAt` and `_id`.
fn behind(user: UserId, after: Option<Position>) -> Document {
    let mut filter = doc! { "userId": id(user.uuid()) };
    if let Some(after) = after {
        let at = date(after.created_at_ms);
        filter.insert("createdAt", doc! { "$lte": at });
        filter.insert(
            "$or",
            [
                doc! { "createdAt": { "$lt": at } },
                doc! { "createdAt": at, "_id": { "$lt": id(after.id.uuid()) } },
            ],
        );
    }
    filter
}
