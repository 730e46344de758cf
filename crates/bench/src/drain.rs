//! A backlog of registrations, worked off by relay, worker and todo service.
//!
//! The limit is the same workflow with empty activities, measured before and
//! after; what the components use meanwhile is the capacity model.

mod size;

use std::time::{Duration, Instant};

use anyhow::ensure;
use mongodb::bson::{DateTime, Document, doc};
use onboard_auth::store::Registered;
use onboard_chaos::Live;
use onboard_contract::Stage;
use onboard_ops::Databases;
use onboard_outbox::stages;
use onboard_runtime::clock;

use self::size::Size;
use crate::cpu::Cpu;
use crate::fill::{fill, welcomes};
use crate::progress::Progress;
use crate::rest::rest;
use crate::samples::{as_float, rate};
use crate::until::{STANDSTILL, until};
use crate::{Bed, Figure, Scale, Scenario, Target, empty};

/// How often the rows are counted. MongoDB reads the unfinished rows for each count: twice
/// a second that was a seventh of its work. 2 s are less than 1 % of the time of a backlog.
const LOOK_EVERY: (Duration, Duration) = (Duration::from_secs(2), Duration::from_millis(250));
/// Ids asked for at once.
const PAGE: usize = 1_000;

pub(crate) async fn run(bed: &Bed, scale: Scale, live: &Live) -> anyhow::Result<Vec<Figure>> {
    let (backlog, shapes) = (scale.pick(10_000, 100), scale.pick(2_000, 30));
    let mongo = bed.mongo().await?;
    bed.component("relay")?.stop().await?;
    let size = Size::read(bed, &mongo).await?;
    let rows = fill(&mongo, backlog, live).await?;
    let pending = mongo.outbox().count_documents(doc! { "status": "PENDING" }).await?;
    ensure!(pending == backlog, "{pending} rows are PENDING, not {backlog}");

    let before = empty::rate_of(bed, shapes, live).await?;
    let floor = empty::floor(bed).await?;
    let (temporal, cpu) = (Size::temporal(bed)?, Cpu::read(bed)?);
    let look_every = scale.pick(LOOK_EVERY.0, LOOK_EVERY.1);
    let drained = drain(bed, &mongo, (backlog, look_every), live).await?;
    let used = Cpu::read(bed)?.since(&cpu);
    let temporal = Size::temporal(bed)?.saturating_sub(temporal);
    let after = empty::rate_of(bed, shapes, live).await?;

    each_has_its_todo(&mongo, &rows).await?;
    rest(bed, &mongo, live).await?;
    let stored = Size { temporal, ..Size::read(bed, &mongo).await?.since(&size) };
    let mut figures = rates(&drained, backlog, (before, after));
    let name = "lone empty workflow, start to publish, p50";
    figures.push(Figure::new(Scenario::Drain, name, floor.ms(0.5), "ms"));
    figures.extend(per_registration(backlog, &used, stored));
    Ok(figures)
}

/// How long the backlog took from the start of the relay.
struct Drained {
    started: Duration,
    acknowledged: Duration,
}

async fn drain(
    bed: &Bed,
    mongo: &Databases,
    (backlog, look_every): (u64, Duration),
    live: &Live,
) -> anyhow::Result<Drained> {
    let progress = Progress::new("working off the backlog", backlog);
    let begun = Instant::now();
    bed.component("relay")?.request_start().await?;
    let mut started = None;
    let look = async || {
        if started.is_none() && waiting(mongo).await? == 0 {
            started = Some(begun.elapsed());
        }
        let left = unfinished(mongo).await?;
        progress.left(left);
        Ok(left)
    };
    live.during(until("rows without acknowledgement", (STANDSTILL, look_every), look), || {
        progress.line()
    })
    .await?;
    let acknowledged = begun.elapsed();
    Ok(Drained { started: started.unwrap_or(acknowledged), acknowledged })
}

/// Rows without a workflow, by the index over unfinished rows.
async fn waiting(mongo: &Databases) -> anyhow::Result<u64> {
    let filter = stages::filter(Stage::Pending, DateTime::from_millis(clock::now_ms()));
    Ok(mongo.outbox().count_documents(filter).hint(index()).await?)
}

/// Rows that are not acknowledged, by the same index.
pub(crate) async fn unfinished(mongo: &Databases) -> anyhow::Result<u64> {
    let filter = doc! { "acknowledgedAt": null, "status": { "$in": ["PENDING", "SENT"] } };
    Ok(mongo.outbox().count_documents(filter).hint(index()).await?)
}

fn index() -> mongodb::options::Hint {
    mongodb::options::Hint::Keys(stages::order())
}

/// As many inbox records and welcome todos as rows, each of its own row.
async fn each_has_its_todo(mongo: &Databases, rows: &[Registered]) -> anyhow::Result<()> {
    for page in rows.chunks(PAGE) {
        let events = page.iter().map(|row| bytes(row.event_id.uuid().as_bytes()));
        let todos = welcomes(page).map(|todo| bytes(todo.uuid().as_bytes()));
        let inbox = count(mongo.processed_events(), "eventId", events).await?;
        let todos = count(mongo.todos(), "_id", todos).await?;
        let rows = u64::try_from(page.len())?;
        ensure!(
            inbox == rows && todos == rows,
            "{rows} registrations are acknowledged and have {inbox} inbox records, {todos} todos"
        );
    }
    Ok(())
}

async fn count(
    collection: mongodb::Collection<Document>,
    field: &str,
    ids: impl Iterator<Item = mongodb::bson::Uuid>,
) -> anyhow::Result<u64> {
    let ids: Vec<mongodb::bson::Uuid> = ids.collect();
    Ok(collection.count_documents(doc! { field: { "$in": ids } }).await?)
}

pub(crate) fn bytes(id: &[u8; 16]) -> mongodb::bson::Uuid {
    mongodb::bson::Uuid::from_bytes(*id)
}

fn rates(drained: &Drained, backlog: u64, (before, after): (f64, f64)) -> Vec<Figure> {
    let completed = rate(backlog, drained.acknowledged);
    let figure = |name: &str, value| Figure::new(Scenario::Drain, name, value, "1/s");
    vec![
        figure("registrations completed", completed).aim(Target::AtLeast(49.0)),
        figure("registrations completed ÷ empty workflows", completed)
            .beside("empty workflows, mean of before and after", f64::midpoint(before, after))
            .aim(Target::RatioAtLeast(0.9)),
        figure("empty workflows before", before),
        figure("empty workflows after", after),
        figure("workflows started by the relay", rate(backlog, drained.started)),
    ]
}

fn per_registration(backlog: u64, used: &[(String, Duration)], stored: Size) -> Vec<Figure> {
    let cpu = |name: &str, used: Duration| {
        let name = format!("CPU per registration: {name}");
        Figure::new(Scenario::Drain, &name, used.as_secs_f64() * 1_000.0 / as_float(backlog), "ms")
    };
    let total = used.iter().map(|(_, used)| *used).sum();
    let mut figures: Vec<Figure> = used.iter().map(|(name, used)| cpu(name, *used)).collect();
    figures.push(cpu("all of it", total));
    figures.extend(stored.stores().map(|(store, size)| {
        let size = as_float(size) / as_float(backlog);
        Figure::new(Scenario::Drain, &format!("stored per registration: {store}"), size, "B")
    }));
    figures
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_drain_is_judged_by_its_rate_and_by_the_mean_of_both_limits() {
        let second = Duration::from_secs(1);
        let drained = Drained { started: second * 40, acknowledged: second * 200 };
        let figures = rates(&drained, 10_000, (60.0, 50.0));
        assert!((figures[0].value - 50.0).abs() < 1e-9 && figures[0].met == Some(true));
        assert_eq!(figures[1].limit.as_ref().map(|limit| limit.value), Some(55.0));
        assert_eq!(figures[1].met, Some(true));
        assert!((figures[4].value - 250.0).abs() < 1e-9);
        let slower =
            rates(&Drained { acknowledged: second * 250, ..drained }, 10_000, (50.0, 50.0));
        assert_eq!((slower[0].met, slower[1].met), (Some(false), Some(false)));
    }

    #[test]
    fn cost_is_what_each_registration_takes() {
        let used = [("temporal".to_owned(), Duration::from_secs(3))];
        let stored = Size { auth: 50_000, todo: 10_000, temporal: 20_000 };
        let figures = per_registration(100, &used, stored);
        let values: Vec<f64> = figures.iter().map(|figure| figure.value).collect();
        assert_eq!(values, [30.0, 30.0, 500.0, 100.0, 200.0]);
    }
}
