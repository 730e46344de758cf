//! Stop 6 of a registration: tell the workflow, then note that it was told.
//!
//! Telling never holds up the queue. What does not fit into the bounded channel
//! is left to the inbox, with everything that comes behind it, until the sweep,
//! which begins at once, has caught up (`backlog`). What fails, or is lost when
//! the process dies, stays without a note and is found by the sweep, too.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::StreamExt;
use onboard_contract::Acknowledgement;
use onboard_contract::names::{SIGNAL_ACKNOWLEDGED, workflow_id};
use onboard_runtime::availability::chain;
use onboard_runtime::{Shutdown, Tasks, trace};
use onboard_temporal::{Signalled, Temporal, TemporalError};
use tokio::sync::mpsc;
use tracing::{Instrument, Span};

use crate::backlog::Backlog;
use crate::groups::GroupedInbox;
use crate::inbox::Untold;

/// Acknowledgements waiting at most. A few seconds' worth at Temporal's speed:
/// what waits here for longer than `TODO_SWEEP_AGE` is sent by the sweep as well.
const WAITING_MAX: usize = 256;
/// Acknowledgements under way at the same time; most of them wait for their
/// note (`groups`).
const CONCURRENCY: usize = 64;
/// How long signals under way have to end at the shutdown.
const DRAIN: Duration = Duration::from_secs(5);

/// Takes acknowledgements and sends them in the background.
#[derive(Debug, Clone)]
pub(crate) struct Acknowledger {
    waiting: mpsc::Sender<Untold>,
    backlog: Arc<Backlog>,
}

/// What became of an acknowledgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The workflow has it, or there is none to have it; that is noted.
    Noted,
    /// A server is away; others would fare the same.
    Away,
    /// This workflow takes no signal now; the sweep tells it later.
    Busy,
    /// Temporal or MongoDB refuses this one.
    Refused,
}

impl Acknowledger {
    /// Starts to send.
    pub(crate) fn start(
        temporal: Temporal,
        inbox: GroupedInbox,
        backlog: Arc<Backlog>,
        tasks: &Tasks,
        shutdown: Shutdown,
    ) -> Self {
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        let next = Next { receiver, backlog: backlog.clone() };
        tasks.spawn("acknowledger", send(next, temporal, inbox, shutdown));
        Self { waiting: sender, backlog }
    }

    /// Hands an acknowledgement over; never waits.
    pub(crate) fn hand(&self, untold: Untold) {
        if self.backlog.is_behind() {
            left();
        } else if self.waiting.try_send(untold).is_err() {
            self.backlog.fall_behind();
            left();
        }
    }
}

fn left() {
    metrics::counter!("todo_acknowledgements_total", "outcome" => "left").increment(1);
}

/// What was handed over.
struct Next {
    receiver: mpsc::Receiver<Untold>,
    backlog: Arc<Backlog>,
}

impl Next {
    /// The next that is not the sweep's: when we have fallen behind, it is
    /// about to send what waits here, and once is enough.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Untold>> {
        loop {
            match self.receiver.poll_recv(context) {
                Poll::Ready(Some(_)) if self.backlog.is_behind() => left(),
                other => return other,
            }
        }
    }
}

async fn send(mut next: Next, temporal: Temporal, inbox: GroupedInbox, shutdown: Shutdown) {
    let next = futures::stream::poll_fn(move |context| next.poll(context));
    let sending =
        next.take_until(shutdown.begun()).for_each_concurrent(CONCURRENCY, async |untold| {
            // What was not noted is the sweep's; it needs no word here.
            acknowledge(&temporal, &inbox, &untold).await;
        });
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
    inbox: &GroupedInbox,
    untold: &Untold,
) -> Outcome {
    let acknowledgement = &untold.acknowledgement;
    let (told, span) = {
        let _turn = inbox.turn_to_signal().await;
        let span = span(untold);
        (temporal.acknowledge(acknowledgement).instrument(span.clone()).await, span)
    };
    let outcome = match told {
        // Without a workflow (published by hand, or ended) there is nobody to
        // tell; noted, or it would be sent for ever.
        Ok(Signalled::Delivered | Signalled::NoWorkflow) => {
            // What is said about the note belongs to the trace, too.
            note(inbox, acknowledgement, &span).await
        }
        Ok(Signalled::Busy) => {
            trace::failed(&span, "busy");
            Outcome::Busy
        }
        Err(TemporalError::Unavailable { .. }) => {
            trace::failed(&span, "unavailable");
            Outcome::Away
        }
        Err(error @ TemporalError::Refused { .. }) => {
            trace::failed(&span, "refused");
            span.in_scope(|| refused(acknowledgement, &error));
            Outcome::Refused
        }
    };
    metrics::counter!("todo_acknowledgements_total", "outcome" => outcome.word()).increment(1);
    outcome
}

/// In the trace of the message, also when the sweep sends it.
fn span(untold: &Untold) -> Span {
    let event = untold.acknowledgement.event_id;
    let span = tracing::info_span!(
        parent: None,
        "todo.signal",
        otel.name = format!("signal {SIGNAL_ACKNOWLEDGED}"),
        otel.kind = "client",
        event_id = %event,
        temporalWorkflowID = workflow_id(event),
    );
    trace::continues(&span, untold.traceparent.as_ref());
    span
}

async fn note(inbox: &GroupedInbox, acknowledgement: &Acknowledgement, span: &Span) -> Outcome {
    match inbox.note(acknowledgement.event_id).await {
        Ok(()) => Outcome::Noted,
        Err(error) if error.is_retryable() => Outcome::Away,
        Err(error) => {
            span.in_scope(|| refused(acknowledgement, &error));
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
            Self::Busy => "busy",
            Self::Refused => "refused",
        }
    }
}
