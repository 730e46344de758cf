//! How many messages wait in the queue and among the dead letters, asked by
//! passive declares on a connection of its own: a queue that is gone makes
//! RabbitMQ close the channel that asked, and no delivery may stand on it. It
//! declares nothing, so it undoes nothing an operator did.

use std::time::Duration;

use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;
use lapin::{Channel, Connection};
use onboard_contract::names::{DEAD_LETTER_QUEUE, QUEUE};
use onboard_runtime::Shutdown;
use tokio::time::timeout;

use crate::BrokerConfig;
use crate::connection::{CALL_TIMEOUT, Dialer, close};

const EVERY: Duration = Duration::from_secs(5);

/// What a queue holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Depth {
    /// Messages that are ready.
    pub messages: u32,
    /// Consumers.
    pub consumers: u32,
}

/// Tells of both queues every few seconds, until the shutdown; `None` for a
/// queue that is gone, and for both while RabbitMQ does not answer.
pub async fn watch(
    config: &BrokerConfig,
    name: &str,
    tell: impl Fn(&'static str, Option<Depth>),
    shutdown: Shutdown,
) {
    let mut dialer = Dialer::new(config, name);
    let mut connection = None;
    loop {
        let looking = look(&mut dialer, &mut connection, &tell);
        if shutdown.or(looking).await.is_none() || !shutdown.sleep(EVERY).await {
            break;
        }
    }
    if let Some(connection) = connection {
        close(&connection).await;
    }
}

async fn look(
    dialer: &mut Dialer,
    connection: &mut Option<Connection>,
    tell: &impl Fn(&'static str, Option<Depth>),
) {
    if connection.as_ref().is_none_or(|open| !open.status().connected()) {
        *connection = dialer.look().await.ok();
    }
    for queue in [QUEUE, DEAD_LETTER_QUEUE] {
        let depth = match connection {
            Some(open) => timeout(CALL_TIMEOUT, depth(open, queue)).await.ok().and_then(Result::ok),
            None => None,
        };
        tell(queue, depth);
    }
}

/// On a channel of its own, which a queue that is gone takes with it.
async fn depth(connection: &Connection, queue: &str) -> lapin::Result<Depth> {
    let channel = connection.create_channel().await?;
    let found = declared(&channel, queue).await;
    if channel.status().connected() {
        channel.close(200, "looked".into()).await?;
    }
    found
}

async fn declared(channel: &Channel, queue: &str) -> lapin::Result<Depth> {
    let passive = QueueDeclareOptions { passive: true, ..Default::default() };
    let found = channel.queue_declare(queue.into(), passive, FieldTable::default()).await?;
    Ok(Depth { messages: found.message_count(), consumers: found.consumer_count() })
}
