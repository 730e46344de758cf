//! A message as it is published: CloudEvents 1.0, binary mode.
//!
//! Attributes and headers carry ids, names and times only. The address of the
//! user is in the body and nowhere else.

use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};
use onboard_contract::{Message, TraceParent};
use onboard_runtime::clock;

/// AMQP's number for "survives a restart of the broker".
pub(crate) const PERSISTENT: u8 = 2;
/// The header of W3C Trace Context.
pub(crate) const TRACEPARENT: &str = "traceparent";

/// `traceparent` is that of the publish; without one the event's own.
pub(crate) fn properties(message: &Message, traceparent: Option<&TraceParent>) -> BasicProperties {
    let id = message.event_id.to_string();
    BasicProperties::default()
        .with_content_type("application/json".into())
        .with_delivery_mode(PERSISTENT)
        .with_message_id(id.as_str().into())
        .with_correlation_id(id.as_str().into())
        .with_type(message.event_type.name.into())
        .with_timestamp(u64::try_from(clock::now_ms() / 1_000).unwrap_or_default())
        .with_headers(headers(message, traceparent.or(message.traceparent.as_ref())))
}

/// Those of an acknowledgement; its body alone says what it acknowledges.
pub(crate) fn of_acknowledgement(traceparent: Option<&TraceParent>) -> BasicProperties {
    let mut headers = FieldTable::default();
    if let Some(traceparent) = traceparent {
        headers.insert(TRACEPARENT.into(), AMQPValue::LongString(traceparent.as_str().into()));
    }
    BasicProperties::default()
        .with_content_type("application/json".into())
        .with_delivery_mode(PERSISTENT)
        .with_headers(headers)
}

fn headers(message: &Message, traceparent: Option<&TraceParent>) -> FieldTable {
    let mut headers = FieldTable::default();
    let mut put = |name: &str, value: &str| {
        headers.insert(name.into(), AMQPValue::LongString(value.into()));
    };
    put("cloudEvents_id", &message.event_id.to_string());
    put("cloudEvents_source", message.event_type.source);
    put("cloudEvents_type", message.version.versioned_name);
    put("cloudEvents_specversion", "1.0");
    put("cloudEvents_subject", &message.subject);
    put("cloudEvents_dataschema", message.version.data_schema);
    if let Some(time) = &message.occurred_at {
        put("cloudEvents_time", time);
    }
    if let Some(traceparent) = traceparent {
        put(TRACEPARENT, traceparent.as_str());
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;
    use onboard_events::UserRegistered;

    fn message() -> Message {
        let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let event = UserRegistered {
            event_id: clock::ordered_id().into(),
            occurred_at: Some("2026-01-01T00:00:00Z".to_owned()),
            aggregate_version: Some(1),
            user_id: clock::random_id().into(),
            email: Some("secret.person@example.com".to_owned()),
            traceparent: None,
        };
        event.message(Some(TraceParent::parse(text).unwrap()))
    }

    #[test]
    fn the_required_cloudevents_attributes_are_there() {
        let properties = properties(&message(), None);
        let headers = properties.headers().clone().unwrap();
        for name in ["id", "source", "type", "specversion", "time", "subject", "dataschema"] {
            assert!(headers.contains_key(&format!("cloudEvents_{name}")), "{name}");
        }
        assert!(headers.contains_key("traceparent"));
        assert_eq!(*properties.delivery_mode(), Some(2));
    }

    #[test]
    fn the_message_id_is_the_event_id() {
        let message = message();
        let id = properties(&message, None).message_id().clone().unwrap();
        assert_eq!(id.as_str(), message.event_id.to_string());
    }

    #[test]
    fn the_address_is_in_no_property() {
        let shown = format!("{:?}", properties(&message(), None));
        assert!(!shown.contains("secret.person"), "{shown}");
        // LongString prints its bytes as numbers: look at those as well.
        let bytes = format!("{:?}", b"secret.person".as_slice());
        assert!(!shown.contains(bytes.trim_matches(['[', ']'])), "{shown}");
    }
}
