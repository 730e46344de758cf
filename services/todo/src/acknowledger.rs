//! Stop 6 of a registration: tell the workflow, then note that it was told.
//!
//! Telling is best effort and never holds up the queue: what does not fit into
//! the bounded channel, fails, or is lost when the process dies stays without
//! a note in the inbox and is found by the sweep.

use std::time::Duration;

use futures::StreamExt;
use onboard_contract::Acknowledgement;
use onboard_runtime::availability::chain;
use onboard_runtime::{Shutdown, Tasks};
use onboard_store::Inbox;
use onboard_temporal::{Signalled, Temporal, TemporalError};
use tokio::sync::mpsc;

/// Acknowledgements waiting at most; more are left to the sweep.
const WAITING_MAX: usize = 1024;
/// Signals under way at the same time.
const CONCURRENCY: usize = 16;
/// How long signals under way have to end at the shutdown.
const DRAIN: Duration = Duration::from_secs(5);

/// Takes acknowledgements and sends them in the background.
#[derive(Debug, Clone)]
pub(crate) struct Acknowledger {
    waiting: mpsc::Sender<Acknowledgement>,
}

/// What became of an acknowledgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The workflow has it, or there is none to have it; that is noted.
    Noted,
    /// A server is away; others would fare the same.
    Away,
    /// Temporal or MongoDB refuses this one.
    Refused,
}

impl Acknowledger {
    /// Starts to send.
    pub(crate) fn start(
        temporal: Temporal,
        inbox: Inbox,
        tasks: &Tasks,
        shutdown: Shutdown,
    ) -> Self {
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        tasks.spawn("acknowledger", send(receiver, temporal, inbox, shutdown));
        Self { waiting: sender }
    }

    /// Hands an acknowledgement over; never waits.
    pub(crate) fn hand(&self, acknowledgement: Acknowledgement) {
        if self.waiting.try_send(acknowledgement).is_err() {
            metrics::counter!("todo_acknowledgements_total", "outcome" => "left").increment(1);
            tracing::debug!("left to the sweep");
        }
    }
}

async fn send(
    mut waiting: mpsc::Receiver<Acknowledgement>,
    temporal: Temporal,
    inbox: Inbox,
    shutdown: Shutdown,
) {
    let next = futures::stream::poll_fn(move |context| waiting.poll_recv(context));
    let sending = next.take_until(shutdown.begun()).for_each_concurrent(
        CONCURRENCY,
        async |acknowledgement| {
            // What was not noted is the sweep's; it needs no word here.
            acknowledge(&temporal, &inbox, &acknowledgement).await;
        },
    );
    let late = async {
        shutdown.begun().await;
        tokio::time::sleep(DRAIN).await;
    };
    tokio::select! { () = sending => (), () = late => () }
}

/// Signals the workflow and notes it. A crash in between sends the signal
/// again, which the workflow ignores.
pub(crate) async fn acknowledge(
    temporal: &Temporal,
    inbox: &Inbox,
    acknowledgement: &Acknowledgement,
) -> Outcome {
    let outcome = match temporal.acknowledge(acknowledgement).await {
        // Without a workflow (published by hand, or ended) there is nobody to
        // tell; noted, or it would be sent for ever.
        Ok(Signalled::Delivered | Signalled::NoWorkflow) => note(inbox, acknowledgement).await,
        Err(TemporalError::Unavailable { .. }) => Outcome::Away,
        Err(error @ TemporalError::Refused { .. }) => {
            refused(acknowledgement, &error);
            Outcome::Refused
        }
    };
    metrics::counter!("todo_acknowledgements_total", "outcome" => outcome.word()).increment(1);
    outcome
}

async fn note(inbox: &Inbox, acknowledgement: &Acknowledgement) -> Outcome {
    match inbox.note_acknowledged(acknowledgement.event_id).await {
        Ok(()) => Outcome::Noted,
        Err(error) if error.is_retryable() => Outcome::Away,
        Err(error) => {
            refused(acknowledgement, &error);
            Outcome::Refused
        }
    }
}

fn refused(acknowledgement: &Acknowledgement, error: &(dyn std::error::Error + 'static)) {
    let event_id = acknowledgement.event_id;
    tracing::error!(%event_id, error = chain(error), "an acknowledgement is refused");
}

impl Outcome {
    const fn word(self) -> &'static str {
        match self {
            Self::Noted => "noted",
            Self::Away => "away",
            Self::Refused => "refused",
        }
    }
}
