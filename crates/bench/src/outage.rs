//! Each server away for half a minute while people register.

use std::time::{Duration, Instant};

use onboard_chaos::Live;
use onboard_ops::Databases;
use onboard_stack::Server;
use tokio::time::sleep;

use crate::bed::AUTH;
use crate::load::{People, Tally};
use crate::rest::at_rest;
use crate::samples::{as_float, rate};
use crate::{Bed, Figure, Scale, Scenario};

/// People a second: what the pipeline can follow, with some to spare.
const RATE: f64 = 20.0;
const REST: Duration = Duration::from_mins(10);

pub(crate) async fn run(bed: &Bed, scale: Scale, live: &Live) -> anyhow::Result<Vec<Figure>> {
    let mongo = bed.mongo().await?;
    let mut figures = Vec::new();
    for server in Server::ALL.map(Server::name) {
        let away = scale.pick(Duration::from_secs(30), Duration::from_secs(3));
        let found = outage(bed, &mongo, server, away, live).await?;
        figures.extend(told(server, away, &found));
    }
    Ok(figures)
}

struct Outage {
    tally: Tally,
    /// From when to when the server did not serve.
    down: (Instant, Instant),
    drained_after: Duration,
}

async fn outage(
    bed: &Bed,
    mongo: &Databases,
    server: &str,
    away: Duration,
    live: &Live,
) -> anyhow::Result<Outage> {
    let (people, url) = (People::new()?, bed.register_url(AUTH)?);
    let component = bed.component(server)?;
    let lead = away / 6;
    let breaking = async {
        sleep(lead).await;
        let from = Instant::now();
        component.stop().await?;
        sleep(away.saturating_sub(from.elapsed())).await;
        component.start().await?;
        anyhow::Ok((from, Instant::now()))
    };
    let length = lead + away + lead;
    let both = async { tokio::join!(people.open(&url, RATE, length), breaking) };
    let (tally, down) =
        live.during(both, || format!("{RATE} people a second, {server} away")).await;
    let down = down?;
    at_rest(mongo, REST, live).await?;
    Ok(Outage { tally, down, drained_after: down.1.elapsed() })
}

fn told(server: &str, away: Duration, found: &Outage) -> Vec<Figure> {
    let (from, to) = found.down;
    let meanwhile = found.tally.created.iter().filter(|(_, at)| (from..to).contains(at)).count();
    let named = |what: &str, value: f64, unit: &'static str| {
        let name = format!("{server} {} s away: {what}", away.as_secs());
        Figure::new(Scenario::Outage, &name, value, unit)
    };
    vec![
        named("201", rate(meanwhile as u64, to - from), "1/s").beside("arrivals", RATE),
        named("503 of the run", as_float(found.tally.refusals.len() as u64), ""),
        named("neither", as_float(found.tally.failed), ""),
        named("201 p99", found.tally.answers.ms(0.99), "ms"),
        named("503 p99", found.tally.refusals.ms(0.99), "ms"),
        named("all done after", found.drained_after.as_secs_f64(), "s"),
    ]
}
