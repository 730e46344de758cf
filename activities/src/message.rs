//! The message of an event, for all activities that publish it. It reads the
//! outbox row and changes nothing.

use onboard_contract::{EventError, EventId, Message};
use onboard_outbox::Outbox;

use crate::attempt::Attempt;
use crate::failure::Failure;

/// What the row says.
pub(crate) struct Loaded {
    /// The message of the event.
    pub(crate) message: Message,
    /// Whether the row is SENT: the broker has taken the event before.
    pub(crate) sent: bool,
}

/// The message of an event, read from its row.
pub(crate) async fn message(
    outbox: &Outbox,
    event: EventId,
    attempt: Attempt,
) -> Result<Message, Failure> {
    load(outbox, event, attempt).await.map(|loaded| loaded.message)
}

/// Reads the row of an event.
pub(crate) async fn load(
    outbox: &Outbox,
    event: EventId,
    attempt: Attempt,
) -> Result<Loaded, Failure> {
    let found = outbox.find(event).await.map_err(|source| Failure::from_store(event, source))?;
    let Some(row) = found else { return Err(attempt.without_row(outbox, event).await) };
    let (message, sent) = (row.event_type.message(row.event), row.sent);
    let corrupt = |source: EventError| Failure::RowCorrupt { event, source: source.into() };
    Ok(Loaded { message: message.map_err(corrupt)?, sent })
}
