//! Whether a client may learn that an address is taken.

use std::time::Duration;

use tokio::time::Instant;

/// How a taken address is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// It is told.
    Explicit,
    /// It looks like a free one, in its words and its time.
    Silent {
        /// Answers leave at multiples of this, counted from the request.
        quantum: Duration,
    },
}

impl Mode {
    /// Does the work, and gives its result when the mode lets it out: whatever
    /// it is, so that its kind does not show in its time.
    pub(super) async fn hold<T>(self, work: impl Future<Output = T>) -> T {
        let began = Instant::now();
        let done = work.await;
        match self {
            Self::Explicit => (),
            Self::Silent { quantum } => {
                tokio::time::sleep_until(began + next_multiple(began.elapsed(), quantum)).await;
            }
        }
        done
    }
}

/// The first multiple of the quantum that is not over yet, and at least one.
fn next_multiple(elapsed: Duration, quantum: Duration) -> Duration {
    let count = elapsed.as_nanos().div_ceil(quantum.as_nanos().max(1)).max(1);
    quantum.saturating_mul(u32::try_from(count).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUANTUM: Duration = Duration::from_millis(500);

    #[test]
    fn answers_leave_at_multiples() {
        for (elapsed_ms, leaves_ms) in
            [(0, 500), (1, 500), (499, 500), (500, 500), (501, 1000), (1400, 1500)]
        {
            let leaves = next_multiple(Duration::from_millis(elapsed_ms), QUANTUM);
            assert_eq!(leaves, Duration::from_millis(leaves_ms), "{elapsed_ms}");
        }
        assert_eq!(next_multiple(Duration::MAX, Duration::MAX), Duration::MAX);
    }

    #[tokio::test(start_paused = true)]
    async fn silence_takes_the_same_time_whatever_the_work_took() {
        for work_ms in [0, 3, 120, 499] {
            let began = Instant::now();
            let work = tokio::time::sleep(Duration::from_millis(work_ms));
            Mode::Silent { quantum: QUANTUM }.hold(work).await;
            assert_eq!(began.elapsed(), QUANTUM, "{work_ms} ms");
        }
        let began = Instant::now();
        Mode::Explicit.hold(tokio::time::sleep(Duration::from_millis(3))).await;
        assert_eq!(began.elapsed(), Duration::from_millis(3));
    }
}
