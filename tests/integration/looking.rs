//! An acknowledgement that is overdue: the consumer is asked, its answer looks at the
//! effect, and an outage costs the same however long it lasts.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use futures::future::join_all;
use mongodb::bson::{DateTime, doc};
use onboard_contract::EventId;
use onboard_events::TodoId;
use onboard_events::registration::workflow_id;
use serde_json::json;
use uuid::Uuid;

use crate::harness::{App, Options, binary, eventually};

const NO_TODO: [&str; 3] = ["auth", "relay", "worker"];
const QUESTION: &str = "find_acknowledgement";

async fn without_todo(plan: &str) -> App {
    let options = Options::only(&NO_TODO).with("DELIVERY_PLAN", plan);
    App::start_with(options.with("REGISTRATION_OVERDUE", "1s")).await
}

/// Waits until the run is shown as STALLED and asks the todo service.
async fn asks(app: &App, id: EventId) {
    app.reaches(id, "STALLED").await;
    eventually("the todo service is asked", async || match app.pending_activity(id).await {
        Some(activity) if activity.activity == QUESTION => Ok(()),
        other => Err(other),
    })
    .await;
}

/// What an outage has cost so far: messages, and events of each run.
async fn costs(app: &App, ids: &[EventId]) -> (u32, Vec<usize>) {
    let events = join_all(ids.iter().map(async |id| app.history(*id).await.len())).await;
    (app.queue_depths().await.0, events)
}

async fn passes(time: Duration) {
    let begun = Instant::now();
    eventually("overdue periods pass", async || match begun.elapsed() {
        elapsed if elapsed > time => Ok(()),
        elapsed => Err(elapsed),
    })
    .await;
}

#[tokio::test]
async fn an_outage_costs_a_message_and_a_question_per_registration_however_long_it_lasts() {
    let app = without_todo("2").await;
    let ids = join_all((0..20).map(|_| app.register())).await;
    join_all(ids.iter().map(|id| asks(&app, *id))).await;
    let before = costs(&app, &ids).await;
    assert_eq!(before.0, 20, "a message each");
    passes(Duration::from_secs(10)).await;
    assert_eq!(costs(&app, &ids).await, before, "ten overdue periods cost nothing");
    let details = app.current_details(ids[0]).await;
    assert!(details.starts_with("STALLED") && details.contains("Asked whether"), "{details}");
    let record = app.tool(&["show", &ids[0].to_string()]).await.no()["missing"].to_string();
    let nobody = format!("(nobody polls its task queue {}-todo)", app.id);
    assert!(
        record.contains("asking the todo service since 2") && record.contains(&nobody),
        "{record}"
    );
    let stalled = app.workflows_where("RegistrationStage = 'STALLED'").await;
    assert_eq!(stalled, 20);

    app.component("todo").start().await.unwrap();
    for id in ids {
        app.reaches(id, "ACKNOWLEDGED").await;
    }
    let messages = app.counter("todo", "todo_messages_total", "").await;
    assert!((20..=40).contains(&messages), "{messages} messages");
    app.finish().await;
}

#[tokio::test]
async fn a_message_that_is_lost_in_an_outage_is_replaced_when_the_service_is_back() {
    let app = without_todo("2").await;
    let ids = join_all((0..4).map(|_| app.register())).await;
    join_all(ids.iter().map(|id| asks(&app, *id))).await;
    app.purge_queue().await;
    app.component("todo").start().await.unwrap();
    for id in ids {
        app.reaches(id, "ACKNOWLEDGED").await;
    }
    app.finish().await;
}

#[tokio::test]
async fn in_the_plan_of_released_builds_an_outage_puts_no_second_message_on_the_queue() {
    let app = without_todo("1").await;
    let ids = join_all((0..6).map(|_| app.register())).await;
    for id in &ids {
        eventually("it was looked for twice", async || match app.progress(*id).await {
            progress if progress["overdueChecks"].as_u64() > Some(1) => Ok(()),
            progress => Err(progress),
        })
        .await;
    }
    assert_eq!(app.queue_depths().await.0, 6);
    app.purge_queue().await;
    eventually("an event is published again", async || match app.queue_depths().await.0 {
        0 => Err(0),
        _ => Ok(()),
    })
    .await;
    app.component("todo").start().await.unwrap();
    for id in ids {
        app.reaches(id, "ACKNOWLEDGED").await;
    }
    app.finish().await;
}

#[tokio::test]
async fn sixty_requests_to_publish_again_put_one_message_on_the_queue() {
    for (plan, messages) in [("1", 1), ("2", 2)] {
        let options = Options::only(&NO_TODO).with("DELIVERY_PLAN", plan);
        let app = App::start_with(options).await;
        let id = app.register().await;
        app.reaches(id, "SENT").await;
        app.signal_often(id, "republish", 60).await;
        at_rest(&app, id).await;
        assert_eq!(app.queue_depths().await.0, messages, "plan {plan}");
        // They are merged, not lost: a request finds the queue empty.
        app.purge_queue().await;
        app.signal(id, "republish").await;
        eventually("it is published", async || match app.queue_depths().await.0 {
            1 => Ok(()),
            depth => Err(depth),
        })
        .await;
        app.component("todo").start().await.unwrap();
        app.reaches(id, "ACKNOWLEDGED").await;
        app.finish().await;
    }
}

/// Waits until the run has no activity under way, seen three times in a row with the
/// same history.
async fn at_rest(app: &App, id: EventId) {
    let seen = Mutex::new(Vec::new());
    eventually("the run is at rest", async || {
        let now = (app.pending_activity(id).await.is_none(), app.history(id).await.len());
        let mut seen = seen.lock().unwrap();
        seen.push(now);
        let last = seen.iter().rev().take(3).collect::<Vec<_>>();
        if last.len() == 3 && last.iter().all(|one| **one == (true, now.1)) {
            Ok(())
        } else {
            Err(now)
        }
    })
    .await;
}

/// A run is started by hand with the input that a relay makes from an event's file.
#[tokio::test]
async fn a_consumer_with_a_patience_of_its_own_is_overdue_then() {
    let app = App::start_with(Options::only(&["auth", "worker"])).await;
    let id = app.register().await;
    let input = json!({
        "eventId": id, "userId": app.registered_user(id).await, "overdueMs": 3_600_000,
        "delivery": { "consumers": ["todo"], "patience": { "todo": 1_000 } },
    });
    app.start_workflow(&workflow_id(id), input).await;
    eventually("its acknowledgement is overdue", async || match app.progress(id).await {
        progress if progress["stage"] == "STALLED" => Ok(()),
        progress => Err(progress),
    })
    .await;
    app.remove().await;
}

#[tokio::test]
async fn an_acknowledgement_with_a_made_up_ref_does_not_count() {
    let app = without_todo("2").await;
    let id = app.register().await;
    app.reaches(id, "SENT").await;
    let made_up = Uuid::new_v4();
    let todo = json!({ "eventId": id, "todoId": made_up });
    app.signal_with(id, "todo_acknowledged", &todo).await;
    for reference in [json!(made_up), json!(null), json!("x".repeat(300))] {
        let other = json!({ "eventId": id, "consumer": "todo", "ref": reference });
        app.signal_with(id, "acknowledged", &other).await;
    }
    app.acknowledge("todo", id, &made_up.to_string()).await;
    asks(&app, id).await;
    let progress = app.progress(id).await;
    assert_eq!((&progress["awaited"], &progress["todoId"]), (&json!(["todo"]), &json!(null)));

    app.component("todo").start().await.unwrap();
    app.reaches(id, "ACKNOWLEDGED").await;
    let welcome = TodoId::welcome(app.registered_user(id).await).to_string();
    let row = app.row(id).await;
    let todo = row.get_document("acknowledgements").unwrap().get_document("todo").unwrap();
    assert_eq!(todo.get_str("ref").unwrap(), welcome);
    assert_eq!(app.progress(id).await["todoId"], json!(welcome));
    app.finish().await;
}

/// The record says that the event was applied, and no todo is there.
#[tokio::test]
async fn a_record_without_its_todo_is_not_done_and_a_copy_makes_the_todo() {
    for plan in ["1", "2"] {
        let app = without_todo(plan).await;
        let id = app.register().await;
        app.reaches(id, "SENT").await;
        let user = app.registered_user(id).await;
        let now = DateTime::now();
        let record = doc! {
            "eventId": binary(id.uuid()), "userId": binary(user.uuid()),
            "todoId": binary(TodoId::welcome(user).uuid()), "processedAt": now,
            "acknowledgedAt": now,
        };
        app.inbox().await.insert_one(record).await.unwrap();
        app.purge_queue().await;
        app.reaches(id, "STALLED").await;
        app.component("todo").start().await.unwrap();
        app.reaches(id, "ACKNOWLEDGED").await;
        assert_eq!(app.todos_of(user).await, 1, "plan {plan}");
        app.finish().await;
    }
}

/// Another user's todo has the id of the welcome todo: the registration is not done
/// until somebody has removed that.
#[tokio::test]
async fn a_todo_of_another_user_with_the_id_of_the_welcome_todo_acknowledges_nothing() {
    for plan in ["1", "2"] {
        let app = without_todo(plan).await;
        let id = app.register().await;
        app.reaches(id, "SENT").await;
        let user = app.registered_user(id).await;
        let (welcome, now) = (binary(TodoId::welcome(user).uuid()), DateTime::now());
        let taken = doc! {
            "_id": &welcome, "userId": binary(Uuid::new_v4()), "title": "Mine",
            "completed": false, "createdAt": now, "updatedAt": now,
        };
        app.todos().await.insert_one(taken).await.unwrap();
        app.component("todo").start().await.unwrap();
        eventually("the message is a dead letter", async || match app.queue_depths().await {
            (0, letters) if letters > 0 => Ok(()),
            depths => Err(depths),
        })
        .await;
        assert_eq!(
            app.dead_letters().await[0]["properties"]["headers"]["x-onboard-reason"],
            "store_rejected"
        );
        assert_ne!(app.registration(id).await["stage"], "ACKNOWLEDGED");
        app.todos().await.delete_one(doc! { "_id": &welcome }).await.unwrap();
        let order = ["redrive", "--dead-letters", "--reason", "the other todo is removed"];
        app.tool(&order).await.yes();
        app.reaches(id, "ACKNOWLEDGED").await;
        assert_eq!(app.todos_of(user).await, 1, "plan {plan}");
        app.remove().await;
    }
}
