//! Idempotency keys: which request had which outcome.
//!
//! A key's record is written in the transaction of its user, so either both
//! are there or neither. It holds no personal data and not the key itself: its
//! id and its fingerprint are keyed hashes that only auth can make.
//!
//! A record that has expired counts for nothing, whether or not the server has
//! removed it yet: whoever reads it judges it by its `expiresAt`. Neither does a
//! record that cannot be read, which the next request with its key replaces.

use std::time::Duration;

use futures::TryStreamExt as _;
use mongodb::ClientSession;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Document, doc};
use onboard_fault::{self as fault, Step};
use onboard_mongo::bson_time::{date, id};
use onboard_mongo::field::{self, BYTES, DATE, UUID};
use onboard_mongo::{Malformed, Raw, StoreError, ask, bounded, is_duplicate_key};
use onboard_runtime::clock;

use super::{Registered, Registrations};

pub(crate) const IDEMPOTENCY_KEYS: &str = "idempotency_keys";

/// The hashes of a key and its request, under one secret.
#[derive(Clone, Copy)]
pub struct KeyHashes {
    /// The keyed hash of the key.
    pub id: [u8; 32],
    /// The keyed hash of the request.
    pub fingerprint: [u8; 32],
}

/// A key that a client sent with a request.
#[derive(Clone)]
pub struct NewKey {
    /// Under the secret of today, as a new record has them.
    pub hashes: KeyHashes,
    /// Under secrets of before, as an earlier record may have them.
    pub previous: Vec<KeyHashes>,
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

impl NewKey {
    /// Under every secret, that of today first.
    pub fn all(&self) -> impl Iterator<Item = &KeyHashes> {
        std::iter::once(&self.hashes).chain(&self.previous)
    }
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
        let keys = self.mongo.documents(IDEMPOTENCY_KEYS).clone_with_type::<Raw>();
        let find = keys.find(under_any_secret(key));
        let found: Vec<Raw> = ask("look up the idempotency key", find).await?;
        Ok(found.iter().find_map(|raw| self.valid(raw)))
    }

    /// Remembers that a key's request met a taken address, so that its repeat
    /// cannot be told from the repeat of one that was accepted. Returns what
    /// was remembered before instead, if anything.
    ///
    /// # Errors
    /// The store failed.
    pub async fn keep_refusal(&self, key: &NewKey) -> Result<Option<KeyRecord>, StoreError> {
        // Under a secret of before it would not be met below.
        if !key.previous.is_empty()
            && let Some(found) = self.find_key(key).await?
        {
            return Ok(Some(found));
        }
        // Replaces an expired one; a valid one makes the upsert a duplicate.
        if self.replace(expired(key), key).await? {
            return Ok(None);
        }
        if let Some(found) = self.find_key(key).await? {
            return Ok(Some(found));
        }
        // The record that is there cannot be read.
        self.replace(this(key), key).await.map(|_| None)
    }

    /// Writes the record of a refusal over the one that fits, or as a new one.
    /// Returns whether it did.
    async fn replace(&self, over: Document, key: &NewKey) -> Result<bool, StoreError> {
        let keys = self.mongo.documents(IDEMPOTENCY_KEYS);
        let replace = keys.replace_one(over, document(key, None)).upsert(true);
        bounded("remember the refusal", async {
            match fault::step(Step("refusal.keep"), replace.into_future()).await {
                Ok(_) => Ok(true),
                Err(error) if is_duplicate_key(&error) => Ok(false),
                Err(error) => Err(error),
            }
        })
        .await
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
        let keys = self.mongo.documents(IDEMPOTENCY_KEYS).clone_with_type::<Raw>();
        let mut found = keys.find(under_any_secret(key)).session(&mut *session).await?;
        let found: Vec<Raw> = found.stream(&mut *session).try_collect().await?;
        if let Some(valid) = found.iter().find_map(|raw| self.valid(raw)) {
            return Ok(Some(valid));
        }
        let (keys, document) = (keys.clone_with_type(), document(key, Some(registered)));
        keys.replace_one(this(key), document).upsert(true).session(session).await?;
        Ok(None)
    }

    /// What a record says, unless it has expired or cannot be read.
    fn valid(&self, raw: &Raw) -> Option<KeyRecord> {
        let read = self.mongo.noted().read(IDEMPOTENCY_KEYS, raw, KeyRecord::read);
        let (record, expires_at_ms) = read?;
        (expires_at_ms > clock::now_ms()).then_some(record)
    }
}

fn this(key: &NewKey) -> Document {
    doc! { "_id": hash(key.hashes.id) }
}

/// Its records under all secrets.
fn under_any_secret(key: &NewKey) -> Document {
    if key.previous.is_empty() {
        return this(key);
    }
    let ids: Vec<Binary> = key.all().map(|hashes| hash(hashes.id)).collect();
    doc! { "_id": { "$in": ids } }
}

fn expired(key: &NewKey) -> Document {
    doc! { "_id": hash(key.hashes.id), "expiresAt": { "$lte": date(clock::now_ms()) } }
}

fn hash(bytes: [u8; 32]) -> Binary {
    Binary { subtype: BinarySubtype::Generic, bytes: bytes.to_vec() }
}

fn document(key: &NewKey, registered: Option<Registered>) -> Document {
    let now_ms = registered.map_or_else(clock::now_ms, |registered| registered.created_at_ms);
    let lifetime_ms = clock::millis(key.lifetime);
    let mut document = doc! {
        "_id": hash(key.hashes.id),
        "fingerprint": hash(key.hashes.fingerprint),
        "createdAt": date(now_ms),
        "expiresAt": date(now_ms.saturating_add(lifetime_ms)),
    };
    if let Some(registered) = registered {
        document.insert("userId", id(registered.user_id.uuid()));
        document.insert("registrationId", id(registered.event_id.uuid()));
    }
    document
}

impl KeyRecord {
    /// Reads a record, and when it expires, in ms.
    fn read(record: &Document) -> Result<(Self, i64), Malformed> {
        let optional = |name: &'static str| field::id(record, name).optional(name, UUID);
        let (user, event) = (optional("userId")?, optional("registrationId")?);
        let created_at_ms = field::time(record, "createdAt").required("createdAt", DATE)?;
        let registered = match (user, event) {
            (Some(user), Some(event)) => {
                let (user_id, event_id) = (user.into(), event.into());
                Some(Registered { user_id, event_id, created_at_ms })
            }
            (None, None) => None,
            (Some(_), None) => return Err(missing("registrationId")),
            (None, Some(_)) => return Err(missing("userId")),
        };
        let fingerprint = field::bytes(record, "fingerprint").required("fingerprint", BYTES)?;
        let expires_at_ms = field::time(record, "expiresAt").required("expiresAt", DATE)?;
        Ok((Self { fingerprint: fingerprint.to_vec(), registered }, expires_at_ms))
    }
}

const fn missing(field: &'static str) -> Malformed {
    Malformed { field, expected: UUID, found: None }
}

/// What is wrong with a record, if anything is.
pub(crate) fn check(record: &Document) -> Result<(), Malformed> {
    field::bytes(record, "_id").required("_id", BYTES)?;
    KeyRecord::read(record).map(drop)
}
