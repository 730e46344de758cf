//! Sessions and their refresh tokens.
//!
//! A login opens a session and its first refresh token; each use of a token
//! makes the next one, in one transaction. A token is good once, while it is
//! not idle for too long, and while its session is neither over nor revoked.
//! What was used is kept until the session ends, so that a second use is
//! recognised and revokes the whole session.
//!
//! A crash before a commit leaves everything as it was. After the commit of a
//! refresh the old token is used and the client may not have heard of the new
//! one: its next try with the old one counts as reuse, and it logs in again.

use mongodb::ClientSession;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{self, Binary, DateTime, Document, doc};
use onboard_contract::{SessionId, UserId};
use onboard_fault::{self as fault, Step, step};
use onboard_runtime::clock;
use serde::Deserialize;

use crate::StoreError;
use crate::bson_time::{date, id, uuid};
use crate::error::is_duplicate_key;
use crate::mongo::{Mongo, bounded, transaction};

/// The SHA-256 of a refresh token. The token itself is never stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenHash(pub [u8; 32]);

impl TokenHash {
    fn binary(self) -> Binary {
        Binary { subtype: BinarySubtype::Generic, bytes: self.0.to_vec() }
    }
}

/// A refresh token to be.
#[derive(Debug, Clone, Copy)]
pub struct NewToken {
    /// Its hash.
    pub hash: TokenHash,
    /// How long it may stay unused, in ms.
    pub idle_ms: i64,
}

/// A session to be opened.
#[derive(Debug, Clone, Copy)]
pub struct NewSession {
    /// Whose.
    pub user_id: UserId,
    /// How long it lives at most, in ms.
    pub lifetime_ms: i64,
    /// Its first refresh token.
    pub token: NewToken,
}

/// A session that was opened.
#[derive(Debug, Clone, Copy)]
pub struct Opened {
    /// The session.
    pub session_id: SessionId,
}

/// What the use of a refresh token found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rotated {
    /// It was good; the next one is.
    Done {
        /// The session.
        session_id: SessionId,
        /// Whose.
        user_id: UserId,
    },
    /// It had been used before: the session must be revoked.
    Reused {
        /// The session.
        session_id: SessionId,
    },
    /// Unknown, expired, or its session is over or revoked.
    Refused,
}

/// Sessions in MongoDB.
#[derive(Debug, Clone)]
pub struct Sessions {
    mongo: Mongo,
}

impl Sessions {
    /// Over a client.
    #[must_use]
    pub fn new(mongo: &Mongo) -> Self {
        Self { mongo: mongo.clone() }
    }

    /// Commits a session and its first refresh token, or neither.
    ///
    /// # Errors
    /// The store failed; a session nobody knows of may have been opened.
    pub async fn open(&self, new: NewSession) -> Result<Opened, StoreError> {
        let (session_id, now_ms) = (SessionId::from(clock::random_id()), clock::now_ms());
        let expires_ms = now_ms.saturating_add(new.lifetime_ms);
        let session = doc! {
            "_id": id(session_id.uuid()),
            "userId": id(new.user_id.uuid()),
            "createdAt": date(now_ms),
            "expiresAt": date(expires_ms),
        };
        let token = token_document(new.token, session_id, now_ms, expires_ms);
        let commit = async {
            match self.commit_opened(session, token).await {
                // The ids are random: a duplicate is what a first try committed.
                Err(error) if is_duplicate_key(&error) => Ok(()),
                done => done,
            }
        };
        bounded("open the session", commit).await?;
        Ok(Opened { session_id })
    }

    async fn commit_opened(
        &self,
        session: Document,
        token: Document,
    ) -> mongodb::error::Result<()> {
        let (sessions, tokens) = (self.mongo.sessions(), self.mongo.refresh_tokens());
        let mut client = self.mongo.auth().client().start_session().await?;
        transaction(&mut client)
            .and_run2(async move |client| {
                sessions.insert_one(&session).session(&mut *client).await?;
                tokens.insert_one(&token).session(&mut *client).await?;
                fault::before(Step::LoginCommit).await;
                Ok(())
            })
            .await?;
        fault::after(Step::LoginCommit).await;
        Ok(())
    }

    /// Uses a refresh token and makes the next one, or finds that it must not
    /// be used. Of two uses at once one at most is `Done`.
    ///
    /// # Errors
    /// The store failed; the token may have been used.
    pub async fn rotate(&self, used: TokenHash, next: NewToken) -> Result<Rotated, StoreError> {
        bounded("use the refresh token", self.commit_rotated(used, next)).await
    }

    async fn commit_rotated(
        &self,
        used: TokenHash,
        next: NewToken,
    ) -> mongodb::error::Result<Rotated> {
        let mongo = self.mongo.clone();
        let now_ms = clock::now_ms();
        let mut client = self.mongo.auth().client().start_session().await?;
        let rotated = transaction(&mut client)
            .and_run2(async move |client| {
                let rotated = exchange(&mongo, client, used, next, now_ms).await?;
                fault::before(Step::RefreshCommit).await;
                Ok(rotated)
            })
            .await?;
        fault::after(Step::RefreshCommit).await;
        Ok(rotated)
    }

    /// The session of a refresh token, whatever became of either.
    ///
    /// # Errors
    /// The store failed.
    pub async fn find(&self, token: TokenHash) -> Result<Option<SessionId>, StoreError> {
        let tokens = self.mongo.refresh_tokens().clone_with_type::<TokenDocument>();
        let find = tokens.find_one(doc! { "_id": token.binary() });
        let found = bounded("look up the refresh token", async { find.await }).await?;
        Ok(found.map(|token| uuid(token.session_id).into()))
    }

    /// Revokes a session. The first reason stands. Returns whether it was
    /// revoked now.
    ///
    /// # Errors
    /// The store failed.
    pub async fn revoke(
        &self,
        session: SessionId,
        reason: &'static str,
    ) -> Result<bool, StoreError> {
        let sessions = self.mongo.sessions();
        let update = sessions.update_one(
            doc! { "_id": id(session.uuid()), "revokedAt": { "$exists": false } },
            doc! { "$set": { "revokedAt": date(clock::now_ms()), "revokedFor": reason } },
        );
        let revoke = step(Step::SessionRevoke, async { update.await });
        let done = bounded("revoke the session", revoke).await?;
        Ok(done.matched_count == 1)
    }
}

/// Inside the transaction. Two at once conflict on the used token; the driver
/// repeats the loser, which then finds it used.
async fn exchange(
    mongo: &Mongo,
    client: &mut ClientSession,
    used: TokenHash,
    next: NewToken,
    now_ms: i64,
) -> mongodb::error::Result<Rotated> {
    let tokens = mongo.refresh_tokens().clone_with_type::<TokenDocument>();
    let token = tokens.find_one(doc! { "_id": used.binary() }).session(&mut *client).await?;
    let Some(token) = token else { return Ok(Rotated::Refused) };
    let sessions = mongo.sessions().clone_with_type::<SessionDocument>();
    let session = sessions.find_one(doc! { "_id": token.session_id }).session(&mut *client).await?;
    let Some(session) = session else { return Ok(Rotated::Refused) };
    let session_id = SessionId::from(uuid(token.session_id));
    let done = Rotated::Done { session_id, user_id: uuid(session.user_id).into() };
    match token.successor {
        // The first try of this very use was committed after all.
        Some(successor) if successor == next.hash.binary() => return Ok(done),
        Some(_) => return Ok(Rotated::Reused { session_id }),
        None if !token.is_good(&session, now_ms) => return Ok(Rotated::Refused),
        None => (),
    }
    let use_it = doc! { "$set": {
        "usedAt": date(now_ms), "successor": next.hash.binary(), "expiresAt": session.expires_at,
    } };
    let unused = doc! { "_id": used.binary(), "usedAt": { "$exists": false } };
    tokens.update_one(unused, use_it).session(&mut *client).await?;
    let expires_ms = session.expires_at.timestamp_millis();
    let token = token_document(next, session_id, now_ms, expires_ms);
    mongo.refresh_tokens().insert_one(token).session(&mut *client).await?;
    Ok(done)
}

fn token_document(
    new: NewToken,
    session: SessionId,
    now_ms: i64,
    session_expires_ms: i64,
) -> Document {
    doc! {
        "_id": new.hash.binary(),
        "sessionId": id(session.uuid()),
        "createdAt": date(now_ms),
        "expiresAt": date(now_ms.saturating_add(new.idle_ms).min(session_expires_ms)),
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct TokenDocument {
    session_id: bson::Uuid,
    expires_at: DateTime,
    #[serde(default)]
    successor: Option<Binary>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SessionDocument {
    user_id: bson::Uuid,
    expires_at: DateTime,
    #[serde(default)]
    revoked_at: Option<DateTime>,
}

impl TokenDocument {
    fn is_good(&self, session: &SessionDocument, now_ms: i64) -> bool {
        let now = date(now_ms);
        now < self.expires_at && now < session.expires_at && session.revoked_at.is_none()
    }
}
