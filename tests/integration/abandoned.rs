//! A transaction that nobody waits for any more is ended on the server: only a process
//! that dies leaves an address blocked.

use std::cell::Cell;
use std::time::Duration;

use mongodb::bson::doc;
use onboard_stack::Server;
use serde_json::json;

use crate::harness::{Act, App, FailPoint, Options, PASSWORD, Proxy, Way, eventually};

/// How long anybody waits for a transaction.
const DEADLINE: Duration = onboard_mongo::OPERATION_DEADLINE;

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

/// How long the transactions of the application that wait for a command have been open.
async fn open_transactions(app: &App) -> Vec<Duration> {
    let idle = app.idle_sessions().await.into_iter();
    let open = idle.filter_map(|session| session.get_document("transaction").ok().cloned());
    let micros = open.map(|open| open.get_i64("timeOpenMicros").unwrap());
    micros.map(|micros| Duration::from_micros(micros.unsigned_abs())).collect()
}

/// What the group of a consumer has written is free when nobody waits for it any more, not
/// when the server gives the transaction up.
#[tokio::test]
async fn the_transaction_of_an_inbox_group_that_has_timed_out_is_ended() {
    let proxy = Proxy::before(Server::Mongo).await;
    let app = App::start_with(Options::default().apart(&["todo"]).mongo_through("todo", &proxy));
    let app = app.await;
    proxy.when(Way::ToServer, b"commitTransaction", Act::Lose, 1);
    let id = app.register().await;
    let lost = async || if proxy.acted() == 0 { Err(()) } else { Ok(()) };
    eventually("the commit is lost", lost).await;
    // The next try would end the transaction, too, as it has the same session.
    proxy.when(Way::ToServer, b"startTransaction", Act::Lose, usize::MAX);
    let seen = Cell::new(Duration::ZERO);
    eventually("the transaction is ended", async || {
        match open_transactions(&app).await.into_iter().max() {
            Some(open) => {
                seen.set(seen.get().max(open));
                Err(open)
            }
            None if seen.get().is_zero() => Err(Duration::ZERO),
            None => Ok(()),
        }
    })
    .await;
    let seen = seen.get();
    assert!(seen < DEADLINE + Duration::from_secs(1), "it was open for {seen:?}");
    proxy.pass();
    app.reaches(id, "ACKNOWLEDGED").await;
    app.finish().await;
}
