//! The plain way of a registration.

use temporalio_client::WorkflowExecutionStatus;

use crate::harness::{App, Options, eventually};

#[tokio::test]
async fn a_registration_ends_with_one_todo_and_a_completed_workflow() {
    let app = App::start().await;
    let id = app.register().await;
    app.reaches(id, "ACKNOWLEDGED").await;
    let row = app.row(id).await;
    assert_eq!(row.get_str("status").unwrap(), "SENT");
    for time in ["createdAt", "startedAt", "sentAt", "acknowledgedAt"] {
        assert!(row.get_datetime(time).is_ok(), "{time}: {row}");
    }
    app.nothing_is_left().await;
    // The worker says on the row that it is done before the workflow completes.
    eventually("the workflow has completed", async || match app.workflow(id).await {
        Some(WorkflowExecutionStatus::Completed) => Ok(()),
        status => Err(status),
    })
    .await;
    app.finish().await;
}

/// No personal data enters Temporal, on the plain way or a failing one.
#[tokio::test]
async fn a_history_holds_ids_only() {
    let options = Options::default()
        .in_the_released_plan()
        .apart(&["todo"])
        .with("REGISTRATION_OVERDUE", "1s");
    let app = App::start_with(options).await;
    app.component("todo").stop().await.unwrap();
    app.unbind().await;
    let answer = app.post_register("canary.address@example.com").await;
    let body: serde_json::Value = answer.json().await.unwrap();
    let id = body["registrationId"].as_str().unwrap().parse().unwrap();
    eventually("a publish has failed", async || match app.pending_activity(id).await {
        Some(activity) if activity.attempt > 1 => Ok(()),
        other => Err(other),
    })
    .await;
    app.bind().await;
    app.reaches(id, "STALLED").await;
    app.component("todo").start().await.unwrap();
    app.reaches(id, "ACKNOWLEDGED").await;
    let history = app.history_bytes(id).await;
    let holds = |needle: &str| {
        history.windows(needle.len()).any(|window| window.eq_ignore_ascii_case(needle.as_bytes()))
    };
    assert!(holds(&format!("{id}")), "the history is readable");
    assert!(!holds("canary.address"), "no address");
    assert!(!holds("correct horse"), "no password");
    app.finish().await;
}
