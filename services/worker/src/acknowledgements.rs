//! Acknowledgements that consumers publish to the exchange `acknowledgements`:
//! finds the run of each through its row and signals it.
//!
//! A message is acked only when the run has the signal, or needs none. An
//! acknowledgement of nobody's event, or of a consumer that the row does not
//! expect, becomes a dead letter. While MongoDB or Temporal is away a message
//! waits here, in place, because a requeue counts towards the delivery limit. When
//! Temporal answers other questions and never this signal, the message becomes a dead
//! letter after a while, so that it gives its place to another message.
//! When the process dies, the message comes again, and Temporal takes the same
//! signal once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use onboard_broker::{Incoming, Verdict};
use onboard_contract::names::ACKNOWLEDGEMENTS;
use onboard_contract::{Acknowledged, EventType};
use onboard_mongo::StoreError;
use onboard_outbox::{Expectation, Outbox};
use onboard_runtime::availability::chain;
use onboard_runtime::{Availability, Backoff, Shutdown, trace};
use onboard_temporal::{Signalled, Temporal, TemporalError};
use tracing::{Instrument, Span};

/// Messages handled at the same time.
pub(crate) const PREFETCH: u16 = 64;
const BACKOFF_FIRST: Duration = Duration::from_millis(200);
const BACKOFF_CAP: Duration = Duration::from_secs(5);
/// So many tries in a row Temporal answers for others and not for this run, before its
/// acknowledgement becomes a dead letter: some 20 s.
const UNANSWERED_MAX: u32 = 10;

/// Handles acknowledgements. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Handler {
    outbox: Outbox,
    temporal: Temporal,
    mongo: Arc<Availability>,
    shutdown: Shutdown,
}

/// What became of an acknowledgement.
#[derive(Debug, Clone, Copy)]
enum Outcome {
    /// The run has it.
    Signalled,
    /// There is no run to have it.
    NoRun,
    /// The row has it, or does not wait for it any more.
    Duplicate,
    /// It can count for nothing, for this reason.
    DeadLetter(&'static str, &'static str),
    /// The process stops before a server was back.
    Stopped,
}

impl Handler {
    pub(crate) fn new(outbox: Outbox, temporal: Temporal, shutdown: Shutdown) -> Self {
        let mongo = Arc::new(Availability::new("mongo (acknowledgements)"));
        Self { outbox, temporal, mongo, shutdown }
    }

    /// Handles one message and says, in one line and one count, what became of it.
    pub(crate) async fn handle(self, message: Incoming) -> Verdict {
        let span = span(&message);
        async {
            let (outcome, verdict) = match Acknowledged::parse(&message.routing_key, &message.body)
            {
                Ok(acknowledged) => {
                    let outcome = self.acknowledge(&acknowledged).await;
                    (outcome.word(), outcome.verdict(&acknowledged))
                }
                Err(error) => {
                    let reason = error.reason();
                    trace::failed(&Span::current(), reason);
                    tracing::warn!(reason, "not an acknowledgement; dead-lettered");
                    // The error's own words; those of its cause may repeat the body.
                    ("dead_letter", Verdict::DeadLetter { reason, detail: error.to_string() })
                }
            };
            metrics::counter!("worker_acknowledgements_total", "outcome" => outcome).increment(1);
            verdict
        }
        .instrument(span)
        .await
    }

    /// Signals the run that the row tells of.
    async fn acknowledge(&self, acknowledged: &Acknowledged) -> Outcome {
        match self.expectation(acknowledged).await {
            Some(Ok(Expectation::Awaited(event_type))) => {
                self.signal(event_type, acknowledged).await
            }
            Some(Ok(Expectation::Done)) => Outcome::Duplicate,
            Some(Ok(Expectation::NotExpected)) => {
                Outcome::DeadLetter("not_expected", "the event does not wait for this consumer")
            }
            Some(Ok(Expectation::NoRow)) => {
                Outcome::DeadLetter("unknown_event", "there is no outbox row of this event")
            }
            Some(Err(error)) => {
                tracing::error!(error = chain(&error), "the event's row cannot be read");
                Outcome::DeadLetter("row_unreadable", "the event's outbox row cannot be read")
            }
            None => Outcome::Stopped,
        }
    }

    /// Reads the row however long MongoDB is away; `None` at the shutdown.
    async fn expectation(
        &self,
        acknowledged: &Acknowledged,
    ) -> Option<Result<Expectation, StoreError>> {
        let Acknowledged { event_id, consumer, .. } = acknowledged;
        let ask = || async {
            match self.outbox.expectation(*event_id, consumer).await {
                Err(error) if error.is_retryable() => {
                    self.mongo.down(&chain(&error));
                    None
                }
                found => {
                    self.mongo.up();
                    Some(found)
                }
            }
        };
        backoff().until(&self.shutdown, ask).await
    }

    /// Signals the run however long Temporal is away. Nothing is lost with a dead letter:
    /// the run waits on, and asks its consumer for another acknowledgement.
    async fn signal(&self, event_type: &EventType, acknowledged: &Acknowledged) -> Outcome {
        let unanswered = AtomicU32::new(0);
        let signal = || async {
            match self.temporal.acknowledge_for(event_type, acknowledged).await {
                Ok(Signalled::Delivered) => Some(Outcome::Signalled),
                Ok(Signalled::NoWorkflow) => Some(Outcome::NoRun),
                // It is about to end, or is worked on.
                Ok(Signalled::Busy) => None,
                Err(TemporalError::Unavailable { .. }) => {
                    let alone = self.temporal.ping().await.is_ok();
                    let before = if alone { unanswered.load(Ordering::Relaxed) } else { 0 };
                    unanswered.store(before + u32::from(alone), Ordering::Relaxed);
                    (before + 1 >= UNANSWERED_MAX).then_some(Outcome::DeadLetter(
                        "temporal_unanswered",
                        "Temporal answers for others, and not for this event's workflow",
                    ))
                }
                Err(error @ TemporalError::Refused { .. }) => {
                    tracing::error!(error = chain(&error), "Temporal refuses a signal");
                    Some(Outcome::DeadLetter("temporal_refused", "Temporal refuses the signal"))
                }
            }
        };
        backoff().until(&self.shutdown, signal).await.unwrap_or(Outcome::Stopped)
    }
}

const fn backoff() -> Backoff {
    Backoff::new(BACKOFF_FIRST, BACKOFF_CAP)
}

fn span(message: &Incoming) -> Span {
    let span = tracing::info_span!(
        "worker.acknowledge",
        otel.name = format!("process {ACKNOWLEDGEMENTS}"),
        otel.kind = "consumer",
        messaging.system = "rabbitmq",
        messaging.operation.name = "process",
        messaging.operation.type = "process",
        messaging.destination.name = ACKNOWLEDGEMENTS,
        redelivered = message.redelivered,
    );
    trace::continues(&span, message.traceparent.as_ref());
    span
}

impl Outcome {
    const fn word(self) -> &'static str {
        match self {
            Self::Signalled => "signalled",
            Self::NoRun => "no_run",
            Self::Duplicate => "duplicate",
            Self::DeadLetter(..) => "dead_letter",
            Self::Stopped => "stopped",
        }
    }

    fn verdict(self, acknowledged: &Acknowledged) -> Verdict {
        let (event_id, consumer) = (acknowledged.event_id, &acknowledged.consumer);
        match self {
            Self::Signalled | Self::NoRun | Self::Duplicate => {
                tracing::info!(%event_id, %consumer, outcome = self.word(), "acknowledged");
                Verdict::Ack
            }
            Self::DeadLetter(reason, detail) => {
                trace::failed(&Span::current(), reason);
                tracing::warn!(%event_id, %consumer, reason, "dead-lettered");
                Verdict::DeadLetter { reason, detail: detail.to_owned() }
            }
            Self::Stopped => {
                tracing::info!(%event_id, %consumer, "stopping; the message comes again");
                Verdict::Retry
            }
        }
    }
}
