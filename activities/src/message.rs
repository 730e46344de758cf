//! The message of an event, for all activities that publish it. It reads the
//! outbox row and changes nothing.

use onboard_contract::{EventId, Message};
use onboard_store::Outbox;

use crate::failure::Failure;

/// The message of an event, read from its row.
pub(crate) async fn message(outbox: &Outbox, event: EventId) -> Result<Message, Failure> {
    let row = outbox
        .find(event)
        .await
        .map_err(|source| Failure::from_store(event, source))?
        .ok_or(Failure::RowMissing(event))?;
    let message = row.event_type.message(row.event);
    message.map_err(|source| Failure::RowCorrupt { event, source: source.into() })
}
