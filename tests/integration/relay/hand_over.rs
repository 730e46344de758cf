//! Rows are handed over without a look and a claim, late ones are claimed many at once,
//! and rows are lost to no crash and no full channel.

use std::time::{Duration, Instant};

use mongodb::bson::{DateTime, Document, doc};
use onboard_contract::{EventId, UserId};
use onboard_fault::{Side, Step};
use onboard_runtime::clock;

use crate::harness::{App, Options, binary, dwindles, eventually, whole_machine};
use crate::kill_points::tokens::Tokens;

const SWEEP: Duration = Duration::from_mins(1);
/// Rows a relay claims at once.
const PAGE: u64 = 64;

async fn found(app: &App, relay: &str, how: &str) -> u64 {
    app.counter(relay, "relay_rows_claimed_total", how).await
}

/// Starts that Temporal answered too late; each is made again.
async fn unanswered(app: &App) -> u64 {
    app.counter("relay", "relay_starts_total", "unavailable").await
}

/// Inserts PENDING rows behind auth's back, quicker than it can. The last is due
/// first: a look finds those that the change stream tells of last.
async fn insert(app: &App, rows: i64) {
    let now = DateTime::now();
    let rows: Vec<Document> = (0..rows)
        .map(|row| {
            let event: EventId = clock::ordered_id().into();
            let user: UserId = clock::random_id().into();
            doc! {
                "_id": binary(event.uuid()), "aggregateType": "User",
                "aggregateId": binary(user.uuid()), "eventType": "USER_REGISTERED",
                "schemaVersion": 1, "status": "PENDING", "createdAt": now,
                "nextAttemptAt": DateTime::from_millis(now.timestamp_millis() - row),
                "payload": { "userId": binary(user.uuid()), "email": "many@example.com" },
                "startedAt": null, "sentAt": null, "acknowledgedAt": null, "attempts": 0,
            }
        })
        .collect();
    app.outbox().await.insert_many(rows).await.unwrap();
}

async fn rows_with(app: &App, filter: Document) -> u64 {
    app.outbox().await.count_documents(filter).await.unwrap()
}

#[tokio::test]
async fn a_row_is_handed_over_and_nobody_looks_for_it() {
    let options =
        Options::default().apart(&["relay"]).failing("relay").with("RELAY_SWEEP_INTERVAL", "1m");
    let app = App::start_with(options).await;
    // MaxTimeMSExpired: one after which the driver still trusts the server.
    let blind = doc! { "failCommands": ["find"], "errorCode": 50 };
    let point = app.fail_commands(doc! { "times": i32::MAX }, blind).await;
    eventually("the change stream is open", async || {
        app.register().await;
        match found(&app, "relay", "handed_over").await {
            0 => Err("nothing was handed over yet"),
            _ => Ok(()),
        }
    })
    .await;
    let before = found(&app, "relay", "handed_over").await;
    for _ in 0..5 {
        let id = app.register().await;
        app.reaches(id, "ACKNOWLEDGED").await;
    }
    assert!(found(&app, "relay", "handed_over").await >= before + 5);
    assert_eq!(rows_with(&app, doc! { "attempts": { "$ne": 0 } }).await, 0, "none was claimed");
    point.off().await;
    app.component("relay").kill().await.unwrap();
    app.ready("relay").await;
    app.finish().await;
}

#[tokio::test]
async fn when_the_channel_is_full_the_sweep_takes_over() {
    let _machine = whole_machine().await;
    let options = Options::only(&["auth", "relay"]).with("RELAY_SWEEP_INTERVAL", "1m");
    let app = App::start_with(options).await;
    let id = app.register().await;
    app.reaches(id, "STARTED").await;
    let begun = Instant::now();
    insert(&app, 450).await;
    eventually("the sweep has found some", async || match found(&app, "relay", "swept").await {
        0 => Err("none"),
        _ => Ok(()),
    })
    .await;
    assert!(begun.elapsed() < SWEEP * 3 / 4, "the sweep was waited for: {:?}", begun.elapsed());
    dwindles("all are started", async || rows_with(&app, doc! { "startedAt": null }).await).await;
    assert!(app.counter("relay", "relay_hand_over_full_total", "").await > 0, "it was full");
    assert!(found(&app, "relay", "handed_over").await > 1, "what had room was handed over");
    let again = rows_with(&app, doc! { "attempts": { "$gt": 1 } }).await;
    let unanswered = unanswered(&app).await;
    assert!(again <= unanswered, "claimed once at most: {again}, {unanswered} unanswered");
    // Found by a look at the very moment when they were done.
    let in_vain = app.counter("relay", "relay_claims_lost_total", "").await;
    assert!(in_vain < 45, "what was handed over is not swept as well: {in_vain}");
    app.remove().await;
}

#[tokio::test]
async fn no_more_is_started_than_gets_on_and_what_stands_still_holds_up_nobody() {
    let _machine = whole_machine().await;
    let options = Options::only(&["auth", "relay"]).with("RELAY_UNSENT_MAX", "20");
    let app = App::start_with(options).await;
    insert(&app, 600).await;
    let full = async || app.counter("relay", "relay_room_full", "").await;
    eventually("there is no room", async || match full().await {
        0 => Err("there is room"),
        _ => Ok(()),
    })
    .await;
    let waiting = rows_with(&app, doc! { "startedAt": null }).await;
    assert!(waiting > 200, "only {waiting} of 600 wait, without anybody to get on with them");
    // A minute later those that were started no longer count.
    let minute_ago = DateTime::from_millis(clock::now_ms() - 61_000);
    dwindles("rows that wait for room", async || {
        let age = doc! { "$set": { "startedAt": minute_ago } };
        let started = doc! { "startedAt": { "$gt": minute_ago } };
        app.outbox().await.update_many(started, age).await.unwrap();
        rows_with(&app, doc! { "startedAt": null }).await
    })
    .await;
    app.remove().await;
}

#[tokio::test]
async fn a_relay_killed_after_it_claimed_a_page_leaves_that_page_to_be_due_again() {
    let tokens = Tokens::new(std::iter::once(Step("relay.claim").point(Side::After)));
    let options = Options::only(&["auth", "worker", "todo"])
        .with("RELAY_CLAIM_LEASE", "10s")
        .with_for("relay", "FAILPOINTS", &tokens.armed("crash"));
    let app = App::start_with(options).await;
    app.register_many(100).await;
    app.component("relay").request_start().await.unwrap();
    eventually("the relay has died after a claim", async || match tokens.left() {
        left if left.is_empty() => Ok(()),
        left => Err(left),
    })
    .await;
    app.nothing_is_left().await;
    app.every_registration_has_one_workflow().await;
    let again = rows_with(&app, doc! { "attempts": { "$gt": 1 } }).await;
    let page = PAGE..=PAGE + unanswered(&app).await;
    assert!(page.contains(&again), "one page was claimed by the one that died: {again}, {page:?}");
    app.finish().await;
}

/// The rule, on the store itself.
#[tokio::test]
async fn of_many_rows_a_claim_gets_those_that_nobody_has_claimed_since() {
    let app = App::start_with(Options::only(&["auth"])).await;
    app.register_many(5).await;
    let outbox = app.mongo().await.deliveries().clone();
    let lease = Duration::from_secs(15);
    let seen = outbox.due(3).await.unwrap();
    assert!(seen.full, "there are more");
    let all: Vec<_> = seen.rows.iter().collect();
    let second = outbox.claim(&all[1..2], lease).await.unwrap();
    assert_eq!(second, [all[1].event_id]);
    let claimed = outbox.claim(&all, lease).await.unwrap();
    let has = [0, 1, 2].map(|at| claimed.contains(&all[at].event_id));
    assert_eq!(has, [true, false, true], "{claimed:?}");
    let again = outbox.claim(&all, lease).await.unwrap();
    assert_eq!(again, []);
    let left = outbox.due(256).await.unwrap();
    assert_eq!((left.rows.len(), left.full), (2, false), "the others are due");
    let events = [all[0].event_id, all[2].event_id];
    outbox.mark_started(&events, SWEEP).await.unwrap();
    assert_eq!(rows_with(&app, doc! { "startedAt": { "$type": "date" } }).await, 2);
    for service in ["relay", "worker", "todo"] {
        app.component(service).start().await.unwrap();
    }
    let now = doc! { "$set": { "nextAttemptAt": DateTime::now() } };
    app.outbox().await.update_many(doc! { "status": "PENDING" }, now).await.unwrap();
    app.finish().await;
}

/// A row is damaged between look and claim, and the server refuses every change of such
/// a row, so that it refuses the claim of the whole page.
#[tokio::test]
async fn one_damaged_row_spoils_the_claim_for_no_other() {
    let tokens = Tokens::new(std::iter::once(Step("relay.claim").point(Side::Before)));
    let options = Options::only(&["auth", "worker", "todo"]).with_for(
        "relay",
        "FAILPOINTS",
        &tokens.armed("slow:4000"),
    );
    let app = App::start_with(options).await;
    let damaged = app.register().await;
    let healthy = [app.register().await, app.register().await];
    app.component("relay").request_start().await.unwrap();
    eventually("the relay is about to claim", async || match tokens.left() {
        left if left.is_empty() => Ok(()),
        left => Err(left),
    })
    .await;
    let (outbox, row) = (app.outbox().await, doc! { "_id": binary(damaged.uuid()) });
    let payload = app.row(damaged).await.get("payload").cloned().unwrap();
    let damage = doc! { "$unset": { "payload": "" } };
    outbox.update_one(row.clone(), damage).bypass_document_validation(true).await.unwrap();
    app.refuses_damaged_rows(true).await;
    for id in healthy {
        app.reaches(id, "ACKNOWLEDGED").await;
        assert_eq!(app.row(id).await.get_i32("attempts").unwrap(), 1, "claimed all the same");
    }
    assert_eq!(app.row(damaged).await.get_i32("attempts").unwrap(), 0, "it alone was not");
    app.refuses_damaged_rows(false).await;
    let repaired = doc! { "$set": { "payload": payload, "nextAttemptAt": DateTime::now() } };
    outbox.update_one(row, repaired).await.unwrap();
    app.finish().await;
}
