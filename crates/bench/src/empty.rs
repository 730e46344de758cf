//! The limit that Temporal sets: the real workflow with activities that do
//! nothing, on the same server, from this process.
//!
//! Started, polled and signalled as the services do it: the relay's start
//! options and concurrency, the worker's own tuning, a signal for each as soon
//! as its publish has run. MongoDB and RabbitMQ take no part.

mod worker;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use futures::stream::FuturesUnordered;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use onboard_chaos::Live;
use onboard_contract::workflow::OVERDUE_MS_DEFAULT;
use onboard_contract::{Delivery, EventId, Start, TraceParent};
use onboard_events::UserRegistered;
use onboard_events::registration::workflow_id;
use onboard_events::todo::SIGNAL_ACKNOWLEDGED;
use onboard_runtime::clock;
use onboard_temporal::{Temporal, TemporalError};
use temporalio_client::WorkflowCountOptions;

use self::worker::{Told, Worker, acknowledgement};
use crate::Bed;
use crate::progress::Progress;
use crate::samples::{Samples, rate};
use crate::until::{STANDSTILL, until};

/// Apart from the one that the real worker polls.
const TASK_QUEUE: &str = "bench-empty";
/// Workflows started at the same time: the relay's default.
const STARTS: usize = 8;
/// Signals at the same time: as many as the todo service sends.
const SIGNALS: usize = 16;
/// Tries of a start or a signal that gets no answer; each may take 5 s.
const TRIES_MAX: u32 = 5;
/// How long one lone workflow may take: an overdue look is part of it.
const LONE_WITHIN: Duration = Duration::from_mins(1);
/// Lone workflows of [`floor`].
const LONE: usize = 20;

/// Workflows completed a second, from the first to the last of `count`.
///
/// # Errors
/// Temporal does not do it, or not in time.
pub(crate) async fn rate_of(bed: &Bed, count: u64, live: &Live) -> anyhow::Result<f64> {
    let mut shape = Shape::start(bed).await?;
    shape.lone().await.context("the worker of the empty shape does not work")?;
    let progress = Progress::new("the workflow with empty activities", count);
    let rate = live.during(shape.many(count, &progress), || progress.line()).await;
    shape.stop().await?;
    rate
}

/// From the call that starts a workflow until its publish begins, one lone
/// workflow at a time: what Temporal adds to a latency.
///
/// # Errors
/// Temporal does not do it, or not in time.
pub(crate) async fn floor(bed: &Bed) -> anyhow::Result<Samples> {
    let mut shape = Shape::start(bed).await?;
    shape.lone().await.context("the worker of the empty shape does not work")?;
    let mut samples = Samples::default();
    for _ in 0..LONE {
        samples.push(shape.lone().await?);
    }
    shape.stop().await?;
    Ok(samples)
}

/// A client and a worker of the empty shape.
struct Shape {
    temporal: Temporal,
    worker: Worker,
}

impl Shape {
    async fn start(bed: &Bed) -> anyhow::Result<Self> {
        let (_, _, mut config) = bed.servers()?;
        TASK_QUEUE.clone_into(&mut config.task_queue);
        let temporal = Temporal::connect(&config).await?;
        let worker = Worker::spawn(temporal.client()?, TASK_QUEUE)?;
        Ok(Self { temporal, worker })
    }

    async fn stop(self) -> anyhow::Result<()> {
        self.worker.stop().await
    }

    /// One workflow from start to end; how long until its publish began.
    async fn lone(&mut self) -> anyhow::Result<Duration> {
        let begun = Instant::now();
        let event = start_one(&self.temporal).await?;
        let work = async {
            let mut publishing = None;
            loop {
                match self.worker.told().await? {
                    Told::Publishing(id, at) if id == event => {
                        publishing.get_or_insert(at - begun);
                        acknowledge(&self.temporal, id).await?;
                    }
                    Told::Recorded(id, _) if id == event => break,
                    Told::Publishing(..) | Told::Recorded(..) => (),
                }
            }
            publishing.context("a workflow ended without a publish")
        };
        let publishing = tokio::time::timeout(LONE_WITHIN, work).await;
        let publishing = publishing.context("a lone workflow did not end")??;
        let ended = async || {
            let found = self.temporal.find(UserRegistered::TYPE.workflow_id(event)).await?;
            Ok(u64::from(found.is_none_or(|run| run.status.as_str() != "COMPLETED")))
        };
        until("a lone workflow", (LONE_WITHIN, Duration::from_millis(5)), ended).await?;
        Ok(publishing)
    }

    /// Many workflows; how many completed a second.
    async fn many(&mut self, count: u64, progress: &Progress) -> anyhow::Result<f64> {
        let before = self.completed().await?;
        let temporal = self.temporal.clone();
        let starts = stream::iter((0..count).map(Ok))
            .try_for_each_concurrent(STARTS, async |_| -> anyhow::Result<()> {
                start_one(&temporal).await.map(drop)
            });
        let ends = conduct(&temporal, &mut self.worker, count, progress);
        let work = async { tokio::try_join!(starts, ends) };
        let within = patience(count);
        let ((), rate) = tokio::time::timeout(within, work).await.with_context(|| {
            format!("empty workflows: not done after {} s, {}", within.as_secs(), progress.line())
        })??;
        let open = async || Ok((before + count).saturating_sub(self.completed().await?));
        until("empty workflows", (STANDSTILL, Duration::from_millis(100)), open).await?;
        Ok(rate)
    }

    /// How many have completed, as Temporal's visibility tells it.
    async fn completed(&self) -> anyhow::Result<u64> {
        let query = format!("TaskQueue = '{TASK_QUEUE}' AND ExecutionStatus = 'Completed'");
        let counting =
            self.temporal.client()?.count_workflows(query, WorkflowCountOptions::default()).await;
        Ok(counting.context("Temporal cannot count its workflows")?.count().try_into()?)
    }
}

/// Signals each workflow whose publish has run, until `count` have recorded
/// their end; how many did so a second, from the first to the last.
async fn conduct(
    temporal: &Temporal,
    worker: &mut Worker,
    count: u64,
    progress: &Progress,
) -> anyhow::Result<f64> {
    let mut ended = BTreeSet::new();
    let mut signals = FuturesUnordered::new();
    let (mut first, mut last) = (None, None);
    while u64::try_from(ended.len())? < count {
        tokio::select! {
            told = worker.told(), if signals.len() < SIGNALS => match told? {
                Told::Publishing(event, _) => signals.push(acknowledge(temporal, event)),
                Told::Recorded(event, at) => if ended.insert(event) {
                    first.get_or_insert(at);
                    last = Some(at);
                    progress.one();
                },
            },
            Some(sent) = signals.next() => sent?,
        }
    }
    while signals.try_next().await?.is_some() {}
    let (Some(first), Some(last)) = (first, last) else { bail!("nothing was to be done") };
    Ok(rate(count.saturating_sub(1), last - first))
}

/// Starts the workflow of a registration that does not exist.
async fn start_one(temporal: &Temporal) -> anyhow::Result<EventId> {
    let event_id: EventId = clock::ordered_id().into();
    let start = Start {
        event_type: UserRegistered::TYPE,
        event_id,
        // The acknowledgement names the welcome todo of this user.
        aggregate_id: event_id.uuid(),
        traceparent: Some(TraceParent::from_random(clock::random_id().as_u128(), 1)),
        overdue_ms: OVERDUE_MS_DEFAULT,
        delivery: Some(Delivery::to(vec![onboard_events::TODO], false)),
    };
    answered(async || temporal.begin_workflow(&start).await.map(drop)).await?;
    Ok(event_id)
}

async fn acknowledge(temporal: &Temporal, event_id: EventId) -> anyhow::Result<()> {
    let acknowledgement = acknowledgement(event_id);
    let request = format!("ack-{}", acknowledgement.event_id);
    let told = async || {
        let workflow = workflow_id(acknowledgement.event_id);
        temporal
            .tell(workflow, SIGNAL_ACKNOWLEDGED, &acknowledgement, request.clone())
            .await
            .map(drop)
    };
    answered(told).await
}

/// Tries again while there is no answer: both calls may be repeated.
async fn answered(mut call: impl AsyncFnMut() -> Result<(), TemporalError>) -> anyhow::Result<()> {
    let mut tries = 1;
    loop {
        match call().await {
            Err(TemporalError::Unavailable { .. }) if tries < TRIES_MAX => tries += 1,
            answer => return Ok(answer?),
        }
    }
}

/// What `count` workflows may take: a tenth of what was ever measured.
fn patience(count: u64) -> Duration {
    Duration::from_mins(1) + Duration::from_millis(count.saturating_mul(200))
}
