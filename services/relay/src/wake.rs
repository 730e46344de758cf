//! When the sweep looks again before `RELAY_SWEEP_INTERVAL` has passed.
//!
//! It looks at once when somebody asks for it, and when a row becomes due that this
//! relay has given back. Without the second, a row that is due again after half a
//! second would wait for the whole interval. The times are kept in memory alone: the
//! rows of a relay that dies wait for the next sweep of any relay.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use onboard_runtime::Shutdown;
use tokio::sync::Notify;
use tokio::time::Instant;

/// Times are rounded up to this, so that rows given back together cost one look.
const STEP: Duration = Duration::from_millis(100);
/// The longest sweep interval: a sweep finds what becomes due later than this. So no
/// more than 600 times are kept.
const KEPT_MAX: Duration = Duration::from_mins(1);

/// The times at which the sweep is to look.
#[derive(Debug)]
pub(crate) struct Wake {
    begun: Instant,
    /// Since `begun`, in steps; zero means at once.
    times: Mutex<BTreeSet<u32>>,
    added: Notify,
}

impl Wake {
    pub(crate) fn new() -> Self {
        Self { begun: Instant::now(), times: Mutex::default(), added: Notify::new() }
    }

    /// The sweep looks at once.
    pub(crate) fn now(&self) {
        self.add(0);
    }

    /// The sweep looks when `wait` has passed, at most [`STEP`] later.
    pub(crate) fn after(&self, wait: Duration) {
        if wait <= KEPT_MAX {
            let steps = (self.begun.elapsed() + wait).as_millis().div_ceil(STEP.as_millis());
            self.add(u32::try_from(steps).unwrap_or(u32::MAX));
        }
    }

    /// Waits until one of the times has come, and for `interval` at most; false when
    /// the shutdown came first.
    pub(crate) async fn wait(&self, interval: Duration, shutdown: &Shutdown) -> bool {
        let end = Instant::now() + interval;
        loop {
            // Taken before the times are read, so none is added unnoticed.
            let added = self.added.notified();
            let until = self.next().map_or(end, |next| next.min(end));
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                self.forget_past();
                return !shutdown.has_begun();
            }
            if !shutdown.sleep_or(left, added).await {
                return false;
            }
        }
    }

    fn add(&self, steps: u32) {
        if self.lock().insert(steps) {
            self.added.notify_one();
        }
    }

    fn next(&self) -> Option<Instant> {
        self.lock().first().map(|steps| self.begun + STEP * *steps)
    }

    /// One look finds all that is due by now.
    fn forget_past(&self) {
        let now = self.begun.elapsed();
        self.lock().retain(|steps| STEP * *steps > now);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<u32>> {
        self.times.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_mins(1);

    /// How long a wait took, in steps.
    async fn waited(wake: &Wake) -> u128 {
        let begun = Instant::now();
        assert!(wake.wait(INTERVAL, &Shutdown::new()).await);
        begun.elapsed().as_millis() / STEP.as_millis()
    }

    #[tokio::test(start_paused = true)]
    async fn each_time_ends_one_wait_and_the_interval_ends_the_others() {
        let wake = Wake::new();
        wake.after(STEP * 300);
        for _ in 0..8 {
            wake.after(STEP * 5);
            wake.now();
        }
        wake.after(Duration::from_hours(1));
        assert_eq!(waited(&wake).await, 0, "somebody asked for a look");
        assert_eq!(waited(&wake).await, 5, "rows given back together are due");
        assert_eq!(waited(&wake).await, 295, "a row given back alone is due");
        assert_eq!(waited(&wake).await, 600, "the interval has passed");
    }

    #[tokio::test(start_paused = true)]
    async fn a_time_that_is_added_shortens_the_wait_that_goes_on() {
        let wake = Wake::new();
        let (waited, ()) = tokio::join!(waited(&wake), async {
            tokio::time::sleep(STEP).await;
            wake.after(STEP * 2);
        });
        assert_eq!(waited, 3);
    }

    #[tokio::test(start_paused = true)]
    async fn the_shutdown_ends_the_wait() {
        let (wake, shutdown) = (Wake::new(), Shutdown::new());
        let (waited, ()) = tokio::join!(wake.wait(INTERVAL, &shutdown), async { shutdown.begin() });
        assert!(!waited);
        assert!(!wake.wait(INTERVAL, &shutdown).await);
    }
}
