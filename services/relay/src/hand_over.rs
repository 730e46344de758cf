//! Rows as the change stream tells of them: the quick way.
//!
//! They wait in a channel, are claimed together, as many as have gathered
//! during the claim before, and go on to be started. When the channel is full
//! the row is let go and the sweep is told to look. A crash loses nothing: a
//! row not claimed is due, a claimed one becomes due again.

use std::sync::Arc;

use onboard_outbox::{Inserted, Written};
use onboard_runtime::Shutdown;
use onboard_temporal::Temporal;
use tokio::sync::mpsc::{Receiver, Sender};

use crate::claim::Claims;
use crate::held::{Held, Row};
use crate::room::Room;
use crate::servers::Servers;

/// Rows that wait to be claimed.
pub(crate) const WAITING_MAX: usize = 256;

/// Takes what the change stream says.
#[derive(Debug)]
pub(crate) struct Accept {
    pub(crate) held: Held,
    pub(crate) room: Arc<Room>,
    pub(crate) servers: Arc<Servers>,
    /// To [`run`].
    pub(crate) handed: Sender<Row>,
}

impl Accept {
    pub(crate) fn accept(&self, inserted: Inserted) {
        let wake = &self.servers.wake;
        match inserted {
            Inserted::Something => wake.now(),
            Inserted::Lost { history } => {
                let cause = if history { "history" } else { "other" };
                metrics::counter!("relay_change_stream_lost_total", "cause" => cause).increment(1);
            }
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

/// Claims what was handed over, until the shutdown.
pub(crate) async fn run(
    (temporal, claims): (Temporal, Claims),
    mut handed: Receiver<Row>,
    claimed: Sender<Row>,
    shutdown: Shutdown,
) {
    let mut rows = Vec::new();
    let pause = &claims.servers.pause;
    // Nothing is claimed while Temporal has never been reached.
    if temporal.connected(&shutdown).await.is_none() {
        return;
    }
    while pause.over(&shutdown).await {
        let most = claims.most();
        match shutdown.or(handed.recv_many(&mut rows, most)).await {
            None | Some(0) => return,
            // A pause may have begun meanwhile.
            Some(_) if !pause.over(&shutdown).await => return,
            Some(_) => (),
        }
        // The primary's word will do: it is quick, and a lost claim is harmless.
        let taken = std::mem::take(&mut rows);
        let Ok(ours) = claims.claim(taken, Written::Primary).await else { continue };
        metrics::counter!("relay_rows_claimed_total", "found" => "handed_over")
            .increment(ours.len() as u64);
        for row in ours {
            if claimed.send(row).await.is_err() {
                return;
            }
        }
    }
}
