//! The look into the inbox when an acknowledgement is overdue: the record
//! there is the truth, the signal only the fast way to hear of it.
//!
//! It reads what was applied for the user of the outbox row. A record that was
//! made by a message with this event id and another user is no acknowledgement
//! until the row's own message has been applied, too. Nothing is written, so a
//! process that dies here has changed nothing.

use onboard_contract::{Acknowledgement, EventId, TodoId, UserId};
use onboard_inbox::Inbox;
use onboard_store::{InboxRecord, Malformed, Outbox, StoreError};

use crate::failure::Failure;

pub(crate) async fn check_todo_acknowledgement(
    outbox: &Outbox,
    inbox: &Inbox,
    event: EventId,
) -> Result<Option<Acknowledgement>, Failure> {
    let failed = |source| Failure::Store { event, source };
    let user = outbox.user_of(event).await.map_err(failed)?;
    let record = inbox.find(event).await.map_err(failed)?;
    let found = record.map(|record| acknowledgement(&record, user)).transpose();
    let corrupt = |malformed| failed(StoreError::corrupt("look into the inbox", malformed));
    let found = found.map_err(corrupt)?.flatten();
    tracing::info!(event_id = %event, found = found.is_some(), "acknowledgement overdue");
    Ok(found)
}

/// What the record acknowledges to the user; without one, whatever it says.
fn acknowledgement(
    record: &InboxRecord,
    user: Option<UserId>,
) -> Result<Option<Acknowledgement>, Malformed> {
    let event_id = record.event_id()?;
    let todo = match user {
        Some(user) => record.reference_for(user.uuid(), TodoId::welcome(user).uuid())?,
        None => Some(record.reference()?),
    };
    Ok(todo.map(|todo| Acknowledgement { event_id, todo_id: todo.into() }))
}
