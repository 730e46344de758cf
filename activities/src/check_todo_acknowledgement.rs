//! The look into the inbox when an acknowledgement is overdue: the record
//! there is the truth, the signal only the fast way to hear of it.

use onboard_contract::{Acknowledgement, EventId};
use onboard_store::Inbox;

use crate::failure::Failure;

pub(crate) async fn check_todo_acknowledgement(
    inbox: &Inbox,
    event: EventId,
) -> Result<Option<Acknowledgement>, Failure> {
    let found = inbox.find(event).await.map_err(|source| Failure::Store { event, source })?;
    tracing::info!(event_id = %event, found = found.is_some(), "acknowledgement overdue");
    Ok(found)
}
