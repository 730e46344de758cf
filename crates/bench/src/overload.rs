//! Three times as many people as can be registered.

use std::time::{Duration, Instant};

use onboard_chaos::Live;

use crate::bed::AUTH;
use crate::load::{People, Tally};
use crate::memory::{meanwhile, resident};
use crate::register::CLIENTS;
use crate::rest::at_rest;
use crate::samples::as_float;
use crate::{Bed, Figure, Scale, Scenario, Target};

const REST: Duration = Duration::from_mins(10);
const TIMES: f64 = 3.0;

pub(crate) async fn run(bed: &Bed, scale: Scale, live: &Live) -> anyhow::Result<Vec<Figure>> {
    let mongo = bed.mongo().await?;
    let (people, url) = (People::new()?, bed.register_url(AUTH)?);
    let short = scale.pick(Duration::from_secs(15), Duration::from_secs(2));
    let long = scale.pick(Duration::from_mins(1), Duration::from_secs(4));
    let peak = live
        .during(people.closed(&url, CLIENTS, short), || "finding the peak".to_owned())
        .await
        .rate();
    let (tally, memory_mib) = live
        .during(flood(bed, &people, &url, peak * TIMES, long), || {
            format!("{:.0} people a second for {} s", peak * TIMES, long.as_secs())
        })
        .await?;
    let begun = Instant::now();
    let again = people.closed(&url, 1, Duration::ZERO).await;
    let first = begun.elapsed();
    let after = people.closed(&url, CLIENTS, short).await.rate();
    at_rest(&mongo, REST, live).await?;
    Ok(vec![
        named("registrations at three times the peak", tally.rate(), "1/s")
            .beside("peak, 32 clients", peak)
            .aim(Target::RatioAtLeast(0.9)),
        named("  answered 201, p99", tally.answers.ms(0.99), "ms"),
        named("  refused with 503", as_float(tally.refusals.len() as u64), ""),
        named("  refused within, p50", tally.refusals.ms(0.5), "ms"),
        named("  refused within, p99", tally.refusals.ms(0.99), "ms"),
        named("  neither 201 nor 503", as_float(tally.failed), "").aim(Target::AtMost(0.0)),
        named("  memory of auth at most", memory_mib, "MiB"),
        named(
            "first 201 after it",
            if again.created.is_empty() { f64::INFINITY } else { first.as_secs_f64() * 1_000.0 },
            "ms",
        ),
        named("registrations right after it", after, "1/s")
            .beside("peak, 32 clients", peak)
            .aim(Target::RatioAtLeast(0.9)),
    ])
}

/// The load, and the most memory auth held meanwhile.
async fn flood(
    bed: &Bed,
    people: &People,
    url: &str,
    rate: f64,
    length: Duration,
) -> anyhow::Result<(Tally, f64)> {
    let mut peak_mib: f64 = 0.0;
    let load = people.open(url, rate, length);
    let tally = meanwhile(load, || {
        peak_mib = peak_mib.max(resident(bed, AUTH)?.all_mib);
        Ok(())
    });
    let tally = tally.await?;
    Ok((tally, peak_mib))
}

fn named(name: &str, value: f64, unit: &'static str) -> Figure {
    Figure::new(Scenario::Overload, name, value, unit)
}
