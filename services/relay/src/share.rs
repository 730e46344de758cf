//! Which new rows are this relay's to start, so that of several relays one starts a row.
//!
//! The relays that are there share the rows by their ids (`RelayId::weight`). Nothing
//! depends on it: a row that two relays take is started once, since Temporal refuses the
//! second start, and a row that nobody takes is late after [`LATE`] and anybody's,
//! by a claim. A relay counts another one as there when it has seen it renew its place,
//! so a relay that has just begun takes every row for some seconds, and shares none with
//! the dead. A process that dies leaves its share to the others when they no longer see it.

use std::time::Duration;

use onboard_contract::EventId;
use onboard_outbox::relays::{Place, RelayId};
use tokio::sync::watch;

/// A row that has been due for so long is late. It is longer than a start and its note
/// take (`note`), so a row that is being started is no other relay's.
pub(crate) const LATE: Duration = Duration::from_secs(3);

/// The relays that share the rows, this one among them.
type Members = Vec<RelayId>;

/// What this relay knows of its share.
#[derive(Debug, Clone)]
pub(crate) struct Share {
    own: RelayId,
    members: watch::Receiver<Members>,
}

/// Says who is there.
#[derive(Debug)]
pub(crate) struct Membership {
    own: RelayId,
    members: watch::Sender<Members>,
    /// When this relay was first there, by the server's clock.
    joined_ms: Option<i64>,
}

/// The share of a relay that knows of no other.
pub(crate) fn share(own: RelayId) -> (Share, Membership) {
    let (sender, members) = watch::channel(vec![own]);
    (Share { own, members }, Membership { own, members: sender, joined_ms: None })
}

impl Share {
    /// Whether the row of this event is this relay's.
    pub(crate) fn has(&self, event: EventId) -> bool {
        let members = self.members.borrow();
        let first = members.iter().max_by_key(|relay| relay.weight(event));
        first.is_none_or(|first| *first == self.own)
    }

    /// Waits until other relays share the rows; false when nobody says so any more.
    pub(crate) async fn changed(&mut self) -> bool {
        self.members.changed().await.is_ok()
    }
}

impl Membership {
    /// Takes in who was there when this relay renewed its place.
    pub(crate) fn count(&mut self, place: &Place) {
        let own = place.seen.iter().find(|(relay, _)| *relay == self.own);
        let joined_ms = *self.joined_ms.get_or_insert(own.map_or(i64::MAX, |(_, at_ms)| *at_ms));
        let mut members: Members = place
            .seen
            .iter()
            .filter(|(relay, at_ms)| *relay != self.own && *at_ms > joined_ms)
            .map(|(relay, _)| *relay)
            .chain([self.own])
            .collect();
        members.sort_unstable();
        let shown = u32::try_from(members.len()).unwrap_or(u32::MAX);
        metrics::gauge!("relay_members").set(shown);
        self.members.send_if_modified(|known| {
            let changed = *known != members;
            *known = members;
            changed
        });
    }
}

#[cfg(test)]
mod tests {
    use onboard_runtime::clock;

    use super::*;

    fn place(seen: &[(RelayId, i64)]) -> Place {
        Place { leads_until: None, relays: seen.len() as u64, seen: seen.to_vec() }
    }

    fn events() -> Vec<EventId> {
        (0..1_000).map(|_| clock::ordered_id().into()).collect()
    }

    #[test]
    fn relays_that_see_each_other_share_the_rows_and_one_has_each() {
        let relays = [RelayId::random(), RelayId::random(), RelayId::random()];
        let shares = relays.map(|own| {
            let (share, mut membership) = share(own);
            membership.count(&place(&relays.map(|relay| (relay, 1))));
            membership.count(&place(&relays.map(|relay| (relay, 2))));
            share
        });
        let mut has = [0, 0, 0];
        for event in events() {
            let of: Vec<usize> = (0..3).filter(|at| shares[*at].has(event)).collect();
            assert_eq!(of.len(), 1, "{of:?}");
            has[of[0]] += 1;
        }
        assert!(has.iter().all(|rows| (200..500).contains(rows)), "{has:?}");
    }

    #[test]
    fn a_relay_that_has_begun_shares_nothing_with_one_that_it_has_not_seen_renew() {
        let (own, dead) = (RelayId::random(), RelayId::random());
        let (share, mut membership) = share(own);
        assert!(events().into_iter().all(|event| share.has(event)), "it knows of nobody");
        for now_ms in [10, 12, 14] {
            membership.count(&place(&[(dead, 9), (own, now_ms)]));
            assert!(events().into_iter().all(|event| share.has(event)), "the other is dead");
        }
        membership.count(&place(&[(dead, 15), (own, 16)]));
        assert!(!events().into_iter().all(|event| share.has(event)), "it lives");
    }

    #[test]
    fn a_relay_that_is_no_longer_seen_leaves_its_rows_and_no_others_move() {
        let relays = [RelayId::random(), RelayId::random(), RelayId::random()];
        let (share, mut membership) = share(relays[0]);
        membership.count(&place(&relays.map(|relay| (relay, 1))));
        membership.count(&place(&relays.map(|relay| (relay, 2))));
        let events = events();
        let before: Vec<bool> = events.iter().map(|event| share.has(*event)).collect();
        membership.count(&place(&[(relays[0], 3), (relays[1], 3)]));
        let after: Vec<bool> = events.iter().map(|event| share.has(*event)).collect();
        assert!(before.iter().zip(&after).all(|(before, after)| *after || !before));
        let has = |rows: &[bool]| rows.iter().filter(|has| **has).count();
        assert!(has(&after) > has(&before));
    }
}
