//! The message of an event, for all activities that publish it. It reads the
//! outbox row and changes nothing.

use onboard_contract::{EventId, Message};
use onboard_store::Outbox;

use crate::attempt::Attempt;
use crate::failure::Failure;

/// The message of an event, read from its row.
pub(crate) async fn message(
    outbox: &Outbox,
    event: EventId,
    attempt: Attempt,
) -> Result<Message, Failure> {
    let found = outbox.find(event).await.map_err(|source| Failure::from_store(event, source))?;
    let Some(row) = found else { return Err(attempt.without_row(outbox, event).await) };
    let message = row.event_type.message(row.event);
    message.map_err(|source| Failure::RowCorrupt { event, source: source.into() })
}
