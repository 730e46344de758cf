//! Durations and their percentiles.

use std::time::Duration;

/// A bag of measured durations.
#[derive(Debug, Default, Clone)]
pub(crate) struct Samples {
    all: Vec<Duration>,
}

impl Samples {
    pub(crate) fn push(&mut self, one: Duration) {
        self.all.push(one);
    }

    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    /// The smallest sample that at least `share` (0 to 1) of all do not exceed,
    /// in ms; not a number when there are none.
    pub(crate) fn ms(&self, share: f64) -> f64 {
        let mut sorted = self.all.clone();
        sorted.sort_unstable();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a count of samples"
        )]
        let rank = (sorted.len() as f64 * share).ceil() as usize;
        sorted.get(rank.saturating_sub(1)).map_or(f64::NAN, |one| one.as_secs_f64() * 1_000.0)
    }
}

impl FromIterator<Duration> for Samples {
    fn from_iter<T: IntoIterator<Item = Duration>>(all: T) -> Self {
        Self { all: all.into_iter().collect() }
    }
}

/// How many a second.
pub(crate) fn rate(count: u64, time: Duration) -> f64 {
    as_float(count) / time.as_secs_f64()
}

/// Counts and bytes stop far below what a float holds exactly.
#[expect(clippy::cast_precision_loss, reason = "they stop far below 2^52")]
pub(crate) fn as_float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_samples() {
        let samples: Samples = (1..=100).map(Duration::from_millis).collect();
        let shares = [0.5, 0.99, 1.0, 0.0].map(|share| samples.ms(share));
        assert!(shares.iter().zip([50.0, 99.0, 100.0, 1.0]).all(|(a, b)| (a - b).abs() < 1e-9));
        assert!(Samples::default().ms(0.5).is_nan());
        assert!((rate(50, Duration::from_millis(500)) - 100.0).abs() < 1e-9);
    }
}
