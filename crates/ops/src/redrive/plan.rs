//! What is to be done with one case, decided from what the stores say.

use mongodb::bson::Document;
use onboard_broker::DeadLetter;
use onboard_contract::{ACKNOWLEDGEMENTS_QUEUE, Acknowledged, AcknowledgedError, EventId, UserId};
use onboard_events::TodoId;
use onboard_inbox::InboxRecord;
use onboard_outbox::OutboxRow;
use onboard_runtime::availability::chain;
use onboard_runtime::clock;
use onboard_temporal::Execution;

use super::{Act, Run};
use crate::case::{Case, Looked, WorkflowRun};
use crate::show::owner;
use crate::{OperatorError, Row, rules};

/// What the stores say about an event.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    /// The row and its workflow.
    pub(crate) case: Case,
    /// Why the row cannot be published as it is.
    pub(crate) damage: Option<String>,
    /// Whether the inbox has a registration: for the letter's user, or else for the
    /// row's. Another event is applied when its row is acknowledged.
    pub(crate) applied: bool,
    /// Whether the inbox has it for other users alone.
    pub(crate) of_another: bool,
    /// Why the inbox record does not say whether it is that of the letter's user.
    pub(crate) unreadable: Option<String>,
}

/// A decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Plan {
    Do(Act),
    /// It has come to its end.
    Finished,
    /// It cannot be redriven, and why.
    Leave(String),
}

impl Run<'_> {
    pub(crate) async fn facts(
        &self,
        event: Option<EventId>,
        letter: Option<&DeadLetter>,
    ) -> Result<Facts, OperatorError> {
        let Some(event) = event else { return Ok(Facts::default()) };
        let (now_ms, overdue_ms) = (clock::now_ms(), self.operator.overdue_ms());
        let (document, mut case) = (self.operator.find_document(event).await?, Case::default());
        case.set_row(document.as_ref(), now_ms, overdue_ms);
        let damage = document.as_ref().and_then(damage);
        let (execution, inbox) = tokio::join!(
            self.find_run(case.row.as_ref().and_then(Row::workflow_id)),
            self.operator.find_inbox(event),
        );
        case.workflow = Looked::of(execution?.map(WorkflowRun::from));
        if !case.is_registration() {
            let applied = case.acknowledged_at().is_some();
            return Ok(Facts { case, damage, applied, ..Facts::default() });
        }
        let inbox = inbox?;
        self.look_at_the_effect(&mut case, inbox.as_ref()).await?;
        let user = letter.and_then(user_of).or_else(|| case.row.as_ref()?.user_id);
        let applied = inbox.as_ref().is_some_and(|record| is_applied(record, user));
        let of_another = inbox.is_some() && !applied;
        let unreadable = inbox.as_ref().and_then(|record| unreadable(record, user?));
        Ok(Facts { case, damage, applied, of_another, unreadable })
    }

    /// Looks at what the todo service has made for the row's user.
    async fn look_at_the_effect(
        &self,
        case: &mut Case,
        inbox: Option<&InboxRecord>,
    ) -> Result<(), OperatorError> {
        case.inbox = Looked::of(inbox.map(|record| vec![record.clone()]));
        case.removed = self.operator.removed().await?;
        let Some(user) = case.row.as_ref().and_then(|row| row.user_id) else { return Ok(()) };
        let todo = self.operator.find_todo(TodoId::welcome(user)).await?;
        case.todo = Looked::of(todo.map(|todo| owner(&todo, user)));
        case.todo_deleted = inbox.is_some_and(|record| is_deleted(record, user));
        Ok(())
    }

    async fn find_run(&self, workflow: Option<String>) -> Result<Option<Execution>, OperatorError> {
        let Some(workflow) = workflow else { return Ok(None) };
        self.temporal.find(workflow).await.map_err(OperatorError::Temporal)
    }
}

/// Judges as the publish activity does.
fn damage(row: &Document) -> Option<String> {
    OutboxRow::read(row).err().map(|error| chain(&error))
}

/// Decides. `discard` lets letters go that are no events.
pub(crate) fn plan(facts: &Facts, letter: Option<&DeadLetter>, discard: bool) -> Plan {
    let is_event = letter.map(|letter| letter.is_event);
    let row = facts.case.row.as_ref();
    let is_conflict = |user| facts.of_another || is_anothers(row, user);
    if let (Some(why), Some(_)) = (&facts.unreadable, letter) {
        return Plan::Leave(format!("its inbox record must be mended first: {why}"));
    }
    if letter.and_then(user_of).is_some_and(is_conflict) {
        // The workflow may have ended with the effect of another user.
        return Plan::Do(if facts.applied { Act::RemoveLeftover } else { Act::PutBack });
    }
    match (row, is_event) {
        (Some(_), _) => with_row(facts, is_event.is_some()),
        (None, Some(_)) if facts.applied => Plan::Do(Act::RemoveLeftover),
        (None, Some(true)) => Plan::Do(Act::PutBack),
        (None, Some(false)) if discard => Plan::Do(Act::Discard),
        (None, Some(false)) => Plan::Leave(
            "it is no event and belongs to no registration; --discard removes it".to_owned(),
        ),
        (None, None) => Plan::Leave("there is no registration with this id".to_owned()),
    }
}

/// The user of a letter that is an event.
fn user_of(letter: &DeadLetter) -> Option<UserId> {
    letter.user_id.filter(|_| letter.is_event)
}

/// Whether the row of the letter's event is about another user than the letter.
fn is_anothers(row: Option<&Row>, user: UserId) -> bool {
    row.and_then(|row| row.user_id).is_some_and(|of_row| of_row != user)
}

/// Whether the record says that the event was applied for this user. A record
/// whose user cannot be read says that it was applied.
fn is_applied(record: &InboxRecord, user: Option<UserId>) -> bool {
    user.is_none_or(|user| {
        let makes = TodoId::welcome(user).uuid();
        record.reference_for(user.uuid(), makes).map_or(true, |known| known.is_some())
    })
}

/// What is wrong with a record that does not say whether the event was applied for this
/// user.
fn unreadable(record: &InboxRecord, user: UserId) -> Option<String> {
    let known = record.reference_for(user.uuid(), TodoId::welcome(user).uuid());
    known.err().map(|malformed| malformed.to_string())
}

/// Whether the record notes that this user has deleted the welcome todo.
fn is_deleted(record: &InboxRecord, user: UserId) -> bool {
    let noted = record.conflict_of(user.uuid()).map_or(record.deleted_at, |one| one.deleted_at);
    noted.known().is_some()
}

/// Decides about a letter of a queue other than the todo service's. A letter goes
/// back to its queue whatever its event's row says: the consumer knows whether it
/// has applied the event.
pub(crate) fn plan_other(letter: &DeadLetter, discard: bool) -> Plan {
    let junk = if is_acknowledgement(letter) {
        by_routing_key(&letter.routing_key, &letter.body, &letter.reason).err()
    } else {
        (!letter.is_event).then_some("it is no event")
    };
    match junk {
        None => Plan::Do(Act::PutBack),
        Some(_) if discard => Plan::Do(Act::Discard),
        Some(why) => Plan::Leave(format!("{why}; --discard removes it")),
    }
}

/// Whether it is a letter of the acknowledgements that come over the broker.
pub(crate) fn is_acknowledgement(letter: &DeadLetter) -> bool {
    *letter.queue() == ACKNOWLEDGEMENTS_QUEUE
}

/// The routing key that an acknowledgement goes back with, which says whose it
/// is. A letter that this program has given up on has lost its own: the worker
/// has compared it with the body before, unless the reason says that it differed.
pub(crate) fn by_routing_key(
    routing_key: &str,
    body: &[u8],
    reason: &str,
) -> Result<String, &'static str> {
    if routing_key != ACKNOWLEDGEMENTS_QUEUE.routing_key {
        return Ok(routing_key.to_owned());
    }
    if reason == AcknowledgedError::OtherConsumer.reason() {
        return Err("it names another consumer than the one that sent it");
    }
    let read = Acknowledged::read(body).map_err(|_| "it is no acknowledgement")?;
    Ok(read.consumer.as_str().to_owned())
}

/// The remedy of what the rules find, where there is one.
fn with_row(facts: &Facts, has_letter: bool) -> Plan {
    let found = rules::judge(&facts.case);
    let held = found.iter().find_map(|one| one.reason.as_ref().zip(one.next.as_ref()));
    if let Some((why, next)) = held {
        return Plan::Leave(format!("{why}: {next}"));
    }
    let remedies: Vec<Act> = found.iter().filter_map(|one| one.remedy).collect();
    // A fresh run alone would find the row done, and the message a duplicate.
    let reopened = remedies.contains(&Act::Reopen).then_some(Act::Reopen);
    let remedy = reopened.or_else(|| remedies.first().copied());
    match (remedy, &facts.damage) {
        (Some(_), Some(damage)) => {
            Plan::Leave(format!("its outbox row must be mended first: {damage}"))
        }
        (Some(act), None) => Plan::Do(act),
        (None, _) => match (facts.applied, has_letter) {
            (true, true) => Plan::Do(Act::RemoveLeftover),
            (true, false) => Plan::Finished,
            (false, _) => Plan::Leave(
                "its workflow has completed and never runs again, yet the inbox has no record of \
                 it; see what `onboard audit` says"
                    .to_owned(),
            ),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operator::id;
    use mongodb::bson::{DateTime, doc};
    use onboard_temporal::ExecutionStatus;
    use onboard_todo::INBOX_NAMES;
    use uuid::Uuid;

    fn row(extra: Document) -> Row {
        let mut row = doc! { "_id": id(Uuid::from_u128(1)), "status": "PENDING" };
        row.extend(extra);
        Row::read(&row, 0, 0).unwrap()
    }

    fn sent() -> Row {
        row(doc! { "status": "SENT", "sentAt": DateTime::from_millis(0) })
    }

    fn acknowledged() -> Row {
        row(doc! { "status": "SENT", "acknowledgedAt": DateTime::from_millis(0) })
    }

    fn decide(row: &Row, ended: Option<ExecutionStatus>, applied: bool, letter: bool) -> Plan {
        let workflow = Looked::of(ended.map(WorkflowRun::from));
        let case = Case { row: Some(row.clone()), workflow, ..Case::default() };
        with_row(&Facts { case, applied, ..Facts::default() }, letter)
    }

    #[test]
    fn a_registration_goes_back_through_its_workflow() {
        use ExecutionStatus::{Cancelled, Failed, Running, Terminated, TimedOut};
        assert_eq!(decide(&sent(), Some(Running), false, true), Plan::Do(Act::Republish));
        for ended in [Failed, Cancelled, Terminated, TimedOut] {
            assert_eq!(decide(&sent(), Some(ended), false, false), Plan::Do(Act::Restart));
        }
        assert_eq!(decide(&sent(), None, false, false), Plan::Do(Act::Restart));
        assert_eq!(decide(&row(doc! {}), None, false, false), Plan::Do(Act::Release));
    }

    #[test]
    fn what_has_completed_never_runs_again() {
        let completed = Some(ExecutionStatus::Completed);
        assert_eq!(decide(&acknowledged(), completed, true, true), Plan::Do(Act::RemoveLeftover));
        assert_eq!(decide(&acknowledged(), completed, true, false), Plan::Finished);
        assert_eq!(decide(&acknowledged(), None, true, true), Plan::Do(Act::RemoveLeftover));
        for letter in [true, false] {
            let left = decide(&acknowledged(), completed, false, letter);
            assert!(matches!(left, Plan::Leave(_)), "{left:?}");
        }
    }

    #[test]
    fn a_row_that_awaits_one_more_consumer_runs_again() {
        let completed = Some(ExecutionStatus::Completed);
        let at = DateTime::from_millis(0);
        let more = doc! {
            "status": "SENT", "sentAt": at, "expects": ["todo", "crm"],
            "acknowledgements": { "todo": { "at": at } },
        };
        assert_eq!(decide(&row(more.clone()), completed, true, false), Plan::Do(Act::Restart));
        let mut done = more;
        done.insert("acknowledgedAt", at);
        let reopened = Plan::Do(Act::Reopen);
        assert_eq!(decide(&row(done), completed, true, false), reopened, "crm is forgotten");
    }

    #[test]
    fn a_letter_of_another_consumer_goes_back_to_its_queue() {
        let key = "crm";
        let body = br#"{"eventId":"0190c1c4-7f6e-7d1a-8b1e-2f6f3a1b2c3d","consumer":"crm"}"#;
        assert_eq!(by_routing_key(key, body, "unknown_event"), Ok(key.to_owned()));
        assert_eq!(by_routing_key("*", body, "unknown_event"), Ok(key.to_owned()));
        assert_eq!(by_routing_key("search", body, "delivery_limit"), Ok("search".to_owned()));
        assert!(by_routing_key("*", body, "other_consumer").is_err());
        assert!(by_routing_key("*", b"junk", "not_json").is_err());
    }

    #[test]
    fn an_event_is_applied_for_each_user_apart() {
        let user = |number| UserId::from(Uuid::from_u128(number));
        let of_one = row(doc! { "aggregateId": id(Uuid::from_u128(2)) });
        assert!(!is_anothers(Some(&of_one), user(2)) && is_anothers(Some(&of_one), user(3)));
        assert!(!is_anothers(None, user(3)) && !is_anothers(Some(&row(doc! {})), user(3)));
        let mut record = doc! {
            "eventId": id(Uuid::from_u128(1)), "userId": id(Uuid::from_u128(2)),
            "todoId": id(Uuid::from_u128(4)), "conflicts": [{ "userId": id(Uuid::from_u128(3)) }],
        };
        let read = INBOX_NAMES.read(&record);
        assert!([None, Some(user(2)), Some(user(3))].iter().all(|user| is_applied(&read, *user)));
        assert!(!is_applied(&read, Some(user(5))));
        record.remove("userId");
        assert!(is_applied(&INBOX_NAMES.read(&record), Some(user(5))));
        let why = unreadable(&INBOX_NAMES.read(&record), user(5));
        assert!(why.is_some_and(|why| why.contains("userId")));
    }

    #[test]
    fn a_damaged_row_is_mended_before_it_is_redriven() {
        let (row, workflow) = (Some(sent()), Looked::Missing);
        let case = Case { row, workflow, ..Case::default() };
        let damage = Some("no e-mail".to_owned());
        let left = with_row(&Facts { case, damage, ..Facts::default() }, true);
        assert!(matches!(left, Plan::Leave(why) if why.contains("no e-mail")));
    }
}
