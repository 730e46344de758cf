//! A change to a todo, by its user.

use mongodb::bson::{Document, doc};
use mongodb::options::ReturnDocument;
use onboard_contract::UserId;
use onboard_events::TodoId;
use onboard_fault::{Step, step};
use onboard_mongo::bson_time::date;
use onboard_mongo::{OPERATION_DEADLINE, Raw, StoreError, bounded};
use onboard_runtime::clock;

use super::{Expected, FIRST, TODOS, Todo, Todos};

/// What is to be changed; `None` stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Change {
    /// The new title.
    pub title: Option<String>,
    /// Whether it is done.
    pub completed: Option<bool>,
}

/// What became of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changed {
    /// The todo as it is now.
    Done(Todo),
    /// The user has no such todo.
    Unknown,
    /// The todo is in another version than expected.
    Stale,
}

impl Todos {
    /// Changes a todo of the user that is in the expected version.
    ///
    /// # Errors
    /// The store failed. After a time-out the change may have happened.
    pub async fn change(
        &self,
        user: UserId,
        todo: TodoId,
        change: Change,
        expected: &Expected,
    ) -> Result<Changed, StoreError> {
        let todos = self.mongo.documents(TODOS).clone_with_type::<Raw>();
        let update = todos
            .find_one_and_update(expected.of(user, todo), vec![stage(change)])
            .return_document(ReturnDocument::After)
            // Without what nobody asks for, which may be no UTF-8.
            .projection(doc! {
                "title": 1, "completed": 1, "createdAt": 1, "updatedAt": 1, "version": 1,
            })
            .max_time(OPERATION_DEADLINE);
        let updated = step(Step("todo.change"), async { update.await });
        let changed = match bounded("change the todo", updated).await {
            Ok(changed) => changed,
            // The driver reads no answer that holds a text that is no UTF-8.
            Err(_) if self.find(user, todo).await?.is_none() => return Ok(Changed::Unknown),
            Err(error) => return Err(error),
        };
        match changed.and_then(|changed| self.read(&changed)) {
            Some(changed) => Ok(Changed::Done(changed)),
            None if self.is_stale(user, todo, expected).await? => Ok(Changed::Stale),
            None => Ok(Changed::Unknown),
        }
    }

    /// Whether a todo that was not found as expected is there all the same.
    pub(super) async fn is_stale(
        &self,
        user: UserId,
        todo: TodoId,
        expected: &Expected,
    ) -> Result<bool, StoreError> {
        match expected {
            Expected::Any => Ok(false),
            Expected::OneOf(_) => Ok(self.find(user, todo).await?.is_some()),
        }
    }
}

/// A stage of a pipeline, since only there can a missing version count as the
/// first. What the user wrote is a literal: a title may begin with `$`.
///
/// The time of the change always lies after that of the birth, whatever the
/// clocks of two machines say: the audit tells a renamed welcome todo from an
/// altered one by it.
fn stage(change: Change) -> Document {
    let version = doc! { "$ifNull": ["$version", FIRST] };
    let after_birth = doc! { "$add": ["$createdAt", 1_i64] };
    let mut set = doc! {
        "version": { "$add": [version, 1_i64] },
        "updatedAt": { "$max": [date(clock::now_ms()), "$updatedAt", after_birth] },
    };
    if let Some(title) = change.title {
        set.insert("title", doc! { "$literal": title });
    }
    if let Some(completed) = change.completed {
        set.insert("completed", completed);
    }
    doc! { "$set": set }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_user_wrote_is_never_an_expression() {
        let change = Change { title: Some("$userId".to_owned()), completed: None };
        let stage = stage(change);
        let set = stage.get_document("$set").unwrap();
        assert_eq!(set.get_document("title").unwrap(), &doc! { "$literal": "$userId" });
        assert!(!set.contains_key("completed"), "what is not named stays: {set}");
    }
}
