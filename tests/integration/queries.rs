//! What the services ask MongoDB, as the server's profiler has seen it: each query by an
//! index, in the order of the index, and with a limit at the server.

use std::collections::BTreeSet;

use futures::TryStreamExt;
use mongodb::Database;
use mongodb::bson::{Bson, DateTime, Document, doc};
use onboard_contract::UserId;
use serde_json::json;
use uuid::Uuid;

use crate::harness::{App, Options, PASSWORD, Tokens, binary, eventually, reference};
use crate::retention::{event_of, record, row, user};

/// What the profiler keeps of a database at most.
const KEPT_BYTES: i32 = 64 * 1024 * 1024;

/// Records every operation on a database.
async fn watch(database: &Database) {
    let kept = doc! { "create": "system.profile", "capped": true, "size": KEPT_BYTES };
    database.run_command(kept).await.unwrap();
    database.run_command(doc! { "profile": 2 }).await.unwrap();
}

/// A question or a change, as the profiler has it.
#[derive(Debug)]
struct Asked {
    /// The collection, the operation and the fields that are looked for.
    shape: String,
    /// `IXSCAN` and so on.
    plan: String,
    sorted_in_memory: bool,
    /// Whether the server gives it up by itself.
    has_limit: bool,
    /// How many keys of the index it has looked at.
    keys: i64,
    /// Everything that it was asked with.
    text: String,
}

impl Asked {
    fn read(found: &Document) -> Self {
        let command = found.get_document("command").unwrap();
        let (_, collection) = found.get_str("ns").unwrap().split_once('.').unwrap();
        let op = found.get_str("op").unwrap();
        let filter = filter_of(command).map(|filter| {
            let mut fields: Vec<&str> = filter.keys().map(String::as_str).collect();
            fields.sort_unstable();
            fields.join(",")
        });
        Self {
            shape: format!("{collection} {op} {}", filter.unwrap_or_default()),
            plan: found.get_str("planSummary").unwrap_or_default().to_owned(),
            sorted_in_memory: found.get_bool("hasSortStage").unwrap_or_default(),
            // A page of a cursor belongs to the work that its first page has limited, a
            // transaction has its own limit, and a plain write has none (`mongo.rs`).
            has_limit: !["query", "command"].contains(&op)
                || command.contains_key("maxTimeMS")
                || command.contains_key("autocommit"),
            keys: found.get("keysExamined").map_or(0, number),
            text: format!("{op} {collection} {command}"),
        }
    }
}

fn number(value: &Bson) -> i64 {
    value.as_i64().or(value.as_i32().map(i64::from)).unwrap()
}

/// What a command looks for.
fn filter_of(command: &Document) -> Option<&Document> {
    let direct = ["filter", "query", "q"].iter().find_map(|name| command.get_document(name).ok());
    direct.or_else(|| {
        let stages = command.get_array("pipeline").ok()?;
        stages.first()?.as_document()?.get_document("$match").ok()
    })
}

/// What services have asked of these collections.
async fn asked(database: &Database, collections: &[&str]) -> Vec<Asked> {
    database.run_command(doc! { "profile": 0 }).await.unwrap();
    let profile = database.collection::<Document>("system.profile");
    let names: Vec<String> =
        collections.iter().map(|name| format!("{}.{name}", database.name())).collect();
    let of_services = doc! {
        "ns": { "$in": names }, "planSummary": { "$exists": true }, "appName": "onboard",
        // The wake-up: a tail, which is cut off by its reader.
        "command.pipeline.0.$changeStream": { "$exists": false },
        "originatingCommand.pipeline.0.$changeStream": { "$exists": false },
    };
    let found: Vec<Document> =
        profile.find(of_services).await.unwrap().try_collect().await.unwrap();
    profile.drop().await.unwrap();
    found.iter().map(Asked::read).collect()
}

/// Asserts that each was served by an index, in the order of the index, and is given up
/// by the server in time.
fn assert_sound(asked: &[Asked], least: usize) {
    assert!(asked.len() >= least, "the queries were seen: {asked:#?}");
    for one in asked {
        assert!(!one.plan.contains("COLLSCAN"), "without an index: {} {}", one.plan, one.text);
        assert!(!one.sorted_in_memory, "sorted in memory: {} {}", one.plan, one.text);
        assert!(one.has_limit, "without a limit: {}", one.text);
    }
}

/// A life of an account: each request at least once, with and without success.
async fn a_life(app: &App, email: &str) -> (Tokens, String) {
    let made = app.keyed("one-key", email, PASSWORD).await;
    assert_eq!(made.status, 201);
    app.keyed("one-key", email, PASSWORD).await;
    app.keyed("another-key", email, PASSWORD).await;
    let url = format!("{}{}", app.url("auth"), made.header("location").unwrap());
    assert_eq!(app.http.get(url).send().await.unwrap().status(), 200);
    let login = json!({ "email": email.to_uppercase(), "password": PASSWORD });
    let (status, answer) = app.post("auth", "/api/v1/auth/login", &login).await;
    assert_eq!(status, 200, "{answer}");
    let (status, answer) = app.refresh(&Tokens::read(&answer).refresh).await;
    assert_eq!(status, 200, "{answer}");
    (Tokens::read(&answer), made.body["userId"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn every_query_of_auth_and_of_the_todos_api_is_served_by_an_index() {
    let app = App::start_with(Options::default().with("SIGNING_KEYS_REFRESH", "1s")).await;
    let (auth, todo) = (app.auth_database().await, app.todo_database().await);
    watch(&auth).await;
    watch(&todo).await;
    let (tokens, id) = a_life(&app, "stra\u{df}e@example.com").await;
    assert_eq!(app.me(&tokens.access).await, 200);
    app.nothing_is_left().await;
    let person = app.holder(&tokens.access, UserId::from(id.parse::<Uuid>().unwrap()));
    for title in ["one", "two", "three"] {
        let todo = person.add(title).await.id();
        person.read(&todo).await;
        person.change(&todo, &json!({ "completed": true })).await;
        person.change_if(&todo, "\"7\"", &json!({ "completed": true })).await;
    }
    let all = person.all(2).await;
    assert_eq!(all.len(), 4, "the welcome todo and three");
    for todo in all {
        person.delete(todo).await;
    }
    let logout = json!({ "refreshToken": tokens.refresh });
    assert_eq!(app.post("auth", "/api/v1/auth/logout", &logout).await.0, 204);

    let names = ["users", "sessions", "refresh_tokens", "signing_keys", "idempotency_keys"];
    assert_sound(&asked(&auth, &names).await, 15);
    assert_sound(&asked(&todo, &["todos"]).await, 20);
    app.remove().await;
}

/// A revoked session stays until it would have ended; a login reads none of them.
#[tokio::test]
async fn a_login_reads_as_little_after_thousands_of_sessions_that_were_ended() {
    let options = Options::only(&["auth"]).with("SESSIONS_PER_USER_MAX", "5");
    let app = App::start_with(options).await;
    let (ada, auth) = (app.account().await, app.auth_database().await);
    let (user, now_ms) = (binary(ada.user_id.parse().unwrap()), DateTime::now().timestamp_millis());
    let ended = (0..5_000).map(|n| {
        let at = DateTime::from_millis(now_ms - n * 1_000);
        doc! {
            "_id": binary(Uuid::new_v4()), "userId": user, "createdAt": at, "revokedAt": at,
            "revokedFor": "logout", "expiresAt": DateTime::from_millis(now_ms + 86_400_000),
        }
    });
    auth.collection::<Document>("sessions").insert_many(ended).await.unwrap();
    watch(&auth).await;
    for _ in 0..8 {
        app.log_in(&ada).await;
    }
    let looks = asked(&auth, &["sessions"]).await;
    let looks: Vec<&Asked> = looks.iter().filter(|one| one.shape.contains(" query ")).collect();
    assert!(looks.len() >= 8, "one for each login: {looks:#?}");
    for look in looks {
        assert!(look.keys <= 20, "{look:#?}");
    }
    app.remove().await;
}

/// What the profiler must have seen of relay, worker and inbox: collection, operation
/// and the fields that were looked for.
const REPEATED: [(&str, &str); 20] = [
    ("the due page", "outbox query nextAttemptAt,status"),
    ("the claim", "outbox update _id,nextAttemptAt,status"),
    ("the note of starts, and SENT", "outbox update _id,status"),
    ("the publish's row", "outbox query _id"),
    ("the record of acknowledgements", "outbox update _id"),
    ("set apart and mended", "outbox update _id,acknowledgedAt"),
    ("the slow walk", "outbox query acknowledgedAt"),
    ("the rebuild", "outbox query acknowledgedAt,sentAt,status"),
    ("how many are started", "outbox command acknowledgedAt,sentAt,startedAt,status"),
    ("how many are SENT", "outbox command acknowledgedAt,sentAt,status"),
    ("who waits for each consumer", "outbox command acknowledgedAt,status"),
    ("how many are quarantined", "outbox command quarantinedAt"),
    ("the oldest that is ahead", "outbox query aheadSeenAt,quarantinedAt,status"),
    ("old rows", "outbox query _id,acknowledgedAt,createdAt,status"),
    ("the removal of old rows", "outbox remove _id,acknowledgedAt,createdAt,status"),
    ("the place of a relay", "relays command _id"),
    ("the sweep of the inbox", "processed_events query acknowledgedAt,processedAt"),
    ("the note of acknowledgements", "processed_events update acknowledgedAt,eventId"),
    ("old records", "processed_events query _id,acknowledgedAt,processedAt"),
    (
        "the removal of old records",
        "processed_events remove \
         acknowledgedAt,conflicts.todoDeletedAt,eventId,processedAt,todoDeletedAt",
    ),
];

/// Rows and records for each look: some that are done and old, one that cannot be
/// worked on, one that is not found by the look at what is due.
async fn work_for_each_look(app: &App) {
    let (outbox, inbox) = (app.outbox().await, app.inbox().await);
    let rows = (0..3).map(|_| row(event_of(200), user(), 200, Some(200)));
    outbox.insert_many(rows).await.unwrap();
    let records = (0..3).map(|_| record(event_of(200), user(), 200, Some(200)));
    inbox.insert_many(records).await.unwrap();
    inbox.insert_one(record(event_of(1), user(), 1, None)).await.unwrap();
    let pending = |event, change: Document| {
        let mut row = row(event, user(), 0, None);
        row.extend(doc! { "status": "PENDING", "sentAt": null, "startedAt": null });
        row.extend(doc! { "nextAttemptAt": DateTime::now(), "attempts": 0 });
        row.extend(change);
        row
    };
    let unknown = pending(event_of(0), doc! { "eventType": "LAMP_LIT" });
    let odd = pending(event_of(0), doc! { "nextAttemptAt": "soon" });
    let rows = outbox.insert_many([unknown, odd]).bypass_document_validation(true);
    rows.await.unwrap();
}

#[tokio::test]
async fn every_repeated_query_of_relay_worker_and_inbox_is_served_by_an_index() {
    let options = Options::only(&[])
        .expecting_crm()
        .and("relay-2", "relay")
        .with("RELAY_REBUILD_AFTER", "1s");
    let app = App::prepare_on_shared(options).await;
    work_for_each_look(&app).await;
    let (auth, todo) = (app.auth_database().await, app.todo_database().await);
    watch(&auth).await;
    watch(&todo).await;
    for service in ["auth", "relay", "relay-2", "worker", "todo"] {
        app.component(service).start().await.unwrap();
    }
    let mut registered = Vec::new();
    for _ in 0..3 {
        registered.push(app.register().await);
    }
    for id in &registered {
        app.reaches(*id, "SENT").await;
    }
    eventually("the rebuild has asked", async || {
        let asked = async |relay| app.counter(relay, "relay_rebuild_asked_total", "").await;
        match asked("relay").await + asked("relay-2").await {
            0 => Err(0),
            _ => Ok(()),
        }
    })
    .await;
    for id in &registered {
        app.acknowledge("crm", *id, &reference(*id)).await;
        app.reaches(*id, "ACKNOWLEDGED").await;
    }
    eventually("what is old is gone", async || {
        let rows = app.outbox().await.count_documents(doc! {}).await.unwrap();
        let records = app.inbox().await.count_documents(doc! {}).await.unwrap();
        let unnoted = app.unnoted().await;
        if (unnoted, rows, records) == (0, 5, 5) { Ok(()) } else { Err((unnoted, rows, records)) }
    })
    .await;
    let of_auth = asked(&auth, &["outbox", "relays", "consumers", "retention"]).await;
    let of_todo = asked(&todo, &["processed_events", "retention"]).await;
    let seen: BTreeSet<&str> =
        of_auth.iter().chain(&of_todo).map(|one| one.shape.as_str()).collect();
    for (what, shape) in REPEATED {
        assert!(seen.contains(shape), "{what} was not seen: {seen:#?}");
    }
    assert_sound(&of_auth, 50);
    assert_sound(&of_todo, 5);
    app.remove().await;
}
