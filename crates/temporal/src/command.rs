//! Commands of Temporal's own tool, as an operator types them into a shell.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::Unserved;

/// What a part of a path cannot be.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');

/// How each of them begins.
pub const BEGINS: [&str; 2] = ["temporal ", "NS="];

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

/// Ends the pause of an activity by a workflow rule: Temporal's tool cannot remove a rule,
/// and the rule would pause the activity again.
#[must_use]
pub fn remove_rule(rule: &str, workflow: &str, activity: &str) -> String {
    let rule = utf8_percent_encode(rule, ENCODED);
    // In short words: lines are folded between them. The hosts of Temporal read the rules
    // anew every few seconds, and pause what is let go before.
    let namespace = "/api/v1/namespaces/${TEMPORAL_NAMESPACE:-default}";
    format!(
        "NS={namespace} && RULES=$TEMPORAL_HTTP_URL$NS/workflow-rules && curl -sS -X DELETE \"$RULES/{rule}\" && sleep 10 && {}",
        unpause_activity(workflow, activity)
    )
}

/// Hands the tasks of a deployment's task queues to workers that poll.
#[must_use]
pub fn serve(unserved: &Unserved) -> String {
    let Unserved { deployment, build, is_current, instead, .. } = unserved;
    let deployment = word(deployment);
    if !is_current {
        let build = word(build);
        return format!(
            "temporal worker deployment set-ramping-version --delete --yes --build-id {build} --deployment-name {deployment}"
        );
    }
    let to = instead
        .as_deref()
        .map_or_else(|| "--unversioned".to_owned(), |build| format!("--build-id {}", word(build)));
    format!(
        "temporal worker deployment set-current-version {to} --yes --deployment-name {deployment}"
    )
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
        let rule = remove_rule("a/\"b", "order-7", "1");
        assert!(rule.contains("/a%2F%22b\" && sleep 10 && temporal activity"), "{rule}");
        let odd = terminate("a; rm -rf b");
        assert_eq!(odd, "temporal workflow terminate --workflow-id 'a; rm -rf b'");
    }
}
