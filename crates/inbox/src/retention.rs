//! Removes inbox records that nothing can ask for, at the start and every hour.
//!
//! The inbox alone decides which records may go (`Inbox::purge`). A removal that is cut
//! off goes on with the next one; several processes may remove at once.

use std::time::Duration;

use onboard_contract::EventId;
use onboard_mongo::StoreError;
use onboard_runtime::availability::chain;
use onboard_runtime::{Availability, Rounds, Shutdown};

use crate::Inbox;
use crate::inbox::PurgeCursor;

const EVERY: Duration = Duration::from_hours(1);

/// Removes records older than `kept` until the shutdown. `rows` says which of these
/// events have an outbox row: their records stay. When it has no answer, the rest of
/// the records wait for the next round.
pub async fn retain<R, F>(inbox: Inbox, kept: Duration, rows: R, shutdown: Shutdown)
where
    R: Fn(Vec<EventId>) -> F + Send + Sync,
    F: Future<Output = Option<Vec<EventId>>> + Send,
{
    let mongo = Availability::new("mongo (retention)");
    let mut rounds = Rounds::new(EVERY, shutdown);
    while let Some(purged) = rounds.next(purge(&inbox, kept, &rows)).await {
        match purged {
            Err(error @ StoreError::ClocksDiffer { .. }) => {
                tracing::error!(error = chain(&error), "old records are kept: set the clock");
            }
            purged => drop(mongo.report(purged)),
        }
    }
}

async fn purge<R, F>(inbox: &Inbox, kept: Duration, rows: &R) -> Result<(), StoreError>
where
    R: Fn(Vec<EventId>) -> F,
    F: Future<Output = Option<Vec<EventId>>>,
{
    let mut page = Some(PurgeCursor::default());
    while let Some(from) = page {
        page = inbox.purge(kept, from, rows).await?;
    }
    Ok(())
}
