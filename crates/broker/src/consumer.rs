//! Stop 5 of a registration, the broker's side: deliveries to a handler.
//!
//! Up to `prefetch` deliveries are handled at once, each in a task of its own,
//! over however many connections come and go meanwhile. A lost connection, a
//! cancelled consumer or a deleted queue leads to a new connection, on which
//! the topology is declared again. Deliveries of a lost connection are handled
//! to their end, though their acks are not heard any more: they come again,
//! and the handler is idempotent.
//!
//! At the shutdown the consumer is cancelled first, then what is in flight is
//! finished; what is not finished in time comes again after the restart.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use lapin::message::Delivery;
use lapin::options::{BasicCancelOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Connection};
use onboard_contract::Queue;
use onboard_runtime::availability::chain;
use onboard_runtime::{Availability, Backoff, Check, Shutdown};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::connection::{CALL_TIMEOUT, Dialer, died};
use crate::link::{BACKOFF_CAP, BACKOFF_FIRST, Link, LinkState};
use crate::settle::handle;
use crate::{BrokerConfig, Incoming, Publisher, Verdict};

/// How long deliveries in flight have to end at the shutdown.
const DRAIN: Duration = Duration::from_secs(8);
/// How long consuming must have gone well before a failure counts as a first.
const STEADY: Duration = Duration::from_secs(10);

/// Consumes a queue over one supervised connection of its own.
#[derive(Debug)]
pub struct Consumer {
    dialer: Dialer,
    queue: Queue,
    prefetch: u16,
    dead_letters: Publisher,
    state: watch::Sender<LinkState>,
    link: Link,
    availability: Availability,
}

impl Consumer {
    /// A consumer that is not running yet. `name` is what RabbitMQ's
    /// management page shows; `dead_letters` publishes what can never be
    /// handled, over its own connection.
    #[must_use]
    pub fn new(
        config: &BrokerConfig,
        queue: Queue,
        name: &str,
        prefetch: u16,
        dead_letters: Publisher,
    ) -> Self {
        let (state, link) = Link::new();
        let availability = Availability::new("rabbitmq (consuming)");
        let dialer = Dialer::for_consumer(config, name);
        Self { dialer, queue, prefetch, dead_letters, state, link, availability }
    }

    /// The queue that is consumed.
    #[must_use]
    pub const fn queue(&self) -> &Queue {
        &self.queue
    }

    /// Whether the queue is being consumed and RabbitMQ answers.
    #[must_use]
    pub fn check(&self) -> Check {
        self.link.check()
    }

    /// Consumes until the shutdown, then finishes what is in flight. Whatever
    /// fails is tried again; nothing is left to the caller.
    pub async fn run<H, F>(mut self, handler: H, shutdown: Shutdown)
    where
        H: Fn(Incoming) -> F + Send + Sync + 'static,
        F: Future<Output = Verdict> + Send + 'static,
    {
        let handler = Arc::new(handler);
        let mut in_flight = JoinSet::new();
        let mut backoff = Backoff::new(BACKOFF_FIRST, BACKOFF_CAP);
        while !shutdown.has_begun() {
            let since = Instant::now();
            let cause = self.consume_once(&handler, &mut in_flight, &shutdown).await;
            if let Err(cause) = cause {
                self.lost(cause);
                if since.elapsed() > STEADY {
                    backoff.succeeded();
                }
                shutdown.sleep(backoff.failed()).await;
            }
        }
        // Without a connection nothing can be settled, but what the handlers
        // are committing is worth waiting for.
        drain(&mut in_flight).await;
        self.link.close().await;
    }

    /// One connection's life; `Ok` at the shutdown.
    async fn consume_once<H, F>(
        &mut self,
        handler: &Arc<H>,
        in_flight: &mut JoinSet<()>,
        shutdown: &Shutdown,
    ) -> Result<(), String>
    where
        H: Fn(Incoming) -> F + Send + Sync + 'static,
        F: Future<Output = Verdict> + Send + 'static,
    {
        let Some(opened) = shutdown.or(self.dialer.open()).await else { return Ok(()) };
        let connection = Arc::new(opened.map_err(|error| chain(&error))?);
        let subscription = subscribe(&connection, &self.queue, self.prefetch);
        let subscribed = shutdown.or(timeout(CALL_TIMEOUT, subscription)).await;
        let (channel, mut deliveries) = match subscribed {
            None => return Ok(()),
            Some(Ok(subscribed)) => subscribed.map_err(|error| error.to_string())?,
            Some(Err(_)) => return Err("no answer to basic.consume".to_owned()),
        };
        let large = self.dialer.room();
        self.state.send_replace(LinkState::Up(Arc::clone(&connection)));
        self.availability.up();
        let died = died(&connection, &self.availability);
        let mut died = std::pin::pin!(died);
        loop {
            let room = in_flight.len() < usize::from(self.prefetch);
            tokio::select! {
                () = shutdown.begun() => break,
                Some(_) = in_flight.join_next(), if !in_flight.is_empty() => (),
                cause = &mut died => return Err(cause),
                next = deliveries.next(), if room => {
                    let delivery = delivered(next)?;
                    let (handler, shutdown) = (Arc::clone(handler), shutdown.clone());
                    let (queue, dead_letters) = (self.queue.clone(), self.dead_letters.clone());
                    let (large, bytes) = (large.clone(), delivery.data.len());
                    in_flight.spawn(async move {
                        handle(delivery, &queue, &*handler, &dead_letters, &shutdown).await;
                        large.left(bytes);
                    });
                }
            }
        }
        cancel(&channel, &deliveries).await;
        drain(in_flight).await;
        leave(&channel).await;
        Ok(())
    }

    fn lost(&self, cause: String) {
        self.availability.down(&cause);
        // The connection goes with the state; one that is half dead is closed.
        self.state.send_replace(LinkState::Down(cause));
    }
}

async fn subscribe(
    connection: &Connection,
    queue: &Queue,
    prefetch: u16,
) -> lapin::Result<(Channel, lapin::Consumer)> {
    let channel = connection.create_channel().await?;
    channel.basic_qos(prefetch, BasicQosOptions::default()).await?;
    let options = BasicConsumeOptions::default();
    let deliveries = channel
        .basic_consume((&*queue.name).into(), "".into(), options, FieldTable::default())
        .await?;
    Ok((channel, deliveries))
}

fn delivered(next: Option<lapin::Result<Delivery>>) -> Result<Delivery, String> {
    match next {
        Some(Ok(delivery)) => Ok(delivery),
        Some(Err(error)) => Err(error.to_string()),
        None => Err("RabbitMQ cancelled the consumer; was the queue deleted?".to_owned()),
    }
}

async fn cancel(channel: &Channel, deliveries: &lapin::Consumer) {
    let cancelled = channel.basic_cancel(deliveries.tag(), BasicCancelOptions::default());
    match timeout(CALL_TIMEOUT, cancelled).await {
        Ok(Ok(())) => (),
        Ok(Err(error)) => tracing::debug!(%error, "the consumer was cancelled before"),
        Err(_) => tracing::debug!("no answer to basic.cancel"),
    }
}

/// Closes the channel before the connection: a channel that is only dropped
/// closes itself later, and lapin calls it an error when the connection is
/// gone by then.
async fn leave(channel: &Channel) {
    let closed = timeout(CALL_TIMEOUT, channel.close(200, "stopping".into())).await;
    tracing::debug!(clean = matches!(closed, Ok(Ok(()))), "left the channel");
}

async fn drain(in_flight: &mut JoinSet<()>) {
    let all = async { while in_flight.join_next().await.is_some() {} };
    if timeout(DRAIN, all).await.is_err() {
        tracing::warn!(left = in_flight.len(), "messages in flight come again after the restart");
        in_flight.abort_all();
    }
}
