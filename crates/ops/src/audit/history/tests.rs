use onboard_events::UserRegistered;
use onboard_events::registration::WORKFLOW;
use serde::Serialize;
use serde_json::json;
use temporalio_common::protos::temporal::api::common::v1::{ActivityType, Payload, WorkflowType};
use temporalio_common::protos::temporal::api::history::v1::{
    ActivityTaskCompletedEventAttributes, ActivityTaskScheduledEventAttributes,
    WorkflowExecutionCompletedEventAttributes, WorkflowExecutionSignaledEventAttributes,
    WorkflowExecutionStartedEventAttributes,
};
use uuid::Uuid;

use super::*;

use temporalio_common::protos::temporal::api::failure::v1::Failure;
use temporalio_common::protos::temporal::api::history::v1::MarkerRecordedEventAttributes;

pub(super) fn finished() -> Finished {
    Finished {
        event_type: UserRegistered::TYPE,
        event: Uuid::from_u128(1).into(),
        aggregate: Uuid::from_u128(2),
    }
}

pub(super) fn payloads(value: impl Serialize) -> Payloads {
    let data = serde_json::to_vec(&value).unwrap();
    Payloads { payloads: vec![Payload { data, ..Payload::default() }] }
}

pub(super) fn todo() -> TodoId {
    TodoId::welcome(finished().user())
}

pub(super) fn acknowledged() -> serde_json::Value {
    json!({ "eventId": finished().event, "todoId": todo() })
}

fn begin(user: u128, carried: bool) -> Attributes {
    let carried = carried.then(|| json!({ "publishes": 1, "overdueChecks": 1 }));
    let input = json!({
        "eventId": finished().event, "userId": Uuid::from_u128(user), "carried": carried,
    });
    started(input)
}

pub(super) fn started(input: serde_json::Value) -> Attributes {
    Attributes::WorkflowExecutionStartedEventAttributes(WorkflowExecutionStartedEventAttributes {
        workflow_type: Some(WorkflowType { name: WORKFLOW.to_owned() }),
        input: Some(payloads(input)),
        ..Default::default()
    })
}

pub(super) fn scheduled(activity: &str) -> Attributes {
    scheduled_with(activity, json!({ "eventId": finished().event }))
}

pub(super) fn scheduled_with(activity: &str, input: serde_json::Value) -> Attributes {
    Attributes::ActivityTaskScheduledEventAttributes(ActivityTaskScheduledEventAttributes {
        activity_type: Some(ActivityType { name: activity.to_owned() }),
        input: Some(payloads(input)),
        ..Default::default()
    })
}

/// Of the event right before.
pub(super) fn done(result: Option<serde_json::Value>) -> Attributes {
    Attributes::ActivityTaskCompletedEventAttributes(ActivityTaskCompletedEventAttributes {
        result: Some(payloads(result)),
        ..Default::default()
    })
}

fn local(activity: &str, event: u128) -> MarkerRecordedEventAttributes {
    local_with(activity, json!({ "eventId": Uuid::from_u128(event) }))
}

pub(super) fn local_with(
    activity: &str,
    input: serde_json::Value,
) -> MarkerRecordedEventAttributes {
    let data = json!({
        "seq": 1, "attempt": 1, "activity_id": "1", "activity_type": activity, "backoff": null,
    });
    MarkerRecordedEventAttributes {
        marker_name: "core_local_activity".to_owned(),
        details: [
            ("data".to_owned(), payloads(data)),
            ("input".to_owned(), payloads(input)),
            ("result".to_owned(), payloads(serde_json::Value::Null)),
        ]
        .into(),
        ..Default::default()
    }
}

fn quick() -> Vec<Attributes> {
    let mut events = whole();
    let [mark, record] = [ACTIVITY_MARK_SENT, ACTIVITY_RECORD]
        .map(|step| Attributes::MarkerRecordedEventAttributes(local(step, 1)));
    events.splice(6..8, [record]);
    events.splice(3..5, [mark]);
    events
}

fn signalled() -> Attributes {
    Attributes::WorkflowExecutionSignaledEventAttributes(WorkflowExecutionSignaledEventAttributes {
        signal_name: SIGNAL_ACKNOWLEDGED.to_owned(),
        input: Some(payloads(acknowledged())),
        ..Default::default()
    })
}

fn end(todo: Uuid) -> Attributes {
    let progress = json!({
        "stage": "ACKNOWLEDGED", "publishes": 1, "overdueChecks": 0, "todoId": todo,
    });
    Attributes::WorkflowExecutionCompletedEventAttributes(
        WorkflowExecutionCompletedEventAttributes {
            result: Some(payloads(progress)),
            ..Default::default()
        },
    )
}

fn whole() -> Vec<Attributes> {
    vec![
        begin(2, false),
        scheduled(ACTIVITY_PUBLISH),
        done(None),
        scheduled(ACTIVITY_MARK_SENT),
        done(None),
        signalled(),
        scheduled(ACTIVITY_RECORD),
        done(None),
        end(todo().uuid()),
    ]
}

pub(super) fn flaw_of(attributes: Vec<Attributes>) -> Option<String> {
    let mut events: Vec<HistoryEvent> = Vec::new();
    for (at, mut attributes) in (1..).zip(attributes) {
        if let Attributes::ActivityTaskCompletedEventAttributes(done) = &mut attributes {
            done.scheduled_event_id = at - 1;
        }
        let attributes = Some(attributes);
        events.push(HistoryEvent { event_id: at, attributes, ..HistoryEvent::default() });
    }
    flaw(&events, finished())
}

#[test]
fn a_whole_history_has_no_flaw() {
    assert_eq!(flaw_of(whole()), None);
}

#[test]
fn no_event_of_a_history_can_be_left_out() {
    for left_out in 0..whole().len() {
        let mut events = whole();
        events.remove(left_out);
        assert!(flaw_of(events).is_some(), "without event {left_out}");
    }
}

#[test]
fn the_steps_have_an_order() {
    let mut events = whole();
    // The record before the mark.
    events.swap(3, 6);
    events.swap(4, 7);
    assert!(flaw_of(events).is_some_and(|flaw| flaw.contains(ACTIVITY_RECORD)));
}

#[test]
fn the_ids_are_those_of_the_row() {
    let mut events = whole();
    events[0] = begin(3, false);
    assert!(flaw_of(events).is_some_and(|flaw| flaw.contains("other ids")));
    let mut events = whole();
    *events.last_mut().unwrap() = end(Uuid::from_u128(4));
    assert!(flaw_of(events).is_some_and(|flaw| flaw.contains("another todo")));
}

#[test]
fn an_acknowledgement_found_in_the_inbox_counts() {
    let mut events = whole();
    events.splice(5..6, [scheduled(ACTIVITY_CHECK), done(Some(acknowledged()))]);
    assert_eq!(flaw_of(events), None);
    let mut events = whole();
    events.splice(5..6, [scheduled(ACTIVITY_CHECK), done(None)]);
    assert!(flaw_of(events).is_some_and(|flaw| flaw.contains("acknowledges")));
}

#[test]
fn a_continued_run_has_published_before() {
    let mut events = whole();
    events.splice(0..5, [begin(2, true)]);
    assert_eq!(flaw_of(events), None);
}

#[test]
fn the_quick_steps_may_run_inside_workflow_tasks() {
    assert_eq!(flaw_of(quick()), None);
    for left_out in 0..quick().len() {
        let mut events = quick();
        events.remove(left_out);
        assert!(flaw_of(events).is_some(), "without event {left_out}");
    }
}

#[test]
fn the_remote_activity_makes_up_for_a_marker_that_failed() {
    let failed = Attributes::MarkerRecordedEventAttributes(MarkerRecordedEventAttributes {
        failure: Some(Failure::default()),
        ..local(ACTIVITY_MARK_SENT, 1)
    });
    let mut events = whole();
    events.insert(3, failed);
    assert_eq!(flaw_of(events), None);
}

#[test]
fn a_marker_proves_only_what_it_says() {
    let empty = |key: &str| {
        let mut marker = local(ACTIVITY_MARK_SENT, 1);
        marker.details.remove(key);
        marker
    };
    let forged = [
        local(ACTIVITY_MARK_SENT, 2),
        local(ACTIVITY_CHECK, 1),
        empty("data"),
        empty("input"),
        empty("result"),
        MarkerRecordedEventAttributes {
            marker_name: "another".to_owned(),
            ..local(ACTIVITY_MARK_SENT, 1)
        },
        MarkerRecordedEventAttributes {
            failure: Some(Failure::default()),
            ..local(ACTIVITY_MARK_SENT, 1)
        },
    ];
    for marker in forged {
        let mut events = quick();
        events[3] = Attributes::MarkerRecordedEventAttributes(marker.clone());
        let flaw = flaw_of(events);
        assert!(flaw.is_some_and(|flaw| flaw.contains(ACTIVITY_MARK_SENT)), "{marker:?}");
    }
}

#[test]
fn a_publish_has_a_task_of_its_own() {
    let mut events = quick();
    let marker = Attributes::MarkerRecordedEventAttributes(local(ACTIVITY_PUBLISH, 1));
    events.splice(1..3, [marker]);
    assert!(flaw_of(events).is_some_and(|flaw| flaw.contains(ACTIVITY_PUBLISH)));
}
