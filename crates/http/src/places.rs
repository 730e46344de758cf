//! How many places each client network holds: connections, or open answers.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::network::ClientNetwork;

type Counts = HashMap<ClientNetwork, u32>;

/// The places taken. Its size is bounded by the places that are held.
#[derive(Debug, Clone, Default)]
pub struct Places(Arc<Mutex<Counts>>);

/// One place; given back when it is dropped.
#[derive(Debug)]
pub struct Place {
    counts: Arc<Mutex<Counts>>,
    network: ClientNetwork,
    number: u32,
}

impl Places {
    /// Takes one more.
    #[must_use]
    pub fn take(&self, network: ClientNetwork) -> Place {
        let number = {
            let mut counts = lock(&self.0);
            let count = counts.entry(network).or_default();
            *count += 1;
            *count
        };
        Place { counts: Arc::clone(&self.0), network, number }
    }
}

impl Place {
    /// How many its network had, this one included.
    #[must_use]
    pub const fn number(&self) -> u32 {
        self.number
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = lock(&self.counts);
        if let Some(count) = counts.get_mut(&self.network) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.network);
            }
        }
    }
}

fn lock(counts: &Mutex<Counts>) -> MutexGuard<'_, Counts> {
    counts.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_given_back_and_nothing_is_kept_of_it() {
        let places = Places::default();
        let network = |text: &str| ClientNetwork::of(text.parse().unwrap());
        let (one, two) = (network("192.0.2.1"), network("192.0.2.2"));
        let (first, second) = (places.take(one), places.take(one));
        assert_eq!((first.number(), second.number(), places.take(two).number()), (1, 2, 1));
        drop(first);
        assert_eq!(places.take(one).number(), 2);
        drop(second);
        assert!(lock(&places.0).is_empty());
    }
}
