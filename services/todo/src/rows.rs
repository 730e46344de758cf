//! Which events have an outbox row: only the outbox's owner knows, and is asked in
//! Temporal. Without an answer no inbox record is removed.

use std::pin::Pin;

use onboard_contract::EventId;
use onboard_runtime::Shutdown;
use onboard_runtime::availability::chain;
use onboard_temporal::Temporal;

type Answer = Pin<Box<dyn Future<Output = Option<Vec<EventId>>> + Send>>;

/// Asks once Temporal is there; absent when the owner does not answer.
pub(crate) fn rows(
    temporal: Temporal,
    shutdown: Shutdown,
) -> impl Fn(Vec<EventId>) -> Answer + Send + Sync {
    move |events| {
        let (temporal, shutdown) = (temporal.clone(), shutdown.clone());
        Box::pin(async move {
            temporal.connected(&shutdown).await?;
            let answer = shutdown.or(temporal.rows_of(&events)).await?;
            let answer = answer.inspect_err(|error| {
                let error = chain(error);
                tracing::warn!(error, "the outbox's owner does not answer; no record is removed");
            });
            answer.ok()
        })
    }
}
