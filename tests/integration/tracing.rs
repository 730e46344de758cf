//! One trace for each registration, through every process and over crashes; and
//! a collector that is away costs nothing.

mod away;
mod crashes;
mod strangers;

use onboard::services::names;
use onboard_contract::EventId;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use serde_json::{Value, json};

use crate::harness::{App, Collector, Exported, Options, PASSWORD, eventually, tree};

/// A registration that nothing went wrong with.
const PLAIN: &str = "\
POST /api/v1/auth/register (server, onboard-auth)
  register.commit (client, onboard-auth)
  relay.start (client, onboard-relay)
    activity publish_user_registered (server, onboard-worker)
      publish user.events (producer, onboard-worker)
        process user_registered_queue (consumer, onboard-todo)
          inbox.commit (client, onboard-todo)
          signal todo_acknowledged (client, onboard-todo)
    activity mark_outbox_sent (server, onboard-worker)
    activity record_acknowledgement (server, onboard-worker)
";

/// Each of its spans, once.
fn plain() -> Vec<(&'static str, usize)> {
    PLAIN.lines().map(|line| (line.trim().split(" (").next().unwrap(), 1)).collect()
}

#[tokio::test]
async fn a_registration_is_one_trace_through_all_processes() {
    let collector = Collector::start();
    let app = App::start_with(collector.of_all(Options::default())).await;
    let id = app.register().await;
    app.reaches(id, "ACKNOWLEDGED").await;
    let row = app.row(id).await;
    let traceparent = row.get_str("traceparent").unwrap().to_owned();
    let trace = &traceparent[3..35];
    let spans = collector.complete(trace, &plain()).await;
    assert_eq!(tree(&spans), PLAIN);

    let server = one(&spans, "POST /api/v1/auth/register");
    assert_eq!(traceparent, format!("00-{trace}-{}-01", server.id), "the row names the request");
    for (name, value) in [
        ("http.request.method", "POST"),
        ("http.route", "/api/v1/auth/register"),
        ("http.response.status_code", "201"),
    ] {
        assert_eq!(server.attributes[name], value, "{name}");
    }
    let publish = one(&spans, "publish user.events");
    for (name, value) in [
        ("messaging.system", "rabbitmq"),
        ("messaging.operation.type", "send"),
        ("messaging.destination.name", "user.events"),
        ("messaging.message.id", &id.to_string()),
    ] {
        assert_eq!(publish.attributes[name], value, "{name}");
    }
    let process = one(&spans, "process user_registered_queue");
    assert_eq!(process.kind, SpanKind::Consumer);
    assert_eq!(process.links, [(trace.to_owned(), publish.id.clone())]);
    assert_eq!(process.attributes["messaging.message.id"], id.to_string());
    let activity = one(&spans, "activity publish_user_registered");
    assert_eq!(activity.attributes["attempt"], "1");
    assert_eq!(activity.attributes["temporalWorkflowID"], format!("registration-{id}"));
    assert!(!activity.attributes["temporalRunID"].is_empty());
    for span in &spans {
        assert!(!span.failed, "{span:?}");
        assert_eq!(span.resource["service.version"], env!("CARGO_PKG_VERSION"));
        assert_eq!(span.resource["service.instance.id"].len(), 36);
    }
    let shown = app.onboard(&["show", &id.to_string()]).await;
    assert!(String::from_utf8_lossy(&shown.stdout).contains(trace), "the way from id to trace");
    every_line_names_the_trace(&app, id, trace).await;
    app.finish().await;
}

/// From a log line to its trace: whatever names the registration does.
async fn every_line_names_the_trace(app: &App, id: EventId, trace: &str) {
    for service in names() {
        // The workflow may come to its end before the relay has written its line.
        let (lines, of_it) = eventually(&format!("{service} says what it did"), async || {
            let lines = app.log_of(service).await;
            let names_it = |line: &&Value| line.to_string().contains(&id.to_string());
            let of_it: Vec<Value> = lines.iter().filter(names_it).cloned().collect();
            if of_it.is_empty() { Err(lines) } else { Ok((lines, of_it)) }
        })
        .await;
        for line in of_it {
            assert_eq!(line["trace_id"], *trace, "{service}: {line}");
            assert_eq!(line["span_id"].as_str().map(str::len), Some(16), "{service}: {line}");
        }
        assert!(!lines.iter().any(|line| line.to_string().contains("example.com")), "{service}");
    }
}

/// Also without a collector, and whatever is logged.
#[tokio::test]
async fn log_lines_have_ids_without_a_collector() {
    let app = App::start_with(Options::default().with("RUST_LOG", "info,onboard_http=warn")).await;
    let id = app.register().await;
    app.reaches(id, "ACKNOWLEDGED").await;
    let traceparent = app.row(id).await.get_str("traceparent").unwrap().to_owned();
    every_line_names_the_trace(&app, id, &traceparent[3..35]).await;
    app.finish().await;
}

#[tokio::test]
async fn a_callers_trace_and_its_decision_are_kept() {
    const CALLER: &str = "00f067aa0ba902b7";
    let collector = Collector::start();
    let app = App::start_with(collector.of_all(Options::default())).await;
    let (quiet, told) = (trace_of('a'), trace_of('b'));
    let unsampled = register_in(&app, &format!("00-{quiet}-{CALLER}-00")).await;
    app.reaches(unsampled, "ACKNOWLEDGED").await;
    let sampled = register_in(&app, &format!("00-{told}-{CALLER}-01")).await;
    app.reaches(sampled, "ACKNOWLEDGED").await;
    let spans = collector.complete(&told, &plain()).await;
    assert_eq!(one(&spans, "POST /api/v1/auth/register").parent, CALLER);
    assert_eq!(tree(&spans), PLAIN);
    assert_eq!(tree(&collector.trace(&quiet)), "", "the caller has it not recorded");
    let row = app.row(unsampled).await;
    let kept = row.get_str("traceparent").unwrap();
    assert!(kept.starts_with(&format!("00-{quiet}-")) && kept.ends_with("-00"), "{kept}");
    every_line_names_the_trace(&app, unsampled, &quiet).await;

    // One that is none is as if there was none.
    let fresh = register_in(&app, "00-junk").await;
    let row = app.row(fresh).await;
    let fresh = &row.get_str("traceparent").unwrap()[3..35];
    let spans = collector.complete(fresh, &plain()).await;
    assert_eq!(one(&spans, "POST /api/v1/auth/register").parent, "");
    app.finish().await;
}

fn trace_of(digit: char) -> String {
    std::iter::repeat_n(digit, 32).collect()
}

async fn register_in(app: &App, traceparent: &str) -> EventId {
    let answer = app
        .http
        .post(format!("{}/api/v1/auth/register", app.url("auth")))
        .header("traceparent", traceparent)
        .json(&json!({ "email": app.address(), "password": PASSWORD }))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 201);
    let body: Value = answer.json().await.unwrap();
    body["registrationId"].as_str().unwrap().parse().unwrap()
}

fn one<'a>(spans: &'a [Exported], name: &str) -> &'a Exported {
    let mut named = spans.iter().filter(|span| span.name == name);
    let first = named.next().unwrap_or_else(|| panic!("no {name}:\n{}", tree(spans)));
    assert!(named.next().is_none(), "one {name}:\n{}", tree(spans));
    first
}
