//! A queue that is full when the todo service comes to it: many messages share
//! a transaction, an ack and a note, and each ends as if it had been alone.

mod crashes;

use std::collections::HashSet;

use mongodb::bson::{Document, doc};
use onboard_contract::UserId;
use onboard_events::TodoId;
use serde_json::json;
use uuid::Uuid;

use crate::harness::{App, Desk, Options, binary, eventually};

/// An event of a user.
#[derive(Debug, Clone, Copy)]
struct Event {
    id: Uuid,
    user: Uuid,
}

impl Event {
    fn of(user: Uuid) -> Self {
        Self { id: Uuid::now_v7(), user }
    }

    fn body(&self) -> String {
        json!({ "eventId": self.id, "eventType": "USER_REGISTERED", "schemaVersion": 1,
            "payload": { "userId": self.user, "email": "by.hand@example.com" } })
        .to_string()
    }
}

/// So many events, each of another user.
fn events(count: usize) -> Vec<Event> {
    (0..count).map(|_| Event::of(Uuid::new_v4())).collect()
}

fn bodies(events: &[Event]) -> Vec<String> {
    events.iter().map(Event::body).collect()
}

async fn records(app: &App, filter: Document) -> u64 {
    app.inbox().await.count_documents(filter).await.unwrap()
}

/// Waits until every event has its record.
async fn all_recorded(app: &App, count: usize) {
    eventually("every event has a record", async || match records(app, doc! {}).await {
        found if found == count as u64 => Ok(()),
        found => Err(found),
    })
    .await;
}

/// Every event has one record, every user one welcome todo, nothing waits.
async fn end_as_they_should(app: &App, events: &[Event]) {
    all_recorded(app, events.len()).await;
    eventually("the queue is empty", async || match app.queue_depths().await {
        (0, 0) => Ok(()),
        depths => Err(depths),
    })
    .await;
    let users: HashSet<Uuid> = events.iter().map(|event| event.user).collect();
    let todos = app.todos().await;
    assert_eq!(todos.count_documents(doc! {}).await.unwrap(), users.len() as u64);
    let ids: Vec<_> =
        users.iter().map(|user| binary(TodoId::welcome(UserId::from(*user)).uuid())).collect();
    let welcome = doc! { "_id": { "$in": ids } };
    assert_eq!(todos.count_documents(welcome).await.unwrap(), users.len() as u64);
}

#[tokio::test]
async fn every_message_of_a_full_queue_ends_as_it_should_in_few_transactions() {
    let desk = Desk::start().await;
    let app = &desk.app;
    let mut deleted = Vec::new();
    for _ in 0..3 {
        let (person, _) = desk.welcomed().await;
        person.delete(person.welcome()).await;
        deleted.push(person);
    }
    app.component("todo").stop().await.unwrap();
    let fresh = events(482);
    let mut bodies = bodies(&fresh);
    bodies.extend(fresh.iter().take(10).map(Event::body));
    bodies.extend(deleted.iter().map(|person| Event::of(person.id.uuid()).body()));
    bodies.extend((0..5).map(|_| "{}".to_owned()));
    // Spread over the whole queue.
    bodies.sort_by_cached_key(|_| Uuid::new_v4());
    app.publish_all(&bodies).await;
    app.component("todo").start().await.unwrap();

    app.acked(482 + 10 + 3).await;
    eventually("the poison is among the dead letters", async || match app.queue_depths().await {
        (0, 5) => Ok(()),
        depths => Err(depths),
    })
    .await;
    assert_eq!(app.counter("todo", "todo_duplicates_total", "").await, 10);
    assert_eq!(app.counter("todo", "todo_welcome_tasks_created_total", "").await, 482 + 3);
    assert_eq!(records(app, doc! {}).await, 482 + 3 + 3);
    assert_eq!(app.todos().await.count_documents(doc! {}).await.unwrap(), 482);
    for person in &deleted {
        assert_eq!(app.todos_of(person.id).await, 0, "what its user deleted stays deleted");
    }
    let groups = app.counter("todo", "todo_inbox_groups_total", "").await;
    let alone = app.counter("todo", "todo_inbox_alone_total", "").await;
    // Two groups that hold the same event may collide until one gives way and
    // its members go on alone; not all can have done that.
    assert!(groups + alone < 495 / 2, "{groups} groups and {alone} alone for 495 messages");
    eventually("all is noted", async || {
        match records(app, doc! { "acknowledgedAt": null }).await {
            0 => Ok(()),
            open => Err(open),
        }
    })
    .await;
    desk.app.remove().await;
}

/// Every event twice, and another event of every user, in any order.
#[tokio::test]
async fn two_services_work_off_a_queue_full_of_repeats() {
    let app = App::start_with(Options::only(&[]).and("todo-2", "todo")).await;
    app.component("todo-2").stop().await.unwrap();
    let mut all = events(150);
    all.extend(all.clone().into_iter().map(|event| Event::of(event.user)));
    let mut twice = bodies(&all);
    twice.extend(bodies(&all));
    twice.sort_by_cached_key(|_| Uuid::new_v4());
    app.publish_all(&twice).await;
    for service in ["todo", "todo-2"] {
        app.component(service).request_start().await.unwrap();
    }
    end_as_they_should(&app, &all).await;
    app.remove().await;
}

/// One that the store will never take does not take its neighbours along.
#[tokio::test]
async fn a_member_that_the_store_refuses_harms_none_of_its_group() {
    let app = App::start_with(Options::only(&[])).await;
    let mut all = events(200);
    let refused = all[100];
    let refuse = doc! { "collMod": "todos", "validator": {
        "userId": { "$ne": binary(refused.user) },
    } };
    app.todo_database().await.run_command(refuse).await.unwrap();
    app.publish_all(&bodies(&all)).await;
    app.component("todo").start().await.unwrap();
    all_recorded(&app, 199).await;
    eventually("it is the only dead letter", async || match app.queue_depths().await {
        (0, 1) => Ok(()),
        depths => Err(depths),
    })
    .await;
    let letter = app.dead_letters().await.remove(0);
    assert_eq!(letter["properties"]["headers"]["x-onboard-reason"], "store_rejected");
    assert!(letter["payload"].as_str().unwrap().contains(&refused.id.to_string()), "{letter}");
    assert!(app.counter("todo", "todo_inbox_groups_total", "apart").await > 0);
    app.purge_dead_letters().await;
    all.remove(100);
    end_as_they_should(&app, &all).await;
    app.remove().await;
}

/// With the sweep's age out of reach, only falling behind can wake it.
#[tokio::test]
async fn acknowledgements_that_do_not_fit_are_taken_from_the_inbox_at_once() {
    let options = Options::only(&["todo"])
        .with("TODO_SWEEP_INTERVAL", "10m")
        .with("TODO_SWEEP_AGE", "1h")
        .with_for("todo", "FAILPOINTS", "acknowledge.signal.before=return(slow:300)");
    let app = App::start_with(options).await;
    let all = events(800);
    app.publish_all(&bodies(&all)).await;
    end_as_they_should(&app, &all).await;
    let open = records(&app, doc! { "acknowledgedAt": null }).await;
    assert!(open > 0, "the queue does not wait for the signals");
    let left = app.counter("todo", "todo_acknowledgements_total", "left").await;
    assert!(left > 0, "not all of them fit");
    eventually("all is noted", async || {
        match records(&app, doc! { "acknowledgedAt": null }).await {
            0 => Ok(()),
            open => Err(open),
        }
    })
    .await;
    let noted = app.counter("todo", "todo_acknowledgements_total", "noted").await;
    assert!(noted < 800 + 100, "few were sent twice: {noted}");
    app.remove().await;
}
