//! Sessions and their refresh tokens.
//!
//! A login opens a session and its first refresh token; each use of a token
//! makes the next one, in one transaction. A token is good once, while it is
//! not idle for too long, and while its session is neither over nor revoked.
//! For a short time its second use is answered like the first one, with the same
//! next token: two tabs of one client may refresh at once. A used token is kept
//! until the session ends, so that a later use is recognised and revokes the whole
//! session.
//!
//! A crash before a commit leaves everything as it was. After the commit of a
//! refresh the old token is used and the client may not have heard of the new
//! one: its next try with the old one is answered again for that short time.

mod limit;
mod revoke;

use mongodb::ClientSession;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Document, doc};
use onboard_contract::{SessionId, UserId};
use onboard_fault::Step;
use onboard_mongo::bson_time::{date, id};
use onboard_mongo::field::{self, BYTES, DATE, UUID};
use onboard_mongo::{
    Malformed, Mongo, Raw, StoreError, ask, bounded, is_duplicate_key, transact_at,
};
use onboard_runtime::clock;

pub(crate) use self::limit::newest_first;
pub use self::revoke::Revoked;
use super::security_events::{EventKind, NewEvent, Witness};

pub(crate) const SESSIONS: &str = "sessions";
pub(crate) const REFRESH_TOKENS: &str = "refresh_tokens";

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
    /// How long after its use the token before it may be used again, in ms. Zero: not
    /// at all.
    pub grace_ms: i64,
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
    /// It was good, or was used just before; the next one is good.
    Done {
        /// The session.
        session_id: SessionId,
        /// Whose.
        user_id: UserId,
        /// The next one, where it had been made before.
        again: Option<TokenHash>,
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
    pub async fn open(&self, new: NewSession, by: &Witness) -> Result<Opened, StoreError> {
        let (session_id, now_ms) = (SessionId::from(clock::random_id()), clock::now_ms());
        let expires_ms = now_ms.saturating_add(new.lifetime_ms);
        let session = doc! {
            "_id": id(session_id.uuid()),
            "userId": id(new.user_id.uuid()),
            "createdAt": date(now_ms),
            "expiresAt": date(expires_ms),
        };
        let token = token_document(new.token, session_id, now_ms, expires_ms);
        let event = by.event(EventKind::LoggedIn).of_user(new.user_id).of_session(session_id);
        let commit = async {
            match self.commit_opened(session, token, event).await {
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
        event: NewEvent,
    ) -> mongodb::error::Result<()> {
        let mongo = self.mongo.clone();
        let (sessions, tokens) = (mongo.documents(SESSIONS), mongo.documents(REFRESH_TOKENS));
        transact_at(Step("login.commit"), self.mongo.client(), async move |client| {
            sessions.insert_one(&session).session(&mut *client).await?;
            tokens.insert_one(&token).session(&mut *client).await?;
            event.record(&mongo, client).await
        })
        .await
    }

    /// Uses a refresh token and makes the next one, or finds that it must not
    /// be used. Of two uses at once with different next ones one at most is `Done`, unless
    /// `others` names the next one of the other use, too.
    ///
    /// # Errors
    /// The store failed; the token may have been used.
    pub async fn rotate(
        &self,
        used: TokenHash,
        next: NewToken,
        others: Vec<TokenHash>,
    ) -> Result<Rotated, StoreError> {
        let exchange = Use { used, next, others, now_ms: clock::now_ms() };
        bounded("use the refresh token", self.commit_rotated(exchange)).await
    }

    async fn commit_rotated(&self, exchange: Use) -> mongodb::error::Result<Rotated> {
        let mongo = self.mongo.clone();
        transact_at(Step("refresh.commit"), self.mongo.client(), async move |client| {
            rotate(&mongo, client, &exchange).await
        })
        .await
    }

    /// The session of a refresh token, whatever became of either.
    ///
    /// # Errors
    /// The store failed.
    pub async fn find(&self, token: TokenHash) -> Result<Option<SessionId>, StoreError> {
        let tokens = self.mongo.documents(REFRESH_TOKENS).clone_with_type::<Raw>();
        let find = tokens.find_one(doc! { "_id": token.binary() });
        let found = ask("look up the refresh token", find).await?;
        let read = |found| self.mongo.noted().read(REFRESH_TOKENS, &found, Token::read);
        Ok(found.and_then(read).map(|token| token.session_id))
    }
}

/// The use of a refresh token.
struct Use {
    used: TokenHash,
    next: NewToken,
    /// What the next one may be instead, where it is there already.
    others: Vec<TokenHash>,
    now_ms: i64,
}

impl Use {
    /// The next token, if it is this one.
    fn next_is(&self, hash: &[u8]) -> Option<TokenHash> {
        let mut all = std::iter::once(&self.next.hash).chain(&self.others);
        all.find(|one| one.0 == hash).copied()
    }
}

/// Inside the transaction. Two at once conflict on the used token; the driver
/// repeats the loser, which then finds it used.
async fn rotate(
    mongo: &Mongo,
    client: &mut ClientSession,
    exchange: &Use,
) -> mongodb::error::Result<Rotated> {
    let Use { used, next, now_ms, .. } = *exchange;
    let Some((token, session)) = find_both(mongo, client, used).await? else {
        return Ok(Rotated::Refused);
    };
    let session_id = token.session_id;
    let done = |again| Rotated::Done { session_id, user_id: session.user_id, again };
    match &token.successor {
        Some(_) if !session.is_good(now_ms) => return Ok(Rotated::Refused),
        // Another use of the same token just before, or the first try of this very use,
        // which was committed after all.
        Some(successor) => {
            let again =
                exchange.next_is(successor).filter(|_| token.was_used_within(next.grace_ms));
            let reused = Rotated::Reused { session_id };
            return Ok(again.map_or(reused, |again| done(Some(again))));
        }
        None if !token.is_good(&session, now_ms) => return Ok(Rotated::Refused),
        None => (),
    }
    // By the server's clock, as the time since then is told by it.
    let use_it = vec![doc! { "$set": {
        "usedAt": "$$NOW", "successor": next.hash.binary(),
        "expiresAt": date(session.expires_at_ms),
    } }];
    let unused = doc! { "_id": used.binary(), "usedAt": null };
    mongo.documents(REFRESH_TOKENS).update_one(unused, use_it).session(&mut *client).await?;
    let token = token_document(next, session_id, now_ms, session.expires_at_ms);
    mongo.documents(REFRESH_TOKENS).insert_one(token).session(&mut *client).await?;
    Ok(done(None))
}

/// A token and its session. One of them that cannot be read counts as absent.
async fn find_both(
    mongo: &Mongo,
    client: &mut ClientSession,
    token: TokenHash,
) -> mongodb::error::Result<Option<(Token, Session)>> {
    let tokens = mongo.documents(REFRESH_TOKENS).clone_with_type::<Raw>();
    let find = tokens.find_one(doc! { "_id": token.binary() }).projection(with_age());
    let token = find.session(&mut *client).await?;
    let token = token.and_then(|raw| mongo.noted().read(REFRESH_TOKENS, &raw, Token::read));
    let Some(token) = token else { return Ok(None) };
    let sessions = mongo.documents(SESSIONS).clone_with_type::<Raw>();
    let own = doc! { "_id": id(token.session_id.uuid()) };
    let session = sessions.find_one(own).session(&mut *client).await?;
    let session = session.and_then(|raw| mongo.noted().read(SESSIONS, &raw, Session::read));
    Ok(session.map(|session| (token, session)))
}

/// A token's fields, and how long ago it was used, by the server's clock.
fn with_age() -> Document {
    let (first, last) = (date(0), date(i64::from(u32::MAX) * 1_000));
    let is_time = doc! { "$and": [
        { "$eq": [{ "$type": "$usedAt" }, "date"] },
        { "$gte": ["$usedAt", first] },
        { "$lte": ["$usedAt", last] },
    ] };
    let age = doc! { "$subtract": ["$$NOW", "$usedAt"] };
    doc! {
        "sessionId": 1, "expiresAt": 1, "usedAt": 1, "successor": 1,
        "usedForMs": { "$cond": [is_time, age, null] },
    }
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

/// A refresh token, as far as its use needs it.
#[derive(Debug)]
struct Token {
    session_id: SessionId,
    expires_at_ms: i64,
    used: bool,
    used_for_ms: Option<i64>,
    successor: Option<Vec<u8>>,
}

/// A session, as far as the use of a token needs it.
#[derive(Debug)]
struct Session {
    user_id: UserId,
    expires_at_ms: i64,
    revoked: bool,
}

impl Token {
    fn read(token: &Document) -> Result<Self, Malformed> {
        let successor = field::bytes(token, "successor").optional("successor", BYTES)?;
        Ok(Self {
            session_id: field::id(token, "sessionId").required("sessionId", UUID)?.into(),
            expires_at_ms: field::time(token, "expiresAt").required("expiresAt", DATE)?,
            used: field::time(token, "usedAt").optional("usedAt", DATE)?.is_some(),
            used_for_ms: field::number(token, "usedForMs").known(),
            successor: successor.map(<[u8]>::to_vec),
        })
    }

    fn is_good(&self, session: &Session, now_ms: i64) -> bool {
        !self.used && now_ms < self.expires_at_ms && session.is_good(now_ms)
    }

    /// Whether its use is not longer ago than this. Without such a time only the
    /// driver's own repeat knows the same successor.
    fn was_used_within(&self, grace_ms: i64) -> bool {
        // After an election another clock tells the time.
        let of_grace = -60_000..=grace_ms;
        grace_ms == 0 || self.used_for_ms.is_some_and(|age_ms| of_grace.contains(&age_ms))
    }
}

impl Session {
    const fn is_good(&self, now_ms: i64) -> bool {
        now_ms < self.expires_at_ms && !self.revoked
    }

    fn read(session: &Document) -> Result<Self, Malformed> {
        Ok(Self {
            user_id: field::id(session, "userId").required("userId", UUID)?.into(),
            expires_at_ms: field::time(session, "expiresAt").required("expiresAt", DATE)?,
            revoked: field::time(session, "revokedAt").optional("revokedAt", DATE)?.is_some(),
        })
    }
}

/// What is wrong with a refresh token, if anything is.
pub(crate) fn check_token(token: &Document) -> Result<(), Malformed> {
    Token::read(token)?;
    field::bytes(token, "_id").required("_id", BYTES)?;
    field::time(token, "createdAt").required("createdAt", DATE).map(drop)
}

/// What is wrong with a session, if anything is.
pub(crate) fn check_session(session: &Document) -> Result<(), Malformed> {
    Session::read(session)?;
    field::id(session, "_id").required("_id", UUID)?;
    field::time(session, "createdAt").required("createdAt", DATE).map(drop)
}
