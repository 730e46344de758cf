use onboard_contract::names::ACTIVITY_PUBLISH_COPY;
use onboard_events::todo::{ACTIVITY_CHECK, SIGNAL_ACKNOWLEDGED};
use serde_json::{Value, json};
use temporalio_common::protos::temporal::api::history::v1::{
    WorkflowExecutionCompletedEventAttributes, WorkflowExecutionSignaledEventAttributes,
};

use super::*;
use crate::audit::history::tests::{
    acknowledged, done, finished, flaw_of, local_with, payloads, scheduled, scheduled_with,
    started, todo,
};

fn begin(consumers: &[&str], direct: bool, carried: Option<&Value>) -> Attributes {
    let delivery = json!({ "consumers": consumers, "direct": direct });
    started(json!({
        "eventId": finished().event, "userId": finished().user(), "delivery": delivery,
        "carried": carried,
    }))
}

fn signalled(name: &str, input: Value) -> Attributes {
    Attributes::WorkflowExecutionSignaledEventAttributes(WorkflowExecutionSignaledEventAttributes {
        signal_name: name.to_owned(),
        input: Some(payloads(input)),
        ..Default::default()
    })
}

fn of_crm() -> Value {
    json!({ "eventId": finished().event, "consumer": "crm", "ref": "7" })
}

fn recorded(consumer: &str, reference: &str) -> Attributes {
    let input = json!({ "eventId": finished().event, "consumer": consumer, "ref": reference });
    Attributes::MarkerRecordedEventAttributes(local_with(ACTIVITY_RECORD, input))
}

fn marked() -> Attributes {
    let input = json!({ "eventId": finished().event });
    Attributes::MarkerRecordedEventAttributes(local_with(ACTIVITY_MARK_SENT, input))
}

fn published(how: &str) -> [Attributes; 2] {
    [scheduled(ACTIVITY_PUBLISH), done(Some(json!(how)))]
}

fn end() -> Attributes {
    let progress = json!({ "stage": "ACKNOWLEDGED", "publishes": 1, "overdueChecks": 0 });
    Attributes::WorkflowExecutionCompletedEventAttributes(
        WorkflowExecutionCompletedEventAttributes {
            result: Some(payloads(progress)),
            ..Default::default()
        },
    )
}

/// The event is published, and both consumers acknowledge it.
fn whole() -> Vec<Attributes> {
    let [publish, confirmed] = published("confirmed");
    vec![
        begin(&["todo", "crm"], false, None),
        publish,
        confirmed,
        marked(),
        signalled(SIGNAL_CONSUMER_ACKNOWLEDGED, of_crm()),
        recorded("crm", "7"),
        signalled(SIGNAL_ACKNOWLEDGED, acknowledged()),
        recorded("todo", &todo().to_string()),
        end(),
    ]
}

/// Straight to the queue of one consumer.
fn direct() -> Vec<Attributes> {
    let copy = json!({ "eventId": finished().event, "consumer": "crm" });
    vec![
        begin(&["crm"], true, None),
        scheduled_with(ACTIVITY_PUBLISH_COPY, copy),
        done(Some(json!("confirmed"))),
        marked(),
        signalled(SIGNAL_CONSUMER_ACKNOWLEDGED, of_crm()),
        recorded("crm", "7"),
        end(),
    ]
}

#[test]
fn a_whole_delivery_has_no_flaw_and_no_event_of_it_can_be_left_out() {
    assert_eq!(flaw_of(whole()), None);
    for left_out in 0..whole().len() {
        let mut events = whole();
        events.remove(left_out);
        assert!(flaw_of(events).is_some(), "without event {left_out}");
    }
}

#[test]
fn a_direct_delivery_needs_neither_copy_nor_mark() {
    assert_eq!(flaw_of(direct()), None);
    let mut events = direct();
    events.splice(1..4, []);
    assert_eq!(flaw_of(events), None);
    for left_out in [0, 4, 5, 6] {
        let mut events = direct();
        events.remove(left_out);
        assert!(flaw_of(events).is_some(), "without event {left_out}");
    }
}

#[test]
fn a_refused_publish_is_made_up_for_by_copies() {
    let mut events = whole();
    events.splice(1..4, published("refused"));
    assert_eq!(flaw_of(events), None);
    let mut events = whole();
    events.splice(1..3, published("odd"));
    assert!(flaw_of(events).is_some_and(|flaw| flaw.contains("does not say")));
}

/// The publish as a marker that says what the broker did.
fn published_inside(how: &Value) -> Attributes {
    let mut marker = local_with(ACTIVITY_PUBLISH, json!({ "eventId": finished().event }));
    marker.details.insert("result".to_owned(), payloads(how.clone()));
    Attributes::MarkerRecordedEventAttributes(marker)
}

#[test]
fn the_publish_may_run_inside_a_workflow_task_when_it_says_what_the_broker_did() {
    let with = |how: &Value, until| {
        let mut events = whole();
        events.splice(1..until, [published_inside(how)]);
        flaw_of(events)
    };
    assert_eq!(with(&json!("confirmed"), 3), None);
    assert_eq!(with(&json!("refused"), 4), None, "nothing to mark");
    assert!(with(&json!("confirmed"), 4).is_some_and(|flaw| flaw.contains(ACTIVITY_MARK_SENT)));
    assert!(with(&Value::Null, 3).is_some_and(|flaw| flaw.contains(ACTIVITY_PUBLISH)));
    assert!(with(&json!("odd"), 3).is_some_and(|flaw| flaw.contains("does not say")));
}

#[test]
fn a_record_comes_after_its_acknowledgement() {
    let mut events = whole();
    events.swap(4, 5);
    assert!(flaw_of(events).is_some_and(|flaw| flaw.contains("record_acknowledgement for crm")));
    let mut events = whole();
    events[5] = recorded("crm", "8");
    assert!(flaw_of(events).is_some_and(|flaw| flaw.contains("for crm")), "another ref");
    let mut events = whole();
    events[5] = recorded("search", "7");
    assert!(flaw_of(events).is_some_and(|flaw| flaw.contains("for crm")), "another consumer");
}

#[test]
fn a_waiver_stands_for_an_acknowledgement() {
    let mut events = whole();
    events.splice(4..6, [signalled(SIGNAL_WAIVED, json!({ "consumer": "crm" }))]);
    assert_eq!(flaw_of(events), None);
    let mut events = whole();
    events.splice(4..6, [signalled(SIGNAL_WAIVED, json!({ "consumer": "search" }))]);
    assert!(flaw_of(events).is_some_and(|flaw| flaw.contains("acknowledges for crm")));
}

#[test]
fn an_acknowledgement_of_the_todo_service_names_the_welcome_todo() {
    let mut events = whole();
    events.splice(6..7, [scheduled(ACTIVITY_CHECK), done(Some(acknowledged()))]);
    assert_eq!(flaw_of(events), None, "found in the inbox");
    let question = json!({ "eventId": finished().event, "aggregateId": finished().user() });
    let answered = |reference: Value| {
        let answer = json!({ "eventId": finished().event, "consumer": "todo", "ref": reference });
        let mut events = whole();
        let asked = scheduled_with(ACTIVITY_FIND_ACKNOWLEDGEMENT, question.clone());
        events.splice(6..7, [asked, done(Some(answer))]);
        flaw_of(events)
    };
    assert_eq!(answered(json!(todo())), None, "it was asked");
    assert!(answered(json!("another")).is_some(), "its answer names another todo");
    let mut events = whole();
    let made_up = json!({ "eventId": finished().event, "todoId": finished().user() });
    events.insert(6, signalled(SIGNAL_ACKNOWLEDGED, made_up.clone()));
    assert_eq!(flaw_of(events), None, "the next one counts");
    let mut events = whole();
    events[6] = signalled(SIGNAL_ACKNOWLEDGED, made_up);
    assert!(flaw_of(events).is_some_and(|flaw| flaw.contains("acknowledges for todo")));
}

#[test]
fn a_following_run_owes_what_the_earlier_one_has_left() {
    let carried = json!({
        "publishes": 1, "overdueChecks": 1,
        "awaited": [{ "consumer": "crm", "overdueChecks": 1 }],
    });
    let mut events = direct();
    events.splice(0..4, [begin(&["todo", "crm"], false, Some(&carried))]);
    assert_eq!(flaw_of(events.clone()), None);
    events.remove(1);
    assert!(flaw_of(events).is_some());
}
