//! Removes inbox records that nothing can ask for, at the start and every hour.
//!
//! What may go is decided by the store alone (`Inbox::purge`). Cut off anywhere
//! it is merely unfinished; several todo services may do it at once.

use std::time::Duration;

use onboard_runtime::availability::chain;
use onboard_runtime::{Availability, Shutdown};
use onboard_store::{Cursor, Inbox, StoreError};

const EVERY: Duration = Duration::from_hours(1);

/// Removes until the shutdown.
pub(crate) async fn run(inbox: Inbox, kept: Duration, shutdown: Shutdown) {
    let mongo = Availability::new("mongo (retention)");
    loop {
        match shutdown.or(purge(&inbox, kept)).await {
            Some(Ok(())) => mongo.up(),
            Some(Err(error)) => mongo.down(&chain(&error)),
            None => return,
        };
        if !shutdown.sleep(EVERY).await {
            return;
        }
    }
}

async fn purge(inbox: &Inbox, kept: Duration) -> Result<(), StoreError> {
    let mut page = Some(Cursor::default());
    while let Some(from) = page {
        page = inbox.purge(kept, from).await?;
    }
    Ok(())
}
