//! The todos of a user, newest first, page by page.
//!
//! A page begins behind a position, not after a number of todos: what is made
//! or removed meanwhile neither shifts a todo onto the next page nor off it. A todo
//! that cannot be read is left out, and those behind it take its place.

use mongodb::bson::{DateTime, Document, doc};
use onboard_contract::UserId;
use onboard_events::TodoId;
use onboard_mongo::bson_time::{date, id};
use onboard_mongo::{Raw, StoreError, ask};

use super::{TODOS, Todo, Todos};

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
        // One more tells whether there is a next page.
        let mut asked = limit.saturating_add(1);
        loop {
            let found = self.behind(user, after, asked).await?;
            let all = found.len() < asked;
            let mut items: Vec<Todo> = found.iter().filter_map(|raw| self.read(raw)).collect();
            if items.len() <= limit && !all {
                asked = asked.saturating_mul(2);
                continue;
            }
            let more = items.len() > limit;
            items.truncate(limit);
            let next = items.last().filter(|_| more).map(Position::of);
            return Ok(TodoPage { items, next });
        }
    }

    /// The first todos behind a position, those that cannot be read among them.
    async fn behind(
        &self,
        user: UserId,
        after: Option<Position>,
        limit: usize,
    ) -> Result<Vec<Raw>, StoreError> {
        let todos = self.mongo.documents(TODOS).clone_with_type::<Raw>();
        let find = todos
            .find(behind(user, after))
            .sort(order())
            .limit(i64::try_from(limit).unwrap_or(i64::MAX));
        ask("list the todos", find).await
    }
}

/// That of the index over `userId`, `createdAt` and `_id`.
fn order() -> Document {
    doc! { "createdAt": -1, "_id": -1 }
}

impl Position {
    const fn of(todo: &Todo) -> Self {
        Self { created_at_ms: todo.created_at_ms, id: todo.id }
    }
}

/// In terms of the index. Todos whose `createdAt` is no date have no place among the
/// others.
fn behind(user: UserId, after: Option<Position>) -> Document {
    let mut filter = doc! { "userId": id(user.uuid()), "createdAt": { "$lte": DateTime::MAX } };
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
