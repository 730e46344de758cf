//! A registration that is recorded as done and is not: every tool sees it, and `redrive`
//! heals it, killed at any step.

use mongodb::bson::{Bson, DateTime, doc};
use onboard_events::TodoId;
use onboard_fault::{Side, Step};
use serde_json::json;
use uuid::Uuid;

use crate::harness::{App, Finished, binary, eventually};

const REASON: [&str; 2] = ["--reason", "the task is missing"];

fn of_event(one: Finished) -> mongodb::bson::Document {
    doc! { "eventId": binary(one.event.uuid()) }
}

/// `show` and a dry run see it; the redrive heals it, and says why it was done.
async fn is_healed(app: &App, one: Finished, missing: &str) {
    let name = one.event.to_string();
    let record = app.tool(&["show", &name]).await.no();
    assert!(record["missing"].to_string().contains(missing), "{record}");
    assert_eq!(record["next"][0], format!("onboard redrive {name}"), "{record}");
    let dry = app.tool(&["redrive", &name, "--dry-run"]).await.yes();
    assert_eq!(dry["acts"], json!({ "reopen": 1 }), "{dry}");
    let args = [&["redrive", &name][..], &REASON[..]].concat();
    let done = app.tool(&args).await.yes();
    assert_eq!(done["acts"], json!({ "reopen": 1 }), "{done}");
    is_whole(app, one).await;
    let records = app.redrives(of_event(one)).await;
    let act = records.last().unwrap();
    assert_eq!(act.get_str("act").unwrap(), "reopen");
    assert_eq!(act.get_str("reason").unwrap(), REASON[1]);
    assert!(act.get_datetime("doneAt").is_ok(), "{act}");
}

async fn is_whole(app: &App, one: Finished) {
    let name = one.event.to_string();
    eventually("the registration is whole", async || {
        let shown = app.tool(&["show", &name]).await;
        if shown.code == Some(0) { Ok(()) } else { Err(shown) }
    })
    .await;
    eventually("the audit finds nothing", async || match app.audit(&["--grace", "0s"]).await {
        (0, _) => Ok(()),
        (_, report) => Err(report),
    })
    .await;
}

#[tokio::test]
async fn a_registration_that_counts_as_done_without_its_task_is_seen_and_healed() {
    let app = App::start().await;
    let all = app.finished(3).await;
    let (todos, inbox, one) = (app.todos().await, app.inbox().await, all[0]);
    app.is_clean().await;

    // Neither record nor todo, as after an acknowledgement that somebody made up.
    app.take(&inbox, of_event(one)).await;
    app.take(&todos, Finished::by_id(one.todo.uuid())).await;
    app.finds(&[("inbox_missing", one.event.to_string()), ("todo_missing", one.todo.to_string())])
        .await;
    is_healed(&app, one, "no inbox record").await;

    // The record says that it was done; the message alone would be a duplicate.
    app.take(&todos, Finished::by_id(one.todo.uuid())).await;
    app.finds(&[("todo_missing", one.todo)]).await;
    is_healed(&app, one, "no welcome todo of this user").await;
    let removed = app.redrives(of_event(one)).await.pop().unwrap();
    let kept = removed.get_document("removed").unwrap().get_document("inboxRecord").unwrap();
    assert_eq!(kept.get("eventId"), Some(&Bson::from(binary(one.event.uuid()))));

    // Another user's todo has taken its id. That user keeps it, under another id.
    let other = all[1];
    let given = doc! { "userId": binary(other.user.uuid()), "title": "Buy milk" };
    app.set(&todos, Finished::by_id(one.todo.uuid()), given).await;
    app.finds(&[("todo_altered", one.todo.to_string()), ("todo_unexpected", one.todo.to_string())])
        .await;
    is_healed(&app, one, "a todo of another user has its id").await;
    let milk = doc! { "userId": binary(other.user.uuid()), "title": "Buy milk" };
    let moved = todos.find_one(milk).await.unwrap().expect("the other user keeps it");
    assert_ne!(moved.get("_id"), Some(&Bson::from(binary(one.todo.uuid()))));
    let welcome = todos.find_one(Finished::by_id(one.todo.uuid())).await.unwrap().unwrap();
    assert_eq!(welcome.get_str("title").unwrap(), "Welcome to the App");
    app.take(&todos, doc! { "_id": moved.get("_id").unwrap() }).await;

    // A deletion by the user is none of it.
    let third = all[2];
    app.set(&inbox, of_event(third), doc! { "todoDeletedAt": DateTime::now() }).await;
    app.take(&todos, Finished::by_id(third.todo.uuid())).await;
    app.tool(&["show", &third.event.to_string()]).await.yes();
    let done = app.tool(&["redrive", &third.event.to_string()]).await.yes();
    assert_eq!(done["finished"], 1, "{done}");
    app.is_clean().await;
    app.remove().await;
}

/// The todo service has the record of another user under this event id.
#[tokio::test]
async fn the_record_of_another_user_is_left_where_it_is() {
    let app = App::start().await;
    let one = app.finished(1).await[0];
    let stranger = Uuid::new_v4();
    let of_stranger = doc! {
        "userId": binary(stranger),
        "todoId": binary(TodoId::welcome(stranger.into()).uuid()),
    };
    app.set(&app.inbox().await, of_event(one), of_stranger).await;
    app.take(&app.todos().await, Finished::by_id(one.todo.uuid())).await;
    let name = one.event.to_string();
    let done = app.tool(&[&["redrive", &name][..], &REASON[..]].concat()).await.yes();
    assert_eq!(done["acts"], json!({ "reopen": 1 }), "{done}");
    eventually("the user has the task", async || match app.todos_of(one.user).await {
        1 => Ok(()),
        todos => Err(todos),
    })
    .await;
    let record = app.inbox().await.find_one(of_event(one)).await.unwrap().unwrap();
    assert_eq!(record.get("userId"), Some(&Bson::from(binary(stranger))), "{record}");
    assert_eq!(record.get_array("conflicts").unwrap().len(), 1, "{record}");
    app.reaches(one.event, "ACKNOWLEDGED").await;
    app.remove().await;
}

#[tokio::test]
async fn a_redrive_that_dies_while_it_heals_is_finished_by_the_next_one() {
    let app = App::start().await;
    let todos = app.todos().await;
    for step in [
        Step("redrive.record"),
        Step("redrive.forget"),
        Step("redrive.release"),
        Step("redrive.restart"),
    ] {
        for side in [Side::Before, Side::After] {
            let one = app.finished(1).await[0];
            app.take(&todos, Finished::by_id(one.todo.uuid())).await;
            let name = one.event.to_string();
            app.crash_tool(&["redrive", &name], &step.point(side)).await;
            app.tool(&["redrive", &name]).await.yes();
            is_whole(&app, one).await;
        }
    }
    app.finish().await;
}
