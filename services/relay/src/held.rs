//! The rows this process has in hand, so that what was handed over is not
//! worked on a second time when the sweep finds it, and the other way round.
//!
//! A row is held from the moment it is handed over or found until its note is written or it is left
//! to become due again; dropping it ends the hold, on whatever way. How many
//! there are is bounded by the channels they are in. The set dies with the
//! process: it saves work and nothing else depends on it.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use onboard_contract::EventId;
use onboard_outbox::Due;

/// The rows in hand.
#[derive(Debug, Clone, Default)]
pub(crate) struct Held(Arc<Mutex<HashSet<EventId>>>);

/// A row in hand.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) due: Due,
    held: Held,
}

impl Held {
    /// Takes the row in hand, unless it is already.
    pub(crate) fn take(&self, due: Due) -> Option<Row> {
        let new = self.lock().insert(due.event_id);
        new.then(|| Row { due, held: self.clone() })
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<EventId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Row {
    fn drop(&mut self) {
        self.held.lock().remove(&self.due.event_id);
    }
}
