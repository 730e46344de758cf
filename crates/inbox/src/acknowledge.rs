//! How a consumer acknowledges: by whatever reaches the workflow of the event.
//!
//! It is called after the commit, and again whenever nobody noted that it
//! succeeded, so it must bear repetition.

use onboard_broker::Publisher;
use onboard_contract::names::ACKNOWLEDGEMENTS;
use onboard_contract::{Acknowledged, ConsumerName, EventId, TraceParent};
use onboard_fault::{Step, step};
use tracing::Span;
use uuid::Uuid;

/// A way to acknowledge.
pub trait Acknowledge: Clone + Send + Sync + 'static {
    /// Acknowledges once.
    fn acknowledge(&self, done: &Done) -> impl Future<Output = Heard> + Send;

    /// Whether the server answers at all. It is asked when several acknowledgements were
    /// not answered one after the other. Without an answer of its own, that says enough.
    fn answers(&self) -> impl Future<Output = bool> + Send {
        std::future::ready(false)
    }

    /// The span of [`Acknowledge::acknowledge`]; it is put into the trace of the
    /// message.
    fn span(&self, done: &Done) -> Span;
}

/// What is acknowledged.
#[derive(Debug, Clone)]
pub struct Done {
    /// The event.
    pub event_id: EventId,
    /// The id of what the effect made.
    pub reference: Uuid,
    /// The trace of the message that made the record.
    pub traceparent: Option<TraceParent>,
}

/// Whether an acknowledgement was heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// It was, or there is nobody to hear it.
    Yes,
    /// This workflow hears nothing now; the sweep tells it later.
    Busy,
    /// The server did not answer this one; others may be answered.
    Unavailable,
    /// This one is refused, and why.
    Refused(String),
}

/// Acknowledges over the broker, through the exchange `acknowledgements`.
#[derive(Debug, Clone)]
pub struct OverBroker {
    consumer: ConsumerName,
    publisher: Publisher,
}

impl OverBroker {
    /// In the name of this consumer, which is the routing key, too.
    #[must_use]
    pub const fn new(consumer: ConsumerName, publisher: Publisher) -> Self {
        Self { consumer, publisher }
    }
}

impl Acknowledge for OverBroker {
    async fn acknowledge(&self, done: &Done) -> Heard {
        let acknowledged = Acknowledged {
            event_id: done.event_id,
            consumer: self.consumer.clone(),
            reference: Some(done.reference.to_string()),
        };
        let publish = self.publisher.acknowledge(&acknowledged);
        match step(Step("acknowledge.signal"), publish).await {
            Ok(()) => Heard::Yes,
            // Each of its errors ends when the broker is back, or an operator
            // binds or drains the queue.
            Err(error) => {
                tracing::debug!(%error, "the acknowledgement is not confirmed");
                Heard::Unavailable
            }
        }
    }

    fn span(&self, done: &Done) -> Span {
        tracing::info_span!(
            parent: None,
            "inbox.acknowledge",
            otel.name = format!("publish {ACKNOWLEDGEMENTS}"),
            otel.kind = "producer",
            event_id = %done.event_id,
        )
    }
}
