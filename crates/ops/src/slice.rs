//! A slice of the outbox that one index serves in its order, so that reading
//! the first rows of it costs the same however many rows there are.

use mongodb::bson::{DateTime, Document, doc};
use onboard_contract::Stage;
use onboard_outbox::stages;

/// What to find, and in which order.
#[derive(Debug, Clone)]
pub(crate) struct Slice {
    pub(crate) filter: Document,
    pub(crate) order: Document,
}

impl Slice {
    /// The rows of a stage, the oldest in it first; an acknowledgement is
    /// overdue when its row was marked SENT before `overdue`.
    pub(crate) fn of(stage: Stage, overdue: DateTime) -> Self {
        let order = match stage {
            Stage::Pending | Stage::Started | Stage::Sent | Stage::Stalled => stages::order(),
            // Ids sort by birth.
            Stage::Acknowledged => doc! { "_id": 1 },
        };
        Self { filter: stages::filter(stage, overdue), order }
    }

    /// The rows that the relay has quarantined.
    pub(crate) fn quarantined() -> Self {
        Self {
            filter: doc! { "quarantinedAt": { "$exists": true }, "acknowledgedAt": null },
            order: doc! { "quarantinedAt": 1 },
        }
    }

    /// The PENDING rows that say they were created in the future, and that the relay has
    /// seen before `seen`.
    pub(crate) fn ahead(seen: DateTime) -> Self {
        let slice = Self { filter: stages::ahead(), order: doc! { "aheadSeenAt": 1 } };
        slice.and(doc! { "aheadSeenAt": { "$lte": seen } })
    }

    /// Only what fits this as well.
    pub(crate) fn and(mut self, more: Document) -> Self {
        let filter = std::mem::take(&mut self.filter);
        self.filter = if more.is_empty() {
            filter
        } else {
            doc! { "$and": [filter, more] }
        };
        self
    }
}
