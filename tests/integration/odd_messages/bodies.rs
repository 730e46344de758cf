//! Bodies that are larger than any event: refused where the broker bounds them, and
//! moved to the dead letters unread where it does not.

use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Confirmation};
use onboard_stack::Server;

use super::event;
use crate::harness::{App, Options, with_own};

const LARGE: usize = 80 * 1024 * 1024;
const COUNT: u32 = 8;
/// The memory limit of the todo service in `deploy/kubernetes`.
const LIMIT_KIB: u64 = 128 * 1024;

/// Publishes a body; whether RabbitMQ takes it.
async fn publish(app: &App, body: &[u8]) -> lapin::Result<bool> {
    let channel = app.channel().await;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
    let properties = properties.with_delivery_mode(2);
    let (exchange, key) = ("user.events".into(), "user.registered".into());
    let sent = channel.basic_publish(exchange, key, options, body, properties).await?;
    Ok(matches!(sent.await?, Confirmation::Ack(_)))
}

#[tokio::test]
async fn a_broker_that_onboard_starts_takes_no_message_of_more_than_a_mebibyte() {
    let app = App::start_with(Options::only(&["todo"])).await;
    assert!(publish(&app, &vec![b'x'; 1024 * 1024]).await.unwrap());
    let refused = publish(&app, &vec![b'x'; 1024 * 1024 + 1]).await.unwrap_err();
    assert!(refused.to_string().contains("PRECONDITION_FAILED"), "{refused}");
    app.dead_letters_are(1).await;
    let reason = app.dead_letters().await[0]["properties"]["headers"]["x-onboard-reason"].clone();
    assert_eq!(reason, "too_large");
    app.purge_dead_letters().await;
    app.remove().await;
}

#[tokio::test]
async fn eight_bodies_of_80_mb_stay_under_the_memory_limit() {
    let (app, own) = with_own(Server::Rabbitmq, Options::only(&["todo"]).apart(&["todo"])).await;
    own.rabbitmqctl(&["eval", "application:set_env(rabbit, max_message_size, 536870912)."]).await;
    app.ready("todo").await;
    let body = vec![b'x'; LARGE];
    for _ in 0..COUNT {
        assert!(publish(&app, &body).await.unwrap());
        let (event, user, _) = event();
        app.publish_registered(event, user).await;
    }
    app.acked(COUNT.into()).await;
    app.dead_letters_are(COUNT).await;
    let peak = peak_kib(app.component("todo").status().pid.unwrap());
    eprintln!("the todo service's peak: {} MiB", peak / 1024);
    assert!(peak < LIMIT_KIB, "{peak} KiB");

    let examined = app.tool(&["doctor"]).await.json;
    let largest = |one: &&serde_json::Value| one["check"] == "largest message";
    let largest = examined["findings"].as_array().unwrap().iter().find(largest).cloned();
    assert_eq!(largest.unwrap()["verdict"], "warn", "{examined}");
    let listed = app.tool(&["list"]).await.yes();
    assert_eq!(listed["deadLetters"]["byReason"]["too_large"], COUNT, "{listed}");
    let order = ["redrive", "--dead-letters", "--discard", "--reason", "nobody sends films"];
    let done = app.tool(&order).await.yes();
    assert_eq!(done["acts"]["discard"], COUNT, "{done}");
    app.remove().await;
}

/// The largest resident set of a process so far.
fn peak_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    peak.trim().trim_end_matches(" kB").parse().unwrap()
}
