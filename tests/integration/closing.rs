//! A workflow that has decided to end takes no signal until it has: Temporal
//! answers that it is busy. The server is well, so nobody else waits for it.
//! The test itself is the worker, to hold the decision for as long as it likes.

use std::time::Duration;

use mongodb::bson::doc;
use onboard_contract::EventId;
use onboard_contract::names::SIGNAL_REPUBLISH;
use onboard_events::registration::workflow_id;
use onboard_events::todo::SIGNAL_ACKNOWLEDGED;
use serde_json::json;
use temporalio_client::Client;
use temporalio_client::grpc::WorkflowService;
use temporalio_client::tonic::{IntoRequest, Status};
use temporalio_common::protos::temporal::api::command::v1::command::Attributes;
use temporalio_common::protos::temporal::api::command::v1::{
    Command, CompleteWorkflowExecutionCommandAttributes, StartTimerCommandAttributes,
};
use temporalio_common::protos::temporal::api::enums::v1::CommandType;
use temporalio_common::protos::temporal::api::history::v1::history_event;
use temporalio_common::protos::temporal::api::taskqueue::v1::TaskQueue;
use temporalio_common::protos::temporal::api::workflowservice::v1::{
    PollWorkflowTaskQueueRequest, RespondWorkflowTaskCompletedRequest,
};

use crate::harness::{App, Options, binary, eventually};

/// Takes the next workflow task of the application.
async fn take(app: &App, client: &mut Client) -> Vec<u8> {
    let name = format!("registration-{}", app.id);
    let request = PollWorkflowTaskQueueRequest {
        namespace: "default".to_owned(),
        task_queue: Some(TaskQueue { name, ..Default::default() }),
        identity: "the test".to_owned(),
        ..Default::default()
    };
    let answer = client.poll_workflow_task_queue(request.into_request()).await;
    let token = answer.unwrap().into_inner().task_token;
    assert!(!token.is_empty(), "a workflow task comes within the server's minute");
    token
}

/// Says what the workflow has decided.
async fn decide(
    client: &mut Client,
    task_token: Vec<u8>,
    command_type: CommandType,
    attributes: Attributes,
) -> Result<(), Status> {
    let command = Command {
        command_type: command_type.into(),
        attributes: Some(attributes),
        ..Default::default()
    };
    let request = RespondWorkflowTaskCompletedRequest {
        namespace: "default".to_owned(),
        task_token,
        commands: vec![command],
        identity: "the test".to_owned(),
        ..Default::default()
    };
    client.respond_workflow_task_completed(request.into_request()).await.map(drop)
}

/// How often a workflow got a signal.
async fn signals(app: &App, id: EventId, name: &str) -> usize {
    let events = app.history(id).await;
    let named = events.iter().filter(|event| match &event.attributes {
        Some(history_event::Attributes::WorkflowExecutionSignaledEventAttributes(signal)) => {
            signal.signal_name == name
        }
        _ => false,
    });
    named.count()
}

#[tokio::test]
async fn a_workflow_that_is_about_to_end_is_told_later_and_holds_up_nobody() {
    let options = Options::only(&["auth", "todo"])
        .with("TODO_SWEEP_INTERVAL", "200ms")
        .with("TODO_SWEEP_AGE", "1s");
    let app = App::start_with(options).await;
    let mut client = app.temporal().await;
    let id = app.register().await;
    let user = app.registered_user(id).await;
    app.start_held_workflow(&workflow_id(id), json!({ "eventId": id, "userId": user })).await;

    // A signal that came meanwhile makes Temporal ask it once more.
    let first = take(&app, &mut client).await;
    app.signal(id, SIGNAL_REPUBLISH).await;
    let end = Attributes::CompleteWorkflowExecutionCommandAttributes(
        CompleteWorkflowExecutionCommandAttributes::default(),
    );
    let refused = decide(&mut client, first, CommandType::CompleteWorkflowExecution, end).await;
    assert!(refused.unwrap_err().message().contains("UnhandledCommand"));
    let second = take(&app, &mut client).await;

    let order = ["redrive", &id.to_string()];
    let publish = async {
        app.publish_registered(id, user).await;
        app.publish_event_by_hand().await.0
    };
    let (left, other) = tokio::join!(app.tool(&order), publish);
    let left = left.no();
    assert!(left["left"][0]["why"].as_str().unwrap().contains("about to end"), "{left}");
    assert_eq!(signals(&app, id, SIGNAL_REPUBLISH).await, 1, "only the first was taken");
    eventually("the todo service has met it", async || {
        match app.counter("todo", "todo_acknowledgements_total", "busy").await {
            0 => Err("not yet"),
            _ => Ok(()),
        }
    })
    .await;
    let noted = async |event: EventId| {
        let noted = doc! { "eventId": binary(event.uuid()), "acknowledgedAt": { "$type": "date" } };
        app.inbox().await.count_documents(noted).await.unwrap()
    };
    eventually("the other is noted", async || match noted(other).await {
        0 => Err("not yet"),
        _ => Ok(()),
    })
    .await;
    assert_eq!(noted(id).await, 0, "it is not told yet");
    let away = app.counter("todo", "todo_acknowledgements_total", "away").await;
    assert_eq!(away, 0, "Temporal was not away");

    // It thinks better of it, and takes signals again.
    let stay = Attributes::StartTimerCommandAttributes(StartTimerCommandAttributes {
        timer_id: "1".to_owned(),
        start_to_fire_timeout: Duration::from_hours(1).try_into().ok(),
    });
    decide(&mut client, second, CommandType::StartTimer, stay).await.unwrap();
    let done = app.tool(&order).await.yes();
    assert_eq!(done["acts"]["republish"], 1, "{done}");
    assert_eq!(signals(&app, id, SIGNAL_REPUBLISH).await, 2);
    eventually("the sweep has told it", async || {
        match signals(&app, id, SIGNAL_ACKNOWLEDGED).await {
            0 => Err(()),
            _ => Ok(()),
        }
    })
    .await;
    app.remove().await;
}
