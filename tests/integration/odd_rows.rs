//! Outbox rows that nobody here wrote: each is set apart by itself, named by its own
//! id, and holds up no other.

use std::time::{Duration, Instant};

use mongodb::bson::oid::ObjectId;
use mongodb::bson::raw::RawArrayBuf;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{
    Binary, Bson, DateTime, Document, RawDocumentBuf, cstr, doc, serialize_to_raw_document_buf,
};
use onboard_contract::EventId;
use onboard_mongo::testing::{NO_UTF8, broken};
use uuid::Uuid;

use crate::harness::{App, Options, binary, eventually};

/// More than two pages of the relay.
const ROWS: usize = 150;

/// A PENDING row that is sound but for its id.
fn row(id: impl Into<Bson>) -> Document {
    let user = binary(Uuid::new_v4());
    doc! {
        "_id": id, "aggregateType": "User", "aggregateId": user, "eventType": "USER_REGISTERED",
        "schemaVersion": 1, "payload": { "userId": user, "email": "odd@example.com" },
        "status": "PENDING", "createdAt": DateTime::from_millis(0), "startedAt": null,
        "sentAt": null, "acknowledgedAt": null, "attempts": 0,
        "nextAttemptAt": DateTime::from_millis(0),
    }
}

/// Ids of every other type, and what a list names them by.
fn odd_ids() -> Vec<(Bson, &'static str)> {
    let bytes = Uuid::from_u128(7).into_bytes().to_vec();
    vec![
        (ObjectId::from_bytes([7; 12]).into(), "ObjectId(\"070707070707070707070707\")"),
        (7.into(), "7"),
        (7.5.into(), "7.5"),
        (true.into(), "true"),
        (Bson::Null, "null"),
        (DateTime::from_millis(0).into(), "1970"),
        (doc! { "event": 7 }.into(), "event"),
        (Binary { subtype: BinarySubtype::UuidOld, bytes: bytes.clone() }.into(), "0x3"),
        (Binary { subtype: BinarySubtype::Generic, bytes }.into(), "0x0"),
        (Bson::MaxKey, "MaxKey"),
    ]
}

impl App {
    /// Inserts rows as they are, past the validator.
    async fn insert_raw(&self, rows: Vec<RawDocumentBuf>) {
        let mut documents = RawArrayBuf::new();
        for row in rows {
            documents.push(row);
        }
        let insert = doc! { "insert": "outbox", "bypassDocumentValidation": true };
        let mut command = serialize_to_raw_document_buf(&insert).unwrap();
        // The driver's own insert refuses an id that is no UTF-8.
        command.append(cstr!("documents"), documents);
        let answer = self.auth_database().await.run_raw_command(command).await.unwrap();
        assert!(!answer.contains_key("writeErrors"), "{answer}");
    }

    /// Waits until so many rows are quarantined, and the relay counts them.
    async fn quarantines(&self, rows: u64) {
        eventually(&format!("{rows} rows are quarantined"), async || {
            match self.counter("relay", "registrations_quarantined", "").await {
                seen if seen == rows => Ok(()),
                seen => Err(seen),
            }
        })
        .await;
    }

    async fn is_acknowledged(&self, id: EventId) {
        let this = doc! { "_id": binary(id.uuid()) };
        let done = doc! { "acknowledgedAt": { "$type": "date" } };
        eventually("the row is acknowledged", async || {
            let outbox = self.outbox().await;
            match outbox.count_documents(doc! { "$and": [&this, &done] }).await.unwrap() {
                1 => Ok(()),
                _ => Err(id),
            }
        })
        .await;
    }
}

#[tokio::test]
async fn rows_with_ids_of_any_type_hold_up_nobody_and_are_named() {
    let app = App::start_with(Options::only(&["auth", "worker", "todo"])).await;
    let texts: Vec<String> = (0..ROWS).map(|_| Uuid::now_v7().to_string()).collect();
    let mut rows: Vec<Document> = texts.iter().map(|text| row(text.as_str())).collect();
    let ids = odd_ids();
    rows.extend(ids.iter().map(|(id, _)| row(id.clone())));
    let mut rows: Vec<_> =
        rows.iter().map(|row| serialize_to_raw_document_buf(row).unwrap()).collect();
    rows.push(broken(&row(NO_UTF8)));
    let all = rows.len() as u64;
    app.insert_raw(rows).await;
    let healthy = [app.register().await, app.register().await];
    app.component("relay").start().await.unwrap();
    for id in healthy {
        app.reaches(id, "ACKNOWLEDGED").await;
    }
    app.quarantines(all).await;
    let since = app.outbox().await.find_one(doc! { "_id": 7 }).await.unwrap().unwrap();

    let list = app.tool(&["list", "--stuck", "--limit", "1000"]).await.yes();
    let odd = list["oddRows"].to_string();
    assert_eq!(list["oddRows"].as_array().unwrap().len() as u64, all, "{odd}");
    for name in ids.iter().map(|(_, name)| *name).chain([texts[0].as_str(), "\u{fffd}utf8"]) {
        assert!(odd.contains(&name.replace('"', "\\\"")), "{name} in {odd}");
    }
    for shown in [texts[0].as_str(), "7", "\u{fffd}utf8"] {
        let record = app.tool(&["show", shown]).await.no();
        assert!(record["missing"].to_string().contains("_id is of the BSON type"), "{record}");
    }
    // A relay that meets them again leaves them as they are.
    app.component("relay").stop().await.unwrap();
    app.component("relay").start().await.unwrap();
    let id = app.register().await;
    app.reaches(id, "ACKNOWLEDGED").await;
    let again = app.outbox().await.find_one(doc! { "_id": 7 }).await.unwrap().unwrap();
    assert_eq!(again, since);
    let odd = doc! { "payload.email": "odd@example.com" };
    assert_eq!(app.outbox().await.delete_many(odd).await.unwrap().deleted_count, all);
    app.finish().await;
}

#[tokio::test]
async fn fields_that_decide_nothing_hold_up_no_row() {
    let app = App::start_with(Options::only(&["auth", "worker", "todo"])).await;
    let mut odd = Vec::new();
    for change in [
        doc! { "attempts": "many", "refusals": "none" },
        doc! { "attempts": i64::MAX, "refusals": -1 },
        doc! { "attempts": null, "refusals": null },
        doc! { "traceparent": 7, "lastError": { "why": 7 } },
        doc! { "createdAt": "soon" },
        doc! { "createdAt": DateTime::MAX },
        doc! { "startedAt": "then" },
        doc! { "sentAt": "then" },
        doc! { "acknowledgedAt": "then" },
        doc! { "acknowledgements": 7, "waived": "x" },
        doc! { "nextAttemptAt": "soon" },
        doc! { "nextAttemptAt": null },
        doc! { "nextAttemptAt": DateTime::MAX },
        doc! { "quarantinedAt": "then" },
    ] {
        let id = app.register().await;
        app.spoil_row(id, doc! { "$set": change }).await;
        odd.push(id);
    }
    let missing = app.register().await;
    let fields = doc! { "attempts": "", "nextAttemptAt": "", "lastError": "", "createdAt": "" };
    app.spoil_row(missing, doc! { "$unset": fields }).await;
    odd.push(missing);
    app.component("relay").start().await.unwrap();
    for id in odd {
        app.is_acknowledged(id).await;
    }
    app.quarantines(0).await;
    app.finish().await;
}

#[tokio::test]
async fn a_text_that_is_no_utf8_spoils_its_own_row_alone() {
    let app = App::start_with(Options::only(&["auth", "worker", "todo"])).await;
    let ids: Vec<EventId> = (0..3).map(|_| Uuid::now_v7().into()).collect();
    let rows = ["traceparent", "eventType", "status"].iter().zip(&ids).map(|(field, id)| {
        let mut row = row(binary(id.uuid()));
        row.insert(*field, NO_UTF8);
        broken(&row)
    });
    app.insert_raw(rows.collect()).await;
    let healthy = app.register().await;
    app.component("relay").start().await.unwrap();
    app.reaches(healthy, "ACKNOWLEDGED").await;
    app.is_acknowledged(ids[0]).await;
    app.quarantines(2).await;
    let stuck = app.tool(&["list", "--stuck"]).await.yes().to_string();
    for id in &ids[1..] {
        assert!(stuck.contains(&id.to_string()), "{stuck}");
        app.outbox().await.delete_one(doc! { "_id": binary(id.uuid()) }).await.unwrap();
    }
    app.remove().await;
}

#[tokio::test]
async fn rows_that_no_other_look_finds_are_found() {
    let options = Options::only(&["auth", "worker", "todo"])
        .with("RELAY_REBUILD_AFTER", "1s")
        .apart(&["relay"]);
    let app = App::start_with(options).await;
    let mut odd = Vec::new();
    for change in [
        doc! { "$set": { "status": "pending" } },
        doc! { "$set": { "status": "pending", "acknowledgedAt": "then" } },
        doc! { "$set": { "status": 7 } },
        doc! { "$unset": { "status": "" } },
        doc! { "$set": { "aggregateId": "me" } },
        doc! { "$unset": { "eventType": "" } },
    ] {
        let id = app.register().await;
        app.spoil_row(id, change).await;
        odd.push(id);
    }
    app.component("relay").start().await.unwrap();
    app.quarantines(odd.len() as u64).await;
    let stuck = app.tool(&["list", "--stuck"]).await.yes().to_string();
    for id in &odd {
        assert!(stuck.contains(&id.to_string()), "{id} in {stuck}");
        let record = app.tool(&["show", &id.to_string()]).await.no().to_string();
        assert!(record.contains("cannot read this row"), "{record}");
    }
    // A row that the worker sent, as it seems, and that does not say when.
    let sent = app.register().await;
    app.reaches(sent, "ACKNOWLEDGED").await;
    let ended = app.register().await;
    app.reaches(ended, "ACKNOWLEDGED").await;
    app.component("relay").stop().await.unwrap();
    app.spoil_row(ended, doc! { "$set": { "acknowledgedAt": "then" } }).await;
    let unsaid = doc! { "$set": { "acknowledgedAt": null }, "$unset": {
        "sentAt": "", "startedAt": "", "acknowledgements": "",
    } };
    app.spoil_row(sent, unsaid).await;
    // Repaired rows are due again soon, whatever they were put off to.
    for id in &odd {
        let row = app.row(*id).await;
        let user = row.get_document("payload").unwrap().get("userId").unwrap();
        let repair =
            doc! { "status": "PENDING", "aggregateId": user, "eventType": "USER_REGISTERED" };
        app.spoil_row(*id, doc! { "$set": repair }).await;
    }
    app.component("relay").start().await.unwrap();
    for id in odd.iter().chain([&sent, &ended]) {
        app.is_acknowledged(*id).await;
    }
    app.quarantines(0).await;
    app.finish().await;
}

/// MongoDB refuses to change the rows at all, neither a claim nor a mark. One refusal
/// quotes a text that is no UTF-8.
#[tokio::test]
async fn rows_that_cannot_be_changed_hold_up_nobody() {
    let options = Options::only(&["auth", "worker", "todo"]).with("RELAY_SWEEP_INTERVAL", "100ms");
    let app = App::start_with(options).await;
    let mut spoilt: Vec<RawDocumentBuf> = (0..ROWS)
        .map(|_| {
            let mut row = row(binary(Uuid::now_v7()));
            row.remove("payload");
            serialize_to_raw_document_buf(&row).unwrap()
        })
        .collect();
    let mut unreadable = row(NO_UTF8);
    unreadable.remove("payload");
    spoilt.push(broken(&unreadable));
    let all = spoilt.len() as u64;
    app.insert_raw(spoilt).await;
    app.refuses_damaged_rows(true).await;
    // Registered before the relay runs: no change stream tells of it.
    let first = app.register().await;
    let database = app.auth_database().await;
    let kept = doc! { "create": "system.profile", "capped": true, "size": 64 * 1024 * 1024 };
    database.run_command(kept).await.unwrap();
    database.run_command(doc! { "profile": 2 }).await.unwrap();
    app.component("relay").start().await.unwrap();
    app.reaches(first, "ACKNOWLEDGED").await;
    let profile = database.collection::<Document>("system.profile");
    let refused = async || {
        let refused = doc! { "op": "update", "errCode": { "$exists": true } };
        profile.count_documents(refused).await.unwrap()
    };
    eventually("each row is tried", async || match refused().await {
        tried if tried >= all => Ok(()),
        tried => Err(tried),
    })
    .await;
    // The relay looks some fifty times.
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(5) {
        let id = app.register().await;
        app.reaches(id, "ACKNOWLEDGED").await;
    }
    database.run_command(doc! { "profile": 0 }).await.unwrap();
    let refused = refused().await;
    eprintln!("{refused} refused changes of {all} rows in {:?}", begun.elapsed());
    // None is tried again at each look.
    assert!(refused < 10 * all, "{refused}");
    profile.drop().await.unwrap();
    let untouched = doc! { "attempts": 0, "status": "PENDING" };
    assert_eq!(app.outbox().await.count_documents(untouched).await.unwrap(), all);
    // As long as none of them can be claimed: the workflow of a claimed one would wait.
    app.outbox().await.delete_many(doc! { "payload": null }).await.unwrap();
    app.refuses_damaged_rows(false).await;
    app.finish().await;
}
