//! RabbitMQ takes no messages, refuses them, or has lost its queue.

use std::time::Duration;

use futures::future::join_all;
use onboard_contract::EventId;
use onboard_stack::Server;

use crate::harness::{App, Load, Options, eventually, with_own};

const MEMORY: u64 = 1_000_000_000;

#[tokio::test]
async fn a_memory_alarm_holds_up_publishing_and_nothing_else() {
    let options = Options::default()
        .apart(&["todo"])
        .with("REGISTRATION_OVERDUE", "1h")
        .with("AMQP_CONFIRM_TIMEOUT", "1s");
    let (app, own) = with_own(Server::Rabbitmq, options).await;
    app.component("todo").stop().await.unwrap();
    let waiting = join_all((0..3).map(|_| app.register())).await;
    for id in &waiting {
        app.reaches(*id, "SENT").await;
    }

    own.rabbitmq_memory(1).await;
    let held_up = join_all((0..5).map(|_| app.register())).await;
    for id in &held_up {
        let failure = failed_twice(&app, *id).await;
        assert!(failure.contains("alarm") || failure.contains("confirm"), "{failure}");
    }
    eventually("the worker says what holds it up", async || match app.readiness("worker").await {
        (503, body) if body.contains("rabbitmq") && body.contains("alarm") => Ok(()),
        other => Err(other),
    })
    .await;
    // What is in the queue is still consumed and acked.
    app.component("todo").request_start().await.unwrap();
    for id in &waiting {
        app.reaches(*id, "ACKNOWLEDGED").await;
    }
    assert_eq!(app.sent().await, 3, "nothing is SENT that the alarm holds up");

    own.rabbitmq_memory(MEMORY).await;
    for id in &held_up {
        app.reaches(*id, "ACKNOWLEDGED").await;
    }
    app.ready("worker").await;
    app.finish().await;
}

#[tokio::test]
async fn a_full_queue_refuses_and_what_it_refuses_is_not_sent() {
    let options = Options::only(&["auth", "relay", "worker"]).with("REGISTRATION_OVERDUE", "1h");
    let app = App::start_with(options).await;
    app.bound_queue(2).await;
    // One after another: what a publisher sends before RabbitMQ has told it that the queue is
    // full is taken as well.
    let mut ids = Vec::new();
    for _ in 0..12 {
        ids.push(app.register().await);
    }
    let refused = eventually("the queue refuses", async || {
        let mut refused = Vec::new();
        for id in &ids {
            match app.pending_activity(*id).await {
                Some(activity) if activity.attempt > 2 => refused.push(activity.last_failure),
                _ => (),
            }
        }
        if refused.is_empty() { Err("none has failed twice") } else { Ok(refused) }
    })
    .await;
    assert!(refused.iter().all(|failure| failure.contains("refused")), "{refused:?}");
    eventually("every message in the queue is SENT, and no other row", async || {
        let (sent, (queued, _)) = (app.sent().await, app.queue_depths().await);
        if sent == u64::from(queued) && queued < 12 { Ok(()) } else { Err((sent, queued)) }
    })
    .await;
    app.unbound_queue().await;
    app.component("todo").start().await.unwrap();
    app.finish().await;
}

/// The messages are gone with the queue; their workflows find that out.
#[tokio::test]
async fn messages_lost_with_their_queue_are_published_again() {
    let options = Options::only(&["auth", "relay", "worker"])
        .in_the_released_plan()
        .with("REGISTRATION_OVERDUE", "2s");
    let app = App::start_with(options).await;
    let ids = join_all((0..5).map(|_| app.register())).await;
    eventually("all are SENT", async || match app.sent().await {
        5 => Ok(()),
        sent => Err(sent),
    })
    .await;
    app.delete_queue().await;
    // The worker misses the queue, and its next connection declares the queue.
    eventually("an event is published again", async || match app.queue_is_there().await {
        true if app.queue_depths().await.0 > 0 => Ok(()),
        there => Err(there),
    })
    .await;
    app.component("todo").start().await.unwrap();
    for id in &ids {
        app.reaches(*id, "ACKNOWLEDGED").await;
    }
    app.finish().await;
}

#[tokio::test]
async fn a_queue_deleted_while_it_is_consumed_comes_back() {
    let app =
        App::start_with(Options::default().apart(&["todo"]).with("REGISTRATION_OVERDUE", "2s"))
            .await;
    let pid = app.component("todo").status().pid;
    let faults = async {
        for _ in 0..3 {
            let id = app.register().await;
            app.reaches(id, "ACKNOWLEDGED").await;
            app.delete_queue().await;
            let id = app.register().await;
            app.reaches(id, "ACKNOWLEDGED").await;
        }
    };
    let load = Load::during(&app, &["auth"], Duration::from_millis(400), faults).await;
    app.all_are_there(&load).await;
    assert_eq!(app.component("todo").status().pid, pid, "todo was not restarted");
    app.finish().await;
}

/// RabbitMQ closes the channel of a publish without an exchange; the publisher
/// connects anew, and that declares everything.
#[tokio::test]
async fn an_exchange_deleted_under_load_comes_back() {
    let app =
        App::start_with(Options::default().apart(&["worker"]).with("REGISTRATION_OVERDUE", "1h"))
            .await;
    let pid = app.component("worker").status().pid;
    let faults = async {
        for _ in 0..3 {
            app.delete_exchange().await;
            let id = app.register().await;
            app.reaches(id, "ACKNOWLEDGED").await;
        }
    };
    let load = Load::during(&app, &["auth"], Duration::from_millis(400), faults).await;
    app.all_are_there(&load).await;
    eventually("the connections given up are closed", async || {
        match app.connections("worker publisher").await {
            1 => Ok(()),
            open => Err(open),
        }
    })
    .await;
    assert_eq!(app.component("worker").status().pid, pid, "the worker was not restarted");
    app.finish().await;
}

/// Waits until the activity the workflow is in has failed twice: how, the
/// last time.
async fn failed_twice(app: &App, id: EventId) -> String {
    eventually("its publish has failed twice", async || match app.pending_activity(id).await {
        Some(activity) if activity.attempt > 2 => Ok(activity.last_failure),
        other => Err(other),
    })
    .await
}
