//! A connection that answers heartbeats and confirms nothing.

use onboard_stack::Server;

use crate::harness::{Act, App, Options, Proxy, Way, eventually};

/// `basic.ack` of a channel; the type and the channel in front of it are left out.
const ACK: &[u8] = &[0, 0, 0, 13, 0, 60, 0, 80];

#[tokio::test]
async fn a_publisher_that_hears_no_confirms_connects_anew() {
    let proxy = Proxy::before(Server::Rabbitmq).await;
    let options = Options::default().apart(&["worker"]).amqp_through("worker", &proxy).with_for(
        "worker",
        "AMQP_CONFIRM_TIMEOUT",
        "500ms",
    );
    let app = App::start_with(options).await;
    let first = app.register().await;
    app.reaches(first, "ACKNOWLEDGED").await;
    let connections = proxy.connections();

    proxy.when(Way::ToClient, ACK, Act::Lose, usize::MAX);
    let id = app.register().await;
    eventually("it connects anew, and again", async || match proxy.connections() {
        now if now >= connections + 2 => Ok(()),
        now => Err(now),
    })
    .await;
    let timed_out = app.counter("worker", "broker_publishes_total", "timed_out").await;
    assert!(timed_out >= 6, "a connection is given three chances: {timed_out}");
    proxy.pass();
    app.reaches(id, "ACKNOWLEDGED").await;
    let now = proxy.connections();
    let last = app.register().await;
    app.reaches(last, "ACKNOWLEDGED").await;
    assert_eq!(proxy.connections(), now, "one that confirms is kept");
    app.finish().await;
}

#[tokio::test]
async fn a_publisher_that_hears_no_confirms_goes_on_at_another_node() {
    let [mute, sound] =
        [Proxy::before(Server::Rabbitmq).await, Proxy::before(Server::Rabbitmq).await];
    let options = Options::default().apart(&["worker"]);
    let options = options.amqp_through_each("worker", &[&mute, &sound]);
    let app = App::start_with(options.with_for("worker", "AMQP_CONFIRM_TIMEOUT", "500ms")).await;
    let first = app.register().await;
    app.reaches(first, "ACKNOWLEDGED").await;
    assert_eq!(sound.connections(), 0, "the first node takes connections");
    let connections = mute.connections();

    mute.when(Way::ToClient, ACK, Act::Lose, usize::MAX);
    for _ in 0..3 {
        let id = app.register().await;
        app.reaches(id, "ACKNOWLEDGED").await;
    }
    assert!(mute.acted() > 0, "the first node has confirmed nothing");
    assert_eq!(mute.connections(), connections, "no new connection goes to it");
    assert_eq!(sound.connections(), 1, "one that confirms is kept");
    app.finish().await;
}
