//! What holds a workflow back that no repeat ends is named with who did it, since when,
//! and the command that ends it; the command as it stands there is run.

use std::time::Duration;

use onboard_contract::EventId;
use serde_json::Value;
use temporalio_client::grpc::WorkflowService;
use temporalio_client::tonic::IntoRequest;
use temporalio_common::protos::temporal::api::common::v1::WorkflowExecution;
use temporalio_common::protos::temporal::api::deployment::v1::WorkerDeploymentOptions;
use temporalio_common::protos::temporal::api::enums::v1::WorkerVersioningMode;
use temporalio_common::protos::temporal::api::rules::v1::workflow_rule_action::{
    ActionActivityPause, Variant,
};
use temporalio_common::protos::temporal::api::rules::v1::workflow_rule_spec::{
    ActivityStartingTrigger, Trigger,
};
use temporalio_common::protos::temporal::api::rules::v1::{WorkflowRuleAction, WorkflowRuleSpec};
use temporalio_common::protos::temporal::api::taskqueue::v1::TaskQueue;
use temporalio_common::protos::temporal::api::workflowservice::v1::pause_activity_request::Activity;
use temporalio_common::protos::temporal::api::workflowservice::v1::{
    CreateWorkflowRuleRequest, PauseActivityRequest, PauseWorkflowExecutionRequest,
    PollWorkflowTaskQueueRequest,
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

/// A rule of the namespace that pauses the activity, of this workflow alone.
async fn make_rule(app: &App, id: EventId, rule: &str) {
    let mut client = app.temporal().await;
    let trigger = ActivityStartingTrigger {
        predicate: "ActivityType = \"publish_user_registered\"".to_owned(),
    };
    let pause =
        WorkflowRuleAction { variant: Some(Variant::ActivityPause(ActionActivityPause {})) };
    let request = CreateWorkflowRuleRequest {
        namespace: "default".to_owned(),
        spec: Some(WorkflowRuleSpec {
            id: rule.to_owned(),
            trigger: Some(Trigger::ActivityStart(trigger)),
            visibility_query: format!("WorkflowId = \"{}\"", workflow(id)),
            actions: vec![pause],
            ..Default::default()
        }),
        identity: "ada@desk".to_owned(),
        request_id: rule.to_owned(),
        description: REASON.to_owned(),
        ..Default::default()
    };
    client.create_workflow_rule(request.into_request()).await.unwrap();
}

/// Runs a command as an operator types it.
async fn types(app: &App, command: &str) {
    typed(app, command).await.unwrap();
}

async fn typed(app: &App, command: &str) -> Result<(), String> {
    let servers = shared_servers().await;
    let tools = servers.home().dir().join("bin");
    let path = std::env::var("PATH").unwrap_or_default();
    let ran = tokio::process::Command::new("bash")
        .args(["-euc", command])
        .env("PATH", format!("{}:{path}", tools.display()))
        .env("TEMPORAL_ADDRESS", &app.places.temporal_address)
        .env("TEMPORAL_HTTP_URL", format!("http://127.0.0.1:{}", servers.ports().temporal_http))
        .output()
        .await
        .unwrap();
    if ran.status.success() { Ok(()) } else { Err(format!("{command}: {}", text(&ran))) }
}

/// What `show` and `list --stuck` say is the same, and is that of the pause.
async fn is_named(app: &App, id: EventId, what: &str) -> String {
    let (name, words) = (id.to_string(), format!("{what}ada@desk since 2"));
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
    let command = is_named(&app, id, "publish_user_registered is paused by ").await;
    assert!(command.starts_with("temporal activity unpause "), "{command}");
    app.bind().await;
    types(&app, &command).await;
    app.reaches(id, "SENT").await;

    pause_workflow(&app, id).await;
    app.component("todo").start().await.unwrap();
    let command = is_named(&app, id, "the workflow is paused by ").await;
    assert!(command.starts_with("temporal workflow unpause "), "{command}");
    types(&app, &command).await;
    app.reaches(id, "ACKNOWLEDGED").await;
    app.finish().await;
}

/// A rule pauses again what is let go while it is there.
#[tokio::test]
async fn a_rule_that_pauses_an_activity_is_named_with_the_command_that_ends_it() {
    let options = Options::only(&["auth", "relay", "worker"])
        .in_the_released_plan()
        .with("REGISTRATION_OVERDUE", "1s");
    let app = App::start_with(options).await;
    app.unbind().await;
    let (id, rule) = (app.register().await, format!("no publishing {}", app.id));
    eventually("the publish is tried", async || app.pending_activity(id).await.ok_or(())).await;
    make_rule(&app, id, &rule).await;
    let what = format!("publish_user_registered is paused by the workflow rule {rule} of ");
    let command = is_named(&app, id, &what).await;
    app.bind().await;
    types(&app, &command).await;
    app.reaches(id, "SENT").await;
    app.component("todo").start().await.unwrap();
    app.reaches(id, "ACKNOWLEDGED").await;
    app.finish().await;
}

/// A worker of another program polls the task queue once, as this version, and goes.
async fn polls_once(app: &App, deployment: &str) {
    let request = PollWorkflowTaskQueueRequest {
        namespace: "default".to_owned(),
        task_queue: Some(TaskQueue {
            name: app.setting("TEMPORAL_TASK_QUEUE"),
            ..Default::default()
        }),
        deployment_options: Some(WorkerDeploymentOptions {
            deployment_name: deployment.to_owned(),
            build_id: "7".to_owned(),
            worker_versioning_mode: WorkerVersioningMode::Versioned as i32,
        }),
        ..Default::default()
    };
    let mut client = app.temporal().await;
    let poll = client.poll_workflow_task_queue(request.into_request());
    // There is no task for it.
    tokio::time::timeout(Duration::from_secs(2), poll).await.ok();
}

#[tokio::test]
async fn a_version_without_workers_is_named_with_the_command_that_ends_it() {
    let options = Options::only(&["auth", "relay", "worker"])
        .in_the_released_plan()
        .with("REGISTRATION_OVERDUE", "1s");
    let app = App::start_with(options).await;
    let first = app.register().await;
    app.reaches(first, "SENT").await;
    let deployment = format!("theirs-{}", app.id);
    polls_once(&app, &deployment).await;
    let version = format!("--deployment-name {deployment} --build-id 7");
    let current = format!("temporal worker deployment set-current-version {version} --yes");
    eventually("Temporal knows the version", async || typed(&app, &current).await).await;
    let second = app.register().await;
    let told = format!("100 % of the workflow tasks go to workers of version {deployment}:7");
    let listing = eventually("list names the version", async || {
        let listing = app.tool(&["list"]).await.yes();
        if listing["notes"].to_string().contains(&told) { Ok(listing) } else { Err(listing) }
    })
    .await;
    let record = app.tool(&["show", &second.to_string()]).await.no();
    assert_eq!(record["notes"], listing["notes"]);
    let note = record["notes"][0].as_str().unwrap();
    assert!(note.contains(" since 2") && note.contains("as temporal-cli:"), "{note}");
    let examined = app.tool(&["doctor"]).await;
    assert!(examined.text.contains(&format!("version {deployment}:7")), "{}", examined.text);
    types(&app, &command_of(&record["notes"])).await;
    app.reaches(second, "SENT").await;

    // One workflow can be pinned to it alone.
    let pin = format!(
        "temporal workflow update-options --workflow-id {} --versioning-override-behavior pinned \
         --versioning-override-deployment-name {deployment} --versioning-override-build-id 7",
        workflow(first)
    );
    types(&app, &pin).await;
    app.component("todo").start().await.unwrap();
    app.reaches(second, "ACKNOWLEDGED").await;
    let words = format!("no worker of version {deployment}:7 takes its task");
    let record = eventually("show names the version", async || {
        let record = app.tool(&["show", &first.to_string()]).await.no();
        if record["missing"].to_string().contains(&words) { Ok(record) } else { Err(record) }
    })
    .await;
    types(&app, record["next"][0].as_str().unwrap()).await;
    app.reaches(first, "ACKNOWLEDGED").await;
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
