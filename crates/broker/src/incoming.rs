//! What a handler sees of a delivery, and what it answers.

use std::sync::Arc;

use lapin::message::Delivery;
use lapin::types::{AMQPValue, FieldTable};
use onboard_contract::TraceParent;

use crate::message::TRACEPARENT;

/// A delivery, as the handler sees it. A message published by hand has no
/// message id and no headers.
#[derive(Debug, Clone)]
pub struct Incoming {
    /// The body; of one that is larger than an event may be, perhaps the beginning.
    pub body: Arc<Vec<u8>>,
    /// The routing key that it was published with.
    pub routing_key: String,
    /// The message id, which publishers of this system set to the event id.
    pub message_id: Option<String>,
    /// The trace the message belongs to; an invalid header counts as none.
    pub traceparent: Option<TraceParent>,
    /// Whether the message may have been delivered before.
    pub redelivered: bool,
}

/// What is to become of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// What it asks for is committed.
    Ack,
    /// It could not be handled now. It is delivered again, which counts
    /// towards the delivery limit of 20: a handler that waits for a server
    /// waits in place, and answers this only when the process stops.
    Retry,
    /// It can never be handled.
    DeadLetter {
        /// A short constant word.
        reason: &'static str,
        /// In words; no part of the body and no personal data.
        detail: String,
    },
}

impl Incoming {
    /// A view that shares the body: the original may become a dead letter.
    pub(crate) fn of(delivery: &Delivery, body: &Arc<Vec<u8>>) -> Self {
        let properties = &delivery.properties;
        Self {
            body: Arc::clone(body),
            routing_key: delivery.routing_key.to_string(),
            message_id: properties.message_id().as_ref().map(ToString::to_string),
            traceparent: properties.headers().as_ref().and_then(traceparent),
            redelivered: delivery.redelivered,
        }
    }
}

fn traceparent(headers: &FieldTable) -> Option<TraceParent> {
    match headers.inner().get(TRACEPARENT)? {
        AMQPValue::LongString(text) => {
            TraceParent::parse(std::str::from_utf8(text.as_bytes()).ok()?).ok()
        }
        AMQPValue::ShortString(text) => TraceParent::parse(text.as_str()).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_traceparent_that_is_none_is_ignored() {
        let valid = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let read = |value: AMQPValue| {
            let mut headers = FieldTable::default();
            headers.insert(TRACEPARENT.into(), value);
            traceparent(&headers).map(String::from)
        };
        assert_eq!(read(AMQPValue::LongString(valid.into())).as_deref(), Some(valid));
        assert_eq!(read(AMQPValue::LongString(b"\xff\xfe".to_vec().into())), None);
        assert_eq!(read(AMQPValue::LongString("00-x".into())), None);
        assert_eq!(read(AMQPValue::Boolean(true)), None);
        assert_eq!(traceparent(&FieldTable::default()), None);
    }
}
