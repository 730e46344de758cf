//! Stop 5 for many events at once: one transaction, which commits all or none.
//!
//! It begins with the belief that every event is new, and nothing of its effect
//! there. A duplicate key ends it; the records that are there already are then
//! looked up outside, and the rest begins anew, with an effect that looks. Nothing
//! of what was looked up has to stay true: a record that was seen stays. The members
//! of a group that fails because of one of them are given back to be done alone
//! (`Inbox::apply`), so that no event waits for another; nobody needs to know which it
//! was. An event whose id came for another aggregate (`conflict`), or whose record cannot
//! be read, is given back, too.
//!
//! A crash before the commit leaves nothing and all the messages come again; a
//! crash after it leaves all the records, and the messages are duplicates.

use std::collections::HashSet;
use std::collections::hash_map::{Entry, HashMap};
use std::time::Duration;

use mongodb::ClientSession;
use mongodb::bson::{Bson, RawDocumentBuf, doc};
use onboard_contract::EventId;
use onboard_fault as fault;
use onboard_mongo::bson_time::{date, id};
use onboard_mongo::{
    OPERATION_DEADLINE, StoreError, ask, in_session, is_duplicate_key, is_write_conflict,
    raw_document, transaction,
};
use onboard_runtime::{Backoff, clock};
use uuid::Uuid;

use crate::InboxRecord;

use super::{Applied, Arrived, COMMIT, Effect, Inbox, Turn, WHAT, applying, record};

/// How often a group is tried before its members are done alone.
const TRIES: u32 = 3;
/// The first wait for another transaction that writes the same documents; it
/// doubles.
const CONFLICT_WAIT: Duration = Duration::from_millis(10);
const CONFLICT_WAIT_MAX: Duration = Duration::from_millis(100);

impl Inbox {
    /// Applies events in one transaction. The answers are in their order; `None` is
    /// one that must be applied alone. When the store fails, all of them may be tried
    /// together again.
    pub(crate) async fn apply_together<F: Effect>(
        &self,
        effect: &F,
        events: &[Arrived<F::Event>],
    ) -> Result<Vec<Option<Applied>>, StoreError> {
        match tokio::time::timeout(OPERATION_DEADLINE, self.together(effect, events)).await {
            Ok(applied) => applied,
            Err(_) => Err(StoreError::TimedOut { what: WHAT }),
        }
    }

    async fn together<F: Effect>(
        &self,
        effect: &F,
        events: &[Arrived<F::Event>],
    ) -> Result<Vec<Option<Applied>>, StoreError> {
        let (mut present, mut turn) = (Present::default(), Turn::First);
        for tried in 0..TRIES {
            let fresh = present.fresh(events);
            if fresh.is_empty() {
                return Ok(present.answers(events));
            }
            let Err(error) = self.commit_together(effect, &fresh, turn).await else {
                return Ok(present.after_commit(events));
            };
            if is_duplicate_key(&error) {
                (present, turn) = (self.present(events).await?, Turn::Again);
            } else if is_write_conflict(&error) {
                let wait = Backoff::after(CONFLICT_WAIT, CONFLICT_WAIT_MAX, tried);
                tokio::time::sleep(wait).await;
            } else {
                let error = StoreError::from_driver(WHAT, error);
                return if error.is_retryable() { Err(error) } else { Ok(present.answers(events)) };
            }
        }
        Ok(present.answers(events))
    }

    async fn commit_together<F: Effect>(
        &self,
        effect: &F,
        fresh: &[&Arrived<F::Event>],
        turn: Turn,
    ) -> mongodb::error::Result<()> {
        in_session(self.database.client(), async |session| {
            transaction(session).await?;
            if let Err(error) = self.write_together(session, effect, fresh, turn).await {
                // The server gives it up by itself, should it not hear this.
                session.abort_transaction().await.ok();
                return Err(error);
            }
            fault::before(COMMIT).await;
            session.commit_transaction().await?;
            fault::after(COMMIT).await;
            Ok(())
        })
        .await
    }

    /// The effect comes first: what it looks up among the records is then looked up
    /// while the transaction has written none.
    async fn write_together<F: Effect>(
        &self,
        session: &mut ClientSession,
        effect: &F,
        fresh: &[&Arrived<F::Event>],
        turn: Turn,
    ) -> mongodb::error::Result<()> {
        applying(effect, session, fresh, turn).await?;
        let now = date(clock::now_ms());
        let records = fresh.iter().map(|event| record(self.names, event, now));
        self.records().insert_many(records).session(session).await?;
        Ok(())
    }

    /// Which of these events have a record already.
    async fn present<E>(&self, events: &[Arrived<E>]) -> Result<Present, StoreError> {
        let ids: Vec<Bson> = events.iter().map(|event| id(event.event_id.uuid())).collect();
        let inbox = self.raw_records();
        let find = inbox.find(doc! { "eventId": { "$in": ids } });
        let records: Vec<RawDocumentBuf> = ask("look for what was applied", find).await?;
        let records = records.iter().map(|record| self.names.read(&raw_document::readable(record)));
        let records = records.filter_map(|one| Some((one.event_id.known()?, one)));
        Ok(Present(records.collect()))
    }
}

/// The records that were found to be there.
#[derive(Debug, Default)]
struct Present(HashMap<EventId, InboxRecord>);

impl Present {
    /// The events without a record, each once: for the aggregate that comes first.
    fn fresh<'a, E>(&self, events: &'a [Arrived<E>]) -> Vec<&'a Arrived<E>> {
        let mut seen = HashSet::new();
        let fresh = |event: &&Arrived<E>| {
            !self.0.contains_key(&event.event_id) && seen.insert(event.event_id)
        };
        events.iter().filter(fresh).collect()
    }

    /// Without a commit: only what has a record is applied.
    fn answers<E>(&self, events: &[Arrived<E>]) -> Vec<Option<Applied>> {
        let answer = |event: &Arrived<E>| answer(self.0.get(&event.event_id)?, event);
        events.iter().map(answer).collect()
    }

    /// What had no record has one now; its first delivery made it.
    fn after_commit<E>(&self, events: &[Arrived<E>]) -> Vec<Option<Applied>> {
        let mut made: HashMap<EventId, Uuid> = HashMap::new();
        let mut applied = |event: &Arrived<E>| {
            if let Some(record) = self.0.get(&event.event_id) {
                return answer(record, event);
            }
            match made.entry(event.event_id) {
                Entry::Vacant(first) => {
                    first.insert(event.aggregate_id);
                    Some(Applied::Created(event.reference))
                }
                Entry::Occupied(first) => (*first.get() == event.aggregate_id)
                    .then_some(Applied::Duplicate(event.reference)),
            }
        };
        events.iter().map(&mut applied).collect()
    }
}

/// What the record says about the event; none when it must be applied alone: the
/// record knows nothing of this aggregate, or cannot be read.
fn answer<E>(record: &InboxRecord, event: &Arrived<E>) -> Option<Applied> {
    let known = record.reference_for(event.aggregate_id, event.reference).ok().flatten();
    known.map(Applied::Duplicate)
}

#[cfg(test)]
mod tests {
    use super::*;
    use onboard_mongo::Field;

    use crate::InboxNames;

    const NAMES: InboxNames = InboxNames::PLAIN;

    fn event(event: u128, aggregate: u128) -> Arrived<()> {
        Arrived {
            event_id: Uuid::from_u128(event).into(),
            aggregate_id: Uuid::from_u128(aggregate),
            reference: made(aggregate),
            traceparent: None,
            event: (),
        }
    }

    /// What the effect makes for an aggregate.
    fn made(aggregate: u128) -> Uuid {
        Uuid::from_u128(aggregate + 1_000)
    }

    /// The record of an event, with a conflict for each of the other aggregates.
    fn present(of: &Arrived<()>, others: &[u128]) -> Present {
        let mut found = record(NAMES, of, date(0));
        let conflict = |of: &u128| doc! { "aggregateId": id(Uuid::from_u128(*of)) };
        found.insert("conflicts", others.iter().map(conflict).collect::<Vec<_>>());
        Present([(of.event_id, NAMES.read(&found))].into())
    }

    #[test]
    fn of_a_committed_group_the_first_delivery_of_each_event_made_it() {
        let events = [event(1, 1), event(2, 2), event(1, 1), event(3, 1)];
        let present = present(&events[1], &[]);
        let fresh: Vec<EventId> = present.fresh(&events).iter().map(|e| e.event_id).collect();
        assert_eq!(fresh, [events[0].event_id, events[3].event_id]);
        let expected = [
            Applied::Created(made(1)),
            Applied::Duplicate(made(2)),
            Applied::Duplicate(made(1)),
            Applied::Created(made(1)),
        ];
        assert_eq!(present.after_commit(&events), expected.map(Some));
    }

    #[test]
    fn without_a_commit_only_what_has_a_record_is_answered() {
        let events = [event(1, 1), event(2, 2)];
        let present = present(&events[1], &[]);
        assert_eq!(present.answers(&events), [None, Some(Applied::Duplicate(made(2)))]);
    }

    #[test]
    fn an_event_id_of_another_aggregate_is_given_back_to_be_done_alone() {
        // Both meet in one group, and a record knows two of three aggregates.
        let events = [event(1, 1), event(1, 2), event(1, 1), event(2, 3), event(2, 4), event(2, 5)];
        let present = present(&events[3], &[4]);
        let fresh: Vec<Uuid> = present.fresh(&events).iter().map(|e| e.aggregate_id).collect();
        assert_eq!(fresh, [events[0].aggregate_id]);
        let duplicate = |of| Some(Applied::Duplicate(made(of)));
        let expected =
            [Some(Applied::Created(made(1))), None, duplicate(1), duplicate(3), duplicate(4), None];
        assert_eq!(present.after_commit(&events), expected);
        let expected = [None, None, None, duplicate(3), duplicate(4), None];
        assert_eq!(present.answers(&events), expected);
    }

    #[test]
    fn a_record_without_a_readable_aggregate_concerns_its_event_alone() {
        let events = [event(1, 1), event(2, 2)];
        let mut present = present(&events[1], &[]);
        for found in present.0.values_mut() {
            found.aggregate_id = Field::Unset;
        }
        assert_eq!(present.fresh(&events).len(), 1);
        assert_eq!(present.after_commit(&events), [Some(Applied::Created(made(1))), None]);
    }
}
