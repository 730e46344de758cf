//! How long a try of an activity took and how it ended, as a metric.

use std::time::Instant;

use onboard_runtime::Metric;

use crate::failure::Failure;

/// The metrics that this crate records.
pub const METRICS: &[Metric] = &[Metric::seconds(
    "activity_seconds",
    &[("activity", &[]), ("outcome", &[])],
    "Time of one try of an activity, by outcome: ok, retry, permanent.",
)];

/// Does the work and measures it. Work that is dropped before its end, because
/// nobody waits for it any more, counts as one to be tried again.
pub(crate) async fn measured<T>(
    activity: &'static str,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let mut one = Try { activity, began: Instant::now(), outcome: "retry" };
    let done = work.await;
    one.outcome = match &done {
        Ok(_) => "ok",
        Err(failure) if failure.is_permanent() => "permanent",
        Err(_) => "retry",
    };
    done
}

struct Try {
    activity: &'static str,
    began: Instant,
    outcome: &'static str,
}

impl Drop for Try {
    fn drop(&mut self) {
        let labels = [("activity", self.activity), ("outcome", self.outcome)];
        metrics::histogram!("activity_seconds", &labels).record(self.began.elapsed());
    }
}
