//! Exchanges, queues and bindings of a [`Topology`], declared by every side that
//! needs them.
//!
//! Declaring is idempotent as long as all sides use the same arguments, so
//! this is the only place that knows them. It happens once per connection and
//! never in answer to a failed publish: when an operator has unbound or deleted
//! the queue, publishes fail as unroutable and are seen and retried, instead of
//! the system silently undoing what the operator did. A new connection (or
//! `onboard setup`) puts the topology back. So does a publish to an exchange
//! that is gone: RabbitMQ closes its channel, and the publisher connects anew.

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, ExchangeKind};
use onboard_contract::{Queue, Topology};

/// How often RabbitMQ delivers a message before it counts as poison.
pub const DELIVERY_LIMIT: i32 = 20;
/// Looking at a dead letter and putting it back counts as a delivery, and from
/// RabbitMQ 4 a quorum queue without a limit drops a message after 20 of them.
const DEAD_LETTER_DELIVERY_LIMIT: i32 = 1_000_000;
/// Matches every routing key: whatever arrives at the exchange is kept.
const ANYTHING: &str = "#";

/// Declares everything: a queue's dead letters first, so that the queue never
/// has nowhere to put them.
///
/// # Errors
/// The connection failed, or something exists with other arguments (406).
pub async fn declare(channel: &Channel, topology: &Topology) -> lapin::Result<()> {
    for of in &topology.queues {
        exchange(channel, &of.dead_letter_exchange).await?;
        queue(channel, &of.dead_letter_queue, dead_letter_arguments()).await?;
        bind(channel, &of.dead_letter_queue, &of.dead_letter_exchange, ANYTHING).await?;
        exchange(channel, &of.exchange).await?;
        queue(channel, &of.name, queue_arguments(of)).await?;
        bind(channel, &of.name, &of.exchange, &of.routing_key).await?;
    }
    Ok(())
}

/// At-least-once dead-lettering needs the strategy, `reject-publish` and a
/// dead-letter exchange with a bound queue; when one is missing, RabbitMQ
/// drops dead letters silently.
pub(crate) fn queue_arguments(queue: &Queue) -> FieldTable {
    table([
        ("x-queue-type", text("quorum")),
        ("x-delivery-limit", AMQPValue::LongInt(DELIVERY_LIMIT)),
        ("x-dead-letter-exchange", text(&queue.dead_letter_exchange)),
        ("x-dead-letter-strategy", text("at-least-once")),
        ("x-overflow", text("reject-publish")),
    ])
}

pub(crate) fn dead_letter_arguments() -> FieldTable {
    table([
        ("x-queue-type", text("quorum")),
        ("x-delivery-limit", AMQPValue::LongInt(DEAD_LETTER_DELIVERY_LIMIT)),
    ])
}

async fn exchange(channel: &Channel, name: &str) -> lapin::Result<()> {
    let options = ExchangeDeclareOptions { durable: true, ..Default::default() };
    channel.exchange_declare(name.into(), ExchangeKind::Topic, options, FieldTable::default()).await
}

async fn queue(channel: &Channel, name: &str, arguments: FieldTable) -> lapin::Result<()> {
    let options = QueueDeclareOptions { durable: true, ..Default::default() };
    channel.queue_declare(name.into(), options, arguments).await.map(drop)
}

async fn bind(channel: &Channel, queue: &str, exchange: &str, key: &str) -> lapin::Result<()> {
    let options = QueueBindOptions::default();
    channel
        .queue_bind(queue.into(), exchange.into(), key.into(), options, FieldTable::default())
        .await
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}

fn table<const N: usize>(entries: [(&str, AMQPValue); N]) -> FieldTable {
    let mut table = FieldTable::default();
    for (key, value) in entries {
        table.insert(key.into(), value);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use onboard_contract::TODO_QUEUE;

    #[test]
    fn dead_lettering_is_at_least_once() {
        let arguments = queue_arguments(&TODO_QUEUE);
        for (key, value) in [
            ("x-queue-type", "quorum"),
            ("x-dead-letter-strategy", "at-least-once"),
            ("x-overflow", "reject-publish"),
            ("x-dead-letter-exchange", "user.events.dlx"),
        ] {
            assert_eq!(arguments.inner().get(key), Some(&text(value)), "{key}");
        }
        assert!(!arguments.contains_key("x-max-length"), "the queue is not bounded by default");
    }
}
