//! A transaction that nobody waits for any more is ended on the server: only a process
//! that dies leaves an address blocked.

use std::time::Duration;

use mongodb::bson::doc;
use serde_json::json;

use crate::harness::{App, FailPoint, Options, PASSWORD};

/// The next commit of auth takes longer than anybody waits, and longer than the second
/// registration lasts.
async fn slow_commit(app: &App) -> FailPoint {
    let data = doc! {
        "failCommands": ["commitTransaction"], "blockConnection": true, "blockTimeMS": 15_000,
    };
    app.fail_commands(doc! { "times": 1 }, data).await
}

#[tokio::test]
async fn an_address_is_free_at_once_when_its_registration_has_timed_out() {
    let app = App::start_with(Options::only(&["auth"]).failing("auth")).await;
    let (email, point) = (app.address(), slow_commit(&app).await);
    assert_eq!(app.post_register(&email).await.status(), 503, "the commit does not answer");
    assert!(point.hits().await > 0);
    // It would meet the open transaction of the first one until it times out itself.
    assert_eq!(app.post_register(&email).await.status(), 201);
    point.off().await;
    assert_eq!(app.counts().await, (1, 1, 0), "one of both");
    app.remove().await;
}

#[tokio::test]
async fn an_address_is_free_at_once_when_its_client_has_gone() {
    let app = App::start_with(Options::only(&["auth"]).failing("auth")).await;
    let (email, point) = (app.address(), slow_commit(&app).await);
    let url = format!("{}/api/v1/auth/register", app.url("auth"));
    let body = json!({ "email": email, "password": PASSWORD });
    let gone = app.http.post(url).json(&body).timeout(Duration::from_secs(2)).send().await;
    assert!(gone.is_err_and(|error| error.is_timeout()));
    assert!(point.hits().await > 0);
    assert_eq!(app.post_register(&email).await.status(), 201);
    point.off().await;
    assert_eq!(app.counts().await, (1, 1, 0), "one of both");
    app.remove().await;
}
