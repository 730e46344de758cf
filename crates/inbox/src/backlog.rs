//! Whether more waits to be acknowledged than the acknowledger has at hand.
//!
//! As long as that is so, everything is left to the inbox, from which the sweep
//! takes it at Temporal's speed; memory holds none of it. An acknowledgement that is left while
//! this says "behind" belongs to a committed record, so a look into the inbox that begins
//! after [`Backlog::caught_up`] finds it. Lost with the process: the sweep finds
//! all of it by its age.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// Shared by those who hand over and those who send.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    behind: AtomicBool,
    fell: Notify,
}

impl Backlog {
    pub(crate) fn is_behind(&self) -> bool {
        self.behind.load(Ordering::SeqCst)
    }

    /// Something does not fit any more: the sweep begins at once.
    pub(crate) fn fall_behind(&self) {
        if !self.behind.swap(true, Ordering::SeqCst) {
            self.fell.notify_one();
        }
    }

    /// The inbox was worked through; what is handed over from now on fits.
    pub(crate) fn caught_up(&self) {
        self.behind.store(false, Ordering::SeqCst);
    }

    /// Waits until it has fallen behind.
    pub(crate) async fn fell(&self) {
        self.fell.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn falling_behind_is_heard_later_and_each_time_anew() {
        let backlog = Backlog::default();
        for _ in 0..2 {
            backlog.fall_behind();
            backlog.fall_behind();
            backlog.fell().await;
            assert!(backlog.is_behind());
            backlog.caught_up();
            assert!(!backlog.is_behind());
        }
        let heard = tokio::time::timeout(std::time::Duration::ZERO, backlog.fell()).await;
        assert!(heard.is_err(), "once each time");
    }
}
