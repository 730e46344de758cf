//! The event id of a registration, used for another user as well: the
//! registration ends with the own todo, and operators see the conflict.

use mongodb::bson::{Bson, DateTime, doc};
use onboard_contract::UserId;
use onboard_events::TodoId;

use super::{of, others, user};
use crate::harness::{App, Finished, Options, binary, eventually};

#[tokio::test]
async fn the_audit_and_show_name_a_conflict_and_nothing_else() {
    let app = App::start().await;
    let all = app.finished(3).await;
    let (one, other) = (all[0], all[1]);
    app.is_clean().await;
    every_tampering_is_named(&app, one, other).await;
    app.publish_registered(one.event, other.user).await;
    app.acked(4).await;
    app.finds(&[("event_conflict", one.event)]).await;
    let shown = app.tool(&["show", &one.event.to_string()]).await.yes();
    assert_eq!(shown["complete"], true, "{shown}");
    assert_eq!(shown["inbox"]["conflicts"], 1, "{shown}");
    assert!(shown["notes"].to_string().contains("for 1 other users, too"), "{shown}");

    // A user who does not exist is named as before.
    let nobody = user();
    app.publish_registered(one.event, nobody).await;
    app.acked(5).await;
    assert_eq!(others(&app, one.event).await, [other.user, nobody]);
    app.finds(&[
        ("event_conflict", one.event.to_string()),
        ("todo_unexpected", TodoId::welcome(nobody).to_string()),
    ])
    .await;
    app.remove().await;
}

/// What a conflict can be made to say; all is as it was in the end.
async fn every_tampering_is_named(app: &App, one: Finished, other: Finished) {
    let (inbox, todos) = (app.inbox().await, app.todos().await);
    let of_user = |user: UserId| Bson::from(binary(user.uuid()));
    let conflict = |user: Bson, todo: TodoId| {
        doc! { "userId": user, "todoId": binary(todo.uuid()), "at": DateTime::now() }
    };

    // The other user's message came first.
    let reversed = doc! {
        "userId": of_user(other.user), "todoId": binary(other.todo.uuid()),
        "conflicts": [conflict(of_user(one.user), one.todo)],
    };
    let before = app.set(&inbox, of(one.event), reversed).await;
    app.finds(&[("event_conflict", one.event)]).await;
    let shown = app.tool(&["show", &one.event.to_string()]).await.yes();
    assert_eq!(shown["inbox"]["todoId"], one.todo.to_string(), "{shown}");
    app.put_back(&inbox, &before).await;

    let altered = [("event_conflict", one.event), ("inbox_altered", one.event)];
    for conflicts in [
        vec![Bson::from(conflict(of_user(other.user), one.todo))],
        vec![Bson::from(conflict("nobody".into(), other.todo))],
        vec![Bson::Int32(5)],
    ] {
        app.set(&inbox, of(one.event), doc! { "conflicts": conflicts }).await;
        app.finds(&altered).await;
    }
    app.set(&inbox, of(one.event), doc! { "conflicts": "many" }).await;
    app.finds(&[("inbox_altered", one.event)]).await;

    // A deletion that a conflict notes excuses the missing todo, and no other.
    let mut deleted = conflict(of_user(other.user), other.todo);
    deleted.insert("todoDeletedAt", DateTime::now());
    app.set(&inbox, of(one.event), doc! { "conflicts": [deleted] }).await;
    app.finds(&[
        ("event_conflict", one.event.to_string()),
        ("todo_returned", other.todo.to_string()),
    ])
    .await;
    let todo = app.take(&todos, doc! { "_id": binary(other.todo.uuid()) }).await;
    app.finds(&[("event_conflict", one.event)]).await;
    app.put_back(&todos, &todo).await;
    app.put_back(&inbox, &before).await;
    app.is_clean().await;
}

#[tokio::test]
async fn a_registration_whose_event_id_came_for_another_user_first_ends_with_the_own_todo() {
    let app = App::start_with(Options::only(&["auth", "todo"])).await;
    let (id, stranger) = (app.register().await, user());
    let own = app.registered_user(id).await;
    app.publish_registered(id, stranger).await;
    let inbox = app.inbox().await;
    eventually("nobody is left to be told of it", async || {
        match inbox.find_one(of(id)).await.unwrap() {
            Some(record) if record.get_datetime("acknowledgedAt").is_ok() => Ok(()),
            record => Err(record),
        }
    })
    .await;
    for service in ["relay", "worker"] {
        app.component(service).start().await.unwrap();
    }
    app.reaches(id, "ACKNOWLEDGED").await;
    app.acked(2).await;
    for user in [own, stranger] {
        assert_eq!(app.todos_of(user).await, 1);
    }
    assert_eq!(others(&app, id).await, [own]);
    let progress = app.progress(id).await;
    assert_eq!(progress["todoId"], TodoId::welcome(own).to_string(), "{progress}");
    app.remove().await;
}

#[tokio::test]
async fn the_record_of_another_user_is_no_acknowledgement() {
    let options = Options::only(&["auth", "relay", "worker"])
        .in_the_released_plan()
        .with("REGISTRATION_OVERDUE", "1s");
    let app = App::start_with(options).await;
    let id = app.register().await;
    app.reaches(id, "SENT").await;
    app.purge_queue().await;
    let stranger = user();
    let record = doc! {
        "eventId": binary(id.uuid()), "userId": binary(stranger.uuid()),
        "todoId": binary(TodoId::welcome(stranger).uuid()), "processedAt": DateTime::now(),
        "acknowledgedAt": DateTime::now(),
    };
    app.insert(&app.inbox().await, &record).await;
    eventually("the workflow has looked and published again", async || {
        let progress = app.progress(id).await;
        let looked = progress["overdueChecks"].as_u64() > Some(1);
        let published = progress["publishes"].as_u64() > Some(1);
        if looked && published { Ok(()) } else { Err(progress) }
    })
    .await;
    app.component("todo").start().await.unwrap();
    app.reaches(id, "ACKNOWLEDGED").await;
    let own = app.registered_user(id).await;
    assert_eq!(app.todos_of(own).await, 1);
    assert_eq!(others(&app, id).await, [own]);
    app.remove().await;
}

#[tokio::test]
async fn a_redrive_puts_the_dead_letter_of_a_conflict_back() {
    let app = App::start_with(Options::default().with("REGISTRATION_OVERDUE", "1h")).await;
    let one = app.finished(1).await[0];
    let stranger = user();
    app.refuse_todos().await;
    app.publish_registered(one.event, stranger).await;
    app.dead_letters_are(1).await;
    app.accept_todos().await;
    let done = app.tool(&["redrive", "--dead-letters"]).await.yes();
    assert_eq!(done["acts"], serde_json::json!({ "putBack": 1 }), "{done}");
    eventually("the conflict is applied", async || match app.todos_of(stranger).await {
        1 => Ok(()),
        todos => Err(todos),
    })
    .await;
    assert_eq!(others(&app, one.event).await, [stranger]);
    assert_eq!(app.todos_of(one.user).await, 1);
    app.remove().await;
}
