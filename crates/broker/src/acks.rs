//! The acks of one channel: what is ready at the same time goes out as one.
//!
//! An ack for several messages speaks for every message up to its own that is
//! still open, so it is used only as far as every delivery before it was
//! settled; the others are acked one by one. Nothing is held back. When the
//! process dies, what was not acked comes again.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use lapin::message::Delivery;
use lapin::types::DeliveryTag;
use onboard_runtime::Group;

use crate::settle::send_ack;

/// Messages acked at once.
const SIZE_MAX: usize = 1024;

/// What is open on one channel, and what waits for its ack.
#[derive(Debug)]
pub(crate) struct Acks {
    group: Group<Arc<Delivery>, ()>,
    open: Mutex<Open>,
}

impl Acks {
    pub(crate) const fn new() -> Self {
        Self { group: Group::new(1, SIZE_MAX), open: Mutex::new(Open(BTreeSet::new())) }
    }

    /// Notes a delivery, before the next one is taken.
    pub(crate) fn opened(&self, delivery: &Delivery) {
        self.lock().0.insert(delivery.delivery_tag);
    }

    /// Acks a delivery, together with others that wait for the same.
    pub(crate) async fn acknowledge(&self, delivery: &Arc<Delivery>) {
        self.group.submit(Arc::clone(delivery), |deliveries| self.ack_all(deliveries)).await;
    }

    /// Notes a delivery that was settled in another way.
    pub(crate) fn settled(&self, delivery: &Delivery) {
        self.lock().settle([delivery.delivery_tag]);
    }

    async fn ack_all(&self, mut deliveries: Vec<Arc<Delivery>>) -> Vec<()> {
        deliveries.sort_unstable_by_key(|one| one.delivery_tag);
        let before = self.lock().settle(deliveries.iter().map(|one| one.delivery_tag));
        let together = deliveries.partition_point(|one| one.delivery_tag < before);
        let (together, alone) = deliveries.split_at(together);
        if let Some(last) = together.last() {
            send_ack(last, together.len() > 1).await;
        }
        for one in alone {
            send_ack(one, false).await;
        }
        vec![(); deliveries.len()]
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The deliveries of a channel that are not settled; as many as its prefetch.
/// Tags are given in the order of delivery.
#[derive(Debug)]
struct Open(BTreeSet<DeliveryTag>);

impl Open {
    /// Notes that these are settled, and says before which tag all are.
    fn settle(&mut self, tags: impl IntoIterator<Item = DeliveryTag>) -> DeliveryTag {
        for tag in tags {
            self.0.remove(&tag);
        }
        self.0.first().copied().unwrap_or(DeliveryTag::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_delivery_is_never_spoken_for() {
        let mut open = Open((1..=5).collect());
        assert_eq!(open.settle([2, 3]), 1);
        assert_eq!(open.settle([5]), 1);
        assert_eq!(open.settle([1]), 4);
        assert_eq!(open.settle([4]), DeliveryTag::MAX, "what is not delivered is not open");
    }
}
