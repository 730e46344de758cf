//! How much Temporal is given at once.
//!
//! Temporal works on its tasks in the order in which they came. Were a backlog
//! of ten thousand started at once, an acknowledgement would queue behind
//! thousands of first steps until it counts as overdue, and be asked for again:
//! more work for who has too much already. So no more than `RELAY_UNSENT_MAX`
//! workflows are started and not SENT, by all relays together; the other rows wait
//! where waiting is free. A workflow that has not come to SENT within [`LATELY`] no
//! longer counts: a workflow that stands still for a reason of its own holds up nobody.
//!
//! The leader among the relays counts in the outbox and notes the count for the others.
//! Each relay may begin its share of what is left, less what it has begun and not noted
//! on the row (`note`), and what it has noted since the count. Nothing survives the
//! process: a new one begins when it has looked.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use onboard_mongo::StoreError;
use onboard_outbox::Outbox;
use onboard_outbox::relays::Relays;
use onboard_runtime::{Rounds, Shutdown};
use tokio::sync::Notify;

use crate::lead::Lead;

/// How long a started workflow takes up room.
const LATELY: Duration = Duration::from_mins(1);
/// Between two looks, while there are starts.
const EVERY: Duration = Duration::from_millis(250);
/// A count that is older says nothing: the leader may be gone.
const COUNT_AGE_MAX: Duration = Duration::from_secs(2);

/// How many workflows this relay may begin.
#[derive(Debug, Default)]
pub(crate) struct Room {
    /// Starts that may be begun until the next look; none before the first one.
    free: AtomicI64,
    /// Starts that are not noted on their rows yet.
    unnoted: AtomicI64,
    /// Notes since the last look, and between the last two: a count may lack them.
    noted: [AtomicI64; 2],
    used: AtomicBool,
    freed: Notify,
}

/// The place of a start in the room, until its note is written or it has failed.
#[derive(Debug)]
pub(crate) struct Place(Arc<Room>);

impl Drop for Place {
    fn drop(&mut self) {
        // In this order: a look in between counts it twice, and never not at all.
        self.0.noted[0].fetch_add(1, Ordering::SeqCst);
        self.0.unnoted.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Room {
    pub(crate) fn is_full(&self) -> bool {
        self.free.load(Ordering::Relaxed) <= 0
    }

    /// Waits until a workflow may be begun, and takes its place; `None` when the shutdown
    /// came first.
    pub(crate) async fn admits(self: &Arc<Self>, shutdown: &Shutdown) -> Option<Place> {
        while self.freed(shutdown).await {
            let one_less = |free: i64| (free > 0).then(|| free - 1);
            if self.free.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_ok() {
                self.unnoted.fetch_add(1, Ordering::Relaxed);
                self.used.store(true, Ordering::Relaxed);
                return Some(Place(Arc::clone(self)));
            }
        }
        None
    }

    /// Waits until there is room; false when the shutdown came first.
    pub(crate) async fn freed(&self, shutdown: &Shutdown) -> bool {
        while self.is_full() {
            if !shutdown.sleep_or(EVERY, self.freed.notified()).await {
                return false;
            }
        }
        !shutdown.has_begun()
    }

    /// Takes in a count of what is under way, for all of so many relays.
    fn set(&self, unsent: u64, most: u64, relays: u64) {
        let [last, before] = &self.noted;
        let unnoted = self.unnoted.load(Ordering::SeqCst);
        let noted = last.swap(0, Ordering::SeqCst);
        let uncounted = unnoted + noted + before.swap(noted, Ordering::Relaxed);
        // Rounded up: a relay among very many may begin one workflow all the same.
        let share = most.saturating_sub(unsent).div_ceil(relays.max(1));
        let free = i64::try_from(share).unwrap_or(i64::MAX).saturating_sub(uncounted);
        self.free.store(free, Ordering::Relaxed);
        metrics::gauge!("relay_room_full").set(if free > 0 { 0.0 } else { 1.0 });
        if free > 0 {
            self.freed.notify_waiters();
        }
    }
}

/// Who counts, and how many there may be.
#[derive(Debug)]
pub(crate) struct Count {
    pub(crate) outbox: Outbox,
    pub(crate) relays: Relays,
    pub(crate) lead: Lead,
    pub(crate) most: u64,
}

/// Looks until the shutdown.
pub(crate) async fn run(room: Arc<Room>, count: Count, shutdown: Shutdown) {
    let mut rounds = Rounds::new(EVERY, shutdown);
    while rounds.next(look(&room, &count)).await.is_some() {}
}

/// A look that fails is made again. It lets one workflow begin: one query that MongoDB
/// does not answer must not stop everything.
async fn look(room: &Room, count: &Count) {
    let Some(relays) = count.lead.relays() else { return };
    let leads_others = relays > 1 && count.lead.is_held();
    if room.used.swap(false, Ordering::Relaxed) || room.is_full() || leads_others {
        if let Ok(unsent) = unsent(count, leads_others).await {
            room.set(unsent, count.most, relays);
        } else {
            room.used.store(true, Ordering::Relaxed);
            room.free.fetch_max(1, Ordering::Relaxed);
            room.freed.notify_waiters();
        }
    }
}

/// How many workflows are under way: what the leader has counted, or else what this
/// relay counts.
async fn unsent(count: &Count, leads_others: bool) -> Result<u64, StoreError> {
    if !count.lead.is_held()
        && let Some(counted) = count.relays.counted().await?
        && counted.age <= COUNT_AGE_MAX
    {
        return Ok(counted.unsent);
    }
    let unsent = count.outbox.unsent(LATELY, count.most).await?;
    if leads_others {
        count.relays.note_unsent(unsent).await?;
    }
    Ok(unsent)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn admitted(room: &Arc<Room>) -> Option<Place> {
        let shutdown = Shutdown::new();
        tokio::time::timeout(EVERY * 4, room.admits(&shutdown)).await.ok().flatten()
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_room_is_let_on_or_sent_home() {
        let (room, shutdown) = (Arc::new(Room::default()), Shutdown::new());
        assert!(admitted(&room).await.is_none(), "nobody has looked yet");
        room.set(8, 10, 1);
        let places = [admitted(&room).await, admitted(&room).await];
        assert!(places.iter().all(Option::is_some));
        assert!(admitted(&room).await.is_none(), "it is full");
        let (let_on, ()) = tokio::join!(room.admits(&shutdown), async { room.set(0, 10, 1) });
        assert!(let_on.is_some());
        room.set(10, 10, 1);
        let (let_on, ()) = tokio::join!(room.admits(&shutdown), async { shutdown.begin() });
        assert!(let_on.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn relays_share_what_is_left_and_a_start_counts_until_a_count_has_its_note() {
        let room = Arc::new(Room::default());
        room.set(4, 10, 3);
        let places = [admitted(&room).await, admitted(&room).await];
        assert!(places.iter().all(Option::is_some) && admitted(&room).await.is_none());
        // However long the notes take.
        for _ in 0..8 {
            room.set(4, 10, 3);
            assert!(room.is_full());
        }
        drop(places);
        // Neither count has seen the two notes.
        for _ in 0..2 {
            room.set(4, 10, 3);
            assert!(room.is_full());
        }
        room.set(4, 10, 3);
        assert!(!room.is_full());
    }
}
