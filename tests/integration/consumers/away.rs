//! A consumer that is down, or whose queue is full: it is named, it gets the
//! event when it is back, and nobody else notices.

use serde_json::{Value, json};

use super::{QUEUE, acknowledgements, awaits, completed, recorded, welcome};
use crate::harness::{App, Crm, Options, eventually, reference};

#[tokio::test]
async fn a_consumer_that_is_down_is_named_and_gets_no_copy_while_messages_wait() {
    let options = Options::default().expecting_crm().with("REGISTRATION_OVERDUE", "1s");
    let app = App::start_with(options).await;
    let event = app.register().await;
    app.reaches(event, "STALLED").await;
    awaits(&app, event, &["crm"]).await;
    // When the todo service was late, too, it has got copies.
    let messages = async || app.counter("todo", "todo_messages_total", "").await;
    let before = eventually("it has handled every copy", async || {
        let progress = app.progress(event).await;
        let seen = (progress["publishes"].as_u64(), Some(messages().await));
        if seen.0 == seen.1 { Ok(progress) } else { Err(seen) }
    })
    .await;
    checked(&app, event, before["overdueChecks"].as_u64().unwrap() + 2).await;
    let publishes = before["publishes"].as_u64().unwrap();
    let now = app.progress(event).await;
    assert_eq!(now["publishes"], publishes, "a message waits in the queue of crm");
    assert_eq!(app.depth(QUEUE).await, 1);
    let details = app.current_details(event).await;
    assert!(details.starts_with("STALLED") && details.contains("acknowledge: crm;"), "{details}");
    let listed = app.tool(&["list", "--stage", "STALLED"]).await.yes();
    assert_eq!(awaited(&listed), [json!(["crm"])], "{listed:#}");
    let shown = app.tool(&["show", &event.to_string()]).await;
    let consumers = shown.json["consumers"].as_array().unwrap();
    let crm = consumers.iter().find(|one| one["consumer"] == "crm").unwrap();
    assert_eq!(crm["awaited"], true, "{}", shown.text);

    // What waited is lost: the next look finds the queue empty.
    app.purge(QUEUE).await;
    eventually("a copy comes by itself", async || match app.depth(QUEUE).await {
        1 => Ok(()),
        depth => Err(depth),
    })
    .await;
    eventually("the copy is counted", async || match app.progress(event).await {
        progress if progress["publishes"] == publishes + 1 => Ok(()),
        progress => Err(progress),
    })
    .await;
    let of_todo = (messages().await, app.queue_depths().await);
    assert_eq!(of_todo, (publishes, (0, 0)), "it has acknowledged and gets no copy");
    let crm = Crm::start(&app).await;
    app.reaches(event, "ACKNOWLEDGED").await;
    assert_eq!(crm.seen(), [event]);
    crm.stop().await;
    app.finish().await;
}

#[tokio::test]
async fn a_full_queue_of_one_consumer_holds_up_no_other() {
    let app = App::start_with(Options::default().expecting_crm()).await;
    app.bound(QUEUE, 1).await;
    // One after another: RabbitMQ tells a publisher a moment after the last place is taken, and
    // what the publisher has sent by then is taken as well.
    let mut events = Vec::new();
    for _ in 0..6 {
        let event = app.register().await;
        awaits(&app, event, &["crm"]).await;
        recorded(&app, event, json!({ "todo": welcome(&app, event).await })).await;
        events.push(event);
    }
    let refused = eventually("a copy is refused", async || {
        for event in &events {
            match app.pending_activity(*event).await {
                Some(activity) if activity.attempt > 1 => return Ok(*event),
                _ => (),
            }
        }
        Err(app.depth(QUEUE).await)
    })
    .await;
    let row = app.row(refused).await;
    assert_eq!(row.get_str("status").unwrap(), "PENDING", "crm's queue does not have it: {row}");

    app.unbound_queue().await;
    let crm = Crm::start(&app).await;
    for event in &events {
        app.reaches(*event, "ACKNOWLEDGED").await;
        completed(&app, *event).await;
        let both = json!({ "todo": welcome(&app, *event).await, "crm": reference(*event) });
        assert_eq!(acknowledgements(&app, *event).await, both);
    }
    crm.stop().await;
    app.finish().await;
}

/// Waits until the acknowledgement was found overdue so often.
async fn checked(app: &App, event: onboard_contract::EventId, times: u64) {
    eventually(&format!("{times} looks"), async || {
        let progress = app.progress(event).await;
        if progress["overdueChecks"].as_u64() >= Some(times) { Ok(()) } else { Err(progress) }
    })
    .await;
}

/// Every list named `awaited` in a document.
fn awaited(json: &Value) -> Vec<Value> {
    match json {
        Value::Object(fields) => fields
            .iter()
            .flat_map(
                |(name, value)| {
                    if name == "awaited" { vec![value.clone()] } else { awaited(value) }
                },
            )
            .collect(),
        Value::Array(items) => items.iter().flat_map(awaited).collect(),
        _ => Vec::new(),
    }
}
