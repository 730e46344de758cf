//! After the commit: acknowledge the event, then note that on its record.
//!
//! Acknowledging never holds up the queue. An acknowledgement that does not fit into the
//! bounded channel is left to the inbox, with all that come behind it, until the sweep,
//! which begins at once, has caught up (`backlog`). The record of an acknowledgement that
//! fails, or is lost when the process dies, stays without a note; the sweep finds it, too.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::StreamExt;
use onboard_contract::EventId;
use onboard_runtime::availability::chain;
use onboard_runtime::{Shutdown, Tasks, trace};
use tokio::sync::mpsc;
use tracing::{Instrument, Span};

use crate::backlog::Backlog;
use crate::groups::GroupedInbox;
use crate::{Acknowledge, Done, Effect, Heard, Noticed};

/// Acknowledgements waiting at most. A few seconds' worth at Temporal's speed:
/// what waits here for longer than the age of the sweep is sent by it as well.
const WAITING_MAX: usize = 256;
/// Acknowledgements under way at the same time; most of them wait for their
/// note (`groups`).
const CONCURRENCY: usize = 64;
/// How long signals under way have to end at the shutdown.
const DRAIN: Duration = Duration::from_secs(5);

/// Takes acknowledgements and sends them in the background.
#[derive(Debug, Clone)]
pub(crate) struct Acknowledger {
    waiting: mpsc::Sender<Done>,
    backlog: Arc<Backlog>,
}

/// An acknowledgement does not fit: it is left to the sweep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Left;

/// What became of an acknowledgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It was heard, or there is nobody to hear it; that is noted.
    Noted,
    /// MongoDB is away; others would fare the same.
    Away,
    /// The server did not answer this one.
    Unanswered,
    /// This workflow hears nothing now; the sweep tells it later.
    Busy,
    /// A server refuses this one.
    Refused,
}

impl Acknowledger {
    /// Starts to send.
    pub(crate) fn start<F: Effect, A: Acknowledge>(
        acknowledge: A,
        inbox: GroupedInbox<F>,
        backlog: Arc<Backlog>,
        tasks: &Tasks,
        shutdown: Shutdown,
    ) -> Self {
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        let next = Next { receiver, backlog: backlog.clone(), inbox: inbox.clone() };
        tasks.spawn("acknowledger", send(next, acknowledge, inbox, shutdown));
        Self { waiting: sender, backlog }
    }

    /// Hands an acknowledgement over; never waits.
    pub(crate) fn hand(&self, done: Done) -> Result<(), Left> {
        if self.backlog.is_behind() {
            return Err(Left);
        }
        self.waiting.try_send(done).map_err(|_| {
            self.backlog.fall_behind();
            Left
        })
    }
}

/// Tells the consumer of an acknowledgement that is left to the sweep.
pub(crate) fn left<F: Effect>(inbox: &GroupedInbox<F>) {
    inbox.effect().notice(&Noticed::Acknowledgement("left"));
}

/// What was handed over.
struct Next<F: Effect> {
    receiver: mpsc::Receiver<Done>,
    backlog: Arc<Backlog>,
    inbox: GroupedInbox<F>,
}

impl<F: Effect> Next<F> {
    /// The next that is not the sweep's: when we have fallen behind, it is
    /// about to send what waits here, and once is enough.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Done>> {
        loop {
            match self.receiver.poll_recv(context) {
                Poll::Ready(Some(_)) if self.backlog.is_behind() => left(&self.inbox),
                other => return other,
            }
        }
    }
}

async fn send<F: Effect, A: Acknowledge>(
    mut next: Next<F>,
    to: A,
    inbox: GroupedInbox<F>,
    shutdown: Shutdown,
) {
    let next = futures::stream::poll_fn(move |context| next.poll(context));
    let sending =
        next.take_until(shutdown.begun()).for_each_concurrent(CONCURRENCY, async |done| {
            // What was not noted is the sweep's; it needs no word here.
            acknowledge(&to, &inbox, &done).await;
        });
    let late = async {
        shutdown.begun().await;
        tokio::time::sleep(DRAIN).await;
    };
    tokio::select! { () = sending => (), () = late => () }
}

/// Acknowledges and notes it. A crash in between acknowledges again, which the
/// workflow ignores.
pub(crate) async fn acknowledge<F: Effect, A: Acknowledge>(
    to: &A,
    inbox: &GroupedInbox<F>,
    done: &Done,
) -> Outcome {
    let (heard, span) = {
        let _turn = inbox.turn_to_signal().await;
        // In the trace of the message, also when the sweep sends it.
        let span = to.span(done);
        trace::continues(&span, done.traceparent.as_ref());
        (to.acknowledge(done).instrument(span.clone()).await, span)
    };
    let outcome = match heard {
        // Without a workflow (published by hand, or ended) there is nobody to
        // tell; noted, or it would be sent for ever.
        // What is said about the note belongs to the trace, too.
        Heard::Yes => note(inbox, done.event_id, &span).await,
        Heard::Busy => {
            trace::failed(&span, "busy");
            Outcome::Busy
        }
        Heard::Unavailable => {
            trace::failed(&span, "unavailable");
            Outcome::Unanswered
        }
        Heard::Refused(why) => {
            trace::failed(&span, "refused");
            span.in_scope(|| refused(done.event_id, &why));
            Outcome::Refused
        }
    };
    inbox.effect().notice(&Noticed::Acknowledgement(outcome.word()));
    outcome
}

async fn note<F: Effect>(inbox: &GroupedInbox<F>, event_id: EventId, span: &Span) -> Outcome {
    match inbox.note(event_id).await {
        Ok(()) => Outcome::Noted,
        Err(error) if error.is_retryable() => Outcome::Away,
        Err(error) => {
            span.in_scope(|| refused(event_id, &chain(&error)));
            Outcome::Refused
        }
    }
}

fn refused(event_id: EventId, error: &str) {
    tracing::error!(%event_id, error, "an acknowledgement is refused");
}

impl Outcome {
    const fn word(self) -> &'static str {
        match self {
            Self::Noted => "noted",
            Self::Away | Self::Unanswered => "away",
            Self::Busy => "busy",
            Self::Refused => "refused",
        }
    }
}
