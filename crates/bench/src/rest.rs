//! Between two scenarios: everything runs and nothing waits.

use std::time::Duration;

use anyhow::bail;
use onboard_chaos::{Live, settle};
use onboard_ops::Databases;

use crate::Bed;
use crate::drain::unfinished;
use crate::until::until;

const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// Starts what was stopped and waits until nothing is left to do.
///
/// # Errors
/// Something is left after twelve minutes.
pub(crate) async fn rest(bed: &Bed, mongo: &Databases, live: &Live) -> anyhow::Result<()> {
    let settled = settle(bed.stage(), mongo, live).await?;
    if settled.after.is_some() {
        return Ok(());
    }
    match settled.left {
        Some(left) => bail!("the stack does not come to rest: {left}"),
        None => bail!("the stack does not come to rest: a server does not answer"),
    }
}

/// Waits until every registration is acknowledged.
///
/// # Errors
/// Those that are not have been no fewer for `standstill`; the error says how many.
pub(crate) async fn at_rest(
    mongo: &Databases,
    standstill: Duration,
    live: &Live,
) -> anyhow::Result<()> {
    until("registrations under way", (standstill, LOOK_AGAIN), async || {
        let left = unfinished(mongo).await?;
        live.show(format!("coming to rest: {left} registrations under way"));
        Ok(left)
    })
    .await
}
