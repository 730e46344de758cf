//! The claim of rows that the sweep found. A crash behind it lets the rows become due again.

use std::sync::Arc;
use std::time::Duration;

use onboard_mongo::StoreError;
use onboard_outbox::{Due, Outbox};

use crate::held::Row;
use crate::servers::Servers;

/// Rows claimed at once.
const PAGE: usize = 64;

/// Claims rows.
#[derive(Debug, Clone)]
pub(crate) struct Claims {
    pub(crate) outbox: Outbox,
    pub(crate) servers: Arc<Servers>,
    pub(crate) lease: Duration,
    /// Workflows started at the same time.
    pub(crate) concurrency: usize,
}

impl Claims {
    /// How many rows may be claimed at once: after a failure no more than are
    /// tried at once, since others may be able to start them.
    pub(crate) fn most(&self) -> usize {
        if self.servers.pause.in_doubt() { self.concurrency } else { PAGE }
    }

    /// Claims the rows; those that another relay has are left out. On a
    /// failure some may be claimed; they become due again. A refusal is about these
    /// rows, and others may pass.
    pub(crate) async fn claim(&self, rows: Vec<Row>) -> Result<Vec<Row>, StoreError> {
        if rows.is_empty() {
            return Ok(rows);
        }
        let due: Vec<&Due> = rows.iter().map(|row| &row.due).collect();
        let claimed = self.outbox.claim(&due, self.lease).await;
        let claimed = claimed.inspect_err(|error| {
            if error.is_retryable() {
                self.servers.does_not_write(error);
            }
        })?;
        self.servers.writes();
        let seen = rows.len();
        let ours: Vec<Row> =
            rows.into_iter().filter(|row| claimed.contains(&row.due.event_id)).collect();
        let lost = seen.saturating_sub(ours.len()) as u64;
        metrics::counter!("relay_claims_lost_total").increment(lost);
        Ok(ours)
    }
}
