//! Stop 3 of a delivery: publish the event to its exchange,
//! and say whether the broker took it for every queue.
//!
//! The first try runs inside the workflow task, and only when the broker is likely
//! to answer at once. When that try fails, the workflow asks for the activity again
//! as a task of its own.
//!
//! A refusal is an answer here and no error: the workflow then brings each
//! consumer a copy, so that a full queue holds up no other. A crash after the
//! confirm publishes the same message id again; the inboxes take care of that.

use onboard_broker::{PublishError, Publisher};
use onboard_contract::EventId;
use onboard_contract::workflow::Published;
use onboard_outbox::Outbox;

use crate::attempt::Attempt;
use crate::failure::Failure;
use crate::message::message;

/// Inside a workflow task there is no time to wait for the broker.
pub(crate) async fn publish_event(
    outbox: &Outbox,
    publisher: &Publisher,
    event: EventId,
    attempt: Attempt,
) -> Result<Published, Failure> {
    if attempt.inside && !publisher.is_prompt() {
        return Err(Failure::NotPrompt(event));
    }
    let message = message(outbox, event, attempt).await?;
    match publisher.publish(&message).await {
        Ok(()) => {
            tracing::info!(event_id = %event, "published and confirmed");
            Ok(Published::Confirmed)
        }
        Err(error @ (PublishError::Nacked { .. } | PublishError::Unroutable { .. })) => {
            tracing::warn!(event_id = %event, %error, "each consumer gets a copy of its own");
            Ok(Published::Refused)
        }
        Err(source @ (PublishError::Unavailable { .. } | PublishError::TimedOut { .. })) => {
            Err(Failure::Publish { event, source })
        }
    }
}
