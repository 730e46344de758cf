//! The collections of the todo service: inbox and todos.
//!
//! A field that is not listed may be there: one version of the program writes
//! fields that another one does not know. These are pure functions: a process
//! that dies here has changed nothing.

use mongodb::bson::{Document, doc};

use super::uuid;
use crate::inbox::CONFLICTS_MAX;

pub(super) fn processed_events() -> Document {
    doc! {
        "bsonType": "object",
        "required": ["eventId", "userId", "todoId", "processedAt"],
        "properties": {
            "eventId": uuid(),
            "userId": uuid(),
            "todoId": uuid(),
            "processedAt": { "bsonType": "date" },
            "acknowledgedAt": { "bsonType": ["date", "null"] },
            "todoDeletedAt": { "bsonType": "date" },
            "traceparent": { "bsonType": ["string", "null"] },
            "conflicts": {
                "bsonType": "array",
                "maxItems": i64::try_from(CONFLICTS_MAX).unwrap_or(i64::MAX),
                "items": {
                    "bsonType": "object",
                    "required": ["userId", "todoId", "at"],
                    "properties": {
                        "userId": uuid(),
                        "todoId": uuid(),
                        "at": { "bsonType": "date" },
                        "todoDeletedAt": { "bsonType": "date" },
                    },
                },
            },
        },
    }
}

pub(super) fn todos() -> Document {
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
