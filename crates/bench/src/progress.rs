//! The line a person reads meanwhile: what, how much of it, how long yet.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Work of which so much is done.
#[derive(Debug)]
pub(crate) struct Progress {
    what: &'static str,
    total: u64,
    done: AtomicU64,
    begun: Instant,
}

impl Progress {
    /// Nothing of `total` is done. `what` has at most 40 letters.
    pub(crate) fn new(what: &'static str, total: u64) -> Self {
        Self { what, total, done: AtomicU64::new(0), begun: Instant::now() }
    }

    /// One more is done.
    pub(crate) fn one(&self) {
        self.done.fetch_add(1, Ordering::Relaxed);
    }

    /// So many are not.
    pub(crate) fn left(&self, left: u64) {
        self.done.store(self.total.saturating_sub(left), Ordering::Relaxed);
    }

    /// At most 80 letters.
    pub(crate) fn line(&self) -> String {
        let done = self.done.load(Ordering::Relaxed).min(self.total);
        let Self { what, total, begun, .. } = self;
        match time_left(begun.elapsed(), done, *total) {
            Some(left) => {
                let (min, s) = (left.as_secs() / 60, left.as_secs() % 60);
                format!("{what}: {done} of {total}, {min:02}:{s:02} left")
            }
            None => format!("{what}: {done} of {total}"),
        }
    }
}

/// As long as it has taken so far for each; `None` before the first.
fn time_left(elapsed: Duration, done: u64, total: u64) -> Option<Duration> {
    let done = u32::try_from(done).ok().filter(|done| *done > 0)?;
    let left = u32::try_from(total).ok()?.saturating_sub(done);
    Some(elapsed.checked_mul(left)? / done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_how_much_and_how_long_and_fits_a_terminal() {
        let progress = Progress::new("history: inserting rows that are finished", 1_000_000);
        assert!(progress.line().ends_with("0 of 1000000"), "{}", progress.line());
        progress.left(400_000);
        progress.one();
        let line = progress.line();
        assert!(line.contains("600001 of 1000000, 00:00 left") && line.len() <= 80, "{line}");
        let second = Duration::from_secs(1);
        assert_eq!(time_left(second * 10, 25, 100), Some(second * 30));
        assert_eq!(time_left(second, 0, 100), None);
    }
}
