//! The collections of an outbox: its rows, and the consumers that setup has noted.
//!
//! A field that is not listed may be there: one version of the program writes fields
//! that another one does not know. These are pure functions: a process that dies here
//! has changed nothing.

use mongodb::bson::{Document, doc};
use onboard_contract::acknowledged::REF_CHARS_MAX;
use onboard_mongo::setup::{Definition, Index, uuid};

use crate::due::due_order;
use crate::known::CONSUMERS;
use crate::stages::order;
use crate::unfinished::odd_end;

/// The name of a consumer (`ConsumerName` in the contract).
const CONSUMER: &str = "^[a-z][a-z0-9_]{0,31}$";

/// The collections of the outbox of this name. `events` says what the rows of some event
/// types hold, as a schema: who writes them gives it.
#[must_use]
pub fn collections(outbox: &str, events: &[(&str, Document)]) -> [Definition; 2] {
    let pending = doc! { "status": "PENDING" };
    let quarantined = doc! { "quarantinedAt": { "$exists": true } };
    let ahead = doc! { "aheadSeenAt": { "$exists": true } };
    let unacknowledged = doc! { "acknowledgedAt": null };
    [
        Definition {
            name: outbox.to_owned(),
            schema: rows(events),
            indexes: vec![
                Index::partial(due_order(), pending),
                Index::partial(order(), unacknowledged),
                Index::partial(doc! { "quarantinedAt": 1 }, quarantined),
                Index::partial(doc! { "aheadSeenAt": 1 }, ahead),
                Index::partial(doc! { "acknowledgedAt": 1 }, odd_end()),
                Index::plain(doc! { "aggregateId": 1 }),
            ],
        },
        Definition { name: CONSUMERS.to_owned(), schema: consumers(), indexes: Vec::new() },
    ]
}

fn rows(events: &[(&str, Document)]) -> Document {
    let of_status = doc! { "oneOf": [
        { "properties": { "status": { "enum": ["PENDING"] } }, "required": ["nextAttemptAt"] },
        { "properties": {
            "status": { "enum": ["SENT"] },
            "sentAt": { "bsonType": "date" },
        }, "required": ["sentAt"] },
    ] };
    let of_event = events.iter().map(|(event, row)| {
        let other = doc! { "properties": { "eventType": { "not": { "enum": [event] } } } };
        doc! { "anyOf": [other, row.clone()] }
    });
    let all: Vec<Document> = std::iter::once(of_status).chain(of_event).collect();
    doc! {
        "bsonType": "object",
        "required": [
            "_id", "aggregateType", "aggregateId", "eventType", "schemaVersion", "payload",
            "status", "createdAt",
        ],
        "properties": {
            "_id": uuid(),
            "aggregateType": { "bsonType": "string", "minLength": 1, "maxLength": 64 },
            "aggregateId": uuid(),
            "eventType": { "bsonType": "string", "pattern": "^[A-Z][A-Z0-9_]{0,63}$" },
            "schemaVersion": { "bsonType": ["int", "long"], "minimum": 1 },
            "aggregateVersion": { "bsonType": ["int", "long"], "minimum": 1 },
            "payload": { "bsonType": "object" },
            "traceparent": { "bsonType": ["string", "null"] },
            "status": { "enum": ["PENDING", "SENT"] },
            "createdAt": { "bsonType": "date" },
            "startedAt": { "bsonType": ["date", "null"] },
            "sentAt": { "bsonType": ["date", "null"] },
            "acknowledgedAt": { "bsonType": ["date", "null"] },
            "expects": {
                "bsonType": "array",
                "items": { "bsonType": "string", "pattern": CONSUMER },
                "uniqueItems": true,
            },
            "acknowledgements": named(doc! {
                "bsonType": "object",
                "required": ["at"],
                "properties": {
                    "at": { "bsonType": "date" },
                    "ref": { "bsonType": "string", "maxLength": i64::from(REF_CHARS_MAX) },
                },
            }),
            "waived": named(doc! {
                "bsonType": "object",
                "required": ["at", "reason"],
                "properties": {
                    "at": { "bsonType": "date" },
                    "reason": { "bsonType": "string", "minLength": 1 },
                },
            }),
            "attempts": { "bsonType": ["int", "long"], "minimum": 0 },
            "refusals": { "bsonType": ["int", "long"], "minimum": 0 },
            "nextAttemptAt": { "bsonType": "date" },
            "quarantinedAt": { "bsonType": "date" },
            "aheadSeenAt": { "bsonType": "date" },
            "lastError": { "bsonType": ["string", "null"], "maxLength": 500 },
        },
        "allOf": all,
    }
}

/// An object whose keys are names of consumers.
fn named(each: Document) -> Document {
    doc! {
        "bsonType": "object",
        "patternProperties": { CONSUMER: each },
        "additionalProperties": false,
    }
}

fn consumers() -> Document {
    doc! {
        "bsonType": "object",
        "required": ["_id", "eventType", "declaredAt"],
        "properties": {
            "_id": { "bsonType": "string", "pattern": CONSUMER },
            "eventType": { "enum": [onboard_events::RELEASED.name] },
            "declaredAt": { "bsonType": "date" },
            "retiredAt": { "bsonType": "date" },
        },
    }
}
