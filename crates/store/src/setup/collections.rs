//! Collections with `$jsonSchema` validators and indexes.
//!
//! The validators are the last line: no code path inserts a row that the
//! system cannot read, or makes one of a row that it could.

mod accounts;
mod todo_database;

use std::time::Duration;

use futures::TryStreamExt;
use mongodb::bson::{Bson, Document, doc};
use mongodb::options::IndexOptions;
use mongodb::{Database, IndexModel};
use onboard_contract::acknowledged::REF_CHARS_MAX;
use onboard_contract::names::USER_REGISTERED;
use onboard_events::UserRegistered;
use onboard_events::user_registered::AGGREGATE_USER;

use super::SetupError;
use crate::Mongo;
use crate::error::code;
use crate::outbox::due::due_order;
use crate::outbox::stages::order;

/// The name of a consumer (`ConsumerName` in the contract).
const CONSUMER: &str = "^[a-z][a-z0-9_]{0,31}$";
const NAMESPACE_NOT_FOUND: i32 = 26;
const NAMESPACE_EXISTS: i32 = 48;
const STEP_DEADLINE: Duration = Duration::from_mins(1);

/// A collection: where, its name, its schema.
type Wanted<'a> = (&'a Database, &'a str, Document);
/// An index: where, the collection, its keys, what is special about it.
type WantedIndex<'a> = (&'a Database, &'a str, Document, IndexOptions);

/// Creates or updates every collection of both databases.
///
/// # Errors
/// See [`SetupError`].
pub async fn prepare_collections(mongo: &Mongo) -> Result<(), SetupError> {
    for (database, name, schema) in collections(mongo) {
        collection(database, name, schema).await?;
    }
    // One command for all indexes of a collection.
    let of_one = |one: &WantedIndex<'_>, other: &WantedIndex<'_>| one.1 == other.1;
    for indexes in indexes(mongo).chunk_by(of_one) {
        create(indexes).await?;
    }
    Ok(())
}

/// What [`prepare_collections`] would make or change, in words.
///
/// # Errors
/// See [`SetupError`].
pub async fn lacking(mongo: &Mongo) -> Result<Vec<String>, SetupError> {
    let mut lacking = Vec::new();
    for (database, name, schema) in collections(mongo) {
        let wanted = doc! { "$jsonSchema": schema };
        match validator(database, name).await? {
            None => lacking.push(format!("the collection {name} is missing")),
            Some(found) if found == wanted => (),
            Some(_) => lacking.push(format!("the validator of {name} is another")),
        }
    }
    for (database, name, keys, options) in indexes(mongo) {
        if !has_index(database, name, &keys, &options).await? {
            let fields: Vec<_> = keys.keys().map(String::as_str).collect();
            let fields = fields.join(", ");
            lacking.push(format!("the index of {name} over {fields} is missing or another"));
        }
    }
    Ok(lacking)
}

async fn validator(database: &Database, name: &str) -> Result<Option<Document>, SetupError> {
    let listing = database.run_command(doc! { "listCollections": 1, "filter": { "name": name } });
    let listed = step("list the collections", listing).await?;
    let first = listed.get_document("cursor").and_then(|cursor| cursor.get_array("firstBatch"));
    let found = first.ok().and_then(|batch| batch.first()).and_then(Bson::as_document);
    Ok(found.map(|found| {
        let options = found.get_document("options");
        options.and_then(|options| options.get_document("validator")).cloned().unwrap_or_default()
    }))
}

async fn has_index(
    database: &Database,
    name: &str,
    keys: &Document,
    options: &IndexOptions,
) -> Result<bool, SetupError> {
    let rows = database.collection::<Document>(name);
    let listing = async {
        let cursor = rows.list_indexes().await?;
        cursor.try_collect::<Vec<IndexModel>>().await
    };
    let there = match step("list the indexes", listing).await {
        Ok(there) => there,
        Err(SetupError::Step { source, .. }) if code(&source) == Some(NAMESPACE_NOT_FOUND) => {
            return Ok(false);
        }
        Err(error) => return Err(error),
    };
    Ok(there.iter().any(|found| found.keys == *keys && is_as(found.options.as_ref(), options)))
}

fn is_as(found: Option<&IndexOptions>, wanted: &IndexOptions) -> bool {
    found.is_some_and(|found| {
        found.unique.unwrap_or(false) == wanted.unique.unwrap_or(false)
            && found.sparse.unwrap_or(false) == wanted.sparse.unwrap_or(false)
            && found.expire_after == wanted.expire_after
            && found.partial_filter_expression == wanted.partial_filter_expression
    })
}

fn collections(mongo: &Mongo) -> [Wanted<'_>; 11] {
    let (auth, todo) = (mongo.auth(), mongo.todo());
    [
        (auth, "users", users()),
        (auth, mongo.outbox_name(), outbox()),
        (auth, "consumers", consumers()),
        (auth, "redrives", redrives()),
        (auth, "idempotency_keys", accounts::idempotency_keys()),
        (auth, "sessions", accounts::sessions()),
        (auth, "refresh_tokens", accounts::refresh_tokens()),
        (auth, "signing_keys", accounts::signing_keys()),
        (auth, "role_changes", accounts::role_changes()),
        (todo, "processed_events", todo_database::processed_events()),
        (todo, "todos", todo_database::todos()),
    ]
}

fn indexes(mongo: &Mongo) -> [WantedIndex<'_>; 18] {
    let (auth, todo) = (mongo.auth(), mongo.todo());
    let plain = IndexOptions::default;
    let pending = doc! { "status": "PENDING" };
    let quarantined = doc! { "quarantinedAt": { "$exists": true } };
    let ahead = doc! { "aheadSeenAt": { "$exists": true } };
    let unnoted = doc! { "acknowledgedAt": null };
    let listed = doc! { "userId": 1, "createdAt": -1, "_id": -1 };
    [
        (auth, "users", doc! { "emailCanonical": 1 }, unique()),
        (auth, mongo.outbox_name(), due_order(), partial(pending)),
        (auth, mongo.outbox_name(), order(), partial(unnoted.clone())),
        (auth, mongo.outbox_name(), doc! { "quarantinedAt": 1 }, partial(quarantined)),
        (auth, mongo.outbox_name(), doc! { "aheadSeenAt": 1 }, partial(ahead)),
        (auth, mongo.outbox_name(), doc! { "aggregateId": 1 }, plain()),
        (auth, "redrives", doc! { "eventId": 1 }, plain()),
        (auth, "idempotency_keys", doc! { "expiresAt": 1 }, expired()),
        (auth, "sessions", doc! { "expiresAt": 1 }, expired()),
        (auth, "refresh_tokens", doc! { "expiresAt": 1 }, expired()),
        (auth, "signing_keys", doc! { "goneFrom": 1 }, expired()),
        (auth, "signing_keys", doc! { "first": 1 }, one(doc! { "first": true })),
        (auth, "role_changes", doc! { "userId": 1 }, plain()),
        (todo, "processed_events", doc! { "eventId": 1 }, unique()),
        (todo, "processed_events", doc! { "processedAt": 1 }, partial(unnoted)),
        (todo, "processed_events", doc! { "todoId": 1 }, plain()),
        (todo, "processed_events", doc! { "conflicts.todoId": 1 }, sparse()),
        (todo, "todos", listed, plain()),
    ]
}

async fn collection(database: &Database, name: &str, schema: Document) -> Result<(), SetupError> {
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

/// Creates indexes of one collection.
async fn create(indexes: &[WantedIndex<'_>]) -> Result<(), SetupError> {
    let Some((database, collection, ..)) = indexes.first() else { return Ok(()) };
    let models = indexes.iter().map(|(.., keys, options)| {
        IndexModel::builder().keys(keys.clone()).options(options.clone()).build()
    });
    let rows = database.collection::<Document>(collection);
    step("create the indexes", rows.create_indexes(models)).await.map(drop)
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

/// Without the documents that lack the field.
fn sparse() -> IndexOptions {
    IndexOptions::builder().sparse(true).build()
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
            "aggregateVersion": { "bsonType": ["int", "long"], "minimum": 1 },
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
        "allOf": [
            { "oneOf": [
                { "properties": { "status": { "enum": ["PENDING"] } }, "required": ["nextAttemptAt"] },
                { "properties": {
                    "status": { "enum": ["SENT"] },
                    "sentAt": { "bsonType": "date" },
                }, "required": ["sentAt"] },
            ] },
            { "anyOf": [
                { "properties": { "eventType": { "not": { "enum": [USER_REGISTERED] } } } },
                user_registered(),
            ] },
        ],
    }
}

/// What the row of a registration holds.
fn user_registered() -> Document {
    let versions: Vec<i64> =
        UserRegistered::TYPE.versions().map(|version| version.number.into()).collect();
    doc! {
        "properties": {
            "aggregateType": { "enum": [AGGREGATE_USER] },
            "schemaVersion": { "enum": versions },
            "payload": {
                "bsonType": "object",
                "required": ["userId", "email"],
                "properties": { "userId": uuid(), "email": { "bsonType": "string" } },
            },
        },
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
            "eventType": { "enum": [USER_REGISTERED] },
            "declaredAt": { "bsonType": "date" },
            "retiredAt": { "bsonType": "date" },
        },
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

fn uuid() -> Document {
    doc! { "bsonType": "binData" }
}
