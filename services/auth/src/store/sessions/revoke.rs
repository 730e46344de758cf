//! How a session ends before its time: revoked, with the reason, and recorded in the same
//! transaction. A process that dies before the commit has ended nothing.

use mongodb::ClientSession;
use mongodb::bson::doc;
use onboard_contract::{SessionId, UserId};
use onboard_fault::Step;
use onboard_mongo::bson_time::{date, id};
use onboard_mongo::{Mongo, Raw, StoreError, bounded, field, transact_at};
use onboard_runtime::clock;

use super::{SESSIONS, Sessions};
use crate::store::security_events::{EventKind, NewEvent, Witness};

impl Sessions {
    /// Revokes a session. The first reason stands. Returns whether it was
    /// revoked now.
    ///
    /// # Errors
    /// The store failed.
    pub async fn revoke(
        &self,
        session: SessionId,
        reason: Revoked,
        by: &Witness,
    ) -> Result<bool, StoreError> {
        let (mongo, by) = (self.mongo.clone(), by.clone());
        let revoke = transact_at(reason.step(), self.mongo.client(), async move |client| {
            revoked(&mongo, client, session, (reason, &by)).await
        });
        bounded("revoke the session", revoke).await
    }
}

/// Why a session was revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revoked {
    /// Its user logged out.
    Logout,
    /// A refresh token was used twice.
    Reuse,
    /// Its user had too many.
    Limit,
}

impl Revoked {
    const fn word(self) -> &'static str {
        match self {
            Self::Logout => "logout",
            Self::Reuse => "reuse",
            Self::Limit => "limit",
        }
    }

    const fn step(self) -> Step {
        match self {
            Self::Logout | Self::Reuse => Step("session.revoke"),
            Self::Limit => Step("session.limit"),
        }
    }

    const fn event(self) -> EventKind {
        match self {
            Self::Logout => EventKind::LoggedOut,
            Self::Reuse => EventKind::SessionReused,
            Self::Limit => EventKind::SessionLimit,
        }
    }
}

/// Inside a transaction: revokes a session that is not, and records it.
async fn revoked(
    mongo: &Mongo,
    client: &mut ClientSession,
    session: SessionId,
    (reason, by): (Revoked, &Witness),
) -> mongodb::error::Result<bool> {
    let sessions = mongo.documents(SESSIONS);
    let this = doc! { "_id": id(session.uuid()) };
    let open = doc! { "_id": id(session.uuid()), "revokedAt": { "$exists": false } };
    let revoke =
        doc! { "$set": { "revokedAt": date(clock::now_ms()), "revokedFor": reason.word() } };
    let done = sessions.update_one(open, revoke).session(&mut *client).await?;
    if done.matched_count == 0 {
        return Ok(false);
    }
    // Whose it was may be what cannot be read.
    let found = sessions.clone_with_type::<Raw>().find_one(this).session(&mut *client).await?;
    let user = found.and_then(|Raw(found)| field::id(&found, "userId").known());
    let user = user.map(UserId::from);
    let event = by.event(reason.event()).of_session(session);
    user.into_iter().fold(event, NewEvent::of_user).record(mongo, client).await?;
    Ok(true)
}
