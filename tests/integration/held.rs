//! What holds a workflow back that no repeat ends is named with who did it, since when,
//! and the command that ends it; the command as it stands there is run.

use onboard_contract::EventId;
use serde_json::Value;
use temporalio_client::grpc::WorkflowService;
use temporalio_client::tonic::IntoRequest;
use temporalio_common::protos::temporal::api::common::v1::WorkflowExecution;
use temporalio_common::protos::temporal::api::workflowservice::v1::pause_activity_request::Activity;
use temporalio_common::protos::temporal::api::workflowservice::v1::{
    PauseActivityRequest, PauseWorkflowExecutionRequest,
};

use crate::harness::{App, Options, Printed, eventually, shared_servers, text};

const REASON: &str = "the broker is being moved";

fn workflow(id: EventId) -> String {
    format!("registration-{id}")
}

async fn pause_activity(app: &App, id: EventId) {
    let mut client = app.temporal().await;
    let request = PauseActivityRequest {
        namespace: "default".to_owned(),
        execution: Some(WorkflowExecution { workflow_id: workflow(id), run_id: String::new() }),
        identity: "ada@desk".to_owned(),
        activity: Some(Activity::Type("publish_user_registered".to_owned())),
        reason: REASON.to_owned(),
        ..Default::default()
    };
    client.pause_activity(request.into_request()).await.unwrap();
}

async fn pause_workflow(app: &App, id: EventId) {
    let mut client = app.temporal().await;
    let request = PauseWorkflowExecutionRequest {
        namespace: "default".to_owned(),
        workflow_id: workflow(id),
        identity: "ada@desk".to_owned(),
        reason: REASON.to_owned(),
        ..Default::default()
    };
    client.pause_workflow_execution(request.into_request()).await.unwrap();
}

/// Runs a command as an operator types it.
async fn types(app: &App, command: &str) {
    let tools = shared_servers().await.home().dir().join("bin");
    let path = std::env::var("PATH").unwrap_or_default();
    let ran = tokio::process::Command::new("bash")
        .args(["-euc", command])
        .env("PATH", format!("{}:{path}", tools.display()))
        .env("TEMPORAL_ADDRESS", &app.places.temporal_address)
        .output()
        .await
        .unwrap();
    assert!(ran.status.success(), "{command}: {}", text(&ran));
}

/// What `show` and `list --stuck` say is the same, and is that of the pause.
async fn is_named(app: &App, id: EventId, what: &str) -> String {
    let (name, words) = (id.to_string(), format!("{what} is paused by ada@desk since 2"));
    let record = eventually("show names the pause", async || {
        let record = app.tool(&["show", &name]).await.no();
        if record["missing"].to_string().contains(&words) { Ok(record) } else { Err(record) }
    })
    .await;
    assert_eq!(record["workflow"]["pausedBy"], "ada@desk", "{record}");
    assert_eq!(record["workflow"]["pausedReason"], REASON, "{record}");
    assert!(record["workflow"]["pausedAt"].is_string(), "{record}");
    let row = eventually("it is stuck", async || {
        let listing = app.tool(&["list", "--stuck"]).await.yes();
        let rows = listing["registrations"].as_array().unwrap();
        let row = rows.iter().find(|row| row["registrationId"] == name).cloned();
        row.ok_or(listing)
    })
    .await;
    let reason = row["reason"].as_str().unwrap();
    assert!(reason.contains(&words) && reason.ends_with(&format!("({REASON})")), "{row}");
    assert_eq!(row["next"], record["next"][0], "{row} {record}");
    for args in [&["list", "--stuck"][..], &["show", &name]] {
        let printed = Printed::on_terminal(app.command(args), 80, &[]).await;
        assert!(printed.words().contains("paused by") && printed.fits(80), "{printed:?}");
    }
    // A request to publish would change nothing.
    let left = app.tool(&["redrive", &name]).await.no();
    assert!(left["left"][0]["why"].as_str().unwrap().contains(&words), "{left}");
    row["next"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn whoever_pauses_an_activity_or_a_workflow_is_named_with_the_command_that_ends_it() {
    let options = Options::only(&["auth", "relay", "worker"])
        .in_the_released_plan()
        .with("REGISTRATION_OVERDUE", "1s");
    let app = App::start_with(options).await;
    app.unbind().await;
    let id = app.register().await;
    eventually("the publish is tried", async || app.pending_activity(id).await.ok_or(())).await;
    pause_activity(&app, id).await;
    let command = is_named(&app, id, "publish_user_registered").await;
    assert!(command.starts_with("temporal activity unpause "), "{command}");
    app.bind().await;
    types(&app, &command).await;
    app.reaches(id, "SENT").await;

    pause_workflow(&app, id).await;
    app.component("todo").start().await.unwrap();
    let command = is_named(&app, id, "the workflow").await;
    assert!(command.starts_with("temporal workflow unpause "), "{command}");
    types(&app, &command).await;
    app.reaches(id, "ACKNOWLEDGED").await;
    app.finish().await;
}

/// The last words of a note are the command that ends what it names.
fn command_of(notes: &Value) -> String {
    let note = notes[0].as_str().unwrap();
    note.split_once("this ends it: ").unwrap().1.to_owned()
}

#[tokio::test]
async fn a_limit_of_the_task_queue_is_named_with_the_command_that_ends_it() {
    let options = Options::only(&["auth", "relay", "worker"]).in_the_released_plan();
    let app = App::start_with(options).await;
    app.unbind().await;
    let id = app.register().await;
    eventually("the publish is tried", async || app.pending_activity(id).await.ok_or(())).await;
    let limit = format!(
        "temporal task-queue config set --task-queue registration-{} --task-queue-type activity \
         --queue-rps-limit 0 --queue-rps-limit-reason 'calm down'",
        app.id
    );
    types(&app, &limit).await;
    let listing = eventually("list names the limit", async || {
        let listing = app.tool(&["list"]).await.yes();
        if listing["notes"].to_string().contains("calm down") { Ok(listing) } else { Err(listing) }
    })
    .await;
    let record = app.tool(&["show", &id.to_string()]).await.no();
    assert_eq!(record["notes"], listing["notes"]);
    assert!(record["notes"][0].as_str().unwrap().contains("hands out 0 activities"), "{record}");
    let examined = app.tool(&["doctor"]).await;
    assert!(examined.text.contains("hands out 0 activities"), "{}", examined.text);
    app.bind().await;
    types(&app, &command_of(&record["notes"])).await;
    app.component("todo").start().await.unwrap();
    app.reaches(id, "ACKNOWLEDGED").await;
    assert_eq!(app.tool(&["list"]).await.yes()["notes"], Value::Array(Vec::new()));
    app.finish().await;
}
