//! One consumer of the delivery: how far it is, and how long the workflow waits
//! for it. Pure state, rebuilt from the history when the worker dies.

use std::time::Duration;

use onboard_contract::ConsumerName;
use onboard_contract::workflow::Awaited;

/// The longest wait for the todo service, whose inbox the workflow looks into.
const ASKED_CAP: Duration = Duration::from_mins(10);
/// The longest wait for a consumer that cannot be asked.
const UNASKED_CAP: Duration = Duration::from_hours(6);

/// A consumer that the event is delivered to.
#[derive(Debug)]
pub(crate) struct Recipient {
    pub(crate) consumer: ConsumerName,
    /// Whether the workflow can look whether it has processed the event.
    pub(crate) asked: bool,
    /// Whether the broker has confirmed the event for the consumer's queue.
    pub(crate) in_queue: bool,
    /// How often its acknowledgement was found overdue.
    pub(crate) overdue_checks: u32,
    /// The operators' requests to publish again that it has seen.
    pub(crate) republishes: u32,
    pub(crate) end: Option<End>,
    /// Whether nothing is left to be done for it.
    pub(crate) done: bool,
}

/// Why a consumer is not awaited any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// It has acknowledged, with what it made.
    Acknowledged(Option<String>),
    /// An operator has waived it.
    Waived,
}

impl Recipient {
    pub(crate) const fn new(consumer: ConsumerName) -> Self {
        let (asked, in_queue, done) = (false, false, false);
        Self { consumer, asked, in_queue, overdue_checks: 0, republishes: 0, end: None, done }
    }

    /// A consumer that an earlier run still awaited.
    pub(crate) fn carried(awaited: Awaited) -> Self {
        let Awaited { consumer, overdue_checks, in_queue } = awaited;
        Self { in_queue, overdue_checks, ..Self::new(consumer) }
    }

    /// What a following run needs to know of it; `None` when it is done.
    pub(crate) fn carry(&self) -> Option<Awaited> {
        let consumer = self.consumer.clone();
        let (overdue_checks, in_queue) = (self.overdue_checks, self.in_queue);
        (!self.done).then_some(Awaited { consumer, overdue_checks, in_queue })
    }

    /// How long its acknowledgement may take; doubles with every overdue check.
    pub(crate) fn patience(&self, base: Duration) -> Duration {
        let doubled = base.saturating_mul(2_u32.saturating_pow(self.overdue_checks.min(20)));
        let cap = if self.asked { ASKED_CAP } else { UNASKED_CAP };
        doubled.min(cap.max(base))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_up_to_its_cap() {
        let base = Duration::from_secs(30);
        let mut todo = Recipient::new(ConsumerName::TODO);
        todo.asked = true;
        let mut crm = Recipient::new("crm".parse().unwrap());
        for (checks, asked_s, unasked_s) in
            [(0, 30, 30), (1, 60, 60), (5, 600, 960), (20, 600, 21_600), (u32::MAX, 600, 21_600)]
        {
            (todo.overdue_checks, crm.overdue_checks) = (checks, checks);
            assert_eq!(todo.patience(base), Duration::from_secs(asked_s), "{checks}");
            assert_eq!(crm.patience(base), Duration::from_secs(unasked_s), "{checks}");
        }
    }

    #[test]
    fn the_next_run_gets_those_that_are_not_done() {
        let mut crm = Recipient::new("crm".parse().unwrap());
        for in_queue in [false, true] {
            (crm.overdue_checks, crm.in_queue) = (3, in_queue);
            let carried = Recipient::carried(crm.carry().unwrap());
            assert_eq!((carried.in_queue, carried.overdue_checks), (in_queue, 3));
            assert!(carried.end.is_none());
        }
        crm.done = true;
        assert_eq!(crm.carry(), None);
    }
}
