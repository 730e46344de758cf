//! The body of a message: what each says, whatever its event, and why one is no event
//! that this build understands.
//!
//! Nothing here runs, so nothing is lost when a process dies.

use onboard_json::{MemberError, Object, ObjectError};

use crate::{EventId, EventType, EventVersion};

/// The largest body a consumer looks at, in bytes.
pub const BODY_BYTES_MAX: usize = 64 * 1024;

/// A body, with its payload unread.
#[derive(Debug)]
pub struct Envelope {
    /// The type of the event.
    pub event_type: &'static EventType,
    /// The version of the payload, one that this build reads.
    pub version: &'static EventVersion,
    /// The event.
    pub event_id: EventId,
    /// When it happened (RFC 3339). Absent in a message published by hand.
    pub occurred_at: Option<String>,
    /// How many events of its aggregate there have been, with this one. Absent in a
    /// message of a released build, and in one published by hand.
    pub aggregate_version: Option<u64>,
    /// What the event says. Personal data.
    pub payload: Object,
}

/// Reads the payload of one version as what this build works with.
pub type Decoder<P> = (u32, fn(&Object) -> Result<P, EventError>);

impl Envelope {
    /// Reads a body of an event type that `find` knows. Unknown fields are skipped
    /// unread: within a version an event only grows.
    ///
    /// # Errors
    /// See [`EventError`].
    pub fn parse(
        body: &[u8],
        find: impl FnOnce(&str) -> Option<&'static EventType>,
    ) -> Result<Self, EventError> {
        if body.len() > BODY_BYTES_MAX {
            return Err(EventError::TooLarge);
        }
        let object = Object::parse(body)?;
        let name = told(object.optional::<String>("eventType"))?;
        let event_type = name.and_then(|name| find(&name)).ok_or(EventError::UnknownType)?;
        let number = told(object.optional::<u32>("schemaVersion"))?;
        let version = number.and_then(|number| event_type.version(number));
        Ok(Self {
            event_type,
            version: version.ok_or(EventError::UnknownVersion)?,
            event_id: object.required("eventId")?,
            occurred_at: object.optional("occurredAt")?,
            aggregate_version: told(object.optional("aggregateVersion"))?,
            payload: object.required("payload")?,
        })
    }

    /// The payload, read by the decoder of its version.
    ///
    /// # Errors
    /// No decoder is for that version, or it could not read the payload.
    pub fn read<P>(&self, decoders: &[Decoder<P>]) -> Result<P, EventError> {
        let mut of_version = decoders.iter().filter(|(number, _)| *number == self.version.number);
        let (_, decode) = of_version.next().ok_or(EventError::UnknownVersion)?;
        decode(&self.payload)
    }
}

/// What a field tells; nothing when it is of another form. One that is there more
/// than once is an error.
fn told<T>(field: Result<Option<T>, MemberError>) -> Result<Option<T>, MemberError> {
    match field {
        Err(MemberError::Unreadable { .. } | MemberError::Missing(_)) => Ok(None),
        told => told,
    }
}

/// Why a body is not an event this build understands. Permanent: the same
/// bytes will never parse, so the message belongs among the dead letters.
#[derive(Debug, thiserror::Error)]
pub enum EventError {
    /// Larger than [`BODY_BYTES_MAX`].
    #[error("the body has more than {BODY_BYTES_MAX} bytes")]
    TooLarge,
    /// Not JSON.
    #[error("the body is not JSON")]
    NotJson(#[source] serde_json::Error),
    /// JSON, but not an object.
    #[error("the body is not a JSON object")]
    NotAnObject,
    /// Another kind of event.
    #[error("the event type is another one")]
    UnknownType,
    /// A version this build does not know.
    #[error("this build does not know the schema version")]
    UnknownVersion,
    /// A field is missing, there more than once, or of the wrong type.
    #[error(transparent)]
    Field(#[from] MemberError),
    /// A field is missing that only a message published by hand may lack.
    #[error("the body lacks a field that its row must have")]
    Incomplete,
}

impl EventError {
    /// A short constant word for headers, logs and metrics.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::TooLarge => "too_large",
            Self::NotJson(_) => "not_json",
            Self::NotAnObject => "not_an_object",
            Self::UnknownType => "unknown_type",
            Self::UnknownVersion => "unknown_version",
            Self::Field(_) | Self::Incomplete => "bad_fields",
        }
    }
}

impl From<ObjectError> for EventError {
    fn from(error: ObjectError) -> Self {
        match error {
            ObjectError::NotJson(source) => Self::NotJson(source),
            ObjectError::NotAnObject => Self::NotAnObject,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use uuid::Uuid;

    use super::*;
    use crate::message::Workflow;

    /// Version 1 had one item, version 2 has a list of them.
    static ORDERED: EventType = EventType {
        name: "ORDERED",
        version: EventVersion {
            number: 2,
            versioned_name: "test.ordered.v2",
            data_schema: "urn:test:schema:ordered:2",
            check: |payload| items(payload).map(drop),
        },
        earlier: &[EventVersion {
            number: 1,
            versioned_name: "test.ordered.v1",
            data_schema: "urn:test:schema:ordered:1",
            check: |payload| item(payload).map(drop),
        }],
        exchange: "test.events",
        routing_key: "ordered",
        source: "urn:test",
        workflow: Workflow::Delivery,
        consumers: &[],
    };

    fn items(payload: &Object) -> Result<Vec<String>, EventError> {
        Ok(payload.required("items")?)
    }

    fn item(payload: &Object) -> Result<Vec<String>, EventError> {
        Ok(vec![payload.required("item")?])
    }

    fn read(version: u32, payload: &Value) -> Result<Vec<String>, EventError> {
        let body = json!({
            "eventId": Uuid::from_u128(1), "eventType": "ORDERED", "schemaVersion": version,
            "payload": payload,
        });
        let find = |name: &str| (name == ORDERED.name).then_some(&ORDERED);
        let envelope = Envelope::parse(body.to_string().as_bytes(), find)?;
        envelope.read(&[(1, item), (2, items)])
    }

    #[test]
    fn each_version_is_read_by_its_decoder_as_what_this_build_works_with() {
        assert_eq!(read(1, &json!({ "item": "tea" })).unwrap(), ["tea"]);
        assert_eq!(read(2, &json!({ "items": ["tea", "milk"] })).unwrap(), ["tea", "milk"]);
        assert_eq!(read(2, &json!({ "item": "tea" })).unwrap_err().reason(), "bad_fields");
        assert_eq!(read(3, &json!({ "items": [] })).unwrap_err().reason(), "unknown_version");
    }
}
