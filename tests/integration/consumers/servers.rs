//! What the worker needs to hand on an acknowledgement is unavailable, or the
//! worker itself is: the acknowledgement waits, counts later, and is no dead
//! letter.

use mongodb::bson::doc;
use onboard_contract::EventId;
use onboard_stack::Server;
use reqwest::Method;
use serde_json::json;

use super::{acknowledgements, awaits, welcome};
use crate::harness::{App, Options, Proxy, Way, eventually, reference, shared_servers};

const NONE: [&str; 0] = [];

#[tokio::test]
async fn acknowledgements_wait_for_all_that_the_worker_needs_and_for_the_worker() {
    let proxy = Proxy::before(Server::Temporal).await;
    let options = Options::default().expecting_crm().temporal_through("worker", &proxy);
    let app = App::start_with(options.failing("worker").apart(&["worker"])).await;
    temporal_does_not_answer(&app, &proxy).await;
    mongodb_fails(&app).await;
    the_worker_is_away(&app).await;
    app.finish().await;
}

async fn temporal_does_not_answer(app: &App, proxy: &Proxy) {
    let event = registered(app).await;
    proxy.hold(Some(Way::ToServer));
    app.acknowledge("crm", event, &reference(event)).await;
    eventually("the worker misses Temporal", async || match app.readiness("worker").await {
        (503, body) if body.contains("temporal") => Ok(()),
        other => Err(other),
    })
    .await;
    app.acknowledgements_are_taken().await;
    assert_eq!(app.acknowledgement_letters().await, NONE);
    proxy.hold(None);
    counts(app, event).await;
}

async fn mongodb_fails(app: &App) {
    let event = registered(app).await;
    let away = doc! { "failCommands": ["find"], "errorCode": 91 };
    let point = app.fail_commands(doc! { "times": i32::MAX }, away).await;
    let before = point.hits().await;
    app.acknowledge("crm", event, &reference(event)).await;
    eventually("the worker has tried some times", async || match point.hits().await {
        hits if hits > before + 2 => Ok(()),
        hits => Err(hits),
    })
    .await;
    assert_eq!(app.acknowledgement_letters().await, NONE);
    point.off().await;
    counts(app, event).await;
}

/// It goes on with the run when it is back.
async fn the_worker_is_away(app: &App) {
    let event = registered(app).await;
    app.component("worker").stop().await.unwrap();
    app.acknowledge("crm", event, &reference(event)).await;
    assert_eq!(app.depth("acknowledgements").await, 1);
    app.component("worker").start().await.unwrap();
    counts(app, event).await;
}

/// A registration that waits for `crm` alone.
async fn registered(app: &App) -> EventId {
    let event = app.register().await;
    awaits(app, event, &["crm"]).await;
    event
}

/// RabbitMQ takes what the worker publishes, and gives it no acknowledgements.
#[tokio::test]
async fn a_worker_that_may_not_read_acknowledgements_says_that_it_is_not_ready() {
    let amqp = shared_servers().await.ports().amqp;
    let url = format!("amqp://worker-{{id}}:guest@127.0.0.1:{amqp}/{{names}}");
    let app = App::start_with(Options::only(&[]).with_for("worker", "AMQP_URL", &url)).await;
    let user = format!("worker-{}", app.id);
    let known = json!({ "password": "guest", "tags": "" });
    app.management(Method::PUT, &format!("users/{user}"), Some(known)).await;
    let may_read = async |queues: &str| {
        let rights = json!({ "configure": ".*", "write": ".*", "read": queues });
        let path = format!("permissions/{}/{user}", app.names);
        app.management(Method::PUT, &path, Some(rights)).await;
    };
    may_read("^(?!acknowledgements$)").await;
    app.component("worker").request_start().await.unwrap();
    eventually("it says why", async || {
        let asked = app.http.get(format!("{}/readyz", app.url("worker"))).send().await;
        let answer = asked.map_err(|error| error.to_string())?;
        let (status, body) = (answer.status().as_u16(), answer.text().await.unwrap());
        if status == 503 && body.contains("ACCESS_REFUSED") { Ok(()) } else { Err(body) }
    })
    .await;
    may_read(".*").await;
    app.ready("worker").await;
    app.management(Method::DELETE, &format!("users/{user}"), None).await;
    app.remove().await;
}

/// The acknowledgement that has waited ends the registration.
async fn counts(app: &App, event: EventId) {
    app.reaches(event, "ACKNOWLEDGED").await;
    let both = json!({ "todo": welcome(app, event).await, "crm": reference(event) });
    assert_eq!(acknowledgements(app, event).await, both);
    assert_eq!(app.acknowledgement_letters().await, NONE);
    app.purge(super::QUEUE).await;
}
