//! The welcome todo, deleted or renamed by its user.

use mongodb::bson::doc;
use onboard_contract::EventId;
use reqwest::StatusCode;
use serde_json::json;
use uuid::Uuid;

use crate::harness::{App, Desk, Issuer, Options, binary, eventually};

/// Whether the deletion is noted on the record of an event.
async fn noted(app: &App, event: EventId) -> bool {
    let record = app.inbox().await.find_one(doc! { "eventId": binary(event.uuid()) }).await;
    record.unwrap().unwrap().get_datetime("todoDeletedAt").is_ok()
}

#[tokio::test]
async fn a_deleted_welcome_todo_does_not_come_back() {
    let desk = Desk::start().await;
    let (ada, event) = desk.welcomed().await;
    assert!(!noted(&desk.app, event).await);
    assert_eq!(ada.delete(ada.welcome()).await.status, StatusCode::NO_CONTENT);
    assert!(noted(&desk.app, event).await);
    // The same event again, and another one of the same user.
    let second = EventId::from(Uuid::now_v7());
    for event in [event, second, second] {
        desk.app.publish_registered(event, ada.id).await;
    }
    desk.app.acked(4).await;
    assert_eq!(ada.read(ada.welcome()).await.status, StatusCode::NOT_FOUND);
    assert_eq!(ada.all(10).await.len(), 0);
    assert_eq!(ada.delete(ada.welcome()).await.status, StatusCode::NOT_FOUND);
    // Somebody else's is not touched by any of it.
    let (bob, event) = desk.welcomed().await;
    assert!(!noted(&desk.app, event).await);
    assert_eq!(bob.all(10).await.len(), 1);
    desk.app.remove().await;
}

/// Deleting races with the second event of the same user: in whatever order
/// they commit, the todo is gone and that is noted.
#[tokio::test]
async fn a_deletion_and_an_event_at_the_same_time_leave_no_todo() {
    let desk = Desk::start().await;
    for _ in 0..8 {
        let (ada, event) = desk.welcomed().await;
        let second = EventId::from(Uuid::now_v7());
        let ((), deleted) =
            tokio::join!(desk.app.publish_registered(second, ada.id), ada.delete(ada.welcome()));
        assert_eq!(deleted.status, StatusCode::NO_CONTENT);
        eventually("the second event is applied", async || {
            let of_second = doc! { "eventId": binary(second.uuid()) };
            let record = desk.app.inbox().await.find_one(of_second).await;
            record.unwrap().map(drop).ok_or("no record")
        })
        .await;
        assert_eq!(ada.all(10).await.len(), 0);
        assert!(noted(&desk.app, event).await);
    }
    desk.app.remove().await;
}

#[tokio::test]
async fn only_the_users_own_condition_deletes_the_welcome_todo() {
    let desk = Desk::start().await;
    let (ada, event) = desk.welcomed().await;
    let path = format!("/{}", ada.welcome());
    let delete = |tag: &str| {
        let request = ada.request(reqwest::Method::DELETE, &path).header("if-match", tag);
        crate::harness::reply(request)
    };
    assert_eq!(delete("\"2\"").await.status, StatusCode::PRECONDITION_FAILED);
    assert!(!noted(&desk.app, event).await, "nothing is noted when nothing is deleted");
    ada.change(ada.welcome(), &json!({ "completed": true })).await;
    assert_eq!(delete("\"1\"").await.status, StatusCode::PRECONDITION_FAILED);
    assert_eq!(delete("\"2\"").await.status, StatusCode::NO_CONTENT);
    assert!(noted(&desk.app, event).await);
    desk.app.remove().await;
}

/// The whole system, with users who delete and rename: nothing to complain of.
#[tokio::test]
async fn the_audit_and_show_understand_what_users_do() {
    let issuer = Issuer::start().await;
    let options = Options::default().with_for("todo", "JWKS_URL", issuer.url());
    let app = App::start_with(options).await;
    let all = app.finished(3).await;
    let people: Vec<_> = all.iter().map(|one| app.person(&issuer, one.user)).collect();
    people[0].delete(people[0].welcome()).await;
    people[1].change(people[1].welcome(), &json!({ "title": "Get to know the App" })).await;
    // Titled like the welcome todo, and the user's own business.
    people[0].add("Welcome to the App").await;
    people[2].add("Welcome to the App").await;
    people[2].change(people[2].welcome(), &json!({ "completed": true })).await;
    app.is_clean().await;

    let name = all[0].event.to_string();
    let shown = app.tool(&["show", &name]).await.yes();
    assert_eq!(shown["complete"], true, "{shown}");
    assert!(shown["todo"].is_null() && shown["inbox"]["todoDeletedAt"].is_string(), "{shown}");
    assert!(
        shown["notes"].to_string().contains("the user has deleted the welcome todo"),
        "{shown}"
    );
    let text = crate::harness::text(&app.onboard(&["show", &name]).await);
    assert!(text.contains("the user has deleted the welcome todo"), "{text}");
    let renamed = app.tool(&["show", &all[1].event.to_string()]).await.yes();
    assert_eq!(renamed["todo"]["title"], "Get to know the App", "{renamed}");
    app.remove().await;
}
