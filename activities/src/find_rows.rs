//! Which of some events have an outbox row: asked by consumers before they remove the
//! inbox records of events that have none. It reads and changes nothing.

use onboard_contract::EventId;
use onboard_outbox::Outbox;

use crate::failure::Failure;

pub(crate) async fn find_rows(
    outbox: &Outbox,
    events: Vec<EventId>,
) -> Result<Vec<EventId>, Failure> {
    let present = outbox.present(&events).await.map_err(Failure::Rows)?;
    Ok(present.into_iter().collect())
}
