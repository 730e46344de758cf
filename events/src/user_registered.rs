//! The `USER_REGISTERED` event, version 1, as it crosses the broker.

use std::borrow::Cow;

use onboard_contract::message::Workflow;
use onboard_contract::{
    Decoder, Envelope, EventConsumer, EventError, EventId, EventType, EventVersion, Message, Queue,
    TraceParent, UserId,
};
use onboard_json::Object;
use serde::Serialize;

use crate::registration::REGISTRATION;
use crate::{TODO, TodoId};

/// The name of the event.
pub const USER_REGISTERED: &str = "USER_REGISTERED";
/// The aggregate that the event belongs to.
pub const AGGREGATE_USER: &str = "User";
/// The topic exchange that the event is published to.
pub const EXCHANGE: &str = "user.events";
/// The routing key that the event is published with.
pub const ROUTING_KEY: &str = "user.registered";
/// The queue of the todo service. It keeps the names that it always had.
pub const TODO_QUEUE: Queue = Queue {
    name: Cow::Borrowed(QUEUE),
    exchange: Cow::Borrowed(EXCHANGE),
    routing_key: Cow::Borrowed(ROUTING_KEY),
    dead_letter_exchange: Cow::Borrowed(DEAD_LETTER_EXCHANGE),
    dead_letter_queue: Cow::Borrowed(DEAD_LETTER_QUEUE),
};
/// The queue of the todo service.
pub const QUEUE: &str = "user_registered_queue";
/// The exchange that its dead letters go through.
pub const DEAD_LETTER_EXCHANGE: &str = "user.events.dlx";
/// The queue that its dead letters wait in.
pub const DEAD_LETTER_QUEUE: &str = "user_registered_queue.dlq";

/// A user has registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserRegistered {
    /// The event.
    pub event_id: EventId,
    /// When it happened (RFC 3339). Absent in a message published by hand.
    pub occurred_at: Option<String>,
    /// How many events of the user there have been, with this one. Absent in a message
    /// of a released build, and in one published by hand.
    pub aggregate_version: Option<u64>,
    /// The user.
    pub user_id: UserId,
    /// The address as given. Absent in a message published by hand.
    pub email: Option<String>,
    /// The trace it belongs to; a header and no part of the body.
    pub traceparent: Option<TraceParent>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Wire<'a> {
    event_id: EventId,
    event_type: &'static str,
    schema_version: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    occurred_at: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    aggregate_version: Option<u64>,
    payload: WirePayload<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WirePayload<'a> {
    user_id: UserId,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'a str>,
}

/// What the event says.
struct Payload {
    user_id: UserId,
    email: Option<String>,
}

impl Payload {
    fn v1(payload: &Object) -> Result<Self, EventError> {
        Ok(Self { user_id: payload.required("userId")?, email: payload.optional("email")? })
    }
}

impl UserRegistered {
    /// What every message of the event says.
    pub const TYPE: &EventType = &EventType {
        name: USER_REGISTERED,
        version: EventVersion {
            number: 1,
            versioned_name: "dev.onboard.user.registered.v1",
            data_schema: "urn:onboard:schema:user.registered:1",
            check: Self::check,
        },
        earlier: &[],
        exchange: EXCHANGE,
        routing_key: ROUTING_KEY,
        source: "urn:onboard:auth",
        workflow: Workflow::Own(REGISTRATION),
        consumers: &[EventConsumer {
            name: TODO,
            queue: Some(TODO_QUEUE),
            answers: true,
            reference: Some(|user| TodoId::welcome(user.into()).uuid()),
            patience: None,
        }],
    };

    /// Its versions, each read as what this build works with.
    const DECODERS: &[Decoder<Payload>] = &[(1, Payload::v1)];

    /// Whether a payload is one that auth's outbox may hold: everything is there.
    fn check(payload: &Object) -> Result<(), EventError> {
        let payload = Payload::v1(payload)?;
        payload.email.map(drop).ok_or(EventError::Incomplete)
    }

    /// The message of the event.
    #[must_use]
    pub fn message(&self, traceparent: Option<TraceParent>) -> Message {
        Message {
            event_type: Self::TYPE,
            version: &Self::TYPE.version,
            event_id: self.event_id,
            subject: self.user_id.to_string(),
            occurred_at: self.occurred_at.clone(),
            traceparent,
            body: self.to_json(),
        }
    }

    /// Parses a message body.
    ///
    /// # Errors
    /// See [`EventError`].
    pub fn parse(body: &[u8]) -> Result<Self, EventError> {
        let envelope =
            Envelope::parse(body, |name| (name == Self::TYPE.name).then_some(Self::TYPE))?;
        let payload = envelope.read(Self::DECODERS)?;
        Ok(Self {
            event_id: envelope.event_id,
            occurred_at: envelope.occurred_at,
            aggregate_version: envelope.aggregate_version,
            user_id: payload.user_id,
            email: payload.email,
            traceparent: None,
        })
    }

    /// The message body.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let wire = Wire {
            event_id: self.event_id,
            event_type: Self::TYPE.name,
            schema_version: Self::TYPE.version.number,
            occurred_at: self.occurred_at.as_deref(),
            aggregate_version: self.aggregate_version,
            payload: WirePayload { user_id: self.user_id, email: self.email.as_deref() },
        };
        // Strings and UUIDs only: serialising them cannot fail.
        serde_json::to_vec(&wire).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use onboard_contract::Event;
    use proptest::prelude::*;
    use serde_json::{Value, json};
    use uuid::Uuid;

    use super::*;

    const BY_HAND: &str = r#"{"eventId":"0190c1c4-7f6e-7d1a-8b1e-2f6f3a1b2c3d",
        "eventType":"USER_REGISTERED","schemaVersion":1,"occurredAt":"2026-01-01T00:00:00Z",
        "payload":{"userId":"9b2f0c3e-51a4-4a53-9b64-0f5f2a6d7e8f","email":"a@example.com"},
        "added later":true}"#;

    #[test]
    fn a_body_written_by_hand_parses_and_unknown_fields_are_ignored() {
        let event = UserRegistered::parse(BY_HAND.as_bytes()).unwrap();
        assert_eq!(event.email.as_deref(), Some("a@example.com"));
    }

    #[test]
    fn every_kind_of_junk_has_its_reason() {
        let table: &[(&[u8], &str)] = &[
            (b"", "not_json"),
            (b"{", "not_json"),
            (b"\xff\xfe", "not_json"),
            (b"null", "not_an_object"),
            (b"[]", "not_an_object"),
            (b"{}", "unknown_type"),
            (br#"{"eventType":"USER_DELETED","schemaVersion":1}"#, "unknown_type"),
            (br#"{"eventType":"USER_REGISTERED","schemaVersion":2}"#, "unknown_version"),
            (br#"{"eventType":"USER_REGISTERED","schemaVersion":"1"}"#, "unknown_version"),
            (br#"{"eventType":"USER_REGISTERED","schemaVersion":1}"#, "bad_fields"),
            (br#"{"eventType":"USER_REGISTERED","schemaVersion":1,"eventId":7,"payload":{}}"#, "bad_fields"),
            (br#"{"eventType":"USER_REGISTERED","schemaVersion":1,"eventId":"x","payload":null}"#, "bad_fields"),
            (br#"{"eventType":"A","eventType":"USER_REGISTERED","schemaVersion":1}"#, "bad_fields"),
            (br#"{"eventType":"USER_REGISTERED","schemaVersion":1,"schemaVersion":1}"#, "bad_fields"),
        ];
        for (body, reason) in table {
            let error = UserRegistered::parse(body).unwrap_err();
            assert_eq!(error.reason(), *reason, "{}", String::from_utf8_lossy(body));
        }
        assert_eq!(UserRegistered::parse(&vec![b'x'; 1 << 20]).unwrap_err().reason(), "too_large");
    }

    #[test]
    fn no_field_may_be_there_twice() {
        for (field, other) in [
            ("eventId", "\"eventId\":\"0190c1c4-7f6e-7d1a-8b1e-2f6f3a1b2c3d\","),
            ("occurredAt", "\"occurredAt\":null,"),
            ("payload", "\"payload\":{},"),
            ("userId", "\"userId\":\"9b2f0c3e-51a4-4a53-9b64-0f5f2a6d7e8f\","),
            ("email", "\"\\u0065mail\":\"b@example.com\","),
        ] {
            let name = format!("\"{field}\":");
            let twice = BY_HAND.replacen(&name, &format!("{other}{name}"), 1);
            let error = UserRegistered::parse(twice.as_bytes()).unwrap_err();
            assert_eq!(error.reason(), "bad_fields", "{twice}");
            assert_eq!(error.to_string(), format!("the body has {field} more than once"));
        }
    }

    #[test]
    fn what_an_ignored_field_holds_does_not_matter() {
        let deep = "[".repeat(5_000) + &"]".repeat(5_000);
        for odd in ["1e400", "\"\\ud800\"", deep.as_str(), "{\"eventId\":1,\"eventId\":2}"] {
            let event = BY_HAND.replace("true", odd);
            UserRegistered::parse(event.as_bytes()).unwrap();
            let payload =
                BY_HAND.replacen("\"userId\"", &format!("\"\\ud800\":{odd},\"userId\""), 1);
            UserRegistered::parse(payload.as_bytes()).unwrap();
        }
    }

    #[test]
    fn deep_nesting_is_an_error_not_a_crash() {
        let deep = "[".repeat(60_000);
        assert_eq!(UserRegistered::parse(deep.as_bytes()).unwrap_err().reason(), "not_json");
    }

    #[test]
    fn a_message_is_what_the_events_own_decoder_reads() {
        let user = Uuid::from_u128(2);
        let payload = json!({ "userId": user, "email": "a@example.com" });
        let message = UserRegistered::TYPE.message(row(payload)).unwrap();
        let read = UserRegistered::parse(&message.body).unwrap();
        assert_eq!((read.user_id, read.email.as_deref()), (user.into(), Some("a@example.com")));
        assert_eq!(message.subject, user.to_string());
        for payload in [json!({}), json!({ "userId": user }), json!("text")] {
            assert!(UserRegistered::TYPE.message(row(payload)).is_err());
        }
    }

    fn row(payload: Value) -> Event {
        Event {
            event_id: Uuid::from_u128(1).into(),
            schema_version: 1,
            aggregate_id: Uuid::from_u128(2),
            occurred_at: Some("2026-01-01T00:00:00Z".to_owned()),
            aggregate_version: None,
            payload,
            traceparent: None,
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(event in any::<u128>(), user in any::<u128>(), email in ".*") {
            let written = UserRegistered {
                event_id: Uuid::from_u128(event).into(),
                occurred_at: Some("2026-01-01T00:00:00Z".into()),
                aggregate_version: Some(1),
                user_id: Uuid::from_u128(user).into(),
                email: Some(email),
                traceparent: None,
            };
            prop_assert_eq!(UserRegistered::parse(&written.to_json()).unwrap(), written);
        }

        #[test]
        fn no_bytes_crash_the_parser(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
            prop_assert!(UserRegistered::parse(&bytes).is_err());
        }
    }
}
