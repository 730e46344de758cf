//! Temporal does not answer for single workflows: these wait by themselves, and the
//! others go on.

use std::time::Instant;

use mongodb::bson::{DateTime, Document, doc};
use onboard_contract::EventId;
use onboard_stack::Server;
use uuid::Uuid;

use crate::harness::{Act, App, Options, Proxy, Way, binary, eventually};

/// The beginning of the ids of the events that are not answered.
const MARK: u128 = 0x0badc0de_0000_7000_8000_000000000000;
/// As it stands in the calls.
const MARKED: &[u8] = b"registration-0badc0de-";

fn row(event: Uuid) -> Document {
    let user = binary(Uuid::new_v4());
    doc! {
        "_id": binary(event), "aggregateType": "User", "aggregateId": user,
        "eventType": "USER_REGISTERED", "schemaVersion": 1,
        "payload": { "userId": user, "email": "unanswered@example.com" }, "status": "PENDING",
        "createdAt": DateTime::now(), "nextAttemptAt": DateTime::now(), "startedAt": null,
        "sentAt": null, "acknowledgedAt": null, "attempts": 0,
    }
}

#[tokio::test]
async fn starts_that_are_not_answered_hold_up_no_other() {
    let temporal = Proxy::before(Server::Temporal).await;
    // One at a time, since a cut connection is cut for all calls on it.
    let options = Options::default().temporal_through("relay", &temporal).with_for(
        "relay",
        "RELAY_CONCURRENCY",
        "1",
    );
    let app = App::start_with(options).await;
    temporal.when(Way::ToServer, MARKED, Act::Cut, usize::MAX);
    let rows: Vec<Document> = (0..64).map(|n| row(Uuid::from_u128(MARK + n))).collect();
    app.outbox().await.insert_many(rows).await.unwrap();
    let begun = Instant::now();
    for _ in 0..5 {
        let id = app.register().await;
        app.reaches(id, "ACKNOWLEDGED").await;
    }
    eprintln!("five registrations beside 64 that are not answered: {:?}", begun.elapsed());
    let tried = eventually("each of the others has been tried", async || {
        let untried = doc! { "attempts": 0, "status": "PENDING" };
        match app.outbox().await.count_documents(untried).await.unwrap() {
            0 => Ok(temporal.acted()),
            left => Err(left),
        }
    })
    .await;
    assert!(tried >= 64, "{tried}");
    temporal.pass();
    app.remove().await;
}

#[tokio::test]
async fn the_rebuild_goes_past_a_workflow_that_is_not_answered() {
    let temporal = Proxy::before(Server::Temporal).await;
    let options = Options::only(&["auth", "worker", "relay"])
        .temporal_through("relay", &temporal)
        .with_for("relay", "RELAY_CONCURRENCY", "1")
        .with("RELAY_REBUILD_AFTER", "1s")
        .with("REGISTRATION_OVERDUE", "1h");
    let app = App::start_with(options).await;
    let poison: Vec<EventId> = (0..4).map(|n| Uuid::from_u128(MARK + n).into()).collect();
    let rows: Vec<Document> = poison.iter().map(|event| row(event.uuid())).collect();
    app.outbox().await.insert_many(rows).await.unwrap();
    for id in &poison {
        app.reaches(*id, "SENT").await;
    }
    // Sent later, so the rebuild comes to it last.
    let healthy = app.register().await;
    app.reaches(healthy, "SENT").await;
    temporal.when(Way::ToServer, MARKED, Act::Cut, usize::MAX);
    let all: Vec<EventId> = poison.iter().copied().chain([healthy]).collect();
    for id in &all {
        app.delete_workflow(&format!("registration-{id}")).await;
    }
    eventually("the other one is rebuilt", async || app.workflow(healthy).await.ok_or(())).await;
    assert_eq!(app.workflow(poison[0]).await, None);
    temporal.pass();
    for id in poison {
        eventually("it is rebuilt, too", async || app.workflow(id).await.ok_or(())).await;
    }
    app.remove().await;
}
