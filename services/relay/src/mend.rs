//! Looks at all unfinished rows, slowly, for those that no other look finds: rows with
//! odd fields, or with times that never come.
//!
//! The store alone decides how a row is mended (`Unfinished::mend_page`). The
//! look goes a page a second, at the start and every minute, so that it costs the same
//! with a million unfinished rows. The leader among the relays looks for all of them.
//! Nothing is kept but the place that it has come to: a process that dies here, or
//! another leader, begins at the first row.

use std::sync::Arc;
use std::time::Duration;

use onboard_mongo::StoreError;
use onboard_outbox::Outbox;
use onboard_runtime::{Availability, Rounds, Shutdown};

use crate::lead::Lead;
use crate::servers::Servers;

/// Between two looks at all rows.
const EVERY: Duration = Duration::from_mins(1);
/// Rows read at once.
const PAGE: usize = 500;
/// Between two pages.
const PAGE_TIME: Duration = Duration::from_secs(1);

/// Looks while this relay leads, until the shutdown.
pub(crate) async fn run(outbox: Outbox, servers: Arc<Servers>, lead: Lead, shutdown: Shutdown) {
    let stop = shutdown.clone();
    let work = || rounds(&outbox, &servers, stop.clone());
    lead.while_held(shutdown, work).await;
}

async fn rounds(outbox: &Outbox, servers: &Servers, shutdown: Shutdown) {
    let mongo = Availability::new("mongo (unfinished rows)");
    let mut rounds = Rounds::new(EVERY, shutdown);
    while let Some(looked) = rounds.next(look(outbox, servers)).await {
        mongo.report(looked).ok();
    }
}

async fn look(outbox: &Outbox, servers: &Servers) -> Result<(), StoreError> {
    let mut rows = outbox.unfinished().await?;
    loop {
        let page = rows.mend_page(PAGE).await?;
        if page.changed > 0 {
            // Some of them are due.
            servers.wake.now();
        }
        if page.read < PAGE {
            return Ok(());
        }
        tokio::time::sleep(PAGE_TIME).await;
    }
}
