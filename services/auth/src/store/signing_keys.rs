//! The keys that sign access tokens, their private halves wrapped: what is in
//! the database is of no use without the secret.
//!
//! The key that signs is the one with the youngest `signsFrom` that has come.
//! A key is published from its insertion until `goneFrom`, which the next key
//! sets. There is always one that has no `goneFrom`.

use futures::TryStreamExt;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Document, doc};
use mongodb::{ClientSession, Collection};
use onboard_fault::Step;
use onboard_mongo::bson_time::date;
use onboard_mongo::field::{self, BYTES, DATE, TEXT};
use onboard_mongo::{
    Malformed, Mongo, Raw, StoreError, Unreadable, ask, bounded, is_duplicate_key, transact_at,
};

use super::security_events::{EventKind, NewEvent, Witness};

pub(crate) const SIGNING_KEYS: &str = "signing_keys";

/// A key as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRow {
    /// Its id.
    pub id: String,
    /// The public half, 32 bytes.
    pub public_key: Vec<u8>,
    /// The private half, wrapped.
    pub wrapped_key: Vec<u8>,
    /// When it was made, in ms; `None` when the row does not say, which hinders no
    /// use of the key.
    pub created_at_ms: Option<i64>,
    /// From when it signs, in ms.
    pub signs_from_ms: i64,
    /// From when its tokens are refused, in ms; `None` until another key
    /// follows it.
    pub gone_from_ms: Option<i64>,
}

/// The keys as they were found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyList {
    /// Every key whose tokens are good, the oldest first.
    pub rows: Vec<KeyRow>,
    /// Rows that cannot be read. They count as absent.
    pub unreadable: Vec<Unreadable>,
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

    /// Every key whose tokens are good at `now_ms`, the oldest first. A row that
    /// cannot be read keeps nobody from the others.
    ///
    /// # Errors
    /// The store failed.
    pub async fn list(&self, now_ms: i64) -> Result<KeyList, StoreError> {
        let keys = self.documents();
        let find = keys.find(doc! {}).sort(doc! { "_id": 1 });
        let found: Vec<Raw> = ask("load the signing keys", find).await?;
        let mut list = KeyList { rows: Vec::new(), unreadable: Vec::new() };
        for Raw(document) in &found {
            match KeyRow::read(document) {
                Ok(row) if row.gone_from_ms.is_some_and(|gone| gone <= now_ms) => (),
                Ok(row) => list.rows.push(row),
                Err(why) => {
                    let unreadable = Unreadable::new(SIGNING_KEYS, document, why);
                    self.mongo.noted().note(&unreadable);
                    list.unreadable.push(unreadable);
                }
            }
        }
        list.rows.sort_by(|one, other| one.age().cmp(&other.age()));
        Ok(list)
    }

    /// Writes a key beside rows that cannot be read, where there is no other.
    ///
    /// # Errors
    /// The store failed; list the keys to know.
    pub async fn insert(&self, key: &KeyRow, by: &Witness) -> Result<(), StoreError> {
        let made = by.event(EventKind::KeyMade).of_key(&key.id);
        bounded("write a signing key", self.commit_first(key_document(key), made)).await
    }

    /// Writes the first key there ever is. Of two at once one wins. Returns
    /// whether this one did.
    ///
    /// # Errors
    /// The store failed.
    pub async fn insert_first(&self, key: &KeyRow, by: &Witness) -> Result<bool, StoreError> {
        let mut document = key_document(key);
        document.insert("first", true);
        let made = by.event(EventKind::KeyMade).of_key(&key.id);
        let insert = async {
            match self.commit_first(document, made).await {
                Ok(()) => Ok(true),
                Err(error) if is_duplicate_key(&error) => Ok(false),
                Err(error) => Err(error),
            }
        };
        bounded("write the first signing key", insert).await
    }

    async fn commit_first(&self, key: Document, event: NewEvent) -> mongodb::error::Result<()> {
        let mongo = self.mongo.clone();
        transact_at(Step("key.first"), self.mongo.client(), async move |client| {
            mongo.documents(SIGNING_KEYS).insert_one(&key).session(&mut *client).await?;
            event.record(&mongo, client).await
        })
        .await
    }

    /// Writes a new key and the end of all others.
    ///
    /// # Errors
    /// The store failed; list the keys to know.
    pub async fn rotate(
        &self,
        new: &KeyRow,
        others_gone_from_ms: i64,
        by: &Witness,
    ) -> Result<(), StoreError> {
        let rotated = by.event(EventKind::KeyRotated).of_key(&new.id);
        let commit = self.commit_rotated(key_document(new), others_gone_from_ms, rotated);
        bounded("rotate the signing keys", commit).await
    }

    async fn commit_rotated(
        &self,
        new: Document,
        gone_from_ms: i64,
        event: NewEvent,
    ) -> mongodb::error::Result<()> {
        let mongo = self.mongo.clone();
        let keys = mongo.documents(SIGNING_KEYS);
        let done = transact_at(Step("key.rotate"), self.mongo.client(), async move |client| {
            keys.insert_one(&new).session(&mut *client).await?;
            let others = doc! { "_id": { "$ne": new.get("_id") }, "goneFrom": null };
            let end = doc! { "$set": { "goneFrom": date(gone_from_ms) } };
            keys.update_many(others, end).session(&mut *client).await?;
            event.record(&mongo, client).await
        })
        .await;
        match done {
            // The id is the key's own: a first try was committed after all.
            Err(error) if is_duplicate_key(&error) => Ok(()),
            done => done,
        }
    }

    /// Removes a key at once. When no other is to go on signing, `spare` is
    /// written in its place; otherwise the youngest of the others signs from
    /// now on.
    ///
    /// # Errors
    /// The store failed; list the keys to know.
    pub async fn remove(
        &self,
        key: &str,
        spare: &KeyRow,
        by: &Witness,
    ) -> Result<Removal, StoreError> {
        let removed = by.event(EventKind::KeyRemoved).of_key(key);
        let commit = self.commit_removed(key.to_owned(), spare.clone(), removed);
        bounded("remove the signing key", commit).await
    }

    async fn commit_removed(
        &self,
        key: String,
        spare: KeyRow,
        event: NewEvent,
    ) -> mongodb::error::Result<Removal> {
        let mongo = self.mongo.clone();
        transact_at(Step("key.remove"), self.mongo.client(), async move |client| {
            let removal = take_out(&mongo, client, &key, &spare).await?;
            if removal != Removal::NoKey {
                event.record(&mongo, client).await?;
            }
            Ok(removal)
        })
        .await
    }

    /// Writes the private half anew, unless somebody has changed it since `key` was read.
    /// Returns whether it did.
    ///
    /// # Errors
    /// The store failed; list the keys to know.
    pub async fn rewrap(
        &self,
        key: &KeyRow,
        wrapped: &[u8],
        by: &Witness,
    ) -> Result<bool, StoreError> {
        let sealed = by.event(EventKind::KeyRewrapped).of_key(&key.id);
        let unchanged = doc! { "_id": &key.id, "wrappedKey": binary(&key.wrapped_key) };
        let anew = doc! { "$set": { "wrappedKey": binary(wrapped) } };
        bounded("seal a signing key anew", self.commit_rewrapped(unchanged, anew, sealed)).await
    }

    async fn commit_rewrapped(
        &self,
        unchanged: Document,
        anew: Document,
        event: NewEvent,
    ) -> mongodb::error::Result<bool> {
        let mongo = self.mongo.clone();
        let keys = mongo.documents(SIGNING_KEYS);
        transact_at(Step("key.rewrap"), self.mongo.client(), async move |client| {
            let (key, anew) = (unchanged.clone(), anew.clone());
            let done = keys.update_one(key, anew).session(&mut *client).await?;
            if done.matched_count == 1 {
                event.record(&mongo, client).await?;
            }
            Ok(done.matched_count == 1)
        })
        .await
    }

    fn documents(&self) -> Collection<Raw> {
        self.mongo.documents(SIGNING_KEYS).clone_with_type()
    }
}

/// Inside the transaction.
async fn take_out(
    mongo: &Mongo,
    client: &mut ClientSession,
    key: &str,
    spare: &KeyRow,
) -> mongodb::error::Result<Removal> {
    let keys = mongo.documents(SIGNING_KEYS);
    let gone = keys.delete_one(doc! { "_id": key }).session(&mut *client).await?;
    if gone.deleted_count == 0 {
        return Ok(Removal::NoKey);
    }
    let staying = keys.clone_with_type::<Raw>();
    let mut staying = staying.find(doc! { "goneFrom": null }).session(&mut *client).await?;
    let staying: Vec<Raw> = staying.stream(client).try_collect().await?;
    let read = |raw: &Raw| mongo.noted().read(SIGNING_KEYS, raw, KeyRow::read);
    let youngest = staying.iter().filter_map(read).max_by(|one, other| one.age().cmp(&other.age()));
    let Some(next) = youngest else {
        keys.insert_one(key_document(spare)).session(&mut *client).await?;
        return Ok(Removal::Done { signs: spare.id.clone() });
    };
    let sign = doc! { "$min": { "signsFrom": date(spare.signs_from_ms) } };
    keys.update_one(doc! { "_id": &next.id }, sign).session(&mut *client).await?;
    Ok(Removal::Done { signs: next.id })
}

fn binary(bytes: &[u8]) -> Binary {
    Binary { subtype: BinarySubtype::Generic, bytes: bytes.to_vec() }
}

fn key_document(key: &KeyRow) -> Document {
    let mut document = doc! {
        "_id": &key.id,
        "algorithm": "EdDSA",
        "publicKey": binary(&key.public_key),
        "wrappedKey": binary(&key.wrapped_key),
        "createdAt": date(key.created_at_ms.unwrap_or(key.signs_from_ms)),
        "signsFrom": date(key.signs_from_ms),
    };
    if let Some(gone_from_ms) = key.gone_from_ms {
        document.insert("goneFrom", date(gone_from_ms));
    }
    document
}

impl KeyRow {
    fn read(key: &Document) -> Result<Self, Malformed> {
        let bytes = |name: &'static str| field::bytes(key, name).required(name, BYTES);
        Ok(Self {
            id: field::text(key, "_id").required("_id", TEXT)?.to_owned(),
            public_key: bytes("publicKey")?.to_vec(),
            wrapped_key: bytes("wrappedKey")?.to_vec(),
            created_at_ms: field::time(key, "createdAt").known(),
            signs_from_ms: field::time(key, "signsFrom").required("signsFrom", DATE)?,
            gone_from_ms: field::time(key, "goneFrom").optional("goneFrom", DATE)?,
        })
    }

    fn age(&self) -> (i64, &str) {
        (self.signs_from_ms, &self.id)
    }
}

/// What is wrong with a key, if anything is.
pub(crate) fn check(key: &Document) -> Result<(), Malformed> {
    KeyRow::read(key)?;
    field::text(key, "algorithm").required("algorithm", TEXT)?;
    field::time(key, "createdAt").required("createdAt", DATE).map(drop)
}
