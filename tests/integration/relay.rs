//! The relay: complete whatever dies, and alone on a row.

mod hand_over;
mod lead;
mod share;
mod unanswered;

use std::path::Path;

use mongodb::bson::{DateTime, doc};
use onboard_fault::{Side, Step};
use temporalio_client::WorkflowExecutionStatus;

use crate::harness::{App, Options, binary, eventually};

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
    app.every_registration_has_one_workflow().await;
    app.finish().await;
}

#[tokio::test]
async fn a_row_that_becomes_due_again_finds_its_workflow_started() {
    let app = App::start_with(Options::only(&["auth", "relay"]).apart(&["relay"])).await;
    let id = app.register().await;
    app.reaches(id, "STARTED").await;
    app.component("relay").stop().await.unwrap();
    // As if the note had never been written.
    let now = DateTime::now();
    let forget = doc! { "$set": { "startedAt": null, "nextAttemptAt": now } };
    app.outbox().await.update_one(doc! {}, forget).await.unwrap();
    app.component("relay").start().await.unwrap();
    app.reaches(id, "STARTED").await;
    assert_eq!(app.workflow(id).await, Some(WorkflowExecutionStatus::Running));
    app.every_registration_has_one_workflow().await;
    for service in ["worker", "todo"] {
        app.component(service).start().await.unwrap();
    }
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
async fn a_row_of_an_unknown_event_type_or_version_is_quarantined_by_its_name() {
    let app = App::start_with(Options::only(&["auth", "worker", "todo"])).await;
    let strange = [
        (doc! { "eventType": "LAMP_LIT" }, "no event type \"LAMP_LIT\""),
        (doc! { "schemaVersion": 2_i64 }, "no version 2 of USER_REGISTERED"),
    ];
    let mut rows = Vec::new();
    for (field, words) in strange {
        let id = app.register().await;
        app.spoil_row(id, doc! { "$set": field }).await;
        rows.push((id, words));
    }
    app.component("relay").start().await.unwrap();
    let id = app.register().await;
    app.reaches(id, "ACKNOWLEDGED").await;
    for (strange, words) in rows {
        eventually("the row says why", async || {
            let row = app.row(strange).await;
            let named = row.get_str("lastError").is_ok_and(|said| said.contains(words));
            if named && row.get_datetime("quarantinedAt").is_ok() { Ok(()) } else { Err(row) }
        })
        .await;
        assert_eq!(app.workflow(strange).await, None, "nothing is started for it");
        // A build that knows it finds it due.
        let mended = doc! {
            "eventType": "USER_REGISTERED", "schemaVersion": 1_i64,
            "nextAttemptAt": DateTime::now(),
        };
        app.spoil_row(strange, doc! { "$set": mended }).await;
        app.reaches(strange, "ACKNOWLEDGED").await;
    }
    app.finish().await;
}

/// The relay has read the row, and stalls before it sets the row apart.
#[tokio::test]
async fn a_row_that_is_repaired_while_it_is_set_apart_is_not_quarantined() {
    let dir = tempfile::tempdir().unwrap();
    let token = |name: &str| {
        let token = dir.path().join(name);
        std::fs::write(&token, "").unwrap();
        token
    };
    let (before, after) = (token("before"), token("after"));
    let point = |side| Step("relay.put_off").point(side);
    let armed = format!(
        "{}=return(slow:3000@{});{}=return(slow:1@{})",
        point(Side::Before),
        before.display(),
        point(Side::After),
        after.display()
    );
    // Without a worker it does not end before it is set apart.
    let options = Options::only(&["auth", "todo"]).with_for("relay", "FAILPOINTS", &armed);
    let app = App::start_with(options).await;
    let id = app.register().await;
    app.spoil_row(id, doc! { "$set": { "eventType": "LAMP_LIT" } }).await;
    app.component("relay").request_start().await.unwrap();
    let reached = async |token: &Path| if token.exists() { Err("not yet") } else { Ok(()) };
    eventually("the row is read", async || reached(&before).await).await;
    let now = DateTime::now();
    let repaired = doc! { "eventType": "USER_REGISTERED", "nextAttemptAt": now };
    app.spoil_row(id, doc! { "$set": repaired }).await;
    eventually("the relay has tried", async || reached(&after).await).await;
    let row = app.row(id).await;
    assert!(row.get_datetime("quarantinedAt").is_err(), "{row}");
    app.component("worker").start().await.unwrap();
    app.reaches(id, "ACKNOWLEDGED").await;
    app.finish().await;
}

#[tokio::test]
async fn a_row_the_relay_cannot_read_does_not_hold_up_the_others() {
    let app = App::start_with(Options::only(&["auth", "worker", "todo"])).await;
    let unreadable = doc! {
        "_id": "not a uuid", "status": "PENDING", "nextAttemptAt": DateTime::from_millis(0),
    };
    let forced = app.outbox().await;
    forced.insert_one(unreadable).bypass_document_validation(true).await.unwrap();
    app.component("relay").start().await.unwrap();
    let id = app.register().await;
    app.reaches(id, "ACKNOWLEDGED").await;
    // The change stream may bring the readable row before the sweep reads this one.
    eventually("the row says what is wrong", async || {
        let row = forced.find_one(doc! { "_id": "not a uuid" }).await.unwrap().unwrap();
        if row.get_str("lastError").is_ok_and(|said| said.contains("cannot read")) {
            Ok(())
        } else {
            Err(row)
        }
    })
    .await;
    forced.delete_one(doc! { "_id": "not a uuid" }).await.unwrap();
    app.finish().await;
}
