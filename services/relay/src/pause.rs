//! The relay as a whole holds back while a server is away: nothing is claimed
//! and nothing started until the pause is over.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use onboard_runtime::{Backoff, Shutdown};
use tokio::time::Instant;

/// Pauses that grow until something succeeds.
#[derive(Debug)]
pub(crate) struct Pause(Mutex<State>);

#[derive(Debug)]
struct State {
    backoff: Backoff,
    until: Instant,
    in_doubt: bool,
}

impl Pause {
    pub(crate) fn new() -> Self {
        let backoff = Backoff::new(Duration::from_millis(250), Duration::from_secs(5));
        Self(Mutex::new(State { backoff, until: Instant::now(), in_doubt: false }))
    }

    /// A server is away. Those who notice at the same time pause once.
    pub(crate) fn begin(&self) {
        let (mut state, now) = (self.lock(), Instant::now());
        if state.until <= now {
            state.until = now + state.backoff.failed();
        }
        state.in_doubt = true;
    }

    /// A row went all the way.
    pub(crate) fn succeeded(&self) {
        let mut state = self.lock();
        state.backoff.succeeded();
        state.in_doubt = false;
    }

    /// Whether the last try failed. Then no more is begun than can be tried at
    /// once.
    pub(crate) fn in_doubt(&self) -> bool {
        self.lock().in_doubt
    }

    /// Waits until there is no pause; false when the shutdown came first.
    pub(crate) async fn over(&self, shutdown: &Shutdown) -> bool {
        loop {
            let left = self.lock().until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            if !shutdown.sleep(left).await {
                return false;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn failures_at_the_same_time_make_one_pause_and_a_success_forgets_it() {
        let (pause, shutdown) = (Pause::new(), Shutdown::new());
        let begun = Instant::now();
        for _ in 0..8 {
            pause.begin();
        }
        assert!(pause.in_doubt() && pause.over(&shutdown).await);
        let waited = begun.elapsed();
        assert!(waited >= Duration::from_millis(125), "{waited:?}");
        assert!(waited <= Duration::from_millis(260), "one pause, not eight: {waited:?}");
        pause.succeeded();
        assert!(!pause.in_doubt());
    }

    #[tokio::test(start_paused = true)]
    async fn a_shutdown_ends_the_wait() {
        let (pause, shutdown) = (Pause::new(), Shutdown::new());
        pause.begin();
        shutdown.begin();
        assert!(!pause.over(&shutdown).await);
    }
}
