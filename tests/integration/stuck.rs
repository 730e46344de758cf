//! What is stuck is seen, in its stage and no other, and holds up nobody.

use std::time::Duration;

use mongodb::bson::{DateTime, doc};
use onboard_outbox::REFUSALS_MAX;
use onboard_runtime::clock;

use crate::harness::{App, Options, eventually};

const OVERDUE: Duration = Duration::from_secs(2);
/// The relay looks every 5 s; the rest is for a busy machine.
const OBJECTIVE: Duration = Duration::from_secs(2 + 5 + 8);

/// The gauges of the relay: rows in PENDING, STARTED, SENT and STALLED.
async fn stages(app: &App) -> [u64; 4] {
    let text = app.http.get(format!("{}/metrics", app.url("relay"))).send().await.unwrap();
    let text = text.text().await.unwrap();
    ["PENDING", "STARTED", "SENT", "STALLED"].map(|stage| {
        let name = format!("registrations_in_stage{{stage=\"{stage}\"}} ");
        let line = text.lines().find_map(|line| line.strip_prefix(&name));
        line.map_or(u64::MAX, |count| count.parse().unwrap())
    })
}

async fn shows(app: &App, expected: [u64; 4]) {
    eventually(&format!("the stages are {expected:?}"), async || match stages(app).await {
        seen if seen == expected => Ok(()),
        seen => Err(seen),
    })
    .await;
}

#[tokio::test]
async fn an_overdue_acknowledgement_raises_the_alarm_in_time_and_in_its_stage_alone() {
    let options = Options::only(&["auth", "relay", "worker"]).with("REGISTRATION_OVERDUE", "2s");
    let app = App::start_with(options).await;
    let id = app.register().await;
    app.reaches(id, "SENT").await;
    let sent_ms = app.row(id).await.get_datetime("sentAt").unwrap().timestamp_millis();
    shows(&app, [0, 0, 0, 1]).await;
    let after = Duration::from_millis(u64::try_from(clock::now_ms() - sent_ms).unwrap());
    assert!(after > OVERDUE && after < OBJECTIVE, "{after:?}");
    let text = app.http.get(format!("{}/metrics", app.url("relay"))).send().await.unwrap();
    let text = text.text().await.unwrap();
    let oldest = "registrations_oldest_age_seconds{stage=\"STALLED\"} ";
    let oldest = text.lines().find_map(|line| line.strip_prefix(oldest)).unwrap();
    assert!(oldest.parse::<f64>().unwrap() >= 2.0, "{oldest}");
    app.component("todo").start().await.unwrap();
    app.reaches(id, "ACKNOWLEDGED").await;
    shows(&app, [0, 0, 0, 0]).await;
    app.finish().await;
}

#[tokio::test]
async fn what_waits_for_the_worker_is_started_and_what_waits_for_temporal_is_pending() {
    let options = Options::only(&["auth", "relay", "todo"])
        .with("REGISTRATION_OVERDUE", "1s")
        .and("relay-away", "relay")
        .with_for("relay-away", "TEMPORAL_ADDRESS", "127.0.0.1:1");
    let app = App::prepare_on_shared(options).await;
    for service in ["auth", "relay", "todo"] {
        app.component(service).start().await.unwrap();
    }
    let started = app.register().await;
    app.reaches(started, "STARTED").await;
    app.component("relay").stop().await.unwrap();
    app.register().await;
    app.component("relay-away").request_start().await.unwrap();
    eventually("the relay without Temporal counts", async || {
        let url = format!("{}/metrics", app.url("relay-away"));
        let text = app.http.get(url).send().await.map_err(|e| e.to_string())?;
        let text = text.text().await.map_err(|e| e.to_string())?;
        let has = |stage: &str, count: u64| {
            text.contains(&format!("registrations_in_stage{{stage=\"{stage}\"}} {count}\n"))
        };
        let seen = has("PENDING", 1) && has("STARTED", 1) && has("SENT", 0) && has("STALLED", 0);
        if seen { Ok(()) } else { Err(text) }
    })
    .await;
    app.component("relay-away").stop().await.unwrap();
    for service in ["relay", "worker"] {
        app.component(service).start().await.unwrap();
    }
    app.finish().await;
}

/// The rule, on the store itself: Temporal refuses single rows only by chance.
#[tokio::test]
async fn a_row_that_is_refused_while_others_pass_is_quarantined_and_holds_up_nobody() {
    let app = App::start_with(Options::only(&["auth"])).await;
    let (poison, healthy) = (app.register().await, app.register().await);
    let outbox = app.mongo().await.deliveries().clone();
    let make_due = async || {
        let now = doc! { "$set": { "nextAttemptAt": DateTime::from_millis(0) } };
        app.outbox().await.update_many(doc! {}, now).await.unwrap();
    };
    let refuse = async |alone: bool| {
        make_due().await;
        let due = outbox.due(10).await.unwrap().rows;
        let row = due.iter().find(|row| row.event_id == poison).unwrap();
        let claim = async || outbox.claim(&[row], Duration::from_secs(15)).await;
        assert_eq!(claim().await.unwrap(), [poison]);
        assert_eq!(claim().await.unwrap(), [], "claimed once");
        outbox.refuse(row, alone, "Temporal refused: too large").await.unwrap().quarantined
    };
    for _ in 0..=REFUSALS_MAX {
        assert!(!refuse(false).await, "what is refused to all is no row's fault");
    }
    for refusal in 1..=REFUSALS_MAX {
        assert_eq!(refuse(true).await, refusal == REFUSALS_MAX, "refusal {refusal}");
    }
    let row = app.row(poison).await;
    assert!(row.get_datetime("quarantinedAt").is_ok(), "{row}");
    assert_eq!(row.get_str("lastError").unwrap(), "Temporal refused: too large");
    let wait_ms = row.get_datetime("nextAttemptAt").unwrap().timestamp_millis() - clock::now_ms();
    assert!(wait_ms > 30 * 60_000, "tried again within the hour, not at once: {wait_ms} ms");
    let due = outbox.due(10).await.unwrap().rows;
    let due: Vec<_> = due.iter().map(|row| row.event_id).collect();
    assert_eq!(due, [healthy], "the other one is due");
    assert_eq!(outbox.stages(OVERDUE).await.unwrap().quarantined, 1);
    outbox.mark_started(&[poison], Duration::from_mins(5)).await.unwrap();
    assert_eq!(outbox.stages(OVERDUE).await.unwrap().quarantined, 0, "a start ends it");
    make_due().await;
    for service in ["relay", "worker", "todo"] {
        app.component(service).start().await.unwrap();
    }
    app.finish().await;
}

/// A namespace that is missing refuses every row: nobody is quarantined, and
/// all go on when it is mended.
#[tokio::test]
async fn a_refusal_of_all_rows_quarantines_none() {
    let options = Options::only(&["auth", "worker", "todo"]).and("relay-astray", "relay").with_for(
        "relay-astray",
        "TEMPORAL_NAMESPACE",
        "nowhere",
    );
    let app = App::prepare_on_shared(options).await;
    for service in ["auth", "worker", "todo"] {
        app.component(service).start().await.unwrap();
    }
    app.component("relay-astray").request_start().await.unwrap();
    let id = app.register().await;
    eventually("it is refused with a reason", async || {
        let row = app.row(id).await;
        let refused = row.get_str("lastError").is_ok_and(|e| e.contains("refused"));
        if refused && row.get_i32("attempts").is_ok_and(|a| a > 1) { Ok(()) } else { Err(row) }
    })
    .await;
    let row = app.row(id).await;
    assert_eq!(row.get_i64("refusals").unwrap_or(0), 0, "{row}");
    assert!(!row.contains_key("quarantinedAt"), "{row}");
    app.component("relay-astray").stop().await.unwrap();
    app.component("relay").start().await.unwrap();
    app.reaches(id, "ACKNOWLEDGED").await;
    app.finish().await;
}
