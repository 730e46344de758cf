//! Stop 3 of a registration: load the row by id, publish it persistent and
//! mandatory, await the broker's confirm.
//!
//! A crash after the confirm publishes the same message id again; the inbox
//! takes care of that.

use onboard_broker::{Message, Publisher};
use onboard_contract::{EventId, UserRegistered};
use onboard_store::Outbox;

use crate::failure::Failure;

pub(crate) async fn publish_user_registered(
    outbox: &Outbox,
    publisher: &Publisher,
    event: EventId,
) -> Result<(), Failure> {
    let row = outbox
        .find(event)
        .await
        .map_err(|source| Failure::from_store(event, source))?
        .ok_or(Failure::RowMissing(event))?;
    let body = UserRegistered {
        event_id: row.event_id,
        occurred_at: row.occurred_at,
        user_id: row.user_id,
        email: Some(row.email),
        traceparent: None,
    };
    let message = Message::user_registered(&body, row.traceparent);
    publisher.publish(&message).await.map_err(|source| Failure::Publish { event, source })?;
    tracing::info!(event_id = %event, "published and confirmed");
    Ok(())
}
