//! A registration with two consumers, and one with the todo service alone.

use futures::future::join_all;
use serde_json::json;
use temporalio_common::protos::temporal::api::enums::v1::EventType;
use temporalio_common::protos::temporal::api::history::v1::history_event::Attributes;

use super::{QUEUE, acknowledgements, awaits, completed, recorded, welcome};
use crate::harness::{App, Crm, Options, reference};

#[tokio::test]
async fn a_registration_is_acknowledged_only_when_both_consumers_have() {
    let app = App::start_with(Options::default().expecting_crm()).await;
    let event = app.register().await;
    awaits(&app, event, &["crm"]).await;
    recorded(&app, event, json!({ "todo": welcome(&app, event).await })).await;
    let row = app.row(event).await;
    let expects: Vec<_> =
        row.get_array("expects").unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(expects, ["\"todo\"", "\"crm\""]);
    assert!(row.get_datetime("acknowledgedAt").is_err(), "{row}");
    assert_eq!(app.registration(event).await["stage"], "SENT");
    let details = app.current_details(event).await;
    assert!(details.contains("consumers to acknowledge: crm; overdue at "), "{details}");
    assert_eq!(app.depth(QUEUE).await, 1);

    let crm = Crm::start(&app).await;
    app.reaches(event, "ACKNOWLEDGED").await;
    let both = json!({ "todo": welcome(&app, event).await, "crm": reference(event) });
    assert_eq!(acknowledgements(&app, event).await, both);
    completed(&app, event).await;
    let progress = app.progress(event).await;
    assert_eq!((&progress["stage"], &progress["publishes"]), (&json!("ACKNOWLEDGED"), &json!(1)));
    assert_eq!(crm.seen(), [event]);
    another_costs_at_most_five_events_and_one_workflow_task_more(&app).await;
    crm.stop().await;
    app.finish().await;
}

/// A plain one has 14 and 2 (`local_activities`). When the publish does not end
/// inside its workflow task, or an acknowledgement comes late, both grow.
async fn another_costs_at_most_five_events_and_one_workflow_task_more(app: &App) {
    let mut costs = Vec::new();
    for event in join_all((0..8).map(|_| app.register())).await {
        app.reaches(event, "ACKNOWLEDGED").await;
        let history = completed(app, event).await;
        let count = |kind| history.iter().filter(|event| event.event_type() == kind).count();
        assert_eq!(app.progress(event).await["publishes"], 1, "one publish for both");
        costs.push((history.len(), count(EventType::WorkflowTaskCompleted)));
    }
    assert!(costs.iter().any(|(events, tasks)| *events <= 19 && *tasks <= 3), "{costs:?}");
}

/// As released builds do it.
#[tokio::test]
async fn a_registration_without_other_consumers_goes_by_the_plan_of_released_builds() {
    let app = App::start_with(Options::default().in_the_released_plan()).await;
    let event = app.register().await;
    app.reaches(event, "ACKNOWLEDGED").await;
    assert!(!app.row(event).await.contains_key("expects"));
    assert_eq!(acknowledgements(&app, event).await, json!({ "todo": welcome(&app, event).await }));
    let history = completed(&app, event).await;
    let Some(Attributes::WorkflowExecutionStartedEventAttributes(started)) =
        history[0].attributes.clone()
    else {
        panic!("a history begins with its start")
    };
    let input = &started.input.unwrap().payloads[0].data;
    let input: serde_json::Value = serde_json::from_slice(input).unwrap();
    assert_eq!(input.get("delivery"), None, "{input}");
    app.finish().await;
}
