//! MongoDB is restored to a time before what the broker and Temporal know.

use std::path::Path;

use onboard::services::names;
use onboard_events::TodoId;
use onboard_events::registration::workflow_id;
use onboard_stack::Server;

use super::{asks_soon, insists, several};
use crate::harness::{App, Options, Own, Places, own_servers};

impl Own {
    /// Copies the files of the stopped mongod.
    async fn copy_mongo(&self, from: &Path, to: &Path) {
        let mongo = self.mongo.as_ref().unwrap();
        mongo.stop().await.unwrap();
        if to.exists() {
            std::fs::remove_dir_all(to).unwrap();
        }
        let copied = tokio::process::Command::new("cp").arg("-a").args([from, to]).status().await;
        assert!(copied.unwrap().success());
        mongo.start().await.unwrap();
    }
}

async fn stop_services(app: &App) {
    for service in names() {
        app.component(service).stop().await.unwrap();
    }
}

async fn start_services(app: &App, services: &[&str]) {
    for service in services {
        app.component(service).request_start().await.unwrap();
    }
    for service in services {
        app.ready(service).await;
    }
}

/// Whoever is in the backup comes to the end, although Temporal has done all of
/// it before; of whoever is not, the audit names every trace.
#[tokio::test]
async fn whoever_is_in_the_backup_comes_to_the_end_and_traces_of_others_are_named() {
    let own = own_servers(&Server::ALL).await;
    let options = asks_soon(Options::default().each_apart());
    let options = options.with("OUTBOX_ROW_MISSING_AFTER", "0s");
    let app = App::start_on(&own, Places::of(&own), options).await;
    let data = own.home().dir().join("data/mongo");
    let backup = own.home().dir().join("backup");

    let done = several(&app, "ACKNOWLEDGED").await;
    app.component("todo").stop().await.unwrap();
    let sent = several(&app, "SENT").await;
    app.component("relay").stop().await.unwrap();
    let pending = several(&app, "PENDING").await;
    stop_services(&app).await;
    own.copy_mongo(&data, &backup).await;

    // All of them come to the end, and somebody more; one is on the way.
    start_services(&app, &names()).await;
    app.nothing_is_left().await;
    let gone = insists(&app).await;
    app.reaches(gone, "ACKNOWLEDGED").await;
    app.component("todo").stop().await.unwrap();
    let queued = insists(&app).await;
    app.reaches(queued, "SENT").await;
    let queued_user = app.registered_user(queued).await;
    stop_services(&app).await;
    own.copy_mongo(&backup, &data).await;
    start_services(&app, &names()).await;

    for id in done.iter().chain(&sent).chain(&pending) {
        app.reaches(*id, "ACKNOWLEDGED").await;
    }
    app.nothing_is_left().await;
    assert!(app.counter("relay", "relay_rebuilt_total", "forgotten").await >= 6);
    app.finds(&[
        ("inbox_unexpected", queued.to_string()),
        ("todo_unexpected", TodoId::welcome(queued_user).to_string()),
        ("workflow_unexpected", workflow_id(queued)),
        ("workflow_unexpected", workflow_id(gone)),
    ])
    .await;
    app.remove().await;
}
