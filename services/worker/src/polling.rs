//! What the worker polls Temporal for: workflows and their activities.

use std::time::Duration;

use onboard_activities::RegistrationActivities;
use onboard_poller::{Fault, Poller, unversioned};
use onboard_temporal::{Temporal, poller_identity};
use onboard_workflows::{EventDelivery, UserRegistration};
use temporalio_sdk::WorkerOptions;

use crate::deployment::Deployment;
use crate::tuning::tuned;

/// How long activities may take to end once the process is asked to stop.
pub(crate) const DRAIN_DEADLINE: Duration = Duration::from_secs(12);
/// When activities are told that they are cancelled.
const GRACE: Duration = Duration::from_secs(8);

/// Polls the task queue; `deployment` is absent where the worker is not versioned.
pub(crate) fn poller(
    temporal: Temporal,
    task_queue: String,
    deployment: Option<Deployment>,
    activities: RegistrationActivities,
) -> Poller {
    let options = move || options(&task_queue, deployment.as_ref(), &activities);
    Poller { temporal, thread: "workflows", options: Box::new(options) }
}

fn options(
    task_queue: &str,
    deployment: Option<&Deployment>,
    activities: &RegistrationActivities,
) -> Result<WorkerOptions, Fault> {
    let options = WorkerOptions::new(task_queue)
        .register_workflow::<UserRegistration>()?
        .register_workflow::<EventDelivery>()?
        .register_activities(activities.clone())
        .graceful_shutdown_period(GRACE)
        .client_identity_override(poller_identity())
        .deployment_options(deployment.map_or_else(unversioned, Deployment::options))
        .build();
    Ok(tuned(options))
}
