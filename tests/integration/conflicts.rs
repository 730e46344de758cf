//! Messages with one event id and different users: each user has the welcome
//! todo, and the conflict is seen.

mod registered;

use futures::future::join_all;
use mongodb::bson::{Bson, DateTime, Document, doc};
use onboard_contract::{EventId, UserId};
use onboard_events::TodoId;
use onboard_mongo::field::as_uuid;
use reqwest::StatusCode;
use uuid::Uuid;

use crate::harness::{App, Desk, Options, binary, eventually};

/// As many conflicts as a record notes.
const NOTED_MAX: u128 = 100;

fn of(event: EventId) -> Document {
    doc! { "eventId": binary(event.uuid()) }
}

async fn record(app: &App, event: EventId) -> Document {
    app.inbox().await.find_one(of(event)).await.unwrap().expect("the event has a record")
}

/// The users of the conflicts that a record notes.
async fn others(app: &App, event: EventId) -> Vec<UserId> {
    let record = record(app, event).await;
    let conflicts = record.get_array("conflicts").cloned().unwrap_or_default();
    let user = |conflict: &Bson| conflict.as_document().unwrap().get("userId").cloned().unwrap();
    conflicts.iter().map(|conflict| as_uuid(&user(conflict)).unwrap().into()).collect()
}

async fn conflicts(app: &App) -> u64 {
    app.counter("todo", "todo_conflicts_total", "").await
}

fn event() -> EventId {
    Uuid::now_v7().into()
}

fn user() -> UserId {
    Uuid::new_v4().into()
}

#[tokio::test]
async fn each_user_of_one_event_id_has_one_todo_in_either_order() {
    let app = App::start_with(Options::only(&["todo"])).await;
    let (ada, bob, first, second) = (user(), user(), event(), event());
    let mut published = 0;
    // Each message twice: the repeats change nothing.
    for (event, user) in [
        (first, ada),
        (first, bob),
        (first, ada),
        (first, bob),
        (second, bob),
        (second, ada),
        (second, ada),
        (second, bob),
    ] {
        app.publish_registered(event, user).await;
        published += 1;
        app.acked(published).await;
    }
    for user in [ada, bob] {
        assert_eq!(app.todos_of(user).await, 1);
    }
    assert_eq!(others(&app, first).await, [bob]);
    assert_eq!(others(&app, second).await, [ada]);
    let noted = record(&app, first).await;
    assert_eq!(noted.get("userId"), Some(&binary(ada.uuid()).into()));
    let conflict = noted.get_array("conflicts").unwrap()[0].as_document().unwrap().clone();
    assert_eq!(conflict.get("todoId"), Some(&binary(TodoId::welcome(bob).uuid()).into()));
    assert!(conflict.get_datetime("at").is_ok(), "{conflict}");
    assert_eq!(conflicts(&app).await, 2);
    assert_eq!(app.counter("todo", "todo_duplicates_total", "").await, 4);
    a_record_notes_a_bounded_number_and_everybody_has_a_todo(&app, published).await;
    a_record_without_a_readable_user_refuses_its_own_event_alone(&app, published + 3).await;
    app.remove().await;
}

#[tokio::test]
async fn twenty_deliveries_of_two_users_at_once_make_two_todos() {
    let app = App::start_with(Options::only(&["todo"]).and("todo-2", "todo")).await;
    let (event, users) = (event(), [user(), user()]);
    // Neighbours, who may be in the same groups.
    let neighbours: Vec<UserId> = (0..10).map(|_| user()).collect();
    let mixed = (0..20).map(|number| (event, users[number % 2]));
    let mut messages: Vec<(EventId, UserId)> = mixed.collect();
    messages.extend(neighbours.iter().map(|user| (self::event(), *user)));
    join_all(messages.iter().map(|(event, user)| app.publish_registered(*event, *user))).await;
    eventually("every message is acknowledged", async || {
        let mut sum = 0;
        for service in ["todo", "todo-2"] {
            sum += app.counter(service, "todo_messages_total", "verdict=\"ack\"").await;
        }
        if sum == 30 { Ok(()) } else { Err(sum) }
    })
    .await;
    for user in users.iter().chain(&neighbours) {
        assert_eq!(app.todos_of(*user).await, 1, "{user}");
    }
    assert_eq!(app.inbox().await.count_documents(doc! {}).await.unwrap(), 11);
    assert_eq!(others(&app, event).await.len(), 1);
    let counted = conflicts(&app).await + app.counter("todo-2", "todo_conflicts_total", "").await;
    assert_eq!(counted, 1);
    assert_eq!(app.queue_depths().await, (0, 0));
    app.remove().await;
}

#[tokio::test]
async fn a_deleted_todo_of_a_conflict_does_not_come_back() {
    let desk = Desk::start().await;
    let (ada, event) = desk.welcomed().await;
    let bob = desk.somebody();
    desk.app.publish_registered(event, bob.id).await;
    desk.app.acked(2).await;
    assert_eq!(bob.delete(bob.welcome()).await.status, StatusCode::NO_CONTENT);
    let noted = record(&desk.app, event).await;
    let conflict = noted.get_array("conflicts").unwrap()[0].as_document().unwrap().clone();
    assert!(conflict.get_datetime("todoDeletedAt").is_ok(), "{noted}");
    assert!(!noted.contains_key("todoDeletedAt"), "the other user has deleted nothing: {noted}");

    // The same message, another event id of the first user, and one of the own.
    let (of_ada, own) = (self::event(), self::event());
    for (event, user) in
        [(event, bob.id), (of_ada, ada.id), (of_ada, bob.id), (own, bob.id), (own, ada.id)]
    {
        desk.app.publish_registered(event, user).await;
    }
    desk.app.acked(7).await;
    assert_eq!(bob.read(bob.welcome()).await.status, StatusCode::NOT_FOUND);
    assert_eq!(bob.all(10).await.len(), 0);
    assert_eq!(ada.all(10).await.len(), 1);
    a_deletion_and_a_conflict_at_the_same_time_leave_no_todo(&desk).await;
    desk.app.remove().await;
}

/// Deleting races with a conflict of the same user: the todo stays deleted.
async fn a_deletion_and_a_conflict_at_the_same_time_leave_no_todo(desk: &Desk) {
    for _ in 0..8 {
        let ((_, event), (bob, _)) = (desk.welcomed().await, desk.welcomed().await);
        let ((), deleted) =
            tokio::join!(desk.app.publish_registered(event, bob.id), bob.delete(bob.welcome()));
        assert_eq!(deleted.status, StatusCode::NO_CONTENT);
        eventually("the conflict is noted", async || match others(&desk.app, event).await {
            others if others.is_empty() => Err(others),
            _ => Ok(()),
        })
        .await;
        assert_eq!(bob.all(10).await.len(), 0);
    }
}

async fn a_record_notes_a_bounded_number_and_everybody_has_a_todo(app: &App, acked: u64) {
    let (event, ada, bob) = (event(), user(), user());
    let counted = conflicts(app).await;
    app.publish_registered(event, ada).await;
    app.acked(acked + 1).await;
    let conflict = |number| {
        doc! {
            "userId": binary(Uuid::from_u128(number)), "todoId": binary(Uuid::from_u128(number)),
            "at": DateTime::now(),
        }
    };
    let many: Vec<Document> = (0..NOTED_MAX).map(conflict).collect();
    app.set(&app.inbox().await, of(event), doc! { "conflicts": many }).await;
    app.publish_registered(event, bob).await;
    app.publish_registered(event, bob).await;
    app.acked(acked + 3).await;
    assert_eq!(app.todos_of(bob).await, 1);
    assert_eq!(others(app, event).await.len() as u128, NOTED_MAX);
    assert_eq!(conflicts(app).await, counted + 2, "each message counts, since none is noted");
}

async fn a_record_without_a_readable_user_refuses_its_own_event_alone(app: &App, acked: u64) {
    let (event, ada) = (event(), user());
    app.publish_registered(event, ada).await;
    app.acked(acked + 1).await;
    app.set(&app.inbox().await, of(event), doc! { "userId": "ada" }).await;
    let neighbours: Vec<UserId> = (0..10).map(|_| user()).collect();
    let all = neighbours.iter().map(|user| (self::event(), *user)).chain([(event, ada)]);
    let all: Vec<(EventId, UserId)> = all.collect();
    join_all(all.iter().map(|(event, user)| app.publish_registered(*event, *user))).await;
    app.acked(acked + 11).await;
    app.dead_letters_are(1).await;
    for user in &neighbours {
        assert_eq!(app.todos_of(*user).await, 1, "{user}");
    }
}
