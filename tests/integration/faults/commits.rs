//! MongoDB fails a commit: with every error and label the driver knows, once
//! before the commit took effect and once after it.

use mongodb::bson::{Document, doc};
use onboard_stack::Server;

use crate::harness::{App, FailPoint, Options, eventually, shared_servers, with_own};

/// Every way in which a commit fails once: its name and what `failCommand`
/// is told.
fn failures() -> Vec<(&'static str, Document)> {
    let label = |label: &str| doc! { "errorLabels": [label] };
    let mut failures = vec![
        // Not committed: the server answers without having tried.
        ("transient", with(doc! { "errorCode": 251 }, label("TransientTransactionError"))),
        ("unknown", with(doc! { "errorCode": 64 }, label("UnknownTransactionCommitResult"))),
        ("retryable", with(doc! { "errorCode": 91 }, label("RetryableWriteError"))),
        ("connection closed", doc! { "closeConnection": true }),
        ("not primary", doc! { "errorCode": 10_107 }),
        ("write conflict", doc! { "errorCode": 112 }),
        ("time limit", doc! { "errorCode": 262 }),
    ];
    // Committed, and then an error is answered.
    for (name, code, words) in [
        ("committed, unknown", 64, "UnknownTransactionCommitResult"),
        ("committed, retryable", 262, "RetryableWriteError"),
        ("committed, transient", 64, "TransientTransactionError"),
    ] {
        let concern = with(doc! { "code": code, "errmsg": "made up" }, label(words));
        failures.push((name, with(doc! { "writeConcernError": concern }, label(words))));
    }
    failures
}

fn with(mut document: Document, more: Document) -> Document {
    document.extend(more);
    document
}

/// The service can be hit by fail points. It looks at MongoDB twice a second:
/// after "not primary" and the like the driver waits for the next look, which a
/// server that really steps down answers at once, and this one does not.
async fn hit(service: &'static str) -> Options {
    let uri = shared_servers().await.mongodb_uri();
    let uri = format!("{uri}&appName={{id}}&heartbeatFrequencyMS=500");
    Options::default().with_for(service, "MONGODB_URI", &uri)
}

#[tokio::test]
async fn a_commit_that_fails_once_registers_exactly_one_user() {
    let app = App::start_with(hit("auth").await).await;
    for (name, failure) in failures() {
        let point = fail_commit(&app, failure).await;
        let before = point.hits().await;
        let answer = app.post_register(&app.address()).await;
        let status = answer.status();
        assert!(point.hits().await > before, "{name}: the commit was not hit");
        point.off().await;
        assert_eq!(status, 201, "{name}: {}", answer.text().await.unwrap());
    }
    let users = app.users().await.count_documents(doc! {}).await.unwrap();
    assert_eq!(users, failures().len() as u64);
    app.finish().await;
}

#[tokio::test]
async fn a_commit_that_fails_once_makes_exactly_one_todo() {
    let app = App::start_with(hit("todo").await.with("REGISTRATION_OVERDUE", "1h")).await;
    for (name, failure) in failures() {
        let point = fail_commit(&app, failure).await;
        let before = point.hits().await;
        let id = app.register().await;
        app.reaches(id, "ACKNOWLEDGED").await;
        assert!(point.hits().await > before, "{name}: the commit was not hit");
        point.off().await;
    }
    app.finish().await;
}

/// Not one commit reaches MongoDB. What was begun there blocks the address
/// until MongoDB gives the transaction up: after 60 s, here after 1 s.
#[tokio::test]
async fn a_commit_that_never_arrives_is_refused_and_can_be_repeated() {
    let (app, _own) = with_own(Server::Mongo, Options::default().failing("auth")).await;
    let admin = app.auth_database().await.client().database("admin");
    let lifetime = doc! { "setParameter": 1, "transactionLifetimeLimitSeconds": 1 };
    admin.run_command(lifetime).await.unwrap();
    let never = doc! { "failCommands": ["commitTransaction"], "closeConnection": true };
    let point = app.fail_commands(doc! { "times": i32::MAX }, never).await;
    let email = app.address();
    let answer = app.post_register(&email).await;
    assert_eq!(answer.status(), 503);
    assert!(answer.headers().contains_key("retry-after"));
    point.off().await;
    let repeat = eventually("the repeat is answered", async || {
        match app.post_register(&email).await.status().as_u16() {
            503 => Err(503),
            status => Ok(status),
        }
    })
    .await;
    assert_eq!(repeat, 201, "the first try had come to nothing");
    app.finish().await;
}

async fn fail_commit(app: &App, failure: Document) -> FailPoint {
    let data = with(doc! { "failCommands": ["commitTransaction"] }, failure);
    app.fail_commands(doc! { "times": 1 }, data).await
}
