//! The run: one scenario after the other, each on a bed that has come to rest.

use std::thread::available_parallelism;

use onboard_chaos::Live;

use crate::{
    Bed, Figure, Report, Scale, Scenario, consume, drain, history, latency, memory, outage,
    overload, register, startup,
};

/// Measures `scenarios` on a bed that is up.
///
/// # Errors
/// When something cannot be measured, because a server or service does not do
/// its work.
pub async fn run(
    bed: &Bed,
    scenarios: &[Scenario],
    scale: Scale,
    live: &Live,
) -> anyhow::Result<Report> {
    let mut figures = Vec::new();
    for scenario in Scenario::ALL.into_iter().filter(|one| scenarios.contains(one)) {
        live.phase(&format!("{scenario} …"));
        figures.extend(measure(bed, scenario, scale, live).await?);
    }
    Ok(Report {
        cpus: available_parallelism().map_or(1, usize::from),
        debug_build: cfg!(debug_assertions),
        quick: scale == Scale::Quick,
        figures,
    })
}

async fn measure(
    bed: &Bed,
    scenario: Scenario,
    scale: Scale,
    live: &Live,
) -> anyhow::Result<Vec<Figure>> {
    match scenario {
        Scenario::Startup => Ok(startup::run(bed)),
        Scenario::Memory => memory::run(bed, scale, live).await,
        Scenario::Latency => latency::run(bed, scale, live).await,
        Scenario::Register => register::run(bed, scale, live).await,
        Scenario::Drain => drain::run(bed, scale, live).await,
        Scenario::Consume => consume::run(bed, scale, live).await,
        Scenario::History => history::run(bed, scale, live).await,
        Scenario::Overload => overload::run(bed, scale, live).await,
        Scenario::Outage => outage::run(bed, scale, live).await,
    }
}
