//! A message that repeats an event id for another aggregate: a conflict.
//!
//! The event id is unique in the inbox, so the first message makes the record.
//! The effect of the other message is applied for its own aggregate: one transaction
//! notes the conflict on the record and writes the effect. A conflict that the record
//! notes is a duplicate from then on. A record notes [`CONFLICTS_MAX`] conflicts; the
//! effect of further ones is applied with each of their messages, which changes
//! nothing where it is there.
//!
//! A crash before the commit leaves nothing and the message comes again; a crash
//! after it leaves the note, and the message is a duplicate.

use mongodb::bson::{Document, doc};
use mongodb::error::Error;
use onboard_fault::Step;
use onboard_mongo::bson_time::{date, id};
use onboard_mongo::{StoreError, bounded, raw_document, transact_at};
use onboard_runtime::clock;

use crate::{CONFLICTS_MAX, InboxNames};

use super::{Applied, Arrived, Effect, Inbox, Turn, WHAT, applying};

/// The step in which the effect of a conflict and its note are committed.
const CONFLICT: Step = Step("inbox.conflict");

/// What the record says about the other aggregate's message.
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
    /// Applies an event whose record names another aggregate.
    pub(super) async fn apply_conflict<F: Effect>(
        &self,
        effect: &F,
        event: &Arrived<F::Event>,
    ) -> Result<Applied, StoreError> {
        let made = event.reference;
        match bounded(WHAT, self.commit_conflict(effect, event)).await? {
            Noted::Now | Noted::Full => Ok(Applied::Conflict(made)),
            Noted::Before => Ok(Applied::Duplicate(made)),
            // The next try makes the record.
            Noted::NoRecord => {
                let source = Error::custom("the record was removed meanwhile".to_owned());
                Err(StoreError::Unavailable { what: WHAT, source })
            }
        }
    }

    async fn commit_conflict<F: Effect>(
        &self,
        effect: &F,
        event: &Arrived<F::Event>,
    ) -> mongodb::error::Result<Noted> {
        let (inbox, raw, names) = (self.records(), self.raw_records(), self.names);
        let record = doc! { "eventId": id(event.event_id.uuid()) };
        let note = doc! { "$push": { "conflicts": {
            names.aggregate: id(event.aggregate_id),
            names.reference: id(event.reference),
            "at": date(clock::now_ms()),
        } } };
        let unnoted = without_note(names, event);
        let (effect, event) = (effect.clone(), event.clone());
        transact_at(CONFLICT, self.database.client(), async move |session| {
            let updated =
                inbox.update_one(unnoted.clone(), note.clone()).session(&mut *session).await?;
            let noted = if updated.matched_count > 0 {
                Noted::Now
            } else {
                match raw.find_one(record.clone()).session(&mut *session).await? {
                    None => return Ok(Noted::NoRecord),
                    Some(found) => {
                        let found = names.read(&raw_document::readable(&found));
                        match found.reference_for(event.aggregate_id, event.reference) {
                            Ok(Some(_)) => return Ok(Noted::Before),
                            Ok(None) | Err(_) => Noted::Full,
                        }
                    }
                }
            };
            applying(&effect, session, &[&event], Turn::Again).await?;
            Ok(noted)
        })
        .await
    }
}

/// The event's record, where it knows nothing of the event's aggregate and has room for
/// the note.
fn without_note<E>(names: InboxNames, event: &Arrived<E>) -> Document {
    let another = doc! { "$ne": id(event.aggregate_id) };
    let event_id = id(event.event_id.uuid());
    let mut filter = doc! { "eventId": event_id, names.aggregate: another.clone() };
    filter.insert(format!("conflicts.{}", names.aggregate), another);
    filter.insert(format!("conflicts.{}", CONFLICTS_MAX - 1), doc! { "$exists": false });
    // Nothing can be noted in something else than a list.
    let list = [doc! { "$exists": false }, doc! { "$type": "array" }];
    filter.insert("$or", list.map(|conflicts| doc! { "conflicts": conflicts }).to_vec());
    filter
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn a_record_notes_each_other_aggregate_once_and_a_bounded_number() {
        let event = Arrived {
            event_id: Uuid::from_u128(1).into(),
            aggregate_id: Uuid::from_u128(2),
            reference: Uuid::from_u128(3),
            traceparent: None,
            event: (),
        };
        let another = doc! { "$ne": id(Uuid::from_u128(2)) };
        let expected = doc! {
            "eventId": id(Uuid::from_u128(1)),
            "aggregateId": another.clone(),
            "conflicts.aggregateId": another,
            "conflicts.99": { "$exists": false },
            "$or": [
                { "conflicts": { "$exists": false } },
                { "conflicts": { "$type": "array" } },
            ],
        };
        assert_eq!(without_note(InboxNames::PLAIN, &event), expected);
    }
}
