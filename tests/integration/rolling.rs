//! A new build of the worker under load, and back again: nothing is lost,
//! nothing is doubled, and runs that wait move on to the build that is current.

use std::process::Stdio;
use std::time::Duration;

use onboard::services::names;
use onboard_contract::EventId;
use onboard_stack::tools;
use tokio::process::Command;

use crate::harness::{App, Load, Options, eventually, shared_servers, text};

const TEMPORAL: &str = include_str!("../../temporal/README.md");

/// The commands that stand under a heading of temporal/README.md.
fn commands(heading: &str) -> &'static str {
    let (_, section) = TEMPORAL.split_once(&format!("\n### {heading}\n")).unwrap();
    let (_, block) = section.split_once("```sh\n").unwrap();
    block.split_once("```").unwrap().0
}

/// Runs them for one build as a person would.
async fn operate(app: &App, heading: &str, build: &str) -> Result<String, String> {
    let tools = tools::dir(shared_servers().await.home().dir());
    let path = std::env::var("PATH").unwrap_or_default();
    let output = Command::new("bash")
        .args(["-euo", "pipefail", "-c", commands(heading)])
        .env("PATH", format!("{}:{path}", tools.display()))
        .env("TEMPORAL_ADDRESS", &app.places.temporal_address)
        .env("DEPLOYMENT", format!("onboard-{}", app.id))
        .env("TEMPORAL_TASK_QUEUE", format!("registration-{}", app.id))
        .env("BUILD", build)
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    if output.status.success() { Ok(text(&output)) } else { Err(text(&output)) }
}

/// A worker that has just begun to poll is known a moment later.
async fn make_current(app: &App, build: &str) {
    eventually(&format!("{build} is made current"), async || {
        operate(app, "Make a build the current one", build).await
    })
    .await;
}

/// New registrations go to this build; what was asked for before may not yet.
async fn runs_on(app: &App, build: &str) -> EventId {
    eventually(&format!("new registrations run on {build}"), async || {
        let id = app.register().await;
        is_sent(app, id).await;
        let builds = app.builds(id).await;
        if builds == [build] { Ok(id) } else { Err(builds) }
    })
    .await
}

async fn is_sent(app: &App, id: EventId) {
    eventually(&format!("{id} is SENT"), async || {
        let row = app.row(id).await;
        if row.get_str("status").unwrap() == "SENT" { Ok(()) } else { Err(row) }
    })
    .await;
}

fn versioned() -> Options {
    Options::default()
        .and("worker-b", "worker")
        .with_for("worker", "TEMPORAL_DEPLOYMENT_NAME", "onboard-{id}")
        .with_for("worker", "TEMPORAL_WORKER_BUILD_ID", "a")
        .with_for("worker-b", "TEMPORAL_DEPLOYMENT_NAME", "onboard-{id}")
        .with_for("worker-b", "TEMPORAL_WORKER_BUILD_ID", "b")
}

#[tokio::test]
async fn a_new_build_takes_over_under_load_and_the_old_one_again() {
    let app = App::prepare_on_shared(versioned()).await;
    for service in ["auth", "relay", "worker"] {
        app.component(service).start().await.unwrap();
    }
    make_current(&app, "a").await;
    // It waits for its acknowledgement all through the change.
    let waiting = app.register().await;
    is_sent(&app, waiting).await;

    let change = async {
        app.component("worker-b").start().await.unwrap();
        let id = app.register().await;
        is_sent(&app, id).await;
        // The row is marked inside the workflow task.
        eventually("b is not current yet", async || match app.builds(id).await {
            builds if builds == ["a"] => Ok(()),
            builds => Err(builds),
        })
        .await;

        make_current(&app, "b").await;
        runs_on(&app, "b").await;
        app.component("worker").stop().await.unwrap();
        app.component("todo").start().await.unwrap();
        app.reaches(waiting, "ACKNOWLEDGED").await;
        runs_on(&app, "b").await;

        app.component("worker").start().await.unwrap();
        make_current(&app, "a").await;
        runs_on(&app, "a").await;
        app.component("worker-b").stop().await.unwrap();
        runs_on(&app, "a").await;
    };
    let load = Load::during(&app, &["auth"], Duration::from_millis(200), Box::pin(change)).await;
    assert_eq!(app.builds(waiting).await, ["a", "b"], "a run that waits moves on");
    assert_eq!((load.refused, load.unanswered), (0, 0));
    assert!(load.acknowledged.len() > 10, "{}", load.acknowledged.len());
    app.all_are_there(&load).await;
    app.is_clean().await;
    app.finish().await;
}

#[tokio::test]
async fn a_versioned_worker_gets_nothing_until_its_build_is_current() {
    let app = App::prepare_on_shared(versioned()).await;
    for service in names() {
        app.component(service).start().await.unwrap();
    }
    let id = app.register().await;
    app.reaches(id, "STARTED").await;
    eventually("the build is known, and nothing is current", async || {
        let told = operate(&app, "See who does what", "a").await?;
        let known = told.lines().any(|line| line.contains(&app.id) && line.contains(" a "));
        if known && !told.contains("CurrentVersion") { Ok(()) } else { Err(told) }
    })
    .await;
    assert_eq!(app.builds(id).await, [""; 0], "nobody has decided anything");
    make_current(&app, "a").await;
    app.reaches(id, "ACKNOWLEDGED").await;
    let told = operate(&app, "See who does what", "a").await.unwrap();
    assert!(told.contains("CurrentVersion"), "{told}");
    app.finish().await;
}

#[tokio::test]
async fn without_versioning_one_worker_replaces_another_under_load() {
    let app = App::prepare_on_shared(Options::default().and("worker-b", "worker")).await;
    for service in names() {
        app.component(service).start().await.unwrap();
    }
    let load = Load::during(&app, &["auth"], Duration::from_millis(500), async {
        let first = app.register().await;
        app.reaches(first, "ACKNOWLEDGED").await;
        app.component("worker-b").start().await.unwrap();
        app.component("worker").stop().await.unwrap();
        let second = app.register().await;
        app.reaches(second, "ACKNOWLEDGED").await;
    })
    .await;
    assert_eq!((load.refused, load.unanswered), (0, 0));
    app.all_are_there(&load).await;
    app.is_clean().await;
    app.finish().await;
}
