//! Says as metrics what only Temporal knows: whether anybody works on the task
//! queue, and how many workflows failed. While it does not answer, nothing is
//! claimed: the metrics are NaN.

use std::time::Duration;

use onboard_runtime::{Rounds, Shutdown};
use onboard_temporal::{Pollers, Temporal};

const EVERY: Duration = Duration::from_secs(5);

/// Asks until the shutdown.
pub(crate) async fn run(temporal: Temporal, shutdown: Shutdown) {
    // Nothing is known before the first connection.
    if temporal.connected(&shutdown).await.is_none() {
        return;
    }
    let mut rounds = Rounds::new(EVERY, shutdown);
    while let Some((pollers, failed)) = rounds.next(ask(&temporal)).await {
        publish(pollers.as_ref(), failed);
    }
}

async fn ask(temporal: &Temporal) -> (Option<Pollers>, Option<u64>) {
    let (pollers, failed) = tokio::join!(temporal.pollers(), temporal.failed_registrations());
    (pollers.ok(), failed.ok())
}

fn publish(pollers: Option<&Pollers>, failed: Option<u64>) {
    let workflow = pollers.map_or(f64::NAN, |pollers| f64::from(pollers.workflow));
    let activity = pollers.map_or(f64::NAN, |pollers| f64::from(pollers.activity));
    metrics::gauge!("task_queue_pollers", "kind" => "workflow").set(workflow);
    metrics::gauge!("task_queue_pollers", "kind" => "activity").set(activity);
    let failed =
        failed.map_or(f64::NAN, |count| f64::from(u32::try_from(count).unwrap_or(u32::MAX)));
    metrics::gauge!("workflows_failed").set(failed);
}
