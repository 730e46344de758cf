//! The keys whose requests this process works on.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

type Id = [u8; 32];

/// A place per key that is in flight.
#[derive(Debug, Clone, Default)]
pub(super) struct InFlight(Arc<Mutex<HashSet<Id>>>);

/// A taken place; it is free again when this is dropped, also when the client
/// goes away and its request with it.
#[derive(Debug)]
pub(super) struct Place {
    id: Id,
    taken: InFlight,
}

impl InFlight {
    /// Takes the place of a key; `None` when it is taken.
    pub(super) fn enter(&self, id: Id) -> Option<Place> {
        self.ids().insert(id).then(|| Place { id, taken: self.clone() })
    }

    fn ids(&self) -> MutexGuard<'_, HashSet<Id>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.taken.ids().remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_free_again_when_it_is_left() {
        let in_flight = InFlight::default();
        let place = in_flight.enter([1; 32]).unwrap();
        assert!(in_flight.enter([1; 32]).is_none());
        let other = in_flight.enter([2; 32]);
        assert!(other.is_some());
        drop(place);
        assert!(in_flight.enter([1; 32]).is_some());
        assert!(in_flight.enter([2; 32]).is_none());
    }
}
