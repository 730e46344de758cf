//! Stop 5 for many events at once: one transaction, which commits all or none.
//!
//! It begins with the belief that every event is new and every todo missing.
//! A duplicate key ends it; what is there already is then looked up outside,
//! and the rest begins anew. Nothing of what was looked up has to stay true: a
//! record that was seen stays, and a todo that was seen is missing later only
//! because its user has deleted it. What fails because of one member is given
//! back to be done alone (`Inbox::apply`), so that nobody suffers from a
//! neighbour; which one it was need not be known. So is an event whose id came
//! for another user (`conflict`), or whose record cannot be read.
//!
//! A crash before the commit leaves nothing and all the messages come again; a
//! crash after it leaves all the records, and the messages are duplicates.

use std::collections::HashSet;
use std::collections::hash_map::{Entry, HashMap};
use std::time::Duration;

use futures::TryStreamExt;
use mongodb::ClientSession;
use mongodb::bson::{Bson, Document, doc};
use onboard_contract::{EventId, TodoId, UserId, UserRegistered};
use onboard_fault::{self as fault, Step};
use onboard_runtime::{Backoff, clock};
use onboard_store::bson_time::{date, id};
use onboard_store::{
    InboxRecord, OPERATION_DEADLINE, StoreError, bounded, field, is_duplicate_key,
    is_write_conflict, transaction,
};

use super::conflict::deletions_of;
use super::{Applied, Inbox, WHAT, record, welcome};

/// How often a group is tried before its members are done alone.
const TRIES: u32 = 3;
/// The first wait for another transaction that writes the same documents; it
/// doubles.
const CONFLICT_WAIT: Duration = Duration::from_millis(10);
const CONFLICT_WAIT_MAX: Duration = Duration::from_millis(100);

impl Inbox {
    /// Applies events in one transaction. The answers are in their order;
    /// `None` is one that must be applied alone.
    ///
    /// # Errors
    /// The store failed; all of them may be tried together again.
    pub(crate) async fn apply_together(
        &self,
        events: &[UserRegistered],
    ) -> Result<Vec<Option<Applied>>, StoreError> {
        match tokio::time::timeout(OPERATION_DEADLINE, self.together(events)).await {
            Ok(applied) => applied,
            Err(_) => Err(StoreError::TimedOut { what: WHAT }),
        }
    }

    async fn together(
        &self,
        events: &[UserRegistered],
    ) -> Result<Vec<Option<Applied>>, StoreError> {
        let mut present = Present::default();
        for tried in 0..TRIES {
            let fresh = present.fresh(events);
            if fresh.is_empty() {
                return Ok(present.answers(events));
            }
            let Err(error) = self.commit_together(&fresh, &present).await else {
                return Ok(present.after_commit(events));
            };
            if is_duplicate_key(&error) {
                present = self.present(events).await?;
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

    async fn commit_together(
        &self,
        fresh: &[&UserRegistered],
        present: &Present,
    ) -> mongodb::error::Result<()> {
        let mut session = self.mongo.todo().client().start_session().await?;
        transaction(&mut session).await?;
        if let Err(error) = self.write_together(&mut session, fresh, present).await {
            // The server gives it up by itself, should it not hear this.
            session.abort_transaction().await.ok();
            return Err(error);
        }
        fault::before(Step::InboxCommit).await;
        session.commit_transaction().await?;
        fault::after(Step::InboxCommit).await;
        Ok(())
    }

    async fn write_together(
        &self,
        session: &mut ClientSession,
        fresh: &[&UserRegistered],
        present: &Present,
    ) -> mongodb::error::Result<()> {
        let (inbox, todos) = (self.mongo.processed_events(), self.mongo.todos());
        // First, while the index knows nothing of these users but what it is
        // asked for. The snapshot is the same anywhere in the transaction.
        let deleted = self.deleted(session, fresh).await?;
        let now = date(clock::now_ms());
        inbox
            .insert_many(fresh.iter().map(|event| record(event, now)))
            .session(&mut *session)
            .await?;
        let mut there: HashSet<TodoId> = present.todos.union(&deleted).copied().collect();
        let missing: Vec<Document> = fresh
            .iter()
            .filter(|event| there.insert(TodoId::welcome(event.user_id)))
            .map(|event| {
                let mut todo = doc! { "_id": id(TodoId::welcome(event.user_id).uuid()) };
                todo.extend(welcome(event, now));
                todo
            })
            .collect();
        if !missing.is_empty() {
            todos.insert_many(missing).session(&mut *session).await?;
        }
        Ok(())
    }

    /// Welcome todos that their users have deleted.
    async fn deleted(
        &self,
        session: &mut ClientSession,
        fresh: &[&UserRegistered],
    ) -> mongodb::error::Result<HashSet<TodoId>> {
        let inbox = self.mongo.processed_events();
        let filter = deletions_of(&todos_of(fresh));
        let only = doc! { "_id": 0, "todoId": 1, "todoDeletedAt": 1, "conflicts": 1 };
        let mut found = inbox.find(filter).projection(only).session(&mut *session).await?;
        let records: Vec<Document> = found.stream(session).try_collect().await?;
        let records: Vec<InboxRecord> = records.iter().map(InboxRecord::read).collect();
        let todos = records.iter().flat_map(InboxRecord::todos);
        Ok(todos.filter_map(|(todo, deleted)| deleted.then_some(todo)).collect())
    }

    /// What is there already of these events.
    async fn present(&self, events: &[UserRegistered]) -> Result<Present, StoreError> {
        const WHAT: &str = "look for what was applied";
        let all: Vec<&UserRegistered> = events.iter().collect();
        let ids: Vec<Bson> = all.iter().map(|event| id(event.event_id.uuid())).collect();
        let inbox = self.mongo.processed_events();
        let find = inbox.find(doc! { "eventId": { "$in": ids } });
        let records: Vec<Document> =
            bounded(WHAT, async { find.await?.try_collect().await }).await?;
        let todos = self.mongo.todos();
        let find = todos.find(doc! { "_id": { "$in": todos_of(&all) } });
        let find = find.projection(doc! { "_id": 1 });
        let todos: Vec<Document> = bounded(WHAT, async { find.await?.try_collect().await }).await?;
        let records = records.iter().map(InboxRecord::read);
        let todo = |todo| field::id(todo, "_id").map(TodoId::from).known();
        Ok(Present {
            events: records.filter_map(|one| Some((one.event_id.known()?, one))).collect(),
            todos: todos.iter().filter_map(todo).collect(),
        })
    }
}

fn todos_of(events: &[&UserRegistered]) -> Vec<Bson> {
    events.iter().map(|event| id(TodoId::welcome(event.user_id).uuid())).collect()
}

/// What was found to be there.
#[derive(Debug, Default)]
struct Present {
    events: HashMap<EventId, InboxRecord>,
    todos: HashSet<TodoId>,
}

impl Present {
    /// The events without a record, each once: for the user who comes first.
    fn fresh<'a>(&self, events: &'a [UserRegistered]) -> Vec<&'a UserRegistered> {
        let mut seen = HashSet::new();
        let fresh = |event: &&UserRegistered| {
            !self.events.contains_key(&event.event_id) && seen.insert(event.event_id)
        };
        events.iter().filter(fresh).collect()
    }

    /// Without a commit: only what has a record is applied.
    fn answers(&self, events: &[UserRegistered]) -> Vec<Option<Applied>> {
        let answer = |event: &UserRegistered| answer(self.events.get(&event.event_id)?, event);
        events.iter().map(answer).collect()
    }

    /// What had no record has one now; its first delivery made it.
    fn after_commit(&self, events: &[UserRegistered]) -> Vec<Option<Applied>> {
        let mut made: HashMap<EventId, UserId> = HashMap::new();
        let mut applied = |event: &UserRegistered| {
            if let Some(record) = self.events.get(&event.event_id) {
                return answer(record, event);
            }
            let todo = TodoId::welcome(event.user_id);
            match made.entry(event.event_id) {
                Entry::Vacant(first) => {
                    first.insert(event.user_id);
                    Some(Applied::Created(todo))
                }
                Entry::Occupied(first) => {
                    (*first.get() == event.user_id).then_some(Applied::Duplicate(todo))
                }
            }
        };
        events.iter().map(&mut applied).collect()
    }
}

/// What the record says about the event; none when it must be applied alone: the
/// record knows nothing of this user, or cannot be read.
fn answer(record: &InboxRecord, event: &UserRegistered) -> Option<Applied> {
    let known = record.acknowledgement_for(event.user_id).ok().flatten();
    known.map(|acknowledgement| Applied::Duplicate(acknowledgement.todo_id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn event(event: u128, user: u128) -> UserRegistered {
        UserRegistered {
            event_id: Uuid::from_u128(event).into(),
            occurred_at: None,
            user_id: Uuid::from_u128(user).into(),
            email: None,
            traceparent: None,
        }
    }

    fn todo(user: u128) -> TodoId {
        TodoId::welcome(Uuid::from_u128(user).into())
    }

    /// The record of an event, with a conflict for each of the other users.
    fn present(of: &UserRegistered, others: &[u128]) -> Present {
        let mut found = record(of, date(0));
        let conflict = |user: &u128| doc! { "userId": id(Uuid::from_u128(*user)) };
        found.insert("conflicts", others.iter().map(conflict).collect::<Vec<_>>());
        let events = [(of.event_id, InboxRecord::read(&found))].into();
        Present { events, ..Present::default() }
    }

    #[test]
    fn of_a_committed_group_the_first_delivery_of_each_event_made_it() {
        let events = [event(1, 1), event(2, 2), event(1, 1), event(3, 1)];
        let present = present(&events[1], &[]);
        let fresh: Vec<EventId> = present.fresh(&events).iter().map(|e| e.event_id).collect();
        assert_eq!(fresh, [events[0].event_id, events[3].event_id]);
        let expected = [
            Applied::Created(todo(1)),
            Applied::Duplicate(todo(2)),
            Applied::Duplicate(todo(1)),
            Applied::Created(todo(1)),
        ];
        assert_eq!(present.after_commit(&events), expected.map(Some));
    }

    #[test]
    fn without_a_commit_only_what_has_a_record_is_answered() {
        let events = [event(1, 1), event(2, 2)];
        let present = present(&events[1], &[]);
        assert_eq!(present.answers(&events), [None, Some(Applied::Duplicate(todo(2)))]);
    }

    #[test]
    fn an_event_id_of_another_user_is_given_back_to_be_done_alone() {
        // Both users meet in one group, and a record knows two of three users.
        let events = [event(1, 1), event(1, 2), event(1, 1), event(2, 3), event(2, 4), event(2, 5)];
        let present = present(&events[3], &[4]);
        let fresh: Vec<UserId> = present.fresh(&events).iter().map(|e| e.user_id).collect();
        assert_eq!(fresh, [events[0].user_id]);
        let duplicate = |user| Some(Applied::Duplicate(todo(user)));
        let expected =
            [Some(Applied::Created(todo(1))), None, duplicate(1), duplicate(3), duplicate(4), None];
        assert_eq!(present.after_commit(&events), expected);
        let expected = [None, None, None, duplicate(3), duplicate(4), None];
        assert_eq!(present.answers(&events), expected);
    }

    #[test]
    fn a_record_without_a_readable_user_concerns_its_event_alone() {
        let events = [event(1, 1), event(2, 2)];
        let mut present = present(&events[1], &[]);
        for found in present.events.values_mut() {
            found.user_id = field::Field::Unset;
        }
        assert_eq!(present.fresh(&events).len(), 1);
        assert_eq!(present.after_commit(&events), [Some(Applied::Created(todo(1))), None]);
    }
}
