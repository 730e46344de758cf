//! Stop 7 of a registration: an acknowledgement on the outbox row, which ends the
//! row when it is the last expected one.

use onboard_contract::workflow::RecordRef;
use onboard_outbox::{Outbox, Record, Recorded};

use crate::attempt::Attempt;
use crate::failure::Failure;

pub(crate) async fn record_acknowledgement(
    outbox: &Outbox,
    record: RecordRef,
    attempt: Attempt,
) -> Result<(), Failure> {
    let event = record.event_id;
    // A worker of a released build asks without a name: for the todo service.
    let consumer = record.consumer.unwrap_or(onboard_events::TODO);
    let recorded = outbox
        .record_acknowledged(Record { event, consumer, reference: record.reference })
        .await
        .map_err(|source| Failure::from_store(event, source))?;
    match recorded {
        Recorded::Done => Ok(()),
        Recorded::Missing => Err(attempt.without_row(outbox, event).await),
    }
}
