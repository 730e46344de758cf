//! Event types as data, and an event on its way to the broker: what every
//! message says, whatever its event.
//!
//! Ids, names and times stand outside of the body; the body alone may hold
//! personal data. Nothing here runs, so nothing is lost when a process dies.

use onboard_json::Object;
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;
use uuid::fmt::Hyphenated;

use crate::event::Envelope;
use crate::names::WORKFLOW_EVENT_DELIVERY;
use crate::{ConsumerName, Delivery, EventConsumer, EventError, EventId, Start, TraceParent};

/// What the engine knows of one event type: how its rows become messages, which
/// workflow delivers it, and to whom.
#[derive(Debug)]
pub struct EventType {
    /// The name, in `eventType` of the row and of the body, and the type of the
    /// message.
    pub name: &'static str,
    /// The version that new rows have.
    pub version: EventVersion,
    /// The versions before it. This build reads them, and publishes rows that have them.
    pub earlier: &'static [EventVersion],
    /// The exchange that the event is published to.
    pub exchange: &'static str,
    /// The routing key that the event is published with.
    pub routing_key: &'static str,
    /// `cloudEvents_source`: the service in whose name the event is published.
    pub source: &'static str,
    /// The workflow that delivers the event.
    pub workflow: Workflow,
    /// The consumers that a row expects, unless it names others; at least one.
    pub consumers: &'static [EventConsumer],
}

/// A version of an event's payload.
#[derive(Debug)]
pub struct EventVersion {
    /// `schemaVersion` of the row and of the body.
    pub number: u32,
    /// `cloudEvents_type`: the event and its version.
    pub versioned_name: &'static str,
    /// `cloudEvents_dataschema`: the schema of the body.
    pub data_schema: &'static str,
    /// Whether a payload is complete, as the event's consumers will read it.
    pub check: fn(&Object) -> Result<(), EventError>,
}

/// The workflow that delivers an event.
#[derive(Debug, Clone, Copy)]
pub enum Workflow {
    /// `EventDelivery`, with the event type in kebab case in its id.
    Delivery,
    /// One of the event's own.
    Own(&'static OwnWorkflow),
}

/// A workflow that delivers one type of events.
#[derive(Debug)]
pub struct OwnWorkflow {
    /// Its type.
    pub name: &'static str,
    /// What its ids begin with; the event id follows.
    pub id_prefix: &'static str,
    /// Its input, with the consumers that the event is delivered to; without them in the
    /// plan of released builds.
    pub input: fn(&Start, Option<Delivery>) -> Value,
    /// The activity that publishes its event.
    pub publish: &'static str,
    /// Search attribute (Keyword): the id of the aggregate.
    pub attribute: &'static str,
    /// What it does, for a person; the id of the aggregate follows.
    pub summary: &'static str,
}

impl EventType {
    /// The version of this number, if this build reads it.
    #[must_use]
    pub fn version(&'static self, number: u32) -> Option<&'static EventVersion> {
        self.versions().find(|version| version.number == number)
    }

    /// The versions that this build reads, the one of new rows first.
    pub fn versions(&'static self) -> impl Iterator<Item = &'static EventVersion> {
        std::iter::once(&self.version).chain(self.earlier)
    }

    /// The names of the consumers that a row expects, unless it names others.
    pub fn consumer_names(&self) -> impl Iterator<Item = &'static ConsumerName> {
        self.consumers.iter().map(|consumer| &consumer.name)
    }

    /// The type of the workflow.
    #[must_use]
    pub const fn workflow_type(&self) -> &'static str {
        match self.workflow {
            Workflow::Own(own) => own.name,
            Workflow::Delivery => WORKFLOW_EVENT_DELIVERY,
        }
    }

    /// The id of an event's workflow.
    #[must_use]
    pub fn workflow_id(&self, event: EventId) -> String {
        match self.workflow {
            Workflow::Own(own) => format!("{}-{event}", own.id_prefix),
            Workflow::Delivery => {
                format!("{}-{event}", self.name.to_ascii_lowercase().replace('_', "-"))
            }
        }
    }

    /// The event whose workflow has this id, if it is one of this type.
    #[must_use]
    pub fn event_of(&self, workflow: &str) -> Option<EventId> {
        let at = workflow.len().checked_sub(Hyphenated::LENGTH)?;
        let event = workflow.get(at..)?.parse().ok()?;
        (self.workflow_id(event) == workflow).then_some(event)
    }

    /// The message of an event, in the version of its row.
    ///
    /// # Errors
    /// The event's consumers could not read the body, or it is too large.
    pub fn message(&'static self, event: Event) -> Result<Message, EventError> {
        let version = self.version(event.schema_version).ok_or(EventError::UnknownVersion)?;
        let wire = Wire {
            event_id: event.event_id,
            event_type: self.name,
            schema_version: version.number,
            occurred_at: event.occurred_at.as_deref(),
            aggregate_version: event.aggregate_version,
            payload: &event.payload,
        };
        let body = serde_json::to_vec(&wire).map_err(EventError::NotJson)?;
        let read = Envelope::parse(&body, |_| Some(self))?;
        (version.check)(&read.payload)?;
        if read.occurred_at.is_none() {
            return Err(EventError::Incomplete);
        }
        Ok(Message {
            event_type: self,
            version,
            event_id: event.event_id,
            subject: event.aggregate_id.to_string(),
            occurred_at: event.occurred_at,
            traceparent: event.traceparent,
            body,
        })
    }
}

/// An event as its row tells it.
#[derive(Debug, Clone)]
pub struct Event {
    /// The event.
    pub event_id: EventId,
    /// The version of the body.
    pub schema_version: u32,
    /// The aggregate that the event is about.
    pub aggregate_id: Uuid,
    /// When the event happened (RFC 3339).
    pub occurred_at: Option<String>,
    /// How many events of its aggregate there have been, with this one.
    pub aggregate_version: Option<u64>,
    /// What the event says. Personal data.
    pub payload: Value,
    /// The trace that the event belongs to.
    pub traceparent: Option<TraceParent>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Wire<'a> {
    event_id: EventId,
    event_type: &'a str,
    schema_version: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    occurred_at: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    aggregate_version: Option<u64>,
    payload: &'a Value,
}

/// A message of an event.
#[derive(Debug, Clone)]
pub struct Message {
    /// The type of the event.
    pub event_type: &'static EventType,
    /// The version of the body.
    pub version: &'static EventVersion,
    /// The event; becomes the message id, by which a repeat is recognised.
    pub event_id: EventId,
    /// `cloudEvents_subject`: the id of the aggregate that the event is about.
    pub subject: String,
    /// When the event happened (RFC 3339).
    pub occurred_at: Option<String>,
    /// The trace that the event belongs to.
    pub traceparent: Option<TraceParent>,
    /// The body (JSON).
    pub body: Vec<u8>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::event::BODY_BYTES_MAX;

    static ORDER_PLACED: EventType = EventType {
        name: "ORDER_PLACED",
        version: EventVersion {
            number: 1,
            versioned_name: "test.order.placed.v1",
            data_schema: "urn:test:schema:order.placed:1",
            check: |_| Ok(()),
        },
        earlier: &[],
        exchange: "order.events",
        routing_key: "order.placed",
        source: "urn:test:orders",
        workflow: Workflow::Delivery,
        consumers: &[],
    };

    fn event(payload: Value) -> Event {
        Event {
            event_id: Uuid::from_u128(1).into(),
            schema_version: 1,
            aggregate_id: Uuid::from_u128(2),
            occurred_at: Some("2026-01-01T00:00:00Z".to_owned()),
            aggregate_version: Some(3),
            payload,
            traceparent: None,
        }
    }

    #[test]
    fn a_body_that_is_too_large_is_refused() {
        let payload = json!({ "text": "x".repeat(BODY_BYTES_MAX) });
        let error = ORDER_PLACED.message(event(payload)).unwrap_err();
        assert_eq!(error.reason(), "too_large");
        assert!(ORDER_PLACED.message(event(json!({ "text": "x" }))).is_ok());
    }

    #[test]
    fn a_message_says_the_version_of_its_row_and_of_its_aggregate() {
        let message = ORDER_PLACED.message(event(json!({}))).unwrap();
        let read = Envelope::parse(&message.body, |_| Some(&ORDER_PLACED)).unwrap();
        assert_eq!((read.version.number, read.aggregate_version), (1, Some(3)));
        let of_another = Event { schema_version: 2, ..event(json!({})) };
        assert_eq!(ORDER_PLACED.message(of_another).unwrap_err().reason(), "unknown_version");
    }

    #[test]
    fn a_workflow_is_named_by_its_event_type() {
        let event: EventId = Uuid::from_u128(1).into();
        assert_eq!(ORDER_PLACED.workflow_id(event), format!("order-placed-{event}"));
        assert_eq!(ORDER_PLACED.workflow_type(), "EventDelivery");
        let workflow = ORDER_PLACED.workflow_id(event);
        assert_eq!(ORDER_PLACED.event_of(&workflow), Some(event));
        assert_eq!(ORDER_PLACED.event_of("order-placed-"), None);
    }
}
