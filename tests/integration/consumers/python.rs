//! The consumer of `examples/python-consumer`: with the rights that its page
//! gives and no others, killed at each step, without its broker.

use std::time::Duration;

use futures::future::join_all;
use lapin::options::{
    BasicConsumeOptions, BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use onboard_contract::EventId;
use onboard_stack::Server;
use reqwest::Method;
use serde_json::{Value, json};

use super::{QUEUE, acknowledgements, welcome};
use crate::harness::{Act, App, Options, Proxy, Python, Way, eventually};

const README: &str = include_str!("../../../examples/python-consumer/README.md");
/// The heads of AMQP methods: `basic.publish`, `basic.deliver`, `basic.ack`.
const PUBLISH: &[u8] = &[0, 60, 0, 40];
const DELIVER: &[u8] = &[0, 60, 0, 60];
const ACK: &[u8] = &[0, 60, 0, 80];

#[tokio::test]
async fn the_python_consumer_does_its_part_with_exactly_the_rights_of_its_page() {
    let app = App::start_with(Options::default().expecting_crm()).await;
    let url = user_with_rights_of_the_page(&app).await;
    nothing_else_is_allowed(&url).await;
    let mut python = Python::with(url).await;
    python.start();
    let events = join_all((0..5).map(|_| app.register())).await;
    all_acknowledged(&app, &events).await;
    python.has_customers(5).await;
    let user = app.registered_user(events[0]).await;
    let both = json!({ "todo": welcome(&app, events[0]).await, "crm": format!("customer-{user}") });
    assert_eq!(acknowledgements(&app, events[0]).await, both);

    // A duplicate is acknowledged again; what is no event becomes a dead letter.
    let handled = async || app.counter("worker", "worker_acknowledgements_total", "").await;
    let before = handled().await;
    app.publish_registered(events[0], user).await;
    eventually("the duplicate is acknowledged", async || match handled().await {
        now if now == before + 1 => Ok(()),
        now => Err(now),
    })
    .await;
    let deep = "[".repeat(60_000);
    for junk in ["{", "[]", "{\"eventId\":7}", "\u{feff}", &deep] {
        app.put_into(QUEUE, junk).await;
    }
    eventually("five are dead letters", async || {
        match (app.depth(QUEUE).await, app.depth("crm.user_registered.dlq").await) {
            (0, 5) => Ok(()),
            depths => Err((depths, python.log())),
        }
    })
    .await;
    python.stop().await;
    python.has_customers(5).await;
    app.purge("crm.user_registered.dlq").await;
    app.delete_user().await;
    app.finish().await;
}

/// The connection ends there; the process is killed and comes again.
#[tokio::test]
async fn the_python_consumer_may_die_at_each_step_and_at_any_time() {
    let app = App::start_with(Options::default().expecting_crm()).await;
    let proxy = Proxy::before(Server::Rabbitmq).await;
    let url = format!("amqp://guest:guest@{}/{}", proxy.address(), app.names);
    let mut python = Python::with(url).await;
    let mut events = Vec::new();
    for (way, seen, act) in [
        (Way::ToClient, DELIVER, Act::CutAfter(20)),
        // It has committed, and the acknowledgement is lost.
        (Way::ToServer, PUBLISH, Act::Cut),
        // The broker has the acknowledgement, and the confirm is not heard.
        (Way::ToServer, PUBLISH, Act::Silence),
        // Everything is done, and the delivery comes again.
        (Way::ToServer, ACK, Act::Cut),
    ] {
        python.start();
        proxy.when(way, seen, act, 1);
        let before = proxy.acted();
        events.push(app.register().await);
        eventually("it has come so far", async || match proxy.acted() {
            acted if acted > before => Ok(()),
            _ => Err(python.log()),
        })
        .await;
        python.kill().await;
        proxy.pass();
        proxy.cut_all();
    }
    events.extend(killed_at_any_time(&app, &mut python).await);
    python.start();
    all_acknowledged(&app, &events).await;
    python.has_customers(events.len()).await;
    python.stop().await;
    app.finish().await;
}

async fn killed_at_any_time(app: &App, python: &mut Python) -> Vec<EventId> {
    let mut events = Vec::new();
    for round in 0..4_u32 {
        events.extend(join_all((0..4).map(|_| app.register())).await);
        python.start();
        // Where it is by then is anybody's guess: that is the fault.
        tokio::time::sleep(Duration::from_millis(150 + u64::from(round) * 25)).await;
        python.kill().await;
    }
    events
}

#[tokio::test]
async fn the_python_consumer_waits_for_its_broker() {
    let app = App::start_with(Options::default().expecting_crm().apart(&["worker"])).await;
    let proxy = Proxy::before(Server::Rabbitmq).await;
    proxy.refuse(true);
    let url = format!("amqp://guest:guest@{}/{}", proxy.address(), app.names);
    let mut python = Python::with(url).await;
    python.start();
    let says = async |times: usize| {
        eventually("it says that it waits", async || {
            let log = python.log();
            if log.matches("again in").count() >= times { Ok(()) } else { Err(log) }
        })
        .await;
    };
    says(1).await;
    proxy.refuse(false);
    let first = app.register().await;
    app.reaches(first, "ACKNOWLEDGED").await;
    let before = python.log().matches("again in").count();
    proxy.cut_all();
    says(before + 1).await;
    let second = app.register().await;
    app.reaches(second, "ACKNOWLEDGED").await;
    python.stop().await;
    // A full queue of acknowledgements is waited for in place.
    let more = join_all((0..4).map(|_| app.register())).await;
    eventually("four wait for it", async || match app.depth(QUEUE).await {
        4 => Ok(()),
        depth => Err(depth),
    })
    .await;
    app.component("worker").stop().await.unwrap();
    app.bound("acknowledgements", 1).await;
    python.start();
    eventually("it says that it is refused", async || match python.log() {
        log if log.contains("the broker refuses") => Ok(()),
        log => Err(log),
    })
    .await;
    app.unbound_queue().await;
    app.component("worker").start().await.unwrap();
    all_acknowledged(&app, &more).await;
    python.has_customers(6).await;
    python.stop().await;
    app.finish().await;
}

/// Each on a channel of its own, which the broker closes.
async fn nothing_else_is_allowed(url: &str) {
    let connection = Connection::connect(url, ConnectionProperties::default()).await.unwrap();
    let channel = async || connection.create_channel().await.unwrap();
    for (exchange, key) in [
        ("acknowledgements", "todo"),
        ("acknowledgements", "crm2"),
        ("user.events", "user.registered"),
        ("", "user_registered_queue"),
        ("crm.user_registered.dlx", "crm"),
    ] {
        let refused = publish(&channel().await, exchange, key).await;
        assert!(is_refused(refused), "{exchange} {key}");
    }
    for queue in ["user_registered_queue", "acknowledgements", "crm.user_registered.dlq"] {
        assert!(is_refused(consume(&channel().await, queue).await), "{queue}");
    }
    assert!(consume(&channel().await, QUEUE).await.is_ok());
    let declare = QueueDeclareOptions::default();
    let channel = channel().await;
    let declared = channel.queue_declare("crm.more".into(), declare, FieldTable::default()).await;
    assert!(is_refused(declared.map(drop)), "it declares nothing");
    connection.close(200, "done".into()).await.unwrap();
}

async fn all_acknowledged(app: &App, events: &[EventId]) {
    for event in events {
        app.reaches(*event, "ACKNOWLEDGED").await;
    }
}

/// The URL of a user that the management API gives what `rabbitmqctl` is given on
/// the page.
async fn user_with_rights_of_the_page(app: &App) -> String {
    let [configure, write, read] = words("rabbitmqctl set_permissions -p <vhost> crm ");
    let [exchange, topic_write, topic_read] =
        words("rabbitmqctl set_topic_permissions -p <vhost> crm ");
    let (user, vhost) = (app.user(), &app.names);
    for (path, body) in [
        (format!("users/{user}"), json!({ "password": "secret", "tags": "" })),
        (
            format!("permissions/{vhost}/{user}"),
            json!({ "configure": configure, "write": write, "read": read }),
        ),
        (
            format!("topic-permissions/{vhost}/{user}"),
            json!({ "exchange": exchange, "write": topic_write, "read": topic_read }),
        ),
    ] {
        app.management(Method::PUT, &path, Some(body)).await;
    }
    format!("amqp://{user}:secret@{}/{vhost}", app.places.amqp_address)
}

/// The three words that follow on the page, without their quotes.
fn words(begin: &str) -> [String; 3] {
    let line = README.lines().find_map(|line| line.trim().strip_prefix(begin)).unwrap();
    let words: Vec<String> =
        line.split(' ').map(|word| word.trim_matches('\'').to_owned()).collect();
    words.try_into().unwrap()
}

impl App {
    fn user(&self) -> String {
        format!("crm-{}", self.id)
    }

    async fn delete_user(&self) {
        self.management(Method::DELETE, &format!("users/{}", self.user()), None).await;
    }

    /// Puts a body straight into a queue.
    async fn put_into(&self, queue: &str, body: &str) {
        let message: Value = json!({ "properties": {}, "routing_key": queue, "payload": body,
            "payload_encoding": "string" });
        let path = format!("exchanges/{}/amq.default/publish", self.names);
        self.management(Method::POST, &path, Some(message)).await;
    }
}

async fn publish(channel: &Channel, exchange: &str, key: &str) -> lapin::Result<()> {
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
    let sent = channel.basic_publish(exchange.into(), key.into(), options, b"{}", properties);
    sent.await?.await.map(drop)
}

async fn consume(channel: &Channel, queue: &str) -> lapin::Result<()> {
    let (options, arguments) = (BasicConsumeOptions::default(), FieldTable::default());
    channel.basic_consume(queue.into(), "".into(), options, arguments).await.map(drop)
}

fn is_refused(answer: lapin::Result<()>) -> bool {
    answer.is_err_and(|error| error.to_string().contains("ACCESS_REFUSED"))
}
