//! A limit that somebody has set for the task queue, in words. It only looks.

use onboard_temporal::{RateLimit, Temporal, command};

use crate::times;

/// What holds back every activity; none where nobody has set a limit, and where the server
/// does not tell.
pub(crate) async fn note(temporal: &Temporal) -> Option<String> {
    temporal.rate_limit().await.ok().flatten().map(|limit| words(&limit))
}

fn words(limit: &RateLimit) -> String {
    let RateLimit { task_queue, per_second, set } = limit;
    let since = set.since_ms.map(|at| format!(" since {}", times::rfc3339(at)));
    let why = Some(&set.reason).filter(|why| !why.is_empty()).map(|why| format!(" ({why})"));
    format!(
        "the task queue hands out {per_second} activities a second at most, as {} has set{}{}; this \
         ends it: {}",
        set.by,
        since.unwrap_or_default(),
        why.unwrap_or_default(),
        command::unlimit(task_queue)
    )
}
