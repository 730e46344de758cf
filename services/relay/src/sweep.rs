//! Rows as the sweep finds them: the complete way.
//!
//! At every wake-up (`wake`) and at least every `RELAY_SWEEP_INTERVAL` it looks for
//! rows that are due, a page at a time, claims the page and passes it on to be
//! started. The next page is claimed while the last rows of this one are being
//! started; what is claimed ahead is bounded by the page and the channel, so
//! relays share a backlog and a crash leaves few rows to wait for their lease.
//! It claims the rows of a page that belong to its own share; when there are none, it
//! claims the late rows of other relays. A page of rows that no relay can move holds up no
//! other: the next look goes past it.

use std::sync::Arc;
use std::time::Duration;

use onboard_mongo::StoreError;
use onboard_outbox::{Due, DuePage};
use onboard_runtime::clock::{self, millis};
use onboard_runtime::{Availability, Backoff, Shutdown};
use onboard_temporal::Temporal;
use tokio::sync::mpsc::Sender;

use crate::claim::Claims;
use crate::held::{Held, Row};
use crate::room::Room;
use crate::share::{LATE, Share};

/// The longest wait before another look, when all of the page is in other
/// hands, or in ours already: about as long as a page takes to be started.
const CONTENDED: Duration = Duration::from_millis(250);

/// How far a look goes past rows that did not move, at most.
const SKIPPED_MAX: u64 = 4_096;

/// What a look at the outbox came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    /// Nothing more is due.
    Drained,
    /// There is more.
    More,
    /// There may be more, but none of so many rows has moved: they are in other hands,
    /// or in ours already, or nobody can move them.
    Stuck(u64),
    /// The same, since MongoDB has refused to claim any of so many.
    Refused(u64),
}

/// How many of the rows that are due the next look leaves out.
#[derive(Debug, Default)]
struct Skip {
    rows: u64,
    /// Looks since it began to skip.
    looks: u32,
}

impl Skip {
    /// Looks until the rows that were left out are looked at again.
    const LOOKS_MAX: u32 = 64;

    /// Takes in what a look came to; false when it is time to rest.
    fn goes_on(&mut self, look: Look) -> bool {
        self.looks += 1;
        match look {
            Look::Stuck(rows) | Look::Refused(rows) if self.rows + rows <= SKIPPED_MAX => {
                self.rows += rows;
            }
            Look::More if self.looks < Self::LOOKS_MAX => (),
            Look::More => *self = Self::default(),
            Look::Drained | Look::Stuck(_) | Look::Refused(_) => {
                *self = Self::default();
                return false;
            }
        }
        true
    }
}

/// Looks for rows that are due.
#[derive(Debug)]
pub(crate) struct Sweep {
    pub(crate) temporal: Temporal,
    pub(crate) claims: Claims,
    pub(crate) held: Held,
    pub(crate) share: Share,
    pub(crate) room: Arc<Room>,
    pub(crate) interval: Duration,
}

/// Looks until the shutdown.
pub(crate) async fn run(sweep: Sweep, claimed: Sender<Row>, shutdown: Shutdown) {
    let mongo = Availability::new("mongo");
    let mut backoff = Backoff::new(Duration::from_millis(250), Duration::from_secs(5));
    // Nothing is claimed while Temporal has never been reached.
    if sweep.temporal.connected(&shutdown).await.is_none() {
        return;
    }
    let pause = &sweep.claims.servers.pause;
    let mut skip = Skip::default();
    while pause.over(&shutdown).await && sweep.room.freed(&shutdown).await {
        let goes_on = match look(&sweep, skip.rows, &mongo, &claimed).await {
            Ok(look) => {
                backoff.succeeded();
                match (skip.goes_on(look), look) {
                    (true, Look::More | Look::Stuck(_)) => !shutdown.has_begun(),
                    (true | false, look) => rest(&sweep, look, &shutdown).await,
                }
            }
            Err(_) => shutdown.sleep(backoff.failed()).await,
        };
        if !goes_on {
            return;
        }
    }
}

/// Waits until it is worth looking again; false when it is time to stop.
async fn rest(sweep: &Sweep, look: Look, shutdown: &Shutdown) -> bool {
    match look {
        Look::Stuck(_) | Look::Refused(_) => {
            shutdown.sleep(CONTENDED.mul_f64(clock::jitter())).await
        }
        // A wake-up during the look is kept, so nothing is slept over.
        Look::Drained | Look::More => {
            sweep.claims.servers.wake.wait(sweep.interval, shutdown).await
        }
    }
}

async fn look(
    sweep: &Sweep,
    skip: u64,
    mongo: &Availability,
    claimed: &Sender<Row>,
) -> Result<Look, StoreError> {
    let most = u32::try_from(sweep.claims.most()).unwrap_or(1);
    let page = mongo.report(sweep.claims.outbox.due_after(skip, most).await)?;
    let DuePage { rows, set_apart, immovable, full } = page;
    let seen = (rows.len() + immovable) as u64;
    let Divided { rows, left } = divided(sweep, rows).await?;
    let ours = match sweep.claims.claim(rows).await {
        Err(error) if !error.is_retryable() && full => return Ok(Look::Refused(seen)),
        Err(error) if !error.is_retryable() => return Ok(Look::Drained),
        claimed => claimed?,
    };
    let found = ours.len() as u64;
    metrics::counter!("relay_rows_claimed_total", "found" => "swept").increment(found);
    for row in ours {
        if claimed.send(row).await.is_err() {
            return Ok(Look::Drained);
        }
    }
    Ok(match (full, found + set_apart as u64) {
        // The next look finds the late rows alone.
        (false, 1..) if left => Look::More,
        (false, _) => Look::Drained,
        (true, 0) => Look::Stuck(seen),
        (true, _) => Look::More,
    })
}

/// The rows of a page that this relay takes in hand.
struct Divided {
    rows: Vec<Row>,
    /// Whether it has left late rows of other relays.
    left: bool,
}

/// Takes the rows of this relay's share in hand, or else those of others that are late.
/// Rows of others that are not late are being started.
async fn divided(sweep: &Sweep, rows: Vec<Due>) -> Result<Divided, StoreError> {
    let (own, others): (Vec<Due>, Vec<Due>) =
        rows.into_iter().partition(|due| sweep.share.has(due.event_id));
    let take = |rows: Vec<Due>| -> Vec<Row> {
        rows.into_iter().filter_map(|due| sweep.held.take(due)).collect()
    };
    let own = take(own);
    if others.is_empty() {
        return Ok(Divided { rows: own, left: false });
    }
    let now_ms = sweep.claims.outbox.server_ms().await?;
    let (late, young): (Vec<Due>, Vec<Due>) =
        others.into_iter().partition(|due| due.waited_ms(now_ms) > millis(LATE));
    if !young.is_empty() && sweep.interval > LATE {
        sweep.claims.servers.wake.after(LATE);
    }
    if own.is_empty() {
        return Ok(Divided { rows: take(late), left: false });
    }
    Ok(Divided { rows: own, left: !late.is_empty() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_that_do_not_move_are_gone_past_up_to_a_bound() {
        let mut skip = Skip::default();
        for pages in 1..=64 {
            assert!(skip.goes_on(Look::Stuck(64)));
            assert_eq!(skip.rows, 64 * pages);
        }
        assert!(!skip.goes_on(Look::Stuck(64)), "it rests");
        assert_eq!(skip.rows, 0);
    }

    #[test]
    fn what_was_gone_past_is_looked_at_again() {
        let mut skip = Skip::default();
        assert!(skip.goes_on(Look::Stuck(64)) && skip.goes_on(Look::More));
        assert_eq!(skip.rows, 64, "the page is still there");
        for _ in 0..Skip::LOOKS_MAX {
            assert!(skip.goes_on(Look::More));
        }
        assert_eq!(skip.rows, 0);
        assert!(skip.goes_on(Look::Stuck(64)) && !skip.goes_on(Look::Drained));
        assert_eq!(skip.rows, 0);
    }
}
