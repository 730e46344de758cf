//! How long `onboard up` takes when the servers are in the cache.

use crate::{Bed, Figure, Scenario, Target};

pub(crate) fn run(bed: &Bed) -> Vec<Figure> {
    let ready = bed.ready_after().as_secs_f64();
    let figure =
        Figure::new(Scenario::Startup, "everything ready, state directory empty", ready, "s");
    vec![figure.aim(Target::AtMost(12.0))]
}
