//! Members of a loop that fail for a reason of their own: each waits by itself, longer
//! from time to time, so that it costs the loop little and holds up no other.
//!
//! The number of remembered members is bounded; a member that is not remembered is tried
//! each time. A new process remembers none.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use tokio::time::Instant;

use crate::Backoff;

/// Members that are remembered.
const REMEMBERED_MAX: usize = 10_000;
/// A member that was not tried for so long after its wait is gone.
const FORGOTTEN_AFTER: Duration = Duration::from_mins(10);

/// Which members wait, and until when.
#[derive(Debug)]
pub struct Waits<K> {
    first: Duration,
    longest: Duration,
    waiting: HashMap<K, Waiting>,
}

#[derive(Debug, Clone, Copy)]
struct Waiting {
    tries: u32,
    until: Instant,
}

impl<K: Eq + Hash> Waits<K> {
    /// None waits yet. The first wait of a member, which doubles, and its longest.
    #[must_use]
    pub fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, waiting: HashMap::new() }
    }

    /// Whether the member is not to be tried yet.
    #[must_use]
    pub fn holds(&self, member: &K) -> bool {
        self.waiting.get(member).is_some_and(|one| Instant::now() < one.until)
    }

    /// The member has failed.
    pub fn failed(&mut self, member: K) {
        let now = Instant::now();
        if self.waiting.len() >= REMEMBERED_MAX {
            self.waiting.retain(|_, one| now < one.until + FORGOTTEN_AFTER);
        }
        if self.waiting.len() < REMEMBERED_MAX || self.waiting.contains_key(&member) {
            let one = self.waiting.entry(member).or_insert(Waiting { tries: 0, until: now });
            one.until = now + Backoff::after(self.first, self.longest, one.tries);
            one.tries += 1;
        }
    }

    /// The member has not failed, or not for a reason of its own.
    pub fn forget(&mut self, member: &K) {
        self.waiting.remove(member);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_secs(5);
    const LONGEST: Duration = Duration::from_mins(5);

    #[tokio::test(start_paused = true)]
    async fn a_member_that_fails_waits_longer_each_time_until_it_is_forgotten() {
        let (mut waits, mut waited) = (Waits::new(FIRST, LONGEST), Vec::new());
        for _ in 0..12 {
            waits.failed(1);
            let begun = Instant::now();
            while waits.holds(&1) {
                tokio::time::advance(Duration::from_secs(1)).await;
            }
            waited.push(begun.elapsed());
        }
        assert!(waited[0] <= FIRST, "{waited:?}");
        assert!(waited[11] > LONGEST / 3 && waited[11] <= LONGEST, "{waited:?}");
        waits.failed(1);
        assert!(waits.holds(&1) && !waits.holds(&2));
        waits.forget(&1);
        assert!(!waits.holds(&1));
    }

    #[tokio::test(start_paused = true)]
    async fn so_many_are_remembered_and_those_that_are_gone_make_room() {
        let mut waits = Waits::new(FIRST, LONGEST);
        for member in 0..=REMEMBERED_MAX {
            waits.failed(member);
        }
        assert!(waits.holds(&0) && !waits.holds(&REMEMBERED_MAX));
        tokio::time::advance(FIRST + FORGOTTEN_AFTER).await;
        waits.failed(REMEMBERED_MAX);
        assert!(waits.holds(&REMEMBERED_MAX));
        assert_eq!(waits.waiting.len(), 1);
    }
}
