//! `examples/second-event`: an event with an outbox of its own, to a consumer
//! of another program, with the guarantee of a registration.

use futures::future::join_all;
use lapin::BasicProperties;
use lapin::options::{BasicAckOptions, BasicGetOptions, BasicPublishOptions};
use onboard_contract::EventId;
use onboard_store::Field;
use onboard_store::outbox::Row;
use second_event::{ORDER_PLACED, place_order};
use serde_json::{Value, json};
use temporalio_client::{UntypedWorkflow, WorkflowDescribeOptions, WorkflowExecutionStatus};

use crate::harness::{App, Options, eventually};

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
        assert_eq!(message["schemaVersion"], 1);
        assert!(items.contains(&message["payload"]["item"].as_str().unwrap()), "{message}");
        acknowledge(&app, &message["eventId"]).await;
    }
    for event in events {
        is_done(&app, event).await;
    }
    assert_eq!(take(&app).await, None, "each event once");
    app.remove().await;
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
