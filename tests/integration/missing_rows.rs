//! An outbox row that is not found for a while: the workflow waits for it, and ends
//! only when it has been missing for long.

use mongodb::bson::{Document, doc};
use onboard_contract::EventId;
use temporalio_client::WorkflowExecutionStatus;

use crate::harness::{App, Options, eventually};

const PLANS: [&str; 2] = ["1", "2"];

fn options(services: &[&'static str], plan: &str) -> Options {
    Options::only(services).with("DELIVERY_PLAN", plan)
}

/// Takes the row away.
async fn take(app: &App, id: EventId) -> Document {
    let row = app.row(id).await;
    app.outbox().await.delete_one(doc! { "_id": row.get("_id").unwrap() }).await.unwrap();
    row
}

/// Waits until an activity has not found the row several times.
async fn is_missed(app: &App, id: EventId) {
    eventually("its row is looked for", async || match app.pending_activity(id).await {
        Some(activity)
            if activity.attempt > 2 && activity.last_failure.contains("OutboxRowMissing") =>
        {
            Ok(())
        }
        other => Err((other, app.workflow(id).await)),
    })
    .await;
    assert_eq!(app.workflow(id).await, Some(WorkflowExecutionStatus::Running));
}

async fn put_back(app: &App, row: Document) {
    app.outbox().await.insert_one(row).await.unwrap();
}

#[tokio::test]
async fn a_row_that_is_missing_at_the_publish_for_seconds_ends_nothing() {
    for plan in PLANS {
        let app = App::start_with(options(&["auth", "relay", "todo"], plan)).await;
        let id = app.register().await;
        app.reaches(id, "STARTED").await;
        let row = take(&app, id).await;
        app.component("worker").start().await.unwrap();
        is_missed(&app, id).await;
        put_back(&app, row).await;
        app.reaches(id, "ACKNOWLEDGED").await;
        app.finish().await;
    }
}

#[tokio::test]
async fn a_row_that_is_missing_at_the_record_for_seconds_ends_nothing() {
    for plan in PLANS {
        let app = App::start_with(options(&["auth", "relay", "worker"], plan)).await;
        let id = app.register().await;
        app.reaches(id, "SENT").await;
        let row = take(&app, id).await;
        app.component("todo").start().await.unwrap();
        is_missed(&app, id).await;
        put_back(&app, row).await;
        app.reaches(id, "ACKNOWLEDGED").await;
        app.finish().await;
    }
}

/// The setting is what ends the wait, and not the first answer of the primary.
#[tokio::test]
async fn a_row_that_stays_missing_ends_its_workflow_after_the_time_that_is_set() {
    let options = options(&["auth", "relay"], "2").with("OUTBOX_ROW_MISSING_AFTER", "4s");
    let app = App::start_with(options).await;
    let id = app.register().await;
    app.reaches(id, "STARTED").await;
    take(&app, id).await;
    app.component("worker").start().await.unwrap();
    is_missed(&app, id).await;
    eventually("the workflow has failed", async || match app.workflow(id).await {
        Some(WorkflowExecutionStatus::Failed) => Ok(()),
        status => Err(status),
    })
    .await;
    assert_eq!(app.failure_type(id).await, "OutboxRowMissing");
    app.remove().await;
}
