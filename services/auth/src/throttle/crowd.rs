//! Those who wait before they may try an account: a bounded number, of each
//! account and in all, so that waiting itself cannot be used to exhaust us.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Account;

/// Of one account. With the longest wait it bounds how fast all strangers
/// together can guess at one account.
const OF_ONE_MAX: u32 = 4;
/// Accounts and places taken in all.
const IN_ALL_MAX: u32 = 1024;

#[derive(Debug, Default)]
pub(super) struct Crowd(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    of: HashMap<Account, u32>,
    in_all: u32,
}

/// A place in the crowd; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Place<'a> {
    crowd: &'a Crowd,
    account: Account,
}

impl Crowd {
    /// A place, if there is one.
    pub(super) fn join(&self, account: Account) -> Option<Place<'_>> {
        let mut waiting = self.lock();
        let of_one = waiting.of.get(&account).copied().unwrap_or_default();
        if of_one >= OF_ONE_MAX || waiting.in_all >= IN_ALL_MAX {
            return None;
        }
        waiting.in_all += 1;
        waiting.of.insert(account, of_one + 1);
        Some(Place { crowd: self, account })
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut waiting = self.crowd.lock();
        waiting.in_all -= 1;
        let left = waiting.of.get(&self.account).map_or(0, |of_one| of_one - 1);
        if left == 0 {
            waiting.of.remove(&self.account);
        } else {
            waiting.of.insert(self.account, left);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_bounded_for_one_and_for_all_and_given_back() {
        let crowd = Crowd::default();
        let one = Account([1; 16]);
        let mut places: Vec<_> = (0..OF_ONE_MAX).map(|_| crowd.join(one).unwrap()).collect();
        assert!(crowd.join(one).is_none());
        places.pop();
        places.push(crowd.join(one).unwrap());
        let others = (0..IN_ALL_MAX).map_while(|n| {
            let mut account = [2; 16];
            account[..4].copy_from_slice(&n.to_be_bytes());
            crowd.join(Account(account))
        });
        let others: Vec<_> = others.collect();
        assert_eq!(others.len(), (IN_ALL_MAX - OF_ONE_MAX) as usize);
        drop((places, others));
        let waiting = crowd.lock();
        assert!(waiting.of.is_empty() && waiting.in_all == 0);
    }
}
