//! Messages where none should be.

use serde_json::json;

use crate::harness::{App, Options, eventually};

#[tokio::test]
async fn dead_letters_and_left_over_messages_are_named() {
    let app = App::start_with(Options::default().apart(&["todo"])).await;
    app.finished(1).await;
    app.is_clean().await;

    let reason = json!({ "x-onboard-reason": "store_rejected" });
    app.publish_to("user.events.dlx", "m-1", reason).await;
    app.publish_to("user.events.dlx", "m-2", json!({})).await;
    let (code, report) = app.audit(&["--grace", "0s"]).await;
    assert_eq!(code, 1);
    let mut letters: Vec<_> = report["violations"].as_array().unwrap().iter().collect();
    letters.sort_by_key(|letter| letter["id"].to_string());
    assert_eq!(
        letters,
        [
            &json!({ "kind": "dead_letter", "id": "m-1", "detail": "store_rejected" }),
            &json!({ "kind": "dead_letter", "id": "m-2", "detail": "unknown" }),
        ]
    );
    // Looking leaves them where they are, as soon as RabbitMQ has given them back.
    app.dead_letters_are(2).await;
    app.purge_dead_letters().await;
    eventually("no letter is left", async || match app.queue_depths().await {
        (0, 0) => Ok(()),
        depths => Err(depths),
    })
    .await;
    app.is_clean().await;

    // Nobody takes the message, and nothing is under way that it belongs to.
    app.component("todo").stop().await.unwrap();
    app.publish_to("user.events", "m-3", json!({})).await;
    app.finds(&[("message_left_over", "user_registered_queue")]).await;
    app.component("todo").start().await.unwrap();
    eventually("it is a dead letter", async || match app.queue_depths().await {
        (0, 1) => Ok(()),
        depths => Err(depths),
    })
    .await;
    app.finds(&[("dead_letter", "m-3")]).await;
    // A purge takes only what RabbitMQ has given back.
    app.dead_letters_are(1).await;
    app.purge_dead_letters().await;
    app.finish().await;
}
