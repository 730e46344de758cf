//! `onboard doctor`: a sound environment passes, and each thing that is broken
//! is found, with the words that say what to do. It mends nothing.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::TryStreamExt;
use lapin::options::{QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::FieldTable;
use lapin::{Connection, ConnectionProperties};
use mongodb::bson::{Bson, Document, doc};
use mongodb::{Collection, IndexModel};
use onboard_events::user_registered::{EXCHANGE, QUEUE, ROUTING_KEY};
use onboard_stack::Server;
use reqwest::Method;
use serde_json::{Value, json};
use temporalio_client::grpc::WorkflowService;
use temporalio_client::tonic::IntoRequest;
use temporalio_common::protos::temporal::api::taskqueue::v1::TaskQueue;
use temporalio_common::protos::temporal::api::workflowservice::v1::{
    PollWorkflowTaskQueueRequest, RegisterNamespaceRequest,
};
use uuid::Uuid;

use crate::harness::{App, Options, eventually, text, with_own};

/// An application whose services do not run, and a doctor who may ask
/// everything.
async fn patient() -> App {
    let app = App::prepare_on_shared(Options::only(&[])).await;
    assert!(examine(&app, &[]).await.0 == Some(0), "it is sound");
    app
}

async fn examine(app: &App, env: &[(&str, &str)]) -> (Option<i32>, Vec<Value>) {
    let management = app.places.management_url.replace("http://", "http://guest:guest@");
    let output = app
        .command(&["doctor", "--json"])
        .env("AMQP_MANAGEMENT_URL", management)
        .envs(env.iter().copied())
        .output()
        .await
        .unwrap();
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    (output.status.code(), answer["findings"].as_array().cloned().unwrap_or_default())
}

fn finding<'a>(findings: &'a [Value], area: &str, check: &str) -> &'a Value {
    let found = findings.iter().find(|one| one["area"] == area && one["check"] == check);
    found.unwrap_or_else(|| panic!("no {area} {check}: {findings:#?}"))
}

/// This check says this, found this, and advises this; and the exit code is
/// that of a failure alone.
async fn says(app: &App, (area, check): (&str, &str), verdict: &str, found: &str, advice: &str) {
    let (code, findings) = examine(app, &[]).await;
    let one = finding(&findings, area, check);
    assert_eq!(one["verdict"], verdict, "{one}");
    assert!(one["found"].as_str().unwrap().contains(found), "{one}");
    assert!(one["advice"].as_str().unwrap().contains(advice), "{one}");
    assert_eq!(code, Some(i32::from(verdict == "fail")), "{findings:#?}");
}

#[tokio::test]
async fn a_sound_environment_passes_and_what_cannot_be_asked_is_said() {
    let app = App::start().await;
    eventually("Temporal knows the worker", async || {
        let (_, findings) = examine(&app, &[]).await;
        let workers = finding(&findings, "temporal", "workers").clone();
        let questions = finding(&findings, "temporal", "questions").clone();
        let both = [workers, questions];
        if both.iter().all(|one| one["verdict"] == "ok") { Ok(()) } else { Err(both) }
    })
    .await;
    let (code, findings) = examine(&app, &[]).await;
    assert_eq!(code, Some(0), "{findings:#?}");
    for (area, check) in [
        ("mongo", "replica set"),
        ("mongo", "clock"),
        ("mongo", "connection string"),
        ("mongo", "collections and indexes"),
        ("mongo", "lists in indexes"),
        ("rabbitmq", "queue"),
        ("rabbitmq", "dead-letter queue"),
        ("rabbitmq", "exchange"),
        ("rabbitmq", "dead-letter exchange"),
        ("rabbitmq", "binding"),
        ("rabbitmq", "dead-letter binding"),
        ("rabbitmq", "policies"),
        ("rabbitmq", "largest message"),
        ("temporal", "version"),
        ("temporal", "retention"),
        ("temporal", "search attributes"),
        ("temporal", "workers"),
        ("temporal", "worker versions"),
        ("temporal", "delivery plan"),
        ("temporal", "worker versions"),
        ("keys", "signing keys"),
    ] {
        assert_eq!(
            finding(&findings, area, check)["verdict"],
            "ok",
            "{area} {check}: {findings:#?}"
        );
    }
    // The tests hash as cheaply as can be, and the doctor sees it.
    let hashing = finding(&findings, "process", "password hashing");
    assert_eq!(hashing["verdict"], "warn", "{hashing}");
    assert_eq!(finding(&findings, "process", "disk space")["verdict"], "not_checked");
    let all = "mongodb,rabbitmq,rabbitmq-management,temporal";
    let several =
        [("ONBOARD_ENVIRONMENT", "production"), ("ALLOW_UNPROTECTED", all), ("DELIVERY_PLAN", "2")];
    let (_, production) = examine(&app, &several).await;
    let allowed = production.iter().filter(|one| one["check"] == "protection");
    let allowed: Vec<&str> = allowed.map(|one| one["found"].as_str().unwrap()).collect();
    assert_eq!(allowed.len(), 4, "each exception is named: {allowed:?}");
    for server in all.split(',') {
        let one = [("ONBOARD_ENVIRONMENT", "production"), ("ALLOW_UNPROTECTED", server)];
        assert_eq!(examine(&app, &one).await.0, Some(64), "the others are refused: {server}");
    }
    let plan = finding(&production, "temporal", "delivery plan");
    assert_eq!(plan["verdict"], "ok", "the worker of this build knows it: {plan}");
    let alone = finding(&production, "mongo", "replica set");
    assert_eq!(alone["verdict"], "warn");
    assert!(alone["advice"].as_str().unwrap().contains("three voting members"), "{alone}");
    assert_eq!(finding(&production, "rabbitmq", "user")["verdict"], "fail");
    app.finish().await;
}

#[tokio::test]
async fn a_lost_index_and_a_changed_validator_are_found_and_setup_mends_them() {
    let app = patient().await;
    let place = ("mongo", "collections and indexes");
    app.outbox().await.drop_index("aggregateId_1").await.unwrap();
    says(&app, place, "fail", "outbox over aggregateId", "onboard setup").await;
    says(&app, place, "fail", "outbox over aggregateId", "onboard setup").await;
    let loosen = doc! { "collMod": "todos", "validator": {} };
    app.todo_database().await.run_command(loosen).await.unwrap();
    says(&app, place, "fail", "validator of todos", "onboard setup").await;
    app.onboard(&["setup"]).await;
    let (code, findings) = examine(&app, &[]).await;
    assert_eq!((code, &finding(&findings, place.0, place.1)["verdict"]), (Some(0), &"ok".into()));
    app.remove().await;
}

/// Every index of ours but the one that is meant for lists.
#[tokio::test]
async fn an_index_that_has_held_a_list_is_found_until_it_is_built_anew() {
    let app = patient().await;
    let before = indexes(&app).await;
    // One key alone may be the first; setup makes another.
    let keys = app.auth_database().await.collection::<Document>("signing_keys");
    keys.delete_many(doc! {}).await.unwrap();
    let (mut named, mut holders) = (Vec::new(), Vec::new());
    for (documents, index) in &before {
        let (holder, id) = holder(index);
        documents.insert_one(&holder).bypass_document_validation(true).await.unwrap();
        holders.push((documents, doc! { "_id": &id }));
        let fields = index.keys.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        if !fields.starts_with("conflicts.") {
            let index = format!("the index of {} over {fields}", documents.name());
            named.push((index, format!("holds a list of the document {id}")));
        }
    }
    assert_eq!(named.len(), before.len() - 1, "one is meant for lists");
    let place = ("mongo", "lists in indexes");
    says(&app, place, "fail", &named[0].1, "remove the document").await;
    let (_, findings) = examine(&app, &[]).await;
    let found = finding(&findings, place.0, place.1)["found"].as_str().unwrap();
    for (index, _) in &named {
        // Its own document, or that of another index of the same field.
        let holds = format!("{index} holds a list of the document list-");
        assert!(found.contains(&holds), "{holds}: {found}");
    }
    let refused = app.onboard(&["setup", "--rebuild-indexes"]).await;
    assert_eq!(refused.status.code(), Some(1), "{}", text(&refused));
    for (documents, holder) in holders {
        documents.delete_one(holder).await.unwrap();
    }
    let gone = "has held a list, and no document has it any more";
    let (_, findings) = examine(&app, &[]).await;
    let found = finding(&findings, place.0, place.1);
    for (index, _) in &named {
        assert!(found["found"].as_str().unwrap().contains(&format!("{index} {gone}")), "{found}");
    }
    let rebuilt = app.onboard(&["setup", "--rebuild-indexes"]).await;
    assert!(rebuilt.status.success(), "{}", text(&rebuilt));
    assert!(text(&rebuilt).contains(&format!("{} built anew", named.len())), "{}", text(&rebuilt));
    assert_eq!(examine(&app, &[]).await.0, Some(0));
    let as_text = |all: &[(Collection<Document>, IndexModel)]| -> BTreeSet<String> {
        all.iter().map(|(of, index)| format!("{} {index:?}", of.name())).collect()
    };
    assert_eq!(as_text(&indexes(&app).await), as_text(&before), "they are as they were");
    app.remove().await;
}

/// The indexes beside those of the ids.
async fn indexes(app: &App) -> Vec<(Collection<Document>, IndexModel)> {
    let mut all = Vec::new();
    for database in [app.auth_database().await, app.todo_database().await] {
        for name in database.list_collection_names().await.unwrap() {
            let documents = database.collection::<Document>(&name);
            let cursor = documents.list_indexes().await.unwrap();
            let there: Vec<IndexModel> = cursor.try_collect().await.unwrap();
            let there = there.into_iter().filter(|index| index.keys != doc! { "_id": 1 });
            all.extend(there.map(|index| (documents.clone(), index)));
        }
    }
    all
}

/// A document that the index holds, with a list in its first field; and its id.
fn holder(index: &IndexModel) -> (Document, String) {
    let options = index.options.as_ref().unwrap();
    let filter = options.partial_filter_expression.clone().unwrap_or_default();
    let id = format!("list-{}", Uuid::new_v4().simple());
    let mut document = doc! { "_id": &id, "eventId": &id, "emailCanonical": &id };
    let plain = |value: &Bson| value.as_document().is_none() && *value != Bson::Null;
    document.extend(filter.clone().into_iter().filter(|(_, value)| plain(value)));
    let field = index.keys.keys().find(|key| *key != "_id").unwrap();
    let member = filter.get(field).filter(|value| plain(value)).cloned();
    let list = vec![member.unwrap_or(Bson::Int32(1)), Bson::Int32(2)];
    match field.split_once('.') {
        Some((outer, inner)) => document.insert(outer, vec![doc! { inner: 1 }]),
        None => document.insert(field, list),
    };
    (document, id)
}

#[tokio::test]
async fn a_queue_that_is_missing_classic_or_unbound_is_found() {
    let app = patient().await;
    let url = app.setting("AMQP_URL");
    let connection = Connection::connect(&url, ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    let table = FieldTable::default;
    channel.queue_unbind(QUEUE.into(), EXCHANGE.into(), ROUTING_KEY.into(), table()).await.unwrap();
    says(&app, ("rabbitmq", "binding"), "fail", "nothing is bound", "onboard setup").await;
    channel.queue_delete(QUEUE.into(), QueueDeleteOptions::default()).await.unwrap();
    says(&app, ("rabbitmq", "queue"), "fail", "is missing", "onboard setup").await;
    says(&app, ("rabbitmq", "queue"), "fail", "is missing", "onboard setup").await;
    let durable = QueueDeclareOptions { durable: true, ..Default::default() };
    channel.queue_declare(QUEUE.into(), durable, table()).await.unwrap();
    says(&app, ("rabbitmq", "queue"), "fail", "other arguments", "delete").await;
    connection.close(200, "done".into()).await.unwrap();
    app.remove().await;
}

#[tokio::test]
async fn another_secret_is_found() {
    let app = patient().await;
    let file = std::env::temp_dir().join(format!("another-secret-{}", app.id));
    std::fs::write(&file, "another secret of more than thirty-two bytes").unwrap();
    let (code, findings) = examine(&app, &[("AUTH_SECRET_FILE", file.to_str().unwrap())]).await;
    let keys = finding(&findings, "keys", "signing keys");
    assert_eq!((code, &keys["verdict"]), (Some(1), &"fail".into()), "{keys}");
    let advice = keys["advice"].as_str().unwrap();
    assert!(advice.contains("the secret that"), "{keys}");
    assert!(advice.contains("AUTH_SECRET_PREVIOUS"), "{keys}");
    let old = app.setting("AUTH_SECRET_FILE");
    let changed =
        [("AUTH_SECRET_FILE", file.to_str().unwrap()), ("AUTH_SECRET_PREVIOUS_FILE", old.as_str())];
    let (code, findings) = examine(&app, &changed).await;
    let keys = finding(&findings, "keys", "signing keys");
    assert_eq!((code, &keys["verdict"]), (Some(0), &"warn".into()), "{keys}");
    assert!(keys["advice"].as_str().unwrap().contains("onboard keys rewrap"), "{keys}");
    std::fs::remove_file(file).unwrap();
    app.remove().await;
}

#[tokio::test]
async fn a_namespace_that_is_missing_is_found() {
    let app = patient().await;
    let (code, findings) = examine(&app, &[("TEMPORAL_NAMESPACE", "nowhere")]).await;
    let namespace = finding(&findings, "temporal", "namespace");
    assert_eq!((code, &namespace["verdict"]), (Some(1), &"fail".into()), "{findings:#?}");
    assert!(namespace["advice"].as_str().unwrap().contains("onboard setup"));
    let workers = examine(&app, &[]).await.1;
    let workers = finding(&workers, "temporal", "workers");
    assert_eq!(workers["verdict"], "warn", "{workers}");
    assert!(workers["advice"].as_str().unwrap().contains("start a worker"));
    let questions = examine(&app, &[]).await.1;
    let questions = finding(&questions, "temporal", "questions");
    assert_eq!(questions["verdict"], "warn", "{questions}");
    assert!(questions["found"].as_str().unwrap().contains(&format!("{}-todo", app.id)));
    assert!(questions["advice"].as_str().unwrap().contains("start the consumer todo"));
    app.remove().await;
}

/// A worker of a released build polls with an identity that says no more than its
/// process and host.
#[tokio::test]
async fn a_worker_that_does_not_know_the_plan_is_named_where_the_plan_is_used() {
    let app = patient().await;
    let place = ("temporal", "delivery plan");
    let named = eventually("the poller is named", async || {
        let polled = poll(&app, "7@released");
        let looked = examine(&app, &[("DELIVERY_PLAN", "2")]);
        let (code, findings) = tokio::select! {
            looked = looked => looked,
            () = polled => unreachable!("it polls without end"),
        };
        let plan = finding(&findings, place.0, place.1).clone();
        if plan["verdict"] == "fail" { Ok((code, plan)) } else { Err(plan) }
    })
    .await;
    assert_eq!(named.0, Some(1));
    assert!(named.1["found"].as_str().unwrap().contains("7@released"), "{named:?}");
    assert!(named.1["advice"].as_str().unwrap().contains("DELIVERY_PLAN"), "{named:?}");
    // New runs follow the plan that this worker knows.
    let (code, findings) = examine(&app, &[("DELIVERY_PLAN", "1")]).await;
    assert_eq!((code, &finding(&findings, place.0, place.1)["verdict"]), (Some(0), &"ok".into()));
    app.remove().await;
}

/// Asks for a workflow task as long as it is polled itself; there is none.
async fn poll(app: &App, identity: &str) {
    let request = PollWorkflowTaskQueueRequest {
        namespace: "default".to_owned(),
        task_queue: Some(TaskQueue {
            name: app.setting("TEMPORAL_TASK_QUEUE"),
            ..Default::default()
        }),
        identity: identity.to_owned(),
        ..Default::default()
    };
    let mut client = app.temporal().await;
    WorkflowService::poll_workflow_task_queue(&mut client, request.into_request()).await.ok();
    std::future::pending::<()>().await;
}

/// What nobody could look at is not to be deleted.
#[tokio::test]
async fn a_queue_that_may_not_be_asked_about_is_left_alone() {
    let app = patient().await;
    let user = format!("guest-{}", app.id);
    let known = json!({ "password": "guest", "tags": "" });
    app.management(Method::PUT, &format!("users/{user}"), Some(known)).await;
    let rights = json!({ "configure": "^$", "write": ".*", "read": ".*" });
    app.management(Method::PUT, &format!("permissions/{}/{user}", app.names), Some(rights)).await;
    let url = format!("amqp://{user}:guest@{}/{}", app.places.amqp_address, app.names);
    let (code, findings) = examine(&app, &[("AMQP_URL", &url)]).await;
    assert_eq!(code, Some(1));
    for check in ["exchange", "dead-letter exchange", "queue", "dead-letter queue"] {
        let one = finding(&findings, "rabbitmq", check);
        assert_eq!(one["verdict"], "fail", "{one}");
        assert!(one["found"].as_str().unwrap().contains("ACCESS_REFUSED"), "{one}");
        assert!(one["advice"].as_str().unwrap().starts_with("leave it as it is"), "{one}");
    }
    app.management(Method::DELETE, &format!("users/{user}"), None).await;
    app.remove().await;
}

#[tokio::test]
async fn a_namespace_that_forgets_soon_and_knows_no_attributes_is_found() {
    let app = patient().await;
    let name = format!("doctor-{}", app.id);
    let day = Duration::from_hours(24);
    let request = RegisterNamespaceRequest {
        namespace: name.clone(),
        workflow_execution_retention_period: day.try_into().ok(),
        ..Default::default()
    };
    let mut client = app.temporal().await;
    WorkflowService::register_namespace(&mut client, request.into_request()).await.unwrap();
    let findings = eventually("the namespace is there", async || {
        let (_, findings) = examine(&app, &[("TEMPORAL_NAMESPACE", &name)]).await;
        let there = findings.iter().any(|one| one["check"] == "retention");
        if there { Ok(findings) } else { Err(findings) }
    })
    .await;
    let retention = finding(&findings, "temporal", "retention");
    assert_eq!(retention["verdict"], "warn", "{retention}");
    assert!(retention["advice"].as_str().unwrap().contains("TEMPORAL_RETENTION"), "{retention}");
    let attributes = finding(&findings, "temporal", "search attributes");
    assert_eq!(attributes["verdict"], "fail", "{attributes}");
    assert!(attributes["advice"].as_str().unwrap().contains("onboard setup"), "{attributes}");
    app.remove().await;
}

#[tokio::test]
async fn a_weak_default_write_concern_is_found() {
    let (app, own) = with_own(Server::Mongo, Options::only(&[])).await;
    let admin = app.auth_database().await.client().database("admin");
    let weak = doc! { "setDefaultRWConcern": 1, "defaultWriteConcern": { "w": 1 },
    "writeConcern": { "w": "majority" } };
    admin.run_command(weak).await.unwrap();
    let place = ("mongo", "default write concern");
    says(&app, place, "warn", "w: 1", "setDefaultRWConcern").await;
    app.remove().await;
    drop(own);
}

#[tokio::test]
async fn one_server_that_is_away_is_a_failure_and_all_three_are_another_exit_code() {
    let app = patient().await;
    let nowhere = [
        ("MONGODB_URI", "mongodb://127.0.0.1:1/?replicaSet=rs0"),
        ("AMQP_URL", "amqp://guest:guest@127.0.0.1:1/%2f"),
        ("TEMPORAL_ADDRESS", "127.0.0.1:1"),
    ];
    for (one, area) in nowhere.iter().zip(["mongo", "rabbitmq", "temporal"]) {
        let (code, findings) = examine(&app, std::slice::from_ref(one)).await;
        let reachable = finding(&findings, area, "reachable");
        assert_eq!((code, &reachable["verdict"]), (Some(1), &"fail".into()), "{reachable}");
        assert!(reachable["advice"].as_str().unwrap().contains("start"), "{reachable}");
    }
    assert_eq!(examine(&app, &nowhere).await.0, Some(69));
    app.remove().await;
}
