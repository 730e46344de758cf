//! Stop 3 of a registration: load the row by id, publish it persistent and
//! mandatory, await the broker's confirm.
//!
//! A crash after the confirm publishes the same message id again; the inbox
//! takes care of that.

use onboard_broker::Publisher;
use onboard_contract::EventId;
use onboard_store::Outbox;

use crate::attempt::Attempt;
use crate::failure::Failure;
use crate::message::message;

pub(crate) async fn publish_user_registered(
    outbox: &Outbox,
    publisher: &Publisher,
    event: EventId,
    attempt: Attempt,
) -> Result<(), Failure> {
    let message = message(outbox, event, attempt).await?;
    publisher.publish(&message).await.map_err(|source| Failure::Publish { event, source })?;
    tracing::info!(event_id = %event, "published and confirmed");
    Ok(())
}
