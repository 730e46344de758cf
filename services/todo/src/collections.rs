//! The collections of the todo service: inbox and todos.
//!
//! A field that is not listed may be there: one version of the program writes
//! fields that another one does not know. These are pure functions: a process
//! that dies here has changed nothing.

use mongodb::bson::{Document, doc};
use onboard_inbox::InboxNames;
use onboard_mongo::setup::{Definition, Index, uuid};

use crate::todos::TODOS;

/// The names of the inbox.
pub const INBOX_NAMES: InboxNames = InboxNames {
    aggregate: "userId",
    reference: "todoId",
    deleted: "todoDeletedAt",
    ..InboxNames::PLAIN
};

/// Every collection of the todo service.
#[must_use]
pub fn collections() -> [Definition; 2] {
    let listed = doc! { "userId": 1, "createdAt": -1, "_id": -1 };
    let todos =
        Definition { name: TODOS.to_owned(), schema: todos(), indexes: vec![Index::plain(listed)] };
    [INBOX_NAMES.definition(), todos]
}

fn todos() -> Document {
    doc! {
        "bsonType": "object",
        "required": ["_id", "userId", "title", "completed", "createdAt", "updatedAt"],
        "properties": {
            "_id": uuid(),
            "userId": uuid(),
            "title": { "bsonType": "string", "minLength": 1, "maxLength": 200 },
            "completed": { "bsonType": "bool" },
            "createdAt": { "bsonType": "date" },
            "updatedAt": { "bsonType": "date" },
            "version": { "bsonType": ["int", "long"], "minimum": 1 },
            "createdBy": { "enum": ["user"] },
        },
    }
}
