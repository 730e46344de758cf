//! Moments by key, for a bounded number of keys.
//!
//! When there are too many, the half with the earliest moments is forgotten.

use std::collections::HashMap;
use std::hash::Hash;

use tokio::time::Instant;

/// The moment of each key.
#[derive(Debug)]
pub struct Recent<K> {
    moments: HashMap<K, Instant>,
    keys_max: usize,
}

impl<K: Hash + Eq> Recent<K> {
    /// For at most so many keys.
    #[must_use]
    pub fn new(keys_max: usize) -> Self {
        Self { moments: HashMap::new(), keys_max }
    }

    /// The moment of a key.
    #[must_use]
    pub fn find(&self, key: &K) -> Option<Instant> {
        self.moments.get(key).copied()
    }

    /// Notes the moment of a key.
    pub fn insert(&mut self, key: K, moment: Instant) {
        if self.moments.len() >= self.keys_max && !self.moments.contains_key(&key) {
            self.forget_half();
        }
        self.moments.insert(key, moment);
    }

    /// Forgets a key.
    pub fn remove(&mut self, key: &K) {
        self.moments.remove(key);
    }

    /// How many keys are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.moments.len()
    }

    /// Whether no key is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.moments.is_empty()
    }

    /// A pass over all keys, once for every half of them that is new.
    fn forget_half(&mut self) {
        let mut moments: Vec<Instant> = self.moments.values().copied().collect();
        let half = moments.len() / 2;
        let (_, median, _) = moments.select_nth_unstable(half);
        let median = *median;
        let kept = self.moments.len() - half.max(1);
        self.moments.retain(|_, moment| *moment >= median);
        // Of those at the median itself only as many go as are needed.
        let mut left = self.moments.len().saturating_sub(kept);
        self.moments.retain(|_, moment| {
            let goes = *moment == median && left > 0;
            left -= usize::from(goes);
            !goes
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_latest_half_is_kept() {
        let (mut recent, now) = (Recent::new(8), Instant::now());
        let at = |second| now + Duration::from_secs(second);
        for key in [3_u64, 7, 1, 5, 8, 2, 6, 4] {
            recent.insert(key, at(key));
        }
        recent.insert(8, at(9));
        assert_eq!(recent.len(), 8, "a known key needs no room");
        recent.insert(9, at(0));
        let mut kept: Vec<u64> = recent.moments.keys().copied().collect();
        kept.sort_unstable();
        assert_eq!(kept, [5, 6, 7, 8, 9]);
        assert_eq!(recent.find(&8), Some(at(9)));
    }

    #[test]
    fn keys_of_one_moment_are_bounded_too() {
        let (mut recent, now) = (Recent::new(4), Instant::now());
        for key in 0..100 {
            recent.insert(key, now);
            assert!(recent.len() <= 4 && recent.find(&key) == Some(now));
        }
    }
}
