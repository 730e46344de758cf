//! The audit's memory does not grow with the number of registrations, and
//! neither does what one read of it looks at.

use std::process::Stdio;

use mongodb::bson::{DateTime, Document, doc};
use onboard_contract::{TodoId, UserId};
use uuid::Uuid;

use crate::harness::{App, Options, binary};

/// Whole registrations, so old that Temporal has forgotten their workflows.
async fn insert(app: &App, count: usize) {
    let old = DateTime::from_millis(DateTime::now().timestamp_millis() - 90 * 86_400_000);
    let (users, outbox) = (app.users().await, app.outbox().await);
    let (inbox, todos) = (app.inbox().await, app.todos().await);
    let ids: Vec<(Uuid, Uuid)> = (0..count).map(|_| (Uuid::now_v7(), Uuid::new_v4())).collect();
    for ids in ids.chunks(2_000) {
        let of = |make: &dyn Fn(Uuid, Uuid) -> Document| -> Vec<Document> {
            ids.iter().map(|(event, user)| make(*event, *user)).collect()
        };
        let todo = |user: Uuid| binary(TodoId::welcome(UserId::from(user)).uuid());
        let user_documents = of(&|_, user| {
            let email = format!("{}@example.com", user.simple());
            doc! { "_id": binary(user), "email": &email, "emailCanonical": &email,
            "passwordHash": "$argon2id$v=19$m=8,t=1,p=1$c2FsdA$aGFzaA", "createdAt": old }
        });
        let rows = of(&|event, user| {
            let email = format!("{}@example.com", user.simple());
            doc! { "_id": binary(event), "aggregateType": "User", "aggregateId": binary(user),
            "eventType": "USER_REGISTERED", "schemaVersion": 1_i64,
            "payload": { "userId": binary(user), "email": email }, "traceparent": null,
            "status": "SENT", "createdAt": old, "startedAt": old, "sentAt": old,
            "acknowledgedAt": old, "attempts": 1 }
        });
        let records = of(&|event, user| {
            doc! { "eventId": binary(event), "userId": binary(user), "todoId": todo(user),
            "processedAt": old, "acknowledgedAt": old }
        });
        let welcome = of(&|_, user| {
            doc! { "_id": todo(user), "userId": binary(user), "title": "Welcome to the App",
            "completed": false, "createdAt": old, "updatedAt": old }
        });
        tokio::try_join!(
            async { users.insert_many(&user_documents).await },
            async { outbox.insert_many(&rows).await },
            async { inbox.insert_many(&records).await },
            async { todos.insert_many(&welcome).await },
        )
        .unwrap();
    }
}

/// Audits; how many registrations, and the largest resident set in kB that was
/// seen while it ran.
async fn audit(app: &App) -> (u64, u64) {
    let mut command = app.command(&["audit", "--json"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id().unwrap());
    let mut peak_kb = 0;
    let ended = loop {
        if let Some(ended) = child.try_wait().unwrap() {
            break ended;
        }
        // `VmHWM` only grows: the last look before the end misses little.
        let seen = tokio::fs::read_to_string(&status).await.unwrap_or_default();
        let line = seen.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kb = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok());
        peak_kb = kb.unwrap_or(peak_kb);
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    };
    let output = child.wait_with_output().await.unwrap();
    assert!(ended.success(), "{}", crate::harness::text(&output));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    (report["attempted"].as_u64().unwrap(), peak_kb)
}

/// `AUDIT_ROWS=1000000` measures by hand; see `docs/adr/0013-audit.md`.
fn rows() -> usize {
    std::env::var("AUDIT_ROWS").map_or(40_000, |rows| rows.parse().unwrap())
}

#[tokio::test]
async fn memory_does_not_grow_with_the_number_of_registrations() {
    let app = App::prepare_on_shared(Options::only(&[])).await;
    insert(&app, 4_000).await;
    let (few, few_kb) = audit(&app).await;
    insert(&app, rows() - 4_000).await;
    let begun = std::time::Instant::now();
    let (many, many_kb) = audit(&app).await;
    eprintln!("{many} registrations: {many_kb} kB in {:?}; {few}: {few_kb} kB", begun.elapsed());
    assert_eq!((few, many), (4_000, rows() as u64));
    assert!(few_kb > 0);
    assert!(many_kb * 10 <= few_kb * 13, "{few_kb} kB for {few}, {many_kb} kB for {many}");
    app.remove().await;
}

#[tokio::test]
async fn every_read_is_indexed() {
    let app = App::prepare_on_shared(Options::only(&[])).await;
    insert(&app, 3_000).await;
    let databases = [app.auth_database().await, app.todo_database().await];
    for database in &databases {
        // Lookups name a page of keys; the default of 1 MB forgets the first.
        let room = doc! { "create": "system.profile", "capped": true, "size": 64 << 20 };
        database.run_command(room).await.unwrap();
        database.run_command(doc! { "profile": 2 }).await.unwrap();
    }
    let (attempted, _) = audit(&app).await;
    assert_eq!(attempted, 3_000);
    let mut reads = 0;
    for database in &databases {
        database.run_command(doc! { "profile": 0 }).await.unwrap();
        let profile = database.collection::<Document>("system.profile");
        // The program says who it is; the test's own commands do not.
        let mut found = profile.find(doc! { "appName": "onboard" }).await.unwrap();
        while let Some(read) = futures::TryStreamExt::try_next(&mut found).await.unwrap() {
            let Ok(plan) = read.get_str("planSummary") else { continue };
            assert!(!plan.contains("COLLSCAN"), "{read}");
            let examined = read.get_i32("docsExamined").unwrap_or_default();
            assert!(examined <= 1_001, "no more than a page: {read}");
            reads += i32::from(plan.contains("IXSCAN"));
        }
    }
    // Three pages of users, rows, records and todos, and their lookups.
    assert!(reads >= 3 * (4 + 7), "{reads}");
    app.remove().await;
}

/// A page ends among ids of one type; what has an id of another comes after.
#[tokio::test]
async fn a_record_with_a_forged_id_is_read_on_a_later_page() {
    let app = App::prepare_on_shared(Options::only(&[])).await;
    insert(&app, 1_500).await;
    app.is_clean().await;
    let event = Uuid::now_v7();
    let forged = doc! { "_id": true, "eventId": binary(event), "userId": binary(event),
    "todoId": binary(event), "processedAt": DateTime::now() };
    app.insert(&app.inbox().await, &forged).await;
    app.finds(&[("inbox_unexpected", event)]).await;
    app.remove().await;
}
