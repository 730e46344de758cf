//! A message that repeats an event id for another user: a conflict.
//!
//! The event id is unique in the inbox, so the first message makes the record.
//! The effect of the other message is applied for its own user: one transaction
//! notes the conflict on the record and creates the welcome todo, unless it is
//! there or its user has deleted it. A conflict that the record notes is a
//! duplicate from then on. A record notes [`CONFLICTS_MAX`] conflicts; the effect
//! of further ones is applied with each of their messages, which changes nothing
//! where the todo is there.
//!
//! A crash before the commit leaves nothing and the message comes again; a crash
//! after it leaves the note, and the message is a duplicate.

use mongodb::bson::{Bson, Document, doc};
use mongodb::error::Error;
use onboard_contract::{TodoId, UserRegistered};
use onboard_fault::{self as fault, Step};
use onboard_runtime::clock;

use onboard_store::bson_time::{date, id};
use onboard_store::{CONFLICTS_MAX, InboxRecord, StoreError, bounded, transaction};

use super::{Applied, Inbox, WHAT, welcome};

/// What the record says about the other user's message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Noted {
    /// The conflict is noted now.
    Now,
    /// The effect was applied before.
    Before,
    /// The record notes as many conflicts as it may.
    Full,
    /// Retention has removed the record meanwhile.
    NoRecord,
}

impl Inbox {
    /// Applies an event whose record names another user.
    pub(super) async fn apply_conflict(
        &self,
        event: &UserRegistered,
    ) -> Result<Applied, StoreError> {
        let todo = TodoId::welcome(event.user_id);
        match bounded(WHAT, self.commit_conflict(event, todo)).await? {
            Noted::Now | Noted::Full => Ok(Applied::Conflict(todo)),
            Noted::Before => Ok(Applied::Duplicate(todo)),
            // The next try makes the record.
            Noted::NoRecord => {
                let source = Error::custom("the record was removed meanwhile".to_owned());
                Err(StoreError::Unavailable { what: WHAT, source })
            }
        }
    }

    async fn commit_conflict(
        &self,
        event: &UserRegistered,
        todo: TodoId,
    ) -> mongodb::error::Result<Noted> {
        let (inbox, todos) = (self.mongo.processed_events(), self.mongo.todos());
        let (event_id, user) = (event.event_id, event.user_id);
        let now = date(clock::now_ms());
        let record = doc! { "eventId": id(event_id.uuid()) };
        let note = doc! { "$push": { "conflicts": {
            "userId": id(user.uuid()), "todoId": id(todo.uuid()), "at": now,
        } } };
        let (unnoted, welcome) = (unnoted(event), doc! { "$setOnInsert": welcome(event, now) });
        let deletion = deletions_of(&[id(todo.uuid())]);
        let mut session = self.mongo.todo().client().start_session().await?;
        let noted = transaction(&mut session)
            .and_run2(async move |session| {
                let updated =
                    inbox.update_one(unnoted.clone(), note.clone()).session(&mut *session).await?;
                let noted = if updated.matched_count > 0 {
                    Noted::Now
                } else {
                    match inbox.find_one(record.clone()).session(&mut *session).await? {
                        None => return Ok(Noted::NoRecord),
                        Some(found) => match InboxRecord::read(&found).acknowledgement_for(user) {
                            Ok(Some(_)) => return Ok(Noted::Before),
                            Ok(None) | Err(_) => Noted::Full,
                        },
                    }
                };
                let deleted = inbox.find_one(deletion.clone()).session(&mut *session).await?;
                if deleted.is_none() {
                    todos
                        .update_one(doc! { "_id": id(todo.uuid()) }, welcome.clone())
                        .upsert(true)
                        .session(&mut *session)
                        .await?;
                }
                fault::before(Step::InboxCommit).await;
                Ok(noted)
            })
            .await?;
        fault::after(Step::InboxCommit).await;
        Ok(noted)
    }
}

/// The event's record, where it knows nothing of the event's user and has room.
fn unnoted(event: &UserRegistered) -> Document {
    let another = doc! { "$ne": id(event.user_id.uuid()) };
    let mut filter = doc! {
        "eventId": id(event.event_id.uuid()),
        "userId": another.clone(),
        "conflicts.userId": another,
    };
    filter.insert(format!("conflicts.{}", CONFLICTS_MAX - 1), doc! { "$exists": false });
    filter
}

/// The records that note the deletion of one of these welcome todos.
pub(super) fn deletions_of(todos: &[Bson]) -> Document {
    let noted = doc! { "todoId": { "$in": todos }, "todoDeletedAt": { "$exists": true } };
    doc! { "$or": [noted.clone(), { "conflicts": { "$elemMatch": noted } }] }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn a_record_notes_each_other_user_once_and_a_bounded_number() {
        let event = UserRegistered {
            event_id: Uuid::from_u128(1).into(),
            occurred_at: None,
            user_id: Uuid::from_u128(2).into(),
            email: None,
            traceparent: None,
        };
        let another = doc! { "$ne": id(Uuid::from_u128(2)) };
        let expected = doc! {
            "eventId": id(Uuid::from_u128(1)),
            "userId": another.clone(),
            "conflicts.userId": another,
            "conflicts.99": { "$exists": false },
        };
        assert_eq!(unnoted(&event), expected);
    }
}
