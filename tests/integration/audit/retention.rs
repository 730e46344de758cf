//! What retention has removed is no violation, and nothing else is excused by
//! it.

use mongodb::bson::{DateTime, Document, doc};
use uuid::Uuid;

use crate::harness::{App, Finished, binary};

const DAY_MS: i64 = 86_400_000;

fn days_ago(days: i64) -> DateTime {
    DateTime::from_millis(DateTime::now().timestamp_millis() - days * DAY_MS)
}

/// Makes everything of a registration so many days old.
async fn age(app: &App, one: Finished, days: i64) {
    let old = days_ago(days);
    let created = doc! { "createdAt": old };
    let times = doc! { "createdAt": old, "startedAt": old, "sentAt": old, "acknowledgedAt": old };
    app.set(&app.users().await, Finished::by_id(one.user.uuid()), created.clone()).await;
    app.set(&app.todos().await, Finished::by_id(one.todo.uuid()), created).await;
    app.set(&app.outbox().await, Finished::by_id(one.event.uuid()), times).await;
    let record = doc! { "eventId": binary(one.event.uuid()) };
    app.set(&app.inbox().await, record, doc! { "processedAt": old, "acknowledgedAt": old }).await;
}

async fn horizon(app: &App, which: &str, before: DateTime) {
    let database = match which {
        "outbox" => app.auth_database().await,
        _ => app.todo_database().await,
    };
    let note = doc! { "_id": which, "removedBefore": before };
    let notes = database.collection::<Document>("retention");
    notes.replace_one(doc! { "_id": which }, note).upsert(true).await.unwrap();
}

#[tokio::test]
async fn a_row_that_retention_removed_is_not_missed() {
    let app = App::start().await;
    let all = app.finished(2).await;
    let (old, young) = (all[0], all[1]);
    age(&app, old, 10).await;
    app.is_clean().await;
    let outbox = app.outbox().await;
    let row = app.take(&outbox, Finished::by_id(old.event.uuid())).await;
    let hanging = [
        ("user_without_row", old.user.to_string()),
        ("inbox_unexpected", old.event.to_string()),
        ("workflow_unexpected", old.workflow()),
    ];
    app.finds(&hanging).await;
    // A horizon before it does not explain the gap, one behind it does: the
    // record and the workflow may still be there.
    horizon(&app, "outbox", days_ago(11)).await;
    // The workflow's start is real, its user's attribute names the user.
    app.finds(&hanging).await;
    horizon(&app, "outbox", days_ago(9)).await;
    app.is_clean().await;
    let (_, report) = app.audit(&["--grace", "0s"]).await;
    assert_eq!((&report["attempted"], &report["acknowledged"]), (&2.into(), &2.into()));
    let name = old.event.to_string();
    let record = app.tool(&["show", &name]).await.yes();
    let email = record["user"]["email"].as_str().unwrap();
    let by_address = app.tool(&["show", email]).await.yes();
    assert_eq!(by_address["registrationId"], name);
    for record in [&record, &by_address] {
        assert!(record["notes"].to_string().contains("retention has removed"), "{record}");
        assert!(record["todo"].is_object(), "{record}");
    }

    // The todo is owed all the same.
    let todos = app.todos().await;
    let todo = app.take(&todos, Finished::by_id(old.todo.uuid())).await;
    app.finds(&[("todo_missing", old.todo)]).await;
    let record = app.tool(&["show", &name]).await.no();
    assert_eq!(record["missing"], serde_json::json!(["no welcome todo of this user"]));
    app.put_back(&todos, &todo).await;
    // And the young one's row is not excused.
    let young_row = app.take(&outbox, Finished::by_id(young.event.uuid())).await;
    app.finds(&[
        ("user_without_row", young.user.to_string()),
        ("inbox_unexpected", young.event.to_string()),
        ("workflow_unexpected", young.workflow()),
    ])
    .await;
    app.put_back(&outbox, &young_row).await;
    // Nor is a record of nobody's, however old.
    let inbox = app.inbox().await;
    let record = doc! { "eventId": binary(old.event.uuid()) };
    let nobody = Uuid::new_v4();
    let before = app.set(&inbox, record, doc! { "userId": binary(nobody) }).await;
    let record = app.tool(&["show", &name]).await.no();
    assert!(record["missing"].to_string().contains("no user"), "{record}");
    app.finds(&[("inbox_unexpected", old.event)]).await;
    app.put_back(&inbox, &before).await;
    app.put_back(&outbox, &row).await;
    app.is_clean().await;
    app.finish().await;
}

#[tokio::test]
async fn an_inbox_record_that_retention_removed_is_not_missed() {
    let app = App::start().await;
    let all = app.finished(2).await;
    let (old, young) = (all[0], all[1]);
    age(&app, old, 10).await;
    let inbox = app.inbox().await;
    let of_event = |one: Finished| doc! { "eventId": binary(one.event.uuid()) };
    let old_record = app.take(&inbox, of_event(old)).await;
    app.finds(&[("inbox_missing", old.event)]).await;
    horizon(&app, "inbox", days_ago(11)).await;
    app.finds(&[("inbox_missing", old.event)]).await;
    horizon(&app, "inbox", days_ago(9)).await;
    app.is_clean().await;
    // The young one's is not excused, and neither is a row on its way.
    let young_record = app.take(&inbox, of_event(young)).await;
    app.finds(&[("inbox_missing", young.event)]).await;
    app.put_back(&inbox, &young_record).await;
    app.put_back(&inbox, &old_record).await;
    app.finish().await;
}

#[tokio::test]
async fn a_workflow_that_temporal_has_forgotten_is_not_missed() {
    let app = App::start().await;
    let all = app.finished(2).await;
    let (old, young) = (all[0], all[1]);
    for one in [old, young] {
        app.delete_workflow(&one.workflow()).await;
    }
    // Setup keeps closed workflows for 30 days. Before, the record proves the delivery.
    age(&app, old, 29).await;
    app.is_clean().await;
    let inbox = app.inbox().await;
    let of_event = |one: Finished| doc! { "eventId": binary(one.event.uuid()) };
    let old_record = app.take(&inbox, of_event(old)).await;
    app.take(&inbox, of_event(young)).await;
    let lost = |one: Finished| [("workflow_missing", one.event), ("inbox_missing", one.event)];
    app.finds(&[lost(old), lost(young)].concat()).await;
    app.put_back(&inbox, &old_record).await;
    age(&app, old, 31).await;
    app.take(&inbox, of_event(old)).await;
    let of_old = [("inbox_missing", old.event)];
    app.finds(&[&of_old[..], &lost(young)].concat()).await;
    app.remove().await;
}

/// A record that retention removed can note no deletion.
#[tokio::test]
async fn a_todo_deleted_after_its_record_was_removed_is_not_missed() {
    let app = App::start().await;
    let all = app.finished(2).await;
    let (old, young) = (all[0], all[1]);
    age(&app, old, 10).await;
    let (inbox, todos) = (app.inbox().await, app.todos().await);
    let record = app.take(&inbox, doc! { "eventId": binary(old.event.uuid()) }).await;
    let todo = app.take(&todos, Finished::by_id(old.todo.uuid())).await;
    horizon(&app, "inbox", days_ago(11)).await;
    app.finds(&[("inbox_missing", old.event.to_string()), ("todo_missing", old.todo.to_string())])
        .await;
    horizon(&app, "inbox", days_ago(9)).await;
    app.is_clean().await;
    // A record that is there could have noted it.
    app.put_back(&inbox, &record).await;
    app.finds(&[("todo_missing", old.todo)]).await;
    app.put_back(&todos, &todo).await;
    // Nor is the young one's excused.
    let todo = app.take(&todos, Finished::by_id(young.todo.uuid())).await;
    app.finds(&[("todo_missing", young.todo)]).await;
    app.put_back(&todos, &todo).await;
    app.finish().await;
}
