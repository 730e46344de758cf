use mongodb::bson::Bson;

use super::{put, values, with};
use crate::harness::{App, Options};

/// The fields of a row that tell the stage, or a time.
const TOLD: [&str; 5] = ["status", "createdAt", "startedAt", "sentAt", "acknowledgedAt"];
const STAGES: [&str; 5] = ["PENDING", "STARTED", "SENT", "ACKNOWLEDGED", "STALLED"];

#[tokio::test]
async fn a_row_of_any_kind_is_shown_with_the_fields_that_cannot_be_read() {
    let app = App::start_with(Options::only(&["auth"])).await;
    let (event, other) = (app.register().await, app.register().await);
    let (outbox, sound) = (app.outbox().await, app.row(event).await);
    for field in TOLD.into_iter().chain(["aggregateId", "payload", "eventType", "attempts"]) {
        for value in values() {
            put(&outbox, &with(&sound, field, value.as_ref())).await;
            let case = format!("{field}: {value:?}");
            let url = format!("{}/api/v1/registrations/{event}", app.url("auth"));
            let answer = app.http.get(url).send().await.unwrap();
            assert_eq!(answer.status(), 200, "{case}");
            let seen: serde_json::Value = answer.json().await.unwrap();
            assert!(STAGES.contains(&seen["stage"].as_str().unwrap()), "{case}: {seen}");
            assert!(seen["createdAt"].is_string(), "{case}: {seen}");
            let is_readable = match &value {
                None | Some(Bson::Null) => !["status", "createdAt"].contains(&field),
                Some(Bson::DateTime(_)) => field != "status",
                Some(_) => false,
            };
            if TOLD.contains(&field) && !is_readable {
                assert_eq!(seen["unreadable"], serde_json::json!([field]), "{case}: {seen}");
                let stage = if field == "createdAt" { "PENDING" } else { "STALLED" };
                assert_eq!(seen["stage"], stage, "{case}: {seen}");
            } else {
                assert!(seen.get("unreadable").is_none(), "{case}: {seen}");
            }
            assert_eq!(app.registration(other).await["stage"], "PENDING", "{case}");
        }
    }
    put(&outbox, &sound).await;
    app.remove().await;
}
