//! Steps that only a situation of their own leads to.

use futures::future::join_all;
use mongodb::bson::{DateTime, doc};
use onboard_fault::Step;
use onboard_stack::Server;
use temporalio_client::WorkflowExecutionStatus;
use uuid::Uuid;

use super::tokens::Tokens;
use super::{ACTS, Act};
use crate::harness::{App, Options, Places, eventually, own_servers, shared_servers};

pub(super) fn armed(service: &'static str, step: Step, act: Act) -> (Tokens, Options) {
    let tokens = Tokens::new(std::iter::once(step.point(act.side)));
    let options = Options::default().with("RELAY_CLAIM_LEASE", "10s").with_for(
        service,
        "FAILPOINTS",
        &tokens.armed(act.word),
    );
    (tokens, options)
}

pub(super) async fn all_used(tokens: &Tokens) {
    eventually("the point is reached", async || match tokens.left() {
        left if left.is_empty() => Ok(()),
        left => Err(left),
    })
    .await;
}

/// Rows that were inserted while no relay ran: no change stream tells of them.
#[tokio::test]
async fn the_relay_claims_late_rows() {
    join_all(ACTS.map(async |act| {
        let (tokens, mut options) = armed("relay", Step("relay.claim"), act);
        options.services = vec!["auth", "worker", "todo"];
        let app = App::start_with(options).await;
        app.register_many(4).await;
        app.component("relay").request_start().await.unwrap();
        all_used(&tokens).await;
        app.nothing_is_left().await;
        app.every_registration_has_one_workflow().await;
        app.finish().await;
    }))
    .await;
}

/// Temporal stops after the relay has met it: rows are given back.
#[tokio::test]
async fn the_relay_gives_a_row_back() {
    let own = own_servers(&[Server::Temporal]).await;
    let shared = shared_servers().await;
    let mut places = Places::of(shared);
    places.temporal_address = Places::of(&own).temporal_address;
    let apps = join_all(ACTS.map(async |act| {
        let (tokens, options) = armed("relay", Step("relay.release"), act);
        (App::start_on(shared, places.clone(), options).await, tokens)
    }))
    .await;
    let temporal = own.temporal.as_ref().unwrap();
    temporal.stop().await.unwrap();
    join_all(apps.iter().map(async |(app, tokens)| {
        app.register().await;
        all_used(tokens).await;
    }))
    .await;
    temporal.start().await.unwrap();
    join_all(apps.into_iter().map(|(app, _)| app.finish())).await;
}

/// A row that the relay cannot read is put off, and others pass.
#[tokio::test]
async fn the_relay_puts_a_row_off() {
    join_all(ACTS.map(async |act| {
        let (tokens, mut options) = armed("relay", Step("relay.put_off"), act);
        options.services = vec!["auth", "worker", "todo"];
        let app = App::start_with(options).await;
        let poison = doc! {
            "_id": "poison", "status": "PENDING", "nextAttemptAt": DateTime::from_millis(0),
        };
        let outbox = app.outbox().await;
        outbox.insert_one(poison).bypass_document_validation(true).await.unwrap();
        app.component("relay").request_start().await.unwrap();
        all_used(&tokens).await;
        let id = app.register().await;
        app.reaches(id, "ACKNOWLEDGED").await;
        let found = eventually("the row says why", async || {
            let row = outbox.find_one(doc! { "_id": "poison" }).await.unwrap().unwrap();
            if row.get_datetime("quarantinedAt").is_ok() { Ok(row) } else { Err(row) }
        })
        .await;
        assert!(found.get_str("lastError").unwrap().contains("cannot read"), "{found}");
        outbox.delete_one(doc! { "_id": "poison" }).await.unwrap();
        app.finish().await;
    }))
    .await;
}

/// MongoDB refuses for now and the todo service is told to stop: the delivery
/// goes back.
#[tokio::test]
async fn the_todo_service_gives_a_delivery_back() {
    for act in ACTS {
        let (tokens, options) = armed("todo", Step("delivery.requeue"), act);
        let app = App::start_with(options.failing("todo").apart(&["todo"])).await;
        let away = doc! { "failCommands": ["insert"], "errorCode": 91 };
        let point = app.fail_commands(doc! { "times": i32::MAX }, away).await;
        // mongod counts the hits of all tests.
        let before = point.hits().await;
        let id = app.register().await;
        app.reaches(id, "SENT").await;
        eventually("the todo service tries", async || match point.hits().await {
            hits if hits > before => Ok(()),
            hits => Err(hits),
        })
        .await;
        app.component("todo").stop().await.unwrap();
        assert_eq!(tokens.left(), Vec::<String>::new(), "{act:?}: the point is reached");
        point.off().await;
        app.component("todo").start().await.unwrap();
        app.reaches(id, "ACKNOWLEDGED").await;
        app.finish().await;
    }
}

/// A poison message becomes a dead letter at least once, and not more often
/// than the process dies. The steps are those of every publish.
#[tokio::test]
async fn a_dead_letter_survives_the_death_of_the_todo_service() {
    let steps = [Step("publish.send"), Step("publish.confirm"), Step("delivery.ack")];
    join_all(ACTS.map(async |act| {
        let tokens = Tokens::new(steps.iter().map(|step| step.point(act.side)));
        let armed = tokens.armed(act.word);
        let app =
            App::start_with(Options::only(&["todo"]).with_for("todo", "FAILPOINTS", &armed)).await;
        assert!(app.publish_by_hand("not an event").await, "it is routed");
        all_used(&tokens).await;
        eventually("the message is among the dead letters", async || {
            match app.queue_depths().await {
                (0, 1..=4) => Ok(()),
                depths => Err(format!("{act:?}: {depths:?}")),
            }
        })
        .await;
        let user = Uuid::new_v4().into();
        app.publish_registered(Uuid::now_v7().into(), user).await;
        eventually("the next one has its todo", async || match app.todos_of(user).await {
            1 => Ok(()),
            todos => Err(todos),
        })
        .await;
        app.purge_dead_letters().await;
        app.remove().await;
    }))
    .await;
}

/// The compare-and-set: what was marked SENT keeps its first time, however
/// often the mark is repeated.
#[tokio::test]
async fn a_repeated_mark_leaves_the_first_time() {
    let act = Act { side: onboard_fault::Side::After, word: "lost" };
    let (tokens, options) = armed("worker", Step("sent.mark"), act);
    let app = App::start_with(options).await;
    let id = app.register().await;
    app.reaches(id, "SENT").await;
    let first = *app.row(id).await.get_datetime("sentAt").unwrap();
    all_used(&tokens).await;
    eventually("the workflow has completed", async || match app.workflow(id).await {
        Some(WorkflowExecutionStatus::Completed) => Ok(()),
        status => Err(status),
    })
    .await;
    assert_eq!(*app.row(id).await.get_datetime("sentAt").unwrap(), first, "the first time stands");
    app.finish().await;
}

/// Updates that meet share a command: what happens to it happens to all who
/// wait for it. The worker comes when many do.
#[tokio::test]
async fn a_group_of_updates_may_die_stall_or_go_unheard() {
    for step in [Step("sent.mark"), Step("terminal.record")] {
        join_all(ACTS.map(async |act| {
            let tokens = Tokens::new(std::iter::once(step.point(act.side)));
            let mut options = Options::default().with("REGISTRATION_OVERDUE", "5s").with_for(
                "worker",
                "FAILPOINTS",
                &tokens.armed_after(3, act.word),
            );
            options.services = vec!["auth", "relay", "todo"];
            let app = App::start_with(options).await;
            let ids = join_all((0..25).map(|_| app.register())).await;
            app.component("worker").request_start().await.unwrap();
            all_used(&tokens).await;
            for id in ids {
                app.reaches(id, "ACKNOWLEDGED").await;
            }
            app.every_registration_has_one_workflow().await;
            app.finish().await;
        }))
        .await;
    }
}
