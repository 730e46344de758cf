//! Says as metrics what only Temporal knows: whether anybody works on the task queue,
//! how many workflows failed, and how many stand there that nobody owns or that no
//! worker can go on with. While Temporal does not answer, nothing is claimed: the
//! metrics are NaN. The leader among the relays asks for all of them; the metrics of one
//! that leads no more are NaN, too.

use std::time::Duration;

use onboard_outbox::Outbox;
use onboard_runtime::{Rounds, Shutdown};
use onboard_temporal::{Open, Pollers, Temporal};

use crate::lead::Lead;
use crate::stages::precise;
use crate::strangers::Strangers;

const EVERY: Duration = Duration::from_secs(5);

/// Asks while this relay leads, until the shutdown.
pub(crate) async fn run(temporal: Temporal, outbox: Outbox, lead: Lead, shutdown: Shutdown) {
    let stop = shutdown.clone();
    let work = || asking(temporal.clone(), outbox.clone(), stop.clone());
    lead.while_held(shutdown, work).await;
}

async fn asking(temporal: Temporal, outbox: Outbox, shutdown: Shutdown) {
    // Nothing is known before the first connection.
    if temporal.connected(&shutdown).await.is_none() {
        return;
    }
    let mut strangers = Strangers::new(outbox);
    let mut rounds = Rounds::new(EVERY, shutdown);
    let _figures = Figures;
    while let Some(census) = rounds.next(ask(&temporal, &mut strangers)).await {
        publish(&census);
    }
}

/// The figures of the leader: they become unknown when it leads no more.
struct Figures;

impl Drop for Figures {
    fn drop(&mut self) {
        publish(&Census::default());
    }
}

/// What Temporal says; `None` where it does not answer.
#[derive(Default)]
struct Census {
    pollers: Option<Pollers>,
    failed: Option<u64>,
    unknown_type: Option<u64>,
    without_row: Option<u64>,
    failing_task: Option<u64>,
}

async fn ask(temporal: &Temporal, strangers: &mut Strangers) -> Census {
    let (pollers, failed, unknown_type, failing_task, without_row) = tokio::join!(
        temporal.pollers(),
        temporal.failed_workflows(),
        temporal.count_open(Open::UnknownType),
        temporal.count_open(Open::FailingTask),
        strangers.look(temporal),
    );
    Census {
        pollers: pollers.ok(),
        failed: failed.ok(),
        unknown_type: unknown_type.ok(),
        without_row,
        failing_task: failing_task.ok(),
    }
}

fn publish(census: &Census) {
    let pollers = |count: fn(&Pollers) -> u32| {
        census.pollers.as_ref().map_or(f64::NAN, |pollers| f64::from(count(pollers)))
    };
    metrics::gauge!("task_queue_pollers", "kind" => "workflow").set(pollers(|of| of.workflow));
    metrics::gauge!("task_queue_pollers", "kind" => "activity").set(pollers(|of| of.activity));
    let count = |count: Option<u64>| count.map_or(f64::NAN, precise);
    metrics::gauge!("workflows_failed").set(count(census.failed));
    metrics::gauge!("workflows_unknown", "why" => "type").set(count(census.unknown_type));
    metrics::gauge!("workflows_unknown", "why" => "no_row").set(count(census.without_row));
    metrics::gauge!("workflows_task_failing").set(count(census.failing_task));
}
