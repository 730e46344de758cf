//! What must hold of a registration in the todo service: its record, and the
//! welcome todo.

use onboard_contract::UserId;
use onboard_events::TodoId;
use onboard_inbox::{Conflict, InboxRecord};
use onboard_mongo::Field;
use uuid::Uuid;

use super::Finding;
use crate::ConsumerState;
use crate::audit::Kind;
use crate::case::{Case, TodoOwner};
use crate::redrive::Act;

/// One record, of the row's user, and noted.
pub(super) fn has_the_record(case: &Case, found: &mut Vec<Finding>) {
    let records = match case.inbox.found() {
        Some(records) => records.as_slice(),
        None if case.inbox.is_missing() => &[],
        None => return,
    };
    if records.len() > 1 {
        let words = format!("there are {} records", records.len());
        let finding = Finding::missing("no single inbox record: the event has several");
        found.push(finding.counted(Kind::InboxDuplicated, words));
    }
    let user = case.row.as_ref().filter(|_| case.user.was_asked()).and_then(|row| row.user_id);
    if let Some(why) = user.and_then(|user| records.iter().find_map(|one| altered(one, user))) {
        let finding = Finding::missing(format!("no sound inbox record: {why}"));
        found.push(finding.counted(Kind::InboxAltered, why));
    }
    if case.expects_todo() {
        found.extend(conflicts(records));
        found.extend(lacks(case, records));
    }
}

fn conflicts(records: &[InboxRecord]) -> Option<Finding> {
    let others = records.first().map_or(0, |record| record.conflicts().len());
    (others > 0).then(|| {
        Finding::note(format!(
            "messages with this event id came for {others} other users, too; each has the todo"
        ))
    })
}

fn lacks(case: &Case, records: &[InboxRecord]) -> Option<Finding> {
    let Some(record) = records.first() else {
        let owed = case.acknowledged_at().is_some() && case.names(&onboard_events::TODO);
        let words = "no inbox record: the todo service has not committed it";
        let finding = Finding::missing(words);
        let words = "acknowledged, and no inbox record";
        return Some(if owed && !may_be_removed(case) {
            finding.counted(Kind::InboxMissing, words).healed_by(Act::Reopen)
        } else {
            finding
        });
    };
    let untold = record.acknowledged_at.known().is_none();
    untold.then(|| Finding::missing("no note in the inbox: the workflow has not been told"))
}

/// Whether retention may have removed the record. Between start and acknowledgement the
/// record was written: a horizon behind the start may have passed it, one before cannot.
fn may_be_removed(case: &Case) -> bool {
    let started = case.row.as_ref().and_then(|row| row.started_at);
    started.is_some_and(|started| started < case.removed.inbox_before_ms)
}

/// There, or deleted by its user. Also of an event that only the inbox knows.
pub(super) fn has_the_todo(case: &Case, found: &mut Vec<Finding>) {
    let owed = case.expects_todo() && !case.row_removed;
    if !case.todo.was_asked() || !(owed || case.inbox.found().is_some()) {
        return;
    }
    let finding = match (case.todo.found(), case.todo_deleted) {
        (Some(TodoOwner::User), false) => return,
        (None, true) => Finding::note("the user has deleted the welcome todo"),
        (Some(TodoOwner::User), true) => {
            Finding::missing("no end of the welcome todo: its deletion is noted, and it is there")
        }
        (None, false) if case.inbox.is_missing() && may_be_removed(case) => Finding::note(
            "no welcome todo, and no inbox record on which its deletion could be noted: retention \
             has removed the record",
        ),
        (None, false) => undone(case, "no welcome todo of this user"),
        (Some(TodoOwner::Another), _) => {
            undone(case, "no welcome todo of this user: a todo of another user has its id")
        }
    };
    found.push(finding);
}

/// Of a row that counts as done, nobody will make it.
fn undone(case: &Case, words: &'static str) -> Finding {
    let finding = Finding::missing(words);
    let acknowledged = case.acknowledged_at().is_some();
    if acknowledged { finding.healed_by(Act::Reopen) } else { finding }
}

/// Whether the row counts as done by the todo service, whose effect was looked for and is
/// not there.
pub(crate) fn is_undone(case: &Case) -> bool {
    let mut found = Vec::new();
    has_the_record(case, &mut found);
    has_the_todo(case, &mut found);
    found.iter().any(|one| one.remedy == Some(Act::Reopen))
}

/// Whether everything but the workflow shows that an acknowledged event was delivered: the
/// todo service's record and the welcome todo, and the acknowledgement of each consumer.
pub(super) fn proves_delivery(case: &Case) -> bool {
    let settled = case.row.as_ref().is_some_and(|row| {
        !row.consumers.is_empty() && row.consumers.iter().all(ConsumerState::is_settled)
    });
    if !settled || !case.names(&onboard_events::TODO) || !case.is_registration() {
        return settled;
    }
    let user = case.row.as_ref().and_then(|row| row.user_id).map(UserId::uuid);
    let records = case.inbox.found().map_or(&[][..], Vec::as_slice);
    let is_users = |record: &InboxRecord| {
        user.is_some_and(|user| {
            record.aggregate_id == Field::Is(user) || record.conflict_of(user).is_some()
        })
    };
    records.iter().any(is_users) && !is_undone(case)
}

/// What is wrong with the record of a user's event. A message with the same
/// event id and another user may have come before the user's own, which is a
/// conflict then (the inbox pass names it).
fn altered(record: &InboxRecord, user: UserId) -> Option<&'static str> {
    if record.aggregate_id != Field::Is(user.uuid()) && record.conflict_of(user.uuid()).is_none() {
        return Some("userId is not the row's");
    }
    if !is_welcome(record.reference, record.aggregate_id) {
        return Some("todoId is not the user's welcome todo");
    }
    let sound = |one: &Conflict| {
        let times = one.at.known().is_some() && !one.deleted_at.is_other();
        times && is_welcome(one.reference, one.aggregate_id)
    };
    if record.conflicts.is_other() || !record.conflicts().iter().all(sound) {
        return Some("conflicts is not a list of users with their welcome todos");
    }
    if record.deleted_at.is_other() {
        return Some("todoDeletedAt is not a date");
    }
    record.processed_at.known().is_none().then_some("processedAt is not a date")
}

fn is_welcome(todo: Field<Uuid>, user: Field<Uuid>) -> bool {
    let welcome = |user: Uuid| TodoId::welcome(user.into()).uuid();
    todo.known().is_some() && todo.known() == user.known().map(welcome)
}
