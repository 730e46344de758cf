//! Temporal's web UI as the registration desk: one sentence says what is waited
//! for and since when, as long as it lasts.

use mongodb::bson::doc;
use onboard_contract::EventId;
use temporalio_client::WorkflowExecutionStatus;

use crate::harness::{App, Options, eventually};

/// Waits until the details hold these words; a time follows on the first.
async fn reads(app: &App, id: EventId, words: &[&str]) -> String {
    eventually(&format!("the details hold {words:?}"), async || {
        let details = app.current_details(id).await;
        let all = words.iter().all(|word| details.contains(word));
        if all { Ok(details) } else { Err(details) }
    })
    .await
}

/// The time in a sentence, `2026-11-21T13:00:00Z`, after this word.
fn time_after(details: &str, word: &str) -> humantime::Timestamp {
    let (_, rest) = details.split_once(word).unwrap();
    let time: String = rest.trim_start().chars().take(20).collect();
    time.parse().unwrap_or_else(|error| panic!("{details}: {error}"))
}

#[tokio::test]
async fn the_details_say_what_is_waited_for_and_since_when() {
    let options = Options::only(&["auth", "relay", "worker"])
        .in_the_released_plan()
        .apart(&["worker"])
        .with("REGISTRATION_OVERDUE", "5s");
    let app = App::start_with(options).await;
    app.unbind().await;
    let id = app.register().await;
    app.reaches(id, "STARTED").await;
    let details = reads(&app, id, &["Waiting since ", "for RabbitMQ to confirm"]).await;
    let begun = time_after(&details, "Waiting since ");
    app.bind().await;
    let details = reads(&app, id, &["for the todo service to acknowledge", "overdue at "]).await;
    let sent = time_after(&details, "Waiting since ");
    let overdue = time_after(&details, "overdue at ");
    assert!(*begun <= *sent && *sent < *overdue, "{details}");

    let details = reads(&app, id, &["STALLED: waiting since ", "looks into the inbox 2"]).await;
    assert_eq!(time_after(&details, "waiting since "), sent, "since it was SENT: {details}");
    assert!(*time_after(&details, "next one at ") > *overdue, "{details}");
    assert_eq!(details.matches('.').count(), 1, "one sentence: {details}");

    // A worker that replays says the same.
    app.component("worker").kill().await.unwrap();
    app.ready("worker").await;
    let details = reads(&app, id, &["STALLED: waiting since "]).await;
    assert_eq!(time_after(&details, "waiting since "), sent, "{details}");

    app.component("todo").start().await.unwrap();
    app.reaches(id, "ACKNOWLEDGED").await;
    let details = reads(&app, id, &["Done at ", "every expected consumer has acknowledged"]).await;
    assert!(*time_after(&details, "Done at ") > *sent, "{details}");
    app.finish().await;
}

#[tokio::test]
async fn the_details_name_the_consumers_that_are_waited_for() {
    let options = Options::only(&["auth", "relay", "worker"]).with("REGISTRATION_OVERDUE", "5s");
    let app = App::start_with(options).await;
    let id = app.register().await;
    let waits = ["Waiting since ", "for these consumers to acknowledge: todo; overdue at "];
    let details = reads(&app, id, &waits).await;
    let sent = time_after(&details, "Waiting since ");
    assert!(*sent < *time_after(&details, "overdue at "), "{details}");
    let details = reads(&app, id, &["STALLED: waiting since ", "Asked whether", "todo on "]).await;
    assert_eq!(time_after(&details, "waiting since "), sent, "since it was SENT: {details}");
    app.component("todo").start().await.unwrap();
    app.reaches(id, "ACKNOWLEDGED").await;
    app.finish().await;
}

#[tokio::test]
async fn the_details_of_a_failed_registration_say_why_and_since_when() {
    let options = Options::only(&["auth", "relay"]).with("OUTBOX_ROW_MISSING_AFTER", "0s");
    let app = App::start_with(options).await;
    let id = app.register().await;
    app.reaches(id, "STARTED").await;
    let row = app.row(id).await;
    app.outbox().await.delete_one(doc! { "_id": row.get("_id").unwrap() }).await.unwrap();
    app.component("worker").start().await.unwrap();
    eventually("it fails", async || match app.workflow(id).await {
        Some(WorkflowExecutionStatus::Failed) => Ok(()),
        status => Err(status),
    })
    .await;
    let details = reads(&app, id, &["Failed at ", "OutboxRowMissing", "needs a person"]).await;
    time_after(&details, "Failed at ");
    app.remove().await;
}
