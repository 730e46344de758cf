//! The server's clock decides: a producer or a relay whose clock is wrong makes no row
//! wait, and nothing is removed before its time.

use mongodb::bson::{DateTime, Document, doc};
use onboard_contract::EventId;
use onboard_runtime::clock;
use uuid::Uuid;

use crate::harness::{App, Options, binary, eventually};

const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 24 * 60 * MINUTE_MS;

fn at(ms: i64) -> DateTime {
    DateTime::from_millis(clock::now_ms() + ms)
}

/// A row whose producer's clock is ahead by so much.
fn row(ahead_ms: i64) -> (EventId, Document) {
    let born_ms = u128::try_from(clock::now_ms() + ahead_ms).unwrap();
    let random = clock::random_id().as_u128() & ((1 << 76) - 1);
    let event = Uuid::from_u128((born_ms << 80) | (7 << 76) | random);
    let user = binary(Uuid::new_v4());
    let row = doc! {
        "_id": binary(event), "aggregateType": "User", "aggregateId": user,
        "eventType": "USER_REGISTERED", "schemaVersion": 1,
        "payload": { "userId": user, "email": "ahead@example.com" }, "status": "PENDING",
        "createdAt": at(ahead_ms), "nextAttemptAt": at(ahead_ms), "startedAt": null,
        "sentAt": null, "acknowledgedAt": null, "attempts": 0,
    };
    (event.into(), row)
}

#[tokio::test]
async fn a_registration_is_due_whatever_the_clock_of_auth_says() {
    for ahead_ms in [-10 * MINUTE_MS, 10 * MINUTE_MS, 400 * DAY_MS] {
        let options = Options::default().with_for("auth", "CLOCK_AHEAD_MS", &ahead_ms.to_string());
        let app = App::start_with(options).await;
        let id = app.register().await;
        eventually("it comes to its end", async || {
            let row = app.row(id).await;
            if row.get_datetime("acknowledgedAt").is_ok() { Ok(()) } else { Err(row) }
        })
        .await;
        let row = app.row(id).await;
        for field in ["startedAt", "sentAt", "acknowledgedAt"] {
            let off_ms = row.get_datetime(field).unwrap().timestamp_millis() - clock::now_ms();
            assert!(off_ms.abs() < 5 * MINUTE_MS, "{field} is the server's time: {row}");
        }
        app.finish().await;
    }
}

/// Rows that were inserted while no relay ran: no change stream tells of them.
#[tokio::test]
async fn a_row_from_the_future_is_due_when_the_relay_looks() {
    let app = App::start_with(Options::only(&["worker", "todo"])).await;
    let rows = [row(10 * MINUTE_MS), row(73 * 365 * DAY_MS)];
    app.outbox().await.insert_many(rows.iter().map(|(_, row)| row)).await.unwrap();
    app.component("relay").start().await.unwrap();
    for (id, _) in rows {
        eventually("it comes to its end", async || {
            let row = app.row(id).await;
            if row.get_datetime("acknowledgedAt").is_ok() { Ok(()) } else { Err(row) }
        })
        .await;
    }
    app.remove().await;
}

/// Temporal is never reached: the age grows, and the list names the row.
#[tokio::test]
async fn a_row_from_the_future_that_waits_is_seen_and_its_age_counts() {
    let options = Options::only(&[]).with_for("relay", "TEMPORAL_ADDRESS", "127.0.0.1:1");
    let app = App::start_with(options).await;
    let (id, row) = row(73 * 365 * DAY_MS);
    app.outbox().await.insert_one(row).await.unwrap();
    app.component("relay").request_start().await.unwrap();
    eventually("the age of the oldest PENDING row grows", async || {
        let text = app.http.get(format!("{}/metrics", app.url("relay"))).send().await;
        let text = text.map_err(|error| error.to_string())?.text().await.unwrap();
        let oldest = "registrations_oldest_age_seconds{stage=\"PENDING\"} ";
        let age = text.lines().find_map(|line| line.strip_prefix(oldest)?.parse::<f64>().ok());
        if age.is_some_and(|age| age > 3.0) { Ok(()) } else { Err(format!("{age:?}")) }
    })
    .await;
    let old = doc! { "$set": { "aheadSeenAt": at(-MINUTE_MS) } };
    app.outbox().await.update_one(doc! {}, old).await.unwrap();
    let stuck = app.tool(&["list", "--stuck"]).await.json;
    let first = &stuck["registrations"][0];
    assert_eq!(first["registrationId"], id.to_string(), "{stuck}");
    assert!(first["ageMs"].as_i64().unwrap() < 0, "{first}");
    assert!(first["reason"].as_str().unwrap().contains("in the future"), "{first}");
    app.component("relay").stop().await.unwrap();
    app.remove().await;
}

#[tokio::test]
async fn a_relay_whose_clock_jumps_removes_nothing_and_says_so() {
    let options = Options::only(&["auth", "worker", "todo"]).with_for(
        "relay",
        "CLOCK_AHEAD_MS",
        &(400 * DAY_MS).to_string(),
    );
    let app = App::start_with(options).await;
    let (id, mut done) = row(-10 * DAY_MS);
    done.extend(doc! {
        "status": "SENT", "startedAt": at(-10 * DAY_MS), "sentAt": at(-10 * DAY_MS),
        "acknowledgedAt": at(-10 * DAY_MS),
    });
    app.outbox().await.insert_one(done).await.unwrap();
    app.component("relay").start().await.unwrap();
    let registered = app.register().await;
    app.reaches(registered, "ACKNOWLEDGED").await;
    eventually("the metric says how wrong the clock is", async || {
        let text = app.http.get(format!("{}/metrics", app.url("relay"))).send().await.unwrap();
        let text = text.text().await.unwrap();
        let ahead = text
            .lines()
            .find_map(|line| line.strip_prefix("relay_clock_ahead_seconds ")?.parse::<f64>().ok());
        if ahead.is_some_and(|ahead| ahead > 300.0 * 86_400.0) { Ok(()) } else { Err(ahead) }
    })
    .await;
    let horizons = app.auth_database().await.collection::<Document>("retention");
    assert_eq!(horizons.find_one(doc! { "_id": "outbox" }).await.unwrap(), None);
    assert!(app.row(id).await.get_datetime("acknowledgedAt").is_ok());
    app.remove().await;
}

#[tokio::test]
async fn a_consumer_whose_clock_jumps_keeps_its_records() {
    let options = Options::only(&["auth", "worker", "relay"])
        .with_for("todo", "CLOCK_AHEAD_MS", &(400 * DAY_MS).to_string())
        .apart(&["todo"]);
    let app = App::start_with(options).await;
    app.component("todo").start().await.unwrap();
    let id = app.register().await;
    app.reaches(id, "ACKNOWLEDGED").await;
    // Without its row the record may go once it is old enough.
    app.outbox().await.delete_many(doc! {}).await.unwrap();
    let noted = doc! { "acknowledgedAt": { "$type": "date" } };
    eventually("the acknowledgement is noted", async || {
        match app.inbox().await.count_documents(noted.clone()).await.unwrap() {
            1 => Ok(()),
            records => Err(records),
        }
    })
    .await;
    let old = doc! { "$set": { "processedAt": at(-10 * DAY_MS) } };
    app.inbox().await.update_many(doc! {}, old).await.unwrap();
    // It looks at its start.
    app.component("todo").stop().await.unwrap();
    app.component("todo").start().await.unwrap();
    eventually("the log says why nothing is removed", async || {
        let log = std::fs::read_to_string(app.component("todo").log()).unwrap_or_default();
        if log.contains("old records are kept") { Ok(()) } else { Err("it does not") }
    })
    .await;
    assert_eq!(app.inbox().await.count_documents(doc! {}).await.unwrap(), 1);
    app.remove().await;
}
