//! Real runs of every shape. Each must have the shape and fit the code; with
//! `UPDATE_BASELINE=1` it is recorded in `temporal/histories`.

use std::process::Stdio;

use mongodb::bson::doc;
use onboard_contract::EventId;
use onboard_stack::ports::Lease;
use serde_json::{Value, json};
use temporalio_client::WorkflowExecutionStatus;
use temporalio_client::WorkflowHistory;
use tokio::process::Command;

use super::shapes::{Shape, steps};
use super::{comes_to, folder, replay};
use crate::harness::{App, Crm, Options, Places, eventually, shared_servers};

/// How long the worker looks for a row that is not there.
const MISSING_AFTER: &str = "OUTBOX_ROW_MISSING_AFTER";
const NO_TODO: [&str; 3] = ["auth", "relay", "worker"];

#[tokio::test]
async fn a_plain_run() {
    let (app, id) = sent("30s").await;
    is_shown(&app, "SENT").await;
    acknowledged(app, id, "plain").await;
}

#[tokio::test]
async fn a_run_acknowledged_before_it_is_marked() {
    let options = Options::default().in_the_released_plan().apart(&["todo"]);
    let app = App::start_with(options).await;
    app.unbind().await;
    let email = app.address();
    let answer: Value = app.post_register(&email).await.json().await.unwrap();
    let id: EventId = answer["registrationId"].as_str().unwrap().parse().unwrap();
    tried_twice(&app, id).await;
    // The same event by another way.
    let user = &answer["userId"];
    let body = json!({ "eventId": id, "eventType": "USER_REGISTERED", "schemaVersion": 1,
        "payload": { "userId": user, "email": email } });
    app.publish_to_queue(&body.to_string()).await;
    comes_to(&app, id, "acknowledged").await;
    app.bind().await;
    acknowledged(app, id, "early_acknowledgement").await;
}

#[tokio::test]
async fn a_stalled_run() {
    let (app, id) = sent("1s").await;
    looked(&app, id, 1).await;
    acknowledged(app, id, "stalled").await;
}

#[tokio::test]
async fn a_run_with_a_long_wait() {
    let (app, id) = sent("1s").await;
    looked(&app, id, 3).await;
    acknowledged(app, id, "long_wait").await;
}

#[tokio::test]
async fn a_run_whose_signal_was_lost() {
    let options = Options::default()
        .in_the_released_plan()
        .with("REGISTRATION_OVERDUE", "1s")
        .with_for("todo", "TEMPORAL_ADDRESS", "127.0.0.1:1");
    let app = App::prepare_on_shared(options).await;
    for service in NO_TODO {
        app.component(service).start().await.unwrap();
    }
    app.component("todo").request_start().await.unwrap();
    let id = app.register().await;
    app.reaches(id, "ACKNOWLEDGED").await;
    ends(&app, id, WorkflowExecutionStatus::Completed).await;
    keep("found_in_inbox", app.history_json(id, None).await).await;
    app.remove().await;
}

#[tokio::test]
async fn a_run_that_an_operator_had_published_again() {
    let (app, id) = sent("30s").await;
    app.signal(id, "republish").await;
    published(&app, id, 2).await;
    acknowledged(app, id, "republished").await;
}

#[tokio::test]
async fn a_run_acknowledged_while_it_is_published_again() {
    let (app, id) = sent("30s").await;
    app.unbind().await;
    app.purge_queue().await;
    app.signal(id, "republish").await;
    tried_twice(&app, id).await;
    let user = app.registered_user(id).await;
    let body = json!({ "eventId": id, "eventType": "USER_REGISTERED", "schemaVersion": 1,
        "payload": { "userId": user, "email": app.address() } });
    app.publish_to_queue(&body.to_string()).await;
    app.component("todo").start().await.unwrap();
    ends(&app, id, WorkflowExecutionStatus::Completed).await;
    app.bind().await;
    acknowledged(app, id, "overtaken_republish").await;
}

/// On a server that suggests to continue as new after a few events.
#[tokio::test]
async fn runs_that_continued_as_new() {
    let servers = shared_servers().await;
    let (lease, ui) = (Lease::any().unwrap(), Lease::any().unwrap());
    let address = format!("127.0.0.1:{}", lease.port());
    let program = onboard_stack::tools::dir(servers.home().dir()).join("temporal");
    let mut server = Command::new(program)
        .args(["server", "start-dev", "--headless", "--log-level", "error"])
        .args(["--port", &lease.port().to_string(), "--http-port", &ui.port().to_string()])
        .args(["--dynamic-config-value", "limit.historyCount.suggestContinueAsNew=12"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    eventually("the server listens", async || {
        tokio::net::TcpStream::connect(&address).await.map(drop)
    })
    .await;
    let places = Places { temporal_address: address, ..Places::of(servers) };
    let options = Options::only(&NO_TODO).in_the_released_plan();
    let app = App::start_on(servers, places.clone(), options).await;
    let id = app.register().await;
    app.reaches(id, "SENT").await;
    continues(&app, id, "continued_first_run").await;
    acknowledged(app, id, "continued_second_run").await;

    let app = App::start_on(servers, places, Options::default().expecting_crm()).await;
    let id = app.register().await;
    awaits_crm(&app, id).await;
    continues(&app, id, "two_consumers_continued_first_run").await;
    acknowledged_by_crm(app, id, "two_consumers_continued_second_run").await;
    server.kill().await.unwrap();
}

/// An operator's request makes the run grow; another goes on.
async fn continues(app: &App, id: EventId, shape: &str) {
    let first = app.run_id(id).await;
    app.signal(id, "republish").await;
    eventually("it continues as new", async || match app.run_id(id).await {
        run if run == first => Err(run),
        _ => Ok(()),
    })
    .await;
    keep(shape, app.history_json(id, Some(&first)).await).await;
    comes_to(app, id, "timer").await;
}

#[tokio::test]
async fn a_run_with_two_consumers() {
    let app = App::start_with(Options::default().expecting_crm()).await;
    let id = app.register().await;
    awaits_crm(&app, id).await;
    acknowledged_by_crm(app, id, "two_consumers").await;
}

#[tokio::test]
async fn a_run_with_a_consumer_that_stalled() {
    let options = Options::default().expecting_crm().with("REGISTRATION_OVERDUE", "1s");
    let app = App::start_with(options).await;
    let id = app.register().await;
    comes_to(&app, id, "copy").await;
    awaits_crm(&app, id).await;
    acknowledged_by_crm(app, id, "two_consumers_one_stalled").await;
}

/// The queue of `crm` is full at the first publish, and has room later.
#[tokio::test]
async fn a_run_with_two_consumers_that_each_got_a_copy() {
    let app = App::start_with(Options::default().expecting_crm()).await;
    app.bound("crm.user_registered", 1).await;
    let id = eventually("a publish is refused", async || {
        let id = app.register().await;
        awaits_crm(&app, id).await;
        let steps = steps(&app.history(id).await);
        if steps.iter().any(|step| step == "copy") { Ok(id) } else { Err(steps) }
    })
    .await;
    app.unbound_queue().await;
    app.reaches(id, "SENT").await;
    acknowledged_by_crm(app, id, "two_consumers_copied").await;
}

#[tokio::test]
async fn a_run_whose_row_is_missing_at_the_publish() {
    let options =
        Options::only(&["auth", "relay"]).in_the_released_plan().with(MISSING_AFTER, "0s");
    let app = App::start_with(options).await;
    let id = app.register().await;
    app.reaches(id, "STARTED").await;
    let row = app.row(id).await;
    app.outbox().await.delete_one(doc! { "_id": row.get("_id").unwrap() }).await.unwrap();
    app.component("worker").start().await.unwrap();
    ends(&app, id, WorkflowExecutionStatus::Failed).await;
    keep("failed_at_publish", app.history_json(id, None).await).await;
    app.remove().await;
}

#[tokio::test]
async fn a_run_whose_row_is_missing_at_the_record() {
    let app = App::start_with(Options::only(&NO_TODO).with(MISSING_AFTER, "0s")).await;
    let id = app.register().await;
    app.reaches(id, "SENT").await;
    is_shown(&app, "SENT").await;
    let row = app.row(id).await;
    app.outbox().await.delete_one(doc! { "_id": row.get("_id").unwrap() }).await.unwrap();
    app.component("todo").start().await.unwrap();
    ends(&app, id, WorkflowExecutionStatus::Failed).await;
    keep("failed_at_record", app.history_json(id, None).await).await;
    app.remove().await;
}

#[tokio::test]
async fn a_run_whose_row_was_marked_by_a_remote_activity() {
    let options = Options::only(&NO_TODO).in_the_released_plan().failing("worker");
    let app = App::start_with(options).await;
    let away = doc! { "failCommands": ["update"], "errorCode": 91 };
    let point = app.fail_commands(doc! { "times": i32::MAX }, away).await;
    let id = app.register().await;
    tried_twice(&app, id).await;
    point.off().await;
    acknowledged(app, id, "remote_mark").await;
}

/// A registration that is SENT; there is no todo service yet.
async fn sent(overdue: &str) -> (App, EventId) {
    let options =
        Options::only(&NO_TODO).in_the_released_plan().with("REGISTRATION_OVERDUE", overdue);
    let app = App::start_with(options).await;
    let id = app.register().await;
    app.reaches(id, "SENT").await;
    (app, id)
}

/// The todo service comes; the run completes and is kept.
async fn acknowledged(app: App, id: EventId, shape: &str) {
    app.component("todo").start().await.unwrap();
    app.reaches(id, "ACKNOWLEDGED").await;
    ends(&app, id, WorkflowExecutionStatus::Completed).await;
    keep(shape, app.history_json(id, None).await).await;
    app.finish().await;
}

/// Waits until only `crm` is awaited.
async fn awaits_crm(app: &App, id: EventId) {
    eventually("only crm is awaited", async || {
        if app.workflow(id).await.is_none() {
            return Err(json!("it is not started"));
        }
        let progress = app.progress(id).await;
        if progress["awaited"] == json!(["crm"]) { Ok(()) } else { Err(progress) }
    })
    .await;
}

/// The consumer `crm` comes; the run completes and is kept.
async fn acknowledged_by_crm(app: App, id: EventId, shape: &str) {
    let crm = Crm::start(&app).await;
    app.reaches(id, "ACKNOWLEDGED").await;
    ends(&app, id, WorkflowExecutionStatus::Completed).await;
    keep(shape, app.history_json(id, None).await).await;
    crm.stop().await;
    app.finish().await;
}

async fn ends(app: &App, id: EventId, expected: WorkflowExecutionStatus) {
    eventually(&format!("{id} ends"), async || match app.workflow(id).await {
        Some(status) if status == expected => Ok(()),
        status => Err(status),
    })
    .await;
}

async fn is_shown(app: &App, stage: &str) {
    eventually(&format!("{stage} is shown"), async || {
        match app.workflows_where(&format!("RegistrationStage = '{stage}'")).await {
            1 => Ok(()),
            found => Err(found),
        }
    })
    .await;
}

async fn looked(app: &App, id: EventId, checks: u64) {
    eventually(&format!("{checks} looks, each with a publish"), async || {
        let progress = app.progress(id).await;
        let seen = (progress["overdueChecks"].as_u64(), progress["publishes"].as_u64());
        if seen >= (Some(checks), Some(checks + 1)) { Ok(()) } else { Err(progress) }
    })
    .await;
}

async fn published(app: &App, id: EventId, times: u64) {
    eventually(&format!("{times} publishes"), async || {
        let progress = app.progress(id).await;
        if progress["publishes"].as_u64() >= Some(times) { Ok(()) } else { Err(progress) }
    })
    .await;
}

async fn tried_twice(app: &App, id: EventId) {
    eventually("its activity was tried twice", async || match app.pending_activity(id).await {
        Some(activity) if activity.attempt > 1 => Ok(()),
        other => Err(other),
    })
    .await;
}

/// The history has its shape and fits the code; it is recorded when asked for.
async fn keep(shape: &str, json: Vec<u8>) {
    let events = WorkflowHistory::from_json(&json).unwrap().into_events().await.unwrap();
    let steps = steps(&events);
    assert!(Shape::named(shape).is_shown_by(&steps), "{shape}: {steps:#?}");
    let replayed = replay(&json).await;
    assert!(replayed.is_ok(), "{shape}: {replayed:?}");
    if std::env::var_os("UPDATE_BASELINE").is_some() {
        let text = one_event_a_line(serde_json::from_slice(&json).unwrap());
        std::fs::create_dir_all(folder()).unwrap();
        std::fs::write(folder().join(format!("{shape}.json")), text).unwrap();
    }
}

/// Readable in a diff, and without the names of machines.
fn one_event_a_line(mut history: Value) -> String {
    without_identities(&mut history);
    let events = history["events"].as_array().unwrap().iter().map(Value::to_string);
    format!("{{\"events\":[\n{}\n]}}\n", events.collect::<Vec<_>>().join(",\n"))
}

/// An identity, and a sticky task queue's name, is `<pid>@<host>`.
fn without_identities(json: &mut Value) {
    match json {
        Value::String(text) => {
            let pid = text.split_once('@').and_then(|(pid, _)| pid.parse::<u32>().ok());
            if pid.is_some() {
                *json = json!("a worker");
            }
        }
        Value::Object(fields) => fields.values_mut().for_each(without_identities),
        Value::Array(items) => items.iter_mut().for_each(without_identities),
        Value::Null | Value::Bool(_) | Value::Number(_) => (),
    }
}
