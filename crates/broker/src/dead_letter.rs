//! A dead letter: the message as it came, with the reason in its headers.

use lapin::BasicProperties;
use lapin::message::Delivery;
use lapin::types::{AMQPValue, FieldTable};
use onboard_contract::Queue;

use crate::Publisher;
use crate::message::PERSISTENT;
use crate::publisher::SendError;

/// The header with the constant word.
pub(crate) const REASON: &str = "x-onboard-reason";
/// The header with the words.
pub(crate) const DETAIL: &str = "x-onboard-detail";
/// The longest detail, in characters.
const DETAIL_CHARS_MAX: usize = 500;

/// Publishes a copy of the delivery to the queue's dead-letter exchange and
/// waits for the confirm.
pub(crate) async fn publish(
    publisher: &Publisher,
    queue: &Queue,
    delivery: &Delivery,
    reason: &str,
    detail: &str,
) -> Result<(), SendError> {
    let copy = properties(&delivery.properties, reason, detail);
    let (exchange, key) = (&queue.dead_letter_exchange, &queue.routing_key);
    publisher.send(exchange, key, &delivery.data, copy).await
}

/// The properties that are safe to repeat. Left out are those that make
/// RabbitMQ refuse the copy (`user_id` of somebody else), lose it
/// (`expiration`) or send it elsewhere as well (`CC`, `BCC`).
fn properties(original: &BasicProperties, reason: &str, detail: &str) -> BasicProperties {
    let mut copy = BasicProperties::default().with_delivery_mode(PERSISTENT).with_headers(headers(
        original.headers().as_ref(),
        reason,
        detail,
    ));
    if let Some(value) = original.content_type() {
        copy = copy.with_content_type(value.clone());
    }
    if let Some(value) = original.message_id() {
        copy = copy.with_message_id(value.clone());
    }
    if let Some(value) = original.correlation_id() {
        copy = copy.with_correlation_id(value.clone());
    }
    if let Some(value) = original.kind() {
        copy = copy.with_type(value.clone());
    }
    if let Some(value) = original.timestamp() {
        copy = copy.with_timestamp(*value);
    }
    copy
}

fn headers(original: Option<&FieldTable>, reason: &str, detail: &str) -> FieldTable {
    let mut headers = FieldTable::default();
    for (name, value) in original.into_iter().flatten() {
        if !matches!(name.as_str(), "CC" | "BCC") {
            headers.insert(name.clone(), value.clone());
        }
    }
    let detail: String = detail.chars().take(DETAIL_CHARS_MAX).collect();
    headers.insert(REASON.into(), AMQPValue::LongString(reason.into()));
    headers.insert(DETAIL.into(), AMQPValue::LongString(detail.into()));
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_can_neither_expire_nor_go_astray() {
        let mut original = FieldTable::default();
        original.insert("CC".into(), AMQPValue::Boolean(true));
        original.insert("traceparent".into(), AMQPValue::Boolean(true));
        let original = BasicProperties::default()
            .with_headers(original)
            .with_expiration("1".into())
            .with_user_id("somebody".into())
            .with_message_id("m".into())
            .with_delivery_mode(1);
        let copy = properties(&original, "not_json", &"x".repeat(10_000));
        assert_eq!(*copy.expiration(), None);
        assert_eq!(*copy.user_id(), None);
        assert_eq!(*copy.delivery_mode(), Some(PERSISTENT));
        assert_eq!(*copy.message_id(), Some("m".into()));
        let headers = copy.headers().clone().unwrap();
        assert!(!headers.contains_key("CC") && headers.contains_key("traceparent"));
        let Some(AMQPValue::LongString(detail)) = headers.inner().get(DETAIL) else {
            panic!("no detail");
        };
        assert_eq!(detail.len(), DETAIL_CHARS_MAX);
    }
}
