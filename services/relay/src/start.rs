//! The start of claimed rows' workflows, several at the same time.
//!
//! A crash between start and note lets the row become due again; the second
//! start finds the workflow there. The send to Temporal stands between two
//! database writes and in no transaction.

use std::time::Duration;

use futures::StreamExt;
use onboard_contract::names::workflow_id;
use onboard_contract::{RegistrationInput, TraceParent};
use onboard_runtime::Shutdown;
use onboard_runtime::availability::chain;
use onboard_store::{Due, StoreError};
use onboard_temporal::{Started, TemporalError};
use tokio::sync::mpsc::{Receiver, Sender};

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
#[tracing::instrument(
    name = "relay.start",
    skip_all,
    fields(event_id = %due.event_id, trace_id = due.traceparent.as_ref().map(TraceParent::trace_id))
)]
async fn start(relay: &Relay, due: &Due) -> bool {
    let found = match relay.temporal.start_registration(&input(relay, due)).await {
        Ok(Started::Now) => "started",
        Ok(Started::Already) => "was started before",
        Err(error) => {
            give_back(relay, due, &error).await;
            return false;
        }
    };
    tracing::info!(workflow_id = workflow_id(due.event_id), "workflow {found}");
    relay.passed();
    true
}

fn input(relay: &Relay, due: &Due) -> RegistrationInput {
    relay.input(due.event_id, due.user_id, due.traceparent.clone())
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
    relay.pause();
    relay.outbox.release(due.event_id, UNANSWERED, &chain(error)).await
}

/// Temporal refuses this row; others may pass.
async fn refused(relay: &Relay, due: &Due, error: &TemporalError) -> Result<(), StoreError> {
    let reason = chain(error);
    tracing::error!(error = reason, "Temporal refuses to start the workflow");
    if relay.outbox.refuse(due, relay.others_pass(), &reason).await? {
        tracing::error!("the row is quarantined: mend the cause, then `onboard redrive` it");
    }
    relay.pause.succeeded();
    Ok(())
}
