//! Collections with `$jsonSchema` validators and indexes.
//!
//! The validators are the last line: no code path inserts a row that the
//! system cannot read, or makes one of a row that it could.

mod accounts;

use std::time::Duration;

use mongodb::bson::{Document, doc};
use mongodb::options::IndexOptions;
use mongodb::{Database, IndexModel};
use onboard_contract::names::{AGGREGATE_USER, SCHEMA_VERSION, USER_REGISTERED};

use super::SetupError;
use crate::Mongo;
use crate::error::code;
use crate::outbox::claim::due_order;
use crate::outbox::stages::order;

const NAMESPACE_EXISTS: i32 = 48;
const STEP_DEADLINE: Duration = Duration::from_mins(1);

/// Creates or updates every collection of both databases.
///
/// # Errors
/// See [`SetupError`].
pub async fn prepare_collections(mongo: &Mongo) -> Result<(), SetupError> {
    let (auth, todo) = (mongo.auth(), mongo.todo());
    collection(auth, "users", users()).await?;
    collection(auth, "outbox", outbox()).await?;
    collection(auth, "redrives", redrives()).await?;
    collection(auth, "idempotency_keys", accounts::idempotency_keys()).await?;
    collection(auth, "sessions", accounts::sessions()).await?;
    collection(auth, "refresh_tokens", accounts::refresh_tokens()).await?;
    collection(auth, "signing_keys", accounts::signing_keys()).await?;
    collection(auth, "role_changes", accounts::role_changes()).await?;
    collection(todo, "processed_events", processed_events()).await?;
    collection(todo, "todos", todos()).await?;
    let pending = doc! { "status": "PENDING" };
    let quarantined = doc! { "quarantinedAt": { "$exists": true } };
    let unnoted = doc! { "acknowledgedAt": null };
    index(auth, "users", doc! { "emailCanonical": 1 }, unique()).await?;
    index(auth, "outbox", due_order(), partial(pending)).await?;
    index(auth, "outbox", order(), partial(doc! { "acknowledgedAt": null })).await?;
    index(auth, "outbox", doc! { "quarantinedAt": 1 }, partial(quarantined)).await?;
    index(auth, "outbox", doc! { "aggregateId": 1 }, IndexOptions::default()).await?;
    index(auth, "redrives", doc! { "eventId": 1 }, IndexOptions::default()).await?;
    index(auth, "idempotency_keys", doc! { "expiresAt": 1 }, expired()).await?;
    index(auth, "sessions", doc! { "expiresAt": 1 }, expired()).await?;
    index(auth, "refresh_tokens", doc! { "expiresAt": 1 }, expired()).await?;
    index(auth, "signing_keys", doc! { "goneFrom": 1 }, expired()).await?;
    index(auth, "signing_keys", doc! { "first": 1 }, one(doc! { "first": true })).await?;
    index(auth, "role_changes", doc! { "userId": 1 }, IndexOptions::default()).await?;
    index(todo, "processed_events", doc! { "eventId": 1 }, unique()).await?;
    index(todo, "processed_events", doc! { "processedAt": 1 }, partial(unnoted)).await?;
    index(todo, "processed_events", doc! { "todoId": 1 }, IndexOptions::default()).await?;
    let listed = doc! { "userId": 1, "createdAt": -1, "_id": -1 };
    index(todo, "todos", listed, IndexOptions::default()).await
}

async fn collection(
    database: &Database,
    name: &'static str,
    schema: Document,
) -> Result<(), SetupError> {
    let validator = doc! { "$jsonSchema": schema };
    // Moderate: what was damaged by hand can still be updated, so that the
    // relay can put such a row off without the right to bypass validation.
    let level = "moderate";
    let create = doc! { "create": name, "validator": validator.clone(), "validationLevel": level };
    match step("create the collection", database.run_command(create)).await {
        Ok(_) => Ok(()),
        Err(SetupError::Step { source, .. }) if code(&source) == Some(NAMESPACE_EXISTS) => {
            let modify = doc! { "collMod": name, "validator": validator, "validationLevel": level };
            step("update the validator", database.run_command(modify)).await.map(drop)
        }
        Err(error) => Err(error),
    }
}

async fn index(
    database: &Database,
    collection: &str,
    keys: Document,
    options: IndexOptions,
) -> Result<(), SetupError> {
    let model = IndexModel::builder().keys(keys).options(options).build();
    let rows = database.collection::<Document>(collection);
    step("create the index", rows.create_index(model)).await.map(drop)
}

pub(super) async fn step<T>(
    what: &'static str,
    action: impl IntoFuture<Output = mongodb::error::Result<T>>,
) -> Result<T, SetupError> {
    match tokio::time::timeout(STEP_DEADLINE, action.into_future()).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(source)) => Err(SetupError::Step { what, source }),
        Err(_) => Err(SetupError::TimedOut(what)),
    }
}

fn unique() -> IndexOptions {
    IndexOptions::builder().unique(true).build()
}

fn partial(filter: Document) -> IndexOptions {
    IndexOptions::builder().partial_filter_expression(filter).build()
}

/// At most one document of those in the filter.
fn one(filter: Document) -> IndexOptions {
    IndexOptions::builder().unique(true).partial_filter_expression(filter).build()
}

/// Removed by the server once the time in the field has come. What has expired
/// counts for nothing before that, too.
fn expired() -> IndexOptions {
    IndexOptions::builder().expire_after(Duration::ZERO).build()
}

fn users() -> Document {
    doc! {
        "bsonType": "object",
        "required": ["_id", "email", "emailCanonical", "passwordHash", "createdAt"],
        "properties": {
            "_id": uuid(),
            "email": { "bsonType": "string", "minLength": 3, "maxLength": 254 },
            "emailCanonical": { "bsonType": "string", "minLength": 3, "maxLength": 512 },
            "passwordHash": { "bsonType": "string", "pattern": "^\\$argon2id\\$" },
            "createdAt": { "bsonType": "date" },
            "roles": { "bsonType": "array", "items": { "enum": ["user", "admin"] } },
        },
    }
}

fn outbox() -> Document {
    doc! {
        "bsonType": "object",
        "required": [
            "_id", "aggregateType", "aggregateId", "eventType", "schemaVersion", "payload",
            "status", "createdAt",
        ],
        "properties": {
            "_id": uuid(),
            "aggregateType": { "enum": [AGGREGATE_USER] },
            "aggregateId": uuid(),
            "eventType": { "enum": [USER_REGISTERED] },
            "schemaVersion": { "enum": [i64::from(SCHEMA_VERSION)] },
            "payload": {
                "bsonType": "object",
                "required": ["userId", "email"],
                "properties": { "userId": uuid(), "email": { "bsonType": "string" } },
            },
            "traceparent": { "bsonType": ["string", "null"] },
            "status": { "enum": ["PENDING", "SENT"] },
            "createdAt": { "bsonType": "date" },
            "startedAt": { "bsonType": ["date", "null"] },
            "sentAt": { "bsonType": ["date", "null"] },
            "acknowledgedAt": { "bsonType": ["date", "null"] },
            "attempts": { "bsonType": ["int", "long"], "minimum": 0 },
            "refusals": { "bsonType": ["int", "long"], "minimum": 0 },
            "nextAttemptAt": { "bsonType": "date" },
            "quarantinedAt": { "bsonType": "date" },
            "lastError": { "bsonType": ["string", "null"], "maxLength": 500 },
        },
        "oneOf": [
            { "properties": { "status": { "enum": ["PENDING"] } }, "required": ["nextAttemptAt"] },
            { "properties": {
                "status": { "enum": ["SENT"] },
                "sentAt": { "bsonType": "date" },
            }, "required": ["sentAt"] },
        ],
    }
}

fn redrives() -> Document {
    doc! {
        "bsonType": "object",
        "required": ["_id", "runId", "act", "actor", "reason", "at"],
        "properties": {
            "_id": uuid(),
            "runId": uuid(),
            "eventId": { "bsonType": ["binData", "null"] },
            "act": { "bsonType": "string", "minLength": 1 },
            "actor": { "bsonType": "string", "minLength": 1 },
            "reason": { "bsonType": "string", "minLength": 1 },
            "at": { "bsonType": "date" },
            "doneAt": { "bsonType": ["date", "null"] },
        },
    }
}

fn processed_events() -> Document {
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
        },
    }
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

fn uuid() -> Document {
    doc! { "bsonType": "binData" }
}
