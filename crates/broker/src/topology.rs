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
//!
//! A user without the right to configure declares nothing: `onboard setup` has, by
//! another user.

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Connection, ExchangeKind};
use onboard_contract::{Queue, Topology};

use crate::inspect::{is_missing, is_refused};

/// How often RabbitMQ delivers a message before it counts as poison.
pub const DELIVERY_LIMIT: i32 = 20;
/// Looking at a dead letter and putting it back counts as a delivery, and from
/// RabbitMQ 4 a quorum queue without a limit drops a message after 20 of them.
const DEAD_LETTER_DELIVERY_LIMIT: i32 = 1_000_000;
/// Matches every routing key: whatever arrives at the exchange is kept.
const ANYTHING: &str = "#";

/// Declares everything: a queue's dead letters first, so that the queue never
/// has nowhere to put them. What the user may not declare is looked for instead, and
/// named in the log when it is missing.
///
/// # Errors
/// The connection failed, or something exists with other arguments (406).
pub(crate) async fn declare(connection: &Connection, topology: &Topology) -> lapin::Result<()> {
    let mut declaring = Declaring { connection, channel: connection.create_channel().await? };
    for of in &topology.queues {
        declaring.exchange(&of.dead_letter_exchange).await?;
        declaring.queue(&of.dead_letter_queue, dead_letter_arguments()).await?;
        declaring.bind(&of.dead_letter_queue, &of.dead_letter_exchange, ANYTHING).await?;
        declaring.exchange(&of.exchange).await?;
        declaring.queue(&of.name, queue_arguments(of)).await?;
        declaring.bind(&of.name, &of.exchange, &of.routing_key).await?;
    }
    declaring.channel.close(200, "declared".into()).await
}

/// RabbitMQ closes a channel with each refusal, so the channel changes.
struct Declaring<'a> {
    connection: &'a Connection,
    channel: Channel,
}

impl Declaring<'_> {
    async fn exchange(&mut self, name: &str) -> lapin::Result<()> {
        let declared = exchange(&self.channel, name, false).await;
        if self.may(declared).await? {
            return Ok(());
        }
        let found = exchange(&self.channel, name, true).await;
        self.is_there(name, found).await
    }

    async fn queue(&mut self, name: &str, arguments: FieldTable) -> lapin::Result<()> {
        let declared = queue(&self.channel, name, arguments, false).await;
        if self.may(declared).await? {
            return Ok(());
        }
        let found = queue(&self.channel, name, FieldTable::default(), true).await;
        self.is_there(name, found).await
    }

    /// AMQP does not tell of bindings.
    async fn bind(&mut self, queue: &str, exchange: &str, key: &str) -> lapin::Result<()> {
        let bound = bind(&self.channel, queue, exchange, key).await;
        self.may(bound).await.map(drop)
    }

    /// Whether the user may do what was done.
    async fn may(&mut self, done: lapin::Result<()>) -> lapin::Result<bool> {
        match done {
            Ok(()) => Ok(true),
            // Somebody without the right to declare finds a queue missing, too.
            Err(error) if is_refused(&error) || is_missing(&error) => {
                self.channel = self.connection.create_channel().await?;
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    async fn is_there(&mut self, name: &str, found: lapin::Result<()>) -> lapin::Result<()> {
        match found {
            Ok(()) => Ok(()),
            Err(error) if is_missing(&error) => {
                tracing::warn!(name, "it is missing at RabbitMQ, and this user may not declare it");
                self.channel = self.connection.create_channel().await?;
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
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

async fn exchange(channel: &Channel, name: &str, passive: bool) -> lapin::Result<()> {
    let options = ExchangeDeclareOptions { passive, durable: true, ..Default::default() };
    channel.exchange_declare(name.into(), ExchangeKind::Topic, options, FieldTable::default()).await
}

async fn queue(
    channel: &Channel,
    name: &str,
    arguments: FieldTable,
    passive: bool,
) -> lapin::Result<()> {
    let options = QueueDeclareOptions { passive, durable: true, ..Default::default() };
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
    use onboard_events::TODO_QUEUE;

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
