//! Stop 3 of a registration in the plan of released builds: load the row by id,
//! publish it persistent and mandatory, await the broker's confirm.
//!
//! A repeat, for an overdue acknowledgement or at an operator's request, publishes only
//! while nothing waits in the todo service's queue: else the event is most likely among
//! what waits. So an outage of the todo service, however long, costs a message per
//! registration.
//!
//! A crash after the confirm publishes the same message id again; the inbox
//! takes care of that.

use onboard_broker::{PublishError, Publisher};
use onboard_contract::EventId;
use onboard_events::TODO_QUEUE;
use onboard_outbox::Outbox;

use crate::attempt::Attempt;
use crate::failure::Failure;
use crate::message::{Loaded, load};

pub(crate) async fn publish_user_registered(
    outbox: &Outbox,
    publisher: &Publisher,
    event: EventId,
    attempt: Attempt,
) -> Result<(), Failure> {
    let failed = |source| Failure::Publish { event, source };
    let Loaded { message, sent } = load(outbox, event, attempt).await?;
    if sent && !attempt.first_of_run {
        match publisher.waiting(&TODO_QUEUE, event).await {
            // A queue that is gone makes the publish fail, which says so better.
            Ok(0) | Err(PublishError::Unavailable { .. }) => (),
            Ok(_) => {
                tracing::info!(event_id = %event, "not published again: messages wait");
                return Ok(());
            }
            Err(error) => return Err(failed(error)),
        }
    }
    publisher.publish(&message).await.map_err(failed)?;
    tracing::info!(event_id = %event, "published and confirmed");
    Ok(())
}
