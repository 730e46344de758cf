//! A stranger's `traceparent` at the side to the Internet: linked, and never adopted.

use reqwest::Client;
use serde_json::{Value, json};

use super::{one, plain, trace_of};
use crate::harness::{App, Collector, Options, PASSWORD};
use crate::limits::client_at;

const CALLER: &str = "00f067aa0ba902b7";
/// What a stranger sends besides; none of it may be found anywhere.
const STATE: &str = "canary-of-tracestate";
const BAGGAGE: &str = "canary-of-baggage";

/// What a registration with a stranger's context became.
struct Became {
    id: onboard_contract::EventId,
    /// As the outbox row has it.
    traceparent: String,
}

impl Became {
    fn trace(&self) -> &str {
        &self.traceparent[3..35]
    }
}

async fn register(app: &App, service: &str, client: &Client, traceparent: &str) -> Became {
    let answer = client
        .post(format!("{}/api/v1/auth/register", app.url(service)))
        .header("traceparent", traceparent)
        .header("tracestate", format!("vendor={STATE}"))
        .header("baggage", format!("userId={BAGGAGE}"))
        .json(&json!({ "email": app.address(), "password": PASSWORD }))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 201);
    let told = answer.headers()["traceresponse"].to_str().unwrap().to_owned();
    let body: Value = answer.json().await.unwrap();
    let id = body["registrationId"].as_str().unwrap().parse().unwrap();
    let traceparent = app.row(id).await.get_str("traceparent").unwrap().to_owned();
    assert_eq!(told, traceparent, "the client can follow the trace that its request became");
    Became { id, traceparent }
}

#[tokio::test]
async fn a_stranger_can_neither_join_a_trace_nor_switch_it_off() {
    let collector = Collector::start();
    let options = collector.of_all(Options::default()).with("TRACEPARENT_FROM", "nobody");
    let app = App::start_with(options).await;
    let theirs = trace_of('c');
    let quiet = format!("00-{theirs}-{CALLER}-00");
    let first = register(&app, "auth", &app.http, &quiet).await;
    let second = register(&app, "auth", &app.http, &quiet).await;
    assert_ne!(first.trace(), theirs);
    assert_ne!(first.trace(), second.trace(), "one trace id of theirs, two of ours");
    for became in [&first, &second] {
        assert!(became.traceparent.ends_with("-01"), "{}", became.traceparent);
        app.reaches(became.id, "ACKNOWLEDGED").await;
        let spans = collector.complete(became.trace(), &plain()).await;
        let request = one(&spans, "POST /api/v1/auth/register");
        assert_eq!(request.parent, "", "it is the root");
        assert_eq!(request.links, [(theirs.clone(), CALLER.to_owned())]);
        super::every_line_names_the_trace(&app, became.id, became.trace()).await;
    }
    assert!(collector.trace(&theirs).is_empty(), "nothing of ours is in theirs");

    // The todo service has the same edge.
    let refused = app.http.get(format!("{}/api/v1/todos", app.url("todo")));
    let refused = refused.header("traceparent", &quiet).send().await.unwrap();
    assert_eq!(refused.status(), 401);
    let told = refused.headers()["traceresponse"].to_str().unwrap().to_owned();
    let refused: Value = refused.json().await.unwrap();
    assert_eq!(refused["traceId"], told[3..35]);
    let spans = collector.complete(&told[3..35], &[("GET /api/v1/todos", 1)]).await;
    assert_eq!(one(&spans, "GET /api/v1/todos").links, [(theirs, CALLER.to_owned())]);

    let sent = String::from_utf8_lossy(&collector.bytes()).into_owned();
    assert!(!sent.contains(STATE) && !sent.contains(BAGGAGE), "no state of theirs is exported");
    app.finish().await;
}

#[tokio::test]
async fn a_trusted_proxy_is_followed_when_the_setting_says_so_and_nobody_else_is() {
    let options = Options::only(&["auth"])
        .and("auth-not-told", "auth")
        .with("TRUSTED_PROXIES", "127.0.0.1")
        .with("TRACEPARENT_FROM", "trusted-proxies")
        .with_for("auth-not-told", "TRACEPARENT_FROM", "nobody");
    let app = App::start_with(options).await;
    let theirs = trace_of('d');
    let sent = format!("00-{theirs}-{CALLER}-01");
    let proxied = register(&app, "auth", &app.http, &sent).await;
    assert_eq!(proxied.trace(), theirs, "the proxy's is continued");
    let stranger = register(&app, "auth", &client_at("127.0.0.6"), &sent).await;
    assert_ne!(stranger.trace(), theirs, "the proxy is known by its address");
    let not_told = register(&app, "auth-not-told", &app.http, &sent).await;
    assert_ne!(not_told.trace(), theirs, "a trusted proxy alone is not enough");
    app.remove().await;
}
