//! The collections of auth, its outbox among them.
//!
//! A field that is not listed may be there: one version of the program writes fields
//! that another one does not know. These are pure functions: a process that dies here
//! has changed nothing.

use mongodb::bson::{Document, doc};
use onboard_events::UserRegistered;
use onboard_events::user_registered::{AGGREGATE_USER, USER_REGISTERED};
use onboard_mongo::setup::{Definition, Index, uuid};

use super::registrations::IDEMPOTENCY_KEYS;
use super::security_events;
use super::sessions::{REFRESH_TOKENS, SESSIONS, newest_first};
use super::signing_keys::SIGNING_KEYS;
use super::users::{ROLE_CHANGES, USERS};

/// Every collection of auth's database; the outbox has this name.
#[must_use]
pub fn collections(outbox: &str) -> Vec<Definition> {
    let of = |name: &str, schema: Document, indexes: Vec<Index>| Definition {
        name: name.to_owned(),
        schema,
        indexes,
    };
    let expired = || Index::expired(doc! { "expiresAt": 1 });
    let first = Index::one(doc! { "first": 1 }, doc! { "first": true });
    let mut all = vec![of(USERS, users(), vec![Index::unique(doc! { "emailCanonical": 1 })])];
    all.extend(onboard_outbox::collections(outbox, &[(USER_REGISTERED, user_registered())]));
    all.extend([
        of(IDEMPOTENCY_KEYS, idempotency_keys(), vec![expired()]),
        of(SESSIONS, sessions(), vec![expired(), Index::plain(newest_first())]),
        of(REFRESH_TOKENS, refresh_tokens(), vec![expired()]),
        of(SIGNING_KEYS, signing_keys(), vec![Index::expired(doc! { "goneFrom": 1 }), first]),
        of(ROLE_CHANGES, role_changes(), vec![Index::plain(doc! { "userId": 1 })]),
        security_events::definition(),
    ]);
    all
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

/// One per used `Idempotency-Key`, written with the user it belongs to. Without
/// a user it remembers a taken address that the client must not be told of.
fn idempotency_keys() -> Document {
    doc! {
        "bsonType": "object",
        "required": ["_id", "fingerprint", "createdAt", "expiresAt"],
        "dependencies": { "userId": ["registrationId"], "registrationId": ["userId"] },
        "properties": {
            "_id": { "bsonType": "binData" },
            "fingerprint": { "bsonType": "binData" },
            "userId": uuid(),
            "registrationId": uuid(),
            "createdAt": { "bsonType": "date" },
            "expiresAt": { "bsonType": "date" },
        },
    }
}

/// A login and everything that was refreshed from it: the family.
fn sessions() -> Document {
    doc! {
        "bsonType": "object",
        "required": ["_id", "userId", "createdAt", "expiresAt"],
        "properties": {
            "_id": uuid(),
            "userId": uuid(),
            "createdAt": { "bsonType": "date" },
            "expiresAt": { "bsonType": "date" },
            "revokedAt": { "bsonType": "date" },
            "revokedFor": { "enum": ["logout", "reuse", "limit"] },
        },
    }
}

/// A refresh token by its hash, never by itself.
fn refresh_tokens() -> Document {
    doc! {
        "bsonType": "object",
        "required": ["_id", "sessionId", "createdAt", "expiresAt"],
        "properties": {
            "_id": { "bsonType": "binData" },
            "sessionId": uuid(),
            "createdAt": { "bsonType": "date" },
            "expiresAt": { "bsonType": "date" },
            "usedAt": { "bsonType": "date" },
            "successor": { "bsonType": "binData" },
        },
    }
}

/// A key pair whose private half is wrapped under the secret.
fn signing_keys() -> Document {
    doc! {
        "bsonType": "object",
        "required": ["_id", "algorithm", "publicKey", "wrappedKey", "createdAt", "signsFrom"],
        "properties": {
            "_id": { "bsonType": "string", "minLength": 8 },
            "algorithm": { "enum": ["EdDSA"] },
            "publicKey": { "bsonType": "binData" },
            "wrappedKey": { "bsonType": "binData" },
            "createdAt": { "bsonType": "date" },
            "signsFrom": { "bsonType": "date" },
            "goneFrom": { "bsonType": "date" },
            "first": { "enum": [true] },
        },
    }
}

/// Who gave or took which role, and when.
fn role_changes() -> Document {
    doc! {
        "bsonType": "object",
        "required": ["_id", "userId", "role", "act", "actor", "at"],
        "properties": {
            "_id": uuid(),
            "userId": uuid(),
            "role": { "enum": ["user", "admin"] },
            "act": { "enum": ["grant", "revoke"] },
            "actor": { "bsonType": "string", "minLength": 1 },
            "at": { "bsonType": "date" },
        },
    }
}
