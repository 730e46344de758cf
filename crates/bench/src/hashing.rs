//! What hashing allows: measured with nothing else going on.

use std::time::Duration;

use anyhow::Context as _;
use onboard_auth::hash::calibrate;

/// What production hashes with (KiB, passes).
const PRODUCTION: (u32, u32) = (19_456, 2);

/// Passwords hashed a second on as many threads as there are CPUs.
pub(crate) async fn hashes_per_s(time: Duration) -> anyhow::Result<f64> {
    let threads = calibrate::threads_default();
    let measure = move || calibrate::measure(PRODUCTION, threads, time);
    let measured = tokio::task::spawn_blocking(measure).await.context("hashing died")?;
    Ok(measured.context("hashing cannot be measured")?.hashes_per_s)
}
