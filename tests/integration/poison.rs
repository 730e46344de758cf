//! Messages that can never be processed: to the dead letters with the reason,
//! never a loop, never a crash, and nobody waits behind them.

use serde_json::json;

use crate::harness::{App, Options, eventually};

#[tokio::test]
async fn every_poison_message_becomes_a_dead_letter_with_its_reason() {
    let app = App::start_with(Options::default().apart(&["todo"])).await;
    let pid = app.component("todo").status().pid;
    let poison = [
        (String::new(), "not_json"),
        ("{\"eventId\":".to_owned(), "not_json"),
        ("null".to_owned(), "not_an_object"),
        ("[1,2,3]".to_owned(), "not_an_object"),
        ("\"text\"".to_owned(), "not_an_object"),
        ("{}".to_owned(), "unknown_type"),
        (json!({ "eventType": "USER_DELETED", "schemaVersion": 1 }).to_string(), "unknown_type"),
        (json!({ "eventType": 7, "schemaVersion": 1 }).to_string(), "unknown_type"),
        (
            json!({ "eventType": "USER_REGISTERED", "schemaVersion": 2 }).to_string(),
            "unknown_version",
        ),
        (
            json!({ "eventType": "USER_REGISTERED", "schemaVersion": null }).to_string(),
            "unknown_version",
        ),
        (json!({ "eventType": "USER_REGISTERED", "schemaVersion": 1 }).to_string(), "bad_fields"),
        (
            json!({ "eventType": "USER_REGISTERED", "schemaVersion": 1, "eventId": 5,
                "payload": { "userId": true } })
            .to_string(),
            "bad_fields",
        ),
        (
            json!({ "eventType": "USER_REGISTERED", "schemaVersion": 1,
                "eventId": uuid::Uuid::now_v7(), "payload": null })
            .to_string(),
            "bad_fields",
        ),
        ("x".repeat(1 << 20), "too_large"),
    ];
    for (body, _) in &poison {
        assert!(app.publish_by_hand(body).await);
    }
    eventually("all poison is among the dead letters", async || match app.queue_depths().await {
        (0, dead) if usize::try_from(dead) == Ok(poison.len()) => Ok(()),
        depths => Err(depths),
    })
    .await;
    let mut found: Vec<String> = app
        .dead_letters()
        .await
        .iter()
        .map(|letter| {
            letter["properties"]["headers"]["x-onboard-reason"].as_str().unwrap_or("?").to_owned()
        })
        .collect();
    let mut expected: Vec<String> = poison.iter().map(|(_, reason)| (*reason).to_owned()).collect();
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
    assert_eq!(app.component("todo").status().pid, pid, "the todo service was not restarted");

    let id = app.register().await;
    app.reaches(id, "ACKNOWLEDGED").await;
    app.purge_dead_letters().await;
    app.finish().await;
}
