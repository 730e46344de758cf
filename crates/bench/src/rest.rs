//! Whether the bed is at rest: no registration is unfinished.

use std::time::{Duration, Instant};

use anyhow::bail;
use mongodb::bson::doc;
use onboard_chaos::Live;
use onboard_store::Mongo;
use tokio::time::sleep;

const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// Waits until every registration is acknowledged and says how long that took.
///
/// # Errors
/// Some are not within `bound`; the error says how many.
pub(crate) async fn at_rest(
    mongo: &Mongo,
    bound: Duration,
    live: &Live,
) -> anyhow::Result<Duration> {
    let begun = Instant::now();
    loop {
        let left = unfinished(mongo).await?;
        if left == 0 {
            return Ok(begun.elapsed());
        }
        if begun.elapsed() > bound {
            bail!("{left} registrations are unfinished after {} s", bound.as_secs());
        }
        live.show(format!("coming to rest: {left} registrations under way"));
        sleep(LOOK_AGAIN).await;
    }
}

/// Registrations that are not acknowledged; served by the index over them.
pub(crate) async fn unfinished(mongo: &Mongo) -> anyhow::Result<u64> {
    Ok(mongo.outbox().count_documents(doc! { "acknowledgedAt": null }).await?)
}
