//! One read of the audit looks at a page, however many registrations there are.

use mongodb::bson::{DateTime, Document, doc};
use uuid::Uuid;

use crate::harness::{App, Options, binary};

#[tokio::test]
async fn every_read_is_indexed() {
    let app = App::prepare_on_shared(Options::only(&[])).await;
    app.insert_old(3_000).await;
    let databases = [app.auth_database().await, app.todo_database().await];
    for database in &databases {
        // Lookups name a page of keys; the default of 1 MB forgets the first.
        let room = doc! { "create": "system.profile", "capped": true, "size": 64 << 20 };
        database.run_command(room).await.unwrap();
        database.run_command(doc! { "profile": 2 }).await.unwrap();
    }
    let (_, report) = app.audit(&[]).await;
    assert_eq!(report["attempted"], 3_000);
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
    app.insert_old(1_500).await;
    app.is_clean().await;
    let event = Uuid::now_v7();
    let forged = doc! { "_id": true, "eventId": binary(event), "userId": binary(event),
    "todoId": binary(event), "processedAt": DateTime::now() };
    app.insert(&app.inbox().await, &forged).await;
    app.finds(&[("inbox_unexpected", event)]).await;
    app.remove().await;
}
