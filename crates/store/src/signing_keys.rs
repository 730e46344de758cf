//! The keys that sign access tokens, their private halves wrapped: what is in
//! the database is of no use without the secret.
//!
//! The key that signs is the one with the youngest `signsFrom` that has come.
//! A key is published from its insertion until `goneFrom`, which the next key
//! sets. There is always one that has no `goneFrom`.

use futures::TryStreamExt;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, DateTime, Document, doc};
use mongodb::{ClientSession, Collection};
use onboard_fault::{self as fault, Step, step};
use serde::Deserialize;

use crate::StoreError;
use crate::bson_time::{date, ms};
use crate::error::is_duplicate_key;
use crate::mongo::{Mongo, bounded, transaction};

/// A key as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRow {
    /// Its id.
    pub id: String,
    /// The public half, 32 bytes.
    pub public_key: Vec<u8>,
    /// The private half, wrapped.
    pub wrapped_key: Vec<u8>,
    /// When it was made, in ms.
    pub created_at_ms: i64,
    /// From when it signs, in ms.
    pub signs_from_ms: i64,
    /// From when its tokens are refused, in ms; `None` until another key
    /// follows it.
    pub gone_from_ms: Option<i64>,
}

/// What a removal found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Removal {
    /// It is gone; this key signs now.
    Done {
        /// The key's id.
        signs: String,
    },
    /// There is no such key.
    NoKey,
}

/// Signing keys in MongoDB.
#[derive(Debug, Clone)]
pub struct SigningKeys {
    mongo: Mongo,
}

impl SigningKeys {
    /// Over a client.
    #[must_use]
    pub fn new(mongo: &Mongo) -> Self {
        Self { mongo: mongo.clone() }
    }

    /// Every key whose tokens are good at `now_ms`, the oldest first.
    ///
    /// # Errors
    /// The store failed, or a row is corrupt.
    pub async fn list(&self, now_ms: i64) -> Result<Vec<KeyRow>, StoreError> {
        let keys = self.documents();
        let good = doc! { "$or": [{ "goneFrom": null }, { "goneFrom": { "$gt": date(now_ms) } }] };
        let found = bounded("load the signing keys", async {
            keys.find(good)
                .sort(doc! { "signsFrom": 1, "_id": 1 })
                .await?
                .try_collect::<Vec<_>>()
                .await
        });
        Ok(found.await?.into_iter().map(KeyDocument::into_row).collect())
    }

    /// Writes the first key there ever is. Of two at once one wins. Returns
    /// whether this one did.
    ///
    /// # Errors
    /// The store failed.
    pub async fn insert_first(&self, key: &KeyRow) -> Result<bool, StoreError> {
        let keys = self.mongo.signing_keys();
        let mut document = key_document(key);
        document.insert("first", true);
        let insert = step(Step::KeyFirst, async {
            match keys.insert_one(document).await {
                Ok(_) => Ok(true),
                Err(error) if is_duplicate_key(&error) => Ok(false),
                Err(error) => Err(error),
            }
        });
        bounded("write the first signing key", insert).await
    }

    /// Writes a new key and the end of all others.
    ///
    /// # Errors
    /// The store failed; list the keys to know.
    pub async fn rotate(&self, new: &KeyRow, others_gone_from_ms: i64) -> Result<(), StoreError> {
        let commit = self.commit_rotated(key_document(new), others_gone_from_ms);
        bounded("rotate the signing keys", commit).await
    }

    async fn commit_rotated(&self, new: Document, gone_from_ms: i64) -> mongodb::error::Result<()> {
        let keys = self.mongo.signing_keys();
        let mut client = self.mongo.auth().client().start_session().await?;
        let done = transaction(&mut client)
            .and_run2(async move |client| {
                keys.insert_one(&new).session(&mut *client).await?;
                let others = doc! { "_id": { "$ne": new.get("_id") }, "goneFrom": null };
                let end = doc! { "$set": { "goneFrom": date(gone_from_ms) } };
                keys.update_many(others, end).session(&mut *client).await?;
                fault::before(Step::KeyRotate).await;
                Ok(())
            })
            .await;
        match done {
            // The id is the key's own: a first try was committed after all.
            Err(error) if is_duplicate_key(&error) => (),
            done => done?,
        }
        fault::after(Step::KeyRotate).await;
        Ok(())
    }

    /// Removes a key at once. When no other is to go on signing, `spare` is
    /// written in its place; otherwise the youngest of the others signs from
    /// now on.
    ///
    /// # Errors
    /// The store failed; list the keys to know.
    pub async fn remove(&self, key: &str, spare: &KeyRow) -> Result<Removal, StoreError> {
        bounded("remove the signing key", self.commit_removed(key.to_owned(), spare.clone())).await
    }

    async fn commit_removed(&self, key: String, spare: KeyRow) -> mongodb::error::Result<Removal> {
        let mongo = self.mongo.clone();
        let mut client = self.mongo.auth().client().start_session().await?;
        let removal = transaction(&mut client)
            .and_run2(async move |client| {
                let removal = take_out(&mongo, client, &key, &spare).await?;
                fault::before(Step::KeyRemove).await;
                Ok(removal)
            })
            .await?;
        fault::after(Step::KeyRemove).await;
        Ok(removal)
    }

    fn documents(&self) -> Collection<KeyDocument> {
        self.mongo.signing_keys().clone_with_type()
    }
}

/// Inside the transaction.
async fn take_out(
    mongo: &Mongo,
    client: &mut ClientSession,
    key: &str,
    spare: &KeyRow,
) -> mongodb::error::Result<Removal> {
    let keys = mongo.signing_keys();
    let gone = keys.delete_one(doc! { "_id": key }).session(&mut *client).await?;
    if gone.deleted_count == 0 {
        return Ok(Removal::NoKey);
    }
    let staying = keys.clone_with_type::<KeyDocument>();
    let youngest = doc! { "signsFrom": -1, "_id": -1 };
    let staying = staying.find_one(doc! { "goneFrom": null }).sort(youngest);
    let Some(next) = staying.session(&mut *client).await? else {
        keys.insert_one(key_document(spare)).session(&mut *client).await?;
        return Ok(Removal::Done { signs: spare.id.clone() });
    };
    let sign = doc! { "$min": { "signsFrom": date(spare.signs_from_ms) } };
    keys.update_one(doc! { "_id": &next.id }, sign).session(&mut *client).await?;
    Ok(Removal::Done { signs: next.id })
}

fn key_document(key: &KeyRow) -> Document {
    let binary = |bytes: &Vec<u8>| Binary { subtype: BinarySubtype::Generic, bytes: bytes.clone() };
    let mut document = doc! {
        "_id": &key.id,
        "algorithm": "EdDSA",
        "publicKey": binary(&key.public_key),
        "wrappedKey": binary(&key.wrapped_key),
        "createdAt": date(key.created_at_ms),
        "signsFrom": date(key.signs_from_ms),
    };
    if let Some(gone_from_ms) = key.gone_from_ms {
        document.insert("goneFrom", date(gone_from_ms));
    }
    document
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct KeyDocument {
    #[serde(rename = "_id")]
    id: String,
    public_key: Binary,
    wrapped_key: Binary,
    created_at: DateTime,
    signs_from: DateTime,
    #[serde(default)]
    gone_from: Option<DateTime>,
}

impl KeyDocument {
    fn into_row(self) -> KeyRow {
        KeyRow {
            id: self.id,
            public_key: self.public_key.bytes,
            wrapped_key: self.wrapped_key.bytes,
            created_at_ms: self.created_at.timestamp_millis(),
            signs_from_ms: self.signs_from.timestamp_millis(),
            gone_from_ms: ms(self.gone_from),
        }
    }
}
