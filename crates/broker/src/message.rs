//! A message as it is published: CloudEvents 1.0, binary mode.
//!
//! Attributes and headers carry ids, names and times only. The address of the
//! user is in the body and nowhere else.

use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};
use onboard_contract::names::USER_REGISTERED;
use onboard_contract::{EventId, TraceParent, UserId, UserRegistered};
use onboard_runtime::clock;

/// `cloudEvents_source`: the service in whose name the event is published.
const SOURCE: &str = "urn:onboard:auth";
/// `cloudEvents_type`: the event and its version.
const TYPE: &str = "dev.onboard.user.registered.v1";
/// `cloudEvents_dataschema`: the schema of the body.
const DATA_SCHEMA: &str = "urn:onboard:schema:user.registered:1";
/// AMQP's number for "survives a restart of the broker".
pub(crate) const PERSISTENT: u8 = 2;
/// The header of W3C Trace Context.
pub(crate) const TRACEPARENT: &str = "traceparent";

/// A `USER_REGISTERED` message.
#[derive(Debug, Clone)]
pub struct Message {
    /// The event; becomes the message id, by which a repeat is recognised.
    pub event_id: EventId,
    /// The user the event is about.
    pub user_id: UserId,
    /// When it happened (RFC 3339).
    pub occurred_at: Option<String>,
    /// The trace the registration belongs to.
    pub traceparent: Option<TraceParent>,
    /// The body (JSON).
    pub body: Vec<u8>,
}

impl Message {
    /// The message of an event.
    #[must_use]
    pub fn user_registered(event: &UserRegistered, traceparent: Option<TraceParent>) -> Self {
        Self {
            event_id: event.event_id,
            user_id: event.user_id,
            occurred_at: event.occurred_at.clone(),
            traceparent,
            body: event.to_json(),
        }
    }

    /// `traceparent` is that of the publish; without one the registration's own.
    pub(crate) fn properties(&self, traceparent: Option<&TraceParent>) -> BasicProperties {
        let id = self.event_id.to_string();
        BasicProperties::default()
            .with_content_type("application/json".into())
            .with_delivery_mode(PERSISTENT)
            .with_message_id(id.as_str().into())
            .with_correlation_id(id.as_str().into())
            .with_type(USER_REGISTERED.into())
            .with_timestamp(u64::try_from(clock::now_ms() / 1_000).unwrap_or_default())
            .with_headers(self.headers(traceparent.or(self.traceparent.as_ref())))
    }

    fn headers(&self, traceparent: Option<&TraceParent>) -> FieldTable {
        let mut headers = FieldTable::default();
        let mut put = |name: &str, value: &str| {
            headers.insert(name.into(), AMQPValue::LongString(value.into()));
        };
        put("cloudEvents_id", &self.event_id.to_string());
        put("cloudEvents_source", SOURCE);
        put("cloudEvents_type", TYPE);
        put("cloudEvents_specversion", "1.0");
        put("cloudEvents_subject", &self.user_id.to_string());
        put("cloudEvents_dataschema", DATA_SCHEMA);
        if let Some(time) = &self.occurred_at {
            put("cloudEvents_time", time);
        }
        if let Some(traceparent) = traceparent {
            put(TRACEPARENT, traceparent.as_str());
        }
        headers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message() -> Message {
        let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let event = UserRegistered {
            event_id: clock::ordered_id().into(),
            occurred_at: Some("2026-01-01T00:00:00Z".to_owned()),
            user_id: clock::random_id().into(),
            email: Some("secret.person@example.com".to_owned()),
            traceparent: None,
        };
        Message::user_registered(&event, Some(TraceParent::parse(text).unwrap()))
    }

    #[test]
    fn the_required_cloudevents_attributes_are_there() {
        let properties = message().properties(None);
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
        let id = message.properties(None).message_id().clone().unwrap();
        assert_eq!(id.as_str(), message.event_id.to_string());
    }

    #[test]
    fn the_address_is_in_no_property() {
        let shown = format!("{:?}", message().properties(None));
        assert!(!shown.contains("secret.person"), "{shown}");
        // LongString prints its bytes as numbers: look at those as well.
        let bytes = format!("{:?}", b"secret.person".as_slice());
        assert!(!shown.contains(bytes.trim_matches(['[', ']'])), "{shown}");
    }
}
