//! `onboard redrive`: what stands still goes back to work, once, whoever kills
//! the command where.

use mongodb::bson::{DateTime, Document, doc};
use onboard::services::names;
use onboard_contract::EventId;
use onboard_events::registration::workflow_id;
use onboard_fault::{Side, Step};
use temporalio_client::WorkflowExecutionStatus;

use crate::harness::{App, Options, eventually};

/// Nothing heals by itself within a test.
fn patient(services: &[&'static str]) -> Options {
    Options::only(services).with("REGISTRATION_OVERDUE", "1h")
}

/// The records of one event.
fn of(event: EventId) -> Document {
    doc! { "eventId": mongodb::bson::Uuid::from_bytes(event.uuid().into_bytes()) }
}

#[tokio::test]
async fn a_registration_whose_message_was_lost_is_published_again() {
    let app = App::start_with(patient(&["auth", "relay", "worker"])).await;
    let id = app.register().await;
    app.reaches(id, "SENT").await;
    app.purge_queue().await;
    app.component("todo").start().await.unwrap();

    let order = ["redrive", "--stalled", "--registration-overdue", "1ms"];
    let dry = app.tool(&[&order[..], &["--dry-run"]].concat()).await.yes();
    assert_eq!(dry["acts"]["republish"], 1, "{dry}");
    assert_eq!(dry["items"][0]["id"], id.to_string(), "{dry}");
    assert_eq!(app.progress(id).await["publishes"], 1, "a dry run does nothing");
    assert!(app.redrives(doc! {}).await.is_empty(), "and records nothing");
    let none = app.tool(&["redrive", "--stalled"]).await.yes();
    assert_eq!(none["acts"], serde_json::json!({}), "an hour is not over: {none}");

    let who_and_why = ["--actor", "grace", "--reason", "the queue was purged"];
    let done = app.tool(&[&order[..], &who_and_why[..]].concat()).await.yes();
    assert_eq!(done["acts"]["republish"], 1, "{done}");
    app.reaches(id, "ACKNOWLEDGED").await;
    let records = app.redrives(doc! {}).await;
    assert_eq!(records.len(), 1);
    let record = &records[0];
    assert_eq!(record.get_str("actor").unwrap(), "grace");
    assert_eq!(record.get_str("reason").unwrap(), "the queue was purged");
    assert_eq!(record.get_str("act").unwrap(), "republish");
    assert!(record.get_datetime("doneAt").unwrap() >= record.get_datetime("at").unwrap());
    assert_eq!(record.get("eventId"), app.row(id).await.get("_id"));
    let bytes = app.history_bytes(id).await;
    let told = |word: &str| bytes.windows(word.len()).any(|part| part == word.as_bytes());
    assert!(told("redriveId") && !told("grace") && !told("purged"), "Temporal is told an id alone");

    eventually("its workflow has completed", async || {
        let again = app.tool(&["redrive", &id.to_string()]).await.yes();
        if again["finished"] == 1 { Ok(()) } else { Err(again) }
    })
    .await;
    let unknown = app.tool(&["redrive", &uuid::Uuid::now_v7().to_string()]).await.no();
    assert_eq!(unknown["leftTotal"], 1, "{unknown}");
    app.finish().await;
}

#[tokio::test]
async fn a_failed_and_a_lost_workflow_run_afresh() {
    let app = App::start_with(patient(&["auth", "relay"])).await;
    let (failed, lost) = (app.register().await, app.register().await);
    app.reaches(failed, "STARTED").await;
    let payload = app.row(failed).await.get_document("payload").unwrap().clone();
    app.spoil_row(failed, doc! { "$unset": { "payload": "" } }).await;
    app.component("worker").start().await.unwrap();
    app.reaches(lost, "SENT").await;
    app.delete_workflow(&workflow_id(lost)).await;
    app.purge_queue().await;
    eventually("the other has failed", async || match app.workflow(failed).await {
        Some(WorkflowExecutionStatus::Failed) => Ok(()),
        status => Err(status),
    })
    .await;
    app.component("todo").start().await.unwrap();

    let half = app.tool(&["redrive", "--failed"]).await.no();
    assert_eq!(half["acts"], serde_json::json!({ "restart": 1 }), "{half}");
    assert_eq!(half["left"][0]["id"], failed.to_string());
    assert!(half["left"][0]["why"].as_str().unwrap().contains("mended first"), "{half}");
    app.reaches(lost, "ACKNOWLEDGED").await;

    app.spoil_row(failed, doc! { "$set": { "payload": payload } }).await;
    let whole = app.tool(&["redrive", "--failed"]).await.yes();
    assert_eq!(whole["acts"]["restart"], 1, "{whole}");
    app.reaches(failed, "ACKNOWLEDGED").await;
    app.finish().await;
}

#[tokio::test]
async fn a_row_that_is_quarantined_or_put_off_becomes_due() {
    let app = App::start_with(patient(&["auth", "worker", "todo"])).await;
    let later = DateTime::from_millis(DateTime::now().timestamp_millis() + 3_600_000);
    let (quarantined, put_off) = (app.register().await, app.register().await);
    let mut spoiled = doc! { "nextAttemptAt": later, "lastError": "Temporal refused" };
    app.spoil_row(put_off, doc! { "$set": spoiled.clone() }).await;
    spoiled.insert("quarantinedAt", DateTime::now());
    app.spoil_row(quarantined, doc! { "$set": spoiled }).await;
    app.component("relay").start().await.unwrap();
    let healthy = app.register().await;
    app.reaches(healthy, "ACKNOWLEDGED").await;
    assert_eq!(app.registration(quarantined).await["stage"], "PENDING");

    let done = app.tool(&["redrive", "--quarantined"]).await.yes();
    assert_eq!(done["acts"], serde_json::json!({ "release": 2 }), "{done}");
    app.reaches(quarantined, "ACKNOWLEDGED").await;
    app.reaches(put_off, "ACKNOWLEDGED").await;
    assert!(!app.row(quarantined).await.contains_key("quarantinedAt"));
    app.finish().await;
}

#[tokio::test]
async fn dead_letters_are_chosen_by_cause_and_the_others_stay_in_order() {
    let app = App::start_with(patient(&names())).await;
    app.refuse_todos().await;
    let junk = ["first junk", "null", "second junk"];
    assert!(app.publish_by_hand(junk[0]).await);
    app.dead_letters_are(1).await;
    let (_, user) = app.publish_event_by_hand().await;
    app.dead_letters_are(2).await;
    assert!(app.publish_by_hand(junk[1]).await);
    app.dead_letters_are(3).await;
    let registered = app.register().await;
    app.dead_letters_are(4).await;
    assert!(app.publish_by_hand(junk[2]).await);
    app.dead_letters_are(5).await;
    app.accept_todos().await;

    let done = app.tool(&["redrive", "--cause", "store_rejected"]).await.yes();
    assert_eq!(done["acts"], serde_json::json!({ "putBack": 1, "republish": 1 }), "{done}");
    assert_eq!(done["deadLettersLeft"], 3, "{done}");
    app.reaches(registered, "ACKNOWLEDGED").await;
    eventually("the message put back is applied", async || match app.todos_of(user).await {
        1 => Ok(()),
        todos => Err(todos),
    })
    .await;
    // RabbitMQ gives back what the tool has not chosen.
    app.dead_letters_are(3).await;
    let left: Vec<String> = app
        .dead_letters()
        .await
        .iter()
        .map(|letter| letter["payload"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(left, junk);

    app.dead_letters_are(3).await;
    let kept = app.tool(&["redrive", "--dead-letters"]).await.no();
    assert_eq!((&kept["leftTotal"], &kept["deadLettersLeft"]), (&3.into(), &3.into()), "{kept}");
    app.dead_letters_are(3).await;
    let reason = ["--reason", "somebody typed into the management page"];
    let order = ["redrive", "--dead-letters", "--discard"];
    let gone = app.tool(&[&order[..], &reason[..]].concat()).await.yes();
    assert_eq!(gone["acts"], serde_json::json!({ "discard": 3 }), "{gone}");
    let records = app.redrives(doc! { "act": "discard" }).await;
    assert_eq!(records.len(), 3);
    assert!(
        records.iter().any(|record| record.get_i64("bodyBytes").ok() == Some(10)),
        "{records:?}"
    );
    assert!(records.iter().all(|record| record.get_str("cause").unwrap().starts_with("not_")));
    app.finish().await;
}

#[tokio::test]
async fn a_dead_letter_whose_event_was_applied_is_a_leftover() {
    let app = App::start_with(patient(&names())).await;
    app.refuse_todos().await;
    let id = app.register().await;
    app.dead_letters_are(1).await;
    app.accept_todos().await;
    // Published again by another way: the letter stays behind.
    app.signal(id, "republish").await;
    app.reaches(id, "ACKNOWLEDGED").await;
    eventually("the workflow has completed", async || match app.workflow(id).await {
        Some(WorkflowExecutionStatus::Completed) => Ok(()),
        status => Err(status),
    })
    .await;
    let record = app.tool(&["show", &id.to_string()]).await.no();
    assert!(record["missing"].to_string().contains("dead letter"), "{record}");
    // RabbitMQ gives back what the tool has looked at.
    app.dead_letters_are(1).await;
    let done = app.tool(&["redrive", "--dead-letters"]).await.yes();
    assert_eq!(done["acts"], serde_json::json!({ "removeLeftover": 1 }), "{done}");
    let record = app.tool(&["show", &id.to_string()]).await.yes();
    assert_eq!(record["redrives"][0]["act"], "removeLeftover", "{record}");
    app.finish().await;
}

#[tokio::test]
async fn a_request_to_publish_again_is_safe_wherever_the_workflow_is() {
    let app = App::start_with(patient(&["auth", "relay", "worker"]).in_the_released_plan()).await;
    app.unbind().await;
    let publishing = app.register().await;
    eventually("it cannot be published", async || match app.pending_activity(publishing).await {
        Some(activity) if activity.attempt > 1 => Ok(()),
        other => Err(other),
    })
    .await;
    let done = app.tool(&["redrive", &publishing.to_string()]).await.yes();
    assert_eq!(done["acts"]["republish"], 1, "{done}");
    app.bind().await;
    // Asked while it published: the request is kept, and met after SENT.
    eventually("it is published for itself and for the request", async || {
        let progress = app.progress(publishing).await;
        if progress["publishes"] == 2 { Ok(()) } else { Err(progress) }
    })
    .await;
    // Asked again and again while the acknowledgement arrives.
    let waiting = app.register().await;
    app.reaches(waiting, "SENT").await;
    app.component("todo").request_start().await.unwrap();
    let ids = [publishing, waiting].map(|id| id.to_string());
    for _ in 0..4 {
        app.tool(&["redrive", &ids[0], &ids[1]]).await.yes();
    }
    app.reaches(publishing, "ACKNOWLEDGED").await;
    app.reaches(waiting, "ACKNOWLEDGED").await;
    app.finish().await;
}

/// Lost 0, duplicated 0, wherever the command dies.
#[tokio::test]
async fn a_redrive_that_dies_at_any_step_is_healed_by_the_next_one() {
    let app = App::start_with(patient(&names()).apart(&["relay"])).await;
    app.refuse_todos().await;
    let mut letters = 0;
    let mut rounds: Vec<(Step, Side, EventId)> = Vec::new();
    let mut by_hand = Vec::new();
    for side in [Side::Before, Side::After] {
        for step in [Step("redrive.record"), Step("redrive.signal"), Step("redrive.settle")] {
            rounds.push((step, side, app.register().await));
        }
        let restarted = app.register().await;
        rounds.push((Step("redrive.restart"), side, restarted));
        let (event, user) = app.publish_event_by_hand().await;
        rounds.push((Step("redrive.put_back"), side, event));
        by_hand.push(user);
        letters += 5;
        app.dead_letters_are(letters).await;
        app.terminate_workflow(&workflow_id(restarted)).await;
    }
    app.accept_todos().await;
    app.component("relay").stop().await.unwrap();
    for side in [Side::Before, Side::After] {
        let released = app.register().await;
        app.spoil_row(released, doc! { "$set": { "quarantinedAt": DateTime::now() } }).await;
        rounds.push((Step("redrive.release"), side, released));
    }
    for (step, side, event) in rounds {
        let id = event.to_string();
        app.crash_tool(&["redrive", &id], &step.point(side)).await;
        // Whether the last words of a dying process are heard is chance.
        if (step, side) != (Step("redrive.settle"), Side::After) {
            app.dead_letters_are(letters).await;
        }
        let mut records = app.redrives(of(event)).await;
        if (step, side) == (Step("redrive.record"), Side::Before) {
            assert!(records.is_empty(), "{records:?}");
        } else {
            let cut_off = records.pop().expect("what may have been done is recorded");
            assert!(records.is_empty() && cut_off.get_datetime("doneAt").is_err(), "{cut_off}");
        }
        app.tool(&["redrive", &id]).await.yes();
        letters -= u32::from(step != Step("redrive.release"));
        app.dead_letters_are(letters).await;
    }
    app.component("relay").start().await.unwrap();
    for user in by_hand {
        eventually("the message put back is applied", async || match app.todos_of(user).await {
            1 => Ok(()),
            todos => Err(todos),
        })
        .await;
    }
    app.finish().await;
}

/// A completed workflow never runs again, not even when it was seen failed.
#[tokio::test]
async fn two_operators_who_restart_a_workflow_start_it_once() {
    let app = App::start_with(patient(&["auth", "relay", "worker"])).await;
    let id = app.register().await;
    app.reaches(id, "SENT").await;
    app.terminate_workflow(&workflow_id(id)).await;
    app.component("todo").start().await.unwrap();
    let order = ["redrive", "--failed", "--json"];
    let mut slow = app.command(&order);
    slow.env("FAILPOINTS", "redrive.restart.before=return(slow:15000)");
    let slow = slow.stdout(std::process::Stdio::piped()).spawn().unwrap();
    eventually("the first has written down what it does", async || {
        match app.redrives(of(id)).await.len() {
            1 => Ok(()),
            records => Err(records),
        }
    })
    .await;
    app.tool(&["redrive", "--failed"]).await.yes();
    app.reaches(id, "ACKNOWLEDGED").await;
    let slow = slow.wait_with_output().await.unwrap();
    assert!(slow.status.success(), "{slow:?}");
    let overtaken = app.redrives(doc! { "overtaken": true }).await;
    assert_eq!(overtaken.len(), 1, "{overtaken:?}");
    eventually("it ran twice: terminated, and to its end", async || {
        let completed = app.workflows_where("ExecutionStatus = 'Completed'").await;
        match (app.all_workflows().await, completed) {
            (2, 1) => Ok(()),
            counts => Err(counts),
        }
    })
    .await;
    app.finish().await;
}
