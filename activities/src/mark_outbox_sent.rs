//! Stop 4 of a registration: PENDING → SENT by compare-and-set.

use onboard_contract::EventId;
use onboard_outbox::{MarkedSent, Outbox};

use crate::attempt::Attempt;
use crate::failure::Failure;

pub(crate) async fn mark_outbox_sent(
    outbox: &Outbox,
    event: EventId,
    attempt: Attempt,
) -> Result<(), Failure> {
    let marked =
        outbox.mark_sent(event).await.map_err(|source| Failure::from_store(event, source))?;
    match marked {
        MarkedSent::Now | MarkedSent::Already => Ok(()),
        MarkedSent::Missing => Err(attempt.without_row(outbox, event).await),
    }
}
