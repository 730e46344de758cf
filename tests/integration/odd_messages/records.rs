//! Inbox records that cannot be read: each concerns its own event alone, in the group
//! of a transaction and in the sweep, and no query of the inbox sorts or scans.

use std::collections::BTreeSet;

use futures::TryStreamExt;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Bson, DateTime, Document, RawDocumentBuf, doc};
use onboard_contract::{EventId, UserId};
use onboard_events::TodoId;
use serde_json::Value;

use super::event;
use crate::harness::{App, Options, binary, eventually};

const INNOCENTS: usize = 58;

/// A record as it should be.
fn record(event: EventId, user: UserId, acknowledged: bool) -> Document {
    let now = DateTime::now();
    let acknowledged = if acknowledged { Bson::from(now) } else { Bson::Null };
    doc! {
        "eventId": binary(event.uuid()), "userId": binary(user.uuid()),
        "todoId": binary(TodoId::welcome(user).uuid()), "processedAt": now,
        "acknowledgedAt": acknowledged,
    }
}

/// Values of any field.
fn odd_values() -> Vec<Bson> {
    let old = Binary { subtype: BinarySubtype::UuidOld, bytes: vec![7; 16] };
    vec![
        "ada".into(),
        5.into(),
        Bson::Null,
        Bson::Binary(old),
        doc! { "a": 1 }.into(),
        vec![Bson::Null, 7.into()].into(),
        NO_TEXT.into(),
    ]
}

/// Stands for a text that is not UTF-8 until it is stored.
const NO_TEXT: &str = "no text";

/// Stores a record whatever its validator says.
async fn store(app: &App, record: &Document) {
    let raw = RawDocumentBuf::try_from(record).unwrap();
    let mut bytes = raw.as_bytes().to_vec();
    while let Some(at) = bytes.windows(NO_TEXT.len()).position(|part| part == NO_TEXT.as_bytes()) {
        bytes[at..at + NO_TEXT.len()].fill(0xff);
    }
    let raw = RawDocumentBuf::from_bytes(bytes).unwrap();
    let inbox = app.inbox().await.clone_with_type::<RawDocumentBuf>();
    inbox.insert_one(raw).bypass_document_validation(true).await.unwrap();
}

#[tokio::test]
async fn a_record_that_cannot_be_read_refuses_its_own_event_alone() {
    let app = App::prepare_on_shared(Options::only(&["todo"])).await;
    let (mut bodies, mut refused, mut applied) = (Vec::new(), BTreeSet::new(), Vec::new());
    for field in ["userId", "todoId", "processedAt", "acknowledgedAt", "traceparent", "conflicts"] {
        for value in odd_values() {
            let (event, user, body) = event();
            let mut record = record(event, user, true);
            record.insert(field, value);
            store(&app, &record).await;
            bodies.push(body.to_string());
            if ["userId", "todoId"].contains(&field) {
                refused.insert(event.to_string());
            }
        }
    }
    // Another user's message with the event id of a record whose list is none.
    let (first, user, _) = event();
    let mut odd = record(first, user, true);
    odd.insert("conflicts", NO_TEXT);
    store(&app, &odd).await;
    let (_, other, mut body) = event();
    body["eventId"] = first.to_string().into();
    bodies.push(body.to_string());
    applied.push(other);
    // No record of theirs.
    for value in odd_values() {
        let (event, user, body) = event();
        let mut record = record(event, user, true);
        record.insert("eventId", if value == Bson::Null { "null".into() } else { value });
        store(&app, &record).await;
        bodies.push(body.to_string());
        applied.push(user);
    }
    for _ in 0..INNOCENTS {
        let (_, user, body) = event();
        bodies.insert(bodies.len() / 2, body.to_string());
        applied.push(user);
    }
    app.publish_all(&bodies).await;
    app.component("todo").start().await.unwrap();
    app.acked((bodies.len() - refused.len()) as u64).await;
    app.dead_letters_are(u32::try_from(refused.len()).unwrap()).await;
    let event_of = |letter: Value| {
        let body: Value = serde_json::from_str(letter["payload"].as_str().unwrap()).unwrap();
        body["eventId"].as_str().unwrap().to_owned()
    };
    let letters: BTreeSet<_> = app.dead_letters().await.into_iter().map(event_of).collect();
    assert_eq!(letters, refused);
    for user in applied {
        assert_eq!(app.todos_of(user).await, 1, "{user}");
    }
    let looked = app.tool(&["redrive", "--dead-letters", "--dry-run"]).await;
    assert!(matches!(looked.code, Some(0 | 1)), "each letter is judged: {}", looked.text);
    // None of them is taken for a leftover.
    let redriven = app.tool(&["redrive", "--dead-letters", "--reason", "to see"]).await.no();
    let left = redriven["left"].as_array().unwrap();
    assert_eq!(left.len(), refused.len(), "{redriven}");
    for one in left {
        let why = one["why"].as_str().unwrap();
        assert!(why.contains("its inbox record must be mended first"), "{one}");
    }
    app.dead_letters_are(u32::try_from(refused.len()).unwrap()).await;
    app.purge_dead_letters().await;
    app.remove().await;
}

#[tokio::test]
async fn the_sweep_passes_over_records_that_cannot_be_read_and_sorts_nothing() {
    let options =
        Options::only(&["todo"]).with("TODO_SWEEP_INTERVAL", "1s").with("TODO_SWEEP_AGE", "1s");
    let app = App::prepare_on_shared(options).await;
    let mut unreadable = 0;
    for field in ["eventId", "todoId", "traceparent"] {
        for value in odd_values().into_iter().filter(|value| *value != Bson::Null) {
            let (event, user, _) = event();
            let mut record = record(event, user, false);
            record.insert(field, value);
            unreadable += u64::from(field != "traceparent");
            store(&app, &record).await;
        }
    }
    // All of one moment, and three pages.
    let inbox = app.inbox().await;
    let records: Vec<_> = (0..700).map(|_| event()).collect();
    let now = DateTime::from_millis(DateTime::now().timestamp_millis() - 60_000);
    let records = records.iter().map(|(event, user, _)| {
        let mut record = record(*event, *user, false);
        record.insert("processedAt", now);
        record
    });
    inbox.insert_many(records).await.unwrap();
    let database = app.todo_database().await;
    database.run_command(doc! { "profile": 2 }).await.unwrap();
    app.component("todo").start().await.unwrap();
    eventually("all that can be read are noted", async || match app.unnoted().await {
        left if left == unreadable => Ok(()),
        left => Err((left, unreadable)),
    })
    .await;
    database.run_command(doc! { "profile": 0 }).await.unwrap();
    let profile = database.collection::<Document>("system.profile");
    let of_inbox = doc! { "ns": format!("todo-{}.processed_events", app.names), "planSummary": { "$exists": true } };
    let looks: Vec<Document> = profile.find(of_inbox).await.unwrap().try_collect().await.unwrap();
    // The test's own counts name no application.
    let looks =
        looks.iter().filter(|look| look.get_str("appName").is_ok_and(|name| !name.is_empty()));
    let mut sweeps = 0;
    for look in looks {
        let plan = look.get_str("planSummary").unwrap();
        assert!(plan.starts_with("IXSCAN"), "{look}");
        assert!(!look.get_bool("hasSortStage").unwrap_or_default(), "{look}");
        sweeps += usize::from(plan.contains("processedAt"));
    }
    assert!(sweeps >= 3, "the pages of a sweep: {sweeps}");
    profile.drop().await.unwrap();
    app.remove().await;
}
