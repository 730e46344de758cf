//! A server has lost what it knew: the system is rebuilt from the outbox, by
//! itself, and nobody is served twice.

mod restored;

use std::time::{Duration, Instant};

use futures::future::join_all;
use mongodb::bson::doc;
use onboard_contract::EventId;
use onboard_fault::Step;
use onboard_stack::Server;
use temporalio_client::WorkflowExecutionStatus;
use temporalio_common::protos::temporal::api::enums::v1::EventType;

use crate::harness::{App, Options, Own, Places, binary, eventually, own_servers, text, with_own};
use crate::kill_points::ACTS;
use crate::kill_points::tokens::Tokens;

/// The relay asks soon, and nothing else heals: no workflow looks by itself.
fn asks_soon(options: Options) -> Options {
    options.with("RELAY_REBUILD_AFTER", "1s").with("REGISTRATION_OVERDUE", "1h")
}

/// Somebody registers, as a client that tries again when the machine is busy.
async fn insists(app: &App) -> EventId {
    eventually("somebody registers", async || match app.try_register("auth").await {
        Some(Ok(id)) => Ok(id),
        other => Err(other),
    })
    .await
}

async fn several(app: &App, stage: &str) -> Vec<EventId> {
    let ids = join_all((0..3).map(|_| insists(app))).await;
    for id in &ids {
        app.reaches(*id, stage).await;
    }
    ids
}

impl Own {
    /// Temporal comes back and knows nothing any more.
    async fn lose_temporal(&self) {
        let temporal = self.temporal.as_ref().unwrap();
        temporal.stop().await.unwrap();
        let data = self.home().dir().join("data/temporal");
        for file in std::fs::read_dir(data).unwrap().map(|file| file.unwrap()) {
            if file.file_name().to_string_lossy().starts_with("temporal.db") {
                std::fs::remove_file(file.path()).unwrap();
            }
        }
        temporal.start().await.unwrap();
    }
}

impl App {
    async fn prepares(&self) {
        let output = self.onboard(&["setup"]).await;
        assert!(output.status.success(), "{}", text(&output));
    }

    async fn inbox_has(&self, records: u64) {
        eventually(&format!("{records} inbox records or more"), async || {
            match self.inbox().await.count_documents(doc! {}).await.unwrap() {
                seen if seen >= records => Ok(()),
                seen => Err(seen),
            }
        })
        .await;
    }

    /// The relay goes through the overdue rows a few times more.
    async fn is_asked_about(&self, rows: u64) {
        let before = self.counter("relay", "relay_rebuild_asked_total", "").await;
        eventually("the relay asks Temporal", async || {
            let asked = self.counter("relay", "relay_rebuild_asked_total", "").await - before;
            if asked >= rows { Ok(()) } else { Err(asked) }
        })
        .await;
    }
}

#[tokio::test]
async fn every_stage_ends_by_itself_after_temporal_has_lost_its_database() {
    let own = own_servers(&Server::ALL).await;
    let app = App::start_on(
        &own,
        Places::of(&own),
        asks_soon(Options::default().apart(&["todo", "relay"])),
    )
    .await;
    let (temporal, broker) = (own.temporal.as_ref().unwrap(), own.rabbitmq.as_ref().unwrap());
    let done = several(&app, "ACKNOWLEDGED").await;

    // In the inbox, and their workflows are not told.
    app.component("todo").stop().await.unwrap();
    let untold = several(&app, "SENT").await;
    temporal.stop().await.unwrap();
    app.component("todo").request_start().await.unwrap();
    app.inbox_has(6).await;
    app.component("todo").stop().await.unwrap();
    temporal.start().await.unwrap();

    several(&app, "SENT").await;
    broker.stop().await.unwrap();
    several(&app, "STARTED").await;
    app.component("relay").stop().await.unwrap();
    several(&app, "PENDING").await;

    own.lose_temporal().await;
    broker.start().await.unwrap();
    // The todo service finds nobody to tell, and notes that: the row must not
    // depend on it.
    app.component("todo").start().await.unwrap();
    let told = doc! {
        "eventId": { "$in": untold.iter().map(|id| binary(id.uuid())).collect::<Vec<_>>() },
        "acknowledgedAt": { "$type": "date" },
    };
    eventually("there was nobody to tell", async || {
        match app.inbox().await.count_documents(told.clone()).await.unwrap() {
            3 => Ok(()),
            noted => Err(noted),
        }
    })
    .await;
    assert_eq!(app.registration(untold[0]).await["acknowledgedAt"], serde_json::Value::Null);
    app.component("relay").start().await.unwrap();
    app.prepares().await;

    app.nothing_is_left().await;
    // The workflows of those who were done are not missed.
    app.is_clean().await;
    let record = app.tool(&["show", &done[0].to_string()]).await.yes();
    assert!(record["notes"].to_string().contains("no longer remembers"), "{record}");
    assert!(app.counter("relay", "relay_rebuilt_total", "lost").await >= 6);
    app.finish().await;
}

#[tokio::test]
async fn many_are_rebuilt_at_a_bounded_rate() {
    const RATE: u64 = 5;
    let options =
        Options::only(&["auth", "relay", "worker"]).with("RELAY_REBUILD_RATE", &RATE.to_string());
    let (app, own) = with_own(Server::Temporal, asks_soon(options)).await;
    for _ in 0..15 {
        several(&app, "SENT").await;
    }
    let all = app.sent().await;
    own.lose_temporal().await;
    app.prepares().await;
    let rebuilt = async || app.counter("relay", "relay_rebuilt_total", "lost").await;
    // The clock runs before the relay is asked: the answer may take its time.
    let (begun, first) = eventually("the first", async || {
        let asked = Instant::now();
        match rebuilt().await {
            0 => Err(0),
            rows => Ok((asked, rows)),
        }
    })
    .await;
    // Those that Temporal answered too late are started and not counted.
    eventually("all", async || match app.open_workflows().await {
        rows if rows as u64 == all => Ok(()),
        rows => Err(rows),
    })
    .await;
    let took = begun.elapsed();
    let pages = (all - first) / RATE;
    assert!(took >= Duration::from_secs(pages.saturating_sub(1)), "{first}, then {took:?}");
    eprintln!("{} rows in {took:?}", all - first);
    app.component("todo").start().await.unwrap();
    app.finish().await;
}

#[tokio::test]
async fn the_relay_may_die_stall_or_go_unheard_while_it_rebuilds() {
    join_all(ACTS.map(async |act| {
        let tokens = Tokens::new(std::iter::once(Step::RelayRebuild.point(act.side)));
        let options = Options::only(&["auth", "relay", "worker"]).with_for(
            "relay",
            "FAILPOINTS",
            &tokens.armed(act.word),
        );
        let app = App::start_with(asks_soon(options)).await;
        let id = several(&app, "SENT").await[0];
        app.delete_workflow(&format!("registration-{id}")).await;
        eventually("the point is reached", async || match tokens.left() {
            left if left.is_empty() => Ok(()),
            left => Err(left),
        })
        .await;
        eventually("there is a workflow again", async || app.workflow(id).await.ok_or(())).await;
        app.component("todo").start().await.unwrap();
        app.nothing_is_left().await;
        app.every_registration_has_one_workflow().await;
        app.finish().await;
    }))
    .await;
}

#[tokio::test]
async fn what_runs_is_left_alone_and_what_has_ended_without_success_is_left_to_redrive() {
    let options = Options::only(&["auth", "relay", "worker"]);
    let app = App::start_with(asks_soon(options)).await;
    let [running, terminated] = [insists(&app).await, insists(&app).await];
    app.reaches(running, "SENT").await;
    app.reaches(terminated, "SENT").await;
    app.terminate_workflow(&format!("registration-{terminated}")).await;
    eventually("the workflow waits for its acknowledgement", async || {
        let history = app.history(running).await;
        let shown = EventType::UpsertWorkflowSearchAttributes;
        if history.iter().any(|event| event.event_type() == shown) { Ok(()) } else { Err(history) }
    })
    .await;
    let events = app.history(running).await.len();
    app.is_asked_about(8).await;
    assert_eq!(app.history(running).await.len(), events, "nobody touched it");
    assert_eq!(app.workflow(terminated).await, Some(WorkflowExecutionStatus::Terminated));
    assert_eq!(app.counter("relay", "relay_rebuilt_total", "").await, 0);
    app.component("todo").start().await.unwrap();
    app.reaches(running, "ACKNOWLEDGED").await;
    app.tool(&["redrive", &terminated.to_string(), "--reason", "test"]).await;
    app.finish().await;
}
