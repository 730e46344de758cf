//! How many sessions a user has: the oldest end.
//!
//! A login looks after its own commit, so that of logins at the same time the last one to
//! commit sees all of them. It never ends its own session, whatever the clock of the process
//! that opened another one says. Each session ends in a transaction of its own: of two logins
//! that end the same one the loser finds it ended and goes on with the next. A process that
//! dies before it is through leaves sessions too many, which the user's next login ends.

use mongodb::bson::{Document, doc};
use onboard_contract::{SessionId, UserId};
use onboard_mongo::bson_time::{date, id};
use onboard_mongo::field;
use onboard_mongo::{Raw, StoreError, ask};
use onboard_runtime::clock;

use super::revoke::Revoked;
use super::{SESSIONS, Sessions};
use crate::store::Witness;

/// Sessions that one login ends at most. More than one is too many only where several
/// logins are at work, or after the limit was lowered.
const ENDED_MAX: i64 = 100;

/// The order in which the sessions of a user are looked at. Those that go on stand together:
/// what was revoked stays for `SESSION_LIFETIME`, and a login reads none of it.
pub(crate) fn newest_first() -> Document {
    doc! { "userId": 1, "revokedAt": 1, "createdAt": -1, "_id": -1 }
}

impl Sessions {
    /// Ends the oldest sessions of a user until `most` are left, the one that was just opened
    /// among them. Returns those that were ended.
    ///
    /// # Errors
    /// The store failed, perhaps after some were ended; the next login tries again.
    pub async fn end_oldest(
        &self,
        user: UserId,
        opened: SessionId,
        (most, by): (u32, &Witness),
    ) -> Result<Vec<SessionId>, StoreError> {
        let mut ended = Vec::new();
        for session in self.too_many(user, opened, most).await? {
            if self.revoke(session, Revoked::Limit, by).await? {
                ended.push(session);
            }
        }
        Ok(ended)
    }

    async fn too_many(
        &self,
        user: UserId,
        opened: SessionId,
        most: u32,
    ) -> Result<Vec<SessionId>, StoreError> {
        let sessions = self.mongo.documents(SESSIONS).clone_with_type::<Raw>();
        let others = doc! {
            "userId": id(user.uuid()),
            "_id": { "$ne": id(opened.uuid()) },
            "revokedAt": null,
            "expiresAt": { "$gt": date(clock::now_ms()) },
        };
        let find = sessions
            .find(others)
            .sort(doc! { "createdAt": -1, "_id": -1 })
            .skip(most.saturating_sub(1).into())
            .limit(ENDED_MAX)
            .projection(doc! { "_id": 1 });
        let found: Vec<Raw> = ask("look for old sessions", find).await?;
        let ids = found.iter().filter_map(|Raw(session)| field::id(session, "_id").known());
        Ok(ids.map(SessionId::from).collect())
    }
}
