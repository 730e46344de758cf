//! Makes stop 6 complete: sends again what was committed but not acknowledged.
//!
//! It covers a signal that failed, an acknowledgement that did not fit into
//! the channel, and a process that died between commit and note. It reads the
//! inbox, so it misses nothing; the acknowledger is only the faster way.

use onboard_runtime::availability::chain;
use onboard_runtime::{Availability, Shutdown};
use onboard_store::Inbox;
use onboard_temporal::Temporal;

use crate::acknowledger::{Outcome, acknowledge};
use crate::config::SweepSettings;

/// Acknowledgements sent in one sweep at most.
const BATCH: u32 = 256;

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
        shutdown.or(sweep(&temporal, &inbox, settings, &mongo)).await;
    }
}

async fn sweep(temporal: &Temporal, inbox: &Inbox, settings: SweepSettings, mongo: &Availability) {
    let left = match inbox.unacknowledged(settings.age, BATCH).await {
        Ok(left) => left,
        Err(error) => {
            mongo.down(&chain(&error));
            return;
        }
    };
    mongo.up();
    let mut noted = 0_u32;
    for acknowledgement in &left {
        match acknowledge(temporal, inbox, acknowledgement).await {
            Outcome::Noted => noted += 1,
            Outcome::Refused => (),
            Outcome::Away => break,
        }
    }
    if noted > 0 {
        tracing::info!(noted, found = left.len(), "late acknowledgements sent");
    }
}
