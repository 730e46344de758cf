//! Each server stops, freezes and dies while people register.

use std::time::Duration;

use onboard::services::names;
use onboard_stack::Server;

use crate::harness::{App, Load, Options, eventually, with_own};

/// Longer than every time-out of a call (5 s).
const FREEZE: Duration = Duration::from_secs(10);
/// How long a stopped server stays away.
const AWAY: Duration = Duration::from_secs(3);

/// Three applications side by side, each with a server that fails.
#[tokio::test]
async fn every_server_may_stop_freeze_and_die_while_people_register() {
    let (mongo, broker, temporal) =
        tokio::join!(survive(Server::Mongo), survive(Server::Rabbitmq), survive(Server::Temporal),);
    assert!(mongo.refused > 0, "without MongoDB nothing is promised: {mongo:?}");
    assert_eq!((broker.refused, temporal.refused), (0, 0), "registering needs neither");
}

/// The faults, one after the other, under load; then everything ends, though
/// no workflow helps itself by publishing again.
async fn survive(server: Server) -> Load {
    let options = Options::default().each_apart().with("REGISTRATION_OVERDUE", "1h");
    let (app, own) = with_own(server, options).await;
    let broken = own.components().next().unwrap();
    let pids = names().map(|name| app.component(name).status().pid);
    let faults = async {
        broken.stop().await.unwrap();
        // Being away is the fault; nothing is waited for.
        tokio::time::sleep(AWAY).await;
        broken.start().await.unwrap();
        some_more_register(&app).await;
        broken.freeze().await.unwrap();
        tokio::time::sleep(FREEZE).await;
        broken.thaw().await.unwrap();
        some_more_register(&app).await;
        broken.kill().await.unwrap();
        broken.ready(Duration::from_mins(1)).await.unwrap();
        some_more_register(&app).await;
    };
    let load = Load::during(&app, &["auth"], Duration::from_millis(500), faults).await;
    assert_eq!(load.unanswered, 0, "{server:?}: auth answers all the time");
    assert!(load.acknowledged.len() >= 5, "{server:?}: some were accepted: {load:?}");
    app.all_end(&format!("all registrations end, though {server:?} failed")).await;
    app.all_are_there(&load).await;
    let now = names().map(|name| app.component(name).status().pid);
    assert_eq!(now, pids, "{server:?}: no service was restarted");
    app.finish().await;
    load
}

/// Waits until people have been registered since.
async fn some_more_register(app: &App) {
    let rows = async || app.outbox().await.estimated_document_count().await.unwrap_or_default();
    let before = rows().await;
    eventually("people register again", async || match rows().await {
        now if now >= before + 2 => Ok(()),
        now => Err(now),
    })
    .await;
}
