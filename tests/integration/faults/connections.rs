//! Connections are cut at the worst places, through a proxy: in the middle of
//! a transaction, at a commit, a confirm, an ack, a start, a signal. The effect
//! took place or did not, and the caller cannot know which.

use std::time::{Duration, Instant};

use onboard::services::names;
use onboard_stack::Server;

use crate::harness::{Act, App, Load, Options, Proxy, Way, eventually};

/// Longer than a call may take: 5 s.
const STALL: Duration = Duration::from_secs(6);
/// The longest `RELAY_SWEEP_INTERVAL`.
const SWEEP: Duration = Duration::from_mins(1);

/// `basic.ack`, client or server: size 13, class 60, method 80 of a method
/// frame. The type and the channel in front of it are left out.
const ACK: &[u8] = &[0, 0, 0, 13, 0, 60, 0, 80];
const COMMIT: &[u8] = b"commitTransaction";
/// The end of an insert into the outbox's name, as BSON writes it: the
/// second write of the registration's transaction.
const OUTBOX: &[u8] = b"insert\0\x07\0\0\0outbox\0";
/// The second write of the inbox's transaction.
const TODOS: &[u8] = b"insert\0\x06\0\0\0todos\0";
const START: &[u8] = b"UserRegistration";
const SIGNAL: &[u8] = b"todo_acknowledged";

/// In the middle of the transaction, before the commit, after the commit.
const TRANSACTION_CUTS: [(&[u8], Act); 3] =
    [(OUTBOX, Act::CutAfter(40)), (COMMIT, Act::Cut), (COMMIT, Act::CutAtAnswer)];

#[tokio::test]
async fn a_registration_cut_in_its_transaction_is_answered_and_done_once() {
    let mongo = Proxy::before(Server::Mongo).await;
    let app = App::start_with(Options::default().mongo_through("auth", &mongo)).await;
    for (place, act) in TRANSACTION_CUTS {
        let before = mongo.acted();
        mongo.when(Way::ToServer, place, act, 1);
        app.register().await;
        assert_eq!(mongo.acted(), before + 1, "{act:?}");
    }
    app.finish().await;
}

/// Auth cannot know; it says so, and the repeat tells.
#[tokio::test]
async fn a_commit_whose_answer_never_comes_is_told_apart_at_the_repeat() {
    let mongo = Proxy::before(Server::Mongo).await;
    let app = App::start_with(Options::default().mongo_through("auth", &mongo)).await;
    mongo.when(Way::ToServer, COMMIT, Act::Silence, usize::MAX);
    let email = app.address();
    let answer = app.post_register(&email).await;
    assert_eq!(answer.status(), 503);
    assert!(answer.headers().contains_key("retry-after"));
    mongo.pass();
    mongo.cut_all();
    let repeat = eventually("the repeat is answered", async || {
        match app.post_register(&email).await.status().as_u16() {
            503 => Err(503),
            status => Ok(status),
        }
    })
    .await;
    assert_eq!(repeat, 409, "the first try had been committed");
    app.finish().await;
}

#[tokio::test]
async fn a_todo_cut_in_its_transaction_is_made_once() {
    let mongo = Proxy::before(Server::Mongo).await;
    let options =
        Options::default().mongo_through("todo", &mongo).with("REGISTRATION_OVERDUE", "1h");
    let app = App::start_with(options).await;
    for (place, act) in [(TODOS, Act::CutAfter(40)), (COMMIT, Act::Cut), (COMMIT, Act::CutAtAnswer)]
    {
        let before = mongo.acted();
        mongo.when(Way::ToServer, place, act, 1);
        let id = app.register().await;
        app.reaches(id, "ACKNOWLEDGED").await;
        assert_eq!(mongo.acted(), before + 1, "{act:?}");
    }
    app.finish().await;
}

/// The broker has the message; the worker does not hear so and publishes
/// again.
#[tokio::test]
async fn a_confirm_that_is_lost_makes_two_messages_and_one_todo() {
    let broker = Proxy::before(Server::Rabbitmq).await;
    let options = Options::only(&["auth", "relay", "worker"])
        .amqp_through("worker", &broker)
        .with("AMQP_CONFIRM_TIMEOUT", "1s")
        .with("REGISTRATION_OVERDUE", "1h");
    let app = App::start_with(options).await;
    for act in [Act::Cut, Act::Silence] {
        let before = (broker.acted(), app.queue_depths().await.0);
        broker.when(Way::ToClient, ACK, act, 1);
        // The worker has its connection; after a cut it gets none before it may.
        broker.refuse(true);
        let id = app.register().await;
        eventually("the confirm is lost", async || match broker.acted() {
            acted if acted > before.0 => Ok(()),
            acted => Err(acted),
        })
        .await;
        assert_eq!(app.row(id).await.get_str("status").unwrap(), "PENDING", "{act:?}");
        // What is silent is left so: the worker has to give the lane up.
        broker.pass();
        broker.refuse(false);
        app.reaches(id, "SENT").await;
        let messages = app.queue_depths().await.0 - before.1;
        assert!(messages >= 2, "{act:?}: it is published again: {messages}");
    }
    app.component("todo").start().await.unwrap();
    app.finish().await;
}

/// The message reaches the broker in part, or not at all.
#[tokio::test]
async fn a_publish_cut_in_its_middle_is_repeated() {
    let broker = Proxy::before(Server::Rabbitmq).await;
    let options = Options::default()
        .amqp_through("worker", &broker)
        .with("AMQP_CONFIRM_TIMEOUT", "1s")
        .with("REGISTRATION_OVERDUE", "1h");
    let app = App::start_with(options).await;
    for act in [Act::Cut, Act::CutAfter(60)] {
        let before = broker.acted();
        broker.when(Way::ToServer, b"USER_REGISTERED", act, 1);
        let id = app.register().await;
        app.reaches(id, "ACKNOWLEDGED").await;
        assert_eq!(broker.acted(), before + 1, "{act:?}");
    }
    app.finish().await;
}

#[tokio::test]
async fn an_ack_that_is_lost_brings_the_message_again_and_one_todo() {
    let broker = Proxy::before(Server::Rabbitmq).await;
    let options =
        Options::default().amqp_through("todo", &broker).with("REGISTRATION_OVERDUE", "1h");
    let app = App::start_with(options).await;
    broker.when(Way::ToServer, ACK, Act::Cut, 1);
    let id = app.register().await;
    app.reaches(id, "ACKNOWLEDGED").await;
    eventually("the message came twice", async || {
        match app.counter("todo", "todo_duplicates_total", "").await {
            1 => Ok(()),
            duplicates => Err(duplicates),
        }
    })
    .await;
    assert_eq!(broker.acted(), 1);
    app.finish().await;
}

/// Temporal has started the workflow; the relay does not hear so and starts
/// it again. Without a worker the row stays due until that is noted. The sweep is a
/// minute away, so only a relay that looks when the row is due again can be quick.
#[tokio::test]
async fn a_start_whose_answer_is_lost_is_one_workflow() {
    let temporal = Proxy::before(Server::Temporal).await;
    let options = Options::only(&["auth", "relay", "todo"])
        .temporal_through("relay", &temporal)
        .with("RELAY_SWEEP_INTERVAL", "1m");
    let app = App::start_with(options).await;
    for (times, act) in [(1, Act::Cut), (2, Act::CutAtAnswer), (3, Act::Silence)] {
        let begun = Instant::now();
        temporal.when(Way::ToServer, START, act, 1);
        let id = app.register().await;
        eventually("its start is lost", async || match temporal.acted() {
            acted if acted == times => Ok(()),
            acted => Err(acted),
        })
        .await;
        app.reaches(id, "STARTED").await;
        // That a connection is silent for good is seen late, whoever looks.
        if !matches!(act, Act::Silence) {
            assert!(begun.elapsed() < SWEEP * 3 / 4, "{act:?}: the sweep was waited for");
        }
        temporal.cut_all();
    }
    app.component("worker").start().await.unwrap();
    app.nothing_is_left().await;
    eventually("visibility has caught up", async || match app.all_workflows().await {
        3 => Ok(()),
        workflows => Err(workflows),
    })
    .await;
    app.finish().await;
}

/// The workflow has the signal; the todo service does not hear so, and its
/// sweep sends again what it could not note.
#[tokio::test]
async fn a_signal_whose_answer_is_lost_is_sent_again_and_noted() {
    let temporal = Proxy::before(Server::Temporal).await;
    let options = Options::default()
        .temporal_through("todo", &temporal)
        .with("TODO_SWEEP_INTERVAL", "200ms")
        .with("TODO_SWEEP_AGE", "1s")
        .with("REGISTRATION_OVERDUE", "1h");
    let app = App::start_with(options).await;
    for (times, act) in [(1, Act::Cut), (2, Act::CutAtAnswer), (3, Act::Silence)] {
        temporal.when(Way::ToServer, SIGNAL, act, 1);
        let id = app.register().await;
        app.reaches(id, "ACKNOWLEDGED").await;
        assert_eq!(temporal.acted(), times, "{act:?}");
        temporal.cut_all();
    }
    eventually("every acknowledgement is noted", async || match app.unnoted().await {
        0 => Ok(()),
        unnoted => Err(unnoted),
    })
    .await;
    app.finish().await;
}

/// The worker connects; then Temporal does not answer what a worker asks before
/// its first poll, until it gives up.
#[tokio::test]
async fn a_worker_that_could_not_begin_to_poll_begins_again() {
    let temporal = Proxy::before(Server::Temporal).await;
    // The namespace, in whatever asks about it.
    temporal.when(Way::ToServer, b"default", Act::Cut, usize::MAX);
    let options = Options::only(&["auth", "relay", "todo"]).temporal_through("worker", &temporal);
    let app = App::start_with(options).await;
    app.component("worker").request_start().await.unwrap();
    let log = app.component("worker").log();
    eventually("it has given up", async || {
        let log = std::fs::read_to_string(log).unwrap_or_default();
        if log.contains("polling ended") { Ok(()) } else { Err(log) }
    })
    .await;
    temporal.pass();
    let id = app.register().await;
    app.reaches(id, "ACKNOWLEDGED").await;
    app.finish().await;
}

/// The network stalls, refuses and comes back, between every service and
/// every server.
#[tokio::test]
async fn a_network_that_stalls_and_refuses_loses_nothing() {
    let mongo = Proxy::before(Server::Mongo).await;
    let broker = Proxy::before(Server::Rabbitmq).await;
    let temporal = Proxy::before(Server::Temporal).await;
    let mut options = Options::default().each_apart().with("REGISTRATION_OVERDUE", "1h");
    for service in names() {
        options = options.mongo_through(service, &mongo).temporal_through(service, &temporal);
    }
    for service in ["worker", "todo"] {
        options = options.amqp_through(service, &broker);
    }
    let app = App::start_with(options).await;
    let all = [&mongo, &broker, &temporal];
    let faults = async {
        // Each has each fault once, while the others have other ones.
        for turn in 0..3 {
            for (place, proxy) in all.iter().enumerate() {
                match (turn + place) % 3 {
                    0 => proxy.hold(Some(Way::ToServer)),
                    1 => proxy.hold(Some(Way::ToClient)),
                    _ => {
                        proxy.refuse(true);
                        proxy.cut_all();
                    }
                }
            }
            // The stall is the fault; nothing is waited for.
            tokio::time::sleep(STALL).await;
            for proxy in all {
                proxy.hold(None);
                proxy.refuse(false);
            }
            let id = eventually("registering is possible", async || {
                match app.try_register("auth").await {
                    Some(Ok(id)) => Ok(id),
                    other => Err(other),
                }
            })
            .await;
            app.reaches(id, "ACKNOWLEDGED").await;
        }
    };
    let load = Load::during(&app, &["auth"], Duration::from_millis(400), faults).await;
    app.all_are_there(&load).await;
    for proxy in all {
        assert!(proxy.connections() > 4 && proxy.bytes(Way::ToClient) > 10_000, "{proxy:?}");
    }
    app.finish().await;
}
