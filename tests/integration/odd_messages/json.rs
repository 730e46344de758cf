//! JSON that few readers can hold, in fields that nobody asks for, and fields that are
//! there twice.

use serde_json::Value;

use super::event;
use crate::harness::{App, Options, PASSWORD};

/// Values of a field that nobody asks for.
fn odd() -> Vec<String> {
    let deep = |open: &str, close: &str| open.repeat(2_000) + "0" + &close.repeat(2_000);
    let mut odd = vec![deep("[", "]"), deep("{\"a\":", "}")];
    odd.extend(["1e400", "-0.1e-999", "\"\\ud800\"", "{\"a\":1,\"a\":2}"].map(str::to_owned));
    odd
}

/// An object with one more member.
fn with(object: &Value, name: &str, value: &str) -> String {
    let text = object.to_string();
    format!("{{\"{name}\":{value},{}", &text[1..])
}

#[tokio::test]
async fn what_an_event_says_beside_its_fields_does_not_matter() {
    let app = App::start_with(Options::only(&["todo"])).await;
    let mut applied = Vec::new();
    for odd in odd() {
        for name in ["x", "\\ud800", "email"] {
            let (_, user, body) = event();
            assert!(app.publish_by_hand(&with(&body, name, &odd)).await);
            applied.push(user);
        }
    }
    let mut refused = 0;
    for name in ["eventId", "eventType", "schemaVersion", "payload", "\\u0070ayload"] {
        let (_, _, body) = event();
        assert!(app.publish_by_hand(&with(&body, name, "null")).await);
        refused += 1;
    }
    app.acked(applied.len() as u64).await;
    for user in applied {
        assert_eq!(app.todos_of(user).await, 1);
    }
    app.dead_letters_are(refused).await;
    for letter in app.dead_letters().await {
        let headers = &letter["properties"]["headers"];
        assert_eq!(headers["x-onboard-reason"], "bad_fields", "{headers}");
        assert!(headers["x-onboard-detail"].to_string().contains("more than once"), "{headers}");
    }
    app.purge_dead_letters().await;
    app.remove().await;
}

#[tokio::test]
async fn what_a_request_says_beside_its_fields_does_not_matter() {
    let app = App::start_with(Options::only(&["auth"])).await;
    let url = format!("{}/api/v1/auth/register", app.url("auth"));
    let send = async |body: String| {
        let request = app.http.post(&url).header("content-type", "application/json").body(body);
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    let fields = || serde_json::json!({ "email": app.address(), "password": PASSWORD });
    for odd in odd() {
        for name in ["x", "\\ud800", "eventId"] {
            let (status, text) = send(with(&fields(), name, &odd)).await;
            assert_eq!(status, 201, "{name} {odd:.60}: {text}");
        }
        let twice = with(&fields(), "x", "1");
        let (status, text) = send(twice.replacen('{', &format!("{{\"x\":{odd},"), 1)).await;
        assert_eq!(status, 201, "twice {odd:.60}: {text}");
        let (status, _) = send(format!("{{\"email\":{odd},\"password\":\"{PASSWORD}\"}}")).await;
        assert_eq!(status, 422, "{odd:.60}");
    }
    for name in ["email", "password", "\\u0065mail"] {
        let (status, text) = send(with(&fields(), name, "\"other@example.com\"")).await;
        assert_eq!(status, 400, "{name}: {text}");
        let problem: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(problem["type"], "/problems/malformed-json", "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains("more than once"), "{problem}");
    }
    app.remove().await;
}
