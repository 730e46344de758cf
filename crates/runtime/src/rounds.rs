//! Work that a task repeats until the shutdown begins.
//!
//! One round runs at a time, and the wait for the next begins when it has ended.
//! The shutdown ends a wait and cuts off a round, so the work must bear to be
//! left unfinished. Nothing survives the process: a new one begins with its
//! first round.

use std::time::Duration;

use crate::{Backoff, Shutdown};

/// The rounds of one task.
#[derive(Debug)]
pub struct Rounds {
    every: Duration,
    shutdown: Shutdown,
    jittered: bool,
    waits: bool,
}

impl Rounds {
    /// The first round begins at once, each other `every` after the end of the
    /// one before it.
    #[must_use]
    pub const fn new(every: Duration, shutdown: Shutdown) -> Self {
        Self { every, shutdown, jittered: false, waits: false }
    }

    /// The first round waits, too.
    #[must_use]
    pub const fn after_a_wait(mut self) -> Self {
        self.waits = true;
        self
    }

    /// Each wait is between half and the whole of `every`, so that processes
    /// that start together do not work at the same time.
    #[must_use]
    pub const fn jittered(mut self) -> Self {
        self.jittered = true;
        self
    }

    /// Waits for the next round and runs `work` in it; `None` when the shutdown
    /// came first.
    pub fn next<F: Future>(&mut self, work: F) -> impl Future<Output = Option<F::Output>> {
        self.next_woken(std::future::pending(), work)
    }

    /// Like [`Rounds::next`], but `wake` ends the wait early.
    pub fn next_woken<W, F>(&mut self, wake: W, work: F) -> impl Future<Output = Option<F::Output>>
    where
        W: Future<Output = ()>,
        F: Future,
    {
        // Boxed, or the future of the task would hold it several times.
        let work = Box::pin(work);
        async move {
            let wait = self.wait();
            if self.waits && !self.shutdown.sleep_or(wait, wake).await {
                return None;
            }
            self.waits = true;
            self.shutdown.or(work).await
        }
    }

    fn wait(&self) -> Duration {
        if self.jittered { Backoff::after(self.every, self.every, 0) } else { self.every }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Availability;
    use std::future::pending;
    use std::io;
    use tokio::sync::Notify;
    use tokio::time::Instant;

    const EVERY: Duration = Duration::from_secs(10);
    /// The precision of tokio's timers, and something over.
    const PRECISION: Duration = Duration::from_millis(5);

    #[tokio::test(start_paused = true)]
    async fn the_first_round_begins_at_once_and_each_other_after_the_interval() {
        let (mut rounds, begun) = (Rounds::new(EVERY, Shutdown::new()), Instant::now());
        let mut ended_at = Vec::new();
        for _ in 0..3 {
            rounds.next(async { tokio::time::sleep(Duration::from_secs(1)).await }).await.unwrap();
            ended_at.push(begun.elapsed().as_secs());
        }
        assert_eq!(ended_at, [1, 12, 23]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_jittered_wait_is_between_half_and_the_whole() {
        let mut rounds = Rounds::new(EVERY, Shutdown::new()).after_a_wait().jittered();
        for _ in 0..8 {
            let begun = Instant::now();
            rounds.next(async {}).await.unwrap();
            let waited = begun.elapsed();
            assert!(waited >= EVERY / 2 && waited <= EVERY + PRECISION, "{waited:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_wake_ends_one_wait() {
        let (mut rounds, wake) =
            (Rounds::new(EVERY, Shutdown::new()).after_a_wait(), Notify::new());
        wake.notify_one();
        let begun = Instant::now();
        rounds.next_woken(wake.notified(), async {}).await.unwrap();
        assert!(begun.elapsed() <= PRECISION, "woken");
        rounds.next_woken(wake.notified(), async {}).await.unwrap();
        assert!(begun.elapsed() >= EVERY, "nobody woke it again");
    }

    #[tokio::test(start_paused = true)]
    async fn the_shutdown_ends_a_round_and_a_wait_and_nothing_begins_after_it() {
        for waits in [false, true] {
            let (shutdown, begun) = (Shutdown::new(), Instant::now());
            let rounds = Rounds::new(EVERY, shutdown.clone());
            let mut rounds = if waits { rounds.after_a_wait() } else { rounds };
            let (cut_off, ()) =
                tokio::join!(rounds.next(pending::<()>()), async { shutdown.begin() });
            assert!(cut_off.is_none() && begun.elapsed() <= PRECISION);
            assert!(rounds.next(async {}).await.is_none());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn of_rounds_that_fail_and_succeed_only_the_changes_are_reported() {
        let (mut rounds, server) =
            (Rounds::new(EVERY, Shutdown::new()), Availability::new("mongo"));
        let mut changes = Vec::new();
        for answers in [true, false, false, true, true] {
            let work = async { if answers { Ok(()) } else { Err(io::Error::other("refused")) } };
            let (was_up, tried) = (server.is_up(), rounds.next(work).await.unwrap());
            assert_eq!(server.report(tried).is_ok(), answers, "the outcome is handed on");
            changes.push((was_up, server.is_up()));
        }
        let (up, down) = (true, false);
        assert_eq!(changes, [(up, up), (up, down), (down, down), (down, up), (up, up)]);
    }
}
