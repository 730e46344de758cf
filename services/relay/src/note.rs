//! Notes the starts on the rows, many with one update, and out of the way of
//! the next start.
//!
//! A start is noted when its row is not SENT a while later. Most are SENT by then, which
//! says more and leaves nothing to write; nobody waits for the others, and the starts count
//! in memory meanwhile (`room`). A crash before the note leaves the row due, or lets it
//! become due again, and its workflow is found there.

use std::sync::Arc;
use std::time::Duration;

use onboard_outbox::Outbox;
use onboard_runtime::Shutdown;
use tokio::sync::mpsc::Receiver;
use tokio::time::Instant;

use crate::held::Row;
use crate::room::Place;
use crate::servers::Servers;

/// When a row that is started but not SENT is looked at again: its workflow
/// may have been lost with Temporal's database.
const RECHECK: Duration = Duration::from_mins(5);
/// How long after its start a row is noted: a workflow takes some 20 ms to SENT when all
/// is well.
const NOTED_AFTER: Duration = Duration::from_secs(1);
/// So much earlier a row is noted together with another one.
const GATHER: Duration = Duration::from_millis(100);
/// Rows noted at once.
const GROUP: usize = 128;
/// Started rows that wait for their note; then the starts wait too.
pub(crate) const WAITING_MAX: usize = 1_024;

/// A row whose workflow was started.
#[derive(Debug)]
pub(crate) struct Begun {
    row: Row,
    at: Instant,
    /// Kept until the note is written.
    _place: Place,
}

impl Begun {
    pub(crate) fn now(row: Row, place: Place) -> Self {
        Self { row, at: Instant::now(), _place: place }
    }
}

/// Notes until nothing is started any more; without waiting when the shutdown has begun.
pub(crate) async fn run(
    outbox: Outbox,
    servers: Arc<Servers>,
    mut started: Receiver<Begun>,
    shutdown: Shutdown,
) {
    let mut rows = Vec::with_capacity(GROUP);
    let mut kept = None;
    while let Some(first) = next(&mut kept, &mut started).await {
        shutdown.sleep(NOTED_AFTER.saturating_sub(first.at.elapsed())).await;
        rows.push(first);
        while rows.len() < GROUP
            && let Ok(begun) = started.try_recv()
        {
            if begun.at.elapsed() + GATHER < NOTED_AFTER && !shutdown.has_begun() {
                kept = Some(begun);
                break;
            }
            rows.push(begun);
        }
        let events: Vec<_> = rows.iter().map(|begun| begun.row.due.event_id).collect();
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

async fn next(kept: &mut Option<Begun>, started: &mut Receiver<Begun>) -> Option<Begun> {
    match kept.take() {
        Some(begun) => Some(begun),
        None => started.recv().await,
    }
}
