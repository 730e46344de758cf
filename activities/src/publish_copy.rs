//! A copy of an event for one consumer, straight to its queue.
//!
//! A consumer that nobody can ask gets a copy only while nothing waits in its
//! queue: else the event is most likely among what waits. A crash after the
//! confirm publishes the same message id again.

use onboard_broker::Publisher;
use onboard_contract::Queue;
use onboard_contract::workflow::{CopyRef, Published};
use onboard_outbox::Outbox;

use crate::attempt::Attempt;
use crate::failure::Failure;
use crate::message::message;

pub(crate) async fn publish_copy(
    outbox: &Outbox,
    publisher: &Publisher,
    copy: CopyRef,
    attempt: Attempt,
) -> Result<Published, Failure> {
    let CopyRef { event_id: event, consumer, only_if_empty, .. } = copy;
    let failed = |source| Failure::Publish { event, source };
    let message = message(outbox, event, attempt).await?;
    let queue = Queue::for_event(message.event_type, &consumer);
    if only_if_empty && publisher.waiting(&queue, event).await.map_err(failed)? > 0 {
        return Ok(Published::Waiting);
    }
    publisher.publish_copy(&queue, &message).await.map_err(failed)?;
    tracing::info!(event_id = %event, %consumer, "a copy is published and confirmed");
    Ok(Published::Confirmed)
}
