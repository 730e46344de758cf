//! What the relay does while Temporal or MongoDB does not answer: it holds back as a
//! whole, and looks at the outbox again. Each stop says here what it has met. The
//! state dies with the process; a new one meets the same.

use std::time::Duration;

use onboard_runtime::Availability;
use onboard_runtime::availability::chain;
use onboard_store::StoreError;
use onboard_store::outbox::claim::LEASE_JITTER;

use crate::pause::Pause;
use crate::wake::Wake;

/// The servers, as the stops have met them.
#[derive(Debug)]
pub(crate) struct Servers {
    pub(crate) pause: Pause,
    pub(crate) wake: Wake,
    /// Apart from reading: MongoDB may allow the one and refuse the other.
    writing: Availability,
    claim_lease: Duration,
}

impl Servers {
    pub(crate) fn new(claim_lease: Duration) -> Self {
        let writing = Availability::new("mongo (writing)");
        Self { pause: Pause::new(), wake: Wake::new(), writing, claim_lease }
    }

    /// A server is away: holds everything back for a while, then looks.
    pub(crate) fn away(&self) {
        self.pause.begin();
        self.wake.now();
    }

    /// MongoDB does not write. A claim's lease runs out by itself, and the sweep looks
    /// then. A refusal is no different: a row that breaks the validator may still be
    /// updated, so it concerns all rows alike.
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
