//! Scenario 3: the same event delivered more than once, one todo.

use futures::future::join_all;
use onboard_contract::UserId;
use serde_json::json;
use uuid::Uuid;

use crate::harness::{App, Options, eventually};

fn event(event_id: Uuid, user_id: Uuid) -> String {
    json!({
        "eventId": event_id,
        "eventType": "USER_REGISTERED",
        "schemaVersion": 1,
        "occurredAt": "2026-01-01T00:00:00Z",
        "payload": { "userId": user_id, "email": "by.hand@example.com" },
    })
    .to_string()
}

/// Waits until the todo services have acknowledged so many messages.
async fn acknowledged(app: &App, services: &[&str], messages: u64) {
    eventually("every message is acknowledged", async || {
        let mut sum = 0;
        for service in services {
            sum += app.counter(service, "todo_messages_total", "verdict=\"ack\"").await;
        }
        if sum == messages { Ok(()) } else { Err(sum) }
    })
    .await;
}

#[tokio::test]
async fn a_message_published_by_hand_creates_a_todo() {
    let app = App::start_with(Options::only(&["todo"])).await;
    let user = Uuid::new_v4();
    assert!(app.publish_by_hand(&event(Uuid::now_v7(), user)).await);
    let user = UserId::from(user);
    eventually("the todo exists", async || match app.todos_of(user).await {
        1 => Ok(()),
        todos => Err(todos),
    })
    .await;
    app.remove().await;
}

#[tokio::test]
async fn duplicate_delivery_creates_one_todo() {
    let app = App::start().await;
    let id = app.register().await;
    app.reaches(id, "ACKNOWLEDGED").await;
    let user = app.registered_user(id).await;
    app.publish_registered(id, user).await;
    app.publish_registered(id, user).await;
    acknowledged(&app, &["todo"], 3).await;
    assert_eq!(app.todos_of(user).await, 1);
    app.finish().await;
}

#[tokio::test]
async fn twenty_deliveries_at_once_create_one_todo() {
    let app = App::start_with(Options::only(&["todo"]).and("todo-2", "todo")).await;
    let (event_id, user) = (Uuid::now_v7(), Uuid::new_v4());
    let body = event(event_id, user);
    let routed = join_all((0..20).map(|_| app.publish_by_hand(&body))).await;
    assert!(routed.into_iter().all(|routed| routed));
    acknowledged(&app, &["todo", "todo-2"], 20).await;
    assert_eq!(app.todos_of(UserId::from(user)).await, 1);
    assert_eq!(app.inbox().await.count_documents(mongodb::bson::doc! {}).await.unwrap(), 1);
    app.remove().await;
}

#[tokio::test]
async fn two_events_of_one_user_create_one_todo() {
    let app = App::start_with(Options::only(&["todo"])).await;
    let user = Uuid::new_v4();
    let bodies: Vec<String> = (0..10).map(|_| event(Uuid::now_v7(), user)).collect();
    join_all(bodies.iter().map(|body| app.publish_by_hand(body))).await;
    acknowledged(&app, &["todo"], 10).await;
    assert_eq!(app.todos_of(UserId::from(user)).await, 1);
    assert_eq!(app.inbox().await.count_documents(mongodb::bson::doc! {}).await.unwrap(), 10);
    app.remove().await;
}
