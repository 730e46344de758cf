//! The plan of steps that new runs follow, and which workers know it.
//!
//! A worker of a released build ignores the consumers in the input of a run: it
//! publishes the event once and ends the run when the first consumer has acknowledged.
//! So a worker of this build adds a mark to the identity with which it polls, whatever
//! its deployment calls the build, and Temporal tells the identities of all that poll.
//! Temporal forgets the identity of a worker that dies.

use onboard_runtime::{Problems, host};

/// The mark, behind process and host.
const MARK: &str = " plan-2";

/// The plan of a new run that its outbox row does not decide.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DeliveryPlan {
    /// The plan of released builds, for one consumer.
    #[default]
    Released,
    /// The plan for any number of consumers.
    Several,
}

/// Setting of the plan.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Consumers")]
pub struct DeliveryPlanArgs {
    /// The plan of steps of a new run whose outbox row names no consumers: `1`,
    /// which workers of released builds know, or `2`, the plan of all others.
    /// Set 2 when no older worker polls; `onboard doctor` tells. Default: 1.
    #[arg(long, env = "DELIVERY_PLAN")]
    pub delivery_plan: Option<String>,
}

impl DeliveryPlanArgs {
    /// Checks the setting.
    pub fn check(&self, problems: &mut Problems) -> DeliveryPlan {
        match problems.number_or("DELIVERY_PLAN", self.delivery_plan.as_deref(), 1, 1..=2) {
            1 => DeliveryPlan::Released,
            _ => DeliveryPlan::Several,
        }
    }
}

/// The identity of a worker of this build: `<process>@<host> plan-2`.
#[must_use]
pub fn poller_identity() -> String {
    format!("{}@{}{MARK}", std::process::id(), host::name())
}

/// Whether a worker of this identity knows every plan.
pub(crate) fn knows_every_plan(identity: &str) -> bool {
    identity.ends_with(MARK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_of_this_build_is_told_from_one_of_a_released_build() {
        assert!(knows_every_plan(&poller_identity()));
        assert!(!knows_every_plan(&format!("{}@{}", std::process::id(), host::name())));
        assert!(!knows_every_plan(""));
    }
}
