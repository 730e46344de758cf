//! Tampering with `auth.outbox`.

use mongodb::bson::{Bson, DateTime, doc};
use uuid::Uuid;

use crate::harness::{App, Finished, Options, binary};

#[tokio::test]
async fn every_tampering_with_a_row_is_named() {
    let app = App::start_with(Options::default().apart(&["relay"])).await;
    let all = app.finished(3).await;
    app.is_clean().await;
    let (outbox, one) = (app.outbox().await, all[0]);
    let by_id = || Finished::by_id(one.event.uuid());

    // Gone: the user misses it, and what came of it has no reason.
    let row = app.take(&outbox, by_id()).await;
    app.finds(&[
        ("user_without_row", one.user.to_string()),
        ("inbox_unexpected", one.event.to_string()),
        ("workflow_unexpected", one.workflow()),
    ])
    .await;
    app.put_back(&outbox, &row).await;

    // Twice: the second one has neither workflow nor inbox record.
    let second = Uuid::now_v7();
    let mut double = row.clone();
    double.insert("_id", binary(second));
    app.insert(&outbox, &double).await;
    app.finds(&[
        ("row_duplicated", second),
        ("inbox_missing", second),
        ("workflow_missing", second),
    ])
    .await;
    app.take(&outbox, Finished::by_id(second)).await;

    let year = |ms: i64| Bson::from(DateTime::from_millis(ms));
    let nobody = binary(Uuid::new_v4());
    for fields in [
        doc! { "payload.userId": nobody },
        doc! { "payload.email": "eve@example.com" },
        doc! { "eventType": "USER_DELETED" },
        doc! { "aggregateType": "Order" },
        doc! { "schemaVersion": 2 },
        doc! { "status": "DONE" },
        doc! { "sentAt": null },
        doc! { "acknowledgedAt": year(1_000) },
        doc! { "createdAt": year(1_000) },
        doc! { "createdAt": "yesterday" },
        doc! { "payload": [] },
    ] {
        let before = app.set(&outbox, by_id(), fields).await;
        app.finds(&[("row_altered", one.event)]).await;
        app.put_back(&outbox, &before).await;
    }

    // Another user's.
    let before = app.set(&outbox, by_id(), doc! { "aggregateId": nobody }).await;
    app.finds(&[
        ("row_altered", one.event.to_string()),
        ("user_without_row", one.user.to_string()),
    ])
    .await;
    app.put_back(&outbox, &before).await;

    // On the way for too long. The relay is away, or it would mend the row.
    app.component("relay").stop().await.unwrap();
    let unacknowledged = doc! { "acknowledgedAt": null };
    let unsent = doc! { "status": "PENDING", "sentAt": null, "acknowledgedAt": null };
    let pending = doc! {
        "status": "PENDING", "startedAt": null, "sentAt": null, "acknowledgedAt": null,
    };
    for (kind, fields) in
        [("row_unacknowledged", unacknowledged), ("row_unsent", unsent), ("row_pending", pending)]
    {
        let before = app.set(&outbox, by_id(), fields).await;
        app.finds(&[(kind, one.event)]).await;
        app.put_back(&outbox, &before).await;
    }
    app.is_clean().await;
    app.finish().await;
}
