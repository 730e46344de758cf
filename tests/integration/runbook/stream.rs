//! The oplog does not reach back to where the relay was. A real oplog cannot be
//! made that small; mongod says so when it is told to, to the relay alone.

use std::os::unix::fs::symlink;

use mongodb::bson::doc;
use tokio::process::Command;

use crate::harness::{App, Entry, Options, Prometheus, eventually, shared_servers, text};

#[tokio::test]
async fn a_lost_change_stream_is_seen_and_nobody_is_missed() {
    let app = App::start_with(Options::default().apart(&["relay"]).failing("relay")).await;
    let targets = [("relay", app.url("relay"))];
    let prometheus = Prometheus::watch(&targets).await;
    let entry = Entry::named("The change stream was lost");
    assert_eq!(entry.alerts(), ["ChangeStreamLost"]);
    assert!(prometheus.firing("ChangeStreamLost").await.is_empty());

    let lost = doc! { "failCommands": ["aggregate", "getMore"], "errorCode": 286 };
    let point = app.fail_commands(doc! { "times": i32::MAX }, lost).await;
    let id = app.register().await;
    prometheus.fires("ChangeStreamLost").await;
    let desk = tempfile::tempdir().unwrap();
    symlink(shared_servers().await.home().dir(), desk.path().join(".onboard")).unwrap();
    let run = async |part: &str| {
        let mut bash = Command::new("bash");
        bash.args(["-euo", "pipefail", "-c", &entry.commands(part).concat()]);
        bash.current_dir(desk.path()).env("RELAY_URL", app.url("relay"));
        bash.output().await.unwrap()
    };
    let checked = run("Check").await;
    assert!(checked.status.success(), "{}", text(&checked));
    point.off().await;
    app.reaches(id, "ACKNOWLEDGED").await;
    eventually("Verify", async || match run("Verify").await {
        ran if ran.status.success() => Ok(()),
        ran => Err(text(&ran)),
    })
    .await;
    prometheus.ends("ChangeStreamLost").await;
    app.finish().await;
}
