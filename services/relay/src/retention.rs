//! Removes outbox rows that are done and old, at the start and every hour.
//!
//! What may go is decided by the store alone (`Outbox::purge`). Cut off anywhere
//! it is merely unfinished; several relays may do it at once.

use std::time::Duration;

use onboard_runtime::{Availability, Rounds, Shutdown};
use onboard_store::{Outbox, StoreError};

const EVERY: Duration = Duration::from_hours(1);

/// Removes until the shutdown.
pub(crate) async fn run(outbox: Outbox, kept: Duration, shutdown: Shutdown) {
    let mongo = Availability::new("mongo (retention)");
    let mut rounds = Rounds::new(EVERY, shutdown);
    while let Some(purged) = rounds.next(purge(&outbox, kept)).await {
        mongo.report(purged).ok();
    }
}

async fn purge(outbox: &Outbox, kept: Duration) -> Result<(), StoreError> {
    while outbox.purge(kept).await? {}
    Ok(())
}
