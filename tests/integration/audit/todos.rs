//! Tampering with the inbox and the todos.

use mongodb::bson::{DateTime, doc};
use onboard_events::TodoId;
use uuid::Uuid;

use crate::harness::{App, Finished, binary};

#[tokio::test]
async fn every_tampering_with_an_inbox_record_is_named() {
    let app = App::start().await;
    let all = app.finished(3).await;
    app.is_clean().await;
    let (inbox, one, other) = (app.inbox().await, all[0], all[1]);
    let of_event = || doc! { "eventId": binary(one.event.uuid()) };

    let record = app.take(&inbox, of_event()).await;
    app.finds(&[("inbox_missing", one.event)]).await;
    app.put_back(&inbox, &record).await;

    let nobody = Uuid::new_v4();
    for fields in [
        doc! { "userId": binary(other.user.uuid()) },
        doc! { "todoId": binary(nobody) },
        doc! { "processedAt": "noon" },
    ] {
        let before = app.set(&inbox, of_event(), fields).await;
        app.finds(&[("inbox_altered", one.event)]).await;
        app.put_back(&inbox, &before).await;
    }

    // Of another event: one misses it, the other has no row.
    let before = app.set(&inbox, of_event(), doc! { "eventId": binary(nobody) }).await;
    app.finds(&[
        ("inbox_missing", one.event.to_string()),
        ("inbox_unexpected", nobody.to_string()),
    ])
    .await;
    app.put_back(&inbox, &before).await;

    // Of no event at all: named by its own id.
    let before = app.set(&inbox, of_event(), doc! { "eventId": "none" }).await;
    let own = before.get_object_id("_id").unwrap();
    app.finds(&[("inbox_missing", one.event.to_string()), ("inbox_altered", own.to_hex())]).await;
    app.put_back(&inbox, &before).await;

    // Twice, which takes the index away first.
    inbox.drop_index("eventId_1").await.unwrap();
    let mut double = record.clone();
    double.insert("_id", "double");
    app.insert(&inbox, &double).await;
    app.finds(&[("inbox_duplicated", one.event)]).await;
    double.insert("eventId", binary(nobody));
    app.put_back(&inbox, &double).await;
    app.finds(&[("inbox_unexpected", nobody)]).await;
    app.take(&inbox, doc! { "_id": "double" }).await;
    app.is_clean().await;
    app.finish().await;
}

#[tokio::test]
async fn every_tampering_with_a_todo_is_named() {
    let app = App::start().await;
    let all = app.finished(3).await;
    app.is_clean().await;
    let (todos, one, other) = (app.todos().await, all[0], all[1]);
    let by_id = || Finished::by_id(one.todo.uuid());

    let todo = app.take(&todos, by_id()).await;
    app.finds(&[("todo_missing", one.todo)]).await;
    // For people too: the kind and the id.
    let printed = app.onboard(&["audit", "--grace", "0s"]).await;
    let printed = String::from_utf8(printed.stdout).unwrap();
    assert!(printed.contains("todo_missing: 1 (lost)"), "{printed}");
    assert!(printed.contains(&one.todo.to_string()), "{printed}");
    app.put_back(&todos, &todo).await;

    let second = Uuid::new_v4();
    let mut double = todo.clone();
    double.insert("_id", binary(second));
    app.insert(&todos, &double).await;
    app.finds(&[("todo_duplicated", second)]).await;
    // Under another title nobody made it, unless the user did; of nobody it is
    // nothing.
    double.insert("title", "Buy milk");
    app.put_back(&todos, &double).await;
    app.finds(&[("todo_unexpected", second)]).await;
    double.insert("createdBy", "somebody");
    app.put_back(&todos, &double).await;
    app.finds(&[("todo_unexpected", second)]).await;
    double.insert("createdBy", "user");
    app.put_back(&todos, &double).await;
    app.is_clean().await;
    // The user's own may be titled like the welcome todo.
    double.insert("title", "Welcome to the App");
    app.put_back(&todos, &double).await;
    app.is_clean().await;
    double.insert("userId", binary(Uuid::new_v4()));
    app.put_back(&todos, &double).await;
    app.finds(&[("todo_unexpected", second)]).await;
    app.take(&todos, Finished::by_id(second)).await;

    for fields in [
        doc! { "title": "Welcome to the Jungle" },
        doc! { "completed": "perhaps" },
        doc! { "createdAt": 5 },
    ] {
        let before = app.set(&todos, by_id(), fields).await;
        app.finds(&[("todo_altered", one.todo)]).await;
        app.put_back(&todos, &before).await;
    }

    // Given to another user, who has two now.
    let given = doc! { "userId": binary(other.user.uuid()) };
    let before = app.set(&todos, by_id(), given).await;
    app.finds(&[("todo_altered", one.todo), ("todo_duplicated", one.todo)]).await;
    app.put_back(&todos, &before).await;

    // The user may complete it.
    let completed = doc! { "completed": true, "updatedAt": DateTime::now() };
    let before = app.set(&todos, by_id(), completed).await;
    app.is_clean().await;
    app.put_back(&todos, &before).await;
    assert_eq!(one.todo, TodoId::welcome(one.user));
    app.finish().await;
}

/// What the todo service writes when a user deletes or renames the welcome
/// todo excuses exactly that.
#[tokio::test]
async fn only_what_the_todo_service_noted_excuses_a_deleted_or_renamed_todo() {
    let app = App::start().await;
    let all = app.finished(2).await;
    let (todos, inbox, one) = (app.todos().await, app.inbox().await, all[0]);
    let by_id = || Finished::by_id(one.todo.uuid());
    let of_event = || doc! { "eventId": binary(one.event.uuid()) };

    // A note while the todo is there.
    let note = || doc! { "todoDeletedAt": DateTime::now() };
    let unnoted = app.set(&inbox, of_event(), note()).await;
    app.finds(&[("todo_returned", one.todo)]).await;
    // Without the todo it is what a deletion leaves.
    let todo = app.take(&todos, by_id()).await;
    app.is_clean().await;
    // A note that is no time excuses nothing.
    app.set(&inbox, of_event(), doc! { "todoDeletedAt": "today" }).await;
    app.finds(&[("todo_missing", one.todo.to_string()), ("inbox_altered", one.event.to_string())])
        .await;
    app.put_back(&inbox, &unnoted).await;
    app.finds(&[("todo_missing", one.todo)]).await;
    // Nor does another user's.
    let of_other = doc! { "eventId": binary(all[1].event.uuid()) };
    let other = app.set(&inbox, of_other, note()).await;
    app.finds(&[("todo_missing", one.todo), ("todo_returned", all[1].todo)]).await;
    app.put_back(&inbox, &other).await;
    app.put_back(&todos, &todo).await;
    app.is_clean().await;

    let born = todo.get_datetime("createdAt").unwrap();
    let later = DateTime::from_millis(born.timestamp_millis() + 1);
    for (fields, excused) in [
        (doc! { "title": "Mine", "updatedAt": later, "version": 2_i64 }, true),
        (doc! { "title": "Mine", "updatedAt": later }, false),
        (doc! { "title": "Mine", "updatedAt": later, "version": 1_i64 }, false),
        (doc! { "title": "Mine", "version": 2_i64 }, false),
        (doc! { "createdBy": "user" }, false),
    ] {
        app.set(&todos, by_id(), fields.clone()).await;
        if excused {
            app.is_clean().await;
        } else {
            app.finds(&[("todo_altered", one.todo)]).await;
        }
        app.put_back(&todos, &todo).await;
    }
    app.finish().await;
}
