//! A todo of the user's own.

use mongodb::bson::doc;
use onboard_contract::UserId;
use onboard_fault::{Step, step};
use onboard_mongo::bson_time::{date, id};
use onboard_mongo::{StoreError, ask, bounded};
use onboard_runtime::clock;

use super::{CREATED_BY_USER, FIRST, TODOS, Todo, Todos};

/// What became of a new todo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Created {
    /// It is there.
    Done(Todo),
    /// The user has as many as there may be.
    Full,
}

impl Todos {
    /// Makes a todo, unless the user has `most` already. Two at the same time
    /// may each see room for the last one: the bound keeps the disk from being
    /// filled, and is not exact.
    ///
    /// # Errors
    /// The store failed. After a time-out the todo may be there.
    pub async fn create(
        &self,
        user: UserId,
        title: &str,
        most: u32,
    ) -> Result<Created, StoreError> {
        if self.count(user, most).await? >= u64::from(most) {
            return Ok(Created::Full);
        }
        let now_ms = clock::now_ms();
        let todo = Todo {
            id: clock::ordered_id().into(),
            title: title.to_owned(),
            completed: false,
            created_at_ms: now_ms,
            updated_at_ms: now_ms,
            version: FIRST,
        };
        self.insert(user, &todo).await?;
        Ok(Created::Done(todo))
    }

    /// How many todos the user has, counting no further than `most`.
    async fn count(&self, user: UserId, most: u32) -> Result<u64, StoreError> {
        let todos = self.mongo.documents(TODOS);
        let count = todos.count_documents(doc! { "userId": id(user.uuid()) }).limit(most.into());
        ask("count the todos", count).await
    }

    async fn insert(&self, user: UserId, todo: &Todo) -> Result<(), StoreError> {
        let todos = self.mongo.documents(TODOS);
        let insert = todos.insert_one(doc! {
            "_id": id(todo.id.uuid()),
            "userId": id(user.uuid()),
            "title": &todo.title,
            "completed": todo.completed,
            "createdAt": date(todo.created_at_ms),
            "updatedAt": date(todo.updated_at_ms),
            "version": todo.version,
            "createdBy": CREATED_BY_USER,
        });
        let inserted = step(Step("todo.create"), async { insert.await });
        bounded("create the todo", inserted).await.map(drop)
    }
}
