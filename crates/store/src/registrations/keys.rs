//! Idempotency keys: which request had which outcome.
//!
//! A key's record is written in the transaction of its user, so either both
//! are there or neither. It holds no personal data and not the key itself: its
//! id and its fingerprint are keyed hashes that only auth can make.
//!
//! A record that has expired counts for nothing, whether or not the server has
//! removed it yet: whoever reads it judges it by its `expiresAt`.

use std::time::Duration;

use mongodb::ClientSession;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{self, Binary, DateTime, Document, doc};
use onboard_fault::{self as fault, Step};
use onboard_runtime::clock;
use serde::{Deserialize, Serialize};

use super::{Registered, Registrations};
use crate::StoreError;
use crate::bson_time::{date, uuid};
use crate::error::is_duplicate_key;
use crate::mongo::bounded;

/// A key that a client sent with a request.
#[derive(Clone, Copy)]
pub struct NewKey {
    /// The keyed hash of the key.
    pub id: [u8; 32],
    /// The keyed hash of the request.
    pub fingerprint: [u8; 32],
    /// How long the outcome is remembered.
    pub lifetime: Duration,
}

/// What is remembered about a key.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyRecord {
    /// The fingerprint of the request that used it. Compare it in constant
    /// time.
    pub fingerprint: Vec<u8>,
    /// The registration that the request made; none when the address was taken
    /// and the client must not be told.
    pub registered: Option<Registered>,
}

/// Hashes are nobody's business.
impl std::fmt::Debug for NewKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewKey").field("lifetime", &self.lifetime).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for KeyRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyRecord").field("registered", &self.registered).finish_non_exhaustive()
    }
}

impl Registrations {
    /// What is remembered about a key, if it has not expired.
    ///
    /// # Errors
    /// The store failed.
    pub async fn find_key(&self, key: &NewKey) -> Result<Option<KeyRecord>, StoreError> {
        let keys = self.mongo.idempotency_keys();
        let find = keys.find_one(valid(key));
        let found = bounded("look up the idempotency key", async { find.await }).await?;
        Ok(found.map(KeyDocument::into_record))
    }

    /// Remembers that a key's request met a taken address, so that its repeat
    /// cannot be told from the repeat of one that was accepted. Returns what
    /// was remembered before instead, if anything.
    ///
    /// # Errors
    /// The store failed.
    pub async fn keep_refusal(&self, key: &NewKey) -> Result<Option<KeyRecord>, StoreError> {
        let keys = self.mongo.idempotency_keys();
        let document = document(key, None);
        // Replaces an expired one; a valid one makes the upsert a duplicate.
        let keep = keys.replace_one(expired(key), &document).upsert(true);
        let keep = bounded("remember the refusal", async {
            match fault::step(Step::RefusalKeep, keep.into_future()).await {
                Ok(_) => Ok(true),
                Err(error) if is_duplicate_key(&error) => Ok(false),
                Err(error) => Err(error),
            }
        });
        if keep.await? { Ok(None) } else { self.find_key(key).await }
    }

    /// Within a transaction: writes the key's record, or returns the one that
    /// is there. Another transaction that is writing the same key makes this
    /// one fail as transient, and the driver begins it again.
    pub(super) async fn claim_key(
        &self,
        session: &mut ClientSession,
        key: &NewKey,
        registered: Registered,
    ) -> mongodb::error::Result<Option<KeyRecord>> {
        let keys = self.mongo.idempotency_keys();
        if let Some(found) = keys.find_one(valid(key)).session(&mut *session).await? {
            return Ok(Some(found.into_record()));
        }
        let document = document(key, Some(registered));
        keys.replace_one(expired(key), document).upsert(true).session(session).await?;
        Ok(None)
    }
}

fn valid(key: &NewKey) -> Document {
    doc! { "_id": hash(key.id), "expiresAt": { "$gt": date(clock::now_ms()) } }
}

fn expired(key: &NewKey) -> Document {
    doc! { "_id": hash(key.id), "expiresAt": { "$lte": date(clock::now_ms()) } }
}

fn hash(bytes: [u8; 32]) -> Binary {
    Binary { subtype: BinarySubtype::Generic, bytes: bytes.to_vec() }
}

fn document(key: &NewKey, registered: Option<Registered>) -> KeyDocument {
    let now_ms = registered.map_or_else(clock::now_ms, |registered| registered.created_at_ms);
    let lifetime_ms = i64::try_from(key.lifetime.as_millis()).unwrap_or(i64::MAX);
    KeyDocument {
        id: hash(key.id),
        fingerprint: hash(key.fingerprint),
        user_id: registered.map(|registered| stored(registered.user_id.uuid())),
        registration_id: registered.map(|registered| stored(registered.event_id.uuid())),
        created_at: date(now_ms),
        expires_at: date(now_ms.saturating_add(lifetime_ms)),
    }
}

fn stored(uuid: uuid::Uuid) -> bson::Uuid {
    bson::Uuid::from_bytes(uuid.into_bytes())
}

/// A record as it is stored.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct KeyDocument {
    #[serde(rename = "_id")]
    id: Binary,
    fingerprint: Binary,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<bson::Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    registration_id: Option<bson::Uuid>,
    created_at: DateTime,
    expires_at: DateTime,
}

impl KeyDocument {
    fn into_record(self) -> KeyRecord {
        let registered = self.user_id.zip(self.registration_id).map(|(user, event)| Registered {
            user_id: uuid(user).into(),
            event_id: uuid(event).into(),
            created_at_ms: self.created_at.timestamp_millis(),
        });
        KeyRecord { fingerprint: self.fingerprint.bytes, registered }
    }
}
