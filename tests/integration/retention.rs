//! What may be removed is removed, nothing else is, and no crash in between
//! changes that.

use mongodb::bson::oid::ObjectId;
use mongodb::bson::{DateTime, Document, doc};
use onboard_contract::{EventId, UserId};
use onboard_events::TodoId;
use onboard_fault::{Side, Step};
use onboard_runtime::clock;
use uuid::Uuid;

use crate::harness::{App, Options, binary, eventually};
use crate::kill_points::tokens::Tokens;

const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

/// An event that was born some days ago (UUIDv7).
pub(crate) fn event_of(days: i64) -> EventId {
    let ms = u128::try_from(clock::now_ms() - days * DAY_MS).unwrap();
    let random = clock::random_id().as_u128() & ((1 << 80) - 1);
    Uuid::from_u128((ms << 80) | random).into()
}

fn ago(days: i64) -> DateTime {
    DateTime::from_millis(clock::now_ms() - days * DAY_MS)
}

pub(crate) fn row(
    event: EventId,
    user: UserId,
    created: i64,
    acknowledged: Option<i64>,
) -> Document {
    doc! {
        "_id": binary(event.uuid()), "aggregateType": "User", "aggregateId": binary(user.uuid()),
        "eventType": "USER_REGISTERED", "schemaVersion": 1,
        "payload": { "userId": binary(user.uuid()), "email": "old@example.com" },
        "status": "SENT", "createdAt": ago(created), "startedAt": ago(created),
        "sentAt": ago(created), "acknowledgedAt": acknowledged.map(ago), "attempts": 1,
    }
}

pub(crate) fn record(event: EventId, user: UserId, processed: i64, noted: Option<i64>) -> Document {
    let seconds = u32::try_from(ago(processed).timestamp_millis() / 1_000).unwrap();
    let random = clock::random_id().into_bytes();
    let id = ObjectId::from_parts(
        seconds,
        random[..5].try_into().unwrap(),
        random[5..8].try_into().unwrap(),
    );
    doc! {
        "_id": id, "eventId": binary(event.uuid()), "userId": binary(user.uuid()),
        "todoId": binary(TodoId::welcome(user).uuid()), "processedAt": ago(processed),
        "acknowledgedAt": noted.map(ago),
    }
}

pub(crate) fn user() -> UserId {
    clock::random_id().into()
}

/// With a token at each of these steps, where the service crashes once.
fn crashing(service: &'static str, steps: &[Step]) -> (Tokens, Options) {
    let both = |step: &Step| [step.point(Side::Before), step.point(Side::After)];
    let tokens = Tokens::new(steps.iter().flat_map(both));
    let options = Options::only(&[]).with_for(service, "FAILPOINTS", &tokens.armed("crash"));
    (tokens, options)
}

#[tokio::test]
async fn rows_that_are_done_and_old_are_removed_and_no_others() {
    let (tokens, options) = crashing("relay", &[Step("purge.horizon"), Step("purge.outbox")]);
    let app = App::start_with(options).await;
    let outbox = app.outbox().await;
    // 600 are more than a page.
    let done: Vec<Document> =
        (0..600).map(|_| row(event_of(100), user(), 100, Some(100))).collect();
    outbox.insert_many(&done).await.unwrap();
    let kept = [
        row(event_of(100), user(), 100, None),
        row(event_of(100), user(), 100, Some(80)),
        row(event_of(80), user(), 80, Some(80)),
    ];
    outbox.insert_many(&kept).await.unwrap();
    let mut waiting = row(event_of(100), user(), 100, None);
    waiting.insert("status", "PENDING");
    waiting.insert("sentAt", mongodb::bson::Bson::Null);
    waiting.insert("nextAttemptAt", ago(-1));
    outbox.insert_one(&waiting).await.unwrap();
    app.component("relay").request_start().await.unwrap();
    eventually("what is done and old is gone", async || {
        match outbox.count_documents(doc! {}).await.unwrap() {
            4 if tokens.left().is_empty() => Ok(()),
            rows => Err((rows, tokens.left())),
        }
    })
    .await;
    for row in kept.iter().chain([&waiting]) {
        let id = doc! { "_id": row.get("_id").unwrap() };
        assert!(outbox.find_one(id).await.unwrap().is_some(), "{row}");
    }
    let horizons = app.auth_database().await.collection::<Document>("retention");
    let horizon = horizons.find_one(doc! { "_id": "outbox" }).await.unwrap().unwrap();
    let removed_before = *horizon.get_datetime("removedBefore").unwrap();
    assert!(removed_before > ago(91) && removed_before < ago(89), "{horizon}");
    app.remove().await;
}

#[tokio::test]
async fn inbox_records_outlive_their_rows() {
    let (tokens, options) = crashing("todo", &[Step("purge.horizon"), Step("purge.inbox")]);
    // The sweep must not note the one that is to stay unnoted.
    // It never had a way to the outbox's database.
    let options = options.with("TODO_SWEEP_INTERVAL", "10m").with_for(
        "todo",
        "AUTH_MONGODB_URI",
        "mongodb://127.0.0.1:1/?directConnection=true",
    );
    let app = App::start_with(options).await;
    let inbox = app.inbox().await;
    let (with_row, unnoted, young) = (event_of(200), event_of(200), event_of(170));
    app.outbox().await.insert_one(row(with_row, user(), 200, Some(200))).await.unwrap();
    // More than two pages; those of the first page all stay.
    let filler: Vec<EventId> = (0..600).map(|_| event_of(250)).collect();
    let rows = filler.iter().map(|event| row(*event, user(), 250, Some(250)));
    app.outbox().await.insert_many(rows).await.unwrap();
    let records = filler.iter().map(|event| record(*event, user(), 250, Some(250)));
    inbox.insert_many(records).await.unwrap();
    let gone: Vec<EventId> = (0..20).map(|_| event_of(200)).collect();
    let records = gone.iter().map(|event| record(*event, user(), 200, Some(200)));
    inbox.insert_many(records).await.unwrap();
    let mut deletion = record(event_of(200), user(), 200, Some(200));
    deletion.insert("todoDeletedAt", ago(199));
    let mut of_conflict = record(event_of(200), user(), 200, Some(200));
    let other = user();
    let conflict = doc! {
        "userId": binary(other.uuid()), "todoId": binary(TodoId::welcome(other).uuid()),
        "at": ago(200), "todoDeletedAt": ago(199),
    };
    of_conflict.insert("conflicts", vec![conflict]);
    let kept = [
        record(with_row, user(), 200, Some(200)),
        record(unnoted, user(), 200, None),
        record(young, user(), 170, Some(170)),
        deletion,
        of_conflict,
    ];
    inbox.insert_many(&kept).await.unwrap();
    // Only the outbox's owner says which rows are gone: nothing goes without it.
    app.component("todo").start().await.unwrap();
    assert_eq!(inbox.count_documents(doc! {}).await.unwrap(), 625);
    app.component("worker").start().await.unwrap();
    eventually("what nothing can ask for is gone", async || {
        match inbox.count_documents(doc! {}).await.unwrap() {
            605 if tokens.left().is_empty() => Ok(()),
            records => Err((records, tokens.left())),
        }
    })
    .await;
    for record in &kept {
        let id = doc! { "_id": record.get("_id").unwrap() };
        assert!(inbox.find_one(id).await.unwrap().is_some(), "{record}");
    }
    app.remove().await;
}

/// The last line: with row and record gone, a message that is older than both
/// still makes no second todo.
#[tokio::test]
async fn a_message_older_than_its_inbox_record_makes_no_second_todo() {
    let app = App::start().await;
    let id = app.register().await;
    app.reaches(id, "ACKNOWLEDGED").await;
    let found = app.row(id).await;
    let user: mongodb::bson::Uuid =
        mongodb::bson::deserialize_from_bson(found.get("aggregateId").unwrap().clone()).unwrap();
    let user = UserId::from(Uuid::from_bytes(user.bytes()));
    app.nothing_is_left().await;
    app.inbox().await.delete_one(doc! { "eventId": binary(id.uuid()) }).await.unwrap();
    let body = serde_json::json!({
        "eventId": id, "eventType": "USER_REGISTERED", "schemaVersion": 1,
        "payload": { "userId": user, "email": "old@example.com" },
    });
    assert!(app.publish_by_hand(&body.to_string()).await);
    eventually("it is applied again", async || {
        let found = app.inbox().await.find_one(doc! { "eventId": binary(id.uuid()) }).await;
        found.unwrap().map(drop).ok_or("no record")
    })
    .await;
    assert_eq!(app.todos_of(user).await, 1);
    app.finish().await;
}
