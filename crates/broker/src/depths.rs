//! How many messages wait in each queue and among its dead letters, asked by
//! passive declares on a connection of its own: a queue that is gone makes
//! RabbitMQ close the channel that asked, and no delivery may stand on it. It
//! declares nothing, so it undoes nothing an operator did.

use std::time::Duration;

use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;
use lapin::{Channel, Connection};
use onboard_contract::{Queue, Topology};
use onboard_runtime::Shutdown;
use tokio::time::timeout;

use crate::connection::{CALL_TIMEOUT, Dialer, close, connect};
use crate::inspect::is_missing;
use crate::{BrokerConfig, ConnectError};

const EVERY: Duration = Duration::from_secs(5);
/// How long a look that has begun may take once the shutdown has.
const LEAVE_MAX: Duration = Duration::from_millis(500);

/// What a queue holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Depth {
    /// Messages that are ready.
    pub messages: u32,
    /// Consumers.
    pub consumers: u32,
}

/// How many messages wait in a queue, as far as RabbitMQ says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Waiting {
    /// So many are ready.
    Messages(u32),
    /// There is no such queue.
    NoQueue,
    /// RabbitMQ did not say; why not.
    Unknown(String),
}

/// Counts what waits in each queue and among its dead letters, in the order of
/// the queues.
///
/// # Errors
/// RabbitMQ does not answer or refuses the connection.
pub async fn waiting(
    config: &BrokerConfig,
    name: &str,
    queues: &[Queue],
) -> Result<Vec<(Waiting, Waiting)>, ConnectError> {
    let connection = connect(config, name).await?;
    let mut counted = Vec::with_capacity(queues.len());
    for queue in queues {
        let messages = count(&connection, &queue.name).await;
        counted.push((messages, count(&connection, &queue.dead_letter_queue).await));
    }
    close(&connection).await;
    Ok(counted)
}

async fn count(connection: &Connection, queue: &str) -> Waiting {
    match timeout(CALL_TIMEOUT, depth(connection, queue)).await {
        Ok(Ok(depth)) => Waiting::Messages(depth.messages),
        Ok(Err(error)) if is_missing(&error) => Waiting::NoQueue,
        Ok(Err(error)) => Waiting::Unknown(error.to_string()),
        Err(_) => Waiting::Unknown("no answer".to_owned()),
    }
}

/// Tells of all queues of the topology every few seconds, until the shutdown;
/// `None` for a queue that is gone, and for all while RabbitMQ does not answer.
pub async fn watch(
    config: &BrokerConfig,
    name: &str,
    tell: impl Fn(&str, Option<Depth>),
    shutdown: Shutdown,
) {
    let mut dialer = Dialer::new(config, name);
    let mut connection = None;
    // A look is not cut off by the shutdown but ends early: lapin calls a
    // channel an error that is left half closed.
    while !shutdown.has_begun() {
        look(&mut dialer, &mut connection, &config.topology, &tell, &shutdown).await;
        shutdown.sleep(EVERY).await;
    }
    if let Some(connection) = connection {
        close(&connection).await;
    }
}

async fn look(
    dialer: &mut Dialer,
    connection: &mut Option<Connection>,
    topology: &Topology,
    tell: &impl Fn(&str, Option<Depth>),
    shutdown: &Shutdown,
) {
    if connection.as_ref().is_none_or(|open| !open.status().connected()) {
        *connection = shutdown.or(dialer.look()).await.and_then(Result::ok);
    }
    let queues = topology.queues.iter().flat_map(|of| [&of.name, &of.dead_letter_queue]);
    for queue in queues {
        if shutdown.has_begun() {
            return;
        }
        let depth = match connection.as_ref() {
            Some(open) => in_time(depth(open, queue), shutdown).await,
            None => None,
        };
        tell(queue, depth);
    }
}

/// The answer, if it comes within a call's time; at the shutdown, soon.
async fn in_time(
    looking: impl Future<Output = lapin::Result<Depth>>,
    shutdown: &Shutdown,
) -> Option<Depth> {
    let stopping = async {
        shutdown.begun().await;
        tokio::time::sleep(LEAVE_MAX).await;
    };
    tokio::select! {
        looked = timeout(CALL_TIMEOUT, looking) => looked.ok().and_then(Result::ok),
        () = stopping => None,
    }
}

/// On a channel of its own, which a queue that is gone takes with it.
pub(crate) async fn depth(connection: &Connection, queue: &str) -> lapin::Result<Depth> {
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
