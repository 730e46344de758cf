//! Makes stop 6 complete: sends again what was committed but not acknowledged.
//!
//! It covers a signal that failed, an acknowledgement that did not fit into
//! the channel, and a process that died between commit and note. It reads the
//! inbox, so it misses nothing; the acknowledger is only the faster way.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use futures::StreamExt;
use onboard_runtime::availability::chain;
use onboard_runtime::{Availability, Shutdown};
use onboard_store::Inbox;
use onboard_temporal::Temporal;

use crate::acknowledger::{Outcome, acknowledge};
use crate::config::SweepSettings;

/// Acknowledgements read at once.
const BATCH: u32 = 256;
const FULL: usize = BATCH as usize;
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
        let sweeping = async {
            // A full batch that went through leaves more to do at once.
            while sweep(&temporal, &inbox, settings, &mongo).await == FULL {}
        };
        shutdown.or(sweeping).await;
    }
}

/// Sends one batch, stopping at the first server that is away; how many were
/// noted.
async fn sweep(
    temporal: &Temporal,
    inbox: &Inbox,
    settings: SweepSettings,
    mongo: &Availability,
) -> usize {
    let left = match inbox.unacknowledged(settings.age, BATCH).await {
        Ok(left) => left,
        Err(error) => {
            mongo.down(&chain(&error));
            return 0;
        }
    };
    mongo.up();
    let found = left.len();
    let (away, noted) = (AtomicBool::new(false), AtomicUsize::new(0));
    futures::stream::iter(left)
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
    let noted = noted.into_inner();
    if noted > 0 {
        tracing::info!(noted, found, "late acknowledgements sent");
    }
    noted
}
