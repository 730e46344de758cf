//! Tampering with workflows in Temporal.

use std::time::Duration;

use mongodb::bson::doc;
use serde_json::json;
use temporalio_client::WorkflowExecutionStatus;
use uuid::Uuid;

use crate::harness::{App, Finished, Options, binary, eventually};

fn input(one: Finished) -> serde_json::Value {
    json!({ "eventId": one.event, "userId": one.user })
}

async fn ends(app: &App, one: Finished, status: WorkflowExecutionStatus) {
    eventually("the workflow ends", async || match app.workflow(one.event).await {
        found if found == Some(status) => Ok(()),
        other => Err(other),
    })
    .await;
}

#[tokio::test]
async fn every_tampering_with_a_workflow_is_named() {
    let options = Options::default().apart(&["worker"]).with("OUTBOX_ROW_MISSING_AFTER", "0s");
    let app = App::start_with(options).await;
    let all = app.finished(3).await;
    app.is_clean().await;
    let one = all[0];
    let id = one.workflow();

    app.delete_workflow(&id).await;
    // Everything else shows that it was delivered.
    app.is_clean().await;
    let (_, report) = app.audit(&["--grace", "0s"]).await;
    assert_eq!(report["noted"], 1, "{report:#}");
    assert_eq!(report["notes"][0]["id"], one.event.to_string(), "{report:#}");
    let record = app.tool(&["show", &one.event.to_string()]).await.yes();
    assert!(record["notes"].to_string().contains("has no workflow of it any more"), "{record}");
    // Without its record nothing does.
    let (inbox, of_event) = (app.inbox().await, doc! { "eventId": binary(one.event.uuid()) });
    let taken = app.take(&inbox, of_event).await;
    app.finds(&[("workflow_missing", one.event), ("inbox_missing", one.event)]).await;
    app.put_back(&inbox, &taken).await;

    // Another in its place, which is still on its way: the worker is away.
    app.component("worker").stop().await.unwrap();
    app.start_workflow(&id, input(one)).await;
    app.finds(&[("workflow_still_open", one.event)]).await;
    app.terminate_workflow(&id).await;
    app.finds(&[("workflow_terminated", one.event)]).await;

    app.start_workflow_for(&id, input(one), Duration::from_secs(1)).await;
    ends(&app, one, WorkflowExecutionStatus::TimedOut).await;
    app.finds(&[("workflow_timed_out", one.event)]).await;

    // One about other ids in its place. It ends completed all the same: it has
    // published before, and the todo service's signal is all that it awaits.
    let about = json!({
        "eventId": one.event, "userId": Uuid::new_v4(), "overdueMs": 1,
        "carried": { "publishes": 1, "overdueChecks": 0 },
    });
    app.start_workflow(&id, about).await;
    app.component("worker").start().await.unwrap();
    ends(&app, one, WorkflowExecutionStatus::Completed).await;
    app.finds(&[("history_incomplete", one.event)]).await;

    // One that failed, since its row was away.
    app.delete_workflow(&id).await;
    let row = app.take(&app.outbox().await, Finished::by_id(one.event.uuid())).await;
    app.start_workflow(&id, input(one)).await;
    ends(&app, one, WorkflowExecutionStatus::Failed).await;
    app.put_back(&app.outbox().await, &row).await;
    app.finds(&[("workflow_failed", one.event)]).await;

    // A fresh run about the right ones mends it.
    app.start_workflow(&id, input(one)).await;
    ends(&app, one, WorkflowExecutionStatus::Completed).await;
    app.is_clean().await;

    // Without a row. The worker finds none either, and the workflow fails.
    let event = Uuid::now_v7();
    let stranger = format!("registration-{event}");
    app.start_workflow(&stranger, json!({ "eventId": event, "userId": one.user })).await;
    app.start_workflow("by-hand", json!({ "eventId": event, "userId": one.user })).await;
    // The third is the first one's run that failed before.
    eventually("both are listed as failed", async || {
        match app.workflows_where("ExecutionStatus = 'Failed'").await {
            3 => Ok(()),
            failed => Err(failed),
        }
    })
    .await;
    app.finds(&[("workflow_unexpected", stranger.as_str()), ("workflow_unexpected", "by-hand")])
        .await;
    app.delete_workflow(&stranger).await;
    app.delete_workflow("by-hand").await;
    app.is_clean().await;
    app.finish().await;
}

#[tokio::test]
async fn a_workflow_terminated_on_its_way_is_named_beside_its_row() {
    let app = App::start_with(Options::default().apart(&["todo"])).await;
    app.component("todo").stop().await.unwrap();
    let event = app.register().await;
    app.reaches(event, "SENT").await;
    app.finds(&[("row_unacknowledged", event)]).await;
    let id = format!("registration-{event}");
    app.terminate_workflow(&id).await;
    app.finds(&[("row_unacknowledged", event), ("workflow_terminated", event)]).await;
    let user = app.registered_user(event).await;
    app.start_workflow(&id, json!({ "eventId": event, "userId": user })).await;
    app.component("todo").start().await.unwrap();
    app.reaches(event, "ACKNOWLEDGED").await;
    app.nothing_is_left().await;
    app.is_clean().await;
    app.finish().await;
}
