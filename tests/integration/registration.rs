//! The plain way of a registration.

use temporalio_client::WorkflowExecutionStatus;

use crate::harness::App;

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
    assert_eq!(app.workflow(id).await, Some(WorkflowExecutionStatus::Completed));
    app.finish().await;
}
