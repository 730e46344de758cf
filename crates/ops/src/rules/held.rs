//! Workflows that are held back by something that no repeat ends. The rule names the
//! command that ends it, and `redrive` leaves such a workflow alone.

use onboard_contract::EventType;
use onboard_temporal::{Execution, Pause, command};

use super::Finding;
use crate::case::{Case, WorkflowRun};
use crate::times;

/// Why a run stands still, and the command that ends that.
struct Held {
    words: String,
    next: String,
}

/// What holds back a workflow that runs.
pub(super) fn find(case: &Case, run: &WorkflowRun) -> Option<Finding> {
    let described = run.described.as_ref()?;
    let held = stranger(case, described)
        .or_else(|| paused(described))
        .or_else(|| activity_paused(described))
        .or_else(|| pinned(described))
        .or_else(|| task_fails(described, run.task_failure.as_deref()))?;
    let missing = Finding::missing(format!("no end of the workflow: {}", held.words));
    Some(missing.with_reason(held.words).with_next(held.next))
}

/// Somebody has started another workflow under the id of the event's own.
fn stranger(case: &Case, run: &Execution) -> Option<Held> {
    let own = case.known_type().map(EventType::workflow_type);
    let what = if own.is_some_and(|own| own != run.workflow_type) {
        format!("of the type {}", run.workflow_type)
    } else {
        format!("on the task queue {}", run.other_task_queue.as_ref()?)
    };
    Some(Held {
        words: format!(
            "a workflow {what} has its id; when that has ended, the relay starts its own"
        ),
        next: command::terminate(&run.workflow_id),
    })
}

fn paused(run: &Execution) -> Option<Held> {
    let words = format!("the workflow is {}", by(run.paused.as_ref()?));
    Some(Held { words, next: command::unpause(&run.workflow_id) })
}

fn activity_paused(run: &Execution) -> Option<Held> {
    let activity = run.pending.as_ref()?;
    let pause = activity.paused.as_ref()?;
    let (workflow, id) = (&run.workflow_id, &activity.activity_id);
    let next = match &pause.rule {
        None => command::unpause_activity(workflow, id),
        Some(rule) => command::remove_rule(rule, workflow, id),
    };
    Some(Held { words: format!("{} is {}", activity.activity, by(pause)), next })
}

fn pinned(run: &Execution) -> Option<Held> {
    // A run whose tasks are taken goes on, whatever it is pinned to.
    let waits = run.task.is_some_and(|task| !task.taken);
    let version = run.pinned.as_ref().filter(|_| waits)?;
    Some(Held {
        words: format!("no worker of version {version} takes its task, which it is pinned to"),
        next: command::unpin(&run.workflow_id),
    })
}

fn task_fails(run: &Execution, failure: Option<&str>) -> Option<Held> {
    let task = run.task.filter(|task| task.fails())?;
    let failure = failure.map(|failure| format!(": {failure}")).unwrap_or_default();
    Some(Held {
        words: format!(
            "its workflow task fails (try {}{failure}); no build of the workers can go on with \
             it, and when it is terminated the relay starts it again",
            task.attempt
        ),
        next: command::terminate(&run.workflow_id),
    })
}

fn by(pause: &Pause) -> String {
    let by = match (&pause.rule, pause.by.as_str()) {
        (Some(rule), "") => format!("the workflow rule {rule}"),
        (Some(rule), by) => format!("the workflow rule {rule} of {by}"),
        (None, "") => "somebody whom Temporal does not name".to_owned(),
        (None, by) => by.to_owned(),
    };
    let since = pause.since_ms.map(|at| format!(" since {}", times::rfc3339(at)));
    let why = Some(&pause.reason).filter(|why| !why.is_empty()).map(|why| format!(" ({why})"));
    format!("paused by {by}{}{}", since.unwrap_or_default(), why.unwrap_or_default())
}
