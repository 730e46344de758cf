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

use mongodb::bson::{Bson, DateTime, Document, doc};
use onboard_contract::UserId;
use onboard_events::TodoId;
use onboard_mongo::bson_time::id;
use onboard_mongo::field::{self, DATE, FLAG, TEXT, UUID};
use onboard_mongo::scan::Kind;
use onboard_mongo::{Malformed, Mongo, Raw, StoreError, ask};

pub use change::{Change, Changed};
pub use create::Created;
pub use page::{Position, TodoPage};
pub use remove::Removed;
pub use welcome::Welcome;

/// Who made a todo that is not the welcome todo (`createdBy`).
pub const CREATED_BY_USER: &str = "user";
pub(crate) const TODOS: &str = "todos";
/// The todos, as a scan looks at them.
pub const KIND: Kind = Kind { collection: TODOS, check: check_todo };
/// The version of a document that has none.
const FIRST: i64 = 1;
/// The last version: a larger number is not exact in every client.
const LAST: i64 = 1 << 53;

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
        let todos = self.mongo.documents(TODOS).clone_with_type::<Raw>();
        let find = todos.find_one(owned(user, todo));
        let found = ask("look up the todo", find).await?;
        Ok(found.and_then(|found| self.read(&found)))
    }

    /// A todo; one that cannot be read counts as absent.
    fn read(&self, raw: &Raw) -> Option<Todo> {
        self.mongo.noted().read(TODOS, raw, Todo::read)
    }
}

/// The filter for a todo of this user and nobody else.
fn owned(user: UserId, todo: TodoId) -> Document {
    doc! { "_id": id(todo.uuid()), "userId": id(user.uuid()) }
}

/// The fields of a todo that can be read, as a filter: no other is changed, so that
/// MongoDB computes with nothing it cannot compute with.
fn readable() -> Document {
    let whole = doc! { "$type": ["int", "long"], "$gte": FIRST, "$lt": LAST };
    doc! {
        "title": { "$type": "string" },
        "completed": { "$type": "bool" },
        "createdAt": { "$type": "date", "$lt": DateTime::MAX },
        "updatedAt": { "$type": "date" },
        "$or": [{ "version": null }, { "version": whole }],
        // A list matches by its members, and `undefined` matches null.
        "$nor": [{ "version": { "$type": ["array", "undefined"] } }],
    }
}

impl Expected {
    /// The filter for the todo in such a version.
    fn of(&self, user: UserId, todo: TodoId) -> Document {
        let mut filter = owned(user, todo);
        filter.extend(readable());
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

impl Todo {
    fn read(todo: &Document) -> Result<Self, Malformed> {
        let time = |name: &'static str| field::time(todo, name).required(name, DATE);
        let version = field::read(todo, "version", version);
        let created_at = field::read(todo, "createdAt", birth);
        Ok(Self {
            id: field::id(todo, "_id").required("_id", UUID)?.into(),
            title: field::text(todo, "title").required("title", TEXT)?.to_owned(),
            completed: field::flag(todo, "completed").required("completed", FLAG)?,
            created_at_ms: created_at.required("createdAt", DATE)?,
            updated_at_ms: time("updatedAt")?,
            version: version.optional("version", "a version")?.unwrap_or(FIRST),
        })
    }
}

/// Any time that another one can follow.
fn birth(value: &Bson) -> Option<i64> {
    let at = value.as_datetime().filter(|at| **at < DateTime::MAX);
    at.map(|at| at.timestamp_millis())
}

fn version(value: &Bson) -> Option<i64> {
    let version = value.as_i64().or_else(|| value.as_i32().map(i64::from));
    version.filter(|version| (FIRST..LAST).contains(version))
}

/// What is wrong with a todo, if anything is.
///
/// # Errors
/// The first field that is missing or of another type.
pub fn check_todo(todo: &Document) -> Result<(), Malformed> {
    Todo::read(todo)?;
    field::id(todo, "userId").required("userId", UUID).map(drop)
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
