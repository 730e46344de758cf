//! The look into the inbox when an acknowledgement is overdue: the record
//! there is the truth, the signal only the fast way to hear of it.
//!
//! It reads what was applied for the user of the outbox row. A record that was
//! made by a message with this event id and another user is no acknowledgement
//! until the row's own message has been applied, too. Nothing is written, so a
//! process that dies here has changed nothing.

use onboard_contract::{Acknowledgement, EventId};
use onboard_inbox::Inbox;
use onboard_store::Outbox;

use crate::failure::Failure;

pub(crate) async fn check_todo_acknowledgement(
    outbox: &Outbox,
    inbox: &Inbox,
    event: EventId,
) -> Result<Option<Acknowledgement>, Failure> {
    let failed = |source| Failure::Store { event, source };
    let user = outbox.user_of(event).await.map_err(failed)?;
    let found = inbox.find(event, user).await.map_err(failed)?;
    tracing::info!(event_id = %event, found = found.is_some(), "acknowledgement overdue");
    Ok(found)
}
