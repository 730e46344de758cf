//! The rows that MongoDB refuses to change: neither the relay's claim nor its quarantine
//! can be written. Each is left alone for a while after a refusal, since a refused row
//! costs a command of its own at every look. A new process tries each again.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use onboard_runtime::Waits;

const WAIT_FIRST: Duration = Duration::from_secs(1);
/// Somebody may have mended the row.
const WAIT_MAX: Duration = Duration::from_mins(1);

/// Rows by what they are shown as. Clones share them.
#[derive(Debug, Clone)]
pub(super) struct Immovable(Arc<Mutex<Waits<String>>>);

impl Default for Immovable {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Waits::new(WAIT_FIRST, WAIT_MAX))))
    }
}

impl Immovable {
    /// Whether the row is left alone.
    pub(super) fn waits(&self, shown: &str) -> bool {
        self.with(|waits| waits.holds(&shown.to_owned()))
    }

    /// MongoDB has refused to change the row.
    pub(super) fn refused(&self, shown: &str) {
        self.with(|waits| waits.failed(shown.to_owned()));
    }

    fn with<T>(&self, look: impl FnOnce(&mut Waits<String>) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
