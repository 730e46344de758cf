//! Removes inbox records that nothing can ask for, at the start and every hour.
//!
//! What may go is decided by the store alone (`Inbox::purge`). Cut off anywhere
//! it is merely unfinished; several todo services may do it at once.

use std::time::Duration;

use onboard_runtime::{Availability, Rounds, Shutdown};
use onboard_store::StoreError;

use crate::inbox::{Cursor, Inbox};

const EVERY: Duration = Duration::from_hours(1);

/// Removes until the shutdown.
pub(crate) async fn run(inbox: Inbox, kept: Duration, shutdown: Shutdown) {
    let mongo = Availability::new("mongo (retention)");
    let mut rounds = Rounds::new(EVERY, shutdown);
    while let Some(purged) = rounds.next(purge(&inbox, kept)).await {
        mongo.report(purged).ok();
    }
}

async fn purge(inbox: &Inbox, kept: Duration) -> Result<(), StoreError> {
    let mut page = Some(Cursor::default());
    while let Some(from) = page {
        page = inbox.purge(kept, from).await?;
    }
    Ok(())
}
