//! Acknowledgements that can count for nothing, and those that come too often:
//! the first become dead letters with their reason, the second change nothing.

use serde_json::json;
use uuid::Uuid;

use super::{acknowledgements, awaits, completed, recorded, welcome};
use crate::harness::{App, Calls, Options, body, eventually, reference};

const LETTERS: &str = "acknowledgements.dlq";

#[tokio::test]
async fn twenty_acknowledgements_at_once_count_as_one() {
    let app = App::start_with(Options::default().expecting_crm()).await;
    let event = app.register().await;
    app.reaches(event, "SENT").await;
    // The first one that the run sees counts.
    let twice = |n: u32| body("crm", event, &format!("customer-{}", n / 10));
    app.acknowledge_with("crm", &(0..20).map(twice).collect::<Vec<_>>()).await;
    app.reaches(event, "ACKNOWLEDGED").await;
    completed(&app, event).await;
    let found = acknowledgements(&app, event).await;
    app.acknowledge("crm", event, "customer-late").await;
    let outcomes = async || app.counter("worker", "worker_acknowledgements_total", "").await;
    eventually("every one is handled", async || match outcomes().await {
        21 => Ok(()),
        handled => Err(handled),
    })
    .await;
    assert_eq!(acknowledgements(&app, event).await, found, "the first stands");
    let first = found["crm"].as_str().unwrap();
    assert!(["customer-0", "customer-1"].contains(&first), "{found}");
    assert_eq!(app.acknowledgement_letters().await, Vec::<String>::new());
    app.purge("crm.user_registered").await;
    app.finish().await;
}

#[tokio::test]
async fn what_can_count_for_nothing_is_a_dead_letter_and_holds_up_nothing() {
    let app = App::start_with(Options::default().expecting_crm().apart(&["todo"])).await;
    app.component("todo").stop().await.unwrap();
    let event = app.register().await;
    app.reaches(event, "SENT").await;
    let other = Uuid::now_v7().into();
    let right = body("crm", event, &reference(event));
    let deep = "[".repeat(60_000);
    for (key, bodies) in [
        ("crm", vec![body("crm", other, "x"), "{".to_owned(), "[]".to_owned(), deep]),
        ("crm", vec![body("search", event, "x"), body("todo", event, "x"), "{}".to_owned()]),
        ("crm", vec![body("crm", event, &"x".repeat(201)), "x".repeat(70_000)]),
        ("search", vec![body("search", event, "x")]),
        ("todo", vec![body("crm", event, "x")]),
        ("crm", vec![right]),
    ] {
        app.acknowledge_with(key, &bodies).await;
    }
    // The todo service acknowledges with the id of its welcome todo alone.
    app.acknowledge("todo", event, "another todo").await;
    awaits(&app, event, &["todo"]).await;
    app.acknowledgements_are_taken().await;
    eventually("eleven are dead letters", async || match app.depth(LETTERS).await {
        11 => Ok(()),
        letters => Err(letters),
    })
    .await;
    assert_eq!(
        app.acknowledgement_letters().await,
        [
            "bad_fields",
            "long_ref",
            "not_an_object",
            "not_expected",
            "not_json",
            "not_json",
            "other_consumer",
            "other_consumer",
            "other_consumer",
            "too_large",
            "unknown_event",
        ]
    );
    recorded(&app, event, json!({ "crm": reference(event) })).await;
    assert!(app.row(event).await.get_datetime("acknowledgedAt").is_err());
    app.component("todo").start().await.unwrap();
    app.reaches(event, "ACKNOWLEDGED").await;
    let both = json!({ "crm": reference(event), "todo": welcome(&app, event).await });
    assert_eq!(acknowledgements(&app, event).await, both);
    app.purge(LETTERS).await;
    app.purge("crm.user_registered").await;
    app.finish().await;
}

/// Its place among those that are handled at the same time is free for others again.
#[tokio::test]
async fn an_acknowledgement_whose_run_alone_is_not_answered_becomes_a_dead_letter() {
    let calls = Calls::start().await;
    let options = Options::default().expecting_crm().temporal_calls_through("worker", &calls);
    let app = App::start_with(options).await;
    let (event, other) = (app.register().await, app.register().await);
    for event in [event, other] {
        awaits(&app, event, &["crm"]).await;
    }
    calls.do_not_answer(Some(format!("ack-crm-{event}").as_bytes()));
    for event in [event, other] {
        app.acknowledge("crm", event, &reference(event)).await;
    }
    app.reaches(other, "ACKNOWLEDGED").await;
    eventually("the other one is a dead letter", async || match app.depth(LETTERS).await {
        1 => Ok(()),
        letters => Err(letters),
    })
    .await;
    assert_eq!(app.acknowledgement_letters().await, ["temporal_unanswered"]);
    assert!(calls.unanswered() >= 10, "{}", calls.unanswered());
    awaits(&app, event, &["crm"]).await;
    // The run gets the next one, which its consumer sends for a copy of the event.
    calls.do_not_answer(None);
    app.acknowledge("crm", event, &reference(event)).await;
    app.reaches(event, "ACKNOWLEDGED").await;
    app.purge(LETTERS).await;
    app.purge("crm.user_registered").await;
    app.finish().await;
}

/// Temporal itself is away: that is nobody's fault.
#[tokio::test]
async fn an_acknowledgement_waits_for_as_long_as_temporal_answers_nobody() {
    let calls = Calls::start().await;
    let options = Options::default().expecting_crm().temporal_calls_through("worker", &calls);
    let app = App::start_with(options).await;
    let event = app.register().await;
    awaits(&app, event, &["crm"]).await;
    calls.do_not_answer(Some(b""));
    app.acknowledge("crm", event, &reference(event)).await;
    let signal = format!("ack-crm-{event}");
    eventually("it is tried more often than for one run alone", async || {
        match calls.unanswered_with(signal.as_bytes()) {
            12.. => Ok(()),
            tries => Err(tries),
        }
    })
    .await;
    assert_eq!(app.depth(LETTERS).await, 0);
    calls.do_not_answer(None);
    app.reaches(event, "ACKNOWLEDGED").await;
    app.purge("crm.user_registered").await;
    app.finish().await;
}
