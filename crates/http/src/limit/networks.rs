//! Buckets of client networks: a client takes from the bucket of its own network and from
//! those of the networks around it, which are larger.
//!
//! One customer of an IPv6 provider has 65,536 networks of the narrowest kind, and each
//! would have a full bucket. A client takes from all of its buckets or from none: who is
//! refused takes nothing from its neighbours. All buckets are full again when the process
//! dies.

use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use super::buckets::KEYS_MAX;
use super::{Buckets, Level, Rate};
use crate::network::{ClientNetwork, SHARES};

/// Wider networks kept of each kind: there are fewer of them.
const WIDER_MAX: usize = KEYS_MAX / 4;

/// Buckets for something of each client network, such as its tries at an account.
#[derive(Debug)]
pub struct NetworkBuckets<K> {
    rate: Rate,
    levels: [Buckets<(K, ClientNetwork)>; SHARES.len()],
    /// Held while the buckets of a client are looked at and changed together.
    turn: Mutex<()>,
}

impl<K: Hash + Eq + Clone> NetworkBuckets<K> {
    /// With this rate for one client network; the networks around it have a multiple.
    #[must_use]
    pub fn new(rate: Rate) -> Self {
        let of = |times| {
            let keys_max = if times == 1 { KEYS_MAX } else { WIDER_MAX };
            Buckets::bounded(rate.times(times), keys_max)
        };
        Self { rate, levels: SHARES.map(of), turn: Mutex::default() }
    }

    /// The rate of one client network.
    #[must_use]
    pub const fn rate(&self) -> Rate {
        self.rate
    }

    /// Takes one from each bucket of a client. Returns the level of the one that has least.
    ///
    /// # Errors
    /// One of them is empty; nothing was taken. The level is that of the bucket for which the
    /// client waits longest.
    pub fn take(&self, key: &K, network: ClientNetwork, now: Instant) -> Result<Level, Level> {
        let _turn = self.turn();
        let levels = self.of(key, network).map(|(buckets, key)| buckets.level(&key, now));
        let empty = levels.filter(|level| !level.next_in.is_zero());
        if let Some(empty) = empty.max_by_key(|level| level.next_in) {
            return Err(empty);
        }
        // None of them is empty, and nobody else takes from them meanwhile.
        let taken = self.of(key, network).map(|(buckets, key)| buckets.take(&key, now));
        let least = taken.map(|(Ok(level) | Err(level))| level).min_by_key(|it| it.remaining);
        Ok(least.unwrap_or_default())
    }

    /// Puts back one that was taken and shall not count.
    pub fn put_back(&self, key: &K, network: ClientNetwork, now: Instant) {
        let _turn = self.turn();
        self.of(key, network).for_each(|(buckets, key)| buckets.put_back(&key, now));
    }

    /// Fills the bucket of the client's own network. Those around it are its neighbours', too.
    pub fn refill(&self, key: &K, network: ClientNetwork) {
        let _turn = self.turn();
        if let Some((buckets, key)) = self.of(key, network).next() {
            buckets.refill(&key);
        }
    }

    /// The buckets of a client, its own network's first.
    fn of(
        &self,
        key: &K,
        network: ClientNetwork,
    ) -> impl Iterator<Item = (&Buckets<(K, ClientNetwork)>, (K, ClientNetwork))> {
        let around = network.around().into_iter();
        let keyed = move |(buckets, network)| Some((buckets, (key.clone(), network?)));
        self.levels.iter().zip(around).filter_map(keyed)
    }

    fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const HOUR: Duration = Duration::from_hours(1);

    fn network(text: &str) -> ClientNetwork {
        ClientNetwork::of(text.parse().unwrap())
    }

    /// How many of the clients get one.
    fn passed(buckets: &NetworkBuckets<()>, clients: impl Iterator<Item = String>) -> usize {
        let now = Instant::now();
        clients.filter(|text| buckets.take(&(), network(text), now).is_ok()).count()
    }

    #[tokio::test(start_paused = true)]
    async fn a_customer_with_many_networks_has_no_more_than_a_multiple() {
        let buckets = NetworkBuckets::new(Rate::new(3, HOUR));
        let of_56 = (0..=255).map(|n| format!("2001:db8:1:{n:x}::1"));
        assert_eq!(passed(&buckets, of_56), 3 * 4, "a /56");
        let of_48 = (0..=255).map(|n| format!("2001:db8:1:{n:x}00::1"));
        assert_eq!(passed(&buckets, of_48), 3 * 16 - 3 * 4, "the rest of its /48");
        assert_eq!(passed(&buckets, std::iter::once("2001:db8:2::1".to_owned())), 1, "another");
        let of_24 = (0..=255).map(|n| format!("192.0.2.{n}"));
        assert_eq!(passed(&buckets, of_24), 3 * 16, "a /24");
        let mapped = (0..=255).map(|n| format!("::ffff:192.0.2.{n}"));
        assert_eq!(passed(&buckets, mapped), 0, "the same /24 in its IPv6 form");
        let other = (0..=255).map(|_| "192.0.3.1".to_owned());
        assert_eq!(passed(&buckets, other), 3, "one address");
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_refused_takes_nothing_from_the_neighbours() {
        let buckets = NetworkBuckets::new(Rate::new(2, HOUR));
        let now = Instant::now();
        let taken = |text: &str| buckets.take(&(), network(text), now);
        let noisy = (0..1000).filter(|_| taken("192.0.2.1").is_ok()).count();
        assert_eq!(noisy, 2);
        let neighbours = (2..=255).filter(|n| taken(&format!("192.0.2.{n}")).is_ok()).count();
        assert_eq!(neighbours, 2 * 16 - 2, "what is left of the /24");
        // The /24 is empty: who is refused for it has still its own.
        assert!(taken("192.0.2.99").is_err());
        buckets.put_back(&(), network("192.0.2.1"), now);
        buckets.put_back(&(), network("192.0.2.1"), now);
        assert_eq!((0..9).filter(|_| taken("192.0.2.99").is_ok()).count(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn the_level_is_that_of_the_bucket_that_has_least() {
        let buckets = NetworkBuckets::new(Rate::new(2, HOUR));
        let now = Instant::now();
        let taken = |n: u32| buckets.take(&(), network(&format!("192.0.2.{n}")), now);
        assert_eq!(taken(0).unwrap().remaining, 1);
        for n in 1..=30 {
            assert_eq!(taken(n).unwrap().remaining, 1, "{n}");
        }
        assert_eq!(taken(31).unwrap().remaining, 0, "the last of the /24");
        let empty = taken(32).unwrap_err();
        assert_eq!((empty.remaining, empty.next_in), (0, HOUR / 32));
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_networks_is_bounded() {
        let buckets = NetworkBuckets::new(Rate::new(3, HOUR));
        let now = Instant::now();
        while buckets.take(&(), network("192.0.2.1"), now).is_ok() {}
        for n in 0..150_000_u128 {
            let address = std::net::Ipv6Addr::from_bits((0x2001_0db8 << 96) + (n << 80));
            buckets.take(&(), ClientNetwork::of(address.into()), now).unwrap();
        }
        let kept: usize = buckets.levels.iter().map(Buckets::len).sum();
        assert!(kept <= KEYS_MAX + 2 * WIDER_MAX, "{kept}");
        assert!(buckets.take(&(), network("192.0.2.1"), now).is_err(), "still limited");
    }
}
