//! What an account has besides its user: idempotency keys, sessions, refresh
//! tokens, and the keys that sign access tokens.

use mongodb::bson::{Document, doc};

use super::uuid;

/// One per used `Idempotency-Key`, written with the user it belongs to. Without
/// a user it remembers a taken address that the client must not be told of.
pub(super) fn idempotency_keys() -> Document {
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
pub(super) fn sessions() -> Document {
    doc! {
        "bsonType": "object",
        "required": ["_id", "userId", "createdAt", "expiresAt"],
        "properties": {
            "_id": uuid(),
            "userId": uuid(),
            "createdAt": { "bsonType": "date" },
            "expiresAt": { "bsonType": "date" },
            "revokedAt": { "bsonType": "date" },
            "revokedFor": { "enum": ["logout", "reuse"] },
        },
    }
}

/// A refresh token by its hash, never by itself.
pub(super) fn refresh_tokens() -> Document {
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
pub(super) fn signing_keys() -> Document {
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
pub(super) fn role_changes() -> Document {
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
