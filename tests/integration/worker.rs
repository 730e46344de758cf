//! The worker and the workflow: whatever dies in the middle, one todo.

use futures::future::join_all;
use mongodb::bson::doc;
use serde_json::json;
use temporalio_client::WorkflowExecutionStatus;

use crate::harness::{App, Options, eventually};

#[tokio::test]
async fn a_worker_killed_in_the_middle_of_an_activity_is_no_loss() {
    let app = App::start_with(Options::default().apart(&["worker"]).failing("worker")).await;
    // The worker's first update is `mark_outbox_sent`: it hangs there.
    let block = doc! {
        "failCommands": ["update"], "blockConnection": true, "blockTimeMS": 10_000,
    };
    let point = app.fail_commands(doc! { "times": 1 }, block).await;
    let before = point.hits().await;
    let id = app.register().await;
    eventually("the worker hangs in the activity", async || match point.hits().await {
        hits if hits > before => Ok(()),
        hits => Err(hits),
    })
    .await;
    app.component("worker").kill().await.unwrap();
    point.off().await;
    app.reaches(id, "ACKNOWLEDGED").await;
    app.finish().await;
}

#[tokio::test]
async fn an_unroutable_publish_is_retried_and_not_marked_sent() {
    let app = App::start_with(Options::default().in_the_released_plan()).await;
    app.unbind().await;
    let id = app.register().await;
    let failure = eventually("the publish has failed twice", async || {
        let pending = app.pending_activity(id).await;
        match pending {
            Some(activity) if activity.attempt > 2 => Ok(activity.last_failure),
            other => Err(other),
        }
    })
    .await;
    assert!(failure.contains("RabbitMq") && failure.to_lowercase().contains("rout"), "{failure}");
    assert_eq!(app.row(id).await.get_str("status").unwrap(), "PENDING");
    app.bind().await;
    app.reaches(id, "ACKNOWLEDGED").await;
    app.finish().await;
}

/// lapin mixes returned messages up when several are in flight on a channel.
#[tokio::test]
async fn of_many_unroutable_publishes_none_is_marked_sent() {
    let app = App::start_with(Options::default().in_the_released_plan()).await;
    app.unbind().await;
    let ids = join_all((0..40).map(|_| app.register())).await;
    for id in &ids {
        eventually("its publish has failed twice", async || {
            match app.pending_activity(*id).await {
                Some(activity) if activity.attempt > 2 => Ok(()),
                other => Err(other),
            }
        })
        .await;
    }
    let sent = app.outbox().await.count_documents(doc! { "status": "SENT" }).await.unwrap();
    assert_eq!(sent, 0);
    app.bind().await;
    app.finish().await;
}

#[tokio::test]
async fn an_acknowledgement_ends_a_registration_that_is_published_again() {
    let options = Options::only(&["auth", "relay", "worker"])
        .in_the_released_plan()
        .with("REGISTRATION_OVERDUE", "1s");
    let app = App::start_with(options).await;
    let id = app.register().await;
    app.reaches(id, "SENT").await;
    // While messages wait, nothing is published again.
    app.unbind().await;
    app.purge_queue().await;
    eventually("the overdue event cannot be published again", async || {
        match app.pending_activity(id).await {
            Some(activity) if activity.attempt > 1 => Ok(()),
            other => Err(other),
        }
    })
    .await;
    // The same event by another way.
    let user = app.registered_user(id).await;
    let body = json!({ "eventId": id, "eventType": "USER_REGISTERED", "schemaVersion": 1,
        "payload": { "userId": user, "email": "somebody@example.com" } });
    app.publish_to_queue(&body.to_string()).await;
    app.component("todo").request_start().await.unwrap();
    app.reaches(id, "ACKNOWLEDGED").await;
    eventually("that message is taken, and no other comes", async || {
        match app.queue_depths().await {
            (0, 0) => Ok(()),
            depths => Err(depths),
        }
    })
    .await;
    app.bind().await;
    app.finish().await;
}

#[tokio::test]
async fn an_overdue_acknowledgement_shows_as_stalled_and_heals() {
    let options = Options::only(&["auth", "relay", "worker"])
        .in_the_released_plan()
        .with("REGISTRATION_OVERDUE", "1s");
    let app = App::start_with(options).await;
    let id = app.register().await;
    app.reaches(id, "STALLED").await;
    let progress = eventually("the workflow has looked and published again", async || {
        let progress = app.progress(id).await;
        if progress["stage"] == "STALLED" && progress["publishes"].as_u64() > Some(1) {
            Ok(progress)
        } else {
            Err(progress)
        }
    })
    .await;
    assert!(progress["overdueChecks"].as_u64() > Some(0), "{progress}");
    eventually("the search attribute says so", async || {
        match app.workflows_where("RegistrationStage = 'STALLED'").await {
            1 => Ok(()),
            found => Err(found),
        }
    })
    .await;
    app.component("todo").start().await.unwrap();
    app.reaches(id, "ACKNOWLEDGED").await;
    app.finish().await;
}

#[tokio::test]
async fn an_acknowledgement_that_got_lost_is_found_in_the_inbox() {
    let options = Options::only(&["auth", "relay", "worker"])
        .in_the_released_plan()
        .with("REGISTRATION_OVERDUE", "2s");
    let app = App::start_with(options).await;
    let id = app.register().await;
    app.reaches(id, "SENT").await;
    // As if the todo service had committed and died for good before it signalled.
    let row = app.row(id).await;
    let now = mongodb::bson::DateTime::now();
    let user = row.get("aggregateId").unwrap();
    let todo = mongodb::bson::Uuid::new();
    let record = doc! {
        "eventId": row.get("_id").unwrap(), "userId": user, "todoId": todo,
        "processedAt": now, "acknowledgedAt": now,
    };
    let welcome = doc! {
        "_id": todo, "userId": user, "title": "Welcome to the App", "completed": false,
        "createdAt": now, "updatedAt": now,
    };
    app.inbox().await.insert_one(record).await.unwrap();
    app.todos().await.insert_one(welcome).await.unwrap();
    app.reaches(id, "ACKNOWLEDGED").await;
    app.component("todo").start().await.unwrap();
    app.finish().await;
}

#[tokio::test]
async fn an_operator_can_have_the_event_published_again() {
    let app = App::start_with(Options::only(&["auth", "relay", "worker"])).await;
    let id = app.register().await;
    app.reaches(id, "SENT").await;
    app.signal(id, "republish").await;
    eventually("it is published twice", async || {
        let progress = app.progress(id).await;
        if progress["publishes"] == 2 { Ok(()) } else { Err(progress) }
    })
    .await;
    app.component("todo").start().await.unwrap();
    app.reaches(id, "ACKNOWLEDGED").await;
    app.finish().await;
}

#[tokio::test]
async fn a_history_that_grows_is_continued_in_a_new_run() {
    let options = Options::only(&["auth", "relay", "worker"]).with("REGISTRATION_OVERDUE", "1h");
    let app = App::start_with(options).await;
    let id = app.register().await;
    app.reaches(id, "SENT").await;
    // Each is at least one event; the workflow continues beyond 2,000.
    app.signal_often(id, "republish", 2_100).await;
    eventually("a run has been continued", async || {
        match app.workflows_where("ExecutionStatus = 'ContinuedAsNew'").await {
            0 => Err(app.progress(id).await),
            _ => Ok(()),
        }
    })
    .await;
    let progress = app.progress(id).await;
    assert_eq!(progress["stage"], "SENT", "{progress}");
    assert!(progress["publishes"].as_u64() > Some(1), "{progress}");
    eventually("the new run can be found by its stage", async || {
        let running = "ExecutionStatus = 'Running' AND RegistrationStage = 'SENT'";
        match app.workflows_where(running).await {
            1 => Ok(()),
            found => Err(found),
        }
    })
    .await;
    app.component("todo").request_start().await.unwrap();
    app.reaches(id, "ACKNOWLEDGED").await;
    app.finish().await;
}

#[tokio::test]
async fn a_malformed_acknowledgement_does_not_stop_the_workflow() {
    let app = App::start_with(Options::only(&["auth", "relay", "worker"])).await;
    let id = app.register().await;
    app.reaches(id, "SENT").await;
    app.signal(id, "todo_acknowledged").await;
    assert_eq!(app.progress(id).await["stage"], "SENT");
    app.component("todo").start().await.unwrap();
    app.reaches(id, "ACKNOWLEDGED").await;
    app.finish().await;
}

#[tokio::test]
async fn a_missing_or_corrupt_row_ends_in_a_failed_workflow_of_that_type() {
    let options = Options::only(&["auth", "relay"]).with("OUTBOX_ROW_MISSING_AFTER", "0s");
    let app = App::start_with(options).await;
    for (damage, failure) in [
        (None, "OutboxRowMissing"),
        (Some(doc! { "$set": { "payload.userId": 7 } }), "OutboxRowCorrupt"),
    ] {
        let id = app.register().await;
        app.reaches(id, "STARTED").await;
        let outbox = app.outbox().await;
        let this = doc! { "_id": app.row(id).await.get("_id").unwrap() };
        match damage {
            None => drop(outbox.delete_one(this.clone()).await.unwrap()),
            Some(damage) => {
                let damaged = outbox.update_one(this.clone(), damage);
                damaged.bypass_document_validation(true).await.unwrap();
            }
        }
        app.component("worker").start().await.unwrap();
        eventually("the workflow has failed", async || match app.workflow(id).await {
            Some(WorkflowExecutionStatus::Failed) => Ok(()),
            status => Err(status),
        })
        .await;
        assert_eq!(app.failure_type(id).await, failure);
        app.component("worker").stop().await.unwrap();
        outbox.delete_one(this).await.unwrap();
    }
    app.remove().await;
}
