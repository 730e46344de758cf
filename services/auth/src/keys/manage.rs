//! What `onboard setup` and `onboard keys` do with the signing keys.
//!
//! Times: a new key is published at once and signs from then on when everybody
//! has had the time to fetch it; the others go when the last token they signed
//! has ended.

use std::time::Duration;

use onboard_mongo::{Mongo, StoreError, Unreadable};
use onboard_runtime::clock::{self, millis};
use onboard_runtime::{Plain, Secret};
use onboard_token::{KeyError, LIFETIME_MAX, SigningKey};

use crate::store::{KeyList, KeyRow, Removal, SigningKeys, Witness};

use super::opened;
use super::wrap::{SealedBy, Wrapper};

/// How long a new key is published before it signs, unless told otherwise:
/// twice the longest time after which a service fetches the keys again.
pub const PUBLISHED_BEFORE: Duration = Duration::from_mins(10);
/// After the last token of a key: clocks that differ, and an auth service that
/// has not read yet that another key signs.
const GONE_AFTER: Duration = Duration::from_mins(2);

/// The keys were not changed or shown.
#[derive(Debug, thiserror::Error)]
pub enum ManageError {
    /// MongoDB failed.
    #[error("the signing keys cannot be had")]
    Store(#[source] StoreError),
    /// No key pair could be made.
    #[error("no signing key could be made")]
    Key(#[source] KeyError),
    /// The secret is not the one the keys were wrapped with.
    #[error(
        "AUTH_SECRET is not the one that signing key {0} was wrapped with: give the same secret \
         to setup, auth and keys; where it was changed, name the one before in \
         AUTH_SECRET_PREVIOUS"
    )]
    WrongSecret(String),
}

impl Plain for ManageError {
    fn words(&self) -> String {
        match self {
            Self::Store(error) => error.words(),
            Self::Key(_) | Self::WrongSecret(_) => self.to_string(),
        }
    }

    fn remedy(&self) -> Option<&'static str> {
        match self {
            Self::Store(error) => error.remedy(),
            Self::Key(_) | Self::WrongSecret(_) => None,
        }
    }
}

/// A key as an operator sees it. Times in ms.
#[derive(Debug, Clone)]
pub struct KeyView {
    /// Its id.
    pub id: String,
    /// When it was made, if the row says so.
    pub created_at_ms: Option<i64>,
    /// From when it signs.
    pub signs_from_ms: i64,
    /// From when its tokens are refused; `None`: until another follows.
    pub gone_from_ms: Option<i64>,
    /// Whether it is the one that signs now.
    pub signs: bool,
    /// Which secret it is sealed by; `None`: none of those that are given.
    pub sealed_by: Option<SealedBy>,
}

/// What a rewrapping found. Every key is in one of the lists.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rewrapped {
    /// The keys that are sealed by `AUTH_SECRET` since now.
    pub now: Vec<String>,
    /// Those that were before.
    pub already: Vec<String>,
    /// Those that no secret opens.
    pub closed: Vec<String>,
}

/// The keys as an operator sees them.
#[derive(Debug, Clone)]
pub struct KeysView {
    /// Every key whose tokens are good, the oldest first.
    pub keys: Vec<KeyView>,
    /// Rows that cannot be read; they count as absent.
    pub unreadable: Vec<Unreadable>,
}

/// Manages the keys.
#[derive(Debug)]
pub struct Manager {
    keys: SigningKeys,
    secret: Secret,
}

impl Manager {
    /// Over a client, with the secret that auth has.
    #[must_use]
    pub fn new(mongo: &Mongo, secret: Secret) -> Self {
        Self { keys: SigningKeys::new(mongo), secret }
    }

    /// Makes the first key unless there is one that can be read; safe to repeat and to
    /// run twice at once. Returns whether one was made.
    ///
    /// # Errors
    /// See [`ManageError`].
    pub async fn ensure(&self, by: &Witness) -> Result<bool, ManageError> {
        let found = self.found().await?;
        if !found.rows.is_empty() {
            return self.opens_one(&found.rows).map(|()| false);
        }
        let first = self.make(clock::now_ms(), Duration::ZERO)?;
        let mut made = self.keys.insert_first(&first, by).await.map_err(ManageError::Store)?;
        if !made && self.found().await?.rows.is_empty() {
            // The first key is there and cannot be read.
            self.keys.insert(&first, by).await.map_err(ManageError::Store)?;
            made = true;
        }
        // The winner of a race may have had another secret.
        self.opens_one(&self.found().await?.rows).map(|()| made)
    }

    /// Every key whose tokens are good, the oldest first, and what cannot be read.
    ///
    /// # Errors
    /// See [`ManageError`].
    pub async fn list(&self) -> Result<KeysView, ManageError> {
        let (KeyList { rows, unreadable }, now_ms) = (self.found().await?, clock::now_ms());
        let opening: Vec<&KeyRow> =
            rows.iter().filter(|row| self.sealed_by(row).is_some()).collect();
        let begun = opening.iter().filter(|row| row.signs_from_ms <= now_ms);
        let signs = begun.max_by_key(|row| row.signs_from_ms).or(opening.first());
        let signs = signs.map(|row| row.id.clone());
        let keys = rows.iter().map(|row| self.view(row, signs.as_deref())).collect();
        Ok(KeysView { keys, unreadable })
    }

    /// A new key, published now and signing after `wait`; the others end. Returns its id.
    ///
    /// # Errors
    /// See [`ManageError`].
    pub async fn rotate(&self, wait: Duration, by: &Witness) -> Result<String, ManageError> {
        self.opens_one(&self.found().await?.rows)?;
        let new = self.make(clock::now_ms(), wait)?;
        let gone_from_ms = new.signs_from_ms.saturating_add(millis(LIFETIME_MAX + GONE_AFTER));
        self.keys.rotate(&new, gone_from_ms, by).await.map_err(ManageError::Store)?;
        Ok(new.id)
    }

    /// Removes a key at once: its tokens are refused. There is always one that
    /// signs afterwards, and it may be a fresh one: unless `new_secret` says
    /// that the secret was changed on purpose, it must be that of the others.
    ///
    /// # Errors
    /// See [`ManageError`].
    pub async fn remove(
        &self,
        id: &str,
        new_secret: bool,
        by: &Witness,
    ) -> Result<Removal, ManageError> {
        if !new_secret {
            self.opens_one(&self.found().await?.rows)?;
        }
        let spare = self.make(clock::now_ms(), Duration::ZERO)?;
        self.keys.remove(id, &spare, by).await.map_err(ManageError::Store)
    }

    /// Seals every key that a secret opens by `AUTH_SECRET`. Safe to repeat and to run
    /// twice at once: each key is changed by itself, if nobody has changed it meanwhile.
    /// `each` is told of every key as soon as it is changed.
    ///
    /// # Errors
    /// See [`ManageError`]; the keys that `each` was told of are changed.
    pub async fn rewrap(
        &self,
        by: &Witness,
        mut each: impl FnMut(&str),
    ) -> Result<Rewrapped, ManageError> {
        let rows = self.found().await?.rows;
        self.opens_one(&rows)?;
        let mut done = Rewrapped::default();
        for row in rows {
            let wrapper = Wrapper::new(&self.secret);
            let opened =
                wrapper.as_ref().and_then(|wrapper| Some((wrapper, opened(wrapper, &row)?)));
            let Some((wrapper, (_, opened))) = opened else {
                done.closed.push(row.id);
                continue;
            };
            if opened.sealed_by == SealedBy::Current {
                done.already.push(row.id);
                continue;
            }
            let sealed = wrapper.wrap(&row.id, &opened.private);
            let sealed = sealed.ok_or(ManageError::Key(KeyError::Random))?;
            let changed = self.keys.rewrap(&row, &sealed, by).await.map_err(ManageError::Store)?;
            if changed {
                each(&row.id);
                done.now.push(row.id);
            } else {
                done.already.push(row.id);
            }
        }
        Ok(done)
    }

    async fn found(&self) -> Result<KeyList, ManageError> {
        self.keys.list(clock::now_ms()).await.map_err(ManageError::Store)
    }

    /// A key under another secret than the others' would be of no use to auth. Where one
    /// opens, the secret is right, and another that does not open is damaged.
    fn opens_one(&self, rows: &[KeyRow]) -> Result<(), ManageError> {
        match rows.first() {
            Some(first) if rows.iter().all(|row| self.sealed_by(row).is_none()) => {
                Err(ManageError::WrongSecret(first.id.clone()))
            }
            Some(_) | None => Ok(()),
        }
    }

    fn sealed_by(&self, row: &KeyRow) -> Option<SealedBy> {
        let (_, opened) = opened(&Wrapper::new(&self.secret)?, row)?;
        Some(opened.sealed_by)
    }

    fn view(&self, row: &KeyRow, signs: Option<&str>) -> KeyView {
        KeyView {
            id: row.id.clone(),
            created_at_ms: row.created_at_ms,
            signs_from_ms: row.signs_from_ms,
            gone_from_ms: row.gone_from_ms,
            signs: signs == Some(row.id.as_str()),
            sealed_by: self.sealed_by(row),
        }
    }

    fn make(&self, now_ms: i64, wait: Duration) -> Result<KeyRow, ManageError> {
        let private = SigningKey::generate().map_err(ManageError::Key)?;
        let key = SigningKey::read(&private).map_err(ManageError::Key)?;
        let wrapped = Wrapper::new(&self.secret).and_then(|w| w.wrap(key.id(), &private));
        Ok(KeyRow {
            id: key.id().to_owned(),
            public_key: key.public().as_bytes().to_vec(),
            wrapped_key: wrapped.ok_or(ManageError::Key(KeyError::Random))?,
            created_at_ms: Some(now_ms),
            signs_from_ms: now_ms.saturating_add(millis(wait)),
            gone_from_ms: None,
        })
    }
}
