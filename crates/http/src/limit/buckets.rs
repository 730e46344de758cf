//! One bucket per key (GCRA, the leaky bucket as a meter): all that is kept of
//! a bucket is when it will be full again.
//!
//! The number of keys is bounded ([`Recent`]). When there are too many, the half
//! that is nearest to full is forgotten: it had the least to remember, so a
//! flood of fresh keys cannot wash away those that are being limited.

use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::{Rate, Recent};

/// Keys kept, unless another number is asked for: some 5 MB.
pub(super) const KEYS_MAX: usize = 65_536;

/// Buckets of one rate.
#[derive(Debug)]
pub struct Buckets<K> {
    rate: Rate,
    full_at: Mutex<Recent<K>>,
}

/// How a bucket stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Level {
    /// How many more could be taken now.
    pub remaining: u32,
    /// When one more can be taken; zero if one can now.
    pub next_in: Duration,
    /// When it will be full again.
    pub full_in: Duration,
}

impl<K: Hash + Eq + Clone> Buckets<K> {
    /// No bucket has been touched yet.
    #[must_use]
    pub fn new(rate: Rate) -> Self {
        Self::bounded(rate, KEYS_MAX)
    }

    /// With another bound on the number of keys.
    #[must_use]
    pub fn bounded(rate: Rate, keys_max: usize) -> Self {
        Self { rate, full_at: Mutex::new(Recent::new(keys_max)) }
    }

    /// Their rate.
    #[must_use]
    pub const fn rate(&self) -> Rate {
        self.rate
    }

    /// Takes one from the bucket of `key`.
    ///
    /// # Errors
    /// It is empty; nothing was taken.
    pub fn take(&self, key: &K, now: Instant) -> Result<Level, Level> {
        let mut full_at = self.lock();
        let before = full_at.find(key).map_or(now, |at| at.max(now));
        let after = before + self.rate.each();
        if after > now + self.size() {
            return Err(self.level_of(before, now));
        }
        full_at.insert(key.clone(), after);
        Ok(self.level_of(after, now))
    }

    /// Puts back one that was taken and shall not count.
    pub fn put_back(&self, key: &K, now: Instant) {
        let mut full_at = self.lock();
        let Some(before) = full_at.find(key) else { return };
        match before.checked_sub(self.rate.each()) {
            Some(at) if at > now => full_at.insert(key.clone(), at),
            Some(_) | None => full_at.remove(key),
        }
    }

    /// Fills the bucket of `key`.
    pub fn refill(&self, key: &K) {
        self.lock().remove(key);
    }

    /// How the bucket of `key` stands.
    #[must_use]
    pub fn level(&self, key: &K, now: Instant) -> Level {
        let full_at = self.lock().find(key).map_or(now, |at| at.max(now));
        self.level_of(full_at, now)
    }

    /// How many keys are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether no key is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn level_of(&self, full_at: Instant, now: Instant) -> Level {
        let (full_in, each) = (full_at.duration_since(now), self.rate.each());
        let room = self.size().saturating_sub(full_in);
        let remaining = room.as_nanos() / each.as_nanos().max(1);
        Level {
            remaining: u32::try_from(remaining).unwrap_or(u32::MAX),
            next_in: each.saturating_sub(room),
            full_in,
        }
    }

    /// The time in which a bucket fills: a whole number of each, so that
    /// rounding takes none away.
    fn size(&self) -> Duration {
        self.rate.each() * self.rate.quota
    }

    fn lock(&self) -> MutexGuard<'_, Recent<K>> {
        // Every change is one insert or remove: nothing is half done.
        self.full_at.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn buckets(quota: u32, window: Duration) -> Buckets<u32> {
        Buckets::bounded(Rate::new(quota, window), 8)
    }

    #[test]
    fn a_bucket_gives_its_quota_and_refills_evenly() {
        let (buckets, now) = (buckets(3, SECOND * 6), Instant::now());
        for left in [2, 1, 0] {
            assert_eq!(buckets.take(&1, now).unwrap().remaining, left);
        }
        let empty = buckets.take(&1, now).unwrap_err();
        assert_eq!((empty.remaining, empty.next_in, empty.full_in), (0, SECOND * 2, SECOND * 6));
        assert_eq!(buckets.take(&2, now).unwrap().remaining, 2, "keys do not share");
        let almost = now + SECOND * 2 - Duration::from_nanos(1);
        assert_eq!(buckets.take(&1, almost).unwrap_err().next_in, Duration::from_nanos(1));
        let later = now + SECOND * 2;
        assert_eq!(buckets.take(&1, later).unwrap().remaining, 0);
        assert!(buckets.take(&1, later).is_err());
        assert_eq!(buckets.level(&1, now + SECOND * 60).remaining, 3, "no more than full");
    }

    #[test]
    fn an_odd_rate_gives_its_whole_quota() {
        let (buckets, now) = (buckets(7, SECOND), Instant::now());
        let given = (0..20).filter(|_| buckets.take(&1, now).is_ok()).count();
        assert_eq!(given, 7);
    }

    #[test]
    fn what_is_put_back_does_not_count() {
        let (buckets, now) = (buckets(2, SECOND * 2), Instant::now());
        for _ in 0..50 {
            buckets.take(&1, now).unwrap();
            buckets.put_back(&1, now);
        }
        assert_eq!(buckets.level(&1, now).remaining, 2);
        assert!(buckets.is_empty(), "a full bucket is not kept");
        while buckets.take(&1, now).is_ok() {}
        buckets.put_back(&1, now);
        assert_eq!(buckets.level(&1, now).remaining, 1);
        buckets.refill(&1);
        assert_eq!(buckets.level(&1, now).remaining, 2);
        buckets.put_back(&9, now);
        assert!(buckets.is_empty());
    }

    #[test]
    fn a_flood_of_keys_is_bounded_and_forgets_no_bucket_that_is_empty() {
        let (buckets, now) = (buckets(3, SECOND * 3), Instant::now());
        while buckets.take(&0, now).is_ok() {}
        for key in 1..10_000 {
            buckets.take(&key, now).unwrap();
            assert!(buckets.len() <= 8, "{}", buckets.len());
        }
        assert!(buckets.take(&0, now).is_err(), "still limited");
    }
}
