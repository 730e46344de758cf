//! A dead letter: the message as it came, with the reason in its headers.

use lapin::BasicProperties;
use lapin::message::Delivery;
use lapin::types::{AMQPValue, FieldTable};
use onboard_contract::Queue;

use crate::Publisher;
use crate::message::PERSISTENT;
use crate::publisher::SendError;
use crate::screen::DROPPED;

/// The header with the constant word.
pub(crate) const REASON: &str = "x-onboard-reason";
/// The header with the words.
pub(crate) const DETAIL: &str = "x-onboard-detail";
/// The longest detail, in characters.
const DETAIL_CHARS_MAX: usize = 500;

/// A delivery on its way to the dead letters.
pub(crate) struct Letter<'a> {
    pub(crate) delivery: &'a Delivery,
    pub(crate) body: &'a [u8],
    pub(crate) reason: &'a str,
    pub(crate) detail: &'a str,
}

impl Letter<'_> {
    /// Publishes a copy to the queue's dead-letter exchange and waits for the confirm.
    pub(crate) async fn publish(
        &self,
        publisher: &Publisher,
        queue: &Queue,
    ) -> Result<(), SendError> {
        let copy = properties(&self.delivery.properties, self.reason, self.detail);
        let (exchange, key) = (&queue.dead_letter_exchange, &queue.routing_key);
        publisher.send(exchange, key, self.body, copy).await
    }
}

fn properties(original: &BasicProperties, reason: &str, detail: &str) -> BasicProperties {
    let (copy, dropped) = repeatable(original);
    let mut headers = copy.headers().clone().unwrap_or_default();
    let mut put = |name: &str, text: &str| {
        headers.insert(name.into(), AMQPValue::LongString(text.into()));
    };
    put(REASON, reason);
    put(DETAIL, &detail.chars().take(DETAIL_CHARS_MAX).collect::<String>());
    if !dropped.is_empty() {
        put(DROPPED, &dropped.join(", "));
    }
    copy.with_headers(headers)
}

/// The properties that are safe to repeat, and the names of the others: those that
/// make RabbitMQ refuse the copy (`user_id` of somebody else, a `reply_to` of a
/// connection that is gone), lose it (`expiration`) or send it elsewhere as well (`CC`,
/// `BCC`).
pub(crate) fn repeatable(original: &BasicProperties) -> (BasicProperties, Vec<String>) {
    let mut copy = BasicProperties::default().with_delivery_mode(PERSISTENT);
    if let Some(value) = original.content_type() {
        copy = copy.with_content_type(value.clone());
    }
    if let Some(value) = original.content_encoding() {
        copy = copy.with_content_encoding(value.clone());
    }
    if let Some(value) = original.priority() {
        copy = copy.with_priority(*value);
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
    if let Some(value) = original.app_id() {
        copy = copy.with_app_id(value.clone());
    }
    let (headers, mut dropped) = repeatable_headers(original.headers().as_ref());
    let others = [
        ("user_id", original.user_id().is_some()),
        ("expiration", original.expiration().is_some()),
        ("reply_to", original.reply_to().is_some()),
        ("cluster_id", original.cluster_id().is_some()),
    ];
    let others = others.into_iter().filter(|(_, set)| *set);
    dropped.extend(others.map(|(name, _)| name.to_owned()));
    (copy.with_headers(headers), dropped)
}

fn repeatable_headers(original: Option<&FieldTable>) -> (FieldTable, Vec<String>) {
    let (mut headers, mut dropped) = (FieldTable::default(), Vec::new());
    for (name, value) in original.into_iter().flatten() {
        match name.as_str() {
            DROPPED => dropped.extend(text(value)),
            "CC" | "BCC" => dropped.push(name.to_string()),
            _ => drop(headers.insert(name.clone(), value.clone())),
        }
    }
    (headers, dropped)
}

/// The text of a header.
pub(crate) fn text(value: &AMQPValue) -> Option<String> {
    match value {
        AMQPValue::LongString(text) => Some(String::from_utf8_lossy(text.as_bytes()).into_owned()),
        AMQPValue::ShortString(text) => Some(text.to_string()),
        _ => None,
    }
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
        let dropped = headers.inner().get(DROPPED).and_then(text);
        assert_eq!(dropped.as_deref(), Some("CC, user_id, expiration"));
    }
}
