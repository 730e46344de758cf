//! Stop 3 of a registration: load the row by id, publish it persistent and
//! mandatory, await the broker's confirm.
//!
//! A crash after the confirm publishes the same message id again; the inbox
//! takes care of that.

use onboard_broker::Publisher;
use onboard_contract::{EventId, Message};
use onboard_store::Outbox;

use crate::failure::Failure;

pub(crate) async fn publish_user_registered(
    outbox: &Outbox,
    publisher: &Publisher,
    event: EventId,
) -> Result<(), Failure> {
    let message = message(outbox, event).await?;
    publisher.publish(&message).await.map_err(|source| Failure::Publish { event, source })?;
    tracing::info!(event_id = %event, "published and confirmed");
    Ok(())
}

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
