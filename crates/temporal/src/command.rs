//! Commands of Temporal's own tool, as an operator types them into a shell.

use std::borrow::Cow;

/// Ends a workflow.
#[must_use]
pub fn terminate(workflow: &str) -> String {
    format!("temporal workflow terminate --workflow-id {}", word(workflow))
}

/// Ends the pause of a workflow.
#[must_use]
pub fn unpause(workflow: &str) -> String {
    format!("temporal workflow unpause --workflow-id {}", word(workflow))
}

/// Ends the pause of an activity.
#[must_use]
pub fn unpause_activity(workflow: &str, activity: &str) -> String {
    let (workflow, activity) = (word(workflow), word(activity));
    format!("temporal activity unpause --activity-id {activity} --workflow-id {workflow}")
}

/// Gives a workflow back to whatever version its workers have.
#[must_use]
pub fn unpin(workflow: &str) -> String {
    let workflow = word(workflow);
    format!(
        "temporal workflow update-options --versioning-override-behavior unspecified --workflow-id {workflow}"
    )
}

/// Ends the limit that somebody has set for the activities of a task queue.
#[must_use]
pub fn unlimit(task_queue: &str) -> String {
    let task_queue = word(task_queue);
    format!(
        "temporal task-queue config set --task-queue-type activity --queue-rps-limit default --task-queue {task_queue}"
    )
}

/// A word that the shell takes as it is.
fn word(text: &str) -> Cow<'_, str> {
    // Only a text with a NUL cannot be quoted, and no id of Temporal has one.
    shlex::try_quote(text).unwrap_or(Cow::Borrowed("''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_of_a_stranger_is_one_word() {
        assert_eq!(terminate("order-7"), "temporal workflow terminate --workflow-id order-7");
        let odd = terminate("a; rm -rf b");
        assert_eq!(odd, "temporal workflow terminate --workflow-id 'a; rm -rf b'");
    }
}
