//! Claim and sweep with very many rows that are finished, beside an outbox
//! that has none: two scratch databases on the same mongod, asked in turns.

mod rows;

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use mongodb::bson::doc;
use onboard_chaos::Live;
use onboard_contract::EventId;
use onboard_ops::{Databases, DatabasesArgs};
use onboard_outbox::Due;
use onboard_runtime::Problems;

use self::rows::{insert_finished, insert_pending, remove_pending};
use crate::progress::Progress;
use crate::samples::Samples;
use crate::{Bed, Figure, Scale, Scenario, Target};

/// Rows that a round finds due.
const DUE: u64 = 8;
/// The relay's own numbers: rows read at once, lease, recheck.
const BATCH: u32 = 256;
const LEASE: Duration = Duration::from_secs(15);
const RECHECK: Duration = Duration::from_mins(5);
const OVERDUE: Duration = Duration::from_secs(30);
/// Rounds that warm up connections and caches.
const WARM_UP: u64 = 10;

pub(crate) async fn run(bed: &Bed, scale: Scale, live: &Live) -> anyhow::Result<Vec<Figure>> {
    let finished = scale.pick(1_000_000, 5_000);
    let (empty, full) = (scratch(bed, "empty").await?, scratch(bed, "full").await?);
    let measured = measure(&empty, &full, finished, scale, live).await;
    for mongo in [&empty, &full] {
        mongo.auth().drop().await.context("a scratch database is left behind")?;
        mongo.todo().drop().await.context("a scratch database is left behind")?;
    }
    let (empty, full) = measured?;
    Ok(figures(&empty, &full, finished))
}

/// Databases of their own, prepared as `onboard setup` does.
async fn scratch(bed: &Bed, name: &str) -> anyhow::Result<Databases> {
    let mut problems = Problems::default();
    let mut args = DatabasesArgs::at(bed.stage().stack().servers().mongodb_uri());
    args.outbox.mongodb_auth_database = Some(format!("bench-history-{name}"));
    args.todo.mongodb_todo_database = Some(format!("bench-history-{name}-todo"));
    let config = args.check(&mut problems);
    let config = problems.finish(config).context("the scratch databases cannot be addressed")?;
    config.prepare().await?;
    Ok(Databases::new(&config).await?)
}

async fn measure(
    empty: &Databases,
    full: &Databases,
    finished: u64,
    scale: Scale,
    live: &Live,
) -> anyhow::Result<(Times, Times)> {
    let progress = Progress::new("history: inserting rows that are finished", finished);
    live.during(insert_finished(full, finished, &progress), || progress.line()).await?;
    // What is written behind must not be written while it is measured.
    full.auth().client().database("admin").run_command(doc! { "fsync": 1 }).await?;
    let rounds = scale.pick(1_000, 40);
    let progress = Progress::new("history: rounds", rounds + WARM_UP);
    live.during(take_turns(empty, full, rounds, &progress), || progress.line()).await
}

/// Each round asks both, and begins with the other one each time.
async fn take_turns(
    empty: &Databases,
    full: &Databases,
    rounds: u64,
    progress: &Progress,
) -> anyhow::Result<(Times, Times)> {
    let (mut of_empty, mut of_full) = (Times::default(), Times::default());
    for number in 0..WARM_UP + rounds {
        if number == WARM_UP {
            (of_empty, of_full) = (Times::default(), Times::default());
        }
        if number % 2 == 0 {
            round(empty, &mut of_empty).await?;
            round(full, &mut of_full).await?;
        } else {
            round(full, &mut of_full).await?;
            round(empty, &mut of_empty).await?;
        }
        progress.one();
    }
    Ok((of_empty, of_full))
}

/// What the rounds took.
#[derive(Debug, Default)]
struct Times {
    claim: Samples,
    sweep: Samples,
    stages: Samples,
}

/// Some rows become due; they are found, claimed and started as the relay does
/// it. Then, with nothing due, a sweep and a look at the stages.
async fn round(mongo: &Databases, times: &mut Times) -> anyhow::Result<()> {
    let outbox = mongo.deliveries();
    insert_pending(mongo, DUE).await?;
    let begun = Instant::now();
    let due = outbox.due(BATCH).await?.rows;
    let rows: Vec<&Due> = due.iter().collect();
    let claimed = outbox.claim(&rows, LEASE).await?;
    let events: Vec<EventId> = due.iter().map(|row| row.event_id).collect();
    ensure!(claimed == events, "rows that nobody else has are not claimed");
    outbox.mark_started(&events, RECHECK).await?;
    times.claim.push(begun.elapsed());
    ensure!(u64::try_from(due.len())? == DUE, "{} rows are due, not {DUE}", due.len());

    let begun = Instant::now();
    let due = outbox.due(BATCH).await?.rows;
    times.sweep.push(begun.elapsed());
    ensure!(due.is_empty(), "{} rows are due, and all were claimed", due.len());

    let begun = Instant::now();
    Box::pin(outbox.stages(OVERDUE)).await?;
    times.stages.push(begun.elapsed());
    remove_pending(mongo).await
}

fn figures(empty: &Times, full: &Times, finished: u64) -> Vec<Figure> {
    let figure = |name: &str, full: &Samples, empty: &Samples| {
        let name = format!("{name}, {finished} rows finished, p50");
        Figure::new(Scenario::History, &name, full.ms(0.5), "ms")
            .beside("the same, outbox empty", empty.ms(0.5))
    };
    vec![
        figure("claim of 8", &full.claim, &empty.claim).aim(Target::RatioAtMost(1.1)),
        figure("sweep", &full.sweep, &empty.sweep).aim(Target::RatioAtMost(1.1)),
        figure("stages", &full.stages, &empty.stages),
    ]
}
