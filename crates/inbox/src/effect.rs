//! What a consumer gives to its inbox: how a message is read, and the effect of an
//! event.
//!
//! The effect is written in the transaction of the inbox record, so both are there
//! or neither. A process that dies before the commit leaves nothing.

use std::time::Duration;

use mongodb::ClientSession;
use onboard_contract::{EventError, EventId, TraceParent};
use onboard_mongo::StoreError;
use tracing::{info, warn};
use uuid::Uuid;

/// A consumer's reading of its messages, and the effect of them.
pub trait Effect: Clone + Send + Sync + 'static {
    /// What the consumer knows of an event beside its ids.
    type Event: Clone + Send + Sync + 'static;

    /// Reads the body of a message.
    ///
    /// # Errors
    /// The body is no event that this build reads; the message becomes a dead
    /// letter with the error's reason.
    fn decode(&self, body: &[u8]) -> Result<Arrived<Self::Event>, EventError>;

    /// Writes the effect of some events, each write with this session. It writes
    /// nothing anywhere else, and may be called again: after the transaction was
    /// given up. An earlier event of the same aggregate may have made its part.
    ///
    /// # Errors
    /// The driver's. One that refuses the document makes the message a dead letter
    /// (`store_rejected`); any other has the event tried again.
    fn apply(
        &self,
        session: &mut ClientSession,
        events: &[&Arrived<Self::Event>],
        turn: Turn,
    ) -> impl Future<Output = mongodb::error::Result<()>> + Send;

    /// Whether what the effect made for the aggregate is there, or is rightly gone.
    /// Called when a workflow asks about an event whose record says that it was
    /// applied. By default the record's word suffices.
    ///
    /// # Errors
    /// The store failed; the question is asked again.
    fn is_there(
        &self,
        aggregate: Uuid,
        made: Uuid,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send {
        let _ = (aggregate, made);
        std::future::ready(Ok(true))
    }

    /// Hears what happens, to count it and to say it. By default what becomes of
    /// each event goes into the log.
    fn notice(&self, noticed: &Noticed<'_, Self::Event>) {
        let Noticed::Applied(event, applied) = noticed else { return };
        let (event_id, reference) = (event.event_id, applied.reference());
        match applied {
            Applied::Created(_) => info!(%event_id, %reference, "applied"),
            Applied::Duplicate(_) => info!(%event_id, %reference, "duplicate; nothing changed"),
            Applied::Conflict(_) => warn!(
                %event_id,
                %reference,
                "conflict: this event id came for another aggregate before; the effect is \
                 applied all the same"
            ),
        }
    }
}

/// An event as it has arrived.
#[derive(Debug, Clone)]
pub struct Arrived<E> {
    /// The event.
    pub event_id: EventId,
    /// The aggregate that the event is about.
    pub aggregate_id: Uuid,
    /// The id of what the effect makes, with which the event is acknowledged. It
    /// follows from the aggregate alone, since every event of the aggregate,
    /// duplicates and conflicts included, is acknowledged with it.
    pub reference: Uuid,
    /// The trace that the message belongs to; the handler fills it in.
    pub traceparent: Option<TraceParent>,
    /// The rest of the event.
    pub event: E,
}

impl<E> Arrived<E> {
    /// An event that a message has brought.
    #[must_use]
    pub const fn new(event_id: EventId, aggregate_id: Uuid, reference: Uuid, event: E) -> Self {
        Self { event_id, aggregate_id, reference, traceparent: None, event }
    }
}

/// Which try of a transaction this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// The first one: the effect may insert without a look. When something is
    /// there, the duplicate key ends the transaction, and the next turn comes.
    First,
    /// A later one, or one of a single event: what the effect makes may be there.
    Again,
}

/// What applying an event did, with the id of what the effect makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applied {
    /// The event is recorded now.
    Created(Uuid),
    /// It was recorded before; nothing changed.
    Duplicate(Uuid),
    /// The record of the event names another aggregate. The effect is applied for
    /// the event's own aggregate.
    Conflict(Uuid),
}

impl Applied {
    /// The id of what the effect makes.
    #[must_use]
    pub const fn reference(self) -> Uuid {
        match self {
            Self::Created(made) | Self::Duplicate(made) | Self::Conflict(made) => made,
        }
    }
}

/// What a consumer may want to count. The words are those of a metric's label.
#[derive(Debug, Clone, Copy)]
pub enum Noticed<'a, E> {
    /// An event was applied.
    Applied(&'a Arrived<E>, Applied),
    /// A message was handled: `ack`, `retry` or `dead_letter`, and the time from its
    /// delivery.
    Handled(&'static str, Duration),
    /// A transaction of several events has ended: `committed`, `apart` or `failed`.
    Group(&'static str),
    /// A transaction of a single event begins.
    Alone,
    /// An acknowledgement was tried: `noted`, `away`, `busy` or `refused`; or is
    /// `left` to the sweep.
    Acknowledgement(&'static str),
}
