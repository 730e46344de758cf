//! The relay: complete whatever dies, and alone on a row.

mod hand_over;

use futures::StreamExt;
use mongodb::bson::doc;
use temporalio_client::WorkflowExecutionStatus;

use crate::harness::{App, Options, binary, eventually, flood};

#[tokio::test]
async fn a_relay_killed_between_start_and_note_starts_nothing_twice() {
    let app = App::start_with(Options::only(&["auth", "worker", "todo"]).failing("relay")).await;
    let id = app.register().await;
    // The first update is the claim, the second the note about the start.
    let block = doc! {
        "failCommands": ["update"], "blockConnection": true, "blockTimeMS": 10_000,
    };
    let point = app.fail_commands(doc! { "skip": 1 }, block).await;
    app.component("relay").request_start().await.unwrap();
    eventually("the workflow is there and the note is not", async || {
        match (app.workflow(id).await, app.row(id).await.get_i32("attempts")) {
            (Some(_), Ok(1)) => Ok(()),
            seen => Err(format!("{seen:?}")),
        }
    })
    .await;
    app.component("relay").kill().await.unwrap();
    point.off().await;
    app.ready("relay").await;
    app.reaches(id, "ACKNOWLEDGED").await;
    app.nothing_is_left().await;
    assert_eq!(app.all_workflows().await, 1);
    app.finish().await;
}

#[tokio::test]
async fn a_row_that_becomes_due_again_finds_its_workflow_started() {
    let app = App::start_with(Options::only(&["auth", "relay"])).await;
    let id = app.register().await;
    app.reaches(id, "STARTED").await;
    app.component("relay").stop().await.unwrap();
    // As if the note had never been written.
    let now = mongodb::bson::DateTime::now();
    let forget = doc! { "$set": { "startedAt": null, "nextAttemptAt": now } };
    app.outbox().await.update_one(doc! {}, forget).await.unwrap();
    app.component("relay").start().await.unwrap();
    app.reaches(id, "STARTED").await;
    assert_eq!(app.workflow(id).await, Some(WorkflowExecutionStatus::Running));
    assert_eq!(app.all_workflows().await, 1);
    for service in ["worker", "todo"] {
        app.component(service).start().await.unwrap();
    }
    app.finish().await;
}

#[tokio::test]
async fn two_relays_start_one_workflow_for_each_of_500_events() {
    let _alone = flood().await;
    let options = Options::only(&["auth", "worker", "todo"]).and("relay-2", "relay");
    let app = App::prepare_on_shared(options).await;
    for service in ["auth", "worker", "todo"] {
        app.component(service).start().await.unwrap();
    }
    futures::stream::iter(0..500)
        .for_each_concurrent(16, async |_| {
            app.register().await;
        })
        .await;
    tokio::try_join!(app.component("relay").start(), app.component("relay-2").start()).unwrap();
    app.nothing_is_left().await;
    eventually("visibility has caught up", async || match app.all_workflows().await {
        500 => Ok(()),
        workflows => Err(workflows),
    })
    .await;
    app.finish().await;
}

#[tokio::test]
async fn without_a_change_stream_the_sweep_finds_the_rows() {
    let app = App::start_with(Options::only(&["auth", "worker", "todo"]).failing("relay")).await;
    // ChangeStreamHistoryLost, whenever the stream is opened or read.
    let lost = doc! { "failCommands": ["aggregate", "getMore"], "errorCode": 286 };
    let point = app.fail_commands(doc! { "times": i32::MAX }, lost).await;
    app.component("relay").start().await.unwrap();
    for _ in 0..5 {
        let id = app.register().await;
        app.reaches(id, "ACKNOWLEDGED").await;
    }
    assert!(point.hits().await > 0, "the stream was refused");
    point.off().await;
    app.finish().await;
}

#[tokio::test]
async fn damaged_rows_do_not_hold_up_the_others() {
    let app = App::start_with(Options::only(&["auth", "worker", "todo"])).await;
    let outbox = app.outbox().await;
    let mut damaged = Vec::new();
    for _ in 0..12 {
        let id = app.register().await;
        let row = doc! { "_id": app.row(id).await.get("_id").unwrap() };
        let damage = doc! { "$unset": { "payload": "" } };
        let update = outbox.update_one(row.clone(), damage).bypass_document_validation(true);
        update.await.unwrap();
        damaged.push((id, row));
    }
    app.component("relay").start().await.unwrap();
    let healthy = app.register().await;
    app.reaches(healthy, "ACKNOWLEDGED").await;
    for (id, row) in damaged {
        eventually("its workflow says what is wrong", async || match app.workflow(id).await {
            Some(WorkflowExecutionStatus::Failed) => Ok(()),
            status => Err(status),
        })
        .await;
        assert_eq!(app.failure_type(id).await, "OutboxRowCorrupt");
        let user = app.registered_user(id).await.uuid();
        app.users().await.delete_one(doc! { "_id": binary(user) }).await.unwrap();
        outbox.delete_one(row).await.unwrap();
    }
    app.finish().await;
}

#[tokio::test]
async fn a_row_the_relay_cannot_read_does_not_hold_up_the_others() {
    let app = App::start_with(Options::only(&["auth", "worker", "todo"])).await;
    let unreadable = doc! {
        "_id": "not a uuid", "status": "PENDING", "nextAttemptAt": mongodb::bson::DateTime::from_millis(0),
    };
    let forced = app.outbox().await;
    forced.insert_one(unreadable).bypass_document_validation(true).await.unwrap();
    app.component("relay").start().await.unwrap();
    let id = app.register().await;
    app.reaches(id, "ACKNOWLEDGED").await;
    let row = forced.find_one(doc! { "_id": "not a uuid" }).await.unwrap().unwrap();
    assert!(row.get_str("lastError").unwrap().contains("cannot read"), "{row}");
    forced.delete_one(doc! { "_id": "not a uuid" }).await.unwrap();
    app.finish().await;
}
