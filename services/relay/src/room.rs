//! How much Temporal is given at once.
//!
//! Temporal works on its tasks in the order in which they came. Were a backlog
//! of ten thousand started at once, an acknowledgement would queue behind
//! thousands of first steps until it counts as overdue, and be asked for again:
//! more work for who has too much already. So no more than `RELAY_UNSENT_MAX`
//! workflows are started and not SENT; the other rows wait where waiting is
//! free. A workflow that has not come to SENT within [`LATELY`] no longer
//! counts: what stands still for a reason of its own holds up nobody.
//!
//! Counted in the outbox, so relays share the room. Nothing survives the
//! process: a new one looks anew.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use onboard_runtime::{Rounds, Shutdown};
use onboard_store::Outbox;
use tokio::sync::Notify;

/// How long a started workflow takes up room.
const LATELY: Duration = Duration::from_mins(1);
/// Between two looks, while there are starts.
const EVERY: Duration = Duration::from_millis(250);

/// Whether there is room for more.
#[derive(Debug, Default)]
pub(crate) struct Room {
    full: AtomicBool,
    used: AtomicBool,
    freed: Notify,
}

impl Room {
    pub(crate) fn is_full(&self) -> bool {
        self.full.load(Ordering::Relaxed)
    }

    /// Something was started.
    pub(crate) fn used(&self) {
        self.used.store(true, Ordering::Relaxed);
    }

    /// Waits until there is room; false when the shutdown came first.
    pub(crate) async fn freed(&self, shutdown: &Shutdown) -> bool {
        while self.is_full() {
            if shutdown.or(self.freed.notified()).await.is_none() {
                return false;
            }
        }
        !shutdown.has_begun()
    }

    fn set(&self, full: bool) {
        self.full.store(full, Ordering::Relaxed);
        metrics::gauge!("relay_room_full").set(if full { 1.0 } else { 0.0 });
        if !full {
            self.freed.notify_one();
        }
    }
}

/// Looks until the shutdown.
pub(crate) async fn run(room: Arc<Room>, outbox: Outbox, most: u32, shutdown: Shutdown) {
    let mut rounds = Rounds::new(EVERY, shutdown).after_a_wait();
    while rounds.next(look(&room, &outbox, u64::from(most))).await.is_some() {}
}

/// A look that fails changes nothing, and is made again.
async fn look(room: &Room, outbox: &Outbox, most: u64) {
    if room.used.swap(false, Ordering::Relaxed) || room.is_full() {
        match outbox.unsent(LATELY, most).await {
            Ok(unsent) => room.set(unsent >= most),
            Err(_) => room.used(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_waits_for_room_is_let_on_or_sent_home() {
        let (room, shutdown) = (Room::default(), Shutdown::new());
        assert!(room.freed(&shutdown).await);
        room.set(true);
        let waits = tokio::time::timeout(Duration::ZERO, room.freed(&shutdown));
        assert!(waits.await.is_err(), "it is full");
        let (let_on, ()) = tokio::join!(room.freed(&shutdown), async { room.set(false) });
        assert!(let_on);
        room.set(true);
        let (let_on, ()) = tokio::join!(room.freed(&shutdown), async { shutdown.begin() });
        assert!(!let_on);
    }
}
