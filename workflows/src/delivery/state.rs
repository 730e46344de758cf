//! What a delivery knows of itself. Rebuilt from the history when the worker
//! dies; continue-as-new hands over what the next run needs.

use std::time::{Duration, SystemTime};

use onboard_contract::workflow::{Carried, Delivery};
use onboard_contract::{ConsumerName, EventId, Progress, Stage, TraceParent};
use temporalio_workflow::{WorkflowContext, WorkflowResult};
use uuid::Uuid;

use super::recipient::{End, Recipient};

/// See [`State::moment`].
const MOMENT: Duration = Duration::from_secs(2);

/// A workflow that delivers an event.
pub(crate) trait Delivering: Sized + 'static {
    /// The state of its delivery.
    fn delivery(&self) -> &State;
    /// The state of its delivery, to change it.
    fn delivery_mut(&mut self) -> &mut State;

    /// Ends this run; another goes on with what it hands over.
    fn carry_on(ctx: &WorkflowContext<Self>, carried: Carried) -> WorkflowResult<()>;
}

/// What a run is started with.
#[derive(Debug)]
pub(crate) struct Begin<'a> {
    pub(crate) event_id: EventId,
    pub(crate) event_type: &'a str,
    pub(crate) aggregate_id: Uuid,
    pub(crate) traceparent: Option<TraceParent>,
    pub(crate) overdue_ms: u64,
    /// Absent in the plan of released builds.
    pub(crate) delivery: Option<&'a Delivery>,
    pub(crate) carried: Option<&'a Carried>,
}

/// The state of a delivery.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) event_id: EventId,
    pub(crate) event_type: String,
    pub(crate) aggregate_id: Uuid,
    pub(crate) traceparent: Option<TraceParent>,
    overdue_ms: u64,
    /// Whether an earlier run has published through the exchange.
    pub(crate) direct: bool,
    /// Whether an earlier run of the same workflow handed over.
    pub(crate) carried: bool,
    pub(crate) stage: Stage,
    /// What the search attribute says.
    pub(crate) shown: Stage,
    pub(crate) publishes: u32,
    pub(crate) overdue_checks: u32,
    /// How often an operator has asked for another publish.
    pub(crate) republishes: u32,
    /// The consumers; none in the plan of released builds.
    pub(crate) recipients: Vec<Recipient>,
    pub(crate) leave: Leave,
    /// Since when the acknowledgements are waited for, for the reader.
    pub(crate) awaited_since: Option<SystemTime>,
    /// Whether the wait has just begun, and has one timer for all consumers.
    pub(crate) first_moment: bool,
}

/// Why the consumers are not awaited any longer although some are not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leave {
    /// They are.
    No,
    /// The history has grown: another run goes on.
    Grown,
    /// The delivery to one of them has failed for good.
    Failed,
}

impl State {
    /// Goes on from an earlier run, or begins.
    pub(crate) fn new(begin: Begin<'_>) -> Self {
        let Begin {
            event_id,
            event_type,
            aggregate_id,
            traceparent,
            overdue_ms,
            delivery,
            carried,
        } = begin;
        let stage = carried.map_or(Stage::Started, |c| c.stage);
        let recipients = match (carried, delivery) {
            (Some(carried), _) => {
                let awaited = carried.awaited.iter().cloned();
                awaited.map(|one| Recipient::carried(one, delivery)).collect()
            }
            (None, Some(all)) => {
                let consumers = all.consumers.iter().cloned();
                consumers.map(|one| Recipient::new(one, delivery)).collect()
            }
            (None, None) => Vec::new(),
        };
        Self {
            event_id,
            event_type: event_type.to_owned(),
            aggregate_id,
            traceparent,
            overdue_ms,
            direct: delivery.is_some_and(|delivery| delivery.direct),
            carried: carried.is_some(),
            stage,
            shown: stage,
            publishes: carried.map_or(0, |c| c.publishes),
            overdue_checks: carried.map_or(0, |c| c.overdue_checks),
            republishes: 0,
            recipients,
            leave: Leave::No,
            awaited_since: carried.and_then(|c| c.awaited_since_ms).and_then(time_of),
            first_moment: false,
        }
    }

    /// What the next run goes on from.
    pub(crate) fn carry(&self) -> Carried {
        Carried {
            stage: self.stage,
            publishes: self.publishes,
            overdue_checks: self.overdue_checks,
            awaited_since_ms: self.awaited_since.and_then(ms_of),
            awaited: self.recipients.iter().filter_map(Recipient::carry).collect(),
        }
    }

    /// When an acknowledgement counts as overdue for the first time, unless its consumer
    /// has a time of its own.
    pub(crate) fn overdue(&self) -> Duration {
        Duration::from_millis(self.overdue_ms.max(1))
    }

    /// How long the wait has one timer for all consumers, and SENT is not shown.
    pub(crate) fn moment(&self) -> Duration {
        let each = self.recipients.iter().map(|one| one.overdue(self.overdue()));
        MOMENT.min(each.min().unwrap_or_else(|| self.overdue()) / 2)
    }

    /// How far the delivery is.
    pub(crate) fn progress(&self) -> Progress {
        Progress {
            stage: self.stage,
            publishes: self.publishes,
            overdue_checks: self.overdue_checks,
            awaited: self.awaited().cloned().collect(),
        }
    }

    /// The consumers that have not acknowledged.
    pub(crate) fn awaited(&self) -> impl Iterator<Item = &ConsumerName> {
        self.recipients.iter().filter(|one| one.end.is_none()).map(|one| &one.consumer)
    }

    /// What a consumer has acknowledged with.
    pub(crate) fn reference_of(&self, consumer: &ConsumerName) -> Option<&str> {
        let one = self.recipients.iter().find(|one| one.consumer == *consumer)?;
        match one.end.as_ref()? {
            End::Acknowledged(reference) => reference.as_deref(),
            End::Waived => None,
        }
    }

    /// The consumers that something is left to be done for.
    pub(crate) fn not_done(&self) -> Vec<ConsumerName> {
        let awaited = self.recipients.iter().filter(|one| !one.done);
        awaited.map(|one| one.consumer.clone()).collect()
    }

    /// Notes why a consumer is not awaited any more, where the reason counts.
    pub(crate) fn end(&mut self, consumer: &ConsumerName, end: End) {
        if let Some(one) = self.recipients.iter_mut().find(|one| one.consumer == *consumer) {
            one.end(end);
        }
    }

    /// Whether no signal waits to be reacted to.
    pub(crate) fn nothing_new(&self) -> bool {
        let unseen = |one: &Recipient| {
            !one.done && (one.end.is_some() || one.republishes < self.republishes)
        };
        !self.recipients.iter().any(unseen)
    }
}

fn ms_of(time: SystemTime) -> Option<u64> {
    let since_epoch = time.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    u64::try_from(since_epoch.as_millis()).ok()
}

fn time_of(ms: u64) -> Option<SystemTime> {
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_moment_is_over_before_any_acknowledgement_is_overdue() {
        let mut delivery = Delivery::to(vec![onboard_events::TODO, "crm".parse().unwrap()], false);
        for (crm_ms, moment) in [(None, 2_000), (Some(3_000), 1_500), (Some(u64::MAX), 2_000)] {
            delivery.patience = crm_ms.map(|ms| ("crm".parse().unwrap(), ms)).into_iter().collect();
            let state = State::new(begin(&delivery, 30_000));
            assert_eq!(state.moment(), Duration::from_millis(moment), "{crm_ms:?}");
        }
    }

    fn begin(delivery: &Delivery, overdue_ms: u64) -> Begin<'_> {
        Begin {
            event_id: "0190c1c4-7f6e-7d1a-8b1e-2f6f3a1b2c3d".parse().unwrap(),
            event_type: "USER_REGISTERED",
            aggregate_id: Uuid::from_u128(1),
            traceparent: None,
            overdue_ms,
            delivery: Some(delivery),
            carried: None,
        }
    }

    #[test]
    fn what_a_consumer_has_acknowledged_with_is_known_however_it_was_heard() {
        let delivery = Delivery::to(vec![onboard_events::TODO], false);
        let mut state = State::new(begin(&delivery, 1));
        assert_eq!(state.reference_of(&onboard_events::TODO), None);
        state.end(&onboard_events::TODO, End::Acknowledged(Some("made".to_owned())));
        assert_eq!(state.reference_of(&onboard_events::TODO), Some("made"));
    }
}
