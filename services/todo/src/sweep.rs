//! Makes stop 6 complete: sends again what was committed but not acknowledged.
//!
//! It covers a signal that failed, an acknowledgement that did not fit into
//! the channel, and a process that died between commit and note. It reads the
//! inbox, so it misses nothing; the acknowledger is only the faster way.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use futures::StreamExt;
use onboard_contract::Acknowledgement;
use onboard_runtime::availability::chain;
use onboard_runtime::{Availability, Shutdown};
use onboard_store::{Inbox, StoreError};
use onboard_temporal::Temporal;

use crate::acknowledger::{Outcome, acknowledge};
use crate::config::SweepSettings;

/// Acknowledgements read at once.
const BATCH: u32 = 256;
/// Signals under way at the same time.
const CONCURRENCY: usize = 16;

/// Sweeps until the shutdown.
pub(crate) async fn run(
    temporal: Temporal,
    inbox: Inbox,
    settings: SweepSettings,
    shutdown: Shutdown,
) {
    let mongo = Availability::new("mongo (sweep)");
    while shutdown.sleep(settings.interval).await {
        // Cut off anywhere it is merely unfinished: the next sweep goes on.
        match shutdown.or(sweep(&temporal, &inbox, settings)).await {
            Some(Ok(())) => mongo.up(),
            Some(Err(error)) => mongo.down(&chain(&error)),
            None => return,
        };
    }
}

/// Sends everything that is left, page by page, until a server is away. What
/// is refused, or cannot be read, holds up nobody behind it.
async fn sweep(
    temporal: &Temporal,
    inbox: &Inbox,
    settings: SweepSettings,
) -> Result<(), StoreError> {
    let (mut after, mut noted) = (None, 0);
    loop {
        let page = inbox.unacknowledged(settings.age, after, BATCH).await?;
        let sent = send(temporal, inbox, page.found).await;
        noted += sent.noted;
        after = page.last;
        if after.is_none() || sent.away {
            break;
        }
    }
    if noted > 0 {
        tracing::info!(noted, "late acknowledgements sent");
    }
    Ok(())
}

struct Sent {
    noted: usize,
    away: bool,
}

/// Sends one page, stopping when a server is away.
async fn send(temporal: &Temporal, inbox: &Inbox, page: Vec<Acknowledgement>) -> Sent {
    let (away, noted) = (AtomicBool::new(false), AtomicUsize::new(0));
    futures::stream::iter(page)
        .for_each_concurrent(CONCURRENCY, async |acknowledgement| {
            if away.load(Ordering::Relaxed) {
                return;
            }
            match acknowledge(temporal, inbox, &acknowledgement).await {
                Outcome::Noted => drop(noted.fetch_add(1, Ordering::Relaxed)),
                Outcome::Refused => (),
                Outcome::Away => away.store(true, Ordering::Relaxed),
            }
        })
        .await;
    Sent { noted: noted.into_inner(), away: away.into_inner() }
}
