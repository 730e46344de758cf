//! A row that counts as done although an effect is missing is delivered again.
//!
//! In this order: the todo service's inbox forgets what it says of the missing effect, or
//! the message would be a duplicate there; the row awaits its consumers again; its
//! workflow runs again. The record of the redrive keeps the documents before they are removed. A
//! process that dies between two of these leaves a case that the next redrive goes on
//! with: without the record the effect is still missing, and a row that awaits somebody is
//! started again by the relay, too.

use mongodb::bson::{Bson, Document, doc};
use onboard_contract::{EventId, UserId};
use onboard_events::TodoId;
use onboard_fault::{Step, step};
use onboard_mongo::transact_at;
use onboard_runtime::clock;
use onboard_temporal::ExecutionStatus;
use onboard_todo::INBOX_NAMES;
use onboard_todo::todos::CREATED_BY_USER;
use uuid::Uuid;

use super::Run;
use super::act::Performed;
use super::plan::Facts;
use crate::OperatorError;
use crate::case::TodoOwner;
use crate::error::{ask, bounded};
use crate::operator::id;
use crate::rules::inbox::is_undone;

const FORGET: &str = "remove what the inbox says of a missing effect";

/// What the todo service is to forget of an event.
#[derive(Debug, Default)]
struct Forgotten {
    /// The inbox record of the user, as it is.
    record: Option<Document>,
    /// The user among the conflicts of another user's record.
    conflict_of: Option<UserId>,
    /// The todo of another user that has the id of the welcome todo, and its new id.
    moved: Option<(Document, Uuid)>,
}

impl Run<'_> {
    pub(crate) async fn reopen(
        &self,
        event: EventId,
        facts: &Facts,
        record: Uuid,
    ) -> Result<Performed, OperatorError> {
        let undone = is_undone(&facts.case);
        if undone && let Some(user) = facts.case.row.as_ref().and_then(|row| row.user_id) {
            let forgotten = self.to_forget(event, user).await?;
            self.amend(record, doc! { "$set": { "removed": forgotten.noted() } }).await?;
            self.forget(event, forgotten).await?;
        }
        if !self.await_again(event, undone).await? {
            return Ok(Performed::Overtaken);
        }
        let facts = self.facts(Some(event), None).await?;
        let delivered = match facts.case.workflow.found().map(|run| run.status) {
            Some(ExecutionStatus::Running) => self.republish(event, &facts).await?,
            _ => self.restart(event, &facts).await?,
        };
        Ok(match delivered {
            // The relay was quicker: the row awaits its consumers now.
            Performed::Overtaken => Performed::Yes,
            other => other,
        })
    }

    async fn to_forget(&self, event: EventId, user: UserId) -> Result<Forgotten, OperatorError> {
        let inbox = self.operator.mongo.processed_events();
        let found = inbox.find_one(doc! { "eventId": id(event.uuid()) });
        let found = ask("look into the inbox", found).await?;
        let todo = self.operator.find_todo(TodoId::welcome(user)).await?;
        let read = found.as_ref().map(|found| INBOX_NAMES.read(found));
        let is_own =
            read.as_ref().is_some_and(|read| read.aggregate_id.known() == Some(user.uuid()));
        let conflict = read.as_ref().and_then(|read| read.conflict_of(user.uuid()));
        let anothers = |todo: &Document| crate::show::owner(todo, user) == TodoOwner::Another;
        Ok(Forgotten {
            conflict_of: conflict.map(|_| user),
            record: found.filter(|_| is_own),
            moved: todo.filter(anothers).map(|todo| (todo, clock::ordered_id())),
        })
    }

    /// In one transaction. Each change names what was read, so that nothing else goes.
    async fn forget(&self, event: EventId, forgotten: Forgotten) -> Result<(), OperatorError> {
        let (inbox, todos) = (self.operator.mongo.processed_events(), self.operator.mongo.todos());
        let of_event = doc! { "eventId": id(event.uuid()) };
        let Forgotten { record, conflict_of, moved } = forgotten;
        let record = record.map(|record| doc! { "_id": record.get("_id").cloned() });
        let conflict = conflict_of.map(|user| doc! { "userId": id(user.uuid()) });
        let moved = moved.map(|(todo, new_id)| {
            (doc! { "_id": todo.get("_id").cloned() }, renamed(todo, new_id))
        });
        let client = self.operator.mongo.todo().client();
        let forgetting = transact_at(Step("redrive.forget"), client, async move |session| {
            if let Some(this) = &record {
                inbox.delete_one(this.clone()).session(&mut *session).await?;
            }
            if let Some(conflict) = &conflict {
                let pull = doc! { "$pull": { "conflicts": conflict.clone() } };
                inbox.update_one(of_event.clone(), pull).session(&mut *session).await?;
            }
            if let Some((this, todo)) = &moved {
                todos.delete_one(this.clone()).session(&mut *session).await?;
                todos.insert_one(todo.clone()).session(&mut *session).await?;
            }
            Ok(())
        });
        bounded(FORGET, forgetting).await
    }

    /// Takes the acknowledgement off the row, and that of the todo service where its effect
    /// is missing; whether the row still had it.
    async fn await_again(&self, event: EventId, undone: bool) -> Result<bool, OperatorError> {
        let mut change = doc! { "$set": { "acknowledgedAt": null } };
        if undone {
            let of_todo = format!("acknowledgements.{}", onboard_events::TODO);
            change.insert("$unset", doc! { of_todo: "" });
        }
        let this = doc! { "_id": id(event.uuid()), "acknowledgedAt": { "$ne": null } };
        let outbox = self.operator.mongo.outbox();
        let update =
            bounded("take the acknowledgement off the row", outbox.update_one(this, change));
        Ok(step(Step("redrive.release"), update).await?.matched_count == 1)
    }
}

impl Forgotten {
    /// As the record of the redrive keeps it. No title of a todo is copied.
    fn noted(&self) -> Document {
        let mut noted = Document::new();
        if let Some(record) = &self.record {
            noted.insert("inboxRecord", record.clone());
        }
        if let Some(user) = self.conflict_of {
            noted.insert("conflictOf", id(user.uuid()));
        }
        if let Some((todo, new_id)) = &self.moved {
            let from = todo.get("_id").cloned().unwrap_or(Bson::Null);
            noted.insert("movedTodo", doc! { "from": from, "to": id(*new_id) });
        }
        noted
    }
}

/// The todo of another user under an id of its own; it is that user's from now on.
fn renamed(mut todo: Document, new_id: Uuid) -> Document {
    todo.insert("_id", id(new_id));
    todo.insert("createdBy", CREATED_BY_USER);
    todo
}
