//! `examples/second-event`: an event with an outbox of its own, to a consumer
//! of another program, with the guarantee and the tools of a registration.

use futures::future::join_all;
use lapin::BasicProperties;
use lapin::options::{BasicAckOptions, BasicGetOptions, BasicPublishOptions, BasicRejectOptions};
use mongodb::bson::doc;
use onboard_contract::EventId;
use onboard_mongo::Field;
use onboard_outbox::Row;
use second_event::{ORDER_PLACED, place_order};
use serde_json::{Value, json};
use temporalio_client::{UntypedWorkflow, WorkflowDescribeOptions, WorkflowExecutionStatus};

use crate::harness::{App, Options, binary, eventually, text};

const QUEUE: &str = "shipping.order_placed";

fn options() -> Options {
    Options::only(&["relay", "worker"]).each_apart().with("SECOND_EVENT", "yes")
}

/// Takes one message of the consumer, if one waits.
async fn take(app: &App) -> Option<Value> {
    let channel = app.channel().await;
    let got = channel.basic_get(QUEUE.into(), BasicGetOptions::default()).await.unwrap();
    let message = got.map(|got| got.delivery);
    let body = message.as_ref().map(|message| serde_json::from_slice(&message.data).unwrap());
    if let Some(message) = message {
        message.ack(BasicAckOptions::default()).await.unwrap();
    }
    channel.close(200, "taken".into()).await.unwrap();
    body
}

/// Gives up on the next message of the consumer.
async fn give_up(app: &App) {
    let channel = app.channel().await;
    eventually("the consumer has a message", async || {
        let got = channel.basic_get(QUEUE.into(), BasicGetOptions::default()).await.unwrap();
        let message = got.ok_or("none waits")?.delivery;
        message.reject(BasicRejectOptions { requeue: false }).await.map_err(|_| "not taken")
    })
    .await;
    channel.close(200, "given up".into()).await.unwrap();
}

/// What `list` says when each row that it shows is SENT.
async fn listed(app: &App) -> Value {
    eventually("the listed rows are SENT", async || {
        let listing = app.tool(&["list"]).await.yes();
        let mut rows = listing["registrations"].as_array().unwrap().iter();
        if rows.all(|row| row["stage"] == "SENT") { Ok(listing) } else { Err(listing) }
    })
    .await
}

/// The words of the missing links that `show` names.
async fn missing(app: &App, event: EventId) -> String {
    app.tool(&["show", &event.to_string()]).await.no()["missing"].to_string()
}

/// Redrives one event, for which this act is due.
async fn redrive(app: &App, event: EventId, act: &str) {
    let args = ["redrive", &event.to_string(), "--reason", "a parcel is lost"];
    let report = app.tool(&args).await.yes();
    assert_eq!(report["acts"], json!({ act: 1 }), "{report}");
    let records = app.redrives(doc! { "act": act }).await;
    let record = records.last().unwrap();
    assert_eq!(record.get("eventId"), Some(&binary(event.uuid()).into()));
    assert_eq!(record.get_str("reason").unwrap(), "a parcel is lost");
    assert!(record.get_str("actor").is_ok() && record.get_datetime("doneAt").is_ok(), "{record}");
}

/// The message of an event, which is the next of the consumer.
async fn taken(app: &App) -> Value {
    eventually("the consumer has a message", async || take(app).await.ok_or("none waits")).await
}

async fn acknowledge(app: &App, event: &Value) {
    let body = json!({ "eventId": event, "consumer": "shipping", "ref": "parcel-1" });
    let (exchange, key) = ("acknowledgements".into(), "shipping".into());
    let channel = app.channel().await;
    let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
    let body = body.to_string();
    let sent = channel.basic_publish(exchange, key, options, body.as_bytes(), properties);
    sent.await.unwrap().await.unwrap();
    channel.close(200, "acknowledged".into()).await.unwrap();
}

async fn is_done(app: &App, event: EventId) {
    eventually(&format!("{event} is acknowledged"), async || {
        let row = app.row(event).await;
        if row.get_datetime("acknowledgedAt").is_ok() { Ok(()) } else { Err(row) }
    })
    .await;
    let row = Row::read(&app.row(event).await);
    let shipping = row.acknowledgements.known().unwrap()["shipping"].clone();
    assert_eq!(shipping.reference, Field::Is("parcel-1".to_owned()));
    eventually("its workflow has completed", async || match status(app, event).await {
        Some(WorkflowExecutionStatus::Completed) => Ok(()),
        status => Err(status),
    })
    .await;
}

async fn status(app: &App, event: EventId) -> Option<WorkflowExecutionStatus> {
    let id = ORDER_PLACED.workflow_id(event);
    let handle = app.temporal().await.get_workflow_handle::<UntypedWorkflow>(id);
    let found = handle.describe(WorkflowDescribeOptions::default()).await;
    found.ok().map(|found| found.status())
}

#[tokio::test]
async fn an_order_is_delivered_once_each_and_ends_when_its_consumer_acknowledges() {
    let app = App::start_with(options()).await;
    let orders = app.auth_database().await;
    let items = ["book", "lamp", "chair"];
    let events = join_all(items.map(|item| place_order(&orders, item))).await;
    let events: Vec<EventId> = events.into_iter().map(Result::unwrap).collect();
    for _ in &events {
        let message = taken(&app).await;
        assert_eq!(message["eventType"], "ORDER_PLACED");
        assert_eq!(
            (&message["schemaVersion"], &message["aggregateVersion"]),
            (&json!(1), &json!(1))
        );
        assert!(items.contains(&message["payload"]["item"].as_str().unwrap()), "{message}");
        acknowledge(&app, &message["eventId"]).await;
    }
    for event in &events {
        is_done(&app, *event).await;
    }
    assert_eq!(take(&app).await, None, "each event once");
    every_tampering_with_an_order_is_named(&app, events[0]).await;
    what_stands_still_is_seen_and_goes_back_to_work(&app).await;
    app.remove().await;
}

async fn every_tampering_with_an_order_is_named(app: &App, event: EventId) {
    let (code, report) = app.audit(&["--grace", "0s", "--histories", "all"]).await;
    let judged = ["attempted", "acknowledged", "histories"].map(|count| report[count].clone());
    assert_eq!((code, judged), (0, [3, 3, 3].map(Value::from)), "{report:#}");
    let name = event.to_string();
    let record = app.tool(&["show", &name]).await.yes();
    assert_eq!(record["workflow"]["workflowId"], ORDER_PLACED.workflow_id(event));
    let (outbox, by_id) = (app.outbox().await, doc! { "_id": binary(event.uuid()) });

    for (kind, fields, words) in [
        ("consumer_unacknowledged", doc! { "acknowledgements": {} }, "no acknowledgement of ship"),
        ("row_altered", doc! { "schemaVersion": 7 }, "no sound outbox row: no message"),
        ("row_altered", doc! { "startedAt": null }, "no sound outbox row: it is SENT"),
    ] {
        let before = app.set(&outbox, by_id.clone(), fields).await;
        app.finds(&[(kind, event)]).await;
        let links = missing(app, event).await;
        assert!(links.contains(words), "{links}");
        app.put_back(&outbox, &before).await;
    }

    let row = app.take(&outbox, by_id.clone()).await;
    app.finds(&[("workflow_unexpected", ORDER_PLACED.workflow_id(event))]).await;
    let record = app.tool(&["show", &name]).await.no();
    assert_eq!(record["workflow"]["workflowId"], ORDER_PLACED.workflow_id(event));
    assert!(record["missing"].to_string().contains("no outbox row"), "{record}");
    app.put_back(&outbox, &row).await;

    // The acknowledgement of the run that has completed is lost: it runs again.
    let lost = doc! { "acknowledgements": {}, "acknowledgedAt": null };
    app.set(&outbox, by_id, lost).await;
    app.finds(&[("row_unacknowledged", event)]).await;
    redrive(app, event, "restart").await;
    acknowledge(app, &taken(app).await["eventId"]).await;
    is_done(app, event).await;
    app.is_clean().await;
}

async fn what_stands_still_is_seen_and_goes_back_to_work(app: &App) {
    let event = place_order(&app.auth_database().await, "table").await.unwrap();
    let name = event.to_string();
    give_up(app).await;
    let listing = listed(app).await;
    let row = &listing["registrations"][0];
    assert_eq!(
        (&row["registrationId"], &row["eventType"]),
        (&json!(event), &json!("ORDER_PLACED"))
    );
    assert_eq!(
        (&row["workflow"], &row["reason"]),
        (&json!("RUNNING"), &json!("waits for shipping"))
    );
    let letters = eventually("the letter is seen", async || {
        let letters = app.tool(&["list"]).await.yes();
        let there = letters["deadLettersByQueue"]["shipping.order_placed.dlq"]["total"] == 1;
        if there { Ok(letters) } else { Err(letters) }
    })
    .await;
    assert_eq!(letters["deadLetters"]["total"], 0, "those of todo: {letters}");
    let table = text(&app.onboard(&["list"]).await);
    for words in ["ORDER_PLACED waits", "1 dead letter in shipping.order_placed.dlq"] {
        assert!(table.contains(words), "{table}");
    }
    let consumers = app.tool(&["consumers", "list"]).await.yes();
    let shipping = &consumers["consumers"][1];
    let (queue, problems) = (&shipping["queue"], &shipping["problems"]);
    assert_eq!((queue, problems), (&json!(QUEUE), &json!([])), "{consumers}");
    let links = missing(app, event).await;
    assert!(links.contains("a dead letter of this event waits of shipping"), "{links}");
    app.finds(&[("row_unacknowledged", event), ("dead_letter", event)]).await;
    let put_back = app.tool(&["redrive", "--dead-letters"]).await.yes();
    assert_eq!(put_back["acts"], json!({ "putBack": 1 }), "{put_back}");
    assert_eq!(taken(app).await["eventId"], json!(event));

    redrive(app, event, "republish").await;
    assert_eq!(taken(app).await["eventId"], json!(event));

    app.terminate_workflow(&ORDER_PLACED.workflow_id(event)).await;
    app.finds(&[("row_unacknowledged", event), ("workflow_terminated", event)]).await;
    let shown = text(&app.onboard(&["show", &name]).await);
    for words in ["event         ", "it has ended as TERMINATED", "shipping: awaited"] {
        assert!(shown.contains(words), "{shown}");
    }
    redrive(app, event, "restart").await;
    acknowledge(app, &taken(app).await["eventId"]).await;
    is_done(app, event).await;
    app.is_clean().await;
}

#[tokio::test]
async fn a_worker_killed_while_an_order_waits_loses_nothing() {
    let app = App::start_with(options()).await;
    let orders = app.auth_database().await;
    let event = place_order(&orders, "table").await.unwrap();
    let message = taken(&app).await;
    assert_eq!(message["eventId"], json!(event));
    app.component("worker").kill().await.unwrap();
    app.component("relay").kill().await.unwrap();
    acknowledge(&app, &message["eventId"]).await;
    acknowledge(&app, &message["eventId"]).await;
    app.ready("worker").await;
    is_done(&app, event).await;
    app.remove().await;
}

#[tokio::test]
async fn an_order_whose_workflow_somebody_ends_is_delivered_all_the_same() {
    let app = App::start_with(options().with("RELAY_REBUILD_AFTER", "1s")).await;
    let event = place_order(&app.auth_database().await, "table").await.unwrap();
    taken(&app).await;
    app.terminate_workflow(&ORDER_PLACED.workflow_id(event)).await;
    // The run that follows publishes it again.
    acknowledge(&app, &taken(&app).await["eventId"]).await;
    is_done(&app, event).await;
    assert_eq!(app.counter("relay", "relay_rebuilt_total", "terminated").await, 1);
    app.is_clean().await;
    app.remove().await;
}
