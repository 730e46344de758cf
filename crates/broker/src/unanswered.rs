//! Publishes in a row that RabbitMQ did not confirm in time.
//!
//! A connection may answer heartbeats and confirm nothing: its node is stuck behind
//! another one. After a few of them the publisher connects anew. Lost with the process,
//! which begins with a new connection.

use std::sync::{Mutex, PoisonError};

use tokio::time::Instant;

/// How many are in a row when the connection is given up.
const IN_A_ROW_MAX: u32 = 3;

/// Counts them; those that waited side by side count once.
#[derive(Debug)]
pub(crate) struct Unanswered(Mutex<Row>);

#[derive(Debug)]
struct Row {
    count: u32,
    /// When the last one that counted timed out.
    last: Option<Instant>,
}

impl Unanswered {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(Row { count: 0, last: None }))
    }

    /// RabbitMQ has answered a publish.
    pub(crate) fn answered(&self) {
        self.lock().count = 0;
    }

    /// A publish that began then has timed out; whether the connection is to be given
    /// up.
    pub(crate) fn timed_out(&self, began: Instant) -> bool {
        let mut row = self.lock();
        if row.last.is_some_and(|last| began < last) {
            return false;
        }
        row.last = Some(Instant::now());
        row.count = (row.count + 1) % IN_A_ROW_MAX;
        row.count == 0
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Row> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    async fn time_out(unanswered: &Unanswered) -> bool {
        let began = Instant::now();
        tokio::time::advance(Duration::from_secs(5)).await;
        unanswered.timed_out(began)
    }

    #[tokio::test(start_paused = true)]
    async fn three_in_a_row_end_a_connection_each_time_anew() {
        let unanswered = Unanswered::new();
        for _ in 0..2 {
            assert!(!time_out(&unanswered).await && !time_out(&unanswered).await);
            assert!(time_out(&unanswered).await);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_in_between_and_neighbours_do_not_count() {
        let unanswered = Unanswered::new();
        for _ in 0..3 {
            assert!(!time_out(&unanswered).await && !time_out(&unanswered).await);
            unanswered.answered();
        }
        let began = Instant::now();
        tokio::time::advance(Duration::from_secs(5)).await;
        let ended = (0..64).filter(|_| unanswered.timed_out(began)).count();
        assert_eq!(ended, 0, "64 that waited side by side are one");
    }
}
