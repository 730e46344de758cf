//! Rows as the sweep finds them: the complete way.
//!
//! At every wake-up (`wake`) and at least every `RELAY_SWEEP_INTERVAL` it looks for
//! rows that are due, a page at a time, claims the page and passes it on to be
//! started. The next page is claimed while the last rows of this one are being
//! started; what is claimed ahead is bounded by the page and the channel, so
//! relays share a backlog and a crash leaves few rows to wait for their lease.

use std::sync::Arc;
use std::time::Duration;

use onboard_runtime::{Availability, Backoff, Shutdown, clock};
use onboard_store::{DuePage, StoreError, Written};
use onboard_temporal::Temporal;
use tokio::sync::mpsc::Sender;

use crate::claim::Claims;
use crate::held::{Held, Row};
use crate::room::Room;

/// The longest wait before another look, when all of the page is in other
/// hands, or in ours already: about as long as a page takes to be started.
const CONTENDED: Duration = Duration::from_millis(250);

/// What a look at the outbox came to.
enum Look {
    /// Nothing more is due.
    Drained,
    /// There is more.
    More,
    /// There may be more, but what was seen is in other hands.
    Contended,
}

/// Looks for rows that are due.
#[derive(Debug)]
pub(crate) struct Sweep {
    pub(crate) temporal: Temporal,
    pub(crate) claims: Claims,
    pub(crate) held: Held,
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
    while pause.over(&shutdown).await && sweep.room.freed(&shutdown).await {
        let goes_on = match look(&sweep, &mongo, &claimed).await {
            Ok(look) => {
                backoff.succeeded();
                rest(&sweep, &look, &shutdown).await
            }
            Err(_) => shutdown.sleep(backoff.failed()).await,
        };
        if !goes_on {
            return;
        }
    }
}

/// Waits until it is worth looking again; false when it is time to stop.
async fn rest(sweep: &Sweep, look: &Look, shutdown: &Shutdown) -> bool {
    match look {
        Look::More => !shutdown.has_begun(),
        Look::Contended => shutdown.sleep(CONTENDED.mul_f64(clock::jitter())).await,
        // A wake-up during the look is kept, so nothing is slept over.
        Look::Drained => sweep.claims.servers.wake.wait(sweep.interval, shutdown).await,
    }
}

async fn look(
    sweep: &Sweep,
    mongo: &Availability,
    claimed: &Sender<Row>,
) -> Result<Look, StoreError> {
    let most = u32::try_from(sweep.claims.most()).unwrap_or(1);
    let DuePage { rows, full } = mongo.report(sweep.claims.outbox.due(most).await)?;
    let held = rows.into_iter().filter_map(|due| sweep.held.take(due)).collect();
    // The majority's word: the next look must not find these rows again, and
    // nobody waits for this one.
    let ours = sweep.claims.claim(held, Written::Majority).await?;
    let found = ours.len() as u64;
    metrics::counter!("relay_rows_claimed_total", "found" => "swept").increment(found);
    for row in ours {
        if claimed.send(row).await.is_err() {
            return Ok(Look::Drained);
        }
    }
    Ok(match (full, found) {
        (false, _) => Look::Drained,
        (true, 0) => Look::Contended,
        (true, _) => Look::More,
    })
}
