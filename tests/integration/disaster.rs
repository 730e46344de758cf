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

/// By two relays together.
#[tokio::test]
async fn many_are_rebuilt_at_a_bounded_rate() {
    const RATE: u64 = 5;
    let options = Options::only(&["auth", "relay", "worker"])
        .and("relay-2", "relay")
        .with("RELAY_REBUILD_RATE", &RATE.to_string());
    let (app, own) = with_own(Server::Temporal, asks_soon(options)).await;
    for _ in 0..15 {
        several(&app, "SENT").await;
    }
    let all = app.sent().await;
    own.lose_temporal().await;
    app.prepares().await;
    let rebuilt = async || {
        let by = async |relay| app.counter(relay, "relay_rebuilt_total", "lost").await;
        by("relay").await + by("relay-2").await
    };
    let asked = async || {
        let by = async |relay| app.counter(relay, "relay_rebuild_asked_total", "").await;
        by("relay").await + by("relay-2").await
    };
    // The clock runs before the relay is asked: the answer may take its time.
    let (begun, first) = eventually("the first", async || {
        let asked = Instant::now();
        match rebuilt().await {
            0 => Err(0),
            rows => Ok((asked, rows)),
        }
    })
    .await;
    let asked_before = asked().await;
    // Those that Temporal answered too late are started and not counted.
    eventually("all", async || match app.open_workflows().await {
        rows if rows as u64 == all => Ok(()),
        rows => Err(rows),
    })
    .await;
    let asked = asked().await - asked_before;
    let took = begun.elapsed();
    assert!(asked <= RATE * (took.as_secs() + 2), "{asked} asked for in {took:?}");
    let pages = (all - first) / RATE;
    assert!(took >= Duration::from_secs(pages.saturating_sub(1)), "{first}, then {took:?}");
    eprintln!("{} rows in {took:?}", all - first);
    app.component("todo").start().await.unwrap();
    app.finish().await;
}

#[tokio::test]
async fn the_relay_may_die_stall_or_go_unheard_while_it_rebuilds() {
    join_all(ACTS.map(async |act| {
        let tokens = Tokens::new(std::iter::once(Step("relay.rebuild").point(act.side)));
        let options = Options::only(&["auth", "relay", "worker"]).with_for(
            "relay",
            "FAILPOINTS",
            &tokens.armed(act.word),
        );
        let app = App::start_with(asks_soon(options)).await;
        let id = several(&app, "SENT").await[0];
        // The stage is shown a moment later, and a write to a workflow that is being
        // deleted would put it back into the list for good.
        app.is_shown_in(id, "SENT").await;
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
async fn what_runs_is_left_alone_and_what_has_failed_is_left_to_redrive() {
    let options = Options::only(&["auth", "relay"]).with("RELAY_REBUILD_AFTER", "1s");
    let app = App::start_with(options.with("REGISTRATION_OVERDUE", "2s")).await;
    let [running, failed] = [insists(&app).await, insists(&app).await];
    app.reaches(failed, "STARTED").await;
    let payload = app.row(failed).await.get_document("payload").unwrap().clone();
    app.spoil_row(failed, doc! { "$unset": { "payload": "" } }).await;
    app.component("worker").start().await.unwrap();
    app.reaches(running, "SENT").await;
    ends_as(&app, failed, &[WorkflowExecutionStatus::Failed]).await;
    let run = app.run_id(running).await;
    app.is_asked_about(8).await;
    assert_eq!(app.run_id(running).await, run, "nobody started it again");
    assert_eq!(app.workflow(failed).await, Some(WorkflowExecutionStatus::Failed));
    assert_eq!(app.counter("relay", "relay_rebuilt_total", "").await, 0);

    // It is counted, and named with what it failed with.
    eventually("it is counted", async || {
        match app.counter("relay", "workflows_failed", "").await {
            1 => Ok(()),
            count => Err(count),
        }
    })
    .await;
    let listing = app.tool(&["list", "--stuck"]).await.yes();
    let rows = listing["registrations"].as_array().unwrap();
    let row = rows.iter().find(|row| row["registrationId"] == failed.to_string()).unwrap();
    let reason = row["reason"].as_str().unwrap();
    assert!(reason.contains("FAILED (OutboxRowCorrupt)"), "{listing}");
    let record = app.tool(&["show", &failed.to_string()]).await.no();
    let next = record["next"][0].as_str().unwrap();
    assert!(next.starts_with("mend") && next.contains("onboard redrive"), "{record}");

    app.spoil_row(failed, doc! { "$set": { "payload": payload } }).await;
    app.tool(&["redrive", &failed.to_string(), "--reason", "mended"]).await.yes();
    app.component("todo").start().await.unwrap();
    app.reaches(failed, "ACKNOWLEDGED").await;
    app.finish().await;
}

async fn ends_as(app: &App, id: EventId, statuses: &[WorkflowExecutionStatus]) {
    eventually(&format!("{id} ends as one of {statuses:?}"), async || {
        match app.workflow(id).await {
            Some(status) if statuses.contains(&status) => Ok(()),
            status => Err(status),
        }
    })
    .await;
}

/// Wherever a registration is, and in whichever way its workflow is ended.
#[tokio::test]
async fn a_workflow_that_somebody_ends_is_started_again() {
    use WorkflowExecutionStatus::{Canceled, Running, Terminated, TimedOut};
    let workflow = |id: EventId| format!("registration-{id}");
    let options = Options::only(&["auth", "relay"]).apart(&["relay"]);
    let app = App::start_with(asks_soon(options)).await;
    let at_started = insists(&app).await;
    app.reaches(at_started, "STARTED").await;
    app.terminate_workflow(&workflow(at_started)).await;
    ends_as(&app, at_started, &[Running]).await;

    app.component("worker").start().await.unwrap();
    let [terminated, cancelled, timed_out] =
        [insists(&app).await, insists(&app).await, insists(&app).await];
    for id in [at_started, terminated, cancelled, timed_out] {
        app.reaches(id, "SENT").await;
    }
    // Nobody starts it again before it has run out of its time.
    app.component("relay").stop().await.unwrap();
    app.terminate_workflow(&workflow(terminated)).await;
    app.cancel_workflow(&workflow(cancelled)).await;
    ends_as(&app, cancelled, &[Canceled]).await;
    app.terminate_workflow(&workflow(timed_out)).await;
    let user = app.registered_user(timed_out).await;
    let input = serde_json::json!({ "eventId": timed_out, "userId": user });
    app.start_workflow_for(&workflow(timed_out), input, Duration::from_secs(1)).await;
    ends_as(&app, timed_out, &[TimedOut]).await;
    ends_as(&app, terminated, &[Terminated]).await;
    app.component("relay").start().await.unwrap();
    for (id, cause) in
        [(terminated, "terminated"), (cancelled, "cancelled"), (timed_out, "timed_out")]
    {
        ends_as(&app, id, &[Running]).await;
        let cause = format!("cause=\"{cause}\"");
        assert_eq!(app.counter("relay", "relay_rebuilt_total", &cause).await, 1, "{cause}");
    }
    app.component("todo").start().await.unwrap();
    app.nothing_is_left().await;
    app.is_clean().await;
    app.finish().await;
}
