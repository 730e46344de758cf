//! The start of workflows, several at the same time.
//!
//! A crash between start and note leaves the row due, or lets it become due again; the
//! second start finds the workflow there. The send to Temporal stands in no transaction.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use futures::StreamExt;
use onboard_contract::Start;
use onboard_mongo::StoreError;
use onboard_outbox::{Due, Outbox};
use onboard_runtime::availability::chain;
use onboard_runtime::{Backoff, Shutdown, clock, trace};
use onboard_temporal::{Started, Temporal, TemporalError};
use tokio::sync::mpsc::{Receiver, Sender};
use tracing::{Instrument, Span};

use crate::held::Row;
use crate::input::Input;
use crate::note::Begun;
use crate::room::Room;
use crate::servers::Servers;

/// The waits of a row whose start was not answered. They stay short while no row
/// passes: then it is the server, and the relay as a whole backs off.
const UNANSWERED_FIRST: Duration = Duration::from_millis(500);
const UNANSWERED_CAP: Duration = Duration::from_secs(5);
const UNANSWERED_ALONE_CAP: Duration = Duration::from_mins(1);
/// How fresh a success must be to say that rows pass; above the longest wait
/// of a refused row.
const PASSING: Duration = Duration::from_mins(2);

/// What a start needs.
#[derive(Debug)]
pub(crate) struct Starts {
    pub(crate) outbox: Outbox,
    pub(crate) temporal: Temporal,
    pub(crate) servers: Arc<Servers>,
    pub(crate) room: Arc<Room>,
    pub(crate) input: Input,
    /// Workflows started at the same time.
    pub(crate) concurrency: usize,
    /// When a start last succeeded, in ms since the Unix epoch; 0 at first.
    pub(crate) passed_at_ms: AtomicI64,
}

impl Starts {
    /// Notes that a row passed.
    fn passed(&self) {
        self.passed_at_ms.store(clock::now_ms(), Ordering::Relaxed);
        self.servers.answers();
    }

    /// Whether rows pass: then a refusal is about the row, else about all.
    fn others_pass(&self) -> bool {
        let since_ms = clock::now_ms().saturating_sub(self.passed_at_ms.load(Ordering::Relaxed));
        u128::try_from(since_ms).is_ok_and(|since_ms| since_ms < PASSING.as_millis())
    }
}

/// Starts what is ready, until nothing comes any more. Rows that wait out a pause,
/// or for room, when the shutdown begins are left: they are due, or their claim runs out.
pub(crate) async fn run(
    starts: Starts,
    mut ready: Receiver<Row>,
    started: Sender<Begun>,
    shutdown: Shutdown,
) {
    futures::stream::poll_fn(|context| ready.poll_recv(context))
        .for_each_concurrent(starts.concurrency, async |row| {
            if starts.servers.pause.over(&shutdown).await
                && let Some(place) = starts.room.admits(&shutdown).await
                && start(&starts, &row.due).await
            {
                // Ends only after everything that starts.
                started.send(Begun::now(row, place)).await.ok();
            }
        })
        .await;
}

/// Whether there is a workflow now.
async fn start(starts: &Starts, due: &Due) -> bool {
    let span = tracing::info_span!(
        "relay.start",
        otel.kind = "client",
        event_id = %due.event_id,
        temporalWorkflowID = due.event_type.workflow_id(due.event_id),
        found = tracing::field::Empty,
    );
    trace::continues(&span, due.traceparent.as_ref());
    ask(starts, due).instrument(span).await
}

async fn ask(starts: &Starts, due: &Due) -> bool {
    let found = match starts.temporal.begin_workflow(&beginning(starts, due)).await {
        Ok(Started::Now) => {
            started(due);
            "started"
        }
        Ok(Started::Already) => {
            counted("already");
            "was started before"
        }
        Err(error) => {
            give_back(starts, due, &error).await;
            return false;
        }
    };
    Span::current().record("found", found);
    tracing::info!(workflow_id = due.event_type.workflow_id(due.event_id), "workflow {found}");
    starts.passed();
    true
}

fn started(due: &Due) {
    counted("started");
    if let Some(created_at_ms) = due.created_at_ms {
        let lag_ms = clock::now_ms().saturating_sub(created_at_ms);
        let lag = Duration::from_millis(u64::try_from(lag_ms).unwrap_or_default());
        metrics::histogram!("relay_start_lag_seconds").record(lag);
    }
}

fn counted(outcome: &'static str) {
    metrics::counter!("relay_starts_total", "outcome" => outcome).increment(1);
}

/// The workflow's trace goes on from this start; the start that counts is the
/// first, whichever relay's it was.
fn beginning(starts: &Starts, due: &Due) -> Start {
    Start {
        event_type: due.event_type,
        event_id: due.event_id,
        aggregate_id: due.aggregate_id,
        traceparent: trace::current().or_else(|| due.traceparent.clone()),
        overdue_ms: starts.input.overdue_ms(),
        delivery: starts.input.delivery(due.delivery.as_ref(), false),
    }
}

async fn give_back(starts: &Starts, due: &Due, error: &TemporalError) {
    let given = match error {
        TemporalError::Unavailable { .. } => unanswered(starts, due, error).await,
        TemporalError::Refused { .. } => refused(starts, due, error).await,
    };
    match given {
        Ok(()) => (),
        // The row alone: it is due, or its claim runs out.
        Err(error) if !error.is_retryable() => {
            tracing::error!(error = chain(&error), "the row cannot be given back");
        }
        Err(error) => starts.servers.does_not_write(&error),
    }
}

async fn unanswered(starts: &Starts, due: &Due, error: &TemporalError) -> Result<(), StoreError> {
    trace::failed(&Span::current(), "unavailable");
    counted("unavailable");
    starts.servers.does_not_answer(due.event_id);
    let cap = if starts.others_pass() { UNANSWERED_ALONE_CAP } else { UNANSWERED_CAP };
    let wait = Backoff::after(UNANSWERED_FIRST, cap, due.attempts);
    starts.outbox.release(due, wait, &chain(error)).await?;
    starts.servers.wake.after(wait);
    Ok(())
}

/// Temporal refuses this row; others may pass.
async fn refused(starts: &Starts, due: &Due, error: &TemporalError) -> Result<(), StoreError> {
    trace::failed(&Span::current(), "refused");
    counted("refused");
    let reason = chain(error);
    tracing::error!(error = reason, "Temporal refuses to start the workflow");
    starts.servers.answers();
    let refusal = starts.outbox.refuse(due, starts.others_pass(), &reason).await?;
    if refusal.quarantined {
        tracing::error!("the row is quarantined: mend the cause, then `onboard redrive` it");
    }
    starts.servers.wake.after(refusal.retry_in);
    starts.servers.pause.succeeded();
    Ok(())
}
