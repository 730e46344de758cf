//! SKELETON.

use onboard_chaos::Live;

use crate::{Bed, Figure, Scale};

pub(crate) async fn run(_bed: &Bed, _scale: Scale, _live: &Live) -> anyhow::Result<Vec<Figure>> {
    Ok(Vec::new())
}
