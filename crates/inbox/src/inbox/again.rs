//! A message whose event the record says was applied: whether the effect is there.
//!
//! The document that the effect made may have been lost or removed by hand; then the
//! record alone must not be acknowledged. The effect is applied once more, in a transaction of
//! its own, which changes nothing where it is there or was rightly deleted. A crash
//! before the commit leaves nothing, and the message comes again.

use onboard_fault::Step;
use onboard_mongo::{StoreError, bounded, transact_at};
use uuid::Uuid;

use super::{Arrived, Effect, Inbox, Turn, WHAT, applying};

/// The step in which an effect is committed once more.
const AGAIN: Step = Step("inbox.again");

impl Inbox {
    /// Makes sure that the effect of an event that was applied before is there; false
    /// when it cannot be made.
    pub(crate) async fn has_effect<F: Effect>(
        &self,
        effect: &F,
        event: &Arrived<F::Event>,
        made: Uuid,
    ) -> Result<bool, StoreError> {
        if effect.is_there(event.aggregate_id, made).await? {
            return Ok(true);
        }
        let (again, of) = (effect.clone(), event.clone());
        let apply = transact_at(AGAIN, self.database.client(), async move |session| {
            applying(&again, session, &[&of], Turn::Again).await
        });
        bounded(WHAT, apply).await?;
        tracing::warn!(event_id = %event.event_id, "the effect of the event was gone and is made again");
        effect.is_there(event.aggregate_id, made).await
    }
}
