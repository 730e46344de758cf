//! Notes the starts on the rows, many with one update, and out of the way of
//! the next start.
//!
//! Starts gather for a moment first. Most are SENT by then, which says more and
//! leaves nothing to write; nobody waits for the others. A crash before the note
//! lets the row become due again, and its workflow is found there.

use std::sync::Arc;
use std::time::Duration;

use onboard_outbox::Outbox;
use tokio::sync::mpsc::Receiver;

use crate::held::Row;
use crate::servers::Servers;

/// When a row that is started but not SENT is looked at again: its workflow
/// may have been lost with Temporal's database.
const RECHECK: Duration = Duration::from_mins(5);
/// How long starts gather: a workflow takes some 20 ms to SENT when all is well.
const GATHER: Duration = Duration::from_millis(100);
/// Rows noted at once.
const GROUP: usize = 128;
/// Started rows that wait for their note; then the starts wait too.
pub(crate) const WAITING_MAX: usize = 256;

/// Notes until nothing is started any more.
pub(crate) async fn run(outbox: Outbox, servers: Arc<Servers>, mut started: Receiver<Row>) {
    let mut rows = Vec::with_capacity(GROUP);
    while let Some(first) = started.recv().await {
        tokio::time::sleep(GATHER).await;
        rows.push(first);
        while rows.len() < GROUP
            && let Ok(row) = started.try_recv()
        {
            rows.push(row);
        }
        let events: Vec<_> = rows.iter().map(|row| row.due.event_id).collect();
        match outbox.mark_started(&events, RECHECK).await {
            Ok(()) => {
                servers.writes();
                servers.pause.succeeded();
            }
            Err(error) => servers.does_not_write(&error),
        }
        // In hand until here: a look must not find what is about to be noted.
        rows.clear();
    }
}
