//! What a crash leaves of a trace: it goes on under the same id.

use std::path::Path;

use crate::harness::{App, Collector, Options, eventually, tree_with_ids};
use crate::kill_points::tokens::Tokens;

/// The worker dies with the broker's confirm in its hands, the todo service
/// between its commit and its ack. Both do it again, in the same trace.
#[tokio::test]
async fn a_registration_that_crossed_two_crashes_is_one_trace() {
    let collector = Collector::start();
    let worker = Tokens::new(["publish.confirm.after".to_owned()].into_iter());
    let todo = Tokens::new(["inbox.commit.after".to_owned()].into_iter());
    let options = Options::default()
        .in_the_released_plan()
        .with_for("worker", "FAILPOINTS", &worker.armed("crash"))
        .with_for("todo", "FAILPOINTS", &todo.armed("crash"));
    let app = App::start_with(collector.of_all(options)).await;
    let id = app.register().await;
    eventually("both have crashed", async || match (worker.left(), todo.left()) {
        (worker, todo) if worker.is_empty() && todo.is_empty() => Ok(()),
        left => Err(left),
    })
    .await;
    app.reaches(id, "ACKNOWLEDGED").await;
    app.nothing_is_left().await;
    let traceparent = app.row(id).await.get_str("traceparent").unwrap().to_owned();
    let trace = &traceparent[3..35];
    let repeated = ("process user_registered_queue", 2);
    let last = ("activity record_acknowledgement", 1);
    let spans = collector.complete(trace, &[repeated, last]).await;

    let named = |name: &str| spans.iter().filter(|span| span.name == name).collect::<Vec<_>>();
    let publishes = named("activity publish_user_registered");
    let attempts: Vec<_> =
        publishes.iter().map(|span| span.attributes["attempt"].as_str()).collect();
    assert_eq!(attempts, ["2"], "the first was cut off");
    let processed = named("process user_registered_queue");
    assert!(
        processed.iter().any(|span| span.attributes["redelivered"] == "true"),
        "the delivery that was not acked came again: {processed:?}"
    );
    // Everything that tells of this registration, wherever it was exported from.
    for span in collector.spans() {
        let named = ["messaging.message.id", "event_id", "registration_id"];
        if named.iter().any(|name| span.attributes.get(*name) == Some(&id.to_string())) {
            assert_eq!(span.trace, trace, "{span:?}");
        }
    }
    let text = format!("trace {trace} of registration {id}\n{}", tree_with_ids(&spans));
    std::fs::write(Path::new(env!("CARGO_TARGET_TMPDIR")).join("trace.txt"), text).unwrap();
    app.finish().await;
}

/// The signal is never heard of: the sweep sends it again, in the same trace.
#[tokio::test]
async fn an_acknowledgement_that_is_sent_late_joins_the_trace() {
    let collector = Collector::start();
    let token = Tokens::new(["acknowledge.signal.before".to_owned()].into_iter());
    let options = Options::default()
        .with("TODO_SWEEP_AGE", "1s")
        .with("TODO_SWEEP_INTERVAL", "1s")
        .with_for("todo", "FAILPOINTS", &token.armed("lost"));
    let app = App::start_with(collector.of_all(options)).await;
    let id = app.register().await;
    app.reaches(id, "ACKNOWLEDGED").await;
    let traceparent = app.row(id).await.get_str("traceparent").unwrap().to_owned();
    let name = "signal todo_acknowledged";
    let spans = collector.complete(&traceparent[3..35], &[(name, 2)]).await;
    let signals: Vec<_> = spans.iter().filter(|span| span.name == name).collect();
    let failed = signals.iter().filter(|span| span.failed).count();
    assert_eq!((failed, signals.len()), (1, 2), "{signals:?}");
    let record = app.inbox().await.find_one(mongodb::bson::doc! {}).await.unwrap().unwrap();
    let kept = record.get_str("traceparent").unwrap();
    for signal in signals {
        assert_eq!(signal.parent, kept[36..52], "below the message that made the record");
    }
    app.finish().await;
}
