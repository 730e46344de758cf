//! Rebuilds what is due from the outbox: the one place that knows of every
//! registration.
//!
//! A row that was started or sent long ago (`RELAY_REBUILD_AFTER`) and is not
//! acknowledged should have a workflow that keeps trying. Temporal is asked for
//! it, a page a second. It is started again where Temporal knows none (its
//! database was lost), where it has completed although the row does not know
//! (MongoDB was restored to a time before), and where somebody terminated or
//! cancelled it, or it timed out. One that runs is left alone, and one that has
//! failed is for `onboard redrive`: somebody mends the cause first.
//!
//! Every repeat is harmless: the id admits one run at a time, and the inbox one
//! todo. The leader among the relays asks for all of them, so that the rate holds for
//! all. Nothing is written down, so a process that dies here, or another leader, asks
//! again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::StreamExt;
use onboard_contract::{OutboxStatus, Start};
use onboard_fault::{Step, step};
use onboard_mongo::StoreError;
use onboard_outbox::{Outbox, Overdue, OverdueRows};
use onboard_runtime::availability::chain;
use onboard_runtime::{Availability, Rounds, Shutdown};
use onboard_temporal::{ExecutionStatus, Started, Temporal, TemporalError};
use tokio::time::Instant;

use crate::input::Input;
use crate::lead::Lead;
use crate::room::Room;
use crate::servers::DIFFERENT_ROWS;

/// How long a page takes at least.
const PAGE_TIME: Duration = Duration::from_secs(1);
/// Between two passes at most.
const REST_MAX: Duration = Duration::from_mins(1);

/// Why a workflow is started again.
#[derive(Debug, Clone, Copy)]
enum Cause {
    /// Temporal knows none.
    Lost,
    /// It has completed and the row does not know.
    Forgotten,
    /// Somebody has terminated it.
    Terminated,
    /// Somebody has cancelled it.
    Cancelled,
    /// It ran out of the time that somebody gave it.
    TimedOut,
}

/// What a pass came to.
#[derive(Debug, Default)]
struct Tally {
    rebuilt: AtomicU64,
    refused: AtomicU64,
}

/// A server stopped the pass; the rest is left to the next.
#[derive(Debug, thiserror::Error)]
enum CutOff {
    #[error("the outbox cannot be read")]
    Store(#[from] StoreError),
    #[error("Temporal cannot be asked")]
    Temporal(#[source] TemporalError),
}

/// What is rebuilt, from what, and how fast.
#[derive(Debug)]
pub(crate) struct Rebuild {
    pub(crate) outbox: Outbox,
    pub(crate) temporal: Temporal,
    pub(crate) room: Arc<Room>,
    pub(crate) input: Input,
    /// How old a row is that Temporal is asked about.
    pub(crate) after: Duration,
    /// Rows per second at most.
    pub(crate) rate: u32,
    /// Workflows asked for and started at the same time.
    pub(crate) concurrency: usize,
}

/// Looks while this relay leads, until the shutdown.
pub(crate) async fn run(of: Rebuild, lead: Lead, shutdown: Shutdown) {
    let stop = shutdown.clone();
    lead.while_held(shutdown, || passes(&of, stop.clone())).await;
}

async fn passes(of: &Rebuild, shutdown: Shutdown) {
    let servers = Availability::new("what is rebuilt from");
    let rest = (of.after / 5).min(REST_MAX);
    if of.temporal.connected(&shutdown).await.is_none() {
        return;
    }
    // Several leads, of several outboxes, do not ask at the same time.
    let mut rounds = Rounds::new(rest, shutdown).after_a_wait().jittered();
    while let Some(passed) = rounds.next(pass(of)).await {
        servers.report(passed).ok();
    }
}

/// Asks for every row that is overdue by far, those that were sent first:
/// somebody waits longest for these.
async fn pass(of: &Rebuild) -> Result<(), CutOff> {
    let tally = Tally::default();
    let mut done = Ok(());
    for status in [OutboxStatus::Sent, OutboxStatus::Pending] {
        done = match of.outbox.overdue(status, of.after).await {
            Ok(rows) => pages(of, rows, &tally).await,
            Err(error) => Err(error.into()),
        };
        if done.is_err() {
            break;
        }
    }
    tell(&tally);
    done
}

async fn pages(of: &Rebuild, mut rows: OverdueRows, tally: &Tally) -> Result<(), CutOff> {
    let most = usize::try_from(of.rate).unwrap_or(1);
    // Temporal has enough to do as it is: the next pass goes on.
    while !of.room.is_full() {
        let next = Instant::now() + PAGE_TIME;
        let page = rows.page(most).await?;
        if page.is_empty() {
            break;
        }
        judge(of, page, tally).await?;
        tokio::time::sleep_until(next).await;
    }
    Ok(())
}

/// A row for which Temporal does not answer is left to the next pass, and the others
/// are gone through; the pass ends when the server does not answer at all.
async fn judge(of: &Rebuild, page: Vec<Overdue>, tally: &Tally) -> Result<(), CutOff> {
    let judged = futures::stream::iter(page)
        .map(async |row| match rebuild(of, &row).await {
            Ok(None) => Ok(None),
            Ok(Some(cause)) => {
                told(&row, cause);
                tally.rebuilt.fetch_add(1, Ordering::Relaxed);
                Ok(None)
            }
            // It holds up nobody else.
            Err(CutOff::Temporal(error @ TemporalError::Refused { .. })) => {
                tracing::debug!(event_id = %row.event_id, error = chain(&error), "refused");
                tally.refused.fetch_add(1, Ordering::Relaxed);
                Ok(None)
            }
            Err(CutOff::Temporal(error @ TemporalError::Unavailable { .. })) => {
                tracing::debug!(event_id = %row.event_id, error = chain(&error), "not answered");
                Ok(Some(error))
            }
            Err(error @ CutOff::Store(_)) => Err(error),
        })
        .buffer_unordered(of.concurrency);
    futures::pin_mut!(judged);
    let mut unanswered = 0;
    while let Some(one) = judged.next().await {
        unanswered = match one? {
            None => 0,
            // Different rows in a row: is it the server?
            Some(error)
                if unanswered + 1 >= DIFFERENT_ROWS && of.temporal.ping().await.is_err() =>
            {
                return Err(CutOff::Temporal(error));
            }
            Some(_) => unanswered + 1,
        };
    }
    Ok(())
}

/// Starts the row's workflow again if there is a cause.
async fn rebuild(of: &Rebuild, row: &Overdue) -> Result<Option<Cause>, CutOff> {
    metrics::counter!("relay_rebuild_asked_total").increment(1);
    let temporal = &of.temporal;
    let found =
        temporal.find(row.event_type.workflow_id(row.event_id)).await.map_err(CutOff::Temporal)?;
    let Some(cause) = Cause::of(found.map(|run| run.status)) else { return Ok(None) };
    // It records the acknowledgement and only then ends: what the row says now is said
    // after that.
    if cause.has_run() && !of.outbox.awaits_acknowledgement(row.event_id).await? {
        return Ok(None);
    }
    let start = Start {
        event_type: row.event_type,
        event_id: row.event_id,
        aggregate_id: row.aggregate_id,
        traceparent: row.traceparent.clone(),
        overdue_ms: of.input.overdue_ms(),
        delivery: of.input.delivery(row.delivery.as_ref(), row.sent),
    };
    let started = step(Step("relay.rebuild"), async {
        match cause {
            Cause::Lost => temporal.begin_workflow(&start).await,
            Cause::Forgotten => temporal.repeat_workflow(&start).await,
            Cause::Terminated | Cause::Cancelled | Cause::TimedOut => {
                temporal.restart_workflow(&start).await
            }
        }
    });
    match started.await.map_err(CutOff::Temporal)? {
        Started::Now => Ok(Some(cause)),
        // Another relay, or an operator, was quicker.
        Started::Already => Ok(None),
    }
}

fn told(row: &Overdue, cause: Cause) {
    let (event_id, workflow_id) = (row.event_id, row.event_type.workflow_id(row.event_id));
    metrics::counter!("relay_rebuilt_total", "cause" => cause.word()).increment(1);
    tracing::info!(%event_id, workflow_id, cause = cause.word(), "workflow started again");
}

fn tell(tally: &Tally) {
    let rebuilt = tally.rebuilt.load(Ordering::Relaxed);
    let refused = tally.refused.load(Ordering::Relaxed);
    if rebuilt > 0 {
        tracing::warn!(rebuilt, "workflows were gone or ended; they were started again");
    }
    if refused > 0 {
        tracing::error!(refused, "Temporal refuses to rebuild workflows; run `onboard setup`");
    }
}

impl Cause {
    /// Why a workflow of this status is started again, if it is.
    const fn of(status: Option<ExecutionStatus>) -> Option<Self> {
        match status {
            None => Some(Self::Lost),
            Some(ExecutionStatus::Completed) => Some(Self::Forgotten),
            Some(ExecutionStatus::Terminated) => Some(Self::Terminated),
            Some(ExecutionStatus::Cancelled) => Some(Self::Cancelled),
            Some(ExecutionStatus::TimedOut) => Some(Self::TimedOut),
            Some(ExecutionStatus::Running | ExecutionStatus::Failed) => None,
        }
    }

    /// Whether a run may have recorded the acknowledgement meanwhile.
    const fn has_run(self) -> bool {
        !matches!(self, Self::Lost)
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::Forgotten => "forgotten",
            Self::Terminated => "terminated",
            Self::Cancelled => "cancelled",
            Self::TimedOut => "timed_out",
        }
    }
}
