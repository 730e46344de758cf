//! How many places each client network holds: connections, or open answers. The networks
//! around it hold a multiple of that together.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::network::{ClientNetwork, SHARES};

type Counts = HashMap<ClientNetwork, u32>;

/// The places taken. Its size is bounded by the places that are held.
#[derive(Debug, Clone, Default)]
pub struct Places(Arc<Mutex<Counts>>);

/// One place; given back when it is dropped.
#[derive(Debug)]
pub struct Place {
    counts: Arc<Mutex<Counts>>,
    network: ClientNetwork,
}

impl Places {
    /// Takes one more, when the network has fewer than `most` and each network around it
    /// fewer than its multiple; otherwise it takes none and nobody's count changes.
    #[must_use]
    pub fn take(&self, network: ClientNetwork, most: u32) -> Option<Place> {
        let around = network.around();
        {
            let mut counts = lock(&self.0);
            let held = |network: &ClientNetwork| counts.get(network).copied().unwrap_or_default();
            let mut limited = around.iter().zip(SHARES);
            let has_room = limited.all(|(network, times)| {
                network.as_ref().is_none_or(|network| held(network) < most.saturating_mul(times))
            });
            if !has_room {
                return None;
            }
            for network in around.into_iter().flatten() {
                *counts.entry(network).or_default() += 1;
            }
        }
        Some(Place { counts: Arc::clone(&self.0), network })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = lock(&self.counts);
        for network in self.network.around().into_iter().flatten() {
            if let Some(count) = counts.get_mut(&network) {
                *count -= 1;
                if *count == 0 {
                    counts.remove(&network);
                }
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

    fn network(text: &str) -> ClientNetwork {
        ClientNetwork::of(text.parse().unwrap())
    }

    #[test]
    fn a_place_is_given_back_and_nothing_is_kept_of_it() {
        let places = Places::default();
        let (one, two) = (network("192.0.2.1"), network("2001:db8::1"));
        let (first, second) = (places.take(one, 2).unwrap(), places.take(one, 2).unwrap());
        assert!(places.take(one, 2).is_none());
        let other = places.take(two, 2).unwrap();
        drop(first);
        let again = places.take(one, 2).unwrap();
        drop((second, other, again));
        assert!(lock(&places.0).is_empty());
    }

    #[test]
    fn many_networks_of_one_customer_hold_a_multiple_of_one() {
        let places = Places::default();
        let all = |texts: &mut dyn Iterator<Item = String>| {
            texts.filter_map(|text| places.take(network(&text), 2)).collect::<Vec<_>>()
        };
        let of_56 = all(&mut (0..=255).map(|n| format!("2001:db8:0:{n:x}::1")));
        assert_eq!(of_56.len(), 2 * 4);
        let of_48 = all(&mut (0..=255).map(|n| format!("2001:db8:0:{n:x}00::1")));
        assert_eq!(of_56.len() + of_48.len(), 2 * 16);
        let of_24 = all(&mut (0..=255).map(|n| format!("192.0.2.{n}")));
        assert_eq!(of_24.len(), 2 * 16);
        assert_eq!(all(&mut (0..9).map(|_| "192.0.3.1".to_owned())).len(), 2);
        drop((of_56, of_48, of_24));
        assert!(lock(&places.0).is_empty());
    }
}
