//! How much a worker takes at a time. `onboard bench` measures Temporal's
//! limit with the same options, so they are in one place.

use temporalio_sdk::WorkerOptions;
use temporalio_sdk::runtime::PollerBehavior;

/// Fewer cost a fifth of the throughput; more change nothing.
const POLLERS: usize = 20;

/// The options with the pollers of a registration worker.
#[must_use]
pub fn tuned(mut options: WorkerOptions) -> WorkerOptions {
    let pollers = PollerBehavior::SimpleMaximum(POLLERS);
    options.workflow_task_poller_behavior = Some(pollers);
    options.activity_task_poller_behavior = Some(pollers);
    options
}
