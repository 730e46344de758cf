//! Stop 7 of a registration: the terminal record on the outbox row.

use onboard_contract::EventId;
use onboard_store::{Outbox, Recorded};

use crate::failure::Failure;

pub(crate) async fn record_acknowledgement(outbox: &Outbox, event: EventId) -> Result<(), Failure> {
    let recorded = outbox
        .record_acknowledged(event)
        .await
        .map_err(|source| Failure::from_store(event, source))?;
    match recorded {
        Recorded::Done => Ok(()),
        Recorded::Missing => Err(Failure::RowMissing(event)),
    }
}
