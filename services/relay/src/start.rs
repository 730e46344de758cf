//! One row: claim it, start its workflow, note that.
//!
//! A crash between start and note lets the row become due again; the second
//! start finds the workflow there. The send to Temporal stands between two
//! database writes and in no transaction.

use std::time::Duration;

use onboard_contract::names::workflow_id;
use onboard_contract::{RegistrationInput, TraceParent};
use onboard_runtime::availability::chain;
use onboard_store::{Due, StoreError};
use onboard_temporal::{Started, TemporalError};

use crate::relay::Relay;

/// When a row that is started but not SENT is looked at again: its workflow
/// may have been lost with Temporal's database.
const RECHECK: Duration = Duration::from_mins(5);
/// The wait of a row whose start was not answered: short, since the relay as
/// a whole backs off while Temporal is away.
const UNANSWERED: Duration = Duration::from_millis(500);

/// What became of a row.
pub(crate) enum Outcome {
    /// Its workflow exists, or another relay has the row.
    Done,
    /// Temporal refuses this row; others may pass.
    PutOff,
    /// A server is away.
    Away,
}

#[tracing::instrument(
    name = "relay.start",
    skip_all,
    fields(event_id = %due.event_id, trace_id = due.traceparent.as_ref().map(TraceParent::trace_id))
)]
pub(crate) async fn start_due(relay: &Relay, due: &Due) -> Outcome {
    // Nothing is claimed while Temporal has never been reached.
    if relay.temporal.client().is_err() {
        return Outcome::Away;
    }
    match relay.outbox.claim(due, relay.settings.claim_lease).await {
        Ok(true) => drop(relay.writing.up()),
        Ok(false) => return Outcome::Done,
        Err(error) => return away(relay, &error),
    }
    match relay.temporal.start_registration(&input(relay, due)).await {
        Ok(started) => note(relay, due, started).await,
        Err(error) => give_back(relay, due, &error).await,
    }
}

fn input(relay: &Relay, due: &Due) -> RegistrationInput {
    RegistrationInput {
        event_id: due.event_id,
        user_id: due.user_id,
        traceparent: due.traceparent.clone(),
        overdue_ms: u64::try_from(relay.settings.overdue.as_millis()).unwrap_or(u64::MAX),
        carried: None,
    }
}

async fn note(relay: &Relay, due: &Due, started: Started) -> Outcome {
    let found = match started {
        Started::Now => "started",
        Started::Already => "was started before",
    };
    tracing::info!(workflow_id = workflow_id(due.event_id), "workflow {found}");
    relay.passed();
    match relay.outbox.mark_started(due.event_id, RECHECK).await {
        Ok(()) => Outcome::Done,
        Err(error) => away(relay, &error),
    }
}

async fn give_back(relay: &Relay, due: &Due, error: &TemporalError) -> Outcome {
    let reason = chain(error);
    let given = match error {
        TemporalError::Unavailable { .. } => {
            let release = relay.outbox.release(due.event_id, UNANSWERED, &reason).await;
            release.map(|()| Outcome::Away)
        }
        TemporalError::Refused { .. } => {
            tracing::error!(error = reason, "Temporal refuses to start the workflow");
            let refused = relay.outbox.refuse(due, relay.others_pass(), &reason).await;
            refused.inspect(|quarantined| say(*quarantined)).map(|_| Outcome::PutOff)
        }
    };
    given.unwrap_or_else(|error| away(relay, &error))
}

fn say(quarantined: bool) {
    if quarantined {
        tracing::error!("the row is quarantined: mend the cause, then `onboard redrive` it");
    }
}

/// A claim's lease runs out by itself. A refusal is no different: a row that
/// breaks the validator may still be updated, so it concerns all rows alike.
fn away(relay: &Relay, error: &StoreError) -> Outcome {
    relay.writing.down(&chain(error));
    Outcome::Away
}
