//! One consumer of the delivery: how far it is, and how long the workflow waits
//! for it. Pure state, rebuilt from the history when the worker dies.

use std::time::{Duration, SystemTime};

use onboard_contract::workflow::Awaited;
use onboard_contract::{ConsumerName, Delivery, EventId};

use super::patience::patience;

/// The longest wait for an acknowledgement.
const WAIT_MAX: Duration = Duration::from_hours(6);
/// A request to publish again that comes so soon after a copy is met by it, as long as
/// messages wait in the consumer's queue.
const REPUBLISH_PAUSE: Duration = Duration::from_mins(1);

/// A consumer that the event is delivered to.
#[derive(Debug)]
pub(crate) struct Recipient {
    pub(crate) consumer: ConsumerName,
    /// The task queue on which it answers whether it has processed the event. One
    /// without is not asked.
    pub(crate) ask: Option<String>,
    /// Whether it is being asked.
    pub(crate) asking: bool,
    /// The only `ref` that counts, where it is known.
    pub(crate) reference: Option<String>,
    /// How long after a publish its acknowledgement is overdue, where it has a time of its
    /// own.
    own_patience: Option<Duration>,
    /// Whether the broker has confirmed the event for the consumer's queue.
    pub(crate) in_queue: bool,
    /// How often its acknowledgement was found overdue.
    pub(crate) overdue_checks: u32,
    /// The operators' requests to publish again that it has seen.
    pub(crate) republishes: u32,
    /// When its acknowledgement counts as overdue.
    pub(crate) overdue_at: Option<SystemTime>,
    /// When the broker took the last copy for it.
    pub(crate) copied_at: Option<SystemTime>,
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
    pub(crate) fn new(consumer: ConsumerName, delivery: Option<&Delivery>) -> Self {
        let ask = delivery.and_then(|delivery| delivery.ask.get(&consumer).cloned());
        let reference = delivery.and_then(|delivery| delivery.refs.get(&consumer).cloned());
        let own = delivery.and_then(|delivery| delivery.patience.get(&consumer).copied());
        Self {
            consumer,
            ask,
            asking: false,
            reference,
            own_patience: own.map(|ms| Duration::from_millis(ms.max(1))),
            in_queue: false,
            overdue_checks: 0,
            republishes: 0,
            overdue_at: None,
            copied_at: None,
            end: None,
            done: false,
        }
    }

    /// A consumer that an earlier run still awaited.
    pub(crate) fn carried(awaited: Awaited, delivery: Option<&Delivery>) -> Self {
        let Awaited { consumer, overdue_checks, in_queue } = awaited;
        Self { in_queue, overdue_checks, ..Self::new(consumer, delivery) }
    }

    /// Notes why it is not awaited any more. The first reason counts, and of the
    /// acknowledgements only one with the right `ref`.
    pub(crate) fn end(&mut self, end: End) {
        let counts = match (&end, &self.reference) {
            (End::Acknowledged(given), Some(only)) => given.as_ref() == Some(only),
            (End::Acknowledged(_), None) | (End::Waived, _) => true,
        };
        if counts && self.end.is_none() {
            self.end = Some(end);
        }
    }

    /// Whether the broker took a copy for it shortly before.
    pub(crate) fn was_copied(&self, now: Option<SystemTime>) -> bool {
        let since = |at: SystemTime| now?.duration_since(at).ok();
        self.copied_at.and_then(since).is_some_and(|since| since < REPUBLISH_PAUSE)
    }

    /// What a following run needs to know of it; `None` when it is done.
    pub(crate) fn carry(&self) -> Option<Awaited> {
        let consumer = self.consumer.clone();
        let (overdue_checks, in_queue) = (self.overdue_checks, self.in_queue);
        (!self.done).then_some(Awaited { consumer, overdue_checks, in_queue })
    }

    /// How long its acknowledgement may take at first; `others` is that of consumers
    /// without a time of their own.
    pub(crate) fn overdue(&self, others: Duration) -> Duration {
        self.own_patience.unwrap_or(others)
    }

    /// The same now; doubles with every overdue check.
    pub(crate) fn patience(&self, others: Duration, event: EventId) -> Duration {
        patience(self.overdue(others), self.overdue_checks, WAIT_MAX, event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivery() -> Delivery {
        let mut delivery = Delivery::to(vec![onboard_events::TODO], false);
        delivery.ask.insert(onboard_events::TODO, "todo".to_owned());
        delivery.refs.insert(onboard_events::TODO, "the ref".to_owned());
        delivery
    }

    fn acknowledged(reference: Option<&str>) -> End {
        End::Acknowledged(reference.map(str::to_owned))
    }

    #[test]
    fn an_acknowledgement_counts_with_the_right_ref_and_a_waiver_always() {
        let mut todo = Recipient::new(onboard_events::TODO, Some(&delivery()));
        for wrong in [None, Some("another"), Some("")] {
            todo.end(acknowledged(wrong));
            assert_eq!(todo.end, None, "{wrong:?}");
        }
        todo.end(acknowledged(Some("the ref")));
        assert_eq!(todo.end, Some(acknowledged(Some("the ref"))));
        todo.end(End::Waived);
        assert_eq!(todo.end, Some(acknowledged(Some("the ref"))), "the first one stands");

        let mut todo = Recipient::new(onboard_events::TODO, Some(&delivery()));
        todo.end(End::Waived);
        assert_eq!(todo.end, Some(End::Waived));
        let mut crm = Recipient::new("crm".parse().unwrap(), Some(&delivery()));
        crm.end(acknowledged(None));
        assert_eq!(crm.end, Some(acknowledged(None)), "any ref is its own");
    }

    #[test]
    fn a_copy_of_the_last_minute_is_remembered() {
        let at = |seconds| Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        let mut todo = Recipient::new(onboard_events::TODO, None);
        assert!(!todo.was_copied(at(100)));
        todo.copied_at = at(100);
        assert!(todo.was_copied(at(159)) && !todo.was_copied(at(160)));
        assert!(!todo.was_copied(None) && !todo.was_copied(at(99)));
    }

    #[test]
    fn the_next_run_gets_those_that_are_not_done() {
        let delivery = delivery();
        let mut crm = Recipient::new("crm".parse().unwrap(), Some(&delivery));
        for in_queue in [false, true] {
            (crm.overdue_checks, crm.in_queue) = (3, in_queue);
            let carried = Recipient::carried(crm.carry().unwrap(), Some(&delivery));
            assert_eq!((carried.in_queue, carried.overdue_checks), (in_queue, 3));
            assert!(carried.end.is_none());
        }
        crm.done = true;
        assert_eq!(crm.carry(), None);
        let mut delivery = delivery;
        delivery.patience.insert(onboard_events::TODO, 5_000);
        let todo = Recipient::new(onboard_events::TODO, Some(&delivery)).carry().unwrap();
        let todo = Recipient::carried(todo, Some(&delivery));
        assert_eq!(todo.ask.as_deref(), Some("todo"), "it is asked in the next run, too");
        let (own, others) = (Duration::from_secs(5), Duration::from_secs(30));
        assert_eq!((todo.overdue(others), crm.overdue(others)), (own, others));
    }
}
