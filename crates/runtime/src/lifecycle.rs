//! How a process stops: the first signal drains, a second one aborts.

use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::exit;

/// Tells everything that it is time to stop.
#[derive(Debug, Clone, Default)]
pub struct Shutdown(CancellationToken);

impl Shutdown {
    /// One that nobody has asked for yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks everything to stop.
    pub fn begin(&self) {
        self.0.cancel();
    }

    /// Whether stopping has begun.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Waits until stopping begins.
    pub async fn begun(&self) {
        self.0.cancelled().await;
    }

    /// Waits for `wait`; false when stopping began first.
    pub async fn sleep(&self, wait: Duration) -> bool {
        tokio::select! {
            () = self.0.cancelled() => false,
            () = tokio::time::sleep(wait) => true,
        }
    }

    /// Waits for `wait`, or less when `wake` ends first; false when stopping
    /// began first.
    pub async fn sleep_or(&self, wait: Duration, wake: impl Future<Output = ()>) -> bool {
        self.or(tokio::time::timeout(wait, wake)).await.is_some()
    }

    /// Runs the future to its end, unless stopping begins first.
    pub async fn or<F: Future>(&self, future: F) -> Option<F::Output> {
        self.0.run_until_cancelled(future).await
    }
}

/// The background tasks of a process. A task that panics stops the process:
/// a supervisor restarts it whole instead of leaving it half alive.
#[derive(Debug, Clone)]
pub struct Tasks {
    tracker: TaskTracker,
    shutdown: Shutdown,
}

impl Tasks {
    /// No tasks yet.
    #[must_use]
    pub fn new(shutdown: Shutdown) -> Self {
        Self { tracker: TaskTracker::new(), shutdown }
    }

    /// Runs a task until it ends; it must end soon after the shutdown begins.
    pub fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let shutdown = self.shutdown.clone();
        let running = self.tracker.spawn(task);
        self.tracker.spawn(async move {
            if let Err(error) = running.await {
                tracing::error!(task = name, %error, "a background task died; stopping");
                shutdown.begin();
            }
        });
    }

    /// Waits for the shutdown, then for all tasks to end; false when some did
    /// not within `deadline`.
    pub async fn drained(&self, deadline: Duration) -> bool {
        self.shutdown.begun().await;
        self.drain(deadline).await
    }

    /// Waits for all tasks to end; false when some did not within `deadline`.
    pub async fn drain(&self, deadline: Duration) -> bool {
        self.tracker.close();
        tokio::time::timeout(deadline, self.tracker.wait()).await.is_ok()
    }
}

/// Begins the shutdown at the first SIGINT or SIGTERM and ends the process at
/// the second.
///
/// # Errors
/// The signal handlers cannot be installed.
pub fn listen_for_signals(tasks: &Tasks) -> std::io::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let shutdown = tasks.shutdown.clone();
    #[expect(clippy::disallowed_methods, reason = "it outlives the drain that Tasks waits for")]
    tokio::spawn(async move {
        tokio::select! { _ = interrupt.recv() => (), _ = terminate.recv() => () }
        tracing::info!("stopping; a second signal ends at once");
        shutdown.begin();
        tokio::select! { _ = interrupt.recv() => (), _ = terminate.recv() => () }
        std::process::exit(i32::from(exit::NO));
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panicking_task_stops_the_process() {
        let shutdown = Shutdown::new();
        let tasks = Tasks::new(shutdown.clone());
        tasks.spawn("doomed", async { panic!("on purpose") });
        shutdown.begun().await;
        assert!(tasks.drain(Duration::from_secs(1)).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_drain_that_takes_too_long_says_so() {
        let tasks = Tasks::new(Shutdown::new());
        tasks.spawn("stuck", std::future::pending());
        assert!(!tasks.drain(Duration::from_secs(1)).await);
    }
}
