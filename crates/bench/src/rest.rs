//! Between two scenarios: everything runs and nothing waits.

use std::time::{Duration, Instant};

use anyhow::bail;
use mongodb::bson::doc;
use onboard_chaos::{Live, settle};
use onboard_store::Mongo;
use tokio::time::sleep;

use crate::Bed;

const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// Starts what was stopped and waits until nothing is left to do.
///
/// # Errors
/// Something is left after twelve minutes.
pub(crate) async fn rest(bed: &Bed, mongo: &Mongo, live: &Live) -> anyhow::Result<()> {
    let settled = settle(bed.stage(), mongo, live).await?;
    if settled.after.is_some() {
        return Ok(());
    }
    match settled.left {
        Some(left) => bail!("the stack does not come to rest: {left}"),
        None => bail!("the stack does not come to rest: a server does not answer"),
    }
}

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
