use mongodb::bson::{Bson, DateTime, Document, doc};
use onboard_events::TodoId;
use onboard_temporal::ExecutionStatus;
use onboard_todo::INBOX_NAMES;
use uuid::Uuid;

use super::*;
use crate::Row;
use crate::case::{Looked, TodoOwner, WorkflowRun};
use crate::operator::id;

fn at(ms: i64) -> DateTime {
    DateTime::from_millis(ms)
}

fn case(fields: Document, workflow: Looked<WorkflowRun>) -> Case {
    let mut row = doc! {
        "_id": id(Uuid::from_u128(1)), "eventType": "USER_REGISTERED", "status": "PENDING",
    };
    row.extend(fields);
    let row = Row::read(&row, 100, 30);
    Case { row, workflow, settled_until_ms: Some(100), ..Case::default() }
}

fn sent() -> Document {
    doc! { "status": "SENT", "startedAt": at(80), "sentAt": at(90) }
}

fn acknowledged() -> Document {
    let mut row = sent();
    row.insert("acknowledgedAt", at(95));
    row
}

/// What the audit, `list` and `redrive` take from a case.
fn faces(case: &Case) -> (Vec<Kind>, Option<String>, Option<Act>) {
    let found = judge(case);
    let kinds = found.iter().filter_map(|one| one.violation.as_ref()).map(|(kind, _)| *kind);
    let reason = found.iter().find_map(|one| one.reason.clone());
    (kinds.collect(), reason, found.iter().find_map(|one| one.remedy))
}

#[test]
fn whoever_asks_gets_the_same_answer_about_a_workflow() {
    use ExecutionStatus::{Completed, Running, Terminated};
    use Kind::{
        RowPending, RowUnacknowledged, RowUnsent, WorkflowMissing, WorkflowStillOpen,
        WorkflowTerminated,
    };
    let run = |status| Looked::Found(WorkflowRun::from(status));
    let started = || doc! { "startedAt": at(80) };
    let waits = Some("waits for todo service");
    let lost = Some("its workflow is lost");
    let ended = Some("its workflow is TERMINATED; the relay starts it again");
    let table = [
        (
            doc! {},
            Looked::Missing,
            vec![RowPending],
            Some("waits for the relay"),
            Some(Act::Release),
        ),
        (started(), Looked::Missing, vec![WorkflowMissing, RowUnsent], lost, Some(Act::Restart)),
        (sent(), run(Running), vec![RowUnacknowledged], waits, Some(Act::Republish)),
        (
            sent(),
            run(Terminated),
            vec![WorkflowTerminated, RowUnacknowledged],
            ended,
            Some(Act::Restart),
        ),
        (sent(), Looked::NotAsked, vec![RowUnacknowledged], waits, None),
        (acknowledged(), run(Completed), vec![], None, None),
        (acknowledged(), run(Running), vec![WorkflowStillOpen], None, Some(Act::Republish)),
        (acknowledged(), Looked::Missing, vec![WorkflowMissing], lost, None),
    ];
    for (row, workflow, kinds, reason, remedy) in table {
        let case = case(row, workflow);
        let expected = (kinds, reason.map(str::to_owned), remedy);
        assert_eq!(faces(&case), expected, "{case:?}");
    }
}

#[test]
fn a_workflow_that_temporal_has_forgotten_is_no_violation() {
    let mut case = case(acknowledged(), Looked::Missing);
    case.removed.workflows_before_ms = 96;
    let found = judge(&case);
    assert!(found.iter().all(|one| one.violation.is_none() && one.remedy.is_none()), "{found:?}");
    let noted = found.iter().filter_map(|one| one.note.as_deref()).collect::<Vec<_>>();
    assert_eq!(noted, ["Temporal no longer remembers the workflow"]);
}

/// An acknowledged registration of user 2, with what the todo service has of it.
fn delivered(records: &[Document], todo: Looked<TodoOwner>) -> Case {
    let mut row = acknowledged();
    row.insert("aggregateId", id(Uuid::from_u128(2)));
    let records: Vec<_> = records.iter().map(|one| INBOX_NAMES.read(one)).collect();
    let inbox = Looked::of(Some(records).filter(|all| !all.is_empty()));
    Case { inbox, todo, ..case(row, Looked::Missing) }
}

fn record(user: u128) -> Document {
    let todo = TodoId::welcome(Uuid::from_u128(user).into()).uuid();
    doc! {
        "eventId": id(Uuid::from_u128(1)), "userId": id(Uuid::from_u128(user)), "todoId": id(todo),
        "processedAt": at(91), "acknowledgedAt": at(94),
    }
}

#[test]
fn a_workflow_that_is_gone_is_a_note_where_all_else_proves_the_delivery() {
    let own = || Looked::Found(TodoOwner::User);
    for todo in [own(), Looked::NotAsked] {
        let found = judge(&delivered(&[record(2)], todo));
        assert!(found.iter().all(|one| one.violation.is_none()), "{found:?}");
        assert!(found.iter().any(|one| one.note.is_some() && one.audited), "{found:?}");
    }
    let missing = Some(Kind::WorkflowMissing);
    for case in [
        delivered(&[], Looked::NotAsked),
        delivered(&[record(3)], Looked::NotAsked),
        delivered(&[record(2)], Looked::Missing),
    ] {
        let (kinds, _, _) = faces(&case);
        assert_eq!(kinds.first().copied(), missing, "{case:?}");
    }
}

#[test]
fn what_counts_as_done_without_its_effect_is_delivered_again() {
    let remedy = |case: &Case| judge(case).into_iter().find_map(|one| one.remedy);
    let own = Looked::Found(TodoOwner::User);
    assert_eq!(remedy(&delivered(&[record(2)], own)), None);
    for todo in [Looked::Missing, Looked::Found(TodoOwner::Another)] {
        assert_eq!(remedy(&delivered(&[record(2)], todo)), Some(Act::Reopen));
    }
    assert_eq!(remedy(&delivered(&[], own)), Some(Act::Reopen));
    let deleted = Case { todo_deleted: true, ..delivered(&[record(2)], Looked::Missing) };
    assert_eq!(remedy(&deleted), None);
    let mut removed = delivered(&[], Looked::Missing);
    removed.removed.inbox_before_ms = 81;
    assert_eq!(
        remedy(&removed),
        None,
        "retention may have removed the record, and with it the note"
    );
}

#[test]
fn an_acknowledged_row_has_the_acknowledgement_of_every_consumer() {
    let forgotten = |extra: Document| {
        let mut row = acknowledged();
        row.extend(extra);
        let found = judge(&case(row, Looked::NotAsked));
        let of = found.into_iter().filter_map(|one| one.violation);
        let of = of.filter(|(kind, _)| *kind == Kind::ConsumerUnacknowledged);
        of.map(|(_, words)| words.rsplit(' ').nth(3).unwrap().to_owned()).collect::<Vec<_>>()
    };
    let done = doc! { "at": at(95) };
    assert!(forgotten(doc! {}).is_empty(), "a row of a released build");
    let both = doc! { "todo": done.clone(), "crm": { "at": at(95), "ref": "7" } };
    let expects = || vec!["todo", "crm"];
    assert!(forgotten(doc! { "expects": expects(), "acknowledgements": both }).is_empty());
    let one = doc! { "todo": done };
    assert_eq!(forgotten(doc! { "expects": expects(), "acknowledgements": one.clone() }), ["crm"]);
    let waived = doc! { "crm": { "at": at(95), "reason": "gone" } };
    let row = doc! { "expects": expects(), "acknowledgements": one, "waived": waived };
    assert!(forgotten(row).is_empty());
    assert_eq!(forgotten(doc! { "expects": expects() }), expects());
    let unfinished = doc! { "expects": expects(), "acknowledgedAt": Bson::Null };
    assert!(forgotten(unfinished).is_empty());
}

#[test]
fn nothing_is_said_of_what_nobody_has_looked_at() {
    let found = judge(&case(acknowledged(), Looked::NotAsked));
    assert!(found.is_empty(), "{found:?}");
}
