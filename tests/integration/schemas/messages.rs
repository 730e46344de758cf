//! Real messages, held against their schemas.

use onboard_events::UserRegistered;
use onboard_events::schemas;
use serde_json::{Value, json};

use super::{errors, parse};
use crate::harness::{App, Options, eventually};

const COPIES: &str = "copies";

fn holds(schema: &str, document: &Value) {
    let found = errors(schema, document);
    assert!(found.is_empty(), "{found:#?}\n{document:#}");
}

#[test]
fn every_example_is_valid() {
    for schema in [
        schemas::USER_REGISTERED,
        schemas::USER_REGISTERED_HEADERS,
        schemas::DEAD_LETTER_HEADERS,
        schemas::ACKNOWLEDGEMENT,
        schemas::ACKNOWLEDGEMENT_DEAD_LETTER_HEADERS,
    ] {
        assert!(jsonschema::meta::is_valid(&parse(schema)));
        let examples = parse(schema)["examples"].as_array().unwrap().clone();
        assert!(!examples.is_empty());
        for example in examples {
            holds(schema, &example);
        }
    }
}

/// What the schema calls an event, the consumer can read; and the other way
/// round, of everything near one.
#[test]
fn the_schema_and_the_parser_agree() {
    let good = parse(schemas::USER_REGISTERED)["examples"][0].clone();
    let set = |pointer: &str, value: Value| {
        let mut body = good.clone();
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        body.pointer_mut(parent).unwrap()[name] = value;
        body
    };
    let without = |pointer: &str| {
        let mut body = good.clone();
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        body.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(name);
        body
    };
    for (body, sound) in [
        (good.clone(), true),
        (set("/more", json!({ "later": 1 })), true),
        (set("/payload/more", json!(1)), true),
        (without("/occurredAt"), true),
        (without("/payload/email"), true),
        (without("/eventId"), false),
        (without("/eventType"), false),
        (without("/schemaVersion"), false),
        (without("/payload"), false),
        (without("/payload/userId"), false),
        (set("/eventId", json!(7)), false),
        (set("/eventId", json!("x")), false),
        (set("/eventType", json!("USER_DELETED")), false),
        (set("/schemaVersion", json!(2)), false),
        (set("/schemaVersion", json!("1")), false),
        (set("/occurredAt", json!(5)), false),
        (set("/payload", json!(null)), false),
        (set("/payload/userId", json!(null)), false),
        (set("/payload/email", json!(["a@example.com"])), false),
        (json!([good.clone()]), false),
    ] {
        let read = UserRegistered::parse(body.to_string().as_bytes());
        assert_eq!(read.is_ok(), sound, "the parser: {body:#}");
        let found = errors(schemas::USER_REGISTERED, &body);
        assert_eq!(found.is_empty(), sound, "the schema: {body:#} {found:?}");
    }
}

#[tokio::test]
async fn what_is_published_is_what_the_schemas_say() {
    let app = App::start().await;
    app.copy_events().await;
    let mut registered = Vec::new();
    for _ in 0..3 {
        registered.push(app.register().await);
    }
    for id in &registered {
        app.reaches(*id, "ACKNOWLEDGED").await;
    }
    let messages = app.copies().await;
    assert_eq!(messages.len(), registered.len());
    for message in &messages {
        let body = parse(message["payload"].as_str().unwrap());
        holds(schemas::USER_REGISTERED, &body);
        // May be left out by hand, and never is by the system.
        assert!(body["occurredAt"].is_string() && body["payload"]["email"].is_string());
        let properties = &message["properties"];
        let headers = &properties["headers"];
        holds(schemas::USER_REGISTERED_HEADERS, headers);
        let known = parse(schemas::USER_REGISTERED_HEADERS)["properties"].clone();
        for name in headers.as_object().unwrap().keys() {
            assert!(known.get(name).is_some(), "the header {name} is in no schema");
        }
        assert_eq!(headers["cloudEvents_dataschema"], parse(schemas::USER_REGISTERED)["$id"]);
        assert_eq!(headers["cloudEvents_id"], body["eventId"]);
        assert_eq!(headers["cloudEvents_subject"], body["payload"]["userId"]);
        assert_eq!(headers["cloudEvents_time"], body["occurredAt"]);
        for name in ["message_id", "correlation_id"] {
            assert_eq!(properties[name], body["eventId"], "{name}");
        }
        assert_eq!(properties["type"], "USER_REGISTERED");
        assert_eq!(properties["content_type"], "application/json");
        assert_eq!(properties["delivery_mode"], 2);
        let email = body["payload"]["email"].as_str().unwrap();
        assert!(!properties.to_string().contains(email), "no personal data beside the body");
    }
    app.remove().await;
}

#[tokio::test]
async fn what_is_given_up_is_what_the_schemas_say() {
    let app = App::start().await;
    let junk = [
        "{",
        "[]",
        "{}",
        r#"{"eventType":"USER_REGISTERED","schemaVersion":2}"#,
        r#"{"eventType":"USER_REGISTERED","schemaVersion":1}"#,
        &"x".repeat(70_000),
    ];
    for body in junk {
        assert!(app.publish_by_hand(body).await);
    }
    app.refuse_todos().await;
    let id = app.register().await;
    let expected = u32::try_from(junk.len()).unwrap() + 1;
    app.dead_letters_are(expected).await;
    let letters = app.dead_letters().await;
    let mut reasons = Vec::new();
    for letter in &letters {
        let headers = &letter["properties"]["headers"];
        holds(schemas::DEAD_LETTER_HEADERS, headers);
        reasons.push(headers["x-onboard-reason"].as_str().unwrap().to_owned());
    }
    // Every reason there is.
    reasons.sort();
    let mut all: Vec<String> = parse(schemas::DEAD_LETTER_HEADERS)
        .pointer("/properties/x-onboard-reason/enum")
        .and_then(Value::as_array)
        .unwrap()
        .iter()
        .map(|reason| reason.as_str().unwrap().to_owned())
        .collect();
    all.sort();
    assert_eq!(reasons, all);
    // Of ours, the message itself is unchanged.
    let id = id.to_string();
    let ours = letters.iter().find(|letter| letter["properties"]["message_id"] == *id).unwrap();
    holds(schemas::USER_REGISTERED_HEADERS, &ours["properties"]["headers"]);
    holds(schemas::USER_REGISTERED, &parse(ours["payload"].as_str().unwrap()));
    app.remove().await;
}

/// What the broker itself gives up says so in its own words.
#[tokio::test]
async fn what_the_broker_gives_up_is_what_the_schemas_say() {
    let app = App::prepare_on_shared(Options::only(&[])).await;
    assert!(app.publish_by_hand("{}").await);
    app.give_up_by_the_broker().await;
    app.dead_letters_are(1).await;
    let letters = app.dead_letters().await;
    let headers = &letters[0]["properties"]["headers"];
    holds(schemas::DEAD_LETTER_HEADERS, headers);
    assert!(headers.get("x-onboard-reason").is_none(), "{headers}");
    app.remove().await;
}

impl App {
    /// From now on every event is also put into a queue of the test's own.
    async fn copy_events(&self) {
        self.declare_copies(COPIES, "user.events", "#").await;
    }

    async fn copies(&self) -> Vec<Value> {
        eventually("the copies can be read", async || {
            let copies = self.peek(COPIES).await;
            if copies.is_empty() { Err("none") } else { Ok(copies) }
        })
        .await
    }
}
