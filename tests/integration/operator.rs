//! `onboard list` and `onboard show`: what they say is what is there.

use futures::TryStreamExt;
use mongodb::bson::{DateTime, Document, doc};
use onboard_contract::EventId;
use onboard_events::registration::workflow_id;
use serde_json::Value;

use crate::harness::{App, Options, eventually, text};

fn ids(listing: &Value) -> Vec<String> {
    let rows = listing["registrations"].as_array().unwrap();
    rows.iter().map(|row| row["registrationId"].as_str().unwrap().to_owned()).collect()
}

fn missing(record: &Value) -> String {
    record["missing"].to_string()
}

#[tokio::test]
async fn a_list_shows_what_is_unfinished_by_stage_and_age() {
    let options = Options::only(&["auth"]).with("REGISTRATION_OVERDUE", "1s");
    let app = App::start_with(options).await;
    let empty = app.tool(&["list"]).await.yes();
    assert_eq!((ids(&empty).len(), &empty["deadLetters"]["total"]), (0, &Value::from(0)));

    let (first, second) = (app.register().await, app.register().await);
    let listing = app.tool(&["list"]).await.yes();
    assert_eq!(ids(&listing), [first.to_string(), second.to_string()], "the oldest first");
    assert_eq!(listing["registrations"][0]["stage"], "PENDING");
    let one = app.tool(&["list", "--limit", "1"]).await.yes();
    assert_eq!((ids(&one), &one["more"]), (vec![first.to_string()], &Value::from(true)));
    assert!(ids(&app.tool(&["list", "--older-than", "1h"]).await.yes()).is_empty());
    assert!(ids(&app.tool(&["list", "--stage", "SENT"]).await.yes()).is_empty());
    assert!(ids(&app.tool(&["list", "--stuck"]).await.yes()).is_empty());

    let now = DateTime::now();
    let poison =
        doc! { "$set": { "quarantinedAt": now, "lastError": "Temporal refused to start" } };
    app.spoil_row(second, poison).await;
    let stuck = app.tool(&["list", "--stage", "PENDING", "--stuck"]).await.yes();
    assert_eq!(ids(&stuck), [second.to_string()]);
    assert_eq!(stuck["registrations"][0]["reason"], "quarantined: Temporal refused to start");
    app.spoil_row(second, doc! { "$unset": { "quarantinedAt": "" } }).await;
    let long_ago = DateTime::from_millis(now.timestamp_millis() - 60_000);
    app.spoil_row(first, doc! { "$set": { "createdAt": long_ago } }).await;
    assert_eq!(ids(&app.tool(&["list", "--stuck"]).await.yes()), [first.to_string()]);

    app.component("relay").start().await.unwrap();
    app.reaches(first, "STARTED").await;
    app.reaches(second, "STARTED").await;
    assert_eq!(ids(&app.tool(&["list", "--stage", "started"]).await.yes()).len(), 2);
    app.component("worker").start().await.unwrap();
    app.reaches(first, "STALLED").await;
    app.reaches(second, "STALLED").await;
    let stalled = app.tool(&["list", "--stage", "STALLED", "--stuck"]).await.yes();
    assert_eq!(ids(&stalled), [first.to_string(), second.to_string()]);
    assert_eq!(stalled["registrations"][0]["workflow"], "RUNNING");

    let table = text(&app.onboard(&["list"]).await);
    assert!(table.contains(&first.to_string()) && table.contains("2 registrations"), "{table}");

    app.component("todo").start().await.unwrap();
    app.reaches(first, "ACKNOWLEDGED").await;
    app.reaches(second, "ACKNOWLEDGED").await;
    assert!(ids(&app.tool(&["list"]).await.yes()).is_empty());
    assert_eq!(ids(&app.tool(&["list", "--stage", "ACKNOWLEDGED"]).await.yes()).len(), 2);
    app.finish().await;
}

#[tokio::test]
async fn a_list_reads_about_as_many_rows_as_it_shows() {
    let app = App::prepare_on_shared(Options::only(&[])).await;
    let outbox = app.outbox().await;
    let row = |n: i64, done: bool| {
        let at = DateTime::from_millis(n);
        let (id, user) = (uuid::Uuid::now_v7(), uuid::Uuid::new_v4());
        let id = mongodb::bson::Uuid::from_bytes(id.into_bytes());
        let user = mongodb::bson::Uuid::from_bytes(user.into_bytes());
        doc! { "_id": id, "aggregateType": "User", "aggregateId": user,
        "eventType": "USER_REGISTERED", "schemaVersion": 1_i64,
        "payload": { "userId": user, "email": "a@example.com" },
        "status": "SENT", "createdAt": at, "startedAt": at, "sentAt": at,
        "acknowledgedAt": done.then_some(at), "attempts": 0 }
    };
    outbox.insert_many((0..20_000).map(|n| row(n, n % 100 != 0))).await.unwrap();
    let auth = app.auth_database().await;
    auth.run_command(doc! { "profile": 2 }).await.unwrap();
    for args in [
        &["list", "--limit", "10"][..],
        &["list", "--limit", "10", "--stuck"],
        &["list", "--limit", "10", "--stage", "STALLED"],
        &["list", "--limit", "10", "--older-than", "1h"],
        &["list", "--limit", "10", "--stage", "ACKNOWLEDGED"],
    ] {
        assert_eq!(ids(&app.tool(args).await.yes()).len(), 10, "{args:?}");
    }
    auth.run_command(doc! { "profile": 0 }).await.unwrap();
    let profile = auth.collection::<Document>("system.profile");
    let finds = profile.find(doc! { "command.find": "outbox" }).await.unwrap();
    let finds: Vec<Document> = finds.try_collect().await.unwrap();
    // One for each stage asked for, one for the quarantine and one for the future.
    assert_eq!(finds.len(), 4 + 5 + 1 + 4 + 1);
    for find in finds {
        assert!(find.get_i32("docsExamined").unwrap() <= 20, "{find}");
        assert!(find.get("hasSortStage").is_none(), "{find}");
    }
    app.remove().await;
}

#[tokio::test]
async fn show_names_every_missing_link() {
    let app = App::start().await;
    let address = app.address();
    let answer: Value = app.post_register(&address).await.json().await.unwrap();
    let id: EventId = answer["registrationId"].as_str().unwrap().parse().unwrap();
    let name = id.to_string();
    app.reaches(id, "ACKNOWLEDGED").await;
    app.nothing_is_left().await;
    let record = eventually("the record is complete", async || {
        let shown = app.tool(&["show", &name]).await;
        if shown.code == Some(0) { Ok(shown.json) } else { Err(shown) }
    })
    .await;
    assert_eq!(record["workflow"]["status"], "COMPLETED");
    assert_eq!(record["confirm"]["publishes"], 1);
    assert_eq!(record["user"]["email"], address);
    for part in ["outbox", "inbox", "todo"] {
        assert!(record[part].is_object(), "{record}");
    }
    let by_address = app.tool(&["show", &address.to_uppercase()]).await.yes();
    assert_eq!(by_address["registrationId"], name);
    let shown = text(&app.onboard(&["show", &name]).await);
    assert!(shown.contains("complete"), "{shown}");

    let all = doc! {};
    app.todos().await.delete_many(all.clone()).await.unwrap();
    let record = app.tool(&["show", &name]).await.no();
    assert_eq!(missing(&record), r#"["no welcome todo of this user"]"#);
    app.inbox().await.delete_many(all.clone()).await.unwrap();
    let record = app.tool(&["show", &name]).await.no();
    assert!(missing(&record).contains("no inbox record"), "{record}");
    app.spoil_row(id, doc! { "$set": { "acknowledgedAt": null } }).await;
    let record = app.tool(&["show", &name]).await.no();
    assert!(missing(&record).contains("no acknowledgement on the row"), "{record}");
    app.delete_workflow(&workflow_id(id)).await;
    let record = app.tool(&["show", &name]).await.no();
    assert!(missing(&record).contains("no workflow: Temporal does not know it"), "{record}");
    assert_eq!(record["next"][0], format!("onboard redrive {name}"));
    app.outbox().await.delete_many(all.clone()).await.unwrap();
    let record = app.tool(&["show", &address]).await.no();
    assert!(record["user"].is_object() && record["outbox"].is_null(), "{record}");
    let nothing = app.tool(&["show", &name]).await.no();
    assert!(nothing.is_null(), "{nothing}");
    app.remove().await;
}

#[tokio::test]
async fn show_says_what_a_registration_waits_for() {
    let options = Options::only(&["auth", "worker"])
        .in_the_released_plan()
        .with("REGISTRATION_OVERDUE", "1h");
    let app = App::start_with(options).await;
    app.unbind().await;
    let id = app.register().await;
    let name = id.to_string();
    let record = app.tool(&["show", &name]).await.no();
    let links = missing(&record);
    for link in ["no workflow: the relay has not", "no SENT mark", "no inbox record"] {
        assert!(links.contains(link), "{record}");
    }
    app.component("relay").start().await.unwrap();
    let record = eventually("the publish has failed", async || {
        let record = app.tool(&["show", &name]).await.no();
        if record["workflow"]["lastFailure"].is_string() { Ok(record) } else { Err(record) }
    })
    .await;
    let links = missing(&record);
    for link in ["no end of the workflow: it is at try", "RabbitMq", "no confirm"] {
        assert!(links.contains(link), "{record}");
    }
    // The relay may note the start after the worker has tried to publish.
    app.reaches(id, "STARTED").await;
    let listing = app.tool(&["list", "--stage", "STARTED"]).await.yes();
    let reason = listing["registrations"][0]["reason"].as_str().unwrap();
    assert!(reason.starts_with("RabbitMq: "), "{listing}");
    app.bind().await;
    app.reaches(id, "SENT").await;
    let record = app.tool(&["show", &name]).await.no();
    assert_eq!(record["confirm"]["publishes"], 1, "{record}");
    app.refuse_todos().await;
    app.component("todo").start().await.unwrap();
    app.dead_letters_are(1).await;
    let record = app.tool(&["show", &name]).await.no();
    assert_eq!(record["deadLetters"][0]["reason"], "store_rejected", "{record}");
    // RabbitMQ gives back what the tool has looked at.
    app.dead_letters_are(1).await;
    let listing = app.tool(&["list"]).await.yes();
    assert_eq!(listing["deadLetters"]["byReason"]["store_rejected"], 1, "{listing}");
    app.accept_todos().await;
    app.tool(&["redrive", &name]).await.yes();
    app.reaches(id, "ACKNOWLEDGED").await;
    app.finish().await;
}

#[tokio::test]
async fn wrong_usage_and_servers_that_are_away_have_their_exit_codes() {
    let app = App::prepare_on_shared(Options::only(&[])).await;
    let usage = [
        &["redrive"][..],
        &["redrive", "--dead-letters", "--discard"],
        &["redrive", "--all", "--cause", "not_json"],
        &["list", "--older-than", "soon"],
        &["list", "--stage", "LOST"],
        &["list", "--stage", "ACKNOWLEDGED", "--stuck"],
        &["show", "nobody"],
    ];
    for args in usage {
        assert_eq!(app.onboard(args).await.status.code(), Some(2), "{args:?}");
    }
    let away = [
        ("MONGODB_URI", "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=500"),
        ("AMQP_URL", "amqp://guest:guest@127.0.0.1:1/x"),
        ("TEMPORAL_ADDRESS", "127.0.0.1:1"),
    ];
    for (server, place) in away {
        for args in [&["list"][..], &["redrive", "--dead-letters"]] {
            let output = app.command(args).env(server, place).output().await.unwrap();
            assert_eq!(output.status.code(), Some(69), "{args:?} {server}: {}", text(&output));
        }
    }
    app.remove().await;
}
