//! The AsyncAPI document: whole in itself, and true of names and of what is
//! declared in the broker.

use std::path::{Path, PathBuf};

use onboard_contract::names::{ACKNOWLEDGEMENTS, ACKNOWLEDGEMENTS_DLQ, ACKNOWLEDGEMENTS_DLX};
use onboard_events::schemas::ASYNCAPI;
use onboard_events::user_registered::{
    DEAD_LETTER_EXCHANGE, DEAD_LETTER_QUEUE, EXCHANGE, QUEUE, ROUTING_KEY, USER_REGISTERED,
};
use serde_json::{Map, Value};

use super::{errors, parse};
use crate::harness::{App, Options};

fn schema_of(place: &Value) -> Option<String> {
    let file = place.pointer("/schema/$ref")?.as_str()?;
    Some(std::fs::read_to_string(contract(file)).unwrap())
}

/// A file beside the document.
fn contract(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../events").join(file)
}

fn entries<'a>(document: &'a Value, pointer: &str) -> &'a Map<String, Value> {
    document.pointer(pointer).and_then(Value::as_object).unwrap()
}

fn every_reference<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                match value {
                    Value::String(reference) if name == "$ref" => found.push(reference),
                    _ => every_reference(value, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| every_reference(item, found)),
        _ => (),
    }
}

#[test]
fn every_reference_leads_somewhere() {
    let document = parse(ASYNCAPI);
    assert_eq!(document["asyncapi"], "3.0.0");
    let mut references = Vec::new();
    every_reference(&document, &mut references);
    assert!(references.len() > 10, "{references:?}");
    for reference in references {
        if let Some(pointer) = reference.strip_prefix('#') {
            assert!(document.pointer(pointer).is_some(), "{reference}");
        } else {
            assert!(contract(reference).is_file(), "{reference}");
        }
    }
    // An operation's messages are its channel's (AsyncAPI 3.0, Operation Object).
    for (name, operation) in entries(&document, "/operations") {
        let channel = operation["channel"]["$ref"].as_str().unwrap();
        for message in operation["messages"].as_array().unwrap() {
            let message = message["$ref"].as_str().unwrap();
            assert!(message.starts_with(&format!("{channel}/messages/")), "{name}");
        }
    }
}

#[test]
fn every_example_of_a_message_is_valid() {
    let document = parse(ASYNCAPI);
    let mut validated = 0;
    for (name, message) in entries(&document, "/components/messages") {
        for example in message["examples"].as_array().unwrap() {
            for part in ["headers", "payload"] {
                let Some(schema) = message.get(part).and_then(schema_of) else { continue };
                let found = errors(&schema, &example[part]);
                assert!(found.is_empty(), "{name} {part}: {found:?}");
                validated += 1;
            }
        }
    }
    assert_eq!(validated, 6, "headers of four examples, and two bodies");
}

#[test]
fn the_names_are_those_of_the_code() {
    let document = parse(ASYNCAPI);
    for (pointer, name) in [
        ("/channels/userEvents/address", ROUTING_KEY),
        ("/channels/userEvents/bindings/amqp/exchange/name", EXCHANGE),
        ("/channels/userRegisteredQueue/address", QUEUE),
        ("/channels/userRegisteredQueue/bindings/amqp/queue/name", QUEUE),
        ("/channels/deadLetterExchange/address", ROUTING_KEY),
        ("/channels/deadLetterExchange/bindings/amqp/exchange/name", DEAD_LETTER_EXCHANGE),
        ("/channels/deadLetters/address", DEAD_LETTER_QUEUE),
        ("/channels/deadLetters/bindings/amqp/queue/name", DEAD_LETTER_QUEUE),
        ("/channels/acknowledgements/address", "{consumer}"),
        ("/channels/acknowledgements/bindings/amqp/exchange/name", ACKNOWLEDGEMENTS),
        ("/channels/acknowledgementsQueue/address", ACKNOWLEDGEMENTS),
        ("/channels/acknowledgementsQueue/bindings/amqp/queue/name", ACKNOWLEDGEMENTS),
        (
            "/channels/acknowledgementsDeadLetterExchange/bindings/amqp/exchange/name",
            ACKNOWLEDGEMENTS_DLX,
        ),
        ("/channels/acknowledgementsDeadLetters/address", ACKNOWLEDGEMENTS_DLQ),
        ("/channels/acknowledgementsDeadLetters/bindings/amqp/queue/name", ACKNOWLEDGEMENTS_DLQ),
        ("/components/messages/userRegistered/name", USER_REGISTERED),
        ("/components/messages/userRegistered/bindings/amqp/messageType", USER_REGISTERED),
    ] {
        assert_eq!(document.pointer(pointer).unwrap(), name, "{pointer}");
    }
}

#[tokio::test]
async fn what_is_declared_in_the_broker_is_what_the_document_says() {
    let app = App::prepare_on_shared(Options::only(&[])).await;
    let document = parse(ASYNCAPI);
    for (name, channel) in entries(&document, "/channels") {
        let amqp = &channel["bindings"]["amqp"];
        let kind = if amqp["is"] == "queue" { "queue" } else { "exchange" };
        let said = amqp[kind].as_object().unwrap();
        let declared = app.declared(&format!("{kind}s"), said["name"].as_str().unwrap()).await;
        for (word, there) in
            [("type", "type"), ("durable", "durable"), ("autoDelete", "auto_delete")]
        {
            if let Some(value) = said.get(word) {
                assert_eq!(declared[there], *value, "{name} {word}");
            }
        }
        if kind == "queue" {
            assert_eq!(declared["arguments"], said["x-arguments"], "{name}");
        }
    }
    app.remove().await;
}
