//! A version of the workers that the task queue hands its tasks to and that does not poll,
//! in words. It only looks.

use onboard_temporal::{Temporal, Unserved, command};

use crate::times;

/// What keeps the tasks from the workers that poll; none where they get them, and where the
/// server does not tell.
pub(crate) async fn note(temporal: &Temporal) -> Option<String> {
    temporal.unserved().await.ok().flatten().map(|unserved| words(&unserved))
}

fn words(unserved: &Unserved) -> String {
    let Unserved { deployment, build, percent, set, .. } = unserved;
    let by = if set.by.is_empty() { "somebody" } else { &set.by };
    let since = set.since_ms.map(|at| format!(" since {}", times::rfc3339(at)));
    format!(
        "{percent} % of the workflow tasks go to workers of version {deployment}:{build}, as {by} \
         has set{}, and none of them polls: start one, or this ends it: {}",
        since.unwrap_or_default(),
        command::serve(unserved)
    )
}
