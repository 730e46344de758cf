//! The start of claimed rows' workflows, several at the same time.
//!
//! A crash between start and note lets the row become due again; the second
//! start finds the workflow there. The send to Temporal stands between two
//! database writes and in no transaction.

use std::time::Duration;

use futures::StreamExt;
use onboard_contract::Start;
use onboard_runtime::availability::chain;
use onboard_runtime::{Shutdown, clock, trace};
use onboard_store::{Due, StoreError};
use onboard_temporal::{Started, TemporalError};
use tokio::sync::mpsc::{Receiver, Sender};
use tracing::{Instrument, Span};

use crate::held::Row;
use crate::relay::Relay;

/// The wait of a row whose start was not answered: short, since the relay as
/// a whole backs off while Temporal is away.
const UNANSWERED: Duration = Duration::from_millis(500);

/// Starts what is claimed, until nothing is claimed any more. Rows that wait
/// out a pause when the shutdown begins are left: their claim runs out.
pub(crate) async fn run(
    relay: &Relay,
    mut claimed: Receiver<Row>,
    started: Sender<Row>,
    shutdown: Shutdown,
) {
    futures::stream::poll_fn(|context| claimed.poll_recv(context))
        .for_each_concurrent(relay.concurrency(), async |row| {
            if relay.pause.over(&shutdown).await && start(relay, &row.due).await {
                // Ends only after everything that starts.
                started.send(row).await.ok();
            }
        })
        .await;
}

/// Whether there is a workflow now.
async fn start(relay: &Relay, due: &Due) -> bool {
    let span = tracing::info_span!(
        "relay.start",
        otel.kind = "client",
        event_id = %due.event_id,
        temporalWorkflowID = due.event_type.workflow_id(due.event_id),
        found = tracing::field::Empty,
    );
    trace::continues(&span, due.traceparent.as_ref());
    ask(relay, due).instrument(span).await
}

async fn ask(relay: &Relay, due: &Due) -> bool {
    let found = match relay.temporal.begin_workflow(&beginning(relay, due)).await {
        Ok(Started::Now) => {
            started(due);
            "started"
        }
        Ok(Started::Already) => {
            counted("already");
            "was started before"
        }
        Err(error) => {
            give_back(relay, due, &error).await;
            return false;
        }
    };
    Span::current().record("found", found);
    tracing::info!(workflow_id = due.event_type.workflow_id(due.event_id), "workflow {found}");
    relay.passed();
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
fn beginning(relay: &Relay, due: &Due) -> Start {
    Start {
        event_type: due.event_type,
        event_id: due.event_id,
        aggregate_id: due.aggregate_id,
        traceparent: trace::current().or_else(|| due.traceparent.clone()),
        overdue_ms: relay.overdue_ms(),
        delivery: relay.delivery(due.delivery.as_ref(), false),
    }
}

async fn give_back(relay: &Relay, due: &Due, error: &TemporalError) {
    let given = match error {
        TemporalError::Unavailable { .. } => unanswered(relay, due, error).await,
        TemporalError::Refused { .. } => refused(relay, due, error).await,
    };
    if let Err(error) = given {
        relay.away(&error);
    }
}

async fn unanswered(relay: &Relay, due: &Due, error: &TemporalError) -> Result<(), StoreError> {
    trace::failed(&Span::current(), "unavailable");
    counted("unavailable");
    relay.pause();
    relay.outbox.release(due.event_id, UNANSWERED, &chain(error)).await?;
    relay.wake.after(UNANSWERED);
    Ok(())
}

/// Temporal refuses this row; others may pass.
async fn refused(relay: &Relay, due: &Due, error: &TemporalError) -> Result<(), StoreError> {
    trace::failed(&Span::current(), "refused");
    counted("refused");
    let reason = chain(error);
    tracing::error!(error = reason, "Temporal refuses to start the workflow");
    let refusal = relay.outbox.refuse(due, relay.others_pass(), &reason).await?;
    if refusal.quarantined {
        tracing::error!("the row is quarantined: mend the cause, then `onboard redrive` it");
    }
    relay.wake.after(refusal.retry_in);
    relay.pause.succeeded();
    Ok(())
}
