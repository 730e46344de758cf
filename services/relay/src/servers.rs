//! What the relay does while Temporal or MongoDB does not answer: it holds back as a
//! whole, and looks at the outbox again. Each stop says here what it has met. One row
//! says nothing about a server: Temporal counts as unavailable when the starts of
//! different rows fail one after the other. The state dies with the process; a new one
//! meets the same.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use onboard_contract::EventId;
use onboard_mongo::StoreError;
use onboard_outbox::claim::LEASE_JITTER;
use onboard_runtime::Availability;
use onboard_runtime::availability::chain;

use crate::pause::Pause;
use crate::wake::Wake;

/// So many different rows fail one after the other before a server counts as
/// unavailable.
pub(crate) const DIFFERENT_ROWS: usize = 3;

/// The servers, as the stops have met them.
#[derive(Debug)]
pub(crate) struct Servers {
    pub(crate) pause: Pause,
    pub(crate) wake: Wake,
    /// Apart from reading: MongoDB may allow the one and refuse the other.
    writing: Availability,
    claim_lease: Duration,
    /// The rows that Temporal has not answered since it answered for one.
    unanswered: Mutex<HashSet<EventId>>,
}

impl Servers {
    pub(crate) fn new(claim_lease: Duration) -> Self {
        let writing = Availability::new("mongo (writing)");
        let unanswered = Mutex::default();
        Self { pause: Pause::new(), wake: Wake::new(), writing, claim_lease, unanswered }
    }

    /// Temporal has not answered the start of this row. The relay as a whole holds back
    /// when that is so of several rows.
    pub(crate) fn does_not_answer(&self, row: EventId) {
        let mut rows = self.unanswered();
        rows.insert(row);
        if rows.len() >= DIFFERENT_ROWS {
            rows.clear();
            drop(rows);
            self.away();
        }
    }

    /// Temporal has answered the start of a row.
    pub(crate) fn answers(&self) {
        self.unanswered().clear();
    }

    fn unanswered(&self) -> MutexGuard<'_, HashSet<EventId>> {
        self.unanswered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A server is away: holds everything back for a while, then looks.
    fn away(&self) {
        self.pause.begin();
        self.wake.now();
    }

    /// MongoDB does not write. A claim's lease runs out by itself, and the sweep looks
    /// then. A refusal that is said here is no different: it concerns all rows alike.
    pub(crate) fn does_not_write(&self, error: &StoreError) {
        self.writing.down(&chain(error));
        self.away();
        self.wake.after(self.claim_lease + LEASE_JITTER);
    }

    /// MongoDB has written.
    pub(crate) fn writes(&self) {
        self.writing.up();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use onboard_runtime::clock;

    fn servers() -> Servers {
        Servers::new(Duration::from_secs(15))
    }

    #[test]
    fn one_row_that_fails_again_and_again_holds_up_nobody() {
        let (servers, row) = (servers(), clock::ordered_id().into());
        for _ in 0..10 {
            servers.does_not_answer(row);
        }
        assert!(!servers.pause.in_doubt());
    }

    #[test]
    fn rows_that_fail_while_others_pass_hold_up_nobody() {
        let servers = servers();
        for _ in 0..10 {
            servers.does_not_answer(clock::ordered_id().into());
            servers.does_not_answer(clock::ordered_id().into());
            servers.answers();
        }
        assert!(!servers.pause.in_doubt());
    }

    #[test]
    fn different_rows_that_fail_in_a_row_make_the_relay_hold_back() {
        let servers = servers();
        for _ in 0..DIFFERENT_ROWS {
            servers.does_not_answer(clock::ordered_id().into());
        }
        assert!(servers.pause.in_doubt());
    }
}
