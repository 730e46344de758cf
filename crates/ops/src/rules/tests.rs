use mongodb::bson::{Bson, DateTime, Document, doc};
use onboard_temporal::ExecutionStatus;
use uuid::Uuid;

use super::*;
use crate::Row;
use crate::case::{Looked, WorkflowRun};
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
    let ended = Some("its workflow is TERMINATED");
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
