//! Queries of Temporal's visibility for the workflows of a task queue.
//!
//! Visibility lags behind the truth: what it lists is a hint, and who acts on it asks
//! for the workflow itself.

use std::collections::BTreeSet;

use onboard_contract::EventType;

/// The workflows of the known event types, of any status.
#[must_use]
pub fn of_events(task_queue: &str) -> String {
    format!("WorkflowType IN ({}) AND {}", known_types(), on(task_queue))
}

/// Those of them that have failed.
pub(crate) fn failed(task_queue: &str) -> String {
    format!("{} AND ExecutionStatus = 'Failed'", of_events(task_queue))
}

/// Every workflow that has not ended; one that is paused has not.
pub(crate) fn open(task_queue: &str) -> String {
    format!("{} AND CloseTime IS NULL", on(task_queue))
}

/// Those of them whose type belongs to no event type that this build knows.
#[must_use]
pub fn open_of_unknown_type(task_queue: &str) -> String {
    format!("{} AND WorkflowType NOT IN ({})", open(task_queue), known_types())
}

/// Those of them whose workflow task has failed several times in a row. Servers before
/// 1.30 do not know the attribute and refuse the query.
#[must_use]
pub fn open_with_failing_task(task_queue: &str) -> String {
    format!("{} AND TemporalReportedProblems IS NOT NULL", open(task_queue))
}

fn on(task_queue: &str) -> String {
    let quoted = task_queue.replace('\\', "\\\\").replace('\'', "\\'");
    format!("TaskQueue = '{quoted}'")
}

fn known_types() -> String {
    let names: BTreeSet<&str> = onboard_events::known().map(EventType::workflow_type).collect();
    let names: Vec<String> = names.into_iter().map(|name| format!("'{name}'")).collect();
    names.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_queue_cannot_break_out_of_its_quotes() {
        assert_eq!(
            of_events(r"it's \ odd"),
            r"WorkflowType IN ('UserRegistration') AND TaskQueue = 'it\'s \\ odd'"
        );
    }
}
