//! Channels in confirm mode, each used by one publish at a time.
//!
//! Why not many publishes on one channel: `basic.return` carries no delivery
//! tag, and lapin hands a returned message to whichever confirm it completes
//! next; one `ack` for several messages completes them in no order. With two
//! publishes in flight, the one that reached no queue could be told that it
//! was delivered (measured with lapin 4.12: 48 of 400). One publish per channel
//! leaves nothing to mix up, and many channels keep many publishes in flight.
//!
//! A channel goes back only after its ack came. One whose publish failed,
//! timed out or was given up is closed: what it still brings belongs to nobody.
//! So is one that brought a nack: on a channel that a full quorum queue has
//! refused once, RabbitMQ 3.10 goes on refusing after the limit was lifted.

use std::sync::{Mutex, PoisonError};

use lapin::options::ConfirmSelectOptions;
use lapin::{Channel, Connection};
use tokio::sync::{Semaphore, SemaphorePermit};

/// How many publishes are in flight at most.
const LANES_MAX: usize = 64;

/// The channels of a publisher, over all its connections.
#[derive(Debug)]
pub(crate) struct Lanes {
    permits: Semaphore,
    idle: Mutex<Vec<Channel>>,
}

/// A channel that nobody else uses.
#[derive(Debug)]
pub(crate) struct Lane<'a> {
    pub(crate) channel: Channel,
    _permit: SemaphorePermit<'a>,
}

impl Lanes {
    pub(crate) const fn new() -> Self {
        Self { permits: Semaphore::const_new(LANES_MAX), idle: Mutex::new(Vec::new()) }
    }

    /// Takes an idle channel, or opens one.
    pub(crate) async fn take(&self, connection: &Connection) -> lapin::Result<Lane<'_>> {
        let permit = self.permits.acquire().await.map_err(|_| never_closed())?;
        let channel = match self.idle() {
            Some(channel) => channel,
            None => open(connection).await?,
        };
        Ok(Lane { channel, _permit: permit })
    }

    /// Gives a channel back whose ack has come.
    pub(crate) fn give_back(&self, lane: Lane<'_>) {
        self.lock().push(lane.channel);
    }

    /// The youngest idle channel that still works; dead ones are dropped.
    fn idle(&self) -> Option<Channel> {
        let mut idle = self.lock();
        idle.retain(|channel| channel.status().connected());
        idle.pop()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Channel>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn open(connection: &Connection) -> lapin::Result<Channel> {
    let channel = connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    Ok(channel)
}

/// Nothing closes the semaphore; acquiring asks for an answer all the same.
fn never_closed() -> lapin::Error {
    lapin::ErrorKind::ChannelsLimitReached.into()
}
