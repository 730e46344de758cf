//! What a run is started with, the first time and when it is rebuilt. It is computed
//! from the row and the settings alone.

use std::time::Duration;

use onboard_contract::Delivery;
use onboard_temporal::DeliveryPlan;

/// The part of a run's input that the settings decide.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Input {
    pub(crate) overdue: Duration,
    pub(crate) plan: DeliveryPlan,
}

impl Input {
    /// How long after a publish its acknowledgement is overdue, in ms.
    pub(crate) fn overdue_ms(self) -> u64 {
        u64::try_from(self.overdue.as_millis()).unwrap_or(u64::MAX)
    }

    /// What a run delivers: what its row names, and in the plan of released
    /// builds nothing, where the row names nobody.
    pub(crate) fn delivery(self, of_row: Option<&Delivery>, sent: bool) -> Option<Delivery> {
        match of_row {
            Some(delivery) => Some(delivery.clone()),
            None => match self.plan {
                DeliveryPlan::Released => None,
                DeliveryPlan::Several => Some(Delivery::to(vec![onboard_events::TODO], sent)),
            },
        }
    }
}
