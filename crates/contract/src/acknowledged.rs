//! The message by which a consumer acknowledges over the broker:
//! `{"eventId","consumer","ref"}`, published to the exchange
//! `acknowledgements` with the consumer's name as the routing key.
//!
//! Routing key and body must name the same consumer: the broker can hold a
//! consumer to its routing key, not to its body. Parsing is pure, so nothing is
//! lost when a process dies.

use onboard_json::{MemberError, Object, ObjectError};
use serde::{Deserialize, Serialize};

use crate::event::BODY_BYTES_MAX;
use crate::{ConsumerName, EventId};

/// The longest `ref`, in characters.
pub const REF_CHARS_MAX: u16 = 200;

/// A consumer has processed an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Acknowledged {
    /// The event.
    pub event_id: EventId,
    /// The consumer that has processed it.
    pub consumer: ConsumerName,
    /// What the consumer made: an id or a word of its own, no personal data.
    #[serde(default, rename = "ref", skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
}

/// Why a message is no acknowledgement. Permanent: the same message will never
/// be one, so it belongs among the dead letters.
#[derive(Debug, thiserror::Error)]
pub enum AcknowledgedError {
    /// Larger than a consumer looks at.
    #[error("the body has more than {BODY_BYTES_MAX} bytes")]
    TooLarge,
    /// Not JSON.
    #[error("the body is not JSON")]
    NotJson(#[source] serde_json::Error),
    /// JSON, but not an object.
    #[error("the body is not a JSON object")]
    NotAnObject,
    /// A field is missing, there more than once, or of the wrong type.
    #[error(transparent)]
    Field(#[from] MemberError),
    /// The `ref` is too long.
    #[error("ref has more than {REF_CHARS_MAX} characters")]
    LongRef,
    /// Body and routing key name different consumers.
    #[error("the body's consumer is not the routing key")]
    OtherConsumer,
}

impl AcknowledgedError {
    /// A short constant word for headers, logs and metrics.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::TooLarge => "too_large",
            Self::NotJson(_) => "not_json",
            Self::NotAnObject => "not_an_object",
            Self::Field(_) => "bad_fields",
            Self::LongRef => "long_ref",
            Self::OtherConsumer => "other_consumer",
        }
    }
}

impl Acknowledged {
    /// Reads a message. Unknown fields are skipped unread.
    ///
    /// # Errors
    /// See [`AcknowledgedError`].
    pub fn parse(routing_key: &str, body: &[u8]) -> Result<Self, AcknowledgedError> {
        let read = Self::read(body)?;
        if read.consumer.as_str() != routing_key {
            return Err(AcknowledgedError::OtherConsumer);
        }
        Ok(read)
    }

    /// Reads a message whose routing key is not known.
    ///
    /// # Errors
    /// See [`AcknowledgedError`].
    pub fn read(body: &[u8]) -> Result<Self, AcknowledgedError> {
        if body.len() > BODY_BYTES_MAX {
            return Err(AcknowledgedError::TooLarge);
        }
        let object = Object::parse(body).map_err(|error| match error {
            ObjectError::NotJson(source) => AcknowledgedError::NotJson(source),
            ObjectError::NotAnObject => AcknowledgedError::NotAnObject,
        })?;
        let read = Self {
            event_id: object.required("eventId")?,
            consumer: object.required("consumer")?,
            reference: object.optional("ref")?,
        };
        if read
            .reference
            .as_ref()
            .is_some_and(|text| text.chars().count() > usize::from(REF_CHARS_MAX))
        {
            return Err(AcknowledgedError::LongRef);
        }
        Ok(read)
    }

    /// The id by which Temporal recognises the same acknowledgement.
    #[must_use]
    pub fn request_id(&self) -> String {
        let reference = self.reference.as_deref().unwrap_or_default();
        format!("ack-{}-{}-{reference}", self.consumer, self.event_id)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    const BODY: &str = r#"{"eventId":"0190c1c4-7f6e-7d1a-8b1e-2f6f3a1b2c3d","consumer":"crm",
        "ref":"customer-17","added later":1}"#;

    #[test]
    fn a_message_says_who_has_done_what() {
        let read = Acknowledged::parse("crm", BODY.as_bytes()).unwrap();
        assert_eq!(read.consumer.as_str(), "crm");
        assert_eq!(read.reference.as_deref(), Some("customer-17"));
        let id = "ack-crm-0190c1c4-7f6e-7d1a-8b1e-2f6f3a1b2c3d-customer-17";
        assert_eq!(read.request_id(), id);
    }

    #[test]
    fn every_kind_of_junk_has_its_reason() {
        let id = "0190c1c4-7f6e-7d1a-8b1e-2f6f3a1b2c3d";
        let long = "x".repeat(usize::from(REF_CHARS_MAX) + 1);
        let long = format!(r#"{{"eventId":"{id}","consumer":"crm","ref":"{long}"}}"#);
        let table: &[(&[u8], &str)] = &[
            (b"", "not_json"),
            (b"\xff", "not_json"),
            (b"null", "not_an_object"),
            (b"{}", "bad_fields"),
            (br#"{"eventId":"x","consumer":"crm"}"#, "bad_fields"),
            (
                br#"{"eventId":"0190c1c4-7f6e-7d1a-8b1e-2f6f3a1b2c3d","consumer":"CRM"}"#,
                "bad_fields",
            ),
            (
                br#"{"eventId":"0190c1c4-7f6e-7d1a-8b1e-2f6f3a1b2c3d","consumer":"crm","ref":7}"#,
                "bad_fields",
            ),
            (
                br#"{"eventId":"0190c1c4-7f6e-7d1a-8b1e-2f6f3a1b2c3d","consumer":"crm","ref":"a","ref":"a"}"#,
                "bad_fields",
            ),
            (long.as_bytes(), "long_ref"),
            (
                br#"{"eventId":"0190c1c4-7f6e-7d1a-8b1e-2f6f3a1b2c3d","consumer":"search"}"#,
                "other_consumer",
            ),
        ];
        for (body, reason) in table {
            let error = Acknowledged::parse("crm", body).unwrap_err();
            assert_eq!(error.reason(), *reason, "{}", String::from_utf8_lossy(body));
        }
        let large = vec![b' '; BODY_BYTES_MAX + 1];
        assert_eq!(Acknowledged::parse("crm", &large).unwrap_err().reason(), "too_large");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(event in any::<u128>(), reference in "[^\0]{0,200}") {
            let written = Acknowledged {
                event_id: Uuid::from_u128(event).into(),
                consumer: "crm".parse().unwrap(),
                reference: Some(reference),
            };
            let body = serde_json::to_vec(&written).unwrap();
            prop_assert_eq!(Acknowledged::parse("crm", &body).unwrap(), written);
        }

        #[test]
        fn no_bytes_crash_the_parser(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
            prop_assert!(Acknowledged::parse("crm", &bytes).is_err());
        }
    }
}
