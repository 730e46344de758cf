//! Between two scenarios: everything runs and nothing waits.

use anyhow::bail;
use onboard_chaos::{Live, settle};
use onboard_store::Mongo;

use crate::Bed;

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
