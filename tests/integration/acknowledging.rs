//! Acknowledgements that Temporal does not answer, alone or all of them.

use mongodb::bson::{Bson, DateTime, Document, doc};
use onboard_contract::EventId;
use onboard_runtime::clock;
use uuid::Uuid;

use crate::harness::{App, Calls, Options, binary, eventually};

/// The beginning of the ids of the events that are not answered.
const MARK: u128 = 0x0badc0de_0000_7000_8000_000000000000;
/// As it stands in the calls.
const MARKED: &[u8] = b"registration-0badc0de-";
/// More than a page of the sweep.
const UNANSWERED: u32 = 300;

/// A record that was made an hour ago and whose acknowledgement nobody has noted.
fn unnoted(event: Uuid) -> Document {
    let [user, todo] = [(); 2].map(|()| binary(Uuid::new_v4()));
    let hour_ago = DateTime::from_millis(clock::now_ms() - 3_600_000);
    doc! {
        "eventId": binary(event), "userId": user, "todoId": todo,
        "processedAt": hour_ago, "acknowledgedAt": null,
    }
}

/// Takes the notes of these acknowledgements away, so that the sweep sends them again.
async fn forget(app: &App, events: &[EventId]) {
    let events: Vec<_> = events.iter().map(|event| binary(event.uuid())).collect();
    let recently = DateTime::from_millis(clock::now_ms() - 60_000);
    let change = doc! { "$set": { "acknowledgedAt": null, "processedAt": recently } };
    let inbox = app.inbox().await;
    let done = inbox.update_many(doc! { "eventId": { "$in": &events } }, change).await.unwrap();
    assert_eq!(done.modified_count, events.len() as u64);
}

/// Waits until only so many acknowledgements are not noted.
async fn unnoted_are(app: &App, what: &str, expected: u64) {
    eventually(what, async || match app.unnoted().await {
        unnoted if unnoted == expected => Ok(()),
        unnoted => Err(unnoted),
    })
    .await;
}

#[tokio::test]
async fn the_sweep_goes_past_acknowledgements_that_are_not_answered() {
    let calls = Calls::start().await;
    let app = App::start_with(Options::default().temporal_calls_through("todo", &calls)).await;
    let mut registered = Vec::new();
    for _ in 0..5 {
        registered.push(app.register().await);
    }
    for id in &registered {
        app.reaches(*id, "ACKNOWLEDGED").await;
    }
    calls.do_not_answer(Some(MARKED));
    let records = (0..UNANSWERED).map(|n| unnoted(Uuid::from_u128(MARK + u128::from(n))));
    app.inbox().await.insert_many(records).await.unwrap();
    forget(&app, &registered).await;
    unnoted_are(&app, "the others are noted", UNANSWERED.into()).await;
    eventually("each is tried", async || match calls.unanswered() {
        tried if tried >= UNANSWERED as usize => Ok(()),
        tried => Err(tried),
    })
    .await;
    calls.do_not_answer(None);
    unnoted_are(&app, "all are noted", 0).await;
    app.inbox()
        .await
        .delete_many(doc! { "todoId": { "$nin": welcomes(&app).await } })
        .await
        .unwrap();
    app.finish().await;
}

async fn welcomes(app: &App) -> Vec<Bson> {
    app.todos().await.distinct("_id", doc! {}).await.unwrap()
}
