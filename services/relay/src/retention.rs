//! Removes outbox rows that are done and old, at the start and every hour.
//!
//! The store alone decides which rows may go (`Outbox::purge`), by the server's clock.
//! While the clock of this process is another, nothing goes, and the log and a metric
//! say so. The leader among the relays removes for all of them. Cut off anywhere it is
//! merely unfinished.

use std::time::Duration;

use onboard_mongo::StoreError;
use onboard_outbox::Outbox;
use onboard_runtime::availability::chain;
use onboard_runtime::{Availability, Rounds, Shutdown, clock};

use crate::lead::Lead;

const EVERY: Duration = Duration::from_hours(1);

/// Between two looks at the clocks.
const CLOCKS_EVERY: Duration = Duration::from_secs(15);

/// Removes while this relay leads, until the shutdown.
pub(crate) async fn run(outbox: Outbox, kept: Duration, lead: Lead, shutdown: Shutdown) {
    let stop = shutdown.clone();
    lead.while_held(shutdown, || remove(&outbox, kept, stop.clone())).await;
}

async fn remove(outbox: &Outbox, kept: Duration, shutdown: Shutdown) {
    let mongo = Availability::new("mongo (retention)");
    let mut rounds = Rounds::new(EVERY, shutdown);
    while let Some(purged) = rounds.next(purge(outbox, kept)).await {
        match purged {
            Err(error @ StoreError::ClocksDiffer { .. }) => {
                tracing::error!(error = chain(&error), "old rows are kept: set the clock");
            }
            purged => drop(mongo.report(purged)),
        }
    }
}

async fn purge(outbox: &Outbox, kept: Duration) -> Result<(), StoreError> {
    while outbox.purge(kept).await? {}
    Ok(())
}

/// Says how far this process's clock is ahead of the server's, until the shutdown.
pub(crate) async fn compare_clocks(outbox: Outbox, shutdown: Shutdown) {
    let mut rounds = Rounds::new(CLOCKS_EVERY, shutdown);
    while let Some(server_ms) = rounds.next(outbox.server_ms()).await {
        let ahead_ms = server_ms.map(|server_ms| clock::now_ms().saturating_sub(server_ms));
        let ahead = ahead_ms.map_or(f64::NAN, |ahead_ms| {
            let size = Duration::from_millis(ahead_ms.unsigned_abs()).as_secs_f64();
            if ahead_ms < 0 { -size } else { size }
        });
        metrics::gauge!("relay_clock_ahead_seconds").set(ahead);
    }
}
