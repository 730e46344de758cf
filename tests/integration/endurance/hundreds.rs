//! Hundreds of registrations: they take Temporal most of a minute.

use futures::future::join_all;
use mongodb::bson::doc;

use crate::harness::{App, Options, dwindles, eventually, whole_machine};

#[tokio::test]
async fn two_relays_start_one_workflow_for_each_of_500_events() {
    let _machine = whole_machine().await;
    let options = Options::only(&["auth", "worker", "todo"]).and("relay-2", "relay");
    let app = App::prepare_on_shared(options).await;
    for service in ["auth", "worker", "todo"] {
        app.component(service).start().await.unwrap();
    }
    app.register_many(500).await;
    tokio::try_join!(app.component("relay").start(), app.component("relay-2").start()).unwrap();
    app.nothing_is_left().await;
    eventually("visibility has caught up", async || match app.all_workflows().await {
        500 => Ok(()),
        workflows => Err(workflows),
    })
    .await;
    app.finish().await;
}

#[tokio::test]
async fn two_relays_share_a_backlog_and_new_rows_and_claim_each_once() {
    let _machine = whole_machine().await;
    let options = Options::only(&["auth", "worker", "todo"])
        .with("RELAY_CLAIM_LEASE", "2m")
        .and("relay-2", "relay");
    let app = App::prepare_on_shared(options).await;
    for service in ["auth", "worker", "todo"] {
        app.component(service).start().await.unwrap();
    }
    app.register_many(400).await;
    tokio::try_join!(app.component("relay").start(), app.component("relay-2").start()).unwrap();
    app.register_many(100).await;
    app.nothing_is_left().await;
    let mut claims = [0, 0];
    for (claims, relay) in claims.iter_mut().zip(["relay", "relay-2"]) {
        *claims = app.counter(relay, "relay_rows_claimed_total", "").await;
    }
    assert!(claims[0] > 0 && claims[1] > 0, "both took part: {claims:?}");
    assert!(claims[0] + claims[1] >= 500, "every row was claimed: {claims:?}");
    // A start that Temporal answers too late is tried again; that is rare.
    let again =
        app.outbox().await.count_documents(doc! { "attempts": { "$gt": 1 } }).await.unwrap();
    assert!(again <= 25, "{again} of 500 rows were claimed more than once: {claims:?}");
    app.every_registration_has_one_workflow().await;
    app.finish().await;
}

#[tokio::test]
async fn five_hundred_poisoned_messages_are_each_applied_once_however_often_the_redrive_is_killed()
{
    const ALL_OF_THEM: u32 = 500;
    let _machine = whole_machine().await;
    let app = App::start_with(Options::default().with("REGISTRATION_OVERDUE", "1h")).await;
    app.refuse_todos().await;
    for batch in 1..=10 {
        join_all((0..ALL_OF_THEM / 10).map(|_| app.register())).await;
        app.dead_letters_are(batch * (ALL_OF_THEM / 10)).await;
    }
    app.accept_todos().await;

    for killed in 1..=3_usize {
        let mut redrive = app.start_tool(&["redrive", "--dead-letters", "--reason", "mended"]);
        eventually("it is midway", async || {
            let done = app.redrives(doc! { "doneAt": { "$type": "date" } }).await.len();
            if done >= killed * 60 { Ok(()) } else { Err(done) }
        })
        .await;
        redrive.kill().await.unwrap();
        eventually("what it held is back", async || match app.queue_depths().await.1 {
            0 => Err("no dead letter is left: it was not midway"),
            _ => Ok(()),
        })
        .await;
    }
    // Two at once, until nothing is left.
    let order = ["redrive", "--dead-letters", "--reason", "mended"];
    dwindles("dead letters", async || {
        tokio::join!(app.tool(&order), app.tool(&order));
        app.queue_depths().await.1
    })
    .await;
    app.tool(&order).await.yes();
    app.nothing_is_left().await;
    let todos = app.todos().await.count_documents(doc! {}).await.unwrap();
    let inbox = app.inbox().await.count_documents(doc! {}).await.unwrap();
    assert_eq!((todos, inbox), (ALL_OF_THEM.into(), ALL_OF_THEM.into()));
    assert_eq!(app.workflows_where("ExecutionStatus = 'Completed'").await, 500);
    let records = app.redrives(doc! {}).await.len();
    let unfinished = app.redrives(doc! { "doneAt": null }).await.len();
    eprintln!("{records} acts recorded, {unfinished} of them cut off");
    assert!(records >= 500, "{records}");
    app.remove().await;
}
