//! The look into the inbox when an acknowledgement is overdue, for runs of released
//! builds. The signal is only the fast way to hear of what is found here.
//!
//! It reads what was applied for the user of the outbox row, and looks at the effect: a
//! record whose todo is neither there nor deleted by its user acknowledges nothing. A
//! record that was made by a message with this event id and another user is no
//! acknowledgement until the row's own message has been applied, too. Nothing is
//! written, so a process that dies here has changed nothing.

use onboard_contract::EventId;
use onboard_events::Acknowledgement;
use onboard_inbox::Inbox;
use onboard_mongo::StoreError;
use onboard_outbox::Outbox;
use onboard_todo::todos::Todos;

use crate::failure::Failure;

pub(crate) async fn check_todo_acknowledgement(
    outbox: &Outbox,
    inbox: &Inbox,
    todos: &Todos,
    event: EventId,
) -> Result<Option<Acknowledgement>, Failure> {
    let found = find(outbox, inbox, todos, event).await;
    let found = found.map_err(|source| Failure::Store { event, source })?;
    tracing::info!(event_id = %event, found = found.is_some(), "acknowledgement overdue");
    Ok(found)
}

async fn find(
    outbox: &Outbox,
    inbox: &Inbox,
    todos: &Todos,
    event: EventId,
) -> Result<Option<Acknowledgement>, StoreError> {
    let corrupt = |malformed| StoreError::corrupt("look into the inbox", malformed);
    let user = outbox.user_of(event).await?;
    let Some(record) = inbox.find(event).await? else { return Ok(None) };
    // Without a row, whatever the record says.
    let user = user.or_else(|| record.aggregate_id.known().map(Into::into));
    let Some(user) = user else { return Ok(None) };
    let made = record.made_for(user.uuid()).map_err(corrupt)?;
    let Some((todo, deleted)) = made else { return Ok(None) };
    let event_id = record.event_id().map_err(corrupt)?;
    let there = deleted || todos.has_or_deleted(user, todo.into()).await?;
    Ok(there.then_some(Acknowledgement { event_id, todo_id: todo.into() }))
}
