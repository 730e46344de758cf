//! How much a worker takes at a time. `onboard bench` measures Temporal's
//! limit with the same options, so they are in one place.

use temporalio_sdk::WorkerOptions;
use temporalio_sdk::runtime::PollerBehavior;
use temporalio_sdk::runtime::worker_tuner::{FixedSizeSlotSupplier, TunerHolder};

/// Fewer cost a fifth of the throughput; more change nothing.
const POLLERS: usize = 20;
/// Workflow tasks at once, and as many local activities: a task runs one at a
/// time, so none of them ever waits for a slot while its task's time runs.
const WORKFLOW_TASKS: usize = 100;
/// Activities at once, those included that the answer to a workflow task hands
/// out. Each may wait 7 s for the broker's confirm.
const ACTIVITIES: usize = 200;
/// Workflows kept in memory between their tasks; others are replayed. Most of
/// those that wait for an acknowledgement wait for milliseconds.
const CACHED_WORKFLOWS: usize = 1_000;

/// The options with the pollers, slots and cache of a registration worker.
#[must_use]
pub fn tuned(mut options: WorkerOptions) -> WorkerOptions {
    let pollers = PollerBehavior::SimpleMaximum(POLLERS);
    options.workflow_task_poller_behavior = Some(pollers);
    options.activity_task_poller_behavior = Some(pollers);
    options.max_cached_workflows = CACHED_WORKFLOWS;
    options.tuner = slots().into();
    // One workflow task asks for one activity.
    options.max_eager_activity_reservations_per_workflow_task = 1;
    options
}

fn slots() -> TunerHolder {
    TunerHolder::builder()
        .workflow_task_slot_supplier(FixedSizeSlotSupplier::new(WORKFLOW_TASKS))
        .local_activity_task_slot_supplier(FixedSizeSlotSupplier::new(WORKFLOW_TASKS))
        .activity_task_slot_supplier(FixedSizeSlotSupplier::new(ACTIVITIES))
        .nexus_task_slot_supplier(FixedSizeSlotSupplier::new(1))
        .build()
}
