//! Rows as the change stream tells of them: the quick way.
//!
//! Those of this relay's share wait in a channel and go on to be started, without a write:
//! nobody else starts them, and a second start would be harmless. When the channel is full
//! the row is let go and the sweep is told to look. A crash loses nothing: the rows are due.

use std::sync::Arc;
use std::time::Duration;

use onboard_outbox::Inserted;
use onboard_runtime::Shutdown;
use onboard_temporal::Temporal;
use tokio::sync::mpsc::{Receiver, Sender};

use crate::held::{Held, Row};
use crate::room::Room;
use crate::servers::Servers;
use crate::share::Share;

/// Rows that wait to be started.
pub(crate) const WAITING_MAX: usize = 256;

/// After this the majority has what was inserted: a look before that may miss it, and the
/// stream that was opened since does not tell of it.
const COMMITTED: Duration = Duration::from_secs(1);

/// Takes what the change stream says.
#[derive(Debug)]
pub(crate) struct Accept {
    pub(crate) held: Held,
    pub(crate) share: Share,
    pub(crate) room: Arc<Room>,
    pub(crate) servers: Arc<Servers>,
    /// To [`run`].
    pub(crate) handed: Sender<Row>,
}

impl Accept {
    pub(crate) fn accept(&self, inserted: Inserted) {
        let wake = &self.servers.wake;
        match inserted {
            Inserted::Something => {
                wake.now();
                wake.after(COMMITTED);
            }
            Inserted::Lost { history } => {
                let cause = if history { "history" } else { "other" };
                metrics::counter!("relay_change_stream_lost_total", "cause" => cause).increment(1);
            }
            // Another relay is told the same.
            Inserted::Row(due) if !self.share.has(due.event_id) => (),
            // It waits with the others until there is room.
            Inserted::Row(_) if self.room.is_full() => wake.now(),
            Inserted::Row(due) => {
                // In hand from now on, unless the sweep was quicker.
                let Some(row) = self.held.take(due) else { return };
                if self.handed.try_send(row).is_err() {
                    metrics::counter!("relay_hand_over_full_total").increment(1);
                    wake.now();
                }
            }
        }
    }
}

/// Passes on what was handed over, until the shutdown.
pub(crate) async fn run(
    temporal: Temporal,
    mut handed: Receiver<Row>,
    ready: Sender<Row>,
    shutdown: Shutdown,
) {
    // Nothing is taken while Temporal has never been reached.
    if temporal.connected(&shutdown).await.is_none() {
        return;
    }
    while let Some(Some(row)) = shutdown.or(handed.recv()).await {
        metrics::counter!("relay_rows_claimed_total", "found" => "handed_over").increment(1);
        if ready.send(row).await.is_err() {
            return;
        }
    }
}

/// Looks at the outbox when the relays have changed, until the shutdown: rows that a relay
/// has left may be this one's.
pub(crate) async fn look_at_changes(mut share: Share, servers: Arc<Servers>, shutdown: Shutdown) {
    while shutdown.or(share.changed()).await == Some(true) {
        servers.wake.now();
    }
}
