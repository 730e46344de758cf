//! Capped exponential back-off with jitter.

use std::time::Duration;

use crate::{Shutdown, clock};

/// Doubles from `first` to `cap`; each wait is between half and the whole of
/// its step, so that many that fail together do not come back together.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    cap: Duration,
    failures: u32,
}

impl Backoff {
    /// A back-off that has not failed yet.
    #[must_use]
    pub const fn new(first: Duration, cap: Duration) -> Self {
        Self { first, cap, failures: 0 }
    }

    /// Notes a failure and says how long to wait.
    pub fn failed(&mut self) -> Duration {
        let wait = Self::after(self.first, self.cap, self.failures);
        self.failures = self.failures.saturating_add(1);
        wait
    }

    /// Forgets the failures.
    pub const fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// Tries until a try gives something, with these waits between the tries; `None`
    /// when the shutdown came first. A try that has begun is not cut off.
    pub async fn until<T, F>(mut self, shutdown: &Shutdown, attempt: impl Fn() -> F) -> Option<T>
    where
        F: Future<Output = Option<T>>,
    {
        loop {
            if let Some(done) = attempt().await {
                return Some(done);
            }
            if !shutdown.sleep(self.failed()).await {
                return None;
            }
        }
    }

    /// The jittered wait after `failures` earlier ones.
    #[must_use]
    pub fn after(first: Duration, cap: Duration, failures: u32) -> Duration {
        let step = first.saturating_mul(2_u32.saturating_pow(failures.min(30))).min(cap);
        step.mul_f64(0.5 + clock::jitter() / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn waits_grow_to_the_cap_and_start_again_after_a_success() {
        let second = Duration::from_secs(1);
        let mut backoff = Backoff::new(second, second * 8);
        for step in [1, 2, 4, 8, 8, 8] {
            let wait = backoff.failed();
            assert!(wait >= second * step / 2 && wait <= second * step, "{step}: {wait:?}");
        }
        backoff.succeeded();
        assert!(backoff.failed() <= second);
    }

    #[tokio::test(start_paused = true)]
    async fn tries_go_on_until_one_gives_something_or_the_shutdown_begins() {
        let (second, shutdown, tries) = (Duration::from_secs(1), Shutdown::new(), Cell::new(0));
        let third = || async {
            tries.set(tries.get() + 1);
            (tries.get() == 3).then_some("done")
        };
        assert_eq!(Backoff::new(second, second).until(&shutdown, third).await, Some("done"));
        let never = || async { None::<()> };
        let stopped = async { shutdown.begin() };
        let (given, ()) =
            tokio::join!(Backoff::new(second, second).until(&shutdown, never), stopped);
        assert_eq!((given, tries.get()), (None, 3));
    }
}
